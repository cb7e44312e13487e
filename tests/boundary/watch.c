/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * watch SEED: the descriptor of a watch, what wakes it, what it says of errors, and what it does with arguments that are wrong.
 */

#include "watching.h"

static struct ct_handle *handle;
static struct ct_watch *watch;
static struct ct_event heard[64];

/* --- The descriptor -------------------------------------------------------------------------------------------------------- */

/* Level-triggered: as long as there is anything to do the descriptor says so. */
static void read_while_readable(struct ct_watch *w, struct story *story, size_t cap)
{
    struct ct_event ev[64];
    int n, partial = 0;

    for (;;) {
        /* After a part was handed over it is readable, however much that was. */
        if (!readable(ct_watch_fd(w), 0)) {
            IS(partial, 0);
            return;
        }
        n = ct_watch_next(w, ev, cap, 0);
        IS(n >= 0 && n <= (int)cap, 1);
        if (n < 0)
            return;
        partial = n > 0;
        hear(story, ev, n);
    }
}

/* Edge-triggered: sleeps only after a call that returned 0, and must be woken whenever there is more. */
static void read_at_edges(struct ct_watch *w, struct story *story, size_t cap, const int *done)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    struct ct_event ev[64];
    int set = epoll_create1(EPOLL_CLOEXEC), n;

    epoll_ctl(set, EPOLL_CTL_ADD, ct_watch_fd(w), &event);
    while (!*done) {
        n = epoll_wait(set, &event, 1, LONG_MS);
        IS(n, 1);
        if (n != 1) {
            printf("a wake-up was lost, cap %zu\n", cap);
            break;
        }
        while ((n = ct_watch_next(w, ev, cap, 0)) > 0)
            hear(story, ev, n);
        IS(n, 0);
        if (n < 0)
            break;
    }
    close(set);
}

static const size_t caps[] = { 1, 3, 64 };
enum { CAPS = sizeof caps / sizeof *caps, MANY = 50000, FEW = 700, LAST = 300000 };

/* A list whose filter selects nothing, or some, or all. */
static void readable_while_listing(void)
{
    struct ct_filter none = marked(9);
    unsigned int at, edge, filtered;

    create(handle, 0, MANY);
    for (filtered = 0; filtered < 2; filtered++) {
        for (edge = 0; edge < 2; edge++) {
            /* Without a filter it is a matter of minutes to take them one by one. */
            for (at = filtered ? 0 : 2; at < CAPS; at++) {
                struct ct_watch *w = open_watch(CT_WATCH_SYNC, 0);
                struct story story = { .wanted = 0 };
                struct ct_watch_info info;

                IS(readable(ct_watch_fd(w), 0), 0);
                IS(ct_watch_start(w, filtered ? &none : NULL, filtered), 0);
                IS(readable(ct_watch_fd(w), 0), 1);
                if (edge)
                    read_at_edges(w, &story, caps[at], (int *)&story.of_type[CT_EVENT_SYNCED]);
                else
                    while (story.of_type[CT_EVENT_SYNCED] == 0 && check_failures == 0 &&
                           readable(ct_watch_fd(w), LONG_MS))
                        read_while_readable(w, &story, caps[at]);
                IS(story.of_type[CT_EVENT_SYNCED], 1);
                IS(story.of_type[CT_EVENT_NEW], filtered ? 0 : MANY);
                IS(story.initial, filtered ? 0 : MANY);
                info = info_of(w);
                IS(info.flags & CT_WATCH_IS_SYNCED, CT_WATCH_IS_SYNCED);
                IS(info.entries, filtered ? 0 : MANY);
                ct_watch_close(w);
            }
        }
    }
    IS(ct_flush(handle, NULL, CT_FLUSH_ALL), 0);
}

static void *churn(void *unused)
{
    struct ct_handle *h = open_with(0);
    unsigned int i;

    for (i = 0; i < FEW; i++) {
        create(h, 200000 + i, 1);
        if (i % 16 == 0)
            sched_yield();
    }
    delete_some(h, 200000, FEW);
    create(h, LAST, 1);
    ct_handle_close(h);
    return unused;
}

/* Events that come at any moment, at a reader who sleeps whenever it may. */
static void no_wakeup_is_lost(void)
{
    unsigned int at, sync, edge;

    for (at = 0; at < CAPS; at++) {
        for (sync = 0; sync < 2; sync++) {
            for (edge = 0; edge < 2; edge++) {
                struct ct_watch *w = start_watch(sync ? CT_WATCH_SYNC : 0, 0);
                struct story story = { .wanted = LAST };
                pthread_t thread;

                pthread_create(&thread, NULL, churn, NULL);
                if (edge)
                    read_at_edges(w, &story, caps[at], &story.is_there);
                else
                    while (!story.is_there && check_failures == 0) {
                        IS(readable(ct_watch_fd(w), LONG_MS), 1);
                        read_while_readable(w, &story, caps[at]);
                    }
                pthread_join(thread, NULL);
                while (sync && info_of(w).entries != 1 && check_failures == 0) {
                    IS(readable(ct_watch_fd(w), LONG_MS), 1);
                    read_while_readable(w, &story, caps[at]);
                }
                IS(story.of_type[CT_EVENT_NEW] - story.of_type[CT_EVENT_DESTROY], 1);
                if (!sync)
                    IS(story.of_type[CT_EVENT_NEW], FEW + 1);
                IS(story.of_type[CT_EVENT_LOST], 0);
                ct_watch_close(w);
                delete_some(handle, LAST, 1);
            }
        }
    }
}

/* Nothing wakes who watches a table in which nothing happens. */
static void idle(void)
{
    unsigned int sync, edge;

    set_events_mode(1);
    create(handle, 0, 100);
    for (sync = 0; sync < 2; sync++) {
        for (edge = 0; edge < 2; edge++) {
            struct ct_watch *w = start_watch(sync ? CT_WATCH_SYNC : 0, 0);
            struct epoll_event event = { .events = EPOLLIN | (edge ? EPOLLET : 0u) };
            struct story story = { .wanted = 0 };
            int set = epoll_create1(EPOLL_CLOEXEC);

            if (sync)
                hear_until(w, &story, CT_EVENT_SYNCED, 1);
            hear_all(w, &story);
            IS(info_of(w).flags, sync ? CT_WATCH_IS_SYNCED : 0);
            IS(info_of(w).events_mode, 1);
            epoll_ctl(set, EPOLL_CTL_ADD, ct_watch_fd(w), &event);
            IS(epoll_wait(set, &event, 1, 1000), 0);
            IS(ct_watch_next(w, &(struct ct_event){ 0 }, 1, 300), 0);
            IS(readable(ct_watch_fd(w), 0), 0);
            close(set);
            ct_watch_close(w);
        }
    }
    delete_some(handle, 0, 100);
    set_events_mode(2);
}

/* --- Who wakes it ---------------------------------------------------------------------------------------------------------- */

static atomic_int returned;
static atomic_int waits;

/* Waits without limit, once. */
static void *wait_once(void *unused)
{
    atomic_store(&waits, (int)syscall(SYS_gettid));
    atomic_store(&returned, 1000 + ct_watch_next(watch, heard, 64, -1));
    return unused;
}

static pthread_t begin_to_wait(void)
{
    pthread_t thread;

    atomic_store(&returned, 0);
    atomic_store(&waits, 0);
    pthread_create(&thread, NULL, wait_once, NULL);
    while (!atomic_load(&waits))
        sched_yield();
    return thread;
}

/* Until the thread that waits sleeps. */
static void until_asleep(void)
{
    char name[64], line[512] = "";
    FILE *file;

    snprintf(name, sizeof name, "/proc/self/task/%d/stat", atomic_load(&waits));
    do {
        usleep(1000);
        file = fopen(name, "r");
        if (!file || !fgets(line, sizeof line, file))
            line[0] = '\0';
        if (file)
            fclose(file);
    } while (!strstr(line, ") S "));
}

static void wake_it(int number)
{
    int before = errno;

    (void)number;
    errno = 4321;
    ct_watch_wake(watch);
    if (errno != 4321)
        _exit(97);
    errno = before;
}

static void ignore(int number)
{
    (void)number;
}

static void woken(void)
{
    struct sigaction waker = { .sa_handler = wake_it, .sa_flags = SA_RESTART };
    struct sigaction nothing = { .sa_handler = ignore, .sa_flags = SA_RESTART };
    pthread_t thread;
    int i;

    sigaction(SIGUSR1, &waker, NULL);
    sigaction(SIGUSR2, &nothing, NULL);
    watch = start_watch(0, 0);
    /* Before the wait: it ends at once, and only that one. */
    for (i = 0; i < 3; i++)
        IS(ct_watch_wake(watch), 0);
    IS(ct_watch_next(watch, heard, 64, -1), 0);
    raise(SIGUSR1);
    IS(ct_watch_next(watch, heard, 64, -1), 0);
    IS(readable(ct_watch_fd(watch), 0), 0);
    IS(ct_watch_wake(watch), 0);
    IS(readable(ct_watch_fd(watch), 0), 1);
    IS(ct_watch_next(watch, heard, 64, 0), 0);
    IS(readable(ct_watch_fd(watch), 0), 0);
    /* During it, and at any moment. */
    for (i = 0; i < 300; i++) {
        thread = begin_to_wait();
        if (i % 3 == 0)
            until_asleep();
        else
            usleep((unsigned int)rand() % 200);
        if (i % 2)
            IS(ct_watch_wake(watch), 0);
        else
            pthread_kill(thread, SIGUSR1);
        pthread_join(thread, NULL);
        IS(atomic_load(&returned), 1000);
        /* The handler may have run before the wait began, and the signal ended it. */
        ct_watch_next(watch, heard, 64, 0);
    }
    /* A signal ends the wait that is under way, whatever SA_RESTART says. */
    for (i = 0; i < 20; i++) {
        thread = begin_to_wait();
        until_asleep();
        while (!atomic_load(&returned)) {
            pthread_kill(thread, SIGUSR2);
            usleep(1000);
        }
        pthread_join(thread, NULL);
        IS(atomic_load(&returned), 1000);
    }
    /* What waits is not lost by a wake. */
    create(handle, 0, 5);
    IS(ct_watch_wake(watch), 0);
    {
        struct story story = { .wanted = 0 };
        hear_all(watch, &story);
        IS(story.of_type[CT_EVENT_NEW], 5);
    }
    delete_some(handle, 0, 5);
    ct_watch_close(watch);
}

/* What other threads may do while one waits, and what not. */
static void beside_one_that_waits(void)
{
    struct story story = { .wanted = 0 };
    struct ct_event ev = { .type = 77 };
    struct ct_watch_info info;
    pthread_t thread;
    int i;

    create(handle, 0, 50);
    watch = start_watch(CT_WATCH_SYNC, 0);
    hear_until(watch, &story, CT_EVENT_SYNCED, 1);
    hear_all(watch, &story);
    for (i = 0; i < 20; i++) {
        thread = begin_to_wait();
        until_asleep();
        IS(ct_watch_next(watch, &ev, 1, 0), -EBUSY);
        IS(ct_watch_next(watch, &ev, 1, -1), -EBUSY);
        IS(ct_watch_start(watch, NULL, 0), -EBUSY);
        IS(strstr(ct_watch_error(watch), "another thread") != NULL, 1);
        IS(ev.type, 77);
        info = info_of(watch);
        IS(info.entries, 50);
        IS(info.flags & CT_WATCH_IS_SYNCED, CT_WATCH_IS_SYNCED);
        IS(ct_watch_fd(watch) >= 0, 1);
        IS(atomic_load(&returned), 0);
        /* Nothing was lost, so only the end of the list is told. */
        IS(ct_watch_resync(watch), 0);
        pthread_join(thread, NULL);
        IS(atomic_load(&returned), 1001);
        IS(heard[0].type, CT_EVENT_SYNCED);
        IS(info_of(watch).resyncs, (unsigned int)i + 1);
    }
    ct_watch_close(watch);
    delete_some(handle, 0, 50);
}

/* --- Errors ---------------------------------------------------------------------------------------------------------------- */

/* Room for some entries only. */
static void full(void)
{
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = CT_WATCH_SYNC, .max_entries = 20 };
    struct story story = { .wanted = 0 };
    struct ct_watch *w = NULL;
    struct ct_event ev[7];
    int n, errors = 0, rounds;

    create(handle, 0, 30);
    IS(ct_watch_open(&w, &opts), 0);
    IS(ct_watch_start(w, NULL, 0), 0);
    /* What was told before comes first. */
    while ((n = ct_watch_next(w, ev, 7, LONG_MS)) > 0)
        hear(&story, ev, n);
    IS(n, -ENOSPC);
    IS(strstr(ct_watch_error(w), "20") != NULL, 1);
    IS(story.of_type[CT_EVENT_NEW], 20);
    IS(story.of_type[CT_EVENT_SYNCED], 0);
    /* It is said once, however often it is tried. */
    for (rounds = 0; rounds < 8; rounds++) {
        n = ct_watch_next(w, ev, 7, 250);
        errors += n < 0;
        hear(&story, ev, n > 0 ? n : 0);
    }
    IS(errors, 0);
    IS(info_of(w).flags & CT_WATCH_IS_SYNCED, 0);
    IS(info_of(w).restarts > 0, 1);
    delete_some(handle, 0, 12);
    hear_until(w, &story, CT_EVENT_SYNCED, 1);
    IS(info_of(w).entries, 18);
    IS(story.of_type[CT_EVENT_NEW] - story.of_type[CT_EVENT_DESTROY], 18);
    /* Then it is said again, and events that came before it are there. */
    create(handle, 0, 12);
    while ((n = ct_watch_next(w, ev, 7, LONG_MS)) > 0)
        hear(&story, ev, n);
    IS(n, -ENOSPC);
    IS(story.of_type[CT_EVENT_NEW] - story.of_type[CT_EVENT_DESTROY], 20);
    delete_some(handle, 0, 30);
    hear_until(w, &story, CT_EVENT_SYNCED, 2);
    IS(info_of(w).entries, 0);
    IS(story.of_type[CT_EVENT_NEW], story.of_type[CT_EVENT_DESTROY]);
    /* Counters, flags and the like: an idle watch that is synced is idle. */
    hear_all(w, &story);
    ct_watch_close(w);
}

/* --- Nonsense -------------------------------------------------------------------------------------------------------------- */

static void nonsense_when_opened(void)
{
    struct ct_watch *const untouched = (struct ct_watch *)0x1000;
    struct ct_watch *w = untouched;
    struct {
        struct ct_watch_opts known;
        uint64_t more[2];
    } larger = { .known = { .size = sizeof larger } };
    static unsigned char bytes[sizeof(struct ct_watch_opts) + 16] __attribute__((aligned(8)));
    struct ct_watch_opts opts = { .size = sizeof opts };
    static const struct {
        struct ct_watch_opts opts;
        int want;
    } wrong[] = {
        { { .size = 0 }, -EINVAL },
        { { .size = 4 }, -EINVAL },
        { { .size = sizeof opts - 1 }, -EINVAL },
        { { .size = 1u << 20 }, -E2BIG },
        { { .size = UINT32_MAX }, -E2BIG },
        { { .size = sizeof opts, .flags = 1u << 6 }, -EINVAL },
        { { .size = sizeof opts, .flags = 1u << 31 }, -EINVAL },
        { { .size = sizeof opts, .flags = UINT32_MAX }, -EINVAL },
        { { .size = sizeof opts, .events = 8 }, -EINVAL },
        { { .size = sizeof opts, .events = UINT32_MAX }, -EINVAL },
        { { .size = sizeof opts, .netns_fd = 7 }, -EINVAL },
        { { .size = sizeof opts, .netns_fd = -1 }, -EINVAL },
        { { .size = sizeof opts, .flags = CT_WATCH_NETNS, .netns_fd = -1 }, -EBADF },
        { { .size = sizeof opts, .flags = CT_WATCH_NETNS, .netns_fd = INT32_MAX }, -EBADF },
        { { .size = sizeof opts, .timeout_ms = 1 }, -EINVAL },
        { { .size = sizeof opts, .audit_ms = 1 }, -EINVAL },
        { { .size = sizeof opts, .audit_ms = UINT32_MAX }, -EINVAL },
        { { .size = sizeof opts, .max_entries = 1 }, -EINVAL },
        { { .size = sizeof opts, .flags = CT_WATCH_AUDIT_ALL }, -EINVAL },
        { { .size = sizeof opts, .flags = CT_WATCH_AUDIT_ALL | CT_WATCH_SYNC, .audit_ms = UINT32_MAX }, -EINVAL },
        { { .size = sizeof opts, .flags = CT_WATCH_SYNC | CT_WATCH_RELIABLE }, -EINVAL },
        { { .size = sizeof opts, .flags = CT_WATCH_SYNC | CT_WATCH_ALL_NSID }, -EINVAL },
        { { .size = sizeof opts, .rcvbuf = 1 }, 0 },
        { { .size = sizeof opts, .rcvbuf = UINT32_MAX }, 0 },
        { { .size = sizeof opts,
            .flags = CT_WATCH_SYNC,
            .timeout_ms = UINT32_MAX,
            .audit_ms = UINT32_MAX,
            .max_entries = UINT32_MAX },
          0 },
        { { .size = sizeof opts, .flags = CT_WATCH_SYNC, .timeout_ms = 1, .audit_ms = 1, .max_entries = 1 }, 0 },
        { { .size = sizeof opts, .flags = CT_WATCH_RELIABLE | CT_WATCH_ALL_NSID }, 0 },
    };
    int files = descriptors(), file, ret;
    unsigned int i;

    errno = 4321;
    IS(ct_watch_open(NULL, NULL), -EINVAL);
    IS(ct_watch_open(NULL, &opts), -EINVAL);
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        w = untouched;
        ret = ct_watch_open(&w, &wrong[i].opts);
        if (ret != wrong[i].want)
            printf("options %u:\n", i);
        IS(ret, wrong[i].want);
        IS(w == untouched, ret != 0);
        IS(errno, 4321);
        if (ret == 0)
            ct_watch_close(w);
        IS(errno, 4321);
    }
    /* A descriptor, but of no network namespace. */
    file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    opts.flags = CT_WATCH_NETNS;
    opts.netns_fd = file;
    w = untouched;
    errno = 4321;
    IS(ct_watch_open(&w, &opts), -EINVAL);
    close(file);
    file = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    opts.netns_fd = file;
    IS(ct_watch_open(&w, &opts), -EINVAL);
    close(file);
    IS(w == untouched, 1);
    IS(ct_watch_open(&w, &larger.known), 0);
    ct_watch_close(w);
    w = untouched;
    larger.more[1] = 1;
    IS(ct_watch_open(&w, &larger.known), -E2BIG);
    /* Misaligned. */
    memcpy(bytes + 1, &(struct ct_watch_opts){ .size = sizeof opts }, sizeof opts);
    IS(ct_watch_open(&w, (struct ct_watch_opts *)(void *)(bytes + 1)), -EINVAL);
    IS(ct_watch_open((struct ct_watch **)(void *)(bytes + 1), NULL), -EINVAL);
    IS(w == untouched, 1);
    IS(descriptors(), files);
}

static void nonsense_without_a_watch(void)
{
    struct ct_watch_info info = { .size = sizeof info };
    struct ct_event ev = { .type = 77 };
    uint32_t port = 77;

    errno = 4321;
    IS(ct_watch_start(NULL, NULL, 0), -EINVAL);
    IS(ct_watch_fd(NULL), -EINVAL);
    IS(ct_watch_next(NULL, &ev, 1, 0), -EINVAL);
    IS(ct_watch_wake(NULL), -EINVAL);
    IS(ct_watch_resync(NULL), -EINVAL);
    IS(ct_watch_get_info(NULL, &info), -EINVAL);
    IS(ct_watch_get_info(NULL, NULL), -EINVAL);
    IS(strcmp(ct_watch_error(NULL), ""), 0);
    ct_watch_close(NULL);
    IS(ct_handle_get_portid(NULL, &port), -EINVAL);
    IS(ct_handle_get_portid(handle, NULL), -EINVAL);
    IS(strstr(ct_handle_error(handle), "ret_portid") != NULL, 1);
    IS(port, 77);
    IS(ct_handle_get_portid(handle, &port), 0);
    IS(port != 0 && port != 77, 1);
    IS(errno, 4321);
}

static void nonsense_with_a_watch(void)
{
    struct ct_filter twice[2] = { marked(1), marked(2) }, f = marked(1);
    struct ct_event ev[4] = { { .type = 77 } };
    struct {
        struct ct_watch_info known;
        uint64_t more[2];
    } larger = { .known = { .size = sizeof larger } };
    static unsigned char bytes[sizeof ev + 16] __attribute__((aligned(16)));
    static const uint32_t sizes[] = { 0, 4, 79, 1u << 20, UINT32_MAX };
    struct ct_watch *w = open_watch(0, 0);
    struct ct_watch_info info;
    struct story story = { .wanted = 0 };
    unsigned int i;

    errno = 4321;
    /* Not started. */
    IS(ct_watch_next(w, ev, 4, 0), -EINVAL);
    IS(strstr(ct_watch_error(w), "not started") != NULL, 1);
    IS(ct_watch_next(w, ev, 4, -1), -EINVAL);
    IS(ct_watch_wake(w), 0);
    /* It has no list to read again. */
    IS(ct_watch_resync(w), -EINVAL);
    info = info_of(w);
    IS(info.received | info.lost | info.entries | info.flags | info.pad0, 0);
    IS(info.rcvbuf > 0, 1);
    /* Wrong from the start. */
    twice[1].zone = 5;
    IS(ct_watch_start(w, twice, 2), -EINVAL);
    IS(strstr(ct_watch_error(w), "filter[1].zone") != NULL, 1);
    IS(ct_watch_next(w, ev, 4, 0), -EINVAL);
    IS(ct_watch_start(w, NULL, 1), -EINVAL);
    IS(ct_watch_start(w, &f, SIZE_MAX) < 0, 1);
    IS(ct_watch_start(w, NULL, 0), 0);
    IS(strcmp(ct_watch_error(w), ""), 0);

    IS(ct_watch_next(w, NULL, 1, 0), -EINVAL);
    IS(strstr(ct_watch_error(w), "buf") != NULL, 1);
    IS(ct_watch_next(w, ev, 0, 0), -EINVAL);
    IS(strstr(ct_watch_error(w), "cap") != NULL, 1);
    IS(ct_watch_next(w, NULL, 0, 0), -EINVAL);
    IS(ct_watch_next(w, ev, 4, -2), -EINVAL);
    IS(strstr(ct_watch_error(w), "timeout_ms") != NULL, 1);
    IS(ct_watch_next(w, ev, 4, INT32_MIN), -EINVAL);
    IS(ct_watch_next(w, (struct ct_event *)(void *)(bytes + 4), 1, 0), -EINVAL);
    IS(ev[0].type, 77);

    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ct_watch_info wrong = { .size = sizes[i], .received = 99 };

        IS(ct_watch_get_info(w, &wrong) < 0, 1);
        IS(wrong.received, 99);
        IS(wrong.size, sizes[i]);
    }
    IS(ct_watch_get_info(w, NULL), -EINVAL);
    *(uint32_t *)(void *)(bytes + 4) = sizeof info;
    IS(ct_watch_get_info(w, (struct ct_watch_info *)(void *)(bytes + 4)), -EINVAL);
    IS(ct_watch_get_info(w, &larger.known), 0);
    IS(larger.known.size, sizeof larger);
    IS(larger.known.rcvbuf > 0, 1);
    IS(larger.more[0] | larger.more[1], 0);
    larger.known = (struct ct_watch_info){ .size = sizeof larger };
    larger.more[1] = 5;
    IS(ct_watch_get_info(w, &larger.known), -E2BIG);
    IS(larger.more[1], 5);
    IS(larger.known.rcvbuf, 0);
    IS(errno, 4321);

    /* A start with a wrong filter leaves all as it was; one with a right one ends what was before. */
    create(handle, 0, 3);
    twice[1].zone = 5;
    IS(ct_watch_start(w, twice, 2), -EINVAL);
    create(handle, 3, 3);
    hear_until(w, &story, CT_EVENT_NEW, 6);
    create(handle, 6, 2);
    IS(ct_watch_start(w, &f, 1), 0);
    create(handle, 8, 2);
    hear_until(w, &story, CT_EVENT_NEW, 8);
    hear_all(w, &story);
    IS(story.of_type[CT_EVENT_NEW], 8);
    f.mark = 9;
    IS(ct_watch_start(w, &f, 1), 0);
    create(handle, 10, 2);
    hear_all(w, &story);
    IS(story.of_type[CT_EVENT_NEW], 8);
    IS(ct_watch_start(w, NULL, 0), 0);
    delete_some(handle, 0, 12);
    /* No more of them is written than there is room for. */
    ev[2].type = 77;
    IS(ct_watch_next(w, ev, 2, LONG_MS), 2);
    IS(ev[2].type, 77);
    /* No array is so large, but a program may say so if it knows that less is there. */
    IS(ct_watch_next(w, heard, SIZE_MAX, LONG_MS), 10);
    IS(heard[9].type, CT_EVENT_DESTROY);
    IS(ct_watch_next(w, heard, SIZE_MAX, 0), 0);
    ct_watch_close(w);
}

static void nonsense_as_text(void)
{
    static const uint32_t formats[] = { 0,
                                        CT_FORMAT_LINE | CT_FORMAT_JSON,
                                        CT_FORMAT_JSON | CT_FORMAT_ID,
                                        CT_FORMAT_JSON | CT_FORMAT_EVENT_TIME,
                                        CT_FORMAT_LINE | 1u << 31,
                                        CT_FORMAT_LINE | CT_FORMAT_EVENT_TIME << 1,
                                        UINT32_MAX };
    static const uint32_t types[] = { 0, 6, 7, UINT32_MAX };
    struct ct_event ev = { .type = CT_EVENT_NEW, .number = 1, .nsid = -1, .entry = tcp(1) };
    char text[2048], part[2048], short_one[16];
    unsigned int i;
    int length;

    errno = 4321;
    memset(text, 'x', sizeof text);
    IS(ct_event_format(NULL, CT_FORMAT_LINE, text, sizeof text), -EINVAL);
    IS(ct_event_format(&ev, CT_FORMAT_LINE, NULL, 1), -EINVAL);
    IS(ct_event_format((struct ct_event *)(void *)((char *)&ev + 4), CT_FORMAT_LINE, text, sizeof text), -EINVAL);
    for (i = 0; i < sizeof formats / sizeof *formats; i++)
        IS(ct_event_format(&ev, formats[i], text, sizeof text), -EINVAL);
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        ev.type = types[i];
        IS(ct_event_format(&ev, CT_FORMAT_LINE, text, sizeof text), -EINVAL);
        IS(ct_event_format(&ev, CT_FORMAT_JSON, text, sizeof text), -EINVAL);
    }
    for (i = 0; i < sizeof text; i++)
        IS(text[i], 'x');
    for (i = CT_EVENT_NEW; i <= CT_EVENT_SYNCED; i++) {
        ev.type = i;
        length = ct_event_format(&ev, CT_FORMAT_JSON, text, sizeof text);
        IS(length, strlen(text));
        IS(ct_event_format(&ev, CT_FORMAT_JSON, NULL, 0), length);
        memset(short_one, 'x', sizeof short_one);
        IS(ct_event_format(&ev, CT_FORMAT_JSON, short_one, 8), length);
        IS(strlen(short_one), 7);
        IS(memcmp(short_one, text, 7), 0);
        IS(short_one[8], 'x');
        length = ct_event_format(&ev, CT_FORMAT_LINE | CT_FORMAT_EVENT_TIME | CT_FORMAT_ID, text, sizeof text);
        IS(length, strlen(text));
    }
    /* Every field full of garbage: a text all the same, and within what the manual says of a line. */
    for (i = 0; i < 2000; i++) {
        unsigned char *bytes = (unsigned char *)&ev;
        size_t at;

        for (at = 0; at < sizeof ev; at++)
            bytes[at] = (unsigned char)rand();
        ev.type = 1 + i % 5;
        length =
            ct_event_format(&ev, CT_FORMAT_LINE | CT_FORMAT_EVENT_TIME | CT_FORMAT_ID | CT_FORMAT_EXTENDED, text, 1024);
        IS(length > 0 && length < 1024, 1);
        IS(strlen(text), length);
        memset(part, 'x', sizeof part);
        IS(ct_event_format(&ev, CT_FORMAT_JSON, part, 1) > 0, 1);
        IS(part[0], 0);
        IS(part[1], 'x');
    }
    IS(errno, 4321);
}

/* A thread that is cancelled while it waits goes on to wait, and ends behind the call. */
static void *wait_cancelled(void *type)
{
    int before;

    pthread_setcanceltype(*(int *)type, &before);
    wait_once(NULL);
    for (;;)
        pthread_testcancel();
    return NULL;
}

static void cancelled(void)
{
    int types[] = { PTHREAD_CANCEL_DEFERRED, PTHREAD_CANCEL_ASYNCHRONOUS }, i, files;
    pthread_t thread;
    void *end;

    watch = start_watch(0, 0);
    files = descriptors();
    for (i = 0; i < 20; i++) {
        atomic_store(&returned, 0);
        atomic_store(&waits, 0);
        pthread_create(&thread, NULL, wait_cancelled, &types[i % 2]);
        while (!atomic_load(&waits))
            sched_yield();
        until_asleep();
        pthread_cancel(thread);
        usleep(2000);
#ifdef __GLIBC__
        /* Still in its call. musl cancels by a signal that has a handler, and a signal ends a wait. */
        IS(ct_watch_next(watch, &(struct ct_event){ 0 }, 1, 0), -EBUSY);
#endif
        IS(ct_watch_wake(watch), 0);
        pthread_join(thread, &end);
        IS(end == PTHREAD_CANCELED, 1);
        /* Asynchronously it ends right behind the call, before its result is stored. */
        if (i % 2 == 0)
            IS(atomic_load(&returned), 1000);
        IS(ct_watch_next(watch, &(struct ct_event){ 0 }, 1, 0), 0);
    }
    IS(descriptors(), files);
    ct_watch_close(watch);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {
        { "without a watch", nonsense_without_a_watch },
        { "when opened", nonsense_when_opened },
        { "with a watch", nonsense_with_a_watch },
        { "as text", nonsense_as_text },
        { "while listing", readable_while_listing },
        { "wake-ups", no_wakeup_is_lost },
        { "idle", idle },
        { "woken", woken },
        { "beside", beside_one_that_waits },
        { "full", full },
        { "cancelled", cancelled },
    };
    unsigned int seed = argc > 1 ? (unsigned int)atoi(argv[1]) : (unsigned int)time(NULL), i;
    int before, files;

    printf("seed %u\n", seed);
    srand(seed);
    alarm(2 * ENDLESS);
    before = descriptors();
    handle = open_with(0);
    IS(descriptors(), before + 1);
    files = descriptors();
    for (i = 0; i < sizeof parts / sizeof *parts; i++) {
        int failed = check_failures;

        if (argc > 2 && !strstr(parts[i].name, argv[2]))
            continue;
        parts[i].run();
        /* What a handle opens once and keeps: one that counts opens nothing. */
        IS(descriptors() - files <= 1, 1);
        if (check_failures != failed)
            printf("that was: %s\n", parts[i].name);
    }
    ct_handle_close(handle);
    IS(descriptors(), before);
    return failed_checks();
}
