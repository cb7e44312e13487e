/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * children [old]: no child uses a handle of its parent, however it was made, and none disturbs it. old: as on a kernel before
 * 4.14, which wipes no memory in children.
 */

#include "common.h"

#include <linux/sched.h>

enum { ENTRIES = 3000 };

static int old_kernel;
static struct ct_handle *handle;

int madvise(void *start, size_t length, int advice)
{
    if (old_kernel && advice == MADV_WIPEONFORK) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_madvise, start, length, advice);
}

/* --- A thread that is in a call ------------------------------------------------------------------------------------------ */

enum { OPEN, CLOSED, REACHED };

static atomic_int gate;

ssize_t recvfrom(int fd, void *buf, size_t length, int flags, struct sockaddr *from, socklen_t *from_length)
{
    int expected = CLOSED;

    if (atomic_compare_exchange_strong(&gate, &expected, REACHED))
        while (atomic_load(&gate) == REACHED)
            sched_yield();
    return syscall(SYS_recvfrom, fd, buf, length, flags, from, from_length);
}

static void *list(void *ret)
{
    struct ct_entry *e = NULL;
    size_t count = 0;

    *(int *)ret = ct_list(handle, NULL, 0, &e, &count);
    IS(count, ENTRIES);
    ct_entries_free(e);
    return NULL;
}

/* --- What a child does --------------------------------------------------------------------------------------------------- */

/* Every call on the parent's handle. */
static void refused(void)
{
    struct ct_entry e = tcp(1), key = tcp_key(1), batch[2], *listed = NULL;
    struct ct_filter f = marked(1);
    struct ct_result r = { .size = sizeof r, .done = 99 };
    int32_t status[2] = { 12345, 12345 };
    uint64_t count64 = 77;
    uint32_t zone = 77;
    size_t count = 77;

    IS(ct_list(handle, NULL, 0, &listed, &count), -ECHILD);
    IS(ct_get(handle, &key, &e), -ECHILD);
    IS(ct_count(handle, &count64), -ECHILD);
    IS(ct_zone_find_free(handle, 1, 9, &zone), -ECHILD);
    IS(ct_filter_port(handle, &f, CT_PROTO_UDP, 53), -ECHILD);
    IS(ct_filter_rule(handle, &f, CT_RULE_EGRESS, CT_FAMILY_IPV4, (const uint8_t *)"\12\0\0\7", 32, NULL, 0), -ECHILD);
    IS(ct_dump_start(handle, NULL, 0), -ECHILD);
    IS(ct_dump_next(handle, batch, 2), -ECHILD);
    IS(ct_dump_end(handle), -ECHILD);
    IS(ct_delete(handle, &f, 1, 0, &r), -ECHILD);
    IS(r.done, 0);
    IS(ct_delete_entries(handle, &key, 1, status, &r), -ECHILD);
    IS(ct_create_entries(handle, &e, 1, status + 1, &r), -ECHILD);
    IS(status[0], -ECHILD);
    IS(status[1], -ECHILD);
    IS(ct_update_entries(handle, &e, 1, status, &r), -ECHILD);
    IS(ct_flush(handle, NULL, CT_FLUSH_ALL), -ECHILD);
    IS(strstr(ct_handle_error(handle), "parent") != NULL, 1);
    IS(count, 77);
    IS(count64, 77);
    IS(zone, 77);
    IS(listed == NULL, 1);
}

/* With one of its own. */
static void own(void)
{
    struct ct_handle *h = open_with(0);
    struct ct_entry *e = NULL;
    uint64_t count64 = 0;
    size_t count = 0;

    IS(ct_count(h, &count64), 0);
    IS(count64, ENTRIES);
    IS(ct_list(h, NULL, 0, &e, &count), 0);
    IS(count, ENTRIES);
    ct_entries_free(e);
    ct_handle_close(h);
}

static void leave(void)
{
    fflush(stdout);
    _exit(check_failures);
}

static void child(void)
{
    pid_t grandchild;

    check_failures = 0;
    refused();
    own();
    /* That it had one does not make the parent's its own. */
    refused();
    grandchild = fork();
    if (grandchild == 0) {
        refused();
        own();
        refused();
        ct_handle_close(handle);
        own();
        leave();
    }
    IS(ended(grandchild), 0);
    ct_handle_close(handle);
    own();
    leave();
}

/* The parent's handle is as it was. */
static void undisturbed(void)
{
    uint64_t count = 0;

    IS(ct_count(handle, &count), 0);
    IS(count, ENTRIES);
}

/* --- Ways to make one ---------------------------------------------------------------------------------------------------- */

static int run_child(void *unused)
{
    (void)unused;
    child();
    return 0;
}

static pid_t raw_clone(unsigned long flags)
{
#ifdef __s390x__
    return (pid_t)syscall(SYS_clone, 0, flags | SIGCHLD, 0, 0, 0);
#else
    return (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
#endif
}

static void every_way(void)
{
    static char stack[1 << 18] __attribute__((aligned(64)));
    volatile int ret = 0;
    pid_t pid;

    pid = fork();
    if (pid == 0)
        child();
    IS(ended(pid), 0);
    undisturbed();

    /* No handler of pthread_atfork() runs. */
    pid = raw_clone(0);
    if (pid == 0)
        child();
    IS(ended(pid), 0);
    undisturbed();

    pid = clone(run_child, stack + sizeof stack, SIGCHLD, NULL);
    IS(ended(pid), 0);
    undisturbed();

    /* It has the memory of its parent, so it may not close the handle; should it do so all the same, the parent keeps it. */
    pid = vfork();
    if (pid == 0) {
        uint64_t count = 0;

        ret = ct_count(handle, &count);
        ct_handle_close(handle);
        _exit(0);
    }
    IS(ended(pid), 0);
    IS(ret, -ECHILD);
    undisturbed();
}

/* Parent and child have the same number. */
static void first_processes(void)
{
    static char stack[1 << 18] __attribute__((aligned(64)));
    pid_t pid;

    IS(getpid(), 1);
    if (!old_kernel) {
        pid = clone(run_child, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, NULL);
        IS(ended(pid), 0);
        undisturbed();
        pid = raw_clone(CLONE_NEWPID);
        if (pid == 0) {
            IS(getpid(), 1);
            child();
        }
        IS(ended(pid), 0);
        undisturbed();
    }
    if (unshare(CLONE_NEWPID) < 0) {
        perror("unshare");
        exit(2);
    }
    pid = fork();
    if (pid == 0) {
        IS(getpid(), 1);
        child();
    }
    IS(ended(pid), 0);
    undisturbed();
}

/* While another thread is in a call. */
static void busy(void)
{
    pthread_t thread;
    int ret = 77, i;
    pid_t pid;

    for (i = 0; i < 20; i++) {
        atomic_store(&gate, CLOSED);
        pthread_create(&thread, NULL, list, &ret);
        while (atomic_load(&gate) == CLOSED)
            sched_yield();
        pid = fork();
        if (pid == 0) {
            atomic_store(&gate, OPEN);
            child();
        }
        IS(ended(pid), 0);
        atomic_store(&gate, OPEN);
        pthread_join(thread, NULL);
        IS(ret, 0);
        undisturbed();
    }
}

/* While a dump is open. */
static void dumping(void)
{
    struct ct_entry batch[64];
    int filled, all = 0;
    pid_t pid;

    IS(ct_dump_start(handle, NULL, 0), 0);
    all = ct_dump_next(handle, batch, 64);
    pid = fork();
    if (pid == 0)
        child();
    IS(ended(pid), 0);
    while ((filled = ct_dump_next(handle, batch, 64)) > 0)
        all += filled;
    IS(filled, 0);
    IS(all, ENTRIES);
}

int main(int argc, char **argv)
{
    pid_t pid;

    (void)argv;
    old_kernel = argc > 1;
    alarm(ENDLESS);
    handle = open_with(0);
    create(handle, 0, ENTRIES);
    every_way();
    busy();
    dumping();
    if (unshare(CLONE_NEWPID) < 0) {
        perror("unshare");
        return 2;
    }
    pid = fork();
    if (pid == 0) {
        check_failures = 0;
        ct_handle_close(handle);
        handle = open_with(0);
        undisturbed();
        first_processes();
        ct_handle_close(handle);
        leave();
    }
    IS(ended(pid), 0);
    ct_handle_close(handle);
    return failed_checks();
}
