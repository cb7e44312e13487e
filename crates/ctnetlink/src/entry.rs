//! One connection-tracking entry, and what there is to know of each of its fields: its declaration is the one place that says it.
//!
//! [`Entry`] has the layout that C sees, so that the decoder writes straight into what the caller gets and nothing is converted. The macro
//! `entry!` makes of the declaration the struct, its empty value, the check that what is set is announced, `Debug`, and [`FIELDS`]: by that
//! table tests ask decoder, encoder, layouts, texts and the other languages for every field.

use crate::flags::{Has, Status};
use crate::names::{Family, Proto, TcpState};
use crate::tuple::{address_bytes, address_of, until_nul, Counters, Tuple};
use alloc::string::String;
use bitflags::bitflags;
use core::ffi::c_char;
use core::net::IpAddr;

/// A field of an [`Entry`], or of one of its tuples.
///
/// ```
/// use ctnetlink::{fields::FIELDS, Has};
/// let zone = FIELDS.iter().copied().flatten().find(|field| field.name == "zone").expect("it is there");
/// assert!(zone.is_announced(Has::ORIG_ZONE) && !zone.is_announced(Has::ORIG));
/// assert_eq!(zone.ways().collect::<Vec<_>>(), [Has::ZONE, Has::ORIG_ZONE, Has::REPLY_ZONE]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name, for example "orig.sport".
    pub name: &'static str,
    /// Where it is, in bytes.
    pub offset: usize,
    /// How many bytes it has.
    pub size: usize,
    /// What announces it: all of these must be set in `has`.
    pub all: Has,
    /// The same: one of these must be set; empty: no more than `all`.
    pub any: Has,
    /// Which messages have it.
    pub within: Within,
    /// Where it is in the JSON of an entry, for example "orig.sport"; empty: nowhere.
    pub json: &'static str,
    /// Whether an entry has another value there than zero.
    pub is_set: fn(&Entry) -> bool,
    /// Sets it to a value that is not zero and that makes sense, without its bits. For tests.
    pub set: fn(&mut Entry),
}

bitflags! {
    /// Messages that have a field.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Within: u8 {
        /// What the kernel lists.
        const LIST = 1;
        /// A request that makes an entry.
        const CREATE = 1 << 1;
        /// A request that changes one.
        const UPDATE = 1 << 2;
        /// No message, but what says which entry is meant.
        const KEY = 1 << 3;
    }
}

impl Field {
    /// Whether these bits announce it.
    pub const fn is_announced(&self, has: Has) -> bool {
        has.contains(self.all) && (self.any.is_empty() || has.intersects(self.any))
    }

    /// The least bits that announce it, in each way that there is.
    pub fn ways(&self) -> impl Iterator<Item = Has> + '_ {
        let none = self.any.is_empty().then_some(self.all);
        none.into_iter().chain(self.any.iter().map(|bit| self.all | bit))
    }
}

/// The value of a field that does not count, and some value that makes sense.
pub(crate) trait Zero {
    const ZERO: Self;
    const SOME: Self;
}

macro_rules! zero {
    ($($type:ty = $zero:expr, $some:expr;)*) => { $(impl Zero for $type {
        const ZERO: $type = $zero;
        const SOME: $type = $some;
    })* };
}

zero! {
    u8 = 0, 1;
    u16 = 0, 258;
    u32 = 0, 0x102;
    u64 = 0, 0x0102_0304_0506_0708;
    // A char of C is one of both. Labels as well as a name.
    [u8; 16] = [0; 16], [b's', b'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [i8; 16] = [0; 16], [b's' as i8, b'a' as i8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    Has = Has::empty(), Has::ID;
    Status = Status::empty(), Status::SEEN_REPLY.union(Status::ASSURED);
    Family = Family::UNSPEC, Family::IPV4;
    Proto = Proto(0), Proto::UDP;
    TcpState = TcpState::NONE, TcpState::ESTABLISHED;
    Tuple = Tuple::EMPTY, Tuple::EMPTY;
    Counters = Counters { packets: 0, bytes: 0 }, Counters { packets: 1, bytes: 1 };
}

/// The bytes that are left for fields to come.
impl<const N: usize> Zero for [u64; N] {
    const ZERO: [u64; N] = [0; N];
    const SOME: [u64; N] = [1; N];
}

/// Declares [`Entry`]: of each field its name and type, and then
///
/// - `all(BITS; MESSAGES; JSON)`: it counts if all of the bits are set in `has`, and the messages have it,
/// - `seldom(BITS; MESSAGES; JSON)`: the same for what few entries have: the check looks at the value first,
/// - `any(BITS; MESSAGES; JSON)`: if one of them is set,
/// - `tuple(BIT, ZONE, JSON)`: it is a tuple, announced by this bit, or in its zone by the other one,
/// - `counters(BIT; MESSAGES; JSON)`: two numbers,
/// - `always()`: it counts without a bit.
macro_rules! entry {
    (
        $(#[$meta:meta])*
        pub struct Entry { $(
            $(#[doc = $doc:expr])*
            $name:ident: $type:ty = $how:ident $spec:tt,
        )* }
    ) => {
        $(#[$meta])*
        pub struct Entry { $(
            $(#[doc = $doc])*
            pub $name: $type,
        )* }

        impl Entry {
            /// An entry without any field.
            pub const EMPTY: Entry = Entry { $($name: <$type as $crate::entry::Zero>::ZERO),* };

            /// A field that is set although `has` does not announce it: it would silently not count. Asking [`FIELDS`] would be shorter,
            /// but that table and its functions, which only tests need, would then add 16 KiB to the library.
            #[cold]
            #[inline(never)]
            fn first_unannounced(&self) -> Option<&'static str> {
                $(entry!(@forgotten self, $name: $type, $how $spec);)*
                None
            }

            /// The name of a field that is announced, and that only updates have.
            ///
            /// ```
            /// use ctnetlink::{Entry, Has};
            /// let masked = Entry { has: Has::MARK | Has::MARK_MASK, ..Entry::EMPTY };
            /// assert_eq!(masked.only_for_updates(), Some("mark_mask"));
            /// ```
            pub fn only_for_updates(&self) -> Option<&'static str> {
                $(entry!(@only self, $name, $how $spec);)*
                None
            }

            /// The quick answer: whether every field that is set is announced.
            #[inline(always)]
            fn is_announced(&self) -> bool {
                $(entry!(@announced self, $name: $type, $how $spec))&&*
            }
        }

        impl ::core::fmt::Debug for Entry {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let mut out = f.debug_struct("Entry");
                $(entry!(@debug self, out, $name, $how $spec);)*
                out.finish()
            }
        }

        /// Every field of an [`Entry`] that is announced by bits of `has`.
        pub const FIELDS: &[&[$crate::entry::Field]] = &[$(entry!(@rows $name: $type, $how $spec)),*];
    };

    (@union $bit:ident $(| $more:ident)*) => { $crate::flags::Has::$bit$(.union($crate::flags::Has::$more))* };
    (@within $($message:ident)*) => {
        $crate::entry::Within::empty()$(.union($crate::entry::Within::$message))*
    };
    (@row $name:expr, $($field:ident).+, $size:expr, $all:expr, $any:expr, $within:expr, $json:expr, $is_set:expr, $set:expr) => {
        $crate::entry::Field {
            name: $name,
            offset: ::core::mem::offset_of!(Entry, $($field).+),
            size: $size,
            all: $all,
            any: $any,
            within: $within,
            json: $json,
            is_set: $is_set,
            set: $set,
        }
    };

    (@rows $name:ident: $type:ty, always()) => { &[] };
    (@rows $name:ident: $type:ty, all($($bit:ident)|+; $($message:ident)*; $json:literal)) => {
        &[entry!(@row stringify!($name), $name, size_of::<$type>(), entry!(@union $($bit)|+), $crate::flags::Has::empty(),
            entry!(@within $($message)*), $json, |e| e.$name != <$type as $crate::entry::Zero>::ZERO,
            |e| e.$name = <$type as $crate::entry::Zero>::SOME)]
    };
    (@rows $name:ident: $type:ty, seldom $spec:tt) => { entry!(@rows $name: $type, all $spec) };
    (@rows $name:ident: $type:ty, any($($bit:ident)|+; $($message:ident)*; $json:literal)) => {
        &[entry!(@row stringify!($name), $name, size_of::<$type>(), $crate::flags::Has::empty(), entry!(@union $($bit)|+),
            entry!(@within $($message)*), $json, |e| e.$name != <$type as $crate::entry::Zero>::ZERO,
            |e| e.$name = <$type as $crate::entry::Zero>::SOME)]
    };
    (@rows $name:ident: $type:ty, counters($bit:ident; $($message:ident)*; $json:literal)) => {
        &[
            entry!(@row concat!(stringify!($name), ".packets"), $name.packets, 8, $crate::flags::Has::$bit,
                $crate::flags::Has::empty(), entry!(@within $($message)*), concat!($json, ".packets"),
                |e| e.$name.packets != 0, |e| e.$name.packets = $crate::entry::Zero::SOME),
            entry!(@row concat!(stringify!($name), ".bytes"), $name.bytes, 8, $crate::flags::Has::$bit,
                $crate::flags::Has::empty(), entry!(@within $($message)*), concat!($json, ".bytes"),
                |e| e.$name.bytes != 0, |e| e.$name.bytes = $crate::entry::Zero::SOME),
        ]
    };
    (@rows $name:ident: $type:ty, tuple($bit:ident, $zone:ident, $json:literal)) => {
        &[
            entry!(@part $name, src, 16, $json ".src", $bit, [0; 16]),
            entry!(@part $name, dst, 16, $json ".dst", $bit, [0; 16]),
            entry!(@part $name, sport, 2, $json ".sport", $bit | PORTS, 0),
            entry!(@part $name, dport, 2, $json ".dport", $bit | PORTS, 0),
            entry!(@part $name, icmp_id, 2, $json ".id", $bit | ICMP, 0),
            entry!(@part $name, icmp_type, 1, $json ".type", $bit | ICMP, 0),
            entry!(@part $name, icmp_code, 1, $json ".code", $bit | ICMP, 0),
            entry!(@row concat!(stringify!($name), ".zone"), $name.zone, 4, $crate::flags::Has::empty(),
                entry!(@union ZONE | $zone), entry!(@within LIST CREATE KEY), concat!($json, ".zone"), |e| e.$name.zone != 0,
                |e| (e.zone, e.$name.zone) = (7, 7)),
        ]
    };
    (@part $name:ident, $part:ident, $size:literal, $json:literal $member:literal, $bit:ident $(| $more:ident)?, $zero:expr) => {
        entry!(@row concat!(stringify!($name), ".", stringify!($part)), $name.$part, $size, entry!(@union $bit $(| $more)?),
            $crate::flags::Has::empty(), entry!(@within LIST CREATE KEY), concat!($json, $member),
            |e| e.$name.$part != $zero, |e| e.$name.$part = $crate::entry::Zero::SOME)
    };

    (@announced $e:ident, $name:ident: $type:ty, always()) => { true };
    (@announced $e:ident, $name:ident: $type:ty, all($($bit:ident)|+; $($rest:tt)*)) => {
        ($e.has.contains(entry!(@union $($bit)|+)) || $e.$name == <$type as $crate::entry::Zero>::ZERO)
    };
    (@announced $e:ident, $name:ident: $type:ty, seldom($($bit:ident)|+; $($rest:tt)*)) => {
        ($e.$name == <$type as $crate::entry::Zero>::ZERO || $e.has.contains(entry!(@union $($bit)|+)))
    };
    (@announced $e:ident, $name:ident: $type:ty, any($($bit:ident)|+; $($rest:tt)*)) => {
        ($e.$name == <$type as $crate::entry::Zero>::ZERO || $e.has.intersects(entry!(@union $($bit)|+)))
    };
    (@announced $e:ident, $name:ident: $type:ty, counters($bit:ident; $($rest:tt)*)) => {
        ($e.$name.packets | $e.$name.bytes == 0 || $e.has.contains($crate::flags::Has::$bit))
    };
    (@announced $e:ident, $name:ident: $type:ty, tuple($bit:ident, $zone:ident, $json:literal)) => {
        $e.$name.is_announced($e.has, $crate::flags::Has::$bit, entry!(@union ZONE | $zone))
    };

    (@forgotten $e:ident, $name:ident: $type:ty, always()) => {};
    (@forgotten $e:ident, $name:ident: $type:ty, tuple($bit:ident, $zone:ident, $json:literal)) => {
        let field = $e.$name.first_unannounced($e.has, $crate::flags::Has::$bit, entry!(@union ZONE | $zone));
        if let Some(field) = field {
            return Some(match field {
                0 => concat!(stringify!($name), ".src"),
                1 => concat!(stringify!($name), ".dst"),
                2 => concat!(stringify!($name), ".sport"),
                3 => concat!(stringify!($name), ".dport"),
                4 => concat!(stringify!($name), ".icmp_id"),
                5 => concat!(stringify!($name), ".icmp_type"),
                6 => concat!(stringify!($name), ".icmp_code"),
                _ => concat!(stringify!($name), ".zone"),
            });
        }
    };
    (@forgotten $e:ident, $name:ident: $type:ty, counters $spec:tt) => {
        if !(entry!(@announced $e, $name: $type, counters $spec)) {
            return Some(if $e.$name.packets != 0 {
                concat!(stringify!($name), ".packets")
            } else {
                concat!(stringify!($name), ".bytes")
            });
        }
    };
    (@forgotten $e:ident, $name:ident: $type:ty, $how:ident $spec:tt) => {
        if !(entry!(@announced $e, $name: $type, $how $spec)) {
            return Some(stringify!($name));
        }
    };

    (@only $e:ident, $name:ident, always()) => {};
    (@only $e:ident, $name:ident, tuple $spec:tt) => {};
    (@only $e:ident, $name:ident, counters $spec:tt) => {};
    (@only $e:ident, $name:ident, $how:ident ($($bit:ident)|+; $($message:ident)*; $json:literal)) => {
        if entry!(@within $($message)*).bits() == $crate::entry::Within::UPDATE.bits() && $e.has(entry!(@union $($bit)|+)) {
            return Some(stringify!($name));
        }
    };

    (@debug $e:ident, $out:ident, $name:ident, always()) => {
        $out.field(stringify!($name), &$e.$name);
    };
    (@debug $e:ident, $out:ident, $name:ident, all($($bit:ident)|+; $($rest:tt)*)) => {
        if $e.has(entry!(@union $($bit)|+)) {
            $out.field(stringify!($name), &$e.$name);
        }
    };
    (@debug $e:ident, $out:ident, $name:ident, seldom $spec:tt) => { entry!(@debug $e, $out, $name, all $spec) };
    (@debug $e:ident, $out:ident, $name:ident, any($($bit:ident)|+; $($rest:tt)*)) => {
        if $e.has.intersects(entry!(@union $($bit)|+)) {
            $out.field(stringify!($name), &$e.$name);
        }
    };
    (@debug $e:ident, $out:ident, $name:ident, counters($bit:ident; $($rest:tt)*)) => {
        if $e.has($crate::flags::Has::$bit) {
            $out.field(stringify!($name), &$e.$name);
        }
    };
    (@debug $e:ident, $out:ident, $name:ident, tuple($bit:ident, $zone:ident, $json:literal)) => {
        if $e.has.intersects(entry!(@union $bit | $zone)) {
            $out.field(stringify!($name), &$e.$name.shown($e.family, $e.has));
        }
    };
}

entry! {
    /// One entry of the connection-tracking table.
    ///
    /// 256 bytes, no pointers, no hidden padding. `has` says which fields the kernel sent (or, in an entry that is given to the library,
    /// which ones count); all others are zero. Fields may be added in the place of `reserved`, announced by new bits of [`Has`].
    ///
    /// Methods give what is there as an `Option`:
    ///
    /// ```
    /// use ctnetlink::{Counters, Entry, Family, Has, Proto, TcpState, Tuple};
    /// let entry = Entry {
    ///     has: Has::ORIG | Has::REPLY | Has::ID | Has::MARK | Has::TCP_STATE | Has::ORIG_COUNTERS | Has::REPLY_COUNTERS,
    ///     family: Family::IPV4,
    ///     proto: Proto::TCP,
    ///     orig: Tuple { src: ctnetlink::types::address_bytes([10, 0, 0, 7].into()), ..Tuple::EMPTY },
    ///     id: 4711,
    ///     tcp_state: TcpState::ESTABLISHED,
    ///     reply_counters: Counters { packets: 3, bytes: 1500 },
    ///     ..Entry::EMPTY
    /// };
    /// assert_eq!(entry.orig_src().to_string(), "10.0.0.7");
    /// assert!([entry.orig_dst(), entry.reply_src(), entry.reply_dst()].iter().all(|address| address.is_unspecified()));
    /// assert_eq!((entry.id(), entry.tcp_state()), (Some(4711), Some(TcpState::ESTABLISHED)));
    /// // It has a mark, and that is 0; whether it has a helper or when it expires was not said.
    /// assert_eq!((entry.mark(), entry.helper(), entry.timeout()), (Some(0), None, None));
    /// assert_eq!(entry.helper_bytes(), [0; 16]);
    /// let (_, reply) = entry.counters().expect("announced");
    /// assert_eq!(reply.bytes, 1500);
    /// ```
    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Entry {
        /// Which of the fields below count.
        has: Has = always(),
        /// The kernel's identifier of the entry: opaque, constant over its life, valid until the next boot.
        id: u32 = all(ID; LIST KEY; "id"),
        /// What the kernel says of it, as bits.
        status: Status = all(STATUS; LIST CREATE UPDATE; "status"),
        /// The mark (connmark).
        mark: u32 = all(MARK; LIST CREATE UPDATE; "mark"),
        /// Seconds until the entry expires, rounded down.
        timeout: u32 = all(TIMEOUT; LIST CREATE UPDATE; "timeout"),
        /// The kernel's reference count.
        use_count: u32 = all(USE; LIST; "use"),
        /// Zone, 0 to 65535. [`Has::ZONE`]: both directions are in it. [`Has::ORIG_ZONE`] or [`Has::REPLY_ZONE`]: only that one.
        zone: u32 = any(ZONE | ORIG_ZONE | REPLY_ZONE; LIST CREATE KEY; "zone"),
        /// The family of its addresses.
        family: Family = always(),
        /// The protocol.
        proto: Proto = always(),
        /// TCP state.
        tcp_state: TcpState = all(TCP_STATE; LIST CREATE UPDATE; "state"),
        /// SCTP state, numbered as in linux/netfilter/nf_conntrack_sctp.h.
        sctp_state: u8 = seldom(SCTP; LIST CREATE UPDATE; "state"),
        /// TCP window scale of the original direction.
        tcp_wscale_orig: u8 = all(TCP_WSCALE; LIST CREATE UPDATE; "tcp_wscale_orig"),
        /// TCP window scale of the reply direction.
        tcp_wscale_reply: u8 = all(TCP_WSCALE; LIST CREATE UPDATE; "tcp_wscale_reply"),
        /// TCP flags of the original direction (IP_CT_TCP_FLAG_, linux/netfilter/nf_conntrack_tcp.h).
        tcp_flags_orig: u8 = all(TCP_FLAGS; LIST CREATE UPDATE; "tcp_flags_orig"),
        /// TCP flags of the reply direction.
        tcp_flags_reply: u8 = all(TCP_FLAGS; LIST CREATE UPDATE; "tcp_flags_reply"),
        /// In create and update: which bits of tcp_flags_orig to set; 0 means all. The kernel sends 0.
        tcp_mask_orig: u8 = all(TCP_FLAGS; LIST CREATE UPDATE; ""),
        /// In create and update: which bits of tcp_flags_reply to set; 0 means all. The kernel sends 0.
        tcp_mask_reply: u8 = all(TCP_FLAGS; LIST CREATE UPDATE; ""),
        /// DCCP state, numbered as in the kernel's net/netfilter/nf_conntrack_proto_dccp.c (before 6.16).
        dccp_state: u8 = seldom(DCCP; LIST; "state"),
        /// DCCP role: 0 client, 1 server.
        dccp_role: u8 = seldom(DCCP; LIST; "dccp_role"),
        /// SCTP verification tag of the original direction.
        sctp_vtag_orig: u32 = seldom(SCTP; LIST CREATE UPDATE; "sctp_vtag_orig"),
        /// SCTP verification tag of the reply direction.
        sctp_vtag_reply: u32 = seldom(SCTP; LIST CREATE UPDATE; "sctp_vtag_reply"),
        /// In update: which bits of the mark to replace (new = (old & ~mark_mask) ^ mark).
        mark_mask: u32 = seldom(MARK_MASK; UPDATE; ""),
        /// The original direction: as the first packet arrived.
        orig: Tuple = tuple(ORIG, ORIG_ZONE, "orig"),
        /// The reply direction: as answers arrive. With NAT it differs from the mirror image of orig.
        reply: Tuple = tuple(REPLY, REPLY_ZONE, "reply"),
        /// Packets and bytes of the original direction.
        orig_counters: Counters = counters(ORIG_COUNTERS; LIST; "orig"),
        /// Packets and bytes of the reply direction.
        reply_counters: Counters = counters(REPLY_COUNTERS; LIST; "reply"),
        /// When the entry was made: nanoseconds since 1970-01-01 00:00 UTC.
        start_ns: u64 = seldom(START; LIST KEY; "start_ns"),
        /// When it ended: nanoseconds since 1970-01-01 00:00 UTC.
        stop_ns: u64 = seldom(STOP; LIST; "stop_ns"),
        /// Connection labels: bit n is bit n % 8 of byte n / 8 on a little-endian machine (the kernel's own memory order).
        labels: [u8; 16] = seldom(LABELS; LIST CREATE UPDATE; "labels"),
        /// Name of the helper, for example "ftp": NUL-terminated.
        helper: [c_char; 16] = seldom(HELPER; LIST CREATE UPDATE; "helper"),
        /// Zero.
        reserved: [u64; 4] = always(),
    }
}

const _: () = assert!(size_of::<Entry>() == 256 && align_of::<Entry>() == align_of::<u64>());

impl Default for Entry {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Entry {
    /// The name of a field that is set although `has` does not announce it: it was forgotten there, and would silently not count.
    ///
    /// ```
    /// use ctnetlink::{Entry, Has};
    /// let forgotten = Entry { mark: 7, ..Entry::EMPTY };
    /// assert_eq!(forgotten.unannounced(), Some("mark"));
    /// assert_eq!(Entry { has: Has::MARK, ..forgotten }.unannounced(), None);
    /// ```
    #[inline]
    pub fn unannounced(&self) -> Option<&'static str> {
        if mutant!("unannounced-fields", self.is_announced(), true) {
            None
        } else {
            self.first_unannounced()
        }
    }

    /// A key, by which requests name an entry: the original tuple of a protocol with ports, in zone 0.
    ///
    /// `None` if one address is IPv4 and the other IPv6.
    ///
    /// ```
    /// use ctnetlink::{Entry, Has, Proto};
    /// let key = Entry::key(Proto::TCP, "fd00::7".parse()?, 40001, "fd00::8".parse()?, 443).ok_or("two families")?;
    /// assert_eq!((key.has, key.orig.dport), (Has::ORIG | Has::PORTS, 443));
    /// assert!(Entry::key(Proto::TCP, "fd00::7".parse()?, 40001, "10.0.0.8".parse()?, 443).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(proto: Proto, src: IpAddr, sport: u16, dst: IpAddr, dport: u16) -> Option<Entry> {
        let mut entry = Self::tuple_only(proto, src, dst)?;
        entry.has |= Has::PORTS;
        (entry.orig.sport, entry.orig.dport) = (sport, dport);
        Some(entry)
    }

    /// A key for an ICMP or ICMPv6 exchange, in zone 0: the protocol follows from the addresses.
    ///
    /// `None` if one address is IPv4 and the other IPv6.
    ///
    /// ```
    /// use ctnetlink::{Entry, Proto};
    /// let echo = Entry::icmp_key("10.0.0.7".parse()?, "10.0.0.8".parse()?, 8, 0, 4711).ok_or("two families")?;
    /// assert_eq!((echo.proto, echo.orig.icmp_id), (Proto::ICMP, 4711));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn icmp_key(src: IpAddr, dst: IpAddr, icmp_type: u8, icmp_code: u8, icmp_id: u16) -> Option<Entry> {
        let proto = if src.is_ipv4() { Proto::ICMP } else { Proto::ICMPV6 };
        let mut entry = Self::tuple_only(proto, src, dst)?;
        entry.has |= Has::ICMP;
        entry.orig.icmp_type = icmp_type;
        entry.orig.icmp_code = icmp_code;
        entry.orig.icmp_id = icmp_id;
        Some(entry)
    }

    fn tuple_only(proto: Proto, src: IpAddr, dst: IpAddr) -> Option<Entry> {
        let (family, src, dst) = match (src, dst) {
            (IpAddr::V4(_), IpAddr::V4(_)) => (Family::IPV4, address_bytes(src), address_bytes(dst)),
            (IpAddr::V6(_), IpAddr::V6(_)) => (Family::IPV6, address_bytes(src), address_bytes(dst)),
            _ => return None,
        };
        let orig = Tuple { src, dst, ..Tuple::EMPTY };
        Some(Entry { has: Has::ORIG, family, proto, orig, ..Self::EMPTY })
    }

    /// The same entry in `zone` in both directions; 0: in no zone.
    ///
    /// ```
    /// use ctnetlink::{Entry, Has, Proto};
    /// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
    /// let in_zone = key.in_zone(7);
    /// assert!(in_zone.has(Has::ZONE) && in_zone.zone == 7);
    /// assert_eq!(in_zone.in_zone(0), key);
    /// ```
    #[must_use]
    pub fn in_zone(mut self, zone: u16) -> Entry {
        self.has &= !(Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE);
        if zone != 0 {
            self.has |= Has::ZONE;
        }
        self.zone = u32::from(zone);
        self.orig.zone = self.zone;
        self.reply.zone = self.zone;
        self
    }

    /// Whether all of these bits are set: what they announce counts.
    ///
    /// ```
    /// use ctnetlink::{Entry, Has, Proto};
    /// let key = Entry::key(Proto::TCP, [10, 0, 0, 7].into(), 40001, [10, 0, 0, 8].into(), 443).expect("one family");
    /// assert!(key.has(Has::ORIG | Has::PORTS) && !key.has(Has::REPLY));
    /// ```
    pub fn has(&self, bits: Has) -> bool {
        self.has.contains(bits)
    }

    fn when<T>(&self, bits: Has, value: T) -> Option<T> {
        self.has(bits).then_some(value)
    }

    /// Source address of the original direction.
    pub fn orig_src(&self) -> IpAddr {
        self.address(&self.orig.src)
    }

    /// Destination address of the original direction.
    pub fn orig_dst(&self) -> IpAddr {
        self.address(&self.orig.dst)
    }

    /// Source address of the reply direction.
    pub fn reply_src(&self) -> IpAddr {
        self.address(&self.reply.src)
    }

    /// Destination address of the reply direction.
    pub fn reply_dst(&self) -> IpAddr {
        self.address(&self.reply.dst)
    }

    /// The mark, if the kernel keeps marks.
    pub fn mark(&self) -> Option<u32> {
        self.when(Has::MARK, self.mark)
    }

    /// The kernel's identifier of the entry.
    pub fn id(&self) -> Option<u32> {
        self.when(Has::ID, self.id)
    }

    /// Seconds until the entry expires; `None` for offloaded entries.
    pub fn timeout(&self) -> Option<u32> {
        self.when(Has::TIMEOUT, self.timeout)
    }

    /// The TCP state.
    pub fn tcp_state(&self) -> Option<TcpState> {
        self.when(Has::TCP_STATE, self.tcp_state)
    }

    /// Counters of the original and the reply direction.
    pub fn counters(&self) -> Option<(Counters, Counters)> {
        self.when(Has::ORIG_COUNTERS | Has::REPLY_COUNTERS, (self.orig_counters, self.reply_counters))
    }

    /// The name of the helper.
    pub fn helper(&self) -> Option<String> {
        self.when(Has::HELPER, String::from_utf8_lossy(until_nul(&self.helper_bytes())).into_owned())
    }

    /// The name of the helper as bytes, NUL-padded.
    pub fn helper_bytes(&self) -> [u8; 16] {
        self.helper.map(|byte| byte as u8)
    }

    fn address(&self, bytes: &[u8; 16]) -> IpAddr {
        address_of(self.family, bytes)
    }
}

impl Has {
    /// Every bit that this release knows: those that announce fields of an entry, and those that say more of one.
    pub const KNOWN: Has = {
        let (mut known, mut group) = (Has::WITHOUT_A_FIELD, 0);
        while group < FIELDS.len() {
            let mut at = 0;
            while at < FIELDS[group].len() {
                known = known.union(FIELDS[group][at].all).union(FIELDS[group][at].any);
                at += 1;
            }
            group += 1;
        }
        known
    };
}
