//! What the tests against the real kernel share: a network namespace for each, a process of its own where one is
//! needed, makers of entries, and independent witnesses.
#![allow(dead_code, reason = "every test crate uses another part of it")]
#![allow(unsafe_code, reason = "namespaces and the C interface")]

pub mod c;
#[path = "../support/statuses.rs"]
pub mod statuses;
pub mod table;

pub use statuses::Statuses;

use ctrack::*;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::process::{Command, Stdio};

/// Set in the process that runs one test again with privileges of its own.
const PRIVILEGED: &str = "CTRACK_TEST_PRIVILEGED";
/// Set in the process that runs one test alone.
const ALONE: &str = "CTRACK_TEST_ALONE";
/// Set to 1 where a test that cannot run is a failure.
const REQUIRED: &str = "CTRACK_REQUIRE_NETNS";

/// Runs a test on a thread of its own, in a network namespace of its own.
///
/// Where the process may not make one, the test runs again inside `unshare -Urn`, as root of a user namespace. Where
/// that is not allowed either it is skipped, loudly.
pub fn netns(test: impl FnOnce() + Send + 'static) {
    let name = test_name();
    let thread = std::thread::Builder::new().name(name.clone()).spawn(|| match unshare_netns() {
        Ok(()) => {
            test();
            None
        }
        Err(error) => Some(error),
    });
    let refused = match thread.unwrap().join() {
        Ok(refused) => refused,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let Some(error) = refused else { return };
    if error.raw_os_error() != Some(libc::EPERM) || std::env::var_os(PRIVILEGED).is_some() {
        return skip(&name, &format!("no new network namespace: {error}"));
    }
    let allowed = Command::new("unshare").args(["-Urn", "true"]).output();
    match allowed {
        Ok(output) if output.status.success() => rerun(&name, &["unshare", "-Urn"], PRIVILEGED),
        Ok(output) => skip(&name, &format!("unshare -Urn: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => skip(&name, &format!("unshare: {error}")),
    }
}

/// The same, in a process in which no other test runs.
pub fn alone_in_netns(test: impl FnOnce() + Send + 'static) {
    if std::env::var_os(ALONE).is_some() {
        netns(test);
    } else {
        rerun(&test_name(), &[], ALONE);
    }
}

fn test_name() -> String {
    let thread = std::thread::current();
    let name = thread.name().expect("tests run on named threads");
    assert_ne!(name, "main", "the harness must run tests on threads of their own");
    name.to_owned()
}

/// Runs one test of this program again, in another process.
fn rerun(name: &str, prefix: &[&str], guard: &str) {
    let own = std::env::current_exe().unwrap();
    let mut line: Vec<_> = prefix.iter().map(std::ffi::OsString::from).collect();
    line.push(own.into_os_string());
    let output = Command::new(&line[0])
        .args(&line[1..])
        .args(["--exact", name, "--nocapture"])
        .env(guard, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let ran = out.contains("test result: ok. 1 passed");
    assert!(output.status.success() && ran, "{name}, run again: {}\n{out}\n{err}", output.status);
    // A skip must stay visible.
    io::stderr().write_all(&output.stderr).unwrap();
}

/// Says why a test cannot run, or fails where that is not allowed.
pub fn skip(name: &str, reason: &str) {
    assert!(std::env::var_os(REQUIRED).is_none_or(|value| value != "1"), "{name} cannot run: {reason}");
    // Not eprintln!(): the harness would keep it for itself.
    let _ = writeln!(io::stderr(), "SKIPPED {name}: {reason}");
}

/// Moves this thread into a new network namespace.
pub fn unshare_netns() -> io::Result<()> {
    // SAFETY: unshare() takes flags only.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A new network namespace, which lives as long as the descriptor. This thread stays where it is.
pub fn new_netns() -> OwnedFd {
    std::thread::spawn(|| {
        unshare_netns().unwrap();
        own_netns()
    })
    .join()
    .unwrap()
}

/// The network namespace of this thread.
pub fn own_netns() -> OwnedFd {
    std::fs::File::open("/proc/thread-self/ns/net").unwrap().into()
}

/// Moves this thread into a network namespace.
pub fn enter(netns: &OwnedFd) {
    // SAFETY: setns() takes any descriptor.
    let result = unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Runs something in another network namespace.
pub fn inside<T: Send>(netns: &OwnedFd, run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(netns);
            run()
        });
        thread.join().unwrap()
    })
}

/// The number of this thread's network namespace, as in `net:[4026531840]`.
pub fn netns_inode() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/net").unwrap().st_ino()
}

/// Brings the loopback interface of this thread's network namespace up.
pub fn loopback_up() {
    // SAFETY: all zero is a valid ifreq; the ioctl reads and writes only this one, which has the name NUL-terminated.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        assert!(socket >= 0, "{}", io::Error::last_os_error());
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        assert_eq!(libc::ioctl(socket, libc::SIOCSIFFLAGS, &request), 0, "{}", io::Error::last_os_error());
        libc::close(socket);
    }
}

/// Runs a program in this thread's network namespace and gives what it prints.
fn run(program: &str, args: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("the tests need the program {program}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// The `conntrack` program, the independent witness: its output.
pub fn cli(args: &[&str]) -> String {
    run("conntrack", args, "")
}

/// Loads nftables rules.
pub fn nft(script: &str) {
    run("nft", &["-f", "-"], script);
}

/// The kernel's count, as the `conntrack` program reads it.
pub fn cli_count() -> u64 {
    cli(&["-C"]).trim().parse().unwrap()
}

/// The ids of the entries that `conntrack -L` shows with these options.
pub fn cli_ids(options: &[&str]) -> BTreeSet<u32> {
    let output = cli(&[&["-L", "-o", "id"], options].concat());
    output.lines().map(|line| line.rsplit_once(" id=").unwrap().1.trim().parse().unwrap()).collect()
}

/// Every entry as `conntrack -L` shows it, with the id, but for what changes by itself: timeout and use count.
pub fn cli_table() -> BTreeSet<String> {
    let stable = |line: &str| {
        let mut words: Vec<_> = line.split_whitespace().collect();
        words.remove(2);
        words.retain(|word| !word.starts_with("use="));
        words.join(" ")
    };
    cli(&["-L", "-o", "id"]).lines().map(stable).collect()
}

/// The table is still what [`cli_table`] gave.
pub fn assert_untouched(before: &BTreeSet<String>, what: &str) {
    let now = cli_table();
    let (lost, new): (Vec<_>, Vec<_>) = (before.difference(&now).collect(), now.difference(before).collect());
    assert!(lost.is_empty() && new.is_empty(), "{what}: changed the table: lost {lost:?}, new {new:?}");
}

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A prefix, for example `10.0.0.0/8`.
pub fn net(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix { address: ip(address), length: length.parse().unwrap() }
}

/// A key of a protocol with ports.
pub fn key(proto: Proto, src: &str, sport: u16, dst: &str, dport: u16) -> Entry {
    Entry::key(proto, ip(src), sport, ip(dst), dport).unwrap()
}

/// A UDP entry to create.
pub fn udp(src: &str, sport: u16, dst: &str, dport: u16) -> Entry {
    lasting(key(Proto::UDP, src, sport, dst, dport))
}

/// An established TCP entry to create.
pub fn tcp(src: &str, sport: u16, dst: &str, dport: u16) -> Entry {
    let mut entry = lasting(key(Proto::TCP, src, sport, dst, dport));
    entry.has |= Has::TCP_STATE;
    entry.tcp_state = TcpState::ESTABLISHED;
    entry
}

/// The same entry with a timeout that outlives every test.
pub fn lasting(mut entry: Entry) -> Entry {
    entry.has |= Has::TIMEOUT;
    entry.timeout = 36_000;
    entry
}

/// The same entry with a mark.
pub fn marked(mut entry: Entry, mark: u32) -> Entry {
    entry.has |= Has::MARK;
    entry.mark = mark;
    entry
}

/// The same entry with only one direction in a zone.
pub fn in_one_zone(mut entry: Entry, bit: Has, zone: u16) -> Entry {
    entry.has |= bit;
    entry.zone = zone.into();
    if bit == Has::ORIG_ZONE {
        entry.orig.zone = zone.into();
    } else {
        entry.reply.zone = zone.into();
    }
    entry
}

/// The same entry with a helper.
pub fn helped(mut entry: Entry, name: &str) -> Entry {
    entry.has |= Has::HELPER;
    entry.helper = [0; 16];
    for (to, from) in entry.helper.iter_mut().zip(name.bytes()) {
        *to = from as std::ffi::c_char;
    }
    entry
}

/// Only what identifies an entry, as somebody would write it by hand: the original tuple and the zone, no id.
pub fn by_hand(entry: &Entry) -> Entry {
    let identity = Has::ORIG | Has::PORTS | Has::ICMP | Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE;
    let mut reply = Tuple::EMPTY;
    reply.zone = entry.reply.zone;
    Entry {
        has: entry.has & identity,
        family: entry.family,
        proto: entry.proto,
        zone: entry.zone,
        orig: entry.orig,
        reply,
        ..Entry::EMPTY
    }
}

/// What tells connections apart, in a form that can be sorted and compared.
pub type Identity = (Family, Proto, [u8; 16], [u8; 16], [u16; 3], [u8; 2], [u32; 2]);

/// The identity of an entry, listed or to be created.
pub fn identity(e: &Entry) -> Identity {
    let o = &e.orig;
    let proto = ([o.sport, o.dport, o.icmp_id], [o.icmp_type, o.icmp_code]);
    (e.family, e.proto, o.src, o.dst, proto.0, proto.1, [o.zone, e.reply.zone])
}

/// The identities of entries. Repeats are an error.
pub fn identities<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> BTreeSet<Identity> {
    let mut set = BTreeSet::new();
    for entry in entries {
        assert!(set.insert(identity(entry)), "{entry:?} comes twice");
    }
    set
}

/// The ids of listed entries. Repeats are an error.
pub fn ids<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> BTreeSet<u32> {
    let mut set = BTreeSet::new();
    for entry in entries {
        assert!(set.insert(entry.id().unwrap()), "{entry:?} comes twice");
    }
    set
}

/// A filter for one zone.
pub fn zone(zone: u16) -> Filter {
    Filter { zone: Some(zone), ..Filter::default() }
}

/// Creates entries, all of which must succeed.
pub fn create(conntrack: &mut Conntrack, entries: &[Entry]) {
    let made = conntrack.create_entries(entries).unwrap();
    let wrong: Vec<_> = made.status().into_iter().zip(entries).filter(|(status, _)| *status != 0).take(5).collect();
    assert!(wrong.is_empty(), "{wrong:?}: {:?}", made.outcome.error);
    assert_eq!(made.outcome.done, entries.len() as u64);
}

/// Everything that the library lists.
pub fn all(conntrack: &mut Conntrack) -> Vec<Entry> {
    conntrack.list(&[]).unwrap()
}
