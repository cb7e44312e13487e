//! The table at large: how full it is, its settings, and what the kernel counted.

use super::boundary::{array_out, input, out, without_handle};
use super::extend;
use super::open::{ct_handle, with_handle};
use super::text::keep;
use ctnetlink::stats::{Counted, CpuStats, ExpectStat, Stat, MOST_COUNTERS};
use ctrack::seams::{text, with_stats_line};
use ctrack::{Error, Setting};
use std::ffi::{c_char, c_int};

/// nf_conntrack_max. The most entries that a network namespace may have.
pub const CT_SETTING_MAX: u32 = 0;
/// nf_conntrack_buckets. Buckets of the hash table.
pub const CT_SETTING_BUCKETS: u32 = 1;
/// nf_conntrack_expect_max. The most expectations that a network namespace may have.
pub const CT_SETTING_EXPECT_MAX: u32 = 2;
/// nf_conntrack_acct. Whether packets and bytes of entries are counted: 0 or 1. For entries that are made from now
/// on.
pub const CT_SETTING_ACCT: u32 = 3;
/// nf_conntrack_timestamp. Whether entries keep the time when they were made: 0 or 1. For entries that are made
/// from now on.
pub const CT_SETTING_TIMESTAMP: u32 = 4;
/// nf_conntrack_events. Whether entries report what becomes of them: 0 none does, 1 all do, 2 those that are made
/// while somebody listens. For entries that are made from now on.
pub const CT_SETTING_EVENTS: u32 = 5;
/// nf_conntrack_checksum. Whether packets with a wrong checksum are invalid: 0 or 1.
pub const CT_SETTING_CHECKSUM: u32 = 6;
/// nf_conntrack_log_invalid. Of which protocol invalid packets are logged: 0 of none, 255 of all.
pub const CT_SETTING_LOG_INVALID: u32 = 7;
/// nf_conntrack_tcp_loose. Whether connections are taken up that were under way already: 0 or not.
pub const CT_SETTING_TCP_LOOSE: u32 = 8;
/// nf_conntrack_tcp_be_liberal. Whether only resets out of the window are invalid: 0 or not.
pub const CT_SETTING_TCP_BE_LIBERAL: u32 = 9;
/// nf_conntrack_tcp_ignore_invalid_rst. Whether resets out of the window count as others do: 0 or 1. Since Linux
/// 5.14.
pub const CT_SETTING_TCP_IGNORE_INVALID_RST: u32 = 10;
/// nf_conntrack_tcp_max_retrans. Retransmissions after which the timeout TCP_MAX_RETRANS_TIMEOUT holds.
pub const CT_SETTING_TCP_MAX_RETRANS: u32 = 11;
/// nf_conntrack_generic_timeout. Seconds. Of protocols without a tracker of their own.
pub const CT_SETTING_GENERIC_TIMEOUT: u32 = 12;
/// nf_conntrack_icmp_timeout. Seconds. ICMP.
pub const CT_SETTING_ICMP_TIMEOUT: u32 = 13;
/// nf_conntrack_icmpv6_timeout. Seconds. ICMPv6.
pub const CT_SETTING_ICMPV6_TIMEOUT: u32 = 14;
/// nf_conntrack_udp_timeout. Seconds. UDP that is not answered, and UDP-Lite.
pub const CT_SETTING_UDP_TIMEOUT: u32 = 15;
/// nf_conntrack_udp_timeout_stream. Seconds. UDP in both directions, after two seconds.
pub const CT_SETTING_UDP_STREAM_TIMEOUT: u32 = 16;
/// nf_conntrack_gre_timeout. Seconds. GRE that is not answered.
pub const CT_SETTING_GRE_TIMEOUT: u32 = 17;
/// nf_conntrack_gre_timeout_stream. Seconds. GRE in both directions.
pub const CT_SETTING_GRE_STREAM_TIMEOUT: u32 = 18;
/// nf_conntrack_tcp_timeout_syn_sent. Seconds. TCP in SYN_SENT.
pub const CT_SETTING_TCP_SYN_SENT_TIMEOUT: u32 = 19;
/// nf_conntrack_tcp_timeout_syn_recv. Seconds. TCP in SYN_RECV.
pub const CT_SETTING_TCP_SYN_RECV_TIMEOUT: u32 = 20;
/// nf_conntrack_tcp_timeout_established. Seconds. TCP in ESTABLISHED.
pub const CT_SETTING_TCP_ESTABLISHED_TIMEOUT: u32 = 21;
/// nf_conntrack_tcp_timeout_fin_wait. Seconds. TCP in FIN_WAIT.
pub const CT_SETTING_TCP_FIN_WAIT_TIMEOUT: u32 = 22;
/// nf_conntrack_tcp_timeout_close_wait. Seconds. TCP in CLOSE_WAIT.
pub const CT_SETTING_TCP_CLOSE_WAIT_TIMEOUT: u32 = 23;
/// nf_conntrack_tcp_timeout_last_ack. Seconds. TCP in LAST_ACK.
pub const CT_SETTING_TCP_LAST_ACK_TIMEOUT: u32 = 24;
/// nf_conntrack_tcp_timeout_time_wait. Seconds. TCP in TIME_WAIT.
pub const CT_SETTING_TCP_TIME_WAIT_TIMEOUT: u32 = 25;
/// nf_conntrack_tcp_timeout_close. Seconds. TCP in CLOSE.
pub const CT_SETTING_TCP_CLOSE_TIMEOUT: u32 = 26;
/// nf_conntrack_tcp_timeout_max_retrans. Seconds. TCP after too many retransmissions.
pub const CT_SETTING_TCP_MAX_RETRANS_TIMEOUT: u32 = 27;
/// nf_conntrack_tcp_timeout_unacknowledged. Seconds. TCP while data is not acknowledged.
pub const CT_SETTING_TCP_UNACKNOWLEDGED_TIMEOUT: u32 = 28;
/// nf_conntrack_sctp_timeout_closed. Seconds. SCTP in CLOSED.
pub const CT_SETTING_SCTP_CLOSED_TIMEOUT: u32 = 29;
/// nf_conntrack_sctp_timeout_cookie_wait. Seconds. SCTP in COOKIE_WAIT.
pub const CT_SETTING_SCTP_COOKIE_WAIT_TIMEOUT: u32 = 30;
/// nf_conntrack_sctp_timeout_cookie_echoed. Seconds. SCTP in COOKIE_ECHOED.
pub const CT_SETTING_SCTP_COOKIE_ECHOED_TIMEOUT: u32 = 31;
/// nf_conntrack_sctp_timeout_established. Seconds. SCTP in ESTABLISHED.
pub const CT_SETTING_SCTP_ESTABLISHED_TIMEOUT: u32 = 32;
/// nf_conntrack_sctp_timeout_shutdown_sent. Seconds. SCTP in SHUTDOWN_SENT.
pub const CT_SETTING_SCTP_SHUTDOWN_SENT_TIMEOUT: u32 = 33;
/// nf_conntrack_sctp_timeout_shutdown_recd. Seconds. SCTP in SHUTDOWN_RECD.
pub const CT_SETTING_SCTP_SHUTDOWN_RECD_TIMEOUT: u32 = 34;
/// nf_conntrack_sctp_timeout_shutdown_ack_sent. Seconds. SCTP in SHUTDOWN_ACK_SENT.
pub const CT_SETTING_SCTP_SHUTDOWN_ACK_SENT_TIMEOUT: u32 = 35;
/// nf_conntrack_sctp_timeout_heartbeat_sent. Seconds. SCTP in HEARTBEAT_SENT.
pub const CT_SETTING_SCTP_HEARTBEAT_SENT_TIMEOUT: u32 = 36;
/// nf_conntrack_sctp_timeout_heartbeat_acked. Seconds. SCTP in HEARTBEAT_ACKED. In old kernels alone.
pub const CT_SETTING_SCTP_HEARTBEAT_ACKED_TIMEOUT: u32 = 37;
/// nf_conntrack_dccp_timeout_request. Seconds. DCCP in REQUEST. Before Linux 6.16, as are the others of DCCP.
pub const CT_SETTING_DCCP_REQUEST_TIMEOUT: u32 = 38;
/// nf_conntrack_dccp_timeout_respond. Seconds. DCCP in RESPOND.
pub const CT_SETTING_DCCP_RESPOND_TIMEOUT: u32 = 39;
/// nf_conntrack_dccp_timeout_partopen. Seconds. DCCP in PARTOPEN.
pub const CT_SETTING_DCCP_PARTOPEN_TIMEOUT: u32 = 40;
/// nf_conntrack_dccp_timeout_open. Seconds. DCCP in OPEN.
pub const CT_SETTING_DCCP_OPEN_TIMEOUT: u32 = 41;
/// nf_conntrack_dccp_timeout_closereq. Seconds. DCCP in CLOSEREQ.
pub const CT_SETTING_DCCP_CLOSEREQ_TIMEOUT: u32 = 42;
/// nf_conntrack_dccp_timeout_closing. Seconds. DCCP in CLOSING.
pub const CT_SETTING_DCCP_CLOSING_TIMEOUT: u32 = 43;
/// nf_conntrack_dccp_timeout_timewait. Seconds. DCCP in TIMEWAIT.
pub const CT_SETTING_DCCP_TIMEWAIT_TIMEOUT: u32 = 44;
/// nf_flowtable_tcp_timeout. Seconds. TCP in a flow table. Since Linux 5.14, where there are flow tables, as is the
/// other one.
pub const CT_SETTING_FLOWTABLE_TCP_TIMEOUT: u32 = 45;
/// nf_flowtable_udp_timeout. Seconds. UDP in a flow table.
pub const CT_SETTING_FLOWTABLE_UDP_TIMEOUT: u32 = 46;

/// Look-ups in the table. None since Linux 4.9.
pub const CT_STAT_SEARCHED: u32 = 1;
/// Packets whose entry was found at the second look, since another packet of the flow had come between. Before
/// Linux 5.10: all look-ups that found an entry.
pub const CT_STAT_FOUND: u32 = 2;
/// Entries that were made. None since Linux 4.9.
pub const CT_STAT_NEW: u32 = 3;
/// Packets that could not be tracked.
pub const CT_STAT_INVALID: u32 = 4;
/// Packets that were tracked already. None since Linux 5.10.
pub const CT_STAT_IGNORE: u32 = 5;
/// Entries that were deleted. None since Linux 4.9.
pub const CT_STAT_DELETE: u32 = 6;
/// Entries that waited for their deletion. None since Linux 4.9.
pub const CT_STAT_DELETE_LIST: u32 = 7;
/// Entries that were put into the table. Those of packets are counted since Linux 5.19 in no kernel (always 0),
/// those made by programs are.
pub const CT_STAT_INSERT: u32 = 8;
/// Entries that could not be put into the table: another one with a tuple of theirs was there.
pub const CT_STAT_INSERT_FAILED: u32 = 9;
/// Packets that were dropped: no memory for an entry, no room in the table, or it clashed.
pub const CT_STAT_DROP: u32 = 10;
/// Entries that were dropped so that there was room for others.
pub const CT_STAT_EARLY_DROP: u32 = 11;
/// ICMP errors that belong to nothing, and packets that a protocol's tracker refused.
pub const CT_STAT_ERROR: u32 = 12;
/// Look-ups that began anew, since the table was resized or the entry moved meanwhile.
pub const CT_STAT_SEARCH_RESTART: u32 = 13;
/// Clashes that were resolved: two entries for one flow, of which one stayed. Since Linux 5.10.
pub const CT_STAT_CLASH_RESOLVE: u32 = 14;
/// Entries that were not made since the chain of their bucket was too long. Since Linux 5.15.
pub const CT_STAT_CHAIN_TOOLONG: u32 = 15;

/// Expectations that a packet fulfilled.
pub const CT_STAT_EXPECT_NEW: u32 = 1;
/// Expectations that were made.
pub const CT_STAT_EXPECT_CREATE: u32 = 2;
/// Expectations that were deleted.
pub const CT_STAT_EXPECT_DELETE: u32 = 3;

const _: () = {
    assert!(CT_SETTING_MAX == Setting::Max as u32);
    assert!(CT_SETTING_BUCKETS == Setting::Buckets as u32);
    assert!(CT_SETTING_EXPECT_MAX == Setting::ExpectMax as u32);
    assert!(CT_SETTING_ACCT == Setting::Acct as u32);
    assert!(CT_SETTING_TIMESTAMP == Setting::Timestamp as u32);
    assert!(CT_SETTING_EVENTS == Setting::Events as u32);
    assert!(CT_SETTING_CHECKSUM == Setting::Checksum as u32);
    assert!(CT_SETTING_LOG_INVALID == Setting::LogInvalid as u32);
    assert!(CT_SETTING_TCP_LOOSE == Setting::TcpLoose as u32);
    assert!(CT_SETTING_TCP_BE_LIBERAL == Setting::TcpBeLiberal as u32);
    assert!(CT_SETTING_TCP_IGNORE_INVALID_RST == Setting::TcpIgnoreInvalidRst as u32);
    assert!(CT_SETTING_TCP_MAX_RETRANS == Setting::TcpMaxRetrans as u32);
    assert!(CT_SETTING_GENERIC_TIMEOUT == Setting::GenericTimeout as u32);
    assert!(CT_SETTING_ICMP_TIMEOUT == Setting::IcmpTimeout as u32);
    assert!(CT_SETTING_ICMPV6_TIMEOUT == Setting::Icmpv6Timeout as u32);
    assert!(CT_SETTING_UDP_TIMEOUT == Setting::UdpTimeout as u32);
    assert!(CT_SETTING_UDP_STREAM_TIMEOUT == Setting::UdpStreamTimeout as u32);
    assert!(CT_SETTING_GRE_TIMEOUT == Setting::GreTimeout as u32);
    assert!(CT_SETTING_GRE_STREAM_TIMEOUT == Setting::GreStreamTimeout as u32);
    assert!(CT_SETTING_TCP_SYN_SENT_TIMEOUT == Setting::TcpSynSentTimeout as u32);
    assert!(CT_SETTING_TCP_SYN_RECV_TIMEOUT == Setting::TcpSynRecvTimeout as u32);
    assert!(CT_SETTING_TCP_ESTABLISHED_TIMEOUT == Setting::TcpEstablishedTimeout as u32);
    assert!(CT_SETTING_TCP_FIN_WAIT_TIMEOUT == Setting::TcpFinWaitTimeout as u32);
    assert!(CT_SETTING_TCP_CLOSE_WAIT_TIMEOUT == Setting::TcpCloseWaitTimeout as u32);
    assert!(CT_SETTING_TCP_LAST_ACK_TIMEOUT == Setting::TcpLastAckTimeout as u32);
    assert!(CT_SETTING_TCP_TIME_WAIT_TIMEOUT == Setting::TcpTimeWaitTimeout as u32);
    assert!(CT_SETTING_TCP_CLOSE_TIMEOUT == Setting::TcpCloseTimeout as u32);
    assert!(CT_SETTING_TCP_MAX_RETRANS_TIMEOUT == Setting::TcpMaxRetransTimeout as u32);
    assert!(CT_SETTING_TCP_UNACKNOWLEDGED_TIMEOUT == Setting::TcpUnacknowledgedTimeout as u32);
    assert!(CT_SETTING_SCTP_CLOSED_TIMEOUT == Setting::SctpClosedTimeout as u32);
    assert!(CT_SETTING_SCTP_COOKIE_WAIT_TIMEOUT == Setting::SctpCookieWaitTimeout as u32);
    assert!(CT_SETTING_SCTP_COOKIE_ECHOED_TIMEOUT == Setting::SctpCookieEchoedTimeout as u32);
    assert!(CT_SETTING_SCTP_ESTABLISHED_TIMEOUT == Setting::SctpEstablishedTimeout as u32);
    assert!(CT_SETTING_SCTP_SHUTDOWN_SENT_TIMEOUT == Setting::SctpShutdownSentTimeout as u32);
    assert!(CT_SETTING_SCTP_SHUTDOWN_RECD_TIMEOUT == Setting::SctpShutdownRecdTimeout as u32);
    assert!(CT_SETTING_SCTP_SHUTDOWN_ACK_SENT_TIMEOUT == Setting::SctpShutdownAckSentTimeout as u32);
    assert!(CT_SETTING_SCTP_HEARTBEAT_SENT_TIMEOUT == Setting::SctpHeartbeatSentTimeout as u32);
    assert!(CT_SETTING_SCTP_HEARTBEAT_ACKED_TIMEOUT == Setting::SctpHeartbeatAckedTimeout as u32);
    assert!(CT_SETTING_DCCP_REQUEST_TIMEOUT == Setting::DccpRequestTimeout as u32);
    assert!(CT_SETTING_DCCP_RESPOND_TIMEOUT == Setting::DccpRespondTimeout as u32);
    assert!(CT_SETTING_DCCP_PARTOPEN_TIMEOUT == Setting::DccpPartopenTimeout as u32);
    assert!(CT_SETTING_DCCP_OPEN_TIMEOUT == Setting::DccpOpenTimeout as u32);
    assert!(CT_SETTING_DCCP_CLOSEREQ_TIMEOUT == Setting::DccpClosereqTimeout as u32);
    assert!(CT_SETTING_DCCP_CLOSING_TIMEOUT == Setting::DccpClosingTimeout as u32);
    assert!(CT_SETTING_DCCP_TIMEWAIT_TIMEOUT == Setting::DccpTimewaitTimeout as u32);
    assert!(CT_SETTING_FLOWTABLE_TCP_TIMEOUT == Setting::FlowtableTcpTimeout as u32);
    assert!(CT_SETTING_FLOWTABLE_UDP_TIMEOUT == Setting::FlowtableUdpTimeout as u32);
    assert!(CT_STAT_SEARCHED == Stat::SEARCHED.0 as u32);
    assert!(CT_STAT_FOUND == Stat::FOUND.0 as u32);
    assert!(CT_STAT_NEW == Stat::NEW.0 as u32);
    assert!(CT_STAT_INVALID == Stat::INVALID.0 as u32);
    assert!(CT_STAT_IGNORE == Stat::IGNORE.0 as u32);
    assert!(CT_STAT_DELETE == Stat::DELETE.0 as u32);
    assert!(CT_STAT_DELETE_LIST == Stat::DELETE_LIST.0 as u32);
    assert!(CT_STAT_INSERT == Stat::INSERT.0 as u32);
    assert!(CT_STAT_INSERT_FAILED == Stat::INSERT_FAILED.0 as u32);
    assert!(CT_STAT_DROP == Stat::DROP.0 as u32);
    assert!(CT_STAT_EARLY_DROP == Stat::EARLY_DROP.0 as u32);
    assert!(CT_STAT_ERROR == Stat::ERROR.0 as u32);
    assert!(CT_STAT_SEARCH_RESTART == Stat::SEARCH_RESTART.0 as u32);
    assert!(CT_STAT_CLASH_RESOLVE == Stat::CLASH_RESOLVE.0 as u32);
    assert!(CT_STAT_CHAIN_TOOLONG == Stat::CHAIN_TOOLONG.0 as u32);
    assert!(CT_STAT_EXPECT_NEW == ExpectStat::NEW.0 as u32);
    assert!(CT_STAT_EXPECT_CREATE == ExpectStat::CREATE.0 as u32);
    assert!(CT_STAT_EXPECT_DELETE == ExpectStat::DELETE.0 as u32);
};

/// How full a table is, and its settings. Set size, zero the rest. Since 0.2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ct_table_info {
    /// sizeof(struct ct_table_info).
    pub size: u32,
    /// Zero.
    pub pad0: u32,
    /// How many entries the network namespace has. Those that have expired and are not reaped yet are counted, too.
    pub entries: u64,
    /// Bit n: value[n] is known. One that was asked for and is not: this kernel has no such setting, or /proc/sys is hidden.
    pub known: u64,
    /// Bit n: the caller may set setting n. Never set for those of the machine.
    pub settable: u64,
    /// The settings by their numbers, CT_SETTING_; timeouts in seconds. Zero where not known.
    pub value: [u32; 64],
}

impl Default for ct_table_info {
    fn default() -> ct_table_info {
        ct_table_info { size: 0, pad0: 0, entries: 0, known: 0, settable: 0, value: [0; 64] }
    }
}

/// Size of `ct_table_info` in the release that had it first.
const TABLE_INFO_SIZE_V0: usize = 288;

/// What one processor counted in a network namespace since that was made. Since 0.2.
///
/// The counters have 32 bits, and wrap: differences modulo 2^32 are right as long as they are read often enough. Which ones there are
/// depends on the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ct_stats {
    /// The number of the processor.
    pub cpu: u32,
    /// Bit n: the kernel sent value[n].
    pub has: u32,
    /// The counters by their numbers, CT_STAT_ or CT_STAT_EXPECT_; zero where the kernel sent none.
    pub value: [u32; 32],
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<ct_table_info>() == TABLE_INFO_SIZE_V0 && Setting::ALL.len() <= 64);
    // The same bytes.
    assert!(size_of::<ct_stats>() == size_of::<CpuStats>() && MOST_COUNTERS == 32);
    assert!(offset_of!(ct_stats, has) == offset_of!(CpuStats, has));
    assert!(offset_of!(ct_stats, value) == offset_of!(CpuStats, values));
};

/// The setting of a number.
fn setting(number: u32) -> Option<Setting> {
    usize::try_from(number).ok().and_then(|number| Setting::ALL.get(number)).copied()
}

/// How many entries there are and may be, and settings of the network namespace.
///
/// With no settings that is one small request; the maximum comes with it where the kernel sends it (since Linux 5.8). Settings are
/// read in /proc/sys, those of another network namespace by a thread that enters it and ends; the caller's stays where it is. What cannot
/// be read is not known, which is no error.
///
/// @param h the handle
/// @param settings which: bit n for setting n, 1ull << CT_SETTING_ACCT; UINT64_MAX for all; 0 for none. Bits without a setting are ignored
/// @param info size set, the rest zero; filled on success
/// @return 0, or a negative errno as for ct_count(): -EINVAL info is wrong; -E2BIG it has fields set that this release does not know
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_table_get_info(h: *mut ct_handle, settings: u64, info: *mut ct_table_info) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            let name = |field| text("info", format_args!("info{field}"));
            let given = extend::read(info.cast_const(), TABLE_INFO_SIZE_V0, &name)?.size as usize;
            let mut wanted = [Setting::Max; Setting::ALL.len()];
            let mut count = 0;
            for (&setting, place) in Setting::ALL.iter().filter(|&&one| settings >> one as u32 & 1 == 1).zip(&mut wanted) {
                *place = setting;
                count += 1;
            }
            let found = conntrack.table_info(&wanted[..count])?;
            let (known, settable) = found.bits();
            let mut filled = ct_table_info { entries: found.entries, known, settable, ..ct_table_info::default() };
            for (&setting, value) in Setting::ALL.iter().zip(&mut filled.value) {
                *value = found.get(setting).unwrap_or(0);
            }
            extend::write(&filled, info, size_of::<u32>()..given.min(size_of::<ct_table_info>()));
            Ok(0)
        })
    }
}

/// Changes a setting of the network namespace. It stays so when the program ends.
///
/// Accounting, time stamps and events are for entries that are made from now on; timeouts are for packets that come from now on, and so for
/// entries that are there already.
///
/// @param h the handle
/// @param setting CT_SETTING_
/// @param value its new value; timeouts in seconds
/// @return 0, or a negative errno: -EINVAL there is no such setting, it belongs to the machine (CT_SETTING_MAX, _BUCKETS, _EXPECT_MAX), or the
///   kernel takes no such value; -EACCES, -EPERM CAP_NET_ADMIN is missing, or for another network namespace CAP_SYS_ADMIN; -EROFS /proc/sys
///   is read-only, as in most containers; -ENOENT this kernel has no such setting, or /proc is not mounted; -EAGAIN, for another network
///   namespace: the process may have no more threads; -ENOMEM; -EBUSY, -ECHILD, -ENOTRECOVERABLE as for ct_list()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_table_set(h: *mut ct_handle, setting: u32, value: u32) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with_handle(h, |conntrack| {
            let Some(setting) = self::setting(setting) else {
                return Err(Error::invalid("setting", "is no setting"));
            };
            conntrack.set_table(setting, value)?;
            Ok(0)
        })
    }
}

/// The name of a setting, for example "nf_conntrack_tcp_timeout_established": `sysctl net.netfilter.NAME` shows it.
///
/// @param setting CT_SETTING_
/// @return static text; "" if there is no such setting. Never NULL
/// Since 0.2.
#[no_mangle]
pub extern "C" fn ct_setting_name(setting: u32) -> *const c_char {
    self::setting(setting).map_or(c"", Setting::c_name).as_ptr()
}

/// What each processor counted in the network namespace.
///
/// There is one for each processor that the machine may have, and not only for those that it has.
///
/// @param h the handle
/// @param buf where to put them; NULL if cap is 0
/// @param cap room for how many
/// @param ret_count how many there are; written also with -ENOSPC
/// @return 0, or a negative errno: -ENOSPC there are more than cap, and ret_count says how many: nothing is in buf; others as for ct_list()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_stats_cpu(
    h: *mut ct_handle,
    buf: *mut ct_stats,
    cap: usize,
    ret_count: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { counted(h, Counted::Entries, buf, cap, ret_count) }
}

/// The same for expectations: the counters CT_STAT_EXPECT_.
///
/// @param h the handle
/// @param buf where to put them; NULL if cap is 0
/// @param cap room for how many
/// @param ret_count how many there are; written also with -ENOSPC
/// @return as for ct_stats_cpu()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_stats_expect(
    h: *mut ct_handle,
    buf: *mut ct_stats,
    cap: usize,
    ret_count: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { counted(h, Counted::Expectations, buf, cap, ret_count) }
}

/// # Safety
/// As the header says of `ct_stats_cpu`.
unsafe fn counted(h: *mut ct_handle, what: Counted, buf: *mut ct_stats, cap: usize, ret_count: *mut usize) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            let buffer = array_out(buf.cast::<CpuStats>(), cap, "buf")?;
            let ret_count = out(ret_count, "ret_count")?;
            let mut stats = Vec::new();
            conntrack.cpu_stats_into(what, &mut stats)?;
            ret_count.write(stats.len());
            if stats.len() > buffer.len() {
                return Err(Error::NoRoom { op: "stats", needed: stats.len() });
            }
            for (slot, one) in buffer.iter_mut().zip(stats) {
                slot.write(one);
            }
            Ok(0)
        })
    }
}

/// Writes counters as text, by the rules of snprintf(3): the line that `conntrack -S` prints, or of expectations `conntrack -S expect`,
/// byte for byte with the blank at its end, and without a line end. What the kernel did not send is left out.
///
/// @param s what one processor counted
/// @param expect 0: of ct_stats_cpu(); 1: of ct_stats_expect()
/// @param buf where to write; NULL if len is 0
/// @param len its size. 1024 is always enough
/// @return the length of the whole text without its NUL, or -EINVAL
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_stats_format(s: *const ct_stats, expect: u32, buf: *mut c_char, len: usize) -> c_int {
    without_handle(|| {
        // SAFETY: the caller's promise.
        let (stats, buffer) = unsafe { (input(s.cast::<CpuStats>(), "stats")?, array_out(buf.cast::<u8>(), len, "buf")?) };
        let what = match expect {
            0 => Counted::Entries,
            1 => Counted::Expectations,
            _ => return Err(Error::invalid("expect", "is neither 0 nor 1")),
        };
        with_stats_line(stats, what, |text| keep(text, buffer))
    })
}
