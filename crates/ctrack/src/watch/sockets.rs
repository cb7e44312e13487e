//! The kernel as a watch sees it: a socket for events, one that keeps them coming, and one for requests.

use super::bpf;
use super::engine::{Source, Task, GROUPS};
use super::follower::{Answer, Suspect};
use crate::error::{Call, Error, LATER};
use crate::ops::find::{Finder, Found};
use crate::ops::select::Select;
use crate::selection::Selection;
use crate::socket::link::Link;
use crate::socket::netlink::{open_events, Mode, NetlinkSocket, OpenOptions};
use crate::sys::{self, Datagrams};
use ctnetlink::types::*;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

/// 25,000 events of 1,280 bytes each, twice that after the kernel doubled it.
pub(crate) const RECEIVE_BUFFER: u32 = 32 << 20;

/// So many entries of a list are handed over by one step.
const LISTED_AT_ONCE: usize = 256;

/// How many instructions a program may have: first what any kernel takes (BPF_MAXINSNS in linux/bpf_common.h), then less. The limit is
/// in bytes of what they are converted to (sysctl net.core.optmem_max: 20,480 up to 6.1, 131,072 later), 8 to 96 for each.
const INSTRUCTIONS: [usize; 5] = [4096, 2048, 1024, 212, 106];

/// How to open them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// The kernel keeps what is destroyed until its event found room.
    pub reliable: bool,
    /// Of all network namespaces that have a number in this one.
    pub everywhere: bool,
    /// Sets nf_conntrack_events to 1.
    pub enable: bool,
}

/// Sockets in one network namespace.
pub(crate) struct Sockets {
    events: OwnedFd,
    /// Joined to the same groups for as long as the watch lives, behind a filter that lets nothing through. While it is there the
    /// kernel goes on to make entries that report what becomes of them (nf_conntrack_events = 2 asks whether anybody listens); and it
    /// is told of events that the kernel could not even allocate, which no counter has (netlink_set_err(), which leaves sockets
    /// with NETLINK_NO_ENOBUFS alone).
    keeper: OwnedFd,
    link: Link,
    datagrams: Datagrams,
    list: Option<Select>,
    finder: Finder,
    mode: Mode,
    began: Instant,
    /// Bytes of the receive buffer in use, and how many there are, as they were last seen.
    pub queued: [u32; 2],
    /// Something came that was longer than any event: counted as a loss that nobody counts.
    unreadable: bool,
}

impl Sockets {
    pub fn open(options: &OpenOptions, manner: Manner, timeout: Duration) -> Result<Sockets, Error> {
        let receive_buffer = options.receive_buffer.unwrap_or(RECEIVE_BUFFER);
        let (events, keeper, mode) = open_events(options, receive_buffer, manner.enable)?;
        let set = |option, name| {
            sys::set_netlink(events.as_raw_fd(), option, 1).map_err(|error| Error::system(Call::Other(name), &error))
        };
        // It loses nothing by it but an error that says less than the counter, comes too late, and stops the queue until it is empty.
        set(libc::NETLINK_NO_ENOBUFS, "setsockopt(NETLINK_NO_ENOBUFS)")?;
        if manner.reliable {
            set(libc::NETLINK_BROADCAST_ERROR, "setsockopt(NETLINK_BROADCAST_ERROR)")?;
        }
        if manner.everywhere {
            set(libc::NETLINK_LISTEN_ALL_NSID, "setsockopt(NETLINK_LISTEN_ALL_NSID)").map_err(no_broadcast)?;
        }
        let netns = options.netns.as_ref().map(|netns| netns.try_clone()).transpose();
        let netns = netns.map_err(|error| Error::system(Call::Other("dup"), &error))?;
        let requests = NetlinkSocket::open(&OpenOptions { netns, receive_buffer: None, ..OpenOptions::default() })?;
        let sockets = Sockets {
            events,
            keeper,
            link: Link::new(sys::try_box(requests).ok_or(Error::NoMemory { op: LATER })?, timeout),
            datagrams: Datagrams::new(manner.everywhere).ok_or(Error::NoMemory { op: LATER })?,
            list: None,
            finder: Finder::new(false),
            mode,
            began: Instant::now(),
            queued: [0; 2],
            unreadable: false,
        };
        // ret 0
        let nothing = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];
        sys::attach_filter(sockets.keeper.as_raw_fd(), &nothing)
            .map_err(|error| Error::system(Call::Other("setsockopt(SO_ATTACH_FILTER)"), &error))?;
        Ok(sockets)
    }

    /// The socket on which events wait.
    pub fn events(&self) -> &OwnedFd {
        &self.events
    }

    /// Hears nothing any more, whoever else has these sockets.
    pub fn leave_all(&mut self) {
        for group in GROUPS {
            let _ = self.set_membership(&self.events, group, false);
            let _ = self.set_membership(&self.keeper, group, false);
        }
    }

    /// Lets the kernel drop what no filter selects, as far as a program can tell. Without one all is heard, and compared here. To be
    /// called before groups are joined.
    pub fn filter(&mut self, selection: &Selection, sync: bool) -> Result<(), Error> {
        // That of an earlier start: both would count against the limit.
        sys::detach_filter(self.events.as_raw_fd());
        for most in INSTRUCTIONS {
            let program = bpf::program(selection, sync, most).map_err(Error::no_memory)?;
            let Some(program) = program else { break };
            // ENOMEM: too many; anything else: not here.
            if sys::attach_filter(self.events.as_raw_fd(), &program).is_ok() {
                break;
            }
        }
        Ok(())
    }

    fn set_membership(&self, socket: &OwnedFd, group: u32, member: bool) -> Result<(), Error> {
        sys::set_membership(socket.as_raw_fd(), group, member).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM) => Error::Permission { op: LATER, netns: self.link.netns() },
            // linux/netlink.h: a group that this kernel has not.
            Some(libc::EINVAL) => Error::Impossible {
                op: LATER,
                errno: libc::EOPNOTSUPP,
                reason: "this kernel sends no events (CONFIG_NF_CONNTRACK_EVENTS)",
            },
            _ => Error::system(Call::Other("setsockopt(NETLINK_ADD_MEMBERSHIP)"), &error),
        })
    }
}

fn no_broadcast(error: Error) -> Error {
    match error.errno() {
        libc::EPERM => Error::Impossible {
            op: LATER,
            errno: libc::EPERM,
            reason: "not permitted: events of all network namespaces need CAP_NET_BROADCAST in the user namespace that owns this one",
        },
        _ => error,
    }
}

fn memory_of_socket(error: std::io::Error) -> Error {
    Error::system(Call::Other("getsockopt(SO_MEMINFO)"), &error)
}

/// Bytes of the receive buffer of a socket in use, and how many there are.
pub(crate) fn queue(socket: BorrowedFd<'_>) -> Result<(u32, u32), Error> {
    let (used, all, _) = sys::queue(socket.as_raw_fd()).map_err(memory_of_socket)?;
    Ok((used, all))
}

impl Source for Sockets {
    fn enable(&mut self) -> Result<(), Error> {
        self.mode.enable().map_err(|error| Error::Impossible {
            op: LATER,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            reason: "net.netfilter.nf_conntrack_events is not 1 in this network namespace, and could not be set; set it before, or do \
                     not ask for that",
        })
    }

    fn keep(&mut self, task: &Task) -> Result<(), Error> {
        task.groups().try_for_each(|group| self.set_membership(&self.keeper, group, true))
    }

    fn join(&mut self, group: u32) -> Result<(), Error> {
        self.set_membership(&self.events, group, true)
    }

    fn leave(&mut self, group: u32) -> Result<(), Error> {
        self.set_membership(&self.events, group, false)
    }

    fn read(&mut self, most: usize, hear: &mut dyn FnMut(&[u8], Option<i32>)) -> Result<bool, Error> {
        let mut left = most;
        while left > 0 {
            let wanted = left.min(Datagrams::MOST);
            let count = match self.datagrams.receive(self.events.as_raw_fd(), wanted) {
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.unreadable = true;
                    continue;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                count => count.map_err(|error| Error::system(Call::Receive, &error))?,
            };
            let unreadable = &mut self.unreadable;
            self.datagrams.each(&mut |datagram| match datagram.bytes {
                Some(bytes) => hear(bytes, datagram.nsid),
                None => *unreadable = true,
            });
            if count < wanted {
                return Ok(true);
            }
            left -= count;
        }
        Ok(false)
    }

    fn drops(&mut self) -> Result<(u32, bool), Error> {
        let (used, all, drops) = sys::queue(self.events.as_raw_fd()).map_err(memory_of_socket)?;
        self.queued = [used, all];
        let error = sys::take_error(self.keeper.as_raw_fd()).unwrap_or(0);
        Ok((drops, std::mem::take(&mut self.unreadable) || error == libc::ENOBUFS))
    }

    fn begin_list(&mut self, selection: &Selection) -> Result<(), Error> {
        self.list = Some(Select::start(&mut self.link, selection)?);
        Ok(())
    }

    fn list(
        &mut self,
        selection: &Selection,
        hear: &mut dyn FnMut(&Entry) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let Some(list) = &mut self.list else { return Ok(true) };
        let mut entry = Entry::EMPTY;
        for _ in 0..LISTED_AT_ONCE {
            match list.next(&mut self.link, selection, &mut entry) {
                Ok(true) => hear(&entry)?,
                Ok(false) => {
                    self.list = None;
                    return Ok(true);
                }
                Err(error) => {
                    self.list = None;
                    return Err(error);
                }
            }
        }
        Ok(false)
    }

    fn look_up(&mut self, suspects: &[Suspect], answers: &mut Vec<Answer>) -> Result<(), Error> {
        let mut keys = Vec::new();
        keys.try_reserve_exact(suspects.len()).map_err(Error::no_memory)?;
        answers.try_reserve_exact(suspects.len()).map_err(Error::no_memory)?;
        let named = Has::ORIG | Has::REPLY | Has::PORTS | Has::ICMP | Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE;
        keys.extend(suspects.iter().map(|suspect| Entry { has: suspect.entry.has & named, ..suspect.entry }));
        // A list under way is begun anew by whoever asks in between: the engine does not.
        self.finder.find(&mut self.link, &keys, |_| true, false)?;
        answers.extend(self.finder.found.iter().map(|found| match found {
            Found::Missing => Answer::Gone,
            Found::Entry(entry, _) => Answer::Alive(*entry),
            Found::Hidden(_) | Found::Refused(_) => Answer::Hidden,
        }));
        Ok(())
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn clock(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }

    fn events_mode(&mut self) -> Option<u8> {
        self.mode.get()
    }
}
