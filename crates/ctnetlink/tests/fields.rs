//! Every field of an entry, as its declaration says: announced, decoded, encoded. What is missing somewhere is named.

#[allow(dead_code, reason = "shared with other tests")]
#[path = "support/wire.rs"]
mod wire;

use bitflags::Flags;
use ctnetlink::buffer::Buffer;
use ctnetlink::encode::{put_create, put_delete, put_update, Name};
use ctnetlink::fields::{Field, Within, FIELDS};
use ctnetlink::types::*;
use ctnetlink::{decode_entry, Decoder};

fn fields() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().copied().flatten()
}

#[test]
fn every_byte_of_an_entry_belongs_to_one_field_of_the_table() {
    let mut owners = vec![Vec::new(); size_of::<Entry>()];
    let reserved = std::mem::offset_of!(Entry, reserved);
    let always = [("has", 0, 8), ("family", 32, 1), ("proto", 33, 1), ("reserved", reserved, owners.len() - reserved)];
    for (name, offset, size) in fields().map(|field| (field.name, field.offset, field.size)).chain(always) {
        owners[offset..offset + size].iter_mut().for_each(|owners| owners.push(name));
    }
    for (at, owners) in owners.iter().enumerate() {
        assert_eq!(owners.len(), 1, "byte {at} of an entry belongs to {owners:?}");
    }
}

#[test]
fn every_bit_of_has_announces_a_field_or_says_more_of_one() {
    for flag in Has::FLAGS.iter().filter(|flag| flag.is_named()) {
        assert!(
            Has::KNOWN.contains(*flag.value()),
            "Has::{} announces no field: name it in the declaration of Entry (entry.rs), or in WITHOUT_A_FIELD (flags.rs)",
            flag.name()
        );
    }
    let named = Has::FLAGS.iter().filter(|flag| flag.is_named()).fold(Has::empty(), |all, flag| all | *flag.value());
    assert_eq!(named, Has::KNOWN);
}

#[test]
fn every_field_without_its_bit_is_named_and_with_it_let_through() {
    for field in fields() {
        let mut entry = Entry::EMPTY;
        (field.set)(&mut entry);
        assert!((field.is_set)(&entry), "{}", field.name);
        // A zone of one direction is that of the entry too.
        let named = [Some(field.name), Some("zone")];
        for way in field.ways() {
            for bit in way.iter() {
                entry.has = Has::KNOWN.difference(field.any).difference(bit);
                let found = entry.unannounced();
                assert!(named.contains(&found), "{} without {bit:?}: {found:?}", field.name);
            }
            entry.has = way;
            assert_eq!(entry.unannounced(), None, "{} with {way:?}", field.name);
        }
    }
}

/// An entry of this field's protocol that has all other fields of the same bits, with this one or without.
fn with(field: &Field, is_there: bool) -> Entry {
    let icmp = field.all.intersects(Has::ICMP);
    let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let proto = match field.all {
        has if has.intersects(Has::TCP_STATE | Has::TCP_WSCALE | Has::TCP_FLAGS) => Proto::TCP,
        has if has.intersects(Has::SCTP) => Proto::SCTP,
        has if has.intersects(Has::DCCP) => Proto::DCCP,
        _ => Proto::UDP,
    };
    let key = if icmp { Entry::icmp_key(src, dst, 8, 0, 9) } else { Entry::key(proto, src, 1, dst, 2) };
    let mut entry = key.unwrap();
    entry.has |= Has::REPLY | Has::TIMEOUT;
    entry.timeout = 9;
    entry.reply = Tuple { src: entry.orig.dst, dst: entry.orig.src, sport: 2, dport: 1, ..entry.orig };
    if icmp {
        (entry.reply.sport, entry.reply.dport) = (0, 0);
    }
    if let (Some(way), true) = (field.ways().last(), is_there) {
        entry.has |= way;
        if way.intersects(Has::MARK_MASK) {
            entry.has |= Has::MARK;
        }
        (field.set)(&mut entry);
        if way.intersects(Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE) {
            entry.zone = 7;
            entry.orig.zone = if way.intersects(Has::ZONE | Has::ORIG_ZONE) { 7 } else { 0 };
            entry.reply.zone = if way.intersects(Has::ZONE | Has::REPLY_ZONE) { 7 } else { 0 };
        }
    }
    entry
}

#[test]
fn every_field_that_the_kernel_lists_is_decoded_with_and_without_a_known_layout() {
    for field in fields() {
        let given = with(field, true);
        let payload = wire::encode(&given);
        let mut entry = Entry::EMPTY;
        decode_entry(&payload, &mut entry).unwrap();
        if !field.within.contains(Within::LIST) {
            assert!(!(field.is_set)(&entry), "{} is decoded, and is not listed", field.name);
            continue;
        }
        assert!(
            (field.is_set)(&entry),
            "{} is listed, and gets lost: in decode.rs, or in the kernel of the tests (support/wire.rs)",
            field.name
        );
        assert_eq!(entry, given, "{}", field.name);
        let (mut decoder, mut again) = (Decoder::new(), Entry::EMPTY);
        for _ in 0..20 {
            decoder.decode(&payload, &mut again).unwrap();
            assert_eq!(again, entry, "{}: layout.rs", field.name);
        }
    }
}

#[test]
fn every_request_has_the_fields_that_it_should_and_no_other() {
    for field in fields() {
        let (without, with) = (with(field, false), with(field, true));
        type Put = fn(&mut Buffer, &Entry, &Entry);
        let requests: [(Within, Put); 3] = [
            (Within::CREATE, |buffer, _, entry| put_create(buffer, 1, entry)),
            (Within::UPDATE, |buffer, key, entry| put_update(buffer, 1, key, Name::ORIG, entry)),
            (Within::KEY, |buffer, _, entry| put_delete(buffer, 1, entry, Name::ORIG)),
        ];
        for (message, put) in requests {
            let bytes = |entry: &Entry| {
                let mut buffer = Buffer::new();
                put(&mut buffer, &without, entry);
                buffer.to_vec()
            };
            // Without its bit it must not matter; mark_mask is nothing without a mark.
            let differs = bytes(&without) != bytes(&with);
            let marked = field.all == Has::MARK_MASK && message == Within::CREATE;
            let named = field.name.starts_with("orig.") || field.name.starts_with("reply.") || field.name == "zone";
            // The kernel does not compare the start of an entry: ctrack does.
            let started = field.name == "start_ns";
            if !named && !marked && !started {
                assert_eq!(
                    differs,
                    field.within.contains(message),
                    "{} in a request to {message:?}: see encode.rs",
                    field.name
                );
            }
        }
    }
}
