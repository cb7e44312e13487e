/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * libnetfilter_conntrack, used by its documentation: nfct_query() with a callback and getters.
 *
 * Usage: lnfct OPERATION SIZE [KNOWN or PODS or FILE]
 */

#include "bench.h"
#include "lnfct.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct nfct_handle *h;

static const uint32_t any_family = AF_UNSPEC;

static void open_handle(void)
{
    h = nfct_open(CONNTRACK, 0);
    if (!h)
        fail("nfct_open: %s", strerror(errno));
}

static void query(enum nf_conntrack_query what, const void *data, const char *name)
{
    if (nfct_query(h, what, data) == -1)
        fail("nfct_query %s: %s", name, strerror(errno));
}

typedef int callback(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data);

static void dump(callback *each, void *data)
{
    if (nfct_callback_register(h, NFCT_T_ALL, each, data) != 0)
        fail("nfct_callback_register: %s", strerror(errno));
    query(NFCT_Q_DUMP, &any_family, "dump");
    nfct_callback_unregister(h);
}

/* With the filter that this library has the kernel apply to a dump: the mark. */
static void dump_mark(uint32_t mark, callback *each, void *data)
{
    const struct nfct_filter_dump_mark wanted = { .val = mark, .mask = UINT32_MAX };
    struct nfct_filter_dump *filter = nfct_filter_dump_create();
    if (!filter || nfct_callback_register(h, NFCT_T_ALL, each, data) != 0)
        fail("nfct_filter_dump_create, nfct_callback_register: %s", strerror(errno));
    nfct_filter_dump_set_attr(filter, NFCT_FILTER_DUMP_MARK, &wanted);
    nfct_filter_dump_set_attr_u8(filter, NFCT_FILTER_DUMP_L3NUM, AF_UNSPEC);
    query(NFCT_Q_DUMP_FILTER, filter, "filtered dump");
    nfct_callback_unregister(h);
    nfct_filter_dump_destroy(filter);
}

/* Entries that a callback kept. */
struct kept {
    struct nf_conntrack **entries;
    uint32_t count, room;
    /* What to keep: the entries of a sample, or with one of these addresses, or with this zone, mark or address. */
    const uint32_t *places;
    uint32_t total;
    const struct address_set *sources;
    struct wanted {
        enum { EVERYTHING, ZONE, MARK, SOURCE } by;
        uint32_t value;
    } wanted;
};

static uint32_t first_word(const struct nf_conntrack *ct, enum nf_conntrack_attr v4, enum nf_conntrack_attr v6)
{
    const int is_v4 = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO) == AF_INET;
    uint32_t word;
    memcpy(&word, nfct_get_attr(ct, is_v4 ? v4 : v6), sizeof word);
    return word;
}

uint64_t read_entry(const struct nf_conntrack *ct)
{
    const uint32_t src = first_word(ct, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
    const uint32_t dst = first_word(ct, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
    const uint8_t proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO);
    uint16_t sport = 0, dport = 0;
    if (proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6) {
        sport = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC));
        dport = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST));
    }
    return reading(src, dst, sport, dport, proto, nfct_get_attr_u32(ct, ATTR_MARK), nfct_get_attr_u32(ct, ATTR_STATUS));
}

struct readings {
    uint64_t count, sum;
};

static int add_reading(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data)
{
    struct readings *r = data;
    (void)type;
    r->count++;
    r->sum += read_entry(ct);
    return NFCT_CB_CONTINUE;
}

static int is_wanted(const struct kept *k, const struct nf_conntrack *ct)
{
    if (k->sources)
        return nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO) == AF_INET &&
               *address_set_slot(k->sources, nfct_get_attr_u32(ct, ATTR_ORIG_IPV4_SRC)) != 0;
    switch (k->wanted.by) {
    case ZONE:
        return nfct_get_attr_u16(ct, ATTR_ZONE) == k->wanted.value;
    case MARK:
        return nfct_get_attr_u32(ct, ATTR_MARK) == k->wanted.value;
    case SOURCE:
        return nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO) == AF_INET &&
               nfct_get_attr_u32(ct, ATTR_ORIG_IPV4_SRC) == k->wanted.value;
    default:
        return 1;
    }
}

static int keep(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data)
{
    struct kept *k = data;
    uint32_t at = k->count;
    (void)type;
    if (k->places) {
        const uint8_t family = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO);
        const enum nf_conntrack_attr src = family == AF_INET ? ATTR_ORIG_IPV4_SRC : ATTR_ORIG_IPV6_SRC;
        const uint32_t number = flow_number(family, nfct_get_attr(ct, src));
        at = number < k->total ? k->places[number] : UINT32_MAX;
        if (at == UINT32_MAX)
            return NFCT_CB_CONTINUE;
    } else if (!is_wanted(k, ct)) {
        return NFCT_CB_CONTINUE;
    }
    if (at >= k->room)
        fail("more entries than expected");
    k->entries[at] = ct;
    k->count++;
    return NFCT_CB_STOLEN;
}

static void stream(uint32_t size)
{
    struct readings r = { 0, 0 };

    measure_start();
    dump(add_reading, &r);
    measure_stop();
    measure_report("lnfct", "stream", size, r.count, r.sum);
}

static void dump_wanted(struct kept *k)
{
    if (k->wanted.by == MARK)
        dump_mark(k->wanted.value, keep, k);
    else
        dump(keep, k);
}

static void list(const char *op, uint32_t room, struct wanted wanted, int with_free)
{
    struct kept k = { .entries = must_calloc(room + 1, sizeof *k.entries), .room = room + 1, .wanted = wanted };
    uint64_t sum = 0;

    measure_start();
    dump_wanted(&k);
    if (with_free)
        for (uint32_t i = 0; i < k.count; i++)
            nfct_destroy(k.entries[i]);
    measure_stop();
    if (!with_free)
        for (uint32_t i = 0; i < k.count; i++)
            sum += read_entry(k.entries[i]);
    measure_report("lnfct", op, room, k.count, sum);
}

static void format_all(uint32_t size)
{
    struct kept k = { .entries = must_calloc(size, sizeof *k.entries), .room = size };

    dump(keep, &k);
    format(size, k.entries, k.count);
}

static struct nf_conntrack *entry_of(const struct flow *f)
{
    struct nf_conntrack *ct = nfct_new();
    if (!ct)
        fail("nfct_new: %s", strerror(errno));
    nfct_set_attr_u8(ct, ATTR_L3PROTO, f->family);
    nfct_set_attr_u8(ct, ATTR_L4PROTO, f->proto);
    nfct_set_attr(ct, f->family == AF_INET ? ATTR_IPV4_SRC : ATTR_IPV6_SRC, f->src);
    nfct_set_attr(ct, f->family == AF_INET ? ATTR_IPV4_DST : ATTR_IPV6_DST, f->dst);
    if (f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6) {
        nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, f->proto == IPPROTO_ICMP ? 8 : 128);
        nfct_set_attr_u8(ct, ATTR_ICMP_CODE, 0);
        nfct_set_attr_u16(ct, ATTR_ICMP_ID, htons(f->sport));
    } else {
        nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(f->sport));
        nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(f->dport));
    }
    nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
    if (f->proto == IPPROTO_TCP)
        nfct_set_attr_u8(ct, ATTR_TCP_STATE, f->tcp_state);
    if (f->zone)
        nfct_set_attr_u16(ct, ATTR_ZONE, f->zone);
    nfct_set_attr_u32(ct, ATTR_STATUS, f->status);
    nfct_set_attr_u32(ct, ATTR_MARK, f->mark);
    nfct_set_attr_u32(ct, ATTR_TIMEOUT, f->timeout);
    return ct;
}

static void create(uint32_t size)
{
    struct nf_conntrack **entries = must_calloc(size, sizeof *entries);

    for (uint32_t i = 0; i < size; i++) {
        struct flow f;
        flow_make(&f, i);
        entries[i] = entry_of(&f);
    }
    measure_start();
    for (uint32_t i = 0; i < size; i++)
        query(NFCT_Q_CREATE, entries[i], "create");
    measure_stop();
    measure_report("lnfct", "create", size, size, 0);
}

static void delete_known(uint32_t size, uint32_t known)
{
    struct kept k = {
        .entries = must_calloc(known, sizeof *k.entries),
        .room = known,
        .places = flow_sample_places(known, size),
        .total = size,
    };
    dump(keep, &k);
    if (k.count != known)
        fail("only %u of %u entries are there", k.count, known);
    measure_start();
    for (uint32_t i = 0; i < known; i++)
        query(NFCT_Q_DESTROY, k.entries[i], "destroy");
    measure_stop();
    measure_report("lnfct", "delete", known, known, 0);
}

static void delete_wanted(const char *op, uint32_t victims, struct wanted wanted, const uint32_t *sources,
                          uint32_t source_count)
{
    const uint32_t room = victims + 1;
    struct kept k = { .entries = must_calloc(room, sizeof *k.entries), .room = room, .wanted = wanted };
    struct address_set set;

    measure_start();
    if (sources) {
        address_set_init(&set, source_count);
        for (uint32_t i = 0; i < source_count; i++)
            address_set_add(&set, sources[i]);
        k.sources = &set;
    }
    dump_wanted(&k);
    for (uint32_t i = 0; i < k.count; i++) {
        query(NFCT_Q_DESTROY, k.entries[i], "destroy");
        nfct_destroy(k.entries[i]);
    }
    measure_stop();
    measure_report("lnfct", op, victims, k.count, 0);
}

static void delete_pods(const char *op, uint32_t pods)
{
    uint32_t *sources = must_calloc(pods, sizeof *sources);

    for (uint32_t i = 0; i < pods; i++)
        sources[i] = htonl(pod_address(i));
    delete_wanted(op, pods * POD_FLOWS, (struct wanted){ EVERYTHING, 0 }, sources, pods);
}

/* One connection of each pod, one by one: a query for it, for the id, and one that deletes it. */
static void delete_one(const char *op, uint32_t size)
{
    const uint32_t times = pod_count(size);
    const struct flow *flows = flow_of_each_pod(size);
    struct nf_conntrack **keys = must_calloc(times, sizeof *keys), *found;
    uint32_t done = 0;

    for (uint32_t i = 0; i < times; i++)
        keys[i] = entry_of(&flows[i]);
    measure_start();
    for (uint32_t i = 0; i < times; i++) {
        struct kept k = { .entries = &found, .room = 1 };
        if (nfct_callback_register(h, NFCT_T_ALL, keep, &k) != 0)
            fail("nfct_callback_register: %s", strerror(errno));
        query(NFCT_Q_GET, keys[i], "get");
        nfct_callback_unregister(h);
        if (k.count != 1)
            fail("an entry that should be there is not");
        query(NFCT_Q_DESTROY, found, "destroy");
        nfct_destroy(found);
        done++;
    }
    measure_stop();
    measure_report("lnfct", op, times, done, 0);
}

static void flush(uint32_t size)
{
    struct readings before = { 0, 0 }, after = { 0, 0 };

    dump(add_reading, &before);
    measure_start();
    query(NFCT_Q_FLUSH, &any_family, "flush");
    measure_stop();
    dump(add_reading, &after);
    measure_report("lnfct", "flush", size, before.count - after.count, 0);
}

struct events {
    struct readings read;
    uint32_t wanted;
};

static int add_event(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data)
{
    struct events *e = data;
    add_reading(type, ct, &e->read);
    return e->read.count == e->wanted ? NFCT_CB_STOP : NFCT_CB_CONTINUE;
}

static void listen_for_events(struct events *e)
{
    nfct_close(h);
    h = nfct_open(CONNTRACK, NFCT_ALL_CT_GROUPS);
    if (!h || nfct_callback_register(h, NFCT_T_ALL, add_event, e) != 0)
        fail("nfct_open, nfct_callback_register: %s", strerror(errno));
}

static void read_events(const char *op, uint32_t count)
{
    struct events e = { .wanted = count };
    const uint32_t buffer = EVENT_BUFFER;

    listen_for_events(&e);
    if (setsockopt(nfct_fd(h), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
        fail("SO_RCVBUFFORCE: %s", strerror(errno));
    make_events(count);
    measure_start();
    if (nfct_catch(h) == -1)
        fail("nfct_catch: %s", strerror(errno));
    measure_stop();
    measure_report("lnfct", op, count, e.read.count, e.read.sum);
}

/* With a socket as it is made. After ENOBUFS the program goes on. */
static void lose_events(const char *op, uint32_t count)
{
    struct events e = { .wanted = count };
    int goes_on;

    listen_for_events(&e);
    fcntl(nfct_fd(h), F_SETFL, O_NONBLOCK);
    measure_start();
    begin_events(count);
    do {
        struct pollfd ready = { .fd = nfct_fd(h), .events = POLLIN };
        goes_on = events_go_on();
        poll(&ready, 1, 100);
        if (nfct_catch(h) == -1 && errno != EAGAIN && errno != ENOBUFS)
            fail("nfct_catch: %s", strerror(errno));
    } while (goes_on);
    measure_stop();
    measure_report("lnfct", op, count, e.read.count, 0);
}

/* A delete by filter has to dump too. */
static void empty(const char *op, uint32_t times)
{
    struct readings r = { 0, 0 };

    nfct_close(h);
    measure_start();
    for (uint32_t i = 0; i < times; i++) {
        open_handle();
        dump(add_reading, &r);
        nfct_close(h);
    }
    measure_stop();
    h = NULL;
    measure_report("lnfct", op, times, r.count, 0);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: lnfct OPERATION SIZE [KNOWN]");
    const char *op = argv[1];
    const uint32_t size = must_number(argv[2]);
    const struct wanted everything = { EVERYTHING, 0 }, zone = { ZONE, BENCH_ZONE },
                        pod_by_zone = { ZONE, pod_zone(BENCH_POD) },
                        pod_by_address = { SOURCE, htonl(pod_address(BENCH_POD)) },
                        pod_by_mark = { MARK, pod_mark(BENCH_POD) };

    open_handle();
    if (!strcmp(op, "stream"))
        stream(size);
    else if (!strcmp(op, "list"))
        list(op, size, everything, 0);
    else if (!strcmp(op, "list-free"))
        list(op, size, everything, 1);
    else if (!strcmp(op, "list-zone"))
        list(op, size / FLOW_ZONES, zone, 0);
    else if (!strcmp(op, "list-pod-zone"))
        list(op, POD_FLOWS, pod_by_zone, 0);
    else if (!strcmp(op, "list-pod-address"))
        list(op, POD_FLOWS, pod_by_address, 0);
    else if (!strcmp(op, "list-pod-mark"))
        list(op, POD_FLOWS, pod_by_mark, 0);
    else if (!strcmp(op, "format"))
        format_all(size);
    else if ((!strncmp(op, "decode-", 7) || !strncmp(op, "general-", 8)) && argc > 3)
        decode(op, size, argv[3]);
    else if (!strcmp(op, "create"))
        create(size);
    else if (!strcmp(op, "delete") && argc > 3)
        delete_known(size, must_number(argv[3]));
    else if (!strcmp(op, "delete-zone"))
        delete_wanted(op, size / FLOW_ZONES, zone, NULL, 0);
    else if (!strcmp(op, "delete-pod-zone"))
        delete_wanted(op, POD_FLOWS, pod_by_zone, NULL, 0);
    else if (!strcmp(op, "delete-pod-address"))
        delete_wanted(op, POD_FLOWS, pod_by_address, NULL, 0);
    else if (!strcmp(op, "delete-pod-mark"))
        delete_wanted(op, POD_FLOWS, pod_by_mark, NULL, 0);
    else if (!strcmp(op, "delete-pods"))
        delete_pods(op, argc > 3 ? must_number(argv[3]) : pod_count(size));
    else if (!strcmp(op, "delete-one"))
        delete_one(op, size);
    else if (!strcmp(op, "flush"))
        flush(size);
    else if (!strcmp(op, "empty") || !strcmp(op, "empty-delete"))
        empty(op, size);
    else if (!strcmp(op, "events"))
        read_events(op, size);
    else if (!strcmp(op, "events-paced"))
        lose_events(op, size);
    else
        fail("no operation %s", op);
    if (h)
        nfct_close(h);
    return 0;
}
