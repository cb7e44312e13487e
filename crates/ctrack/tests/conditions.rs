//! Every field of a filter is a condition: it alone keeps an entry from being selected, and lets through one that is as it says.

use ctrack::*;

fn any() -> Filter {
    Filter::default()
}

fn host(last: u8) -> Option<Prefix> {
    Some(std::net::IpAddr::from([192, 0, 2, last]).into())
}

fn address(last: u8) -> [u8; 16] {
    address_bytes([192, 0, 2, last].into())
}

/// An entry of a protocol with all that the kernel could send of it.
fn listed(proto: Proto) -> Entry {
    let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let key = if proto.is_icmp() { Entry::icmp_key(src, dst, 8, 0, 1) } else { Entry::key(proto, src, 1, dst, 2) };
    let mut entry = key.unwrap();
    entry.reply = Tuple { src: entry.orig.dst, dst: entry.orig.src, sport: 2, dport: 1, ..entry.orig };
    entry.has = Has::KNOWN & !(Has::PORTS | Has::ICMP | Has::ORIG_ZONE | Has::REPLY_ZONE) | entry.has;
    (entry.id, entry.status, entry.mark) = (1, Status::CONFIRMED | Status::ASSURED, 1);
    entry
}

#[test]
fn every_field_of_a_filter_alone_decides() {
    let Filter {
        exclude: _,
        family,
        proto,
        zone,
        orig_zone,
        reply_zone,
        id,
        mark,
        status_set,
        status_clear,
        orig_src,
        orig_dst,
        reply_src,
        reply_dst,
        orig_sport,
        orig_dport,
        reply_sport,
        reply_dport,
        icmp_type,
        icmp_code,
        icmp_id,
        tcp_states,
        labels,
        helper,
    } = any();
    type Row = (&'static str, bool, Filter, fn(&mut Entry));
    let tcp = || Filter { proto: Some(Proto::TCP), ..any() };
    let icmp = || Filter { proto: Some(Proto::ICMP), ..any() };
    let ninth = [1 << 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let rows: Vec<Row> = vec![
        ("family", family.is_some(), Filter { family: Some(Family::IPV6), ..any() }, |e| e.family = Family::IPV6),
        ("proto", proto.is_some(), Filter { proto: Some(Proto::SCTP), ..any() }, |e| e.proto = Proto::SCTP),
        ("zone", zone.is_some(), Filter { zone: Some(9), ..any() }, |e| *e = e.in_zone(9)),
        ("orig_zone", orig_zone.is_some(), Filter { orig_zone: Some(9), ..any() }, |e| (e.zone, e.orig.zone) = (9, 9)),
        ("reply_zone", reply_zone.is_some(), Filter { reply_zone: Some(9), ..any() }, |e| {
            (e.zone, e.reply.zone) = (9, 9)
        }),
        ("id", id.is_some(), Filter { id: Some(9), ..any() }, |e| e.id = 9),
        ("mark", mark.is_some(), Filter { mark: Some(Masked { value: 8, mask: 8 }), ..any() }, |e| e.mark = 9),
        ("status_set", !status_set.is_empty(), Filter { status_set: Status::SRC_NAT, ..any() }, |e| {
            e.status |= Status::SRC_NAT;
        }),
        ("status_clear", !status_clear.is_empty(), Filter { status_clear: Status::ASSURED, ..any() }, |e| {
            e.status = Status::CONFIRMED;
        }),
        ("orig_src", orig_src.is_some(), Filter { orig_src: host(1), ..any() }, |e| e.orig.src = address(1)),
        ("orig_dst", orig_dst.is_some(), Filter { orig_dst: host(2), ..any() }, |e| e.orig.dst = address(2)),
        ("reply_src", reply_src.is_some(), Filter { reply_src: host(3), ..any() }, |e| e.reply.src = address(3)),
        ("reply_dst", reply_dst.is_some(), Filter { reply_dst: host(4), ..any() }, |e| e.reply.dst = address(4)),
        ("orig_sport", orig_sport.is_some(), Filter { orig_sport: Some(9..=10), ..tcp() }, |e| e.orig.sport = 10),
        ("orig_dport", orig_dport.is_some(), Filter { orig_dport: Some(9..=10), ..tcp() }, |e| e.orig.dport = 9),
        ("reply_sport", reply_sport.is_some(), Filter { reply_sport: Some(9..=10), ..tcp() }, |e| e.reply.sport = 10),
        ("reply_dport", reply_dport.is_some(), Filter { reply_dport: Some(9..=10), ..tcp() }, |e| e.reply.dport = 9),
        ("icmp_type", icmp_type.is_some(), Filter { icmp_type: Some(13), ..icmp() }, |e| e.orig.icmp_type = 13),
        ("icmp_code", icmp_code.is_some(), Filter { icmp_code: Some(9), ..icmp() }, |e| e.orig.icmp_code = 9),
        ("icmp_id", icmp_id.is_some(), Filter { icmp_id: Some(9), ..icmp() }, |e| e.orig.icmp_id = 9),
        ("tcp_states", tcp_states.is_some(), Filter { tcp_states: Some(TcpStates::CLOSE), ..tcp() }, |e| {
            e.tcp_state = TcpState::CLOSE;
        }),
        ("labels", labels.is_some(), Filter { labels: Some(Masked { value: ninth, mask: ninth }), ..any() }, |e| {
            e.labels[0] = 3;
        }),
        ("helper", helper.is_some(), Filter { helper: Some("ftp".into()), ..any() }, |e| {
            e.helper[..3].copy_from_slice(&b"ftp".map(|byte| byte as _));
        }),
        // One line for each field.
    ];
    for (name, is_set, filter, set) in rows {
        assert!(!is_set, "{name} is no condition by default");
        let selection = Selection::new(std::slice::from_ref(&filter)).unwrap();
        let mut entry = listed(filter.proto.filter(|proto| *proto != Proto::SCTP).unwrap_or(Proto::TCP));
        assert!(!selection.selects(&entry), "{name} lets through what it should not: matcher.rs");
        set(&mut entry);
        assert!(selection.selects(&entry), "{name} holds back what it should let through: matcher.rs");
    }
}
