/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* For the programs of scripts/test-boundary.sh: each runs in a network namespace of its own, with the library that is installed. */

#ifndef COMMON_H
#define COMMON_H

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <ctrack.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int check_failures;

/* Two numbers that must be the same. */
#define IS(found, wanted) check_is(__LINE__, #found, (long long)(found), (long long)(wanted))

static inline void check_is(int line, const char *what, long long found, long long wanted)
{
    if (found == wanted)
        return;
    check_failures++;
    printf("line %d: %s is %lld instead of %lld\n", line, what, found, wanted);
}

/* Something hangs for ever. No test is told by it how fast it must be. */
enum { ENDLESS = 300 };

/* An entry to create: TCP, 10.0.x.y:1000 to 10.9.9.9:80, with all that a request can say of it. */
static inline struct ct_entry tcp(unsigned int number)
{
    static const unsigned char server[4] = { 10, 9, 9, 9 };
    const uint32_t client = htonl(0x0a000000u + number);
    struct ct_entry e;

    memset(&e, 0, sizeof e);
    e.has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_MARK | CT_HAS_STATUS | CT_HAS_TCP_STATE |
            CT_HAS_TCP_WSCALE | CT_HAS_TCP_FLAGS;
    e.family = CT_FAMILY_IPV4;
    e.proto = CT_PROTO_TCP;
    memcpy(e.orig.src, &client, sizeof client);
    memcpy(e.orig.dst, server, sizeof server);
    e.orig.sport = 1000;
    e.orig.dport = 80;
    e.timeout = 6000;
    e.mark = 1;
    e.status = CT_STATUS_ASSURED | CT_STATUS_SEEN_REPLY;
    e.tcp_state = CT_TCP_STATE_ESTABLISHED;
    return e;
}

/* The same as a key. */
static inline struct ct_entry tcp_key(unsigned int number)
{
    struct ct_entry e = tcp(number);

    e.has = CT_HAS_ORIG | CT_HAS_PORTS;
    e.timeout = e.mark = e.status = 0;
    e.tcp_state = 0;
    return e;
}

static inline struct ct_filter marked(unsigned int mark)
{
    struct ct_filter f = { .size = sizeof f, .match = CT_MATCH_MARK, .mark = mark, .mark_mask = 0xffffffff };

    return f;
}

static inline struct ct_handle *open_with(unsigned int timeout_ms)
{
    struct ct_open_opts opts = { .size = sizeof opts, .timeout_ms = timeout_ms };
    struct ct_handle *h = NULL;
    int ret = ct_handle_open(&h, &opts);

    if (ret < 0) {
        printf("ct_handle_open: %s\n", ct_strerror(ret));
        exit(2);
    }
    return h;
}

static inline void create(struct ct_handle *h, unsigned int first, unsigned int count)
{
    struct ct_entry *e = calloc(count, sizeof *e);
    int32_t *status = calloc(count, sizeof *status);
    struct ct_result r = { .size = sizeof r };
    unsigned int i;

    for (i = 0; i < count; i++)
        e[i] = tcp(first + i);
    if (ct_create_entries(h, e, count, status, &r) < 0)
        printf("ct_create_entries: %s\n", ct_handle_error(h));
    IS(r.done, count);
    free(status);
    free(e);
}

static inline int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* How a child ended: its exit code, or minus the signal. */
static inline int ended(pid_t child)
{
    int status = 0;

    if (waitpid(child, &status, __WALL) != child) {
        perror("waitpid");
        exit(2);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int failed_checks(void)
{
    fflush(stdout);
    return check_failures != 0;
}

#endif
