/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Finds a zone that no entry is in, in one pass over the table. A zone that is used in one direction only is in use.
 *
 * Build: cc 08-free-zone.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * lowest free zone from 1 to 100: 4
 * lowest free zone from 5 to 100: 6
 * from 1 to 3: no space left
 *   zone_find_free: no free zone from 1 to 3
 */
#include <ctrack.h>
#include <errno.h>
#include <stdio.h>

#define UDP(zone_bit) \
    .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | (zone_bit), .timeout = 600, .family = CT_FAMILY_IPV4, \
    .proto = CT_PROTO_UDP
#define FROM_TO .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = 40001, .dport = 53
static const struct ct_entry flows[] = {
    { UDP(CT_HAS_ZONE), .zone = 1, .orig = { FROM_TO } },
    { UDP(CT_HAS_ZONE), .zone = 2, .orig = { FROM_TO } },
    { UDP(CT_HAS_ORIG_ZONE), .orig = { FROM_TO, .zone = 3 } }, /* answers are in zone 0 */
    { UDP(CT_HAS_ZONE), .zone = 5, .orig = { FROM_TO } },
};
enum { FLOWS = sizeof flows / sizeof flows[0] };

static int demo(struct ct_handle *h)
{
    struct ct_result created = { .size = sizeof created };
    int32_t status[FLOWS];
    int r = ct_create_entries(h, flows, FLOWS, status, &created);
    if (r < 0)
        return r;

    static const uint32_t first[] = { 1, 5 };
    for (int i = 0; i < 2; i++) {
        uint32_t zone;
        r = ct_zone_find_free(h, first[i], 100, &zone);
        if (r < 0)
            return r;
        printf("lowest free zone from %u to 100: %u\n", (unsigned)first[i], (unsigned)zone);
    }

    uint32_t zone;
    r = ct_zone_find_free(h, 1, 3, &zone);
    if (r != -ENOSPC)
        return r < 0 ? r : -EIO;
    printf("from 1 to 3: %s\n  %s\n", ct_strerror(r), ct_handle_error(h));
    return 0;
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
