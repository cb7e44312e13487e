/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* New entries with NAT. */

#include "matrix.h"

/* One new entry: its status. */
static int32_t create_one(const struct ct_entry *e)
{
    struct ct_result r = { .size = sizeof r };
    int32_t status = 1;

    ct_create_entries(h, e, 1, &status, &r);
    return status;
}

/* An entry that is translated as `nat` and `what` (1 addresses, 2 ports or ICMP ids) say; 0 if there is none like that. */
static int translate(struct ct_entry *e, uint32_t nat, unsigned what)
{
    size_t last = e->family == CT_FAMILY_IPV4 ? 3 : 15;
    int both = nat == (CT_STATUS_SRC_NAT | CT_STATUS_DST_NAT);

    if ((what & 2) && !(e->has & (CT_HAS_PORTS | CT_HAS_ICMP)))
        return 0;
    /* Keys of GRE are never translated alone, and an ICMP id only once. */
    if (what == 2 && (e->proto == CT_PROTO_GRE || (both && is_icmp(e->proto))))
        return 0;
    e->status = nat;
    e->has |= CT_HAS_STATUS;
    if ((what & 1) && (nat & CT_STATUS_SRC_NAT))
        e->reply.dst[last] = 200;
    if ((what & 1) && (nat & CT_STATUS_DST_NAT))
        e->reply.src[last] = 201;
    if ((what & 2) && is_icmp(e->proto))
        e->reply.icmp_id = 55;
    else if (what & 2) {
        e->reply.dport = nat & CT_STATUS_SRC_NAT ? 55 : e->reply.dport;
        e->reply.sport = nat & CT_STATUS_DST_NAT ? 5353 : e->reply.sport;
    }
    return 1;
}

/* New entries with NAT have the reply tuple and the status that they are to have, or are not made. */
void group_nat(void)
{
    static const uint8_t protocols[][2] = {
        { CT_PROTO_TCP, CT_PROTO_TCP },         { CT_PROTO_UDP, CT_PROTO_UDP }, { CT_PROTO_SCTP, CT_PROTO_SCTP },
        { CT_PROTO_UDPLITE, CT_PROTO_UDPLITE }, { CT_PROTO_GRE, CT_PROTO_GRE }, { PROTO_PLAIN, PROTO_PLAIN },
        { CT_PROTO_ICMP, CT_PROTO_ICMPV6 },
    };
    static const uint32_t kinds[] = { CT_STATUS_SRC_NAT, CT_STATUS_DST_NAT, CT_STATUS_SRC_NAT | CT_STATUS_DST_NAT };
    const uint32_t nat = CT_STATUS_SRC_NAT | CT_STATUS_DST_NAT;
    unsigned tried = 0, dccp = 0;

    flush_everything();
    for (unsigned family = 0; family < 2; family++)
        for (size_t n = 0; n < LENGTH(protocols) * LENGTH(kinds) * 3 * 3; n++) {
            uint8_t proto = protocols[n / 27][family];
            uint32_t kind = kinds[n / 9 % 3];
            unsigned what = 1 + n / 3 % 3, taken = n % 3;
            struct ct_entry e = flow(family ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4, proto, 4), other = e;
            int32_t status;

            if (!translate(&e, kind, what))
                continue;
            tried++;
            /* Somebody has its reply tuple (1), or the one that it would have without translation (2). */
            other.orig.src[0] ^= 0x40;
            other.has = (other.has | CT_HAS_STATUS | CT_HAS_MARK);
            other.status = 0;
            other.mark = 77;
            if (taken == 1)
                other.reply = e.reply;
            if (taken)
                check(create_one(&other) == 0, "protocol %u: %s", proto, ct_handle_error(h));
            status = create_one(&e);
            dump_all(&now);
            if (taken == 1) {
                check(status == -EEXIST && now.count == 1 && now.rows[0].mark == 77,
                      "protocol %u, NAT %#x, %u, its tuple taken: status %d, %zu entries", proto, kind, what, status,
                      now.count);
            } else {
                const struct ct_entry *own = &now.rows[now.count == 2 && now.rows[0].mark == 77];

                check(status == 0 && now.count == (taken ? 2 : 1) && (own->status & nat) == kind &&
                          memcmp(&own->reply, &e.reply, sizeof e.reply) == 0,
                      "protocol %u, NAT %#x, %u, taken %u: status %d (%s), %zu entries", proto, kind, what, taken,
                      status, ct_handle_error(h), now.count);
            }
            flush_everything();
        }
    /* With ports where the kernel keeps them, refused where it would make an entry without. */
    for (size_t i = 0; i < 4; i++) {
        static const uint8_t maybe[] = { CT_PROTO_DCCP, CT_PROTO_SCTP, CT_PROTO_UDPLITE, CT_PROTO_GRE };
        struct ct_entry e = flow(CT_FAMILY_IPV4, CT_PROTO_UDP, 4);
        int32_t status;

        e.proto = maybe[i];
        status = create_one(&e);
        dump_all(&now);
        if (status == 0)
            check(now.count == 1 && (now.rows[0].has & CT_HAS_PORTS), "protocol %u was made without its ports",
                  maybe[i]);
        else
            check(status == -EOPNOTSUPP && now.count == 0, "protocol %u with ports: %d, %zu entries", maybe[i], status,
                  now.count);
        dccp |= status == 0 && maybe[i] == CT_PROTO_DCCP;
        flush_everything();
    }
    snprintf(report.note, sizeof report.note, "%u entries with NAT as asked or refused; DCCP %s ports", tried,
             dccp ? "with" : "without");
}
