/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Generated filters. */

#include "matrix.h"

static void random_prefix(uint8_t family, const uint8_t *address, uint8_t *net, uint8_t *prefix)
{
    static const uint8_t prefixes_v4[] = { 0, 8, 15, 22, 24, 30, 31, 32, 32, 32, 32 };
    static const uint8_t prefixes_v6[] = { 0, 8, 16, 48, 64, 96, 120, 127, 128, 128, 128, 128 };

    *prefix = family == CT_FAMILY_IPV4 ? pick(prefixes_v4) : pick(prefixes_v6);
    for (unsigned bit = 0; bit < *prefix; bit++)
        net[bit / 8] |= address[bit / 8] & (0x80u >> (bit % 8));
}

static void random_range(uint16_t port, uint16_t *first, uint16_t *last)
{
    *first = *last = port;
    if (one_in(8)) {
        *first = 0;
        *last = 65535;
    } else if (one_in(2)) {
        *first = (uint16_t)(port - below(port < 40 ? port + 1u : 40));
        *last = (uint16_t)(port + below(port > 65000 ? 1 : 40));
    }
}

/* A filter that is taken from an entry, and perhaps from two, so that it matches nothing. */
static struct ct_filter random_filter(void)
{
    static const uint32_t masks[] = { UINT32_MAX, UINT32_MAX, 0xff, 0x0f, 0x80000000, 0xffff0000 };
    static const unsigned zones[] = { 0, 5, 7, 11, 13, ZONE_SWAPPED, ZONE_EMPTY };
    static const uint32_t bits[] = { CT_STATUS_SEEN_REPLY, CT_STATUS_ASSURED, CT_STATUS_CONFIRMED,
                                     CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED };
    static const uint64_t nothing[] = { 0, CT_MATCH_MARK, CT_MATCH_STATUS, CT_MATCH_MARK | CT_MATCH_STATUS };
    const struct ct_entry *e = &now.rows[below((unsigned)now.count)];
    const struct ct_entry *other = one_in(6) ? &now.rows[below((unsigned)now.count)] : e;
    struct ct_filter f = no_filter();
    int address;

    if (one_in(4)) {
        f = tuple_filter(e);
        if (one_in(5))
            f.match |= CT_MATCH_ORIG_ZONE, f.orig_zone = e->orig.zone;
        else if (!one_in(4))
            f = in_zone(f, one_in(4) ? pick(zones) : e->zone);
        return f;
    }
    if (!one_in(3)) {
        f.match |= CT_MATCH_PROTO;
        f.proto = e->proto;
    }
    if (one_in(3) || !f.match)
        f = in_zone(f, one_in(5) ? pick(zones) : other->zone);
    /* With the zone of the same entry, or not at all: others are refused, since no entry has them together. */
    if (one_in(4) && (!(f.match & CT_MATCH_ZONE) || f.zone == e->zone)) {
        if (!one_in(3))
            f.match |= CT_MATCH_ORIG_ZONE, f.orig_zone = e->orig.zone;
        if (!one_in(3))
            f.match |= CT_MATCH_REPLY_ZONE, f.reply_zone = e->reply.zone;
    }
    if (one_in(12))
        f.match |= CT_MATCH_ID, f.id = other->id;
    /* Now and then a filter that looks like one and limits nothing. */
    if (one_in(50)) {
        f = no_filter();
        f.match = pick(nothing);
        return f;
    }
    if (one_in(4)) {
        f.match |= CT_MATCH_MARK;
        f.mark_mask = pick(masks);
        f.mark = other->mark & f.mark_mask;
    }
    if (one_in(4)) {
        f.match |= CT_MATCH_STATUS;
        if (one_in(2))
            f.status_set = pick(bits);
        if (!f.status_set || one_in(3))
            f.status_clear = pick(bits) & ~f.status_set;
    }
    address = !one_in(3);
#define ADDRESS(bit, net, prefix, from) \
    if (address && one_in(3)) { \
        f.match |= (bit); \
        random_prefix(e->family, (from), (net), &(prefix)); \
    }
    if (other->family != e->family)
        other = e;
    ADDRESS(CT_MATCH_ORIG_SRC, f.orig_src, f.orig_src_prefix, e->orig.src)
    ADDRESS(CT_MATCH_ORIG_DST, f.orig_dst, f.orig_dst_prefix, e->orig.dst)
    ADDRESS(CT_MATCH_REPLY_SRC, f.reply_src, f.reply_src_prefix, other->reply.src)
    ADDRESS(CT_MATCH_REPLY_DST, f.reply_dst, f.reply_dst_prefix, other->reply.dst)
#undef ADDRESS
    if (f.match & (CT_MATCH_ORIG_SRC | CT_MATCH_ORIG_DST | CT_MATCH_REPLY_SRC | CT_MATCH_REPLY_DST) || one_in(4)) {
        f.match |= CT_MATCH_FAMILY;
        f.family = e->family;
    }
#define PORTS(bit, first, last, port) \
    if (one_in(4)) { \
        f.match |= (bit); \
        random_range((port), &(first), &(last)); \
    }
    if ((f.match & CT_MATCH_PROTO) && has_ports(f.proto)) {
        PORTS(CT_MATCH_ORIG_SPORT, f.orig_sport_first, f.orig_sport_last, e->orig.sport)
        PORTS(CT_MATCH_ORIG_DPORT, f.orig_dport_first, f.orig_dport_last, e->orig.dport)
        PORTS(CT_MATCH_REPLY_SPORT, f.reply_sport_first, f.reply_sport_last, e->reply.sport)
        PORTS(CT_MATCH_REPLY_DPORT, f.reply_dport_first, f.reply_dport_last, e->reply.dport)
    }
#undef PORTS
    if ((f.match & CT_MATCH_PROTO) && is_icmp(f.proto)) {
        if (one_in(2))
            f.match |= CT_MATCH_ICMP_TYPE, f.icmp_type = e->orig.icmp_type;
        if (one_in(3))
            f.match |= CT_MATCH_ICMP_CODE, f.icmp_code = e->orig.icmp_code;
        if (one_in(2))
            f.match |= CT_MATCH_ICMP_ID, f.icmp_id = e->orig.icmp_id;
    }
    return f;
}

/* A set of filters. Returns how many. */
static size_t random_set(struct ct_filter *f)
{
    static const unsigned one_of[] = { 0, CT_FILTER_EXCLUDE };
    unsigned kind = below(40);
    size_t n = kind == 0 ? 0 : kind == 1 ? 1000 : kind < 24 ? 1 + below(3) : 4 + below(37);
    unsigned excludes = one_in(3) ? 4 : 0;
    int pinned = one_in(6), narrow = one_in(4);

    for (size_t i = 0; i < n; i++) {
        const struct ct_entry *e = &now.rows[below((unsigned)now.count)];

        f[i] = pinned ? in_zone(tuple_filter(e), e->zone) : random_filter();
        /* Sets that have something in common are planned in another way than others. */
        if (!pinned && narrow && i > 0 && (f[0].match & CT_MATCH_ZONE) &&
            !(f[i].match & (CT_MATCH_ORIG_ZONE | CT_MATCH_REPLY_ZONE)))
            f[i] = in_zone(f[i], f[0].zone);
        if (excludes && one_in(excludes))
            f[i].flags = pick(one_of);
        if ((f[i].flags & CT_FILTER_EXCLUDE) && limits_nothing(&f[i]))
            f[i].flags = 0;
    }
    return n;
}

/* A set that the kernel can delete by alone, by tuple or guarded by one: chance draws such sets too seldom. */
static size_t kernel_set(struct ct_filter *f, int by_tuple)
{
    const struct ct_entry *e;

    do
        e = &now.rows[below((unsigned)now.count)];
    while (e->family != CT_FAMILY_IPV4);
    if (!by_tuple) {
        f[0] = with_mark(with_family(no_filter(), e->family), e->mark & 0x0f, 0x0f);
        return 1;
    }
    f[0] = with_family(no_filter(), e->family);
    f[0].match |= CT_MATCH_PROTO | CT_MATCH_ORIG_DST;
    f[0].proto = e->proto;
    memcpy(f[0].orig_dst, e->orig.dst, sizeof f[0].orig_dst);
    f[0].orig_dst_prefix = 32;
    return 1;
}

void group_filters(void)
{
    static struct ct_filter f[1000];
    struct table selected = { 0 }, rest = { 0 };
    unsigned long empty = 0, everything = 0, refused = 0, deleted = 0, some = 0;
    uint64_t count = 0;

    fill();
    check(ct_count(h, &count) == 0 && count == now.count, "ct_count says %llu, the dump has %zu",
          (unsigned long long)count, now.count);
    expect_list("everything", NULL, 0, &now);
    for (unsigned s = 0; s < sets; s++) {
        /* Both are odd, and below 3 by 5: they are deleted by, uncounted. */
        size_t n = s % 30 == 1 || s % 30 == 11 ? kernel_set(f, s % 30 == 1) : random_set(f);
        char what[64];

        snprintf(what, sizeof what, "set %u of seed %llu", s, (unsigned long long)seed);
        if (s % 50 == 49)
            reopen();
        expected_of(f, n, &selected, &rest);
        empty += selected.count == 0;
        everything += rest.count == 0;
        some += selected.count && rest.count;
        expect_list(what, f, n, &selected);
        expect_dump(what, f, n, &selected, 1 + below(100));
        if (s % 5 == 4) {
            struct ct_entry one;

            /* A dump that is not read to its end leaves nothing behind. */
            check(ct_dump_start(h, n ? f : NULL, n) == 0 && ct_dump_next(h, &one, 1) >= 0 && ct_dump_end(h) == 0,
                  "%s: a dump could not be ended early: %s", what, ct_handle_error(h));
        }
        if (s % 5 < 3 || must_refuse(f, n)) {
            refused += must_refuse(f, n);
            deleted++;
            expect_delete(what, f, n, s % 2 ? CT_DELETE_UNCOUNTED : 0);
        }
        if (report.failed > 100)
            break;
    }
    snprintf(
        report.note, sizeof report.note,
        "%u sets of seed %llu on %zu entries (%lu select some, %lu none, %lu all), %lu deleted by, %lu of them refused",
        sets, (unsigned long long)seed, now.count, some, empty, everything, deleted, refused);
    if (sets >= 300) {
        check(empty && everything && some >= 100, "the sets are too much alike: %s", report.note);
        check(deleted - refused >= 100 && refused, "too few deletes: %s", report.note);
        check(report.look_ups > 0, "no set was looked up by tuple");
        check(report.guarded_flushes >= 5 && report.tuple_flushes >= (kernel.flush ? 5 : 0),
              "the kernel was let to delete by itself only %lu times guarded and %lu times by tuple",
              report.guarded_flushes, report.tuple_flushes);
    }
    free(selected.rows);
    free(rest.rows);
}
