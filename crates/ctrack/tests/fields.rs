//! Every field of an entry in its JSON, as its declaration says: there if the entry has it, and with its own value.

#[path = "support/json.rs"]
mod json;

use ctnetlink::fields::{Field, FIELDS};
use ctrack::*;
use std::collections::BTreeMap;

fn fields() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().copied().flatten()
}

const ZONES: Has = Has::ZONE.union(Has::ORIG_ZONE).union(Has::REPLY_ZONE);

/// The protocols under which a field has a member, and which one. A port of GRE is a key.
fn places(field: &Field) -> Vec<(Proto, String)> {
    let json = field.json.to_owned();
    match field.all {
        all if all.intersects(Has::TCP_STATE | Has::TCP_WSCALE | Has::TCP_FLAGS) => vec![(Proto::TCP, json)],
        all if all.intersects(Has::SCTP) => vec![(Proto::SCTP, json)],
        all if all.intersects(Has::DCCP) => vec![(Proto::DCCP, json)],
        all if all.intersects(Has::ICMP) => vec![(Proto::ICMP, json.clone()), (Proto::ICMPV6, json)],
        all if all.intersects(Has::PORTS) => {
            let key = json.replace("sport", "srckey").replace("dport", "dstkey");
            vec![(Proto::UDP, json), (Proto::GRE, key)]
        }
        _ => vec![(Proto::UDP, json)],
    }
}

fn members(entry: &Entry) -> BTreeMap<String, String> {
    json::flat(&ctrack::json(entry))
}

/// An entry with these bits, and no field set.
fn empty(proto: Proto, has: Has) -> Entry {
    Entry { has, family: Family::IPV4, proto, ..Entry::EMPTY }
}

#[test]
fn every_field_that_an_entry_has_is_the_member_that_its_declaration_names() {
    for field in fields() {
        for (proto, path) in places(field) {
            for has in field.ways().chain([Has::KNOWN]) {
                let before = empty(proto, has);
                let mut after = before;
                (field.set)(&mut after);
                // An entry has one zone, in the directions that its bits name; that of both directions is told once.
                let zoned = has.intersects(ZONES) && field.any.intersects(ZONES);
                if zoned {
                    after.zone = 7;
                    after.orig.zone = if has.intersects(Has::ZONE | Has::ORIG_ZONE) { 7 } else { 0 };
                    after.reply.zone = if has.intersects(Has::ZONE | Has::REPLY_ZONE) { 7 } else { 0 };
                }
                let path = if zoned && has == Has::ZONE { "zone" } else { &path };
                let (before, after) = (members(&before), members(&after));
                let changed: Vec<&str> = after
                    .iter()
                    .filter(|(name, value)| before.get(*name) != Some(value))
                    .map(|(name, _)| &**name)
                    .collect();
                let right = match path {
                    "" => changed.is_empty(),
                    // Beside that of the entry.
                    _ if zoned => changed.contains(&path),
                    _ => changed == [path],
                };
                assert!(
                    right,
                    "{} in an entry of {proto} with {has:?} shows in the members {changed:?}, and not in {path:?}: \
                     text/json.rs, or the declaration (ctnetlink's entry.rs)",
                    field.name
                );
            }
        }
    }
}

#[test]
fn a_field_that_an_entry_does_not_have_is_no_member() {
    for field in fields().filter(|field| !field.json.is_empty()) {
        for (proto, path) in places(field) {
            for bit in field.all.iter().chain((!field.any.is_empty()).then_some(field.any)) {
                let mut entry = empty(proto, Has::KNOWN.difference(bit));
                (field.set)(&mut entry);
                // The kernel leaves out zone 0, and a reader would have to know that.
                let wanted = (path == "zone").then_some("0");
                assert_eq!(
                    members(&entry).get(&path).map(String::as_str),
                    wanted,
                    "{} without {bit:?} has a member {path:?} all the same: text/json.rs",
                    field.name
                );
            }
        }
    }
}

#[test]
fn every_member_is_a_field_or_names_family_or_protocol() {
    for proto in Proto::ALL {
        for name in members(&empty(*proto, Has::KNOWN)).into_keys() {
            let always = ["family", "proto", "proto_name"].contains(&&*name);
            let of_a_field = fields().any(|field| places(field).iter().any(|(_, path)| *path == name));
            assert!(always || of_a_field, "no field is declared to be the member {name:?} (text/json.rs)");
        }
    }
}
