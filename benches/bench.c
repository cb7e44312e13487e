/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_SEEN_REPLY = 2, STATUS_ASSURED = 4, STATUS_CONFIRMED = 8 };
enum { TCP_SYN_SENT = 1, TCP_ESTABLISHED = 3 };

static void be32(uint8_t *at, uint32_t value)
{
    value = htonl(value);
    memcpy(at, &value, sizeof value);
}

void flow_make(struct flow *f, uint32_t number)
{
    /* Mixed-radix digits, so that zone, family, protocol and mark do not depend on each other. */
    const uint32_t zone = number % FLOW_ZONES;
    const uint32_t family = number / 10 % 5;
    const uint32_t proto = number / 50 % 10;
    const uint32_t mark = number / 500 % 3;
    static const uint16_t services[] = { 443, 80, 53, 8080, 5432, 6443, 123, 9090 };

    memset(f, 0, sizeof *f);
    f->zone = (uint16_t)zone;
    f->mark = mark == 0 ? 0 : 0x100 * mark + number % 64;
    f->timeout = 86400 + number % 1000;
    f->status = STATUS_CONFIRMED;
    if (number / 1500 % 4 != 0)
        f->status |= STATUS_SEEN_REPLY | STATUS_ASSURED;
    if (family == 0) {
        f->family = AF_INET6;
        f->src[0] = f->dst[0] = 0xfd;
        f->dst[1] = 1;
        be32(f->src + 12, 0x0a000000 | number);
        be32(f->dst + 12, number * 2654435761u >> 20);
    } else {
        f->family = AF_INET;
        be32(f->src, 0x0a000000 | number);
        be32(f->dst, 0xac100000 | number * 2654435761u >> 20);
    }
    f->sport = (uint16_t)(1024 + number * 7 % 60000);
    if (proto < 7) {
        f->proto = IPPROTO_TCP;
        f->tcp_state = f->status & STATUS_ASSURED ? TCP_ESTABLISHED : TCP_SYN_SENT;
    } else if (proto < 9) {
        f->proto = IPPROTO_UDP;
    } else {
        f->proto = f->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    }
    if (proto < 9)
        f->dport = services[number / 7 % 8];
}

uint32_t pod_count(uint32_t total)
{
    const uint32_t pods = total / 25 / POD_FLOWS;
    if (pods == 0 || pods > 50000)
        fail("no pods in a table of %u", total);
    return pods;
}

uint32_t pod_address(uint32_t pod)
{
    return 0xc0a80000 + pod;
}

uint16_t pod_zone(uint32_t pod)
{
    return (uint16_t)(1000 + pod);
}

uint32_t pod_mark(uint32_t pod)
{
    return 0x10000 + pod;
}

/* The place-th of all connections of pods, which has this number in the whole table. */
static void pod_flow_make(struct flow *f, uint32_t number, uint32_t place, uint32_t pods)
{
    const uint32_t pod = place % pods;

    memset(f, 0, sizeof *f);
    f->family = AF_INET;
    f->proto = IPPROTO_TCP;
    f->tcp_state = TCP_ESTABLISHED;
    f->status = STATUS_CONFIRMED | STATUS_SEEN_REPLY | STATUS_ASSURED;
    f->timeout = 86400;
    f->zone = pod_zone(pod);
    f->mark = pod_mark(pod);
    be32(f->src, pod_address(pod));
    be32(f->dst, 0xac100000 | number * 2654435761u >> 20);
    f->sport = (uint16_t)(20000 + place / pods);
    f->dport = 443;
}

struct flow *flows_with_pods(uint32_t total)
{
    const uint32_t pods = pod_count(total);
    uint32_t *places = flow_sample_places(pods * POD_FLOWS, total);
    struct flow *flows = must_calloc(total, sizeof *flows);

    for (uint32_t i = 0; i < total; i++)
        if (places[i] == UINT32_MAX)
            flow_make(&flows[i], i);
        else
            pod_flow_make(&flows[i], i, places[i], pods);
    free(places);
    return flows;
}

struct flow *flow_of_each_pod(uint32_t total)
{
    const uint32_t pods = pod_count(total);
    struct flow *flows = must_calloc(pods, sizeof *flows);

    for (uint32_t i = 0; i < pods; i++)
        pod_flow_make(&flows[i], flow_sample(i, total), i, pods);
    return flows;
}

uint32_t flow_number(uint8_t family, const uint8_t *src)
{
    uint32_t word;
    memcpy(&word, family == AF_INET ? src : src + 12, sizeof word);
    return ntohl(word) & 0xffffff;
}

uint32_t flow_sample(uint32_t k, uint32_t total)
{
    /* A prime does not divide a smaller total, so the multiples modulo total are all different. */
    return (uint32_t)((uint64_t)k * 611953 % total);
}

uint32_t *flow_sample_places(uint32_t wanted, uint32_t total)
{
    uint32_t *places = must_calloc(total, sizeof *places);
    if (wanted > total || total >= 611953)
        fail("no sample of %u out of %u", wanted, total);
    memset(places, 0xff, total * sizeof *places);
    for (uint32_t k = 0; k < wanted; k++)
        places[flow_sample(k, total)] = k;
    return places;
}

void address_set_init(struct address_set *set, uint32_t room)
{
    /* At most half full, so that look-ups stay short. */
    set->shift = 31;
    while (1u << (32 - set->shift) < 2 * room)
        set->shift--;
    set->slots = must_calloc((size_t)1 << (32 - set->shift), sizeof *set->slots);
}

void address_set_add(struct address_set *set, uint32_t address)
{
    *address_set_slot(set, address) = address;
}

static struct {
    struct timespec start, stop;
    struct rusage before, after;
    int who;
} clock_state = { .who = RUSAGE_SELF };

void measure_children(void)
{
    clock_state.who = RUSAGE_CHILDREN;
}

/* The peak of resident memory from now on: writing 5 to clear_refs sets the mark back. */
static void reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    if (!file || fputs("5", file) < 0 || fclose(file) != 0)
        fail("cannot reset the memory peak in /proc/self/clear_refs");
}

/* Not ru_maxrss: that remembers the process that was here before exec(). */
static unsigned long peak_kb(void)
{
    char line[256];
    unsigned long kb = 0;
    if (clock_state.who == RUSAGE_CHILDREN)
        return (unsigned long)clock_state.after.ru_maxrss;
    FILE *file = fopen("/proc/self/status", "re");
    if (!file)
        fail("cannot read /proc/self/status");
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lu kB", &kb) == 1)
            break;
    fclose(file);
    return kb;
}

void measure_start(void)
{
    reset_peak();
    getrusage(clock_state.who, &clock_state.before);
    clock_gettime(CLOCK_MONOTONIC, &clock_state.start);
}

void measure_stop(void)
{
    clock_gettime(CLOCK_MONOTONIC, &clock_state.stop);
    getrusage(clock_state.who, &clock_state.after);
}

static uint64_t micro(struct timeval from, struct timeval to)
{
    return (uint64_t)((to.tv_sec - from.tv_sec) * 1000000 + (to.tv_usec - from.tv_usec));
}

static uint64_t nanoseconds(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct {
    uint64_t wall, user, sys;
} was;

void measure_was(uint64_t wall_ns, uint64_t user_ns, uint64_t sys_ns)
{
    was.wall = wall_ns;
    was.user = user_ns;
    was.sys = sys_ns;
}

void measure_report(const char *peer, const char *op, uint64_t n, uint64_t check, uint64_t sum)
{
    if (!was.wall)
        measure_was(nanoseconds(clock_state.stop) - nanoseconds(clock_state.start),
                    micro(clock_state.before.ru_utime, clock_state.after.ru_utime) * 1000,
                    micro(clock_state.before.ru_stime, clock_state.after.ru_stime) * 1000);
    printf("peer=%s op=%s n=%llu wall_ns=%llu user_ns=%llu sys_ns=%llu peak_kb=%lu check=%llu sum=%llu\n", peer, op,
           (unsigned long long)n, (unsigned long long)was.wall, (unsigned long long)was.user,
           (unsigned long long)was.sys, peak_kb(), (unsigned long long)check, (unsigned long long)sum);
}

static pid_t maker = -1;

static pid_t start_maker(const char *op, uint32_t events)
{
    const char *raw = getenv("RAW");
    char count[16];

    if (!raw)
        fail("RAW does not name the program raw");
    snprintf(count, sizeof count, "%u", events);
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0)
        fail("fork: %s", strerror(errno));
    if (child == 0) {
        const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0)
            execl(raw, raw, op, count, NULL);
        _exit(127);
    }
    return child;
}

static void must_succeed(int status)
{
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("the program that makes events failed");
}

void make_events(uint32_t events)
{
    int status;
    if (waitpid(start_maker("make-events", events), &status, 0) < 0)
        fail("waitpid: %s", strerror(errno));
    must_succeed(status);
}

void begin_events(uint32_t events)
{
    maker = start_maker("make-events-slowly", events);
}

int events_go_on(void)
{
    int status;
    if (maker > 0 && waitpid(maker, &status, WNOHANG) == maker) {
        must_succeed(status);
        maker = -1;
    }
    return maker > 0;
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void *must_calloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        fail("out of memory");
    return memory;
}

uint32_t must_number(const char *text)
{
    char *end;
    const unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0 || value > 16000000)
        fail("%s is no number from 1 to 16000000", text);
    return (uint32_t)value;
}
