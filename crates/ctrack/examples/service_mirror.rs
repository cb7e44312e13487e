//! Deletes the flows of a UDP service that go to an endpoint which is gone, as a proxy for services must: a client that keeps its socket
//! would send to the dead endpoint for as long as it goes on sending.
//!
//! A watch mirrors the flows of the service. When endpoints change, nothing has to be listed: those that no live endpoint answers are
//! known, and are deleted by tuple and id. One that appears later still, since its first packet was under way by the old rules, is
//! deleted as soon as it is told.
//!
//! `service_mirror ADDRESS:PORT` reads the live endpoints from standard input, all of them on each line: `10.0.0.8:5353 10.0.0.9:5353`.
//! What is not understood changes nothing. It ends with the input.
//!
//! Without an argument it plays client and endpoints, too; run it behind `unshare -Urn`:
//!
//! ```text
//! live: 10.0.0.8:5353 10.0.0.9:5353
//! stale: 0 of 3
//! live: 10.0.0.9:5353
//! stale: 2 of 3; deleted 2, gone already 0, failed 0
//! stale: 1 of 2; deleted 1, gone already 0, failed 0
//! live: none
//! stale: 1 of 1; deleted 1, gone already 0, failed 0
//! ```

use ctrack::{presets, Change, Conntrack, Entry, Event, Filter, Has, Proto, Tuple, Watch, WatchOptions};
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{channel, TryRecvError};
use std::time::Duration;

type Endpoints = HashSet<SocketAddr>;

/// Who an entry is, as far as the end of one that was found tells. Its zones are in the tuple.
type Key = (Tuple, u32);

/// The flows of the service.
struct Mirror {
    conntrack: Conntrack,
    watch: Watch,
    flows: HashMap<Key, Entry>,
    /// `None`: nobody said which endpoints live, so that nothing is stale.
    live: Option<Endpoints>,
}

impl Mirror {
    fn new(filters: &[Filter]) -> Result<Mirror, ctrack::Error> {
        let watch = Watch::open(WatchOptions::new().with_sync(), filters)?;
        Ok(Mirror { conntrack: Conntrack::open()?, watch, flows: HashMap::new(), live: None })
    }

    /// Takes what happens within `timeout`, deletes what became stale by it, and says how many events that were.
    fn follow(&mut self, timeout: Option<Duration>) -> Result<usize, ctrack::Error> {
        let mut events = Vec::new();
        self.watch.next_batch(&mut events, 256, timeout)?;
        let appeared: Vec<Key> = events.iter().filter_map(|event| self.take(event)).collect();
        if appeared.iter().any(|key| self.flows.get(key).is_some_and(|flow| self.is_stale(flow))) {
            self.sweep()?;
        }
        Ok(events.len())
    }

    /// Mirrors an event. What appeared, or is another one now, is to be looked at.
    fn take(&mut self, event: &Event) -> Option<Key> {
        match event.change {
            Change::New(entry) | Change::Update(entry) => {
                let key = (entry.orig, entry.id);
                self.flows.insert(key, entry);
                Some(key)
            }
            Change::Destroy(entry) => {
                self.flows.remove(&(entry.orig, entry.id));
                None
            }
            // What was lost is told before the next `Synced`.
            _ => None,
        }
    }

    fn is_stale(&self, flow: &Entry) -> bool {
        self.live.as_ref().is_some_and(|live| !live.contains(&SocketAddr::new(flow.reply_src(), flow.reply.sport)))
    }

    fn set_live(&mut self, live: Endpoints) -> Result<(), ctrack::Error> {
        let mut names: Vec<String> = live.iter().map(SocketAddr::to_string).collect();
        names.sort();
        println!("live: {}", if names.is_empty() { "none".into() } else { names.join(" ") });
        self.live = Some(live);
        self.sweep()
    }

    /// Deletes what is stale. The mirror forgets it with its event.
    fn sweep(&mut self) -> Result<(), ctrack::Error> {
        let stale: Vec<Entry> = self.flows.values().filter(|flow| self.is_stale(flow)).map(name_of).collect();
        print!("stale: {} of {}", stale.len(), self.flows.len());
        if !stale.is_empty() {
            let outcome = self.conntrack.delete_entries(&stale)?.outcome;
            print!("; deleted {}, gone already {}, failed {}", outcome.done, outcome.gone, outcome.failed);
        }
        println!();
        Ok(())
    }
}

/// Both tuples, the zones and the id: a successor that has only some of them stays.
fn name_of(flow: &Entry) -> Entry {
    let who = Has::ORIG | Has::REPLY | Has::PORTS | Has::ID | Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE;
    let Entry { has, id, zone, family, proto, orig, reply, .. } = *flow;
    Entry { has: has & who, id, zone, family, proto, orig, reply, ..Entry::EMPTY }
}

fn follow_input(service: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut mirror = Mirror::new(&presets::changed_service(Proto::UDP, service, &[])?)?;
    let remote = mirror.watch.remote();
    let (lists, list) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            match line.split_whitespace().map(str::parse).collect::<Result<Endpoints, _>>() {
                Ok(live) => {
                    let _ = lists.send(live);
                    remote.wake();
                }
                Err(error) => eprintln!("service_mirror: {line}: {error}"),
            }
        }
        drop(lists);
        remote.wake();
    });
    loop {
        // Waking twice may end one wait only.
        match list.try_recv() {
            Ok(live) => mirror.set_live(live)?,
            Err(TryRecvError::Empty) => drop(mirror.follow(None)?),
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

/// Follows until so many flows are there.
fn wait_for(mirror: &mut Mirror, count: usize) -> Result<(), Box<dyn Error>> {
    while mirror.flows.len() != count {
        if mirror.follow(Some(Duration::from_secs(5)))? == 0 {
            return Err("nothing happens".into());
        }
    }
    Ok(())
}

/// A flow to the service that this endpoint answers.
fn flow(service: SocketAddr, sport: u16, endpoint: SocketAddr) -> Option<Entry> {
    let client = Ipv4Addr::new(10, 0, 0, 1).into();
    let answers = Entry::key(Proto::UDP, endpoint.ip(), endpoint.port(), client, sport)?;
    let mut flow = Entry::key(Proto::UDP, client, sport, service.ip(), service.port())?;
    flow.reply = answers.orig;
    flow.timeout = 600;
    flow.has |= Has::REPLY | Has::TIMEOUT;
    Some(flow)
}

fn demo() -> Result<(), Box<dyn Error>> {
    let service = "10.96.0.10:53".parse()?;
    let (first, second) = ("10.0.0.8:5353".parse()?, "10.0.0.9:5353".parse()?);
    let mut clients = Conntrack::open()?;
    if clients.count()? != 0 {
        return Err("there are entries already; run this in a network namespace of its own".into());
    }
    let mut send = |sport, endpoint| -> Result<(), Box<dyn Error>> {
        clients.create_entries(&[flow(service, sport, endpoint).ok_or("one family")?])?.into_result()?;
        Ok(())
    };
    // From now on new entries report what becomes of them, also where the kernel keeps silent while nobody listens.
    let mut mirror = Mirror::new(&presets::changed_service(Proto::UDP, service, &[])?)?;
    for (sport, endpoint) in [(40001, first), (40002, first), (40003, second)] {
        send(sport, endpoint)?;
    }
    wait_for(&mut mirror, 3)?;
    mirror.set_live([first, second].into())?;
    mirror.set_live([second].into())?;
    wait_for(&mut mirror, 1)?;
    // By the old rules.
    send(40004, first)?;
    wait_for(&mut mirror, 2)?;
    wait_for(&mut mirror, 1)?;
    mirror.set_live(Endpoints::new())?;
    wait_for(&mut mirror, 0)
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(service) => follow_input(service.parse()?),
        None => demo(),
    }
}
