/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * What the parts of the program raw share: raw_netlink.c (the socket, attributes, dumps), raw_requests.c (requests from
 * templates), raw_events.c (events) and raw.c (the other operations).
 */

#ifndef CTRACK_BENCH_RAW_H
#define CTRACK_BENCH_RAW_H

#include "bench.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

/* Batches of 64 and 128 were a few percent slower. */
enum { BATCH = 256, REQUEST_MAX = 320 };

/* Reads events: raw_events.c. */
void read_events(const char *op, uint32_t events);
void lose_events(const char *op, uint32_t events);
void make_the_events(const char *op, uint32_t events);

/* The largest dump datagram has 32 KiB. */
extern uint8_t received[64 * 1024];
extern uint8_t batch[BATCH * REQUEST_MAX];
extern uint32_t sequence;

/* --- The socket --- */

void open_socket(void);
void close_socket(void);
void send_bytes(const void *bytes, size_t length);
size_t receive(void);

/* The header at a place of the receive buffer; whole messages only. */
const struct nlmsghdr *message_at(size_t at, size_t length);

int error_of(const struct nlmsghdr *header);

/* --- Attributes --- */

size_t put_header(uint8_t *at, uint16_t message, uint16_t flags, uint8_t family, uint8_t version);

/* Appends an attribute and returns where its value lies. */
size_t put(uint8_t *bytes, size_t *end, uint16_t type, const void *value, size_t length);

size_t open_nest(uint8_t *bytes, size_t *end, uint16_t type);
void close_nest(uint8_t *bytes, size_t end, size_t start);
void close_request(uint8_t *bytes, size_t end);

/* The attribute of this type in an entry. It must be there. */
const struct nlattr *find(const struct nlmsghdr *header, uint16_t type);

/* --- Dumps --- */

/* What the kernel is asked to dump or to flush. */
struct wanted {
    enum { EVERYTHING, IPV4, ZONE, MARK, SOURCE } by;
    uint32_t value;
};

size_t put_wanted(uint8_t *request, uint16_t message, uint16_t flags, struct wanted wanted);
void start_dump(struct wanted wanted);

/* Receives to the end without looking at entries: the message that ends a dump comes in a datagram of its own. */
uint64_t skip_dump(void);

/* Hands every entry to `each` (which may be NULL) and returns how many there were. */
uint32_t walk_dump(void (*each)(const struct nlmsghdr *, void *), void *data);

/* --- Requests --- */

enum request { CREATE, MARK_ANEW, DELETE, DELETE_WITHOUT_ID, LOOK_UP };

/* A finished request for one kind of connection, and where the fields lie that differ. */
struct template
{
    uint8_t bytes[REQUEST_MAX];
    uint16_t length;
    struct {
        uint16_t src, dst, sport, dport, icmp_id;
    } tuple[2];
    uint16_t zone, timeout, status, mark, tcp_state, id;
};

/* Whether entries are created with labels. */
extern int with_labels;

void make_template(struct template *t, enum request what, const struct flow *f);
void make_templates(enum request what, const struct flow *flows, uint32_t count);

/* Writes the request for one connection and returns its length. */
size_t fill_from(const struct template *t, uint8_t *at, enum request what, const struct flow *f, uint32_t id);
size_t fill_request(uint8_t *at, enum request what, const struct flow *f, uint32_t id);

/* Sends a batch whose last request, at `last`, gets the acknowledgement that ends it; returns how many failed. */
uint32_t exchange(uint8_t *bytes, size_t length, size_t last);

/* Sends the requests for `count` connections and returns how many succeeded. */
uint32_t run_batches(enum request what, const struct flow *flows, const uint32_t *ids, uint32_t count);

#endif
