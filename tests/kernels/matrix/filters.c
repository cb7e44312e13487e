/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Filters, and the plain matcher that says what they select. */

#include "matrix.h"

struct ct_filter no_filter(void)
{
    struct ct_filter f = { .size = sizeof f };

    return f;
}

/* The filter that pins the original tuple of an entry, without its zone. */
struct ct_filter tuple_filter(const struct ct_entry *e)
{
    struct ct_filter f = no_filter();

    f.match = CT_MATCH_FAMILY | CT_MATCH_PROTO | CT_MATCH_ORIG_SRC | CT_MATCH_ORIG_DST;
    f.family = e->family;
    f.proto = e->proto;
    f.orig_src_prefix = f.orig_dst_prefix = e->family == CT_FAMILY_IPV4 ? 32 : 128;
    memcpy(f.orig_src, e->orig.src, 16);
    memcpy(f.orig_dst, e->orig.dst, 16);
    if (e->has & CT_HAS_PORTS) {
        f.match |= CT_MATCH_ORIG_SPORT | CT_MATCH_ORIG_DPORT;
        f.orig_sport_first = f.orig_sport_last = e->orig.sport;
        f.orig_dport_first = f.orig_dport_last = e->orig.dport;
    }
    if (e->has & CT_HAS_ICMP) {
        f.match |= CT_MATCH_ICMP_TYPE | CT_MATCH_ICMP_CODE | CT_MATCH_ICMP_ID;
        f.icmp_type = e->orig.icmp_type;
        f.icmp_code = e->orig.icmp_code;
        f.icmp_id = e->orig.icmp_id;
    }
    return f;
}

struct ct_filter in_zone(struct ct_filter f, unsigned zone)
{
    f.match |= CT_MATCH_ZONE;
    f.zone = zone;
    return f;
}

struct ct_filter zone_scope(unsigned zone)
{
    return in_zone(no_filter(), zone);
}

struct ct_filter with_family(struct ct_filter f, uint8_t family)
{
    f.match |= CT_MATCH_FAMILY;
    f.family = family;
    return f;
}

struct ct_filter with_mark(struct ct_filter f, uint32_t mark, uint32_t mask)
{
    f.match |= CT_MATCH_MARK;
    f.mark = mark;
    f.mark_mask = mask;
    return f;
}

struct ct_filter with_status(struct ct_filter f, uint32_t set, uint32_t clear)
{
    f.match |= CT_MATCH_STATUS;
    f.status_set = set;
    f.status_clear = clear;
    return f;
}

static int in_prefix(const uint8_t *address, const uint8_t *net, unsigned prefix)
{
    for (unsigned bit = 0; bit < prefix; bit++) {
        unsigned mask = 0x80u >> (bit % 8);

        if ((address[bit / 8] & mask) != (net[bit / 8] & mask))
            return 0;
    }
    return 1;
}

static int in_ports(const struct ct_entry *e, uint16_t port, uint16_t first, uint16_t last)
{
    return (e->has & CT_HAS_PORTS) && first <= port && port <= last;
}

static int in_icmp(const struct ct_entry *e, unsigned value, unsigned wanted)
{
    return (e->has & CT_HAS_ICMP) && value == wanted;
}

/* ctrack.h, struct ct_filter, line by line. */
static int matches(const struct ct_filter *f, const struct ct_entry *e)
{
#define IF(bit, condition) \
    if ((f->match & (bit)) && !(condition)) \
    return 0
    IF(CT_MATCH_FAMILY, e->family == f->family);
    IF(CT_MATCH_PROTO, e->proto == f->proto);
    IF(CT_MATCH_ZONE, e->zone == f->zone);
    IF(CT_MATCH_MARK, (e->mark & f->mark_mask) == f->mark);
    IF(CT_MATCH_STATUS, (e->status & f->status_set) == f->status_set && (e->status & f->status_clear) == 0);
    IF(CT_MATCH_ORIG_SRC, in_prefix(e->orig.src, f->orig_src, f->orig_src_prefix));
    IF(CT_MATCH_ORIG_DST, in_prefix(e->orig.dst, f->orig_dst, f->orig_dst_prefix));
    IF(CT_MATCH_REPLY_SRC, in_prefix(e->reply.src, f->reply_src, f->reply_src_prefix));
    IF(CT_MATCH_REPLY_DST, in_prefix(e->reply.dst, f->reply_dst, f->reply_dst_prefix));
    IF(CT_MATCH_ORIG_SPORT, in_ports(e, e->orig.sport, f->orig_sport_first, f->orig_sport_last));
    IF(CT_MATCH_ORIG_DPORT, in_ports(e, e->orig.dport, f->orig_dport_first, f->orig_dport_last));
    IF(CT_MATCH_REPLY_SPORT, in_ports(e, e->reply.sport, f->reply_sport_first, f->reply_sport_last));
    IF(CT_MATCH_REPLY_DPORT, in_ports(e, e->reply.dport, f->reply_dport_first, f->reply_dport_last));
    IF(CT_MATCH_ICMP_TYPE, in_icmp(e, e->orig.icmp_type, f->icmp_type));
    IF(CT_MATCH_ICMP_CODE, in_icmp(e, e->orig.icmp_code, f->icmp_code));
    IF(CT_MATCH_ICMP_ID, in_icmp(e, e->orig.icmp_id, f->icmp_id));
    IF(CT_MATCH_ORIG_ZONE, e->orig.zone == f->orig_zone);
    IF(CT_MATCH_REPLY_ZONE, e->reply.zone == f->reply_zone);
    IF(CT_MATCH_ID, e->id == f->id);
#undef IF
    return 1;
}

int limits_nothing(const struct ct_filter *f)
{
    uint64_t match = f->match;

    if ((match & CT_MATCH_MARK) && f->mark_mask == 0)
        match &= ~CT_MATCH_MARK;
    if ((match & CT_MATCH_STATUS) && (f->status_set | f->status_clear) == 0)
        match &= ~CT_MATCH_STATUS;
    return match == 0;
}

int selects(const struct ct_filter *f, size_t n, const struct ct_entry *e)
{
    int includes = 0, included = 0;

    for (size_t i = 0; i < n; i++) {
        if (f[i].flags & CT_FILTER_EXCLUDE) {
            if (matches(&f[i], e))
                return 0;
        } else {
            includes = 1;
            included |= matches(&f[i], e);
        }
    }
    return included || !includes;
}

/* Whether ct_delete() must refuse the set: nothing says what to delete, or everything would be. */
int must_refuse(const struct ct_filter *f, size_t n)
{
    int includes = 0;

    for (size_t i = 0; i < n; i++) {
        if (!(f[i].flags & CT_FILTER_EXCLUDE)) {
            struct ct_filter without_id = f[i];

            without_id.match &= ~CT_MATCH_ID;
            if (limits_nothing(&without_id))
                return 1;
            includes = 1;
        }
    }
    return !includes;
}
