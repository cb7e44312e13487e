/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * newcomer old|new: a program of the next release (next.py) that uses the new fields. With the library of that release they
 * count. An older one refuses them, and nothing is done.
 *
 * Runs in a network namespace of its own, and leaves it empty.
 */

#include <ctrack.h>

#include "check.h"

static void expect_count(struct ct_handle *h, uint64_t wanted)
{
    uint64_t count = 0;

    IS(ct_count(h, &count), 0);
    IS(count, wanted);
}

static struct ct_handle *open_handle(int is_new)
{
    struct ct_open_opts *opts = sized(sizeof *opts);
    struct ct_handle *h = NULL;

    opts->mock = 7;
    IS(ct_handle_open(&h, opts), is_new ? 0 : -E2BIG);
    IS(h != NULL, is_new);
    ct_handle_close(h);
    opts->mock = 8;
    IS(ct_handle_open(&h, opts), is_new ? -EINVAL : -E2BIG);
    opts->mock = 0;
    IS(ct_handle_open(&h, opts), 0);
    return h;
}

int main(int argc, char **argv)
{
    int is_new = argc == 2 && strcmp(argv[1], "new") == 0;
    struct ct_handle *h = open_handle(is_new);
    struct ct_entry *made = at_the_edge(3 * sizeof *made);
    struct ct_result *result = sized(sizeof *result);
    struct ct_filter *f = at_the_edge(2 * sizeof *f);
    struct ct_entry *entries = NULL;
    int32_t status[3];
    size_t count = 0;
    int i;

    for (i = 0; i < 3; i++)
        fill(&made[i], (unsigned char)(i + 1), (unsigned int)(11 + i));
    IS(ct_create_entries(h, made, 3, status, result), 0);
    IS(result->matched, 3);
    IS(result->mock, is_new ? 4 : 0);

    /* An entry's new field is there if its bit is, and the bit only if the library knows the field. */
    IS(ct_list(h, NULL, 0, &entries, &count), 0);
    IS(count, 3);
    for (i = 0; i < (int)count; i++) {
        IS(entries[i].has & CT_HAS_MOCK ? 1 : 0, is_new);
        IS(entries[i].mock, is_new ? entries[i].mark + 1 : 0);
    }
    /* Given to a library that does not know it, it is refused. */
    made[0] = entries[0];
    made[0].has |= CT_HAS_MOCK;
    made[0].mock = 1;
    if (!is_new) {
        result->mock = 0;
        IS(ct_delete_entries(h, made, 1, status, result), -EINVAL);
        made[0].has &= ~CT_HAS_MOCK;
        IS(ct_delete_entries(h, made, 1, status, result), -EINVAL);
        expect_count(h, 3);
    }
    ct_entries_free(entries);

    /* The new field of the second filter: neither is the first one acted on. */
    f[0].size = f[1].size = sizeof *f;
    from_client(&f[0], 1);
    f[1].match = CT_MATCH_MOCK;
    f[1].mock = 13;
    result->mock = 0;
    entries = NULL;
    IS(ct_list(h, f, 2, &entries, &count), is_new ? 0 : -E2BIG);
    if (is_new)
        IS(count, 2);
    else
        IS(strstr(ct_handle_error(h), "filter[1]") != NULL, 1);
    ct_entries_free(entries);
    IS(ct_dump_start(h, f, 2), is_new ? 0 : -E2BIG);
    IS(ct_dump_end(h), 0);
    IS(ct_delete(h, f, 2, 0, result), is_new ? 0 : -E2BIG);
    IS(result->done, is_new ? 2 : 0);
    expect_count(h, is_new ? 1 : 3);
    /* It cannot limit a flush, in neither: what a scope may have is said one by one. */
    f[1].mock = 12;
    IS(ct_flush(h, &f[1], 0), is_new ? -EINVAL : -E2BIG);
    expect_count(h, is_new ? 1 : 3);

    /* A new bit whose field is zero: unknown, so not guessed. */
    f[1].mock = 0;
    IS(ct_flush(h, &f[1], 0), -EINVAL);
    expect_count(h, is_new ? 1 : 3);

    /* A result that is not as it was before: neither is the filter acted on. */
    result->mock = 99;
    IS(ct_delete(h, f, 1, 0, result), is_new ? 0 : -E2BIG);
    IS(result->mock, is_new ? 1 : 99);
    expect_count(h, is_new ? 1 : 3);

    IS(ct_flush(h, NULL, CT_FLUSH_ALL), 0);
    expect_count(h, 0);
    ct_handle_close(h);
    printf("running %s, %d\n", ct_version_string(), (int)ct_version_number());
    return check_failures != 0;
}
