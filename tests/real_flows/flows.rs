//! What there is to list: flows by real traffic, ruled by nftables, and entries made over netlink.

use super::namespace::{nft, run, traffic, Held};
use ctrack::*;
use std::net::IpAddr;

const HERE: &str = "127.0.0.1 fd00::1";
const THERE: &str = "127.0.0.2 fd00::2";

/// The address of a pair that is of this family.
fn of(pair: &'static str, family: Family) -> &'static str {
    let (v4, v6) = pair.split_once(' ').unwrap();
    if family == Family::IPV4 {
        v4
    } else {
        v6
    }
}

/// Everything in both families by destination port; both directions of loopback traffic pass the output hook.
const RULES: &str = r#"
table inet zones {
    chain early {
        type filter hook output priority -300;
        th dport 5101 ct zone set 7
        th sport 5101 ct zone set 7
        th dport 5102 ct original zone set 65535
        th dport 5103 ct reply zone set 9
        th sport 5103 ct reply zone set 9
    }
}
table inet values {
    ct helper ftp4 { type "ftp" protocol tcp; l3proto ip; }
    ct helper ftp6 { type "ftp" protocol tcp; l3proto ip6; }
    ct helper tftp4 { type "tftp" protocol udp; l3proto ip; }
    ct helper tftp6 { type "tftp" protocol udp; l3proto ip6; }
    chain tracked {
        type filter hook output priority 0;
        th dport 5110 ct mark set 1
        th dport 5111 ct mark set 0xffffffff
        th dport 5112 ct mark set 0x80000000
        th dport 5120 ct label set 1
        th dport 5121 ct label set 127
        th dport 5122 ct label set 0
        th dport 5122 ct label set 64
        meta nfproto ipv4 tcp dport 21 ct helper set "ftp4"
        meta nfproto ipv6 tcp dport 21 ct helper set "ftp6"
        meta nfproto ipv4 udp dport 69 ct helper set "tftp4"
        meta nfproto ipv6 udp dport 69 ct helper set "tftp6"
    }
}
table ip nat4 {
    chain out { type nat hook output priority -100; meta l4proto { tcp, udp } th dport 5130 dnat to 127.0.0.3:5131; }
    chain post { type nat hook postrouting priority 100; meta l4proto { tcp, udp } th dport 5132 snat to 127.0.0.9; }
}
table ip6 nat6 {
    chain out { type nat hook output priority -100; meta l4proto { tcp, udp } th dport 5130 dnat to [fd00::3]:5131; }
    chain post { type nat hook postrouting priority 100; meta l4proto { tcp, udp } th dport 5132 snat to fd00::9; }
}
"#;

/// Loads the rules and gives loopback its other IPv6 addresses.
pub fn prepare() {
    for address in ["fd00::1", "fd00::2", "fd00::3", "fd00::9"] {
        run("ip", &["addr", "add", &format!("{address}/128"), "dev", "lo", "nodad"]);
    }
    // nft before 1.0.7 wants the brace that closes a block on a line of its own.
    nft(&RULES.replace("; }\n", ";\n}\n"));
}

/// What the rules and the traffic make of the flow with this protocol and destination port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    pub proto: Proto,
    pub dport: u16,
    pub zone: (Has, u32),
    pub mark: u32,
    pub labels: u128,
    pub helper: &'static str,
    /// Status bits that must be set.
    pub status: Status,
    /// Where DNAT sends it.
    pub reply_src: Option<(&'static str, u16)>,
    /// What SNAT makes of its source address.
    pub reply_dst: Option<&'static str>,
}

const ANSWERED: Status = Status::SEEN_REPLY.union(Status::CONFIRMED);
const TCP: Expected = Expected {
    proto: Proto::TCP,
    dport: 0,
    zone: (Has::empty(), 0),
    mark: 0,
    labels: 0,
    helper: "",
    status: Status::empty(),
    reply_src: None,
    reply_dst: None,
};
const UDP: Expected = Expected { proto: Proto::UDP, ..TCP };
const LITE: Expected = Expected { proto: Proto::UDPLITE, ..TCP };
const SCTP: Expected = Expected { proto: Proto::SCTP, ..TCP };

/// Flows with ports, one source port each: what follows the addresses on the traffic program's command line, and what
/// must come of it.
fn flows_with_ports() -> Vec<(&'static str, Expected)> {
    let zone = (Has::ZONE, 7);
    let orig = (Has::ORIG_ZONE, 65535);
    let reply = (Has::REPLY_ZONE, 9);
    let answered = Expected { status: ANSWERED, ..UDP };
    let open = Expected { status: ANSWERED | Status::ASSURED, ..TCP };
    let dnat = Some(("127.0.0.3 fd00::3", 5131));
    let snat = Some("127.0.0.9 fd00::9");
    vec![
        ("--close", Expected { dport: 80, ..open }),
        ("--hold 600", Expected { dport: 81, ..open }),
        ("--half-open", Expected { dport: 82, ..TCP }),
        ("--half-close 600 --bytes 60000", Expected { dport: 83, ..open }),
        ("--hold 600", Expected { dport: 5101, zone, ..open }),
        ("--hold 600", Expected { dport: 5102, zone: orig, ..open }),
        ("--hold 600", Expected { dport: 5103, zone: reply, ..open }),
        ("--close", Expected { dport: 5111, mark: u32::MAX, ..open }),
        ("--hold 600", Expected { dport: 21, helper: "ftp", ..open }),
        ("--hold 600", Expected { dport: 5130, reply_src: dnat, status: open.status | Status::DST_NAT, ..open }),
        ("--hold 600", Expected { dport: 5132, reply_dst: snat, status: open.status | Status::SRC_NAT, ..open }),
        ("", Expected { dport: 53, ..UDP }),
        ("--answer", Expected { dport: 54, ..answered }),
        ("", Expected { dport: 5101, zone, ..UDP }),
        ("", Expected { dport: 5102, zone: orig, ..UDP }),
        ("", Expected { dport: 5103, zone: reply, ..UDP }),
        ("--answer", Expected { dport: 5110, mark: 1, ..answered }),
        ("", Expected { dport: 5112, mark: 0x8000_0000, ..UDP }),
        ("", Expected { dport: 5120, labels: 1 << 1, ..UDP }),
        ("", Expected { dport: 5121, labels: 1 << 127, ..UDP }),
        ("--answer --bytes 1400", Expected { dport: 5122, labels: 1 | 1 << 64, ..answered }),
        ("", Expected { dport: 69, helper: "tftp", ..UDP }),
        ("--answer", Expected { dport: 5130, reply_src: dnat, status: ANSWERED | Status::DST_NAT, ..UDP }),
        ("--answer", Expected { dport: 5132, reply_dst: snat, status: ANSWERED | Status::SRC_NAT, ..UDP }),
        ("--answer", Expected { dport: 53, status: ANSWERED, ..LITE }),
        ("", Expected { dport: 5101, zone, ..LITE }),
        ("", Expected { dport: 999, ..SCTP }),
        ("", Expected { dport: 5101, zone, ..SCTP }),
        ("", Expected { dport: 5112, mark: 0x8000_0000, ..SCTP }),
    ]
}

/// Makes every flow in this family; returns what must be in the table, and what keeps it there.
pub fn by_traffic(family: Family, first_port: u16) -> (Vec<(u16, Expected)>, Vec<Held>) {
    let (here, there) = (of(HERE, family), of(THERE, family));
    let mut expected = Vec::new();
    let mut held = Vec::new();
    for (sport, (options, flow)) in (first_port..).zip(flows_with_ports()) {
        let kind = match flow.proto {
            Proto::TCP => "tcp",
            Proto::UDP => "udp",
            Proto::UDPLITE => "udplite",
            _ => "sctp",
        };
        let mut line = format!("{kind} {here} {sport} {there} {} {options}", flow.dport).trim_end().to_owned();
        if let Some((server, port)) = flow.reply_src {
            line += &format!(" --server {} {port}", of(server, family));
        }
        held.extend(traffic(&line));
        expected.push((sport, flow));
    }
    for line in [
        format!("icmp {here} {first_port} {there}"),
        format!("gre {here} {there}"),
        format!("gre {here} {there} {first_port}"),
        format!("raw 253 {here} {there}"),
        format!("raw 50 {here} {there}"),
        format!("raw {} {here} {there}", Proto::DCCP.0),
    ] {
        held.extend(traffic(&line));
    }
    (expected, held)
}

impl Expected {
    /// Fails unless `e` is what must have come of the flow.
    pub fn check(&self, e: &Entry) {
        let zone = e.has & (Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE);
        assert_eq!((zone, e.zone), self.zone, "zone of {e:?}");
        let (both, orig, reply) = (Has::ZONE, Has::ORIG_ZONE, Has::REPLY_ZONE);
        let of_orig = if zone.intersects(both | orig) { self.zone.1 } else { 0 };
        let of_reply = if zone.intersects(both | reply) { self.zone.1 } else { 0 };
        assert_eq!((e.orig.zone, e.reply.zone), (of_orig, of_reply), "zones of the directions of {e:?}");
        assert_eq!(e.mark(), Some(self.mark), "mark of {e:?}");
        assert_eq!(u128::from_le_bytes(e.labels), self.labels, "labels of {e:?}");
        assert_eq!(e.has(Has::LABELS), self.labels != 0, "Has::LABELS of {e:?}");
        assert_eq!(e.helper().unwrap_or_default(), self.helper, "helper of {e:?}");
        assert_eq!(e.status & self.status, self.status, "status {:#x} of {e:?}", e.status);
        if self.status.is_empty() {
            assert_eq!(e.status & Status::SEEN_REPLY, Status::empty(), "status {:#x} of {e:?}", e.status);
        }
        let address = |pair| -> IpAddr { of(pair, e.family).parse().unwrap() };
        let (server, port) = self.reply_src.unwrap_or((THERE, self.dport));
        assert_eq!((e.reply_src(), e.reply.sport), (address(server), port), "source of the answers of {e:?}");
        let client = address(self.reply_dst.unwrap_or(HERE));
        assert_eq!((e.reply_dst(), e.reply.dport), (client, e.orig.sport), "destination of the answers of {e:?}");
    }
}

/// IPv6 addresses whose text is easy to get wrong, and a few that are not.
const ODD_ADDRESSES: &[&str] = &[
    "::",
    "::1",
    "::2",
    "::ffff",
    "::1:0",
    "::1.2.3.4",
    "::0.1.2.3",
    "::255.255.255.255",
    "::ffff:1.2.3.4",
    "::ffff:0:1.2.3.4",
    "::ffff:0:0",
    "::ffff:0.0.0.1",
    "::fffe:1.2.3.4",
    "64:ff9b::1.2.3.4",
    "1::",
    "1::1",
    "1:0:0:2::",
    "1:0:0:2:0:0:0:3",
    "1:0:0:2:3:0:0:4",
    "1:0:2:3:4:5:6:7",
    "0:1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:0",
    "0:0:1:0:0:0:1:0",
    "0:0:0:1:0:0:0:1",
    "fe80::1",
    "ff02::1:ff00:1",
    "2001:db8::8:800:200c:417a",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

/// Entries that no loopback traffic makes, to be made over netlink.
pub fn by_netlink() -> Vec<Entry> {
    let mut entries = Vec::new();
    for family in [Family::IPV4, Family::IPV6] {
        of_one_family(family, &mut entries);
    }
    let port = |at: usize| u16::try_from(at).unwrap();
    for (at, text) in ODD_ADDRESSES.iter().enumerate() {
        let odd = text.parse().unwrap();
        let other = "fd00::7".parse().unwrap();
        entries.push(made(Entry::key(Proto::UDP, odd, port(at), other, 1)));
        entries.push(made(Entry::key(Proto::TCP, other, port(at), odd, 2)));
    }
    for text in ["0.0.0.0", "255.255.255.255", "10.0.0.1", "100.200.30.4"] {
        let (odd, other) = (text.parse().unwrap(), "192.0.2.1".parse().unwrap());
        entries.push(made(Entry::key(Proto::UDP, odd, 0, other, 65535)));
        entries.push(made(Entry::key(Proto::TCP, other, 65535, odd, 0)));
    }
    entries
}

fn made(key: Option<Entry>) -> Entry {
    let key = key.unwrap();
    Entry { has: key.has | Has::TIMEOUT, timeout: 3000, ..key }
}

fn of_one_family(family: Family, entries: &mut Vec<Entry>) {
    let (a, b, c): (IpAddr, IpAddr, IpAddr) =
        ["192.0.2.1 2001:db8::1", "198.51.100.2 2001:db8:ffff::2", "203.0.113.3 2001:db8:0:1::3"]
            .map(|pair| of(pair, family).parse().unwrap())
            .into();
    let mut ports = 20000..;
    let mut next = |proto: Proto| made(Entry::key(proto, a, ports.next().unwrap(), b, 443));
    for state in (TcpState::NONE.0..=TcpState::SYN_SENT2.0).map(TcpState) {
        let tcp = next(Proto::TCP);
        entries.push(Entry { has: tcp.has | Has::TCP_STATE, tcp_state: state, ..tcp });
        let tcp = next(Proto::TCP);
        let has = tcp.has | Has::TCP_STATE | Has::STATUS | Has::TCP_WSCALE;
        let status = Status::SEEN_REPLY | Status::ASSURED;
        entries.push(Entry { has, tcp_state: state, status, tcp_wscale_orig: 7, tcp_wscale_reply: 14, ..tcp });
    }
    // 9, HEARTBEAT_ACKED, is no longer a state of newer kernels.
    for state in 0..=8 {
        let sctp = next(Proto::SCTP);
        let has = sctp.has | Has::SCTP;
        entries.push(Entry { has, sctp_state: state, sctp_vtag_orig: 1, sctp_vtag_reply: u32::MAX, ..sctp });
    }
    for (status, mark) in [(Status::empty(), 0), (Status::SEEN_REPLY, 0x7fff_ffff), (Status::ASSURED, u32::MAX)] {
        let udp = next(Proto::UDP);
        entries.push(Entry { has: udp.has | Has::STATUS | Has::MARK, status, mark, ..udp });
        let lite = next(Proto::UDPLITE);
        entries.push(Entry { has: lite.has | Has::STATUS | Has::MARK, status, mark, ..lite });
    }
    let fixed = next(Proto::UDP);
    let status = Status::FIXED_TIMEOUT | Status::SEEN_REPLY;
    entries.push(Entry { has: fixed.has | Has::STATUS, status, ..fixed });
    for zone in [1, 7, 65535] {
        entries.push(next(Proto::UDP).in_zone(zone));
        let orig = next(Proto::TCP);
        let has = orig.has | Has::ORIG_ZONE;
        entries.push(Entry { has, orig: Tuple { zone: u32::from(zone), ..orig.orig }, ..orig });
        let reply = next(Proto::UDP);
        let has = reply.has | Has::REPLY_ZONE;
        entries.push(Entry { has, reply: Tuple { zone: u32::from(zone), ..reply.reply }, ..reply });
    }
    let labelled = next(Proto::UDP);
    let labels = *b"\x01\x80\x00\xff0123456789ab";
    entries.push(Entry { has: labelled.has | Has::LABELS, labels, ..labelled });
    for (proto, name) in [(Proto::TCP, "ftp"), (Proto::UDP, "tftp"), (Proto::TCP, "irc")] {
        let helped = next(proto);
        let mut helper = [0; 16];
        helper.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from as std::ffi::c_char);
        // IRC is for IPv4 only.
        if family == Family::IPV4 || name != "irc" {
            entries.push(Entry { has: helped.has | Has::HELPER, helper, ..helped });
        }
    }
    for nat in [Status::SRC_NAT, Status::DST_NAT, Status::SRC_NAT | Status::DST_NAT] {
        for proto in [Proto::TCP, Proto::UDP] {
            let key = next(proto);
            let mut reply = Tuple {
                src: key.orig.dst,
                dst: key.orig.src,
                sport: key.orig.dport,
                dport: key.orig.sport,
                ..Tuple::EMPTY
            };
            if nat.contains(Status::SRC_NAT) {
                (reply.dst, reply.dport) = (address_bytes(c), key.orig.sport + 10000);
            }
            if nat.contains(Status::DST_NAT) {
                (reply.src, reply.sport) = (address_bytes(c), 8443);
            }
            entries.push(Entry { has: key.has | Has::REPLY | Has::STATUS, status: nat, reply, ..key });
        }
    }
    for (source, destination) in [(0, 0), (1, 0xffff), (0xabcd, 0x12)] {
        entries.push(made(Entry::key(Proto::GRE, a, source, b, destination)));
    }
    let (echo, info) = if family == Family::IPV4 { (8, 13) } else { (128, 139) };
    for (icmp_type, id) in [(echo, 0), (echo, 65535), (info, 1)] {
        entries.push(made(Entry::icmp_key(a, b, icmp_type, 0, id)));
    }
    // Without ports: protocols that the kernel does not track, and DCCP, which it no longer does since 6.16.
    for proto in [0, 2, 4, 50, 103, 253, 255].map(Proto) {
        let key = made(Entry::key(proto, a, 0, b, 0));
        entries.push(Entry { has: key.has & !Has::PORTS, ..key });
    }
    entries.push(made(Entry::key(Proto::DCCP, a, 1, b, 2)));
}
