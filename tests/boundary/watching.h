/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What programs that watch have in common. */

#ifndef WATCHING_H
#define WATCHING_H

#include "common.h"

#include <sys/epoll.h>

/* What comes within it comes some time: a watch that misses a wake-up waits for ever. */
enum { LONG_MS = 60 * 1000 };

static inline int events_mode(void)
{
    FILE *file = fopen("/proc/sys/net/netfilter/nf_conntrack_events", "r");
    int mode = -1;

    if (file) {
        if (fscanf(file, "%d", &mode) != 1)
            mode = -1;
        fclose(file);
    }
    return mode;
}

static inline void set_events_mode(int mode)
{
    FILE *file = fopen("/proc/sys/net/netfilter/nf_conntrack_events", "w");

    if (file) {
        fprintf(file, "%d\n", mode);
        fclose(file);
    }
    IS(events_mode(), mode);
}

static inline struct ct_watch *open_watch(unsigned int flags, unsigned int rcvbuf)
{
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = flags, .rcvbuf = rcvbuf };
    struct ct_watch *w = NULL;
    int ret = ct_watch_open(&w, &opts);

    if (ret < 0) {
        printf("ct_watch_open: %s\n", ct_strerror(ret));
        exit(2);
    }
    return w;
}

static inline struct ct_watch *start_watch(unsigned int flags, unsigned int rcvbuf)
{
    struct ct_watch *w = open_watch(flags, rcvbuf);

    if (ct_watch_start(w, NULL, 0) < 0) {
        printf("ct_watch_start: %s\n", ct_watch_error(w));
        exit(2);
    }
    return w;
}

static inline struct ct_watch_info info_of(struct ct_watch *w)
{
    struct ct_watch_info info = { .size = sizeof info };

    IS(ct_watch_get_info(w, &info), 0);
    return info;
}

static inline int readable(int fd, int timeout_ms)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    int ret;

    do
        ret = poll(&poll_fd, 1, timeout_ms);
    while (ret < 0 && errno == EINTR);
    return ret > 0;
}

/* What a watch told: it must make sense, and adds up. */
struct story {
    unsigned int of_type[6];
    unsigned int initial;
    unsigned int found;
    uint64_t last;
    uint64_t lost;
    /* The entry with this number is there. */
    unsigned int wanted;
    int is_there;
};

static inline int is_tcp(const struct ct_entry *e, unsigned int number)
{
    return memcmp(e->orig.src, tcp(number).orig.src, 4) == 0;
}

static inline void hear(struct story *story, const struct ct_event *ev, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        IS(ev[i].type >= CT_EVENT_NEW && ev[i].type <= CT_EVENT_SYNCED, 1);
        IS(ev[i].number, story->last + 1);
        story->last = ev[i].number;
        story->of_type[ev[i].type % 6]++;
        story->initial += ev[i].flags & CT_EVENT_INITIAL ? 1 : 0;
        story->found += ev[i].flags & CT_EVENT_FOUND ? 1 : 0;
        if (ev[i].type == CT_EVENT_LOST)
            story->lost += ev[i].lost;
        IS(ev[i].reserved[0] | ev[i].reserved[1], 0);
        IS(ev[i].received_ns > 0, 1);
        if (ev[i].type == CT_EVENT_NEW && is_tcp(&ev[i].entry, story->wanted))
            story->is_there = 1;
    }
}

/* Reads until so many events of a type were heard. */
static inline void hear_until(struct ct_watch *w, struct story *story, unsigned int type, unsigned int count)
{
    struct ct_event ev[64];

    while (story->of_type[type] < count) {
        int n = ct_watch_next(w, ev, 64, LONG_MS);

        if (n <= 0) {
            printf("%u of %u events of type %u, then %d: %s\n", story->of_type[type], count, type, n,
                   ct_watch_error(w));
            check_failures++;
            return;
        }
        hear(story, ev, n);
    }
}

/* Reads all that is there by now. */
static inline void hear_all(struct ct_watch *w, struct story *story)
{
    struct ct_event ev[64];
    int n;

    while (readable(ct_watch_fd(w), 0)) {
        n = ct_watch_next(w, ev, 64, 0);
        if (n < 0) {
            IS(n, 0);
            return;
        }
        hear(story, ev, n);
    }
}

static inline void delete_some(struct ct_handle *h, unsigned int first, unsigned int count)
{
    struct ct_entry *e = calloc(count, sizeof *e);
    int32_t *status = calloc(count, sizeof *status);
    struct ct_result r = { .size = sizeof r };
    unsigned int i;

    for (i = 0; i < count; i++)
        e[i] = tcp_key(first + i);
    if (ct_delete_entries(h, e, count, status, &r) < 0)
        printf("ct_delete_entries: %s\n", ct_handle_error(h));
    IS(r.done, count);
    free(status);
    free(e);
}

#endif
