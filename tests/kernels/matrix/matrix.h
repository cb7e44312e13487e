/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * The same questions to every kernel: does the library list, delete and flush exactly what was asked for?
 *
 *   matrix [--sets N] [--seed N] [--flow-tables 1] [GROUP...]
 *
 * --flow-tables 1: this kernel must have them.
 *
 * The library is used through ctrack.h only. What it did is judged by three witnesses of this program's own: a plain matcher
 * (filters.c), a raw netlink dump with its own decoder (entries.c), and a look at every datagram that the library sends (sent.c;
 * the program is linked with --wrap=sendto). Nothing is decided by the kernel's version: what it honours is measured here too, by
 * other means (kernel.c).
 *
 * Every group runs in a process and a network namespace of its own, so the library knows nothing of the kernel when it begins.
 * Exit code: 0 all is well, 1 something is not, 2 the tests could not be run.
 *
 * A new group is a function in a group_*.c, declared at the end of this file and listed in matrix.c.
 */

#ifndef MATRIX_H
#define MATRIX_H

#define _GNU_SOURCE
#include <ctrack.h>

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Flag bits of CTA_FILTER: no uapi header names them. */
#define F_IP_SRC (1u << 0)
#define F_IP_DST (1u << 1)
#define F_ZONE (1u << 2)
#define F_PROTO (1u << 3)
#define F_SPORT (1u << 4)
#define F_DPORT (1u << 5)

#define PROTO_PLAIN 89      /* OSPF: no tracker knows its ports */
#define ZONE_EMPTY 9        /* no entry is ever made in it */
#define ZONE_SWAPPED 0x0500 /* zone 5 with its bytes swapped */
#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* --- matrix.c --------------------------------------------------------------------------------------------------------- */

extern unsigned sets;
extern uint64_t seed;
/* Whether a kernel without flow tables is a failure. */
extern unsigned must_have_flow_tables;

/* --- report.c --------------------------------------------------------------------------------------------------------- */

/* What a group reports to the process that runs it. */
struct report {
    unsigned long checks, failed;
    /* What the library was seen to send. */
    unsigned long filtered_dumps, ipv6_dumps, look_ups, guarded_flushes, tuple_flushes, deletes;
    /* What the group found out. */
    char note[256];
};

extern struct report report;
extern const char *group_name;

/* check(condition, format, arguments...) counts, and says what failed. Its value is that of the condition. */
#define check(condition, ...) (report.checks++, (condition) ? 1 : (fail(__VA_ARGS__), 0))

void fail(const char *format, ...);
void die(const char *what);
void *need(void *memory);

extern uint64_t random_state;

unsigned below(unsigned n);
int one_in(unsigned n);

#define pick(array) ((array)[below(LENGTH(array))])

/* --- netlink.c -------------------------------------------------------------------------------------------------------- */

struct message {
    unsigned char bytes[1024];
    size_t length;
};

void begin_message(struct message *m, unsigned kind, unsigned flags, uint8_t family, uint8_t version);
void put_bytes(struct message *m, const void *data, size_t length);
void put_attribute(struct message *m, unsigned type, const void *data, size_t length);
void put_be16(struct message *m, unsigned type, uint16_t value);
void put_be32(struct message *m, unsigned type, uint32_t value);
size_t begin_nest(struct message *m, unsigned type);
void end_nest(struct message *m, size_t start);
void put_tuple(struct message *m, unsigned type, uint8_t family, const void *src, const void *dst, uint8_t proto,
               const uint16_t *ports);
void put_flags(struct message *m, uint32_t flags);
int open_raw(void);
void send_raw(int fd, struct message *m);
int ask(struct message *m);
int ask_batch(struct message *m);

/* --- entries.c -------------------------------------------------------------------------------------------------------- */

struct table {
    struct ct_entry *rows;
    size_t count, room;
};

/* What makes an entry itself, and what this program makes it of, as bytes that can be sorted. */
struct ident {
    unsigned char bytes[128];
};

struct ct_entry *add_row(struct table *t);
void copy_rows(struct table *to, const struct ct_entry *rows, size_t count);
uint16_t be16(const unsigned char *at);
uint32_t be32(const unsigned char *at);
void walk_attributes(const unsigned char *at, size_t length,
                     void (*visit)(void *context, unsigned type, const unsigned char *data, size_t length),
                     void *context);
void read_entry(void *context, unsigned type, const unsigned char *data, size_t length);
int dump_raw(struct message *request, struct table *t);
void dump_all(struct table *t);
struct ident ident_of(const struct ct_entry *e, int with_id);
int compare_idents(const void *a, const void *b);
struct ident *sorted(const struct ct_entry *rows, size_t count, int with_id);
void put_in_order(struct table *t);
int same_rows(const struct ct_entry *a, size_t a_count, const struct ct_entry *b, size_t b_count, int with_id);

/* --- filters.c -------------------------------------------------------------------------------------------------------- */

struct ct_filter no_filter(void);
struct ct_filter tuple_filter(const struct ct_entry *e);
struct ct_filter in_zone(struct ct_filter f, unsigned zone);
struct ct_filter zone_scope(unsigned zone);
struct ct_filter with_family(struct ct_filter f, uint8_t family);
struct ct_filter with_mark(struct ct_filter f, uint32_t mark, uint32_t mask);
struct ct_filter with_status(struct ct_filter f, uint32_t set, uint32_t clear);
int limits_nothing(const struct ct_filter *f);
int selects(const struct ct_filter *f, size_t n, const struct ct_entry *e);
int must_refuse(const struct ct_filter *f, size_t n);

/* --- kernel.c --------------------------------------------------------------------------------------------------------- */

/* What the kernel honours. */
struct kernel {
    int zone, status, tuple, flush;
    /* 1: right, 0: the wrong way round */
    int ipv6;
    /* Protocols whose ports are tracked. */
    int udplite, sctp, gre;
    unsigned long buckets, max;
};

extern struct kernel kernel;

void measure(void);

/* --- sent.c ----------------------------------------------------------------------------------------------------------- */

/* Set around ct_flush() with CT_FLUSH_ALL: the only call that may send a DELETE without a tuple. */
extern int may_flush_all;
/* How many flushes were sent: of everything, and guarded or by tuple. */
extern unsigned flushes_sent;

/*
 * Kernels that the ones at hand are not, made of these where the library sends: one whose flush skips the entries of a flow
 * table and says that all is well, and one that refuses to delete them, too.
 */
enum pretended { AS_IT_IS, SKIPPING, REFUSING };

extern enum pretended pretended;
extern unsigned made_again;

/* --- memory.c --------------------------------------------------------------------------------------------------------- */

size_t count_memory(void);
size_t most_held(void);

/* --- table.c ---------------------------------------------------------------------------------------------------------- */

extern struct ct_handle *h;
/* What the raw dump says is in the table now. */
extern struct table now;

void reopen(void);
void v4(uint8_t *address, unsigned a, unsigned b, unsigned c, unsigned d);
void v6(uint8_t *address, unsigned net, unsigned subnet, unsigned host);
void mirror(struct ct_entry *e);
int has_ports(uint8_t proto);
int is_icmp(uint8_t proto);
int tracks_ports(uint8_t proto);
void set_zone(struct ct_entry *e, uint64_t kind, unsigned zone);
struct ct_entry flow(uint8_t family, uint8_t proto, unsigned i);
void create(struct table *t, int may_collide);
void flush_everything(void);
void fill(void);
void refill(const struct table *before);

/* --- expect.c --------------------------------------------------------------------------------------------------------- */

void expected_of(const struct ct_filter *f, size_t n, struct table *selected, struct table *rest);
void expect_list(const char *what, const struct ct_filter *f, size_t n, const struct table *selected);
void expect_dump(const char *what, const struct ct_filter *f, size_t n, const struct table *selected, unsigned cap);
void expect_rest(const char *what, const struct ct_filter *f, size_t n, const struct table *selected,
                 const struct table *rest);
void expect_delete(const char *what, const struct ct_filter *f, size_t n, unsigned flags);
void expect_flush(const char *what, const struct ct_filter *scope);
void expect_all(const char *what, const struct ct_filter *f, size_t n, size_t least);

/* --- router.c --------------------------------------------------------------------------------------------------------- */

/* Of the flow table. */
enum { FLOWS = 4 };

const char *make_router(void);
struct ct_entry routed(unsigned i);
int is_routed(const struct ct_entry *e);
unsigned offload_flows(void);

/* --- the groups ------------------------------------------------------------------------------------------------------- */

void group_filters(void);
void group_flushes(void);
void group_zone_trap(void);
void group_zone_0_trap(void);
void group_status_trap(void);
void group_family_trap(void);
void group_ports_trap(void);
void group_inexact_trap(void);
void group_overlap(void);
void group_directions_trap(void);
void group_tuple_zone_trap(void);
void group_reversed_trap(void);
void group_ipv6_one(void);
void group_ipv6_some(void);
void group_ipv6_many(void);
void group_ipv6_after_empty(void);
void group_guard(void);
void group_naive(void);
void group_reuse(void);
void group_nat(void);
void group_offload(void);
void group_watch(void);
void group_million(void);

#endif
