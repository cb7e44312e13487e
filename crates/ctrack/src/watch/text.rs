//! Events as text.

use super::{Change, Event};
use crate::text::{owned, with_event_json, with_event_line, EventParts, EventWhat, Format};
use ctnetlink::event::EventKind;

/// The event as `conntrack -E` prints it, with what the options add, and without a line end.
///
/// ```text
///     [NEW] udp      17 30 src=10.0.0.7 dst=10.0.0.8 sport=4000 dport=53 [UNREPLIED] src=10.0.0.8 dst=10.0.0.7 sport=53 dport=4000
///  [UPDATE] tcp      6 60 SYN_RECV src=... dst=... sport=4001 dport=80 src=... dst=... sport=80 dport=4001
/// [DESTROY] udp      17 src=... dst=... [USERSPACE] portid=4711
///    [LOST] 17 events
///  [SYNCED]
/// ```
///
/// `portid` is the netlink port of the program that caused it. The program `conntrack` adds ` progname=` where it finds a process that
/// has this port; this does not look for one. It has no lines for what is lost ("1 event", "17 events" or "unknown number of
/// events") and [`Change::Synced`].
///
/// The time of [`Format::EVENT_TIME`] is that of the kernel, where [`Event::time_ns`] has it; the program has it so from 1.4.9 on, and
/// before prints when it read the event. Not shown: [`Event::flags`] and [`Event::number`].
///
/// ```
/// use ctrack::{event_line, Change, Entry, Event, Format, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// let mut event = Event::new(Change::New(key));
/// event.port = 4711;
/// let line = "udp      17 src=10.0.0.7 dst=10.0.0.8 sport=4000 dport=53";
/// assert_eq!(event_line(&event, Format::empty()), format!("    [NEW] {line} [USERSPACE] portid=4711"));
/// event.received_ns = 1_795_878_098_472_029_000;
/// assert!(event_line(&event, Format::EVENT_TIME).starts_with("[1795878098.472029]\t    [NEW] udp "));
/// ```
pub fn event_line(event: &Event, options: Format) -> String {
    with_event_line(&parts(event), options, owned)
}

/// The event as a JSON object.
///
/// | member | of which events | value |
/// |---|---|---|
/// | `event` | all | `"new"`, `"update"`, `"destroy"`, `"lost"` or `"synced"` |
/// | `number` | all | [`Event::number`] |
/// | `flags` | all | an array, often empty, of `"initial"`, `"found"`, `"entered"`, `"left"`: [`EventFlags`](super::EventFlags) |
/// | `received_ns` | all | [`Event::received_ns`] |
/// | `time_ns` | those whose time the kernel says | [`Event::time_ns`] |
/// | `nsid` | those of other network namespaces | their number in that of the watch |
/// | `portid` | new, update, destroy | [`Event::port`]; 0: no program |
/// | `entry` | new, update, destroy | the object of [`json`](crate::json()) |
/// | `lost` | lost | how many events are missing; null: an unknown number |
///
/// ```
/// use ctrack::{event_json, Change, Event};
/// let lost = Event::new(Change::Lost(Some(17)));
/// assert_eq!(event_json(&lost), r#"{"event":"lost","number":0,"flags":[],"received_ns":0,"lost":17}"#);
/// ```
pub fn event_json(event: &Event) -> String {
    with_event_json(&parts(event), owned)
}

/// The event, to be written.
fn parts(event: &Event) -> EventParts<'_> {
    let Event { change, flags, number, port, nsid, time_ns, received_ns } = event;
    let what = match change {
        Change::New(entry) => EventWhat::Entry(EventKind::New, entry),
        Change::Update(entry) => EventWhat::Entry(EventKind::Update, entry),
        Change::Destroy(entry) => EventWhat::Entry(EventKind::Destroy, entry),
        Change::Lost(count) => EventWhat::Lost(*count),
        Change::Synced => EventWhat::Synced,
    };
    EventParts {
        what,
        flags: flags.bits(),
        number: *number,
        port: *port,
        nsid: *nsid,
        time_ns: *time_ns,
        received_ns: *received_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{json, line, Entry, EventFlags, Has, Proto};

    fn entry() -> Entry {
        let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).unwrap();
        Entry { has: key.has | Has::TIMEOUT | Has::MARK | Has::ID, timeout: 30, mark: 7, id: 4711, ..key }
    }

    fn event(change: Change) -> Event {
        Event { number: 12, received_ns: 1_795_878_205_002_453_999, ..Event::new(change) }
    }

    const LINE: &str = "udp      17 30 src=10.0.0.7 dst=10.0.0.8 sport=4000 dport=53 mark=7";

    #[test]
    fn what_happened_stands_in_front_and_who_did_it_behind_the_id() {
        let plain = Format::empty();
        for (change, kind) in [
            (Change::New(entry()), "    [NEW] "),
            (Change::Update(entry()), " [UPDATE] "),
            (Change::Destroy(entry()), "[DESTROY] "),
        ] {
            let by_traffic = event(change);
            assert_eq!(event_line(&by_traffic, plain), format!("{kind}{LINE}"));
            let by_program = Event { port: u32::MAX, ..by_traffic };
            assert_eq!(event_line(&by_program, plain), format!("{kind}{LINE} [USERSPACE] portid=4294967295"));
            let more = Format::EXTENDED | Format::ID;
            let wanted = format!("{kind}ipv4     2 {LINE} id=4711 [USERSPACE] portid=4294967295");
            assert_eq!(event_line(&by_program, more), wanted);
        }
        assert_eq!(line(&entry(), Format::EVENT_TIME), LINE);
    }

    #[test]
    fn the_time_is_that_of_the_kernel_or_else_that_of_the_reading() {
        let read = event(Change::New(entry()));
        let options = Format::EVENT_TIME;
        assert_eq!(event_line(&read, options), format!("[1795878205.002453]\t    [NEW] {LINE}"));
        for (time_ns, wanted) in [
            (1_795_878_204_999_999_999, "[1795878204.999999]"),
            (1_000, "[00000000.000001]"),
            (u64::MAX, "[18446744073.709551]"),
        ] {
            let told = Event { time_ns: Some(time_ns), ..read };
            assert_eq!(event_line(&told, options), format!("{wanted}\t    [NEW] {LINE}"));
        }
    }

    #[test]
    fn what_the_program_has_no_line_for_has_one() {
        for (change, wanted) in [
            (Change::Lost(Some(17)), "   [LOST] 17 events"),
            (Change::Lost(Some(1)), "   [LOST] 1 event"),
            (Change::Lost(Some(u64::MAX)), "   [LOST] 18446744073709551615 events"),
            (Change::Lost(None), "   [LOST] unknown number of events"),
            (Change::Synced, " [SYNCED]"),
        ] {
            let all = Format::EXTENDED | Format::ID | Format::TIMESTAMP;
            assert_eq!(event_line(&event(change), all), wanted);
            let wanted = format!("[1795878205.002453]\t{wanted}");
            assert_eq!(event_line(&event(change), Format::EVENT_TIME), wanted);
        }
    }

    #[test]
    fn the_object_has_what_the_event_has() {
        let head = |name: &str, flags: &str| {
            format!("{{\"event\":\"{name}\",\"number\":12,\"flags\":[{flags}],\"received_ns\":1795878205002453999")
        };
        let of_entry = json(&entry());
        for (change, name) in
            [(Change::New(entry()), "new"), (Change::Update(entry()), "update"), (Change::Destroy(entry()), "destroy")]
        {
            let wanted = format!("{},\"portid\":0,\"entry\":{of_entry}}}", head(name, ""));
            assert_eq!(event_json(&event(change)), wanted);
        }
        let flags = EventFlags::INITIAL | EventFlags::LEFT;
        let told = Event { flags, port: 9, time_ns: Some(u64::MAX), ..event(Change::Update(entry())) };
        let tail = format!(",\"time_ns\":18446744073709551615,\"portid\":9,\"entry\":{of_entry}}}");
        assert_eq!(event_json(&told), head("update", "\"initial\",\"left\"") + &tail);
        for (change, name, tail) in [
            (Change::Lost(Some(17)), "lost", ",\"lost\":17}"),
            (Change::Lost(None), "lost", ",\"lost\":null}"),
            (Change::Synced, "synced", "}"),
        ] {
            assert_eq!(event_json(&event(change)), head(name, "") + tail);
        }
    }

    #[test]
    fn the_namespace_is_told_if_it_is_another_one() {
        let event = event(Change::Synced);
        for (nsid, wanted) in [(None, false), (Some(-1), false), (Some(0), true), (Some(i32::MAX), true)] {
            let text = with_event_json(&EventParts { nsid, ..parts(&event) }, owned);
            let member = format!(",\"nsid\":{}", nsid.unwrap_or_default());
            assert_eq!(text.contains(&member), wanted, "{text}");
            assert_eq!(text.contains("nsid"), wanted, "{text}");
        }
    }

    #[test]
    fn every_flag_has_its_name_and_no_other_one() {
        for (name, flags) in EventFlags::all().iter_names() {
            let text = event_json(&Event { flags, ..event(Change::Synced) });
            assert!(text.contains(&format!("\"flags\":[\"{}\"]", name.to_lowercase())), "{text}");
        }
        let flags = EventFlags::from_bits_retain(!0);
        let text = event_json(&Event { flags, ..event(Change::Synced) });
        assert!(text.contains("\"flags\":[\"initial\",\"found\",\"entered\",\"left\"]"), "{text}");
    }
}
