//! Any 256 bytes as an entry, any format, any length of buffer: the rules of snprintf(3), and a text that says what the entry
//! says, as std's formatting writes it.
#![allow(unsafe_code)]

use super::edge::Edge;
use super::input::Input;
use super::json;
use super::Reached;
use ctrack::*;
use ctrack_c::abi::{CT_FORMAT_EXTENDED, CT_FORMAT_ID, CT_FORMAT_JSON, CT_FORMAT_LINE, CT_FORMAT_TIMESTAMP};
use ctrack_c::text::ct_entry_format;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

/// Formats one entry.
pub fn run(input: &[u8]) -> Reached {
    let mut u = Input::new(input);
    let (kind, length) = (u.u8(), usize::from(u.u16()) % 2100);
    let options = u.u32();
    let format = match kind & 3 {
        0 => CT_FORMAT_JSON,
        1 => CT_FORMAT_LINE,
        2 => CT_FORMAT_LINE | options & OPTIONS,
        _ => options,
    };
    let e = entry(&mut u, kind);
    let (returned, whole) = write(&e, format, 4096);
    let line = format & !OPTIONS == CT_FORMAT_LINE;
    if !line && format != CT_FORMAT_JSON {
        assert_eq!(returned, -libc::EINVAL, "{format:#x}");
        assert!(whole.iter().all(|byte| *byte == FILL), "a refusal writes nothing");
        return vec!["refused"];
    }
    let text = terminated(returned, &whole);
    if line {
        assert!(text.len() < 1024, "1024 is always enough");
    }
    // The age of an entry that lives is read off the clock.
    let ages = e.has(Has::START) && !e.has(Has::STOP) && line;
    if !ages {
        let (again, part) = write(&e, format, length);
        assert_eq!(again, returned, "the length of the whole text");
        if let Some(room) = length.checked_sub(1) {
            let kept = room.min(text.len());
            assert!(part[..kept] == text.as_bytes()[..kept] && part[kept] == 0, "{length} bytes of {text}");
            assert!(part[kept + 1..].iter().all(|byte| *byte == FILL), "written beyond the NUL");
        }
    }
    if line {
        check_line(&e, format, text);
        vec!["line", if length > text.len() { "whole" } else { "cut" }]
    } else {
        check_json(&e, text);
        vec!["json", if length > text.len() { "whole" } else { "cut" }]
    }
}

pub(super) const FILL: u8 = 0xa5;
/// What a line may have besides.
const OPTIONS: u32 = CT_FORMAT_EXTENDED | CT_FORMAT_ID | CT_FORMAT_TIMESTAMP;

/// The entry as text in a buffer of a length, at whose end memory ends.
fn write(e: &Entry, format: u32, length: usize) -> (c_int, Vec<u8>) {
    let buffer = if cfg!(fuzzing) { Edge::on_the_heap(length) } else { Edge::new(length) };
    buffer.put_bytes(0, &vec![FILL; length]);
    // SAFETY: an entry, and a buffer of this length.
    let returned = unsafe { ct_entry_format(e, format, buffer.at(), length) };
    (returned, buffer.bytes())
}

/// The text in a buffer that holds all of it.
pub(super) fn terminated(returned: c_int, whole: &[u8]) -> &str {
    let length = usize::try_from(returned).expect("a length");
    assert_eq!(whole.iter().position(|byte| *byte == 0), Some(length), "the length is that of the text");
    assert!(whole[length + 1..].iter().all(|byte| *byte == FILL), "written beyond the NUL");
    std::str::from_utf8(&whole[..length]).expect("UTF-8")
}

/// One that the kernel could list, or any bytes, or something between.
pub(super) fn entry(u: &mut Input, kind: u8) -> Entry {
    let mut e = if kind & 4 != 0 { u.entry(7) } else { Entry::EMPTY };
    if kind & 8 != 0 {
        e.has |= Has::from_bits_retain(u.u64());
        for at in 0..=255 {
            let bits = u.u8();
            Input::new(&[at, bits]).flip(&mut e);
        }
    }
    if kind & 16 != 0 {
        (e.has, e.helper) = (e.has | Has::HELPER, u.bytes::<16>().map(|byte| byte as _));
    }
    if kind & 32 != 0 {
        // Addresses that are abbreviated in every way.
        e.family = Family::IPV6;
        for address in [&mut e.orig.src, &mut e.orig.dst, &mut e.reply.src, &mut e.reply.dst] {
            let (groups, value) = (u.u8(), u.u8());
            for group in (0..8).filter(|group| groups >> group & 1 == 1) {
                (address[2 * group], address[2 * group + 1]) = (value & 0xf0, value << 1 | 1);
            }
            if u.one_in(4) {
                (address[10], address[11]) = (255, 255);
            }
        }
    }
    e
}

fn address(e: &Entry, bytes: &[u8; 16]) -> String {
    let [.., a, b, c, d] = *bytes;
    let groups = Ipv6Addr::from(*bytes).segments();
    match e.family {
        Family::IPV4 => format!("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]),
        // inet_ntop(3) writes these dotted; std does not.
        _ if groups[..6] == [0; 6] && groups[6] != 0 => format!("::{a}.{b}.{c}.{d}"),
        _ => Ipv6Addr::from(*bytes).to_string(),
    }
}

fn helper(e: &Entry) -> Vec<u8> {
    e.helper.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect()
}

const TCP: &str = "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2";
const SCTP: &str = "NONE CLOSED COOKIE_WAIT COOKIE_ECHOED ESTABLISHED SHUTDOWN_SENT SHUTDOWN_RECD SHUTDOWN_ACK_SENT \
    HEARTBEAT_SENT HEARTBEAT_ACKED";
const DCCP: &str = "NONE REQUEST RESPOND PARTOPEN OPEN CLOSEREQ CLOSING TIMEWAIT IGNORE INVALID";

fn state(e: &Entry) -> Option<&'static str> {
    let (names, state) = match e.proto {
        Proto::TCP if e.has(Has::TCP_STATE) => (TCP, e.tcp_state.0),
        Proto::SCTP if e.has(Has::SCTP) => (SCTP, e.sctp_state),
        Proto::DCCP if e.has(Has::DCCP) => (DCCP, e.dccp_state),
        _ => return None,
    };
    Some(names.split(' ').nth(state.into()).unwrap_or("UNKNOWN"))
}

fn proto_name(proto: Proto) -> &'static str {
    let known = [(1, "icmp"), (6, "tcp"), (17, "udp"), (33, "dccp"), (47, "gre"), (58, "icmpv6"), (132, "sctp")];
    let known = known.iter().chain(&[(136, "udplite")]).find(|(number, _)| *number == proto.0);
    known.map_or("unknown", |(_, name)| name)
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::IPV4 => "ipv4",
        Family::IPV6 => "ipv6",
        _ => "unknown",
    }
}

/// The line in one piece but for times, which the clock and the time zone have a part in.
fn check_line(e: &Entry, format: u32, text: &str) {
    let mut line = String::new();
    let mut put = |is: bool, part: String| line.push_str(if is { &part } else { "" });
    put(format & CT_FORMAT_EXTENDED != 0, format!("{:<8} {} ", family_name(e.family), e.family.0));
    put(true, format!("{:<8} {}", proto_name(e.proto), e.proto.0));
    put(e.has(Has::TIMEOUT), format!(" {}", e.timeout));
    put(state(e).is_some(), format!(" {}", state(e).unwrap_or_default()));
    for (t, counters, tuple, zone, counted, zone_name) in [
        (&e.orig, &e.orig_counters, Has::ORIG, Has::ORIG_ZONE, Has::ORIG_COUNTERS, "zone-orig"),
        (&e.reply, &e.reply_counters, Has::REPLY, Has::REPLY_ZONE, Has::REPLY_COUNTERS, "zone-reply"),
    ] {
        let has = e.has(tuple);
        put(has && tuple == Has::REPLY && !e.has(Has::ORIG), " (reply)".into());
        put(has, format!(" src={} dst={}", address(e, &t.src), address(e, &t.dst)));
        put(has && e.proto.is_icmp(), format!(" type={} code={} id={}", t.icmp_type, t.icmp_code, t.icmp_id));
        let gre = e.proto == Proto::GRE;
        put(has && gre, format!(" srckey={:#x} dstkey={:#x}", t.sport, t.dport));
        put(has && !gre && e.proto.has_ports(), format!(" sport={} dport={}", t.sport, t.dport));
        put(e.has(zone), format!(" {zone_name}={}", t.zone));
        put(e.has(counted), format!(" packets={} bytes={}", counters.packets, counters.bytes));
        let unreplied = zone == Has::ORIG_ZONE && e.has(Has::STATUS) && !e.status.intersects(Status::SEEN_REPLY);
        put(unreplied, " [UNREPLIED]".into());
    }
    let flags = [(Status::HW_OFFLOAD, "HW_OFFLOAD"), (Status::OFFLOAD, "OFFLOAD"), (Status::ASSURED, "ASSURED")];
    let flag = flags.iter().find(|(bit, _)| e.status.intersects(*bit));
    put(flag.is_some(), format!(" [{}]", flag.map_or("", |(_, name)| name)));
    put(e.has(Has::MARK), format!(" mark={}", e.mark));
    put(e.has(Has::ZONE), format!(" zone={}", e.zone));
    let before = std::mem::take(&mut line);
    let mut put = |is: bool, part: String| line.push_str(if is { &part } else { "" });
    put(e.has(Has::HELPER), format!(" helper={}", String::from_utf8_lossy(&helper(e))));
    put(e.has(Has::USE), format!(" use={}", e.use_count));
    put(format & CT_FORMAT_ID != 0 && e.has(Has::ID), format!(" id={}", e.id));
    let times = text.strip_prefix(&before).unwrap_or_else(|| panic!("{text:?} does not begin with {before:?}"));
    let times = times.strip_suffix(&line).unwrap_or_else(|| panic!("{text:?} does not end with {line:?}"));
    if !e.has(Has::START) {
        return assert_eq!(times, "", "{text}");
    }
    let delta = times.strip_prefix(" delta-time=").expect("an age");
    let digits = delta.bytes().take_while(u8::is_ascii_digit).count();
    if e.has(Has::STOP) {
        let seconds = (e.stop_ns / 1_000_000_000).saturating_sub(e.start_ns / 1_000_000_000);
        assert_eq!(&delta[..digits], seconds.to_string(), "{text}");
    }
    assert!(digits > 0, "{text}");
    let moments = if e.has(Has::STOP) { 2 } else { 1 };
    let moments = if format & CT_FORMAT_TIMESTAMP == 0 { 0 } else { moments };
    assert_eq!(delta[digits..].matches('[').count(), moments, "{text}");
    assert_eq!(delta[digits..].is_empty(), moments == 0, "{text}");
}

/// Every member, read back.
fn check_json(e: &Entry, text: &str) {
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    let mut put = |is: bool, name: &str, value: &dyn std::fmt::Display| {
        if is {
            wanted.insert(name.to_owned(), value.to_string());
        }
    };
    put(true, "family", &family_name(e.family));
    put(true, "proto", &e.proto.0);
    put(true, "proto_name", &proto_name(e.proto));
    put(state(e).is_some(), "state", &state(e).unwrap_or_default());
    for (direction, t, counters, tuple, zone, counted) in [
        ("orig", &e.orig, &e.orig_counters, Has::ORIG, Has::ORIG_ZONE, Has::ORIG_COUNTERS),
        ("reply", &e.reply, &e.reply_counters, Has::REPLY, Has::REPLY_ZONE, Has::REPLY_COUNTERS),
    ] {
        let has = e.has(tuple);
        let mut put = |is: bool, name: &str, value: &dyn std::fmt::Display| {
            put(is, &format!("{direction}.{name}"), value);
        };
        let (src, dst) = (address(e, &t.src), address(e, &t.dst));
        // They are addresses, and these.
        for (text, bytes) in [(&src, &t.src), (&dst, &t.dst)] {
            let parsed: IpAddr = text.parse().expect("an address");
            let v4 = IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]);
            assert_eq!(parsed, if e.family == Family::IPV4 { v4 } else { IpAddr::from(*bytes) });
        }
        put(has, "src", &src);
        put(has, "dst", &dst);
        let gre = e.proto == Proto::GRE;
        put(has && e.has(Has::PORTS), if gre { "srckey" } else { "sport" }, &t.sport);
        put(has && e.has(Has::PORTS), if gre { "dstkey" } else { "dport" }, &t.dport);
        put(has && e.has(Has::ICMP), "type", &t.icmp_type);
        put(has && e.has(Has::ICMP), "code", &t.icmp_code);
        put(has && e.has(Has::ICMP), "id", &t.icmp_id);
        put(e.has(zone), "zone", &t.zone);
        put(e.has(counted), "packets", &counters.packets);
        put(e.has(counted), "bytes", &counters.bytes);
    }
    const STATUS: &str =
        "EXPECTED SEEN_REPLY ASSURED CONFIRMED SRC_NAT DST_NAT SEQ_ADJUST SRC_NAT_DONE DST_NAT_DONE DYING \
        FIXED_TIMEOUT TEMPLATE UNTRACKED HELPER OFFLOAD HW_OFFLOAD";
    let bit = |bit: usize| STATUS.split(' ').nth(bit).map_or_else(|| format!("{:#x}", 1u32 << bit), str::to_owned);
    let bits: Vec<String> = (0..32).filter(|n| e.status.bits() >> n & 1 == 1).map(bit).collect();
    put(e.has(Has::STATUS), "status", &bits.join(" "));
    let zone = match () {
        () if e.has(Has::ZONE) => e.zone,
        () if e.has(Has::ORIG_ZONE) => e.orig.zone,
        () if e.has(Has::REPLY_ZONE) => e.reply.zone,
        () => 0,
    };
    put(true, "zone", &zone);
    put(e.has(Has::TIMEOUT), "timeout", &e.timeout);
    put(e.has(Has::MARK), "mark", &e.mark);
    put(e.has(Has::USE), "use", &e.use_count);
    put(e.has(Has::ID), "id", &e.id);
    put(e.has(Has::SCTP), "sctp_vtag_orig", &e.sctp_vtag_orig);
    put(e.has(Has::SCTP), "sctp_vtag_reply", &e.sctp_vtag_reply);
    put(e.has(Has::TCP_WSCALE), "tcp_wscale_orig", &e.tcp_wscale_orig);
    put(e.has(Has::TCP_WSCALE), "tcp_wscale_reply", &e.tcp_wscale_reply);
    put(e.has(Has::TCP_FLAGS), "tcp_flags_orig", &e.tcp_flags_orig);
    put(e.has(Has::TCP_FLAGS), "tcp_flags_reply", &e.tcp_flags_reply);
    put(e.has(Has::DCCP), "dccp_role", &e.dccp_role);
    put(e.has(Has::START), "start_ns", &e.start_ns);
    put(e.has(Has::STOP), "stop_ns", &e.stop_ns);
    // The kernel's labels are an array of longs.
    let mut labels = String::new();
    for (at, long) in e.labels.chunks(size_of::<std::ffi::c_ulong>()).enumerate() {
        let long = std::ffi::c_ulong::from_ne_bytes(long.try_into().expect("a long"));
        for bit in (0..std::ffi::c_ulong::BITS).filter(|bit| long >> bit & 1 == 1) {
            let _ = write!(
                labels,
                "{}{}",
                if labels.is_empty() { "" } else { " " },
                at as u32 * std::ffi::c_ulong::BITS + bit
            );
        }
    }
    put(e.has(Has::LABELS), "labels", &labels);
    // Each byte is a character.
    put(e.has(Has::HELPER), "helper", &helper(e).iter().map(|byte| char::from(*byte)).collect::<String>());
    assert_eq!(json::flat(text), wanted, "{text}");
}
