//! The settings of a table: what the kernel shows as files in /proc/sys/net/netfilter.

use crate::error::{Error, LATER};
use std::fs::File;
use std::io::{Read, Write};

/// Whose a setting is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Of all network namespaces: not set here.
    Machine,
    /// Of one.
    Namespace,
}

macro_rules! settings {
    ($(#[$meta:meta])* $kind:ident { $($(#[doc = $doc:expr])* $name:ident = $value:literal, $file:literal, $scope:expr;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum $kind {
            $($(#[doc = $doc])* $name = $value,)*
        }

        impl $kind {
            /// All of them, by their numbers.
            pub const ALL: &[$kind] = &[$($kind::$name),*];

            /// The name of the sysctl, for example "nf_conntrack_tcp_timeout_established": `sysctl net.netfilter.NAME` shows it.
            ///
            /// ```
            /// assert_eq!(ctrack::Setting::Acct.name(), "nf_conntrack_acct");
            /// ```
            pub const fn name(self) -> &'static str {
                match self { $($kind::$name => $file,)* }
            }

            #[doc(hidden)]
            pub const fn c_name(self) -> &'static ::core::ffi::CStr {
                const fn terminated(name: &'static str) -> &'static ::core::ffi::CStr {
                    match ::core::ffi::CStr::from_bytes_with_nul(name.as_bytes()) {
                        Ok(name) => name,
                        Err(_) => c"",
                    }
                }
                match self { $($kind::$name => const { terminated(concat!($file, "\0")) },)* }
            }

            pub(crate) const fn path(self) -> &'static str {
                match self { $($kind::$name => concat!("/proc/sys/net/netfilter/", $file),)* }
            }

            const fn scope(self) -> Scope {
                match self { $($kind::$name => $scope,)* }
            }
        }
    };
}

settings! {
    /// A setting of connection tracking in a network namespace.
    ///
    /// Timeouts are for packets that come from now on, and so for entries that are there already.
    ///
    /// ```
    /// use ctrack::Setting;
    /// let by_name = Setting::ALL.iter().find(|setting| setting.name() == "nf_conntrack_udp_timeout");
    /// assert_eq!(by_name, Some(&Setting::UdpTimeout));
    /// assert!(Setting::Max.is_of_the_machine() && !Setting::Acct.is_of_the_machine());
    /// ```
    Setting {
        /// The most entries that a network namespace may have.
        Max = 0, "nf_conntrack_max", Scope::Machine;
        /// Buckets of the hash table.
        Buckets = 1, "nf_conntrack_buckets", Scope::Machine;
        /// The most expectations that a network namespace may have.
        ExpectMax = 2, "nf_conntrack_expect_max", Scope::Machine;
        /// Whether packets and bytes of entries are counted: 0 or 1. For entries that are made from now on.
        Acct = 3, "nf_conntrack_acct", Scope::Namespace;
        /// Whether entries keep the time when they were made: 0 or 1. For entries that are made from now on.
        Timestamp = 4, "nf_conntrack_timestamp", Scope::Namespace;
        /// Whether entries report what becomes of them: 0 none does, 1 all do, 2 those that are made while somebody
        /// listens. For entries that are made from now on.
        Events = 5, "nf_conntrack_events", Scope::Namespace;
        /// Whether packets with a wrong checksum are invalid: 0 or 1.
        Checksum = 6, "nf_conntrack_checksum", Scope::Namespace;
        /// Of which protocol invalid packets are logged: 0 of none, 255 of all.
        LogInvalid = 7, "nf_conntrack_log_invalid", Scope::Namespace;
        /// Whether connections are taken up that were under way already: 0 or not.
        TcpLoose = 8, "nf_conntrack_tcp_loose", Scope::Namespace;
        /// Whether only resets out of the window are invalid: 0 or not.
        TcpBeLiberal = 9, "nf_conntrack_tcp_be_liberal", Scope::Namespace;
        /// Whether resets out of the window count as others do: 0 or 1. Since Linux 5.14.
        TcpIgnoreInvalidRst = 10, "nf_conntrack_tcp_ignore_invalid_rst", Scope::Namespace;
        /// Retransmissions after which the timeout MaxRetrans holds.
        TcpMaxRetrans = 11, "nf_conntrack_tcp_max_retrans", Scope::Namespace;
        /// Seconds. Of protocols without a tracker of their own.
        GenericTimeout = 12, "nf_conntrack_generic_timeout", Scope::Namespace;
        /// Seconds. ICMP.
        IcmpTimeout = 13, "nf_conntrack_icmp_timeout", Scope::Namespace;
        /// Seconds. ICMPv6.
        Icmpv6Timeout = 14, "nf_conntrack_icmpv6_timeout", Scope::Namespace;
        /// Seconds. UDP that is not answered, and UDP-Lite.
        UdpTimeout = 15, "nf_conntrack_udp_timeout", Scope::Namespace;
        /// Seconds. UDP in both directions, after two seconds.
        UdpStreamTimeout = 16, "nf_conntrack_udp_timeout_stream", Scope::Namespace;
        /// Seconds. GRE that is not answered.
        GreTimeout = 17, "nf_conntrack_gre_timeout", Scope::Namespace;
        /// Seconds. GRE in both directions.
        GreStreamTimeout = 18, "nf_conntrack_gre_timeout_stream", Scope::Namespace;
        /// Seconds. TCP in SYN_SENT.
        TcpSynSentTimeout = 19, "nf_conntrack_tcp_timeout_syn_sent", Scope::Namespace;
        /// Seconds. TCP in SYN_RECV.
        TcpSynRecvTimeout = 20, "nf_conntrack_tcp_timeout_syn_recv", Scope::Namespace;
        /// Seconds. TCP in ESTABLISHED.
        TcpEstablishedTimeout = 21, "nf_conntrack_tcp_timeout_established", Scope::Namespace;
        /// Seconds. TCP in FIN_WAIT.
        TcpFinWaitTimeout = 22, "nf_conntrack_tcp_timeout_fin_wait", Scope::Namespace;
        /// Seconds. TCP in CLOSE_WAIT.
        TcpCloseWaitTimeout = 23, "nf_conntrack_tcp_timeout_close_wait", Scope::Namespace;
        /// Seconds. TCP in LAST_ACK.
        TcpLastAckTimeout = 24, "nf_conntrack_tcp_timeout_last_ack", Scope::Namespace;
        /// Seconds. TCP in TIME_WAIT.
        TcpTimeWaitTimeout = 25, "nf_conntrack_tcp_timeout_time_wait", Scope::Namespace;
        /// Seconds. TCP in CLOSE.
        TcpCloseTimeout = 26, "nf_conntrack_tcp_timeout_close", Scope::Namespace;
        /// Seconds. TCP after too many retransmissions.
        TcpMaxRetransTimeout = 27, "nf_conntrack_tcp_timeout_max_retrans", Scope::Namespace;
        /// Seconds. TCP while data is not acknowledged.
        TcpUnacknowledgedTimeout = 28, "nf_conntrack_tcp_timeout_unacknowledged", Scope::Namespace;
        /// Seconds. SCTP in CLOSED.
        SctpClosedTimeout = 29, "nf_conntrack_sctp_timeout_closed", Scope::Namespace;
        /// Seconds. SCTP in COOKIE_WAIT.
        SctpCookieWaitTimeout = 30, "nf_conntrack_sctp_timeout_cookie_wait", Scope::Namespace;
        /// Seconds. SCTP in COOKIE_ECHOED.
        SctpCookieEchoedTimeout = 31, "nf_conntrack_sctp_timeout_cookie_echoed", Scope::Namespace;
        /// Seconds. SCTP in ESTABLISHED.
        SctpEstablishedTimeout = 32, "nf_conntrack_sctp_timeout_established", Scope::Namespace;
        /// Seconds. SCTP in SHUTDOWN_SENT.
        SctpShutdownSentTimeout = 33, "nf_conntrack_sctp_timeout_shutdown_sent", Scope::Namespace;
        /// Seconds. SCTP in SHUTDOWN_RECD.
        SctpShutdownRecdTimeout = 34, "nf_conntrack_sctp_timeout_shutdown_recd", Scope::Namespace;
        /// Seconds. SCTP in SHUTDOWN_ACK_SENT.
        SctpShutdownAckSentTimeout = 35, "nf_conntrack_sctp_timeout_shutdown_ack_sent", Scope::Namespace;
        /// Seconds. SCTP in HEARTBEAT_SENT.
        SctpHeartbeatSentTimeout = 36, "nf_conntrack_sctp_timeout_heartbeat_sent", Scope::Namespace;
        /// Seconds. SCTP in HEARTBEAT_ACKED. In old kernels alone.
        SctpHeartbeatAckedTimeout = 37, "nf_conntrack_sctp_timeout_heartbeat_acked", Scope::Namespace;
        /// Seconds. DCCP in REQUEST. Before Linux 6.16, as are the others of DCCP.
        DccpRequestTimeout = 38, "nf_conntrack_dccp_timeout_request", Scope::Namespace;
        /// Seconds. DCCP in RESPOND.
        DccpRespondTimeout = 39, "nf_conntrack_dccp_timeout_respond", Scope::Namespace;
        /// Seconds. DCCP in PARTOPEN.
        DccpPartopenTimeout = 40, "nf_conntrack_dccp_timeout_partopen", Scope::Namespace;
        /// Seconds. DCCP in OPEN.
        DccpOpenTimeout = 41, "nf_conntrack_dccp_timeout_open", Scope::Namespace;
        /// Seconds. DCCP in CLOSEREQ.
        DccpClosereqTimeout = 42, "nf_conntrack_dccp_timeout_closereq", Scope::Namespace;
        /// Seconds. DCCP in CLOSING.
        DccpClosingTimeout = 43, "nf_conntrack_dccp_timeout_closing", Scope::Namespace;
        /// Seconds. DCCP in TIMEWAIT.
        DccpTimewaitTimeout = 44, "nf_conntrack_dccp_timeout_timewait", Scope::Namespace;
        /// Seconds. TCP in a flow table. Since Linux 5.14, where there are flow tables, as is the other one.
        FlowtableTcpTimeout = 45, "nf_flowtable_tcp_timeout", Scope::Namespace;
        /// Seconds. UDP in a flow table.
        FlowtableUdpTimeout = 46, "nf_flowtable_udp_timeout", Scope::Namespace;
    }
}

impl Setting {
    /// Whether all network namespaces share it. Such a one is not set here: that would be another's, too.
    pub const fn is_of_the_machine(self) -> bool {
        matches!(self.scope(), Scope::Machine)
    }

    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// In the network namespace of the calling thread. `None`: it cannot be read.
    pub(crate) fn read(self) -> Option<u32> {
        let mut text = [0; 24];
        let length = File::open(self.path()).ok()?.read(&mut text).ok()?;
        std::str::from_utf8(text.get(..length)?).ok()?.trim().parse().ok()
    }

    /// Whether the caller may set it in the network namespace of the calling thread. Opening changes nothing.
    pub(crate) fn may_be_set(self) -> bool {
        !self.is_of_the_machine() && File::options().write(true).open(self.path()).is_ok()
    }

    /// Sets it in the network namespace of the calling thread.
    pub(crate) fn write(self, value: u32) -> Result<(), Error> {
        let mut text = [0; 12];
        let mut room = &mut text[..];
        let _ = write!(room, "{value}");
        let unused = room.len();
        let digits = &text[..text.len() - unused];
        let file = File::options().write(true).open(self.path());
        file.and_then(|mut file| file.write_all(digits)).map_err(|error| Error::Setting {
            op: LATER,
            setting: self,
            value,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        })
    }
}

/// What there is to know of a table at large.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableInfo {
    /// How many entries the network namespace has. Those that have expired and are not reaped yet are counted, too.
    pub entries: u64,
    values: [u32; Setting::ALL.len()],
    known: u64,
    settable: u64,
}

impl TableInfo {
    pub(crate) fn new(entries: u64) -> TableInfo {
        TableInfo { entries, values: [0; Setting::ALL.len()], known: 0, settable: 0 }
    }

    pub(crate) fn know(&mut self, setting: Setting, value: u32, settable: bool) {
        self.values[setting as usize] = value;
        self.known |= setting.bit();
        self.settable |= if settable { setting.bit() } else { 0 };
    }

    /// A setting that was asked for. `None`: it cannot be known here; this kernel has no such setting, or /proc/sys is hidden.
    ///
    /// ```no_run
    /// use ctrack::{Conntrack, Setting};
    /// let info = Conntrack::open()?.table_info(&[Setting::Events])?;
    /// match info.get(Setting::Max) {
    ///     Some(max) => println!("{} of {max} entries", info.entries),
    ///     None => println!("{} entries", info.entries),
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn get(&self, setting: Setting) -> Option<u32> {
        (self.known & setting.bit() != 0).then(|| self.values[setting as usize])
    }

    /// Whether the caller may set it, of those that were asked for.
    pub fn may_set(&self, setting: Setting) -> bool {
        self.settable & setting.bit() != 0
    }

    #[doc(hidden)]
    pub fn bits(&self) -> (u64, u64) {
        (self.known, self.settable)
    }
}

const _: () = {
    // Bits of one number, and places of an array.
    assert!(Setting::ALL.len() <= 64);
    let mut at = 0;
    while at < Setting::ALL.len() {
        assert!(Setting::ALL[at] as usize == at);
        at += 1;
    }
};
