//! Any bytes as events: as the kernel sends them, and as C has them. What is decoded has a text, of any event the text is that of its
//! entry with what the event adds, and the rules of snprintf(3) hold.
#![allow(unsafe_code)]

use super::format::{entry, terminated, FILL};
use super::input::Input;
use super::Reached;
use ctnetlink::event::decode_event;
use ctnetlink::message::first_message;
use ctnetlink::Decoder;
use ctrack::*;
use ctrack_c::abi::*;
use ctrack_c::event::ct_event_format;
use std::ffi::c_int;

/// Tries one input.
pub fn run(input: &[u8]) -> Reached {
    match input.split_first() {
        Some((shape, rest)) if shape & 1 == 1 => datagram(rest),
        Some((_, rest)) => event(&mut Input::new(rest)),
        None => vec!["empty"],
    }
}

/// Messages one after the other: each one is an event, another message or wrong, and its text is that of C.
fn datagram(mut bytes: &[u8]) -> Reached {
    let (mut decoder, mut reached) = (Decoder::new(), Vec::new());
    while let Ok((message, length)) = first_message(bytes) {
        let mut entry = Entry::EMPTY;
        match decode_event(&message, &mut decoder, &mut entry) {
            Ok(Some(event)) => {
                let (change, kind) = match event.kind {
                    EventKind::New => (Change::New(entry), CT_EVENT_NEW),
                    EventKind::Update => (Change::Update(entry), CT_EVENT_UPDATE),
                    EventKind::Destroy => (Change::Destroy(entry), CT_EVENT_DESTROY),
                };
                let mut told = Event::new(change);
                (told.port, told.time_ns) = (event.port, (event.time_ns != 0).then_some(event.time_ns));
                let of_c = ct_event { portid: event.port, time_ns: event.time_ns, ..of(kind, entry) };
                let lives = entry.has(Has::START) && !entry.has(Has::STOP);
                let (returned, whole) = write(&of_c, CT_FORMAT_LINE | CT_FORMAT_ID, 1024);
                if !lives {
                    assert_eq!(terminated(returned, &whole), event_line(&told, Format::ID));
                }
                let (returned, whole) = write(&of_c, CT_FORMAT_JSON, 4096);
                assert_eq!(terminated(returned, &whole), event_json(&told));
                reached.push("event");
            }
            Ok(None) => reached.push("other"),
            Err(_) => reached.push("wrong"),
        }
        bytes = &bytes[length.clamp(1, bytes.len())..];
    }
    if reached.is_empty() {
        reached.push("no message");
    }
    reached
}

fn of(kind: u32, entry: Entry) -> ct_event {
    ct_event {
        r#type: kind,
        flags: 0,
        number: 0,
        lost: 0,
        received_ns: 0,
        time_ns: 0,
        portid: 0,
        nsid: -1,
        reserved: [0; 2],
        entry,
    }
}

/// An event of any values.
fn event(u: &mut Input) -> Reached {
    let (kind, format, length) = (u.u8(), u.u32(), usize::from(u.u16()) % 3000);
    let shape = u.u8();
    let event = ct_event {
        flags: u.u32(),
        number: u.u64(),
        lost: u.u64(),
        received_ns: u.u64(),
        time_ns: u.u64(),
        portid: u.u32(),
        nsid: u.u32() as i32,
        ..of(u32::from(kind % 8), entry(u, shape))
    };
    let options = CT_FORMAT_EXTENDED | CT_FORMAT_ID | CT_FORMAT_TIMESTAMP | CT_FORMAT_EVENT_TIME;
    let format = match shape >> 6 {
        0 => CT_FORMAT_JSON,
        1 => CT_FORMAT_LINE,
        2 => CT_FORMAT_LINE | format & options,
        _ => format,
    };
    let (returned, whole) = write(&event, format, 4096);
    let line = format & !options == CT_FORMAT_LINE;
    if !(CT_EVENT_NEW..=CT_EVENT_SYNCED).contains(&event.r#type) || !line && format != CT_FORMAT_JSON {
        assert_eq!(returned, -libc::EINVAL, "type {}, format {format:#x}", event.r#type);
        assert!(whole.iter().all(|byte| *byte == FILL), "a refusal writes nothing");
        return vec!["refused"];
    }
    let text = terminated(returned, &whole);
    assert!(!line || text.len() < 1024, "1024 is always enough");
    // The age of an entry that lives is read off the clock.
    let ages = event.entry.has(Has::START) && !event.entry.has(Has::STOP);
    if !ages {
        let (again, part) = write(&event, format, length);
        assert_eq!(again, returned, "the length of the whole text");
        if let Some(room) = length.checked_sub(1) {
            let kept = room.min(text.len());
            assert!(part[..kept] == text.as_bytes()[..kept] && part[kept] == 0, "{length} bytes of {text}");
            assert!(part[kept + 1..].iter().all(|byte| *byte == FILL), "written beyond the NUL");
        }
        if event.r#type <= CT_EVENT_DESTROY {
            let shown = Format::from_bits_truncate(format & options) - Format::EVENT_TIME;
            let of_entry = if line { ctrack::line(&event.entry, shown) } else { json(&event.entry) };
            assert!(text.contains(&of_entry), "{text} has not {of_entry}");
        }
    }
    if line {
        let tag = ["[NEW]", "[UPDATE]", "[DESTROY]", "[LOST]", "[SYNCED]"][event.r#type as usize - 1];
        assert!(text.contains(tag), "{text}");
        vec!["line"]
    } else {
        assert!(text.starts_with("{\"event\":\"") && text.ends_with('}'), "{text}");
        assert!(text.contains(&format!("\"number\":{}", event.number)), "{text}");
        vec!["json"]
    }
}

/// The event as text in a buffer of a length.
fn write(event: &ct_event, format: u32, length: usize) -> (c_int, Vec<u8>) {
    let mut buffer = vec![FILL; length];
    // SAFETY: an event, and a buffer of this length.
    let returned = unsafe { ct_event_format(event, format, buffer.as_mut_ptr().cast(), length) };
    (returned, buffer)
}
