//! The real transport: a netlink socket in one network namespace.

use super::known::Known;
use super::{Received, Transport};
use crate::error::{Call, Error, NetnsName};
use crate::sys;
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Large enough for every batch and for GETs in a row; most of it is never used.
const RECEIVE_BUFFER: u32 = 1024 * 1024;

/// All refusals of a batch fit.
const SMALLEST_RECEIVE_BUFFER: u32 = 256 * 1024;

/// Holds the largest batch: 256 creates of about 400 bytes. A datagram must be 32 bytes smaller than what the kernel makes of
/// this, twice as much (netlink_sendmsg(), sock_setsockopt()); its default may be too small (net.core.wmem_default).
const SEND_BUFFER: u32 = 256 * 1024;

/// How long is waited when a socket was said to be readable and was not: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// How to open a [`crate::Conntrack`].
///
/// ```no_run
/// use ctrack::{Conntrack, OpenOptions};
/// use std::time::Duration;
/// let options = OpenOptions::new()
///     .with_netns(std::fs::File::open("/run/netns/pod")?)
///     .with_timeout(Duration::from_secs(2))
///     .with_receive_buffer(8 << 20)
///     .with_compared_start();
/// let mut conntrack = Conntrack::open_with(&options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The network namespace to work in. `None`: that of the calling thread.
    pub netns: Option<OwnedFd>,
    /// The longest silence of the kernel before a call gives up. `None`: 10 seconds.
    pub timeout: Option<std::time::Duration>,
    /// Receive buffer of the socket in bytes. `None`: the library's choice.
    pub receive_buffer: Option<u32>,
    /// Deletes also compare the time at which an entry was made: see [`crate::Conntrack::compare_start`].
    pub compare_start: bool,
}

impl OpenOptions {
    /// The defaults.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Works in this network namespace.
    #[must_use]
    pub fn with_netns(self, netns: impl Into<OwnedFd>) -> OpenOptions {
        OpenOptions { netns: Some(netns.into()), ..self }
    }

    /// Gives up after so long a silence of the kernel.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> OpenOptions {
        OpenOptions { timeout: Some(timeout), ..self }
    }

    /// Asks for a receive buffer of so many bytes.
    #[must_use]
    pub fn with_receive_buffer(self, bytes: u32) -> OpenOptions {
        OpenOptions { receive_buffer: Some(bytes), ..self }
    }

    /// Lets deletes also compare the time at which an entry was made.
    #[must_use]
    pub fn with_compared_start(self) -> OpenOptions {
        OpenOptions { compare_start: true, ..self }
    }
}

/// A netlink socket in one network namespace: what [`crate::Conntrack::open`] works over.
pub struct NetlinkSocket {
    socket: Socket,
    port: u32,
    /// Known if it was given. Else it is that of the thread that opened the socket, and asked for only when it matters: a stat
    /// of it would take a tenth of the time of listing an empty table.
    netns: NetnsName,
    receive_buffer: u32,
    /// Where the number of buckets is read: kept open, since that is done for every datagram of a dump.
    buckets: Option<File>,
}

impl NetlinkSocket {
    /// Opens a socket as `options` say.
    pub fn open(options: &OpenOptions) -> Result<NetlinkSocket, Error> {
        NetlinkSocket::open_unnamed(options).map_err(|error| error.during("open"))
    }

    fn open_unnamed(options: &OpenOptions) -> Result<NetlinkSocket, Error> {
        let receive_buffer = options.receive_buffer.unwrap_or(RECEIVE_BUFFER).max(SMALLEST_RECEIVE_BUFFER);
        let Some(fd) = &options.netns else {
            let (socket, port) = open_here(receive_buffer).map_err(|error| open_error("socket", &error))?;
            return Ok(NetlinkSocket { socket, port, netns: NetnsName(None), receive_buffer, buckets: None });
        };
        let name = netns_name(fd).map_err(|error| open_error("stat of the network namespace", &error))?;
        let (socket, port) = open_there(fd, receive_buffer)?;
        Ok(NetlinkSocket { socket, port, netns: name, receive_buffer, buckets: None })
    }
}

fn open_error(call: &'static str, error: &io::Error) -> Error {
    Error::system(Call::Other(call), error)
}

/// A socket in the network namespace of this thread, and its port.
fn open_here(receive_buffer: u32) -> io::Result<(Socket, u32)> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    // Both are refinements that no kernel since 4.12 refuses: the kernel's words, and acks without a copy of the request.
    let _ = socket.set_ext_ack(true);
    let _ = socket.set_cap_ack(true);
    sys::set_receive_buffer(socket.as_raw_fd(), receive_buffer);
    sys::set_send_buffer(socket.as_raw_fd(), SEND_BUFFER);
    let port = socket.bind_auto()?.port_number();
    Ok((socket, port))
}

/// The same in another network namespace.
fn open_there(netns: &OwnedFd, receive_buffer: u32) -> Result<(Socket, u32), Error> {
    in_netns(netns, || open_here(receive_buffer).map_err(|error| open_error("socket", &error)))
}

/// Does something in another network namespace. Only a thread can enter one, and it must not be the caller's: so a helper does, and
/// ends with it.
fn in_netns<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let done = sys::on_a_thread(|| {
        sys::enter_netns(netns)
            .map_err(|error| open_error("setns (needs CAP_SYS_ADMIN over the network namespace)", &error))?;
        work()
    });
    done.unwrap_or_else(|error| Err(open_error("thread", &error)))
}

/// The sysctl net.netfilter.nf_conntrack_events of a network namespace: 0 no entry reports what becomes of it, 1 all do, 2 (the default
/// from 5.19 on) those do that are made while somebody listens (nf_ct_ecache_ext_add()).
pub(crate) struct Mode {
    /// Kept open: it is that of the network namespace of who opened it.
    file: io::Result<File>,
    /// It is not to be written, and this is why: read it is all the same.
    refused: Option<io::Error>,
}

impl Mode {
    const PATH: &'static str = "/proc/sys/net/netfilter/nf_conntrack_events";

    /// That of the network namespace of this thread.
    fn open(to_set: bool) -> Mode {
        let open = |write| File::options().read(true).write(write).open(Mode::PATH);
        match open(to_set) {
            Err(refused) if to_set => Mode { file: open(false), refused: Some(refused) },
            file => Mode { file, refused: None },
        }
    }

    /// `None`: it cannot be read.
    pub fn get(&self) -> Option<u8> {
        u8::try_from(read_number(self.file.as_ref().ok()?)?).ok()
    }

    /// Sets it to 1, if it is not.
    pub fn enable(&self) -> io::Result<()> {
        let why = |error: &io::Error| Err(io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO)));
        match (&self.file, &self.refused) {
            _ if self.get() == Some(1) => Ok(()),
            (_, Some(refused)) => why(refused),
            (Err(error), None) => why(error),
            (Ok(file), None) => file.write_all_at(b"1", 0),
        }
    }
}

/// A socket for events with this receive buffer, one that hears nothing yet, and the mode.
pub(crate) fn open_events(
    options: &OpenOptions,
    receive_buffer: u32,
    enable: bool,
) -> Result<(OwnedFd, OwnedFd, Mode), Error> {
    let open = || {
        let one = |receive_buffer| -> io::Result<OwnedFd> {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            sys::set_receive_buffer(socket.as_raw_fd(), receive_buffer);
            socket.bind_auto()?;
            socket.as_fd().try_clone_to_owned()
        };
        let both = one(receive_buffer).and_then(|events| Ok((events, one(0)?)));
        let (events, keeper) = both.map_err(|error| open_error("socket", &error))?;
        Ok((events, keeper, Mode::open(enable)))
    };
    match &options.netns {
        Some(netns) => in_netns(netns, open),
        None => open(),
    }
}

/// The network namespace of the calling thread. Not known without /proc.
fn own_netns() -> NetnsName {
    NetnsName(std::fs::metadata("/proc/thread-self/ns/net").ok().map(|metadata| metadata.st_ino()))
}

fn netns_name(fd: &OwnedFd) -> io::Result<NetnsName> {
    Ok(NetnsName(Some(File::from(fd.try_clone()?).metadata()?.st_ino())))
}

fn read_number(file: &File) -> Option<u64> {
    let mut text = [0; 24];
    let length = file.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.trim().parse().ok()
}

/// All sockets of a process talk to one kernel, in whatever network namespace: what it filters by is in its code.
static KERNEL: Known = Known::nothing();

impl Transport for NetlinkSocket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let kernel = SocketAddr::new(0, 0);
        let sent = self.socket.send_to(datagram, &kernel, 0)?;
        if sent == datagram.len() {
            Ok(())
        } else {
            // Netlink takes all or nothing. Not EMSGSIZE: then nothing was sent, and it is tried in parts.
            Err(io::Error::from_raw_os_error(libc::EIO))
        }
    }

    fn recv(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<Received> {
        // The kernel has usually answered before send() returned, so the first try gets it without a poll().
        let mut pause = Duration::ZERO;
        loop {
            let mut space = &mut buffer[..];
            match self.socket.recv_from(&mut space, libc::MSG_DONTWAIT | libc::MSG_TRUNC) {
                Ok((length, sender)) => return Ok(Received { length, sender: sender.port_number() }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // It was said to be readable and is not: somebody else who has the socket took the datagram, or a socket filter
            // dropped it. Over and over that must not burn a processor.
            std::thread::sleep(pause.min(left));
            if !sys::wait_readable(self.socket.as_raw_fd(), left.saturating_sub(pause))? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            pause = (2 * pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
    }

    fn port(&self) -> u32 {
        self.port
    }

    fn reset(&mut self) -> io::Result<()> {
        // Wants CAP_NET_ADMIN, which whoever has something under way has.
        let netns = sys::netns_of_socket(self.socket.as_raw_fd())?;
        let (socket, port) = if netns_name(&netns)? == own_netns() {
            open_here(self.receive_buffer)?
        } else {
            open_there(&netns, self.receive_buffer).map_err(|error| io::Error::from_raw_os_error(error.errno()))?
        };
        self.socket = socket;
        self.port = port;
        Ok(())
    }

    fn netns(&self) -> NetnsName {
        if self.netns.0.is_some() {
            return self.netns;
        }
        // Without the capability the kernel does not tell. Threads that move to another network namespace with a handle have
        // it, or had it, all others are still where they opened it.
        let netns = sys::netns_of_socket(self.socket.as_raw_fd()).and_then(|netns| netns_name(&netns));
        netns.unwrap_or_else(|_| own_netns())
    }

    fn receive_room(&self) -> usize {
        sys::receive_buffer(self.socket.as_raw_fd())
    }

    fn in_netns(&self, work: &mut (dyn FnMut() + Send)) -> io::Result<()> {
        // A thread may have moved since it opened the socket, and another one may use it.
        let netns = sys::netns_of_socket(self.socket.as_raw_fd())?;
        if netns_name(&netns)? == own_netns() {
            work();
            return Ok(());
        }
        let done = in_netns(&netns, || {
            work();
            Ok(())
        });
        done.map_err(|error| io::Error::from_raw_os_error(error.errno()))
    }

    fn known(&self) -> Option<&'static Known> {
        Some(&KERNEL)
    }

    fn buckets(&mut self) -> Option<u64> {
        if let Some(number) = self.buckets.as_ref().and_then(read_number) {
            return Some(number);
        }
        // The hash table is one for the whole machine; every network namespace shows its size.
        self.buckets = File::open("/proc/sys/net/netfilter/nf_conntrack_buckets").ok();
        self.buckets.as_ref().and_then(read_number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "opens a file")]
    fn each_with_method_of_the_options_sets_its_own_option_alone() {
        let OpenOptions { netns, timeout, receive_buffer, compare_start } = OpenOptions::new();
        assert!(netns.is_none() && timeout.is_none() && receive_buffer.is_none() && !compare_start);
        let options = OpenOptions::new().with_timeout(Duration::from_secs(7));
        assert_eq!((options.timeout, options.receive_buffer), (Some(Duration::from_secs(7)), None));
        let options = options.with_receive_buffer(4096).with_compared_start();
        assert!(options.netns.is_none());
        let options = options.with_netns(File::open("/dev/null").unwrap());
        assert!(options.netns.is_some() && options.compare_start);
        assert_eq!((options.timeout, options.receive_buffer), (Some(Duration::from_secs(7)), Some(4096)));
    }
}
