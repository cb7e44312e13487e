/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Entries that have another id or zone by now. */

#include "matrix.h"

void group_reuse(void)
{
    struct ct_entry *entries = NULL;
    size_t count = 0;
    int32_t *status;
    struct ct_result r = { .size = sizeof r };
    struct table nothing = { 0 }, before = { 0 };

    fill();
    copy_rows(&before, now.rows, now.count);
    if (!check(ct_list(h, NULL, 0, &entries, &count) == 0 && count == now.count, "ct_list: %s", ct_handle_error(h)))
        return;
    status = need(calloc(count, sizeof *status));
    for (size_t i = 0; i < count; i++)
        entries[i].id ^= 1u << (i % 32);
    check(ct_delete_entries(h, entries, count, status, &r) == 0, "ct_delete_entries: %s", ct_handle_error(h));
    for (size_t i = 0; i < count; i++)
        check(status[i] == -ENOENT, "an entry with another id has status %d", status[i]);
    check(r.matched == count && r.gone == count && r.done == 0 && r.failed == 0, "gone %llu, done %llu, of %zu",
          (unsigned long long)r.gone, (unsigned long long)r.done, count);
    expect_rest("delete of entries with other ids", NULL, 0, &nothing, &before);
    /* The same entries in a zone that they are not in. */
    for (size_t i = 0; i < count; i++) {
        entries[i].id ^= 1u << (i % 32);
        entries[i].has &= ~(uint64_t)(CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE);
        entries[i].has |= CT_HAS_ZONE;
        entries[i].zone = entries[i].orig.zone = entries[i].reply.zone = ZONE_EMPTY;
    }
    check(ct_delete_entries(h, entries, count, status, &r) == 0 && r.gone == count,
          "entries of another zone: gone %llu", (unsigned long long)r.gone);
    expect_rest("delete of entries of another zone", NULL, 0, &nothing, &before);
    ct_entries_free(entries);
    entries = NULL;
    check(ct_list(h, NULL, 0, &entries, &count) == 0, "ct_list: %s", ct_handle_error(h));
    check(ct_delete_entries(h, entries, count, status, &r) == 0 && r.done == count, "deleted %llu of %zu",
          (unsigned long long)r.done, count);
    expect_rest("delete of all entries one by one", NULL, 0, &before, &nothing);
    check(ct_delete_entries(h, entries, count, status, &r) == 0 && r.gone == count, "gone %llu of %zu the second time",
          (unsigned long long)r.gone, count);
    ct_entries_free(entries);
    free(status);
    free(before.rows);
}
