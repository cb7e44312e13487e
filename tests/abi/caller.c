/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Calls every function of the first release, with structs of the size that they have in the header it is compiled with, and
 * checks each result. It must do so with the library of every release.
 *
 * Runs in a network namespace of its own. Leaves two entries there, 10.0.0.2 (mark 102) and 10.0.0.4 (mark 7), for another
 * program to see.
 */

#include <ctrack.h>

#include "check.h"

#ifdef FIRST_RELEASE
_Static_assert(sizeof(struct ct_open_opts) == 24, "the smallest ct_open_opts");
_Static_assert(sizeof(struct ct_filter) == 176, "the smallest ct_filter");
_Static_assert(sizeof(struct ct_result) == 48, "the smallest ct_result");
#endif
_Static_assert(sizeof(struct ct_entry) == 256, "ct_entry never grows");

enum { CLIENTS = 9 };

/* A result: all of it. */
#define DID(r, m, d, g, f, e) \
    (IS((r)->matched, m), IS((r)->done, d), IS((r)->gone, g), IS((r)->failed, f), IS((r)->first_error, e), \
     IS((r)->size, sizeof *(r)), IS((r)->flags, 0), IS((r)->pad0, 0), SPARED(r))

/* What the first release has not: written where there is room for it. No one changes entries meanwhile. */
#ifdef FIRST_RELEASE
#define SPARED(r) ((void)(r))
#else
#define SPARED(r) (IS((r)->spared, 0), (r)->spared = 1)
#endif

/* Which clients are in an array: bit n for 10.0.0.n. */
static unsigned int clients(const struct ct_entry *entries, size_t count)
{
    unsigned int found = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        IS(entries[i].mark, 100 + entries[i].orig.src[3]);
        IS(entries[i].orig.dport, 53);
        IS(entries[i].reply.sport, 53);
        IS(entries[i].timeout > 500 && entries[i].timeout <= 600, 1);
        IS(entries[i].has & CT_HAS_ID ? 1 : 0, 1);
        found |= 1u << entries[i].orig.src[3];
    }
    return found;
}

static struct ct_handle *open_handle(void)
{
    struct ct_open_opts *opts = sized(sizeof *opts);
    struct ct_handle *h = NULL;

    opts->size--;
    IS(ct_handle_open(&h, opts), sizeof *opts == 24 ? -EINVAL : 0);
    ct_handle_close(h);
    opts->size++;
    opts->timeout_ms = 5000;
    opts->rcvbuf = 1 << 20;
    h = NULL;
    IS(ct_handle_open(&h, opts), 0);
    return h;
}

static void create(struct ct_handle *h, struct ct_result *result)
{
    struct ct_entry *made = at_the_edge(CLIENTS * sizeof *made);
    int32_t *status = at_the_edge(CLIENTS * sizeof *status);
    uint64_t count = 0;
    int i;

    for (i = 0; i < CLIENTS; i++)
        fill(&made[i], (unsigned char)(i + 1), (unsigned int)(101 + i));
    made[7].has |= CT_HAS_ZONE;
    made[7].zone = 5;
    IS(ct_create_entries(h, made, CLIENTS, status, result), 0);
    for (i = 0; i < CLIENTS; i++)
        IS(status[i], 0);
    DID(result, CLIENTS, CLIENTS, 0, 0, 0);
    IS(ct_create_entries(h, made, 1, status, result), -EEXIST);
    IS(status[0], -EEXIST);
    DID(result, 1, 0, 0, 1, -EEXIST);
    IS(ct_count(h, &count), 0);
    IS(count, CLIENTS);
}

static void read_back(struct ct_handle *h)
{
    /* 10.0.0.0/29, 10.0.0.8 and without 10.0.0.3. */
    struct ct_filter *f = at_the_edge(3 * sizeof *f);
    struct ct_entry *batch = at_the_edge(2 * sizeof *batch);
    struct ct_entry *key = at_the_edge(sizeof *key);
    struct ct_entry *entries = NULL;
    char text[1024];
    size_t count = 0;
    unsigned int seen = 0;
    uint32_t zone = 0;
    int n, all = 0;

    f[0].size = f[1].size = f[2].size = sizeof *f;
    from_client(&f[0], 0);
    f[0].orig_src_prefix = 29;
    from_client(&f[1], 8);
    from_client(&f[2], 3);
    f[2].flags = CT_FILTER_EXCLUDE;
    IS(ct_list(h, f, 3, &entries, &count), 0);
    IS(count, 7);
    IS(clients(entries, count), 0x1f6);
    ct_entries_free(entries);

    IS(ct_dump_start(h, f, 3), 0);
    while ((n = ct_dump_next(h, batch, 2)) > 0) {
        seen |= clients(batch, (size_t)n);
        all += n;
    }
    IS(n, 0);
    IS(all, 7);
    IS(seen, 0x1f6);
    IS(ct_dump_start(h, NULL, 0), 0);
    IS(ct_dump_end(h), 0);

    fill(key, 2, 0);
    key->has = CT_HAS_ORIG | CT_HAS_PORTS;
    key->timeout = 0;
    IS(ct_get(h, key, key), 0);
    IS(clients(key, 1), 1 << 2);
    n = ct_entry_format(key, CT_FORMAT_LINE, text, sizeof text);
    IS(n, strlen(text));
    IS(strstr(text, "src=10.0.0.2 dst=10.9.9.9 sport=1000 dport=53") != NULL, 1);
    n = ct_entry_format(key, CT_FORMAT_JSON, text, sizeof text);
    IS(n, strlen(text));
    IS(strstr(text, "\"mark\":102") != NULL, 1);

    IS(ct_zone_find_free(h, 5, 9, &zone), 0);
    IS(zone, 6);

    /* The second of two is read where the first one's size says. */
    f[1].zone = 1;
    IS(ct_list(h, f, 2, &entries, &count), -EINVAL);
    IS(strstr(ct_handle_error(h), "filter[1].zone") != NULL, 1);
}

static void change(struct ct_handle *h, struct ct_result *result)
{
    struct ct_filter *f = at_the_edge(2 * sizeof *f);
    struct ct_filter *scope = sized(sizeof *scope);
    struct ct_entry *entries = NULL;
    struct ct_entry *key = at_the_edge(sizeof *key);
    int32_t *status = at_the_edge(2 * sizeof *status);
    size_t count = 0;
    uint64_t left = 0;

    f[0].size = f[1].size = sizeof *f;
    from_client(&f[0], 1);
    from_client(&f[1], 9);
    IS(ct_delete(h, f, 2, 0, result), 0);
    DID(result, 2, 2, 0, 0, 0);

    /* Entries of a list, with all that this library put there, are good keys. */
    from_client(&f[0], 5);
    from_client(&f[1], 6);
    IS(ct_list(h, f, 2, &entries, &count), 0);
    IS(count, 2);
    IS(ct_delete_entries(h, entries, count, status, result), 0);
    IS(status[0] | status[1], 0);
    DID(result, 2, 2, 0, 0, 0);
    IS(ct_get(h, entries, key), -ENOENT);
    IS(ct_delete_entries(h, entries, count, status, result), 0);
    IS(status[0], -ENOENT);
    DID(result, 2, 0, 2, 0, 0);
    /* One can be made again as it stands. It is another one, unless the kernel puts it where the old one was: then it has its id. */
    IS(ct_create_entries(h, entries, 1, status, result), 0);
    IS(ct_delete_entries(h, entries, 1, status, result), 0);
    left = status[0] == -ENOENT;
    IS(left || status[0] == 0, 1);
    ct_entries_free(entries);
    from_client(&f[0], 5);
    IS(ct_delete(h, f, 2, 0, result), 0);
    DID(result, left, left, 0, 0, 0);

    fill(key, 4, 7);
    IS(ct_update_entries(h, key, 1, status, result), 0);
    DID(result, 1, 1, 0, 0, 0);

    scope->match = CT_MATCH_ZONE;
    scope->zone = 5;
    IS(ct_flush(h, scope, 0), 0);
    scope->match = CT_MATCH_MARK;
    scope->zone = 0;
    scope->mark = 103;
    scope->mark_mask = 0xffffffff;
    IS(ct_flush(h, scope, 0), 0);
    scope->mark = 107;
    IS(ct_flush(h, scope, 0), 0);
    IS(ct_count(h, &left), 0);
    IS(left, 2);

    /* What everything would match is refused, whatever the size of a filter. */
    memset(scope, 0, sizeof *scope);
    scope->size = sizeof *scope;
    IS(ct_flush(h, scope, 0), -EINVAL);
    IS(ct_delete(h, scope, 1, 0, result), -EINVAL);
    IS(ct_count(h, &left), 0);
    IS(left, 2);
}

int main(void)
{
    struct ct_result *result = sized(sizeof *result);
    struct ct_handle *h = open_handle();

    if (h == NULL)
        return 1;
    create(h, result);
    read_back(h);
    change(h, result);
    ct_handle_close(h);
    IS(strlen(ct_strerror(-ENOENT)) > 0, 1);
    printf("running %s, %d\n", ct_version_string(), (int)ct_version_number());
    return check_failures != 0;
}
