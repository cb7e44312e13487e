/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Flushes of scopes, and those that must be refused. */

#include "matrix.h"

static void refuse_flush(const char *what, const struct ct_filter *scope, unsigned flags)
{
    struct table before = { 0 };

    dump_all(&before);
    check(ct_flush(h, scope, flags) == -EINVAL, "%s: was not refused", what);
    expect_rest(what, scope, scope != NULL, &before, &before);
    free(before.rows);
}

void group_flushes(void)
{
    static const unsigned zones[] = { 0, 5, 7, 11, 13, ZONE_SWAPPED, ZONE_EMPTY };
    const struct ct_filter none = no_filter();
    struct ct_filter f;

    fill();
    for (size_t i = 0; i < LENGTH(zones); i++) {
        char what[40];

        snprintf(what, sizeof what, "flush of zone %u", zones[i]);
        f = zone_scope(zones[i]);
        expect_flush(what, &f);
        f = with_family(zone_scope(zones[i]), i % 2 ? CT_FAMILY_IPV4 : CT_FAMILY_IPV6);
        expect_flush(what, &f);
        f = with_status(zone_scope(zones[i]), i % 2 ? CT_STATUS_ASSURED : 0, i % 2 ? 0 : CT_STATUS_ASSURED);
        expect_flush(what, &f);
        f = with_mark(zone_scope(zones[i]), 0, 0xf);
        expect_flush(what, &f);
    }
#define FLUSH(what, scope) (f = (scope), expect_flush(what, &f))
    FLUSH("flush of IPv4", with_family(none, CT_FAMILY_IPV4));
    FLUSH("flush of IPv6", with_family(none, CT_FAMILY_IPV6));
    FLUSH("flush of a mark", with_mark(none, 0x1234, UINT32_MAX));
    FLUSH("flush of a masked mark", with_mark(none, 0x0f, 0x0f));
    FLUSH("flush of mark 0", with_mark(none, 0, UINT32_MAX));
    FLUSH("flush of a mark that no entry has", with_mark(none, 0x77, 0xff));
    FLUSH("flush of what is assured", with_status(none, CT_STATUS_ASSURED, 0));
    FLUSH("flush of what is not assured", with_status(none, 0, CT_STATUS_ASSURED));
    FLUSH("flush of what is replied to and not assured", with_status(none, CT_STATUS_SEEN_REPLY, CT_STATUS_ASSURED));
    FLUSH("flush of a family and status", with_family(with_status(none, 0, CT_STATUS_SEEN_REPLY), CT_FAMILY_IPV6));
    FLUSH("flush of a family and mark", with_family(with_mark(none, 1, 1), CT_FAMILY_IPV4));
    FLUSH("flush of a mark and status", with_mark(with_status(none, CT_STATUS_ASSURED, 0), 0xff, 0xff));
    FLUSH("flush of everything that a scope can have",
          with_family(with_mark(with_status(zone_scope(5), CT_STATUS_SEEN_REPLY, 0), 0, 0x80000000), CT_FAMILY_IPV6));
#undef FLUSH
    refuse_flush("a flush of nothing in particular", &none, 0);
    f = with_mark(none, 0, 0);
    refuse_flush("a flush of any mark", &f, 0);
    f = with_status(none, 0, 0);
    refuse_flush("a flush of any status", &f, 0);
    f = zone_scope(5);
    f.match |= CT_MATCH_PROTO;
    f.proto = CT_PROTO_TCP;
    refuse_flush("a flush of a protocol", &f, 0);
    refuse_flush("a flush of NULL", NULL, 0);
    f = zone_scope(5);
    refuse_flush("a flush of a scope and of everything", &f, CT_FLUSH_ALL);
    flush_everything();
}
