/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* A look at every datagram that the library sends, and kernels that are not at hand, made of the one that is. */

#include "matrix.h"

#include <sys/socket.h>

int may_flush_all;
unsigned flushes_sent;
enum pretended pretended;
unsigned made_again;

struct request {
    unsigned first;
    int tuple, filter, zone, status, id;
    uint32_t flags;
    uint16_t zone_value;
    uint32_t id_value;
    uint8_t proto, has_proto;
    unsigned addresses;
};

static void look_at_proto(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct request *r = context;

    (void)length;
    if (type == CTA_PROTO_NUM) {
        r->proto = data[0];
        r->has_proto = 1;
    }
}

static void look_at_ip(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct request *r = context;

    (void)type, (void)data, (void)length;
    r->addresses++;
}

static void look_at_tuple(void *context, unsigned type, const unsigned char *data, size_t length)
{
    if (type == CTA_TUPLE_IP)
        walk_attributes(data, length, look_at_ip, context);
    if (type == CTA_TUPLE_PROTO)
        walk_attributes(data, length, look_at_proto, context);
}

static void look_at_filter(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct request *r = context;
    uint32_t flags;

    if ((type == CTA_FILTER_ORIG_FLAGS || type == CTA_FILTER_REPLY_FLAGS) && length == sizeof flags) {
        memcpy(&flags, data, sizeof flags);
        r->flags |= flags;
    }
}

static void look_at_attribute(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct request *r = context;

    if (!r->first)
        r->first = type;
    switch (type) {
    case CTA_TUPLE_ORIG:
    case CTA_TUPLE_REPLY:
        r->tuple = 1;
        walk_attributes(data, length, look_at_tuple, r);
        break;
    case CTA_FILTER:
        r->filter = 1;
        walk_attributes(data, length, look_at_filter, r);
        break;
    case CTA_ZONE:
        r->zone = 1;
        r->zone_value = length == 2 ? be16(data) : 0xffff;
        check(length == 2, "sent a zone of %zu bytes", length);
        break;
    case CTA_STATUS:
        r->status = 1;
        break;
    case CTA_ID:
        r->id = 1, r->id_value = be32(data);
        break;
    }
}

/* What no DELETE of the library may be, whatever the kernel would make of it. */
static void look_at_delete(const struct request *r, uint8_t family)
{
    int is_probe = r->filter && r->flags == F_SPORT && r->id && r->id_value == UINT32_MAX;

    if (!r->tuple) {
        flushes_sent++;
        check(may_flush_all && !r->first,
              "sent a DELETE without a tuple, which old kernels take for a flush of everything");
        return;
    }
    check(r->first == CTA_TUPLE_ORIG || r->first == CTA_TUPLE_REPLY,
          "sent a DELETE that does not begin with its tuple");
    if (!r->filter) {
        report.deletes++;
        check(r->id, "sent a DELETE of an entry without its id");
        return;
    }
    if (is_probe) {
        check(kernel.flush || (r->addresses == 2 && r->has_proto), "sent a probe whose tuple is not complete");
        return;
    }
    flushes_sent++;
    if (r->flags == 0) {
        report.guarded_flushes++;
        check(r->addresses == 2 && r->has_proto && r->proto == 0, "sent a flush without its guard");
    } else {
        report.tuple_flushes++;
        check(kernel.flush, "sent a flush by tuple to a kernel that deletes a single entry by it");
        check(family == CT_FAMILY_IPV4 || !(r->flags & (F_IP_SRC | F_IP_DST)), "sent a flush by addresses of IPv6");
        check(!(r->flags & (F_SPORT | F_DPORT)) || r->proto == CT_PROTO_TCP || r->proto == CT_PROTO_UDP,
              "sent a flush by ports of protocol %u, which kernels do not compare", r->proto);
        check(!(r->flags & F_ZONE), "sent a flush by the zone of a tuple, which kernels do not compare");
    }
    check(!r->zone || kernel.zone, "sent a flush by zone to a kernel that does not filter by zone");
    check(!r->zone || r->zone_value != 0, "sent a flush of zone 0, which some kernels take for every zone");
    check(!r->status || kernel.status, "sent a flush by status to a kernel that does not filter by status");
}

static void look_at(const unsigned char *at, size_t length)
{
    while (length >= NLMSG_HDRLEN) {
        struct nlmsghdr head;
        struct request r = { 0 };
        size_t step;

        memcpy(&head, at, sizeof head);
        if (!check(head.nlmsg_len >= NLMSG_HDRLEN + 4 && head.nlmsg_len <= length, "sent a malformed message"))
            return;
        walk_attributes(at + NLMSG_HDRLEN + 4, head.nlmsg_len - NLMSG_HDRLEN - 4u, look_at_attribute, &r);
        if (head.nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE)) {
            look_at_delete(&r, at[NLMSG_HDRLEN]);
        } else if (head.nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET)) {
            if ((head.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) {
                report.filtered_dumps += r.first != 0;
                report.ipv6_dumps += at[NLMSG_HDRLEN] == CT_FAMILY_IPV6 && (r.flags & (F_IP_SRC | F_IP_DST));
            } else {
                report.look_ups++;
            }
        }
        step = NLMSG_ALIGN(head.nlmsg_len);
        if (step > length)
            step = length;
        at += step;
        length -= step;
    }
}

static void turn_id_into_status(void *context, unsigned type, const unsigned char *data, size_t length)
{
    unsigned char *message = context;
    size_t at = (size_t)(data - message);
    const uint16_t status = CTA_STATUS;

    if (type != CTA_ID)
        return;
    memcpy(message + at - sizeof status, &status, sizeof status);
    memset(message + at, 0, length);
}

/* Makes an update of each delete of a flow table's entry. It would take CONFIRMED away, and for that the answer is EBUSY. */
static void make_refusals(unsigned char *at, size_t length)
{
    while (length >= NLMSG_HDRLEN) {
        struct nlmsghdr head;
        struct ct_entry e = { 0 };
        size_t step;

        memcpy(&head, at, sizeof head);
        step = NLMSG_ALIGN(head.nlmsg_len);
        if (head.nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE)) {
            walk_attributes(at + NLMSG_HDRLEN + 4, head.nlmsg_len - NLMSG_HDRLEN - 4u, read_entry, &e);
            if (is_routed(&e)) {
                walk_attributes(at + NLMSG_HDRLEN + 4, head.nlmsg_len - NLMSG_HDRLEN - 4u, turn_id_into_status, at);
                head.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
                memcpy(at, &head, sizeof head);
            }
        }
        if (step > length)
            step = length;
        at += step;
        length -= step;
    }
}

ssize_t __real_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to,
                      socklen_t to_length);
ssize_t __wrap_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to,
                      socklen_t to_length);

ssize_t __wrap_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to,
                      socklen_t to_length)
{
    static unsigned char changed[1 << 18];
    unsigned before = flushes_sent;
    ssize_t sent;

    if (to && to->sa_family == AF_NETLINK)
        look_at(data, length);
    if (pretended == REFUSING && check(length <= sizeof changed, "sent %zu bytes at once", length)) {
        memcpy(changed, data, length);
        make_refusals(changed, length);
        data = changed;
    }
    sent = __real_sendto(fd, data, length, flags, to, to_length);
    /* The kernel has done by now what was asked for. What it flushed is there again before the library asks for more. */
    if (pretended != AS_IT_IS && flushes_sent != before)
        made_again += offload_flows();
    return sent;
}
