//! Messages of a layout that came before: the hot path of every dump.
//!
//! The entries of a table have few layouts, a dozen or two: which attributes, in which order, how long. A [`Decoder`] learns them:
//! the bytes of all headers of attributes, and where the values are. A message with the same length and the same headers is then
//! decoded by copying values; any other goes the general way ([`decode_entry`]), attribute by attribute. Both do the same, since
//! the general way takes its decisions by nothing but these headers: layouts where it also looks at values, those with the
//! name of a helper for example, are not learned.
//!
//! That nearly halves the time of the decoder as the library is built, for size; built for speed it halves it.

use super::attr::{align, Attrs};
use super::consts::*;
use super::decode::{decode_entry, event_time, place_zones};
use super::template::{self, Form};
use super::WireError;
use crate::types::*;
use alloc::vec::Vec;
use core::ops::Range;

/// Decodes entries, and remembers the layouts of their messages.
///
/// ```
/// use ctnetlink::message::first_message;
/// use ctnetlink::{Decoder, Entry};
/// # use ctnetlink::{buffer::Buffer, encode::put_create, Proto};
/// # let mut datagram = Buffer::new();
/// # for port in 1..=20 {
/// #     let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), port, [10, 0, 0, 8].into(), 53).expect("one family");
/// #     put_create(&mut datagram, 1, &key);
/// # }
/// // `datagram`: many messages, as a dump has them.
/// let mut rest = &datagram[..];
/// let (mut decoder, mut entry, mut count) = (Decoder::new(), Entry::EMPTY, 0);
/// while !rest.is_empty() {
///     let (message, next) = first_message(rest)?;
///     decoder.decode(message.payload, &mut entry)?;
///     count += 1;
///     rest = &rest[next..];
/// }
/// # assert_eq!((count, entry.orig.sport), (20, 20));
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    layouts: Vec<Layout>,
    /// By length and family: the number of the first layout, from 1 on.
    first: First,
    misses: u32,
}

/// Messages up to this length, with nfgenmsg, are learned: more than an entry with all that can be learned has.
const LONGEST: usize = 384;

/// More than a table has in practice, and twice that, since a DESTROY has other attributes than a NEW. (With 32, one event in ten of those
/// that the benchmarks make was decoded in the general way.)
const LAYOUTS: usize = if cfg!(miri) { 8 } else { 64 };

/// So many messages of unknown layout lead to one attempt to learn: most of what cannot be learned is decoded without one, and so
/// is the whole of a short dump.
const MISSES: u32 = 8;

/// So many begin anew, if there is no more room.
const MISSES_WHEN_FULL: u32 = 64;

#[derive(Debug)]
struct First([u8; LONGEST / 2]);

impl Default for First {
    fn default() -> Self {
        First([0; LONGEST / 2])
    }
}

impl First {
    /// Where a message of this length and family belongs. `None`: nowhere.
    #[inline(always)]
    fn slot(&mut self, payload: &[u8]) -> Option<&mut u8> {
        let family = usize::from(*payload.first()? == Family::IPV6.0);
        self.0.get_mut(payload.len() / 4 * 2 + family)
    }
}

impl Decoder {
    /// One that knows nothing yet.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// As [`decode_entry`], with the same result.
    #[inline]
    pub fn decode(&mut self, payload: &[u8], entry: &mut Entry) -> Result<(), WireError> {
        let Some(layout) = self.known(payload) else { return self.miss(payload, entry) };
        layout.copy(payload, entry);
        Ok(())
    }

    /// The same for an event, whose time comes back; 0 if the kernel gave none.
    #[inline]
    pub(crate) fn decode_with_time(&mut self, payload: &[u8], entry: &mut Entry) -> Result<u64, WireError> {
        let Some(layout) = self.known(payload) else {
            self.miss(payload, entry)?;
            return event_time(payload);
        };
        layout.copy(payload, entry);
        Ok(array(payload, layout.event_time).map_or(0, u64::from_be_bytes))
    }

    /// The layout of a message, if it was learned.
    #[inline(always)]
    fn known(&mut self, payload: &[u8]) -> Option<&Layout> {
        let mut next = self.first.slot(payload).map_or(0, |slot| *slot);
        loop {
            let layout = self.layouts.get(usize::from(next).wrapping_sub(1))?;
            if layout.is_of(payload) {
                return Some(layout);
            }
            next = layout.next;
        }
    }

    #[inline(never)]
    fn miss(&mut self, payload: &[u8], entry: &mut Entry) -> Result<(), WireError> {
        decode_entry(payload, entry)?;
        self.misses = self.misses.wrapping_add(1);
        let full = self.layouts.len() == LAYOUTS;
        if self.misses % if full { MISSES_WHEN_FULL } else { MISSES } != 0 {
            return Ok(());
        }
        if let Some(layout) = Layout::learn(payload, entry) {
            self.keep(layout, payload, entry);
        }
        Ok(())
    }

    /// Takes a layout that was learned from the message of this entry.
    fn keep(&mut self, mut layout: Layout, payload: &[u8], entry: &Entry) {
        // It must tell the same of that message.
        let mut again = Entry::EMPTY;
        layout.copy(payload, &mut again);
        if mutant!("layout-compared", again != *entry, false) {
            return;
        }
        if self.layouts.len() == LAYOUTS {
            self.layouts.clear();
            self.first = First::default();
        }
        if self.layouts.try_reserve_exact(LAYOUTS - self.layouts.len()).is_err() {
            // Slower, but as right.
            return;
        }
        if let Some(slot) = self.first.slot(payload) {
            layout.next = *slot;
            self.layouts.push(layout);
            *slot = self.layouts.len() as u8;
        }
    }
}

/// Where a value begins in a message.
type At = u16;

/// It is not in this layout, and zero in the entry.
const NOWHERE: At = At::MAX;

#[derive(Clone, Debug)]
struct Layout {
    length: usize,
    /// The bytes of the headers, and zero elsewhere.
    headers: [Block; LONGEST / STEP],
    /// All ones where a header is.
    mask: [Block; LONGEST / STEP],
    /// The same for the last bytes, of which some may be in no whole block.
    last_headers: Block,
    last_mask: Block,
    /// The number of another layout with this length and family.
    next: u8,
    has: Has,
    form: Form,
    orig: At,
    orig_zone: At,
    reply: At,
    reply_zone: At,
    status: At,
    timeout: At,
    mark: At,
    use_count: At,
    id: At,
    zone: At,
    tcp: At,
    orig_counters: At,
    reply_counters: At,
    start: At,
    stop: At,
    labels: At,
    /// Of no entry: [`Decoder::decode_with_time`] asks for it.
    event_time: At,
}

/// So many bytes are compared at once.
const STEP: usize = 32;
type Block = [u64; STEP / 8];

/// Zero if the bytes are these where the mask is set.
#[inline(always)]
fn difference(bytes: &[u8; STEP], headers: &Block, mask: &Block) -> u64 {
    let word = |at: usize| {
        let b = |n: usize| bytes[8 * at + n];
        u64::from_ne_bytes([b(0), b(1), b(2), b(3), b(4), b(5), b(6), b(7)])
    };
    let differ = |at: usize| (word(at) ^ headers[at]) & mask[at];
    differ(0) | differ(1) | differ(2) | differ(3)
}

impl Layout {
    /// The layout of a message of which this is the entry. `None`: it is not one that can be decoded by copying.
    fn learn(payload: &[u8], entry: &Entry) -> Option<Layout> {
        let length = payload.len();
        if length >= LONGEST {
            return None;
        }
        let mut bytes = Headers::new(payload);
        let mut layout = Layout::empty(length, entry.has);
        let mut form = None;
        for attr in attributes(payload, NFGENMSG_LEN..length) {
            let (kind, value) = attr?;
            bytes.cover(value.start - 4);
            let (field, wanted) = match kind {
                CTA_TUPLE_ORIG | CTA_TUPLE_REPLY => {
                    let shape = Form::of(entry.family, payload.get(value.clone())?)?;
                    if *form.get_or_insert(shape) != shape {
                        return None;
                    }
                    bytes.cover_all(value.start, shape.headers());
                    let (tuple, zone) = match kind {
                        CTA_TUPLE_ORIG => (&mut layout.orig, &mut layout.orig_zone),
                        _ => (&mut layout.reply, &mut layout.reply_zone),
                    };
                    for attr in attributes(payload, value.start + shape.length()..value.end) {
                        let (kind, value) = attr?;
                        bytes.cover(value.start - 4);
                        if kind != CTA_TUPLE_ZONE {
                            return None;
                        }
                        place(zone, value, 2)?;
                    }
                    (tuple, value.len())
                }
                CTA_STATUS => (&mut layout.status, 4),
                CTA_TIMEOUT => (&mut layout.timeout, 4),
                CTA_MARK => (&mut layout.mark, 4),
                CTA_USE => (&mut layout.use_count, 4),
                CTA_ID => (&mut layout.id, 4),
                CTA_ZONE => (&mut layout.zone, 2),
                CTA_LABELS => (&mut layout.labels, 16),
                CTA_TIMESTAMP_EVENT => (&mut layout.event_time, 8),
                CTA_PROTOINFO => {
                    template::tcp(payload.get(value.clone())?)?;
                    bytes.cover_all(value.start, &template::TCP_HEADERS);
                    (&mut layout.tcp, template::TCP_LEN)
                }
                CTA_COUNTERS_ORIG | CTA_COUNTERS_REPLY => {
                    template::counters(payload.get(value.clone())?)?;
                    bytes.cover_all(value.start, &template::COUNTERS_HEADERS);
                    let orig = kind == CTA_COUNTERS_ORIG;
                    (if orig { &mut layout.orig_counters } else { &mut layout.reply_counters }, template::COUNTERS_LEN)
                }
                CTA_TIMESTAMP => {
                    for attr in attributes(payload, value) {
                        let (kind, value) = attr?;
                        bytes.cover(value.start - 4);
                        match kind {
                            CTA_TIMESTAMP_START => place(&mut layout.start, value, 8)?,
                            CTA_TIMESTAMP_STOP => place(&mut layout.stop, value, 8)?,
                            _ => return None,
                        }
                    }
                    continue;
                }
                // Of these an entry has nothing but that they are there.
                CTA_SYNPROXY | CTA_SECCTX => {
                    for attr in attributes(payload, value) {
                        bytes.cover(attr?.1.start - 4);
                    }
                    continue;
                }
                // These are looked into, or of another length each time.
                CTA_HELP | CTA_TUPLE_MASTER | CTA_SEQ_ADJ_ORIG | CTA_SEQ_ADJ_REPLY => return None,
                // Nobody knows what that is: it is passed over.
                _ => continue,
            };
            place(field, value, wanted)?;
        }
        layout.form = form?;
        bytes.put_into(&mut layout);
        Some(layout)
    }

    fn empty(length: usize, has: Has) -> Layout {
        Layout {
            length,
            headers: [[0; STEP / 8]; LONGEST / STEP],
            mask: [[0; STEP / 8]; LONGEST / STEP],
            last_headers: [0; STEP / 8],
            last_mask: [0; STEP / 8],
            next: 0,
            has,
            form: Form::V4,
            orig: NOWHERE,
            orig_zone: NOWHERE,
            reply: NOWHERE,
            reply_zone: NOWHERE,
            status: NOWHERE,
            timeout: NOWHERE,
            mark: NOWHERE,
            use_count: NOWHERE,
            id: NOWHERE,
            zone: NOWHERE,
            tcp: NOWHERE,
            orig_counters: NOWHERE,
            reply_counters: NOWHERE,
            start: NOWHERE,
            stop: NOWHERE,
            labels: NOWHERE,
            event_time: NOWHERE,
        }
    }

    /// Whether a message has this layout.
    #[inline(always)]
    fn is_of(&self, payload: &[u8]) -> bool {
        let (Some(last), true) = (payload.last_chunk(), payload.len() == self.length) else {
            return false;
        };
        let mut differ = difference(last, &self.last_headers, &self.last_mask);
        for ((bytes, headers), mask) in payload.chunks_exact(STEP).zip(&self.headers).zip(&self.mask) {
            differ |= bytes.first_chunk().map_or(0, |bytes| difference(bytes, headers, mask));
        }
        mutant!("layout-headers", differ == 0, true)
    }

    /// Makes the entry of a message that has this layout.
    #[inline(never)]
    fn copy(&self, payload: &[u8], entry: &mut Entry) {
        let word = |at| array(payload, at).map_or(0, u32::from_be_bytes);
        let half = |at| array(payload, at).map_or(0, |bytes| u32::from(u16::from_be_bytes(bytes)));
        let time = |at| array(payload, at).map_or(0, u64::from_be_bytes);
        *entry = Entry {
            has: self.has,
            id: word(self.id),
            status: Status::from_bits_retain(word(self.status)),
            mark: word(self.mark),
            timeout: word(self.timeout),
            use_count: word(self.use_count),
            zone: half(self.zone),
            family: self.form.family(),
            start_ns: time(self.start),
            stop_ns: time(self.stop),
            labels: array(payload, self.labels).unwrap_or_default(),
            ..Entry::EMPTY
        };
        let from = |at| payload.get(usize::from(at)..).unwrap_or_default();
        entry.proto = self.form.read(from(self.orig), &mut entry.orig).unwrap_or_default();
        self.form.read(from(self.reply), &mut entry.reply);
        (entry.orig.zone, entry.reply.zone) = (half(self.orig_zone), half(self.reply_zone));
        if let Some(tcp) = array(payload, self.tcp) {
            template::read_tcp(&tcp, entry);
        }
        for (at, counters) in
            [(self.orig_counters, &mut entry.orig_counters), (self.reply_counters, &mut entry.reply_counters)]
        {
            if let Some(value) = array(payload, at) {
                *counters = template::read_counters(&value);
            }
        }
        place_zones(entry);
    }
}

/// The bytes at a place. `None`: it is [`NOWHERE`].
#[inline(always)]
fn array<const N: usize>(payload: &[u8], at: At) -> Option<[u8; N]> {
    payload.get(usize::from(at)..)?.first_chunk().copied()
}

/// Sets where a value of this length is. `None`: it has another length, or is there twice.
fn place(field: &mut At, value: Range<usize>, length: usize) -> Option<()> {
    if *field != NOWHERE || value.len() != length {
        return None;
    }
    *field = At::try_from(value.start).ok()?;
    Some(())
}

/// The attributes in a part of a message, each with the place of its value; `None` for what is not well-formed.
struct Walk<'a> {
    payload: &'a [u8],
    part: Range<usize>,
}

fn attributes(payload: &[u8], part: Range<usize>) -> Walk<'_> {
    Walk { payload, part }
}

impl Iterator for Walk<'_> {
    type Item = Option<(u16, Range<usize>)>;

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.payload.get(self.part.clone()).unwrap_or_default();
        let attr = Attrs::new(rest, "the entry").next()?.ok();
        Some(attr.map(|attr| {
            let start = self.part.start + 4;
            let end = start + attr.value.len();
            self.part.start = align(end).min(self.part.end);
            (attr.kind, start..end)
        }))
    }
}

/// Which bytes of a message are headers of attributes, or say the family.
struct Headers<'a> {
    payload: &'a [u8],
    mask: [u8; LONGEST],
}

impl<'a> Headers<'a> {
    fn new(payload: &'a [u8]) -> Headers<'a> {
        let mut mask = [0; LONGEST];
        mask[0] = u8::MAX;
        Headers { payload, mask }
    }

    fn cover(&mut self, at: usize) {
        if let Some(header) = self.mask.get_mut(at..at + 4) {
            header.fill(u8::MAX);
        }
    }

    fn cover_all(&mut self, start: usize, places: &[usize]) {
        for place in places {
            self.cover(start + place);
        }
    }

    fn put_into(&self, layout: &mut Layout) {
        let mut headers = [0; LONGEST];
        for ((header, byte), mask) in headers.iter_mut().zip(self.payload).zip(self.mask) {
            *header = byte & mask;
        }
        let block = |bytes: &[u8], at: usize| {
            let mut words = [0; STEP / 8];
            for (word, bytes) in words.iter_mut().zip(bytes.get(at..).unwrap_or_default().chunks_exact(8)) {
                *word = bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
            }
            words
        };
        for n in 0..LONGEST / STEP {
            layout.headers[n] = block(&headers, STEP * n);
            layout.mask[n] = block(&self.mask, STEP * n);
        }
        let last = self.payload.len().saturating_sub(STEP);
        layout.last_headers = block(&headers, last);
        layout.last_mask = block(&self.mask, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Buffer;
    use crate::encode::put_create;

    /// What the kernel would send of such an entry, nearly.
    fn payload(entry: &Entry) -> Vec<u8> {
        let mut message = Buffer::new();
        put_create(&mut message, 1, entry);
        message[NLMSG_HEADER_LEN..].to_vec()
    }

    fn entry(proto: Proto, mark: u32, zone: u16) -> Entry {
        let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let key = match proto {
            Proto::ICMP => Entry::icmp_key(src, dst, 8, 0, 77),
            _ => Entry::key(proto, src, 1024 + mark as u16, dst, 53),
        };
        let mut entry = key.unwrap_or_default().in_zone(zone);
        entry.has |= Has::TIMEOUT | Has::MARK;
        (entry.timeout, entry.mark) = (600, mark);
        entry
    }

    fn decoded(decoder: &mut Decoder, entry: &Entry) -> Entry {
        let mut decoded = Entry::EMPTY;
        assert_eq!(decoder.decode(&payload(entry), &mut decoded), Ok(()));
        decoded
    }

    #[test]
    fn a_layout_is_learned_once_and_then_known() {
        let mut decoder = Decoder::new();
        for mark in 0..100 {
            let made = entry(Proto::UDP, mark, 7);
            let got = decoded(&mut decoder, &made);
            assert_eq!((got.mark, got.zone, got.orig, got.timeout), (mark, 7, made.orig, 600));
            assert_eq!(decoder.layouts.len(), usize::from(mark + 1 >= MISSES));
        }
        assert_eq!(decoder.misses, MISSES);
        assert!(decoder.layouts[0].is_of(&payload(&entry(Proto::UDP, 1, 1))));
        assert!(!decoder.layouts[0].is_of(&payload(&entry(Proto::UDP, 1, 0))));
    }

    #[test]
    fn layouts_of_the_same_length_are_told_apart() {
        let mut decoder = Decoder::new();
        // Type and code of ICMP are as long as two words less of the other one.
        let icmp = entry(Proto::ICMP, 1, 0);
        let mut udp = entry(Proto::UDP, 1, 9);
        udp.has |= Has::STATUS;
        assert_eq!(payload(&icmp).len(), payload(&udp).len());
        for _ in 0..2 * MISSES + 1 {
            assert_eq!(decoded(&mut decoder, &icmp).orig.icmp_id, 77);
            assert_eq!(decoded(&mut decoder, &udp).orig.dport, 53);
        }
        for entry in [&icmp, &udp] {
            assert_eq!(decoder.layouts.iter().filter(|layout| layout.is_of(&payload(entry))).count(), 1);
        }
    }

    #[test]
    fn what_the_general_decoder_looks_into_is_not_learned() {
        let mut decoder = Decoder::new();
        let mut helped = entry(Proto::TCP, 1, 0);
        helped.has |= Has::HELPER;
        helped.helper[0] = b'x' as core::ffi::c_char;
        for _ in 0..5 * MISSES {
            assert_eq!(decoded(&mut decoder, &helped).helper().as_deref(), Some("x"));
        }
        assert_eq!(decoder.layouts.len(), 0);
    }

    #[test]
    fn a_layout_that_tells_something_else_than_its_message_is_not_kept() {
        let (payload, mut entry) = (payload(&entry(Proto::TCP, 7, 3)), Entry::EMPTY);
        decode_entry(&payload, &mut entry).unwrap();
        let right = Layout::learn(&payload, &entry).unwrap();
        let wrong = Layout { mark: right.timeout, ..right.clone() };
        let mut decoder = Decoder::new();
        decoder.keep(wrong, &payload, &entry);
        assert!(decoder.layouts.is_empty());
        decoder.keep(right, &payload, &entry);
        assert_eq!(decoder.layouts.len(), 1);
    }

    #[test]
    fn a_full_memory_begins_anew() {
        let mut decoder = Decoder::new();
        let plain = payload(&entry(Proto::UDP, 1, 0));
        let mut counts = Vec::new();
        for number in 200..203 + LAYOUTS as u16 {
            // An unknown attribute makes another layout of it.
            let mut message = plain.clone();
            message.extend([4u16.to_ne_bytes(), number.to_ne_bytes()].concat());
            let tries = if decoder.layouts.len() == LAYOUTS { MISSES_WHEN_FULL } else { MISSES };
            for _ in 0..tries {
                let mut entry = Entry::EMPTY;
                assert_eq!(decoder.decode(&message, &mut entry), Ok(()), "{number}");
            }
            assert!(decoder.layouts.iter().any(|layout| layout.is_of(&message)), "{number}");
            counts.push(decoder.layouts.len());
        }
        assert!(counts.into_iter().eq((1..=LAYOUTS).chain(1..=3)));
    }
}
