//! An event: the line of `conntrack -E`, or a JSON object.

use super::json::{write as write_entry, write_list, write_name, write_number, write_string, MOST as MOST_OF_ENTRY};
use super::line::{write as write_entry_line, MOST as MOST_OF_LINE};
use super::options::Format;
use super::out::Out;
use ctnetlink::event::EventKind;
use ctnetlink::types::Entry;

/// No line is longer: that of an entry, and time, kind and port.
pub(super) const MOST_LINE: usize = MOST_OF_LINE + 96;
/// No object is longer.
pub(super) const MOST_JSON: usize = MOST_OF_ENTRY + 384;

/// An event to write. Borrowed, so that whoever has another struct for it need not copy an entry.
#[derive(Clone, Copy, Debug)]
pub struct EventParts<'a> {
    /// What happened.
    pub what: EventWhat<'a>,
    /// Bits from 0 on: initial, found, entered, left.
    pub flags: u32,
    /// Its number in the watch.
    pub number: u64,
    /// The netlink port of who caused it; 0: no program.
    pub port: u32,
    /// The number of its network namespace in that of the watch. `None`: that of the watch itself.
    pub nsid: Option<i32>,
    /// When it happened, as the kernel says.
    pub time_ns: Option<u64>,
    /// When it was read.
    pub received_ns: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum EventWhat<'a> {
    /// This, to an entry.
    Entry(EventKind, &'a Entry),
    /// So many events are missing; `None`: an unknown number.
    Lost(Option<u64>),
    /// What was told adds up to the table.
    Synced,
}

/// In the order of their bits. Others have no name, and are not written.
const FLAG_NAMES: [&str; 4] = ["initial", "found", "entered", "left"];

pub(super) fn write_line(out: &mut Out, event: &EventParts, options: Format) {
    if options.contains(Format::EVENT_TIME) {
        write_time(out, event.time_ns.unwrap_or(event.received_ns));
    }
    match event.what {
        EventWhat::Entry(kind, entry) => {
            out.put(match kind {
                EventKind::New => "    [NEW] ",
                EventKind::Update => " [UPDATE] ",
                EventKind::Destroy => "[DESTROY] ",
            });
            write_entry_line(out, entry, options);
            if event.port != 0 {
                out.field(" [USERSPACE] portid=", event.port);
            }
        }
        EventWhat::Lost(Some(1)) => out.put("   [LOST] 1 event"),
        EventWhat::Lost(Some(count)) => {
            out.field("   [LOST] ", count);
            out.put(" events");
        }
        EventWhat::Lost(None) => out.put("   [LOST] unknown number of events"),
        EventWhat::Synced => out.put(" [SYNCED]"),
    }
}

/// As printf's "[%.8ld.%.6ld]\t".
fn write_time(out: &mut Out, nanoseconds: u64) {
    let microseconds = nanoseconds / 1000;
    out.byte(b'[');
    out.padded(microseconds / 1_000_000, 8);
    out.byte(b'.');
    out.padded(microseconds % 1_000_000, 6);
    out.put("]\t");
}

pub(super) fn write_json(out: &mut Out, event: &EventParts) {
    write_string(out, "{\"event\":\"", name(&event.what));
    write_number(out, "number", event.number);
    let known = (1 << FLAG_NAMES.len()) - 1;
    write_list(out, "flags", (event.flags & known).into(), write_flag);
    write_number(out, "received_ns", event.received_ns);
    if let Some(time_ns) = event.time_ns {
        write_number(out, "time_ns", time_ns);
    }
    if let Some(nsid) = event.nsid.and_then(|nsid| u64::try_from(nsid).ok()) {
        write_number(out, "nsid", nsid);
    }
    match event.what {
        EventWhat::Entry(_, entry) => {
            write_number(out, "portid", event.port.into());
            write_name(out, "entry");
            write_entry(out, entry);
        }
        EventWhat::Lost(Some(count)) => write_number(out, "lost", count),
        EventWhat::Lost(None) => {
            write_name(out, "lost");
            out.put("null");
        }
        EventWhat::Synced => (),
    }
    out.byte(b'}');
}

fn name(what: &EventWhat) -> &'static str {
    match what {
        EventWhat::Entry(EventKind::New, _) => "new",
        EventWhat::Entry(EventKind::Update, _) => "update",
        EventWhat::Entry(EventKind::Destroy, _) => "destroy",
        EventWhat::Lost(_) => "lost",
        EventWhat::Synced => "synced",
    }
}

fn write_flag(out: &mut Out, bit: u32) {
    write_string(out, "\"", FLAG_NAMES.get(bit as usize).copied().unwrap_or_default());
}
