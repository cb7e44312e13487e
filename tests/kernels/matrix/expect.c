/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* What is asked of the library, and what it must answer. */

#include "matrix.h"

static const char *describe(const struct ct_filter *f, size_t n)
{
    static char text[600];
    size_t at = 0;

    at += (size_t)snprintf(text, sizeof text, "%zu filters:", n);
    for (size_t i = 0; i < n && i < 3 && at < sizeof text; i++)
        at += (size_t)snprintf(
            text + at, sizeof text - at,
            " {%smatch %#llx family %u proto %u zone %u mark %#x/%#x status %#x/%#x prefixes %u %u %u %u}",
            f[i].flags ? "exclude " : "", (unsigned long long)f[i].match, f[i].family, f[i].proto, f[i].zone, f[i].mark,
            f[i].mark_mask, f[i].status_set, f[i].status_clear, f[i].orig_src_prefix, f[i].orig_dst_prefix,
            f[i].reply_src_prefix, f[i].reply_dst_prefix);
    return text;
}

void expected_of(const struct ct_filter *f, size_t n, struct table *selected, struct table *rest)
{
    selected->count = rest->count = 0;
    for (size_t i = 0; i < now.count; i++)
        *add_row(selects(f, n, &now.rows[i]) ? selected : rest) = now.rows[i];
}

void expect_list(const char *what, const struct ct_filter *f, size_t n, const struct table *selected)
{
    struct ct_entry *entries = NULL;
    size_t count = 0;
    int ret = ct_list(h, n ? f : NULL, n, &entries, &count);

    if (check(ret == 0, "%s: ct_list of %s: %s", what, describe(f, n), ct_handle_error(h)))
        check(same_rows(entries, count, selected->rows, selected->count, 1),
              "%s: ct_list gave %zu entries, not the %zu that match %s", what, count, selected->count, describe(f, n));
    ct_entries_free(entries);
}

void expect_dump(const char *what, const struct ct_filter *f, size_t n, const struct table *selected, unsigned cap)
{
    struct ct_entry buffer[100];
    struct table got = { 0 };
    int ret = ct_dump_start(h, n ? f : NULL, n);

    if (!check(ret == 0, "%s: ct_dump_start of %s: %s", what, describe(f, n), ct_handle_error(h)))
        return;
    while ((ret = ct_dump_next(h, buffer, cap)) > 0)
        for (int i = 0; i < ret; i++)
            *add_row(&got) = buffer[i];
    check(ret == 0, "%s: ct_dump_next: %s", what, ct_handle_error(h));
    check(ct_dump_end(h) == 0, "%s: ct_dump_end: %s", what, ct_handle_error(h));
    check(same_rows(got.rows, got.count, selected->rows, selected->count, 1),
          "%s: the dump gave %zu entries, not the %zu that match %s", what, got.count, selected->count, describe(f, n));
    free(got.rows);
}

void expect_rest(const char *what, const struct ct_filter *f, size_t n, const struct table *selected,
                 const struct table *rest)
{
    struct table after = { 0 };

    dump_all(&after);
    check(same_rows(after.rows, after.count, rest->rows, rest->count, 1),
          "%s: %zu entries are left, not the %zu others; %zu matched %s", what, after.count, rest->count,
          selected->count, describe(f, n));
    free(after.rows);
}

/* Deletes by filter: exactly what matches, and the result says so. The table is filled again. */
void expect_delete(const char *what, const struct ct_filter *f, size_t n, unsigned flags)
{
    struct ct_result r = { .size = sizeof r };
    struct table selected = { 0 }, rest = { 0 }, before = { 0 };
    int refused = must_refuse(f, n), ret;

    copy_rows(&before, now.rows, now.count);
    expected_of(f, n, &selected, &rest);
    ret = ct_delete(h, n ? f : NULL, n, flags, &r);
    if (refused) {
        check(ret == -EINVAL, "%s: ct_delete was not refused (%d) for %s", what, ret, describe(f, n));
        check(r.matched == 0 && r.done == 0, "%s: a refused ct_delete says that it did something", what);
        expect_rest(what, f, n, &selected, &before);
    } else if (check(ret == 0, "%s: ct_delete of %s: %s", what, describe(f, n), ct_handle_error(h))) {
        expect_rest(what, f, n, &selected, &rest);
        if (r.flags & CT_RESULT_UNCOUNTED) {
            check(flags & CT_DELETE_UNCOUNTED, "%s: ct_delete did not count, and was not told so", what);
            check(r.matched == 0 && r.done == 0, "%s: not counted, but the sums are not 0", what);
        } else {
            check(r.matched == selected.count && r.done == selected.count,
                  "%s: ct_delete says matched %llu, done %llu; %zu matched %s", what, (unsigned long long)r.matched,
                  (unsigned long long)r.done, selected.count, describe(f, n));
        }
        check(r.gone == 0 && r.failed == 0 && r.first_error == 0, "%s: ct_delete says gone %llu, failed %llu", what,
              (unsigned long long)r.gone, (unsigned long long)r.failed);
    }
    refill(&before);
    free(selected.rows);
    free(rest.rows);
    free(before.rows);
}

void expect_flush(const char *what, const struct ct_filter *scope)
{
    struct table selected = { 0 }, rest = { 0 }, before = { 0 };

    copy_rows(&before, now.rows, now.count);
    expected_of(scope, 1, &selected, &rest);
    check(ct_flush(h, scope, 0) == 0, "%s: ct_flush of %s: %s", what, describe(scope, 1), ct_handle_error(h));
    expect_rest(what, scope, 1, &selected, &rest);
    refill(&before);
    free(selected.rows);
    free(rest.rows);
    free(before.rows);
}

/* All that can be done with a filter. `least`: how many entries it must match for the test to mean anything. */
void expect_all(const char *what, const struct ct_filter *f, size_t n, size_t least)
{
    struct table selected = { 0 }, rest = { 0 };

    expected_of(f, n, &selected, &rest);
    check(selected.count >= least, "%s: only %zu entries to test with", what, selected.count);
    expect_list(what, f, n, &selected);
    expect_dump(what, f, n, &selected, 64);
    expect_delete(what, f, n, 0);
    expect_delete(what, f, n, CT_DELETE_UNCOUNTED);
    free(selected.rows);
    free(rest.rows);
}
