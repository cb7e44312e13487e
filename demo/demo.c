/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * What libctrack does, on real flows that scripts/demo.sh made: list, count, delete by filter, delete given entries,
 * flush.
 * Usage: demo NUMBER-OF-FLOWS
 *
 * It also checks itself: every step must take exactly the entries that a plain loop over the list before would take,
 * and leave all others alone. Exit code 1 if not, or if a call fails.
 */

#include <arpa/inet.h>
#include <ctrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The addresses of demo.sh. */
#define DEAD "127.0.1.7"
#define CLIENT "127.0.1.5"
#define ZONES 3

static struct ct_handle *handle;

struct list {
    struct ct_entry *entries;
    size_t count;
};

static void check(int result, const char *call)
{
    if (result >= 0)
        return;
    fprintf(stderr, "demo: %s: %s (%s)\n", call, ct_handle_error(handle), ct_strerror(result));
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
    struct ct_entry mine[32];
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
    delete_dead(&list);
    delete_udp(&list);
    delete_listed(&list, &old);
    flush_zone(&list);
    flush_everything(&list);
    ct_entries_free(old.entries);
    ct_entries_free(list.entries);
    ct_handle_close(handle);
    return 0;
}
