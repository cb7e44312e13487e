/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * What libctrack does, on real flows that scripts/demo.sh made: list, count, delete by filter, delete given entries,
 * flush; and watch, over a flow of its own.
 * Usage: demo NUMBER-OF-FLOWS
 *
 * It also checks itself: every step must take exactly the entries that a plain loop over the list before would take,
 * and leave all others alone; and a watch, which runs all the time, must hear of each that goes. Exit code 1 if not, or
 * if a call fails.
 */

#include <arpa/inet.h>
#include <ctrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The addresses of demo.sh. */
#define DEAD "127.0.1.7"
#define CLIENT "127.0.1.5"
#define SERVER "127.0.1.10"
#define ZONES 3
#define NEW_PORT 40009
/* No event comes later; this only ends a demo that hangs. */
#define WAIT_MS 10000

static struct ct_handle *handle;
static struct ct_watch *watch;
/* Entries that the watch knows of, and the ends that it told. */
static size_t known, ended;

struct list {
    struct ct_entry *entries;
    size_t count;
};

static void check(int result, const char *call)
{
    const char *why = strncmp(call, "ct_watch", 8) == 0 ? ct_watch_error(watch) : ct_handle_error(handle);

    if (result >= 0)
        return;
    fprintf(stderr, "demo: %s: %s (%s)\n", call, why, ct_strerror(result));
    exit(1);
}

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "demo: wrong: %s\n", what);
    exit(1);
}

static struct list list_all(void)
{
    struct list list;

    check(ct_list(handle, NULL, 0, &list.entries, &list.count), "ct_list");
    return list;
}

static void ipv4(uint8_t address[16], const char *text)
{
    memset(address, 0, 16);
    must(inet_pton(AF_INET, text, address) == 1, "an address of the demo");
}

static const char *protocol(const struct ct_entry *e)
{
    switch (e->proto) {
    case CT_PROTO_TCP:
        return "tcp";
    case CT_PROTO_UDP:
        return "udp";
    case CT_PROTO_ICMP:
        return "icmp";
    case CT_PROTO_ICMPV6:
        return "icmpv6";
    default:
        return "other";
    }
}

static const char *state(const struct ct_entry *e)
{
    if (e->has & CT_HAS_TCP_STATE) {
        switch (e->tcp_state) {
        case CT_TCP_STATE_SYN_SENT:
            return "syn sent";
        case CT_TCP_STATE_ESTABLISHED:
            return "established";
        case CT_TCP_STATE_TIME_WAIT:
            return "time wait";
        default:
            return "closing";
        }
    }
    return e->status & CT_STATUS_SEEN_REPLY ? "answered" : "no answer";
}

static void endpoint(char *text, size_t size, const struct ct_entry *e, const uint8_t *address, unsigned port)
{
    char name[INET6_ADDRSTRLEN];

    inet_ntop(e->family, address, name, sizeof name);
    if (!(e->has & CT_HAS_PORTS))
        snprintf(text, size, "%s", name);
    else if (e->family == CT_FAMILY_IPV6)
        snprintf(text, size, "[%s]:%u", name, port);
    else
        snprintf(text, size, "%s:%u", name, port);
}

static void print_entry(const struct ct_entry *e)
{
    char from[64], to[64];

    endpoint(from, sizeof from, e, e->orig.src, e->orig.sport);
    endpoint(to, sizeof to, e, e->orig.dst, e->orig.dport);
    printf("   %4u  %-6s  %-20s  %-20s  %-11s  %4u  %7llu\n", (unsigned)e->zone, protocol(e), from, to, state(e),
           (unsigned)e->mark, (unsigned long long)(e->orig_counters.packets + e->reply_counters.packets));
}

static int by_zone(const void *left, const void *right)
{
    const struct ct_entry *a = left, *b = right;

    if (a->zone != b->zone)
        return a->zone < b->zone ? -1 : 1;
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    if (a->proto != b->proto)
        return a->proto < b->proto ? -1 : 1;
    if (a->orig.sport != b->orig.sport)
        return a->orig.sport < b->orig.sport ? -1 : 1;
    return 0;
}

static void print_zones(const char *label, const struct list *list)
{
    size_t in_zone[ZONES] = { 0 };
    size_t i;

    for (i = 0; i < list->count; i++) {
        must(list->entries[i].zone < ZONES, "an entry is in a zone that no rule gives");
        in_zone[list->entries[i].zone]++;
    }
    printf("   %s: %zu", label, list->count);
    for (i = 0; i < ZONES; i++)
        printf("%s zone %zu: %zu", i == 0 ? " -" : ",", i, in_zone[i]);
    puts("");
}

static int is_of_dead(const struct ct_entry *e)
{
    uint8_t dead[16];

    ipv4(dead, DEAD);
    return e->family == CT_FAMILY_IPV4 && (memcmp(e->orig.src, dead, 16) == 0 || memcmp(e->reply.src, dead, 16) == 0);
}

static int is_of_client(const struct ct_entry *e)
{
    uint8_t client[16];

    ipv4(client, CLIENT);
    return e->family == CT_FAMILY_IPV4 && memcmp(e->orig.src, client, 16) == 0;
}

static int is_udp_of_zone_2(const struct ct_entry *e)
{
    return e->zone == 2 && e->proto == CT_PROTO_UDP;
}

static int is_of_zone_2(const struct ct_entry *e)
{
    return e->zone == 2;
}

static int is_any(const struct ct_entry *e)
{
    (void)e;
    return 1;
}

static size_t count_of(const struct list *list, int (*is_meant)(const struct ct_entry *))
{
    size_t count = 0, i;

    for (i = 0; i < list->count; i++)
        count += is_meant(&list->entries[i]) != 0;
    return count;
}

static void print_event(const struct ct_event *ev)
{
    char line[1024];

    ct_event_format(ev, CT_FORMAT_LINE, line, sizeof line);
    printf("   %s\n", line);
}

/* Takes events until one of this type came, and counts. */
static void watch_until(uint32_t type, int print)
{
    struct ct_event ev = { .type = 0 };

    do {
        int n = ct_watch_next(watch, &ev, 1, WAIT_MS);

        check(n, "ct_watch_next");
        must(n == 1, "an event did not come");
        must(ev.type != CT_EVENT_LOST, "events were lost");
        known += ev.type == CT_EVENT_NEW;
        known -= ev.type == CT_EVENT_DESTROY;
        ended += ev.type == CT_EVENT_DESTROY;
        if (print)
            print_event(&ev);
    } while (ev.type != type);
}

static void begin_watch(size_t expected)
{
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = CT_WATCH_SYNC };

    check(ct_watch_open(&watch, &opts), "ct_watch_open");
    check(ct_watch_start(watch, NULL, 0), "ct_watch_start");
    watch_until(CT_EVENT_SYNCED, 0);
    must(known == expected, "the watch does not know all entries");
    printf("   A watch runs beside all that: it knows %zu.\n", known);
}

/* The watch hears of as many ends as entries were meant. */
static void watch_ends(size_t meant)
{
    size_t until = ended + meant;

    while (ended < until)
        watch_until(CT_EVENT_DESTROY, 0);
    printf("   The watch heard that %zu went and knows %zu.\n", meant, known);
}

/* Lists again: what was meant is gone, everything else is there. The new list takes the place of the old. */
static void step_done(struct list *list, int (*is_meant)(const struct ct_entry *))
{
    struct list now = list_all();
    size_t meant = count_of(list, is_meant);
    size_t i, k;

    must(meant > 0, "a step had nothing to do");
    must(now.count == list->count - meant, "another number of entries is left than should be");
    for (i = 0; i < now.count; i++) {
        must(!is_meant(&now.entries[i]), "an entry that should be gone is still there");
        for (k = 0; k < list->count && list->entries[k].id != now.entries[i].id; k++)
            ;
        must(k < list->count, "an entry came from nowhere");
    }
    print_zones("Left", &now);
    watch_ends(meant);
    must(known == now.count, "the watch knows another number of entries than are left");
    ct_entries_free(list->entries);
    *list = now;
}

static void print_result(const struct ct_result *r)
{
    printf("   matched %llu, deleted %llu, gone already %llu, failed %llu\n", (unsigned long long)r->matched,
           (unsigned long long)r->done, (unsigned long long)r->gone, (unsigned long long)r->failed);
}

static void show_table(struct list *list, size_t expected)
{
    uint64_t count;
    size_t i;

    check(ct_count(handle, &count), "ct_count");
    printf("1. ct_list(): every flow of this network namespace; ct_count() says %llu\n\n", (unsigned long long)count);
    qsort(list->entries, list->count, sizeof *list->entries, by_zone);
    puts("   zone  proto   from                  to                    state        mark  packets");
    for (i = 0; i < list->count; i++)
        print_entry(&list->entries[i]);
    puts("");
    must(list->count == expected && count == expected, "there are not as many entries as flows were made");
    print_zones("All", list);
}

static void delete_dead(struct list *list)
{
    struct ct_filter filters[2] = {
        { .size = sizeof *filters,
          .match = CT_MATCH_FAMILY | CT_MATCH_ORIG_SRC,
          .family = CT_FAMILY_IPV4,
          .orig_src_prefix = 32 },
        { .size = sizeof *filters,
          .match = CT_MATCH_FAMILY | CT_MATCH_REPLY_SRC,
          .family = CT_FAMILY_IPV4,
          .reply_src_prefix = 32 },
    };
    struct ct_result result = { .size = sizeof result };

    puts("\n2. " DEAD " died: ct_delete() of what it began and of what it answered, in one pass");
    ipv4(filters[0].orig_src, DEAD);
    ipv4(filters[1].reply_src, DEAD);
    check(ct_delete(handle, filters, 2, 0, &result), "ct_delete");
    print_result(&result);
    must(result.matched == count_of(list, is_of_dead) && result.done == result.matched, "the dead address's entries");
    step_done(list, is_of_dead);
}

static void delete_udp(struct list *list)
{
    struct ct_filter filter = {
        .size = sizeof filter, .match = CT_MATCH_ZONE | CT_MATCH_PROTO, .zone = 2, .proto = CT_PROTO_UDP
    };
    struct ct_result result = { .size = sizeof result };

    puts("\n3. The UDP of zone 2, both families: ct_delete() by zone and protocol");
    check(ct_delete(handle, &filter, 1, 0, &result), "ct_delete");
    print_result(&result);
    must(result.matched == count_of(list, is_udp_of_zone_2) && result.done == result.matched, "the UDP of zone 2");
    step_done(list, is_udp_of_zone_2);
}

static void delete_listed(struct list *list, const struct list *old)
{
    struct ct_entry mine[32] = { { .has = 0 } };
    int32_t status[32];
    struct ct_result result = { .size = sizeof result };
    size_t n = 0, gone = 0, i;

    puts("\n4. ct_delete_entries() of the flows that " CLIENT " began, as listed in step 1: one is gone since");
    for (i = 0; i < old->count; i++) {
        if (is_of_client(&old->entries[i])) {
            must(n < sizeof mine / sizeof *mine, "too many flows");
            gone += is_of_dead(&old->entries[i]) != 0;
            mine[n++] = old->entries[i];
        }
    }
    check(ct_delete_entries(handle, mine, n, status, &result), "ct_delete_entries");
    print_result(&result);
    must(result.matched == n && result.gone == gone && gone > 0 && result.done == n - gone, "the listed entries");
    step_done(list, is_of_client);
}

static void flush_zone(struct list *list)
{
    struct ct_filter scope = { .size = sizeof scope, .match = CT_MATCH_ZONE, .zone = 2 };

    puts("\n5. ct_flush() of what is left of zone 2");
    check(ct_flush(handle, &scope, 0), "ct_flush");
    step_done(list, is_of_zone_2);
}

static void flush_everything(struct list *list)
{
    struct ct_filter everything = { .size = sizeof everything };
    struct ct_result result = { .size = sizeof result };

    puts("\n6. Everything, but only if it is asked for by name");
    must(ct_delete(handle, &everything, 1, 0, &result) < 0, "ct_delete with an empty filter is refused");
    printf("   ct_delete(empty filter): %s\n", ct_handle_error(handle));
    must(ct_flush(handle, NULL, 0) < 0, "ct_flush without a scope and without CT_FLUSH_ALL is refused");
    printf("   ct_flush(NULL, 0): %s\n", ct_handle_error(handle));
    puts("   ct_flush(NULL, CT_FLUSH_ALL):");
    check(ct_flush(handle, NULL, CT_FLUSH_ALL), "ct_flush");
    step_done(list, is_any);
}

/* A socket of one end of the new flow. */
static int udp(const char *address, uint16_t port)
{
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    must(inet_pton(AF_INET, address, &own.sin_addr) == 1 && fd >= 0, "a socket");
    must(bind(fd, (struct sockaddr *)&own, sizeof own) == 0, "its address is free");
    return fd;
}

/* A flow comes, is answered, marked and deleted, and each is told. */
static void watch_a_flow(void)
{
    int client = udp(CLIENT, NEW_PORT), server = udp(SERVER, 53);
    struct sockaddr_in to;
    socklen_t size = sizeof to;
    struct ct_entry key = { .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_ZONE,
                            .family = CT_FAMILY_IPV4,
                            .proto = CT_PROTO_UDP,
                            .zone = 1,
                            .orig = { .sport = NEW_PORT, .dport = 53, .zone = 1 } };
    struct ct_entry marked;
    struct ct_result result = { .size = sizeof result };
    int32_t status;

    puts("\n7. ct_watch_next(), in lines of the form of conntrack -E: a question, an answer, a mark, and its end");
    ipv4(key.orig.src, CLIENT);
    ipv4(key.orig.dst, SERVER);
    must(getsockname(server, (struct sockaddr *)&to, &size) == 0, "where to send");
    must(sendto(client, "question", 8, 0, (struct sockaddr *)&to, size) == 8, "a question");
    watch_until(CT_EVENT_NEW, 1);
    must(getsockname(client, (struct sockaddr *)&to, &size) == 0, "where to answer");
    must(sendto(server, "answer", 6, 0, (struct sockaddr *)&to, size) == 6, "an answer");
    watch_until(CT_EVENT_UPDATE, 1);
    marked = key;
    marked.has |= CT_HAS_MARK;
    marked.mark = 7;
    check(ct_update_entries(handle, &marked, 1, &status, &result), "ct_update_entries");
    watch_until(CT_EVENT_UPDATE, 1);
    check(ct_delete_entries(handle, &key, 1, &status, &result), "ct_delete_entries");
    must(result.done == 1, "the flow was there");
    watch_until(CT_EVENT_DESTROY, 1);
    must(known == 0, "the watch knows of a flow that is gone");
    close(client);
    close(server);
}

int main(int argc, char **argv)
{
    size_t expected = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    struct list list, old;

    if (expected == 0) {
        fputs("usage: demo NUMBER-OF-FLOWS\n", stderr);
        return 2;
    }
    check(ct_handle_open(&handle, NULL), "ct_handle_open");
    printf("libctrack %s\n\n", ct_version_string());
    list = list_all();
    old = list_all();
    show_table(&list, expected);
    begin_watch(expected);
    delete_dead(&list);
    delete_udp(&list);
    delete_listed(&list, &old);
    flush_zone(&list);
    flush_everything(&list);
    watch_a_flow();
    ct_watch_close(watch);
    ct_entries_free(old.entries);
    ct_entries_free(list.entries);
    ct_handle_close(handle);
    return 0;
}
