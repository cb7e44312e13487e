//! The kernel as a watch sees it: a socket for events, one that keeps them coming, and one for requests.

use super::bpf;
use super::engine::Source;
use super::follower::{Answer, Suspect};
use crate::error::{Call, Error, LATER};
use crate::ops::find::{Finder, Found};
use crate::ops::select::Select;
use crate::selection::Selection;
use crate::socket::link::Link;
use crate::socket::netlink::{open_events, NetlinkSocket, OpenOptions};
use crate::sys::{self, Datagrams};
use ctnetlink::consts::*;
use ctnetlink::types::*;
use netlink_sys::Socket;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// 25,000 events of 1,280 bytes each, twice that after the kernel doubled it.
pub(crate) const RECEIVE_BUFFER: u32 = 32 << 20;

/// So many entries of a list are handed over by one step.
const LISTED_AT_ONCE: usize = 256;

/// How many instructions a program may have: first what any kernel takes (BPF_MAXINSNS in linux/bpf_common.h), then less. The limit is
/// in bytes of what they are converted to (sysctl net.core.optmem_max: 20,480 up to 6.1, 131,072 later), 8 to 96 for each.
const INSTRUCTIONS: [usize; 5] = [4096, 2048, 1024, 212, 106];

/// Sockets in one network namespace.
pub(crate) struct Sockets {
    events: Socket,
    /// Joined to the same groups for as long as the watch lives, behind a filter that lets nothing through. While it is there the
    /// kernel goes on to make entries that report what becomes of them (nf_conntrack_events = 2 asks whether anybody listens); and it
    /// is told of events that the kernel could not even allocate, which no counter has (netlink_set_err(), which leaves sockets
    /// with NETLINK_NO_ENOBUFS alone).
    keeper: Socket,
    link: Link,
    datagrams: Datagrams,
    list: Option<Select>,
    finder: Finder,
    began: Instant,
    /// Something came that was longer than any event, or from somebody else: counted as a loss that nobody counts.
    unreadable: bool,
}

impl Sockets {
    pub fn open(options: &OpenOptions, timeout: Duration) -> Result<Sockets, Error> {
        let (events, keeper) = open_events(options, options.receive_buffer.unwrap_or(RECEIVE_BUFFER))?;
        let other = |call| move |error: std::io::Error| Error::system(Call::Other(call), &error);
        // It loses nothing by it but an error that says less than the counter, comes too late, and stops the queue until it is empty.
        events.set_no_enobufs(true).map_err(other("setsockopt(NETLINK_NO_ENOBUFS)"))?;
        // ret 0
        let nothing = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];
        sys::attach_filter(keeper.as_raw_fd(), &nothing).map_err(other("setsockopt(SO_ATTACH_FILTER)"))?;
        let requests = NetlinkSocket::open(&OpenOptions {
            netns: options.netns.as_ref().map(|netns| netns.try_clone()).transpose().map_err(other("dup"))?,
            receive_buffer: None,
            ..OpenOptions::default()
        })?;
        Ok(Sockets {
            events,
            keeper,
            link: Link::new(Box::new(requests), timeout),
            datagrams: Datagrams::new().ok_or(Error::NoMemory { op: LATER })?,
            list: None,
            finder: Finder::new(false),
            began: Instant::now(),
            unreadable: false,
        })
    }

    /// The descriptor that is readable when events wait.
    pub fn fd(&self) -> RawFd {
        self.events.as_raw_fd()
    }

    /// Bytes of the receive buffer in use, and how many there are.
    pub fn queue(&self) -> Result<(u32, u32), Error> {
        let (used, all, _) = sys::queue(self.fd()).map_err(memory_of_socket)?;
        Ok((used, all))
    }

    /// Hears groups on the socket that keeps events coming.
    pub fn keep(&mut self, groups: &[u32]) -> Result<(), Error> {
        groups.iter().try_for_each(|group| self.keeper.add_membership(*group)).map_err(|error| self.refused(&error))
    }

    /// Lets the kernel drop what no filter selects, as far as a program can tell. Without one all is heard, and compared here. To be
    /// called before groups are joined.
    pub fn filter(&mut self, selection: &Selection, sync: bool) -> Result<(), Error> {
        for most in INSTRUCTIONS {
            let program = bpf::program(selection, sync, most).map_err(Error::no_memory)?;
            let Some(program) = program else { break };
            // ENOMEM: too many; anything else: not here.
            if sys::attach_filter(self.fd(), &program).is_ok() {
                break;
            }
        }
        Ok(())
    }

    fn refused(&self, error: &std::io::Error) -> Error {
        match error.raw_os_error() {
            Some(libc::EPERM) => Error::Permission { op: LATER, netns: self.link.netns() },
            _ => Error::system(Call::Other("setsockopt(NETLINK_ADD_MEMBERSHIP)"), error),
        }
    }
}

fn memory_of_socket(error: std::io::Error) -> Error {
    Error::system(Call::Other("getsockopt(SO_MEMINFO)"), &error)
}

impl Source for Sockets {
    fn join(&mut self, group: u32) -> Result<(), Error> {
        self.events.add_membership(group).map_err(|error| self.refused(&error))
    }

    fn leave(&mut self, group: u32) -> Result<(), Error> {
        self.events.drop_membership(group).map_err(|error| self.refused(&error))
    }

    fn read(&mut self, most: usize, hear: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
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
            for (datagram, sender) in self.datagrams.each() {
                match datagram {
                    // Anyone may send to a netlink port; only the kernel is believed.
                    _ if sender != 0 => {}
                    Some(datagram) => hear(datagram),
                    None => self.unreadable = true,
                }
            }
            if count < wanted {
                return Ok(true);
            }
            left -= count;
        }
        Ok(false)
    }

    fn drops(&mut self) -> Result<(u32, bool), Error> {
        let (_, _, drops) = sys::queue(self.fd()).map_err(memory_of_socket)?;
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
}

/// All groups of entries, in the order in which they are joined.
pub(crate) const GROUPS: [u32; 3] = [NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_NEW];
