/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sendbuf: the send buffer is large enough for every batch, and where it cannot be, batches are cut. */

#include "common.h"

enum { ENTRIES = 1000 };

static int asked;
static int datagrams;

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_SNDBUFFORCE))
        asked = *(const int *)value;
    return (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

ssize_t sendto(int fd, const void *buf, size_t length, int flags, const struct sockaddr *to, socklen_t to_length)
{
    ssize_t sent = syscall(SYS_sendto, fd, buf, length, flags, to, to_length);

    datagrams += sent > 0;
    return sent;
}

/* The library's socket: with a smaller send buffer, if `size` is not 0. The size that it has then. */
static int send_buffer(int size)
{
    struct sockaddr_storage address;
    socklen_t length;
    int fd, found = 0, now = 0;

    for (fd = 3; fd < 64; fd++) {
        length = sizeof address;
        if (getsockname(fd, (struct sockaddr *)&address, &length) < 0 || address.ss_family != AF_NETLINK)
            continue;
        if (size)
            syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        length = sizeof now;
        getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &now, &length);
        found++;
    }
    IS(found, 1);
    return now;
}

/* What every entry has, in all three calls; how many datagrams that took. */
static int work(struct ct_handle *h)
{
    static struct ct_entry e[ENTRIES], update[ENTRIES];
    static int32_t status[ENTRIES];
    struct ct_result r = { .size = sizeof r };
    uint64_t count = 0;
    unsigned int i, failed = 0, before = (unsigned int)datagrams;

    for (i = 0; i < ENTRIES; i++) {
        e[i] = tcp(i);
        e[i].has |= CT_HAS_LABELS | CT_HAS_ZONE;
        e[i].labels[15] = 0x80;
        e[i].zone = 7;
        update[i] = e[i];
        update[i].has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_ZONE | CT_HAS_MARK;
        update[i].timeout = update[i].status = 0;
        update[i].tcp_state = 0;
        memset(update[i].labels, 0, sizeof update[i].labels);
        update[i].mark = 2;
    }
    IS(ct_create_entries(h, e, ENTRIES, status, &r), 0);
    IS(r.done, ENTRIES);
    IS(ct_update_entries(h, update, ENTRIES, status, &r), 0);
    IS(r.done, ENTRIES);
    for (i = 0; i < ENTRIES; i++)
        update[i].has &= ~(uint64_t)CT_HAS_MARK, update[i].mark = 0;
    IS(ct_delete_entries(h, update, ENTRIES, status, &r), 0);
    IS(r.done, ENTRIES);
    if (r.done != ENTRIES)
        printf("%s\n", ct_handle_error(h));
    for (i = 0; i < ENTRIES; i++)
        failed += status[i] != 0;
    IS(failed, 0);
    IS(ct_count(h, &count), 0);
    IS(count, 0);
    return datagrams - (int)before;
}

int main(void)
{
    static const int sizes[] = { 1, 4096, 16384, 65536 };
    struct ct_handle *h = open_with(0);
    int whole, cut;
    unsigned int i;

    alarm(ENDLESS);
    /* 256 requests of 400 bytes, and what the kernel keeps for itself: asked for, and there. */
    IS(asked >= 256 * 400 + 32, 1);
    IS(send_buffer(0) >= 256 * 400 + 32, 1);
    whole = work(h);
    ct_handle_close(h);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        h = open_with(0);
        IS(send_buffer(sizes[i]) <= 2 * 65536, 1);
        cut = work(h);
        /* Only so is it known that batches were cut at all. */
        if (sizes[i] < 65536)
            IS(cut > whole, 1);
        ct_handle_close(h);
    }
    return failed_checks();
}
