//! One transport with what every conversation over it needs: sequence numbers, a deadline, a receive buffer.

use super::known::Known;
use super::Transport;
use crate::error::{Call, Error, NetnsName, LATER};
use ctnetlink::detail::KernelDetail;
use std::io;
use std::time::{Duration, Instant};

/// The kernel fills dump datagrams up to 32 KiB once it has seen a buffer of that size (netlink_dump(),
/// nlk->max_recvmsg_len); with less than 8 KiB entries get lost. Larger brings nothing.
pub(crate) const DUMP_BUFFER: usize = if cfg!(miri) { 8 } else { 64 } * 1024;

/// Replies to single requests are one message of a few hundred bytes each. A small buffer spares a handle that only counts or
/// deletes the cost of fresh pages.
pub(crate) const REPLY_BUFFER: usize = 8 * 1024;

/// The longest silence that is waited for, unless the caller says otherwise.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A wait for the kernel: over when it has been silent for too long. Only what belongs to the conversation counts as a sound, so
/// that a flood of anything else does not keep it alive.
pub(crate) struct Wait {
    /// `None`: counted from the next receive on.
    deadline: Option<Instant>,
    /// Nothing of ours has come since.
    barren: bool,
}

impl Wait {
    pub fn new() -> Wait {
        Wait { deadline: None, barren: false }
    }

    /// Something of ours came: the time begins anew.
    pub fn progress(&mut self) {
        *self = Wait::new();
    }

    /// From now on only what is there already is wanted.
    pub fn no_longer(&mut self) {
        *self = Wait { deadline: Some(Instant::now()), barren: false };
    }
}

/// Whom an EPERM of the kernel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The caller, who lacks the capability.
    Caller,
    /// An entry: the kernel has just answered look-ups of the same caller, and refuses a change (of a fixed timeout).
    Entry,
}

pub(crate) struct Link {
    transport: Box<dyn Transport>,
    timeout: Duration,
    seq: u32,
    buffer: Vec<u8>,
    /// What this link found out of the kernel, where the transport has no better place for it.
    own_known: Known,
    /// Whether it was tried on this link to find out how addresses of IPv6 are matched: in vain, without entries to try with.
    ipv6_probed: bool,
    /// The kernel may still have something to say to what was sent last.
    open: bool,
}

impl Link {
    pub fn new(transport: Box<dyn Transport>, timeout: Duration) -> Link {
        // No clock goes further than a year.
        let timeout = timeout.min(Duration::from_secs(365 * 86_400));
        Link {
            transport,
            timeout,
            seq: 0,
            buffer: Vec::new(),
            own_known: Known::nothing(),
            ipv6_probed: false,
            open: false,
        }
    }

    /// A sequence number that was not used before on this link (but for wrapping). Never 0: events have that.
    pub fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1).max(1);
        self.seq
    }

    /// The first of `n` sequence numbers in a row that does not wrap.
    pub fn reserve_seqs(&mut self, n: u32) -> u32 {
        if self.seq.checked_add(n).is_none() {
            self.seq = 0;
        }
        let first = self.seq + 1;
        self.seq += n;
        first
    }

    pub fn port(&self) -> u32 {
        self.transport.port()
    }

    pub fn netns(&self) -> NetnsName {
        self.transport.netns()
    }

    /// What is known of the kernel.
    pub fn known(&self) -> &Known {
        self.transport.known().unwrap_or(&self.own_known)
    }

    /// Once for each link: a probe that has nothing to try with is as dear as the walk that it is to save.
    pub fn may_probe_ipv6(&mut self) -> bool {
        !std::mem::replace(&mut self.ipv6_probed, true)
    }

    pub fn receive_room(&self) -> usize {
        self.transport.receive_room()
    }

    pub fn in_netns(&self, work: &mut (dyn FnMut() + Send)) -> io::Result<()> {
        self.transport.in_netns(work)
    }

    pub fn buckets(&mut self) -> Option<u64> {
        self.transport.buckets()
    }

    pub fn send(&mut self, datagram: &[u8]) -> Result<(), Error> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.transport.send(datagram) {
                Ok(()) => {
                    self.open = true;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted && Instant::now() < deadline => {}
                Err(error) => return Err(Error::system(Call::Send, &error)),
            }
        }
    }

    /// Begins a conversation: makes room for datagrams of that size, and throws away what is left of the last one.
    ///
    /// Where there is no memory, nothing is then under way that would have to be read.
    pub fn begin(&mut self, room: usize) -> Result<(), Error> {
        if self.buffer.len() < room {
            self.buffer.try_reserve_exact(room - self.buffer.len()).map_err(Error::no_memory)?;
            self.buffer.resize(room, 0);
        }
        self.abandon();
        Ok(())
    }

    /// Receives a datagram of the kernel and returns its length; [`Link::received`] gives its bytes.
    pub fn receive(&mut self, wait: &mut Wait) -> Result<usize, Error> {
        let deadline = *wait.deadline.get_or_insert_with(|| Instant::now() + self.timeout);
        if wait.barren && Instant::now() >= deadline {
            return Err(self.timed_out());
        }
        wait.barren = true;
        loop {
            match self.transport.recv(&mut self.buffer, deadline) {
                // Anyone may send to a netlink port; only the kernel is believed.
                Ok(received) if mutant!("kernel-alone", received.sender != 0, false) => {
                    if Instant::now() >= deadline {
                        return Err(self.timed_out());
                    }
                }
                Ok(received) if received.length > self.buffer.len() => {
                    return Err(Error::Truncated { op: LATER, length: received.length });
                }
                Ok(received) => return Ok(received.length),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted if Instant::now() < deadline => {}
                    io::ErrorKind::Interrupted | io::ErrorKind::TimedOut => return Err(self.timed_out()),
                    _ if error.raw_os_error() == Some(libc::ENOBUFS) => return Err(Error::Overrun { op: LATER }),
                    _ => return Err(Error::system(Call::Receive, &error)),
                },
            }
        }
    }

    /// The first `length` bytes of the last datagram.
    pub fn received(&self, length: usize) -> &[u8] {
        &self.buffer[..length]
    }

    /// The kernel has said all that it had to say.
    pub fn finish(&mut self) {
        self.open = false;
    }

    /// Ends a conversation that failed: throws away what is under way, unless nothing can be.
    pub fn fail(&mut self, error: &Error) {
        match error {
            Error::Kernel { .. } | Error::Permission { .. } => self.finish(),
            Error::System { call: Call::Send | Call::SendRest, .. } => {}
            _ => self.abandon(),
        }
    }

    /// Throws away what is under way, if anything is. Where the socket cannot be replaced, what the kernel still has to say is read, as
    /// long as it keeps talking.
    pub fn abandon(&mut self) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        if self.transport.reset().is_ok() {
            return;
        }
        // A dump of the largest tables would go on for longer; it is not worth waiting for.
        for _ in 0..1_000_000 {
            let mut wait = Wait::new();
            wait.no_longer();
            if matches!(self.receive(&mut wait), Err(Error::Timeout { .. } | Error::System { .. })) {
                break;
            }
        }
    }

    pub fn timed_out(&self) -> Error {
        Error::Timeout { op: LATER, millis: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Whether this errno means that the caller lacks the capability: the one rule for EPERM.
    pub fn is_forbidden(about: About, errno: i32) -> bool {
        errno == libc::EPERM && about == About::Caller
    }

    /// The error for an errno of the kernel.
    pub fn refused(&self, about: About, errno: i32, detail: KernelDetail) -> Error {
        if Link::is_forbidden(about, errno) {
            return Error::Permission { op: LATER, netns: self.netns() };
        }
        Error::Kernel { op: LATER, errno, detail }
    }
}
