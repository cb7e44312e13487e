/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* What a kernel may do otherwise than the library asks of it. */

#include "matrix.h"

void group_zone_trap(void)
{
    static const unsigned zones[] = { 5, 7, 11, 13, ZONE_SWAPPED, ZONE_EMPTY };
    struct ct_filter f;

    fill();
    for (size_t i = 0; i < LENGTH(zones); i++) {
        f = zone_scope(zones[i]);
        expect_flush("a zone is flushed and the others are intact", &f);
        expect_all("a zone is deleted and the others are intact", &f, 1, zones[i] == ZONE_EMPTY ? 0 : 5);
    }
}

void group_zone_0_trap(void)
{
    struct ct_filter f[2];

    fill();
    f[0] = zone_scope(0);
    expect_flush("zone 0 is flushed and the others are intact", f);
    expect_all("zone 0 is deleted and the others are intact", f, 1, 50);
    f[0] = with_family(zone_scope(0), CT_FAMILY_IPV6);
    expect_all("IPv6 of zone 0", f, 1, 20);
    f[0] = zone_scope(0);
    f[1] = zone_scope(5);
    expect_all("zones 0 and 5", f, 2, 100);
}

void group_status_trap(void)
{
    struct ct_filter f;

    fill();
    f = with_status(no_filter(), CT_STATUS_ASSURED, 0);
    expect_flush("what is assured is flushed and the rest is intact", &f);
    expect_all("what is assured is deleted and the rest is intact", &f, 1, 50);
    f = with_status(no_filter(), 0, CT_STATUS_ASSURED);
    expect_flush("what is not assured is flushed and the rest is intact", &f);
    expect_all("what is not assured is deleted and the rest is intact", &f, 1, 50);
    f = with_status(no_filter(), 0, CT_STATUS_CONFIRMED);
    expect_all("a status that no entry has", &f, 1, 0);
}

void group_family_trap(void)
{
    static const uint8_t families[] = { CT_FAMILY_IPV4, CT_FAMILY_IPV6 };
    struct ct_filter f;

    fill();
    for (size_t i = 0; i < LENGTH(families); i++) {
        f = with_family(no_filter(), families[i]);
        expect_flush("a family is flushed and the other is intact", &f);
        expect_all("a family is deleted and the other is intact", &f, 1, 100);
        f.match |= CT_MATCH_PROTO;
        f.proto = CT_PROTO_UDP;
        expect_all("a protocol of a family", &f, 1, 20);
    }
}

void group_ports_trap(void)
{
    static const uint8_t protocols[] = { CT_PROTO_SCTP, CT_PROTO_UDPLITE, CT_PROTO_GRE, CT_PROTO_TCP, CT_PROTO_UDP };

    fill();
    for (size_t p = 0; p < LENGTH(protocols); p++)
        for (unsigned v = 0; v < 2; v++) {
            struct ct_filter f = with_family(no_filter(), v ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4);
            size_t least = tracks_ports(protocols[p]) ? 1 : 0;
            char what[48];

            snprintf(what, sizeof what, "ports of protocol %u", protocols[p]);
            f.match |= CT_MATCH_PROTO | CT_MATCH_ORIG_DPORT;
            f.proto = protocols[p];
            f.orig_dport_first = f.orig_dport_last = 80;
            expect_all(what, &f, 1, least);
            f.match |= CT_MATCH_ORIG_SPORT;
            f.orig_sport_first = f.orig_sport_last = 1024;
            expect_all(what, &f, 1, least);
            f.orig_sport_last = 1030;
            expect_all(what, &f, 1, least);
            f = with_family(no_filter(), v ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4);
            f.match |= CT_MATCH_PROTO | CT_MATCH_REPLY_SPORT;
            f.proto = protocols[p];
            f.reply_sport_first = f.reply_sport_last = 443;
            expect_all(what, &f, 1, least);
            f.reply_sport_first = f.reply_sport_last = 444;
            expect_all("ports that no entry has", &f, 1, 0);
        }
}

/* Addresses with excluding filters, prefixes and ranges: what a flush by the kernel cannot say exactly. */
void group_inexact_trap(void)
{
    struct ct_filter f[2], exclude;

    fill();
    f[0] = with_family(no_filter(), CT_FAMILY_IPV4);
    f[0].match |= CT_MATCH_ORIG_SRC;
    f[0].orig_src_prefix = 24;
    v4(f[0].orig_src, 10, 1, 1, 0);
    expect_all("a prefix of IPv4", f, 1, 10);
    f[0].orig_src_prefix = 32;
    v4(f[0].orig_src, 10, 1, 1, 2);
    expect_all("an address of IPv4", f, 1, 10);
    exclude = zone_scope(5);
    exclude.flags = CT_FILTER_EXCLUDE;
    f[1] = exclude;
    expect_all("an address of IPv4, but not in zone 5", f, 2, 10);
    f[0] = zone_scope(5);
    f[1] = with_mark(no_filter(), 0x10, 0xf0);
    f[1].flags = CT_FILTER_EXCLUDE;
    expect_all("a zone without a mark", f, 2, 10);
    f[0] = with_family(no_filter(), CT_FAMILY_IPV4);
    f[0].match |= CT_MATCH_PROTO | CT_MATCH_ORIG_SPORT;
    f[0].proto = CT_PROTO_TCP;
    f[0].orig_sport_first = 1024;
    f[0].orig_sport_last = 1050;
    expect_all("a range of ports", f, 1, 5);
    f[0].match = CT_MATCH_FAMILY | CT_MATCH_PROTO | CT_MATCH_ICMP_TYPE;
    f[0].proto = CT_PROTO_ICMP;
    f[0].orig_sport_first = f[0].orig_sport_last = 0;
    f[0].icmp_type = 13;
    expect_all("a type of ICMP", f, 1, 3);
    f[0].match |= CT_MATCH_ICMP_ID;
    f[0].icmp_id = 1;
    expect_all("a type and id of ICMP", f, 1, 1);
    f[0].match = CT_MATCH_PROTO | CT_MATCH_ICMP_ID;
    f[0].family = 0;
    f[0].icmp_type = 0;
    expect_all("an id of ICMP without a family", f, 1, 1);
}

/*
 * Two addresses in a table so large that a walk for each of them pays, and entries that both filters select: the second walk
 * brings them once more.
 */
void group_overlap(void)
{
    struct table many = { 0 }, selected = { 0 }, rest = { 0 };
    unsigned wanted = (unsigned)kernel.buckets / 32 + 600;
    unsigned long pushed;
    struct ct_filter f[2];

    flush_everything();
    for (unsigned i = 0; i < wanted; i++) {
        struct ct_entry *e = add_row(&many);

        *e = flow(CT_FAMILY_IPV4, CT_PROTO_UDP, i);
        v4(e->orig.src, 10, 3, 0, 1 + i % 6);
        v4(e->orig.dst, 10, 4, 0, 1 + i % 15);
        e->orig.sport = (uint16_t)(1024 + i);
        mirror(e);
    }
    create(&many, 0);
    dump_all(&now);
    for (unsigned k = 0; k < 2; k++) {
        f[k] = with_family(no_filter(), CT_FAMILY_IPV4);
        f[k].match |= k ? CT_MATCH_ORIG_DST : CT_MATCH_ORIG_SRC;
    }
    v4(f[0].orig_src, 10, 3, 0, 1);
    f[0].orig_src_prefix = 32;
    v4(f[1].orig_dst, 10, 4, 0, 1);
    f[1].orig_dst_prefix = 32;
    pushed = report.filtered_dumps;
    expected_of(f, 2, &selected, &rest);
    expect_list("two addresses that entries share", f, 2, &selected);
    if (kernel.tuple)
        check(report.filtered_dumps >= pushed + 2, "the kernel was not asked for each of the two addresses");
    expect_all("two addresses that entries share", f, 2, 100);
    free(many.rows);
    free(selected.rows);
    free(rest.rows);
}

void group_directions_trap(void)
{
    static const struct {
        uint64_t kind;
        unsigned zone;
    } kinds[] = {
        { CT_HAS_ORIG_ZONE, 5 }, { CT_HAS_ORIG_ZONE, 11 }, { CT_HAS_REPLY_ZONE, 7 }, { CT_HAS_REPLY_ZONE, 13 }
    };

    fill();
    for (size_t k = 0; k < LENGTH(kinds); k++)
        for (unsigned protocol = 0; protocol < 3; protocol++) {
            static const uint8_t protocols[] = { CT_PROTO_TCP, CT_PROTO_SCTP, CT_PROTO_ICMPV6 };
            struct ct_entry e = { 0 }, got;
            struct ct_filter f;

            for (size_t i = 0; i < now.count && !e.proto; i++)
                if ((now.rows[i].has & kinds[k].kind) && now.rows[i].zone == kinds[k].zone &&
                    now.rows[i].proto == protocols[protocol])
                    e = now.rows[i];
            if (!check(e.proto, "no entry with a zone in one direction to test with"))
                continue;
            f = in_zone(tuple_filter(&e), e.zone);
            expect_all("a whole tuple with a zone in one direction", &f, 1, 1);
            f.zone = 0;
            expect_all("the same tuple with zone 0", &f, 1, 0);
            f = tuple_filter(&e);
            expect_all("the same tuple without a zone", &f, 1, 1);
            /* expect_all() made it again, with another id. */
            e.has |= CT_HAS_ORIG | CT_HAS_REPLY;
            e.mark = e.status = e.id = 0;
            check(ct_get(h, &e, &got) == 0 && got.zone == e.zone && (got.has & kinds[k].kind),
                  "ct_get does not find an entry with a zone in one direction: %s", ct_handle_error(h));
        }
}

/* The same tuple in zone 0 and others: an old kernel takes a tuple without a zone for that of zone 0. */
void group_tuple_zone_trap(void)
{
    static const uint8_t protocols[] = { CT_PROTO_TCP, CT_PROTO_UDP, CT_PROTO_SCTP, CT_PROTO_ICMP };

    fill();
    for (size_t p = 0; p < LENGTH(protocols); p++) {
        struct ct_entry e = { 0 };
        struct table same = { 0 }, rest = { 0 };
        struct ct_filter f;

        for (size_t i = 0; i < now.count && same.count < 3; i++)
            if (now.rows[i].family == CT_FAMILY_IPV4 && now.rows[i].proto == protocols[p] && !now.rows[i].zone) {
                e = now.rows[i];
                f = tuple_filter(&e);
                expected_of(&f, 1, &same, &rest);
            }
        check(same.count >= 3, "no tuple that three zones hold, protocol %u", protocols[p]);
        f = in_zone(tuple_filter(&e), 0);
        expect_all("a whole tuple in zone 0", &f, 1, 1);
        f.zone = 5;
        expect_all("a whole tuple in zone 5", &f, 1, 1);
        f.zone = 7;
        expect_all("a whole tuple in zone 7", &f, 1, 1);
        f.zone = ZONE_EMPTY;
        expect_all("a whole tuple in a zone without entries", &f, 1, 0);
        f = tuple_filter(&e);
        expect_all("a whole tuple in every zone", &f, 1, 3);
        free(same.rows);
        free(rest.rows);
    }
}

/*
 * Two entries, of which the one's reply carries the other's tuple, both in zone 0: zones for one direction only make that
 * possible. The kernel's look-up knows no direction and finds the one that was made last.
 */
static void make_pair(struct ct_entry *pair, int swapped)
{
    struct table two = { 0 };

    flush_everything();
    pair[0] = flow(CT_FAMILY_IPV4, CT_PROTO_UDP, 3);
    pair[1] = pair[0];
    pair[1].orig = pair[0].reply;
    pair[1].reply = pair[0].orig;
    set_zone(&pair[0], CT_HAS_REPLY_ZONE, 7);
    set_zone(&pair[1], CT_HAS_ORIG_ZONE, 5);
    *add_row(&two) = pair[swapped];
    *add_row(&two) = pair[!swapped];
    create(&two, 0);
    dump_all(&now);
    free(two.rows);
}

void group_reversed_trap(void)
{
    for (int swapped = 0; swapped < 2; swapped++)
        for (int i = 0; i < 2; i++) {
            struct table selected = { 0 }, rest = { 0 };
            struct ct_result r = { .size = sizeof r };
            struct ct_entry pair[2], key, got;
            struct ct_filter f;
            int32_t status[1];
            const char *what = i == swapped ? "a tuple that an entry made later has as its reply"
                                            : "a tuple that an entry made before has as its reply";

            make_pair(pair, swapped);
            key = pair[i];
            key.has &= ~(uint64_t)(CT_HAS_MARK | CT_HAS_STATUS | CT_HAS_TIMEOUT);
            key.mark = key.status = key.timeout = 0;
            f = in_zone(tuple_filter(&key), key.zone);
            expected_of(&f, 1, &selected, &rest);
            expect_list(what, &f, 1, &selected);
            expect_dump(what, &f, 1, &selected, 64);
            check(ct_get(h, &key, &got) == 0 && memcmp(&got.orig, &key.orig, sizeof key.orig) == 0, "%s: ct_get: %s",
                  what, ct_handle_error(h));
            expect_delete(what, &f, 1, 0);
            make_pair(pair, swapped);
            expect_delete(what, &f, 1, CT_DELETE_UNCOUNTED);
            make_pair(pair, swapped);
            /* By zone alone there is no look-up; the delete itself must find the right one. */
            f = zone_scope(key.zone);
            expect_delete(what, &f, 1, 0);
            make_pair(pair, swapped);
            expected_of(&f, 1, &selected, &rest);
            check(ct_delete_entries(h, &key, 1, status, &r) == 0 && status[0] == 0, "%s: ct_delete_entries: status %d",
                  what, status[0]);
            expect_rest("ct_delete_entries", &f, 1, &selected, &rest);
            free(selected.rows);
            free(rest.rows);
        }
}
