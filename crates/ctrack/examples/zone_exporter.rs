//! How many entries are in each zone, for Prometheus: kept by a watch, which lists the table once and then adds what changes. A scrape
//! costs nothing, however large the table is.
//!
//! `zone_exporter ADDRESS:PORT` serves `/metrics` there. Alarms belong on `conntrack_watch_synced`: while it is 0 events were lost, and the
//! numbers are being repaired.
//!
//! Without an argument it makes entries of its own and says what a scrape would be told; run it behind `unshare -Urn`:
//!
//! ```text
//! two flows in zone 7, one in none:
//! conntrack_entries{zone="0"} 1
//! conntrack_entries{zone="7"} 2
//! conntrack_watch_synced 1
//! conntrack_watch_lost_total 0
//! one more in zone 8, one less in zone 7:
//! conntrack_entries{zone="0"} 1
//! conntrack_entries{zone="7"} 1
//! conntrack_entries{zone="8"} 1
//! conntrack_watch_synced 1
//! conntrack_watch_lost_total 0
//! zone 7 is flushed:
//! conntrack_entries{zone="0"} 1
//! conntrack_entries{zone="7"} 0
//! conntrack_entries{zone="8"} 1
//! conntrack_watch_synced 1
//! conntrack_watch_lost_total 0
//! ```

use ctrack::{Change, Conntrack, Entry, Event, EventKind, Filter, Has, Proto, Watch, WatchOptions};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is told.
#[derive(Clone, Default)]
struct Numbers {
    /// Of each zone that ever had an entry.
    entries: BTreeMap<u32, u64>,
    synced: bool,
    lost: u64,
}

impl Numbers {
    /// An entry with a zone for one direction only counts in that zone.
    fn take(&mut self, event: &Event) {
        match event.change {
            Change::New(entry) => *self.entries.entry(entry.zone).or_default() += 1,
            // Of each entry it was told before that it is there.
            Change::Destroy(entry) => *self.entries.entry(entry.zone).or_default() -= 1,
            Change::Lost(count) => {
                self.synced = false;
                self.lost += count.unwrap_or(1);
            }
            Change::Synced => self.synced = true,
            _ => {}
        }
    }

    /// The text format of Prometheus.
    fn metrics(&self) -> String {
        let mut text = String::new();
        let mut metric = |name, kind, help, lines: Vec<String>| {
            let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
            for line in lines {
                let _ = writeln!(text, "{name}{line}");
            }
        };
        let entries = self.entries.iter().map(|(zone, count)| format!("{{zone=\"{zone}\"}} {count}")).collect();
        metric("conntrack_entries", "gauge", "Entries of the table, by zone", entries);
        let synced = vec![format!(" {}", u8::from(self.synced))];
        metric("conntrack_watch_synced", "gauge", "Whether the numbers add up to the kernel's table", synced);
        let lost = vec![format!(" {}", self.lost)];
        metric("conntrack_watch_lost_total", "counter", "Events that the kernel had no room for", lost);
        text
    }
}

/// Changes are of no interest here: entries stay in their zone.
fn watch() -> Result<Watch, ctrack::Error> {
    Watch::open(WatchOptions::new().with_sync().with_kinds([EventKind::New, EventKind::Destroy]), &[])
}

fn lock(numbers: &Mutex<Numbers>) -> MutexGuard<'_, Numbers> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one request, whatever it asks for. Who asks has a second.
fn answer(client: TcpStream, numbers: &Mutex<Numbers>) -> std::io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(1)))?;
    client.set_write_timeout(Some(Duration::from_secs(1)))?;
    for line in BufReader::new(&client).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let text = lock(numbers).metrics();
    let kind = "text/plain; version=0.0.4";
    write!(
        &client,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

fn serve(address: &str) -> Result<(), Box<dyn Error>> {
    let mut watch = watch()?;
    let listener = TcpListener::bind(address)?;
    let numbers = Arc::new(Mutex::new(Numbers::default()));
    let served = Arc::clone(&numbers);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            if let Err(error) = client.and_then(|client| answer(client, &served)) {
                eprintln!("zone_exporter: {error}");
            }
        }
    });
    let mut events = Vec::new();
    loop {
        watch.next_batch(&mut events, 256, None)?;
        let mut numbers = lock(&numbers);
        events.drain(..).for_each(|event| numbers.take(&event));
    }
}

/// Takes events until so many entries are there.
fn wait_for(watch: &mut Watch, numbers: &mut Numbers, count: u64) -> Result<(), Box<dyn Error>> {
    let mut events = Vec::new();
    while !numbers.synced || numbers.entries.values().sum::<u64>() != count {
        watch.next_batch(&mut events, 256, Some(Duration::from_secs(5)))?;
        if events.is_empty() {
            return Err("nothing happens".into());
        }
        events.drain(..).for_each(|event| numbers.take(&event));
    }
    Ok(())
}

/// What a scrape would be told, without the words.
fn show(what: &str, numbers: &Numbers) {
    println!("{what}:");
    numbers.metrics().lines().filter(|line| !line.starts_with('#')).for_each(|line| println!("{line}"));
}

fn flow(sport: u16, zone: u16) -> Option<Entry> {
    let (client, server) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 53));
    Some(Entry::key(Proto::UDP, client.into(), sport, server.into(), 53)?.in_zone(zone))
}

fn demo() -> Result<(), Box<dyn Error>> {
    let mut conntrack = Conntrack::open()?;
    if conntrack.count()? != 0 {
        return Err("there are entries already; run this in a network namespace of its own".into());
    }
    let make = |conntrack: &mut Conntrack, sport, zone| -> Result<(), Box<dyn Error>> {
        let key = flow(sport, zone).ok_or("one family")?;
        conntrack.create_entries(&[Entry { has: key.has | Has::TIMEOUT, timeout: 600, ..key }])?.into_result()?;
        Ok(())
    };
    let mut numbers = Numbers::default();
    // From now on new entries report what becomes of them, also where the kernel keeps silent while nobody listens.
    let mut watch = watch()?;
    for (sport, zone) in [(40001, 0), (40002, 7), (40003, 7)] {
        make(&mut conntrack, sport, zone)?;
    }
    wait_for(&mut watch, &mut numbers, 3)?;
    show("two flows in zone 7, one in none", &numbers);
    make(&mut conntrack, 40004, 8)?;
    wait_for(&mut watch, &mut numbers, 4)?;
    conntrack.delete_entries(&[flow(40002, 7).ok_or("one family")?])?.into_result()?;
    wait_for(&mut watch, &mut numbers, 3)?;
    show("one more in zone 8, one less in zone 7", &numbers);
    conntrack.flush(&Filter::new().with_zone(7))?.into_result()?;
    wait_for(&mut watch, &mut numbers, 2)?;
    show("zone 7 is flushed", &numbers);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(address) => serve(&address),
        None => demo(),
    }
}
