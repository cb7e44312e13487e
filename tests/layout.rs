//! The structs as Rust lays them out are those of `abi/layout.txt`, field by field; scripts/test-install.sh compares that file
//! with what C compilers make of the header.

use ctrack::{Counters, Entry, Tuple};
use ctrack_c::{ct_filter, ct_open_opts, ct_result};
use std::fmt::Write;
use std::mem::{offset_of, size_of};

fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layout {
    ($out:ident, $name:literal, $type:ident { $($field:ident),+ $(,)? }) => {
        writeln!($out, "{} {}", $name, size_of::<$type>()).unwrap();
        $(
            let size = size_of_field(|value: &$type| &value.$field);
            let field = stringify!($field).trim_start_matches("r#");
            writeln!($out, "{}.{field} {} {size}", $name, offset_of!($type, $field)).unwrap();
        )+
        // A field that is missing above does not compile.
        let _ = |value: $type| { let $type { $($field: _),+ } = value; };
    };
}

#[test]
fn every_field_lies_where_the_abi_says() {
    let mut found = String::new();
    layout! { found, "ct_open_opts", ct_open_opts { size, flags, netns_fd, timeout_ms, rcvbuf, pad0 } }
    layout! { found, "ct_filter", ct_filter {
        size, flags, r#match, family, proto, icmp_type, icmp_code, icmp_id, tcp_states, zone, mark, mark_mask,
        status_set, status_clear, orig_src_prefix, orig_dst_prefix, reply_src_prefix, reply_dst_prefix, orig_src,
        orig_dst, reply_src, reply_dst, orig_sport_first, orig_sport_last, orig_dport_first, orig_dport_last,
        reply_sport_first, reply_sport_last, reply_dport_first, reply_dport_last, labels, labels_mask, helper,
        orig_zone, reply_zone, id, pad0,
    } }
    layout! { found, "ct_tuple", Tuple { src, dst, sport, dport, icmp_id, icmp_type, icmp_code, zone } }
    layout! { found, "ct_counters", Counters { packets, bytes } }
    layout! { found, "ct_entry", Entry {
        has, id, status, mark, timeout, use_count, zone, family, proto, tcp_state, sctp_state, tcp_wscale_orig,
        tcp_wscale_reply, tcp_flags_orig, tcp_flags_reply, tcp_mask_orig, tcp_mask_reply, dccp_state, dccp_role,
        sctp_vtag_orig, sctp_vtag_reply, mark_mask, orig, reply, orig_counters, reply_counters, start_ns, stop_ns,
        labels, helper, reserved,
    } }
    layout! { found, "ct_result", ct_result { size, flags, matched, done, gone, failed, first_error, pad0, spared } }
    assert_eq!(found, include_str!("../abi/layout.txt"));
}
