/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What failures look like: a negative errno, a short text for it, and on the handle the operation and the argument at fault.
 *
 * Build: cc 09-errors.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * an address with bits behind its prefix
 *   invalid argument
 *   filter[0].orig_src: 10.0.0.1/24 has bits set behind the prefix
 * a field that match does not announce
 *   invalid argument
 *   filter[0].zone: is set, but its bit in match is not
 * deleting with a filter that matches everything
 *   invalid argument
 *   filter: a filter matches every entry; to delete all of them use a flush
 * an entry that is not there
 *   no such entry
 *   get: no such entry
 * another call while a dump is open
 *   in use, or not changeable
 *   get: a dump is open on this handle; read it to its end or end it first
 * the next batch of no dump
 *   invalid argument
 *   dump: no dump is open on this handle
 * opening a handle in the network namespace -1
 *   bad file descriptor
 */
#include <ctrack.h>
#include <errno.h>
#include <stdio.h>

/* Prints a failure; fails itself if it is not the expected one. */
static int expect(int expected, const char *what, int r, const struct ct_handle *h)
{
    if (r != expected) {
        fprintf(stderr, "%s: returned %d instead of %d\n", what, r, expected);
        return r < 0 ? r : -EIO;
    }
    printf("%s\n  %s\n", what, ct_strerror(r));
    if (h != NULL)
        printf("  %s\n", ct_handle_error(h));
    return 0;
}

static int demo(struct ct_handle *h)
{
    struct ct_entry entry, *entries;
    size_t count;
    int r;

    struct ct_filter f = { .size = sizeof f,
                           .match = CT_MATCH_FAMILY | CT_MATCH_ORIG_SRC,
                           .family = CT_FAMILY_IPV4,
                           .orig_src = { 10, 0, 0, 1 },
                           .orig_src_prefix = 24 };
    r = expect(-EINVAL, "an address with bits behind its prefix", ct_list(h, &f, 1, &entries, &count), h);
    if (r < 0)
        return r;

    f = (struct ct_filter){ .size = sizeof f, .match = CT_MATCH_FAMILY, .family = CT_FAMILY_IPV4, .zone = 7 };
    r = expect(-EINVAL, "a field that match does not announce", ct_list(h, &f, 1, &entries, &count), h);
    if (r < 0)
        return r;

    f = (struct ct_filter){ .size = sizeof f };
    struct ct_result result = { .size = sizeof result };
    r = expect(-EINVAL, "deleting with a filter that matches everything", ct_delete(h, &f, 1, 0, &result), h);
    if (r < 0)
        return r;

    const struct ct_entry key = { .has = CT_HAS_ORIG | CT_HAS_PORTS,
                                  .family = CT_FAMILY_IPV4,
                                  .proto = CT_PROTO_UDP,
                                  .orig = {
                                      .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = 1, .dport = 53 } };
    r = expect(-ENOENT, "an entry that is not there", ct_get(h, &key, &entry), h);
    if (r < 0)
        return r;

    /* One thing at a time: while a dump is open, the handle does nothing else. */
    r = ct_dump_start(h, NULL, 0);
    if (r < 0)
        return r;
    r = expect(-EBUSY, "another call while a dump is open", ct_get(h, &key, &entry), h);
    if (r < 0)
        return r;
    r = ct_dump_end(h);
    if (r < 0)
        return r;
    r = expect(-EINVAL, "the next batch of no dump", ct_dump_next(h, &entry, 1), h);
    if (r < 0)
        return r;

    /* Where there is no handle, only the errno says what is wrong. */
    struct ct_handle *none;
    const struct ct_open_opts opts = { .size = sizeof opts, .flags = CT_OPEN_NETNS, .netns_fd = -1 };
    return expect(-EBADF, "opening a handle in the network namespace -1", ct_handle_open(&none, &opts), NULL);
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
