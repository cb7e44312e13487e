//! One error type for everything, and the one place where an errno is chosen for it.

use crate::filter::PrefixError;
use crate::setting::Setting;
use ctnetlink::detail::KernelDetail;
use ctnetlink::encode::{zone_of, By};
use ctnetlink::types::{Entry, Family, Has, Proto, Tuple};
use ctnetlink::WireError;
use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt::{self, Write};
use std::net::IpAddr;

/// In place of the operation's name, in errors on their way to the one layer that adds it, `conntrack`.
pub(crate) const LATER: &str = "";

/// What a system call was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// A request was to be sent, and nothing of it was.
    Send,
    /// A part of the requests was sent, and the rest was not.
    SendRest,
    /// A reply was to be received.
    Receive,
    /// Something else, by its name.
    Other(&'static str),
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Send => "send",
            Call::SendRest => "send of the rest",
            Call::Receive => "receive",
            Call::Other(name) => name,
        })
    }
}

/// What went wrong. Every variant is something that a caller would treat differently.
///
/// ```no_run
/// use ctrack::{Conntrack, Error};
/// match Conntrack::open().and_then(|mut conntrack| conntrack.count()) {
///     Ok(count) => println!("{count} entries"),
///     Err(error @ Error::Permission { .. }) => eprintln!("{error}; try as root"),
///     Err(error) => eprintln!("{error}"),
/// }
/// ```
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument makes no sense. Nothing was sent.
    #[error("{place}: {reason}")]
    Invalid {
        /// Which argument, for example `filter[2].orig_src`.
        place: Cow<'static, str>,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },

    /// A struct of a newer release has fields set that this release does not know.
    #[error("{place}: has fields set that this release does not know")]
    TooNew {
        /// Which argument.
        place: Cow<'static, str>,
    },

    /// The kernel wants a capability that the caller does not have.
    #[error("{op}: not permitted: needs CAP_NET_ADMIN in the user namespace that owns {netns}")]
    Permission {
        /// The operation.
        op: &'static str,
        /// The network namespace, for example `net:[4026531840]`.
        netns: NetnsName,
    },

    /// The kernel refused the request.
    #[error("{op}: {}{detail}", refusal_text(op, *errno))]
    Kernel {
        /// The operation.
        op: &'static str,
        /// The kernel's errno, positive.
        errno: i32,
        /// What the kernel said about it.
        detail: KernelDetail,
    },

    /// A system call failed.
    #[error("{op}: {call}: {}", errno_text(*errno))]
    System {
        /// The operation.
        op: &'static str,
        /// What the system call was for.
        call: Call,
        /// Its errno, positive.
        errno: i32,
    },

    /// The kernel fell silent: no reply in time.
    #[error("{op}: no reply from the kernel within {millis} ms")]
    Timeout {
        /// The operation.
        op: &'static str,
        /// The limit.
        millis: u64,
    },

    /// The table changed under the dump each time it was tried.
    #[error("{op}: the table was resized or the dump was interrupted {tries} times")]
    Interrupted {
        /// The operation.
        op: &'static str,
        /// How often it was tried.
        tries: u32,
    },

    /// A watch knows as many entries as it may.
    #[error(
        "{op}: there are more than {most} entries, and no more may be known; allow more, or watch fewer by filters"
    )]
    Full {
        /// The operation.
        op: &'static str,
        /// The limit.
        most: usize,
    },

    /// The receive buffer overran: replies were lost.
    #[error("{op}: replies were lost because the receive buffer of the socket was full")]
    Overrun {
        /// The operation.
        op: &'static str,
    },

    /// A datagram did not fit the receive buffer.
    #[error("{op}: a datagram of {length} bytes was truncated")]
    Truncated {
        /// The operation.
        op: &'static str,
        /// Its real length.
        length: usize,
    },

    /// The kernel's reply cannot be understood.
    #[error("{op}: {fault}")]
    Malformed {
        /// The operation.
        op: &'static str,
        /// What is wrong with it. Not its `source()`, since its text is in that of this error.
        fault: WireError,
    },

    /// Out of memory.
    #[error("{op}: out of memory")]
    NoMemory {
        /// The operation.
        op: &'static str,
    },

    /// Of the C functions: a dump is open on the handle.
    #[doc(hidden)]
    #[error("{op}: a dump is open on this handle; read it to its end or end it first")]
    DumpOpen {
        /// The operation.
        op: &'static str,
    },

    /// Of the C functions: no dump is open on the handle.
    #[doc(hidden)]
    #[error("{op}: no dump is open on this handle")]
    NoDump {
        /// The operation.
        op: &'static str,
    },

    /// An entry is in the table, but every request that names it leads to another entry.
    ///
    /// That takes an entry with a zone for one direction only, which the kernel lets have a tuple that another entry has in its
    /// other direction.
    #[error("{op}: the entry is there, but cannot be reached: its tuples lead to another entry{hider}")]
    Hidden {
        /// The operation.
        op: &'static str,
        /// What is found in its place.
        hider: Hider,
    },

    /// The entry cannot be made or changed like this. Seen before anything was sent for it.
    #[error("{op}: {}: {reason}", errno_text(*errno))]
    Impossible {
        /// The operation.
        op: &'static str,
        /// The errno that stands for it, positive.
        errno: i32,
        /// Why.
        reason: &'static str,
    },

    /// Another entry has the place of the one that was meant, and it was read, and its counters begin anew, in its place.
    #[error("{op}: another entry has its place: that one was read, and counts from 0 on")]
    Replaced {
        /// The operation.
        op: &'static str,
    },

    /// Of the C functions: the caller's array is too small.
    #[doc(hidden)]
    #[error("{op}: there are {needed}, and no room for so many")]
    NoRoom {
        /// The operation.
        op: &'static str,
        /// How many there are.
        needed: usize,
    },

    /// Of the C functions: what there is room for was done, and more is selected.
    #[doc(hidden)]
    #[error("{op}: more are selected than there is room for, and stay; call again")]
    More {
        /// The operation.
        op: &'static str,
    },

    /// A setting could not be set.
    #[error("{op}: {} to {value}: {}", setting.name(), setting_text(*errno))]
    Setting {
        /// The operation.
        op: &'static str,
        /// Which one.
        setting: Setting,
        /// The value that it was to have.
        value: u32,
        /// The errno of its file, positive.
        errno: i32,
    },

    /// All zones of the range are in use.
    #[error("zone_find_free: no free zone from {first} to {last}")]
    NoFreeZone {
        /// First of the range.
        first: u16,
        /// Last of the range.
        last: u16,
    },
}

impl Error {
    /// The errno that stands for this error, as a positive number: that of the kernel where the kernel refused, else one that says
    /// what happened.
    ///
    /// ```
    /// let error = ctrack::presets::dead_endpoint(&[]).unwrap_err();
    /// assert_eq!(std::io::Error::from_raw_os_error(error.errno()).kind(), std::io::ErrorKind::InvalidInput);
    /// ```
    pub fn errno(&self) -> i32 {
        match self {
            Error::Invalid { .. } | Error::NoDump { .. } => libc::EINVAL,
            Error::TooNew { .. } => libc::E2BIG,
            Error::Permission { .. } => libc::EPERM,
            Error::Kernel { errno, .. }
            | Error::System { errno, .. }
            | Error::Impossible { errno, .. }
            | Error::Setting { errno, .. } => *errno,
            Error::Timeout { .. } => libc::ETIMEDOUT,
            Error::Interrupted { .. } => libc::EAGAIN,
            Error::Full { .. } | Error::NoRoom { .. } | Error::More { .. } => libc::ENOSPC,
            Error::Overrun { .. } => libc::ENOBUFS,
            Error::Truncated { .. } => libc::EMSGSIZE,
            Error::Malformed { .. } => libc::EBADMSG,
            Error::NoMemory { .. } => libc::ENOMEM,
            Error::DumpOpen { .. } => libc::EBUSY,
            Error::NoFreeZone { .. } => libc::ENOSPC,
            Error::Hidden { .. } => libc::ENOTUNIQ,
            Error::Replaced { .. } => libc::ESTALE,
        }
    }

    /// An `Invalid` error.
    #[doc(hidden)]
    pub fn invalid(place: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Error {
        Error::Invalid { place: place.into(), reason: reason.into() }
    }

    /// The error of a failed system call.
    #[doc(hidden)]
    pub fn system(call: Call, error: &std::io::Error) -> Error {
        Error::System { op: LATER, call, errno: error.raw_os_error().unwrap_or(libc::EIO) }
    }

    /// Memory is short.
    pub(crate) fn no_memory<T>(_: T) -> Error {
        Error::NoMemory { op: LATER }
    }

    /// What the kernel sent makes no sense.
    pub(crate) fn malformed(fault: WireError) -> Error {
        Error::Malformed { op: LATER, fault }
    }

    /// Names the operation, unless that was done further down.
    #[doc(hidden)]
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Error {
        match &mut self {
            Error::Invalid { .. } | Error::TooNew { .. } | Error::NoFreeZone { .. } => {}
            Error::Permission { op, .. }
            | Error::Kernel { op, .. }
            | Error::System { op, .. }
            | Error::Timeout { op, .. }
            | Error::Interrupted { op, .. }
            | Error::Full { op, .. }
            | Error::Overrun { op }
            | Error::Truncated { op, .. }
            | Error::Malformed { op, .. }
            | Error::NoMemory { op }
            | Error::DumpOpen { op }
            | Error::NoDump { op }
            | Error::Hidden { op, .. }
            | Error::Setting { op, .. }
            | Error::NoRoom { op, .. }
            | Error::Replaced { op }
            | Error::More { op }
            | Error::Impossible { op, .. } => {
                if *op == LATER {
                    *op = operation;
                }
            }
        }
        self
    }

    /// Whether another try of the same read may well succeed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Error::Interrupted { .. } | Error::Overrun { .. } | Error::Truncated { .. })
    }
}

impl From<PrefixError> for Error {
    fn from(error: PrefixError) -> Error {
        Error::invalid("prefix", text("is no address prefix", format_args!("{error}")))
    }
}

/// By hand, since the derived one aborts the process where memory is short: then it is the text that suffers.
impl Clone for Error {
    fn clone(&self) -> Error {
        let copy = |text: &Cow<'static, str>, otherwise| match text {
            Cow::Borrowed(text) => Cow::Borrowed(*text),
            Cow::Owned(text) => self::text(otherwise, format_args!("{text}")),
        };
        match self {
            Error::Invalid { place, reason } => {
                Error::Invalid { place: copy(place, "argument"), reason: copy(reason, "is wrong") }
            }
            Error::TooNew { place } => Error::TooNew { place: copy(place, "argument") },
            Error::Kernel { op, errno, detail } => Error::Kernel { op, errno: *errno, detail: detail.clone() },
            Error::Permission { op, netns } => Error::Permission { op, netns: *netns },
            Error::System { op, call, errno } => Error::System { op, call: *call, errno: *errno },
            Error::Timeout { op, millis } => Error::Timeout { op, millis: *millis },
            Error::Interrupted { op, tries } => Error::Interrupted { op, tries: *tries },
            Error::Full { op, most } => Error::Full { op, most: *most },
            Error::Overrun { op } => Error::Overrun { op },
            Error::Truncated { op, length } => Error::Truncated { op, length: *length },
            Error::Malformed { op, fault } => Error::Malformed { op, fault: *fault },
            Error::NoMemory { op } => Error::NoMemory { op },
            Error::DumpOpen { op } => Error::DumpOpen { op },
            Error::NoDump { op } => Error::NoDump { op },
            Error::Hidden { op, hider } => Error::Hidden { op, hider: *hider },
            Error::Impossible { op, errno, reason } => Error::Impossible { op, errno: *errno, reason },
            Error::Replaced { op } => Error::Replaced { op },
            Error::More { op } => Error::More { op },
            Error::NoRoom { op, needed } => Error::NoRoom { op, needed: *needed },
            Error::Setting { op, setting, value, errno } => {
                Error::Setting { op, setting: *setting, value: *value, errno: *errno }
            }
            Error::NoFreeZone { first, last } => Error::NoFreeZone { first: *first, last: *last },
        }
    }
}

/// Why entries of a batch failed: the error of the first of them, which one that is, and how many more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The error of the first one.
    pub error: Error,
    /// Which of the given entries that is. `None` where entries were selected, and not given.
    pub index: Option<usize>,
    /// How many failed besides it.
    pub more: u64,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index {
            write!(f, "entry[{index}]: ")?;
        }
        self.error.fmt(f)?;
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, index: None, more: 0 }
    }
}

/// A text of parts for an error. Where memory is short it is `otherwise`: what cannot be told in full must still be told.
pub fn text(otherwise: &'static str, parts: fmt::Arguments<'_>) -> Cow<'static, str> {
    let mut text = Text(String::new());
    match text.write_fmt(parts) {
        Ok(()) => Cow::Owned(text.0),
        Err(fmt::Error) => Cow::Borrowed(otherwise),
    }
}

/// A string that does not abort the process where memory is short.
struct Text(String);

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0.try_reserve(part.len()).map_err(|_| fmt::Error)?;
        self.0.push_str(part);
        Ok(())
    }
}

/// Why nothing was done for one of several entries: a positive errno value.
///
/// ```
/// use ctrack::Errno;
/// assert!(Errno::GONE.to_string().contains("no such entry"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// The entry is no longer there, or no longer the same one: proven by a look-up.
    pub const GONE: Errno = Errno(libc::ENOENT);
    /// One of the entry's tuples is taken.
    pub const EXISTS: Errno = Errno(libc::EEXIST);
    /// Not attempted, after an earlier failure.
    pub const NOT_TRIED: Errno = Errno(libc::ECANCELED);
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(errno_text(self.0))
    }
}

impl std::error::Error for Errno {}

/// The name of a network namespace as `/proc/PID/ns/net` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetnsName(pub Option<u64>);

impl fmt::Display for NetnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(inode) => write!(f, "network namespace net:[{inode}]"),
            None => f.write_str("this network namespace"),
        }
    }
}

/// An entry that is found in place of another one, for error texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hider {
    orig: Tuple,
    zones: (u32, u32),
    family: Family,
    proto: Proto,
    icmp: bool,
}

impl Hider {
    pub(crate) fn of(entry: &Entry) -> Hider {
        Hider {
            orig: entry.orig,
            zones: (zone_of(entry, By::Orig), zone_of(entry, By::Reply)),
            family: entry.family,
            proto: entry.proto,
            icmp: entry.has(Has::ICMP),
        }
    }
}

impl fmt::Display for Hider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = |bytes: &[u8; 16]| match *bytes {
            [a, b, c, d, ..] if self.family == Family::IPV4 => IpAddr::from([a, b, c, d]),
            bytes => IpAddr::from(bytes),
        };
        if self.family == Family::UNSPEC {
            return Ok(());
        }
        let (src, dst) = (address(&self.orig.src), address(&self.orig.dst));
        write!(f, ", of protocol {} src={src} dst={dst}", self.proto.0)?;
        if self.icmp {
            write!(f, " id={}", self.orig.icmp_id)?;
        } else {
            write!(f, " sport={} dport={}", self.orig.sport, self.orig.dport)?;
        }
        match self.zones {
            (0, 0) => Ok(()),
            (orig, reply) if orig == reply => write!(f, " zone={orig}"),
            (orig, 0) => write!(f, " zone-orig={orig}"),
            (_, reply) => write!(f, " zone-reply={reply}"),
        }
    }
}

/// What an errno of the kernel means for an operation. ENOSPC: nf_connlabels_replace() finds no room for labels in an entry that was
/// made while no rule used any; nf_conntrack_hash_check_insert() finds the bucket full (6.18).
fn refusal_text(op: &str, errno: i32) -> &'static str {
    match (op, errno) {
        ("update_entries", libc::ENOSPC) => "no room for labels: no firewall rule used labels when the entry was made",
        ("create_entries", libc::ENOSPC) => "no room in the entry's bucket of the table",
        _ => errno_text(errno),
    }
}

/// What an errno of a file in /proc/sys means.
fn setting_text(errno: i32) -> &'static str {
    match errno {
        libc::EACCES | libc::EPERM => {
            "not permitted: needs CAP_NET_ADMIN in the user namespace that owns the network namespace"
        }
        libc::EROFS => "/proc/sys is read-only here, as in most containers; set it from outside",
        libc::ENOENT => "there is no such file; this kernel has no such setting, or /proc is not mounted",
        libc::EINVAL => "the kernel takes no such value",
        _ => errno_text(errno),
    }
}

/// What an errno means when it comes from this library or from ctnetlink; of either sign.
///
/// ```
/// assert_eq!(ctrack::errno_text(2), "no such entry");
/// ```
pub fn errno_text(errno: i32) -> &'static str {
    errno_c_text(errno).to_str().unwrap_or_default()
}

/// The same, ended by a NUL. Not `strerror`: that one knows locales and is not thread-safe.
pub fn errno_c_text(errno: i32) -> &'static CStr {
    let errno = errno.checked_abs().unwrap_or(i32::MAX);
    ERRNO_TEXTS.iter().find(|(value, _)| *value == errno).map_or(c"unknown error", |(_, text)| text)
}

/// By their numbers, without a sign.
const ERRNO_TEXTS: &[(i32, &CStr)] = &[
    (0, c"success"),
    (libc::EPERM, c"operation not permitted"),
    (libc::ENOENT, c"no such entry"),
    (libc::EINTR, c"interrupted system call"),
    (libc::EIO, c"input/output error"),
    (libc::E2BIG, c"argument of a newer release"),
    (libc::EBADF, c"bad file descriptor"),
    (libc::ECHILD, c"handle was opened by a parent process"),
    (libc::EAGAIN, c"interrupted too often, try again"),
    (libc::ENOMEM, c"out of memory, or the table is full"),
    (libc::EACCES, c"permission denied"),
    (libc::EFAULT, c"bad address"),
    (libc::EBUSY, c"in use, or not changeable"),
    (libc::EEXIST, c"entry exists"),
    (libc::ENODEV, c"no such device"),
    (libc::EINVAL, c"invalid argument"),
    (libc::ENFILE, c"too many open files in the system"),
    (libc::EMFILE, c"too many open files"),
    (libc::ENOSPC, c"no space left"),
    (libc::ERANGE, c"value out of range"),
    (libc::ENOSYS, c"function not implemented"),
    (libc::EBADMSG, c"bad message from the kernel"),
    (libc::EOVERFLOW, c"value too large"),
    (libc::EMSGSIZE, c"message too long or truncated"),
    (libc::EPROTO, c"protocol error"),
    (libc::EPROTONOSUPPORT, c"protocol not supported: no netfilter netlink in this kernel"),
    (libc::EOPNOTSUPP, c"operation not supported"),
    (libc::EAFNOSUPPORT, c"address family not supported"),
    (libc::EADDRINUSE, c"address in use"),
    (libc::ETIME, c"expired"),
    (libc::ECONNREFUSED, c"connection refused"),
    (libc::ENOTUNIQ, c"entry cannot be reached: its tuples lead to another one"),
    (libc::ESTALE, c"another entry has its place"),
    (libc::ENOBUFS, c"receive buffer full, replies lost"),
    (libc::ETIMEDOUT, c"timed out"),
    (libc::ECANCELED, c"not attempted after an earlier failure"),
    (libc::ENOTRECOVERABLE, c"internal error, handle unusable"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_text_takes_both_signs_and_survives_the_smallest_integer() {
        assert_eq!(errno_text(-libc::EPERM), errno_text(libc::EPERM));
        assert_eq!(errno_text(libc::ENOENT), "no such entry");
        assert_eq!(errno_text(i32::MIN), "unknown error");
        assert_eq!(errno_text(123_456), "unknown error");
    }

    #[test]
    fn no_room_for_labels_and_no_room_in_a_bucket_are_told_apart() {
        let refused = |op| Error::Kernel { op, errno: libc::ENOSPC, detail: KernelDetail::default() }.to_string();
        assert_eq!(
            refused("update_entries"),
            "update_entries: no room for labels: no firewall rule used labels when the entry was made"
        );
        assert_eq!(refused("create_entries"), "create_entries: no room in the entry's bucket of the table");
        assert!(refused("flush").starts_with("flush: no space left"));
    }

    /// One of each variant, with the texts that its makers give it.
    #[test]
    fn no_error_speaks_in_words_that_only_c_has() {
        let op = "list";
        let errors = [
            Error::invalid("entry[3].proto", "TCP and UDP need ports, and none are announced"),
            Error::TooNew { place: "filter[0]".into() },
            Error::Permission { op, netns: NetnsName(Some(4_026_531_840)) },
            Error::Permission { op, netns: NetnsName(None) },
            Error::System { op, call: Call::Send, errno: libc::EIO },
            Error::Timeout { op, millis: 10_000 },
            Error::Interrupted { op, tries: 10 },
            Error::Full { op, most: 100 },
            Error::Overrun { op },
            Error::Truncated { op, length: 70_000 },
            Error::Malformed { op, fault: WireError::BadMessage { length: 20, available: 3 } },
            Error::NoMemory { op },
            Error::DumpOpen { op },
            Error::NoDump { op },
            Error::Hidden { op, hider: Hider::default() },
            Error::Impossible { op, errno: libc::ETIME, reason: "its timeout is 0" },
            Error::NoFreeZone { first: 1, last: 2 },
        ];
        let kernel = ERRNO_TEXTS.iter().map(|(errno, _)| Error::Kernel {
            op: "update_entries",
            errno: *errno,
            detail: KernelDetail { message: None, offset: Some(20), attribute: Some("CTA_ZONE") },
        });
        for error in errors.into_iter().chain(kernel) {
            let text = error.to_string();
            assert_eq!(error.clone(), error);
            for word in ["ct_", "CT_", "NULL", " has is", "in has"] {
                assert!(!text.contains(word), "{text}");
            }
        }
    }

    #[test]
    fn kernel_errors_show_operation_text_attribute_and_offset() {
        let error = Error::Kernel {
            op: "create",
            errno: libc::ERANGE,
            detail: KernelDetail {
                message: Some("Attribute failed policy validation".into()),
                offset: Some(20),
                attribute: Some("CTA_ZONE"),
            },
        };
        assert_eq!(
            error.to_string(),
            "create: value out of range: kernel: Attribute failed policy validation (attribute CTA_ZONE, offset 20)"
        );
        assert_eq!(error.errno(), libc::ERANGE);
    }

    #[test]
    fn an_error_names_the_operation_that_is_told_first_and_only_where_none_was_named() {
        for (error, named) in [
            (Error::no_memory(()), "list"),
            (Error::Overrun { op: LATER }, "list"),
            (Error::NoMemory { op: "get" }, "get"),
            (Error::system(Call::SendRest, &std::io::Error::from_raw_os_error(libc::EIO)), "list"),
            (Error::system(Call::Other("setns"), &std::io::Error::other("no number")), "list"),
        ] {
            let told = error.during("list").during("delete").to_string();
            assert!(told.starts_with(&format!("{named}: ")), "{told}");
        }
        assert_eq!(
            (Call::SendRest.to_string(), Call::Other("setns").to_string()),
            ("send of the rest".into(), "setns".into())
        );
    }

    #[test]
    fn an_entry_that_hides_another_one_is_told_with_its_tuple_and_its_zones() {
        let mut entry =
            Entry { has: Has::ORIG | Has::ICMP, proto: Proto::ICMPV6, family: Family::IPV6, ..Entry::EMPTY };
        (entry.orig.src[15], entry.orig.dst[15], entry.orig.icmp_id) = (1, 2, 7);
        let told = |entry: &Entry| Hider::of(entry).to_string();
        assert_eq!(told(&entry), ", of protocol 58 src=::1 dst=::2 id=7");
        (entry.has, entry.orig.zone) = (entry.has | Has::ORIG_ZONE, 5);
        assert_eq!(told(&entry), ", of protocol 58 src=::1 dst=::2 id=7 zone-orig=5");
    }
}
