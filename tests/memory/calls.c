/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * calls [--all] [SEED]: every exported function in its usual shapes, with each of its allocations failing in turn, alone and with
 * all behind it. A call may then say -ENOMEM, or do what it would have done; it must not end the process, leak, or leave the
 * handle or the table in another state than it says. Then the same under a limit of the address space.
 *
 * Each run is a process of its own, so that one that is aborted is told by its call and its allocation. Where a call makes
 * many allocations, those that are tried are drawn by SEED; --all tries all.
 *
 * Wants a network namespace of its own.
 */
#define _GNU_SOURCE
#include "failing.h"
#include <alloca.h>
#include <ctrack.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- What a run tells ------------------------------------------------------------------------------------------------------ */

/* Shared with the process that made it. */
static struct told {
    struct failing failing;
    int ret;
    int finished;
    char wrong[400];
} *told;

static void wrong(const char *format, ...)
{
    va_list list;

    if (told->wrong[0])
        return;
    va_start(list, format);
    vsnprintf(told->wrong, sizeof told->wrong, format, list);
    va_end(list);
}

/* --- The table ------------------------------------------------------------------------------------------------------------- */

enum { FLOWS = 600, SOME = 300, MANY = 20000 };

static int is_v6(unsigned i)
{
    return i % 50 == 7;
}

static uint32_t zone_of(unsigned i)
{
    return i % 3 == 0 ? 5 : 0;
}

static uint32_t mark_of(unsigned i)
{
    return 1 + i % 2;
}

static uint8_t proto_of(unsigned i)
{
    return i % 4 == 1 ? CT_PROTO_TCP : CT_PROTO_UDP;
}

static void address_of(unsigned i, uint8_t address[16])
{
    memset(address, 0, 16);
    if (is_v6(i)) {
        address[0] = 0xfd;
        address[14] = (uint8_t)(i >> 8);
        address[15] = (uint8_t)i;
    } else {
        address[0] = 10;
        address[1] = (uint8_t)(1 + i / 62500);
        address[2] = (uint8_t)(i / 250 % 250);
        address[3] = (uint8_t)(i % 250);
    }
}

static void service_of(unsigned i, uint8_t address[16])
{
    memset(address, 0, 16);
    address[0] = is_v6(i) ? 0xfd : 10;
    address[1] = 9;
    address[is_v6(i) ? 15 : 3] = 1;
}

/* The entry with this number, as a program would write it by hand. */
static struct ct_entry flow(unsigned i)
{
    struct ct_entry e = { .has = CT_HAS_ORIG | CT_HAS_PORTS };

    e.family = is_v6(i) ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4;
    e.proto = proto_of(i);
    address_of(i, e.orig.src);
    service_of(i, e.orig.dst);
    e.orig.sport = (uint16_t)(1000 + i);
    e.orig.dport = 53;
    if (zone_of(i)) {
        e.has |= CT_HAS_ZONE;
        e.zone = e.orig.zone = e.reply.zone = zone_of(i);
    }
    return e;
}

static struct ct_entry lasting(struct ct_entry e, unsigned i)
{
    e.has |= CT_HAS_TIMEOUT | CT_HAS_MARK;
    e.timeout = 36000;
    e.mark = mark_of(i);
    if (e.proto == CT_PROTO_TCP) {
        e.has |= CT_HAS_TCP_STATE;
        e.tcp_state = CT_TCP_STATE_ESTABLISHED;
    }
    return e;
}

/* --- What a call is made with ---------------------------------------------------------------------------------------------- */

static struct ct_handle *h;
static struct ct_filter f[1000];
static size_t n;
static struct ct_entry e[MANY];
static size_t entries;
static int32_t status[MANY];
static struct ct_result result;
/* How many entries of the table are selected. */
static size_t selected;

static struct ct_entry *listed;
static size_t count;
static struct ct_entry one;
static uint32_t zone;
static uint64_t counted;
static struct ct_open_opts opts;
static struct ct_handle *opened;

/* How the number of entries changed; UNKNOWN where the call does not say. */
enum { UNKNOWN = 1 << 30 };
static long changed;

static struct ct_entry *const untouched = (struct ct_entry *)-1;

static struct ct_filter *add(uint64_t match)
{
    struct ct_filter *filter = &f[n++];

    memset(filter, 0, sizeof *filter);
    filter->size = sizeof *filter;
    filter->match = match;
    return filter;
}

static struct ct_filter *add_source(unsigned i)
{
    struct ct_filter *filter = add(CT_MATCH_FAMILY | CT_MATCH_ORIG_SRC);

    filter->family = is_v6(i) ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4;
    filter->orig_src_prefix = is_v6(i) ? 128 : 32;
    address_of(i, filter->orig_src);
    return filter;
}

static void nothing(void)
{
}

static void everything(void)
{
    selected = FLOWS;
}

static void a_zone(void)
{
    add(CT_MATCH_ZONE)->zone = 5;
    for (unsigned i = 0; i < FLOWS; i++)
        selected += zone_of(i) == 5;
}

static void two_roles(void)
{
    struct ct_filter *reply = add(CT_MATCH_FAMILY | CT_MATCH_REPLY_DST);

    reply->family = CT_FAMILY_IPV4;
    reply->reply_dst_prefix = 32;
    address_of(9, reply->reply_dst);
    add_source(8);
    selected = 2;
}

static void tuples(unsigned last)
{
    for (unsigned i = 0; i < last; i++) {
        struct ct_filter *filter = add_source(i);

        filter->match |= CT_MATCH_PROTO | CT_MATCH_ZONE | CT_MATCH_ORIG_DST | CT_MATCH_ORIG_SPORT | CT_MATCH_ORIG_DPORT;
        filter->proto = proto_of(i);
        filter->zone = zone_of(i);
        service_of(i, filter->orig_dst);
        filter->orig_dst_prefix = filter->orig_src_prefix;
        filter->orig_sport_first = filter->orig_sport_last = (uint16_t)(1000 + i);
        filter->orig_dport_first = filter->orig_dport_last = 53;
    }
    selected = last;
}

static void three_tuples(void)
{
    tuples(3);
}

static void many_tuples(void)
{
    tuples(200);
}

static void a_thousand_addresses(void)
{
    for (unsigned i = 0; i < 1000; i++)
        add_source(i);
    selected = FLOWS;
}

static void an_address_of_ipv6(void)
{
    add_source(7);
    selected = 1;
}

static void excluding(void)
{
    struct ct_filter *marked = add(CT_MATCH_MARK);

    marked->flags = CT_FILTER_EXCLUDE;
    marked->mark = 1;
    marked->mark_mask = ~0u;
    for (unsigned i = 0; i < 20; i++)
        add_source(i)->flags = CT_FILTER_EXCLUDE;
    add(CT_MATCH_ZONE)->zone = 5;
    for (unsigned i = 20; i < FLOWS; i++)
        selected += mark_of(i) != 1 && zone_of(i) == 5;
}

static void of_every_kind(void)
{
    struct ct_filter *filter = add(CT_MATCH_FAMILY | CT_MATCH_PROTO | CT_MATCH_ORIG_SRC | CT_MATCH_ORIG_DPORT);

    filter->family = CT_FAMILY_IPV4;
    filter->proto = CT_PROTO_UDP;
    filter->orig_src[0] = 10;
    filter->orig_src[1] = 1;
    filter->orig_src_prefix = 24;
    filter->orig_dport_first = 50;
    filter->orig_dport_last = 60;
    filter = add(CT_MATCH_HELPER | CT_MATCH_LABELS | CT_MATCH_PROTO | CT_MATCH_TCP_STATES | CT_MATCH_STATUS);
    strcpy(filter->helper, "no-such-helper");
    filter->labels[0] = filter->labels_mask[0] = 1;
    filter->proto = CT_PROTO_TCP;
    filter->tcp_states = 1 << CT_TCP_STATE_ESTABLISHED;
    filter->status_set = CT_STATUS_ASSURED;
    for (unsigned at = 0; at < 8; at++) {
        filter = add(CT_MATCH_PROTO | CT_MATCH_ORIG_SPORT);
        filter->proto = CT_PROTO_TCP;
        filter->orig_sport_first = filter->orig_sport_last = (uint16_t)(1001 + 4 * at);
    }
    for (unsigned i = 0; i < 250; i++)
        selected += proto_of(i) == CT_PROTO_UDP && !is_v6(i);
    selected += 8;
}

static void by_hand(void)
{
    for (unsigned i = 0; i < SOME; i++)
        e[entries++] = flow(i);
}

/* As they are listed: with reply tuples and ids. */
static void as_listed(void)
{
    struct ct_entry *all;
    size_t of;

    if (ct_list(h, NULL, 0, &all, &of) < 0) {
        wrong("the table cannot be listed: %s", ct_handle_error(h));
        return;
    }
    for (; entries < SOME && entries < of; entries++)
        e[entries] = all[entries];
    ct_entries_free(all);
}

/* Two that are there, and one that is not. */
static void some_gone(void)
{
    for (unsigned i = FLOWS - 2; i <= FLOWS; i++)
        e[entries++] = flow(i);
}

static void new_ones(void)
{
    for (unsigned i = FLOWS; i < FLOWS + SOME; i++)
        e[entries++] = lasting(flow(i), i);
}

static void old_ones(void)
{
    for (unsigned i = 0; i < SOME; i++)
        e[entries++] = lasting(flow(i), i);
}

static void new_timeouts(void)
{
    by_hand();
    for (unsigned i = 0; i < entries; i++) {
        e[i].has |= CT_HAS_TIMEOUT;
        e[i].timeout = 40000;
    }
}

/* --- The calls ------------------------------------------------------------------------------------------------------------- */

static int list(void)
{
    return ct_list(h, f, n, &listed, &count);
}

static int stream(void)
{
    static struct ct_entry buffer[64];
    int ret = ct_dump_start(h, n ? f : NULL, n);

    if (ret < 0)
        return ret;
    for (count = 0; (ret = ct_dump_next(h, buffer, 64)) > 0;)
        count += (size_t)ret;
    /* After an error it is over, and the text of the error is wanted. */
    return ret < 0 ? ret : ct_dump_end(h);
}

static int stream_and_stop(void)
{
    int ret = ct_dump_start(h, f, n);

    if (ret < 0)
        return ret;
    ret = ct_dump_next(h, &one, 1);
    if (ret == 1) {
        int busy = ct_count(h, &counted);

        if (busy != -EBUSY)
            wrong("%d while a dump is open", busy);
        ret = ct_dump_end(h);
    }
    return ret;
}

static int delete_with(uint32_t flags)
{
    int ret = ct_delete(h, f, n, flags, &result);

    changed = result.flags & CT_RESULT_UNCOUNTED ? UNKNOWN : -(long)result.done;
    return ret;
}

static int delete(void)
{
    return delete_with(0);
}

static int delete_uncounted(void)
{
    return delete_with(CT_DELETE_UNCOUNTED);
}

static int delete_entries(void)
{
    int ret = ct_delete_entries(h, e, entries, status, &result);

    changed = -(long)result.done;
    return ret;
}

static int create_entries(void)
{
    int ret = ct_create_entries(h, e, entries, status, &result);

    changed = (long)result.done;
    return ret;
}

static int update_entries(void)
{
    return ct_update_entries(h, e, entries, status, &result);
}

static int get(void)
{
    return ct_get(h, e, &one);
}

static int count_all(void)
{
    return ct_count(h, &counted);
}

static int free_zone(void)
{
    return ct_zone_find_free(h, 4, 9, &zone);
}

static int no_free_zone(void)
{
    return ct_zone_find_free(h, 5, 5, &zone);
}

static int zones_upside_down(void)
{
    return ct_zone_find_free(h, 9, 5, &zone);
}

static int everything_but(void)
{
    struct ct_filter f[3] = { 0 };

    for (unsigned i = 0; i < 3; i++) {
        f[i].size = sizeof *f;
        f[i].match = CT_MATCH_ZONE;
        f[i].zone = i;
    }
    return ct_filter_everything_but(h, f, 1, 3);
}

/* The others. */
static int filters_of_endpoints(void)
{
    static const uint8_t address[4] = { 10, 0, 0, 7 };
    struct ct_filter f[4];
    int r;

    memset(f, 0, sizeof f);
    for (unsigned i = 0; i < 4; i++)
        f[i].size = sizeof *f;
    r = ct_filter_dead_endpoint(h, f, CT_FAMILY_IPV4, address);
    if (r == 0)
        r = ct_filter_port(h, &f[2], CT_PROTO_UDP, 53);
    f[3] = f[2];
    return r ? r : ct_filter_live_endpoint(h, &f[3], CT_FAMILY_IPV4, address, 53);
}

static int filter_of_a_rule(void)
{
    static const uint8_t own[4] = { 10, 0, 0, 7 }, other[4] = { 10, 1, 0, 0 };
    struct ct_filter f = { .size = sizeof f, .match = CT_MATCH_ZONE, .zone = 5 };

    return ct_filter_rule(h, &f, CT_RULE_EGRESS, CT_FAMILY_IPV4, own, 32, other, 16);
}

static int any_address(void)
{
    static const uint8_t unspecified[4];
    struct ct_filter f = { .size = sizeof f };

    return ct_filter_service(h, &f, CT_FAMILY_IPV4, unspecified, CT_PROTO_UDP, 53);
}

static int flush(void)
{
    int ret = ct_flush(h, f, 0);

    changed = ret == 0 ? -(long)selected : UNKNOWN;
    return ret;
}

static int flush_all(void)
{
    int ret = ct_flush(h, NULL, CT_FLUSH_ALL);

    changed = ret == 0 ? -FLOWS : UNKNOWN;
    return ret;
}

static int flush_null(void)
{
    return ct_flush(h, NULL, 0);
}

static int open_handle(void)
{
    return ct_handle_open(&opened, opts.size ? &opts : NULL);
}

static char text[4096];

static int texts(void)
{
    static const uint32_t formats[] = { CT_FORMAT_JSON, CT_FORMAT_LINE,
                                        CT_FORMAT_LINE | CT_FORMAT_EXTENDED | CT_FORMAT_ID };

    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        int length = ct_entry_format(e, formats[i], text, sizeof text);

        if (length < 50)
            return length < 0 ? length : -EBADMSG;
    }
    if (ct_entry_format(e, 0, text, sizeof text) != -EINVAL)
        return -EBADMSG;
    return ct_strerror(-ENOMEM) && ct_version_string() && ct_version_number() && ct_handle_error(h) ? 0 : -EBADMSG;
}

/* --- What is wrong, so that an error must be put into words ---------------------------------------------------------------- */

static void bits_behind_the_prefix(void)
{
    for (unsigned i = 0; i < 4; i++)
        add_source(250 + i)->orig_src_prefix = i < 3 ? 32 : 24;
}

static void ports_without_a_protocol(void)
{
    struct ct_filter *filter = add(CT_MATCH_ORIG_SPORT);

    filter->orig_sport_first = filter->orig_sport_last = 5;
}

static void a_range_upside_down(void)
{
    struct ct_filter *filter = add(CT_MATCH_ORIG_SPORT | CT_MATCH_PROTO);

    filter->proto = CT_PROTO_TCP;
    filter->orig_sport_first = 5;
    filter->orig_sport_last = 4;
}

static void unknown_status_bits(void)
{
    add(CT_MATCH_STATUS)->status_set = 1u << 31;
}

static void a_mark_outside_its_mask(void)
{
    struct ct_filter *filter = add(CT_MATCH_MARK);

    filter->mark = 2;
    filter->mark_mask = 1;
}

static void no_tcp_states(void)
{
    add(CT_MATCH_TCP_STATES)->tcp_states = 1 << 15;
}

static void a_family_of_its_own(void)
{
    add(CT_MATCH_FAMILY)->family = 77;
}

static void a_forgotten_bit(void)
{
    add(CT_MATCH_ZONE)->mark = 7;
}

static void a_small_filter(void)
{
    add(0)->size = 8;
}

static void a_helper_that_is_no_text(void)
{
    add(CT_MATCH_HELPER)->helper[0] = (char)0xff;
}

static void a_newer_filter(void)
{
    add(CT_MATCH_ZONE)->size = sizeof f[0] + 8;
    memset(&f[1], 1, 8);
}

static void a_scope_with_an_address(void)
{
    add_source(8);
}

static void a_scope_with_a_wrong_mark(void)
{
    a_mark_outside_its_mask();
}

static void a_wrong_entry(void)
{
    old_ones();
    e[5].orig.zone = 70000;
}

static void a_wrong_result(void)
{
    a_zone();
    result.size = 8;
}

static void unknown_flags(void)
{
    opts.size = sizeof opts;
    opts.flags = 1u << 30;
}

static void small_opts(void)
{
    opts.size = 4;
}

static void no_descriptor(void)
{
    opts.size = sizeof opts;
    opts.flags = CT_OPEN_NETNS;
    opts.netns_fd = 9999;
}

static void own_netns(void)
{
    opts.size = sizeof opts;
    opts.flags = CT_OPEN_NETNS;
    opts.netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (opts.netns_fd < 0)
        wrong("no descriptor of the network namespace: %s", strerror(errno));
}

static void a_file(void)
{
    own_netns();
    close(opts.netns_fd);
    opts.netns_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* --- Watches ----------------------------------------------------------------------------------------------------------------- */

static struct ct_watch *w;
static struct ct_watch_opts watching;
/* What the watch told so far: entries that came less those that went, and whether it was in step since the last loss. */
static long told_of;
static int is_synced, is_started, is_lossy;

static int start_watch(void)
{
    int ret = ct_watch_start(w, f, n);

    told_of = 0;
    is_synced = is_lossy = 0;
    is_started = ret == 0;
    return ret;
}

/* The next events, as a program sums them up. */
static int sum_up(int timeout)
{
    static struct ct_event next[64];
    int ret = ct_watch_next(w, next, 64, timeout);

    for (int i = 0; i < ret; i++) {
        if (next[i].number != next[0].number + (uint64_t)i)
            wrong("event %llu comes behind event %llu", (unsigned long long)next[i].number,
                  (unsigned long long)next[0].number + (uint64_t)i - 1);
        told_of += next[i].type == CT_EVENT_NEW;
        told_of -= next[i].type == CT_EVENT_DESTROY;
        /* Without a list nothing makes up for it. */
        is_lossy |= next[i].type == CT_EVENT_LOST && !(watching.flags & CT_WATCH_SYNC);
        if (next[i].type == CT_EVENT_SYNCED || next[i].type == CT_EVENT_LOST)
            is_synced = next[i].type == CT_EVENT_SYNCED;
    }
    return ret;
}

/* Until as many are told of as there should be, and nothing more comes. */
static int sum_all_up(void)
{
    int ret, fits, silent = 0;

    do {
        if (silent == 20) {
            wrong("%ld are told of instead of %zu, and nothing more comes", told_of, selected);
            break;
        }
        fits = is_lossy || ((is_synced || !(watching.flags & CT_WATCH_SYNC)) && told_of == (long)selected);
        ret = sum_up(fits ? 0 : 1000);
        silent = ret == 0 ? silent + 1 : 0;
    } while (ret > 0 || (ret == 0 && !fits));
    count = (size_t)told_of;
    return ret < 0 ? ret : 0;
}

static void have_watch(void)
{
    watching.size = sizeof watching;
    if (ct_watch_open(&w, &watching) < 0)
        wrong("no watch");
}

static void have_list(void)
{
    watching.flags |= CT_WATCH_SYNC;
    have_watch();
}

static void have_started(void)
{
    if (start_watch() < 0)
        wrong("the watch cannot be started: %s", ct_watch_error(w));
}

static void a_watch(void)
{
    everything();
    have_list();
}

static void a_watch_of_two_roles(void)
{
    two_roles();
    have_list();
}

static void a_watch_of_200_tuples(void)
{
    many_tuples();
    have_list();
}

static void a_watch_without_a_list(void)
{
    excluding();
    selected = 0;
    have_watch();
}

static void a_watch_of_a_wrong_filter(void)
{
    a_range_upside_down();
    have_list();
}

static void a_started_watch(void)
{
    a_watch();
    have_started();
}

static void a_watch_in_step(void)
{
    a_started_watch();
    if (sum_all_up() < 0)
        wrong("the watch does not get into step: %s", ct_watch_error(w));
}

/* Entries come, change and in part go. */
static void many_changes(void)
{
    enum { GONE = SOME / 2 };

    for (unsigned i = 0; i < SOME; i++)
        e[i] = lasting(flow(FLOWS + i), i);
    result = (struct ct_result){ .size = sizeof result };
    if (ct_create_entries(h, e, SOME, status, &result) < 0)
        wrong("no new entries: %s", ct_handle_error(h));
    for (unsigned i = 0; i < SOME; i++) {
        e[i] = flow(FLOWS + i);
        e[i].has |= CT_HAS_MARK;
        e[i].mark = 77;
    }
    result = (struct ct_result){ .size = sizeof result };
    if (ct_update_entries(h, e, SOME, status, &result) < 0)
        wrong("no changes: %s", ct_handle_error(h));
    for (unsigned i = 0; i < GONE; i++)
        e[i] = flow(FLOWS + i);
    result = (struct ct_result){ .size = sizeof result };
    if (ct_delete_entries(h, e, GONE, status, &result) < 0)
        wrong("no deletes: %s", ct_handle_error(h));
    selected += SOME - GONE;
    changed = SOME - GONE;
}

static void changes_for_a_list(void)
{
    a_watch_in_step();
    many_changes();
}

static void changes_while_listing(void)
{
    a_started_watch();
    many_changes();
}

static void changes_without_a_list(void)
{
    have_watch();
    have_started();
    many_changes();
}

static void a_watch_with_options(void)
{
    everything();
    own_netns();
    watching.flags = CT_WATCH_SYNC | CT_WATCH_NETNS | CT_WATCH_ENABLE | CT_WATCH_AUDIT_ALL;
    watching.size = sizeof watching;
    watching.netns_fd = opts.netns_fd;
    watching.events = CT_WATCH_NEW | CT_WATCH_DESTROY;
    watching.rcvbuf = 1 << 20;
    watching.max_entries = 100000;
}

static void wrong_options_of_a_watch(void)
{
    watching.size = sizeof watching;
    watching.audit_ms = 1;
}

static void small_options_of_a_watch(void)
{
    watching.size = 4;
}

static int open_watch(void)
{
    return ct_watch_open(&w, watching.size ? &watching : NULL);
}

static int resync_watch(void)
{
    int ret = ct_watch_resync(w);

    is_synced = 0;
    return ret < 0 ? ret : sum_all_up();
}

static int other_calls_on_watches(void)
{
    struct ct_watch_info info = { .size = sizeof info };
    struct ct_event event = { .type = CT_EVENT_NEW, .nsid = -1, .entry = flow(1) };
    uint32_t portid = 0;
    char text[2048];

    if (ct_watch_get_info(w, &info) < 0 || info.entries != FLOWS || !(info.flags & CT_WATCH_IS_SYNCED))
        wrong("%llu entries are known", (unsigned long long)info.entries);
    if (ct_event_format(&event, CT_FORMAT_LINE | CT_FORMAT_EVENT_TIME, text, sizeof text) <= 0)
        wrong("no line of an event");
    if (ct_event_format(&event, CT_FORMAT_JSON, text, sizeof text) <= 0)
        wrong("no JSON of an event");
    if (ct_handle_get_portid(h, &portid) < 0 || portid == 0)
        wrong("no port");
    if (ct_watch_fd(w) < 0 || ct_watch_wake(w) < 0)
        wrong("no descriptor, or it is not woken");
    /* Woken: it tells nothing. */
    if (sum_up(-1) != 0 || *ct_watch_error(w))
        wrong("it tells something: %s", ct_watch_error(w));
    ct_watch_close(w);
    w = NULL;
    return 0;
}

/*
 * Whatever failed, the watch goes on where memory is there again, and what it tells adds up. By itself it tries a list again after
 * some seconds; in most runs it is told to.
 */
static void check_watch(int ret, long nth)
{
    struct ct_watch_info info = { .size = sizeof info };

    if (ret == -ENOMEM && is_started && ct_watch_get_info(w, &info) < 0)
        wrong("afterwards the watch says nothing of itself");
    if (!is_started && start_watch() < 0)
        wrong("afterwards ct_watch_start() fails: %s", ct_watch_error(w));
    if (ret == -ENOMEM && watching.flags & CT_WATCH_SYNC && nth != 2 && (ret = ct_watch_resync(w)) < 0)
        wrong("afterwards ct_watch_resync() returns %d", ret);
    ret = sum_all_up();
    if (ret < 0)
        wrong("afterwards ct_watch_next() returns %d: %s", ret, ct_watch_error(w));
    if (watching.flags & CT_WATCH_SYNC && (ct_watch_get_info(w, &info) < 0 || info.entries != selected))
        wrong("afterwards %llu entries are known instead of %zu", (unsigned long long)info.entries, selected);
}

/* --- All of it ------------------------------------------------------------------------------------------------------------- */

enum {
    /* Only with an allocation it makes sense. */
    ALLOCATES = 1,
    /* It must not allocate at all. */
    NEVER_ALLOCATES = 2,
    /* `selected` entries must come. */
    GIVES = 4,
    /* `status` tells of every entry. */
    TELLS = 8,
    /* The handle is opened with CT_OPEN_COMPARE_START. */
    STARTS = 16,
    /* The handle is opened with CT_OPEN_NETNS. */
    NETNS = 32,
    /* The call is made without any capability. */
    UNPRIVILEGED = 64,
    /* It is the watch that says what went wrong. */
    WATCHES = 128,
};

static const struct shape {
    const char *name;
    void (*prepare)(void);
    int (*call)(void);
    int want;
    int flags;
} shapes[] = {
    { "ct_list, everything", everything, list, 0, ALLOCATES | GIVES },
    { "ct_list, a zone", a_zone, list, 0, ALLOCATES | GIVES },
    { "ct_list, a zone, in a network namespace", a_zone, list, 0, ALLOCATES | GIVES | NETNS },
    { "ct_list, two roles", two_roles, list, 0, ALLOCATES | GIVES },
    { "ct_list, three tuples", three_tuples, list, 0, ALLOCATES | GIVES },
    { "ct_list, 200 tuples", many_tuples, list, 0, ALLOCATES | GIVES },
    { "ct_list, 1,000 addresses", a_thousand_addresses, list, 0, ALLOCATES | GIVES },
    { "ct_list, an address of IPv6", an_address_of_ipv6, list, 0, ALLOCATES | GIVES },
    { "ct_list, excluding filters", excluding, list, 0, ALLOCATES | GIVES },
    { "ct_list, filters of every kind", of_every_kind, list, 0, ALLOCATES | GIVES },
    { "ct_dump_*, everything", everything, stream, 0, ALLOCATES | GIVES },
    { "ct_dump_*, two roles", two_roles, stream, 0, ALLOCATES | GIVES },
    { "ct_dump_*, 200 tuples", many_tuples, stream, 0, ALLOCATES | GIVES },
    { "ct_dump_*, ended early", a_zone, stream_and_stop, 0, ALLOCATES },
    { "ct_dump_*, ended early, in a network namespace", a_zone, stream_and_stop, 0, ALLOCATES | NETNS },
    { "ct_delete, a zone", a_zone, delete, 0, ALLOCATES | GIVES },
    { "ct_delete, a zone, with start times", a_zone, delete, 0, ALLOCATES | GIVES | STARTS },
    { "ct_delete, two roles", two_roles, delete, 0, ALLOCATES | GIVES },
    { "ct_delete, three tuples", three_tuples, delete, 0, ALLOCATES | GIVES },
    { "ct_delete, 200 tuples", many_tuples, delete, 0, ALLOCATES | GIVES },
    { "ct_delete, 1,000 addresses", a_thousand_addresses, delete, 0, ALLOCATES | GIVES },
    { "ct_delete, excluding filters", excluding, delete, 0, ALLOCATES | GIVES },
    { "ct_delete, filters of every kind", of_every_kind, delete, 0, ALLOCATES | GIVES },
    { "ct_delete, uncounted, a zone", a_zone, delete_uncounted, 0, ALLOCATES },
    { "ct_delete, uncounted, two roles", two_roles, delete_uncounted, 0, ALLOCATES },
    { "ct_delete, nothing", nothing, delete, -EINVAL, 0 },
    { "ct_delete, a wrong result", a_wrong_result, delete, -EINVAL, ALLOCATES },
    { "ct_delete_entries, as listed", as_listed, delete_entries, 0, ALLOCATES | TELLS },
    { "ct_delete_entries, as listed, with start times", as_listed, delete_entries, 0, ALLOCATES | TELLS | STARTS },
    { "ct_delete_entries, by hand", by_hand, delete_entries, 0, ALLOCATES | TELLS },
    { "ct_delete_entries, some gone", some_gone, delete_entries, 0, ALLOCATES | TELLS },
    { "ct_delete_entries, a wrong entry", a_wrong_entry, delete_entries, -EINVAL, ALLOCATES },
    { "ct_create_entries, new ones", new_ones, create_entries, 0, ALLOCATES | TELLS },
    { "ct_create_entries, old ones", old_ones, create_entries, -EEXIST, ALLOCATES | TELLS },
    { "ct_create_entries, a wrong entry", a_wrong_entry, create_entries, -EINVAL, ALLOCATES },
    { "ct_update_entries", new_timeouts, update_entries, 0, ALLOCATES | TELLS },
    { "ct_update_entries, a wrong entry", a_wrong_entry, update_entries, -EINVAL, ALLOCATES },
    { "ct_get", by_hand, get, 0, ALLOCATES },
    { "ct_get, not there", new_ones, get, -ENOENT, ALLOCATES },
    { "ct_count", nothing, count_all, 0, ALLOCATES },
    { "ct_zone_find_free", nothing, free_zone, 0, ALLOCATES },
    { "ct_zone_find_free, none free", nothing, no_free_zone, -ENOSPC, ALLOCATES },
    { "ct_zone_find_free, upside down", nothing, zones_upside_down, -EINVAL, ALLOCATES },
    { "ct_filter_everything_but", nothing, everything_but, 0, ALLOCATES },
    { "ct_filter_dead_endpoint, ct_filter_port, ct_filter_live_endpoint", nothing, filters_of_endpoints, 0, ALLOCATES },
    { "ct_filter_rule", nothing, filter_of_a_rule, 0, ALLOCATES },
    { "ct_filter_service, 0.0.0.0", nothing, any_address, -EINVAL, 0 },
    { "ct_flush, a zone", a_zone, flush, 0, ALLOCATES },
    { "ct_flush, a zone, with start times", a_zone, flush, 0, ALLOCATES | STARTS },
    { "ct_flush, everything", nothing, flush_all, 0, ALLOCATES },
    { "ct_flush, nothing", nothing, flush_null, -EINVAL, 0 },
    { "ct_flush, an address", a_scope_with_an_address, flush, -EINVAL, 0 },
    { "ct_flush, a wrong mark", a_scope_with_a_wrong_mark, flush, -EINVAL, ALLOCATES },
    { "ct_handle_open", nothing, open_handle, 0, ALLOCATES },
    { "ct_handle_open, in a network namespace", own_netns, open_handle, 0, ALLOCATES },
    { "ct_handle_open, a file", a_file, open_handle, -EINVAL, 0 },
    { "ct_handle_open, unknown flags", unknown_flags, open_handle, -EINVAL, 0 },
    { "ct_handle_open, small options", small_opts, open_handle, -EINVAL, ALLOCATES },
    { "ct_handle_open, no descriptor", no_descriptor, open_handle, -EBADF, 0 },
    { "ct_list, bits behind the prefix", bits_behind_the_prefix, list, -EINVAL, ALLOCATES },
    { "ct_list, ports without a protocol", ports_without_a_protocol, list, -EINVAL, ALLOCATES },
    { "ct_list, a range upside down", a_range_upside_down, list, -EINVAL, ALLOCATES },
    { "ct_list, unknown status bits", unknown_status_bits, list, -EINVAL, ALLOCATES },
    { "ct_list, a mark outside its mask", a_mark_outside_its_mask, list, -EINVAL, ALLOCATES },
    { "ct_list, no TCP states", no_tcp_states, list, -EINVAL, ALLOCATES },
    { "ct_list, a wrong family", a_family_of_its_own, list, -EINVAL, ALLOCATES },
    { "ct_list, a forgotten bit", a_forgotten_bit, list, -EINVAL, ALLOCATES },
    { "ct_list, a small filter", a_small_filter, list, -EINVAL, ALLOCATES },
    { "ct_list, a helper that is no text", a_helper_that_is_no_text, list, -EINVAL, ALLOCATES },
    { "ct_dump_start, a newer filter", a_newer_filter, stream, -E2BIG, ALLOCATES },
    { "ct_list, without privilege", a_zone, list, -EPERM, ALLOCATES | UNPRIVILEGED },
    { "ct_delete_entries, without privilege", by_hand, delete_entries, -EPERM, ALLOCATES | UNPRIVILEGED },
    { "ct_create_entries, without privilege", new_ones, create_entries, -EPERM, ALLOCATES | UNPRIVILEGED },
    { "ct_watch_open", nothing, open_watch, 0, ALLOCATES | WATCHES },
    { "ct_watch_open, with options", a_watch_with_options, open_watch, 0, ALLOCATES | WATCHES },
    { "ct_watch_open, wrong options", wrong_options_of_a_watch, open_watch, -EINVAL, WATCHES },
    { "ct_watch_open, small options", small_options_of_a_watch, open_watch, -EINVAL, ALLOCATES | WATCHES },
    { "ct_watch_start, everything", a_watch, start_watch, 0, ALLOCATES | WATCHES },
    { "ct_watch_start, two roles", a_watch_of_two_roles, start_watch, 0, ALLOCATES | WATCHES },
    { "ct_watch_start, 200 tuples", a_watch_of_200_tuples, start_watch, 0, ALLOCATES | WATCHES },
    { "ct_watch_start, without a list", a_watch_without_a_list, start_watch, 0, ALLOCATES | WATCHES },
    { "ct_watch_start, a range upside down", a_watch_of_a_wrong_filter, start_watch, -EINVAL, ALLOCATES | WATCHES },
    { "ct_watch_start, once more", a_watch_in_step, start_watch, 0, ALLOCATES | WATCHES },
    { "ct_watch_start, without privilege", a_watch, start_watch, -EPERM, ALLOCATES | WATCHES | UNPRIVILEGED },
    { "ct_watch_next, a list", a_started_watch, sum_all_up, 0, ALLOCATES | WATCHES | GIVES },
    { "ct_watch_next, changes while listing", changes_while_listing, sum_all_up, 0, ALLOCATES | WATCHES | GIVES },
    { "ct_watch_next, changes", changes_for_a_list, sum_all_up, 0, ALLOCATES | WATCHES | GIVES },
    { "ct_watch_next, changes, without a list", changes_without_a_list, sum_all_up, 0, WATCHES | GIVES },
    { "ct_watch_resync", a_watch_in_step, resync_watch, 0, WATCHES | GIVES },
    { "ct_watch_close and other calls on watches", a_watch_in_step, other_calls_on_watches, 0, NEVER_ALLOCATES },
    { "ct_entry_format and other texts", as_listed, texts, 0, NEVER_ALLOCATES },
};

/* --- One run --------------------------------------------------------------------------------------------------------------- */

/* The table as every run finds it, whatever the one before left. */
static void set_up_table(void)
{
    static struct ct_entry all[FLOWS], extra[SOME];

    /* No call both makes and deletes entries. */
    if (ct_count(h, &counted) == 0 && counted == FLOWS)
        return;
    for (unsigned i = 0; i < FLOWS; i++)
        all[i] = lasting(flow(i), i);
    for (unsigned i = 0; i < SOME; i++)
        extra[i] = flow(FLOWS + i);
    result = (struct ct_result){ .size = sizeof result };
    ct_create_entries(h, all, FLOWS, status, &result);
    ct_delete_entries(h, extra, SOME, status, &result);
    if (ct_count(h, &counted) < 0 || counted != FLOWS)
        wrong("there are %llu entries to begin with: %s", (unsigned long long)counted, ct_handle_error(h));
}

static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2];

    memset(none, 0, sizeof none);
    if (syscall(SYS_capset, &header, none) < 0)
        wrong("capset: %s", strerror(errno));
}

/* What the call gave, and whether it fits what it returned. */
static void check_answer(const struct shape *shape, int ret)
{
    const char *says = shape->flags & WATCHES ? ct_watch_error(w) : ct_handle_error(h);
    /* What opens has nothing yet that could say it. */
    int is_mute = shape->call == open_handle || shape->call == open_watch;
    size_t done = 0;

    if (ret != shape->want && ret != -ENOMEM)
        wrong("it returns %d (%s): %s", ret, ct_strerror(ret), says);
    if (ret < 0 && shape->call == open_watch && w)
        wrong("it gives a watch although it fails");
    if (ret == 0 && shape->flags & GIVES && shape->call == delete)
        count = result.done;
    if (ret == 0 && shape->flags & GIVES && count != selected)
        wrong("%zu entries instead of %zu", count, selected);
    if (ret < 0 && listed != untouched)
        wrong("it writes a list although it fails");
    if (ret < 0 && !is_mute && !*says)
        wrong("it fails and says nothing");
    if (ret == -ENOMEM && !is_mute && !strstr(says, "out of memory"))
        wrong("it says: %s", says);
    if (shape->flags & TELLS) {
        for (size_t i = 0; i < entries; i++)
            done += status[i] == 0;
        if (done != result.done)
            wrong("%zu entries have status 0, but %llu are said to be done", done, (unsigned long long)result.done);
        if (result.done + result.gone + result.failed != result.matched)
            wrong("the sums are wrong");
    }
}

/* The handle counts what is there, and lists it: all of it in each fourth run, since that is a walk over the table of the host. */
static void check_handle(struct ct_handle *handle, long nth)
{
    struct ct_entry *all = NULL;
    size_t of = 0;
    int ret = ct_count(handle, &counted);

    if (ret < 0)
        wrong("afterwards ct_count() returns %d: %s", ret, ct_handle_error(handle));
    if (changed != UNKNOWN && (long)counted != FLOWS + changed)
        wrong("afterwards there are %llu entries instead of %ld", (unsigned long long)counted, FLOWS + changed);
    if (nth % 4 == 0) {
        ret = ct_list(handle, NULL, 0, &all, &of);
        if (ret < 0)
            wrong("afterwards ct_list() returns %d: %s", ret, ct_handle_error(handle));
        ct_entries_free(all);
        if (of != counted)
            wrong("afterwards %zu entries are listed and %llu counted", of, (unsigned long long)counted);
        return;
    }
    ret = ct_dump_start(handle, NULL, 0);
    if (ret == 0)
        ret = ct_dump_next(handle, &one, 1);
    if (ret < 0 || ret != (counted > 0))
        wrong("afterwards a dump of %llu entries begins with %d: %s", (unsigned long long)counted, ret,
              ct_handle_error(handle));
    ct_dump_end(handle);
}

/* Allocation `nth` fails, and all behind it if `rest` is set. */
static void run(const struct shape *shape, long nth, int rest)
{
    struct ct_open_opts own = { .size = sizeof own };
    long before;
    int ret;

    /* The C library keeps the stack of a thread, and what belongs to it, for the next one. */
    own_netns();
    if (ct_handle_open(&h, &opts) < 0 || opts.netns_fd < 0) {
        wrong("no handle in a network namespace");
        return;
    }
    set_up_table();
    ct_handle_close(h);

    before = failing_held();
    own.flags = (shape->flags & STARTS ? CT_OPEN_COMPARE_START : 0) | (shape->flags & NETNS ? CT_OPEN_NETNS : 0);
    own.netns_fd = shape->flags & NETNS ? opts.netns_fd : 0;
    ret = ct_handle_open(&h, &own);
    if (ret < 0) {
        wrong("no handle: %s", ct_strerror(ret));
        return;
    }
    memset(&opts, 0, sizeof opts);
    result = (struct ct_result){ .size = sizeof result };
    shape->prepare();
    /* Nothing of what is asked before may make room for the call: it gets a handle of its own. */
    ct_handle_close(h);
    if (ct_handle_open(&h, &own) < 0)
        wrong("no handle");
    listed = untouched;
    if (shape->flags & UNPRIVILEGED)
        drop_capabilities();

    failing_start(nth, rest);
    ret = shape->call();
    told->failing = failing_stop();
    told->ret = ret;

    check_answer(shape, ret);
    if (listed != untouched)
        ct_entries_free(listed);
    if (opened) {
        check_handle(opened, nth);
        ct_handle_close(opened);
    }
    if (w && !(shape->flags & UNPRIVILEGED) && shape->want == 0)
        check_watch(ret, nth);
    ct_watch_close(w);
    if (!(shape->flags & UNPRIVILEGED))
        check_handle(h, nth);
    ct_handle_close(h);
    if (failing_held() != before)
        wrong("%ld bytes are left behind", failing_held() - before);
    told->finished = 1;
}

/* The same in a process of its own. Returns what is wrong, or NULL. */
static const char *run_apart(const struct shape *shape, long nth, int rest)
{
    static char died[100];
    int state;
    pid_t child;

    memset(told, 0, sizeof *told);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        struct rlimit none = { 0, 0 };

        setrlimit(RLIMIT_CORE, &none);
        /* One that hangs is ended some time. */
        alarm(120);
        run(shape, nth, rest);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &state, 0) != child)
        return "no process";
    if (WIFSIGNALED(state)) {
        snprintf(died, sizeof died, "it ends the process with signal %d", WTERMSIG(state));
        return died;
    }
    if (told->wrong[0])
        return told->wrong;
    return told->finished ? NULL : "it does not come back";
}

/* --- All runs -------------------------------------------------------------------------------------------------------------- */

static uint64_t drawn;

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = drawn += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static int failures;
static long runs, fired, refused;

static void failed(const char *name, const char *format, ...)
{
    va_list list;

    failures++;
    printf("FAILED  %s: ", name);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
}

/* Whether this allocation is tried: the first and the last ones always. */
static int is_tried(long nth, long of, int all)
{
    enum { FIRST = 8, LAST = 3, DRAWN = 6 };

    return all || nth <= FIRST || nth > of - LAST || draw() % (uint64_t)(of - FIRST - LAST) < DRAWN;
}

static void all_runs_of(const struct shape *shape, int all)
{
    const char *what = run_apart(shape, 0, 0);
    long of = told->failing.asked, tried = 0, no_memory = 0;
    int before = failures;

    if (what) {
        failed(shape->name, "without a failure: %s", what);
        return;
    }
    if (told->ret != shape->want)
        failed(shape->name, "without a failure it returns %d instead of %d", told->ret, shape->want);
    if (shape->flags & ALLOCATES && of == 0)
        failed(shape->name, "it allocates nothing: what is tried?");
    if (shape->flags & NEVER_ALLOCATES && of != 0)
        failed(shape->name, "%ld allocations", of);
    for (int rest = 0; rest < 2; rest++) {
        for (long nth = 1; nth <= of; nth++) {
            if (!is_tried(nth, of, all))
                continue;
            what = run_apart(shape, nth, rest);
            tried++;
            no_memory += told->ret == -ENOMEM;
            fired += told->failing.failed > 0;
            if (what)
                failed(shape->name, "allocation %ld of %ld fails%s: %s", nth, of, rest ? ", and all behind it" : "",
                       what);
            else if (told->failing.failed == 0)
                failed(shape->name, "allocation %ld of %ld was not asked for", nth, of);
        }
    }
    runs += tried;
    refused += no_memory;
    if (failures == before)
        printf("ok      %s: %ld allocations, %ld runs, %ld with -ENOMEM\n", shape->name, of, tried, no_memory);
}

/* The allocator itself: what is told here would else tell nothing. */
static void check_allocator(void)
{
    const char *name = "the allocator that fails";
    void *volatile block;
    struct failing seen;
    long before = failing_held();

    failing_start(0, 0);
    block = malloc(100);
    seen = failing_stop();
    if (!block || seen.asked != 1 || seen.failed != 0)
        failed(name, "it does not count");
    if (failing_held() < before + 100)
        failed(name, "it does not see what is held");
    failing_start(2, 0);
    void *volatile first = malloc(1), *volatile second = calloc(1, 77), *volatile third = realloc(block, 200);
    seen = failing_stop();
    if (!first || second || !third || seen.asked != 3 || seen.failed != 1 || seen.size != 77)
        failed(name, "not the second one fails, and that alone");
    free(first);
    failing_start(1, 1);
    first = malloc(1);
    second = aligned_alloc(64, 64);
    block = realloc(third, 400);
    seen = failing_stop();
    if (first || second || block || seen.failed != 3)
        failed(name, "not all behind the first one fail");
    free(third);
    if (failing_held() != before)
        failed(name, "%ld bytes are held that were given back", failing_held() - before);
    /* That the library asks this allocator and no other is seen by every call that must allocate. */
}

/* --- A limit of the address space ------------------------------------------------------------------------------------------ */

static size_t address_space(void)
{
    char line[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, line, sizeof line - 1) <= 0) {
        wrong("no /proc/self/statm");
        return 0;
    }
    close(fd);
    return strtoul(line, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

static void grow_stack(void)
{
    volatile char *room = alloca(512 * 1024);

    for (size_t at = 0; at < 512 * 1024; at += 1024)
        room[at] = 1;
}

static int delete_marked(void)
{
    return ct_delete(h, f, n, 0, &result);
}

/* With so many bytes more than what there is now. */
static void run_limited(int (*call)(void), size_t more)
{
    struct rlimit limit, before;
    int ret;

    if (ct_handle_open(&h, NULL) < 0)
        wrong("no handle");
    n = 0;
    a_thousand_addresses();
    f[0] = (struct ct_filter){ .size = sizeof f[0], .match = CT_MATCH_MARK, .mark = 1, .mark_mask = ~0u };
    if (call == list)
        n = 0;
    result = (struct ct_result){ .size = sizeof result };
    listed = untouched;
    /* The stack is part of it, and cannot say no. */
    grow_stack();
    getrlimit(RLIMIT_AS, &before);
    limit = (struct rlimit){ address_space() + more, before.rlim_max };
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        wrong("setrlimit: %s", strerror(errno));
    told->ret = ret = call();
    setrlimit(RLIMIT_AS, &before);
    if (ret != 0 && ret != -ENOMEM)
        wrong("it returns %d: %s", ret, ct_handle_error(h));
    if (ret == 0 && call == list && count != MANY)
        wrong("%zu entries instead of %d", count, MANY);
    if (ret == -ENOMEM && result.done != 0)
        wrong("it deletes %llu entries and then says -ENOMEM", (unsigned long long)result.done);
    ret = ct_list(h, NULL, 0, &listed, &count);
    if (ret < 0)
        wrong("afterwards ct_list() returns %d: %s", ret, ct_handle_error(h));
    else if (count != MANY - result.done)
        wrong("afterwards there are %zu entries, and %llu were deleted", count, (unsigned long long)result.done);
    told->finished = 1;
}

static void all_limits(const char *name, int (*call)(void))
{
    long enough = 0, too_little = 0;

    for (size_t more = 0; more < (size_t)256 << 20 && enough < 2; more += more / 3 + 64 * 1024) {
        int state, before = failures;
        pid_t child;

        memset(told, 0, sizeof *told);
        fflush(stdout);
        child = fork();
        if (child == 0) {
            alarm(120);
            run_limited(call, more);
            _exit(0);
        }
        if (child < 0 || waitpid(child, &state, 0) != child)
            failed(name, "no process");
        else if (WIFSIGNALED(state))
            failed(name, "with %zu KiB it ends the process with signal %d", more / 1024, WTERMSIG(state));
        else if (told->wrong[0] || !told->finished)
            failed(name, "with %zu KiB: %s", more / 1024, told->wrong[0] ? told->wrong : "it does not come back");
        enough += failures == before && told->ret == 0;
        too_little += failures == before && told->ret == -ENOMEM;
        if (call == delete_marked && enough)
            break;
    }
    if (!enough || too_little < 3)
        failed(name, "%ld limits were enough and %ld too little: that tells nothing", enough, too_little);
    else
        printf("ok      %s: %ld limits with -ENOMEM, then one that is enough\n", name, too_little);
}

static void many_entries(void)
{
    fflush(stdout);
    if (fork() == 0) {
        if (ct_handle_open(&h, NULL) < 0 || ct_flush(h, NULL, CT_FLUSH_ALL) < 0)
            _exit(1);
        for (unsigned i = 0; i < MANY; i++)
            e[i] = lasting(flow(i), i);
        result = (struct ct_result){ .size = sizeof result };
        int ret = ct_create_entries(h, e, MANY, status, &result);

        if (ret < 0)
            printf("%d entries cannot be made: %s\n", MANY, ct_handle_error(h));
        fflush(stdout);
        _exit(ret < 0);
    }
    int state;

    wait(&state);
    if (state != 0)
        failed("a limit of the address space", "there is no table to list");
}

int main(int argc, char **argv)
{
    int all = argc > 1 && !strcmp(argv[1], "--all");
    const char *seed = argc > 1 + all ? argv[1 + all] : NULL;

    drawn = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    printf("seed %llu\n", (unsigned long long)drawn);
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    check_allocator();
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        all_runs_of(&shapes[i], all);
    if (fired < runs || refused * 4 < runs)
        failed("all calls", "%ld runs, in %ld an allocation failed, and %ld said -ENOMEM: that tells nothing", runs,
               fired, refused);
    many_entries();
    all_limits("ct_list under a limit of the address space", list);
    all_limits("ct_delete under a limit of the address space", delete_marked);
    printf("%ld runs, %ld of them with -ENOMEM, %d failures\n", runs, refused, failures);
    return failures != 0;
}
