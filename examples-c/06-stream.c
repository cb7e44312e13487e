/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Streams a large table in constant memory: 64 entries at a time into an array on the stack. Then stops a second stream
 * early; the handle is as good as new afterwards.
 *
 * Build: cc 06-stream.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * created 20000
 * streamed 20000, half of them with mark 1: 10000, sum of the source ports 319990000
 * stopped early: yes
 * after that: 1 entry with source port 12345
 */
#include <ctrack.h>
#include <errno.h>
#include <stdio.h>

enum { ENTRIES = 20000, FIRST_PORT = 6000, BATCH = 64 };

static int create(struct ct_handle *h)
{
    static struct ct_entry flows[ENTRIES];
    static int32_t status[ENTRIES];
    struct ct_result created = { .size = sizeof created };
    for (int i = 0; i < ENTRIES; i++)
        flows[i] = (struct ct_entry){
            .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_MARK,
            .timeout = 600,
            .mark = (uint32_t)(i % 2),
            .family = CT_FAMILY_IPV4,
            .proto = CT_PROTO_UDP,
            .orig = { .src = { 10, 0, 0, 1 },
                      .dst = { 10, 0, 0, 2 },
                      .sport = (uint16_t)(FIRST_PORT + i),
                      .dport = 53 },
        };
    int r = ct_create_entries(h, flows, ENTRIES, status, &created);
    if (r == 0)
        printf("created %llu\n", (unsigned long long)created.done);
    return r;
}

struct sums {
    unsigned long entries, marked, ports;
};

/* One pass over the table, with sums that begin anew. They are right only if it returns 0. */
static int stream(struct ct_handle *h, struct sums *sums)
{
    struct ct_entry batch[BATCH];
    int n, r = ct_dump_start(h, NULL, 0);
    if (r < 0)
        return r;
    sums->entries = sums->marked = sums->ports = 0;
    while ((n = ct_dump_next(h, batch, BATCH)) > 0) {
        for (int i = 0; i < n; i++) {
            sums->entries++;
            sums->marked += batch[i].mark == 1;
            sums->ports += batch[i].orig.sport;
        }
    }
    return n; /* 0: the end was reached. An error has ended the dump too. */
}

static int demo(struct ct_handle *h)
{
    int r = create(h);
    if (r < 0)
        return r;

    /* If the kernel resized its table meanwhile, entries may be missing or repeated: once more. */
    struct sums sums = { 0, 0, 0 };
    int tries = 0;
    do {
        r = stream(h, &sums);
    } while (r == -EAGAIN && ++tries < 5);
    if (r < 0)
        return r;
    printf("streamed %lu, half of them with mark 1: %lu, sum of the source ports %lu\n", sums.entries, sums.marked,
           sums.ports);

    /* Only a look at the first batch. */
    struct ct_entry batch[BATCH];
    r = ct_dump_start(h, NULL, 0);
    if (r < 0)
        return r;
    int n = ct_dump_next(h, batch, BATCH);
    if (n < 0)
        return n;
    r = ct_dump_end(h);
    if (r < 0)
        return r;
    printf("stopped early: %s\n", n > 0 && n < ENTRIES ? "yes" : "no");

    const struct ct_filter one = { .size = sizeof one,
                                   .match = CT_MATCH_PROTO | CT_MATCH_ORIG_SPORT,
                                   .proto = CT_PROTO_UDP,
                                   .orig_sport_first = 12345,
                                   .orig_sport_last = 12345 };
    struct ct_entry *entries;
    size_t count;
    r = ct_list(h, &one, 1, &entries, &count);
    if (r < 0)
        return r;
    if (count == 1)
        printf("after that: 1 entry with source port %u\n", entries[0].orig.sport);
    ct_entries_free(entries);
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
