/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Deletes by filter. The pod with the address 10.0.0.5 died: all its flows go, those that it began and those that it
 * answered, also behind a service's virtual address. Two filters, one pass over the table.
 *
 * Build: cc 03-delete-by-filter.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * before: 4 entries
 * matched 3, done 3, gone 0, failed 0
 * once more: matched 0, done 0, gone 0, failed 0
 * left: 10.0.0.6 -> 10.0.0.7
 */
#include <arpa/inet.h>
#include <ctrack.h>
#include <stdio.h>

#define TCP CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT
static const struct ct_entry flows[] = {
    /* The pod called somebody. */
    { .has = TCP,
      .timeout = 600,
      .family = CT_FAMILY_IPV4,
      .proto = CT_PROTO_TCP,
      .orig = { .src = { 10, 0, 0, 5 }, .dst = { 192, 0, 2, 1 }, .sport = 40001, .dport = 443 } },
    /* Somebody called the pod. */
    { .has = TCP,
      .timeout = 600,
      .family = CT_FAMILY_IPV4,
      .proto = CT_PROTO_TCP,
      .orig = { .src = { 10, 0, 0, 6 }, .dst = { 10, 0, 0, 5 }, .sport = 40002, .dport = 80 } },
    /* Somebody called a service and reached the pod: only reply.src tells. */
    { .has = TCP | CT_HAS_REPLY | CT_HAS_STATUS,
      .status = CT_STATUS_DST_NAT,
      .timeout = 600,
      .family = CT_FAMILY_IPV4,
      .proto = CT_PROTO_TCP,
      .orig = { .src = { 10, 0, 0, 6 }, .dst = { 10, 96, 0, 1 }, .sport = 40003, .dport = 80 },
      .reply = { .src = { 10, 0, 0, 5 }, .dst = { 10, 0, 0, 6 }, .sport = 8080, .dport = 40003 } },
    /* No business of the pod. */
    { .has = TCP,
      .timeout = 600,
      .family = CT_FAMILY_IPV4,
      .proto = CT_PROTO_TCP,
      .orig = { .src = { 10, 0, 0, 6 }, .dst = { 10, 0, 0, 7 }, .sport = 40004, .dport = 80 } },
};
enum { FLOWS = sizeof flows / sizeof flows[0] };

/* The address in either role. */
static const struct ct_filter dead[] = {
    { .size = sizeof(struct ct_filter),
      .match = CT_MATCH_FAMILY | CT_MATCH_ORIG_SRC,
      .family = CT_FAMILY_IPV4,
      .orig_src = { 10, 0, 0, 5 },
      .orig_src_prefix = 32 },
    { .size = sizeof(struct ct_filter),
      .match = CT_MATCH_FAMILY | CT_MATCH_REPLY_SRC,
      .family = CT_FAMILY_IPV4,
      .reply_src = { 10, 0, 0, 5 },
      .reply_src_prefix = 32 },
};

static int delete_and_tell(struct ct_handle *h, const char *title)
{
    struct ct_result result = { .size = sizeof result };
    int r = ct_delete(h, dead, 2, 0, &result);
    /* The result is filled on failure too: some may have been deleted. */
    printf("%smatched %llu, done %llu, gone %llu, failed %llu\n", title, (unsigned long long)result.matched,
           (unsigned long long)result.done, (unsigned long long)result.gone, (unsigned long long)result.failed);
    return r;
}

static int demo(struct ct_handle *h)
{
    struct ct_result created = { .size = sizeof created };
    int32_t status[FLOWS];
    int r = ct_create_entries(h, flows, FLOWS, status, &created);
    if (r < 0)
        return r;
    printf("before: %llu entries\n", (unsigned long long)created.done);

    r = delete_and_tell(h, "");
    if (r == 0)
        r = delete_and_tell(h, "once more: ");
    if (r < 0)
        return r;

    struct ct_entry *entries;
    size_t count;
    r = ct_list(h, NULL, 0, &entries, &count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        char src[INET_ADDRSTRLEN] = "?", dst[INET_ADDRSTRLEN] = "?";
        inet_ntop(AF_INET, entries[i].orig.src, src, sizeof src);
        inet_ntop(AF_INET, entries[i].orig.dst, dst, sizeof dst);
        printf("left: %s -> %s\n", src, dst);
    }
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
