/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Events of the program raw: who makes them, and the least that a reader can do. */

#include "raw.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* So many connections live at once. */
enum { ALIVE = 64, ALIVE_AT_PACE = 16 };

/* No table has connections with these numbers. */
enum { FIRST_FLOW = 8000000 };

/* Each step with its own templates: they are kept by the kind of connection. */
static void change_all(enum request what, const struct flow *flows, uint32_t count)
{
    static struct template templates[3][2][3][2];
    struct template(*of)[3][2] = templates[what == CREATE ? 0 : what == MARK_ANEW ? 1 : 2];
    size_t length = 0, last = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct flow *f = &flows[i];
        const int proto = f->proto == IPPROTO_TCP ? 0 : f->proto == IPPROTO_UDP ? 1 : 2;
        struct template *t = &of[f->family == AF_INET6][proto][f->zone != 0];
        if (t->length == 0)
            make_template(t, what, f);
        last = length;
        length += fill_from(t, batch + length, what, f, 0);
    }
    const uint32_t failed = exchange(batch, length, last);
    if (failed)
        fail("%u of %u changes failed", failed, count);
}

static void sleep_until(struct timespec *begun, uint64_t ns)
{
    struct timespec due = *begun;
    ns += (uint64_t)due.tv_nsec;
    due.tv_sec += (time_t)(ns / 1000000000u);
    due.tv_nsec = (long)(ns % 1000000000u);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
        ;
}

void make_the_events(const char *op, uint32_t events)
{
    const uint64_t ns_each = strcmp(op, "make-events") != 0 ? 1000000000u / PACE : 0;
    const uint32_t count = events / EVENTS_OF_A_FLOW, alive = ns_each ? ALIVE_AT_PACE : ALIVE;
    struct timespec begun;
    struct flow flows[ALIVE];

    measure_start();
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (uint32_t done = 0; done < count;) {
        const uint32_t here = count - done < alive ? count - done : alive;
        for (uint32_t i = 0; i < here; i++)
            flow_make(&flows[i], FIRST_FLOW + done + i);
        change_all(CREATE, flows, here);
        change_all(MARK_ANEW, flows, here);
        change_all(DELETE_WITHOUT_ID, flows, here);
        done += here;
        if (ns_each)
            sleep_until(&begun, ns_each * EVENTS_OF_A_FLOW * done);
    }
    measure_stop();
    measure_report("raw", op, events, events, 0);
}

static int listen_with(uint32_t buffer)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK };
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER), one = 1;
    const uint32_t groups[] = { NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_NEW };

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("netlink socket: %s", strerror(errno));
    setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof one);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
        fail("SO_RCVBUFFORCE: %s", strerror(errno));
    for (int i = 0; i < 3; i++)
        if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof groups[i]) != 0)
            fail("NETLINK_ADD_MEMBERSHIP: %s", strerror(errno));
    return fd;
}

static uint32_t read_one(int fd)
{
    return recv(fd, received, sizeof received, MSG_DONTWAIT) > 0;
}

enum { MANY = 64, ROOM = 4096 };

/* Headers are filled in once: the kernel changes nothing in them that it reads. */
static uint32_t read_many(int fd)
{
    static uint8_t rooms[MANY][ROOM];
    static struct iovec places[MANY];
    static struct mmsghdr headers[MANY];

    if (!headers[0].msg_hdr.msg_iov)
        for (int i = 0; i < MANY; i++) {
            places[i] = (struct iovec){ rooms[i], ROOM };
            headers[i].msg_hdr = (struct msghdr){ .msg_iov = &places[i], .msg_iovlen = 1 };
        }
    const int got = recvmmsg(fd, headers, MANY, MSG_DONTWAIT, NULL);
    return got > 0 ? (uint32_t)got : 0;
}

void read_events(const char *op, uint32_t events)
{
    const int fd = listen_with(EVENT_BUFFER);
    uint32_t (*some)(int) = !strcmp(op, "events-many") ? read_many : read_one;
    uint32_t count = 0, got;

    make_events(events);
    measure_start();
    while (count < events && (got = some(fd)) > 0)
        count += got;
    measure_stop();
    measure_report("raw", op, events, count, 0);
    close(fd);
}

void lose_events(const char *op, uint32_t events)
{
    const int fd = listen_with(EVENT_BUFFER);
    uint32_t count = 0, got;
    int goes_on;

    measure_start();
    begin_events(events);
    do {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        goes_on = events_go_on();
        poll(&ready, 1, 100);
        while ((got = read_many(fd)) > 0)
            count += got;
    } while (goes_on);
    measure_stop();
    measure_report("raw", op, events, count, 0);
    close(fd);
}
