//! Deletes by filter while others create and delete as fast as they can, and while the hash table is resized: nothing outside
//! the filter is lost, nothing that was there all the time and matched survives. An independent program (tests/race/watch.c)
//! sees through the kernel's destroy events who deleted what.

mod common;
use common::*;
use ctrack::seams::{Known, NetlinkSocket, Received, Transport};
use ctrack::*;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

/// Marks: entries that are there all the time and stay, or are to go; entries that come and go.
const STAYS: u32 = 1;
const GOES: u32 = 2;
const COMES_AND_GOES: u32 = 3;
const MANY: u16 = 10_000;

/// Milliseconds between two changes of the hash table's size. Every disturbed try makes it longer: where a dump takes longer than
/// that, because the machine has other work, none would ever be undisturbed.
static PAUSE: AtomicU64 = AtomicU64::new(200);

/// The independent witness.
struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start() -> Watch {
        static PROGRAM: OnceLock<String> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| {
            let program = format!("{}/watch-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/race/watch.c");
            let built =
                Command::new("cc").args(["-std=c99", "-O1", "-Wall", "-Werror", "-o", &program, source]).status();
            assert!(built.unwrap().success());
            program
        });
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        lines.read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        Watch { child, lines }
    }

    /// Port of the requester (0: the kernel itself), mark, how many.
    fn finish(mut self) -> Vec<(u32, u32, u64)> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.lines.read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success());
        let text = text.strip_suffix("end\n").expect("the watcher came to its end");
        let pair = |line: &str| match line.split(' ').map(|word| word.parse().unwrap()).collect::<Vec<u64>>()[..] {
            [port, mark, count] => (port as u32, mark as u32, count),
            _ => panic!("{line}"),
        };
        text.lines().map(pair).collect()
    }
}

/// A socket that tells its port, so that the watcher's lines can be told apart.
struct Named {
    socket: NetlinkSocket,
    port: &'static AtomicU32,
}

impl Transport for Named {
    fn send(&mut self, datagram: &[u8]) -> std::io::Result<()> {
        self.port.store(self.socket.port(), Ordering::SeqCst);
        self.socket.send(datagram)
    }
    fn recv(&mut self, buffer: &mut [u8], deadline: std::time::Instant) -> std::io::Result<Received> {
        self.socket.recv(buffer, deadline)
    }
    fn port(&self) -> u32 {
        self.socket.port()
    }
    fn reset(&mut self) -> std::io::Result<()> {
        self.socket.reset()
    }
    fn netns(&self) -> NetnsName {
        self.socket.netns()
    }
    fn buckets(&mut self) -> Option<u64> {
        self.socket.buckets()
    }
    fn known(&self) -> Option<&'static Known> {
        self.socket.known()
    }
}

fn stable(mark: u32, n: u16) -> Entry {
    // Both kinds share addresses and ports and differ in zone and mark only, or in one address.
    let source = if mark == GOES { "10.0.0.1" } else { "10.0.1.1" };
    let entry = udp(source, n, "10.9.9.9", 53);
    lasting(marked(entry, mark)).in_zone(if mark == GOES { 7 } else { 0 })
}

/// Creates and deletes until told to stop. Returns the ports it deleted from.
fn churn(stop: &AtomicBool) -> u64 {
    let mut conntrack = Conntrack::open().unwrap();
    let mut rounds = 0;
    while !stop.load(Ordering::SeqCst) {
        // In the filter's zone and network, and outside of them.
        let coming: Vec<Entry> = (1..=512u16)
            .map(|n| {
                let source = if n % 2 == 0 { "10.0.0.2" } else { "10.0.1.2" };
                let zone = if n % 3 == 0 { 7 } else { 5 };
                lasting(marked(udp(source, n, "10.9.9.9", 53), COMES_AND_GOES)).in_zone(zone)
            })
            .collect();
        let _ = conntrack.create_entries(&coming).unwrap();
        let _ = conntrack.delete_entries(&coming).unwrap();
        rounds += 1;
    }
    rounds
}

/// Puts the number of buckets back, whatever happens.
struct Buckets(u64);

impl Drop for Buckets {
    fn drop(&mut self) {
        fs::write(BUCKETS, self.0.to_string()).expect("the number of buckets can be put back");
    }
}

/// Changes the number of buckets until told to stop, and puts it back.
fn resize(stop: &AtomicBool) {
    let buckets = Buckets(fs::read_to_string(BUCKETS).unwrap().trim().parse().unwrap());
    let half = buckets.0 / 2;
    // Between half and the whole, up and down, and no size twice within seconds: one that is taken back within a single system
    // call of a dump cannot be seen by anybody. The kernel rounds up to whole pages of buckets.
    for step in (0..half / 2).step_by(512).cycle() {
        for size in [half + step, 2 * half - step - 512] {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            fs::write(BUCKETS, size.to_string()).unwrap();
            std::thread::sleep(Duration::from_millis(PAUSE.load(Ordering::Relaxed)));
        }
    }
}

/// Whether the table may be resized. It is the one of the whole machine, so only where somebody wants that (CI does), and only
/// from the first network namespace, which the calling thread is in.
fn may_resize() -> bool {
    let wanted = ["CTRACK_REQUIRE_NETNS", "CTRACK_TEST_RESIZE"].iter().any(|name| std::env::var_os(name).is_some());
    wanted && fs::read_to_string(BUCKETS).is_ok_and(|size| fs::write(BUCKETS, size.trim()).is_ok())
}

const BUCKETS: &str = "/proc/sys/net/netfilter/nf_conntrack_buckets";

/// Deletes by several filters while the table churns, and looks at what was lost.
fn delete_while_it_churns(sets: Vec<Vec<Filter>>) {
    let port: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
    // From the first entry on: the kernel only tells of those that were made while somebody listened.
    let watch = Watch::start();
    let socket = NetlinkSocket::open(&OpenOptions::default()).unwrap();
    let mut conntrack = Conntrack::over(Box::new(Named { socket, port }), Duration::from_secs(30));
    let mut ports = Vec::new();
    let mut maker = Conntrack::open().unwrap();
    let _ = maker.create_entries(&(1..=MANY).map(|n| stable(STAYS, n)).collect::<Vec<_>>()).unwrap();
    let going: Vec<Entry> = (1..=MANY).map(|n| stable(GOES, n)).collect();
    let stop = AtomicBool::new(false);
    let (mut deleted, mut disturbed) = (0, 0);
    let rounds = std::thread::scope(|scope| {
        let churning = scope.spawn(|| churn(&stop));
        let stop = StopOnDrop(&stop);
        for filters in &sets {
            let made = maker.create_entries(&going).unwrap();
            assert_eq!(made.outcome.done, u64::from(MANY));
            loop {
                let result = conntrack.delete(filters);
                ports.push(port.load(Ordering::SeqCst));
                match result {
                    Ok(outcome) => {
                        assert_eq!((outcome.failed, outcome.error), (0, None));
                        break deleted += outcome.done;
                    }
                    // The table was resized each time: nothing was deleted, and it is said.
                    Err(error) => disturbed_by_resizing(&error),
                }
                disturbed += 1;
                assert!(disturbed < 500, "never undisturbed");
            }
            let left = retried_list(&mut maker);
            assert_eq!(left.iter().filter(|entry| entry.mark == GOES).count(), 0, "survived {filters:?}");
            assert_eq!(
                left.iter().filter(|entry| entry.mark == STAYS).count(),
                usize::from(MANY),
                "lost by {filters:?}"
            );
        }
        drop(stop);
        churning.join().unwrap()
    });
    let seen = watch.finish();
    println!("{rounds} rounds of churn, {deleted} deleted, {disturbed} tries disturbed, seen: {seen:?}");
    assert!(rounds > 10, "there was no race: {rounds} rounds");
    assert_eq!(seen.iter().filter(|(_, mark, _)| *mark == STAYS).count(), 0, "{seen:?}");
    let gone = |wanted: u32| seen.iter().filter(|(_, mark, _)| *mark == wanted).map(|(.., count)| count).sum::<u64>();
    assert_eq!(gone(GOES), u64::from(MANY) * sets.len() as u64);
    let ours = |port: &u32| ports.contains(port);
    assert!(seen.iter().all(|(port, mark, _)| *mark != GOES || ours(port)), "{ports:?} {seen:?}");
}

/// A list that is repeated for as long as the table is resized under it.
fn retried_list(conntrack: &mut Conntrack) -> Vec<Entry> {
    for _ in 0..500 {
        match conntrack.list(&[]) {
            Ok(entries) => return entries,
            Err(error) => disturbed_by_resizing(&error),
        }
    }
    panic!("never undisturbed");
}

/// The only error that the next try may mend.
fn disturbed_by_resizing(error: &Error) {
    assert_eq!(error.errno(), libc::EAGAIN, "{error}");
    PAUSE.fetch_add(100, Ordering::Relaxed);
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Handed down to the kernel or not, one pass or several.
fn sets() -> Vec<Vec<Filter>> {
    let net = Prefix { address: ip("10.0.0.1"), length: 32 };
    let around = Prefix { address: ip("10.0.0.0"), length: 24 };
    let by = |change: &dyn Fn(&mut Filter)| {
        let mut filter = Filter { mark: Some(Masked { value: GOES, mask: u32::MAX }), ..Filter::default() };
        change(&mut filter);
        filter
    };
    vec![
        vec![by(&|_| {})],
        vec![Filter { orig_src: Some(net), ..Filter::default() }],
        vec![by(&|filter| filter.orig_src = Some(around))],
        vec![by(&|filter| filter.zone = Some(7))],
        vec![by(&|filter| filter.orig_src = Some(net)), by(&|filter| filter.reply_dst = Some(net))],
        (1..=60)
            .map(|n| {
                by(&|filter| (filter.proto, filter.orig_sport) = (Some(Proto::UDP), Some(n * 170 - 169..=n * 170)))
            })
            .collect(),
    ]
}

#[test]
fn nothing_else_is_lost_while_others_create_and_delete() {
    netns(|| delete_while_it_churns(sets()));
}

#[test]
fn nothing_else_is_lost_while_the_table_is_resized() {
    // Resizing wants the first network namespace, the tests want one of their own: so the resizer begins before.
    if !may_resize() {
        return skip("nothing_else_is_lost_while_the_table_is_resized", "set CTRACK_TEST_RESIZE=1, as root of the machine: it resizes the hash table of the whole machine, and back");
    }
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let resizer = std::thread::spawn({
        let stop = stop.clone();
        move || resize(&stop)
    });
    let test = std::panic::catch_unwind(|| netns(|| delete_while_it_churns(sets())));
    stop.store(true, Ordering::SeqCst);
    resizer.join().unwrap();
    if let Err(panic) = test {
        std::panic::resume_unwind(panic);
    }
}
