/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* The socket, attributes and dumps of the program raw. */

#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

uint8_t received[64 * 1024] __attribute__((aligned(8)));
uint8_t batch[BATCH * REQUEST_MAX] __attribute__((aligned(8)));
uint32_t sequence;

static int fd = -1;

/* --- The socket --- */

void open_socket(void)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK };
    const struct timeval patience = { .tv_sec = 10 };
    const int one = 1, size = 1024 * 1024;

    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("netlink socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

void close_socket(void)
{
    close(fd);
    fd = -1;
}

void send_bytes(const void *bytes, size_t length)
{
    if (send(fd, bytes, length, 0) != (ssize_t)length)
        fail("send: %s", strerror(errno));
}

size_t receive(void)
{
    const ssize_t length = recv(fd, received, sizeof received, MSG_TRUNC);
    if (length < 0)
        fail("recv: %s", strerror(errno));
    if ((size_t)length > sizeof received || (size_t)length < sizeof(struct nlmsghdr))
        fail("a datagram of %zd bytes", length);
    return (size_t)length;
}

const struct nlmsghdr *message_at(size_t at, size_t length)
{
    const struct nlmsghdr *header = (const struct nlmsghdr *)(received + at);
    if (length - at < sizeof *header || header->nlmsg_len < sizeof *header || header->nlmsg_len > length - at)
        fail("a broken message");
    return header;
}

int error_of(const struct nlmsghdr *header)
{
    const struct nlmsgerr *error = (const struct nlmsgerr *)(header + 1);
    return -error->error;
}

/* --- Attributes --- */

size_t put_header(uint8_t *at, uint16_t message, uint16_t flags, uint8_t family, uint8_t version)
{
    const struct nlmsghdr header = {
        .nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | message),
        .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
    };
    const struct nfgenmsg general = { .nfgen_family = family, .version = version };
    memcpy(at, &header, sizeof header);
    memcpy(at + sizeof header, &general, sizeof general);
    return sizeof header + sizeof general;
}

size_t put(uint8_t *bytes, size_t *end, uint16_t type, const void *value, size_t length)
{
    const struct nlattr attr = { .nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = type };
    const size_t at = *end + NLA_HDRLEN;
    memcpy(bytes + *end, &attr, sizeof attr);
    memcpy(bytes + at, value, length);
    *end = at + NLA_ALIGN(length);
    return at;
}

size_t open_nest(uint8_t *bytes, size_t *end, uint16_t type)
{
    const size_t start = *end;
    put(bytes, end, type | NLA_F_NESTED, "", 0);
    return start;
}

void close_nest(uint8_t *bytes, size_t end, size_t start)
{
    const uint16_t length = (uint16_t)(end - start);
    memcpy(bytes + start, &length, sizeof length);
}

void close_request(uint8_t *bytes, size_t end)
{
    const uint32_t length = (uint32_t)end;
    memcpy(bytes, &length, sizeof length);
}

/* --- Dumps --- */

size_t put_wanted(uint8_t *request, uint16_t message, uint16_t flags, struct wanted wanted)
{
    const uint8_t family = wanted.by == IPV4 || wanted.by == SOURCE ? AF_INET : AF_UNSPEC;
    const uint16_t be_zone = htons((uint16_t)wanted.value);
    const uint32_t be_value = htonl(wanted.value);
    size_t end = put_header(request, message, flags, family, 0);

    if (wanted.by == ZONE) {
        put(request, &end, CTA_ZONE, &be_zone, sizeof be_zone);
    } else if (wanted.by == MARK) {
        put(request, &end, CTA_MARK, &be_value, sizeof be_value);
    } else if (wanted.by == SOURCE) {
        /* The bit for the source address, in host byte order; and not in the kernel's public header. */
        const uint32_t source_flag = 1;
        const size_t tuple = open_nest(request, &end, CTA_TUPLE_ORIG);
        const size_t ip = open_nest(request, &end, CTA_TUPLE_IP);
        put(request, &end, CTA_IP_V4_SRC, &be_value, sizeof be_value);
        close_nest(request, end, ip);
        close_nest(request, end, tuple);
        const size_t filter = open_nest(request, &end, CTA_FILTER);
        put(request, &end, CTA_FILTER_ORIG_FLAGS, &source_flag, sizeof source_flag);
        close_nest(request, end, filter);
    }
    close_request(request, end);
    sequence++;
    memcpy(request + offsetof(struct nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
    return end;
}

void start_dump(struct wanted wanted)
{
    uint8_t request[128] = { 0 };
    send_bytes(request, put_wanted(request, IPCTNL_MSG_CT_GET, NLM_F_DUMP, wanted));
}

uint64_t skip_dump(void)
{
    uint64_t bytes = 0;

    for (;;) {
        const size_t length = receive();
        const struct nlmsghdr *header = (const struct nlmsghdr *)received;
        if (header->nlmsg_type == NLMSG_DONE)
            return bytes;
        if (header->nlmsg_type == NLMSG_ERROR)
            fail("dump: %s", strerror(error_of(header)));
        bytes += length;
    }
}

uint32_t walk_dump(void (*each)(const struct nlmsghdr *, void *), void *data)
{
    uint32_t count = 0;

    for (;;) {
        const size_t length = receive();
        for (size_t at = 0; at < length;) {
            const struct nlmsghdr *header = message_at(at, length);
            if (header->nlmsg_type == NLMSG_DONE)
                return count;
            if (header->nlmsg_type == NLMSG_ERROR)
                fail("dump: %s", strerror(error_of(header)));
            count++;
            if (each)
                each(header, data);
            at += NLMSG_ALIGN(header->nlmsg_len);
        }
    }
}

const struct nlattr *find(const struct nlmsghdr *header, uint16_t type)
{
    const uint8_t *bytes = (const uint8_t *)header;
    size_t at = sizeof *header + sizeof(struct nfgenmsg);

    while (at + NLA_HDRLEN <= header->nlmsg_len) {
        const struct nlattr *attr = (const struct nlattr *)(bytes + at);
        if ((attr->nla_type & NLA_TYPE_MASK) == type)
            return attr;
        if (attr->nla_len < NLA_HDRLEN)
            break;
        at += NLA_ALIGN(attr->nla_len);
    }
    fail("an entry without attribute %u", type);
}
