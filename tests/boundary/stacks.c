/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stacks [BYTES]: how much stack every call takes, on its ordinary, error and fallback ways, each in a process and on a thread of
 * its own. A thread with BYTES (32 KiB unless given) must do: that is what many programs give theirs.
 */

#include "common.h"

enum { ENTRIES = 3000, ROOM = 1 << 20 };

static struct ct_handle *handle;
static struct ct_entry *all;
static size_t all_count;
static int netns;

/* --- Faults ---------------------------------------------------------------------------------------------------------------- */

static int receive_errno;
static int send_errno;
static int no_sockets;

ssize_t recvfrom(int fd, void *buf, size_t length, int flags, struct sockaddr *from, socklen_t *from_length)
{
    if (receive_errno) {
        errno = receive_errno;
        return -1;
    }
    return syscall(SYS_recvfrom, fd, buf, length, flags, from, from_length);
}

ssize_t sendto(int fd, const void *buf, size_t length, int flags, const struct sockaddr *to, socklen_t to_length)
{
    if (send_errno && length > 100) {
        errno = send_errno;
        return -1;
    }
    return syscall(SYS_sendto, fd, buf, length, flags, to, to_length);
}

int socket(int domain, int type, int protocol)
{
    if (no_sockets) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

/* --- Ways ------------------------------------------------------------------------------------------------------------------ */

static void list_with(const struct ct_filter *f, size_t n)
{
    struct ct_entry *e = NULL;
    size_t count;

    if (ct_list(handle, f, n, &e, &count) == 0)
        ct_entries_free(e);
    ct_handle_error(handle);
}

static void list(void)
{
    list_with(NULL, 0);
}

static struct ct_filter addresses(unsigned int number)
{
    struct ct_filter f = marked(1);
    struct ct_entry e = tcp(number);

    f.match |= CT_MATCH_FAMILY | CT_MATCH_PROTO | CT_MATCH_ORIG_SRC | CT_MATCH_ORIG_DST;
    f.family = e.family;
    f.proto = e.proto;
    memcpy(f.orig_src, e.orig.src, 16);
    memcpy(f.orig_dst, e.orig.dst, 16);
    f.orig_src_prefix = f.orig_dst_prefix = 32;
    return f;
}

static void list_filtered(void)
{
    struct ct_filter f = addresses(5);

    list_with(&f, 1);
}

/* The kernel is asked for each. */
static void list_flows(void)
{
    static struct ct_filter f[40];
    unsigned int i;

    for (i = 0; i < 40; i++) {
        f[i] = addresses(i);
        f[i].match |= CT_MATCH_ORIG_SPORT | CT_MATCH_ORIG_DPORT | CT_MATCH_ZONE;
        f[i].orig_sport_first = f[i].orig_sport_last = 1000;
        f[i].orig_dport_first = f[i].orig_dport_last = 80;
    }
    list_with(f, 40);
}

static void list_many_filters(void)
{
    static struct ct_filter f[2000];
    unsigned int i;

    for (i = 0; i < 2000; i++) {
        f[i] = addresses(i);
        f[i].orig_src_prefix = i % 2 ? 32 : 24;
        if (i % 2 == 0)
            f[i].orig_src[3] = 0;
        if (i % 7 == 0)
            f[i].flags = CT_FILTER_EXCLUDE;
    }
    list_with(f, 2000);
}

static void list_ipv6(void)
{
    struct ct_filter f = { .size = sizeof f,
                           .match = CT_MATCH_FAMILY | CT_MATCH_ORIG_SRC,
                           .family = CT_FAMILY_IPV6,
                           .orig_src = { 0xfd },
                           .orig_src_prefix = 128 };

    list_with(&f, 1);
}

static void list_wrong(void)
{
    struct ct_filter f[2] = { addresses(1), addresses(1) };

    f[1].zone = 7;
    list_with(f, 2);
    f[1].size = 3;
    list_with(f, 2);
    f[0].size = 3;
    list_with(f, 1);
}

static void get(void)
{
    struct ct_entry key = tcp_key(1), found;

    ct_get(handle, &key, &found);
    key = tcp_key(1000000);
    ct_get(handle, &key, &found);
    key.has = ~(uint64_t)0;
    ct_get(handle, &key, &found);
    ct_handle_error(handle);
}

static void count(void)
{
    uint64_t entries;

    ct_count(handle, &entries);
}

static void find_free_zone(void)
{
    uint32_t zone;

    ct_zone_find_free(handle, 0, 65535, &zone);
    ct_zone_find_free(handle, 0, 0, &zone);
    ct_zone_find_free(handle, 9, 1, &zone);
}

static void make_filters(void)
{
    static const uint8_t address[16] = { 10 }, unspecified[16];
    struct ct_filter f[3] = { 0 };

    for (int i = 0; i < 3; i++)
        f[i].size = sizeof *f;
    ct_filter_dead_endpoint(handle, f, CT_FAMILY_IPV4, address);
    ct_filter_service(handle, &f[2], CT_FAMILY_IPV6, address, CT_PROTO_UDP, 53);
    ct_filter_live_endpoint(handle, &f[2], CT_FAMILY_IPV6, unspecified, 53);
    f[2] = (struct ct_filter){ .size = sizeof *f };
    ct_filter_port(handle, &f[2], CT_PROTO_UDP, 53);
    ct_filter_everything_but(handle, f, 2, 3);
    f[2] = (struct ct_filter){ .size = sizeof *f, .match = CT_MATCH_ZONE };
    ct_filter_rule(handle, &f[2], CT_RULE_INGRESS, CT_FAMILY_IPV4, address, 32, NULL, 0);
}

static void dump(void)
{
    struct ct_entry batch[4];

    ct_dump_start(handle, NULL, 0);
    while (ct_dump_next(handle, batch, 4) > 0)
        ;
    ct_dump_start(handle, NULL, 0);
    ct_dump_next(handle, batch, 4);
    ct_count(handle, &(uint64_t){ 0 });
    ct_dump_end(handle);
}

static void delete_with(unsigned int flags)
{
    struct ct_result r = { .size = sizeof r };
    struct ct_filter f = addresses(7);

    ct_delete(handle, &f, 1, flags, &r);
    f = marked(1);
    ct_delete(handle, &f, 1, flags, &r);
    f.match = 0;
    ct_delete(handle, &f, 1, flags, &r);
    ct_handle_error(handle);
}

static void delete(void)
{
    delete_with(0);
}

static void delete_uncounted(void)
{
    delete_with(CT_DELETE_UNCOUNTED);
}

static int32_t status[ENTRIES];

static void delete_entries(void)
{
    struct ct_result r = { .size = sizeof r };

    ct_delete_entries(handle, all, all_count, status, &r);
    ct_delete_entries(handle, all, all_count, status, &r);
}

static void delete_keys(void)
{
    static struct ct_entry keys[ENTRIES];
    struct ct_result r = { .size = sizeof r };
    unsigned int i;

    for (i = 0; i < ENTRIES; i++)
        keys[i] = tcp_key(i);
    ct_delete_entries(handle, keys, ENTRIES, status, &r);
    ct_delete_entries(handle, keys, ENTRIES, status, &r);
    keys[5].family = 99;
    ct_delete_entries(handle, keys, ENTRIES, status, &r);
}

static void create_entries(void)
{
    static struct ct_entry e[ENTRIES];
    struct ct_result r = { .size = sizeof r };
    unsigned int i;

    for (i = 0; i < ENTRIES; i++)
        e[i] = tcp(100000 + i);
    ct_create_entries(handle, e, ENTRIES, status, &r);
    ct_create_entries(handle, e, ENTRIES, status, &r);
    e[0].timeout = 0;
    ct_create_entries(handle, e, ENTRIES, status, &r);
    ct_handle_error(handle);
}

static void update_entries(void)
{
    static struct ct_entry e[ENTRIES];
    struct ct_result r = { .size = sizeof r };
    unsigned int i;

    for (i = 0; i < ENTRIES; i++) {
        e[i] = tcp_key(i);
        e[i].has |= CT_HAS_MARK;
        e[i].mark = 9;
    }
    ct_update_entries(handle, e, ENTRIES, status, &r);
    e[7] = tcp_key(1000000);
    e[7].has |= CT_HAS_MARK;
    ct_update_entries(handle, e, ENTRIES, status, &r);
    ct_handle_error(handle);
}

static void flush(void)
{
    struct ct_filter f = marked(9);

    ct_flush(handle, &f, 0);
    ct_flush(handle, NULL, CT_FLUSH_ALL);
    f.zone = 9;
    ct_flush(handle, &f, 0);
    ct_handle_error(handle);
}

static void format(void)
{
    struct ct_entry e = all[0];
    char text[1024];

    memset(e.labels, 0xff, sizeof e.labels);
    e.has |= CT_HAS_LABELS | CT_HAS_ORIG_COUNTERS | CT_HAS_REPLY_COUNTERS | CT_HAS_START;
    ct_entry_format(&e, CT_FORMAT_LINE | CT_FORMAT_EXTENDED | CT_FORMAT_ID | CT_FORMAT_TIMESTAMP, text, sizeof text);
    ct_entry_format(&e, CT_FORMAT_JSON, text, sizeof text);
    ct_entry_format(&e, 12345, text, sizeof text);
    ct_strerror(-EINVAL);
    ct_version_string();
    ct_version_number();
}

static void open_and_close(void)
{
    struct ct_open_opts opts = { .size = sizeof opts };
    struct ct_handle *h;

    if (ct_handle_open(&h, NULL) == 0)
        ct_handle_close(h);
    opts.flags = CT_OPEN_NETNS;
    opts.netns_fd = netns;
    if (ct_handle_open(&h, &opts) == 0) {
        ct_count(h, &(uint64_t){ 0 });
        ct_handle_close(h);
    }
    opts.netns_fd = -1;
    ct_handle_open(&h, &opts);
    opts.size = 3;
    ct_handle_open(&h, &opts);
}

static void watch_with(unsigned int flags, const struct ct_filter *f, size_t n)
{
    static struct ct_event ev[256];
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = flags, .timeout_ms = flags & CT_WATCH_SYNC ? 1 : 0 };
    struct ct_watch_info info = { .size = sizeof info };
    struct ct_result r = { .size = sizeof r };
    struct ct_watch *w;
    char text[1024];
    int i, got, rounds;

    if (ct_watch_open(&w, &opts) < 0)
        return;
    ct_watch_next(w, ev, 256, 0);
    if (ct_watch_start(w, f, n) == 0) {
        for (rounds = 0; rounds < 40 && (got = ct_watch_next(w, ev, 256, 20)) != 0; rounds++)
            for (i = 0; i < got; i += 64) {
                ct_event_format(&ev[i], CT_FORMAT_LINE | CT_FORMAT_EVENT_TIME, text, sizeof text);
                ct_event_format(&ev[i], CT_FORMAT_JSON, text, sizeof text);
            }
        ct_delete_entries(handle, all, all_count > 500 ? 500 : all_count, status, &r);
        for (rounds = 0; rounds < 40 && ct_watch_next(w, ev, 256, 20) != 0; rounds++)
            ;
        ct_watch_resync(w);
        ct_watch_wake(w);
        ct_watch_next(w, ev, 256, 20);
        ct_watch_get_info(w, &info);
        ct_watch_next(w, ev, 0, 20);
    }
    ct_watch_error(w);
    ct_watch_fd(w);
    ct_watch_close(w);
}

static void watch(void)
{
    struct ct_filter f = marked(1);

    watch_with(0, NULL, 0);
    watch_with(CT_WATCH_ALL_NSID | CT_WATCH_RELIABLE | CT_WATCH_ENABLE, &f, 1);
    f.zone = 7;
    watch_with(0, &f, 1);
}

static void watch_list(void)
{
    struct ct_filter f = marked(1);

    watch_with(CT_WATCH_SYNC, NULL, 0);
    watch_with(CT_WATCH_SYNC, &f, 1);
}

static void watch_many_filters(void)
{
    static struct ct_filter f[2000];
    unsigned int i;

    for (i = 0; i < 2000; i++)
        f[i] = addresses(i);
    watch_with(0, f, 2000);
    watch_with(CT_WATCH_SYNC, f, 2000);
}

static void own_port(void)
{
    uint32_t port;

    ct_handle_get_portid(handle, &port);
    ct_handle_get_portid(handle, NULL);
}

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    { "ct_list", list },
    { "ct_list with a filter", list_filtered },
    { "ct_list of 40 flows", list_flows },
    { "ct_list with 2000 filters", list_many_filters },
    { "ct_list of IPv6", list_ipv6 },
    { "ct_list with a wrong filter", list_wrong },
    { "ct_get", get },
    { "ct_count", count },
    { "ct_zone_find_free", find_free_zone },
    { "ct_filter_everything_but and others", make_filters },
    { "ct_dump_next", dump },
    { "ct_delete", delete },
    { "ct_delete uncounted", delete_uncounted },
    { "ct_delete_entries", delete_entries },
    { "ct_delete_entries by key", delete_keys },
    { "ct_create_entries", create_entries },
    { "ct_update_entries", update_entries },
    { "ct_flush", flush },
    { "ct_entry_format", format },
    { "ct_handle_open", open_and_close },
    { "ct_handle_get_portid", own_port },
    { "ct_watch_next", watch },
    { "ct_watch_next with a list", watch_list },
    { "ct_watch_start with 2000 filters", watch_many_filters },
};

static const struct {
    const char *name;
    int receive, send, no_sockets;
} faults[] = {
    { "as it should be", 0, 0, 0 },
    { "silence", EAGAIN, 0, 0 },
    { "silence without another socket", EAGAIN, 0, 1 },
    { "overrun", ENOBUFS, 0, 0 },
    { "a failing socket", EIO, 0, 0 },
    { "a small send buffer", 0, EMSGSIZE, 0 },
    { "no memory to send", 0, ENOMEM, 0 },
};

/* --- Measuring ------------------------------------------------------------------------------------------------------------- */

static unsigned char *stack;

static void *run(void *way)
{
    ((void (*)(void))way)();
    return NULL;
}

static void *nothing(void *unused)
{
    return unused;
}

/* How much of a stack of its own a thread touched. */
static size_t touched(void *(*start)(void *), void *argument)
{
    pthread_attr_t attr;
    pthread_t thread;
    size_t untouched = 0;

    memset(stack, 0xa5, ROOM);
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, stack, ROOM);
    if (pthread_create(&thread, &attr, start, argument) != 0)
        exit(98);
    pthread_join(thread, NULL);
    while (untouched < ROOM && stack[untouched] == 0xa5)
        untouched++;
    return ROOM - untouched;
}

/* In a child: what one call does first it does there first. */
static void try(unsigned int way, unsigned int fault, size_t bytes, int report)
{
    pthread_attr_t attr;
    pthread_t thread;
    size_t most;

    handle = open_with(faults[fault].receive == EAGAIN ? 1 : 0);
    receive_errno = faults[fault].receive;
    send_errno = faults[fault].send;
    no_sockets = faults[fault].no_sockets;
    if (report) {
        most = touched(run, (void *)ways[way].run);
        printf("%6zu  %s, %s\n", most, ways[way].name, faults[fault].name);
        fflush(stdout);
        _exit(0);
    }
    pthread_attr_init(&attr);
    if (pthread_attr_setstacksize(&attr, bytes) != 0 || pthread_create(&thread, &attr, run, (void *)ways[way].run) != 0)
        _exit(99);
    pthread_join(thread, NULL);
    _exit(0);
}

int main(int argc, char **argv)
{
    size_t bytes = argc > 1 ? (size_t)atol(argv[1]) : 32 * 1024;
    unsigned int way, fault;
    int report = argc > 2;
    int code;
    pid_t pid;

    alarm(ENDLESS);
    netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    stack = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (report)
        printf("%6zu  a thread that does nothing\n", touched(nothing, NULL));
    fflush(stdout);
    for (way = 0; way < sizeof ways / sizeof *ways; way++) {
        for (fault = 0; fault < sizeof faults / sizeof *faults; fault++) {
            handle = open_with(0);
            ct_flush(handle, NULL, CT_FLUSH_ALL);
            create(handle, 0, ENTRIES);
            ct_list(handle, NULL, 0, &all, &all_count);
            pid = fork();
            if (pid == 0)
                try(way, fault, bytes, report);
            code = ended(pid);
            if (code)
                printf("%s, %s: %d\n", ways[way].name, faults[fault].name, code);
            IS(code, 0);
            ct_entries_free(all);
            ct_handle_close(handle);
        }
    }
    return failed_checks();
}
