/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * libctrack, as a program would use it. Usage: ctrack OPERATION SIZE [KNOWN or PODS]
 */

#include "bench.h"

#include <arpa/inet.h>
#include <ctrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 256 };

static struct ct_handle *h;

static struct ct_result result = { .size = sizeof result };

/* Says what failed. A call that only half succeeded is a failure here too. */
static void must(int code, const char *call)
{
    if (code < 0)
        fail("%s: %s: %s", call, ct_strerror(code), ct_handle_error(h));
}

static uint32_t word(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t read_entry(const struct ct_entry *e)
{
    return reading(word(e->orig.src), word(e->orig.dst), e->orig.sport, e->orig.dport, e->proto, e->mark, e->status);
}

static struct ct_filter by_zone(uint32_t zone)
{
    return (struct ct_filter){ .size = sizeof(struct ct_filter), .match = CT_MATCH_ZONE, .zone = zone };
}

static struct ct_filter by_mark(uint32_t mark)
{
    return (struct ct_filter){
        .size = sizeof(struct ct_filter),
        .match = CT_MATCH_MARK,
        .mark = mark,
        .mark_mask = UINT32_MAX,
    };
}

static struct ct_filter by_source(uint32_t address)
{
    struct ct_filter f = {
        .size = sizeof f,
        .match = CT_MATCH_FAMILY | CT_MATCH_ORIG_SRC,
        .family = CT_FAMILY_IPV4,
        .orig_src_prefix = 32,
    };
    address = htonl(address);
    memcpy(f.orig_src, &address, sizeof address);
    return f;
}

/* Exactly this connection of TCP over IPv4. */
static struct ct_filter by_tuple(const struct flow *flow)
{
    struct ct_filter f = {
        .size = sizeof f,
        .match = CT_MATCH_FAMILY | CT_MATCH_PROTO | CT_MATCH_ZONE | CT_MATCH_ORIG_SRC | CT_MATCH_ORIG_DST |
                 CT_MATCH_ORIG_SPORT | CT_MATCH_ORIG_DPORT,
        .family = flow->family,
        .proto = flow->proto,
        .zone = flow->zone,
        .orig_src_prefix = 32,
        .orig_dst_prefix = 32,
        .orig_sport_first = flow->sport,
        .orig_sport_last = flow->sport,
        .orig_dport_first = flow->dport,
        .orig_dport_last = flow->dport,
    };
    memcpy(f.orig_src, flow->src, 4);
    memcpy(f.orig_dst, flow->dst, 4);
    return f;
}

static void stream(uint32_t size)
{
    static struct ct_entry buffer[BATCH];
    uint64_t count = 0, sum = 0;
    int got;

    measure_start();
    must(ct_dump_start(h, NULL, 0), "ct_dump_start");
    while ((got = ct_dump_next(h, buffer, BATCH)) > 0) {
        for (int i = 0; i < got; i++)
            sum += read_entry(&buffer[i]);
        count += (uint64_t)got;
    }
    must(got, "ct_dump_next");
    measure_stop();
    measure_report("ctrack", "stream", size, count, sum);
}

/* The list alone, or with its release: then the pages of the array are given back on the clock too. */
static void list(const char *op, uint32_t size, const struct ct_filter *f, size_t n, int with_free)
{
    struct ct_entry *entries;
    uint64_t sum = 0;
    size_t count;

    measure_start();
    must(ct_list(h, f, n, &entries, &count), "ct_list");
    if (with_free)
        ct_entries_free(entries);
    measure_stop();
    if (!with_free) {
        for (size_t i = 0; i < count; i++)
            sum += read_entry(&entries[i]);
        ct_entries_free(entries);
    }
    measure_report("ctrack", op, size, count, sum);
}

/* Every entry as the line of `conntrack -L`. The sum is the length of all lines. */
static void format(uint32_t size)
{
    struct ct_entry *entries;
    uint64_t length = 0;
    size_t count, written = 0;
    char text[1024];

    must(ct_list(h, NULL, 0, &entries, &count), "ct_list");
    measure_start();
    for (size_t i = 0; i < count; i++) {
        const int here = ct_entry_format(&entries[i], CT_FORMAT_LINE, text, sizeof text);
        must(here, "ct_entry_format");
        length += (uint64_t)here;
        written += (size_t)here < sizeof text;
    }
    measure_stop();
    measure_report("ctrack", "format", size, written, length);
}

static struct ct_entry entry_of(const struct flow *f)
{
    struct ct_entry e = {
        .has = CT_HAS_ORIG | CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_TIMEOUT,
        .family = f->family,
        .proto = f->proto,
        .status = f->status,
        .mark = f->mark,
        .timeout = f->timeout,
    };
    memcpy(e.orig.src, f->src, sizeof e.orig.src);
    memcpy(e.orig.dst, f->dst, sizeof e.orig.dst);
    if (f->proto == CT_PROTO_ICMP || f->proto == CT_PROTO_ICMPV6) {
        e.has |= CT_HAS_ICMP;
        e.orig.icmp_id = f->sport;
        e.orig.icmp_type = f->proto == CT_PROTO_ICMP ? 8 : 128;
    } else {
        e.has |= CT_HAS_PORTS;
        e.orig.sport = f->sport;
        e.orig.dport = f->dport;
    }
    if (f->proto == CT_PROTO_TCP) {
        e.has |= CT_HAS_TCP_STATE;
        e.tcp_state = f->tcp_state;
    }
    if (f->zone) {
        e.has |= CT_HAS_ZONE;
        e.zone = f->zone;
    }
    return e;
}

static void create(uint32_t size)
{
    struct ct_entry *entries = must_calloc(size, sizeof *entries);
    int32_t *status = must_calloc(size, sizeof *status);

    for (uint32_t i = 0; i < size; i++) {
        struct flow f;
        flow_make(&f, i);
        entries[i] = entry_of(&f);
    }
    measure_start();
    must(ct_create_entries(h, entries, size, status, &result), "ct_create_entries");
    measure_stop();
    measure_report("ctrack", "create", size, result.done, 0);
}

static void delete_known(uint32_t size, uint32_t known)
{
    uint32_t *places = flow_sample_places(known, size);
    struct ct_entry *victims = must_calloc(known, sizeof *victims), *entries;
    int32_t *status = must_calloc(known, sizeof *status);
    uint32_t found = 0;
    size_t count;

    must(ct_list(h, NULL, 0, &entries, &count), "ct_list");
    for (size_t i = 0; i < count; i++) {
        const uint32_t number = flow_number(entries[i].family, entries[i].orig.src);
        if (number < size && places[number] != UINT32_MAX) {
            victims[places[number]] = entries[i];
            found++;
        }
    }
    ct_entries_free(entries);
    if (found != known)
        fail("only %u of %u entries are there", found, known);
    measure_start();
    must(ct_delete_entries(h, victims, known, status, &result), "ct_delete_entries");
    measure_stop();
    measure_report("ctrack", "delete", known, result.done, 0);
}

static void delete_selected(const char *op, uint32_t victims, const struct ct_filter *f, size_t n)
{
    measure_start();
    must(ct_delete(h, f, n, 0, &result), "ct_delete");
    measure_stop();
    measure_report("ctrack", op, victims, result.done, 0);
}

static void delete_uncounted(const char *op, uint32_t victims, const struct ct_filter *f)
{
    uint64_t before, after;

    must(ct_count(h, &before), "ct_count");
    measure_start();
    must(ct_delete(h, f, 1, CT_DELETE_UNCOUNTED, &result), "ct_delete");
    measure_stop();
    if (!(result.flags & CT_RESULT_UNCOUNTED))
        fail("the kernel did not delete by itself");
    must(ct_count(h, &after), "ct_count");
    measure_report("ctrack", op, victims, before - after, 0);
}

static void delete_pods(const char *op, uint32_t pods)
{
    struct ct_filter *filters = must_calloc(pods, sizeof *filters);

    for (uint32_t i = 0; i < pods; i++)
        filters[i] = by_source(pod_address(i));
    delete_selected(op, pods * POD_FLOWS, filters, pods);
}

/* One connection of each pod, one by one. */
static void delete_one(const char *op, uint32_t size)
{
    const uint32_t times = pod_count(size);
    const struct flow *flows = flow_of_each_pod(size);
    struct ct_filter *filters = must_calloc(times, sizeof *filters);
    uint64_t done = 0;

    for (uint32_t i = 0; i < times; i++)
        filters[i] = by_tuple(&flows[i]);
    measure_start();
    for (uint32_t i = 0; i < times; i++) {
        must(ct_delete(h, &filters[i], 1, 0, &result), "ct_delete");
        done += result.done;
    }
    measure_stop();
    measure_report("ctrack", op, times, done, 0);
}

static void flush(const char *op, uint32_t size, const struct ct_filter *scope)
{
    uint64_t before, after;

    must(ct_count(h, &before), "ct_count");
    measure_start();
    must(ct_flush(h, scope, scope ? 0 : CT_FLUSH_ALL), "ct_flush");
    measure_stop();
    must(ct_count(h, &after), "ct_count");
    measure_report("ctrack", op, scope ? size / FLOW_ZONES : size, before - after, 0);
}

static void count(uint32_t times)
{
    uint64_t value = 0;

    measure_start();
    for (uint32_t i = 0; i < times; i++)
        must(ct_count(h, &value), "ct_count");
    measure_stop();
    measure_report("ctrack", "count", times, value, 0);
}

/* The whole way of a program that finds nothing: open, list or (with a filter) delete, close. */
static void empty(const char *op, uint32_t times, const struct ct_filter *victims)
{
    uint64_t total = 0;

    ct_handle_close(h);
    measure_start();
    for (uint32_t i = 0; i < times; i++) {
        struct ct_entry *entries;
        size_t found;
        must(ct_handle_open(&h, NULL), "ct_handle_open");
        if (victims) {
            must(ct_delete(h, victims, 1, 0, &result), "ct_delete");
            total += result.matched;
        } else {
            must(ct_list(h, NULL, 0, &entries, &found), "ct_list");
            ct_entries_free(entries);
            total += found;
        }
        ct_handle_close(h);
    }
    measure_stop();
    h = NULL;
    measure_report("ctrack", op, times, total, 0);
}

/* --- Watching --- */

static struct ct_watch *open_watch(uint32_t flags, uint32_t rcvbuf)
{
    const struct ct_watch_opts opts = { .size = sizeof opts, .flags = flags, .rcvbuf = rcvbuf };
    struct ct_watch *w;

    must(ct_watch_open(&w, &opts), "ct_watch_open");
    if (ct_watch_start(w, NULL, 0) < 0)
        fail("ct_watch_start: %s", ct_watch_error(w));
    return w;
}

static struct ct_event events[BATCH];

static uint32_t some_events(struct ct_watch *w, int timeout_ms)
{
    const int got = ct_watch_next(w, events, BATCH, timeout_ms);
    if (got < 0)
        fail("ct_watch_next: %s", ct_watch_error(w));
    return (uint32_t)got;
}

/* Reads up to CT_EVENT_SYNCED and returns how many entries were told. */
static uint32_t synchronize(struct ct_watch *w, uint64_t *sum)
{
    for (uint32_t count = 0;;) {
        const uint32_t got = some_events(w, -1);
        for (uint32_t i = 0; i < got; i++) {
            if (events[i].type == CT_EVENT_SYNCED)
                return count;
            *sum += read_entry(&events[i].entry);
            count++;
        }
    }
}

/* What is left for two seconds after the groups were joined: the kernel is asked more. */
enum { IN_DOUBT_MS = 2100 };

static void read_events(const char *op, uint32_t count, uint32_t flags)
{
    struct ct_watch *w = open_watch(flags, EVENT_BUFFER);
    uint64_t sum = 0;
    uint32_t read = 0, got;

    if (flags & CT_WATCH_SYNC) {
        synchronize(w, &sum);
        usleep(IN_DOUBT_MS * 1000);
        sum = some_events(w, 0);
    }
    make_events(count);
    measure_start();
    while (read < count && (got = some_events(w, 0)) > 0)
        for (uint32_t i = 0; i < got; i++) {
            read += events[i].type <= CT_EVENT_DESTROY;
            sum += read_entry(&events[i].entry);
        }
    measure_stop();
    measure_report("ctrack", op, count, read, sum);
    ct_watch_close(w);
}

/* With the options that are the defaults. */
static void lose_events(const char *op, uint32_t count)
{
    struct ct_watch *w = open_watch(0, 0);
    uint32_t read = 0, got;
    int goes_on;

    measure_start();
    begin_events(count);
    do {
        goes_on = events_go_on();
        while ((got = some_events(w, 100)) > 0)
            for (uint32_t i = 0; i < got; i++)
                read += events[i].type <= CT_EVENT_DESTROY;
    } while (goes_on);
    measure_stop();
    measure_report("ctrack", op, count, read, 0);
    ct_watch_close(w);
}

static void first_list(const char *op, uint32_t size)
{
    uint64_t sum = 0;

    measure_start();
    struct ct_watch *w = open_watch(CT_WATCH_SYNC, 0);
    const uint32_t count = synchronize(w, &sum);
    measure_stop();
    measure_report("ctrack", op, size, count, sum);
    ct_watch_close(w);
}

/* Of entries that are as they were told before, nothing is told. */
static void list_again(const char *op, uint32_t size)
{
    struct ct_watch_info info = { .size = sizeof info };
    struct ct_watch *w = open_watch(CT_WATCH_SYNC, 0);
    uint64_t sum = 0;

    synchronize(w, &sum);
    must(ct_watch_resync(w), "ct_watch_resync");
    measure_start();
    const uint32_t told = synchronize(w, &sum);
    measure_stop();
    must(ct_watch_get_info(w, &info), "ct_watch_get_info");
    if (told != 0)
        fail("%u entries were told again", told);
    measure_report("ctrack", op, size, (uint32_t)info.entries, 0);
    ct_watch_close(w);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: ctrack OPERATION SIZE [KNOWN]");
    const char *op = argv[1];
    const uint32_t size = must_number(argv[2]);
    const struct ct_filter zone = by_zone(BENCH_ZONE), pod_by_zone = by_zone(pod_zone(BENCH_POD)),
                           pod_by_address = by_source(pod_address(BENCH_POD)),
                           pod_by_mark = by_mark(pod_mark(BENCH_POD));

    must(ct_handle_open(&h, NULL), "ct_handle_open");
    if (!strcmp(op, "stream"))
        stream(size);
    else if (!strcmp(op, "list"))
        list(op, size, NULL, 0, 0);
    else if (!strcmp(op, "list-free"))
        list(op, size, NULL, 0, 1);
    else if (!strcmp(op, "list-zone"))
        list(op, size / FLOW_ZONES, &zone, 1, 0);
    else if (!strcmp(op, "list-pod-zone"))
        list(op, POD_FLOWS, &pod_by_zone, 1, 0);
    else if (!strcmp(op, "list-pod-address"))
        list(op, POD_FLOWS, &pod_by_address, 1, 0);
    else if (!strcmp(op, "list-pod-mark"))
        list(op, POD_FLOWS, &pod_by_mark, 1, 0);
    else if (!strcmp(op, "format"))
        format(size);
    else if (!strcmp(op, "create"))
        create(size);
    else if (!strcmp(op, "delete") && argc > 3)
        delete_known(size, must_number(argv[3]));
    else if (!strcmp(op, "delete-zone"))
        delete_selected(op, size / FLOW_ZONES, &zone, 1);
    else if (!strcmp(op, "delete-zone-uncounted"))
        delete_uncounted(op, size / FLOW_ZONES, &zone);
    else if (!strcmp(op, "delete-pod-zone"))
        delete_selected(op, POD_FLOWS, &pod_by_zone, 1);
    else if (!strcmp(op, "delete-pod-address"))
        delete_selected(op, POD_FLOWS, &pod_by_address, 1);
    else if (!strcmp(op, "delete-pod-mark"))
        delete_selected(op, POD_FLOWS, &pod_by_mark, 1);
    else if (!strcmp(op, "delete-pods"))
        delete_pods(op, argc > 3 ? must_number(argv[3]) : pod_count(size));
    else if (!strcmp(op, "delete-one"))
        delete_one(op, size);
    else if (!strcmp(op, "flush"))
        flush(op, size, NULL);
    else if (!strcmp(op, "flush-zone"))
        flush(op, size, &zone);
    else if (!strcmp(op, "count"))
        count(size);
    else if (!strcmp(op, "empty"))
        empty(op, size, NULL);
    else if (!strcmp(op, "empty-delete"))
        empty(op, size, &zone);
    else if (!strcmp(op, "events") || !strcmp(op, "events-many"))
        read_events(op, size, 0);
    else if (!strcmp(op, "events-known"))
        read_events(op, size, CT_WATCH_SYNC);
    else if (!strcmp(op, "events-paced"))
        lose_events(op, size);
    else if (!strcmp(op, "watch-list"))
        first_list(op, size);
    else if (!strcmp(op, "watch-again"))
        list_again(op, size);
    else
        fail("no operation %s", op);
    ct_handle_close(h);
    return 0;
}
