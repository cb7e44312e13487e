/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * watch-children: no child uses or disturbs a watch of its parent, and a watch that is closed leaves its groups even where a child has
 * copies of its sockets.
 */

#include "watching.h"

static struct ct_handle *handle;
static struct ct_watch *watch;

/* How many netlink sockets of netfilter (protocol 12) in this network namespace are there, and how many of them are in a group. */
static void sockets(unsigned int *all, unsigned int *joined)
{
    FILE *file = fopen("/proc/net/netlink", "r");
    char line[256];
    unsigned int protocol, groups;

    *all = *joined = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%*s %u %*s %x", &protocol, &groups) != 2 || protocol != 12)
            continue;
        *all += 1;
        *joined += groups != 0;
    }
    if (file)
        fclose(file);
}

static unsigned int joined(void)
{
    unsigned int all, in_groups;

    sockets(&all, &in_groups);
    return in_groups;
}

/* The socket for events, and the one that keeps them coming. */
enum { JOINED = 2 };

static void leave(void)
{
    fflush(stdout);
    _exit(check_failures != 0);
}

static void refused(void)
{
    struct ct_watch_info info = { .size = sizeof info, .received = 99 };
    struct ct_filter f = marked(1);
    struct ct_event ev = { .type = 77 };
    int i;

    errno = 4321;
    for (i = 0; i < 2; i++) {
        IS(ct_watch_start(watch, NULL, 0), -ECHILD);
        IS(ct_watch_start(watch, &f, 1), -ECHILD);
        IS(ct_watch_fd(watch), -ECHILD);
        IS(ct_watch_next(watch, &ev, 1, 0), -ECHILD);
        IS(ct_watch_next(watch, &ev, 1, -1), -ECHILD);
        IS(ct_watch_wake(watch), -ECHILD);
        IS(ct_watch_resync(watch), -ECHILD);
        IS(ct_watch_get_info(watch, &info), -ECHILD);
        IS(strstr(ct_watch_error(watch), "parent") != NULL, 1);
    }
    IS(ev.type, 77);
    IS(info.received, 99);
    IS(errno, 4321);
}

/* One of the child's own. */
static void own(void)
{
    struct ct_watch *w = start_watch(CT_WATCH_SYNC, 0);
    struct story story = { .wanted = 0 };
    struct ct_handle *h = open_with(0);
    uint64_t count = 0;

    hear_until(w, &story, CT_EVENT_SYNCED, 1);
    IS(ct_count(h, &count), 0);
    IS(story.of_type[CT_EVENT_NEW], count);
    ct_watch_close(w);
    ct_handle_close(h);
}

static void child(void)
{
    pid_t grandchild;

    check_failures = 0;
    refused();
    own();
    refused();
    grandchild = fork();
    if (grandchild == 0) {
        refused();
        ct_watch_close(watch);
        own();
        leave();
    }
    IS(ended(grandchild), 0);
    ct_watch_close(watch);
    leave();
}

static int run_child(void *unused)
{
    (void)unused;
    child();
    return 0;
}

static pid_t raw_clone(void)
{
#ifdef __s390x__
    return (pid_t)syscall(SYS_clone, 0, SIGCHLD, 0, 0, 0);
#else
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

static unsigned int next_entry;

/* The parent's watch hears as before, and nobody woke it. */
static void undisturbed(struct story *story)
{
    unsigned int before = story->of_type[CT_EVENT_NEW];
    uint64_t resyncs = info_of(watch).resyncs;

    IS(joined(), JOINED);
    IS(readable(ct_watch_fd(watch), 0), 0);
    create(handle, next_entry, 4);
    next_entry += 4;
    IS(readable(ct_watch_fd(watch), LONG_MS), 1);
    hear_until(watch, story, CT_EVENT_NEW, before + 4);
    hear_all(watch, story);
    IS(story->of_type[CT_EVENT_NEW], before + 4);
    IS(story->of_type[CT_EVENT_LOST], 0);
    IS(info_of(watch).resyncs, resyncs);
}

static void every_way(unsigned int flags)
{
    static char stack[1 << 18] __attribute__((aligned(64)));
    struct story story = { .wanted = 0 };
    volatile int ret = 0, woken = 0;
    pid_t pid;
    int way;

    watch = start_watch(flags, 0);
    if (flags & CT_WATCH_SYNC)
        hear_until(watch, &story, CT_EVENT_SYNCED, 1);
    hear_all(watch, &story);
    undisturbed(&story);
    for (way = 0; way < 3; way++) {
        pid = way == 0 ? fork() : way == 1 ? raw_clone() : clone(run_child, stack + sizeof stack, SIGCHLD, NULL);
        if (pid == 0)
            child();
        IS(ended(pid), 0);
        undisturbed(&story);
    }
    /* It has the memory of its parent, who keeps the watch whatever it does. */
    pid = vfork();
    if (pid == 0) {
        ret = ct_watch_next(watch, &(struct ct_event){ 0 }, 1, 0);
        woken = ct_watch_wake(watch);
        ct_watch_close(watch);
        _exit(0);
    }
    IS(ended(pid), 0);
    IS(ret, -ECHILD);
    IS(woken, -ECHILD);
    undisturbed(&story);
    ct_watch_close(watch);
    IS(joined(), 0);
}

/* --- While another thread waits -------------------------------------------------------------------------------------------- */

static atomic_int returned;
static atomic_int waits;
static struct ct_event heard[64];

static void *wait_once(void *unused)
{
    atomic_store(&waits, 1);
    atomic_store(&returned, 1000 + ct_watch_next(watch, heard, 64, -1));
    return unused;
}

static void forked_while_waiting(void)
{
    pthread_t thread;
    pid_t pid;
    int i;

    watch = start_watch(0, 0);
    for (i = 0; i < 20; i++) {
        atomic_store(&returned, 0);
        atomic_store(&waits, 0);
        pthread_create(&thread, NULL, wait_once, NULL);
        while (!atomic_load(&waits))
            sched_yield();
        usleep((unsigned int)(i % 4) * 1000);
        pid = fork();
        if (pid == 0) {
            check_failures = 0;
            refused();
            ct_watch_close(watch);
            own();
            leave();
        }
        IS(ended(pid), 0);
        IS(joined(), JOINED);
        IS(atomic_load(&returned), 0);
        create(handle, next_entry++, 1);
        pthread_join(thread, NULL);
        IS(atomic_load(&returned), 1001);
        IS(heard[0].type, CT_EVENT_NEW);
    }
    ct_watch_close(watch);
    IS(joined(), 0);
}

/* --- Closed while a child has the sockets ---------------------------------------------------------------------------------- */

static void closed_but_held(unsigned int flags)
{
    struct story story = { .wanted = 0 };
    unsigned int all, in_groups, with_child;
    int pipes[2];
    pid_t pid;
    char byte;

    watch = start_watch(flags, 0);
    if (flags & CT_WATCH_SYNC)
        hear_until(watch, &story, CT_EVENT_SYNCED, 1);
    IS(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        /* Holds copies of all that the parent has open, until the parent closes the pipe. */
        close(pipes[1]);
        _exit(read(pipes[0], &byte, 1) != 0);
    }
    close(pipes[0]);
    sockets(&with_child, &in_groups);
    IS(in_groups, JOINED);
    ct_watch_close(watch);
    sockets(&all, &in_groups);
    /* They are there still, and hear nothing. */
    IS(all, with_child);
    IS(in_groups, 0);
    close(pipes[1]);
    IS(ended(pid), 0);
    /* The kernel's own, and the handle's. */
    sockets(&all, &in_groups);
    IS(all, 2);
    IS(in_groups, 0);
}

int main(void)
{
    alarm(ENDLESS);
    handle = open_with(0);
    every_way(0);
    every_way(CT_WATCH_SYNC);
    forked_while_waiting();
    closed_but_held(0);
    closed_but_held(CT_WATCH_SYNC);
    ct_handle_close(handle);
    return failed_checks();
}
