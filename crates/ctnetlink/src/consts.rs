//! Numbers of the kernel interface, each group with the header it comes from.
#![allow(missing_docs, reason = "the headers are their documentation")]

// linux/netlink.h
pub const NLMSG_HEADER_LEN: usize = 16;
pub const NLMSG_NOOP: u16 = 1;
pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;
pub const NLMSG_OVERRUN: u16 = 4;
pub const NLM_F_REQUEST: u16 = 0x001;
pub const NLM_F_ACK: u16 = 0x004;
pub const NLM_F_ECHO: u16 = 0x008;
pub const NLM_F_DUMP_INTR: u16 = 0x010;
pub const NLM_F_DUMP: u16 = 0x300;
pub const NLM_F_EXCL: u16 = 0x200;
pub const NLM_F_CREATE: u16 = 0x400;
pub const NLM_F_CAPPED: u16 = 0x100;
pub const NLM_F_ACK_TLVS: u16 = 0x200;
pub const NLMSGERR_ATTR_MSG: u16 = 1;
pub const NLMSGERR_ATTR_OFFS: u16 = 2;
pub const NLA_F_NESTED: u16 = 0x8000;
pub const NLA_TYPE_MASK: u16 = 0x3fff;

// linux/netfilter/nfnetlink.h
pub const NFGENMSG_LEN: usize = 4;
pub const NFNL_SUBSYS_CTNETLINK: u16 = 1;
pub const NFNL_SUBSYS_CTNETLINK_EXP: u16 = 2;

// linux/netfilter/nfnetlink_compat.h and nfnetlink.h, enum nfnetlink_groups
pub const NFNLGRP_CONNTRACK_NEW: u32 = 1;
pub const NFNLGRP_CONNTRACK_UPDATE: u32 = 2;
pub const NFNLGRP_CONNTRACK_DESTROY: u32 = 3;
pub const NFNLGRP_CONNTRACK_EXP_UPDATE: u32 = 5;

// linux/netfilter/nfnetlink_conntrack.h, enum cntl_msg_types
pub const IPCTNL_MSG_CT_NEW: u16 = 0;
pub const IPCTNL_MSG_CT_GET: u16 = 1;
pub const IPCTNL_MSG_CT_DELETE: u16 = 2;
pub const IPCTNL_MSG_CT_GET_CTRZERO: u16 = 3;
pub const IPCTNL_MSG_CT_GET_STATS_CPU: u16 = 4;
pub const IPCTNL_MSG_CT_GET_STATS: u16 = 5;

// enum ctnl_exp_msg_types
pub const IPCTNL_MSG_EXP_NEW: u16 = 0;
pub const IPCTNL_MSG_EXP_GET: u16 = 1;
pub const IPCTNL_MSG_EXP_DELETE: u16 = 2;
pub const IPCTNL_MSG_EXP_GET_STATS_CPU: u16 = 3;

/// The netlink message type of a ctnetlink message.
///
/// ```
/// use ctnetlink::consts::{message_type, IPCTNL_MSG_CT_DELETE};
/// assert_eq!(message_type(IPCTNL_MSG_CT_DELETE), 0x0102);
/// ```
pub const fn message_type(message: u16) -> u16 {
    NFNL_SUBSYS_CTNETLINK << 8 | message
}

/// The netlink message type of a message about expectations.
///
/// ```
/// use ctnetlink::consts::{expect_type, IPCTNL_MSG_EXP_GET_STATS_CPU};
/// assert_eq!(expect_type(IPCTNL_MSG_EXP_GET_STATS_CPU), 0x0203);
/// ```
pub const fn expect_type(message: u16) -> u16 {
    NFNL_SUBSYS_CTNETLINK_EXP << 8 | message
}

// linux/netfilter/nfnetlink_conntrack.h, enum ctattr_type
pub const CTA_TUPLE_ORIG: u16 = 1;
pub const CTA_TUPLE_REPLY: u16 = 2;
pub const CTA_STATUS: u16 = 3;
pub const CTA_PROTOINFO: u16 = 4;
pub const CTA_HELP: u16 = 5;
pub const CTA_NAT_SRC: u16 = 6;
pub const CTA_TIMEOUT: u16 = 7;
pub const CTA_MARK: u16 = 8;
pub const CTA_COUNTERS_ORIG: u16 = 9;
pub const CTA_COUNTERS_REPLY: u16 = 10;
pub const CTA_USE: u16 = 11;
pub const CTA_ID: u16 = 12;
pub const CTA_NAT_DST: u16 = 13;
pub const CTA_TUPLE_MASTER: u16 = 14;
pub const CTA_SEQ_ADJ_ORIG: u16 = 15;
pub const CTA_SEQ_ADJ_REPLY: u16 = 16;
pub const CTA_ZONE: u16 = 18;
pub const CTA_SECCTX: u16 = 19;
pub const CTA_TIMESTAMP: u16 = 20;
pub const CTA_MARK_MASK: u16 = 21;
pub const CTA_LABELS: u16 = 22;
pub const CTA_LABELS_MASK: u16 = 23;
pub const CTA_SYNPROXY: u16 = 24;
pub const CTA_FILTER: u16 = 25;
pub const CTA_STATUS_MASK: u16 = 26;
pub const CTA_TIMESTAMP_EVENT: u16 = 27;

// enum ctattr_tuple
pub const CTA_TUPLE_IP: u16 = 1;
pub const CTA_TUPLE_PROTO: u16 = 2;
pub const CTA_TUPLE_ZONE: u16 = 3;

// enum ctattr_ip
pub const CTA_IP_V4_SRC: u16 = 1;
pub const CTA_IP_V4_DST: u16 = 2;
pub const CTA_IP_V6_SRC: u16 = 3;
pub const CTA_IP_V6_DST: u16 = 4;

// enum ctattr_l4proto
pub const CTA_PROTO_NUM: u16 = 1;
pub const CTA_PROTO_SRC_PORT: u16 = 2;
pub const CTA_PROTO_DST_PORT: u16 = 3;
pub const CTA_PROTO_ICMP_ID: u16 = 4;
pub const CTA_PROTO_ICMP_TYPE: u16 = 5;
pub const CTA_PROTO_ICMP_CODE: u16 = 6;
pub const CTA_PROTO_ICMPV6_ID: u16 = 7;
pub const CTA_PROTO_ICMPV6_TYPE: u16 = 8;
pub const CTA_PROTO_ICMPV6_CODE: u16 = 9;

// enum ctattr_protoinfo, ctattr_protoinfo_tcp, _dccp and _sctp
pub const CTA_PROTOINFO_TCP: u16 = 1;
pub const CTA_PROTOINFO_DCCP: u16 = 2;
pub const CTA_PROTOINFO_SCTP: u16 = 3;
pub const CTA_PROTOINFO_TCP_STATE: u16 = 1;
pub const CTA_PROTOINFO_TCP_WSCALE_ORIGINAL: u16 = 2;
pub const CTA_PROTOINFO_TCP_WSCALE_REPLY: u16 = 3;
pub const CTA_PROTOINFO_TCP_FLAGS_ORIGINAL: u16 = 4;
pub const CTA_PROTOINFO_TCP_FLAGS_REPLY: u16 = 5;
pub const CTA_PROTOINFO_DCCP_STATE: u16 = 1;
pub const CTA_PROTOINFO_DCCP_ROLE: u16 = 2;
pub const CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ: u16 = 3;
pub const CTA_PROTOINFO_SCTP_STATE: u16 = 1;
pub const CTA_PROTOINFO_SCTP_VTAG_ORIGINAL: u16 = 2;
pub const CTA_PROTOINFO_SCTP_VTAG_REPLY: u16 = 3;

// enum ctattr_counters, ctattr_tstamp, ctattr_help, ctattr_secctx
pub const CTA_COUNTERS_PACKETS: u16 = 1;
pub const CTA_COUNTERS_BYTES: u16 = 2;
pub const CTA_TIMESTAMP_START: u16 = 1;
pub const CTA_TIMESTAMP_STOP: u16 = 2;
pub const CTA_HELP_NAME: u16 = 1;
pub const CTA_HELP_INFO: u16 = 2;
pub const CTA_SECCTX_NAME: u16 = 1;

// enum ctattr_seqadj, ctattr_synproxy
pub const CTA_SEQADJ_CORRECTION_POS: u16 = 1;
pub const CTA_SEQADJ_OFFSET_BEFORE: u16 = 2;
pub const CTA_SEQADJ_OFFSET_AFTER: u16 = 3;
pub const CTA_SYNPROXY_ISN: u16 = 1;
pub const CTA_SYNPROXY_ITS: u16 = 2;
pub const CTA_SYNPROXY_TSOFF: u16 = 3;

// enum ctattr_nat, ctattr_protonat
pub const CTA_NAT_V4_MINIP: u16 = 1;
pub const CTA_NAT_PROTO: u16 = 3;
pub const CTA_NAT_V6_MINIP: u16 = 4;
pub const CTA_PROTONAT_PORT_MIN: u16 = 1;
pub const CTA_PROTONAT_PORT_MAX: u16 = 2;

// enum ctattr_expect, ctattr_expect_nat
pub const CTA_EXPECT_MASTER: u16 = 1;
pub const CTA_EXPECT_TUPLE: u16 = 2;
pub const CTA_EXPECT_MASK: u16 = 3;
pub const CTA_EXPECT_TIMEOUT: u16 = 4;
pub const CTA_EXPECT_ID: u16 = 5;
pub const CTA_EXPECT_HELP_NAME: u16 = 6;
pub const CTA_EXPECT_ZONE: u16 = 7;
pub const CTA_EXPECT_FLAGS: u16 = 8;
pub const CTA_EXPECT_CLASS: u16 = 9;
pub const CTA_EXPECT_NAT: u16 = 10;
pub const CTA_EXPECT_FN: u16 = 11;
pub const CTA_EXPECT_NAT_DIR: u16 = 1;
pub const CTA_EXPECT_NAT_TUPLE: u16 = 2;

// CTA_FILTER: enum ctattr_filter, and the flag bits of the kernel's nf_internals.h, which no uapi header names
pub const CTA_FILTER_ORIG_FLAGS: u16 = 1;
pub const CTA_FILTER_REPLY_FLAGS: u16 = 2;
pub const CTA_FILTER_F_IP_SRC: u32 = 1 << 0;
pub const CTA_FILTER_F_IP_DST: u32 = 1 << 1;
pub const CTA_FILTER_F_PROTO_NUM: u32 = 1 << 3;
pub const CTA_FILTER_F_PROTO_SRC_PORT: u32 = 1 << 4;
pub const CTA_FILTER_F_PROTO_DST_PORT: u32 = 1 << 5;
pub const CTA_FILTER_F_PROTO_ICMP_TYPE: u32 = 1 << 6;
pub const CTA_FILTER_F_PROTO_ICMP_CODE: u32 = 1 << 7;
pub const CTA_FILTER_F_PROTO_ICMP_ID: u32 = 1 << 8;
pub const CTA_FILTER_F_PROTO_ICMPV6_TYPE: u32 = 1 << 9;
pub const CTA_FILTER_F_PROTO_ICMPV6_CODE: u32 = 1 << 10;
pub const CTA_FILTER_F_PROTO_ICMPV6_ID: u32 = 1 << 11;

// enum ctattr_stats_global
pub const CTA_STATS_GLOBAL_ENTRIES: u16 = 1;
pub const CTA_STATS_GLOBAL_MAX_ENTRIES: u16 = 2;

/// The name of a top-level attribute, for error texts.
///
/// ```
/// use ctnetlink::consts::{attribute_name, CTA_ZONE};
/// assert_eq!(attribute_name(CTA_ZONE), "CTA_ZONE");
/// ```
pub fn attribute_name(kind: u16) -> &'static str {
    match kind {
        CTA_TUPLE_ORIG => "CTA_TUPLE_ORIG",
        CTA_TUPLE_REPLY => "CTA_TUPLE_REPLY",
        CTA_STATUS => "CTA_STATUS",
        CTA_PROTOINFO => "CTA_PROTOINFO",
        CTA_HELP => "CTA_HELP",
        CTA_NAT_SRC => "CTA_NAT_SRC",
        CTA_TIMEOUT => "CTA_TIMEOUT",
        CTA_MARK => "CTA_MARK",
        CTA_COUNTERS_ORIG => "CTA_COUNTERS_ORIG",
        CTA_COUNTERS_REPLY => "CTA_COUNTERS_REPLY",
        CTA_USE => "CTA_USE",
        CTA_ID => "CTA_ID",
        CTA_NAT_DST => "CTA_NAT_DST",
        CTA_TUPLE_MASTER => "CTA_TUPLE_MASTER",
        CTA_SEQ_ADJ_ORIG => "CTA_SEQ_ADJ_ORIG",
        CTA_SEQ_ADJ_REPLY => "CTA_SEQ_ADJ_REPLY",
        CTA_ZONE => "CTA_ZONE",
        CTA_SECCTX => "CTA_SECCTX",
        CTA_TIMESTAMP => "CTA_TIMESTAMP",
        CTA_MARK_MASK => "CTA_MARK_MASK",
        CTA_LABELS => "CTA_LABELS",
        CTA_LABELS_MASK => "CTA_LABELS_MASK",
        CTA_SYNPROXY => "CTA_SYNPROXY",
        CTA_FILTER => "CTA_FILTER",
        CTA_STATUS_MASK => "CTA_STATUS_MASK",
        CTA_TIMESTAMP_EVENT => "CTA_TIMESTAMP_EVENT",
        _ => "unknown attribute",
    }
}
