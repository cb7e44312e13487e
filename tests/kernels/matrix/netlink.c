/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Messages, made and sent without the library. */

#include "matrix.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

void put_bytes(struct message *m, const void *data, size_t length)
{
    if (m->length + length + 4 > sizeof m->bytes) {
        errno = EMSGSIZE;
        die("message");
    }
    if (length)
        memcpy(m->bytes + m->length, data, length);
    m->length += length;
    while (m->length % 4)
        m->bytes[m->length++] = 0;
}

void put_attribute(struct message *m, unsigned type, const void *data, size_t length)
{
    struct nlattr head = { .nla_len = (uint16_t)(4 + length), .nla_type = (uint16_t)type };

    put_bytes(m, &head, sizeof head);
    put_bytes(m, data, length);
}

void put_be32(struct message *m, unsigned type, uint32_t value)
{
    value = htonl(value);
    put_attribute(m, type, &value, sizeof value);
}

void put_be16(struct message *m, unsigned type, uint16_t value)
{
    value = htons(value);
    put_attribute(m, type, &value, sizeof value);
}

size_t begin_nest(struct message *m, unsigned type)
{
    size_t start = m->length;

    put_attribute(m, type | NLA_F_NESTED, NULL, 0);
    return start;
}

void end_nest(struct message *m, size_t start)
{
    uint16_t length = (uint16_t)(m->length - start);

    memcpy(m->bytes + start, &length, sizeof length);
}

void begin_message(struct message *m, unsigned kind, unsigned flags, uint8_t family, uint8_t version)
{
    struct nlmsghdr head = { 0 };
    struct nfgenmsg general = { 0 };

    m->length = 0;
    head.nlmsg_type = (uint16_t)((NFNL_SUBSYS_CTNETLINK << 8) | kind);
    head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    general.nfgen_family = family;
    general.version = version;
    put_bytes(m, &head, sizeof head);
    put_bytes(m, &general, sizeof general);
}

void put_tuple(struct message *m, unsigned type, uint8_t family, const void *src, const void *dst, uint8_t proto,
               const uint16_t *ports)
{
    size_t width = family == CT_FAMILY_IPV4 ? 4 : 16;
    size_t tuple = begin_nest(m, type), part = begin_nest(m, CTA_TUPLE_IP);

    if (src)
        put_attribute(m, width == 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, src, width);
    if (dst)
        put_attribute(m, width == 4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, dst, width);
    end_nest(m, part);
    part = begin_nest(m, CTA_TUPLE_PROTO);
    put_attribute(m, CTA_PROTO_NUM, &proto, 1);
    if (ports) {
        put_be16(m, CTA_PROTO_SRC_PORT, ports[0]);
        put_be16(m, CTA_PROTO_DST_PORT, ports[1]);
    }
    end_nest(m, part);
    end_nest(m, tuple);
}

void put_flags(struct message *m, uint32_t flags)
{
    size_t nest = begin_nest(m, CTA_FILTER);

    put_attribute(m, CTA_FILTER_ORIG_FLAGS, &flags, sizeof flags);
    end_nest(m, nest);
}

int open_raw(void)
{
    struct sockaddr_nl own = { .nl_family = AF_NETLINK };
    int size = 4 << 20, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    struct timeval patience = { .tv_sec = 30 };

    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        die("netlink socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void send_bytes(int fd, struct message *m)
{
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    struct iovec part = { .iov_base = m->bytes, .iov_len = m->length };
    struct msghdr all = { .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = &part, .msg_iovlen = 1 };

    /* Not sendto(): that is where the library is looked at. */
    if (sendmsg(fd, &all, 0) != (ssize_t)m->length)
        die("netlink send");
}

void send_raw(int fd, struct message *m)
{
    uint32_t length = (uint32_t)m->length;

    memcpy(m->bytes, &length, sizeof length);
    send_bytes(fd, m);
}

/* The first acknowledgement that comes: the kernel's errno. */
static int answer_of(int fd)
{
    unsigned char answer[8192];
    const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)answer;
    ssize_t length = recv(fd, answer, sizeof answer, 0);
    int code;

    if (length < (ssize_t)(sizeof *head + sizeof code) || head->nlmsg_type != NLMSG_ERROR)
        die("acknowledgement");
    memcpy(&code, answer + sizeof *head, sizeof code);
    return -code;
}

/* Sends a request that asks for an acknowledgement. Returns the kernel's errno. */
int ask(struct message *m)
{
    int fd = open_raw(), code;

    send_raw(fd, m);
    code = answer_of(fd);
    close(fd);
    return code;
}

/* The same for several messages, of which the last asks: an earlier one that is refused is answered before it. */
int ask_batch(struct message *m)
{
    int fd = open_raw(), code;

    send_bytes(fd, m);
    code = answer_of(fd);
    close(fd);
    return code;
}
