/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Lists with filters. Endpoints 10.1.0.2 and 10.1.0.3 serve DNS behind virtual addresses in 10.96.0.0/16. Which flows to
 * these addresses still lead to an endpoint that is gone?
 *
 * Build: cc 02-filter.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * all: 5
 * DNS flows to the virtual addresses, ports 53 to 5353: 4
 * of these, not to a live endpoint:
 *   10.0.0.1:40003 -> 10.96.0.10:53, answered by 10.1.0.9
 *   10.0.0.1:40004 -> 10.96.0.11:5353, answered by 10.1.0.9
 */
#include <arpa/inet.h>
#include <ctrack.h>
#include <stdio.h>
#include <stdlib.h>

/* A flow to a virtual address that the kernel translates to an endpoint: destination NAT. */
#define FLOW(from_port, vip_last, to_port, endpoint_last) \
    { \
        .has = CT_HAS_ORIG | CT_HAS_REPLY | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_STATUS, \
        .timeout = 600, \
        .status = CT_STATUS_DST_NAT, \
        .family = CT_FAMILY_IPV4, \
        .proto = CT_PROTO_UDP, \
        .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 96, 0, vip_last }, .sport = from_port, .dport = to_port }, \
        .reply = { .src = { 10, 1, 0, endpoint_last }, .dst = { 10, 0, 0, 1 }, .sport = to_port, .dport = from_port }, \
    }

static const struct ct_entry flows[] = {
    FLOW(40001, 10, 53, 2),
    FLOW(40002, 10, 53, 3),
    FLOW(40003, 10, 53, 9),
    FLOW(40004, 11, 5353, 9),
    /* Another port: metrics. */
    FLOW(40005, 10, 9153, 9),
};
enum { FLOWS = sizeof flows / sizeof flows[0] };

/* An entry is selected if it matches an including filter and no excluding one. */
static const struct ct_filter filters[] = {
    { .size = sizeof(struct ct_filter),
      .match = CT_MATCH_FAMILY | CT_MATCH_PROTO | CT_MATCH_ORIG_DST | CT_MATCH_ORIG_DPORT,
      .family = CT_FAMILY_IPV4,
      .proto = CT_PROTO_UDP,
      .orig_dst = { 10, 96, 0, 0 },
      .orig_dst_prefix = 16,
      .orig_dport_first = 53,
      .orig_dport_last = 5353 },
    { .size = sizeof(struct ct_filter),
      .flags = CT_FILTER_EXCLUDE,
      .match = CT_MATCH_FAMILY | CT_MATCH_REPLY_SRC,
      .family = CT_FAMILY_IPV4,
      .reply_src = { 10, 1, 0, 2 },
      .reply_src_prefix = 31 }, /* both live ones */
};

static int by_source_port(const void *a, const void *b)
{
    return ((const struct ct_entry *)a)->orig.sport - ((const struct ct_entry *)b)->orig.sport;
}

static void print(const struct ct_entry *e)
{
    char src[INET_ADDRSTRLEN] = "?", dst[INET_ADDRSTRLEN] = "?", endpoint[INET_ADDRSTRLEN] = "?";
    inet_ntop(AF_INET, e->orig.src, src, sizeof src);
    inet_ntop(AF_INET, e->orig.dst, dst, sizeof dst);
    inet_ntop(AF_INET, e->reply.src, endpoint, sizeof endpoint);
    printf("  %s:%u -> %s:%u, answered by %s\n", src, e->orig.sport, dst, e->orig.dport, endpoint);
}

static int demo(struct ct_handle *h)
{
    static const char *const title[] = { "all:", "DNS flows to the virtual addresses, ports 53 to 5353:",
                                         "of these, not to a live endpoint:" };
    struct ct_result created = { .size = sizeof created };
    int32_t status[FLOWS];
    int r = ct_create_entries(h, flows, FLOWS, status, &created);
    /* With no filter, with the first one, with both. */
    for (size_t n = 0; r == 0 && n <= 2; n++) {
        struct ct_entry *entries;
        size_t count;
        r = ct_list(h, filters, n, &entries, &count);
        if (r < 0)
            break;
        if (n < 2) {
            printf("%s %zu\n", title[n], count);
        } else {
            puts(title[n]);
            if (count > 0)
                qsort(entries, count, sizeof entries[0], by_source_port);
            for (size_t i = 0; i < count; i++)
                print(&entries[i]);
        }
        ct_entries_free(entries);
    }
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
