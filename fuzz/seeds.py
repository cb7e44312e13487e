#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The first inputs of the fuzz targets.

python3 fuzz/seeds.py CORPUS DUMP.bin...     writes them
python3 fuzz/seeds.py --keep DIRECTORY FILE  writes the inputs in the directory to the file

The first inputs are those that were kept: fuzz/seeds has a file for each target with an input a line, in hexadecimal; tests run them
too. Besides, one payload per captured entry for decode_entry; for conversation every operation with right answers made of them.
"""

import pathlib
import struct
import sys


def messages(data):
    while data:
        length = struct.unpack_from("=I", data)[0]
        yield data[:length]
        data = data[length + -length % 4 :]


def message(kind, payload):
    return struct.pack("=IHHII", 16 + len(payload), kind, 2, 0, 0) + payload


def datagram(which, *parts):
    data = b"".join(parts)
    return bytes([len(data) // 4, which]) + data


# Longer ones are of little use in a repository.
LONGEST = 4096
# Bytes in a file of inputs that were kept.
MOST = 48 * 1024


def keep(directory, file):
    inputs = {path.read_bytes() for path in directory.iterdir() if path.is_file()}
    lines = [data.hex() + "\n" for data in sorted(inputs, key=lambda data: (len(data), data)) if len(data) <= LONGEST]
    # Short and long ones alike.
    every = next(every for every in range(1, len(lines) + 2) if sum(map(len, lines[::every])) <= MOST)
    file.write_text("".join(lines[::every]))
    print(f"{file}: {len(lines[::every])} of {len(inputs)} inputs")


def attribute(kind, *parts):
    value = b"".join(parts)
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def udp(port):
    """One of the entries that the target asks for: 10.0.0.1 with this port to 10.0.0.2, port 53."""

    def tuple_of(kind, source, destination, sport, dport):
        ip = attribute(0x8001, attribute(1, bytes(source)), attribute(2, bytes(destination)))
        ports = attribute(2, sport.to_bytes(2, "big")), attribute(3, dport.to_bytes(2, "big"))
        return attribute(kind, ip, attribute(0x8002, attribute(1, bytes([17])), *ports))

    here, there = (10, 0, 0, 1), (10, 0, 0, 2)
    tuples = tuple_of(0x8001, here, there, port, 53), tuple_of(0x8002, there, here, 53, port)
    numbers = [attribute(kind, (8).to_bytes(4, "big")) for kind in (3, 12)]
    return message(0x100, struct.pack("=BBH", 2, 0, 0) + b"".join((*tuples, *numbers)))


def main():
    if sys.argv[1] == "--keep":
        return keep(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
    corpus = pathlib.Path(sys.argv[1])
    for kept in sorted((pathlib.Path(__file__).parent / "seeds").iterdir()):
        (corpus / kept.name).mkdir(parents=True, exist_ok=True)
        for number, line in enumerate(kept.read_text().splitlines(), 1):
            (corpus / kept.name / f"kept-{number}").write_bytes(bytes.fromhex(line))
    entries = [part for name in sys.argv[2:] for part in messages(pathlib.Path(name).read_bytes())]
    if not entries:
        sys.exit("no captured entries")
    for number, entry in enumerate(entries):
        (corpus / "decode_entry" / f"captured-{number}").write_bytes(entry[16:])
    stats = message(0x105, bytes(4) + struct.pack("=HH", 8, 1) + (3).to_bytes(4, "big"))
    ack = message(2, bytes(20))
    done = message(3, bytes(4))
    enoent = message(2, struct.pack("=i", -2) + bytes(16))
    for operation in range(9):
        for reset in (0, 0x80):
            parts = [bytes([operation + reset])]
            if operation in (0, 1, 3, 6, 7):
                parts += [datagram(0, stats), datagram(0, ack), datagram(0), datagram(0)]
                parts += [datagram(0, *entries[at : at + 2]) for at in (0, 4, 8)] + [datagram(0, done)]
            elif operation in (2, 4, 5):
                parts += [datagram(0, entries[0]), datagram(1, enoent), datagram(2, ack), datagram(0)]
            parts += [datagram(0, enoent), datagram(1, ack), datagram(2, ack), datagram(0, ack)]
            (corpus / "conversation" / f"operation-{operation + reset}").write_bytes(b"".join(parts))
    # Four datagrams for each that is sent. Three look-ups, of which two find something; a request for each of these; then one more
    # look-up after the other for what is gone.
    nothing = datagram(0)
    found = [datagram(0, udp(0)), datagram(1, udp(1)), datagram(2, enoent), nothing]
    gone = [datagram(0, enoent), nothing, nothing, nothing]
    for operation in (4, 5):
        parts = [bytes([operation]), *found, datagram(1, ack), nothing, nothing, nothing, *gone * 8]
        (corpus / "conversation" / f"found-{operation}").write_bytes(b"".join(parts))
    parts = [bytes([2]), datagram(0, udp(0)), datagram(0, ack)]
    (corpus / "conversation" / "found-2").write_bytes(b"".join(parts))


main()
