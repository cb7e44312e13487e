/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Entries of a flow table. */

#include "matrix.h"

/* Entries of the flow table and others, with mark 0x10 and without. */
static void fill_offloaded(void)
{
    struct table others = { 0 };

    for (unsigned i = 0; i < 8; i++) {
        struct ct_entry *e = add_row(&others);

        *e = flow(i % 2 ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4, i < 4 ? CT_PROTO_UDP : CT_PROTO_TCP, i);
        e->mark = i % 3 ? 0 : 0x10;
        set_zone(e, CT_HAS_ZONE, i < 6 ? 0 : 5);
    }
    create(&others, 1);
    free(others.rows);
    offload_flows();
    dump_all(&now);
}

static size_t offloaded_rows(const struct table *t)
{
    size_t count = 0;

    for (size_t i = 0; i < t->count; i++)
        count += (t->rows[i].status & CT_STATUS_OFFLOAD) != 0;
    return count;
}

/* What the kernel keeps of the flow table's entries, without the library. */
static struct {
    size_t flushed, deleted;
} keeps;

static void measure_offloaded(void)
{
    struct message m;
    struct table left = { 0 };
    int code;

    fill_offloaded();
    for (size_t i = 0; i < now.count; i++) {
        const struct ct_entry *e = &now.rows[i];
        uint16_t ports[2] = { e->orig.sport, e->orig.dport };

        if (!(e->status & CT_STATUS_OFFLOAD))
            continue;
        begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, e->family, 0);
        put_tuple(&m, CTA_TUPLE_ORIG, e->family, e->orig.src, e->orig.dst, e->proto, ports);
        put_be32(&m, CTA_ID, e->id);
        code = ask(&m);
        check(code == 0 || code == EBUSY, "the delete of an offloaded entry was answered with %d", code);
        keeps.deleted += code == EBUSY;
    }
    dump_all(&left);
    check(offloaded_rows(&left) == keeps.deleted, "%zu deletes were refused, and %zu entries stayed", keeps.deleted,
          offloaded_rows(&left));
    fill_offloaded();
    begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, 0, 0);
    code = ask(&m);
    check(code == 0, "a flush with offloaded entries in the table was answered with %d", code);
    dump_all(&left);
    keeps.flushed = offloaded_rows(&left);
    check(left.count == keeps.flushed, "a flush left %zu entries that are not offloaded", left.count - keeps.flushed);
    check(!kernel.flush || keeps.flushed == 0, "this kernel flushes by CTA_FILTER, and skips offloaded entries");
    free(left.rows);
}

enum way { FLUSH_ALL, FLUSH, DELETE, DELETE_UNCOUNTED, DELETE_ENTRIES };

static int delete_rows(const char *what, struct table *rows, struct ct_result *r)
{
    int32_t *status = need(calloc(rows->count + 1, sizeof *status));
    int ret;

    for (size_t i = 0; i < rows->count; i++)
        rows->rows[i].has |= CT_HAS_ORIG | CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_ID;
    ret = ct_delete_entries(h, rows->rows, rows->count, status, r);
    for (size_t i = 0; i < rows->count; i++) {
        int refused = (rows->rows[i].status & CT_STATUS_OFFLOAD) && (pretended == REFUSING || keeps.deleted);

        check(status[i] == (refused ? -EBUSY : 0), "%s: entry %zu has status %d", what, i, status[i]);
    }
    free(status);
    return ret;
}

/*
 * Deletes what the filter matches. Of that nothing may stay but what the kernel refuses to delete, and of that the caller must
 * be told.
 */
static void expect_offloaded(enum way way, const char *scope, const struct ct_filter *f)
{
    static const char *const ways[] = { "ct_flush of everything", "ct_flush", "ct_delete", "ct_delete, uncounted",
                                        "ct_delete_entries" };
    static const char *const kernels[] = { "", ", where the flush skips offloaded entries",
                                           ", where their deletes are refused" };
    struct table selected = { 0 }, rest = { 0 }, after = { 0 }, left = { 0 }, others = { 0 };
    struct ct_result r = { .size = sizeof r };
    unsigned flushes = flushes_sent, made = made_again;
    size_t n = f != NULL, kept;
    char what[160];
    int ret;

    snprintf(what, sizeof what, "%s of %s%s", ways[way], scope, kernels[pretended]);
    fill_offloaded();
    expected_of(f, n, &selected, &rest);
    kept = offloaded_rows(&selected);
    check(kept > 0, "%s: no offloaded entry to test with", what);
    may_flush_all = way == FLUSH_ALL;
    if (way == FLUSH_ALL || way == FLUSH)
        ret = ct_flush(h, f, way == FLUSH_ALL ? CT_FLUSH_ALL : 0);
    else if (way == DELETE_ENTRIES)
        ret = delete_rows(what, &selected, &r);
    else
        ret = ct_delete(h, f, n, way == DELETE ? 0 : CT_DELETE_UNCOUNTED, &r);
    may_flush_all = 0;
    dump_all(&after);
    for (size_t i = 0; i < after.count; i++)
        *add_row(selects(f, n, &after.rows[i]) ? &left : &others) = after.rows[i];
    check(left.count == offloaded_rows(&left), "%s: %zu entries that are not offloaded are left", what,
          left.count - offloaded_rows(&left));
    if (pretended == REFUSING || keeps.deleted) {
        check(ret == -EBUSY, "%s: %zu offloaded entries are left, and it says %d: %s", what, left.count, ret,
              ct_handle_error(h));
        check(left.count == kept, "%s: %zu offloaded entries are left, not the %zu that cannot be deleted", what,
              left.count, kept);
    } else {
        check(left.count == 0, "%s: %zu offloaded entries are left, and it says %d", what, left.count, ret);
        check(ret == 0, "%s: %s", what, ct_handle_error(h));
    }
    if (way == DELETE || way == DELETE_ENTRIES)
        check(r.matched == selected.count && r.done == selected.count - left.count && r.gone == 0,
              "%s: it says matched %llu, done %llu, gone %llu of %zu", what, (unsigned long long)r.matched,
              (unsigned long long)r.done, (unsigned long long)r.gone, selected.count);
    if (way == DELETE || way == DELETE_ENTRIES || way == DELETE_UNCOUNTED)
        check(r.failed == left.count && r.first_error == ret, "%s: it says failed %llu, first error %d", what,
              (unsigned long long)r.failed, r.first_error);
    /* Zone 0 is never flushed by the kernel. */
    if (way == FLUSH_ALL ||
        ((way == FLUSH || way == DELETE_UNCOUNTED) && kernel.flush && !(f->match & CT_MATCH_ZONE))) {
        check(flushes_sent > flushes, "%s: the kernel was not asked to flush", what);
        check(pretended == AS_IT_IS || keeps.flushed || made_again > made,
              "%s: nothing was made again behind the flush", what);
    }
    check(same_rows(others.rows, others.count, rest.rows, rest.count, 1), "%s: %zu entries are left of the %zu others",
          what, others.count, rest.count);
    free(selected.rows);
    free(rest.rows);
    free(after.rows);
    free(left.rows);
    free(others.rows);
}

/* What the library says of a flow table's entries, and whether it can change them. */
static void look_at_offloaded(void)
{
    struct ct_entry changed[FLOWS], got = { 0 };
    int32_t status[FLOWS];
    struct ct_result r = { .size = sizeof r };

    for (unsigned i = 0; i < FLOWS; i++) {
        changed[i] = routed(i);
        changed[i].has |= CT_HAS_MARK;
        changed[i].mark = 0x100 + i;
    }
    check(ct_update_entries(h, changed, FLOWS, status, &r) == 0 && r.done == FLOWS,
          "the marks of %llu offloaded entries changed: %s", (unsigned long long)r.done, ct_handle_error(h));
    for (unsigned i = 0; i < FLOWS; i++) {
        struct ct_entry key = routed(i);

        check(ct_get(h, &key, &got) == 0 && (got.status & CT_STATUS_OFFLOAD) && got.mark == 0x100 + i,
              "flow %u has status %#x and mark %#x: %s", i, got.status, got.mark, ct_handle_error(h));
        check(!(got.has & CT_HAS_TIMEOUT), "flow %u has a timeout, which the kernel does not send", i);
    }
}

/* Entries that a flow table has taken over: listed like others, and deleted and flushed, or else the caller is told. */
void group_offload(void)
{
    struct ct_filter none = no_filter(), scopes[] = {
        with_family(none, CT_FAMILY_IPV4),
        with_family(none, CT_FAMILY_IPV6),
        with_mark(none, 0x10, UINT32_MAX),
        with_mark(none, 0, UINT32_MAX),
        with_status(none, CT_STATUS_OFFLOAD, 0),
        with_status(none, CT_STATUS_CONFIRMED, CT_STATUS_DYING),
        with_family(with_mark(none, 0, 0x10), CT_FAMILY_IPV6),
        zone_scope(0),
    };
    static const char *const names[] = {
        "IPv4", "IPv6", "a mark", "mark 0", "what is offloaded", "a status", "a family and mark", "zone 0"
    };
    const char *missing = make_router();
    struct table selected = { 0 }, rest = { 0 };

    if (missing) {
        snprintf(report.note, sizeof report.note, "not tested, this kernel has no %s: %s", missing, strerror(errno));
        check(!must_have_flow_tables, "this kernel has no %s, and it should", missing);
        return;
    }
    measure_offloaded();
    fill_offloaded();
    look_at_offloaded();
    fill_offloaded();
    expect_list("a table with offloaded entries", NULL, 0, &now);
    for (size_t i = 0; i < LENGTH(scopes); i++) {
        expected_of(&scopes[i], 1, &selected, &rest);
        expect_list(names[i], &scopes[i], 1, &selected);
        expect_dump(names[i], &scopes[i], 1, &selected, 3);
    }
    for (pretended = AS_IT_IS; pretended <= REFUSING; pretended++) {
        /* A kernel that flushes by CTA_FILTER skips none, and the library relies on that. */
        int flushes = pretended == AS_IT_IS || !kernel.flush;

        if (flushes)
            expect_offloaded(FLUSH_ALL, "the table", NULL);
        for (size_t i = 0; i < LENGTH(scopes); i++) {
            if (flushes) {
                expect_offloaded(FLUSH, names[i], &scopes[i]);
                expect_offloaded(DELETE_UNCOUNTED, names[i], &scopes[i]);
            }
            expect_offloaded(DELETE, names[i], &scopes[i]);
            expect_offloaded(DELETE_ENTRIES, names[i], &scopes[i]);
        }
    }
    snprintf(
        report.note, sizeof report.note,
        "of %u offloaded entries a flush leaves %zu, and %zu deletes are refused; %u were made again behind flushes",
        FLOWS, keeps.flushed, keeps.deleted, made_again);
    free(selected.rows);
    free(rest.rows);
}
