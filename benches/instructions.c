/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * Work for scripts/test-instructions.sh, which counts the instructions of one function of the library. Needs a network namespace
 * of its own. Usage: instructions create|stream|list|line|json|delete|event|known COUNT
 *
 * Makes COUNT entries, does the work with all of them, and prints how many those were. Event and known read the NEW of each of
 * them, without and with CT_WATCH_SYNC.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctrack.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 64 };

static struct ct_handle *h;

static void must(int code, const char *call)
{
    if (code < 0) {
        fprintf(stderr, "%s: %s: %s\n", call, ct_strerror(code), h ? ct_handle_error(h) : "");
        exit(1);
    }
}

static struct ct_entry entry_of(uint32_t number)
{
    struct ct_entry e = {
        .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_TIMEOUT | CT_HAS_TCP_STATE,
        .family = CT_FAMILY_IPV4,
        .proto = CT_PROTO_TCP,
        .mark = 7,
        .status = CT_STATUS_CONFIRMED | CT_STATUS_ASSURED | CT_STATUS_SEEN_REPLY,
        .timeout = 600,
        .tcp_state = CT_TCP_STATE_ESTABLISHED,
    };
    const uint32_t src = htonl(0x0a000000 + number), dst = htonl(0x0b000001);
    memcpy(e.orig.src, &src, sizeof src);
    memcpy(e.orig.dst, &dst, sizeof dst);
    e.orig.sport = 40000;
    e.orig.dport = 80;
    return e;
}

static size_t stream(void)
{
    static struct ct_entry batch[BATCH];
    size_t count = 0;
    int got;

    must(ct_dump_start(h, NULL, 0), "ct_dump_start");
    while ((got = ct_dump_next(h, batch, BATCH)) > 0)
        count += (size_t)got;
    must(got, "ct_dump_next");
    return count;
}

static size_t format(const struct ct_entry *entries, size_t count, uint32_t format)
{
    char text[2048];
    size_t written = 0;

    for (size_t i = 0; i < count; i++) {
        const int length = ct_entry_format(&entries[i], format, text, sizeof text);
        must(length, "ct_entry_format");
        written += (size_t)length < sizeof text;
    }
    return written;
}

static struct ct_watch *watch_of(uint32_t flags)
{
    const struct ct_watch_opts options = { .size = sizeof options, .flags = flags };
    struct ct_watch *w;
    struct ct_event synced;

    must(ct_watch_open(&w, &options), "ct_watch_open");
    must(ct_watch_start(w, NULL, 0), "ct_watch_start");
    if (flags & CT_WATCH_SYNC) {
        must(ct_watch_next(w, &synced, 1, -1), "ct_watch_next");
        /* For two seconds after the list the kernel is asked about what is new. */
        usleep(2100 * 1000);
        must(ct_watch_next(w, &synced, 1, 0), "ct_watch_next");
    }
    return w;
}

static size_t told(struct ct_watch *w, size_t size)
{
    static struct ct_event batch[BATCH];
    size_t count = 0;

    while (count < size) {
        const int got = ct_watch_next(w, batch, BATCH, -1);
        must(got, "ct_watch_next");
        for (int i = 0; i < got; i++)
            count += batch[i].type == CT_EVENT_NEW;
    }
    return count;
}

int main(int argc, char **argv)
{
    const char *work = argc == 3 ? argv[1] : "";
    const int known = strcmp(work, "known") == 0;
    const size_t size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    struct ct_entry *made = calloc(size + 1, sizeof *made), *entries = NULL;
    int32_t *status = calloc(size + 1, sizeof *status);
    struct ct_result result = { .size = sizeof result };
    struct ct_watch *w = NULL;
    size_t count = 0;

    if (!made || !status)
        return 1;
    for (size_t i = 0; i < size; i++)
        made[i] = entry_of((uint32_t)i);
    must(ct_handle_open(&h, NULL), "ct_handle_open");
    if (known || strcmp(work, "event") == 0)
        w = watch_of(known ? CT_WATCH_SYNC : 0);
    must(ct_create_entries(h, made, size, status, &result), "ct_create_entries");
    if (strcmp(work, "create") == 0) {
        count = result.done;
    } else if (w) {
        count = told(w, size);
    } else if (strcmp(work, "stream") == 0) {
        count = stream();
    } else {
        must(ct_list(h, NULL, 0, &entries, &count), "ct_list");
        if (strcmp(work, "line") == 0) {
            count = format(entries, count, CT_FORMAT_LINE);
        } else if (strcmp(work, "json") == 0) {
            count = format(entries, count, CT_FORMAT_JSON);
        } else if (strcmp(work, "delete") == 0) {
            must(ct_delete_entries(h, entries, count, status, &result), "ct_delete_entries");
            count = result.done;
        } else if (strcmp(work, "list") != 0) {
            return 2;
        }
        ct_entries_free(entries);
    }
    ct_watch_close(w);
    ct_handle_close(h);
    free(made);
    free(status);
    printf("%zu\n", count);
    return 0;
}
