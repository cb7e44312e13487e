# SPDX-License-Identifier: MIT OR Apache-2.0

"""pyroute2, used by its documentation: NFCTSocket.dump() with the kernel's filters by zone, mark and address.

That hands over messages that are decoded as far as they are looked at, and takes a third of the time of the Conntrack
class, which makes an object of each. What is deleted goes by tuple and zone, which Conntrack.delete() leaves out.
Usage: peer_pyroute2.py OPERATION SIZE [SOME]
"""

import socket

import bench
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

# An address costs a walk over the table, and a list of everything as much as some hundred of those.
WALKS_MOST = 250
# So many walks are enough to tell what one costs.
WALKS_PATIENCE = 20

any_family = NFCTSocket(nfgen_family=socket.AF_UNSPEC)
by_family = {family: NFCTSocket(nfgen_family=family) for family in (socket.AF_INET, socket.AF_INET6)}


def addresses(message):
    """Of the original direction, as text."""
    ip = message.get_attr("CTA_TUPLE_ORIG").get_attr("CTA_TUPLE_IP")
    version = "V4" if message["nfgen_family"] == socket.AF_INET else "V6"
    return ip.get_attr(f"CTA_IP_{version}_SRC"), ip.get_attr(f"CTA_IP_{version}_DST")


def packed_source(message):
    return socket.inet_pton(message["nfgen_family"], addresses(message)[0])


def reading(message):
    src, dst = (socket.inet_pton(message["nfgen_family"], text) for text in addresses(message))
    proto = message.get_attr("CTA_TUPLE_ORIG").get_attr("CTA_TUPLE_PROTO")
    return bench.reading(
        src,
        dst,
        proto.get_attr("CTA_PROTO_SRC_PORT") or 0,
        proto.get_attr("CTA_PROTO_DST_PORT") or 0,
        proto.get_attr("CTA_PROTO_NUM"),
        message.get_attr("CTA_MARK") or 0,
        message.get_attr("CTA_STATUS"),
    )


def listed(n, conntrack, **wanted):
    with bench.Clock() as clock:
        messages = list(conntrack.dump(**wanted))
    return clock, n, len(messages), sum(map(reading, messages))


def stream(size, _):
    count = total = 0
    with bench.Clock() as clock:
        for message in any_family.dump():
            count += 1
            total += reading(message)
    return clock, size, count, total


def key_of(message):
    """What names an entry in a delete."""
    family = message["nfgen_family"]
    return {
        "tuple_orig": NFCTAttrTuple.from_netlink(family, message.get_attr("CTA_TUPLE_ORIG")),
        "zone": message.get_attr("CTA_ZONE"),
    }


def delete_key(key):
    by_family[key["tuple_orig"].family].entry("del", **key)


def delete_known(size, known):
    sample = bench.Sample(known, size)
    victims = [key_of(message) for message in any_family.dump() if sample.has(packed_source(message))]
    with bench.Clock() as clock:
        for key in victims:
            delete_key(key)
    return clock, known, len(victims), 0


def source(pod):
    return NFCTAttrTuple(saddr=bench.pod_address(pod))


def delete_pods(_, pods):
    """With a walk for each address, or for many with one list of all connections over IPv4."""
    done = 0
    v4 = by_family[socket.AF_INET]
    walks = min(pods, WALKS_PATIENCE) if pods <= WALKS_MOST else 0
    with bench.Clock() as clock:
        for pod in range(walks):
            for message in list(v4.dump(tuple_orig=source(pod))):
                delete_key(key_of(message))
                done += 1
        if not walks:
            wanted = {bench.pod_address(pod) for pod in range(pods)}
            for message in [message for message in v4.dump() if addresses(message)[0] in wanted]:
                delete_key(key_of(message))
                done += 1
    return clock, (walks or pods) * bench.POD_FLOWS, done, 0


bench.main(
    "pyroute2",
    {
        "list": lambda size, _: listed(size, any_family),
        "stream": stream,
        "list-pod-zone": lambda *_: listed(bench.POD_FLOWS, any_family, zone=bench.pod_zone(0)),
        "list-pod-address": lambda *_: listed(bench.POD_FLOWS, by_family[socket.AF_INET], tuple_orig=source(0)),
        "list-pod-mark": lambda *_: listed(bench.POD_FLOWS, any_family, mark=bench.pod_mark(0)),
        "delete": delete_known,
        "delete-pod-address": lambda size, _: delete_pods(size, 1),
        "delete-pods": delete_pods,
    },
)
