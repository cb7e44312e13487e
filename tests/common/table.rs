//! A table with some of everything: families, protocols, zones, marks, statuses, translations, labels, helpers.

use super::*;

/// Labels are kept only in a network namespace in which a rule uses them.
pub fn allow_labels() {
    nft("table inet labels {\n chain c {\n  type filter hook output priority 0;\n  ct label set 1\n }\n}\n");
}

fn with_status(mut entry: Entry, status: Status) -> Entry {
    entry.has |= Has::STATUS;
    entry.status = status;
    entry
}

fn with_state(mut entry: Entry, state: TcpState) -> Entry {
    entry.has |= Has::TCP_STATE;
    entry.tcp_state = state;
    entry
}

fn with_labels(mut entry: Entry, labels: &[usize]) -> Entry {
    entry.has |= Has::LABELS;
    for label in labels {
        entry.labels[label / 8] |= 1 << (label % 8);
    }
    entry
}

/// Answers come from and go to elsewhere than the mirror image says.
fn translated(mut entry: Entry, from: Option<(&str, u16)>, to: Option<(&str, u16)>) -> Entry {
    let ports = entry.has(Has::PORTS);
    let port = |port| if ports { port } else { 0 };
    entry.has |= Has::REPLY;
    entry.reply = Tuple { src: entry.orig.dst, dst: entry.orig.src, ..entry.reply };
    (entry.reply.sport, entry.reply.dport) = (port(entry.orig.dport), port(entry.orig.sport));
    if entry.has(Has::ICMP) {
        entry.reply.icmp_id = entry.orig.icmp_id;
        entry.reply.icmp_type = if entry.orig.icmp_type == 8 { 0 } else { 129 };
    }
    let mut status = Status::empty();
    if let Some((address, number)) = from {
        (entry.reply.dst, entry.reply.dport) = (address_bytes(ip(address)), port(number));
        status |= Status::SRC_NAT | Status::SRC_NAT_DONE;
    }
    if let Some((address, number)) = to {
        (entry.reply.src, entry.reply.sport) = (address_bytes(ip(address)), port(number));
        status |= Status::DST_NAT | Status::DST_NAT_DONE;
    }
    with_status(entry, status)
}

/// A protocol of which the kernel keeps no ports.
fn portless(proto: Proto, src: &str, dst: &str) -> Entry {
    let mut entry = lasting(key(Proto::UDP, src, 0, dst, 0));
    entry.has &= !Has::PORTS;
    entry.proto = proto;
    entry
}

fn icmp(src: &str, dst: &str, icmp_type: u8, code: u8, id: u16) -> Entry {
    lasting(Entry::icmp_key(ip(src), ip(dst), icmp_type, code, id).unwrap())
}

/// Addresses near each other at every prefix length that the filters use.
const V4: [&str; 6] = ["10.0.0.1", "10.0.0.129", "10.0.1.1", "10.128.0.1", "192.168.1.1", "172.16.0.255"];
const V6: [&str; 6] = ["fd00::1", "fd00::8000:0:0:1", "fd00:0:0:1::1", "fd80::1", "2001:db8::1", "fe80::ffff"];

/// The entries to create.
pub fn mixed() -> Vec<Entry> {
    let mut entries = Vec::new();
    for (a, echo) in [(V4, 8), (V6, 128)] {
        one_family(&mut entries, a, echo);
    }
    entries
}

fn one_family(entries: &mut Vec<Entry>, a: [&str; 6], echo: u8) {
    for state in (TcpState::NONE.0..=TcpState::SYN_SENT2.0).map(TcpState) {
        let entry = lasting(key(Proto::TCP, a[0], 1000 + u16::from(state.0), a[4], 80));
        entries.push(with_state(marked(entry, u32::from(state.0)), state));
    }
    let seen = Status::SEEN_REPLY;
    let statuses = [Status::empty(), seen, seen | Status::ASSURED, seen | Status::ASSURED | Status::FIXED_TIMEOUT];
    for (n, status) in (0u16..).zip(statuses) {
        entries.push(with_status(marked(udp(a[1], 2000 + n, a[4], 53), 0x1_0000 << n), status));
        entries.push(with_status(tcp(a[1], 2000 + n, a[4], 443), status));
    }
    for (sport, dport) in [(0, 53), (65535, 53), (4000, 0), (4000, 65535), (4000, 4000)] {
        entries.push(udp(a[2], sport, a[3], dport));
        entries.push(lasting(key(Proto::UDPLITE, a[2], sport, a[3], dport)));
    }
    // The same tuple in several zones, and zones of one direction only.
    for zone in [1, 7, 65535] {
        entries.push(marked(udp(a[0], 3000, a[5], 53), 0xff).in_zone(zone));
        entries.push(icmp(a[0], a[5], echo, 0, 30).in_zone(zone));
    }
    entries.push(in_one_zone(udp(a[0], 3001, a[5], 53), Has::ORIG_ZONE, 7));
    entries.push(in_one_zone(udp(a[0], 3002, a[5], 53), Has::REPLY_ZONE, 7));
    entries.push(in_one_zone(tcp(a[0], 3003, a[5], 53), Has::ORIG_ZONE, 9));
    for mark in [0x10, 0x11, 0xff00_0000, u32::MAX] {
        entries.push(marked(udp(a[3], mark as u16, a[0], 123), mark));
    }
    for id in [0, 1, 3333, 65535] {
        entries.push(icmp(a[3], a[0], echo, 0, id));
    }
    entries.push(icmp(a[3], a[0], if echo == 8 { 13 } else { 139 }, 0, 1));
    entries.push(icmp(a[3], a[0], echo, 5, 1));
    let mut sctp = lasting(key(Proto::SCTP, a[4], 5000, a[0], 6000));
    sctp.has |= Has::SCTP;
    (sctp.sctp_state, sctp.sctp_vtag_orig, sctp.sctp_vtag_reply) = (4, 0x1234_5678, 0x9abc_def0);
    entries.push(sctp);
    entries.push(lasting(key(Proto::GRE, a[4], 0, a[0], 77)));
    entries.push(portless(Proto(253), a[4], a[0]));
    entries.push(portless(Proto(89), a[4], a[1]));
    // Source, destination, and both translated.
    let (inner, outer) = (Some((a[5], 7777)), Some((a[1], 8080)));
    entries.push(translated(udp(a[2], 6001, a[4], 53), inner, None));
    entries.push(translated(udp(a[2], 6002, a[4], 53), None, outer));
    entries.push(translated(tcp(a[2], 6003, a[4], 53), inner, outer));
    entries.push(translated(tcp(a[2], 6004, a[4], 53), None, outer).in_zone(7));
    entries.push(translated(icmp(a[2], a[4], echo, 0, 66), inner, None));
    for labels in [&[0][..], &[1, 64], &[127], &[0, 1, 64, 127]] {
        entries.push(with_labels(udp(a[5], labels.len() as u16 * 100 + labels[0] as u16, a[0], 5353), labels));
    }
    entries.push(helped(tcp(a[5], 1, a[0], 21), "ftp"));
    let mut scaled = tcp(a[5], 2, a[0], 22);
    scaled.has |= Has::TCP_WSCALE | Has::TCP_FLAGS;
    (scaled.tcp_wscale_orig, scaled.tcp_wscale_reply) = (7, 9);
    // Window scaling, selective acknowledgements, and being liberal.
    (scaled.tcp_flags_orig, scaled.tcp_flags_reply) = (0x0b, 0x03);
    entries.push(scaled);
}
