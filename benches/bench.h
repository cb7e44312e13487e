/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * What the benchmark programs share: the synthetic connections that fill the table, the clock, and the line of results.
 *
 * Each program runs one operation per process and times only that: preparation, such as filling in the structs to be
 * created or listing the entries to be deleted, happens before the clock starts, for every peer alike.
 */

#ifndef CTRACK_BENCH_H
#define CTRACK_BENCH_H

#include <stddef.h>
#include <stdint.h>

#define FLOW_ZONES 10

/* The zone that the zone benchmarks select: a tenth of the table. */
#define BENCH_ZONE 7

/*
 * Pods: one in 25 connections of the table that `fill-pods` makes belongs to a pod, ten to each; so in a table of
 * 250,000 there are 1,000 pods. A pod has a source address, a zone and a mark that no other connection has. The
 * benchmarks that select one take the first.
 */
#define POD_FLOWS 10
#define BENCH_POD 0

/* One connection. Addresses are in network byte order, IPv4 in the first 4 bytes; all else is in host byte order. */
struct flow {
    uint8_t src[16];
    uint8_t dst[16];
    uint32_t mark;
    uint32_t status;
    uint32_t timeout;
    uint16_t sport; /* the id for ICMP */
    uint16_t dport;
    uint16_t zone;
    uint8_t family;
    uint8_t proto;
    uint8_t tcp_state;
};

/*
 * The connection with this number: 70 % TCP, 20 % UDP, 10 % ICMP, 20 % of each IPv6, spread evenly over ten zones, two
 * thirds of them marked. Numbers up to 16 million give different connections.
 */
void flow_make(struct flow *f, uint32_t number);

/* How many pods there are among so many connections. */
uint32_t pod_count(uint32_t total);

/* The address (in host byte order), zone and mark of a pod. */
uint32_t pod_address(uint32_t pod);
uint16_t pod_zone(uint32_t pod);
uint32_t pod_mark(uint32_t pod);

/* The connections of the table with pods, all of them or one of a pod. To be freed. */
struct flow *flows_with_pods(uint32_t total);
struct flow *flow_of_each_pod(uint32_t total);

/* The number of a connection, from its original source address. */
uint32_t flow_number(uint8_t family, const uint8_t *src);

/* The k-th of a sample of different connections out of `total`, scattered over all kinds and over the hash table. */
uint32_t flow_sample(uint32_t k, uint32_t total);

/* The place of each of `total` connections in a sample of `wanted`, or UINT32_MAX. To be freed. */
uint32_t *flow_sample_places(uint32_t wanted, uint32_t total);

/* A set of addresses of IPv4, in either byte order but without 0.0.0.0: for peers that look at every entry. */
struct address_set {
    uint32_t *slots;
    uint32_t shift;
};

void address_set_init(struct address_set *set, uint32_t room);
void address_set_add(struct address_set *set, uint32_t address);

static inline uint32_t *address_set_slot(const struct address_set *set, uint32_t address)
{
    const uint32_t last = (1u << (32 - set->shift)) - 1;
    uint32_t at = address * 2654435769u >> set->shift;
    while (set->slots[at] != 0 && set->slots[at] != address)
        at = (at + 1) & last;
    return &set->slots[at];
}

/*
 * What a reader takes from an entry, added up so that no compiler can leave the reading out and so that peers can be
 * compared: seven fields.
 */
static inline uint64_t reading(uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint8_t proto, uint32_t mark,
                               uint32_t status)
{
    return (uint64_t)src + dst + sport + dport + proto + mark + status;
}

/* The clock. */
void measure_start(void);
void measure_stop(void);

/*
 * Events: connections that no table has are made, marked and deleted, which is three events for each. The program raw does
 * it, in a process of its own, which measure.sh names in the variable RAW.
 */
#define EVENTS_OF_A_FLOW 3

/* What a queue of so many events needs, a little more than 1,280 bytes for each; the kernel doubles it. */
#define EVENT_BUFFER (32u << 20)

/* Makes so many events, while nobody reads, and returns when they are queued. */
void make_events(uint32_t events);

/* Begins to make so many events at a pace of PACE a second; and whether that goes on. */
#define PACE 20000
void begin_events(uint32_t events);
int events_go_on(void);

/* The times, where they were taken in another way. */
void measure_was(uint64_t wall_ns, uint64_t user_ns, uint64_t sys_ns);

/* From now on it is child processes whose processor time and memory count. */
void measure_children(void);

/*
 * Prints the line of results. `n`: how many entries (or calls) the time was spent on. `check`: what the operation
 * counted itself; `sum`: its readings added up, or 0. Both must be the same in every round and for every peer.
 */
void measure_report(const char *peer, const char *op, uint64_t n, uint64_t check, uint64_t sum);

/* Prints to stderr and exits: a benchmark that failed has no result. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

void *must_calloc(size_t count, size_t size);

/* A positive number from the command line. */
uint32_t must_number(const char *text);

#endif
