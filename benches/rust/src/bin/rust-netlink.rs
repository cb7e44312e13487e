// SPDX-License-Identifier: MIT OR Apache-2.0

//! netlink-packet-netfilter over netlink-sys: lists and streams, and its decoder alone.
//! Usage: rust-netlink OPERATION SIZE [FILE]

use ctrack_benches::{messages, report, Arguments, Clock, Failure, Reading};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_netfilter::conntrack::{ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Tuple};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use netlink_sys::{protocols::NETLINK_NETFILTER, Socket, SocketAddr};
use std::net::IpAddr;

const PEER: &str = "rust-netlink";

type Message = NetlinkMessage<NetfilterMessage>;

fn first(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.octets();
            [a, b, c, d]
        }
    }
}

fn read_tuple(parts: &[Tuple], r: &mut Reading) {
    for part in parts {
        match part {
            Tuple::Ip(addresses) => {
                for address in addresses {
                    match address {
                        IPTuple::SourceAddress(address) => r.src = first(*address),
                        IPTuple::DestinationAddress(address) => r.dst = first(*address),
                        _ => {}
                    }
                }
            }
            Tuple::Proto(fields) => {
                for field in fields {
                    match field {
                        ProtoTuple::Protocol(proto) => r.proto = u8::from(*proto),
                        ProtoTuple::SourcePort(port) => r.sport = *port,
                        ProtoTuple::DestinationPort(port) => r.dport = *port,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

fn reading(message: &Message) -> Result<u64, Failure> {
    let mut r = Reading { src: [0; 4], dst: [0; 4], sport: 0, dport: 0, proto: 0, mark: 0, status: 0 };
    let NetlinkPayload::InnerMessage(NetfilterMessage {
        inner: NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)),
        ..
    }) = &message.payload
    else {
        return Err("not an entry".into());
    };
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(tuple) => read_tuple(tuple, &mut r),
            ConntrackAttribute::CtaMark(mark) => r.mark = *mark,
            ConntrackAttribute::CtaStatus(status) => r.status = status.bits(),
            _ => {}
        }
    }
    Ok(r.sum())
}

/// Asks for a dump and hands every entry to `each`.
fn dump(mut each: impl FnMut(Message) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let inner =
        NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0), ConntrackMessage::Get(vec![]));
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(inner));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = socket.recv(&mut &mut buffer[..], 0)?;
        for bytes in messages(&buffer[..length]) {
            let message = Message::deserialize(bytes)?;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io().into()),
                _ => each(message)?,
            }
        }
    }
}

fn main() -> Result<(), Failure> {
    let a = Arguments::read(PEER)?;
    let (mut count, mut sum) = (0, 0);
    if a.op.starts_with("decode-") {
        let bytes = a.recorded()?;
        let clock = Clock::start()?;
        for message in messages(&bytes) {
            sum += reading(&Message::deserialize(message)?)?;
            count += 1;
        }
        return report(PEER, &a, &clock.stop()?, count, sum);
    }
    match &*a.op {
        "list" => {
            let mut kept = Vec::new();
            let clock = Clock::start()?;
            dump(|message| {
                kept.push(message);
                Ok(())
            })?;
            let took = clock.stop()?;
            for message in &kept {
                sum += reading(message)?;
            }
            report(PEER, &a, &took, kept.len() as u64, sum)
        }
        "stream" => {
            let clock = Clock::start()?;
            dump(|message| {
                count += 1;
                sum += reading(&message)?;
                Ok(())
            })?;
            report(PEER, &a, &clock.stop()?, count, sum)
        }
        op => Err(format!("no operation {op}").into()),
    }
}
