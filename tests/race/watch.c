/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Watches who deletes what: counts the destroy events of the network namespace it runs in by the port of the requester and the
 * mark of the entry. Prints "ready" when it listens; when its standard input ends it reads what is left and prints a line
 * "PORT MARK COUNT" for each pair, then "end". No event is lost: the kernel keeps entries whose event could not be delivered
 * and tries again (NETLINK_BROADCAST_ERROR).
 *
 * Independent of the library: raw netlink only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

enum { PAIRS = 64 };
static struct {
    uint32_t port, mark;
    unsigned long count;
} pairs[PAIRS];

static int count(uint32_t port, uint32_t mark)
{
    for (int i = 0; i < PAIRS; i++) {
        if (pairs[i].count == 0 || (pairs[i].port == port && pairs[i].mark == mark)) {
            pairs[i].port = port;
            pairs[i].mark = mark;
            pairs[i].count++;
            return 0;
        }
    }
    return -1;
}

/* The mark in the attributes from `at` on; 0 if there is none. */
static uint32_t mark_of(const unsigned char *at, const unsigned char *end)
{
    while (end - at >= 4) {
        uint16_t length, kind;
        memcpy(&length, at, 2);
        memcpy(&kind, at + 2, 2);
        if (length < 4 || length > end - at)
            break;
        if ((kind & NLA_TYPE_MASK) == CTA_MARK && length == 8)
            return (uint32_t)at[4] << 24 | (uint32_t)at[5] << 16 | (uint32_t)at[6] << 8 | at[7];
        at += (length + 3) & ~3;
    }
    return 0;
}

/* Reads one datagram. 0: counted, 1: nothing there, -1: an error. */
static int read_events(int fd)
{
    static unsigned char buffer[65536];
    ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN ? 1 : errno == ENOBUFS || errno == EINTR ? 0 : -1;
    size_t at = 0;
    while ((size_t)n - at >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr h;
        memcpy(&h, buffer + at, sizeof h);
        if (h.nlmsg_len < sizeof h + 4 || h.nlmsg_len > (size_t)n - at)
            return -1;
        if (h.nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE) &&
            count(h.nlmsg_pid, mark_of(buffer + at + sizeof h + 4, buffer + at + h.nlmsg_len)) < 0)
            return -1;
        at += (h.nlmsg_len + 3) & ~(size_t)3;
    }
    return 0;
}

int main(void)
{
    struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = 1 << (NFNLGRP_CONNTRACK_DESTROY - 1) };
    int on = 1, room = 8 << 20;
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
    if (fd < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, &on, sizeof on) < 0) {
        perror("watch");
        return 1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)&local, sizeof local) < 0) {
        perror("watch: bind");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };
    int asked = 0, quiet = 0;
    while (quiet < 20) {
        /* After the end is asked for: until nothing has come for two seconds, in which the kernel tries again. */
        if (poll(p, asked ? 1 : 2, 100) < 0 && errno != EINTR)
            return 1;
        char byte;
        if (!asked && p[1].revents && read(0, &byte, 1) <= 0)
            asked = 1;
        int seen = 0, r;
        while ((r = read_events(fd)) == 0)
            seen = 1;
        if (r < 0) {
            fputs("watch: malformed event or too many pairs\n", stderr);
            return 1;
        }
        quiet = asked && !seen ? quiet + 1 : 0;
    }
    for (int i = 0; i < PAIRS && pairs[i].count > 0; i++)
        printf("%lu %lu %lu\n", (unsigned long)pairs[i].port, (unsigned long)pairs[i].mark, pairs[i].count);
    puts("end");
    return 0;
}
