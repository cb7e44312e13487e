//! What there is to know of a field of an [`Entry`], from its declaration there: the one place that says it.
//!
//! The macro [`entry!`] makes of the declaration the struct, its empty value, the check that what is set is announced, `Debug`, and
//! [`FIELDS`]: by that table tests ask decoder, encoder, layouts, texts, the C header and the other languages for every field.

use crate::flags::{Has, Status};
use crate::names::{Family, Proto, TcpState};
use crate::types::{Counters, Tuple};
use bitflags::bitflags;
use core::ffi::c_char;

#[doc(no_inline)]
pub use crate::types::{Entry, FIELDS};

/// A field of an [`Entry`], or of one of its tuples.
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
        /// A request that deletes one.
        const DELETE = 1 << 3;
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

/// Bits of `has` that announce no field, but say more of one or of what only the details have.
pub(crate) const WITHOUT_A_FIELD: Has = Has::MASTER
    .union(Has::SEQ_ADJ)
    .union(Has::SYNPROXY)
    .union(Has::SECCTX)
    .union(Has::LABELS_ADD)
    .union(Has::LABELS_REMOVE);

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
    [u8; 16] = [0; 16], [1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [c_char; 16] = [0; 16], [b's' as c_char, b'a' as c_char, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [u64; 4] = [0; 4], [1; 4];
    Has = Has::empty(), Has::ID;
    Status = Status::empty(), Status::SEEN_REPLY.union(Status::ASSURED);
    Family = Family::UNSPEC, Family::IPV4;
    Proto = Proto(0), Proto::UDP;
    TcpState = TcpState::NONE, TcpState::ESTABLISHED;
    Tuple = Tuple::EMPTY, Tuple::EMPTY;
    Counters = Counters { packets: 0, bytes: 0 }, Counters { packets: 1, bytes: 1 };
}

/// Declares [`Entry`]: of each field its name and type, and then
///
/// - `all(BITS; MESSAGES; JSON)`: it counts if all of the bits are set in `has`, and the messages have it,
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
            pub const EMPTY: Entry = Entry { $($name: <$type as $crate::fields::Zero>::ZERO),* };

            /// A field that is set although `has` does not announce it: it would silently not count.
            #[cold]
            #[inline(never)]
            fn first_unannounced(&self) -> Option<&'static str> {
                $(entry!(@forgotten self, $name: $type, $how $spec);)*
                None
            }

            /// The quick answer: whether every field that is set is announced. The bits come first, since most of a listed entry are set.
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
        pub static FIELDS: &[&[$crate::fields::Field]] = &[$(entry!(@rows $name: $type, $how $spec)),*];
    };

    (@union $bit:ident $(| $more:ident)*) => { $crate::flags::Has::$bit$(.union($crate::flags::Has::$more))* };
    (@within $($message:ident)*) => {
        $crate::fields::Within::empty()$(.union($crate::fields::Within::$message))*
    };
    (@row $name:expr, $($field:ident).+, $size:expr, $all:expr, $any:expr, $within:expr, $json:expr, $is_set:expr, $set:expr) => {
        $crate::fields::Field {
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
            entry!(@within $($message)*), $json, |e| e.$name != <$type as $crate::fields::Zero>::ZERO,
            |e| e.$name = <$type as $crate::fields::Zero>::SOME)]
    };
    (@rows $name:ident: $type:ty, any($($bit:ident)|+; $($message:ident)*; $json:literal)) => {
        &[entry!(@row stringify!($name), $name, size_of::<$type>(), $crate::flags::Has::empty(), entry!(@union $($bit)|+),
            entry!(@within $($message)*), $json, |e| e.$name != <$type as $crate::fields::Zero>::ZERO,
            |e| e.$name = <$type as $crate::fields::Zero>::SOME)]
    };
    (@rows $name:ident: $type:ty, counters($bit:ident; $($message:ident)*; $json:literal)) => {
        &[
            entry!(@row concat!(stringify!($name), ".packets"), $name.packets, 8, $crate::flags::Has::$bit,
                $crate::flags::Has::empty(), entry!(@within $($message)*), concat!($json, ".packets"),
                |e| e.$name.packets != 0, |e| e.$name.packets = $crate::fields::Zero::SOME),
            entry!(@row concat!(stringify!($name), ".bytes"), $name.bytes, 8, $crate::flags::Has::$bit,
                $crate::flags::Has::empty(), entry!(@within $($message)*), concat!($json, ".bytes"),
                |e| e.$name.bytes != 0, |e| e.$name.bytes = $crate::fields::Zero::SOME),
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
                entry!(@union ZONE | $zone), entry!(@within LIST CREATE), concat!($json, ".zone"), |e| e.$name.zone != 0,
                |e| (e.zone, e.$name.zone) = (7, 7)),
        ]
    };
    (@part $name:ident, $part:ident, $size:literal, $json:literal $member:literal, $bit:ident $(| $more:ident)?, $zero:expr) => {
        entry!(@row concat!(stringify!($name), ".", stringify!($part)), $name.$part, $size, entry!(@union $bit $(| $more)?),
            $crate::flags::Has::empty(), entry!(@within LIST CREATE), concat!($json, $member),
            |e| e.$name.$part != $zero, |e| e.$name.$part = $crate::fields::Zero::SOME)
    };

    (@announced $e:ident, $name:ident: $type:ty, always()) => { true };
    (@announced $e:ident, $name:ident: $type:ty, all($($bit:ident)|+; $($rest:tt)*)) => {
        ($e.has.contains(entry!(@union $($bit)|+)) || $e.$name == <$type as $crate::fields::Zero>::ZERO)
    };
    (@announced $e:ident, $name:ident: $type:ty, any($($bit:ident)|+; $($rest:tt)*)) => {
        ($e.$name == <$type as $crate::fields::Zero>::ZERO || $e.has.intersects(entry!(@union $($bit)|+)))
    };
    (@announced $e:ident, $name:ident: $type:ty, counters($bit:ident; $($rest:tt)*)) => {
        ($e.has.contains($crate::flags::Has::$bit) || $e.$name.packets | $e.$name.bytes == 0)
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

    (@debug $e:ident, $out:ident, $name:ident, always()) => {
        $out.field(stringify!($name), &$e.$name);
    };
    (@debug $e:ident, $out:ident, $name:ident, all($($bit:ident)|+; $($rest:tt)*)) => {
        if $e.has(entry!(@union $($bit)|+)) {
            $out.field(stringify!($name), &$e.$name);
        }
    };
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
            $out.field(stringify!($name), &$e.$name.shown($e));
        }
    };
}
