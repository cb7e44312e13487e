//! What the kernel does with requests, as far as the library relies on it: a small conntrack table behind a
//! [`Script`](super::transport::Script). Its messages are those of `wire`.

pub use super::wire::*;

use super::transport::{Event, PORT};
use ctrack::*;
use std::sync::{Arc, Mutex};

#[path = "filtering.rs"]
pub mod filtering;

use filtering::{has_filter, Honours, Wanted};

/// A message in answer to a request.
pub fn reply(request: &Request, kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    message(kind, flags, request.seq, PORT, payload)
}

/// An NLMSG_ERROR as it is with NETLINK_CAP_ACK; 0 is success.
pub fn ack(request: &Request, errno: i32) -> Vec<u8> {
    ack_with(request, errno, &[])
}

/// The same with extended-ack attributes.
pub fn ack_with(request: &Request, errno: i32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = (-errno).to_ne_bytes().to_vec();
    payload.extend(u32::try_from(16 + request.payload.len()).unwrap().to_ne_bytes());
    payload.extend(request.kind.to_ne_bytes());
    payload.extend(request.flags.to_ne_bytes());
    payload.extend(request.seq.to_ne_bytes());
    payload.extend(request.port.to_ne_bytes());
    payload.extend(attributes.concat());
    reply(request, NLMSG_ERROR, if attributes.is_empty() { F_CAPPED } else { F_CAPPED | F_ACK_TLVS }, &payload)
}

pub fn done(request: &Request, errno: i32) -> Vec<u8> {
    reply(request, NLMSG_DONE, F_MULTI, &(-errno).to_ne_bytes())
}

pub fn entry_message(request: &Request, entry: &Entry) -> Vec<u8> {
    reply(request, NEW, F_MULTI, &encode(entry))
}

pub fn stats(request: &Request, count: u32) -> Vec<u8> {
    let payload = [vec![0; 4], attr(1, &count.to_be_bytes()), attr(2, &262_144u32.to_be_bytes())].concat();
    reply(request, GET_STATS, 0, &payload)
}

pub fn datagram(messages: &[Vec<u8>]) -> Event {
    Event::Datagram(messages.concat())
}

/// A table that answers as the kernel does.
#[derive(Clone)]
pub struct Table {
    entries: Arc<Mutex<Vec<Entry>>>,
    honours: Honours,
    /// How many entries it says to have more than it has.
    more: u32,
}

impl Table {
    /// One of the oldest kernel: nothing but a family limits a dump, and a tuple in a DELETE is always a key.
    pub fn new(entries: &[Entry]) -> Table {
        Table::of(Honours::default(), entries)
    }

    /// One of a kernel that filters by more.
    pub fn of(honours: Honours, entries: &[Entry]) -> Table {
        Table { entries: Arc::new(Mutex::new(entries.to_vec())), honours, more: 0 }
    }

    /// Says that it has so many entries more than it has: what is worth a look at the kernel depends on the number.
    pub fn claiming(self, more: u32) -> Table {
        Table { more, ..self }
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// Removes or replaces entries behind the library's back.
    pub fn change(&self, change: impl FnOnce(&mut Vec<Entry>)) {
        change(&mut self.entries.lock().unwrap());
    }

    /// Runs the messages of a datagram in order.
    pub fn answer(&self, requests: &[Request]) -> Vec<Event> {
        requests.iter().flat_map(|request| self.run(request)).collect()
    }

    fn run(&self, request: &Request) -> Vec<Event> {
        assert_ne!(request.flags & F_REQUEST, 0, "the kernel acknowledges such a message and does nothing");
        let mut events = Vec::new();
        let errno = match request.kind {
            GET_STATS => {
                let count = u32::try_from(self.entries().len()).unwrap() + self.more;
                events.push(datagram(&[stats(request, count)]));
                0
            }
            GET if request.flags & F_DUMP != 0 => return self.dump(request),
            GET if lacks_ports(request) => libc::EINVAL,
            GET => match self.find(request) {
                Some(at) => {
                    events.push(datagram(&[entry_message(request, &self.entries()[at])]));
                    0
                }
                None => libc::ENOENT,
            },
            // Two places of a counter are enough to see what is added up.
            ZERO => match self.find(request) {
                Some(at) => {
                    events.push(datagram(&[entry_message(request, &self.entries()[at])]));
                    self.change(|entries| entries[at].orig_counters = Counters::default());
                    0
                }
                None => libc::ENOENT,
            },
            DELETE => self.delete(request),
            NEW if request.flags & F_CREATE != 0 => self.create(request),
            NEW => self.update(request),
            other => panic!("a request of type {other:#x}"),
        };
        if errno != 0 || request.flags & F_ACK != 0 {
            events.push(datagram(&[ack(request, errno)]));
        }
        events
    }

    fn dump(&self, request: &Request) -> Vec<Event> {
        let filter = match Wanted::read(self.honours, request) {
            Ok(filter) if self.honours.refuses && filter.is_more_than_family() => Err(libc::EOPNOTSUPP),
            read => read,
        };
        let filter = match filter {
            Ok(filter) => filter,
            Err(errno) => return vec![datagram(&[ack(request, errno)])],
        };
        let wanted: Vec<Entry> = self.entries().into_iter().filter(|entry| filter.lets_through(entry)).collect();
        let mut events: Vec<Event> = wanted
            .chunks(100)
            .map(|chunk| datagram(&chunk.iter().map(|entry| entry_message(request, entry)).collect::<Vec<_>>()))
            .collect();
        events.push(datagram(&[done(request, 0)]));
        events
    }

    /// The look-up of the kernel: the tuple in either direction, the direction does not count; the newest entry is first in its
    /// chain. A zone that comes in the tuple is one for its direction, and the other direction is then in zone 0.
    fn find(&self, request: &Request) -> Option<usize> {
        let asked = parse_key(&request.payload);
        let (proto, tuple, zone) = asked.tuple?;
        let zone_in = |by_reply: bool| match asked.tuple_zone {
            Some(_) if by_reply != asked.by_reply => 0,
            _ => u32::from(zone),
        };
        self.entries.lock().unwrap().iter().rposition(|entry| {
            (entry.family.0, entry.proto) == (request.payload[0], proto)
                && [(entry.orig, false), (entry.reply, true)].iter().any(|(candidate, by_reply)| {
                    tuple == Tuple { zone: 0, ..*candidate } && zone_in(*by_reply) == zone_of(entry, *by_reply)
                })
        })
    }

    fn delete(&self, request: &Request) -> i32 {
        if self.honours.flush && has_filter(request) {
            return match Wanted::read(self.honours, request) {
                Ok(filter) => {
                    self.change(|entries| entries.retain(|entry| !filter.lets_through(entry)));
                    0
                }
                Err(errno) => errno,
            };
        }
        let asked = parse_key(&request.payload);
        if asked.tuple.is_none() {
            self.change(Vec::clear);
            return 0;
        }
        // The id is compared with what the look-up found, and is no part of it.
        let found = self.find(request).filter(|&at| asked.id.is_none_or(|id| id == self.entries()[at].id));
        match found {
            Some(at) => {
                self.change(|entries| {
                    entries.remove(at);
                });
                0
            }
            None => libc::ENOENT,
        }
    }

    /// An update of what tests look at, with the refusals that ctnetlink_change_status() has.
    fn update(&self, request: &Request) -> i32 {
        let Some(at) = self.find(request) else {
            return libc::ENOENT;
        };
        let mut values = Entry::EMPTY;
        for (kind, value) in attrs(&request.payload[4..]) {
            let word = || u32::from_be_bytes(value.as_slice().try_into().unwrap());
            match kind & !NESTED {
                3 => (values.has, values.status) = (values.has | Has::STATUS, Status::from_bits_retain(word())),
                7 => (values.has, values.timeout) = (values.has | Has::TIMEOUT, word()),
                8 => (values.has, values.mark) = (values.has | Has::MARK, word()),
                _ => {}
            }
        }
        let mut errno = 0;
        self.change(|entries| {
            let entry = &mut entries[at];
            if values.has(Has::TIMEOUT) {
                entry.timeout = values.timeout;
            }
            const KEPT: Status = Status::CONFIRMED.union(Status::SEEN_REPLY).union(Status::ASSURED);
            if values.has(Has::STATUS) && (entry.status & !values.status).intersects(KEPT) {
                errno = libc::EBUSY;
                return;
            }
            entry.status |= values.status & (KEPT | Status::FIXED_TIMEOUT);
            if values.has(Has::MARK) {
                entry.mark = values.mark;
            }
        });
        errno
    }

    fn create(&self, request: &Request) -> i32 {
        if self.find(request).is_some() {
            return libc::EEXIST;
        }
        let mut entry = Entry::EMPTY;
        ctnetlink::decode_entry(&request.payload, &mut entry).expect("a new entry that makes sense");
        entry.has |= Has::ID;
        entry.id = 1000 + request.seq;
        self.change(|entries| entries.push(entry));
        0
    }
}

fn zone_of(entry: &Entry, by_reply: bool) -> u32 {
    let bit = if by_reply { Has::REPLY_ZONE } else { Has::ORIG_ZONE };
    if entry.has(Has::ZONE) || entry.has(bit) {
        entry.zone
    } else {
        0
    }
}
