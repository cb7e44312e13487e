/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Watches the table: first what is there, then what changes. "our own" says that this program caused a change itself.
 *
 * The first flow is made before anybody listens: by default (sysctl nf_conntrack_events = 2) the kernel never reports what becomes of
 * such an entry. CT_WATCH_MAY_BE_SILENT says so, and the watch looks after it every 30 seconds.
 *
 * Build: cc 10-watch.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out)
 *
 * Expected output:
 * was there: udp 10.0.0.1:40001
 * the table is complete
 * new: udp 10.0.0.1:40002, our own
 * changed: udp 10.0.0.1:40002, our own, mark 7
 * gone: udp 10.0.0.1:40002, our own
 * no loss, 1 entry is known
 */
#include <ctrack.h>
#include <errno.h>
#include <stdio.h>

#define UDP(port) \
    .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT, .timeout = 600, .family = CT_FAMILY_IPV4, \
    .proto = CT_PROTO_UDP, .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = (port), .dport = 53 }
#define KEY(port) \
    .has = CT_HAS_ORIG | CT_HAS_PORTS, .family = CT_FAMILY_IPV4, .proto = CT_PROTO_UDP, \
    .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = (port), .dport = 53 }

static void show(const char *what, const struct ct_event *ev, uint32_t own)
{
    const struct ct_entry *e = &ev->entry;
    printf("%s: udp %u.%u.%u.%u:%u%s", what, e->orig.src[0], e->orig.src[1], e->orig.src[2], e->orig.src[3],
           e->orig.sport, ev->portid == own ? ", our own" : "");
    if (ev->type == CT_EVENT_UPDATE)
        printf(", mark %u", (unsigned)e->mark);
    puts("");
}

/* Reads until so many events came. */
static int read_events(struct ct_watch *w, uint32_t own, int count)
{
    struct ct_event ev[64];
    while (count > 0) {
        int n = ct_watch_next(w, ev, 64, 5000);
        if (n <= 0)
            return n < 0 ? n : -ETIMEDOUT;
        for (int i = 0; i < n; i++) {
            switch (ev[i].type) {
            case CT_EVENT_NEW:
                show(ev[i].flags & CT_EVENT_INITIAL ? "was there" : "new", &ev[i], own);
                break;
            case CT_EVENT_UPDATE:
                show("changed", &ev[i], own);
                break;
            case CT_EVENT_DESTROY:
                show("gone", &ev[i], own);
                break;
            case CT_EVENT_LOST: /* what follows repairs it */
                puts("something was lost");
                break;
            case CT_EVENT_SYNCED:
                puts("the table is complete");
                break;
            }
        }
        count -= n;
    }
    return 0;
}

static int demo(struct ct_handle *h, struct ct_watch *w)
{
    static const struct ct_entry first = { UDP(40001) }, second = { UDP(40002) };
    struct ct_entry changed = { KEY(40002) }, gone = { KEY(40002) };
    changed.has |= CT_HAS_MARK;
    changed.mark = 7;
    int32_t status;
    struct ct_result result = { .size = sizeof result };
    uint32_t own;
    int r = ct_handle_get_portid(h, &own);
    if (r == 0)
        r = ct_create_entries(h, &first, 1, &status, &result);
    if (r == 0)
        r = ct_watch_start(w, NULL, 0);
    if (r == 0)
        r = read_events(w, own, 2);
    if (r == 0)
        r = ct_create_entries(h, &second, 1, &status, &result);
    if (r == 0)
        r = read_events(w, own, 1);
    if (r == 0)
        r = ct_update_entries(h, &changed, 1, &status, &result);
    if (r == 0)
        r = read_events(w, own, 1);
    if (r == 0)
        r = ct_delete_entries(h, &gone, 1, &status, &result);
    if (r == 0)
        r = read_events(w, own, 1);
    return r;
}

int main(void)
{
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = CT_WATCH_SYNC };
    struct ct_watch_info info = { .size = sizeof info };
    struct ct_watch *w = NULL;
    struct ct_handle *h = NULL;
    uint64_t before = 0;
    int r = ct_handle_open(&h, NULL);
    if (r == 0)
        r = ct_watch_open(&w, &opts);
    if (r < 0) {
        fprintf(stderr, "open: %s\n", ct_strerror(r));
        ct_handle_close(h);
        return 1;
    }
    r = ct_count(h, &before);
    if (r == 0 && before > 0) {
        fputs("there are entries already; run this in a network namespace of its own\n", stderr);
        ct_watch_close(w);
        ct_handle_close(h);
        return 1;
    }
    if (r == 0)
        r = demo(h, w);
    if (r == 0)
        r = ct_watch_get_info(w, &info);
    if (r == 0)
        printf("%s, %llu entry is known\n", info.lost ? "losses" : "no loss", (unsigned long long)info.entries);
    else
        fprintf(stderr, "%s: %s%s\n", ct_strerror(r), ct_handle_error(h), ct_watch_error(w));
    ct_watch_close(w);
    ct_handle_close(h);
    return r < 0;
}
