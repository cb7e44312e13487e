//! The `conntrack` program as a witness: what it says of each entry, taken apart without any code of the library.

use super::namespace::{run, tool};
use ctrack::*;
use std::collections::HashMap;
use std::io::Write;
use std::net::IpAddr;
use std::process::Stdio;

/// The lines of `conntrack -L` with these options, of both families.
pub fn listed(options: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for family in ["ipv4", "ipv6"] {
        let mut args = vec!["-L", "-f", family];
        args.extend(options);
        lines.extend(run("conntrack", &args).lines().map(str::to_owned));
    }
    lines
}

/// The same with `-o labels`, which wants a file with label names: one where bit n is called "bit<n>" is put in place
/// for this one process.
pub fn listed_with_labels() -> Vec<String> {
    const SCRIPT: &str = "mount -t tmpfs tmpfs /etc && mkdir /etc/xtables && cat > /etc/xtables/connlabel.conf &&
        conntrack -L -f ipv4 -o extended,id,labels && conntrack -L -f ipv6 -o extended,id,labels";
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut child = tool("unshare")
        .args(["-m", "sh", "-c", SCRIPT])
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let names: String = (0..128).map(|bit| format!("{bit} bit{bit}\n")).collect();
    child.stdin.take().unwrap().write_all(names.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// One direction, as the program shows it or as an entry holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Direction {
    pub src: Option<IpAddr>,
    pub dst: Option<IpAddr>,
    /// Also the keys of GRE.
    pub ports: Option<(u16, u16)>,
    /// Type, code and identifier.
    pub icmp: Option<(u8, u8, u16)>,
    pub zone: Option<u32>,
    pub counters: Option<(u64, u64)>,
}

/// One entry, as the program shows it or as an entry holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub family: u8,
    pub proto: u8,
    pub timeout: Option<u32>,
    pub state: Option<String>,
    pub orig: Direction,
    pub reply: Direction,
    pub unreplied: bool,
    pub assured: bool,
    pub mark: Option<u32>,
    pub zone: Option<u32>,
    pub helper: Option<String>,
    pub use_count: Option<u32>,
    pub id: u32,
    /// Only in XML.
    pub start_ns: Option<u64>,
    /// Numbers of the bits; only with `-o labels`.
    pub labels: Vec<u32>,
}

impl Seen {
    /// What the program should say of an entry.
    pub fn of(e: &Entry) -> Seen {
        let when = |bit: Has| e.has.intersects(bit);
        let address = |bytes: [u8; 16]| -> Option<IpAddr> {
            match e.family {
                Family::IPV4 => <[u8; 4]>::try_from(&bytes[..4]).ok().map(IpAddr::from),
                _ => Some(IpAddr::from(bytes)),
            }
        };
        let direction = |t: &Tuple, zone: Has, has_counters: Has, counters: Counters| Direction {
            src: address(t.src),
            dst: address(t.dst),
            // Where the kernel does not track DCCP the program shows ports of 0.
            ports: (when(Has::PORTS) || e.proto == Proto::DCCP).then_some((t.sport, t.dport)),
            icmp: when(Has::ICMP).then_some((t.icmp_type, t.icmp_code, t.icmp_id)),
            zone: when(zone).then_some(t.zone),
            counters: when(has_counters).then_some((counters.packets, counters.bytes)),
        };
        let labels = u128::from_le_bytes(e.labels);
        let name: Vec<u8> = e.helper.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
        Seen {
            family: e.family.0,
            proto: e.proto.0,
            timeout: when(Has::TIMEOUT).then_some(e.timeout),
            state: state(e),
            orig: direction(&e.orig, Has::ORIG_ZONE, Has::ORIG_COUNTERS, e.orig_counters),
            reply: direction(&e.reply, Has::REPLY_ZONE, Has::REPLY_COUNTERS, e.reply_counters),
            unreplied: !e.status.intersects(Status::SEEN_REPLY),
            assured: e.status.intersects(Status::ASSURED),
            mark: when(Has::MARK).then_some(e.mark),
            zone: when(Has::ZONE).then_some(e.zone),
            helper: when(Has::HELPER).then(|| String::from_utf8(name).unwrap()),
            use_count: when(Has::USE).then_some(e.use_count),
            id: e.id,
            start_ns: when(Has::START).then_some(e.start_ns),
            labels: (0..128).filter(|bit| labels >> bit & 1 == 1).collect(),
        }
    }

    /// The same as XML has it: without the fields of ICMP, and with SCTP's state under the name of that number in TCP.
    /// libnetfilter_conntrack (1.0.9) writes no others.
    pub fn in_xml(e: &Entry) -> Seen {
        let mut seen = Seen { labels: Vec::new(), ..Seen::of(e) };
        (seen.orig.icmp, seen.reply.icmp) = (None, None);
        if e.proto == Proto::SCTP {
            seen.state = TCP_STATES.split(' ').nth(usize::from(e.sctp_state)).map(str::to_owned);
        }
        seen
    }

    /// A line of `conntrack -L -o extended,id`, perhaps with ktimestamp or labels.
    pub fn from_line(line: &str) -> Seen {
        let mut words = line.split_whitespace();
        let family_name = words.next().unwrap();
        let family = words.next().unwrap().parse().unwrap();
        assert!(matches!((family_name, family), ("ipv4", 2) | ("ipv6", 10)), "{line}");
        let mut seen = Seen { family, ..Seen::default() };
        words.next();
        seen.proto = words.next().unwrap().parse().unwrap();
        let mut direction = 0;
        // "[start=Sat Nov 21 10:00:00 2026]" is compared as text elsewhere.
        let mut in_time = false;
        for word in words {
            if in_time || word.starts_with("[start=") {
                in_time = !word.ends_with(']');
                continue;
            }
            let Some((name, value)) = word.split_once('=') else {
                match word {
                    "[UNREPLIED]" => seen.unreplied = true,
                    "[ASSURED]" => seen.assured = true,
                    _ if word.bytes().all(|b| b.is_ascii_digit()) => seen.timeout = Some(value_of(word)),
                    state => seen.state = Some(state.to_owned()),
                }
                continue;
            };
            if name == "src" {
                direction += 1;
            }
            let tuple = if direction == 1 { &mut seen.orig } else { &mut seen.reply };
            match name {
                "zone-orig" => seen.orig.zone = Some(value_of(value)),
                "zone-reply" => seen.reply.zone = Some(value_of(value)),
                // Those of ICMP come before the use count, that of the entry after it.
                "id" if seen.use_count.is_some() => seen.id = value_of(value),
                "mark" => seen.mark = Some(value_of(value)),
                "zone" => seen.zone = Some(value_of(value)),
                "helper" => seen.helper = Some(value.to_owned()),
                "use" => seen.use_count = Some(value_of(value)),
                "labels" => seen.labels = label_bits(value),
                "delta-time" => {}
                _ => tuple.set(name, value),
            }
        }
        seen
    }

    /// The flows of `conntrack -L -o xml,...`.
    pub fn from_xml(xml: &str) -> Vec<Seen> {
        let flows = xml.split("<flow>").skip(1).filter_map(|flow| flow.split_once("</flow>"));
        flows.map(|(flow, _)| Self::from_flow(flow)).collect()
    }

    fn from_flow(flow: &str) -> Seen {
        let mut seen = Seen::default();
        let mut part = String::new();
        for token in flow.split('<').skip(1) {
            let (tag, value) = token.split_once('>').unwrap();
            let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            let attribute = |key: &str| {
                let from = attributes.split_once(&format!("{key}=\"")).unwrap().1;
                from.split_once('"').unwrap().0.to_owned()
            };
            let tuple = if part == "original" { &mut seen.orig } else { &mut seen.reply };
            match name {
                "meta" => part = attribute("direction"),
                "layer3" => seen.family = value_of(&attribute("protonum")),
                "layer4" => seen.proto = value_of(&attribute("protonum")),
                "unreplied/" => seen.unreplied = true,
                "assured/" => seen.assured = true,
                "state" => seen.state = Some(value.to_owned()),
                "timeout" => seen.timeout = Some(value_of(value)),
                "mark" => seen.mark = Some(value_of(value)),
                "helper" => seen.helper = Some(value.to_owned()),
                "use" => seen.use_count = Some(value_of(value)),
                "start" => seen.start_ns = Some(value_of(value)),
                "id" if part == "independent" => seen.id = value_of(value),
                "zone" if part == "independent" => seen.zone = Some(value_of(value)),
                "zone" => tuple.zone = Some(value_of(value)),
                "timestamp" | "deltatime" | "counters" | "when" => {}
                _ if name.starts_with('/') => {}
                _ => tuple.set(name, value),
            }
        }
        seen
    }
}

impl Direction {
    fn set(&mut self, name: &str, value: &str) {
        match name {
            "src" => self.src = Some(value.parse().unwrap()),
            "dst" => self.dst = Some(value.parse().unwrap()),
            "sport" | "srckey" => self.ports.get_or_insert_default().0 = value_of(value),
            "dport" | "dstkey" => self.ports.get_or_insert_default().1 = value_of(value),
            "type" => self.icmp.get_or_insert_default().0 = value_of(value),
            "code" => self.icmp.get_or_insert_default().1 = value_of(value),
            "id" => self.icmp.get_or_insert_default().2 = value_of(value),
            "packets" => self.counters.get_or_insert_default().0 = value_of(value),
            "bytes" => self.counters.get_or_insert_default().1 = value_of(value),
            _ => panic!("the conntrack program says {name}={value}, which this test does not know"),
        }
    }
}

fn value_of<T: TryFrom<u64>>(text: &str) -> T {
    let value = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    let value = value.unwrap_or_else(|error| panic!("{text}: {error}"));
    T::try_from(value).unwrap_or_else(|_| panic!("{text} is too large"))
}

fn label_bits(names: &str) -> Vec<u32> {
    let mut bits: Vec<u32> = names.split(',').map(|name| value_of(name.trim_start_matches("bit"))).collect();
    bits.sort_unstable();
    bits
}

// Written down from the kernel's enums (linux/netfilter/nf_conntrack_tcp.h and _sctp.h), not from the library.
const TCP_STATES: &str = "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2";
const SCTP_STATES: &str = "NONE CLOSED COOKIE_WAIT COOKIE_ECHOED ESTABLISHED SHUTDOWN_SENT SHUTDOWN_RECD \
    SHUTDOWN_ACK_SENT HEARTBEAT_SENT HEARTBEAT_ACKED";

fn state(e: &Entry) -> Option<String> {
    let (has, number, names) = match e.proto {
        Proto::TCP => (Has::TCP_STATE, e.tcp_state.0, TCP_STATES),
        Proto::SCTP => (Has::SCTP, e.sctp_state, SCTP_STATES),
        _ => return None,
    };
    let name = names.split_whitespace().nth(usize::from(number)).unwrap();
    e.has(has).then(|| name.to_owned())
}

/// Entries by their id.
pub fn by_id(entries: &[Entry]) -> HashMap<u32, Entry> {
    let map: HashMap<u32, Entry> = entries.iter().map(|entry| (entry.id, *entry)).collect();
    assert_eq!(map.len(), entries.len(), "an entry was listed twice");
    map
}
