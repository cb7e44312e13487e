/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Deletes entries that were listed before, with a status for each. An entry goes only if it is still the same one: tuple,
 * zone and id must agree. Whatever went by itself meanwhile is "gone", which is no failure.
 *
 * Build: cc 04-delete-entries.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * first time:
 *   port 40001: deleted
 *   port 40002: deleted
 *   port 40003: deleted
 *   3 deleted, 0 gone, 0 failed
 * second time:
 *   port 40001: gone
 *   port 40002: gone
 *   port 40003: gone
 *   0 deleted, 3 gone, 0 failed
 * made again with the same tuple, deleted by its old id:
 *   port 40001: gone
 *   0 deleted, 1 gone, 0 failed
 */
#include <ctrack.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define UDP(from_port) \
    { .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT, \
      .timeout = 600, \
      .family = CT_FAMILY_IPV4, \
      .proto = CT_PROTO_UDP, \
      .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = from_port, .dport = 53 } }
static const struct ct_entry flows[] = { UDP(40001), UDP(40002), UDP(40003) };
enum { FLOWS = sizeof flows / sizeof flows[0] };

static int by_source_port(const void *a, const void *b)
{
    return ((const struct ct_entry *)a)->orig.sport - ((const struct ct_entry *)b)->orig.sport;
}

static int delete_and_tell(struct ct_handle *h, const char *title, const struct ct_entry *entries, size_t count)
{
    struct ct_result result = { .size = sizeof result };
    int32_t status[FLOWS];
    int r = ct_delete_entries(h, entries, count, status, &result);
    if (r < 0 && result.failed == 0)
        return r; /* nothing was tried */
    puts(title);
    for (size_t i = 0; i < count; i++) {
        const char *fate = status[i] == 0 ? "deleted" : status[i] == -ENOENT ? "gone" : ct_strerror(status[i]);
        printf("  port %u: %s\n", entries[i].orig.sport, fate);
    }
    printf("  %llu deleted, %llu gone, %llu failed\n", (unsigned long long)result.done, (unsigned long long)result.gone,
           (unsigned long long)result.failed);
    return r;
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
    if (count != FLOWS) {
        fprintf(stderr, "%zu entries in the list\n", count);
        ct_entries_free(entries);
        return -EIO;
    }
    qsort(entries, count, sizeof entries[0], by_source_port);

    r = delete_and_tell(h, "first time:", entries, count);
    if (r == 0)
        r = delete_and_tell(h, "second time:", entries, count);

    /*
     * Another connection took the tuple. Its id nearly always differs; here it is made to differ, since the kernel may use
     * an id again.
     */
    struct ct_entry again;
    if (r == 0)
        r = ct_create_entries(h, flows, 1, status, &created);
    if (r == 0)
        r = ct_get(h, flows, &again);
    if (r == 0) {
        entries[0].id = again.id + 1;
        r = delete_and_tell(h, "made again with the same tuple, deleted by its old id:", entries, 1);
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
