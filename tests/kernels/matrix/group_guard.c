/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* The message that scoped flushes rest on, and what happens without it. */

#include "matrix.h"

static void put_guard(struct message *m, uint8_t family)
{
    static const uint8_t zero[16];
    size_t nest;

    put_tuple(m, CTA_TUPLE_ORIG, family, zero, zero, 0, NULL);
    nest = begin_nest(m, CTA_FILTER);
    end_nest(m, nest);
}

/* The message that scoped flushes rest on, without the library: kernels that cannot do it must refuse it and delete nothing. */
void group_guard(void)
{
    static const uint8_t families[] = { 0, CT_FAMILY_IPV4, CT_FAMILY_IPV6 };

    fill();
    for (size_t i = 0; i < LENGTH(families); i++)
        for (unsigned kind = 0; kind < 3; kind++) {
            struct table selected = { 0 }, rest = { 0 }, before = { 0 };
            struct ct_filter f = no_filter();
            struct message m;
            int code;

            begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, families[i], 1);
            put_guard(&m, families[i] ? families[i] : CT_FAMILY_IPV4);
            if (families[i])
                f = with_family(f, families[i]);
            if (kind == 0) {
                put_be16(&m, CTA_ZONE, 5);
                f = in_zone(f, 5);
            } else if (kind == 1) {
                put_be32(&m, CTA_STATUS, CT_STATUS_ASSURED);
                f = with_status(f, CT_STATUS_ASSURED, 0);
            } else {
                put_be32(&m, CTA_MARK, 1);
                put_be32(&m, CTA_MARK_MASK, 1);
                f = with_mark(f, 1, 1);
            }
            copy_rows(&before, now.rows, now.count);
            expected_of(&f, 1, &selected, &rest);
            code = ask(&m);
            if (kernel.flush) {
                check(code == 0, "the guarded flush was refused with %d by a kernel that flushes by tuple", code);
                expect_rest("the guarded flush", &f, 1, &selected, &rest);
            } else {
                check(code == ENOENT || code == EOPNOTSUPP, "the guarded flush was answered with %d", code);
                expect_rest("the guarded flush, refused", &f, 1, &selected, &before);
            }
            refill(&before);
            free(before.rows);
            free(selected.rows);
            free(rest.rows);
        }
}

/* What the guard is for. Nothing here uses the library: it shows that the traps are there to fall into, on this kernel. */
void group_naive(void)
{
    struct table before = { 0 }, selected = { 0 }, rest = { 0 };
    struct ct_filter f = zone_scope(5);
    struct message m;
    size_t left_zone, left_status, left_family;

    fill();
    copy_rows(&before, now.rows, now.count);
    expected_of(&f, 1, &selected, &rest);
    begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, 0, 1);
    put_be16(&m, CTA_ZONE, 5);
    ask(&m);
    dump_all(&now);
    left_zone = now.count;
    check(kernel.zone ? left_zone == rest.count : left_zone == 0, "a naive flush of zone 5 left %zu of %zu", left_zone,
          before.count);
    refill(&before);
    copy_rows(&before, now.rows, now.count);
    f = with_status(no_filter(), CT_STATUS_ASSURED, 0);
    expected_of(&f, 1, &selected, &rest);
    begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, 0, 1);
    put_be32(&m, CTA_STATUS, CT_STATUS_ASSURED);
    ask(&m);
    dump_all(&now);
    left_status = now.count;
    check(kernel.status ? left_status == rest.count : left_status == 0,
          "a naive flush of what is assured left %zu of %zu", left_status, before.count);
    refill(&before);
    copy_rows(&before, now.rows, now.count);
    begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, CT_FAMILY_IPV6, 0);
    ask(&m);
    dump_all(&now);
    left_family = now.count;
    check(left_family == 0, "a naive flush of IPv6 left %zu of %zu", left_family, before.count);
    snprintf(report.note, sizeof report.note, "naive messages leave of %zu entries: zone 5 %zu, assured %zu, IPv6 %zu",
             before.count, left_zone, left_status, left_family);
    free(before.rows);
    free(selected.rows);
    free(rest.rows);
}
