//! Events, and their text.

use super::boundary::{array_out, input, without_handle};
use super::text::{keep, CT_FORMAT_EXTENDED, CT_FORMAT_ID, CT_FORMAT_JSON, CT_FORMAT_LINE, CT_FORMAT_TIMESTAMP};
use ctnetlink::Entry;
use ctrack::seams::{with_event_json, with_event_line, EventParts, EventWhat};
use ctrack::{Error, EventFlags, EventKind, Format};
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

/// ct_event.type: an entry was made; or is selected only now (CT_EVENT_ENTERED), was there when the watch began
/// (CT_EVENT_INITIAL), or was found (CT_EVENT_FOUND).
pub const CT_EVENT_NEW: u32 = 1;
/// ct_event.type: an entry changed.
pub const CT_EVENT_UPDATE: u32 = 2;
/// ct_event.type: an entry went; or is selected no more (CT_EVENT_LEFT).
pub const CT_EVENT_DESTROY: u32 = 3;
/// ct_event.type: `lost` events are missing here. With CT_WATCH_SYNC what follows repairs it, up to the next CT_EVENT_SYNCED.
pub const CT_EVENT_LOST: u32 = 4;
/// ct_event.type, with CT_WATCH_SYNC alone: the events so far add up to the kernel's table, as it was at some moment since the last
/// CT_EVENT_LOST, or since the watch was started.
pub const CT_EVENT_SYNCED: u32 = 5;

/// ct_event.flags, of CT_EVENT_NEW: the entry was there when the watch was started.
pub const CT_EVENT_INITIAL: u32 = 1u32 << 0;
/// ct_event.flags: the kernel did not say so; a list or a look-up showed it. Of a CT_EVENT_DESTROY then only original tuple, zone with
/// its direction, and id count: there are no final counters. An id alone does not say who it is, nor one with another zone.
pub const CT_EVENT_FOUND: u32 = 1u32 << 1;
/// ct_event.flags, of CT_EVENT_NEW: the entry was there before, and is selected by the filters only now.
pub const CT_EVENT_ENTERED: u32 = 1u32 << 2;
/// ct_event.flags, of CT_EVENT_DESTROY: the entry is there still, and is selected by the filters no more.
pub const CT_EVENT_LEFT: u32 = 1u32 << 3;

/// With CT_FORMAT_LINE, in ct_event_format(): the time in front, as option -o timestamp of `conntrack -E` has it.
pub const CT_FORMAT_EVENT_TIME: u32 = 1u32 << 11;

const _: () = {
    assert!(CT_EVENT_INITIAL == EventFlags::INITIAL.bits() && CT_EVENT_FOUND == EventFlags::FOUND.bits());
    assert!(CT_EVENT_ENTERED == EventFlags::ENTERED.bits() && CT_EVENT_LEFT == EventFlags::LEFT.bits());
    assert!(CT_FORMAT_EVENT_TIME == Format::EVENT_TIME.bits());
    assert!(size_of::<ct_event>() == 320);
};

/// What happened, to an entry or to the watch. 320 bytes for the life of libctrack.so.0. Since 0.2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ct_event {
    /// CT_EVENT_NEW, _UPDATE, _DESTROY, _LOST or _SYNCED. Later releases may have more.
    pub r#type: u32,
    /// CT_EVENT_INITIAL, _FOUND, _ENTERED, _LEFT.
    pub flags: u32,
    /// Counts the events of this watch, from 1, without gaps.
    pub number: u64,
    /// CT_EVENT_LOST: how many events are missing. Without CT_WATCH_SYNC it is exact; with it at least so many, since while the table is
    /// listed anew nobody counts. UINT64_MAX: it is not known how many.
    pub lost: u64,
    /// When it was read: nanoseconds since 1970 (CLOCK_REALTIME).
    pub received_ns: u64,
    /// When it happened, as the kernel says: nanoseconds since 1970. 0: it does not (before 6.14, or the sysctl
    /// net.netfilter.nf_conntrack_timestamp is off).
    pub time_ns: u64,
    /// The netlink port of the socket that caused it. 0: traffic or a timeout did, or it was found. It is no process id: only the first
    /// socket of a process has that number. Your own: ct_handle_get_portid().
    pub portid: u32,
    /// The network namespace: -1 is the watch's own; others by their id in that one (`ip netns list-id`), and 0 is an id.
    pub nsid: i32,
    /// Zero.
    pub reserved: [u64; 2],
    /// CT_EVENT_NEW, _UPDATE, _DESTROY: the entry. `has` says what the kernel sent: counters and times come with CT_EVENT_DESTROY alone,
    /// labels and helper with CT_EVENT_NEW and with the update that changes them. Of the others: empty.
    pub entry: Entry,
}

impl ct_event {
    /// In the caller's array, so that the entry is copied once and not twice: a thirtieth of the instructions of an event.
    #[inline(always)]
    pub(super) fn write(event: &EventParts<'_>, slot: &mut MaybeUninit<ct_event>) {
        let EventParts { what, flags, number, port, nsid, time_ns, received_ns } = *event;
        let (kind, entry, lost) = match what {
            EventWhat::Entry(EventKind::New, entry) => (CT_EVENT_NEW, entry, 0),
            EventWhat::Entry(EventKind::Update, entry) => (CT_EVENT_UPDATE, entry, 0),
            EventWhat::Entry(EventKind::Destroy, entry) => (CT_EVENT_DESTROY, entry, 0),
            EventWhat::Lost(count) => (CT_EVENT_LOST, &Entry::EMPTY, count.unwrap_or(u64::MAX)),
            EventWhat::Synced => (CT_EVENT_SYNCED, &Entry::EMPTY, 0),
        };
        const { assert!(2 * 4 + 4 * 8 + 2 * 4 + 16 + 256 == size_of::<ct_event>(), "a field that is not written below") };
        let place = slot.as_mut_ptr();
        // SAFETY: the place is that of a whole ct_event, borrowed mutably, and aligned.
        unsafe {
            (&raw mut (*place).r#type).write(kind);
            (&raw mut (*place).flags).write(flags);
            (&raw mut (*place).number).write(number);
            (&raw mut (*place).lost).write(lost);
            (&raw mut (*place).received_ns).write(received_ns);
            (&raw mut (*place).time_ns).write(time_ns.unwrap_or(0));
            (&raw mut (*place).portid).write(port);
            (&raw mut (*place).nsid).write(nsid.unwrap_or(-1));
            (&raw mut (*place).reserved).write([0; 2]);
            (&raw mut (*place).entry).write(*entry);
        }
    }

    fn parts(&self) -> Result<EventParts<'_>, Error> {
        let ct_event { r#type, flags, number, lost, received_ns, time_ns, portid, nsid, reserved: _, ref entry } =
            *self;
        let what = match r#type {
            CT_EVENT_NEW => EventWhat::Entry(EventKind::New, entry),
            CT_EVENT_UPDATE => EventWhat::Entry(EventKind::Update, entry),
            CT_EVENT_DESTROY => EventWhat::Entry(EventKind::Destroy, entry),
            CT_EVENT_LOST => EventWhat::Lost((lost != u64::MAX).then_some(lost)),
            CT_EVENT_SYNCED => EventWhat::Synced,
            _ => return Err(Error::invalid("event.type", "is no type of event")),
        };
        Ok(EventParts {
            what,
            flags,
            number,
            port: portid,
            nsid: (nsid >= 0).then_some(nsid),
            time_ns: (time_ns != 0).then_some(time_ns),
            received_ns,
        })
    }
}

/// Writes an event as text, by the rules of snprintf(3), as ct_entry_format() does with an entry.
///
/// The line is that of `conntrack -E`, byte for byte, but for what that of ct_entry_format() lacks, and ` progname=`, for which the
/// program looks through /proc for a process that has the port. With CT_FORMAT_EVENT_TIME it begins with the time, "[seconds.micros]"
/// and a tab: the kernel's if there is one, as conntrack 1.4.9 has it; else when the event was read, as older ones have it. CT_EVENT_LOST
/// is "   [LOST] 17 events" or "   [LOST] unknown number of events", CT_EVENT_SYNCED " [SYNCED]".
///
/// The JSON object has "event" ("new", "update", "destroy", "lost", "synced"), "number", "flags" (an array of "initial", "found", "entered",
/// "left"), "received_ns", "time_ns" and "nsid" if they are known, "portid" and "entry" (as ct_entry_format() has it) of events of an
/// entry, and "lost" (null: it is not known how many).
///
/// @param e the event
/// @param format CT_FORMAT_LINE, perhaps with CT_FORMAT_EXTENDED, CT_FORMAT_ID, CT_FORMAT_TIMESTAMP and CT_FORMAT_EVENT_TIME; or
///   CT_FORMAT_JSON
/// @param buf where to write; NULL if len is 0
/// @param len its size. 1024 is always enough for a line
/// @return the length of the whole text without its NUL, or -EINVAL
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_event_format(e: *const ct_event, format: u32, buf: *mut c_char, len: usize) -> c_int {
    without_handle(|| {
        // SAFETY: the caller's promise.
        let (event, buffer) = unsafe { (input(e, "event")?, array_out(buf.cast::<u8>(), len, "buf")?) };
        let parts = event.parts()?;
        let keep = |text: Option<&[u8]>| keep(text, buffer);
        let options = format & !(CT_FORMAT_LINE | CT_FORMAT_JSON);
        let known = CT_FORMAT_EXTENDED | CT_FORMAT_ID | CT_FORMAT_TIMESTAMP | CT_FORMAT_EVENT_TIME;
        match format & (CT_FORMAT_LINE | CT_FORMAT_JSON) {
            CT_FORMAT_LINE if options & !known == 0 => with_event_line(&parts, Format::from_bits_retain(options), keep),
            CT_FORMAT_JSON if options == 0 => with_event_json(&parts, keep),
            _ => Err(Error::invalid("format", "is no format")),
        }
    })
}
