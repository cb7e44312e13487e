/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* A table of a million. */

#include "matrix.h"

enum { MILLION = 1000000, BATCH = 1000, POD = 10 };

/* Entry `i`: an address for every ten, a zone for every hundred thousand. */
static struct ct_entry one_of_a_million(unsigned i)
{
    struct ct_entry e = {
        .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_TCP_STATE,
        .family = CT_FAMILY_IPV4,
        .proto = CT_PROTO_TCP,
        .status = CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED,
        .tcp_state = CT_TCP_STATE_ESTABLISHED,
        .timeout = 100000,
        .mark = i,
    };
    unsigned pod = i / POD;

    v4(e.orig.src, 10, pod >> 16, pod >> 8, pod);
    v4(e.orig.dst, 192, 0, 2, 1);
    e.orig.sport = (uint16_t)(1024 + i % POD);
    e.orig.dport = 443;
    set_zone(&e, CT_HAS_ZONE, 1 + i / 100000);
    mirror(&e);
    return e;
}

/* The largest resident memory that this process ever had, in KiB. */
static unsigned long peak_memory(void)
{
    unsigned long peak = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");

    if (!file)
        die("/proc/self/status");
    while (fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %lu", &peak) != 1)
        ;
    fclose(file);
    return peak;
}

/* Streams the table: each entry from `first` on must come once, and nothing else. */
static void stream_million(unsigned first)
{
    static struct ct_entry entries[256];
    static unsigned char seen[MILLION / 8];
    unsigned count = 0, wrong = 0;
    int got;

    memset(seen, 0, sizeof seen);
    if (!check(ct_dump_start(h, NULL, 0) == 0, "ct_dump_start: %s", ct_handle_error(h)))
        return;
    while ((got = ct_dump_next(h, entries, LENGTH(entries))) > 0) {
        for (const struct ct_entry *e = entries; e < entries + got; e++) {
            unsigned i = e->mark;
            struct ct_entry expected;

            if (i < first || i >= MILLION || (seen[i / 8] >> i % 8 & 1)) {
                wrong++;
                continue;
            }
            expected = one_of_a_million(i);
            wrong += memcmp(e->orig.src, expected.orig.src, 16) != 0 || e->orig.sport != expected.orig.sport ||
                     e->zone != expected.zone || e->tcp_state != expected.tcp_state || !(e->has & CT_HAS_ID);
            seen[i / 8] |= (unsigned char)(1u << i % 8);
            count++;
        }
    }
    check(got == 0, "the stream ended with %s", ct_strerror(got));
    check(count == MILLION - first && wrong == 0, "the stream had %u of %u entries, %u wrong", count, MILLION - first,
          wrong);
}

/* What a watch told until it said that this adds up to the table. */
struct told {
    unsigned long begun, ended;
};

static struct told until_synced(struct ct_watch *w)
{
    static struct ct_event events[256];
    struct told told = { 0, 0 };
    int synced = 0, got = 1;

    while (!synced && got > 0) {
        got = ct_watch_next(w, events, LENGTH(events), -1);
        for (int i = 0; i < got; i++) {
            told.begun += events[i].type == CT_EVENT_NEW;
            told.ended += events[i].type == CT_EVENT_DESTROY;
            synced |= events[i].type == CT_EVENT_SYNCED;
        }
    }
    check(got > 0, "ct_watch_next: %s, %s", ct_strerror(got), ct_watch_error(w));
    return told;
}

/*
 * Watches the table of `before` entries, lists it again, and once more after all of zone 1 have gone: in at most 96 bytes an entry and
 * 16 MiB, by a count of this program's own. Whether the kernel told those ends, or the list found them, is the same here.
 */
static void watch_million(unsigned before)
{
    const struct ct_watch_opts options = { .size = sizeof options, .flags = CT_WATCH_SYNC };
    const struct ct_filter zone_1 = zone_scope(1);
    const size_t held = count_memory();
    struct ct_result r = { .size = sizeof r };
    struct ct_watch_info info = { .size = sizeof info };
    struct ct_watch *w;
    struct told told;
    size_t taken;

    if (!check(ct_watch_open(&w, &options) == 0 && ct_watch_start(w, NULL, 0) == 0, "a watch cannot be had"))
        return;
    told = until_synced(w);
    check(told.begun == before && told.ended == 0, "the watch listed %lu of %u, and ended %lu", told.begun, before,
          told.ended);
    check(ct_watch_resync(w) == 0, "ct_watch_resync");
    told = until_synced(w);
    check(told.begun == 0 && told.ended == 0, "the second list found %lu more and %lu less", told.begun, told.ended);
    check(ct_delete(h, &zone_1, 1, 0, &r) == 0 && r.done == before - 900000, "deleted %llu of a zone: %s",
          (unsigned long long)r.done, ct_handle_error(h));
    check(ct_watch_resync(w) == 0, "ct_watch_resync");
    told = until_synced(w);
    check(told.begun == 0 && told.ended == r.done, "the watch heard of %lu ends, not of %llu", told.ended,
          (unsigned long long)r.done);
    taken = most_held() - held;
    check(ct_watch_get_info(w, &info) == 0 && info.entries == 900000, "the watch knows %llu entries",
          (unsigned long long)info.entries);
    check(taken <= (size_t)96 * before + (16 << 20), "a watch of %u entries took %zu bytes", before, taken);
    /* Otherwise it was not counted. */
    check(taken >= (size_t)60 * before, "a watch of %u entries took only %zu bytes", before, taken);
    ct_watch_close(w);
    snprintf(report.note, sizeof report.note, "%zu bytes an entry for a watch", taken / before);
}

/* Streams, selects, watches, deletes and flushes in a table of a million. But for the watch all that is done in less than 4 MB, with what
 * this program keeps itself. */
void group_million(void)
{
    static struct ct_entry batch[BATCH];
    static int32_t status[BATCH];
    struct ct_filter f[POD];
    struct ct_result r = { .size = sizeof r };
    struct ct_entry *entries = NULL;
    unsigned long streamed, deleted;
    uint64_t left = 0;
    size_t count = 0;

    if (!check(kernel.max >= MILLION, "a million entries do not fit, nf_conntrack_max is %lu", kernel.max))
        return;
    for (unsigned i = 0; i < MILLION; i += BATCH) {
        for (unsigned k = 0; k < BATCH; k++)
            batch[k] = one_of_a_million(i + k);
        if (!check(ct_create_entries(h, batch, BATCH, status, &r) == 0, "ct_create_entries: %s", ct_handle_error(h)))
            return;
    }
    check(ct_count(h, &left) == 0 && left == MILLION, "the count of a million is %llu", (unsigned long long)left);
    stream_million(0);
    streamed = peak_memory();
    check(streamed * 1024 < 4000000, "streaming a million entries took %lu KiB", streamed);
    /* The first ten addresses: their hundred entries, and not one more. */
    for (unsigned i = 0; i < POD; i++) {
        const struct ct_entry e = one_of_a_million(i * POD);

        f[i] = with_family(no_filter(), CT_FAMILY_IPV4);
        f[i].match |= CT_MATCH_ORIG_SRC;
        memcpy(f[i].orig_src, e.orig.src, 16);
        f[i].orig_src_prefix = 32;
    }
    check(ct_list(h, f, POD, &entries, &count) == 0 && count == POD * POD, "listed %zu by address: %s", count,
          ct_handle_error(h));
    ct_entries_free(entries);
    check(ct_delete(h, f, POD, 0, &r) == 0 && r.matched == POD * POD && r.done == POD * POD,
          "deleted %llu by address: %s", (unsigned long long)r.done, ct_handle_error(h));
    stream_million(POD * POD);
    deleted = peak_memory();
    watch_million(MILLION - POD * POD);
    stream_million(100000);
    f[0] = zone_scope(2);
    check(ct_flush(h, f, 0) == 0, "ct_flush of a zone: %s", ct_handle_error(h));
    stream_million(200000);
    may_flush_all = 1;
    check(ct_flush(h, NULL, CT_FLUSH_ALL) == 0, "ct_flush of everything: %s", ct_handle_error(h));
    may_flush_all = 0;
    check(ct_count(h, &left) == 0 && left == 0, "%llu entries survived", (unsigned long long)left);
    snprintf(report.note + strlen(report.note), sizeof report.note - strlen(report.note),
             "; a million entries in %lu buckets; largest memory %lu KiB, %lu after deletes", kernel.buckets, streamed,
             deleted);
}
