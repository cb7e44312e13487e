/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* A run: what is drawn for it, and whether it ended as it must. */

#include "equality.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* So often the table may change between two looks at it, before it counts as never at rest. */
enum { MOST_LOOKS = 200, SHOWN = 6, GROUP_NEW = 1, GROUP_UPDATE = 2, GROUP_DESTROY = 3 };

#define PICK(chance, array) ((array)[drawn((chance), sizeof(array) / sizeof(array)[0])])

void draw(struct plan *plan, uint64_t seed)
{
    static const unsigned buffers[] = { 64 << 10,  64 << 10, 64 << 10, 96 << 10, 128 << 10,
                                        512 << 10, 2 << 20,  8 << 20,  64 << 20 };
    static const unsigned caps[] = { 1, 3, 16, 64, 256, 1024 };
    static const unsigned naps[] = { 0, 0, 2, 10, 40 };
    uint64_t chance = seed * 2654435761u + 1;

    /* The first numbers of seeds that follow each other are alike. */
    for (int i = 0; i < 8; i++)
        drawn(&chance, 2);
    plan->seed = seed;
    plan->buffer = PICK(&chance, buffers);
    plan->mode = 1 + drawn(&chance, 2);
    plan->start = drawn(&chance, 3) ? drawn(&chance, plan->tuples + 1) : drawn(&chance, plan->most_start + 1);
    plan->cap = PICK(&chance, caps);
    plan->naps = PICK(&chance, naps);
    plan->nap_millis = 1 + drawn(&chance, 60);
    plan->millis = drawn(&chance, 4) ? 100 + drawn(&chance, 900) : 1500 + drawn(&chance, 1500);
    plan->stuck = drawn(&chance, 4) == 0;
    /* Entries of which the kernel is silent: only audits see what becomes of them. */
    plan->unheard = drawn(&chance, 6) == 0;
    plan->first = drawn(&chance, 2);
    plan->resyncs = drawn(&chance, 4) == 0;
    plan->quick = drawn(&chance, 2);
    plan->netlink = drawn(&chance, 3);
    plan->udp = drawn(&chance, 3);
    plan->tcp = drawn(&chance, 2);
    plan->pace = drawn(&chance, 3) == 0 ? 1 + drawn(&chance, 3) : 0;
    plan->nat = plan->has_nft && drawn(&chance, 2);
    if (!plan->netlink && !plan->udp)
        plan->netlink = 1;
}

static void bring_up_loopback(void)
{
    struct ifreq request = { 0 };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) {
        perror("lo");
        exit(3);
    }
    close(fd);
}

/* Never the table of the machine. */
void enter(void)
{
    if (unshare(CLONE_NEWNET) < 0 && (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)) {
        perror("network namespace");
        exit(3);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    bring_up_loopback();
}

static const char rules[] = "table inet t {\n"
                            " chain out { type filter hook output priority 0; ct state new counter accept; }\n"
                            "}\n";
/* Where a datagram goes is drawn by the kernel: two at once may go to two places, and then are two entries with one original tuple. */
static const char nat_rules[] =
    "table ip n {\n"
    " chain out { type nat hook output priority -100;\n"
    "  ip daddr 127.0.0.1 udp dport 20000-39999 dnat to numgen random mod 4 map { 0 : 127.0.0.2, 1 : 127.0.0.3, 2 : 127.0.0.4,"
    " 3 : 127.0.0.5 };\n"
    " }\n"
    " chain post { type nat hook postrouting priority 100;\n"
    "  ip saddr 127.0.0.1 udp dport 40000-49999 snat to 127.0.0.6-127.0.0.9:30000-60000 random;\n"
    " }\n"
    "}\n";

static int nft(const char *text)
{
    FILE *program = popen("PATH=$PATH:/usr/sbin:/sbin nft -f -", "w");

    return program && fputs(text, program) >= 0 && pclose(program) == 0;
}

static void prepare(struct plan *plan)
{
    int tracks = plan->has_nft ? nft(rules) && (!plan->nat || nft(nat_rules)) : track_without_nft();

    if (!tracks && plan->has_nft) {
        fprintf(stderr, "no rules\n");
        exit(3);
    }
    /* Nobody tracks packets: netlink alone makes entries. */
    if (!tracks) {
        plan->netlink += !plan->netlink;
        plan->udp = plan->tcp = 0;
    }
    set_sysctl("nf_conntrack_udp_timeout", plan->quick ? 1 : 600);
    set_sysctl("nf_conntrack_udp_timeout_stream", plan->quick ? 1 : 600);
    set_sysctl("nf_conntrack_tcp_timeout_time_wait", plan->quick ? 1 : 600);
    set_sysctl("nf_conntrack_tcp_timeout_close", plan->quick ? 1 : 600);
    /* Kernels up to 5.18 have 0 and 1 only. */
    if (!try_sysctl("nf_conntrack_events", plan->mode)) {
        plan->mode = 1;
        set_sysctl("nf_conntrack_events", 1);
    }
    /* A fault of the watch must not look like one that takes long. */
    alarm(300);
}

static uint64_t now_millis(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct ct_watch *open_watch(const struct plan *plan, uint32_t flags, uint32_t audit)
{
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = flags, .rcvbuf = plan->buffer, .audit_ms = audit };
    struct ct_watch *w = NULL;
    int ret = ct_watch_open(&w, &opts);

    if (ret < 0) {
        fprintf(stderr, "ct_watch_open: %s\n", ct_strerror(ret));
        exit(3);
    }
    return w;
}

static void start_watch(struct ct_watch *w)
{
    if (ct_watch_start(w, NULL, 0) < 0) {
        fprintf(stderr, "ct_watch_start: %s\n", ct_watch_error(w));
        exit(3);
    }
}

static struct ct_watch_info info_of(struct ct_watch *w)
{
    struct ct_watch_info info = { .size = sizeof info };
    int ret = ct_watch_get_info(w, &info);

    if (ret < 0)
        complain("ct_watch_get_info: %s", ct_strerror(ret));
    return info;
}

/* Reads once. Returns how many events came. */
static int read_some(struct ct_watch *w, unsigned cap, int timeout)
{
    static struct ct_event events[1024];
    int n = ct_watch_next(w, events, cap, timeout);

    if (n < 0)
        complain("ct_watch_next: %s: %s", ct_strerror(n), ct_watch_error(w));
    for (int i = 0; i < n; i++)
        follow(&events[i]);
    return n;
}

/* Reads until nothing comes, and the watch says that it told all. */
static void read_all(struct ct_watch *w, int sync)
{
    struct ct_watch_info info;
    int n;

    do {
        n = read_some(w, 256, 40);
        info = info_of(w);
    } while (n != 0 || info.queued || (sync && !(info.flags & CT_WATCH_IS_SYNCED)));
    if (sync && (follower.behind || !follower.synced))
        complain("the watch says that it is synced, but not by an event");
}

/* Reads as a program that has something else to do now and then. */
static void read_while_it_churns(struct ct_watch *w, const struct plan *plan)
{
    uint64_t chance = plan->seed * 13, end = now_millis() + plan->millis;

    while (now_millis() < end) {
        read_some(w, plan->cap, 20);
        if (plan->naps && drawn(&chance, 100) < plan->naps)
            rest(drawn(&chance, plan->nap_millis));
        if (plan->resyncs && drawn(&chance, 2000) == 0)
            ct_watch_resync(w);
    }
}

/* What is in one of them only. */
static unsigned compare(const char *a_name, const struct rows *a, const char *b_name, const struct rows *b, int show)
{
    size_t i = 0, k = 0;
    unsigned different = 0;

    while (i < a->count || k < b->count) {
        int order = i == a->count ? 1 : k == b->count ? -1 : memcmp(&a->at[i], &b->at[k], sizeof *a->at);
        const struct row *r = order < 0 ? &a->at[i] : &b->at[k];

        i += order <= 0;
        k += order >= 0;
        if (order == 0)
            continue;
        if (show && different < SHOWN) {
            printf("only %s:\n", order < 0 ? a_name : b_name);
            print_row("   ", r);
            print_story(r);
        }
        different++;
    }
    return different;
}

struct pair {
    uint32_t id, mark;
};

static int compare_pairs(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct pair));
}

/* Ids and marks as the program conntrack has them. */
static size_t ask_conntrack(struct pair **pairs)
{
    static const char *const commands[] = { "PATH=$PATH:/usr/sbin:/sbin conntrack -L -o id -f ipv4 2>/dev/null",
                                            "PATH=$PATH:/usr/sbin:/sbin conntrack -L -o id -f ipv6 2>/dev/null" };
    char line[2048];
    size_t count = 0, room = 0;

    for (int i = 0; i < 2; i++) {
        FILE *program = popen(commands[i], "r");

        while (program && fgets(line, sizeof line, program)) {
            const char *id = strstr(line, " id="), *mark = strstr(line, " mark=");

            if (!id)
                continue;
            if (count == room) {
                room = room ? 2 * room : 1024;
                *pairs = realloc(*pairs, room * sizeof **pairs);
                if (!*pairs)
                    exit(3);
            }
            (*pairs)[count].id = (uint32_t)strtoul(id + 4, NULL, 10);
            (*pairs)[count++].mark = mark ? (uint32_t)strtoul(mark + 6, NULL, 10) : 0;
        }
        if (!program || pclose(program) != 0)
            complain("conntrack -L failed");
    }
    return count;
}

static void compare_with_conntrack(const struct rows *rows, struct pair *pairs, size_t count)
{
    struct pair *own = calloc(rows->count + 1, sizeof *own);

    if (!own)
        exit(3);
    for (size_t i = 0; i < rows->count; i++) {
        own[i].id = rows->at[i].id;
        own[i].mark = rows->at[i].mark;
    }
    qsort(own, rows->count, sizeof *own, compare_pairs);
    if (count)
        qsort(pairs, count, sizeof *pairs, compare_pairs);
    if (count != rows->count || (count && memcmp(own, pairs, count * sizeof *own) != 0))
        complain("conntrack -L shows %zu entries, which are not the %zu that were told", count, rows->count);
    free(own);
}

/*
 * At rest: dumps, reads what that made the kernel say, and dumps again. If the table was the same both times, nothing has changed
 * in between, and what was told must be exactly that. Expired entries go by the first dump.
 */
static void compare_at_rest(struct ct_watch *w, const struct plan *plan)
{
    struct rows before = { 0 }, after = { 0 }, told = { 0 };
    struct pair *pairs = NULL;
    int fd = open_netlink(4 << 20);
    size_t seen = 0;
    unsigned looks = 0, patience = plan->unheard ? 50 : 0, different;

    do {
        rest(looks ? 50 : 0);
        dump_table(fd, &before);
        read_all(w, 1);
        if (plan->has_conntrack)
            seen = ask_conntrack(&pairs);
        dump_table(fd, &after);
        sort_rows(&before);
        sort_rows(&after);
        different = compare("", &before, "", &after, 0);
        if (!different && patience) {
            /* Audits take their time. */
            followed_table(&told);
            sort_rows(&told);
            different = compare("", &told, "", &after, 0);
            patience--;
        }
        if (different && looks++ == MOST_LOOKS)
            complain("the table is never at rest");
    } while (different && looks <= MOST_LOOKS);
    followed_table(&told);
    sort_rows(&told);
    different = compare("told", &told, "in the table", &after, 1);
    if (different)
        complain("%u entries differ: %zu told, %zu in the table", different, told.count, after.count);
    else if (plan->has_conntrack)
        compare_with_conntrack(&told, pairs, seen);
    for (size_t i = 1; i < after.count; i++)
        follower.twins += memcmp(&after.at[i - 1].orig, &after.at[i].orig, ORIG_BYTES) == 0;
    if (info_of(w).entries != after.count)
        complain("the watch says that it knows %llu entries, not %zu", (unsigned long long)info_of(w).entries,
                 after.count);
    free(before.at);
    free(after.at);
    free(told.at);
    free(pairs);
    close(fd);
}

static void report(struct ct_watch *w, struct outcome *outcome)
{
    struct ct_watch_info info = info_of(w);

    outcome->drops = info.lost;
    outcome->received = info.received;
    outcome->restarts = info.restarts;
    outcome->resyncs = info.resyncs;
    outcome->verified = info.verified;
    outcome->audited = info.audited;
    outcome->entries = (unsigned)info.entries;
    outcome->told = follower.told;
    outcome->twins = follower.twins;
    outcome->synced = follower.synced;
    outcome->wrong = follower.wrong;
}

void print_outcome(const char *what, const struct plan *plan, const struct outcome *o)
{
    printf("%s seed %llu: %u start, buffer %u, mode %u%s, %u ms%s%s, threads %u %u %u: told %llu, drops %llu, "
           "restarts %llu, resyncs %llu, synced %u, verified %llu, audited %llu, %u entries, %u twins%s\n",
           what, (unsigned long long)plan->seed, plan->start, plan->buffer, plan->mode, plan->unheard ? " unheard" : "",
           plan->millis, plan->stuck ? ", one is stuck" : "", plan->nat ? ", NAT" : "", plan->netlink, plan->udp,
           plan->tcp, (unsigned long long)o->told, (unsigned long long)o->drops, (unsigned long long)o->restarts,
           (unsigned long long)o->resyncs, o->synced, (unsigned long long)o->verified, (unsigned long long)o->audited,
           o->entries, o->twins, o->wrong ? ": WRONG" : "");
}

/* A watch with a list ends equal to the kernel's table. */
void run_equality(struct plan *plan, struct outcome *outcome)
{
    struct ct_watch *w;
    int listener, stuck = -1;

    prepare(plan);
    /* With nf_conntrack_events 2, somebody has to listen for entries to report. */
    listener = open_netlink(4096);
    if (!plan->unheard)
        hears(listener, GROUP_UPDATE);
    if (plan->stuck) {
        stuck = open_netlink(4096);
        reads_reliably(stuck);
        hears(stuck, GROUP_NEW);
        hears(stuck, GROUP_DESTROY);
    }
    if (plan->unheard)
        set_sysctl("nf_conntrack_events", 0);
    fill_table(plan);
    w = open_watch(plan, CT_WATCH_SYNC | (plan->unheard ? CT_WATCH_ENABLE : 0), plan->unheard ? 100 : UINT32_MAX);
    if (plan->first)
        start_churn(plan);
    start_watch(w);
    close(listener);
    /* What is lost then is lost while nothing is listed. */
    if (!plan->first) {
        read_all(w, 1);
        start_churn(plan);
        rest(plan->nap_millis);
    }
    read_while_it_churns(w, plan);
    stop_churn();
    if (stuck >= 0)
        close(stuck);
    compare_at_rest(w, plan);
    report(w, outcome);
    ct_watch_close(w);
}

/* So many events as fit into a run: each message that the kernel has done made exactly one. */
static uint64_t made_events(const struct plan *plan, uint64_t *chance, unsigned batches)
{
    struct batch *b = calloc(1, sizeof *b);
    int fd = open_netlink(1 << 20);
    uint64_t made = 0;

    if (!b)
        exit(3);
    for (unsigned i = 0; i < batches; i++) {
        unsigned size = 1 + drawn(chance, 64);

        for (unsigned k = 0; k < size; k++)
            put_something(b, chance, plan);
        made += send_batch(fd, b);
    }
    close(fd);
    free(b);
    return made;
}

/* Deletes what there is, one by one. */
static uint64_t empty_table(void)
{
    struct batch *b = calloc(1, sizeof *b);
    struct rows rows = { 0 };
    int fd = open_netlink(4 << 20);
    uint64_t made = 0;

    if (!b)
        exit(3);
    dump_table(fd, &rows);
    for (size_t i = 0; i < rows.count; i++) {
        const struct row *r = &rows.at[i];

        put_deleted(b, r,
                    r->orig.zone == r->reply.zone ? (r->orig.zone ? BOTH_WAYS : NO_ZONE)
                    : r->orig.zone                ? ORIG_ONLY
                                                  : REPLY_ONLY);
        if (b->count == 64)
            made += send_batch(fd, b);
    }
    made += send_batch(fd, b);
    if (made != rows.count)
        complain("deleted %llu of %zu", (unsigned long long)made, rows.count);
    free(rows.at);
    close(fd);
    free(b);
    return made;
}

/* Without a list: what was told and what was lost are what was made. */
static void count_without_list(const struct plan *plan, uint64_t *chance, struct outcome *outcome)
{
    struct ct_watch *w = open_watch(plan, 0, 0);
    uint64_t made = 0;
    struct ct_watch_info info;

    follower.only_counts = 1;
    start_watch(w);
    for (unsigned i = 0, rounds = 1 + drawn(chance, 6); i < rounds; i++) {
        made += made_events(plan, chance, drawn(chance, 400));
        for (unsigned k = drawn(chance, 200); k; k--)
            read_some(w, plan->cap, 0);
    }
    made += empty_table();
    read_all(w, 0);
    info = info_of(w);
    if (follower.told + follower.lost != made || follower.unknown_losses)
        complain("made %llu, told %llu, lost %llu", (unsigned long long)made, (unsigned long long)follower.told,
                 (unsigned long long)follower.lost);
    if (info.received != follower.told || info.lost != follower.lost)
        complain("told %llu, lost %llu, but the watch says %llu and %llu", (unsigned long long)follower.told,
                 (unsigned long long)follower.lost, (unsigned long long)info.received, (unsigned long long)info.lost);
    report(w, outcome);
    ct_watch_close(w);
}

/* With one: the same from one SYNCED on, as long as there is no LOST. */
static void count_with_list(const struct plan *plan, uint64_t *chance, struct outcome *outcome)
{
    struct ct_watch *w = open_watch(plan, CT_WATCH_SYNC, UINT32_MAX);
    unsigned exact = 0;

    start_watch(w);
    read_all(w, 1);
    for (unsigned i = 0; i < 12; i++) {
        struct ct_watch_info before = info_of(w), after;
        uint64_t made = 0, heard;

        for (unsigned k = 0; k < 20; k++) {
            made += made_events(plan, chance, drawn(chance, 10));
            read_some(w, plan->cap, 0);
        }
        read_all(w, 1);
        after = info_of(w);
        heard = after.received + after.lost - before.received - before.lost;
        if (before.resyncs == after.resyncs)
            exact++;
        if (heard > made || (before.resyncs == after.resyncs && heard != made) || after.lost < follower.lost ||
            (after.restarts == 0 && after.lost != follower.lost))
            complain("made %llu, received and lost %llu; lost %llu, told as lost %llu", (unsigned long long)made,
                     (unsigned long long)heard, (unsigned long long)after.lost, (unsigned long long)follower.lost);
    }
    compare_at_rest(w, plan);
    outcome->exact = exact;
    report(w, outcome);
    ct_watch_close(w);
}

void run_counts(struct plan *plan, struct outcome *outcome)
{
    uint64_t chance = plan->seed * 7;
    struct plan own = *plan;

    /* What ends by itself does not count. */
    own.quick = own.unheard = 0;
    prepare(&own);
    count_without_list(&own, &chance, outcome);
    reset_follower();
    count_with_list(&own, &chance, outcome);
}

/* Makes or deletes the entries `from` to `to`, or gives them a mark. */
static void change_all(unsigned from, unsigned to, enum change change, uint32_t mark)
{
    struct batch *b = calloc(1, sizeof *b);
    int fd = open_netlink(1 << 20);
    unsigned done = 0;

    if (!b)
        exit(3);
    for (unsigned i = from; i < to; i++) {
        struct values v = { .timeout = change == MAKE ? 6000 : 0, .mark = mark, .has_mark = 1 };
        enum zone_kind kind;
        struct row r = flow_of(i, 0, &kind);

        if (change == MAKE)
            put_made(b, &r, kind, &v);
        else if (change == MARK)
            put_changed(b, &r, kind, &v);
        else
            put_deleted(b, &r, kind);
        if (b->count == 64)
            done += send_batch(fd, b);
    }
    done += send_batch(fd, b);
    if (done != to - from)
        complain("changed %u of %u entries", done, to - from);
    close(fd);
    free(b);
}

static int may_be_silent(struct ct_watch *w)
{
    return (info_of(w).flags & CT_WATCH_MAY_BE_SILENT) != 0;
}

/* Reads until what was told is the table: an audit has seen it. A watch that never finds out is ended by alarm(). */
static void wait_for_audits(struct ct_watch *w, const struct plan *plan, const char *what)
{
    struct rows told = { 0 }, is = { 0 };
    int fd = open_netlink(4 << 20);
    unsigned tries = 600;

    do {
        read_some(w, 256, 50);
        dump_table(fd, &is);
        followed_table(&told);
        sort_rows(&told);
        sort_rows(&is);
    } while (compare("", &told, "", &is, 0) && --tries);
    if (!tries)
        complain("%s: no audit saw it", what);
    else
        compare_at_rest(w, plan);
    free(told.at);
    free(is.at);
    close(fd);
}

/* Entries of which the kernel says nothing, as of those that are made while nobody listens: audits alone see what becomes of them. */
static void audit_the_silent(const struct plan *plan, struct outcome *outcome)
{
    const unsigned count = plan->tuples < 2000 ? plan->tuples / 4 * 4 : 2000;
    struct ct_watch *w = open_watch(plan, CT_WATCH_SYNC | CT_WATCH_ENABLE, 100);
    uint64_t told;

    /* Not 2: whoever listens anywhere on the machine counts as a listener then. */
    set_sysctl("nf_conntrack_events", 0);
    change_all(0, count / 2, MAKE, 1);
    start_watch(w);
    change_all(count / 2, count, MAKE, 1);
    read_all(w, 1);
    if (!may_be_silent(w))
        complain("half of the entries are silent, but none may be");
    told = follower.told;
    follower.unfound = 0;
    change_all(0, count / 4, MARK, 2);
    change_all(count / 4, count / 2, DELETE, 0);
    wait_for_audits(w, plan, "entries that were made while nobody listened");
    if (follower.unfound)
        complain("%u events of silent entries are told as if the kernel had said them", follower.unfound);
    if (follower.told - told != count / 2)
        complain("%u entries went or changed, %llu events", count / 2, (unsigned long long)(follower.told - told));
    if (!may_be_silent(w))
        complain("a quarter of the entries is silent, but none may be");
    change_all(0, count / 4, DELETE, 0);
    wait_for_audits(w, plan, "the last silent entries");
    if (may_be_silent(w))
        complain("no silent entry is left, but some may be");
    if (info_of(w).audited == 0)
        complain("nothing was audited");
    told = info_of(w).audited;
    for (int i = 0; i < 5; i++)
        read_some(w, 256, 100);
    if (info_of(w).audited != told)
        complain("audits go on although no silent entry is left");
    /* Nothing that is made now is ever reported. */
    set_sysctl("nf_conntrack_events", 0);
    ct_watch_resync(w);
    read_all(w, 1);
    if (!may_be_silent(w) || info_of(w).events_mode != 0)
        complain("the sysctl is 0, but no entry may be silent (mode %d)", info_of(w).events_mode);
    change_all(0, count / 4, MAKE, 3);
    wait_for_audits(w, plan, "entries that are made without a word");
    change_all(0, count / 4, DELETE, 0);
    wait_for_audits(w, plan, "entries that go without a word");
    report(w, outcome);
    ct_watch_close(w);
}

/* CT_WATCH_ENABLE sets the sysctl, so that what is made from then on is heard. */
static void enable_events(const struct plan *plan)
{
    for (unsigned mode = 0; mode < 3; mode++) {
        struct ct_watch *w = open_watch(plan, CT_WATCH_SYNC | CT_WATCH_ENABLE, UINT32_MAX);

        reset_follower();
        if (!try_sysctl("nf_conntrack_events", mode) && mode == 2) {
            ct_watch_close(w);
            break;
        }
        if (get_sysctl("nf_conntrack_events") != (int)mode)
            complain("the sysctl is %d, not %u", get_sysctl("nf_conntrack_events"), mode);
        start_watch(w);
        if (get_sysctl("nf_conntrack_events") != 1)
            complain("the sysctl was %u and is %d with CT_WATCH_ENABLE", mode, get_sysctl("nf_conntrack_events"));
        change_all(5000, 5100, MAKE, mode);
        change_all(5000, 5050, MARK, 77);
        change_all(5050, 5100, DELETE, 0);
        compare_at_rest(w, plan);
        if (info_of(w).events_mode != 1)
            complain("the watch says that the sysctl is %d", info_of(w).events_mode);
        ct_watch_close(w);
        change_all(5000, 5050, DELETE, 0);
    }
}

/* A rule keeps back what the kernel would say of updates: CT_WATCH_AUDIT_ALL alone sees a mark. */
static void audit_all(const struct plan *plan)
{
    static const char quiet[] = "flush ruleset\n"
                                "table inet t {\n"
                                " chain out { type filter hook output priority -10; ct event set new; }\n"
                                "}\n";
    struct ct_watch *w;
    struct row r;
    struct values v = { .mark = 99, .has_mark = 1 };
    struct batch *b = calloc(1, sizeof *b);
    int fd = open_netlink(1 << 20);

    if (!b || !nft(quiet))
        exit(3);
    reset_follower();
    set_sysctl("nf_conntrack_events", 1);
    empty_table();
    for (int all = 0; all < 2; all++) {
        reset_follower();
        w = open_watch(plan, CT_WATCH_SYNC | (all ? CT_WATCH_AUDIT_ALL : 0), 200);
        start_watch(w);
        read_all(w, 1);
        r = send_one(40000);
        read_all(w, 1);
        if (follower.count != 1)
            complain("%zu entries are told, not that of a datagram", follower.count);
        v.mark++;
        put_changed(b, &r, NO_ZONE, &v);
        if (send_batch(fd, b) != 1)
            complain("the mark of a flow was not changed");
        if (all) {
            wait_for_audits(w, plan, "a mark that is set without an event");
        } else {
            /* The test is one of audits only if the kernel keeps it back. */
            struct rows told = { 0 };

            read_all(w, 1);
            followed_table(&told);
            if (told.count != 1 || told.at[0].mark == v.mark)
                complain("a mark was told in spite of the rule");
            free(told.at);
        }
        ct_watch_close(w);
        empty_table();
    }
    close(fd);
    free(b);
}

void run_silent(struct plan *plan, struct outcome *outcome)
{
    struct plan own = *plan;

    own.quick = 0;
    own.unheard = 1;
    own.buffer = 4 << 20;
    prepare(&own);
    audit_the_silent(&own, outcome);
    own.unheard = 0;
    enable_events(&own);
    if (own.has_nft)
        audit_all(&own);
    outcome->wrong = follower.wrong;
}
