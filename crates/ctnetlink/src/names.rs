//! Numbers that have names: families, protocols, TCP states.

use core::fmt;

/// The family of addresses.
///
/// Any number can come from the kernel; those with names are the ones that connection tracking knows.
///
/// ```
/// use ctnetlink::Family;
/// assert_eq!((Family::IPV6.to_string(), Family(7).to_string()), ("ipv6".into(), "7".into()));
/// assert_eq!((Family::from(2).name(), Family::UNSPEC.name()), (Some("ipv4"), None));
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Family(pub u8);

impl Family {
    /// None, or both (AF_UNSPEC).
    pub const UNSPEC: Family = Family(0);
    /// IPv4, the value of AF_INET.
    pub const IPV4: Family = Family(2);
    /// IPv6, the value of AF_INET6.
    pub const IPV6: Family = Family(10);
}

/// A layer-4 protocol by its number (IPPROTO_).
///
/// ```
/// use ctnetlink::Proto;
/// assert!(Proto::SCTP.has_ports() && Proto::ICMPV6.is_icmp());
/// assert_eq!((Proto::from(17), Proto::UDP.name(), Proto(253).name()), (Proto::UDP, Some("udp"), None));
/// let by_name = Proto::ALL.iter().find(|proto| proto.name() == Some("tcp"));
/// assert_eq!(by_name, Some(&Proto::TCP));
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Proto(pub u8);

impl Proto {
    /// ICMP for IPv4.
    pub const ICMP: Proto = Proto(1);
    /// TCP.
    pub const TCP: Proto = Proto(6);
    /// UDP.
    pub const UDP: Proto = Proto(17);
    /// DCCP. Kernels from 6.16 on no longer track it: its entries then have no ports, and none can be made with ports.
    pub const DCCP: Proto = Proto(33);
    /// GRE. Its keys are kept as ports.
    pub const GRE: Proto = Proto(47);
    /// ICMPv6.
    pub const ICMPV6: Proto = Proto(58);
    /// SCTP.
    pub const SCTP: Proto = Proto(132);
    /// UDP-Lite.
    pub const UDPLITE: Proto = Proto(136);

    /// Whether the kernel keeps ports (or the keys of GRE) for this protocol.
    ///
    /// DCCP only before 6.16; in a key its ports are then surplus and ignored.
    pub const fn has_ports(self) -> bool {
        matches!(self, Proto::TCP | Proto::UDP | Proto::DCCP | Proto::GRE | Proto::SCTP | Proto::UDPLITE)
    }

    /// Whether the protocol is ICMP or ICMPv6.
    pub const fn is_icmp(self) -> bool {
        matches!(self, Proto::ICMP | Proto::ICMPV6)
    }
}

/// A state of TCP connection tracking (enum tcp_conntrack, linux/netfilter/nf_conntrack_tcp.h).
///
/// ```
/// use ctnetlink::TcpState;
/// assert_eq!((TcpState(3), TcpState(3).name()), (TcpState::ESTABLISHED, Some("ESTABLISHED")));
/// assert!(TcpState(14) > TcpState::MAX);
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TcpState(pub u8);

impl TcpState {
    /// TCP: no state yet.
    pub const NONE: TcpState = TcpState(0);
    /// TCP: SYN seen.
    pub const SYN_SENT: TcpState = TcpState(1);
    /// TCP: SYN and SYN+ACK seen.
    pub const SYN_RECV: TcpState = TcpState(2);
    /// TCP: established.
    pub const ESTABLISHED: TcpState = TcpState(3);
    /// TCP: one side sent FIN.
    pub const FIN_WAIT: TcpState = TcpState(4);
    /// TCP: that FIN was acknowledged.
    pub const CLOSE_WAIT: TcpState = TcpState(5);
    /// TCP: both sides sent FIN.
    pub const LAST_ACK: TcpState = TcpState(6);
    /// TCP: closed, waiting for stray packets.
    pub const TIME_WAIT: TcpState = TcpState(7);
    /// TCP: reset.
    pub const CLOSE: TcpState = TcpState(8);
    /// TCP: SYN seen from both sides.
    pub const SYN_SENT2: TcpState = TcpState(9);

    /// The last of them.
    pub const MAX: TcpState = TcpState::SYN_SENT2;
}

/// The largest SCTP state (SCTP_CONNTRACK_HEARTBEAT_ACKED, linux/netfilter/nf_conntrack_sctp.h).
pub const SCTP_STATE_MAX: u8 = 9;

/// Shows the name where there is one, else the number; converts to and from the number.
macro_rules! numbers_with_names {
    ($($kind:ident { $($number:ident $name:literal)* })*) => { $(
        impl $kind {
            /// All that have a name.
            pub const ALL: &[$kind] = &[$($kind::$number),*];

            /// The name, if it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $($kind::$number => Some($name),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => self.0.fmt(f),
                }
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<u8> for $kind {
            fn from(number: u8) -> $kind {
                $kind(number)
            }
        }

        impl From<$kind> for u8 {
            fn from(value: $kind) -> u8 {
                value.0
            }
        }
    )* };
}

numbers_with_names! {
    Family { IPV4 "ipv4" IPV6 "ipv6" }
    Proto {
        ICMP "icmp" TCP "tcp" UDP "udp" DCCP "dccp" GRE "gre" ICMPV6 "icmpv6" SCTP "sctp" UDPLITE "udplite"
    }
    TcpState {
        NONE "NONE" SYN_SENT "SYN_SENT" SYN_RECV "SYN_RECV" ESTABLISHED "ESTABLISHED" FIN_WAIT "FIN_WAIT"
        CLOSE_WAIT "CLOSE_WAIT" LAST_ACK "LAST_ACK" TIME_WAIT "TIME_WAIT" CLOSE "CLOSE" SYN_SENT2 "SYN_SENT2"
    }
}
