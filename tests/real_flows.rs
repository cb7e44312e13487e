//! Real traffic, and the `conntrack` program as a witness of what the library reads and writes.
//!
//! Every test works in a network namespace of its own. tests/traffic/traffic.c makes the traffic.

#[path = "real_flows/flows.rs"]
mod flows;
#[path = "support/json.rs"]
mod json_reader;
#[path = "real_flows/namespace.rs"]
mod namespace;
#[path = "support/statuses.rs"]
mod statuses;
#[path = "real_flows/witness.rs"]
mod witness;

use ctrack::*;
use ctrack_c::abi::*;
use ctrack_c::text::ct_entry_format;
use namespace::{in_namespace, run_again, sysctl, Held};
use statuses::Statuses;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;
use witness::{by_id, listed, listed_with_labels, Seen};

/// A table full of all there is.
struct World {
    conntrack: Conntrack,
    /// What must have come of the traffic, by family and source port.
    expected: HashMap<(Family, u16), flows::Expected>,
    created: Vec<Entry>,
    _held: Vec<Held>,
}

/// Fills the table: with counters and times, without them, or half of the flows with both.
fn world() -> World {
    flows::prepare();
    namespace::long_timeouts();
    let mut expected = HashMap::new();
    let mut held = Vec::new();
    for (on, first_port) in [("1", 40000), ("0", 50000)] {
        sysctl("nf_conntrack_acct", on);
        sysctl("nf_conntrack_timestamp", on);
        for family in [Family::IPV4, Family::IPV6] {
            let (made, kept) = flows::by_traffic(family, first_port);
            expected.extend(made.into_iter().map(|(port, flow)| ((family, port), flow)));
            held.extend(kept);
        }
    }
    let mut conntrack = Conntrack::open().unwrap();
    let mut created = flows::by_netlink();
    let batch = conntrack.create_entries(&created).unwrap();
    for (entry, mut status) in created.iter_mut().zip(batch.status()) {
        if entry.proto == Proto::DCCP && status == -libc::EOPNOTSUPP {
            // From 6.16 on the kernel keeps no ports of it.
            (entry.has, entry.orig.sport, entry.orig.dport) = (entry.has & !Has::PORTS, 0, 0);
            status = conntrack.create_entries(&[*entry]).unwrap().status()[0];
        }
        assert_eq!(status, 0, "{entry:?} could not be created: {}", errno_text(-status));
    }
    World { conntrack, expected, created, _held: held }
}

/// Timeouts tick, packets come in, references are held for a moment: a disagreement counts only if it stays.
fn agree(mut attempt: impl FnMut() -> Vec<String>) {
    let mut differences = Vec::new();
    for _ in 0..40 {
        differences = attempt();
        if differences.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let count = differences.len();
    differences.truncate(20);
    panic!("{count} differences, the first of them:\n{}", differences.join("\n"));
}

/// Compares what the program says of each entry, found by `id`, with what the library says just before and just after.
fn compare<T: PartialEq + std::fmt::Debug>(
    conntrack: &mut Conntrack,
    of_entry: impl Fn(&Entry) -> T,
    of_program: impl Fn() -> Vec<(u32, T)>,
) {
    agree(|| {
        let mut render = || -> HashMap<u32, T> {
            by_id(&conntrack.list(&[]).unwrap()).iter().map(|(id, entry)| (*id, of_entry(entry))).collect()
        };
        let mut before = render();
        let said = of_program();
        let mut after = render();
        let mut differences = Vec::new();
        for (id, theirs) in said {
            let (ours, later) = (before.remove(&id), after.remove(&id));
            if ours.as_ref() != Some(&theirs) && later.as_ref() != Some(&theirs) {
                differences.push(format!("conntrack: {theirs:?}\nlibctrack: {ours:?}"));
            }
        }
        differences.extend(before.values().chain(after.values()).map(|ours| format!("only libctrack: {ours:?}")));
        differences
    });
}

/// The id at the end of a line.
fn id_of(line: &str) -> u32 {
    line.rsplit_once(" id=").and_then(|(_, id)| id.parse().ok()).unwrap_or_else(|| panic!("no id: {line}"))
}

fn lines_by_id(options: &[&str]) -> Vec<(u32, String)> {
    listed(options).into_iter().map(|line| (id_of(&line), line)).collect()
}

#[test]
fn every_extended_line_equals_that_of_the_conntrack_program() {
    in_namespace("every_extended_line_equals_that_of_the_conntrack_program", || {
        let mut world = world();
        let format = Format::EXTENDED | Format::ID;
        compare(&mut world.conntrack, |entry| line(entry, format), || lines_by_id(&["-o", "extended,id"]));
    });
}

#[test]
fn every_plain_line_equals_that_of_the_conntrack_program() {
    in_namespace("every_plain_line_equals_that_of_the_conntrack_program", || {
        let mut world = world();
        compare(&mut world.conntrack, |entry| line(entry, Format::ID), || lines_by_id(&["-o", "id"]));
        // Without ids the lines can only be compared as a whole.
        agree(|| {
            let mut ours = || {
                let entries = world.conntrack.list(&[]).unwrap();
                let mut lines: Vec<String> = entries.iter().map(|entry| line(entry, Format::empty())).collect();
                lines.sort_unstable();
                lines
            };
            let before = ours();
            let mut theirs = listed(&[]);
            theirs.sort_unstable();
            let after = ours();
            if theirs == before || theirs == after {
                return Vec::new();
            }
            theirs.retain(|line| !before.contains(line) && !after.contains(line));
            theirs.push("these lines, or how often they come, differ".into());
            theirs
        });
    });
}

/// Sets the time zone of a process of this test's own; by rules, so that no zone files are needed.
const ZONES: [&str; 3] = ["UTC0", "XYZ-5:45", "NST3:30NDT,M3.2.0,M11.1.0"];

#[test]
fn start_times_are_those_of_the_conntrack_program_in_every_time_zone() {
    const NAME: &str = "start_times_are_those_of_the_conntrack_program_in_every_time_zone";
    if std::env::var_os("TZ").is_none_or(|zone| ZONES.iter().all(|known| zone != *known)) {
        for zone in ZONES {
            run_again(NAME, "env", &[], &[("TZ", zone)]);
        }
        return;
    }
    in_namespace(NAME, || {
        let mut world = world();
        let format = Format::ID | Format::TIMESTAMP;
        compare(&mut world.conntrack, |entry| line(entry, format), || lines_by_id(&["-o", "ktimestamp,id"]));
        let lines = lines_by_id(&["-o", "ktimestamp,id"]);
        let with = lines.iter().filter(|(_, line)| line.contains("[start=")).count();
        assert!(0 < with && with < lines.len(), "{with} of {} entries have a start time", lines.len());
    });
}

#[test]
fn every_field_of_the_program_s_text_is_that_of_the_entry() {
    in_namespace("every_field_of_the_program_s_text_is_that_of_the_entry", || {
        let mut world = world();
        let ours = |entry: &Entry| Seen { start_ns: None, labels: Vec::new(), ..Seen::of(entry) };
        compare(&mut world.conntrack, ours, || {
            let lines = listed(&["-o", "extended,id"]);
            lines.iter().map(|line| Seen::from_line(line)).map(|seen| (seen.id, seen)).collect()
        });
    });
}

#[test]
fn every_field_of_the_program_s_xml_is_that_of_the_entry() {
    in_namespace("every_field_of_the_program_s_xml_is_that_of_the_entry", || {
        let mut world = world();
        compare(&mut world.conntrack, Seen::in_xml, || {
            let xml = listed(&["-o", "xml,id,ktimestamp"]).join("\n");
            Seen::from_xml(&xml).into_iter().map(|seen| (seen.id, seen)).collect()
        });
    });
}

#[test]
fn labels_are_those_that_the_conntrack_program_names() {
    in_namespace("labels_are_those_that_the_conntrack_program_names", || {
        let mut world = world();
        let ours = |entry: &Entry| Seen { start_ns: None, ..Seen::of(entry) };
        compare(&mut world.conntrack, ours, || {
            let lines = listed_with_labels();
            assert!(lines.iter().any(|line| line.contains(" labels=bit")), "the program shows no labels");
            lines.iter().map(|line| Seen::from_line(line)).map(|seen| (seen.id, seen)).collect()
        });
    });
}

#[test]
fn real_flows_have_what_the_firewall_rules_gave_them() {
    in_namespace("real_flows_have_what_the_firewall_rules_gave_them", || {
        let mut world = world();
        let entries = world.conntrack.list(&[]).unwrap();
        for ((family, sport), flow) in &world.expected {
            let mut found =
                entries.iter().filter(|e| (e.family, e.proto, e.orig.sport) == (*family, flow.proto, *sport));
            let entry = found.next().unwrap_or_else(|| panic!("family {family}, port {sport}: no entry of {flow:?}"));
            assert!(found.next().is_none(), "family {family}, port {sport}: more than one entry of {flow:?}");
            assert_eq!(entry.orig.dport, flow.dport, "{entry:?}");
            flow.check(entry);
            // The first half of the flows began with both sysctls on.
            let kept = Has::ORIG_COUNTERS | Has::REPLY_COUNTERS | Has::START;
            let wanted = if *sport < 50000 { kept } else { Has::empty() };
            assert_eq!(entry.has & kept, wanted, "counters and start time of {entry:?}");
            if !wanted.is_empty() {
                let answered = entry.status.intersects(Status::SEEN_REPLY);
                assert!(entry.orig_counters.packets > 0 && entry.orig_counters.bytes >= 28, "{entry:?}");
                assert_eq!(entry.reply_counters.packets > 0, answered, "{entry:?}");
            }
        }
        for family in [Family::IPV4, Family::IPV6] {
            let icmp = if family == Family::IPV4 { Proto::ICMP } else { Proto::ICMPV6 };
            for (proto, key) in
                [(icmp, 40000), (icmp, 50000), (Proto::GRE, 0), (Proto::GRE, 40000), (Proto(253), 0), (Proto(50), 0)]
            {
                let is_it = |e: &&Entry| {
                    let at = if e.proto == icmp { e.orig.icmp_id } else { e.orig.dport };
                    (e.family, e.proto, at) == (family, proto, key) && e.orig_dst().to_string().ends_with('2')
                };
                // Created entries of these protocols have other addresses.
                let real = |e: &&Entry| matches!(e.orig_src().to_string().as_str(), "127.0.0.1" | "fd00::1");
                let count = entries.iter().filter(is_it).filter(real).count();
                assert_eq!(count, 1, "family {family}, protocol {proto}, key {key}");
            }
        }
    });
}

#[test]
fn created_entries_are_listed_as_they_were_given() {
    in_namespace("created_entries_are_listed_as_they_were_given", || {
        let mut world = world();
        let entries = world.conntrack.list(&[]).unwrap();
        for given in &world.created {
            let same_zone = |e: &Entry| (e.orig.zone, e.reply.zone) == (given.orig.zone, given.reply.zone);
            let mut found = entries.iter().filter(|e| {
                (e.family, e.proto, e.orig.src, e.orig.dst)
                    == (given.family, given.proto, given.orig.src, given.orig.dst)
                    && (e.orig.icmp_type, e.orig.icmp_id) == (given.orig.icmp_type, given.orig.icmp_id)
                    && (!e.has(Has::PORTS) || (e.orig.sport, e.orig.dport) == (given.orig.sport, given.orig.dport))
                    && same_zone(e)
            });
            let e = found.next().unwrap_or_else(|| panic!("{given:?} is not listed"));
            assert!(found.next().is_none(), "{given:?} is listed twice");
            assert_eq!(e.has & given.has, given.has, "fields of {e:?}, given as {given:?}");
            assert!(e.timeout().is_some_and(|left| left <= 3000), "timeout of {e:?}");
            assert_eq!((e.mark, e.helper, e.labels), (given.mark, given.helper, given.labels), "{e:?}");
            if given.has(Has::TCP_STATE) {
                assert_eq!(e.tcp_state, given.tcp_state, "{e:?}");
            }
            if given.has(Has::SCTP) {
                let sctp = |e: &Entry| (e.sctp_state, e.sctp_vtag_orig, e.sctp_vtag_reply);
                assert_eq!(sctp(e), sctp(given), "{e:?}");
            }
            if given.has(Has::REPLY) {
                assert_eq!(e.reply, Tuple { zone: e.reply.zone, ..given.reply }, "{e:?}");
            }
            assert_eq!(e.status & given.status, given.status, "status {:#x} of {e:?}", e.status);
        }
    });
}

/// What the JSON of an entry must hold: exactly what `has` announces, and always the zone.
fn json_members(e: &Entry) -> BTreeMap<String, String> {
    const STATUS: &str =
        "EXPECTED SEEN_REPLY ASSURED CONFIRMED SRC_NAT DST_NAT SEQ_ADJUST SRC_NAT_DONE DST_NAT_DONE DYING \
        FIXED_TIMEOUT TEMPLATE UNTRACKED HELPER OFFLOAD HW_OFFLOAD";
    let seen = Seen::of(e);
    let mut members = BTreeMap::new();
    let mut put = |name: String, value: Option<String>| {
        if let Some(value) = value {
            members.insert(name, value);
        }
    };
    let name = match e.proto {
        Proto::ICMP => "icmp",
        Proto::TCP => "tcp",
        Proto::UDP => "udp",
        Proto::DCCP => "dccp",
        Proto::GRE => "gre",
        Proto::ICMPV6 => "icmpv6",
        Proto::SCTP => "sctp",
        Proto::UDPLITE => "udplite",
        _ => "unknown",
    };
    put("family".into(), Some(if e.family == Family::IPV4 { "ipv4".into() } else { "ipv6".into() }));
    put("proto".into(), Some(e.proto.0.to_string()));
    put("proto_name".into(), Some(name.into()));
    put("state".into(), seen.state);
    put("helper".into(), seen.helper);
    let zone = seen.zone.or(seen.orig.zone).or(seen.reply.zone).unwrap_or(0);
    put("zone".into(), Some(zone.to_string()));
    for (path, direction, tuple) in [("orig", seen.orig, &e.orig), ("reply", seen.reply, &e.reply)] {
        let (source, destination) = if e.proto == Proto::GRE { ("srckey", "dstkey") } else { ("sport", "dport") };
        let ports = e.has(Has::PORTS).then_some((tuple.sport, tuple.dport));
        put(format!("{path}.{source}"), ports.map(|ports| ports.0.to_string()));
        put(format!("{path}.{destination}"), ports.map(|ports| ports.1.to_string()));
        put(format!("{path}.type"), direction.icmp.map(|icmp| icmp.0.to_string()));
        put(format!("{path}.code"), direction.icmp.map(|icmp| icmp.1.to_string()));
        put(format!("{path}.id"), direction.icmp.map(|icmp| icmp.2.to_string()));
        put(format!("{path}.zone"), direction.zone.map(|zone| zone.to_string()));
        put(format!("{path}.packets"), direction.counters.map(|counters| counters.0.to_string()));
        put(format!("{path}.bytes"), direction.counters.map(|counters| counters.1.to_string()));
    }
    for (name, bit, value) in [
        ("timeout", Has::TIMEOUT, u64::from(e.timeout)),
        ("mark", Has::MARK, e.mark.into()),
        ("use", Has::USE, e.use_count.into()),
        ("id", Has::ID, e.id.into()),
        ("sctp_vtag_orig", Has::SCTP, e.sctp_vtag_orig.into()),
        ("sctp_vtag_reply", Has::SCTP, e.sctp_vtag_reply.into()),
        ("tcp_wscale_orig", Has::TCP_WSCALE, e.tcp_wscale_orig.into()),
        ("tcp_wscale_reply", Has::TCP_WSCALE, e.tcp_wscale_reply.into()),
        ("tcp_flags_orig", Has::TCP_FLAGS, e.tcp_flags_orig.into()),
        ("tcp_flags_reply", Has::TCP_FLAGS, e.tcp_flags_reply.into()),
        ("dccp_role", Has::DCCP, e.dccp_role.into()),
        ("start_ns", Has::START, e.start_ns),
        ("stop_ns", Has::STOP, e.stop_ns),
    ] {
        put(name.into(), e.has(bit).then(|| value.to_string()));
    }
    let status: Vec<&str> = STATUS
        .split_whitespace()
        .enumerate()
        .filter(|(bit, _)| e.status.bits() >> bit & 1 == 1)
        .map(|(_, name)| name)
        .collect();
    put("status".into(), e.has(Has::STATUS).then(|| status.join(" ")));
    let labels: Vec<String> = seen.labels.iter().map(u32::to_string).collect();
    put("labels".into(), e.has(Has::LABELS).then(|| labels.join(" ")));
    members
}

#[test]
fn the_json_of_an_entry_holds_exactly_the_fields_that_the_kernel_sent_and_the_zone() {
    in_namespace("the_json_of_an_entry_holds_exactly_the_fields_that_the_kernel_sent_and_the_zone", || {
        let mut world = world();
        for entry in world.conntrack.list(&[]).unwrap() {
            let text = json(&entry);
            let mut members = json_reader::flat(&text);
            // The same address can be written in more than one way.
            for (path, address) in [
                ("orig.src", entry.orig_src()),
                ("orig.dst", entry.orig_dst()),
                ("reply.src", entry.reply_src()),
                ("reply.dst", entry.reply_dst()),
            ] {
                let written = members.remove(path).and_then(|text| text.parse::<IpAddr>().ok());
                assert_eq!(written, Some(address), "{path} of {text}");
            }
            assert_eq!(members, json_members(&entry), "{text}");
        }
    });
}

/// Calls the C function with a buffer of `len` bytes; its result, and the buffer with a margin behind it.
#[allow(unsafe_code)]
fn format_in_c(entry: &Entry, format: u32, len: usize) -> (i32, Vec<u8>) {
    let mut buffer = vec![0xaa_u8; len + 16];
    let at = if len == 0 { std::ptr::null_mut() } else { buffer.as_mut_ptr().cast() };
    // SAFETY: the entry lives for the call, and `at` points to `len` bytes, or nowhere if that is 0.
    let length = unsafe { ct_entry_format(entry, format, at, len) };
    (length, buffer)
}

#[test]
fn the_c_function_writes_the_same_text_by_the_rules_of_snprintf() {
    in_namespace("the_c_function_writes_the_same_text_by_the_rules_of_snprintf", || {
        let mut world = world();
        let entries = world.conntrack.list(&[]).unwrap();
        for entry in &entries {
            // An age could tick between two calls.
            let entry = &Entry { has: entry.has & !Has::START, start_ns: 0, ..*entry };
            let lines = [
                (0, Format::empty()),
                (CT_FORMAT_EXTENDED, Format::EXTENDED),
                (CT_FORMAT_ID, Format::ID),
                (CT_FORMAT_EXTENDED | CT_FORMAT_ID | CT_FORMAT_TIMESTAMP, Format::all()),
            ]
            .map(|(options, format)| (CT_FORMAT_LINE | options, line(entry, format)));
            for (format, text) in lines.into_iter().chain([(CT_FORMAT_JSON, json(entry))]) {
                let text = text.as_bytes();
                let whole = i32::try_from(text.len()).unwrap();
                for len in [0, 1, 2, text.len() / 2, text.len() - 1, text.len(), text.len() + 1, 1024] {
                    let (length, buffer) = format_in_c(entry, format, len);
                    assert_eq!(length, whole, "{entry:?} in {len} bytes");
                    let kept = text.len().min(len.saturating_sub(1));
                    assert_eq!(&buffer[..kept], &text[..kept], "{entry:?} in {len} bytes");
                    if len > 0 {
                        assert_eq!(buffer[kept], 0, "{entry:?} in {len} bytes is not terminated");
                    }
                    assert!(buffer[len..].iter().all(|byte| *byte == 0xaa), "{entry:?} is written beyond {len} bytes");
                }
                assert!(format & CT_FORMAT_LINE == 0 || text.len() < 1024, "{entry:?} does not fit in 1024 bytes");
            }
        }
    });
}

#[test]
#[allow(unsafe_code)]
fn the_c_function_refuses_what_is_no_entry_or_no_format() {
    let entry = Entry::key(Proto::UDP, [127, 0, 0, 1].into(), 1, [127, 0, 0, 2].into(), 2).unwrap();
    let wrong = [
        0,
        CT_FORMAT_LINE | CT_FORMAT_JSON,
        CT_FORMAT_ID,
        CT_FORMAT_JSON | CT_FORMAT_ID,
        CT_FORMAT_LINE | 1 << 30,
        CT_FORMAT_LINE | 1 << 2,
    ];
    for format in wrong {
        let (result, buffer) = format_in_c(&entry, format, 256);
        assert_eq!(result, -libc::EINVAL, "format {format:#x}");
        assert!(buffer.iter().all(|byte| *byte == 0xaa), "format {format:#x} wrote something");
    }
    let mut buffer = [0; 64];
    // SAFETY: the header promises -EINVAL for these NULL pointers; the others are valid for the calls.
    let (no_entry, no_buffer) = unsafe {
        (
            ct_entry_format(std::ptr::null(), CT_FORMAT_LINE, buffer.as_mut_ptr(), buffer.len()),
            ct_entry_format(&entry, CT_FORMAT_LINE, std::ptr::null_mut(), 64),
        )
    };
    assert_eq!((no_entry, no_buffer), (-libc::EINVAL, -libc::EINVAL));
}
