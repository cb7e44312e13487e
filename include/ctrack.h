/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * libctrack: list, delete, flush and watch the Linux kernel's connection-tracking entries.
 *
 *   struct ct_handle *h;
 *   struct ct_filter f = { .size = sizeof f, .match = CT_MATCH_ZONE, .zone = 7 };
 *   struct ct_result r = { .size = sizeof r };
 *   if (ct_handle_open(&h, NULL) == 0) {
 *       if (ct_delete(h, &f, 1, 0, &r) < 0)
 *           fprintf(stderr, "%s\n", ct_handle_error(h));
 *       ct_handle_close(h);
 *   }
 *
 * Link with: cc prog.c $(pkg-config --cflags --libs libctrack)
 *
 * Errors. Functions that return int return 0 or more on success and a negative errno value on failure; errno itself is left
 * alone. ct_handle_error() and ct_watch_error() have the details. Results (ret_x) are written only on success, unless said otherwise;
 * status and result of calls on many entries are filled on failure too, whatever the failure: no status keeps an old value. NULL for a
 * pointer is -EINVAL unless said otherwise; so are unknown flags. Wrong arguments are found before anything is sent.
 *
 * Watching. A watch (ct_watch_open()) is an object of its own, with sockets of its own: what it hears never disturbs the calls on a
 * handle, and both may be used at once. It calls nobody back: ct_watch_next() fills an array with what happened. Losses are events in
 * their place and end nothing. It keeps its network namespace alive until it is closed.
 *
 * Threads. A handle or a watch may be used by one thread at a time; a second one gets -EBUSY, never the other's data. Different ones
 * are independent. They may move between threads. A thread with 32 KiB of stack can make every call. While one thread waits in
 * ct_watch_next(), others may call ct_watch_wake(), ct_watch_resync(), ct_watch_get_info() and ct_watch_fd(); the first two are for signal
 * handlers, too.
 *
 * Cancellation. No call is a cancellation point. pthread_cancel() takes effect when the call is complete and its results are
 * written; of an asynchronous one the thread may end before the call returns. The handle stays usable. A thread that waits in
 * ct_watch_next() is cancelled when that returns: wake it with ct_watch_wake().
 *
 * Children. A child process cannot use a handle or a watch of its parent (-ECHILD), in whatever way it was made: not if both have the
 * same process id, as the first ones of containers have, and not if another thread was in a call when it was made. It may close it,
 * which changes nothing for the parent. (Two are not told from their parents: a child of vfork() that has the parent's process id; and
 * before Linux 4.14, or where madvise() is forbidden, one of a raw clone() that has it.)
 *
 * Waiting. Every wait for the kernel ends: after ct_open_opts.timeout_ms of its silence a call fails with -ETIMEDOUT. Only
 * ct_watch_next() waits for events, as long as it is told to; ct_watch_fd() is for programs that wait for more than that.
 *
 * Growth. Structs that you pass in begin with their size: set it to sizeof, zero the rest, fill in what you need. Programs
 * that were built with an older header work with a newer library. A larger struct than this library knows is fine as long as
 * what it does not know is zero, and -E2BIG otherwise. struct ct_entry is 256 bytes for the life of libctrack.so.0.
 *
 * Entries that you pass in (keys, entries to create or update) announce each field that counts in `has`. A field that is not
 * zero although it is not announced is -EINVAL: it was forgotten, and guessing would act on other entries than you meant. The
 * same holds for filters and `match`. Entries of ct_list() are keys as they stand, also with states and status bits that only a
 * later kernel or release knows; unknown bits of `has` and bytes of `reserved` that are not zero are -EINVAL everywhere.
 *
 * The library writes nothing to stdout or stderr (but for Rust's message about an internal error), installs no signal
 * handlers, reads no environment variables (but for TZ, through localtime_r(), where you ask for times as text), keeps no
 * global state (but for what it measured of the kernel, and a page that the kernel empties in children; before Linux 4.14 a
 * handler of pthread_atfork()) and leaves no threads behind. Its descriptors are close-on-exec.
 */

#ifndef CTRACK_H
#define CTRACK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ---- Version ----
 */

/**
 * Major version of the library this header belongs to.
 */
#define CT_VERSION_MAJOR 0

/**
 * Minor version.
 */
#define CT_VERSION_MINOR 2

/**
 * Patch version.
 */
#define CT_VERSION_PATCH 0

/**
 * The version as one number that grows: major * 65536 + minor * 256 + patch.
 */
#define CT_VERSION_NUMBER 512

/**
 * The version of the library that is running, as CT_VERSION_NUMBER is that of the header.
 *
 * @return major << 16 | minor << 8 | patch
 * Since 0.1.
 */
uint32_t ct_version_number(void);

/**
 * The version of the library that is running, for example "0.1.0".
 *
 * @return static text, never NULL
 * Since 0.1.
 */
const char *ct_version_string(void);

/*
 * ---- Handles and errors ----
 */

/**
 * ct_open_opts.flags: netns_fd counts.
 */
#define CT_OPEN_NETNS (1u << 0)

/**
 * ct_open_opts.flags: deletes also compare the time at which an entry was made, where the kernel keeps it (sysctl
 * net.netfilter.nf_conntrack_timestamp). A successor with the same tuples can have the same id; it has not the same start.
 * An entry that has a start on one side only, when it was listed or when it is deleted, is another one. If it has none on
 * either side, it is deleted, and the result says CT_RESULT_START_UNKNOWN. Takes a look-up for each entry.
 */
#define CT_OPEN_COMPARE_START (1u << 1)

/**
 * A handle: one request socket in one network namespace, and the text of its last error.
 */
struct ct_handle;

/**
 * How to open a handle. Set size, leave the rest zero for defaults.
 */
struct ct_open_opts {
  /**
   * sizeof(struct ct_open_opts).
   */
  uint32_t size;
  /**
   * CT_OPEN_ bits.
   */
  uint32_t flags;
  /**
   * With CT_OPEN_NETNS: a descriptor of the network namespace to work in (/proc/PID/ns/net, /run/netns/NAME).
   * It is not kept and stays yours.
   */
  int32_t netns_fd;
  /**
   * The longest silence of the kernel, in milliseconds, before a call gives up with -ETIMEDOUT. 0: 10,000.
   */
  uint32_t timeout_ms;
  /**
   * Receive buffer of the socket in bytes. 0: the library's choice.
   */
  uint32_t rcvbuf;
  /**
   * Zero.
   */
  uint32_t pad0;
};

/**
 * Opens a handle.
 *
 * Opening needs no privilege; every call on the handle needs CAP_NET_ADMIN in the user namespace that owns the network
 * namespace, for reading too. With CT_OPEN_NETNS it also needs CAP_SYS_ADMIN there and in the caller's own user
 * namespace; the caller's thread stays where it is.
 *
 * A handle holds one descriptor, its socket, and from its first dump on a second one: the file in /proc that tells the number of
 * buckets, where there is one. With CT_OPEN_NETNS opening it takes one more for a moment.
 *
 * @param ret_handle the new handle, yours to close with ct_handle_close()
 * @param opts how to open it; NULL for defaults
 * @return 0, or a negative errno:
 *   -EINVAL ret_handle is NULL, or opts is wrong; -E2BIG opts has fields set that this release does not know;
 *   -EBADF or -EINVAL netns_fd is no network namespace; -EPERM it may not be entered;
 *   -EPROTONOSUPPORT the kernel has no netfilter netlink; -EMFILE, -ENFILE the process or the
 *   system has too many open files; -ENOMEM, with CT_OPEN_NETNS also where the process may have no more threads
 * Since 0.1.
 */
int ct_handle_open(struct ct_handle **ret_handle,
                   const struct ct_open_opts *opts);

/**
 * Closes a handle and releases all that belongs to it, an open dump too. NULL is fine.
 *
 * No other thread may be using it. A child process may close a handle of its parent: that does not disturb the parent. If another
 * thread was in a call on it when the child was made, nothing is released: what it holds is half changed.
 *
 * @param h the handle; it must not be used any more
 * Since 0.1.
 */
void ct_handle_close(struct ct_handle *h);

/**
 * What went wrong in the last call on the handle: the operation, the kernel's own words, the attribute or argument at fault. Of
 * several entries that failed, the first one is named: "entry[3]: create_entries: entry exists; and 4 more".
 *
 * "" if the last call succeeded, or if h is NULL. Never NULL. Calls that fail with -EBUSY because another thread uses the
 * handle, or with -ECHILD, do not change it.
 *
 * @param h the handle
 * @return text in English, owned by the handle, valid until the next call on it
 * Since 0.1.
 */
const char *ct_handle_error(const struct ct_handle *h);

/**
 * The netlink port of the handle's socket: what struct ct_event says in portid of the changes that were made by this handle.
 *
 * It is no process id. It changes where the handle had to open a new socket: after -ETIMEDOUT.
 *
 * @param h the handle
 * @param ret_portid the port
 * @return 0, or a negative errno: -EINVAL, -EBUSY, -ECHILD, -ENOTRECOVERABLE as for ct_list()
 * Since 0.2.
 */
int ct_handle_get_portid(struct ct_handle *h,
                         uint32_t *ret_portid);

/**
 * Text for an errno value as this library uses it, of either sign.
 *
 * @param err the value, for example what a call returned
 * @return static text in English, never NULL
 * Since 0.1.
 */
const char *ct_strerror(int err);

/*
 * ---- Entries ----
 */

/**
 * IPv4, the value of AF_INET.
 */
#define CT_FAMILY_IPV4 2

/**
 * IPv6, the value of AF_INET6.
 */
#define CT_FAMILY_IPV6 10

/**
 * ICMP for IPv4.
 */
#define CT_PROTO_ICMP 1

/**
 * TCP.
 */
#define CT_PROTO_TCP 6

/**
 * UDP.
 */
#define CT_PROTO_UDP 17

/**
 * DCCP. Kernels from 6.16 on no longer track it: its entries then have no ports, and none can be made with ports.
 */
#define CT_PROTO_DCCP 33

/**
 * GRE. Its keys are kept as ports.
 */
#define CT_PROTO_GRE 47

/**
 * ICMPv6.
 */
#define CT_PROTO_ICMPV6 58

/**
 * SCTP.
 */
#define CT_PROTO_SCTP 132

/**
 * UDP-Lite.
 */
#define CT_PROTO_UDPLITE 136

/**
 * orig: addresses and protocol of the original direction.
 */
#define CT_HAS_ORIG (1ull << 0)

/**
 * reply: addresses and protocol of the reply direction.
 */
#define CT_HAS_REPLY (1ull << 1)

/**
 * sport and dport of the tuples (TCP, UDP, UDP-Lite, SCTP, DCCP; the keys of GRE).
 */
#define CT_HAS_PORTS (1ull << 2)

/**
 * icmp_type, icmp_code and icmp_id of the tuples.
 */
#define CT_HAS_ICMP (1ull << 3)

/**
 * status.
 */
#define CT_HAS_STATUS (1ull << 4)

/**
 * timeout. Not sent for entries that are offloaded to a flow table.
 */
#define CT_HAS_TIMEOUT (1ull << 5)

/**
 * mark.
 */
#define CT_HAS_MARK (1ull << 6)

/**
 * id.
 */
#define CT_HAS_ID (1ull << 7)

/**
 * use_count.
 */
#define CT_HAS_USE (1ull << 8)

/**
 * zone: the entry is in this zone in both directions. Not set for zone 0.
 */
#define CT_HAS_ZONE (1ull << 9)

/**
 * orig.zone: only the original direction is in this zone.
 */
#define CT_HAS_ORIG_ZONE (1ull << 10)

/**
 * reply.zone: only the reply direction is in this zone.
 */
#define CT_HAS_REPLY_ZONE (1ull << 11)

/**
 * orig_counters (kept by the kernel when net.netfilter.nf_conntrack_acct was 1 as the entry was made).
 */
#define CT_HAS_ORIG_COUNTERS (1ull << 12)

/**
 * reply_counters.
 */
#define CT_HAS_REPLY_COUNTERS (1ull << 13)

/**
 * start_ns (kept when net.netfilter.nf_conntrack_timestamp was 1 as the entry was made).
 */
#define CT_HAS_START (1ull << 14)

/**
 * stop_ns (destroyed entries only).
 */
#define CT_HAS_STOP (1ull << 15)

/**
 * labels. Not sent by the kernel while all are clear.
 */
#define CT_HAS_LABELS (1ull << 16)

/**
 * helper.
 */
#define CT_HAS_HELPER (1ull << 17)

/**
 * tcp_state.
 */
#define CT_HAS_TCP_STATE (1ull << 18)

/**
 * tcp_wscale_orig and tcp_wscale_reply.
 */
#define CT_HAS_TCP_WSCALE (1ull << 19)

/**
 * tcp_flags_orig, tcp_mask_orig, tcp_flags_reply and tcp_mask_reply.
 */
#define CT_HAS_TCP_FLAGS (1ull << 20)

/**
 * sctp_state, sctp_vtag_orig and sctp_vtag_reply.
 */
#define CT_HAS_SCTP (1ull << 21)

/**
 * dccp_state and dccp_role (kernels before 6.16).
 */
#define CT_HAS_DCCP (1ull << 22)

/**
 * The entry was expected by another one, its master. (Which one: Rust API, Details.)
 */
#define CT_HAS_MASTER (1ull << 23)

/**
 * The kernel adjusts TCP sequence numbers of this entry. (How: Rust API, Details.)
 */
#define CT_HAS_SEQ_ADJ (1ull << 24)

/**
 * The entry has a synproxy extension. (Its values: Rust API, Details.)
 */
#define CT_HAS_SYNPROXY (1ull << 25)

/**
 * The entry has a security context. (Its name: Rust API, Details.)
 */
#define CT_HAS_SECCTX (1ull << 26)

/**
 * mark_mask. Only for ct_update_entries(); the kernel never sends it.
 */
#define CT_HAS_MARK_MASK (1ull << 27)

/**
 * Only for ct_update_entries(), with CT_HAS_LABELS: the bits of labels are set, all others stay as they are. So two programs
 * that each add a label do not undo each other. Since 0.2.
 */
#define CT_HAS_LABELS_ADD (1ull << 28)

/**
 * Only for ct_update_entries(), with CT_HAS_LABELS: the bits of labels are cleared, all others stay as they are. Since 0.2.
 */
#define CT_HAS_LABELS_REMOVE (1ull << 29)

/**
 * The entry was expected by another one.
 */
#define CT_STATUS_EXPECTED (1u << 0)

/**
 * Packets were seen in both directions.
 */
#define CT_STATUS_SEEN_REPLY (1u << 1)

/**
 * The entry is not dropped early when the table is full.
 */
#define CT_STATUS_ASSURED (1u << 2)

/**
 * The entry is in the table. Set on every entry that the kernel lists.
 */
#define CT_STATUS_CONFIRMED (1u << 3)

/**
 * The source address or port is translated in the original direction.
 */
#define CT_STATUS_SRC_NAT (1u << 4)

/**
 * The destination address or port is translated in the original direction.
 */
#define CT_STATUS_DST_NAT (1u << 5)

/**
 * TCP sequence numbers are adjusted.
 */
#define CT_STATUS_SEQ_ADJUST (1u << 6)

/**
 * Source NAT was decided (perhaps: none).
 */
#define CT_STATUS_SRC_NAT_DONE (1u << 7)

/**
 * Destination NAT was decided (perhaps: none).
 */
#define CT_STATUS_DST_NAT_DONE (1u << 8)

/**
 * The entry is being removed.
 */
#define CT_STATUS_DYING (1u << 9)

/**
 * Traffic does not refresh the timeout.
 */
#define CT_STATUS_FIXED_TIMEOUT (1u << 10)

/**
 * A template, never in the table.
 */
#define CT_STATUS_TEMPLATE (1u << 11)

/**
 * Not tracked (kernels before 4.12).
 */
#define CT_STATUS_UNTRACKED (1u << 12)

/**
 * A helper was assigned by a rule or by ctnetlink.
 */
#define CT_STATUS_HELPER (1u << 13)

/**
 * Offloaded to a flow table.
 */
#define CT_STATUS_OFFLOAD (1u << 14)

/**
 * Offloaded to hardware.
 */
#define CT_STATUS_HW_OFFLOAD (1u << 15)

/**
 * TCP: no state yet.
 */
#define CT_TCP_STATE_NONE 0

/**
 * TCP: SYN seen.
 */
#define CT_TCP_STATE_SYN_SENT 1

/**
 * TCP: SYN and SYN+ACK seen.
 */
#define CT_TCP_STATE_SYN_RECV 2

/**
 * TCP: established.
 */
#define CT_TCP_STATE_ESTABLISHED 3

/**
 * TCP: one side sent FIN.
 */
#define CT_TCP_STATE_FIN_WAIT 4

/**
 * TCP: that FIN was acknowledged.
 */
#define CT_TCP_STATE_CLOSE_WAIT 5

/**
 * TCP: both sides sent FIN.
 */
#define CT_TCP_STATE_LAST_ACK 6

/**
 * TCP: closed, waiting for stray packets.
 */
#define CT_TCP_STATE_TIME_WAIT 7

/**
 * TCP: reset.
 */
#define CT_TCP_STATE_CLOSE 8

/**
 * TCP: SYN seen from both sides.
 */
#define CT_TCP_STATE_SYN_SENT2 9

/**
 * One direction of a connection: what its packets carry on arrival.
 *
 * Addresses are in network byte order, an IPv4 one in the first 4 bytes with the others zero. Everything else is in host
 * byte order. Which of the fields count is said by the `has` of the entry.
 */
struct ct_tuple {
  /**
   * Source address.
   */
  uint8_t src[16];
  /**
   * Destination address.
   */
  uint8_t dst[16];
  /**
   * Source port; the source key of GRE.
   */
  uint16_t sport;
  /**
   * Destination port; the destination key of GRE.
   */
  uint16_t dport;
  /**
   * ICMP or ICMPv6 identifier.
   */
  uint16_t icmp_id;
  /**
   * ICMP or ICMPv6 type.
   */
  uint8_t icmp_type;
  /**
   * ICMP or ICMPv6 code.
   */
  uint8_t icmp_code;
  /**
   * The zone of this direction, 0 to 65535: that of the entry (CT_HAS_ZONE) or one for this direction only.
   */
  uint32_t zone;
};

/**
 * Packets and bytes seen in one direction.
 */
struct ct_counters {
  /**
   * Packets.
   */
  uint64_t packets;
  /**
   * Bytes, counted from the network header on.
   */
  uint64_t bytes;
};

/**
 * One entry of the connection-tracking table.
 *
 * 256 bytes for the life of libctrack.so.0, no pointers, no hidden padding. `has` says which fields the kernel sent (or,
 * in an entry that is given to the library, which ones count); all others are zero. Fields may be added in the place of
 * `reserved`, announced by new CT_HAS_ bits.
 */
struct ct_entry {
  /**
   * CT_HAS_ bits: which of the fields below count.
   */
  uint64_t has;
  /**
   * The kernel's identifier of the entry: opaque, constant over its life, valid until the next boot.
   */
  uint32_t id;
  /**
   * CT_STATUS_ bits.
   */
  uint32_t status;
  /**
   * The mark (connmark).
   */
  uint32_t mark;
  /**
   * Seconds until the entry expires, rounded down.
   */
  uint32_t timeout;
  /**
   * The kernel's reference count.
   */
  uint32_t use_count;
  /**
   * Zone, 0 to 65535. CT_HAS_ZONE: both directions are in it. CT_HAS_ORIG_ZONE or CT_HAS_REPLY_ZONE: only that one.
   */
  uint32_t zone;
  /**
   * CT_FAMILY_IPV4 or CT_FAMILY_IPV6.
   */
  uint8_t family;
  /**
   * Protocol number (IPPROTO_, CT_PROTO_).
   */
  uint8_t proto;
  /**
   * CT_TCP_STATE_ value.
   */
  uint8_t tcp_state;
  /**
   * SCTP state, numbered as in linux/netfilter/nf_conntrack_sctp.h.
   */
  uint8_t sctp_state;
  /**
   * TCP window scale of the original direction.
   */
  uint8_t tcp_wscale_orig;
  /**
   * TCP window scale of the reply direction.
   */
  uint8_t tcp_wscale_reply;
  /**
   * TCP flags of the original direction (IP_CT_TCP_FLAG_, linux/netfilter/nf_conntrack_tcp.h).
   */
  uint8_t tcp_flags_orig;
  /**
   * TCP flags of the reply direction.
   */
  uint8_t tcp_flags_reply;
  /**
   * In create and update: which bits of tcp_flags_orig to set; 0 means all. The kernel sends 0.
   */
  uint8_t tcp_mask_orig;
  /**
   * In create and update: which bits of tcp_flags_reply to set; 0 means all. The kernel sends 0.
   */
  uint8_t tcp_mask_reply;
  /**
   * DCCP state, numbered as in the kernel's enum ct_dccp_states.
   */
  uint8_t dccp_state;
  /**
   * DCCP role: 0 client, 1 server.
   */
  uint8_t dccp_role;
  /**
   * SCTP verification tag of the original direction.
   */
  uint32_t sctp_vtag_orig;
  /**
   * SCTP verification tag of the reply direction.
   */
  uint32_t sctp_vtag_reply;
  /**
   * In update: which bits of the mark to replace (new = (old & ~mark_mask) ^ mark).
   */
  uint32_t mark_mask;
  /**
   * The original direction: as the first packet arrived.
   */
  struct ct_tuple orig;
  /**
   * The reply direction: as answers arrive. With NAT it differs from the mirror image of orig.
   */
  struct ct_tuple reply;
  /**
   * Packets and bytes of the original direction.
   */
  struct ct_counters orig_counters;
  /**
   * Packets and bytes of the reply direction.
   */
  struct ct_counters reply_counters;
  /**
   * When the entry was made: nanoseconds since 1970-01-01 00:00 UTC.
   */
  uint64_t start_ns;
  /**
   * When it ended: nanoseconds since 1970-01-01 00:00 UTC.
   */
  uint64_t stop_ns;
  /**
   * Connection labels: bit n is bit n % 8 of byte n / 8 on a little-endian machine (the kernel's own memory order).
   */
  uint8_t labels[16];
  /**
   * Name of the helper, for example "ftp": NUL-terminated.
   */
  char helper[16];
  /**
   * Zero.
   */
  uint64_t reserved[4];
};

/*
 * ---- Filters ----
 */

/**
 * ct_filter.flags: entries that match this filter are not selected, whatever the others say.
 */
#define CT_FILTER_EXCLUDE (1u << 0)

/**
 * family counts.
 */
#define CT_MATCH_FAMILY (1ull << 0)

/**
 * proto counts.
 */
#define CT_MATCH_PROTO (1ull << 1)

/**
 * zone counts: entries that have this zone in both directions or in one of them; 0: entries without any zone. For the zone of
 * one direction see CT_MATCH_ORIG_ZONE.
 */
#define CT_MATCH_ZONE (1ull << 2)

/**
 * mark and mark_mask count: (entry's mark & mark_mask) == mark. A bit of mark outside mark_mask: -EINVAL.
 */
#define CT_MATCH_MARK (1ull << 3)

/**
 * status_set and status_clear count: all bits of the one are set, all of the other clear.
 */
#define CT_MATCH_STATUS (1ull << 4)

/**
 * orig_src and orig_src_prefix count. Every address wants CT_MATCH_FAMILY too.
 */
#define CT_MATCH_ORIG_SRC (1ull << 5)

/**
 * orig_dst and orig_dst_prefix count.
 */
#define CT_MATCH_ORIG_DST (1ull << 6)

/**
 * reply_src and reply_src_prefix count.
 */
#define CT_MATCH_REPLY_SRC (1ull << 7)

/**
 * reply_dst and reply_dst_prefix count.
 */
#define CT_MATCH_REPLY_DST (1ull << 8)

/**
 * orig_sport_first to orig_sport_last count. All ports want CT_MATCH_PROTO with a protocol that has ports.
 */
#define CT_MATCH_ORIG_SPORT (1ull << 9)

/**
 * orig_dport_first to orig_dport_last count.
 */
#define CT_MATCH_ORIG_DPORT (1ull << 10)

/**
 * reply_sport_first to reply_sport_last count.
 */
#define CT_MATCH_REPLY_SPORT (1ull << 11)

/**
 * reply_dport_first to reply_dport_last count.
 */
#define CT_MATCH_REPLY_DPORT (1ull << 12)

/**
 * icmp_type counts (of the original direction). The ICMP fields want CT_MATCH_PROTO with ICMP or ICMPv6.
 */
#define CT_MATCH_ICMP_TYPE (1ull << 13)

/**
 * icmp_code counts (of the original direction).
 */
#define CT_MATCH_ICMP_CODE (1ull << 14)

/**
 * icmp_id counts (of the original direction).
 */
#define CT_MATCH_ICMP_ID (1ull << 15)

/**
 * tcp_states counts. Wants CT_MATCH_PROTO with TCP.
 */
#define CT_MATCH_TCP_STATES (1ull << 16)

/**
 * labels and labels_mask count: (entry's labels & labels_mask) == labels.
 */
#define CT_MATCH_LABELS (1ull << 17)

/**
 * helper counts: exactly this name.
 */
#define CT_MATCH_HELPER (1ull << 18)

/**
 * orig_zone counts: the original direction is in this zone, be it the zone of both directions or of this one only; 0: the
 * original direction is in no zone (the reply direction may be in one). Only the original direction in zone 5, and not the
 * reply direction: orig_zone 5 with reply_zone 0; both: orig_zone 5 with reply_zone 5. An entry has one zone at most, so zones
 * that none can have together are refused: -EINVAL. Since 0.2.
 */
#define CT_MATCH_ORIG_ZONE (1ull << 19)

/**
 * reply_zone counts, in the same way. Since 0.2.
 */
#define CT_MATCH_REPLY_ZONE (1ull << 20)

/**
 * id counts: exactly this one, as in ct_entry.id and as `conntrack -o id` prints it. Two entries can have the same id: of a
 * million entries some 116 pairs do. So ct_delete() refuses a filter without CT_FILTER_EXCLUDE that has no other field by
 * which one of them would be left, with -EINVAL. Since 0.2.
 */
#define CT_MATCH_ID (1ull << 21)

/**
 * What to select. Set size and, in match, the fields that count; the others must be zero.
 *
 * All fields that count must hold. Addresses are in network byte order, an IPv4 one in the first 4 bytes with the others
 * zero; everything else is in host byte order. Zero is a value everywhere, never a wildcard: 0.0.0.0 is an address, port
 * 0 a port, zone 0 a zone.
 */
struct ct_filter {
  /**
   * sizeof(struct ct_filter). The same in all filters of one call.
   */
  uint32_t size;
  /**
   * CT_FILTER_ bits.
   */
  uint32_t flags;
  /**
   * CT_MATCH_ bits. One whose field lies behind size is refused (-EINVAL).
   */
  uint64_t match;
  /**
   * CT_FAMILY_IPV4 or CT_FAMILY_IPV6.
   */
  uint8_t family;
  /**
   * Protocol number (IPPROTO_, CT_PROTO_).
   */
  uint8_t proto;
  /**
   * ICMP or ICMPv6 type.
   */
  uint8_t icmp_type;
  /**
   * ICMP or ICMPv6 code.
   */
  uint8_t icmp_code;
  /**
   * ICMP or ICMPv6 identifier.
   */
  uint16_t icmp_id;
  /**
   * TCP states, bit n for CT_TCP_STATE_ value n.
   */
  uint16_t tcp_states;
  /**
   * Zone, 0 to 65535.
   */
  uint32_t zone;
  /**
   * Mark.
   */
  uint32_t mark;
  /**
   * Which bits of the mark are compared.
   */
  uint32_t mark_mask;
  /**
   * CT_STATUS_ bits that must be set.
   */
  uint32_t status_set;
  /**
   * CT_STATUS_ bits that must be clear.
   */
  uint32_t status_clear;
  /**
   * Prefix length of orig_src: 0 to 32 or 128. All address bits behind it must be zero.
   */
  uint8_t orig_src_prefix;
  /**
   * Prefix length of orig_dst.
   */
  uint8_t orig_dst_prefix;
  /**
   * Prefix length of reply_src.
   */
  uint8_t reply_src_prefix;
  /**
   * Prefix length of reply_dst.
   */
  uint8_t reply_dst_prefix;
  /**
   * Source address of the original direction: who began.
   */
  uint8_t orig_src[16];
  /**
   * Destination address of the original direction: whom it called (a service's virtual address, before NAT).
   */
  uint8_t orig_dst[16];
  /**
   * Source address of the reply direction: who really answers (an endpoint behind destination NAT).
   */
  uint8_t reply_src[16];
  /**
   * Destination address of the reply direction: where answers go (the masquerading address behind source NAT).
   */
  uint8_t reply_dst[16];
  /**
   * First of a range of source ports of the original direction.
   */
  uint16_t orig_sport_first;
  /**
   * Last of it, included.
   */
  uint16_t orig_sport_last;
  /**
   * First of a range of destination ports of the original direction.
   */
  uint16_t orig_dport_first;
  /**
   * Last of it, included.
   */
  uint16_t orig_dport_last;
  /**
   * First of a range of source ports of the reply direction.
   */
  uint16_t reply_sport_first;
  /**
   * Last of it, included.
   */
  uint16_t reply_sport_last;
  /**
   * First of a range of destination ports of the reply direction.
   */
  uint16_t reply_dport_first;
  /**
   * Last of it, included.
   */
  uint16_t reply_dport_last;
  /**
   * Labels, as in struct ct_entry.
   */
  uint8_t labels[16];
  /**
   * Which labels are compared.
   */
  uint8_t labels_mask[16];
  /**
   * Name of the helper, NUL-terminated.
   */
  char helper[16];
  /**
   * Zone of the original direction, 0 to 65535. Since 0.2.
   */
  uint32_t orig_zone;
  /**
   * Zone of the reply direction, 0 to 65535. Since 0.2.
   */
  uint32_t reply_zone;
  /**
   * The kernel's identifier of the entry. Since 0.2.
   */
  uint32_t id;
  /**
   * Zero.
   */
  uint32_t pad0;
};

/*
 * ---- Results ----
 */

/**
 * ct_result.flags: the kernel deleted by itself; what it deleted is not in the sums.
 */
#define CT_RESULT_UNCOUNTED (1u << 0)

/**
 * ct_result.flags: start times were to be compared (CT_OPEN_COMPARE_START), but at least one deleted entry has none, since the
 * kernel kept none when it was made. It was told apart by its tuples, zone and id alone. Since 0.2.
 */
#define CT_RESULT_START_UNKNOWN (1u << 1)

/**
 * What a call did. Set size and zero the rest once; it can be used for call after call. Filled whenever the call got as far as reading it, on failure too.
 */
struct ct_result {
  /**
   * sizeof(struct ct_result).
   */
  uint32_t size;
  /**
   * Zero; the library sets CT_RESULT_ bits.
   */
  uint32_t flags;
  /**
   * Entries that were selected or given: always done + gone + failed + spared.
   */
  uint64_t matched;
  /**
   * Entries that were deleted, created or updated.
   */
  uint64_t done;
  /**
   * Entries that were no longer there (or no longer the same one) when their turn came. Not a failure.
   */
  uint64_t gone;
  /**
   * Entries for which the kernel refused, or that are impossible to make or to change, or whose fate is not known since the kernel
   * fell silent, or which are there but cannot be reached (-ENOTUNIQ).
   */
  uint64_t failed;
  /**
   * Negative errno of the first of the failed ones, or 0. ct_handle_error() names it and says how many more there are.
   */
  int32_t first_error;
  /**
   * Zero.
   */
  uint32_t pad0;
  /**
   * Entries that were selected, but changed before their turn came so that they are not any more: they stay. Where size
   * does not cover this field, they are not in matched either. Since 0.2.
   */
  uint64_t spared;
};

/*
 * ---- Reading: list, get, count, free zone ----
 */

/**
 * Lists entries into one array.
 *
 * An entry is selected if it matches at least one including filter, or there is no including filter, and no excluding
 * one (CT_FILTER_EXCLUDE). n = 0: every entry. Entries that come or go while the list is made may be in it or not; all
 * others are, each once. If the kernel resizes its table meanwhile the list is made again, up to four times in all; where
 * /proc/sys/net/netfilter/nf_conntrack_buckets cannot be read, that goes unseen.
 *
 * For large tables ct_dump_start() does the same in constant memory.
 *
 * @param h the handle
 * @param f n filters, f[0].size bytes apart; NULL if n is 0
 * @param n how many
 * @param ret_entries the array, yours to release with ct_entries_free(); NULL if nothing was selected
 * @param ret_count how many entries
 * @return 0, or a negative errno, with nothing written: -EINVAL, -E2BIG a filter is wrong (ct_handle_error() names
 *   filter and field); -EPERM CAP_NET_ADMIN is missing; -EBUSY another thread uses the handle, or a dump is open on it;
 *   -ECHILD the handle was opened by a parent process; -ETIMEDOUT the kernel fell silent; -EAGAIN the table was resized
 *   each time; -ENOBUFS replies were lost each time; -EBADMSG a reply could not be understood; -ENOMEM; -ENOTRECOVERABLE
 *   an internal error, the handle is unusable
 * Since 0.1.
 */
int ct_list(struct ct_handle *h,
            const struct ct_filter *f,
            size_t n,
            struct ct_entry **ret_entries,
            size_t *ret_count);

/**
 * Releases an array of ct_list(). NULL is fine.
 *
 * @param entries the array; it must not be used any more
 * Since 0.1.
 */
void ct_entries_free(struct ct_entry *entries);

/**
 * Gets one entry by its tuple.
 *
 * The key is an entry of ct_list(), or one that you fill: has, family, proto, orig (or reply) and, where they apply,
 * ports or ICMP fields and the zone, each announced in has. The tuple, its direction and the zone must be exactly those
 * of the entry, and so must the reply tuple, the id and start_ns if has announces them. An entry that others hide from requests
 * (see ct_delete()) is looked for in a dump.
 *
 * @param h the handle
 * @param key which entry
 * @param ret_entry the entry
 * @return 0, or a negative errno, with nothing written: -ENOENT there is no such entry; -EINVAL the key is wrong
 *   (ct_handle_error() names the field); others as for ct_list()
 * Since 0.1.
 */
int ct_get(struct ct_handle *h,
           const struct ct_entry *key,
           struct ct_entry *ret_entry);

/**
 * Counts the entries of the network namespace: one small request, whatever the size of the table.
 *
 * The count is the kernel's own. It includes entries that have expired and are not reaped yet, which lists leave out.
 *
 * @param h the handle
 * @param ret_count how many
 * @return 0, or a negative errno as for ct_list(), with nothing written
 * Since 0.1.
 */
int ct_count(struct ct_handle *h, uint64_t *ret_count);

/**
 * Finds the lowest zone from first to last that no entry is in, in either direction. One pass over the table.
 *
 * Nothing keeps others from using the zone afterwards.
 *
 * @param h the handle
 * @param first lowest zone to consider, 0 to 65535
 * @param last highest zone to consider, first to 65535
 * @param ret_zone the free zone
 * @return 0, or a negative errno, with nothing written: -ENOSPC all of them are in use; -EINVAL no range of zones;
 *   others as for ct_list()
 * Since 0.1.
 */
int ct_zone_find_free(struct ct_handle *h, uint32_t first, uint32_t last, uint32_t *ret_zone);

/*
 * ---- Reading in constant memory ----
 */

/**
 * Begins to list entries in constant memory: ct_dump_next() hands them over, batch by batch.
 *
 * The selection is that of ct_list(). Until the last entry was handed over, an error or ct_dump_end(), all other calls on the handle
 * fail with -EBUSY. Where the last entry comes before an array is full, that is the end, and the next call only says so.
 *
 * @param h the handle
 * @param f n filters, f[0].size bytes apart; NULL if n is 0
 * @param n how many
 * @return 0, or a negative errno as for ct_list()
 * Since 0.1.
 */
int ct_dump_start(struct ct_handle *h,
                  const struct ct_filter *f,
                  size_t n);

/**
 * Fills an array with the next entries. 64 and more at a time cost least.
 *
 * @param h the handle
 * @param buf where to put them
 * @param cap room for how many; at least 1
 * @return how many were filled in; 0 at the end, and again until the next ct_dump_start() or ct_dump_end(); or a negative errno
 *   as for ct_list(). -EINVAL: buf or cap is wrong, or no dump was started; this, -EBUSY and -ECHILD leave the dump as it is.
 *   Any other error ends it; what came before is right but not complete. -EAGAIN: the table was resized, entries may be
 *   missing or repeated: start again
 * Since 0.1.
 */
int ct_dump_next(struct ct_handle *h,
                 struct ct_entry *buf,
                 size_t cap);

/**
 * Ends a dump early. The handle is as good as new. Fine if no dump is open.
 *
 * @param h the handle
 * @return 0, or a negative errno: -EINVAL h is NULL; -EBUSY, -ECHILD, -ENOTRECOVERABLE as for ct_list()
 * Since 0.1.
 */
int ct_dump_end(struct ct_handle *h);

/*
 * ---- Deleting ----
 */

/**
 * ct_delete() flags: the kernel may delete by itself, without saying how many entries, where that is exact for these filters on
 * the running kernel (addresses of IPv4, ports of TCP and UDP, ICMP, zone, mark, status, family). The entries are not sent, so
 * the more are deleted the more is saved. If the call fails, some entries may already have been deleted.
 */
#define CT_DELETE_UNCOUNTED (1u << 0)

/**
 * ct_delete() and ct_delete_returning() flags: nothing is deleted. The result says what would be: matched and done. What the call refuses is
 * refused. Since 0.2.
 */
#define CT_DELETE_DRY_RUN (1u << 1)

/**
 * Deletes the selected entries, in one pass over the table for all filters.
 *
 * The selection is that of ct_list(), but there must be an including filter, and none may match every entry: deleting
 * everything is ct_flush() with CT_FLUSH_ALL. Nor may one name an id alone (CT_MATCH_ID). Entries made during the call may be
 * missed.
 *
 * Each entry is deleted by its tuples, zone and id, so one that replaces a selected one during the call stays. Two entries
 * that no message tells apart are taken for one: same tuples, same id (the successor got the same place in the kernel's
 * memory), and no other difference than a zone that holds for both directions in one and for the reply direction only in the
 * other, or for none in one and for the original direction only in the other. CT_OPEN_COMPARE_START tells these apart.
 *
 * Where a filter names what changes while an entry lives (status, mark, TCP state, labels, helper), each entry is looked up
 * again right before its delete, 32 at a time, and stays if it is not selected any more: result->spared. What changes between
 * that look-up and its delete, about a tenth of a millisecond, is deleted anyway.
 *
 * An entry with a zone for one direction only can have a tuple that another entry has in its other direction, and then hide
 * it from every request. Such an entry is deleted under another of its names if there is one; otherwise it stays, and counts
 * as failed with -ENOTUNIQ, never as gone.
 *
 * @param h the handle
 * @param f n filters, f[0].size bytes apart
 * @param n how many; at least 1
 * @param flags CT_DELETE_UNCOUNTED, CT_DELETE_DRY_RUN or 0
 * @param result what was done; filled on failure too
 * @return 0: all selected entries are gone; or a negative errno: -EINVAL, -E2BIG a filter is wrong or names an id alone, or
 *   everything would be deleted: nothing was sent; errors as for ct_list(), and nothing was deleted; or result->first_error if some failed:
 *   result->done says how many were deleted all the same; -ENOTUNIQ: an entry is there, but its tuples lead to another one,
 *   which ct_handle_error() names; -EAGAIN: an entry came and went each time that it was asked for
 * Since 0.1.
 */
int ct_delete(struct ct_handle *h,
              const struct ct_filter *f,
              size_t n,
              uint32_t flags,
              struct ct_result *result);

/**
 * Deletes as ct_delete() does, and hands over what was deleted: as many as there is room for. Others stay: call again.
 *
 * The entries are as they were at their end, with their last packets and bytes, where the kernel says so: for those that report what
 * becomes of them (CT_SETTING_EVENTS when they were made). Of others the counters are left out of has.
 *
 * @param h the handle
 * @param f n filters, f[0].size bytes apart
 * @param n how many; at least 1
 * @param flags CT_DELETE_DRY_RUN or 0
 * @param ret_entries where to put what was deleted
 * @param cap room for how many; at least 1
 * @param ret_count how many were put there; written on failure too
 * @param result what was done; filled on failure too. What stays for want of room is not in the sums
 * @return 0: all selected entries are gone; or a negative errno: -ENOSPC there was no room for all of them: those that are handed over are
 *   gone, call again; others as for ct_delete(). What is handed over was deleted, whatever is returned; an entry whose fate is not known,
 *   since the kernel fell silent, is not among it
 * Since 0.2.
 */
int ct_delete_returning(struct ct_handle *h,
                        const struct ct_filter *f,
                        size_t n,
                        uint32_t flags,
                        struct ct_entry *ret_entries,
                        size_t cap,
                        size_t *ret_count,
                        struct ct_result *result);

/**
 * Deletes the given entries, each only if it is still the one that is meant.
 *
 * An entry is one of ct_list(), or a key as for ct_get(). If has announces no id, tuple, direction and zone must be exactly
 * those of the entry. With an id, the id says which entry is meant, and the tuples and the zone must lead to it. Otherwise
 * nothing is deleted and the status is -ENOENT, gone. One that fails does not stop the others, only a malformed one does, before
 * anything is sent; status bits and states of a later kernel are none of its business. What ct_delete() says of successors and of
 * hidden entries holds here too.
 *
 * @param h the handle
 * @param e n entries
 * @param n how many; 0 is fine
 * @param status n results: 0 deleted, -ENOENT gone (proven by a look-up), -ENOTUNIQ the entry is there, but its tuples lead to
 *   another one, another negative errno for a failure (-ETIMEDOUT, -ENOBUFS and the
 *   like: not known whether it was deleted; -ECANCELED: not attempted, after an earlier failure; -EPERM for all if the
 *   capability is missing, -EINVAL for all if one of the entries is wrong). Filled unless a pointer is wrong
 * @param result the sums; filled on failure too
 * @return 0: all are gone; or a negative errno: -EINVAL an argument is wrong or a key malformed (ct_handle_error() names entry and
 *   field): nothing was sent; result->first_error if result->failed > 0: ct_handle_error() names the first entry that failed, says
 *   why and how many more did; others as for ct_list()
 * Since 0.1.
 */
int ct_delete_entries(struct ct_handle *h,
                      const struct ct_entry *e,
                      size_t n,
                      int32_t *status,
                      struct ct_result *result);

/*
 * ---- Creating and updating ----
 */

/**
 * Creates entries.
 *
 * has must announce orig and a timeout, and, where they apply, ports or ICMP fields. The reply tuple is the mirror image of orig
 * unless has announces it. Status (CT_STATUS_CONFIRMED is added), mark, zone, labels, helper and the states of TCP and SCTP are
 * set where has announces them; what only the kernel can know (id, use_count, counters, times) is ignored, so that an entry of
 * ct_list() can be made again as it stands. The kernel drops labels silently while no firewall rule of the network namespace uses
 * any.
 *
 * NAT: with CT_STATUS_SRC_NAT or CT_STATUS_DST_NAT in status, the reply tuple says to what the kernel is to translate: addresses,
 * ports, ICMP ids, keys of GRE. It makes exactly that entry, or none if the tuple is taken: -EEXIST. Each bit must be there if
 * the reply tuple translates that side, and only then. With neither of them nothing is translated, and the reply tuple is taken
 * as it stands.
 *
 * A malformed entry stops all before anything is sent: a field without its bit in has, a bit that this release does not know, no
 * tuple or no timeout, ports or states of another protocol, NAT without a reply tuple, zones that contradict each other. One that
 * is only impossible is not sent, has a status of its own, counts as failed, and does not stop the others: what only the kernel
 * can make (expected, sequence-adjusted, offloaded; status bits and states of a later kernel), a timeout of 0 (listed with less
 * than a second left), a status that contradicts the reply tuple, and ports where this kernel keeps none of that protocol (DCCP
 * from 6.16 on, UDP-Lite in 7.3).
 *
 * In a full table (net.netfilter.nf_conntrack_max) the kernel makes room for a new entry, whoever asks: it drops one of the same
 * network namespace that is not assured and near the new one's place, and says -ENOMEM only if it finds none. Nothing tells which
 * one, and the result cannot tell how many: the kernel counts these drops (early_drop) for all that makes entries, traffic too. Who
 * makes many should compare ct_count() with the limit first.
 *
 * @param h the handle
 * @param e n entries
 * @param n how many; 0 is fine
 * @param status n results: 0 created, -EEXIST one of its tuples is taken, -EOPNOTSUPP only the kernel can make it, or this
 *   kernel lacks what it takes (its helper, NAT, ports of its protocol), -ETIME its timeout is 0, -EINVAL its status contradicts
 *   its reply tuple, or the kernel refuses a value (for all of them: one is malformed), -ENOMEM the table is full, -ENOSPC its
 *   bucket of the table is full (far more entries than buckets: 280,000 in 8,192 on 6.1 and 6.12, not on 5.10), another negative errno for
 *   another failure
 * @param result the sums; filled on failure too
 * @return 0: all are created; or a negative errno: -EINVAL an argument is wrong or an entry malformed (ct_handle_error() names
 *   entry and field): nothing was sent; result->first_error if result->failed > 0: ct_handle_error() names the first entry that
 *   failed, says why and how many more did; others as for ct_list()
 * Since 0.1.
 */
int ct_create_entries(struct ct_handle *h,
                      const struct ct_entry *e,
                      size_t n,
                      int32_t *status,
                      struct ct_result *result);

/**
 * Changes entries.
 *
 * Each is found like a key of ct_get(). has says what to change: timeout (above zero), status (its bits are added to those
 * that are set; SEEN_REPLY, ASSURED and FIXED_TIMEOUT can be), mark (with mark_mask: only these bits), labels (all of them;
 * with CT_HAS_LABELS_ADD or CT_HAS_LABELS_REMOVE only those that are set in labels), helper (empty: none), and the states of
 * TCP and SCTP. TCP flags and window scales are sent together with the TCP state, that of the look-up if has does not
 * announce one; window scales need the WINDOW_SCALE flag (1) in both directions.
 *
 * Status 0 means that the entry now is as asked; what it was already is 0 too. What the kernel would refuse after it changed
 * something else is refused before anything is sent for that entry. As in ct_create_entries(), only a malformed change stops all,
 * and one that is impossible does not stop the others. The kernel compares no id when it updates, so an entry
 * that is replaced between its look-up and its update, about a tenth of a millisecond, is updated in the place of the other.
 *
 * @param h the handle
 * @param e n entries
 * @param n how many; 0 is fine
 * @param status n results: 0 as asked, -ENOENT gone, -EBUSY the kernel does not let this change, -EPERM the timeout is fixed
 *   (CT_STATUS_FIXED_TIMEOUT), -ETIME a timeout of 0, which would delete the entry, -ENOSPC labels, but no firewall rule used any
 *   when the entry was created, -EOPNOTSUPP no helper can be assigned to this entry, or a state that this release does not know,
 *   -ENOTUNIQ the entry is there, but its tuples lead to another one, another negative errno for
 *   another failure
 * @param result the sums; filled on failure too
 * @return 0: all that were there are changed; or a negative errno: -EINVAL an argument is wrong or a change malformed
 *   (ct_handle_error() names entry and field): nothing was sent; result->first_error if result->failed > 0: ct_handle_error() names
 *   the first entry that failed, says why and how many more did; others as for ct_list()
 * Since 0.1.
 */
int ct_update_entries(struct ct_handle *h,
                      const struct ct_entry *e,
                      size_t n,
                      int32_t *status,
                      struct ct_result *result);

/**
 * Reads entries, and lets their packets and bytes be counted from 0 on: by the kernel in one step, so that what is read now and next time
 * adds up to all that came.
 *
 * Each is found like a key of ct_delete_entries(). It is never zeroed twice for one call: no request is sent again that may have reached
 * the kernel, and only so many at once that all replies fit the receive buffer. Where a reply is lost all the same, the counters of that
 * entry perhaps begin anew, and what they were is not known.
 *
 * The kernel compares no id. Where another entry has taken the place of one, that one was read, and its counters begin anew: its status is
 * -ESTALE, and ret_entries has the other one, so that nothing that was counted is lost.
 *
 * An entry of whom nothing is counted (CT_SETTING_ACCT) is read, and has no counters.
 *
 * @param h the handle
 * @param e n entries
 * @param n how many; 0 is fine
 * @param ret_entries n entries as they were before, where the status is 0 or -ESTALE; all others are zero. Apart from e
 * @param status n results: 0 read; -ESTALE another entry was read in its place; -ENOENT gone; -ENOTUNIQ the entry is there, but its tuples
 *   lead to another one, nothing was read; -ENOBUFS, -ETIMEDOUT, -EBADMSG and the like: its reply was lost, its counters perhaps begin
 *   anew; -ECANCELED not attempted, after an earlier failure; -EPERM for all if the capability is missing, -EINVAL for all if one of the
 *   entries is wrong. Filled unless a pointer is wrong
 * @param result the sums; filled on failure too
 * @return 0: all that were there were read; or a negative errno: -EINVAL an argument is wrong or a key malformed: nothing was sent;
 *   result->first_error if result->failed > 0: ct_handle_error() names the first entry that failed; others as for ct_list()
 * Since 0.2.
 */
int ct_zero_entries(struct ct_handle *h,
                    const struct ct_entry *e,
                    size_t n,
                    struct ct_entry *ret_entries,
                    int32_t *status,
                    struct ct_result *result);

/*
 * ---- Flushing ----
 */

/**
 * ct_flush() flags: every entry of the network namespace, all zones and families. Only with a NULL scope.
 */
#define CT_FLUSH_ALL (1u << 0)

/**
 * Deletes all entries of a scope, or of the whole network namespace.
 *
 * The scope is a filter in which only family, zone, mark and status may count, and one of them must. Everything goes only
 * with a NULL scope and CT_FLUSH_ALL: neither a forgotten field nor a NULL pointer can do it. Entries made meanwhile may
 * survive. Kernels before 6.4 may skip entries that are offloaded to a flow table: these are looked for and deleted one by one, and
 * the kernel's refusal is the result (-EBUSY). Where the scope is flushed by list and delete, what
 * ct_delete() says of changing and of hidden entries holds here too.
 *
 * @param h the handle
 * @param scope what to flush; NULL with CT_FLUSH_ALL
 * @param flags CT_FLUSH_ALL or 0
 * @return 0, or a negative errno: -EINVAL, -E2BIG the scope is wrong or limits nothing, a NULL scope without CT_FLUSH_ALL, or
 *   a scope with it: nothing was sent; others as for ct_list(), or the kernel's first refusal
 * Since 0.1.
 */
int ct_flush(struct ct_handle *h,
             const struct ct_filter *scope,
             uint32_t flags);

/*
 * ---- Ready-made filters ----
 */

/**
 * ct_filter_rule(): towards the port that the rule is for.
 */
#define CT_RULE_INGRESS 1

/**
 * ct_filter_rule(): from that port.
 */
#define CT_RULE_EGRESS 2

/**
 * Makes two filters for all that an address began or answers: a pod, a container, a machine that is gone.
 *
 * Like every function ct_filter_...(), it adds to what the filters have: set size and zero the rest, or set what must hold
 * besides, such as the zone, before or after. Nothing is sent.
 *
 * @param h the handle, for ct_handle_error()
 * @param f two filters
 * @param family CT_FAMILY_IPV4 or CT_FAMILY_IPV6
 * @param address 4 or 16 bytes, in network byte order
 * @return 0, or a negative errno, with nothing written: -EINVAL, -E2BIG a filter, the family or the address is wrong. An
 *   unspecified address (0.0.0.0, ::) is refused, since it does not mean any address
 * Since 0.2.
 */
int ct_filter_dead_endpoint(struct ct_handle *h,
                            struct ct_filter *f,
                            uint8_t family,
                            const uint8_t *address);

/**
 * Makes a filter for all flows to a service, as clients call it: before NAT. Those that a live endpoint answers are left out
 * with ct_filter_live_endpoint().
 *
 * @param h the handle, for ct_handle_error()
 * @param f the filter
 * @param family CT_FAMILY_IPV4 or CT_FAMILY_IPV6
 * @param address 4 or 16 bytes, in network byte order
 * @param proto a protocol that has ports
 * @param port the port
 * @return 0, or a negative errno as for ct_filter_dead_endpoint(). For a port on any address use ct_filter_port()
 * Since 0.2.
 */
int ct_filter_service(struct ct_handle *h,
                      struct ct_filter *f,
                      uint8_t family,
                      const uint8_t *address,
                      uint8_t proto,
                      uint16_t port);

/**
 * Makes a filter for all flows that were begun to this port, whatever the address: a NodePort, a port of the host.
 *
 * That is all that the table knows of the port, also what is only forwarded to the same port of somebody else: where that can be,
 * set more fields, such as CT_STATUS_DST_NAT in status_set for what is translated here. Set the family (before
 * ct_filter_live_endpoint()) if the endpoints are of one family.
 *
 * @param h the handle, for ct_handle_error()
 * @param f the filter
 * @param proto a protocol that has ports
 * @param port the port
 * @return 0, or a negative errno as for ct_filter_dead_endpoint()
 * Since 0.2.
 */
int ct_filter_port(struct ct_handle *h,
                   struct ct_filter *f,
                   uint8_t proto,
                   uint16_t port);

/**
 * Makes a copy of a filter of ct_filter_service() or ct_filter_port() an excluding one, for the flows that a live endpoint
 * answers.
 *
 * @param h the handle, for ct_handle_error()
 * @param f the copy
 * @param family CT_FAMILY_IPV4 or CT_FAMILY_IPV6
 * @param address 4 or 16 bytes, in network byte order
 * @param port the port at which the endpoint answers
 * @return 0, or a negative errno as for ct_filter_dead_endpoint()
 * Since 0.2.
 */
int ct_filter_live_endpoint(struct ct_handle *h,
                            struct ct_filter *f,
                            uint8_t family,
                            const uint8_t *address,
                            uint16_t port);

/**
 * Makes a filter for the flows that a rule of a security group let through, one that was withdrawn. Of a rule with several other ends
 * make one filter for each, and delete with all of them in one call.
 *
 * The zone of the port must count already (CT_MATCH_ZONE, also zone 0), since other ports may have the same addresses. Protocol, mark
 * and ports of the rule are set before or after.
 *
 * @param h the handle, for ct_handle_error()
 * @param f the filter
 * @param direction CT_RULE_INGRESS: others began the flows; CT_RULE_EGRESS: the port did
 * @param family CT_FAMILY_IPV4 or CT_FAMILY_IPV6
 * @param own the port's address, or the network that all its addresses are in: 4 or 16 bytes, in network byte order
 * @param own_prefix its prefix length; 32 or 128: one address
 * @param other the other end: 4 or 16 bytes; NULL: the rule is for every other end
 * @param other_prefix its prefix length; 0 if other is NULL
 * @return 0, or a negative errno as for ct_filter_dead_endpoint()
 * Since 0.2.
 */
int ct_filter_rule(struct ct_handle *h,
                   struct ct_filter *f,
                   uint32_t direction,
                   uint8_t family,
                   const uint8_t *own,
                   uint8_t own_prefix,
                   const uint8_t *other,
                   uint8_t other_prefix);

/**
 * Makes filters for everything within the first of them but what the others match, by making those excluding ones.
 *
 * For everything in the table but some, let the first two be CT_FAMILY_IPV4 and CT_FAMILY_IPV6 alone.
 *
 * @param h the handle, for ct_handle_error()
 * @param f n filters, f[0].size bytes apart, none of them excluding
 * @param within how many of them say what is meant; at least 1, and each must limit something
 * @param n how many in all; at least one more, so that something is spared
 * @return 0, or a negative errno, with nothing written: -EINVAL, -E2BIG a filter or a number is wrong. An unspecified address
 *   (0.0.0.0, ::), which does not mean any address, and an IPv4 address in IPv6 are refused in all of them: what they are to
 *   take or to spare would not be there
 * Since 0.2.
 */
int ct_filter_everything_but(struct ct_handle *h,
                             struct ct_filter *f,
                             size_t within,
                             size_t n);

/*
 * ---- The table at large: fill, settings, statistics ----
 */

/**
 * nf_conntrack_max. The most entries that a network namespace may have.
 */
#define CT_SETTING_MAX 0

/**
 * nf_conntrack_buckets. Buckets of the hash table.
 */
#define CT_SETTING_BUCKETS 1

/**
 * nf_conntrack_expect_max. The most expectations that a network namespace may have.
 */
#define CT_SETTING_EXPECT_MAX 2

/**
 * nf_conntrack_acct. Whether packets and bytes of entries are counted: 0 or 1. For entries that are made from now
 * on.
 */
#define CT_SETTING_ACCT 3

/**
 * nf_conntrack_timestamp. Whether entries keep the time when they were made: 0 or 1. For entries that are made
 * from now on.
 */
#define CT_SETTING_TIMESTAMP 4

/**
 * nf_conntrack_events. Whether entries report what becomes of them: 0 none does, 1 all do, 2 those that are made
 * while somebody listens. For entries that are made from now on.
 */
#define CT_SETTING_EVENTS 5

/**
 * nf_conntrack_checksum. Whether packets with a wrong checksum are invalid: 0 or 1.
 */
#define CT_SETTING_CHECKSUM 6

/**
 * nf_conntrack_log_invalid. Of which protocol invalid packets are logged: 0 of none, 255 of all.
 */
#define CT_SETTING_LOG_INVALID 7

/**
 * nf_conntrack_tcp_loose. Whether connections are taken up that were under way already: 0 or not.
 */
#define CT_SETTING_TCP_LOOSE 8

/**
 * nf_conntrack_tcp_be_liberal. Whether only resets out of the window are invalid: 0 or not.
 */
#define CT_SETTING_TCP_BE_LIBERAL 9

/**
 * nf_conntrack_tcp_ignore_invalid_rst. Whether resets out of the window count as others do: 0 or 1. Since Linux
 * 5.14.
 */
#define CT_SETTING_TCP_IGNORE_INVALID_RST 10

/**
 * nf_conntrack_tcp_max_retrans. Retransmissions after which the timeout TCP_MAX_RETRANS_TIMEOUT holds.
 */
#define CT_SETTING_TCP_MAX_RETRANS 11

/**
 * nf_conntrack_generic_timeout. Seconds. Of protocols without a tracker of their own.
 */
#define CT_SETTING_GENERIC_TIMEOUT 12

/**
 * nf_conntrack_icmp_timeout. Seconds. ICMP.
 */
#define CT_SETTING_ICMP_TIMEOUT 13

/**
 * nf_conntrack_icmpv6_timeout. Seconds. ICMPv6.
 */
#define CT_SETTING_ICMPV6_TIMEOUT 14

/**
 * nf_conntrack_udp_timeout. Seconds. UDP that is not answered, and UDP-Lite.
 */
#define CT_SETTING_UDP_TIMEOUT 15

/**
 * nf_conntrack_udp_timeout_stream. Seconds. UDP in both directions, after two seconds.
 */
#define CT_SETTING_UDP_STREAM_TIMEOUT 16

/**
 * nf_conntrack_gre_timeout. Seconds. GRE that is not answered.
 */
#define CT_SETTING_GRE_TIMEOUT 17

/**
 * nf_conntrack_gre_timeout_stream. Seconds. GRE in both directions.
 */
#define CT_SETTING_GRE_STREAM_TIMEOUT 18

/**
 * nf_conntrack_tcp_timeout_syn_sent. Seconds. TCP in SYN_SENT.
 */
#define CT_SETTING_TCP_SYN_SENT_TIMEOUT 19

/**
 * nf_conntrack_tcp_timeout_syn_recv. Seconds. TCP in SYN_RECV.
 */
#define CT_SETTING_TCP_SYN_RECV_TIMEOUT 20

/**
 * nf_conntrack_tcp_timeout_established. Seconds. TCP in ESTABLISHED.
 */
#define CT_SETTING_TCP_ESTABLISHED_TIMEOUT 21

/**
 * nf_conntrack_tcp_timeout_fin_wait. Seconds. TCP in FIN_WAIT.
 */
#define CT_SETTING_TCP_FIN_WAIT_TIMEOUT 22

/**
 * nf_conntrack_tcp_timeout_close_wait. Seconds. TCP in CLOSE_WAIT.
 */
#define CT_SETTING_TCP_CLOSE_WAIT_TIMEOUT 23

/**
 * nf_conntrack_tcp_timeout_last_ack. Seconds. TCP in LAST_ACK.
 */
#define CT_SETTING_TCP_LAST_ACK_TIMEOUT 24

/**
 * nf_conntrack_tcp_timeout_time_wait. Seconds. TCP in TIME_WAIT.
 */
#define CT_SETTING_TCP_TIME_WAIT_TIMEOUT 25

/**
 * nf_conntrack_tcp_timeout_close. Seconds. TCP in CLOSE.
 */
#define CT_SETTING_TCP_CLOSE_TIMEOUT 26

/**
 * nf_conntrack_tcp_timeout_max_retrans. Seconds. TCP after too many retransmissions.
 */
#define CT_SETTING_TCP_MAX_RETRANS_TIMEOUT 27

/**
 * nf_conntrack_tcp_timeout_unacknowledged. Seconds. TCP while data is not acknowledged.
 */
#define CT_SETTING_TCP_UNACKNOWLEDGED_TIMEOUT 28

/**
 * nf_conntrack_sctp_timeout_closed. Seconds. SCTP in CLOSED.
 */
#define CT_SETTING_SCTP_CLOSED_TIMEOUT 29

/**
 * nf_conntrack_sctp_timeout_cookie_wait. Seconds. SCTP in COOKIE_WAIT.
 */
#define CT_SETTING_SCTP_COOKIE_WAIT_TIMEOUT 30

/**
 * nf_conntrack_sctp_timeout_cookie_echoed. Seconds. SCTP in COOKIE_ECHOED.
 */
#define CT_SETTING_SCTP_COOKIE_ECHOED_TIMEOUT 31

/**
 * nf_conntrack_sctp_timeout_established. Seconds. SCTP in ESTABLISHED.
 */
#define CT_SETTING_SCTP_ESTABLISHED_TIMEOUT 32

/**
 * nf_conntrack_sctp_timeout_shutdown_sent. Seconds. SCTP in SHUTDOWN_SENT.
 */
#define CT_SETTING_SCTP_SHUTDOWN_SENT_TIMEOUT 33

/**
 * nf_conntrack_sctp_timeout_shutdown_recd. Seconds. SCTP in SHUTDOWN_RECD.
 */
#define CT_SETTING_SCTP_SHUTDOWN_RECD_TIMEOUT 34

/**
 * nf_conntrack_sctp_timeout_shutdown_ack_sent. Seconds. SCTP in SHUTDOWN_ACK_SENT.
 */
#define CT_SETTING_SCTP_SHUTDOWN_ACK_SENT_TIMEOUT 35

/**
 * nf_conntrack_sctp_timeout_heartbeat_sent. Seconds. SCTP in HEARTBEAT_SENT.
 */
#define CT_SETTING_SCTP_HEARTBEAT_SENT_TIMEOUT 36

/**
 * nf_conntrack_sctp_timeout_heartbeat_acked. Seconds. SCTP in HEARTBEAT_ACKED. In old kernels alone.
 */
#define CT_SETTING_SCTP_HEARTBEAT_ACKED_TIMEOUT 37

/**
 * nf_conntrack_dccp_timeout_request. Seconds. DCCP in REQUEST. Before Linux 6.16, as are the others of DCCP.
 */
#define CT_SETTING_DCCP_REQUEST_TIMEOUT 38

/**
 * nf_conntrack_dccp_timeout_respond. Seconds. DCCP in RESPOND.
 */
#define CT_SETTING_DCCP_RESPOND_TIMEOUT 39

/**
 * nf_conntrack_dccp_timeout_partopen. Seconds. DCCP in PARTOPEN.
 */
#define CT_SETTING_DCCP_PARTOPEN_TIMEOUT 40

/**
 * nf_conntrack_dccp_timeout_open. Seconds. DCCP in OPEN.
 */
#define CT_SETTING_DCCP_OPEN_TIMEOUT 41

/**
 * nf_conntrack_dccp_timeout_closereq. Seconds. DCCP in CLOSEREQ.
 */
#define CT_SETTING_DCCP_CLOSEREQ_TIMEOUT 42

/**
 * nf_conntrack_dccp_timeout_closing. Seconds. DCCP in CLOSING.
 */
#define CT_SETTING_DCCP_CLOSING_TIMEOUT 43

/**
 * nf_conntrack_dccp_timeout_timewait. Seconds. DCCP in TIMEWAIT.
 */
#define CT_SETTING_DCCP_TIMEWAIT_TIMEOUT 44

/**
 * nf_flowtable_tcp_timeout. Seconds. TCP in a flow table. Since Linux 5.14, where there are flow tables, as is the
 * other one.
 */
#define CT_SETTING_FLOWTABLE_TCP_TIMEOUT 45

/**
 * nf_flowtable_udp_timeout. Seconds. UDP in a flow table.
 */
#define CT_SETTING_FLOWTABLE_UDP_TIMEOUT 46

/**
 * Look-ups in the table. None since Linux 4.9.
 */
#define CT_STAT_SEARCHED 1

/**
 * Packets whose entry was found at the second look, since another packet of the flow had come between. Before
 * Linux 5.10: all look-ups that found an entry.
 */
#define CT_STAT_FOUND 2

/**
 * Entries that were made. None since Linux 4.9.
 */
#define CT_STAT_NEW 3

/**
 * Packets that could not be tracked.
 */
#define CT_STAT_INVALID 4

/**
 * Packets that were tracked already. None since Linux 5.10.
 */
#define CT_STAT_IGNORE 5

/**
 * Entries that were deleted. None since Linux 4.9.
 */
#define CT_STAT_DELETE 6

/**
 * Entries that waited for their deletion. None since Linux 4.9.
 */
#define CT_STAT_DELETE_LIST 7

/**
 * Entries that were put into the table. Those of packets are counted since Linux 5.19 in no kernel (always 0),
 * those made by programs are.
 */
#define CT_STAT_INSERT 8

/**
 * Entries that could not be put into the table: another one with a tuple of theirs was there.
 */
#define CT_STAT_INSERT_FAILED 9

/**
 * Packets that were dropped: no memory for an entry, no room in the table, or it clashed.
 */
#define CT_STAT_DROP 10

/**
 * Entries that were dropped so that there was room for others.
 */
#define CT_STAT_EARLY_DROP 11

/**
 * ICMP errors that belong to nothing, and packets that a protocol's tracker refused.
 */
#define CT_STAT_ERROR 12

/**
 * Look-ups that began anew, since the table was resized or the entry moved meanwhile.
 */
#define CT_STAT_SEARCH_RESTART 13

/**
 * Clashes that were resolved: two entries for one flow, of which one stayed. Since Linux 5.10.
 */
#define CT_STAT_CLASH_RESOLVE 14

/**
 * Entries that were not made since the chain of their bucket was too long. Since Linux 5.15.
 */
#define CT_STAT_CHAIN_TOOLONG 15

/**
 * Expectations that a packet fulfilled.
 */
#define CT_STAT_EXPECT_NEW 1

/**
 * Expectations that were made.
 */
#define CT_STAT_EXPECT_CREATE 2

/**
 * Expectations that were deleted.
 */
#define CT_STAT_EXPECT_DELETE 3

/**
 * How full a table is, and its settings. Set size, zero the rest. Since 0.2.
 */
struct ct_table_info {
  /**
   * sizeof(struct ct_table_info).
   */
  uint32_t size;
  /**
   * Zero.
   */
  uint32_t pad0;
  /**
   * How many entries the network namespace has. Those that have expired and are not reaped yet are counted, too.
   */
  uint64_t entries;
  /**
   * Bit n: value[n] is known. One that was asked for and is not: this kernel has no such setting, or /proc/sys is hidden.
   */
  uint64_t known;
  /**
   * Bit n: the caller may set setting n. Never set for those of the machine.
   */
  uint64_t settable;
  /**
   * The settings by their numbers, CT_SETTING_; timeouts in seconds. Zero where not known.
   */
  uint32_t value[64];
};

/**
 * What one processor counted in a network namespace since that was made. Since 0.2.
 *
 * The counters have 32 bits, and wrap: differences modulo 2^32 are right as long as they are read often enough. Which ones there are
 * depends on the kernel.
 */
struct ct_stats {
  /**
   * The number of the processor.
   */
  uint32_t cpu;
  /**
   * Bit n: the kernel sent value[n].
   */
  uint32_t has;
  /**
   * The counters by their numbers, CT_STAT_ or CT_STAT_EXPECT_; zero where the kernel sent none.
   */
  uint32_t value[32];
};

/**
 * How many entries there are and may be, and settings of the network namespace.
 *
 * With no settings that is one small request; the maximum comes with it where the kernel sends it (since Linux 5.8). Settings are
 * read in /proc/sys, those of another network namespace by a thread that enters it and ends; the caller's stays where it is. What cannot
 * be read is not known, which is no error.
 *
 * @param h the handle
 * @param settings which: bit n for setting n, 1ull << CT_SETTING_ACCT; UINT64_MAX for all; 0 for none. Bits without a setting are ignored
 * @param info size set, the rest zero; filled on success
 * @return 0, or a negative errno as for ct_count(): -EINVAL info is wrong; -E2BIG it has fields set that this release does not know
 * Since 0.2.
 */
int ct_table_get_info(struct ct_handle *h,
                      uint64_t settings,
                      struct ct_table_info *info);

/**
 * Changes a setting of the network namespace. It stays so when the program ends.
 *
 * Accounting, time stamps and events are for entries that are made from now on; timeouts are for packets that come from now on, and so for
 * entries that are there already.
 *
 * @param h the handle
 * @param setting CT_SETTING_
 * @param value its new value; timeouts in seconds
 * @return 0, or a negative errno: -EINVAL there is no such setting, it belongs to the machine (CT_SETTING_MAX, _BUCKETS, _EXPECT_MAX), or the
 *   kernel takes no such value; -EACCES, -EPERM CAP_NET_ADMIN is missing, or for another network namespace CAP_SYS_ADMIN; -EROFS /proc/sys
 *   is read-only, as in most containers; -ENOENT this kernel has no such setting, or /proc is not mounted; -EAGAIN, for another network
 *   namespace: the process may have no more threads; -ENOMEM; -EBUSY, -ECHILD, -ENOTRECOVERABLE as for ct_list()
 * Since 0.2.
 */
int ct_table_set(struct ct_handle *h,
                 uint32_t setting,
                 uint32_t value);

/**
 * The name of a setting, for example "nf_conntrack_tcp_timeout_established": `sysctl net.netfilter.NAME` shows it.
 *
 * @param setting CT_SETTING_
 * @return static text; "" if there is no such setting. Never NULL
 * Since 0.2.
 */
const char *ct_setting_name(uint32_t setting);

/**
 * What each processor counted in the network namespace.
 *
 * There is one for each processor that the machine may have, and not only for those that it has.
 *
 * @param h the handle
 * @param buf where to put them; NULL if cap is 0
 * @param cap room for how many
 * @param ret_count how many there are; written also with -ENOSPC
 * @return 0, or a negative errno: -ENOSPC there are more than cap, and ret_count says how many: nothing is in buf; others as for ct_list()
 * Since 0.2.
 */
int ct_stats_cpu(struct ct_handle *h,
                 struct ct_stats *buf,
                 size_t cap,
                 size_t *ret_count);

/**
 * The same for expectations: the counters CT_STAT_EXPECT_.
 *
 * @param h the handle
 * @param buf where to put them; NULL if cap is 0
 * @param cap room for how many
 * @param ret_count how many there are; written also with -ENOSPC
 * @return as for ct_stats_cpu()
 * Since 0.2.
 */
int ct_stats_expect(struct ct_handle *h, struct ct_stats *buf, size_t cap, size_t *ret_count);

/**
 * Writes counters as text, by the rules of snprintf(3): the line that `conntrack -S` prints, or of expectations `conntrack -S expect`,
 * byte for byte with the blank at its end, and without a line end. What the kernel did not send is left out.
 *
 * @param s what one processor counted
 * @param expect 0: of ct_stats_cpu(); 1: of ct_stats_expect()
 * @param buf where to write; NULL if len is 0
 * @param len its size. 1024 is always enough
 * @return the length of the whole text without its NUL, or -EINVAL
 * Since 0.2.
 */
int ct_stats_format(const struct ct_stats *s,
                    uint32_t expect,
                    char *buf,
                    size_t len);

/*
 * ---- Expectations ----
 */

/**
 * tuple: addresses and protocol of what is expected.
 */
#define CT_EXPECT_HAS_TUPLE (1ull << 0)

/**
 * mask: which bits of the tuple's addresses and ports must be those of a packet.
 */
#define CT_EXPECT_HAS_MASK (1ull << 1)

/**
 * master: the original tuple of the entry whose helper expects.
 */
#define CT_EXPECT_HAS_MASTER (1ull << 2)

/**
 * sport and dport of tuple, mask and nat.
 */
#define CT_EXPECT_HAS_PORTS (1ull << 3)

/**
 * sport and dport of master.
 */
#define CT_EXPECT_HAS_MASTER_PORTS (1ull << 4)

/**
 * timeout.
 */
#define CT_EXPECT_HAS_TIMEOUT (1ull << 5)

/**
 * id.
 */
#define CT_EXPECT_HAS_ID (1ull << 6)

/**
 * helper.
 */
#define CT_EXPECT_HAS_HELPER (1ull << 7)

/**
 * zone: that of the master. The kernel never sends it.
 */
#define CT_EXPECT_HAS_ZONE (1ull << 8)

/**
 * flags.
 */
#define CT_EXPECT_HAS_FLAGS (1ull << 9)

/**
 * class.
 */
#define CT_EXPECT_HAS_CLASS (1ull << 10)

/**
 * nat and nat_dir.
 */
#define CT_EXPECT_HAS_NAT (1ull << 11)

/**
 * function.
 */
#define CT_EXPECT_HAS_FUNCTION (1ull << 12)

/**
 * ct_expect.flags: it stays when a connection came.
 */
#define CT_EXPECT_PERMANENT (1u << 0)

/**
 * ct_expect.flags: no connection fulfils it for now.
 */
#define CT_EXPECT_INACTIVE (1u << 1)

/**
 * ct_expect.flags: a program made it. The kernel drops it in what it is given (6.18): -EINVAL.
 */
#define CT_EXPECT_USERSPACE (1u << 2)

/**
 * ct_expect_list() flags: the zone of each is looked for. The entries of the table that have a helper are asked one by one.
 */
#define CT_EXPECT_LIST_ZONES (1u << 0)

/**
 * A connection that a helper waits for: 320 bytes for the life of libctrack.so.0, no pointers. Since 0.2.
 *
 * has says which fields the kernel sent (or, in one that you pass, which ones count); all others are zero.
 */
struct ct_expect {
  /**
   * CT_EXPECT_HAS_ bits.
   */
  uint64_t has;
  /**
   * The kernel's number for it.
   */
  uint32_t id;
  /**
   * Seconds until it ends.
   */
  uint32_t timeout;
  /**
   * CT_EXPECT_ bits.
   */
  uint32_t flags;
  /**
   * Of which class of its helper it is, from 0 on: each has a most of its own.
   */
  uint32_t expect_class;
  /**
   * The zone of the master, 0 to 65535.
   */
  uint32_t zone;
  /**
   * Which direction is translated by nat: 0 original, 1 reply.
   */
  uint32_t nat_dir;
  /**
   * CT_FAMILY_IPV4 or CT_FAMILY_IPV6.
   */
  uint8_t family;
  /**
   * The protocol of what is expected.
   */
  uint8_t proto;
  /**
   * The protocol of the master.
   */
  uint8_t master_proto;
  /**
   * Zero.
   */
  uint8_t pad0[5];
  /**
   * What is expected: its original tuple, as far as the mask says. Its zone is zero: that of the master counts.
   */
  struct ct_tuple tuple;
  /**
   * Which bits count.
   */
  struct ct_tuple mask;
  /**
   * The original tuple of the master. Its zone is zero: see zone.
   */
  struct ct_tuple master;
  /**
   * What the source of a packet is translated to: address and port.
   */
  struct ct_tuple nat;
  /**
   * The name of the helper, ended by a NUL.
   */
  char helper[16];
  /**
   * What the kernel does with a connection that came, for example "nat-follow-master"; ended by a NUL.
   */
  char function[32];
  /**
   * Zero.
   */
  uint64_t reserved[7];
};

/**
 * Lists expectations into one array.
 *
 * One is selected if it has all that has announces in one of `like`, and its family unless that is 0: a helper, a master, a zone, a class.
 * n = 0: every one. The kernel does not say in which zone an expectation is. Where all of like name a master and its zone, only those
 * masters are asked, and the zone is known; with a zone in one of them, or with CT_EXPECT_LIST_ZONES, all entries of the table that have a
 * helper are asked.
 *
 * @param h the handle
 * @param like n expectations; NULL if n is 0
 * @param n how many
 * @param flags CT_EXPECT_LIST_ZONES or 0
 * @param ret_expects the array, yours to release with ct_expects_free(); NULL if nothing was selected
 * @param ret_count how many
 * @return 0, or a negative errno as for ct_list(), with nothing written
 * Since 0.2.
 */
int ct_expect_list(struct ct_handle *h,
                   const struct ct_expect *like,
                   size_t n,
                   uint32_t flags,
                   struct ct_expect **ret_expects,
                   size_t *ret_count);

/**
 * Releases an array of ct_expect_list(). NULL is fine.
 *
 * @param expects the array; it must not be used any more
 * Since 0.2.
 */
void ct_expects_free(struct ct_expect *expects);

/**
 * Gets one expectation by its tuple and zone; by its id, too, if the key has one.
 *
 * @param h the handle
 * @param key which one: tuple, ports, family, proto, and the zone of its master if that is not 0
 * @param ret_expect the expectation, with that zone
 * @return 0, or a negative errno, with nothing written: -ENOENT there is none; -EINVAL the key is wrong; others as for ct_list()
 * Since 0.2.
 */
int ct_expect_get(struct ct_handle *h,
                  const struct ct_expect *key,
                  struct ct_expect *ret_expect);

/**
 * Makes expectations: each with a tuple, a mask and a master that has a helper.
 *
 * The timeout, which the kernel ignores in a new one, is set by a second request; without one it is that of the helper. The kernel lets a
 * helper expect so many connections at once of each class; one more, and it drops the oldest without a word.
 *
 * @param h the handle
 * @param e n expectations
 * @param n how many; 0 is fine
 * @param status n results: 0 made; -EEXIST there is one with this tuple; -ENOENT there is no such master in this zone; -EOPNOTSUPP the
 *   master has no helper, or there is no such helper; -EINVAL the kernel refuses a value, for example a class (for all of them: one is
 *   malformed); -EBUSY it clashes with another one; -EMFILE there are as many as the kernel allows (CT_SETTING_EXPECT_MAX); another negative
 *   errno for another failure
 * @param result the sums; filled on failure too
 * @return 0: all are made; or a negative errno: -EINVAL an argument is wrong or one is malformed: nothing was sent; result->first_error if
 *   result->failed > 0; others as for ct_list()
 * Since 0.2.
 */
int ct_expect_create(struct ct_handle *h,
                     const struct ct_expect *e,
                     size_t n,
                     int32_t *status,
                     struct ct_result *result);

/**
 * Deletes the given expectations, each only if it is still the one that is meant: same tuple, zone and id.
 *
 * Where one has an id and no zone, as ct_expect_list() gives them, and is not in zone 0, its zone is looked for. A request without a whole
 * tuple would delete every expectation: it is refused.
 *
 * @param h the handle
 * @param e n expectations
 * @param n how many; 0 is fine
 * @param status n results: 0 deleted; -ENOENT gone; another negative errno for a failure, as for ct_delete_entries()
 * @param result the sums; filled on failure too
 * @return 0: all are gone; or a negative errno as for ct_delete_entries()
 * Since 0.2.
 */
int ct_expect_delete(struct ct_handle *h,
                     const struct ct_expect *e,
                     size_t n,
                     int32_t *status,
                     struct ct_result *result);

/**
 * Deletes the expectations that ct_expect_list() would list: one by one, in every zone. Or all of them.
 *
 * @param h the handle
 * @param like n expectations; NULL for all
 * @param n how many; 0 for all. None of them may select every expectation
 * @param flags CT_FLUSH_ALL for all, and only then; else 0
 * @param result what was done; filled on failure too. All of them are deleted by the kernel, which does not say how many:
 *   CT_RESULT_UNCOUNTED
 * @return 0: all of them are gone; or a negative errno: -EINVAL an argument is wrong, or every expectation would be deleted without
 *   CT_FLUSH_ALL: nothing was sent; result->first_error if some failed; others as for ct_list()
 * Since 0.2.
 */
int ct_expect_flush(struct ct_handle *h,
                    const struct ct_expect *like,
                    size_t n,
                    uint32_t flags,
                    struct ct_result *result);

/**
 * Writes an expectation as text, by the rules of snprintf(3): the line that `conntrack -L expect` prints, byte for byte, without a line
 * end.
 *
 * @param e the expectation
 * @param buf where to write; NULL if len is 0
 * @param len its size. 1024 is always enough
 * @return the length of the whole text without its NUL, or -EINVAL
 * Since 0.2.
 */
int ct_expect_format(const struct ct_expect *e,
                     char *buf,
                     size_t len);

/*
 * ---- Entries as text ----
 */

/**
 * The line that `conntrack -L` prints, without a line end. Add CT_FORMAT_EXTENDED, CT_FORMAT_ID and CT_FORMAT_TIMESTAMP
 * for what its options -o extended, id and ktimestamp add. Of a key it shows the tuples that the key has; one of the reply
 * direction alone has "(reply)" in front.
 */
#define CT_FORMAT_LINE (1u << 0)

/**
 * One JSON object with every field that the kernel sent and struct ct_entry holds, without a line end. "zone" is always there,
 * 0 too, and is that of one direction where only that one has a zone. What the entry does not announce is not there, for example the
 * reply tuple of a key by the original one.
 */
#define CT_FORMAT_JSON (1u << 1)

/**
 * With CT_FORMAT_LINE: the family in front.
 */
#define CT_FORMAT_EXTENDED (1u << 8)

/**
 * With CT_FORMAT_LINE: the id at the end.
 */
#define CT_FORMAT_ID (1u << 9)

/**
 * With CT_FORMAT_LINE: the start (and stop) time, in the local time zone, if the kernel keeps it.
 */
#define CT_FORMAT_TIMESTAMP (1u << 10)

/**
 * Writes an entry as text, by the rules of snprintf(3): at most len - 1 bytes and a NUL, and nothing at all if len is 0.
 *
 * The line is that of `conntrack -L`, byte for byte, but for what an entry does not hold: a security context and label
 * names. The age of an entry is read off the clock, and CT_FORMAT_TIMESTAMP uses the local time zone.
 *
 * @param e the entry
 * @param format CT_FORMAT_LINE, perhaps with CT_FORMAT_EXTENDED, CT_FORMAT_ID and CT_FORMAT_TIMESTAMP; or CT_FORMAT_JSON
 * @param buf where to write; NULL if len is 0
 * @param len its size. 1024 is always enough for a line
 * @return the length of the whole text without its NUL, or -EINVAL
 * Since 0.1.
 */
int ct_entry_format(const struct ct_entry *e,
                    uint32_t format,
                    char *buf,
                    size_t len);

/*
 * ---- Events ----
 */

/**
 * ct_event.type: an entry was made; or is selected only now (CT_EVENT_ENTERED), was there when the watch began
 * (CT_EVENT_INITIAL), or was found (CT_EVENT_FOUND).
 */
#define CT_EVENT_NEW 1

/**
 * ct_event.type: an entry changed.
 */
#define CT_EVENT_UPDATE 2

/**
 * ct_event.type: an entry went; or is selected no more (CT_EVENT_LEFT).
 */
#define CT_EVENT_DESTROY 3

/**
 * ct_event.type: `lost` events are missing here. With CT_WATCH_SYNC what follows repairs it, up to the next CT_EVENT_SYNCED.
 */
#define CT_EVENT_LOST 4

/**
 * ct_event.type, with CT_WATCH_SYNC alone: the events so far add up to the kernel's table, as it was at some moment since the last
 * CT_EVENT_LOST, or since the watch was started.
 */
#define CT_EVENT_SYNCED 5

/**
 * ct_event.flags, of CT_EVENT_NEW: the entry was there when the watch was started.
 */
#define CT_EVENT_INITIAL (1u << 0)

/**
 * ct_event.flags: the kernel did not say so; a list or a look-up showed it. Of a CT_EVENT_DESTROY then only original tuple, zone with
 * its direction, and id count: there are no final counters. An id alone does not say who it is, nor one with another zone.
 */
#define CT_EVENT_FOUND (1u << 1)

/**
 * ct_event.flags, of CT_EVENT_NEW: the entry was there before, and is selected by the filters only now.
 */
#define CT_EVENT_ENTERED (1u << 2)

/**
 * ct_event.flags, of CT_EVENT_DESTROY: the entry is there still, and is selected by the filters no more.
 */
#define CT_EVENT_LEFT (1u << 3)

/**
 * With CT_FORMAT_LINE, in ct_event_format(): the time in front, as option -o timestamp of `conntrack -E` has it.
 */
#define CT_FORMAT_EVENT_TIME (1u << 11)

/**
 * What happened, to an entry or to the watch. 320 bytes for the life of libctrack.so.0. Since 0.2.
 */
struct ct_event {
  /**
   * CT_EVENT_NEW, _UPDATE, _DESTROY, _LOST or _SYNCED. Later releases may have more.
   */
  uint32_t type;
  /**
   * CT_EVENT_INITIAL, _FOUND, _ENTERED, _LEFT.
   */
  uint32_t flags;
  /**
   * Counts the events of this watch, from 1, without gaps.
   */
  uint64_t number;
  /**
   * CT_EVENT_LOST: how many events are missing. Without CT_WATCH_SYNC it is exact; with it at least so many, since while the table is
   * listed anew nobody counts. UINT64_MAX: it is not known how many.
   */
  uint64_t lost;
  /**
   * When it was read: nanoseconds since 1970 (CLOCK_REALTIME).
   */
  uint64_t received_ns;
  /**
   * When it happened, as the kernel says: nanoseconds since 1970. 0: it does not (before 6.14, or the sysctl
   * net.netfilter.nf_conntrack_timestamp is off).
   */
  uint64_t time_ns;
  /**
   * The netlink port of the socket that caused it. 0: traffic or a timeout did, or it was found. It is no process id: only the first
   * socket of a process has that number. Your own: ct_handle_get_portid().
   */
  uint32_t portid;
  /**
   * The network namespace: -1 is the watch's own; others by their id in that one (`ip netns list-id`), and 0 is an id.
   */
  int32_t nsid;
  /**
   * Zero.
   */
  uint64_t reserved[2];
  /**
   * CT_EVENT_NEW, _UPDATE, _DESTROY: the entry. `has` says what the kernel sent: counters and times come with CT_EVENT_DESTROY alone,
   * labels and helper with CT_EVENT_NEW and with the update that changes them. Of the others: empty.
   */
  struct ct_entry entry;
};

/**
 * Writes an event as text, by the rules of snprintf(3), as ct_entry_format() does with an entry.
 *
 * The line is that of `conntrack -E`, byte for byte, but for what that of ct_entry_format() lacks, and ` progname=`, for which the
 * program looks through /proc for a process that has the port. With CT_FORMAT_EVENT_TIME it begins with the time, "[seconds.micros]"
 * and a tab: the kernel's if there is one, as conntrack 1.4.9 has it; else when the event was read, as older ones have it. CT_EVENT_LOST
 * is "   [LOST] 17 events" or "   [LOST] unknown number of events", CT_EVENT_SYNCED " [SYNCED]".
 *
 * The JSON object has "event" ("new", "update", "destroy", "lost", "synced"), "number", "flags" (an array of "initial", "found", "entered",
 * "left"), "received_ns", "time_ns" and "nsid" if they are known, "portid" and "entry" (as ct_entry_format() has it) of events of an
 * entry, and "lost" (null: it is not known how many).
 *
 * @param e the event
 * @param format CT_FORMAT_LINE, perhaps with CT_FORMAT_EXTENDED, CT_FORMAT_ID, CT_FORMAT_TIMESTAMP and CT_FORMAT_EVENT_TIME; or
 *   CT_FORMAT_JSON
 * @param buf where to write; NULL if len is 0
 * @param len its size. 1024 is always enough for a line
 * @return the length of the whole text without its NUL, or -EINVAL
 * Since 0.2.
 */
int ct_event_format(const struct ct_event *e,
                    uint32_t format,
                    char *buf,
                    size_t len);

/*
 * ---- Watching ----
 */

/**
 * ct_watch_opts.flags: netns_fd counts.
 */
#define CT_WATCH_NETNS (1u << 0)

/**
 * ct_watch_opts.flags: list + watch. First the entries that are there (CT_EVENT_INITIAL), then CT_EVENT_SYNCED, then what changes;
 * losses are repaired.
 */
#define CT_WATCH_SYNC (1u << 1)

/**
 * ct_watch_opts.flags: sets the sysctl net.netfilter.nf_conntrack_events of the network namespace to 1, if it is not. It stays so after
 * the watch. Entries that were made before stay silent.
 */
#define CT_WATCH_ENABLE (1u << 2)

/**
 * ct_watch_opts.flags, not with CT_WATCH_SYNC: the kernel keeps destroyed entries until their event found room, so that no
 * CT_EVENT_DESTROY is lost. Meanwhile they count against nf_conntrack_max, and others who watch hear of their end repeatedly: for
 * machines that are yours. CT_EVENT_LOST counts each try that found no room.
 */
#define CT_WATCH_RELIABLE (1u << 3)

/**
 * ct_watch_opts.flags, not with CT_WATCH_SYNC: events of all network namespaces that have an id in this one (ct_event.nsid).
 * Needs CAP_NET_BROADCAST in the user namespace that owns this one.
 */
#define CT_WATCH_ALL_NSID (1u << 4)

/**
 * ct_watch_opts.flags, with CT_WATCH_SYNC: each audit lists the whole table, whether the kernel may be silent or not. For what changes
 * without an event, such as marks that eBPF sets.
 */
#define CT_WATCH_AUDIT_ALL (1u << 5)

/**
 * ct_watch_opts.events: CT_EVENT_NEW.
 */
#define CT_WATCH_NEW (1u << 0)

/**
 * ct_watch_opts.events: CT_EVENT_UPDATE.
 */
#define CT_WATCH_UPDATE (1u << 1)

/**
 * ct_watch_opts.events: CT_EVENT_DESTROY.
 */
#define CT_WATCH_DESTROY (1u << 2)

/**
 * ct_watch_info.flags: the events so far add up to the table.
 */
#define CT_WATCH_IS_SYNCED (1u << 0)

/**
 * ct_watch_info.flags, with CT_WATCH_SYNC: there may be entries of which the kernel does not report what becomes of them: they were made
 * before the watch with nf_conntrack_events at 2 or 0, or it is 0 now. Audits find what became of them.
 */
#define CT_WATCH_MAY_BE_SILENT (1u << 1)

/**
 * A watch of one network namespace: sockets of its own, a descriptor to wait on, and the text of its last error. It is independent of
 * handles. Since 0.2.
 */
struct ct_watch;

/**
 * How to watch. Set size, leave the rest zero for defaults. Since 0.2.
 */
struct ct_watch_opts {
  /**
   * sizeof(struct ct_watch_opts).
   */
  uint32_t size;
  /**
   * CT_WATCH_NETNS, _SYNC, _ENABLE, _RELIABLE, _ALL_NSID, _AUDIT_ALL.
   */
  uint32_t flags;
  /**
   * With CT_WATCH_NETNS: a descriptor of the network namespace to watch (/proc/PID/ns/net, /run/netns/NAME). It is not kept and stays
   * yours; the watch itself keeps the namespace alive until it is closed.
   */
  int32_t netns_fd;
  /**
   * Which events are reported: CT_WATCH_NEW, _UPDATE, _DESTROY. 0: all three. CT_EVENT_LOST and _SYNCED always are.
   */
  uint32_t events;
  /**
   * CT_WATCH_SYNC: the longest silence of the kernel while listing, in milliseconds. 0: 10,000.
   */
  uint32_t timeout_ms;
  /**
   * Receive buffer for events in bytes; each that waits takes 1,280 of it. 0: 32 MiB (25,000 events), or what the kernel grants:
   * ct_watch_info says how much that was.
   */
  uint32_t rcvbuf;
  /**
   * CT_WATCH_SYNC: how often to look for entries of which the kernel is silent, in milliseconds, as long as there may be any
   * (CT_WATCH_MAY_BE_SILENT). 0: 30,000. UINT32_MAX: never.
   */
  uint32_t audit_ms;
  /**
   * CT_WATCH_SYNC: how many entries may be known, at about 96 bytes each; beyond it is -ENOSPC. 0: any number.
   */
  uint32_t max_entries;
};

/**
 * What a watch has done, and where it stands. Set size, zero the rest. Since 0.2.
 */
struct ct_watch_info {
  /**
   * sizeof(struct ct_watch_info).
   */
  uint32_t size;
  /**
   * CT_WATCH_IS_SYNCED, CT_WATCH_MAY_BE_SILENT.
   */
  uint32_t flags;
  /**
   * The sysctl nf_conntrack_events as it was last seen: 0, 1, 2; -1: it cannot be read.
   */
  int32_t events_mode;
  /**
   * The receive buffer as granted, in bytes.
   */
  uint32_t rcvbuf;
  /**
   * Bytes of it that are in use.
   */
  uint32_t queued;
  /**
   * Zero.
   */
  uint32_t pad0;
  /**
   * Events that were read.
   */
  uint64_t received;
  /**
   * Events that are known to be lost, those while listing too.
   */
  uint64_t lost;
  /**
   * CT_WATCH_SYNC: lists because of losses, or on request.
   */
  uint64_t resyncs;
  /**
   * CT_WATCH_SYNC: lists that were disturbed by losses or a resized table, and begun anew.
   */
  uint64_t restarts;
  /**
   * CT_WATCH_SYNC: entries that the kernel was asked for, since an event did not fit to what was known.
   */
  uint64_t verified;
  /**
   * CT_WATCH_SYNC: entries that audits looked at.
   */
  uint64_t audited;
  /**
   * CT_WATCH_SYNC: entries that are known.
   */
  uint64_t entries;
};

/**
 * Opens a watch. Nothing is watched yet: ct_watch_start().
 *
 * Opening needs no privilege, but for CT_WATCH_ALL_NSID, and with CT_WATCH_NETNS CAP_SYS_ADMIN as for ct_handle_open(). A watch holds up
 * to nine descriptors: three sockets, four to wait with, and two files in /proc. It keeps its network namespace alive.
 *
 * @param ret_watch the new watch, yours to close with ct_watch_close()
 * @param opts how to watch; NULL for defaults
 * @return 0, or a negative errno:
 *   -EINVAL ret_watch is NULL, or opts is wrong; -E2BIG opts has fields set that this release does not know;
 *   -EBADF or -EINVAL netns_fd is no network namespace; -EPERM it may not be entered, or CT_WATCH_ALL_NSID without CAP_NET_BROADCAST;
 *   -EPROTONOSUPPORT the kernel has no netfilter netlink; -EMFILE, -ENFILE too many open files; -ENOMEM
 * Since 0.2.
 */
int ct_watch_open(struct ct_watch **ret_watch,
                  const struct ct_watch_opts *opts);

/**
 * Begins to watch what the filters select, as ct_list() selects.
 *
 * Whatever happens after it returned is reported or counted as lost; the list of CT_WATCH_SYNC is read by ct_watch_next(). If the watch
 * is started already, that ends, and nothing of it is reported any more; the numbers of events go on. If the filters are
 * wrong, all stays as it was.
 *
 * With CT_WATCH_SYNC an entry that is selected only after a change is reported as CT_EVENT_NEW with CT_EVENT_ENTERED, and one that is
 * selected no more as CT_EVENT_DESTROY with CT_EVENT_LEFT. Without it each event is judged by itself.
 *
 * @param w the watch
 * @param f n filters, f[0].size bytes apart; NULL if n is 0
 * @param n how many; 0: every entry
 * @return 0, or a negative errno: -EINVAL, -E2BIG a filter is wrong (ct_watch_error() names filter and field); -EPERM CAP_NET_ADMIN is
 *   missing; -EPERM, -EACCES, -EROFS, -ENOENT CT_WATCH_ENABLE cannot be done; -EOPNOTSUPP the kernel sends no events, or, without
 *   CT_WATCH_SYNC, a filter asks for labels or helper, which the kernel does not send with every event; -EBUSY another thread uses the
 *   watch; -ECHILD it was opened by a parent process; -ENOMEM; -ENOTRECOVERABLE an internal error, the watch is unusable.
 *   After -EPERM and later ones nothing is watched
 * Since 0.2.
 */
int ct_watch_start(struct ct_watch *w,
                   const struct ct_filter *f,
                   size_t n);

/**
 * The descriptor to wait on with poll(2), select(2) or epoll(7): readable when ct_watch_next() has something to do, from ct_watch_start()
 * on until the list of CT_WATCH_SYNC was handed over too. It is an epoll set: do not read from it or change it, and do not close it.
 *
 * With edge-triggered epoll call ct_watch_next() until it returns 0: from then on no wake-up is lost.
 *
 * @param w the watch
 * @return the descriptor, the same as long as the watch lives; or a negative errno: -EINVAL w is NULL; -ECHILD it was opened by a parent
 *   process
 * Since 0.2.
 */
int ct_watch_fd(const struct ct_watch *w);

/**
 * Fills an array with the next events: those that are there, or the first that come. 64 to 256 at a time cost least.
 *
 * Nothing that happens to events ends a watch: a loss is CT_EVENT_LOST in its place, and never -ENOBUFS. After an error the watch
 * goes on; call again. Events that came before it are handed over first.
 *
 * A call with timeout_ms 0 never sleeps and takes a bounded time.
 *
 * @param w the watch
 * @param buf where to put them
 * @param cap room for how many; at least 1
 * @param timeout_ms how long to wait for the first one. 0: not at all; -1: without limit
 * @return how many were filled in. 0: nothing came in time, a signal handler ran in this thread, or ct_watch_wake(). Or a negative errno:
 *   -EINVAL an argument is wrong, or the watch is not started; -EPERM CAP_NET_ADMIN is missing (any more); -ENOSPC more entries than
 *   max_entries, and -ENOMEM, with CT_WATCH_SYNC: said once, the watch tries again and is not synced until there is room; -ETIMEDOUT the
 *   kernel fell silent while listing, it is tried again; -EBUSY another thread uses the watch; -ECHILD it was opened by a parent
 *   process; -ENOTRECOVERABLE an internal error, the watch is unusable
 * Since 0.2.
 */
int ct_watch_next(struct ct_watch *w,
                  struct ct_event *buf,
                  size_t cap,
                  int32_t timeout_ms);

/**
 * Ends the wait of ct_watch_next() that is under way, or the next one, which returns 0. Any thread may call it, and any signal handler.
 *
 * @param w the watch
 * @return 0, or a negative errno: -EINVAL w is NULL; -ECHILD it was opened by a parent process, which is not woken
 * Since 0.2.
 */
int ct_watch_wake(struct ct_watch *w);

/**
 * Lists the table again, as if events had been lost: what is not as it was reported comes as events with CT_EVENT_FOUND, and then
 * CT_EVENT_SYNCED. Any thread may call it, while another one waits too, and any signal handler.
 *
 * @param w the watch
 * @return 0, or a negative errno: -EINVAL w is NULL, or has no CT_WATCH_SYNC; -ECHILD it was opened by a parent process
 * Since 0.2.
 */
int ct_watch_resync(struct ct_watch *w);

/**
 * What the watch has done, and where it stands. Any thread may call it, while another one waits too.
 *
 * @param w the watch
 * @param info size set, the rest zero; filled on success
 * @return 0, or a negative errno: -EINVAL an argument is wrong; -E2BIG info has fields set that this release does not know; -ECHILD the
 *   watch was opened by a parent process
 * Since 0.2.
 */
int ct_watch_get_info(struct ct_watch *w,
                      struct ct_watch_info *info);

/**
 * What went wrong in the last call of ct_watch_start() or ct_watch_next(): as ct_handle_error().
 *
 * @param w the watch
 * @return text in English, owned by the watch, valid until the next of these calls; never NULL
 * Since 0.2.
 */
const char *ct_watch_error(const struct ct_watch *w);

/**
 * Closes a watch and releases all that belongs to it. NULL is fine. No event is sent to it any more, even if a child process still has
 * copies of its sockets.
 *
 * No other thread may be using it: wake the one that waits, and join it. A child process may close a watch of its parent: that changes
 * nothing for the parent. If another thread was in a call on it when the child was made, nothing is released.
 *
 * @param w the watch; it must not be used any more
 * Since 0.2.
 */
void ct_watch_close(struct ct_watch *w);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CTRACK_H */
