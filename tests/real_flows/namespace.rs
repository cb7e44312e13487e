//! A private network namespace per test, and the programs that work in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Set in the process that runs as root of its own user namespace: there nothing may be skipped any more.
const INSIDE: &str = "CTRACK_REAL_FLOWS_INSIDE";

/// Runs `body` on a thread in a network namespace of its own.
///
/// Without the privilege for that, this test alone runs again as root of a new user namespace. Where even that is
/// forbidden or a program is missing the test is skipped and says why, or fails if CTRACK_REQUIRE_NETNS=1.
pub fn in_namespace(test: &'static str, body: fn()) {
    for program in ["conntrack", "nft", "ip", "unshare", "cc"] {
        if find(program).is_none() {
            return skip(test, &format!("there is no program {program}"));
        }
    }
    match std::thread::spawn(move || enter().map(|()| body())).join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.raw_os_error() == Some(libc::EPERM) && std::env::var_os(INSIDE).is_none() => {
            let may = tool("unshare").args(["-Urn", "true"]).output().unwrap();
            if may.status.success() {
                run_again(test, "unshare", &["-Urn"], &[]);
            } else {
                let why = String::from_utf8_lossy(&may.stderr).trim().to_owned();
                skip(test, &format!("no network namespace can be made: {why}"));
            }
        }
        Ok(Err(error)) => panic!("no network namespace: {error}"),
        // The thread printed its panic.
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[allow(unsafe_code)]
fn enter() -> std::io::Result<()> {
    // SAFETY: this moves the calling thread, and what it starts from now on, into a new network namespace; no memory is
    // touched.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    run("ip", &["link", "set", "lo", "up"]);
    Ok(())
}

fn skip(test: &str, reason: &str) {
    let required = std::env::var("CTRACK_REQUIRE_NETNS").is_ok_and(|value| value == "1");
    assert!(!required && std::env::var_os(INSIDE).is_none(), "{test}: {reason}");
    // Not println!, which libtest shows for failed tests only.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}

/// Runs one test of this program again, under `program` and with other environment variables.
pub fn run_again(test: &str, program: &str, args: &[&str], variables: &[(&str, &str)]) {
    let executable = std::env::current_exe().unwrap();
    let mut command = tool(program);
    command.args(args).arg(executable).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.envs(variables.iter().copied());
    if program == "unshare" {
        command.env(INSIDE, "1");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // A test that was not found would pass.
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{test} in a process of its own:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A program, also where a user's PATH lacks sbin.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.extend(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    places.into_iter().map(|place| place.join(program)).find(|file| file.is_file())
}

/// A command that will run `program`.
pub fn tool(program: &str) -> Command {
    Command::new(find(program).unwrap_or_else(|| program.into()))
}

/// Runs a program that must succeed; its standard output.
pub fn run(program: &str, args: &[&str]) -> String {
    succeed(&format!("{program} {}", args.join(" ")), tool(program).args(args).output())
}

fn succeed(what: &str, output: std::io::Result<Output>) -> String {
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Loads an nftables ruleset.
pub fn nft(rules: &str) {
    let directory = Scratch::new();
    let file = directory.0.join("rules.nft");
    std::fs::write(&file, rules).unwrap();
    run("nft", &["-f", file.to_str().unwrap()]);
}

/// Sets net.netfilter.`name` of this thread's namespace.
pub fn sysctl(name: &str, value: &str) {
    let file = Path::new("/proc/sys/net/netfilter").join(name);
    std::fs::write(&file, value).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// Flows must not expire, nor their timeouts reach zero, however slow the machine is.
pub fn long_timeouts() {
    for file in std::fs::read_dir("/proc/sys/net/netfilter").unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.contains("_timeout") {
            sysctl(&name, "3000");
        }
    }
}

/// A directory that goes away with its owner.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        Scratch(PathBuf::from(run("mktemp", &["-d"]).trim_end()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ends a background process of the traffic program with its owner.
pub struct Held(libc::pid_t);

impl Drop for Held {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: kill() takes any number.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

/// Makes a real flow: `line` is the command line of tests/traffic/traffic.c.
pub fn traffic(line: &str) -> Option<Held> {
    let words: Vec<&str> = line.split(' ').collect();
    let output = succeed(&format!("traffic {line}"), Command::new(traffic_program()).args(words).output());
    output.trim().parse().ok().map(Held)
}

/// The program, compiled once into the directory of the test programs.
fn traffic_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traffic/traffic.c");
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let program = directory.join("traffic");
        // Another process may be running it: compiled aside, then put in place at once.
        let aside = directory.join(format!("traffic.{}", std::process::id()));
        let paths = [&aside, &source].map(|path| path.to_str().unwrap().to_owned());
        run("cc", &["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-o", &paths[0], &paths[1]]);
        std::fs::rename(&aside, &program).unwrap();
        program
    })
}
