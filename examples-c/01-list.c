/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Lists the whole table into one array and prints it as `conntrack -L` does.
 *
 * Build: cc 01-list.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * 3 entries
 * udp      17 src=10.0.0.1 dst=10.0.0.53 sport=40001 dport=53 [UNREPLIED] src=10.0.0.53 dst=10.0.0.1 sport=53 dport=40001 mark=0
 * tcp      6 ESTABLISHED src=fd00::1 dst=fd00::2 sport=40002 dport=443 src=fd00::2 dst=fd00::1 sport=443 dport=40002 [ASSURED] mark=9
 * udp      17 src=10.0.0.1 dst=10.0.0.53 sport=40003 dport=53 [UNREPLIED] src=10.0.0.53 dst=10.0.0.1 sport=53 dport=40003 mark=0 zone=7
 */
#include <ctrack.h>
#include <stdio.h>
#include <stdlib.h>

/* What there is to list. In a table of your own you would not create anything. */
static const struct ct_entry flows[] = {
    { .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT,
      .timeout = 600,
      .family = CT_FAMILY_IPV4,
      .proto = CT_PROTO_UDP,
      .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = 40001, .dport = 53 } },
    { .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_MARK | CT_HAS_STATUS | CT_HAS_TCP_STATE,
      .timeout = 600,
      .mark = 9,
      .status = CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED,
      .family = CT_FAMILY_IPV6,
      .proto = CT_PROTO_TCP,
      .tcp_state = CT_TCP_STATE_ESTABLISHED,
      .orig = { .src = { [0] = 0xfd, [15] = 1 }, .dst = { [0] = 0xfd, [15] = 2 }, .sport = 40002, .dport = 443 } },
    { .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_ZONE,
      .timeout = 600,
      .zone = 7,
      .family = CT_FAMILY_IPV4,
      .proto = CT_PROTO_UDP,
      .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = 40003, .dport = 53 } },
};
enum { FLOWS = sizeof flows / sizeof flows[0] };

/* The kernel lists in no particular order. */
static int by_source_port(const void *a, const void *b)
{
    return ((const struct ct_entry *)a)->orig.sport - ((const struct ct_entry *)b)->orig.sport;
}

static int demo(struct ct_handle *h)
{
    struct ct_result created = { .size = sizeof created };
    int32_t status[FLOWS];
    int r = ct_create_entries(h, flows, FLOWS, status, &created);
    if (r < 0)
        return r;

    struct ct_entry *entries;
    size_t count;
    r = ct_list(h, NULL, 0, &entries, &count);
    if (r < 0)
        return r;

    printf("%zu entries\n", count);
    /* NULL if nothing was found, which qsort() does not want to see. */
    if (count > 0)
        qsort(entries, count, sizeof entries[0], by_source_port);
    for (size_t i = 0; i < count; i++) {
        char line[1024];
        /* What changes from one run to the next is left out of the text. */
        entries[i].has &= ~(CT_HAS_TIMEOUT | CT_HAS_USE);
        r = ct_entry_format(&entries[i], CT_FORMAT_LINE, line, sizeof line);
        if (r < 0)
            break;
        puts(line);
    }
    ct_entries_free(entries);
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
