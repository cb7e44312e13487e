/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * The floor: the least that a program can do to get an operation out of the kernel, written for this table alone. It
 * knows the shape of every request in advance and copies it from a template, looks at no more of the replies than it
 * must, and checks no more than that everything succeeded. How much more than that a library does is what is measured.
 *
 * Usage: raw OPERATION SIZE [KNOWN or PODS]. The operations `fill`, `fill-pods` and `fill-labels` make the table for the
 * other ones; `raw record SIZE FILE` writes down a dump of it.
 */

#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct flow *make_flows(uint32_t count)
{
    struct flow *flows = must_calloc(count, sizeof *flows);
    for (uint32_t i = 0; i < count; i++)
        flow_make(&flows[i], i);
    return flows;
}

static uint32_t count_entries(void)
{
    uint8_t request[32] = { 0 };
    const size_t end = put_header(request, IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC, 0);
    uint32_t value;

    close_request(request, end);
    sequence++;
    memcpy(request + offsetof(struct nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
    send_bytes(request, end);
    message_at(0, receive());
    const struct nlmsghdr *header = (const struct nlmsghdr *)received;
    if (header->nlmsg_type == NLMSG_ERROR)
        fail("count: %s", strerror(error_of(header)));
    memcpy(&value, find(header, CTA_STATS_GLOBAL_ENTRIES) + 1, sizeof value);
    return ntohl(value);
}

static void create(const char *op, uint32_t size, const struct flow *flows)
{
    make_templates(CREATE, flows, size);
    measure_start();
    const uint32_t done = run_batches(CREATE, flows, NULL, size);
    measure_stop();
    if (done != size)
        fail("only %u of %u entries could be created", done, size);
    measure_report("raw", op, size, done, 0);
}

static void dump(uint32_t size)
{
    measure_start();
    start_dump((struct wanted){ EVERYTHING, 0 });
    const uint64_t bytes = skip_dump();
    measure_stop();
    measure_report("raw", "dump", size, bytes, 0);
}

/* Writes the messages of a dump to a file, without the one that ends it. */
static void record(uint32_t size, const char *path)
{
    FILE *file = fopen(path, "we");
    uint32_t count = 0;

    if (!file)
        fail("%s: %s", path, strerror(errno));
    start_dump((struct wanted){ EVERYTHING, 0 });
    for (;;) {
        const size_t length = receive();
        const struct nlmsghdr *header = message_at(0, length);
        if (header->nlmsg_type == NLMSG_DONE)
            break;
        if (header->nlmsg_type == NLMSG_ERROR)
            fail("dump: %s", strerror(error_of(header)));
        if (fwrite(received, 1, length, file) != length)
            fail("%s: %s", path, strerror(errno));
        for (size_t at = 0; at < length; at += NLMSG_ALIGN(message_at(at, length)->nlmsg_len))
            count++;
    }
    if (fclose(file) != 0)
        fail("%s: %s", path, strerror(errno));
    if (count != size)
        fail("%u of %u entries recorded", count, size);
}

static void walk(const char *op, uint32_t size, struct wanted wanted)
{
    measure_start();
    start_dump(wanted);
    const uint32_t count = walk_dump(NULL, NULL);
    measure_stop();
    measure_report("raw", op, size, count, 0);
}

struct ids {
    const uint32_t *places;
    uint32_t *ids;
    uint32_t total, found;
};

static void learn_id(const struct nlmsghdr *header, void *data)
{
    struct ids *k = data;
    /* Tuple, addresses, source: the kernel nests them first, in this order. */
    const uint8_t *src = (const uint8_t *)find(header, CTA_TUPLE_ORIG) + 3 * NLA_HDRLEN;
    const uint32_t number = flow_number(((const struct nfgenmsg *)(header + 1))->nfgen_family, src);

    if (number >= k->total || k->places[number] == UINT32_MAX)
        return;
    memcpy(&k->ids[k->places[number]], find(header, CTA_ID) + 1, sizeof *k->ids);
    k->found++;
}

static void delete_known(const char *op, enum request what, uint32_t size, uint32_t known)
{
    struct flow *flows = must_calloc(known, sizeof *flows);
    struct ids k = {
        .places = flow_sample_places(known, size),
        .ids = must_calloc(known, sizeof *k.ids),
        .total = size,
    };

    for (uint32_t i = 0; i < known; i++)
        flow_make(&flows[i], flow_sample(i, size));
    start_dump((struct wanted){ EVERYTHING, 0 });
    walk_dump(learn_id, &k);
    if (k.found != known)
        fail("only %u of %u entries are there", k.found, known);
    make_templates(what, flows, known);
    measure_start();
    const uint32_t done = run_batches(what, flows, k.ids, known);
    measure_stop();
    measure_report("raw", op, known, done, 0);
}

/* Deletes that wait for the end of the dump, which has the socket. */
struct requests {
    /* The source addresses whose connections go; NULL: all that the kernel sends. */
    const struct address_set *sources;
    uint8_t *bytes;
    uint32_t *ends;
    uint32_t count, room;
};

static void add_delete(const struct nlmsghdr *header, void *data)
{
    struct requests *r = data;
    const struct nlattr *tuple = find(header, CTA_TUPLE_ORIG);
    size_t end;

    if (r->sources) {
        uint32_t src;
        memcpy(&src, (const uint8_t *)tuple + 3 * NLA_HDRLEN, sizeof src);
        if (*address_set_slot(r->sources, src) == 0)
            return;
    }
    if (r->count == r->room)
        fail("more entries than expected");
    uint8_t *at = r->bytes + (r->count ? r->ends[r->count - 1] : 0);
    end = put_header(at, IPCTNL_MSG_CT_DELETE, 0, ((const struct nfgenmsg *)(header + 1))->nfgen_family, 1);
    memcpy(at + end, tuple, tuple->nla_len);
    end += NLA_ALIGN(tuple->nla_len);
    /* Everything that is deleted here has a zone. */
    put(at, &end, CTA_ZONE, find(header, CTA_ZONE) + 1, 2);
    put(at, &end, CTA_ID, find(header, CTA_ID) + 1, 4);
    close_request(at, end);
    sequence++;
    memcpy(at + offsetof(struct nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
    r->ends[r->count] = (uint32_t)(at + end - r->bytes);
    r->count++;
}

/*
 * A dump, filtered by the kernel, and then batched deletes of what it found, so that the number is known. With
 * `sources`: of those entries that have one of these addresses.
 */
static void delete_wanted(const char *op, uint32_t victims, struct wanted wanted, const uint32_t *sources,
                          uint32_t source_count)
{
    const uint32_t room = victims + 1;
    struct requests r = {
        .bytes = must_calloc(room, REQUEST_MAX),
        .ends = must_calloc(room, sizeof *r.ends),
        .room = room,
    };
    struct address_set set;
    uint32_t done = 0;

    measure_start();
    if (sources) {
        address_set_init(&set, source_count);
        for (uint32_t i = 0; i < source_count; i++)
            address_set_add(&set, sources[i]);
        r.sources = &set;
    }
    /* With SOURCE: of each of the addresses, one after another. */
    do {
        start_dump(wanted);
        walk_dump(add_delete, &r);
        wanted.value++;
    } while (sources && wanted.by == SOURCE && wanted.value < pod_address(source_count));
    for (uint32_t first = 0; first < r.count;) {
        const uint32_t end = r.count - first < BATCH ? r.count : first + BATCH;
        const size_t from = first ? r.ends[first - 1] : 0;
        const size_t last = end - first > 1 ? r.ends[end - 2] - from : 0;
        done += end - first - exchange(r.bytes + from, r.ends[end - 1] - from, last);
        first = end;
    }
    measure_stop();
    measure_report("raw", op, victims, done, 0);
}

/* What is the least depends on how many: a walk for each address, or one list of everything that is IPv4. */
enum { WALKS_MOST = 3 };

static void delete_pods(const char *op, uint32_t pods)
{
    uint32_t *sources = must_calloc(pods, sizeof *sources);

    for (uint32_t i = 0; i < pods; i++)
        sources[i] = htonl(pod_address(i));
    const struct wanted each = { SOURCE, pod_address(0) }, all = { IPV4, 0 };
    delete_wanted(op, pods * POD_FLOWS, pods <= WALKS_MOST ? each : all, sources, pods);
}

/* One message that deletes everything, or everything of the zone. */
static void flush(const char *op, uint32_t victims, struct wanted wanted)
{
    uint8_t request[128] = { 0 };
    const size_t end = put_wanted(request, IPCTNL_MSG_CT_DELETE, 0, wanted);
    const uint32_t before = count_entries();

    measure_start();
    const uint32_t failed = exchange(request, end, 0);
    measure_stop();
    if (failed)
        fail("the kernel refused the flush");
    measure_report("raw", op, victims, before - count_entries(), 0);
}

/* One connection of each pod, one by one: a GET, for the id, and a DELETE. */
static void delete_one(uint32_t size)
{
    const uint32_t times = pod_count(size);
    const struct flow *flows = flow_of_each_pod(size);
    struct template get = { 0 };
    uint32_t done = 0;

    make_template(&get, LOOK_UP, &flows[0]);
    make_templates(DELETE, flows, times);
    measure_start();
    for (uint32_t i = 0; i < times; i++) {
        uint32_t id;
        send_bytes(batch, fill_from(&get, batch, LOOK_UP, &flows[i], 0));
        message_at(0, receive());
        const struct nlmsghdr *header = (const struct nlmsghdr *)received;
        if (header->nlmsg_type == NLMSG_ERROR)
            fail("get: %s", strerror(error_of(header)));
        memcpy(&id, find(header, CTA_ID) + 1, sizeof id);
        done += 1 - exchange(batch, fill_request(batch, DELETE, &flows[i], id), 0);
    }
    measure_stop();
    measure_report("raw", "delete-one", times, done, 0);
}

static void count(uint32_t times)
{
    uint32_t value = 0;

    measure_start();
    for (uint32_t i = 0; i < times; i++)
        value = count_entries();
    measure_stop();
    measure_report("raw", "count", times, value, 0);
}

/* The cheapest way to learn that there is nothing: open, count, close. */
static void empty(uint32_t times)
{
    uint64_t total = 0;

    close_socket();
    measure_start();
    for (uint32_t i = 0; i < times; i++) {
        open_socket();
        total += count_entries();
        close_socket();
    }
    measure_stop();
    measure_report("raw", "empty", times, total, 0);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: raw OPERATION SIZE [KNOWN]");
    const char *op = argv[1];
    const uint32_t size = must_number(argv[2]);
    const struct wanted everything = { EVERYTHING, 0 }, zone = { ZONE, BENCH_ZONE },
                        pod_by_zone = { ZONE, pod_zone(BENCH_POD) },
                        pod_by_address = { SOURCE, pod_address(BENCH_POD) },
                        pod_by_mark = { MARK, pod_mark(BENCH_POD) };

    open_socket();
    if (!strcmp(op, "fill") || !strcmp(op, "create"))
        create(op, size, make_flows(size));
    else if (!strcmp(op, "fill-labels")) {
        with_labels = 1;
        create(op, size, make_flows(size));
    } else if (!strcmp(op, "record") && argc > 3)
        record(size, argv[3]);
    else if (!strcmp(op, "fill-pods"))
        create(op, size, flows_with_pods(size));
    else if (!strcmp(op, "dump"))
        dump(size);
    else if (!strcmp(op, "walk"))
        walk(op, size, everything);
    else if (!strcmp(op, "list-zone"))
        walk(op, size / FLOW_ZONES, zone);
    else if (!strcmp(op, "list-pod-zone"))
        walk(op, POD_FLOWS, pod_by_zone);
    else if (!strcmp(op, "list-pod-address"))
        walk(op, POD_FLOWS, pod_by_address);
    else if (!strcmp(op, "list-pod-mark"))
        walk(op, POD_FLOWS, pod_by_mark);
    else if (!strcmp(op, "delete") && argc > 3)
        delete_known(op, DELETE, size, must_number(argv[3]));
    else if (!strcmp(op, "delete-without-id") && argc > 3)
        delete_known(op, DELETE_WITHOUT_ID, size, must_number(argv[3]));
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
        delete_one(size);
    else if (!strcmp(op, "flush"))
        flush(op, size, everything);
    else if (!strcmp(op, "flush-zone"))
        flush(op, size / FLOW_ZONES, zone);
    else if (!strcmp(op, "count"))
        count(size);
    else if (!strcmp(op, "empty"))
        empty(size);
    else if (!strcmp(op, "events") || !strcmp(op, "events-many"))
        read_events(op, size);
    else if (!strcmp(op, "events-paced"))
        lose_events(op, size);
    else if (!strncmp(op, "make-events", 11))
        make_the_events(op, size);
    else
        fail("no operation %s", op);
    return 0;
}
