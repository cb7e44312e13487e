/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Flushes: one zone, then everything. Everything takes its own flag, so that neither a NULL pointer nor a forgotten field
 * can do it.
 *
 * Build: cc 05-flush.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * zone 7: 3 entries, zone 8: 2 entries, all: 6 entries
 * flushing zone 7: success
 * zone 7: 0 entries, zone 8: 2 entries, all: 3 entries
 * flushing NULL without a flag: invalid argument
 * flushing a scope that limits nothing: invalid argument
 * zone 7: 0 entries, zone 8: 2 entries, all: 3 entries
 * flushing NULL with CT_FLUSH_ALL: success
 * zone 7: 0 entries, zone 8: 0 entries, all: 0 entries
 */
#include <ctrack.h>
#include <errno.h>
#include <stdio.h>

#define UDP(from_port, zone_bit, zone_id) \
    { .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | (zone_bit), \
      .timeout = 600, \
      .zone = zone_id, \
      .family = CT_FAMILY_IPV4, \
      .proto = CT_PROTO_UDP, \
      .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = from_port, .dport = 53 } }
static const struct ct_entry flows[] = {
    UDP(40001, CT_HAS_ZONE, 7), UDP(40002, CT_HAS_ZONE, 7), UDP(40003, CT_HAS_ZONE, 7),
    UDP(40001, CT_HAS_ZONE, 8), UDP(40002, CT_HAS_ZONE, 8), /* the same tuples: zones are separate */
    UDP(40001, 0, 0),
};
enum { FLOWS = sizeof flows / sizeof flows[0] };

static const struct ct_filter zone_7 = { .size = sizeof(struct ct_filter), .match = CT_MATCH_ZONE, .zone = 7 };
static const struct ct_filter zone_8 = { .size = sizeof(struct ct_filter), .match = CT_MATCH_ZONE, .zone = 8 };
static const struct ct_filter anything = { .size = sizeof(struct ct_filter) };

static int print_counts(struct ct_handle *h)
{
    static const char *const title[] = { "zone 7:", ", zone 8:", ", all:" };
    const struct ct_filter *const filter[] = { &zone_7, &zone_8, NULL };
    for (int i = 0; i < 3; i++) {
        struct ct_entry *entries;
        size_t count;
        int r = ct_list(h, filter[i], filter[i] != NULL, &entries, &count);
        if (r < 0)
            return r;
        ct_entries_free(entries);
        printf("%s %zu entries", title[i], count);
    }
    puts("");
    return 0;
}

/* Flushes, says how that went, and fails if it did not go as expected. */
static int flush(struct ct_handle *h, const char *what, const struct ct_filter *scope, uint32_t flags, int expected)
{
    int r = ct_flush(h, scope, flags);
    printf("flushing %s: %s\n", what, ct_strerror(r));
    if (r == expected)
        return 0;
    return r < 0 ? r : -EIO;
}

static int demo(struct ct_handle *h)
{
    struct ct_result created = { .size = sizeof created };
    int32_t status[FLOWS];
    int r = ct_create_entries(h, flows, FLOWS, status, &created);
    if (r == 0)
        r = print_counts(h);
    if (r == 0)
        r = flush(h, "zone 7", &zone_7, 0, 0);
    if (r == 0)
        r = print_counts(h);
    if (r == 0)
        r = flush(h, "NULL without a flag", NULL, 0, -EINVAL);
    if (r == 0)
        r = flush(h, "a scope that limits nothing", &anything, 0, -EINVAL);
    if (r == 0)
        r = print_counts(h);
    if (r == 0)
        r = flush(h, "NULL with CT_FLUSH_ALL", NULL, CT_FLUSH_ALL, 0);
    if (r == 0)
        r = print_counts(h);
    return r;
}

int main(void)
{
    struct ct_handle *h;
    uint64_t before = 0;
    int r = ct_handle_open(&h, NULL);
    if (r < 0) {
        fprintf(stderr, "open: %s\n", ct_strerror(r));
        return 1;
    }
    r = ct_count(h, &before);
    if (r == 0 && before > 0) {
        fputs("there are entries already; run this in a network namespace of its own\n", stderr);
        ct_handle_close(h);
        return 1;
    }
    if (r == 0)
        r = demo(h);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", ct_strerror(r), ct_handle_error(h));
    ct_handle_close(h);
    return r < 0;
}
