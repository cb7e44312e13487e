/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Entries, read without the library, and compared. */

#include "matrix.h"

#include <sys/socket.h>
#include <unistd.h>

struct ct_entry *add_row(struct table *t)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 256;
        t->rows = need(realloc(t->rows, t->room * sizeof *t->rows));
    }
    memset(&t->rows[t->count], 0, sizeof *t->rows);
    return &t->rows[t->count++];
}

void copy_rows(struct table *to, const struct ct_entry *rows, size_t count)
{
    to->count = 0;
    for (size_t i = 0; i < count; i++)
        *add_row(to) = rows[i];
}

/* Calls `visit` for each attribute. */
void walk_attributes(const unsigned char *at, size_t length,
                     void (*visit)(void *context, unsigned type, const unsigned char *data, size_t length),
                     void *context)
{
    while (length >= 4) {
        struct nlattr head;

        memcpy(&head, at, sizeof head);
        if (head.nla_len < 4 || head.nla_len > length) {
            errno = EBADMSG;
            die("attribute");
        }
        visit(context, head.nla_type & NLA_TYPE_MASK, at + 4, head.nla_len - 4u);
        size_t step = NLA_ALIGN(head.nla_len);
        if (step > length)
            step = length;
        at += step;
        length -= step;
    }
}

uint16_t be16(const unsigned char *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t be32(const unsigned char *at)
{
    return (uint32_t)be16(at) << 16 | be16(at + 2);
}

struct tuple_reader {
    struct ct_entry *entry;
    struct ct_tuple *tuple;
    uint64_t zone_bit;
};

static void read_tuple(void *context, unsigned type, const unsigned char *data, size_t length);

static void read_address(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct tuple_reader *r = context;

    if (length > 16)
        return;
    if (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC)
        memcpy(r->tuple->src, data, length);
    if (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST)
        memcpy(r->tuple->dst, data, length);
}

static void read_proto(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct tuple_reader *r = context;

    (void)length;
    switch (type) {
    case CTA_PROTO_NUM:
        r->entry->proto = data[0];
        break;
    case CTA_PROTO_SRC_PORT:
        r->tuple->sport = be16(data), r->entry->has |= CT_HAS_PORTS;
        break;
    case CTA_PROTO_DST_PORT:
        r->tuple->dport = be16(data), r->entry->has |= CT_HAS_PORTS;
        break;
    case CTA_PROTO_ICMP_ID:
    case CTA_PROTO_ICMPV6_ID:
        r->tuple->icmp_id = be16(data), r->entry->has |= CT_HAS_ICMP;
        break;
    case CTA_PROTO_ICMP_TYPE:
    case CTA_PROTO_ICMPV6_TYPE:
        r->tuple->icmp_type = data[0];
        break;
    case CTA_PROTO_ICMP_CODE:
    case CTA_PROTO_ICMPV6_CODE:
        r->tuple->icmp_code = data[0];
        break;
    }
}

static void read_tuple(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct tuple_reader *r = context;

    switch (type) {
    case CTA_TUPLE_IP:
        walk_attributes(data, length, read_address, r);
        break;
    case CTA_TUPLE_PROTO:
        walk_attributes(data, length, read_proto, r);
        break;
    case CTA_TUPLE_ZONE:
        r->entry->zone = r->tuple->zone = be16(data), r->entry->has |= r->zone_bit;
        break;
    }
}

void read_entry(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct ct_entry *e = context;
    struct tuple_reader orig = { e, &e->orig, CT_HAS_ORIG_ZONE }, reply = { e, &e->reply, CT_HAS_REPLY_ZONE };

    switch (type) {
    case CTA_TUPLE_ORIG:
        walk_attributes(data, length, read_tuple, &orig);
        break;
    case CTA_TUPLE_REPLY:
        walk_attributes(data, length, read_tuple, &reply);
        break;
    case CTA_STATUS:
        e->status = be32(data);
        break;
    case CTA_MARK:
        e->mark = be32(data);
        break;
    case CTA_ID:
        e->id = be32(data);
        break;
    case CTA_ZONE:
        e->zone = e->orig.zone = e->reply.zone = be16(data), e->has |= CT_HAS_ZONE;
        break;
    }
}

/* Dumps what the request asks for, in memory. Returns the errno with which the kernel refuses. */
int dump_raw(struct message *request, struct table *t)
{
    static unsigned char buffer[1 << 16];
    int fd = open_raw(), result = -1;

    t->count = 0;
    send_raw(fd, request);
    while (result < 0) {
        ssize_t length = recv(fd, buffer, sizeof buffer, 0);
        struct nlmsghdr *head = (struct nlmsghdr *)(void *)buffer;

        if (length < 0)
            die("netlink receive");
        for (; result < 0 && NLMSG_OK(head, (size_t)length); head = NLMSG_NEXT(head, length)) {
            const unsigned char *payload = NLMSG_DATA(head);
            struct ct_entry *e;
            int code;

            if (head->nlmsg_type == NLMSG_DONE) {
                result = 0;
            } else if (head->nlmsg_type == NLMSG_ERROR) {
                memcpy(&code, payload, sizeof code);
                result = -code;
            } else {
                e = add_row(t);
                e->family = payload[0];
                walk_attributes(payload + 4, head->nlmsg_len - NLMSG_HDRLEN - 4u, read_entry, e);
            }
        }
    }
    close(fd);
    return result;
}

/* The whole table, without the library. */
void dump_all(struct table *t)
{
    struct message m;

    begin_message(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 0, 0);
    if (dump_raw(&m, t) != 0)
        die("raw dump");
}

struct ident ident_of(const struct ct_entry *e, int with_id)
{
    struct ident ident;
    unsigned char *at = ident.bytes;
    const struct ct_tuple *tuples[2] = { &e->orig, &e->reply };
    uint64_t kind = e->has & (CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE | CT_HAS_PORTS | CT_HAS_ICMP);
    uint32_t id = with_id ? e->id : 0;

    memset(&ident, 0, sizeof ident);
#define ADD(field) (memcpy(at, &(field), sizeof(field)), at += sizeof(field))
    ADD(e->family);
    ADD(e->proto);
    for (int i = 0; i < 2; i++) {
        ADD(tuples[i]->src);
        ADD(tuples[i]->dst);
        ADD(tuples[i]->sport);
        ADD(tuples[i]->dport);
        ADD(tuples[i]->icmp_id);
        ADD(tuples[i]->icmp_type);
        ADD(tuples[i]->icmp_code);
        ADD(tuples[i]->zone);
    }
    ADD(kind);
    ADD(e->zone);
    ADD(e->mark);
    ADD(e->status);
    ADD(id);
#undef ADD
    return ident;
}

int compare_idents(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct ident));
}

struct ident *sorted(const struct ct_entry *rows, size_t count, int with_id)
{
    struct ident *idents = need(malloc((count + 1) * sizeof *idents));

    for (size_t i = 0; i < count; i++)
        idents[i] = ident_of(&rows[i], with_id);
    qsort(idents, count, sizeof *idents, compare_idents);
    return idents;
}

/* Puts the rows into an order of their own: that of a dump is by hash, which differs from boot to boot, and with it would differ
 * what a seed draws. Ids differ too. */
void put_in_order(struct table *t)
{
    struct placed {
        struct ident ident;
        size_t row;
    } *placed = need(malloc((t->count + 1) * sizeof *placed));
    struct ct_entry *rows = need(malloc((t->count + 1) * sizeof *rows));

    for (size_t i = 0; i < t->count; i++)
        placed[i].ident = ident_of(&t->rows[i], 0), placed[i].row = i;
    qsort(placed, t->count, sizeof *placed, compare_idents);
    for (size_t i = 0; i < t->count; i++)
        rows[i] = t->rows[placed[i].row];
    memcpy(t->rows, rows, t->count * sizeof *rows);
    free(placed);
    free(rows);
}

/* Whether both hold the same entries, each as often. */
int same_rows(const struct ct_entry *a, size_t a_count, const struct ct_entry *b, size_t b_count, int with_id)
{
    struct ident *left, *right;
    int same;

    if (a_count != b_count)
        return 0;
    left = sorted(a, a_count, with_id);
    right = sorted(b, b_count, with_id);
    same = memcmp(left, right, a_count * sizeof *left) == 0;
    free(left);
    free(right);
    return same;
}
