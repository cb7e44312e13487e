/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* The table that most groups ask the library about. */

#include "matrix.h"

#include <unistd.h>

struct ct_handle *h;
struct table now;

void reopen(void)
{
    ct_handle_close(h);
    h = NULL;
    if (!check(ct_handle_open(&h, NULL) == 0, "ct_handle_open"))
        _exit(1);
}

void v4(uint8_t *address, unsigned a, unsigned b, unsigned c, unsigned d)
{
    address[0] = (uint8_t)a;
    address[1] = (uint8_t)b;
    address[2] = (uint8_t)c;
    address[3] = (uint8_t)d;
}

void v6(uint8_t *address, unsigned net, unsigned subnet, unsigned host)
{
    memset(address, 0, 16);
    address[0] = 0xfd;
    address[1] = (uint8_t)net;
    address[7] = (uint8_t)subnet;
    address[14] = (uint8_t)(host >> 8);
    address[15] = (uint8_t)host;
}

void mirror(struct ct_entry *e)
{
    static const uint8_t answers[][2] = { { 8, 0 }, { 13, 14 }, { 128, 129 }, { 139, 140 } };

    memcpy(e->reply.src, e->orig.dst, 16);
    memcpy(e->reply.dst, e->orig.src, 16);
    e->reply.sport = e->orig.dport;
    e->reply.dport = e->orig.sport;
    e->reply.icmp_id = e->orig.icmp_id;
    e->reply.icmp_code = e->orig.icmp_code;
    for (size_t i = 0; i < LENGTH(answers); i++)
        if ((e->has & CT_HAS_ICMP) && e->orig.icmp_type == answers[i][0])
            e->reply.icmp_type = answers[i][1];
    e->has |= CT_HAS_REPLY;
}

int has_ports(uint8_t proto)
{
    return proto == CT_PROTO_TCP || proto == CT_PROTO_UDP || proto == CT_PROTO_UDPLITE || proto == CT_PROTO_SCTP ||
           proto == CT_PROTO_GRE;
}

int is_icmp(uint8_t proto)
{
    return proto == CT_PROTO_ICMP || proto == CT_PROTO_ICMPV6;
}

int tracks_ports(uint8_t proto)
{
    switch (proto) {
    case CT_PROTO_UDPLITE:
        return kernel.udplite;
    case CT_PROTO_SCTP:
        return kernel.sctp;
    case CT_PROTO_GRE:
        return kernel.gre;
    }
    return has_ports(proto);
}

void set_zone(struct ct_entry *e, uint64_t kind, unsigned zone)
{
    if (!zone)
        return;
    e->has |= kind;
    e->zone = zone;
    if (kind != CT_HAS_REPLY_ZONE)
        e->orig.zone = zone;
    if (kind != CT_HAS_ORIG_ZONE)
        e->reply.zone = zone;
}

/* A flow number `i` of a protocol: addresses and ports come back in every zone, and often within one. */
struct ct_entry flow(uint8_t family, uint8_t proto, unsigned i)
{
    static const uint16_t services[] = { 53, 80, 443, 8080 };
    static const uint32_t marks[] = { 0, 0, 1, 0x10, 0xff, 0x1234, 0x80000001, 0xdeadbeef };
    struct ct_entry e = { .has = CT_HAS_ORIG | CT_HAS_TIMEOUT, .family = family, .proto = proto, .timeout = 100000 };
    /* Without ports only addresses tell flows apart. */
    unsigned client = tracks_ports(proto) || is_icmp(proto) ? i % 5 : i;

    if (family == CT_FAMILY_IPV4) {
        v4(e.orig.src, 10, 1, client % 3, 1 + client);
        v4(e.orig.dst, 10, 2, 0, 1 + i % 3);
    } else {
        v6(e.orig.src, 1, client % 3, 1 + client);
        v6(e.orig.dst, 2, 0, 1 + i % 3);
    }
    if (has_ports(proto) && tracks_ports(proto)) {
        e.has |= CT_HAS_PORTS;
        e.orig.sport = (uint16_t)(1024 + i / 2 * 7);
        e.orig.dport = services[i % LENGTH(services)];
    }
    if (is_icmp(proto)) {
        e.has |= CT_HAS_ICMP;
        e.orig.icmp_id = (uint16_t)(i / 2);
        e.orig.icmp_type = proto == CT_PROTO_ICMP ? (i % 3 ? 8 : 13) : (i % 3 ? 128 : 139);
        e.orig.icmp_code = (uint8_t)(i % 4 == 3);
    }
    e.mark = pick(marks);
    e.has |= CT_HAS_MARK | CT_HAS_STATUS;
    e.status = below(3) ? CT_STATUS_SEEN_REPLY : 0;
    if (e.status && below(2))
        e.status |= CT_STATUS_ASSURED;
    if (proto == CT_PROTO_TCP) {
        e.has |= CT_HAS_TCP_STATE;
        e.tcp_state = (uint8_t)(1 + below(8));
    }
    mirror(&e);
    return e;
}

/* Creates entries; those whose tuple is taken may be left out if `may_collide`. Those that were made stay in `t`. */
void create(struct table *t, int may_collide)
{
    int32_t *status = need(calloc(t->count + 1, sizeof *status));
    struct ct_result r = { .size = sizeof r };
    size_t made = 0;
    int ret = ct_create_entries(h, t->rows, t->count, status, &r);

    for (size_t i = 0; i < t->count; i++) {
        int fine = status[i] == 0 || (may_collide && status[i] == -EEXIST);

        if (!fine || !t->count)
            check(fine, "entry %zu (family %u, protocol %u, zone %u) was not created: %s", i, t->rows[i].family,
                  t->rows[i].proto, t->rows[i].zone, ct_strerror(status[i]));
        if (status[i] == 0)
            t->rows[made++] = t->rows[i];
    }
    check(r.done == made && r.matched == t->count, "created %zu of %zu, but was told %llu of %llu", made, t->count,
          (unsigned long long)r.done, (unsigned long long)r.matched);
    if (!may_collide)
        check(ret == 0, "ct_create_entries: %s", ct_handle_error(h));
    t->count = made;
    free(status);
}

void flush_everything(void)
{
    uint64_t count = 1;

    may_flush_all = 1;
    check(ct_flush(h, NULL, CT_FLUSH_ALL) == 0, "ct_flush of everything: %s", ct_handle_error(h));
    may_flush_all = 0;
    dump_all(&now);
    check(now.count == 0, "%zu entries survived a flush of everything", now.count);
    check(ct_count(h, &count) == 0 && count == 0, "the count after a flush of everything is %llu",
          (unsigned long long)count);
}

/* The table of most groups. What ctnetlink made must be what was asked for. */
void fill(void)
{
    static const struct {
        uint8_t v4, v6;
        unsigned count;
    } protocols[] = {
        { CT_PROTO_TCP, CT_PROTO_TCP, 20 },    { CT_PROTO_UDP, CT_PROTO_UDP, 20 },
        { CT_PROTO_SCTP, CT_PROTO_SCTP, 8 },   { CT_PROTO_UDPLITE, CT_PROTO_UDPLITE, 8 },
        { CT_PROTO_GRE, CT_PROTO_GRE, 6 },     { PROTO_PLAIN, PROTO_PLAIN, 4 },
        { CT_PROTO_ICMP, CT_PROTO_ICMPV6, 9 },
    };
    static const struct {
        uint64_t kind;
        unsigned zone, part;
    } zones[] = {
        { 0, 0, 1 },
        { CT_HAS_ZONE, 5, 1 },
        { CT_HAS_ZONE, 7, 1 },
        { CT_HAS_ZONE, ZONE_SWAPPED, 3 },
        { CT_HAS_ORIG_ZONE, 11, 4 },
        { CT_HAS_REPLY_ZONE, 13, 4 },
        { CT_HAS_ORIG_ZONE, 5, 5 },
        { CT_HAS_REPLY_ZONE, 7, 5 },
    };
    struct table wanted = { 0 };

    flush_everything();
    for (size_t z = 0; z < LENGTH(zones); z++)
        for (size_t p = 0; p < LENGTH(protocols); p++)
            for (unsigned i = 0; i < 2 * protocols[p].count / zones[z].part; i++) {
                uint8_t family = i % 2 ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4;
                struct ct_entry e = flow(family, i % 2 ? protocols[p].v6 : protocols[p].v4, i / 2);

                set_zone(&e, zones[z].kind, zones[z].zone);
                /* The tuple of the other direction is in zone 0, where it must differ from that of zone 0's own flow. */
                if (zones[z].kind == CT_HAS_ORIG_ZONE)
                    e.reply.src[family == CT_FAMILY_IPV4 ? 3 : 15] ^= 0x80 + zones[z].zone;
                if (zones[z].kind == CT_HAS_REPLY_ZONE)
                    e.orig.src[family == CT_FAMILY_IPV4 ? 2 : 13] ^= 0x80 + zones[z].zone;
                /* And that of its own direction from those that are in the zone both ways. */
                if (zones[z].kind == CT_HAS_ORIG_ZONE && zones[z].zone == 5)
                    e.orig.dst[family == CT_FAMILY_IPV4 ? 2 : 13] = 5;
                if (zones[z].kind == CT_HAS_REPLY_ZONE && zones[z].zone == 7)
                    e.reply.dst[family == CT_FAMILY_IPV4 ? 2 : 13] = 7;
                *add_row(&wanted) = e;
            }
    create(&wanted, 1);
    dump_all(&now);
    for (size_t i = 0; i < wanted.count; i++)
        wanted.rows[i].status |= CT_STATUS_CONFIRMED;
    check(wanted.count >= 400, "only %zu entries could be created", wanted.count);
    put_in_order(&now);
    check(same_rows(wanted.rows, wanted.count, now.rows, now.count, 0),
          "the table is not what was created: %zu entries, %zu created", now.count, wanted.count);
    free(wanted.rows);
}

/* Makes again what is missing of `before`, so that the next test finds the same table. */
void refill(const struct table *before)
{
    struct table missing = { 0 };
    struct ident *left;

    dump_all(&now);
    left = sorted(now.rows, now.count, 1);
    for (size_t i = 0; i < before->count; i++) {
        struct ident ident = ident_of(&before->rows[i], 1);

        if (!bsearch(&ident, left, now.count, sizeof *left, compare_idents)) {
            struct ct_entry *e = add_row(&missing);

            *e = before->rows[i];
            e->has |= CT_HAS_ORIG | CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_TIMEOUT | CT_HAS_ID;
            e->timeout = 100000;
        }
    }
    free(left);
    if (missing.count)
        create(&missing, 0);
    free(missing.rows);
    dump_all(&now);
    put_in_order(&now);
    check(same_rows(before->rows, before->count, now.rows, now.count, 0), "the table could not be filled again");
}
