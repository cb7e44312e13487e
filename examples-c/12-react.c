/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Marks flows as soon as they appear, and again if somebody else changes the mark: each flow to port 53 is to have the mark 53.
 *
 * Its own changes come back as events. They are known by their portid, that of the handle, so that the program does not react to
 * itself; and since it only acts where the mark is wrong, it would come to rest without that, too. (A change that was found and
 * not reported, CT_EVENT_FOUND, has no portid.)
 *
 * With CT_WATCH_SYNC the flows that are there already are marked, and none is forgotten if events are lost.
 *
 * Without an argument it plays the others, too. With "watch" it marks the flows of the network namespace until Ctrl-C.
 *
 * Build: cc 12-react.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out), or: sudo ./a.out watch
 *
 * Expected output:
 * 40001 was there, mark 0: marked
 * 40001 has mark 53 now: that was me
 * 40002 is new, mark 0: marked
 * 40002 has mark 53 now: that was me
 * 40002 has mark 9 now: that was somebody else: marked
 * 40002 has mark 53 now: that was me
 * 40003 is new, mark 53
 * 40002 is gone
 */
#include <ctrack.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MARK 53

static struct ct_watch *watch;
static volatile sig_atomic_t ended;

static void end(int number)
{
    (void)number;
    ended = 1;
    ct_watch_wake(watch);
}

/* The original tuple, the zone and the id name it: a successor with the same tuple is left alone. */
static struct ct_entry name_of(const struct ct_entry *e)
{
    const uint64_t who = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_ID | CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE;
    struct ct_entry name = {
        .has = e->has & who, .family = e->family, .proto = e->proto, .orig = e->orig, .zone = e->zone, .id = e->id
    };
    return name;
}

static int mark(struct ct_handle *h, const struct ct_entry *e)
{
    struct ct_entry change = name_of(e);
    struct ct_result result = { .size = sizeof result };
    int32_t status;
    change.has |= CT_HAS_MARK;
    change.mark = MARK;
    int r = ct_update_entries(h, &change, 1, &status, &result);
    if (r == 0)
        puts(result.gone ? ": gone already" : ": marked");
    return r;
}

static int react(struct ct_handle *h, const struct ct_event *ev)
{
    const struct ct_entry *e = &ev->entry;
    uint32_t own;
    int r = ct_handle_get_portid(h, &own);
    if (r < 0)
        return r;
    switch (ev->type) {
    case CT_EVENT_NEW:
        printf("%u %s, mark %u", e->orig.sport, ev->flags & CT_EVENT_INITIAL ? "was there" : "is new",
               (unsigned)e->mark);
        break;
    case CT_EVENT_UPDATE:
        printf("%u has mark %u now: that was %s", e->orig.sport, (unsigned)e->mark,
               ev->portid == own ? "me"
               : ev->portid != 0 ? "somebody else"
                                 : "the traffic");
        break;
    case CT_EVENT_DESTROY:
        printf("%u is gone\n", e->orig.sport);
        return 0;
    default: /* lost: what follows repairs it; synced */
        return 0;
    }
    if (ev->portid != own && e->mark != MARK)
        return mark(h, e);
    puts("");
    return 0;
}

/* Reacts to what comes next. Returns how many events that were. */
static int react_to_next(struct ct_handle *h, int timeout_ms)
{
    struct ct_event ev[64];
    int n = ct_watch_next(watch, ev, 64, timeout_ms);
    int r = 0;
    for (int i = 0; i < n && r == 0; i++)
        r = react(h, &ev[i]);
    fflush(stdout);
    return r < 0 ? r : n;
}

static int react_to(struct ct_handle *h, int events)
{
    while (events > 0) {
        int n = react_to_next(h, 5000);
        if (n <= 0)
            return n < 0 ? n : -ETIMEDOUT;
        events -= n;
    }
    return 0;
}

static struct ct_entry flow(uint16_t sport, uint16_t dport)
{
    struct ct_entry e = { .has = CT_HAS_ORIG | CT_HAS_PORTS,
                          .family = CT_FAMILY_IPV4,
                          .proto = CT_PROTO_UDP,
                          .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = sport, .dport = dport } };
    return e;
}

/* What others do, with a handle of their own. */
static int make(struct ct_handle *others, uint16_t sport, uint16_t dport, uint32_t mark)
{
    struct ct_entry e = flow(sport, dport);
    struct ct_result result = { .size = sizeof result };
    int32_t status;
    e.has |= CT_HAS_TIMEOUT | CT_HAS_MARK;
    e.timeout = 600;
    e.mark = mark;
    return ct_create_entries(others, &e, 1, &status, &result);
}

static int change(struct ct_handle *others, uint16_t sport, uint32_t mark)
{
    struct ct_entry e = flow(sport, 53);
    struct ct_result result = { .size = sizeof result };
    int32_t status;
    e.has |= CT_HAS_MARK;
    e.mark = mark;
    return ct_update_entries(others, &e, 1, &status, &result);
}

static int delete(struct ct_handle *others, uint16_t sport)
{
    struct ct_entry e = flow(sport, 53);
    struct ct_result result = { .size = sizeof result };
    int32_t status;
    return ct_delete_entries(others, &e, 1, &status, &result);
}

static int demo(struct ct_handle *h, struct ct_handle *others)
{
    int r = react_to(h, 3); /* the first one was there; synced; our mark */
    if (r == 0)
        r = make(others, 40002, 53, 0);
    if (r == 0)
        r = react_to(h, 2); /* it is new; our mark */
    if (r == 0)
        r = change(others, 40002, 9);
    if (r == 0)
        r = react_to(h, 2); /* their mark; ours */
    if (r == 0)
        r = make(others, 40004, 80, 0); /* not to port 53: nobody hears of it */
    if (r == 0)
        r = make(others, 40003, 53, MARK);
    if (r == 0)
        r = react_to(h, 1);
    if (r == 0)
        r = delete (others, 40002);
    return r == 0 ? react_to(h, 1) : r;
}

/*
 * Makes sure that nobody else is here, and one flow that is there when the watch begins. That was started once before: of a flow that is
 * made while nobody listens the kernel may be silent for ever, and our mark would not come back as an event.
 */
static int begin_demo(struct ct_handle *others)
{
    uint64_t before = 0;
    int r = ct_count(others, &before);
    if (r == 0 && before > 0) {
        fputs("there are entries already; run this in a network namespace of its own\n", stderr);
        return -ENOTEMPTY;
    }
    return r == 0 ? make(others, 40001, 53, 0) : r;
}

int main(int argc, char **argv)
{
    int playing = argc < 2 || strcmp(argv[1], "watch") != 0;
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = CT_WATCH_SYNC };
    struct ct_filter dns = { .size = sizeof dns,
                             .match = CT_MATCH_PROTO | CT_MATCH_ORIG_DPORT,
                             .proto = CT_PROTO_UDP,
                             .orig_dport_first = 53,
                             .orig_dport_last = 53 };
    struct ct_handle *h = NULL, *others = NULL;
    int r = ct_handle_open(&h, NULL);
    if (r == 0)
        r = ct_handle_open(&others, NULL);
    if (r == 0)
        r = ct_watch_open(&watch, &opts);
    if (r < 0) {
        fprintf(stderr, "open: %s\n", ct_strerror(r));
        ct_handle_close(others);
        ct_handle_close(h);
        return 1;
    }
    signal(SIGINT, end);
    signal(SIGTERM, end);
    r = ct_watch_start(watch, &dns, 1);
    if (r == 0 && playing) {
        r = begin_demo(others);
        if (r == 0)
            r = ct_watch_start(watch, &dns, 1);
    }
    if (r == 0 && playing)
        r = demo(h, others);
    while (!playing && r >= 0 && !ended)
        r = react_to_next(h, -1);
    if (r < 0)
        fprintf(stderr, "%s: %s%s%s\n", ct_strerror(r), ct_handle_error(h), ct_handle_error(others),
                ct_watch_error(watch));
    ct_watch_close(watch);
    ct_handle_close(others);
    ct_handle_close(h);
    return r < 0;
}
