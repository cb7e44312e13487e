//! Sets of bits: which fields of an entry count, its status, TCP states.

use crate::names::TcpState;
use bitflags::bitflags;

bitflags! {
    /// Which fields of an [`Entry`](crate::Entry) count.
    ///
    /// ```
    /// use ctnetlink::Has;
    /// const KEY: Has = Has::ORIG.union(Has::PORTS);
    /// assert!(KEY.contains(Has::ORIG) && !KEY.intersects(Has::ID | Has::ZONE));
    /// ```
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Has: u64 {
        /// orig: addresses and protocol of the original direction.
        const ORIG = 1 << 0;
        /// reply: addresses and protocol of the reply direction.
        const REPLY = 1 << 1;
        /// sport and dport of the tuples (TCP, UDP, UDP-Lite, SCTP, DCCP; the keys of GRE).
        const PORTS = 1 << 2;
        /// icmp_type, icmp_code and icmp_id of the tuples.
        const ICMP = 1 << 3;
        /// status.
        const STATUS = 1 << 4;
        /// timeout. Not sent for entries that are offloaded to a flow table.
        const TIMEOUT = 1 << 5;
        /// mark.
        const MARK = 1 << 6;
        /// id.
        const ID = 1 << 7;
        /// use_count.
        const USE = 1 << 8;
        /// zone: the entry is in this zone in both directions. Not set for zone 0.
        const ZONE = 1 << 9;
        /// orig.zone: only the original direction is in this zone.
        const ORIG_ZONE = 1 << 10;
        /// reply.zone: only the reply direction is in this zone.
        const REPLY_ZONE = 1 << 11;
        /// orig_counters (kept by the kernel when net.netfilter.nf_conntrack_acct was 1 as the entry was made).
        const ORIG_COUNTERS = 1 << 12;
        /// reply_counters.
        const REPLY_COUNTERS = 1 << 13;
        /// start_ns (kept when net.netfilter.nf_conntrack_timestamp was 1 as the entry was made).
        const START = 1 << 14;
        /// stop_ns (destroyed entries only).
        const STOP = 1 << 15;
        /// labels. Not sent by the kernel while all are clear.
        const LABELS = 1 << 16;
        /// helper.
        const HELPER = 1 << 17;
        /// tcp_state.
        const TCP_STATE = 1 << 18;
        /// tcp_wscale_orig and tcp_wscale_reply.
        const TCP_WSCALE = 1 << 19;
        /// tcp_flags_orig, tcp_mask_orig, tcp_flags_reply and tcp_mask_reply.
        const TCP_FLAGS = 1 << 20;
        /// sctp_state, sctp_vtag_orig and sctp_vtag_reply.
        const SCTP = 1 << 21;
        /// dccp_state and dccp_role (kernels before 6.16).
        const DCCP = 1 << 22;
        /// The entry was expected by another one, its master. Which one: [`Details::master`](crate::Details).
        const MASTER = 1 << 23;
        /// The kernel adjusts TCP sequence numbers of this entry. How: [`Details`](crate::Details).
        const SEQ_ADJ = 1 << 24;
        /// The entry has a synproxy extension. Its values: [`Details`](crate::Details).
        const SYNPROXY = 1 << 25;
        /// The entry has a security context. Its name: [`Details`](crate::Details).
        const SECCTX = 1 << 26;
        /// mark_mask. Only to update; the kernel never sends it.
        const MARK_MASK = 1 << 27;
        /// Only to update, with [`Has::LABELS`]: the bits of labels are set, all others stay as they are. So two programs
        /// that each add a label do not undo each other. Since 0.2.
        const LABELS_ADD = 1 << 28;
        /// Only to update, with [`Has::LABELS`]: the bits of labels are cleared, all others stay as they are. Since 0.2.
        const LABELS_REMOVE = 1 << 29;

        // Bits that a later release knows are kept.
        const _ = !0;
    }
}

impl Has {
    /// Bits that announce no field, but say more of one or of what only the details have.
    pub(crate) const WITHOUT_A_FIELD: Has = Has::MASTER
        .union(Has::SEQ_ADJ)
        .union(Has::SYNPROXY)
        .union(Has::SECCTX)
        .union(Has::LABELS_ADD)
        .union(Has::LABELS_REMOVE);
}

bitflags! {
    /// The status of an entry (enum ip_conntrack_status, linux/netfilter/nf_conntrack_common.h).
    ///
    /// ```
    /// use ctnetlink::Status;
    /// const NAT: Status = Status::SRC_NAT.union(Status::DST_NAT);
    /// let status = Status::CONFIRMED | Status::DST_NAT;
    /// assert!(status.intersects(NAT) && !status.contains(NAT));
    /// // Bits that a later kernel knows are kept.
    /// assert_eq!(Status::from_bits_retain(1 << 20).difference(Status::KNOWN).bits(), 1 << 20);
    /// ```
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Status: u32 {
        /// The entry was expected by another one.
        const EXPECTED = 1 << 0;
        /// Packets were seen in both directions.
        const SEEN_REPLY = 1 << 1;
        /// The entry is not dropped early when the table is full.
        const ASSURED = 1 << 2;
        /// The entry is in the table. Set on every entry that the kernel lists.
        const CONFIRMED = 1 << 3;
        /// The source address or port is translated in the original direction.
        const SRC_NAT = 1 << 4;
        /// The destination address or port is translated in the original direction.
        const DST_NAT = 1 << 5;
        /// TCP sequence numbers are adjusted.
        const SEQ_ADJUST = 1 << 6;
        /// Source NAT was decided (perhaps: none).
        const SRC_NAT_DONE = 1 << 7;
        /// Destination NAT was decided (perhaps: none).
        const DST_NAT_DONE = 1 << 8;
        /// The entry is being removed.
        const DYING = 1 << 9;
        /// Traffic does not refresh the timeout.
        const FIXED_TIMEOUT = 1 << 10;
        /// A template, never in the table.
        const TEMPLATE = 1 << 11;
        /// Not tracked (kernels before 4.12).
        const UNTRACKED = 1 << 12;
        /// A helper was assigned by a rule or by ctnetlink.
        const HELPER = 1 << 13;
        /// Offloaded to a flow table.
        const OFFLOAD = 1 << 14;
        /// Offloaded to hardware.
        const HW_OFFLOAD = 1 << 15;

        // Bits that a later kernel knows are kept.
        const _ = !0;
    }
}

impl Status {
    /// Every bit that has a name.
    pub const KNOWN: Status = Status::from_bits_retain(0xffff);
}

bitflags! {
    /// A set of TCP states: bit n is that of [`TcpState`] n.
    ///
    /// ```
    /// use ctnetlink::{TcpState, TcpStates};
    /// let closing: TcpStates = [TcpState::FIN_WAIT, TcpState::TIME_WAIT].into_iter().collect();
    /// assert_eq!(closing, TcpStates::FIN_WAIT | TcpStates::TIME_WAIT);
    /// assert!(TcpStates::KNOWN.contains(TcpState::CLOSE.into()));
    /// ```
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TcpStates: u16 {
        /// TCP: no state yet.
        const NONE = 1 << 0;
        /// TCP: SYN seen.
        const SYN_SENT = 1 << 1;
        /// TCP: SYN and SYN+ACK seen.
        const SYN_RECV = 1 << 2;
        /// TCP: established.
        const ESTABLISHED = 1 << 3;
        /// TCP: one side sent FIN.
        const FIN_WAIT = 1 << 4;
        /// TCP: that FIN was acknowledged.
        const CLOSE_WAIT = 1 << 5;
        /// TCP: both sides sent FIN.
        const LAST_ACK = 1 << 6;
        /// TCP: closed, waiting for stray packets.
        const TIME_WAIT = 1 << 7;
        /// TCP: reset.
        const CLOSE = 1 << 8;
        /// TCP: SYN seen from both sides.
        const SYN_SENT2 = 1 << 9;

        // Bits that a later release knows are kept, and refused.
        const _ = !0;
    }
}

impl TcpStates {
    /// Every state that has a name.
    pub const KNOWN: TcpStates = TcpStates::from_bits_retain((1 << (TcpState::MAX.0 + 1)) - 1);
}

impl From<TcpState> for TcpStates {
    /// The set of this one; empty for a number beyond the known ones.
    fn from(state: TcpState) -> TcpStates {
        TcpStates::from_bits_retain(if state <= TcpState::MAX { 1 << state.0 } else { 0 })
    }
}

impl FromIterator<TcpState> for TcpStates {
    fn from_iter<T: IntoIterator<Item = TcpState>>(states: T) -> TcpStates {
        states.into_iter().map(TcpStates::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_states_has_those_it_is_made_of_and_nothing_for_a_number_without_a_name() {
        let states: TcpStates = [TcpState::from(1), TcpState(9), TcpState(10), TcpState(255)].into_iter().collect();
        assert_eq!(states.bits(), 1 << 1 | 1 << 9);
        assert_eq!(states, TcpStates::from(TcpState::SYN_SENT) | TcpState::SYN_SENT2.into());
    }
}
