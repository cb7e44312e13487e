//! Which process this is, so that a handle knows a child of the one that opened it.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A process, to recognise its children: by its number, and by a mark that is lost when memory is copied.
///
/// The number alone will not do: the first process of each container has the number 1, so that parent and child can have the
/// same. The mark alone will not do either: vfork() copies no memory. Only a child that shares its memory *and* has the same
/// number is taken for its parent: it has the memory and the descriptors of the parent, which waits meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    mark: u32,
    number: u32,
}

/// What a process is to the one that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinship {
    /// It is the same.
    Same,
    /// This one was forked off: its memory is a copy.
    Copy,
    /// This one was forked off and works in the memory of the other (vfork(); or a raw clone() where the kernel is older than
    /// 4.14).
    Shared,
}

impl Process {
    /// The one that is running. Fails if there is no memory to tell children by.
    pub fn current() -> io::Result<Process> {
        let place = mark_place()?;
        let mut mark = place.load(Ordering::Acquire);
        if mark == 0 {
            // The first in this process. No lock: a child that was forked off while another thread held it would wait for ever.
            // A child has the count of its parent and goes on from there, so its mark is a new one.
            let new = MARKS.fetch_add(1, Ordering::AcqRel).wrapping_add(1).max(1);
            mark =
                place.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire).map_or_else(|other| other, |_| new);
        }
        Ok(Process { mark, number: std::process::id() })
    }

    /// What the running process is to it.
    pub fn kinship(&self) -> Kinship {
        let mark = match MARK_PLACE.load(Ordering::Acquire) {
            0 => 0,
            known => MARK_ROOM[known - 1].load(Ordering::Acquire),
        };
        match (mark == self.mark, std::process::id() == self.number) {
            (true, true) => Kinship::Same,
            (true, false) => Kinship::Shared,
            (false, _) => Kinship::Copy,
        }
    }

    /// The parent of this process, to a test.
    #[cfg(test)]
    pub fn parent_of(child: Process) -> Process {
        Process { mark: child.mark.wrapping_add(1), ..child }
    }
}

/// The largest page of the machines with this instruction set.
const LARGEST_PAGE: usize =
    if cfg!(any(target_arch = "x86_64", target_arch = "x86", target_arch = "arm", target_arch = "s390x")) {
        4096
    } else {
        65536
    };

/// Room for one whole page, wherever it begins. A static and not a mapping of its own: so it takes no system call to have it, can
/// not fail, goes with the library when that is unloaded, and there is one for all handles. What is not touched costs no memory.
static MARK_ROOM: [AtomicU32; 2 * LARGEST_PAGE / 4] = [const { AtomicU32::new(0) }; 2 * LARGEST_PAGE / 4];

/// Where in it the mark of this process is, plus 1. 0: nobody has asked yet.
static MARK_PLACE: AtomicUsize = AtomicUsize::new(0);

/// How many marks this process and its ancestors had.
static MARKS: AtomicU32 = AtomicU32::new(0);

/// Where the mark of this process is: 0 as long as it has none, and again in each child that has a copy of its memory.
fn mark_place() -> io::Result<&'static AtomicU32> {
    let mut known = MARK_PLACE.load(Ordering::Acquire);
    if known == 0 {
        let found = match wiped_page() {
            Some(index) => index + 1,
            None => {
                // A kernel before 4.14, or a filter of system calls. fork() runs this handler in the child; a raw clone() does
                // not. It does not outlive the library: glibc forgets the handlers of a library that is unloaded
                // (pthread_atfork() is linked into it and says whose they are), and musl unloads none.
                // SAFETY: the handler is a function without captures that only stores into a static.
                match unsafe { libc::pthread_atfork(None, None, Some(forget_mark)) } {
                    0 => 1,
                    errno => return Err(io::Error::from_raw_os_error(errno)),
                }
            }
        };
        // Another thread may have been here as well. Whatever it found will do.
        known =
            MARK_PLACE.compare_exchange(0, found, Ordering::AcqRel, Ordering::Acquire).map_or_else(|o| o, |_| found);
    }
    Ok(&MARK_ROOM[known - 1])
}

/// In a child, where the kernel does not do it.
unsafe extern "C" fn forget_mark() {
    MARK_ROOM[0].store(0, Ordering::Release);
}

/// Tells the kernel to hand children a page of zeros (since 4.14), and gives the index of its first element.
fn wiped_page() -> Option<usize> {
    if cfg!(miri) {
        return Some(0);
    }
    // SAFETY: takes a number and returns one.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    let base = MARK_ROOM.as_ptr() as usize;
    let offset = base.checked_next_multiple_of(page)? - base;
    if offset + page > size_of_val(&MARK_ROOM) {
        return None;
    }
    let start = MARK_ROOM.as_ptr().cast::<u8>().wrapping_add(offset).cast_mut().cast();
    // SAFETY: the page lies within MARK_ROOM (above), nothing else is on it, and a child may lose what is in atomics.
    let wiped = unsafe {
        // Emulators say yes to advice that they do not know (qemu-user before 7.1), even to one that nobody knows.
        libc::madvise(start, page, -1) != 0 && libc::madvise(start, page, libc::MADV_WIPEONFORK) == 0
    };
    wiped.then_some(offset / size_of::<AtomicU32>())
}
