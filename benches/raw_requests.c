/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Requests of the program raw: each is copied from a finished one for the same kind of connection. */

#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

int with_labels;

static void put_tuple(struct template *t, size_t *end, const struct flow *f, int reply)
{
    static const uint8_t zeros[16];
    const int v4 = f->family == AF_INET;
    const size_t tuple = open_nest(t->bytes, end, reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
    const size_t ip = open_nest(t->bytes, end, CTA_TUPLE_IP);

    t->tuple[reply].src = (uint16_t)put(t->bytes, end, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, zeros, v4 ? 4 : 16);
    t->tuple[reply].dst = (uint16_t)put(t->bytes, end, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, zeros, v4 ? 4 : 16);
    close_nest(t->bytes, *end, ip);
    const size_t proto = open_nest(t->bytes, end, CTA_TUPLE_PROTO);
    put(t->bytes, end, CTA_PROTO_NUM, &f->proto, 1);
    if (f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6) {
        const uint8_t type = (uint8_t)(f->proto == IPPROTO_ICMP ? (reply ? 0 : 8) : (reply ? 129 : 128));
        t->tuple[reply].icmp_id = (uint16_t)put(t->bytes, end, v4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, zeros, 2);
        put(t->bytes, end, v4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE, &type, 1);
        put(t->bytes, end, v4 ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE, zeros, 1);
    } else {
        t->tuple[reply].sport = (uint16_t)put(t->bytes, end, CTA_PROTO_SRC_PORT, zeros, 2);
        t->tuple[reply].dport = (uint16_t)put(t->bytes, end, CTA_PROTO_DST_PORT, zeros, 2);
    }
    close_nest(t->bytes, *end, proto);
    close_nest(t->bytes, *end, tuple);
}

void make_template(struct template *t, enum request what, const struct flow *f)
{
    const uint32_t zero = 0;
    size_t end = what == CREATE      ? put_header(t->bytes, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, f->family, 0)
                 : what == MARK_ANEW ? put_header(t->bytes, IPCTNL_MSG_CT_NEW, 0, f->family, 0)
                 : what == LOOK_UP   ? put_header(t->bytes, IPCTNL_MSG_CT_GET, 0, f->family, 0)
                                     : put_header(t->bytes, IPCTNL_MSG_CT_DELETE, 0, f->family, 1);

    put_tuple(t, &end, f, 0);
    if (what == CREATE)
        put_tuple(t, &end, f, 1);
    if (f->zone)
        t->zone = (uint16_t)put(t->bytes, &end, CTA_ZONE, &zero, 2);
    if (what == CREATE) {
        t->timeout = (uint16_t)put(t->bytes, &end, CTA_TIMEOUT, &zero, 4);
        t->status = (uint16_t)put(t->bytes, &end, CTA_STATUS, &zero, 4);
        t->mark = (uint16_t)put(t->bytes, &end, CTA_MARK, &zero, 4);
        if (f->proto == IPPROTO_TCP) {
            const size_t info = open_nest(t->bytes, &end, CTA_PROTOINFO);
            const size_t tcp = open_nest(t->bytes, &end, CTA_PROTOINFO_TCP);
            t->tcp_state = (uint16_t)put(t->bytes, &end, CTA_PROTOINFO_TCP_STATE, &zero, 1);
            close_nest(t->bytes, end, tcp);
            close_nest(t->bytes, end, info);
        }
        if (with_labels) {
            static const uint8_t labels[16] = { 2, [15] = 0x80 };
            put(t->bytes, &end, CTA_LABELS, labels, sizeof labels);
        }
    } else if (what == MARK_ANEW) {
        t->mark = (uint16_t)put(t->bytes, &end, CTA_MARK, &zero, 4);
    } else if (what == DELETE) {
        t->id = (uint16_t)put(t->bytes, &end, CTA_ID, &zero, 4);
    }
    close_request(t->bytes, end);
    t->length = (uint16_t)end;
}

/* IPv4 or IPv6; TCP, UDP or ICMP; with or without a zone. */
static struct template templates[2][3][2];

static struct template *template_for(const struct flow *f)
{
    const int proto = f->proto == IPPROTO_TCP ? 0 : f->proto == IPPROTO_UDP ? 1 : 2;
    return &templates[f->family == AF_INET6][proto][f->zone != 0];
}

void make_templates(enum request what, const struct flow *flows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (template_for(&flows[i])->length == 0)
            make_template(template_for(&flows[i]), what, &flows[i]);
}

static void poke16(uint8_t *at, uint16_t value)
{
    value = htons(value);
    memcpy(at, &value, sizeof value);
}

static void poke32(uint8_t *at, uint32_t value)
{
    value = htonl(value);
    memcpy(at, &value, sizeof value);
}

static void fill_tuple(uint8_t *at, const struct template *t, const struct flow *f, int reply)
{
    const size_t width = f->family == AF_INET ? 4 : 16;
    memcpy(at + t->tuple[reply].src, reply ? f->dst : f->src, width);
    memcpy(at + t->tuple[reply].dst, reply ? f->src : f->dst, width);
    if (t->tuple[reply].icmp_id) {
        poke16(at + t->tuple[reply].icmp_id, f->sport);
    } else {
        poke16(at + t->tuple[reply].sport, reply ? f->dport : f->sport);
        poke16(at + t->tuple[reply].dport, reply ? f->sport : f->dport);
    }
}

size_t fill_from(const struct template *t, uint8_t *at, enum request what, const struct flow *f, uint32_t id)
{
    const uint32_t seq = ++sequence;

    memcpy(at, t->bytes, t->length);
    memcpy(at + offsetof(struct nlmsghdr, nlmsg_seq), &seq, sizeof seq);
    fill_tuple(at, t, f, 0);
    if (t->zone)
        poke16(at + t->zone, f->zone);
    if (what == CREATE) {
        fill_tuple(at, t, f, 1);
        poke32(at + t->timeout, f->timeout);
        poke32(at + t->status, f->status);
        poke32(at + t->mark, f->mark);
        if (t->tcp_state)
            at[t->tcp_state] = f->tcp_state;
    } else if (what == MARK_ANEW) {
        poke32(at + t->mark, f->mark + 1);
    } else if (what == DELETE) {
        memcpy(at + t->id, &id, sizeof id);
    }
    return t->length;
}

size_t fill_request(uint8_t *at, enum request what, const struct flow *f, uint32_t id)
{
    return fill_from(template_for(f), at, what, f, id);
}

uint32_t exchange(uint8_t *bytes, size_t length, size_t last)
{
    struct nlmsghdr *header = (struct nlmsghdr *)(bytes + last);
    const uint32_t last_seq = header->nlmsg_seq;
    uint32_t failed = 0;

    header->nlmsg_flags |= NLM_F_ACK;
    send_bytes(bytes, length);
    for (;;) {
        const size_t got = receive();
        const struct nlmsghdr *reply = message_at(0, got);
        if (reply->nlmsg_type != NLMSG_ERROR)
            fail("a reply of type %u", reply->nlmsg_type);
        if (error_of(reply) == EPERM)
            fail("%s", strerror(EPERM));
        failed += error_of(reply) != 0;
        if (reply->nlmsg_seq == last_seq)
            return failed;
    }
}

uint32_t run_batches(enum request what, const struct flow *flows, const uint32_t *ids, uint32_t count)
{
    uint32_t done = 0;

    for (uint32_t first = 0; first < count;) {
        const uint32_t end = count - first < BATCH ? count : first + BATCH;
        const uint32_t here = end - first;
        size_t length = 0, last = 0;
        for (; first < end; first++) {
            last = length;
            length += fill_request(batch + length, what, &flows[first], ids ? ids[first] : 0);
        }
        done += here - exchange(batch, length, last);
    }
    return done;
}
