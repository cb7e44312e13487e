/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Addresses of IPv6, which some kernels match the wrong way round. */

#include "matrix.h"

/* Filters by one whole IPv6 address in each of the four places. */
static struct ct_filter v6_filter(unsigned place, const uint8_t *address)
{
    struct ct_filter f = with_family(no_filter(), CT_FAMILY_IPV6);
    uint8_t *nets[] = { f.orig_src, f.orig_dst, f.reply_src, f.reply_dst };
    uint8_t *prefixes[] = { &f.orig_src_prefix, &f.orig_dst_prefix, &f.reply_src_prefix, &f.reply_dst_prefix };

    f.match |= CT_MATCH_ORIG_SRC << place;
    memcpy(nets[place], address, 16);
    *prefixes[place] = 128;
    return f;
}

static void ipv6_addresses(const char *what, size_t least)
{
    struct ct_entry e = now.rows[0];
    uint8_t nobody[16];

    for (size_t i = 0; i < now.count && e.family != CT_FAMILY_IPV6; i++)
        e = now.rows[i];
    v6(nobody, 9, 9, 9);
    for (unsigned place = 0; place < 4; place++) {
        const uint8_t *addresses[] = { e.orig.src, e.orig.dst, e.reply.src, e.reply.dst };
        struct ct_filter f = v6_filter(place, addresses[place]);

        expect_all(what, &f, 1, least);
        f.match |= CT_MATCH_PROTO;
        f.proto = e.proto;
        expect_all(what, &f, 1, least);
        f = v6_filter(place, nobody);
        expect_all(what, &f, 1, 0);
    }
}

void group_ipv6_one(void)
{
    struct table one = { 0 };

    flush_everything();
    *add_row(&one) = flow(CT_FAMILY_IPV6, CT_PROTO_UDP, 1);
    create(&one, 0);
    dump_all(&now);
    ipv6_addresses("exact addresses of IPv6 in a table of one entry", 1);
    *add_row(&one) = flow(CT_FAMILY_IPV6, CT_PROTO_UDP, 2);
    one.rows[0] = one.rows[1];
    one.count = 1;
    create(&one, 0);
    dump_all(&now);
    ipv6_addresses("exact addresses of IPv6 in a table of two entries", 1);
    free(one.rows);
}

void group_ipv6_some(void)
{
    fill();
    ipv6_addresses("exact addresses of IPv6 in a mixed table", 1);
}

/*
 * So many entries that it would pay for the library to let the kernel match addresses: it is given every chance to find out
 * how this one does it, from a table that can show it and from others that cannot.
 */
void group_ipv6_many(void)
{
    struct table many = { 0 }, selected = { 0 }, rest = { 0 };
    unsigned wanted = kernel.max / 4 * 3 < 8000 ? (unsigned)(kernel.max / 4 * 3) : 8000;
    struct ct_filter f[2];
    unsigned long pushed;
    uint8_t net[16];

    flush_everything();
    for (unsigned i = 0; i < wanted; i++) {
        struct ct_entry *e = add_row(&many);

        *e = flow(i % 16 ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4, CT_PROTO_UDP, i);
        if (e->family == CT_FAMILY_IPV6) {
            /* Two neighbours share an address, and the odd one is never of IPv4: each address has several entries. */
            v6(e->orig.src, 1, 0, 1 + i / 2 % 500);
            e->orig.sport = (uint16_t)(1024 + i);
        } else {
            e->orig.sport = (uint16_t)(1024 + i);
        }
        mirror(e);
    }
    create(&many, 0);
    dump_all(&now);
    for (unsigned round = 0; round < 4; round++) {
        const struct ct_entry *e = &now.rows[now.count / 5 * round];

        while (e->family != CT_FAMILY_IPV6)
            e++;
        f[0] = v6_filter(0, e->orig.src);
        f[1] = v6_filter(3, e->orig.src);
        expected_of(f, 2, &selected, &rest);
        expect_list("two addresses of IPv6 among many", f, 2, &selected);
        expected_of(f, 1, &selected, &rest);
        expect_list("an address of IPv6 among many", f, 1, &selected);
        pushed = report.ipv6_dumps;
        expect_list("an address of IPv6 among many, again", f, 1, &selected);
        expect_dump("an address of IPv6 among many", f, 1, &selected, 100);
        pushed = report.ipv6_dumps - pushed;
        if (!kernel.ipv6)
            check(pushed == 0, "asks for addresses of IPv6 although this kernel matches them the wrong way round");
        /* From here on with what was found out. */
        reopen();
    }
    snprintf(report.note, sizeof report.note, "%zu entries in %lu buckets; the kernel is %s for addresses of IPv6",
             now.count, kernel.buckets, pushed ? "asked" : "not asked");
    expect_all("an address of IPv6 among many", f, 1, 2);
    v6(f[0].orig_src, 9, 9, 9);
    expect_all("an address of IPv6 that no entry has, among many", f, 1, 0);
    /* The kernel knows no prefixes; asked for the address alone, it would send too little. */
    v6(net, 2, 0, 0);
    f[0] = v6_filter(1, net);
    f[0].orig_dst_prefix = 64;
    expect_all("a prefix of IPv6 that all entries have", f, 1, 1000);
    free(many.rows);
    free(selected.rows);
    free(rest.rows);
}

/* A table in which the library can measure nothing comes first; what it took from that must not hold for another one. */
void group_ipv6_after_empty(void)
{
    struct table one = { 0 }, nothing = { 0 };
    struct ct_filter f;
    uint8_t address[16];

    flush_everything();
    v6(address, 1, 1, 2);
    f = v6_filter(0, address);
    expect_list("an address of IPv6 in an empty table", &f, 1, &nothing);
    *add_row(&one) = flow(CT_FAMILY_IPV4, CT_PROTO_UDP, 1);
    create(&one, 0);
    dump_all(&now);
    expect_list("an address of IPv6 in a table of IPv4", &f, 1, &nothing);
    free(one.rows);
    fill();
    ipv6_addresses("addresses of IPv6 after a table without any", 1);
    /* All entries from one address: asked for it, a kernel that has it the wrong way round sends none. */
    flush_everything();
    for (unsigned i = 0; i < 300; i++) {
        struct ct_entry *e;

        one.rows = i ? one.rows : NULL;
        if (!i)
            one.count = one.room = 0;
        e = add_row(&one);
        *e = flow(CT_FAMILY_IPV6, CT_PROTO_TCP, i);
        v6(e->orig.src, 1, 1, 2);
        e->orig.sport = (uint16_t)(2000 + i);
        mirror(e);
    }
    create(&one, 0);
    dump_all(&now);
    reopen();
    expect_all("one address of IPv6 in all entries", &f, 1, 300);
    v6(f.orig_src, 9, 9, 9);
    expect_all("an address of IPv6 that none of them has", &f, 1, 0);
    free(one.rows);
}
