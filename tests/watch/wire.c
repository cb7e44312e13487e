/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Netlink by hand: nothing of the library is used here. */

#include "equality.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

static void die(const char *what)
{
    perror(what);
    exit(3);
}

int open_netlink(int room)
{
    struct sockaddr_nl own = { .nl_family = AF_NETLINK };
    struct timeval patience = { .tv_sec = 60 };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        die("netlink socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

int hears(int fd, unsigned group)
{
    return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
}

/* The kernel tries again what found no room. */
void reads_reliably(int fd)
{
    int on = 1;

    if (setsockopt(fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, &on, sizeof on) < 0)
        die("NETLINK_BROADCAST_ERROR");
}

static void put(struct batch *b, const void *data, size_t length)
{
    if (b->length + length + 4 > sizeof b->bytes) {
        errno = EMSGSIZE;
        die("batch");
    }
    if (length)
        memcpy(b->bytes + b->length, data, length);
    b->length += length;
    while (b->length % 4)
        b->bytes[b->length++] = 0;
}

static void attribute(struct batch *b, unsigned type, const void *data, size_t length)
{
    struct nlattr head = { .nla_len = (uint16_t)(4 + length), .nla_type = (uint16_t)type };

    put(b, &head, sizeof head);
    put(b, data, length);
}

static void put16(struct batch *b, unsigned type, unsigned value)
{
    uint16_t wire = htons((uint16_t)value);

    attribute(b, type, &wire, sizeof wire);
}

static void put32(struct batch *b, unsigned type, uint32_t value)
{
    value = htonl(value);
    attribute(b, type, &value, sizeof value);
}

static size_t nest(struct batch *b, unsigned type)
{
    size_t start = b->length;

    attribute(b, type | NLA_F_NESTED, NULL, 0);
    return start;
}

static void end_nest(struct batch *b, size_t start)
{
    uint16_t length = (uint16_t)(b->length - start);

    memcpy(b->bytes + start, &length, sizeof length);
}

static void begin(struct batch *b, unsigned type, unsigned flags, unsigned family, unsigned resource)
{
    struct nlmsghdr head = { .nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };
    struct nfgenmsg general = { .nfgen_family = (uint8_t)family, .res_id = htons((uint16_t)resource) };

    b->last = b->length;
    head.nlmsg_seq = b->count++;
    put(b, &head, sizeof head);
    put(b, &general, sizeof general);
}

static void end(struct batch *b)
{
    uint32_t length = (uint32_t)(b->length - b->last);

    memcpy(b->bytes + b->last, &length, sizeof length);
}

static void put_way(struct batch *b, unsigned type, const struct row *r, const struct way *way, int with_zone)
{
    size_t width = r->family == AF_INET ? 4 : 16, all = nest(b, type), part = nest(b, CTA_TUPLE_IP);
    uint8_t proto = (uint8_t)r->proto;

    attribute(b, width == 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, way->src, width);
    attribute(b, width == 4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, way->dst, width);
    end_nest(b, part);
    part = nest(b, CTA_TUPLE_PROTO);
    attribute(b, CTA_PROTO_NUM, &proto, 1);
    put16(b, CTA_PROTO_SRC_PORT, way->sport);
    put16(b, CTA_PROTO_DST_PORT, way->dport);
    end_nest(b, part);
    if (with_zone)
        put16(b, CTA_TUPLE_ZONE, way->zone);
    end_nest(b, all);
}

static void put_key(struct batch *b, unsigned type, unsigned flags, const struct row *r, enum zone_kind kind)
{
    begin(b, NFNL_SUBSYS_CTNETLINK << 8 | type, NLM_F_ACK | flags, r->family, 0);
    put_way(b, CTA_TUPLE_ORIG, r, &r->orig, kind == ORIG_ONLY);
    if (kind == BOTH_WAYS)
        put16(b, CTA_ZONE, r->orig.zone);
}

static void put_values(struct batch *b, const struct values *v)
{
    if (v->timeout)
        put32(b, CTA_TIMEOUT, v->timeout);
    if (v->has_mark)
        put32(b, CTA_MARK, v->mark);
    if (v->status)
        put32(b, CTA_STATUS, v->status);
}

void put_made(struct batch *b, const struct row *r, enum zone_kind kind, const struct values *v)
{
    put_key(b, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, r, kind);
    put_way(b, CTA_TUPLE_REPLY, r, &r->reply, kind == REPLY_ONLY);
    put_values(b, v);
    end(b);
}

void put_changed(struct batch *b, const struct row *r, enum zone_kind kind, const struct values *v)
{
    put_key(b, IPCTNL_MSG_CT_NEW, 0, r, kind);
    put_values(b, v);
    end(b);
}

void put_deleted(struct batch *b, const struct row *r, enum zone_kind kind)
{
    put_key(b, IPCTNL_MSG_CT_DELETE, 0, r, kind);
    end(b);
}

static void send_all(int fd, const struct batch *b)
{
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    struct iovec part = { .iov_base = (void *)(uintptr_t)b->bytes, .iov_len = b->length };
    struct msghdr all = { .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = &part, .msg_iovlen = 1 };

    if (sendmsg(fd, &all, 0) != (ssize_t)b->length)
        die("netlink send");
}

static ssize_t receive(int fd, unsigned char *buffer, size_t room)
{
    ssize_t length;

    do
        length = recv(fd, buffer, room, 0);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        die("netlink answer");
    return length;
}

/* Sends what is in the batch and empties it. Returns how many of its messages the kernel has done. */
unsigned send_batch(int fd, struct batch *b)
{
    unsigned char answer[16384];
    unsigned wanted = b->count, done = 0;

    if (wanted)
        send_all(fd, b);
    for (unsigned got = 0; got < wanted;) {
        ssize_t length = receive(fd, answer, sizeof answer), at = 0;

        while (at + (ssize_t)sizeof(struct nlmsghdr) <= length) {
            struct nlmsghdr head;
            int code;

            memcpy(&head, answer + at, sizeof head);
            memcpy(&code, answer + at + sizeof head, sizeof code);
            if (head.nlmsg_type == NLMSG_ERROR) {
                got++;
                done += code == 0;
            }
            at += (ssize_t)(head.nlmsg_len + 3) & ~(ssize_t)3;
        }
    }
    b->length = b->count = 0;
    return done;
}

static uint32_t be(const unsigned char *at, size_t length)
{
    uint32_t value = 0;

    while (length--)
        value = value << 8 | *at++;
    return value;
}

typedef void visitor(void *context, unsigned type, const unsigned char *data, size_t length);

static void walk(const unsigned char *at, size_t length, visitor *visit, void *context)
{
    while (length >= sizeof(struct nlattr)) {
        struct nlattr head;
        size_t whole;

        memcpy(&head, at, sizeof head);
        if (head.nla_len < sizeof head || head.nla_len > length) {
            errno = EBADMSG;
            die("attribute");
        }
        visit(context, head.nla_type & NLA_TYPE_MASK, at + sizeof head, head.nla_len - sizeof head);
        whole = (head.nla_len + 3u) & ~(size_t)3;
        if (whole >= length)
            return;
        at += whole;
        length -= whole;
    }
}

struct half {
    struct way *way;
    struct row *row;
};

static void read_address(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct half *half = context;

    if (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC)
        memcpy(half->way->src, data, length);
    if (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST)
        memcpy(half->way->dst, data, length);
}

static void read_proto(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct half *half = context;

    if (type == CTA_PROTO_NUM)
        half->row->proto = data[0];
    if (type == CTA_PROTO_SRC_PORT)
        half->way->sport = (uint16_t)be(data, length);
    if (type == CTA_PROTO_DST_PORT)
        half->way->dport = (uint16_t)be(data, length);
}

static void read_way(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct half *half = context;

    if (type == CTA_TUPLE_IP)
        walk(data, length, read_address, half);
    if (type == CTA_TUPLE_PROTO)
        walk(data, length, read_proto, half);
    if (type == CTA_TUPLE_ZONE)
        half->way->zone = be(data, length);
}

static void read_row(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct row *r = context;
    struct half half = { type == CTA_TUPLE_ORIG ? &r->orig : &r->reply, r };

    switch (type) {
    case CTA_TUPLE_ORIG:
    case CTA_TUPLE_REPLY:
        walk(data, length, read_way, &half);
        break;
    case CTA_ZONE:
        r->orig.zone = r->reply.zone = be(data, length);
        break;
    case CTA_STATUS:
        r->status = be(data, length);
        break;
    case CTA_MARK:
        r->mark = be(data, length);
        break;
    case CTA_ID:
        r->id = be(data, length);
        break;
    }
}

static struct row *add_row(struct rows *rows)
{
    if (rows->count == rows->room) {
        rows->room = rows->room ? 2 * rows->room : 1024;
        rows->at = realloc(rows->at, rows->room * sizeof *rows->at);
        if (!rows->at)
            die("memory");
    }
    return memset(&rows->at[rows->count++], 0, sizeof *rows->at);
}

/* The whole table, of all families. */
void dump_table(int fd, struct rows *rows)
{
    static unsigned char answer[65536];
    struct batch *request = calloc(1, sizeof *request);

    if (!request)
        die("memory");
    begin(request, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, 0);
    end(request);
    send_all(fd, request);
    free(request);
    rows->count = 0;
    for (;;) {
        ssize_t length = receive(fd, answer, sizeof answer), at = 0;

        while (at + (ssize_t)sizeof(struct nlmsghdr) <= length) {
            size_t start = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg);
            struct nlmsghdr head;
            struct nfgenmsg general;
            struct row *r;

            memcpy(&head, answer + at, sizeof head);
            if (head.nlmsg_type == NLMSG_DONE)
                return;
            if (head.nlmsg_type == NLMSG_ERROR || head.nlmsg_len < start || head.nlmsg_len > length - at) {
                errno = EBADMSG;
                die("dump");
            }
            memcpy(&general, answer + at + sizeof head, sizeof general);
            r = add_row(rows);
            r->family = general.nfgen_family;
            walk(answer + at + start, head.nlmsg_len - start, read_row, r);
            at += (ssize_t)(head.nlmsg_len + 3) & ~(ssize_t)3;
        }
    }
}

static int compare_rows(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct row));
}

void sort_rows(struct rows *rows)
{
    if (rows->count)
        qsort(rows->at, rows->count, sizeof *rows->at, compare_rows);
}

static void name(struct batch *b, unsigned type, const char *text)
{
    attribute(b, type, text, strlen(text) + 1);
}

static void begin_nft(struct batch *b, unsigned kind, unsigned flags)
{
    begin(b, NFNL_SUBSYS_NFTABLES << 8 | kind, NLM_F_CREATE | flags, NFPROTO_INET, 0);
}

/*
 * Where there is no program nft: a rule that makes this network namespace track packets. Of the rules that do, `flow add` needs the
 * fewest modules; its chain sees none of these packets.
 *
 * table inet f {
 *     flowtable ft { hook ingress priority 0; devices = { lo }; }
 *     chain forward { type filter hook forward priority 0; flow add @ft; }
 * }
 */
int track_without_nft(void)
{
    struct batch *b = calloc(1, sizeof *b);
    int fd = open_netlink(1 << 16);
    size_t outer, inner, innermost;
    unsigned done;

    if (!b)
        die("memory");
    begin(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end(b);
    begin_nft(b, NFT_MSG_NEWTABLE, 0);
    name(b, NFTA_TABLE_NAME, "f");
    end(b);
    begin_nft(b, NFT_MSG_NEWFLOWTABLE, 0);
    name(b, NFTA_FLOWTABLE_TABLE, "f");
    name(b, NFTA_FLOWTABLE_NAME, "ft");
    outer = nest(b, NFTA_FLOWTABLE_HOOK);
    put32(b, NFTA_FLOWTABLE_HOOK_NUM, NF_NETDEV_INGRESS);
    put32(b, NFTA_FLOWTABLE_HOOK_PRIORITY, 0);
    inner = nest(b, NFTA_FLOWTABLE_HOOK_DEVS);
    name(b, NFTA_DEVICE_NAME, "lo");
    end_nest(b, inner);
    end_nest(b, outer);
    end(b);
    begin_nft(b, NFT_MSG_NEWCHAIN, 0);
    name(b, NFTA_CHAIN_TABLE, "f");
    name(b, NFTA_CHAIN_NAME, "forward");
    name(b, NFTA_CHAIN_TYPE, "filter");
    outer = nest(b, NFTA_CHAIN_HOOK);
    put32(b, NFTA_HOOK_HOOKNUM, NF_INET_FORWARD);
    put32(b, NFTA_HOOK_PRIORITY, 0);
    end_nest(b, outer);
    end(b);
    begin_nft(b, NFT_MSG_NEWRULE, NLM_F_APPEND | NLM_F_ACK);
    name(b, NFTA_RULE_TABLE, "f");
    name(b, NFTA_RULE_CHAIN, "forward");
    outer = nest(b, NFTA_RULE_EXPRESSIONS);
    inner = nest(b, NFTA_LIST_ELEM);
    name(b, NFTA_EXPR_NAME, "flow_offload");
    innermost = nest(b, NFTA_EXPR_DATA);
    name(b, NFTA_FLOW_TABLE_NAME, "ft");
    end_nest(b, innermost);
    end_nest(b, inner);
    end_nest(b, outer);
    end(b);
    begin(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end(b);
    /* Only one of them asks for an answer. */
    b->count = 1;
    done = send_batch(fd, b);
    close(fd);
    free(b);
    return done == 1;
}
