/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Whoever makes, changes and destroys entries, as fast as it goes, in threads. */

#include "equality.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TCP_PORT = 7000, UDP_FROM = 19000, UDP_PORTS = 20000, MANY_PORTS = 40000, CHASED = 8 };

static struct {
    pthread_t threads[8];
    unsigned count, ports;
    const struct plan *plan;
    /* The port to which the last datagram went. Nothing depends on who sees it when. */
    volatile unsigned position;
    volatile int stop;
    int udp, listener;
} churn;

/* Numbers that are the same for the same seed. */
uint32_t drawn(uint64_t *chance, uint32_t n)
{
    *chance = *chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*chance >> 33) % n;
}

void rest(unsigned millis)
{
    struct timespec time = { millis / 1000, (long)(millis % 1000) * 1000000 };

    while (nanosleep(&time, &time) < 0 && errno == EINTR)
        ;
}

static void sysctl_path(char *path, size_t room, const char *name)
{
    snprintf(path, room, "/proc/sys/net/netfilter/%s", name);
}

int try_sysctl(const char *name, unsigned value)
{
    char path[128];
    FILE *file;

    sysctl_path(path, sizeof path, name);
    file = fopen(path, "w");
    return file && (fprintf(file, "%u\n", value) > 0) + (fclose(file) == 0) == 2;
}

void set_sysctl(const char *name, unsigned value)
{
    if (!try_sysctl(name, value)) {
        perror(name);
        exit(3);
    }
}

int get_sysctl(const char *name)
{
    char path[128];
    FILE *file;
    int value = -1;

    sysctl_path(path, sizeof path, name);
    file = fopen(path, "r");
    if (!file || fscanf(file, "%d", &value) != 1)
        value = -1;
    if (file)
        fclose(file);
    return value;
}

/*
 * An entry of its number: both families, UDP, in no zone, in one, or in one for one direction only. The variant changes to whom it is
 * answered, so that entries that follow each other may share the original tuple alone.
 */
struct row flow_of(unsigned number, unsigned variant, enum zone_kind *kind)
{
    struct row r;
    unsigned host = number >> 8;

    memset(&r, 0, sizeof r);
    r.proto = 17;
    r.family = number % 5 == 4 ? AF_INET6 : AF_INET;
    if (r.family == AF_INET) {
        uint8_t src[4] = { 10, 1, (uint8_t)(host >> 8), (uint8_t)host }, dst[4] = { 10, 2, 0, 1 };

        memcpy(r.orig.src, src, 4);
        memcpy(r.orig.dst, dst, 4);
    } else {
        r.orig.src[0] = r.orig.dst[0] = 0xfd;
        r.orig.src[13] = 1;
        r.orig.dst[13] = 2;
        r.orig.src[14] = (uint8_t)(host >> 8);
        r.orig.src[15] = (uint8_t)host;
    }
    r.orig.sport = (uint16_t)(1024 + number % 256);
    r.orig.dport = 53;
    memcpy(r.reply.src, r.orig.dst, 16);
    memcpy(r.reply.dst, r.orig.src, 16);
    r.reply.sport = r.orig.dport;
    r.reply.dport = (uint16_t)(r.orig.sport + (number % 7 == 6 ? 1000 * (variant % 2) : 0));
    *kind = number % 8 < 5 ? NO_ZONE : (enum zone_kind)(number % 8 - 4);
    if (*kind == BOTH_WAYS)
        r.orig.zone = r.reply.zone = 5;
    if (*kind == ORIG_ONLY)
        r.orig.zone = 7;
    if (*kind == REPLY_ONLY)
        r.reply.zone = 9;
    return r;
}

static struct batch *new_batch(void)
{
    struct batch *b = calloc(1, sizeof *b);

    if (!b)
        exit(3);
    return b;
}

/* What is there before anybody watches, behind those that are changed. */
void fill_table(const struct plan *plan)
{
    struct batch *b = new_batch();
    int fd = open_netlink(1 << 20);

    for (unsigned i = 0; i < plan->start; i++) {
        struct values v = { .timeout = 6000, .mark = i % 3, .has_mark = 1 };
        enum zone_kind kind;
        struct row r = flow_of(i, 0, &kind);

        put_made(b, &r, kind, &v);
        if (b->count == 64)
            send_batch(fd, b);
    }
    send_batch(fd, b);
    close(fd);
    free(b);
}

/* Anything with any of the entries. */
void put_something(struct batch *b, uint64_t *chance, const struct plan *plan)
{
    static const uint32_t statuses[] = { 0, 0, CT_STATUS_SEEN_REPLY, CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED };
    struct values v = { 0 };
    enum zone_kind kind;
    struct row r = flow_of(drawn(chance, plan->tuples), drawn(chance, 2), &kind);

    switch (drawn(chance, 10)) {
    case 0:
    case 1:
    case 2:
    case 3:
        /* Those that end by themselves do so while the run lasts, all others long after it. */
        v.timeout = plan->quick && drawn(chance, 4) == 0 ? 1 + drawn(chance, 2) : 6000;
        v.mark = drawn(chance, 4);
        v.has_mark = (int)drawn(chance, 2);
        v.status = statuses[drawn(chance, 4)];
        put_made(b, &r, kind, &v);
        break;
    case 4:
    case 5:
    case 6:
        v.mark = drawn(chance, 4);
        v.has_mark = 1;
        if (drawn(chance, 3) == 0)
            v.status = CT_STATUS_CONFIRMED | CT_STATUS_SEEN_REPLY | (drawn(chance, 2) ? CT_STATUS_ASSURED : 0u);
        put_changed(b, &r, kind, &v);
        break;
    default:
        put_deleted(b, &r, kind);
    }
}

static void *change(void *number)
{
    uint64_t chance = churn.plan->seed * 31 + (uintptr_t)number;
    struct batch *b = new_batch();
    int fd = open_netlink(1 << 20);

    while (!churn.stop) {
        unsigned size = 1 + drawn(&chance, 64);

        for (unsigned i = 0; i < size; i++)
            put_something(b, &chance, churn.plan);
        send_batch(fd, b);
        if (churn.plan->pace)
            rest(churn.plan->pace);
    }
    close(fd);
    free(b);
    return NULL;
}

static struct sockaddr_in loopback(unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void send_datagram(unsigned port)
{
    struct sockaddr_in to = loopback(UDP_PORTS + port);
    struct iovec part = { .iov_base = (void *)(uintptr_t)"x", .iov_len = 1 };
    struct msghdr all = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1 };

    /* What comes back as an error, since nobody is there, is of no interest. */
    if (sendmsg(churn.udp, &all, MSG_DONTWAIT) < 0)
        return;
}

static void *send_datagrams(void *unused)
{
    (void)unused;
    while (!churn.stop) {
        churn.position = (churn.position + 1) % churn.ports;
        send_datagram(churn.position);
        if (churn.plan->pace && churn.position % 64 == 0)
            rest(churn.plan->pace);
    }
    return NULL;
}

/* The same datagrams from the same socket at the same time: two that both find no entry make one each, and one of them has to go, or
 * hides behind the other (with NAT). */
static void *send_once_more(void *unused)
{
    unsigned last = 0;

    (void)unused;
    while (!churn.stop) {
        unsigned now = churn.position;

        if (now != last)
            send_datagram(now);
        last = now;
    }
    return NULL;
}

/* The entry that the datagrams from this program's port make. */
static struct row flow_to(unsigned port)
{
    struct row r;

    memset(&r, 0, sizeof r);
    r.family = AF_INET;
    r.proto = 17;
    r.orig.src[0] = r.orig.dst[0] = 127;
    r.orig.src[3] = r.orig.dst[3] = 1;
    r.orig.sport = UDP_FROM;
    r.orig.dport = (uint16_t)port;
    return r;
}

/* Sends one datagram. */
struct row send_one(unsigned port)
{
    struct sockaddr_in own = loopback(UDP_FROM);

    churn.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (churn.udp < 0 || bind(churn.udp, (struct sockaddr *)&own, sizeof own) < 0) {
        perror("socket on loopback");
        exit(3);
    }
    send_datagram(port - UDP_PORTS);
    close(churn.udp);
    return flow_to(port);
}

/* Deletes what was just made. */
static void *chase(void *unused)
{
    struct batch *b = new_batch();
    int fd = open_netlink(1 << 20);
    struct row r = flow_to(0);

    (void)unused;
    while (!churn.stop) {
        for (unsigned i = 0; i < 8 * CHASED; i++) {
            r.orig.dport = (uint16_t)(UDP_PORTS + (churn.position + churn.ports - 3 + i % CHASED) % churn.ports);
            put_deleted(b, &r, NO_ZONE);
        }
        send_batch(fd, b);
        if (churn.plan->pace)
            rest(churn.plan->pace);
    }
    close(fd);
    free(b);
    return NULL;
}

/* Connections that are closed from one end, from the other, or at once. */
static void *connect_and_close(void *unused)
{
    uint64_t chance = churn.plan->seed * 17;
    struct sockaddr_in to = loopback(TCP_PORT);

    (void)unused;
    /* Not so many that a small table is full: who connects would wait for a long time. */
    for (unsigned i = 0; i < churn.plan->tuples / 4 && !churn.stop; i++) {
        int here = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), there = -1;
        struct linger at_once = { .l_onoff = 1 };
        unsigned kind = drawn(&chance, 3);

        if (here >= 0 && connect(here, (struct sockaddr *)&to, sizeof to) == 0)
            there = accept(churn.listener, NULL, NULL);
        if (there >= 0 && kind == 0)
            setsockopt(here, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        if (there >= 0 && kind == 1) {
            close(there);
            there = -1;
        }
        if (here >= 0)
            close(here);
        if (there >= 0)
            close(there);
        rest(1);
    }
    return NULL;
}

static void begin(void *(*run)(void *), void *argument)
{
    if (pthread_create(&churn.threads[churn.count++], NULL, run, argument) != 0) {
        perror("thread");
        exit(3);
    }
}

void start_churn(const struct plan *plan)
{
    struct sockaddr_in own = loopback(UDP_FROM), listener = loopback(TCP_PORT);

    churn.plan = plan;
    churn.ports = plan->tuples < MANY_PORTS / 2 ? plan->tuples : MANY_PORTS;
    churn.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    churn.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (churn.udp < 0 || bind(churn.udp, (struct sockaddr *)&own, sizeof own) < 0 || churn.listener < 0 ||
        bind(churn.listener, (struct sockaddr *)&listener, sizeof listener) < 0 || listen(churn.listener, 16) < 0) {
        perror("sockets on loopback");
        exit(3);
    }
    for (unsigned i = 0; i < plan->netlink; i++)
        begin(change, (void *)(uintptr_t)i);
    if (plan->udp) {
        begin(send_datagrams, NULL);
        begin(chase, NULL);
    }
    if (plan->udp > 1)
        begin(send_once_more, NULL);
    if (plan->tcp)
        begin(connect_and_close, NULL);
}

void stop_churn(void)
{
    churn.stop = 1;
    while (churn.count)
        pthread_join(churn.threads[--churn.count], NULL);
    close(churn.udp);
    close(churn.listener);
}
