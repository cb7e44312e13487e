//! What an update sends for an entry: the values that differ, in one or two messages.

use super::check::{self, CHANGEABLE};
use ctnetlink::types::*;

/// Status bits that an update can add to an entry. The others the kernel ignores or refuses (__nf_ct_change_status(),
/// IPS_UNCHANGEABLE_MASK).
const ADDABLE: Status = Status::SEEN_REPLY.union(Status::ASSURED).union(Status::FIXED_TIMEOUT);

/// linux/netfilter/nf_conntrack_tcp.h: IP_CT_TCP_FLAG_WINDOW_SCALE.
const WINDOW_SCALE: u8 = 1;

/// What to send so that `found` becomes what `given` asks for; `None` if it is so already.
///
/// What the kernel would refuse after it changed something else, or not do and yet say yes to, is refused here.
pub(super) fn to_send(given: &Entry, found: &Entry) -> Result<Option<Entry>, (i32, &'static str)> {
    let refuse = |errno, reason| Err((errno, reason));
    if given.has(Has::TIMEOUT) && given.timeout == 0 {
        return refuse(libc::ETIME, "a timeout of 0 would delete the entry");
    }
    let mut values = *given;
    if given.has(Has::STATUS) {
        let added = given.status.difference(found.status);
        if mutant!("only-addable-status", !added.difference(ADDABLE).is_empty(), false) {
            return refuse(
                libc::EBUSY,
                "only SEEN_REPLY, ASSURED and FIXED_TIMEOUT can be added to the status of an entry",
            );
        }
        // The kernel takes a bit that is not sent for one to be cleared, and clears none.
        values.status |= mutant!("status-kept", found.status, Status::empty());
        if added.is_empty() {
            values.has &= !Has::STATUS;
        }
    }
    if given.has(Has::TIMEOUT) && found.status.intersects(Status::FIXED_TIMEOUT) {
        if mutant!("fixed-timeout", given.timeout != found.timeout, false) {
            return refuse(libc::EPERM, "the timeout of the entry is fixed (FIXED_TIMEOUT in its status)");
        }
        values.has &= !Has::TIMEOUT;
    }
    if given.has(Has::TIMEOUT) && mutant!("offloaded-timeout", found.status.intersects(Status::OFFLOAD), false) {
        // The kernel says yes, and the flow table goes on with its own (5.10 to 7.3).
        return refuse(libc::EBUSY, "the entry is offloaded to a flow table, which keeps its timeout");
    }
    if given.has(Has::LABELS) && labels(given, found) == found.labels {
        values.has &= !(Has::LABELS | Has::LABELS_ADD | Has::LABELS_REMOVE);
    }
    if given.has(Has::HELPER) && given.helper == found.helper {
        values.has &= !Has::HELPER;
    }
    tcp(given, found, &mut values)?;
    later(given, found, &values)?;
    Ok(values.has.intersects(CHANGEABLE).then_some(values))
}

/// The labels that the entry will have.
fn labels(given: &Entry, found: &Entry) -> [u8; 16] {
    std::array::from_fn(|at| match given.labels[at] {
        bits if given.has(Has::LABELS_ADD) => found.labels[at] | bits,
        bits if given.has(Has::LABELS_REMOVE) => found.labels[at] & !bits,
        bits => bits,
    })
}

/// The kernel looks at window scales and flags only together with a state, and takes the scales only if the WINDOW_SCALE flag is
/// set in both directions (nlattr_to_tcp()).
fn tcp(given: &Entry, found: &Entry, values: &mut Entry) -> Result<(), (i32, &'static str)> {
    let refuse = |reason| Err((libc::EBUSY, reason));
    let scales = |e: &Entry| (e.tcp_wscale_orig, e.tcp_wscale_reply);
    if given.has(Has::TCP_WSCALE) {
        let flags = |old: u8, new: u8, mask: u8| match (given.has(Has::TCP_FLAGS), mask) {
            (false, _) => old,
            (true, 0) => new,
            (true, mask) => old & !mask | new & mask,
        };
        let both = flags(found.tcp_flags_orig, given.tcp_flags_orig, given.tcp_mask_orig)
            & flags(found.tcp_flags_reply, given.tcp_flags_reply, given.tcp_mask_reply);
        if scales(given) == scales(found) {
            values.has &= !Has::TCP_WSCALE;
        } else if both & WINDOW_SCALE == 0 {
            return refuse(
                "window scales need the WINDOW_SCALE flag in both directions (tcp_flags_orig, tcp_flags_reply)",
            );
        }
    }
    if values.has.intersects(Has::TCP_WSCALE | Has::TCP_FLAGS) && !given.has(Has::TCP_STATE) {
        if !found.has(Has::TCP_STATE) {
            return refuse("the kernel does not tell the TCP state of the entry");
        }
        values.has |= Has::TCP_STATE;
        values.tcp_state = found.tcp_state;
    }
    Ok(())
}

/// A state or a scale that this release does not know is refused, unless the entry has it: then it comes from a list.
fn later(given: &Entry, found: &Entry, values: &Entry) -> Result<(), (i32, &'static str)> {
    let mut new = Entry { tcp_state: given.tcp_state, sctp_state: given.sctp_state, ..Entry::EMPTY };
    if new.tcp_state == found.tcp_state {
        new.tcp_state = TcpState::NONE;
    }
    if new.sctp_state == found.sctp_state {
        new.sctp_state = 0;
    }
    if values.has(Has::TCP_WSCALE) {
        (new.tcp_wscale_orig, new.tcp_wscale_reply) = (given.tcp_wscale_orig, given.tcp_wscale_reply);
    }
    check::known(&new).map_or(Ok(()), Err)
}

/// An update goes out in two messages if it changes labels and something else. The kernel looks at labels last, and refuses
/// them if no rule used labels when the entry was created, which nothing shows: so they go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Labels,
    Rest,
}

impl Part {
    /// What of the values goes into this part's message; `None` if it has none.
    pub fn of(self, values: &Entry) -> Option<Entry> {
        const LABELS: Has = Has::LABELS.union(Has::LABELS_ADD).union(Has::LABELS_REMOVE);
        let left_out = match self {
            Part::Labels => CHANGEABLE.difference(LABELS),
            Part::Rest => mutant!("labels-go-first", LABELS, Has::empty()),
        };
        let part = Entry { has: values.has & !left_out, ..*values };
        part.has.intersects(CHANGEABLE).then_some(part)
    }
}
