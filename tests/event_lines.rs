//! The lines of events, as the program `conntrack -E` prints them at the same time, and their JSON, as Python reads it.
//!
//! What happens is real traffic (tests/traffic/traffic.c), and what programs do to entries.

#[path = "real_flows/flows.rs"]
#[allow(dead_code, reason = "what must come of a flow is judged elsewhere")]
mod flows;
#[path = "support/json.rs"]
mod json_reader;
#[path = "real_flows/namespace.rs"]
#[allow(dead_code, reason = "each test crate uses another part of it")]
mod namespace;

use ctrack::*;
use namespace::{in_namespace, run, run_again, sysctl, tool, Scratch};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No process is slower, but one that hangs.
const LONG: Duration = Duration::from_secs(30);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What `conntrack -E` is asked for.
const OPTIONS: [(&str, Format); 7] = [
    ("", Format::empty()),
    ("id", Format::ID),
    ("extended", Format::EXTENDED),
    ("ktimestamp", Format::TIMESTAMP),
    ("timestamp", Format::EVENT_TIME),
    ("extended,id", Format::EXTENDED.union(Format::ID)),
    ("timestamp,ktimestamp,id,extended", Format::all()),
];

/// A `conntrack -E` that runs.
struct Program {
    format: Format,
    child: Child,
    output: PathBuf,
}

impl Program {
    fn start(options: &str, format: Format, directory: &Scratch) -> Program {
        let output = directory.0.join(format!("events,{options}"));
        let mut command = tool("conntrack");
        command.args(["-E", "-b", "33554432"]);
        if !options.is_empty() {
            command.args(["-o", options]);
        }
        let file = std::fs::File::create(&output).unwrap();
        // What it has to say beside lines is among them, and no line.
        command.stdin(Stdio::null()).stderr(file.try_clone().unwrap()).stdout(file);
        Program { format, child: command.spawn().unwrap(), output }
    }

    /// The lines that it printed, without the name of a process that it found.
    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.output).unwrap();
        assert!(!text.contains("ENOBUFS"), "the program lost events");
        let lines = text.lines().filter(|line| !line.starts_with("NOTICE: "));
        lines.map(|line| line.split(" progname=").next().unwrap().to_owned()).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many sockets of this network namespace listen to entries. 12: NETLINK_NETFILTER.
fn listeners() -> usize {
    let sockets = std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    let columns = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns.filter(|columns| columns[1] == "12" && columns[3] == "00000007").count()
}

/// A watch that is read all the time.
struct Listener {
    events: Arc<Mutex<Vec<Event>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn start() -> Listener {
        let mut watch = Watch::open(WatchOptions::new(), &[]).unwrap();
        let (events, stop) = <(Arc<Mutex<Vec<Event>>>, Arc<AtomicBool>)>::default();
        let (heard, stopped) = (events.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut batch = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                watch.next_batch(&mut batch, 64, Some(Duration::from_millis(20))).unwrap();
                heard.lock().unwrap().append(&mut batch);
            }
        });
        Listener { events, stop, thread: Some(thread) }
    }

    fn heard(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The watch, and the programs that hear the same.
struct Ears {
    listener: Listener,
    programs: Vec<Program>,
    _directory: Scratch,
}

impl Ears {
    fn open(options: &[(&str, Format)]) -> Ears {
        let listener = Listener::start();
        let before = listeners();
        let directory = Scratch::new();
        let programs: Vec<Program> =
            options.iter().map(|(options, format)| Program::start(options, *format, &directory)).collect();
        wait_until("the programs listen", || listeners() == before + programs.len());
        Ears { listener, programs, _directory: directory }
    }

    /// Waits until everybody has heard the same number of events, and nothing new comes. The programs have room for 166 events, whatever
    /// buffer they are asked to have.
    fn settle(&self) {
        wait_until("all hear the same number of events", || {
            let count = self.listener.heard().len();
            std::thread::sleep(Duration::from_millis(50));
            self.programs.iter().all(|program| program.lines().len() == count) && self.listener.heard().len() == count
        });
    }
}

/// Whatever makes events: connections of all kinds, and what programs do to entries.
fn make_events(ears: &Ears) {
    for (on, first_port, families) in
        [("1", 40000, &[Family::IPV4, Family::IPV6][..]), ("0", 50000, &[Family::IPV4][..])]
    {
        sysctl("nf_conntrack_acct", on);
        sysctl("nf_conntrack_timestamp", on);
        for family in families {
            let (_, held) = flows::by_traffic(*family, first_port);
            ears.settle();
            // Open connections end.
            drop(held);
            ears.settle();
        }
    }
    sysctl("nf_conntrack_acct", "1");
    sysctl("nf_conntrack_timestamp", "1");
    let mut conntrack = Conntrack::open().unwrap();
    for entries in flows::by_netlink().chunks(40) {
        // What is no entry for this kernel, DCCP, makes no event.
        let _ = conntrack.create_entries(entries).unwrap();
        ears.settle();
    }
    by_programs(&mut conntrack, ears);
    by_time(&mut conntrack, ears);
    for entries in conntrack.list(&[]).unwrap().chunks(40) {
        let _ = conntrack.delete_entries(entries).unwrap();
        ears.settle();
    }
}

/// Changes that programs make.
fn by_programs(conntrack: &mut Conntrack, ears: &Ears) {
    let line = "-p udp -s 10.9.0.1 -d 10.9.0.2 --sport 1 --dport 2";
    let run_conntrack = |options: &str| run("conntrack", &options.split_whitespace().collect::<Vec<_>>());
    run_conntrack(&format!("-I {line} -t 300 -m 5"));
    run_conntrack(&format!("-U {line} -m 0"));
    run_conntrack(&format!("-U {line} -m 4294967295"));
    run_conntrack(&format!("-D {line}"));
    run_conntrack("-D -p icmp");
    run_conntrack("-D -p tcp --orig-port-dst 80");
    ears.settle();
    let listed = conntrack.list(&[Filter::new().with_proto(Proto::UDP)]).unwrap();
    for (at, entry) in (0u8..).zip(listed.iter().take(20)) {
        let identity = Has::ORIG | Has::PORTS | Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE | Has::ID;
        let reply = Tuple { zone: entry.reply.zone, ..Tuple::EMPTY };
        let (has, orig) = (entry.has & identity, entry.orig);
        let key = Entry { has, orig, reply, ..Entry { zone: entry.zone, id: entry.id, ..Entry::EMPTY } };
        let key = Entry { family: entry.family, proto: entry.proto, ..key };
        let mut labels = [0; 16];
        labels[usize::from(at % 16)] = at;
        let marked = Entry { has: key.has | Has::MARK, mark: at.into(), ..key };
        let labelled = Entry { has: key.has | Has::LABELS, labels, ..key };
        let timed = Entry { has: key.has | Has::TIMEOUT, timeout: 500, ..key };
        let _ = conntrack.update_entries(&[marked, labelled, timed]).unwrap();
    }
    ears.settle();
}

/// Entries whose time runs out.
fn by_time(conntrack: &mut Conntrack, ears: &Ears) {
    let key = |proto, sport| {
        let key = Entry::key(proto, [10, 9, 0, 1].into(), sport, [10, 9, 0, 2].into(), 7).unwrap();
        Entry { has: key.has | Has::TIMEOUT, timeout: 1, ..key }
    };
    let tcp = key(Proto::TCP, 2);
    let tcp = Entry { has: tcp.has | Has::TCP_STATE, tcp_state: TcpState::ESTABLISHED, ..tcp };
    assert_eq!(conntrack.create_entries(&[key(Proto::UDP, 1), tcp]).unwrap().outcome.done, 2);
    std::thread::sleep(Duration::from_millis(1500));
    // The kernel tells of it when somebody looks.
    conntrack.list(&[]).unwrap();
    ears.settle();
}

/// Sets the time zone of a process of this test's own; by rules, so that no zone files are needed.
const ZONE: &str = "NST3:30NDT,M3.2.0,M11.1.0";

#[test]
fn every_line_of_an_event_equals_that_of_the_conntrack_program() {
    const NAME: &str = "every_line_of_an_event_equals_that_of_the_conntrack_program";
    if std::env::var_os("TZ").is_none_or(|zone| zone != ZONE) {
        return run_again(NAME, "env", &[], &[("TZ", ZONE)]);
    }
    in_namespace(NAME, || {
        flows::prepare();
        namespace::long_timeouts();
        let ears = Ears::open(&OPTIONS);
        make_events(&ears);
        let events = ears.listener.heard();
        assert_eq!(events.last().unwrap().number, events.len() as u64, "something was lost");
        for program in &ears.programs {
            compare(program, &events);
        }
        // All of it happened.
        let lines: Vec<String> = events.iter().map(|event| event_line(event, Format::all())).collect();
        println!("{} lines in {} ways, such as\n{}", lines.len(), OPTIONS.len(), lines[0]);
        let kinds = "\t    [NEW] |\t [UPDATE] |\t[DESTROY] | [USERSPACE] portid=";
        let protocols =
            "tcp      6|udp      17|icmp     1|icmpv6   58|sctp     132|gre      47|udplite  136|unknown  253";
        let rest = "ipv6     10| zone=7| zone-orig=65535| zone-reply=9| packets=| delta-time=| [start=| [stop=| helper=ftp| \
            mark=4294967295| mark=0| [ASSURED]| [UNREPLIED]| ESTABLISHED | SYN_SENT | TIME_WAIT | CLOSE | sport=5131| dst=fd00::9";
        for part in [kinds, protocols, rest].into_iter().flat_map(|parts| parts.split('|')) {
            assert!(lines.iter().any(|line| line.contains(part)), "no line has {part:?}");
        }
        // An entry whose time ran out has none left.
        assert!(lines.iter().any(|line| line.contains("\t[DESTROY] ipv4     2 udp      17 src=10.9.0.1 ")));
        let timed = events.iter().filter(|event| event.time_ns.is_some()).count();
        println!("{timed} of them with the time of the kernel");
    });
}

/// The same lines, each as often; their order may differ, as two processors put them into two queues.
fn compare(program: &Program, events: &[Event]) {
    let with_time = program.format.contains(Format::EVENT_TIME);
    let mut theirs: Vec<(String, u64)> = program.lines().iter().map(|line| split(line, with_time)).collect();
    let mut ours: Vec<(String, u64, Option<u64>)> = events
        .iter()
        .map(|event| {
            let (line, time) = split(&event_line(event, program.format), with_time);
            let wanted = event.time_ns.unwrap_or(event.received_ns) / 1000;
            assert!(!with_time || time == wanted, "{event:?} is of {time}");
            (line, time, event.time_ns)
        })
        .collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    let differences: Vec<String> = theirs
        .iter()
        .zip(&ours)
        .filter(|(theirs, ours)| theirs.0 != ours.0)
        .map(|(theirs, ours)| format!("conntrack: {}\nlibctrack: {}", theirs.0, ours.0))
        .take(5)
        .collect();
    assert!(differences.is_empty() && theirs.len() == ours.len(), "{:?}:\n{}", program.format, differences.join("\n"));
    for ((line, theirs, ..), (_, ours, kernel)) in theirs.into_iter().zip(ours) {
        // Until 1.4.9 the program says when it read the event, as we do where the kernel does not say when it was.
        let may_differ = if kernel.is_some() { theirs >= ours } else { true };
        assert!(may_differ && theirs.abs_diff(ours) < 10_000_000, "{theirs} and {ours}: {line}");
    }
}

/// The line without the time in front, and that in microseconds.
fn split(line: &str, with_time: bool) -> (String, u64) {
    if !with_time {
        return (line.to_owned(), 0);
    }
    let (time, rest) = line.split_once('\t').unwrap_or_else(|| panic!("no time: {line}"));
    let inside = time.strip_prefix('[').and_then(|time| time.strip_suffix(']'));
    let (seconds, microseconds) = inside.and_then(|time| time.split_once('.')).unwrap();
    assert!(seconds.len() == 10 && microseconds.len() == 6, "{line}");
    (rest.to_owned(), seconds.parse::<u64>().unwrap() * 1_000_000 + microseconds.parse::<u64>().unwrap())
}

/// Reads objects, one a line, and prints each flat: name=value, with tabs between.
const PYTHON: &str = r#"
import json, sys
def once(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)
def text(value):
    if value is None:
        return "null"
    if isinstance(value, list):
        return " ".join(map(text, value))
    assert type(value) in (int, str), value
    return str(value)
def flat(path, value):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flat(path + [name], inner)
    else:
        yield ".".join(path) + "=" + text(value)
for line in sys.stdin:
    print("\t".join(flat([], json.loads(line, object_pairs_hook=once))))
"#;

/// What Python reads in these objects.
fn read_by_python(objects: &[String]) -> Vec<BTreeMap<String, String>> {
    let mut command = tool("python3");
    command.args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = objects.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "python3: {}", output.status);
    let member = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.split('\t').map(member).collect()).collect()
}

/// What the object of an event must have.
fn members(event: &Event) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();
    let mut put = |name: &str, value: String| assert!(members.insert(name.to_owned(), value).is_none());
    let (kind, entry) = match event.change {
        Change::New(entry) => ("new", Some(entry)),
        Change::Update(entry) => ("update", Some(entry)),
        Change::Destroy(entry) => ("destroy", Some(entry)),
        Change::Lost(count) => {
            put("lost", count.map_or("null".into(), |count| count.to_string()));
            ("lost", None)
        }
        _ => ("synced", None),
    };
    put("event", kind.into());
    put("number", event.number.to_string());
    let flags = [
        (EventFlags::INITIAL, "initial"),
        (EventFlags::FOUND, "found"),
        (EventFlags::ENTERED, "entered"),
        (EventFlags::LEFT, "left"),
    ];
    let flags: Vec<&str> =
        flags.iter().filter(|(flag, _)| event.flags.contains(*flag)).map(|(_, name)| *name).collect();
    put("flags", flags.join(" "));
    put("received_ns", event.received_ns.to_string());
    if let Some(time_ns) = event.time_ns {
        put("time_ns", time_ns.to_string());
    }
    if let Some(entry) = entry {
        put("portid", event.port.to_string());
        for (name, value) in json_reader::flat(&json(&entry)) {
            put(&format!("entry.{name}"), value);
        }
    }
    members
}

#[test]
fn the_object_of_an_event_has_exactly_what_the_event_has() {
    in_namespace("the_object_of_an_event_has_exactly_what_the_event_has", || {
        flows::prepare();
        namespace::long_timeouts();
        let ears = Ears::open(&[]);
        let mut conntrack = Conntrack::open().unwrap();
        let _ = conntrack.create_entries(&flows::by_netlink()).unwrap();
        // One that begins with what is there.
        let mut watch = Watch::open(WatchOptions::new().with_sync(), &[]).unwrap();
        let mut events = Vec::new();
        while !events.iter().any(|event: &Event| event.change == Change::Synced) {
            watch.next_batch(&mut events, 256, Some(LONG)).unwrap();
        }
        make_events(&ears);
        events.extend(ears.listener.heard());
        // What happens seldom.
        events.push(Event::new(Change::Synced));
        for flags in 0..16 {
            let mut other = events[flags];
            other.flags = EventFlags::from_bits_retain(flags as u32);
            events.push(other);
            other.change = Change::Lost([None, Some(0), Some(1), Some(u64::MAX)][flags % 4]);
            events.push(other);
        }
        let objects: Vec<String> = events.iter().map(event_json).collect();
        let read = read_by_python(&objects);
        assert_eq!(read.len(), events.len());
        for ((event, object), read) in events.iter().zip(&objects).zip(read) {
            assert_eq!(read, members(event), "{object}");
        }
        let has = |member: &str| objects.iter().any(|object| object.contains(member));
        for member in [
            "\"new\"",
            "\"update\"",
            "\"destroy\"",
            "\"synced\"",
            "[\"initial\"]",
            "\"portid\":0,",
            "\"labels\":[1",
            "\"helper\":\"ftp\"",
            "\"lost\":null",
        ] {
            assert!(has(member), "no object has {member}");
        }
        println!("{} objects, such as\n{}", objects.len(), objects.last().unwrap());
    });
}
