//! The pieces of a text against those of std.

use super::out::Out;
use super::*;
use ctnetlink::event::EventKind;
use ctnetlink::types::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn written(write: impl FnOnce(&mut Out)) -> String {
    let mut buffer = [0; 64];
    let mut out = Out::new(&mut buffer);
    write(&mut out);
    owned(out.finish())
}

/// Deterministic numbers: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn numbers_are_written_as_std_writes_them() {
    let edges = [0, 9, 10, u64::from(u32::MAX), u64::MAX];
    let powers = (1..20).map(|power| 10u64.pow(power)).flat_map(|power| [power - 1, power, power + 1]);
    let mut random = Random(88_172_645_463_325_252);
    // Of each length.
    let others = (0..if cfg!(miri) { 64 } else { 100_000 }).map(|at| random.next() >> (at % 64));
    for number in edges.into_iter().chain(powers).chain(0..if cfg!(miri) { 20 } else { 1000 }).chain(others) {
        assert_eq!(written(|out| out.number(number)), number.to_string());
        assert_eq!(written(|out| out.field(" bytes=", number)), format!(" bytes={number}"));
    }
}

#[test]
fn hexadecimal_numbers_are_written_as_std_writes_them() {
    let powers = (0..32).map(|bit| 1 << bit).flat_map(|power: u32| [power - 1, power, power | 1]);
    for number in powers.chain([u32::MAX, 0x0123_4567, 0x89ab_cdef]) {
        assert_eq!(written(|out| out.hex(number, 1)), format!("{number:x}"));
        assert_eq!(written(|out| out.hex(number, 4)), format!("{number:04x}"));
    }
}

#[test]
fn short_numbers_are_filled_up() {
    for number in 0..100 {
        assert_eq!(written(|out| out.two(b'0', number)), format!("{number:02}"));
        assert_eq!(written(|out| out.two(b' ', number)), format!("{number:2}"));
    }
    for number in [0, 9, 10, 99_999, 100_000, 999_999, 1_000_000, u64::MAX] {
        assert_eq!(written(|out| out.padded(number, 6)), format!("{number:06}"));
    }
}

#[test]
fn ipv4_addresses_are_written_as_std_writes_them() {
    for octet in (0..=255).step_by(if cfg!(miri) { 51 } else { 1 }) {
        for octets in [[octet; 4], [octet, 0, 0, 0], [0, octet, 255, 10], [192, 168, octet, 9], [99, 100, 1, octet]] {
            assert_eq!(written(|out| out.ipv4(octets)), Ipv4Addr::from(octets).to_string());
        }
    }
}

/// As std writes it, but that an IPv4-compatible address is dotted, as inet_ntop(3) has it.
fn ipv6_by_std(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 1..=0xffff, _] => format!("::{}", Ipv4Addr::from_bits(address.to_bits() as u32)),
        _ => address.to_string(),
    }
}

#[test]
fn ipv6_addresses_are_written_as_std_writes_them() {
    for (text, at) in [("::", 0), ("::1", 1), ("::ffff", 0xffff), ("::0.1.0.0", 0x1_0000), ("1::", 1 << 112)] {
        assert_eq!(written(|out| out.ipv6(Ipv6Addr::from_bits(at).octets())), text);
    }
    let mut random = Random(88_172_645_463_325_252);
    // Which groups are zero, in every way there is; the others long, short, or all ones.
    for zeros in 0..256 {
        for round in 0..if cfg!(miri) { usize::from(zeros % 16 == 0) } else { 1000 } {
            let noise = random.next() as u128 | (random.next() as u128) << 64;
            let mut groups = Ipv6Addr::from_bits(noise).segments();
            for (at, group) in groups.iter_mut().enumerate() {
                *group = match (zeros >> at & 1, round % 4) {
                    (1, _) => 0,
                    (_, 0) => *group,
                    (_, 1) => *group >> (*group & 15),
                    (_, 2) => 0xffff,
                    _ => *group & 1,
                };
            }
            let address = Ipv6Addr::from(groups);
            assert_eq!(written(|out| out.ipv6(address.octets())), ipv6_by_std(address));
        }
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_replaced_as_std_replaces_them() {
    let mut random = Random(88_172_645_463_325_252);
    for length in (0..=16).cycle().take(if cfg!(miri) { 50 } else { 20_000 }) {
        let bytes: Vec<u8> =
            (0..length).map(|_| [b'a', 0xc3, 0xa4, 0xf0, random.next() as u8][random.next() as usize % 5]).collect();
        assert_eq!(written(|out| out.lossy(&bytes)), String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_time_that_no_calendar_has_is_told_as_seconds() {
    assert_eq!(written(|out| line::write_time(out, " [start=", u64::MAX)), format!(" [start=@{}]", u64::MAX));
}

#[test]
fn a_text_that_does_not_fit_is_none() {
    for length in 0..12 {
        let mut buffer = [0; 11];
        let mut out = Out::new(&mut buffer[..length]);
        out.field(" id=", 1234u32);
        out.byte(b' ');
        out.ipv6([0; 16]);
        assert_eq!(out.finish(), (length == 11).then_some(&b" id=1234 ::"[..]));
    }
}

/// Every field as long as it gets, but for the protocol and its state.
fn longest() -> Entry {
    let tuple = Tuple {
        src: [0xff; 16],
        dst: [0xff; 16],
        sport: u16::MAX,
        dport: u16::MAX,
        icmp_id: u16::MAX,
        icmp_type: u8::MAX,
        icmp_code: u8::MAX,
        zone: u32::MAX,
    };
    let counters = Counters { packets: u64::MAX, bytes: u64::MAX };
    Entry {
        has: Has::all(),
        id: u32::MAX,
        zone: u32::MAX,
        mark: u32::MAX,
        status: Status::all(),
        timeout: u32::MAX,
        use_count: u32::MAX,
        family: Family(u8::MAX),
        tcp_wscale_orig: u8::MAX,
        tcp_wscale_reply: u8::MAX,
        tcp_flags_orig: u8::MAX,
        tcp_flags_reply: u8::MAX,
        dccp_role: u8::MAX,
        sctp_vtag_orig: u32::MAX,
        sctp_vtag_reply: u32::MAX,
        orig: tuple,
        reply: tuple,
        orig_counters: counters,
        reply_counters: counters,
        start_ns: u64::MAX,
        stop_ns: u64::MAX,
        labels: [0xff; 16],
        helper: [!0; 16],
        ..Entry::EMPTY
    }
}

#[test]
fn the_longest_texts_there_are_fit() {
    let options = Format::EXTENDED | Format::ID | Format::TIMESTAMP;
    let mut most = (0, 0);
    for proto in (0..=u8::MAX).step_by(if cfg!(miri) { 132 } else { 1 }) {
        for state in (0..=10).step_by(if cfg!(miri) { 10 } else { 1 }) {
            let (proto, tcp_state) = (Proto(proto), TcpState(state));
            let e = Entry { proto, tcp_state, sctp_state: state, dccp_state: state, ..longest() };
            for status in [Status::all(), !Status::HW_OFFLOAD, !Status::SEEN_REPLY] {
                let e = Entry { status, ..e };
                with_line(&e, options, |text| most.0 = most.0.max(text.unwrap().len()));
                with_json(&e, |text| most.1 = most.1.max(text.unwrap().len()));
            }
        }
    }
    // What no entry has at once: the longest state with the longest protocol, UNREPLIED with every status.
    assert!(most.0 + 64 < line::MOST && most.1 + 64 < json::MOST, "{most:?}");
}

#[test]
fn the_longest_texts_of_events_fit_where_those_of_entries_do() {
    let entry = longest();
    let event = EventParts {
        what: EventWhat::Entry(EventKind::Destroy, &entry),
        flags: !0,
        number: u64::MAX,
        port: u32::MAX,
        nsid: Some(i32::MAX),
        time_ns: Some(u64::MAX),
        received_ns: u64::MAX,
    };
    let length = |text: Option<&[u8]>| text.unwrap().len();
    let of_entry = (with_line(&entry, Format::all(), length), with_json(&entry, length));
    let of_event = (with_event_line(&event, Format::all(), length), with_event_json(&event, length));
    let more = (of_event.0 - of_entry.0, of_event.1 - of_entry.1);
    assert!(line::MOST + more.0 <= event::MOST_LINE && json::MOST + more.1 <= event::MOST_JSON, "{more:?}");
    let lost = EventParts { what: EventWhat::Lost(Some(u64::MAX)), ..event };
    assert!(with_event_line(&lost, Format::all(), length) < of_event.0);
    assert!(with_event_json(&lost, length) < of_event.1);
}
