/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cancel: a thread is cancelled, deferred and asynchronously, in the middle of every call that waits, and at any moment of all
 * calls (cancel SEED). The call must be complete; the handle stays usable; nothing stays open, allocated or locked.
 */

#include "common.h"

#include <malloc.h>

enum { ENTRIES = 100 };

static struct ct_handle *handle;
static struct ct_handle *opened;
static struct ct_entry *listed;
static size_t listed_count;
static uint64_t counted;
static int32_t status[ENTRIES];
static struct ct_result result = { .size = sizeof result };
static int netns;

/* --- The gate: a thread stops in the middle of its call until it is cancelled ---------------------------------------- */

enum { OPEN, CLOSED, REACHED };

static atomic_int gate;

static void pass_the_gate(void)
{
    int expected = CLOSED;

    if (atomic_compare_exchange_strong(&gate, &expected, REACHED))
        while (atomic_load(&gate) == REACHED)
            sched_yield();
}

/* What the library waits in. syscall() is no cancellation point; the first poll() is one like any other. */
ssize_t recvfrom(int fd, void *buf, size_t length, int flags, struct sockaddr *from, socklen_t *from_length)
{
    static const struct timespec moment = { 0, 1 };

    pass_the_gate();
    nanosleep(&moment, NULL);
    return syscall(SYS_recvfrom, fd, buf, length, flags, from, from_length);
}

/* Runs on the thread that enters the other network namespace, while the caller waits for it. */
int setns(int fd, int kind)
{
    pass_the_gate();
    return (int)syscall(SYS_setns, fd, kind);
}

/* --- Calls ------------------------------------------------------------------------------------------------------------ */

static void list(void)
{
    ct_list(handle, NULL, 0, &listed, &listed_count);
}

static void count(void)
{
    ct_count(handle, &counted);
}

static void get(void)
{
    struct ct_entry key = tcp_key(1);

    ct_get(handle, &key, &key);
}

static void filter_port(void)
{
    struct ct_filter f = { .size = sizeof f };

    ct_filter_port(handle, &f, CT_PROTO_UDP, 53);
}

static void filter_rule(void)
{
    static const uint8_t own[4] = { 10, 0, 0, 7 };
    struct ct_filter f = { .size = sizeof f, .match = CT_MATCH_ZONE };

    ct_filter_rule(handle, &f, CT_RULE_INGRESS, CT_FAMILY_IPV4, own, 32, NULL, 0);
}

static void find_free_zone(void)
{
    uint32_t zone;

    ct_zone_find_free(handle, 1, 9, &zone);
}

static void dump(void)
{
    struct ct_entry batch[8];

    ct_dump_start(handle, NULL, 0);
    ct_dump_next(handle, batch, 8);
}

static void dump_some(void)
{
    dump();
    ct_dump_end(handle);
}

static void delete_marked(void)
{
    struct ct_filter f = marked(9);

    ct_delete(handle, &f, 1, 0, &result);
}

static void delete_uncounted(void)
{
    struct ct_filter f = marked(9);

    ct_delete(handle, &f, 1, CT_DELETE_UNCOUNTED, &result);
}

static void change(int (*call)(struct ct_handle *, const struct ct_entry *, size_t, int32_t *, struct ct_result *))
{
    static struct ct_entry e[ENTRIES];
    unsigned int i;

    for (i = 0; i < ENTRIES; i++) {
        e[i] = tcp(100000 + i);
        if (call == ct_delete_entries)
            e[i] = tcp_key(100000 + i);
        if (call == ct_update_entries)
            e[i].has &= ~(uint64_t)(CT_HAS_STATUS | CT_HAS_TCP_STATE | CT_HAS_TCP_WSCALE | CT_HAS_TCP_FLAGS),
                e[i].status = 0, e[i].tcp_state = 0;
    }
    call(handle, e, ENTRIES, status, &result);
}

static void create_entries(void)
{
    change(ct_create_entries);
}

static void update_entries(void)
{
    change(ct_update_entries);
}

static void delete_entries(void)
{
    change(ct_delete_entries);
}

static void flush(void)
{
    struct ct_filter f = marked(9);

    ct_flush(handle, &f, 0);
}

static void open_there(void)
{
    struct ct_open_opts opts = { .size = sizeof opts, .flags = CT_OPEN_NETNS, .netns_fd = netns };

    ct_handle_open(&opened, &opts);
}

static void format(void)
{
    struct ct_entry e = tcp(1);
    char text[1024];

    ct_entry_format(&e, CT_FORMAT_LINE | CT_FORMAT_TIMESTAMP, text, sizeof text);
    ct_entry_format(&e, CT_FORMAT_JSON, text, sizeof text);
    ct_handle_error(handle);
}

static struct ct_watch *opened_watch;

/* A list, and some of the events: what it waits in is recvfrom() for the list, and poll(). */
static void watch(void)
{
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = CT_WATCH_SYNC };
    struct ct_event ev[16];

    ct_watch_open(&opened_watch, &opts);
    ct_watch_start(opened_watch, NULL, 0);
    while (ct_watch_next(opened_watch, ev, 16, 0) > 0)
        ct_event_format(ev, CT_FORMAT_JSON, NULL, 0);
    ct_watch_wake(opened_watch);
    ct_watch_next(opened_watch, ev, 16, -1);
    ct_watch_get_info(opened_watch, &(struct ct_watch_info){ .size = sizeof(struct ct_watch_info) });
    ct_watch_error(opened_watch);
}

static const struct {
    const char *name;
    void (*run)(void);
    /* It waits for something. */
    int waits;
} calls[] = {
    { "ct_list", list, 1 },
    { "ct_count", count, 1 },
    { "ct_get", get, 1 },
    { "ct_zone_find_free", find_free_zone, 1 },
    { "ct_dump_next", dump_some, 1 },
    { "ct_delete", delete_marked, 1 },
    { "ct_delete uncounted", delete_uncounted, 1 },
    { "ct_create_entries", create_entries, 1 },
    { "ct_update_entries", update_entries, 1 },
    { "ct_delete_entries", delete_entries, 1 },
    { "ct_flush", flush, 1 },
    { "ct_handle_open", open_there, 1 },
    { "ct_watch_next", watch, 1 },
    { "ct_entry_format", format, 0 },
    { "ct_filter_port", filter_port, 0 },
    { "ct_filter_rule", filter_rule, 0 },
};
enum { CALLS = sizeof calls / sizeof *calls };

/* --- Threads ---------------------------------------------------------------------------------------------------------- */

static int type;
static unsigned int which;
static unsigned int until;
static atomic_int returned;
/* The number of the thread that makes the call. */
static atomic_int inside;

static void *one(void *unused)
{
    int before;

    atomic_store(&inside, (int)syscall(SYS_gettid));
    pthread_setcanceltype(type, &before);
    calls[which].run();
    atomic_store(&returned, 1);
    for (;;)
        pthread_testcancel();
    return unused;
}

static void *all(void *unused)
{
    int before;

    for (; until == 0 || which < until; which++) {
        pthread_setcanceltype(type, &before);
        calls[which % CALLS].run();
        /* Whether an array was released is not known of a call that was cancelled asynchronously. */
        pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &before);
        ct_entries_free(listed);
        listed = NULL;
        ct_handle_close(opened);
        opened = NULL;
        ct_watch_close(opened_watch);
        opened_watch = NULL;
        /* The library has no cancellation point. */
        pthread_testcancel();
    }
    return unused;
}

/* After a thread was cancelled. */
static void tidy(void)
{
    ct_entries_free(listed);
    listed = NULL;
    ct_handle_close(opened);
    opened = NULL;
    ct_watch_close(opened_watch);
    opened_watch = NULL;
    /* The program's own rule: it does not know whether the dump was ended. */
    IS(ct_dump_end(handle), 0);
    counted = 0;
    IS(ct_count(handle, &counted), 0);
    IS(counted == ENTRIES || counted == 2 * ENTRIES, 1);
    if (counted != ENTRIES && counted != 2 * ENTRIES)
        printf("%llu entries after %s\n", (unsigned long long)counted, calls[which % CALLS].name);
}

static void at_once(pthread_t thread)
{
    pthread_cancel(thread);
}

/* Cancels a thread as pthread_cancel() does that was interrupted between its look at the thread's state and its signal: the
 * handler of glibc does not look at the state again. */
static void cancel_late(pthread_t thread)
{
#ifdef __GLIBC__
    /* Its handler is there since the first pthread_cancel(); SIGCANCEL is no signal for programs. */
    enum { SIGNAL_OF_GLIBC = 32 };

    IS(syscall(SYS_tgkill, getpid(), atomic_load(&inside), SIGNAL_OF_GLIBC), 0);
    /* It yields all the time, so it has the signal by then. */
    usleep(1000);
    (void)thread;
#else
    pthread_cancel(thread);
#endif
}

static void cancelled_in_the_middle(void (*cancel)(pthread_t))
{
    void *end;
    pthread_t thread;

    /* What was created and not deleted again before. */
    delete_entries();
    for (which = 0; which < CALLS; which++) {
        if (!calls[which].waits)
            continue;
        atomic_store(&returned, 0);
        result.done = result.gone = 99;
        counted = 0;
        atomic_store(&gate, CLOSED);
        pthread_create(&thread, NULL, one, NULL);
        while (atomic_load(&gate) == CLOSED)
            sched_yield();
        cancel(thread);
        atomic_store(&gate, OPEN);
        pthread_join(thread, &end);
        IS(end == PTHREAD_CANCELED, 1);
        /* Deferred: behind the call. At once: at its end. Either way it is complete. */
        if (type == PTHREAD_CANCEL_DEFERRED)
            IS(atomic_load(&returned), 1);
        if (calls[which].run == list)
            IS(listed_count, ENTRIES);
        if (calls[which].run == count)
            IS(counted, ENTRIES);
        if (calls[which].run == create_entries || calls[which].run == delete_entries)
            IS(result.done, ENTRIES);
        if (calls[which].run == open_there)
            IS(ct_count(opened, &counted), 0);
        tidy();
    }
}

static long allocated(void)
{
#ifdef __GLIBC__
    return (long)mallinfo2().uordblks;
#else
    return 0;
#endif
}

static void cancelled_anywhere(int rounds)
{
    void *end;
    pthread_t thread;
    long before = 0;
    int i, hits = 0;

    for (i = 0; i < rounds; i++) {
        which = (unsigned int)rand() % CALLS;
        until = 0;
        pthread_create(&thread, NULL, all, NULL);
        usleep((unsigned int)rand() % 3000);
        pthread_cancel(thread);
        pthread_join(thread, &end);
        hits += end == PTHREAD_CANCELED;
        tidy();
        /* What the handle keeps for good is there by then. */
        if (i == rounds / 2)
            before = allocated();
    }
    IS(hits, rounds);
    /* The buffers of a handle differ by what was done last; a leak adds up. */
    if (allocated() - before > 64 * 1024)
        IS(allocated(), before);
}

int main(int argc, char **argv)
{
    unsigned int seed = argc > 1 ? (unsigned int)atoi(argv[1]) : (unsigned int)time(NULL);
    int before, files;

    printf("seed %u\n", seed);
    srand(seed);
    alarm(ENDLESS);
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1);
#endif
    netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    before = descriptors();
    handle = open_with(0);
    IS(descriptors(), before + 1);
    create(handle, 0, ENTRIES);
    /* Once without: what is opened once and kept is open. */
    until = CALLS;
    all(NULL);
    files = descriptors();
    IS(files, before + 2);
    for (type = 0; type < 2; type++) {
        IS(type == PTHREAD_CANCEL_DEFERRED || type == PTHREAD_CANCEL_ASYNCHRONOUS, 1);
        cancelled_in_the_middle(at_once);
        cancelled_in_the_middle(cancel_late);
        cancelled_anywhere(400);
        IS(descriptors(), files);
    }
    ct_handle_close(handle);
    IS(descriptors(), before);
    return failed_checks();
}
