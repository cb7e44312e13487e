/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Logs each flow that ends: who talked to whom, how much in either direction, and how long.
 *
 * Final counters come with the end of an entry alone, so a list never has them. They are there if the sysctl
 * net.netfilter.nf_conntrack_acct was on when the flow began; its times, if nf_conntrack_timestamp was. A flow that ends by a timeout
 * is told when the kernel collects it, up to 90 seconds later.
 *
 * Without an argument it makes flows of its own, so that there is something to see. With "watch" it logs what ends in the network
 * namespace until Ctrl-C: the events alone, without a list, and of the three kinds only this one.
 *
 * Build: cc 11-destroyed.c $(pkg-config --cflags --libs libctrack)
 * Run:   unshare -n ./a.out (not as root: unshare -Urn ./a.out), or: sudo ./a.out watch
 *
 * Expected output:
 * udp 10.0.0.1:40001 -> 10.0.0.53:53, not counted (nf_conntrack_acct was off), duration unknown (nf_conntrack_timestamp was off)
 * udp 10.0.0.1:40002 -> 10.0.0.53:53, packets 0 there 0 back, bytes 0 there 0 back, less than a minute
 * udp fd00::1:40003 -> fd00::53:53, packets 0 there 0 back, bytes 0 there 0 back, less than a minute
 */
#include <arpa/inet.h>
#include <ctrack.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SETTING(name) "/proc/sys/net/netfilter/nf_conntrack_" name

static struct ct_watch *watch;
static volatile sig_atomic_t ended;

/* A signal handler may wake a watch. One that waits elsewhere ends its next wait, so that no signal comes too early. */
static void end(int number)
{
    (void)number;
    ended = 1;
    ct_watch_wake(watch);
}

static const char *protocol(uint8_t proto)
{
    static char number[8];
    switch (proto) {
    case CT_PROTO_TCP:
        return "tcp";
    case CT_PROTO_UDP:
        return "udp";
    case CT_PROTO_ICMP:
        return "icmp";
    case CT_PROTO_ICMPV6:
        return "icmpv6";
    }
    snprintf(number, sizeof number, "%u", proto);
    return number;
}

/* What it lasted; with `roughly` in the same words on a slow machine. */
static void show_duration(const struct ct_entry *e, int roughly)
{
    uint64_t ms = e->stop_ns > e->start_ns ? (e->stop_ns - e->start_ns) / 1000000 : 0;
    if (!(e->has & CT_HAS_START) || !(e->has & CT_HAS_STOP))
        puts(", duration unknown (nf_conntrack_timestamp was off)");
    else if (roughly)
        printf(", %s\n", ms < 60000 ? "less than a minute" : "a minute or more");
    else
        printf(", %llu.%03u s\n", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

static void show(const struct ct_event *ev, int roughly)
{
    const struct ct_entry *e = &ev->entry;
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    inet_ntop(e->family, e->orig.src, from, sizeof from);
    inet_ntop(e->family, e->orig.dst, to, sizeof to);
    printf("%s %s", protocol(e->proto), from);
    if (e->has & CT_HAS_PORTS)
        printf(":%u -> %s:%u", e->orig.sport, to, e->orig.dport);
    else
        printf(" -> %s", to);
    if (e->zone != 0)
        printf(", zone %u", (unsigned)e->zone);
    if ((e->has & CT_HAS_ORIG_COUNTERS) && (e->has & CT_HAS_REPLY_COUNTERS))
        printf(", packets %llu there %llu back, bytes %llu there %llu back",
               (unsigned long long)e->orig_counters.packets, (unsigned long long)e->reply_counters.packets,
               (unsigned long long)e->orig_counters.bytes, (unsigned long long)e->reply_counters.bytes);
    else
        printf(", not counted (nf_conntrack_acct was off)");
    show_duration(e, roughly);
}

/* Logs what comes next. Returns how many flows ended. */
static int log_next(int timeout_ms, int roughly)
{
    struct ct_event ev[64];
    int flows = 0;
    int n = ct_watch_next(watch, ev, 64, timeout_ms);
    for (int i = 0; i < n; i++) {
        if (ev[i].type == CT_EVENT_DESTROY) {
            show(&ev[i], roughly);
            flows++;
        } else if (ev[i].type == CT_EVENT_LOST && ev[i].lost == UINT64_MAX) {
            puts("here some are missing: the kernel had no memory");
        } else if (ev[i].type == CT_EVENT_LOST) {
            printf("here %llu are missing: they came faster than they were read\n", (unsigned long long)ev[i].lost);
        }
    }
    fflush(stdout);
    return n < 0 ? n : flows;
}

static int set(const char *path, int value)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return -errno;
    int r = fprintf(file, "%d", value) < 0 ? -EIO : 0;
    return fclose(file) < 0 ? -errno : r;
}

/* What an entry keeps is decided when it is made. */
static int keep(int counters_and_times)
{
    int r = set(SETTING("acct"), counters_and_times);
    return r < 0 ? r : set(SETTING("timestamp"), counters_and_times);
}

static int make_and_delete(struct ct_handle *h, const struct ct_entry *made)
{
    struct ct_result result = { .size = sizeof result };
    struct ct_entry key = *made;
    int32_t status;
    int r = ct_create_entries(h, made, 1, &status, &result);
    key.has &= ~CT_HAS_TIMEOUT;
    key.timeout = 0;
    if (r == 0)
        r = ct_delete_entries(h, &key, 1, &status, &result);
    if (r == 0)
        r = log_next(5000, 1);
    return r == 0 ? -ETIMEDOUT : r;
}

static int demo(struct ct_handle *h)
{
    struct ct_entry e = { .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT,
                          .timeout = 600,
                          .family = CT_FAMILY_IPV4,
                          .proto = CT_PROTO_UDP,
                          .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = 40001, .dport = 53 } };
    int r = keep(0);
    if (r == 0)
        r = make_and_delete(h, &e);
    if (r > 0)
        r = keep(1);
    e.orig.sport = 40002;
    if (r == 0)
        r = make_and_delete(h, &e);
    e.family = CT_FAMILY_IPV6;
    memset(e.orig.src, 0, sizeof e.orig.src);
    memset(e.orig.dst, 0, sizeof e.orig.dst);
    e.orig.src[0] = e.orig.dst[0] = 0xfd;
    e.orig.src[15] = 1;
    e.orig.dst[15] = 0x53;
    e.orig.sport = 40003;
    if (r > 0)
        r = make_and_delete(h, &e);
    return r;
}

static int run_demo(void)
{
    struct ct_handle *h;
    uint64_t before = 0;
    int r = ct_handle_open(&h, NULL);
    if (r < 0)
        return r;
    r = ct_count(h, &before);
    if (r == 0 && before > 0) {
        fputs("there are entries already; run this in a network namespace of its own\n", stderr);
        r = -ENOTEMPTY;
    }
    if (r == 0)
        r = demo(h);
    if (r < 0)
        fprintf(stderr, "%s\n", ct_handle_error(h));
    ct_handle_close(h);
    return r;
}

int main(int argc, char **argv)
{
    struct ct_watch_opts opts = { .size = sizeof opts, .events = CT_WATCH_DESTROY };
    int r = ct_watch_open(&watch, &opts);
    if (r < 0) {
        fprintf(stderr, "open: %s\n", ct_strerror(r));
        return 1;
    }
    signal(SIGINT, end);
    signal(SIGTERM, end);
    r = ct_watch_start(watch, NULL, 0);
    if (r == 0 && (argc < 2 || strcmp(argv[1], "watch") != 0))
        r = run_demo();
    else
        while (r >= 0 && !ended)
            r = log_next(-1, 0);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", ct_strerror(r), ct_watch_error(watch));
    ct_watch_close(watch);
    return r < 0;
}
