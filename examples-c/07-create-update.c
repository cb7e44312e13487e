/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Creates a TCP entry and changes it: mark, timeout, TCP state and status. Creating what is there already fails for that
 * entry; updating what is not there finds it gone.
 *
 * Build: cc 07-create-update.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * created:     SYN_SENT, 2 minutes, mark 0x11
 * again:       entry exists (created 0, failed 1)
 * established: ESTABLISHED, 10 minutes, mark 0x11, assured
 * marked:      ESTABLISHED, 10 minutes, mark 0x21, assured
 * missing:     gone 1, failed 0
 */
#include <ctrack.h>
#include <errno.h>
#include <stdio.h>

/* Which entry: enough to find it. */
static const struct ct_entry key = {
    .has = CT_HAS_ORIG | CT_HAS_PORTS,
    .family = CT_FAMILY_IPV4,
    .proto = CT_PROTO_TCP,
    .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 2 }, .sport = 40001, .dport = 443 },
};

static int show(struct ct_handle *h, const char *title)
{
    static const char *const state[] = { "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED" };
    struct ct_entry e;
    int r = ct_get(h, &key, &e);
    if (r < 0)
        return r;
    /* The timeout runs already and is rounded down: up to whole minutes. */
    printf("%-12s %s, %u minutes, mark 0x%x%s\n", title, e.tcp_state < 4 ? state[e.tcp_state] : "?",
           (e.timeout + 59) / 60, e.mark, e.status & CT_STATUS_ASSURED ? ", assured" : "");
    return 0;
}

/* Changes what `e` announces beyond the key. */
static int update(struct ct_handle *h, struct ct_entry *e)
{
    struct ct_result result = { .size = sizeof result };
    int32_t status;
    int r = ct_update_entries(h, e, 1, &status, &result);
    if (r == 0 && result.gone > 0)
        printf("%-12s gone %llu, failed %llu\n", "missing:", (unsigned long long)result.gone,
               (unsigned long long)result.failed);
    return r;
}

static int demo(struct ct_handle *h)
{
    struct ct_entry e = key;
    e.has |= CT_HAS_TIMEOUT | CT_HAS_MARK | CT_HAS_TCP_STATE;
    e.timeout = 120;
    e.mark = 0x11;
    e.tcp_state = CT_TCP_STATE_SYN_SENT;

    struct ct_result result = { .size = sizeof result };
    int32_t status;
    int r = ct_create_entries(h, &e, 1, &status, &result);
    if (r == 0)
        r = show(h, "created:");
    if (r < 0)
        return r;

    r = ct_create_entries(h, &e, 1, &status, &result);
    if (r != -EEXIST)
        return r < 0 ? r : -EIO;
    printf("%-12s %s (created %llu, failed %llu)\n", "again:", ct_strerror(status), (unsigned long long)result.done,
           (unsigned long long)result.failed);

    e = key;
    e.has |= CT_HAS_TIMEOUT | CT_HAS_TCP_STATE | CT_HAS_STATUS;
    e.timeout = 600;
    e.tcp_state = CT_TCP_STATE_ESTABLISHED;
    e.status = CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED;
    r = update(h, &e);
    if (r == 0)
        r = show(h, "established:");
    if (r < 0)
        return r;

    /* Only the upper half of the low byte: 0x11 becomes 0x21. */
    e = key;
    e.has |= CT_HAS_MARK | CT_HAS_MARK_MASK;
    e.mark = 0x20;
    e.mark_mask = 0xf0;
    r = update(h, &e);
    if (r == 0)
        r = show(h, "marked:");
    if (r < 0)
        return r;

    e.orig.sport = 40002;
    return update(h, &e);
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
