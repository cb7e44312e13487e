/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * The same questions to every kernel: does the library list, delete and flush exactly what was asked for?
 *
 *   matrix [--sets N] [--seed N] [--flow-tables 1] [GROUP...]
 *
 * --flow-tables 1: this kernel must have them.
 *
 * The library is used through ctrack.h only. What it did is judged by three witnesses of this program's own: a plain matcher,
 * a raw netlink dump with its own decoder, and a look at every datagram that the library sends (the program is linked with
 * --wrap=sendto). Nothing is decided by the kernel's version: what it honours is measured here too, by other means.
 *
 * Every group runs in a process and a network namespace of its own, so the library knows nothing of the kernel when it begins.
 * Exit code: 0 all is well, 1 something is not, 2 the tests could not be run.
 */

#define _GNU_SOURCE
#include <ctrack.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Flag bits of CTA_FILTER: no uapi header names them. */
#define F_IP_SRC (1u << 0)
#define F_IP_DST (1u << 1)
#define F_ZONE (1u << 2)
#define F_PROTO (1u << 3)
#define F_SPORT (1u << 4)
#define F_DPORT (1u << 5)

#define PROTO_PLAIN 89 /* OSPF: no tracker knows its ports */
#define ZONE_EMPTY 9   /* no entry is ever made in it */
#define ZONE_SWAPPED 0x0500 /* zone 5 with its bytes swapped */
#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static unsigned sets = 300;
static uint64_t seed = 1;
/* Whether a kernel without flow tables is a failure. */
static unsigned must_have_flow_tables;

/* --- results ---------------------------------------------------------------------------------------------------------- */

/* What a group reports to the process that runs it. */
struct report {
    unsigned long checks, failed;
    /* What the library was seen to send. */
    unsigned long filtered_dumps, ipv6_dumps, look_ups, guarded_flushes, tuple_flushes, deletes;
    /* What the group found out. */
    char note[160];
};

static struct report report;
static const char *group_name = "setup";

static void fail(const char *format, ...)
{
    /* What was sent and what came of it: neither hides the other. */
    static unsigned said[2];
    va_list arguments;

    report.failed++;
    if (++said[strncmp(format, "sent ", 5) == 0] > 10)
        return;
    printf("FAILED %s: ", group_name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* check(condition, format, arguments...) counts, and says what failed. Its value is that of the condition. */
#define check(condition, ...) (report.checks++, (condition) ? 1 : (fail(__VA_ARGS__), 0))

static void die(const char *what)
{
    printf("FAILED %s: %s: %s\n", group_name, what, strerror(errno));
    fflush(stdout);
    _exit(2);
}

static void *need(void *memory)
{
    if (!memory)
        die("memory");
    return memory;
}

/* --- chance ----------------------------------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t random_bits(void)
{
    /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static unsigned below(unsigned n)
{
    return (unsigned)(random_bits() % n);
}

static int one_in(unsigned n)
{
    return below(n) == 0;
}

#define pick(array) ((array)[below(LENGTH(array))])

/* --- raw netlink ------------------------------------------------------------------------------------------------------ */

struct message {
    unsigned char bytes[1024];
    size_t length;
};

static void put_bytes(struct message *m, const void *data, size_t length)
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

static void put_attribute(struct message *m, unsigned type, const void *data, size_t length)
{
    struct nlattr head = {.nla_len = (uint16_t)(4 + length), .nla_type = (uint16_t)type};

    put_bytes(m, &head, sizeof head);
    put_bytes(m, data, length);
}

static void put_be32(struct message *m, unsigned type, uint32_t value)
{
    value = htonl(value);
    put_attribute(m, type, &value, sizeof value);
}

static void put_be16(struct message *m, unsigned type, uint16_t value)
{
    value = htons(value);
    put_attribute(m, type, &value, sizeof value);
}

static size_t begin_nest(struct message *m, unsigned type)
{
    size_t start = m->length;

    put_attribute(m, type | NLA_F_NESTED, NULL, 0);
    return start;
}

static void end_nest(struct message *m, size_t start)
{
    uint16_t length = (uint16_t)(m->length - start);

    memcpy(m->bytes + start, &length, sizeof length);
}

static void begin_message(struct message *m, unsigned kind, unsigned flags, uint8_t family, uint8_t version)
{
    struct nlmsghdr head = {0};
    struct nfgenmsg general = {0};

    m->length = 0;
    head.nlmsg_type = (uint16_t)((NFNL_SUBSYS_CTNETLINK << 8) | kind);
    head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    general.nfgen_family = family;
    general.version = version;
    put_bytes(m, &head, sizeof head);
    put_bytes(m, &general, sizeof general);
}

static void put_tuple(struct message *m, unsigned type, uint8_t family, const void *src, const void *dst, uint8_t proto,
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

static void put_flags(struct message *m, uint32_t flags)
{
    size_t nest = begin_nest(m, CTA_FILTER);

    put_attribute(m, CTA_FILTER_ORIG_FLAGS, &flags, sizeof flags);
    end_nest(m, nest);
}

static int open_raw(void)
{
    struct sockaddr_nl own = {.nl_family = AF_NETLINK};
    int size = 4 << 20, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    struct timeval patience = {.tv_sec = 30};

    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        die("netlink socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void send_bytes(int fd, struct message *m)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct iovec part = {.iov_base = m->bytes, .iov_len = m->length};
    struct msghdr all = {.msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = &part, .msg_iovlen = 1};

    /* Not sendto(): that is where the library is looked at. */
    if (sendmsg(fd, &all, 0) != (ssize_t)m->length)
        die("netlink send");
}

static void send_raw(int fd, struct message *m)
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
static int ask(struct message *m)
{
    int fd = open_raw(), code;

    send_raw(fd, m);
    code = answer_of(fd);
    close(fd);
    return code;
}

/* The same for several messages, of which the last asks: an earlier one that is refused is answered before it. */
static int ask_batch(struct message *m)
{
    int fd = open_raw(), code;

    send_bytes(fd, m);
    code = answer_of(fd);
    close(fd);
    return code;
}

/* --- entries ---------------------------------------------------------------------------------------------------------- */

struct table {
    struct ct_entry *rows;
    size_t count, room;
};

static struct ct_entry *add_row(struct table *t)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 256;
        t->rows = need(realloc(t->rows, t->room * sizeof *t->rows));
    }
    memset(&t->rows[t->count], 0, sizeof *t->rows);
    return &t->rows[t->count++];
}

static void copy_rows(struct table *to, const struct ct_entry *rows, size_t count)
{
    to->count = 0;
    for (size_t i = 0; i < count; i++)
        *add_row(to) = rows[i];
}

/* Calls `visit` for each attribute. */
static void walk_attributes(const unsigned char *at, size_t length,
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

static uint16_t be16(const unsigned char *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t be32(const unsigned char *at)
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
    case CTA_PROTO_NUM: r->entry->proto = data[0]; break;
    case CTA_PROTO_SRC_PORT: r->tuple->sport = be16(data), r->entry->has |= CT_HAS_PORTS; break;
    case CTA_PROTO_DST_PORT: r->tuple->dport = be16(data), r->entry->has |= CT_HAS_PORTS; break;
    case CTA_PROTO_ICMP_ID: case CTA_PROTO_ICMPV6_ID:
        r->tuple->icmp_id = be16(data), r->entry->has |= CT_HAS_ICMP; break;
    case CTA_PROTO_ICMP_TYPE: case CTA_PROTO_ICMPV6_TYPE: r->tuple->icmp_type = data[0]; break;
    case CTA_PROTO_ICMP_CODE: case CTA_PROTO_ICMPV6_CODE: r->tuple->icmp_code = data[0]; break;
    }
}

static void read_tuple(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct tuple_reader *r = context;

    switch (type) {
    case CTA_TUPLE_IP: walk_attributes(data, length, read_address, r); break;
    case CTA_TUPLE_PROTO: walk_attributes(data, length, read_proto, r); break;
    case CTA_TUPLE_ZONE: r->entry->zone = r->tuple->zone = be16(data), r->entry->has |= r->zone_bit; break;
    }
}

static void read_entry(void *context, unsigned type, const unsigned char *data, size_t length)
{
    struct ct_entry *e = context;
    struct tuple_reader orig = {e, &e->orig, CT_HAS_ORIG_ZONE}, reply = {e, &e->reply, CT_HAS_REPLY_ZONE};

    switch (type) {
    case CTA_TUPLE_ORIG: walk_attributes(data, length, read_tuple, &orig); break;
    case CTA_TUPLE_REPLY: walk_attributes(data, length, read_tuple, &reply); break;
    case CTA_STATUS: e->status = be32(data); break;
    case CTA_MARK: e->mark = be32(data); break;
    case CTA_ID: e->id = be32(data); break;
    case CTA_ZONE: e->zone = e->orig.zone = e->reply.zone = be16(data), e->has |= CT_HAS_ZONE; break;
    }
}

/* Dumps what the request asks for, in memory. Returns the errno with which the kernel refuses. */
static int dump_raw(struct message *request, struct table *t)
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
static void dump_all(struct table *t)
{
    struct message m;

    begin_message(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 0, 0);
    if (dump_raw(&m, t) != 0)
        die("raw dump");
}

/* What makes an entry itself, and what this program makes it of, as bytes that can be sorted. */
struct ident {
    unsigned char bytes[128];
};

static struct ident ident_of(const struct ct_entry *e, int with_id)
{
    struct ident ident;
    unsigned char *at = ident.bytes;
    const struct ct_tuple *tuples[2] = {&e->orig, &e->reply};
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

static int compare_idents(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct ident));
}

static struct ident *sorted(const struct ct_entry *rows, size_t count, int with_id)
{
    struct ident *idents = need(malloc((count + 1) * sizeof *idents));

    for (size_t i = 0; i < count; i++)
        idents[i] = ident_of(&rows[i], with_id);
    qsort(idents, count, sizeof *idents, compare_idents);
    return idents;
}

/* Puts the rows into an order of their own: that of a dump is by hash, which differs from boot to boot, and with it would differ
 * what a seed draws. Ids differ too. */
static void put_in_order(struct table *t)
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
static int same_rows(const struct ct_entry *a, size_t a_count, const struct ct_entry *b, size_t b_count, int with_id)
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

/* --- the plain matcher ------------------------------------------------------------------------------------------------ */

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
#define IF(bit, condition) if ((f->match & (bit)) && !(condition)) return 0
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

static int limits_nothing(const struct ct_filter *f)
{
    uint64_t match = f->match;

    if ((match & CT_MATCH_MARK) && f->mark_mask == 0)
        match &= ~CT_MATCH_MARK;
    if ((match & CT_MATCH_STATUS) && (f->status_set | f->status_clear) == 0)
        match &= ~CT_MATCH_STATUS;
    return match == 0;
}

static int selects(const struct ct_filter *f, size_t n, const struct ct_entry *e)
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
static int must_refuse(const struct ct_filter *f, size_t n)
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

/* --- what the kernel honours, measured without the library ------------------------------------------------------------ */

static struct {
    int zone, status, tuple, flush;
    /* 1: right, 0: the wrong way round */
    int ipv6;
    /* Protocols whose ports are tracked. */
    int udplite, sctp, gre;
    unsigned long buckets, max;
} kernel;

static unsigned long read_number(const char *path)
{
    unsigned long number = 0;
    FILE *file = fopen(path, "r");

    if (!file || fscanf(file, "%lu", &number) != 1)
        die(path);
    fclose(file);
    return number;
}

/* --- the look at what the library sends ------------------------------------------------------------------------------- */

/* Set around ct_flush() with CT_FLUSH_ALL: the only call that may send a DELETE without a tuple. */
static int may_flush_all;
/* How many flushes were sent: of everything, and guarded or by tuple. */
static unsigned flushes_sent;

struct request {
    unsigned first;
    int tuple, filter, zone, status, id, v6, ports, complete;
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
    r->ports |= type == CTA_PROTO_SRC_PORT || type == CTA_PROTO_DST_PORT;
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
    case CTA_TUPLE_ORIG: case CTA_TUPLE_REPLY:
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
    case CTA_STATUS: r->status = 1; break;
    case CTA_ID: r->id = 1, r->id_value = be32(data); break;
    }
}

/* What no DELETE of the library may be, whatever the kernel would make of it. */
static void look_at_delete(const struct request *r, uint8_t family)
{
    int is_probe = r->filter && r->flags == F_SPORT && r->id && r->id_value == UINT32_MAX;

    if (!r->tuple) {
        flushes_sent++;
        check(may_flush_all && !r->first, "sent a DELETE without a tuple, which old kernels take for a flush of everything");
        return;
    }
    check(r->first == CTA_TUPLE_ORIG || r->first == CTA_TUPLE_REPLY, "sent a DELETE that does not begin with its tuple");
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
        struct request r = {0};
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

/*
 * Kernels that the ones at hand are not, made of these where the library sends: one whose flush skips the entries of a flow
 * table and says that all is well, and one that refuses to delete them, too.
 */
static enum { AS_IT_IS, SKIPPING, REFUSING } pretended;
static unsigned made_again;

static unsigned offload_flows(void);
static int is_routed(const struct ct_entry *e);

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
        struct ct_entry e = {0};
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

ssize_t __real_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t to_length);
ssize_t __wrap_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t to_length);

ssize_t __wrap_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t to_length)
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

/* --- the table -------------------------------------------------------------------------------------------------------- */

static struct ct_handle *h;
/* What the raw dump says is in the table now. */
static struct table now;

static void reopen(void)
{
    ct_handle_close(h);
    h = NULL;
    if (!check(ct_handle_open(&h, NULL) == 0, "ct_handle_open"))
        _exit(1);
}

static void v4(uint8_t *address, unsigned a, unsigned b, unsigned c, unsigned d)
{
    address[0] = (uint8_t)a;
    address[1] = (uint8_t)b;
    address[2] = (uint8_t)c;
    address[3] = (uint8_t)d;
}

static void v6(uint8_t *address, unsigned net, unsigned subnet, unsigned host)
{
    memset(address, 0, 16);
    address[0] = 0xfd;
    address[1] = (uint8_t)net;
    address[7] = (uint8_t)subnet;
    address[14] = (uint8_t)(host >> 8);
    address[15] = (uint8_t)host;
}

static void mirror(struct ct_entry *e)
{
    static const uint8_t answers[][2] = {{8, 0}, {13, 14}, {128, 129}, {139, 140}};

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

static int has_ports(uint8_t proto)
{
    return proto == CT_PROTO_TCP || proto == CT_PROTO_UDP || proto == CT_PROTO_UDPLITE || proto == CT_PROTO_SCTP ||
           proto == CT_PROTO_GRE;
}

static int is_icmp(uint8_t proto)
{
    return proto == CT_PROTO_ICMP || proto == CT_PROTO_ICMPV6;
}

static int tracks_ports(uint8_t proto)
{
    switch (proto) {
    case CT_PROTO_UDPLITE: return kernel.udplite;
    case CT_PROTO_SCTP: return kernel.sctp;
    case CT_PROTO_GRE: return kernel.gre;
    }
    return has_ports(proto);
}

static void set_zone(struct ct_entry *e, uint64_t kind, unsigned zone)
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
static struct ct_entry flow(uint8_t family, uint8_t proto, unsigned i)
{
    static const uint16_t services[] = {53, 80, 443, 8080};
    static const uint32_t marks[] = {0, 0, 1, 0x10, 0xff, 0x1234, 0x80000001, 0xdeadbeef};
    struct ct_entry e = {.has = CT_HAS_ORIG | CT_HAS_TIMEOUT, .family = family, .proto = proto, .timeout = 100000};
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
static void create(struct table *t, int may_collide)
{
    int32_t *status = need(calloc(t->count + 1, sizeof *status));
    struct ct_result r = {.size = sizeof r};
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

static void flush_everything(void)
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
static void fill(void)
{
    static const struct {
        uint8_t v4, v6;
        unsigned count;
    } protocols[] = {
        {CT_PROTO_TCP, CT_PROTO_TCP, 20},         {CT_PROTO_UDP, CT_PROTO_UDP, 20},  {CT_PROTO_SCTP, CT_PROTO_SCTP, 8},
        {CT_PROTO_UDPLITE, CT_PROTO_UDPLITE, 8},  {CT_PROTO_GRE, CT_PROTO_GRE, 6},   {PROTO_PLAIN, PROTO_PLAIN, 4},
        {CT_PROTO_ICMP, CT_PROTO_ICMPV6, 9},
    };
    static const struct {
        uint64_t kind;
        unsigned zone, part;
    } zones[] = {
        {0, 0, 1},
        {CT_HAS_ZONE, 5, 1},
        {CT_HAS_ZONE, 7, 1},
        {CT_HAS_ZONE, ZONE_SWAPPED, 3},
        {CT_HAS_ORIG_ZONE, 11, 4},
        {CT_HAS_REPLY_ZONE, 13, 4},
        {CT_HAS_ORIG_ZONE, 5, 5},
        {CT_HAS_REPLY_ZONE, 7, 5},
    };
    struct table wanted = {0};

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
static void refill(const struct table *before)
{
    struct table missing = {0};
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

/* --- what is asked of the library ------------------------------------------------------------------------------------- */

static const char *describe(const struct ct_filter *f, size_t n)
{
    static char text[600];
    size_t at = 0;

    at += (size_t)snprintf(text, sizeof text, "%zu filters:", n);
    for (size_t i = 0; i < n && i < 3 && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at,
                               " {%smatch %#llx family %u proto %u zone %u mark %#x/%#x status %#x/%#x prefixes %u %u %u %u}",
                               f[i].flags ? "exclude " : "", (unsigned long long)f[i].match, f[i].family, f[i].proto,
                               f[i].zone, f[i].mark, f[i].mark_mask, f[i].status_set, f[i].status_clear,
                               f[i].orig_src_prefix, f[i].orig_dst_prefix, f[i].reply_src_prefix, f[i].reply_dst_prefix);
    return text;
}

static void expected_of(const struct ct_filter *f, size_t n, struct table *selected, struct table *rest)
{
    selected->count = rest->count = 0;
    for (size_t i = 0; i < now.count; i++)
        *add_row(selects(f, n, &now.rows[i]) ? selected : rest) = now.rows[i];
}

static void expect_list(const char *what, const struct ct_filter *f, size_t n, const struct table *selected)
{
    struct ct_entry *entries = NULL;
    size_t count = 0;
    int ret = ct_list(h, n ? f : NULL, n, &entries, &count);

    if (check(ret == 0, "%s: ct_list of %s: %s", what, describe(f, n), ct_handle_error(h)))
        check(same_rows(entries, count, selected->rows, selected->count, 1),
              "%s: ct_list gave %zu entries, not the %zu that match %s", what, count, selected->count, describe(f, n));
    ct_entries_free(entries);
}

static void expect_dump(const char *what, const struct ct_filter *f, size_t n, const struct table *selected, unsigned cap)
{
    struct ct_entry buffer[100];
    struct table got = {0};
    int ret = ct_dump_start(h, n ? f : NULL, n);

    if (!check(ret == 0, "%s: ct_dump_start of %s: %s", what, describe(f, n), ct_handle_error(h)))
        return;
    while ((ret = ct_dump_next(h, buffer, cap)) > 0)
        for (int i = 0; i < ret; i++)
            *add_row(&got) = buffer[i];
    check(ret == 0, "%s: ct_dump_next: %s", what, ct_handle_error(h));
    check(ct_dump_end(h) == 0, "%s: ct_dump_end: %s", what, ct_handle_error(h));
    check(same_rows(got.rows, got.count, selected->rows, selected->count, 1),
          "%s: the dump gave %zu entries, not the %zu that match %s", what, got.count, selected->count, describe(f, n));
    free(got.rows);
}

static void expect_rest(const char *what, const struct ct_filter *f, size_t n, const struct table *selected,
                        const struct table *rest)
{
    struct table after = {0};

    dump_all(&after);
    check(same_rows(after.rows, after.count, rest->rows, rest->count, 1),
          "%s: %zu entries are left, not the %zu others; %zu matched %s", what, after.count, rest->count, selected->count,
          describe(f, n));
    free(after.rows);
}

/* Deletes by filter: exactly what matches, and the result says so. The table is filled again. */
static void expect_delete(const char *what, const struct ct_filter *f, size_t n, unsigned flags)
{
    struct ct_result r = {.size = sizeof r};
    struct table selected = {0}, rest = {0}, before = {0};
    int refused = must_refuse(f, n), ret;

    copy_rows(&before, now.rows, now.count);
    expected_of(f, n, &selected, &rest);
    ret = ct_delete(h, n ? f : NULL, n, flags, &r);
    if (refused) {
        check(ret == -EINVAL, "%s: ct_delete was not refused (%d) for %s", what, ret, describe(f, n));
        check(r.matched == 0 && r.done == 0, "%s: a refused ct_delete says that it did something", what);
        expect_rest(what, f, n, &selected, &before);
    } else if (check(ret == 0, "%s: ct_delete of %s: %s", what, describe(f, n), ct_handle_error(h))) {
        expect_rest(what, f, n, &selected, &rest);
        if (r.flags & CT_RESULT_UNCOUNTED) {
            check(flags & CT_DELETE_UNCOUNTED, "%s: ct_delete did not count, and was not told so", what);
            check(r.matched == 0 && r.done == 0, "%s: not counted, but the sums are not 0", what);
        } else {
            check(r.matched == selected.count && r.done == selected.count,
                  "%s: ct_delete says matched %llu, done %llu; %zu matched %s", what, (unsigned long long)r.matched,
                  (unsigned long long)r.done, selected.count, describe(f, n));
        }
        check(r.gone == 0 && r.failed == 0 && r.first_error == 0, "%s: ct_delete says gone %llu, failed %llu", what,
              (unsigned long long)r.gone, (unsigned long long)r.failed);
    }
    refill(&before);
    free(selected.rows);
    free(rest.rows);
    free(before.rows);
}

static void expect_flush(const char *what, const struct ct_filter *scope)
{
    struct table selected = {0}, rest = {0}, before = {0};

    copy_rows(&before, now.rows, now.count);
    expected_of(scope, 1, &selected, &rest);
    check(ct_flush(h, scope, 0) == 0, "%s: ct_flush of %s: %s", what, describe(scope, 1), ct_handle_error(h));
    expect_rest(what, scope, 1, &selected, &rest);
    refill(&before);
    free(selected.rows);
    free(rest.rows);
    free(before.rows);
}

/* All that can be done with a filter. `least`: how many entries it must match for the test to mean anything. */
static void expect_all(const char *what, const struct ct_filter *f, size_t n, size_t least)
{
    struct table selected = {0}, rest = {0};

    expected_of(f, n, &selected, &rest);
    check(selected.count >= least, "%s: only %zu entries to test with", what, selected.count);
    expect_list(what, f, n, &selected);
    expect_dump(what, f, n, &selected, 64);
    expect_delete(what, f, n, 0);
    expect_delete(what, f, n, CT_DELETE_UNCOUNTED);
    free(selected.rows);
    free(rest.rows);
}

static struct ct_filter no_filter(void)
{
    struct ct_filter f = {.size = sizeof f};

    return f;
}

/* The filter that pins the original tuple of an entry, without its zone. */
static struct ct_filter tuple_filter(const struct ct_entry *e)
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

static struct ct_filter in_zone(struct ct_filter f, unsigned zone)
{
    f.match |= CT_MATCH_ZONE;
    f.zone = zone;
    return f;
}

/* --- generated filters ------------------------------------------------------------------------------------------------ */

static void random_prefix(uint8_t family, const uint8_t *address, uint8_t *net, uint8_t *prefix)
{
    static const uint8_t prefixes_v4[] = {0, 8, 15, 22, 24, 30, 31, 32, 32, 32, 32};
    static const uint8_t prefixes_v6[] = {0, 8, 16, 48, 64, 96, 120, 127, 128, 128, 128, 128};

    *prefix = family == CT_FAMILY_IPV4 ? pick(prefixes_v4) : pick(prefixes_v6);
    for (unsigned bit = 0; bit < *prefix; bit++)
        net[bit / 8] |= address[bit / 8] & (0x80u >> (bit % 8));
}

static void random_range(uint16_t port, uint16_t *first, uint16_t *last)
{
    *first = *last = port;
    if (one_in(8)) {
        *first = 0;
        *last = 65535;
    } else if (one_in(2)) {
        *first = (uint16_t)(port - below(port < 40 ? port + 1u : 40));
        *last = (uint16_t)(port + below(port > 65000 ? 1 : 40));
    }
}

/* A filter that is taken from an entry, and perhaps from two, so that it matches nothing. */
static struct ct_filter random_filter(void)
{
    static const uint32_t masks[] = {UINT32_MAX, UINT32_MAX, 0xff, 0x0f, 0x80000000, 0xffff0000};
    static const unsigned zones[] = {0, 5, 7, 11, 13, ZONE_SWAPPED, ZONE_EMPTY};
    static const uint32_t bits[] = {CT_STATUS_SEEN_REPLY, CT_STATUS_ASSURED, CT_STATUS_CONFIRMED,
                                    CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED};
    static const uint64_t nothing[] = {0, CT_MATCH_MARK, CT_MATCH_STATUS, CT_MATCH_MARK | CT_MATCH_STATUS};
    const struct ct_entry *e = &now.rows[below((unsigned)now.count)];
    const struct ct_entry *other = one_in(6) ? &now.rows[below((unsigned)now.count)] : e;
    struct ct_filter f = no_filter();
    int address;

    if (one_in(4)) {
        f = tuple_filter(e);
        if (one_in(5))
            f.match |= CT_MATCH_ORIG_ZONE, f.orig_zone = e->orig.zone;
        else if (!one_in(4))
            f = in_zone(f, one_in(4) ? pick(zones) : e->zone);
        return f;
    }
    if (!one_in(3)) {
        f.match |= CT_MATCH_PROTO;
        f.proto = e->proto;
    }
    if (one_in(3) || !f.match)
        f = in_zone(f, one_in(5) ? pick(zones) : other->zone);
    /* With the zone of the same entry, or not at all: others are refused, since no entry has them together. */
    if (one_in(4) && (!(f.match & CT_MATCH_ZONE) || f.zone == e->zone)) {
        if (!one_in(3))
            f.match |= CT_MATCH_ORIG_ZONE, f.orig_zone = e->orig.zone;
        if (!one_in(3))
            f.match |= CT_MATCH_REPLY_ZONE, f.reply_zone = e->reply.zone;
    }
    if (one_in(12))
        f.match |= CT_MATCH_ID, f.id = other->id;
    /* Now and then a filter that looks like one and limits nothing. */
    if (one_in(50)) {
        f = no_filter();
        f.match = pick(nothing);
        return f;
    }
    if (one_in(4)) {
        f.match |= CT_MATCH_MARK;
        f.mark_mask = pick(masks);
        f.mark = other->mark & f.mark_mask;
    }
    if (one_in(4)) {
        f.match |= CT_MATCH_STATUS;
        if (one_in(2))
            f.status_set = pick(bits);
        if (!f.status_set || one_in(3))
            f.status_clear = pick(bits) & ~f.status_set;
    }
    address = !one_in(3);
#define ADDRESS(bit, net, prefix, from) \
    if (address && one_in(3)) { \
        f.match |= (bit); \
        random_prefix(e->family, (from), (net), &(prefix)); \
    }
    if (other->family != e->family)
        other = e;
    ADDRESS(CT_MATCH_ORIG_SRC, f.orig_src, f.orig_src_prefix, e->orig.src)
    ADDRESS(CT_MATCH_ORIG_DST, f.orig_dst, f.orig_dst_prefix, e->orig.dst)
    ADDRESS(CT_MATCH_REPLY_SRC, f.reply_src, f.reply_src_prefix, other->reply.src)
    ADDRESS(CT_MATCH_REPLY_DST, f.reply_dst, f.reply_dst_prefix, other->reply.dst)
#undef ADDRESS
    if (f.match & (CT_MATCH_ORIG_SRC | CT_MATCH_ORIG_DST | CT_MATCH_REPLY_SRC | CT_MATCH_REPLY_DST) || one_in(4)) {
        f.match |= CT_MATCH_FAMILY;
        f.family = e->family;
    }
#define PORTS(bit, first, last, port) \
    if (one_in(4)) { \
        f.match |= (bit); \
        random_range((port), &(first), &(last)); \
    }
    if ((f.match & CT_MATCH_PROTO) && has_ports(f.proto)) {
        PORTS(CT_MATCH_ORIG_SPORT, f.orig_sport_first, f.orig_sport_last, e->orig.sport)
        PORTS(CT_MATCH_ORIG_DPORT, f.orig_dport_first, f.orig_dport_last, e->orig.dport)
        PORTS(CT_MATCH_REPLY_SPORT, f.reply_sport_first, f.reply_sport_last, e->reply.sport)
        PORTS(CT_MATCH_REPLY_DPORT, f.reply_dport_first, f.reply_dport_last, e->reply.dport)
    }
#undef PORTS
    if ((f.match & CT_MATCH_PROTO) && is_icmp(f.proto)) {
        if (one_in(2))
            f.match |= CT_MATCH_ICMP_TYPE, f.icmp_type = e->orig.icmp_type;
        if (one_in(3))
            f.match |= CT_MATCH_ICMP_CODE, f.icmp_code = e->orig.icmp_code;
        if (one_in(2))
            f.match |= CT_MATCH_ICMP_ID, f.icmp_id = e->orig.icmp_id;
    }
    return f;
}

/* A set of filters. Returns how many. */
static size_t random_set(struct ct_filter *f)
{
    static const unsigned one_of[] = {0, CT_FILTER_EXCLUDE};
    unsigned kind = below(40);
    size_t n = kind == 0 ? 0 : kind == 1 ? 1000 : kind < 24 ? 1 + below(3) : 4 + below(37);
    unsigned excludes = one_in(3) ? 4 : 0;
    int pinned = one_in(6), narrow = one_in(4);

    for (size_t i = 0; i < n; i++) {
        const struct ct_entry *e = &now.rows[below((unsigned)now.count)];

        f[i] = pinned ? in_zone(tuple_filter(e), e->zone) : random_filter();
        /* Sets that have something in common are planned in another way than others. */
        if (!pinned && narrow && i > 0 && (f[0].match & CT_MATCH_ZONE) && !(f[i].match & (CT_MATCH_ORIG_ZONE | CT_MATCH_REPLY_ZONE)))
            f[i] = in_zone(f[i], f[0].zone);
        if (excludes && one_in(excludes))
            f[i].flags = pick(one_of);
        if ((f[i].flags & CT_FILTER_EXCLUDE) && limits_nothing(&f[i]))
            f[i].flags = 0;
    }
    return n;
}

static struct ct_filter zone_scope(unsigned zone)
{
    return in_zone(no_filter(), zone);
}

static struct ct_filter with_family(struct ct_filter f, uint8_t family)
{
    f.match |= CT_MATCH_FAMILY;
    f.family = family;
    return f;
}

static struct ct_filter with_mark(struct ct_filter f, uint32_t mark, uint32_t mask)
{
    f.match |= CT_MATCH_MARK;
    f.mark = mark;
    f.mark_mask = mask;
    return f;
}

/* A set that the kernel can delete by alone, by tuple or guarded by one: chance draws such sets too seldom. */
static size_t kernel_set(struct ct_filter *f, int by_tuple)
{
    const struct ct_entry *e;

    do
        e = &now.rows[below((unsigned)now.count)];
    while (e->family != CT_FAMILY_IPV4);
    if (!by_tuple) {
        f[0] = with_mark(with_family(no_filter(), e->family), e->mark & 0x0f, 0x0f);
        return 1;
    }
    f[0] = with_family(no_filter(), e->family);
    f[0].match |= CT_MATCH_PROTO | CT_MATCH_ORIG_DST;
    f[0].proto = e->proto;
    memcpy(f[0].orig_dst, e->orig.dst, sizeof f[0].orig_dst);
    f[0].orig_dst_prefix = 32;
    return 1;
}

static void group_filters(void)
{
    static struct ct_filter f[1000];
    struct table selected = {0}, rest = {0};
    unsigned long empty = 0, everything = 0, refused = 0, deleted = 0, some = 0;
    uint64_t count = 0;

    fill();
    check(ct_count(h, &count) == 0 && count == now.count, "ct_count says %llu, the dump has %zu", (unsigned long long)count,
          now.count);
    expect_list("everything", NULL, 0, &now);
    for (unsigned s = 0; s < sets; s++) {
        /* Both are odd, and below 3 by 5: they are deleted by, uncounted. */
        size_t n = s % 30 == 1 || s % 30 == 11 ? kernel_set(f, s % 30 == 1) : random_set(f);
        char what[64];

        snprintf(what, sizeof what, "set %u of seed %llu", s, (unsigned long long)seed);
        if (s % 50 == 49)
            reopen();
        expected_of(f, n, &selected, &rest);
        empty += selected.count == 0;
        everything += rest.count == 0;
        some += selected.count && rest.count;
        expect_list(what, f, n, &selected);
        expect_dump(what, f, n, &selected, 1 + below(100));
        if (s % 5 == 4) {
            struct ct_entry one;

            /* A dump that is not read to its end leaves nothing behind. */
            check(ct_dump_start(h, n ? f : NULL, n) == 0 && ct_dump_next(h, &one, 1) >= 0 && ct_dump_end(h) == 0,
                  "%s: a dump could not be ended early: %s", what, ct_handle_error(h));
        }
        if (s % 5 < 3 || must_refuse(f, n)) {
            refused += must_refuse(f, n);
            deleted++;
            expect_delete(what, f, n, s % 2 ? CT_DELETE_UNCOUNTED : 0);
        }
        if (report.failed > 100)
            break;
    }
    snprintf(report.note, sizeof report.note,
             "%u sets of seed %llu on %zu entries (%lu select some, %lu none, %lu all), %lu deleted by, %lu of them refused",
             sets, (unsigned long long)seed, now.count, some, empty, everything, deleted, refused);
    if (sets >= 300) {
        check(empty && everything && some >= 100, "the sets are too much alike: %s", report.note);
        check(deleted - refused >= 100 && refused, "too few deletes: %s", report.note);
        check(report.look_ups > 0, "no set was looked up by tuple");
        check(report.guarded_flushes >= 5 && report.tuple_flushes >= (kernel.flush ? 5 : 0),
              "the kernel was let to delete by itself only %lu times guarded and %lu times by tuple", report.guarded_flushes,
              report.tuple_flushes);
    }
    free(selected.rows);
    free(rest.rows);
}

/* --- flushes ---------------------------------------------------------------------------------------------------------- */

static struct ct_filter with_status(struct ct_filter f, uint32_t set, uint32_t clear)
{
    f.match |= CT_MATCH_STATUS;
    f.status_set = set;
    f.status_clear = clear;
    return f;
}

static void refuse_flush(const char *what, const struct ct_filter *scope, unsigned flags)
{
    struct table before = {0};

    dump_all(&before);
    check(ct_flush(h, scope, flags) == -EINVAL, "%s: was not refused", what);
    expect_rest(what, scope, scope != NULL, &before, &before);
    free(before.rows);
}

static void group_flushes(void)
{
    static const unsigned zones[] = {0, 5, 7, 11, 13, ZONE_SWAPPED, ZONE_EMPTY};
    const struct ct_filter none = no_filter();
    struct ct_filter f;

    fill();
    for (size_t i = 0; i < LENGTH(zones); i++) {
        char what[40];

        snprintf(what, sizeof what, "flush of zone %u", zones[i]);
        f = zone_scope(zones[i]);
        expect_flush(what, &f);
        f = with_family(zone_scope(zones[i]), i % 2 ? CT_FAMILY_IPV4 : CT_FAMILY_IPV6);
        expect_flush(what, &f);
        f = with_status(zone_scope(zones[i]), i % 2 ? CT_STATUS_ASSURED : 0, i % 2 ? 0 : CT_STATUS_ASSURED);
        expect_flush(what, &f);
        f = with_mark(zone_scope(zones[i]), 0, 0xf);
        expect_flush(what, &f);
    }
#define FLUSH(what, scope) (f = (scope), expect_flush(what, &f))
    FLUSH("flush of IPv4", with_family(none, CT_FAMILY_IPV4));
    FLUSH("flush of IPv6", with_family(none, CT_FAMILY_IPV6));
    FLUSH("flush of a mark", with_mark(none, 0x1234, UINT32_MAX));
    FLUSH("flush of a masked mark", with_mark(none, 0x0f, 0x0f));
    FLUSH("flush of mark 0", with_mark(none, 0, UINT32_MAX));
    FLUSH("flush of a mark that no entry has", with_mark(none, 0x77, 0xff));
    FLUSH("flush of what is assured", with_status(none, CT_STATUS_ASSURED, 0));
    FLUSH("flush of what is not assured", with_status(none, 0, CT_STATUS_ASSURED));
    FLUSH("flush of what is replied to and not assured", with_status(none, CT_STATUS_SEEN_REPLY, CT_STATUS_ASSURED));
    FLUSH("flush of a family and status", with_family(with_status(none, 0, CT_STATUS_SEEN_REPLY), CT_FAMILY_IPV6));
    FLUSH("flush of a family and mark", with_family(with_mark(none, 1, 1), CT_FAMILY_IPV4));
    FLUSH("flush of a mark and status", with_mark(with_status(none, CT_STATUS_ASSURED, 0), 0xff, 0xff));
    FLUSH("flush of everything that a scope can have",
          with_family(with_mark(with_status(zone_scope(5), CT_STATUS_SEEN_REPLY, 0), 0, 0x80000000), CT_FAMILY_IPV6));
#undef FLUSH
    refuse_flush("a flush of nothing in particular", &none, 0);
    f = with_mark(none, 0, 0);
    refuse_flush("a flush of any mark", &f, 0);
    f = with_status(none, 0, 0);
    refuse_flush("a flush of any status", &f, 0);
    f = zone_scope(5);
    f.match |= CT_MATCH_PROTO;
    f.proto = CT_PROTO_TCP;
    refuse_flush("a flush of a protocol", &f, 0);
    refuse_flush("a flush of NULL", NULL, 0);
    f = zone_scope(5);
    refuse_flush("a flush of a scope and of everything", &f, CT_FLUSH_ALL);
    flush_everything();
}

/* --- traps ------------------------------------------------------------------------------------------------------------ */

static void group_zone_trap(void)
{
    static const unsigned zones[] = {5, 7, 11, 13, ZONE_SWAPPED, ZONE_EMPTY};
    struct ct_filter f;

    fill();
    for (size_t i = 0; i < LENGTH(zones); i++) {
        f = zone_scope(zones[i]);
        expect_flush("a zone is flushed and the others are intact", &f);
        expect_all("a zone is deleted and the others are intact", &f, 1, zones[i] == ZONE_EMPTY ? 0 : 5);
    }
}

static void group_zone_0_trap(void)
{
    struct ct_filter f[2];

    fill();
    f[0] = zone_scope(0);
    expect_flush("zone 0 is flushed and the others are intact", f);
    expect_all("zone 0 is deleted and the others are intact", f, 1, 50);
    f[0] = with_family(zone_scope(0), CT_FAMILY_IPV6);
    expect_all("IPv6 of zone 0", f, 1, 20);
    f[0] = zone_scope(0);
    f[1] = zone_scope(5);
    expect_all("zones 0 and 5", f, 2, 100);
}

static void group_status_trap(void)
{
    struct ct_filter f;

    fill();
    f = with_status(no_filter(), CT_STATUS_ASSURED, 0);
    expect_flush("what is assured is flushed and the rest is intact", &f);
    expect_all("what is assured is deleted and the rest is intact", &f, 1, 50);
    f = with_status(no_filter(), 0, CT_STATUS_ASSURED);
    expect_flush("what is not assured is flushed and the rest is intact", &f);
    expect_all("what is not assured is deleted and the rest is intact", &f, 1, 50);
    f = with_status(no_filter(), 0, CT_STATUS_CONFIRMED);
    expect_all("a status that no entry has", &f, 1, 0);
}

static void group_family_trap(void)
{
    static const uint8_t families[] = {CT_FAMILY_IPV4, CT_FAMILY_IPV6};
    struct ct_filter f;

    fill();
    for (size_t i = 0; i < LENGTH(families); i++) {
        f = with_family(no_filter(), families[i]);
        expect_flush("a family is flushed and the other is intact", &f);
        expect_all("a family is deleted and the other is intact", &f, 1, 100);
        f.match |= CT_MATCH_PROTO;
        f.proto = CT_PROTO_UDP;
        expect_all("a protocol of a family", &f, 1, 20);
    }
}

/* Filters by one whole IPv6 address in each of the four places. */
static struct ct_filter v6_filter(unsigned place, const uint8_t *address)
{
    struct ct_filter f = with_family(no_filter(), CT_FAMILY_IPV6);
    uint8_t *nets[] = {f.orig_src, f.orig_dst, f.reply_src, f.reply_dst};
    uint8_t *prefixes[] = {&f.orig_src_prefix, &f.orig_dst_prefix, &f.reply_src_prefix, &f.reply_dst_prefix};

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
        const uint8_t *addresses[] = {e.orig.src, e.orig.dst, e.reply.src, e.reply.dst};
        struct ct_filter f = v6_filter(place, addresses[place]);

        expect_all(what, &f, 1, least);
        f.match |= CT_MATCH_PROTO;
        f.proto = e.proto;
        expect_all(what, &f, 1, least);
        f = v6_filter(place, nobody);
        expect_all(what, &f, 1, 0);
    }
}

static void group_ipv6_one(void)
{
    struct table one = {0};

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

static void group_ipv6_some(void)
{
    fill();
    ipv6_addresses("exact addresses of IPv6 in a mixed table", 1);
}

/*
 * So many entries that it would pay for the library to let the kernel match addresses: it is given every chance to find out
 * how this one does it, from a table that can show it and from others that cannot.
 */
static void group_ipv6_many(void)
{
    struct table many = {0}, selected = {0}, rest = {0};
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
    snprintf(report.note, sizeof report.note, "%zu entries in %lu buckets; the kernel is %s for addresses of IPv6", now.count,
             kernel.buckets, pushed ? "asked" : "not asked");
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
static void group_ipv6_after_empty(void)
{
    struct table one = {0}, nothing = {0};
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

static void group_ports_trap(void)
{
    static const uint8_t protocols[] = {CT_PROTO_SCTP, CT_PROTO_UDPLITE, CT_PROTO_GRE, CT_PROTO_TCP, CT_PROTO_UDP};

    fill();
    for (size_t p = 0; p < LENGTH(protocols); p++)
        for (unsigned v = 0; v < 2; v++) {
            struct ct_filter f = with_family(no_filter(), v ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4);
            size_t least = tracks_ports(protocols[p]) ? 1 : 0;
            char what[48];

            snprintf(what, sizeof what, "ports of protocol %u", protocols[p]);
            f.match |= CT_MATCH_PROTO | CT_MATCH_ORIG_DPORT;
            f.proto = protocols[p];
            f.orig_dport_first = f.orig_dport_last = 80;
            expect_all(what, &f, 1, least);
            f.match |= CT_MATCH_ORIG_SPORT;
            f.orig_sport_first = f.orig_sport_last = 1024;
            expect_all(what, &f, 1, least);
            f.orig_sport_last = 1030;
            expect_all(what, &f, 1, least);
            f = with_family(no_filter(), v ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4);
            f.match |= CT_MATCH_PROTO | CT_MATCH_REPLY_SPORT;
            f.proto = protocols[p];
            f.reply_sport_first = f.reply_sport_last = 443;
            expect_all(what, &f, 1, least);
            f.reply_sport_first = f.reply_sport_last = 444;
            expect_all("ports that no entry has", &f, 1, 0);
        }
}

/* Addresses with excluding filters, prefixes and ranges: what a flush by the kernel cannot say exactly. */
static void group_inexact_trap(void)
{
    struct ct_filter f[2], exclude;

    fill();
    f[0] = with_family(no_filter(), CT_FAMILY_IPV4);
    f[0].match |= CT_MATCH_ORIG_SRC;
    f[0].orig_src_prefix = 24;
    v4(f[0].orig_src, 10, 1, 1, 0);
    expect_all("a prefix of IPv4", f, 1, 10);
    f[0].orig_src_prefix = 32;
    v4(f[0].orig_src, 10, 1, 1, 2);
    expect_all("an address of IPv4", f, 1, 10);
    exclude = zone_scope(5);
    exclude.flags = CT_FILTER_EXCLUDE;
    f[1] = exclude;
    expect_all("an address of IPv4, but not in zone 5", f, 2, 10);
    f[0] = zone_scope(5);
    f[1] = with_mark(no_filter(), 0x10, 0xf0);
    f[1].flags = CT_FILTER_EXCLUDE;
    expect_all("a zone without a mark", f, 2, 10);
    f[0] = with_family(no_filter(), CT_FAMILY_IPV4);
    f[0].match |= CT_MATCH_PROTO | CT_MATCH_ORIG_SPORT;
    f[0].proto = CT_PROTO_TCP;
    f[0].orig_sport_first = 1024;
    f[0].orig_sport_last = 1050;
    expect_all("a range of ports", f, 1, 5);
    f[0].match = CT_MATCH_FAMILY | CT_MATCH_PROTO | CT_MATCH_ICMP_TYPE;
    f[0].proto = CT_PROTO_ICMP;
    f[0].orig_sport_first = f[0].orig_sport_last = 0;
    f[0].icmp_type = 13;
    expect_all("a type of ICMP", f, 1, 3);
    f[0].match |= CT_MATCH_ICMP_ID;
    f[0].icmp_id = 1;
    expect_all("a type and id of ICMP", f, 1, 1);
    f[0].match = CT_MATCH_PROTO | CT_MATCH_ICMP_ID;
    f[0].family = 0;
    f[0].icmp_type = 0;
    expect_all("an id of ICMP without a family", f, 1, 1);
}

/*
 * Two addresses in a table so large that a walk for each of them pays, and entries that both filters select: the second walk
 * brings them once more.
 */
static void group_overlap(void)
{
    struct table many = {0}, selected = {0}, rest = {0};
    unsigned wanted = (unsigned)kernel.buckets / 32 + 600;
    unsigned long pushed;
    struct ct_filter f[2];

    flush_everything();
    for (unsigned i = 0; i < wanted; i++) {
        struct ct_entry *e = add_row(&many);

        *e = flow(CT_FAMILY_IPV4, CT_PROTO_UDP, i);
        v4(e->orig.src, 10, 3, 0, 1 + i % 6);
        v4(e->orig.dst, 10, 4, 0, 1 + i % 15);
        e->orig.sport = (uint16_t)(1024 + i);
        mirror(e);
    }
    create(&many, 0);
    dump_all(&now);
    for (unsigned k = 0; k < 2; k++) {
        f[k] = with_family(no_filter(), CT_FAMILY_IPV4);
        f[k].match |= k ? CT_MATCH_ORIG_DST : CT_MATCH_ORIG_SRC;
    }
    v4(f[0].orig_src, 10, 3, 0, 1);
    f[0].orig_src_prefix = 32;
    v4(f[1].orig_dst, 10, 4, 0, 1);
    f[1].orig_dst_prefix = 32;
    pushed = report.filtered_dumps;
    expected_of(f, 2, &selected, &rest);
    expect_list("two addresses that entries share", f, 2, &selected);
    if (kernel.tuple)
        check(report.filtered_dumps >= pushed + 2, "the kernel was not asked for each of the two addresses");
    expect_all("two addresses that entries share", f, 2, 100);
    free(many.rows);
    free(selected.rows);
    free(rest.rows);
}

static void group_directions_trap(void)
{
    static const struct {
        uint64_t kind;
        unsigned zone;
    } kinds[] = {{CT_HAS_ORIG_ZONE, 5}, {CT_HAS_ORIG_ZONE, 11}, {CT_HAS_REPLY_ZONE, 7}, {CT_HAS_REPLY_ZONE, 13}};

    fill();
    for (size_t k = 0; k < LENGTH(kinds); k++)
        for (unsigned protocol = 0; protocol < 3; protocol++) {
            static const uint8_t protocols[] = {CT_PROTO_TCP, CT_PROTO_SCTP, CT_PROTO_ICMPV6};
            struct ct_entry e = {0}, got;
            struct ct_filter f;

            for (size_t i = 0; i < now.count && !e.proto; i++)
                if ((now.rows[i].has & kinds[k].kind) && now.rows[i].zone == kinds[k].zone &&
                    now.rows[i].proto == protocols[protocol])
                    e = now.rows[i];
            if (!check(e.proto, "no entry with a zone in one direction to test with"))
                continue;
            f = in_zone(tuple_filter(&e), e.zone);
            expect_all("a whole tuple with a zone in one direction", &f, 1, 1);
            f.zone = 0;
            expect_all("the same tuple with zone 0", &f, 1, 0);
            f = tuple_filter(&e);
            expect_all("the same tuple without a zone", &f, 1, 1);
            /* expect_all() made it again, with another id. */
            e.has |= CT_HAS_ORIG | CT_HAS_REPLY;
            e.mark = e.status = e.id = 0;
            check(ct_get(h, &e, &got) == 0 && got.zone == e.zone && (got.has & kinds[k].kind),
                  "ct_get does not find an entry with a zone in one direction: %s", ct_handle_error(h));
        }
}

/* The same tuple in zone 0 and others: an old kernel takes a tuple without a zone for that of zone 0. */
static void group_tuple_zone_trap(void)
{
    static const uint8_t protocols[] = {CT_PROTO_TCP, CT_PROTO_UDP, CT_PROTO_SCTP, CT_PROTO_ICMP};

    fill();
    for (size_t p = 0; p < LENGTH(protocols); p++) {
        struct ct_entry e = {0};
        struct table same = {0}, rest = {0};
        struct ct_filter f;

        for (size_t i = 0; i < now.count && same.count < 3; i++)
            if (now.rows[i].family == CT_FAMILY_IPV4 && now.rows[i].proto == protocols[p] && !now.rows[i].zone) {
                e = now.rows[i];
                f = tuple_filter(&e);
                expected_of(&f, 1, &same, &rest);
            }
        check(same.count >= 3, "no tuple that three zones hold, protocol %u", protocols[p]);
        f = in_zone(tuple_filter(&e), 0);
        expect_all("a whole tuple in zone 0", &f, 1, 1);
        f.zone = 5;
        expect_all("a whole tuple in zone 5", &f, 1, 1);
        f.zone = 7;
        expect_all("a whole tuple in zone 7", &f, 1, 1);
        f.zone = ZONE_EMPTY;
        expect_all("a whole tuple in a zone without entries", &f, 1, 0);
        f = tuple_filter(&e);
        expect_all("a whole tuple in every zone", &f, 1, 3);
        free(same.rows);
        free(rest.rows);
    }
}

/*
 * Two entries, of which the one's reply carries the other's tuple, both in zone 0: zones for one direction only make that
 * possible. The kernel's look-up knows no direction and finds the one that was made last.
 */
static void make_pair(struct ct_entry *pair, int swapped)
{
    struct table two = {0};

    flush_everything();
    pair[0] = flow(CT_FAMILY_IPV4, CT_PROTO_UDP, 3);
    pair[1] = pair[0];
    pair[1].orig = pair[0].reply;
    pair[1].reply = pair[0].orig;
    set_zone(&pair[0], CT_HAS_REPLY_ZONE, 7);
    set_zone(&pair[1], CT_HAS_ORIG_ZONE, 5);
    *add_row(&two) = pair[swapped];
    *add_row(&two) = pair[!swapped];
    create(&two, 0);
    dump_all(&now);
    free(two.rows);
}

static void group_reversed_trap(void)
{
    for (int swapped = 0; swapped < 2; swapped++)
        for (int i = 0; i < 2; i++) {
            struct table selected = {0}, rest = {0};
            struct ct_result r = {.size = sizeof r};
            struct ct_entry pair[2], key, got;
            struct ct_filter f;
            int32_t status[1];
            const char *what = i == swapped ? "a tuple that an entry made later has as its reply"
                                            : "a tuple that an entry made before has as its reply";

            make_pair(pair, swapped);
            key = pair[i];
            key.has &= ~(uint64_t)(CT_HAS_MARK | CT_HAS_STATUS | CT_HAS_TIMEOUT);
            key.mark = key.status = key.timeout = 0;
            f = in_zone(tuple_filter(&key), key.zone);
            expected_of(&f, 1, &selected, &rest);
            expect_list(what, &f, 1, &selected);
            expect_dump(what, &f, 1, &selected, 64);
            check(ct_get(h, &key, &got) == 0 && memcmp(&got.orig, &key.orig, sizeof key.orig) == 0, "%s: ct_get: %s", what,
                  ct_handle_error(h));
            expect_delete(what, &f, 1, 0);
            make_pair(pair, swapped);
            expect_delete(what, &f, 1, CT_DELETE_UNCOUNTED);
            make_pair(pair, swapped);
            /* By zone alone there is no look-up; the delete itself must find the right one. */
            f = zone_scope(key.zone);
            expect_delete(what, &f, 1, 0);
            make_pair(pair, swapped);
            expected_of(&f, 1, &selected, &rest);
            check(ct_delete_entries(h, &key, 1, status, &r) == 0 && status[0] == 0, "%s: ct_delete_entries: status %d", what,
                  status[0]);
            expect_rest("ct_delete_entries", &f, 1, &selected, &rest);
            free(selected.rows);
            free(rest.rows);
        }
}

/* --- the guard -------------------------------------------------------------------------------------------------------- */

static void put_guard(struct message *m, uint8_t family)
{
    static const uint8_t zero[16];
    size_t nest;

    put_tuple(m, CTA_TUPLE_ORIG, family, zero, zero, 0, NULL);
    nest = begin_nest(m, CTA_FILTER);
    end_nest(m, nest);
}

/* The message that scoped flushes rest on, without the library: kernels that cannot do it must refuse it and delete nothing. */
static void group_guard(void)
{
    static const uint8_t families[] = {0, CT_FAMILY_IPV4, CT_FAMILY_IPV6};

    fill();
    for (size_t i = 0; i < LENGTH(families); i++)
        for (unsigned kind = 0; kind < 3; kind++) {
            struct table selected = {0}, rest = {0}, before = {0};
            struct ct_filter f = no_filter();
            struct message m;
            int code;

            begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, families[i], 1);
            put_guard(&m, families[i] ? families[i] : CT_FAMILY_IPV4);
            if (families[i])
                f = with_family(f, families[i]);
            if (kind == 0) {
                put_be16(&m, CTA_ZONE, 5);
                f = in_zone(f, 5);
            } else if (kind == 1) {
                put_be32(&m, CTA_STATUS, CT_STATUS_ASSURED);
                f = with_status(f, CT_STATUS_ASSURED, 0);
            } else {
                put_be32(&m, CTA_MARK, 1);
                put_be32(&m, CTA_MARK_MASK, 1);
                f = with_mark(f, 1, 1);
            }
            copy_rows(&before, now.rows, now.count);
            expected_of(&f, 1, &selected, &rest);
            code = ask(&m);
            if (kernel.flush) {
                check(code == 0, "the guarded flush was refused with %d by a kernel that flushes by tuple", code);
                expect_rest("the guarded flush", &f, 1, &selected, &rest);
            } else {
                check(code == ENOENT || code == EOPNOTSUPP, "the guarded flush was answered with %d", code);
                expect_rest("the guarded flush, refused", &f, 1, &selected, &before);
            }
            refill(&before);
            free(before.rows);
            free(selected.rows);
            free(rest.rows);
        }
}

/* What the guard is for. Nothing here uses the library: it shows that the traps are there to fall into, on this kernel. */
static void group_naive(void)
{
    struct table before = {0}, selected = {0}, rest = {0};
    struct ct_filter f = zone_scope(5);
    struct message m;
    size_t left_zone, left_status, left_family;

    fill();
    copy_rows(&before, now.rows, now.count);
    expected_of(&f, 1, &selected, &rest);
    begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, 0, 1);
    put_be16(&m, CTA_ZONE, 5);
    ask(&m);
    dump_all(&now);
    left_zone = now.count;
    check(kernel.zone ? left_zone == rest.count : left_zone == 0, "a naive flush of zone 5 left %zu of %zu", left_zone,
          before.count);
    refill(&before);
    copy_rows(&before, now.rows, now.count);
    f = with_status(no_filter(), CT_STATUS_ASSURED, 0);
    expected_of(&f, 1, &selected, &rest);
    begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, 0, 1);
    put_be32(&m, CTA_STATUS, CT_STATUS_ASSURED);
    ask(&m);
    dump_all(&now);
    left_status = now.count;
    check(kernel.status ? left_status == rest.count : left_status == 0, "a naive flush of what is assured left %zu of %zu",
          left_status, before.count);
    refill(&before);
    copy_rows(&before, now.rows, now.count);
    begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, CT_FAMILY_IPV6, 0);
    ask(&m);
    dump_all(&now);
    left_family = now.count;
    check(left_family == 0, "a naive flush of IPv6 left %zu of %zu", left_family, before.count);
    snprintf(report.note, sizeof report.note,
             "naive messages leave of %zu entries: zone 5 %zu, assured %zu, IPv6 %zu", before.count, left_zone, left_status,
             left_family);
    free(before.rows);
    free(selected.rows);
    free(rest.rows);
}

/* --- reuse ------------------------------------------------------------------------------------------------------------ */

static void group_reuse(void)
{
    struct ct_entry *entries = NULL;
    size_t count = 0;
    int32_t *status;
    struct ct_result r = {.size = sizeof r};
    struct table nothing = {0}, before = {0};

    fill();
    copy_rows(&before, now.rows, now.count);
    if (!check(ct_list(h, NULL, 0, &entries, &count) == 0 && count == now.count, "ct_list: %s", ct_handle_error(h)))
        return;
    status = need(calloc(count, sizeof *status));
    for (size_t i = 0; i < count; i++)
        entries[i].id ^= 1u << (i % 32);
    check(ct_delete_entries(h, entries, count, status, &r) == 0, "ct_delete_entries: %s", ct_handle_error(h));
    for (size_t i = 0; i < count; i++)
        check(status[i] == -ENOENT, "an entry with another id has status %d", status[i]);
    check(r.matched == count && r.gone == count && r.done == 0 && r.failed == 0, "gone %llu, done %llu, of %zu",
          (unsigned long long)r.gone, (unsigned long long)r.done, count);
    expect_rest("delete of entries with other ids", NULL, 0, &nothing, &before);
    /* The same entries in a zone that they are not in. */
    for (size_t i = 0; i < count; i++) {
        entries[i].id ^= 1u << (i % 32);
        entries[i].has &= ~(uint64_t)(CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE);
        entries[i].has |= CT_HAS_ZONE;
        entries[i].zone = entries[i].orig.zone = entries[i].reply.zone = ZONE_EMPTY;
    }
    check(ct_delete_entries(h, entries, count, status, &r) == 0 && r.gone == count, "entries of another zone: gone %llu",
          (unsigned long long)r.gone);
    expect_rest("delete of entries of another zone", NULL, 0, &nothing, &before);
    ct_entries_free(entries);
    entries = NULL;
    check(ct_list(h, NULL, 0, &entries, &count) == 0, "ct_list: %s", ct_handle_error(h));
    check(ct_delete_entries(h, entries, count, status, &r) == 0 && r.done == count, "deleted %llu of %zu",
          (unsigned long long)r.done, count);
    expect_rest("delete of all entries one by one", NULL, 0, &before, &nothing);
    check(ct_delete_entries(h, entries, count, status, &r) == 0 && r.gone == count, "gone %llu of %zu the second time",
          (unsigned long long)r.gone, count);
    ct_entries_free(entries);
    free(status);
    free(before.rows);
}

/* --- a router with a flow table ---------------------------------------------------------------------------------------- */

/*
 * It routes between two tun devices: what this program writes to one comes out at the other. Its flow table takes over every
 * flow that it forwards. Only so does an entry get CT_STATUS_OFFLOAD: ctnetlink lets nobody set it.
 */
static int sides[2];

enum { FLOWS = 4 };

static int write_number(const char *path, int number)
{
    FILE *file = fopen(path, "w");
    int failed;

    if (!file)
        return -1;
    failed = fprintf(file, "%d\n", number) < 0;
    return fclose(file) != 0 || failed ? -1 : 0;
}

static void side_address(unsigned side, unsigned host, uint8_t family, uint8_t *address)
{
    if (family == CT_FAMILY_IPV4)
        v4(address, 10, 1 + side, 0, host);
    else
        v6(address, 1 + side, 0, host);
}

/* Returns 0, or -1 with errno. */
static int open_side(unsigned side)
{
    struct ifreq request = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct in6_ifreq request6 = {.ifr6_prefixlen = 64};
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), control6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    sides[side] = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (sides[side] < 0 || control < 0 || control6 < 0)
        return -1;
    snprintf(request.ifr_name, sizeof request.ifr_name, "side%u", side);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(sides[side], TUNSETIFF, &request) < 0)
        return -1;
    side_address(side, 1, CT_FAMILY_IPV4, (uint8_t *)&address.sin_addr);
    memcpy(&request.ifr_addr, &address, sizeof address);
    if (ioctl(control, SIOCSIFADDR, &request) < 0)
        return -1;
    address.sin_addr.s_addr = htonl(0xffffff00);
    memcpy(&request.ifr_netmask, &address, sizeof address);
    if (ioctl(control, SIOCSIFNETMASK, &request) < 0)
        return -1;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(control, SIOCSIFFLAGS, &request) < 0 || ioctl(control, SIOCGIFINDEX, &request) < 0)
        return -1;
    side_address(side, 1, CT_FAMILY_IPV6, (uint8_t *)&request6.ifr6_addr);
    request6.ifr6_ifindex = request.ifr_ifindex;
    if (ioctl(control6, SIOCSIFADDR, &request6) < 0)
        return -1;
    close(control);
    close(control6);
    return 0;
}

static size_t begin_part(struct message *m, unsigned type, unsigned flags, uint8_t family, uint16_t subsystem)
{
    struct nlmsghdr head = {.nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
    struct nfgenmsg general = {.nfgen_family = family, .res_id = htons(subsystem)};
    size_t start = m->length;

    put_bytes(m, &head, sizeof head);
    put_bytes(m, &general, sizeof general);
    return start;
}

static size_t begin_nft(struct message *m, unsigned kind, unsigned flags)
{
    return begin_part(m, NFNL_SUBSYS_NFTABLES << 8 | kind, NLM_F_CREATE | flags, NFPROTO_INET, 0);
}

static void end_part(struct message *m, size_t start)
{
    uint32_t length = (uint32_t)(m->length - start);

    memcpy(m->bytes + start, &length, sizeof length);
}

static void put_name(struct message *m, unsigned type, const char *name)
{
    put_attribute(m, type, name, strlen(name) + 1);
}

/*
 * table inet f {
 *     flowtable ft { hook ingress priority 0; devices = { side0, side1 }; }
 *     chain forward { type filter hook forward priority 0; flow add @ft; }
 * }
 * Returns the kernel's errno: 0, or why there is none.
 */
static int make_flow_table(void)
{
    struct message m = {.length = 0};
    size_t part, nest, inner, element;

    end_part(&m, begin_part(&m, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    part = begin_nft(&m, NFT_MSG_NEWTABLE, 0);
    put_name(&m, NFTA_TABLE_NAME, "f");
    end_part(&m, part);
    part = begin_nft(&m, NFT_MSG_NEWFLOWTABLE, 0);
    put_name(&m, NFTA_FLOWTABLE_TABLE, "f");
    put_name(&m, NFTA_FLOWTABLE_NAME, "ft");
    nest = begin_nest(&m, NFTA_FLOWTABLE_HOOK);
    put_be32(&m, NFTA_FLOWTABLE_HOOK_NUM, NF_NETDEV_INGRESS);
    put_be32(&m, NFTA_FLOWTABLE_HOOK_PRIORITY, 0);
    inner = begin_nest(&m, NFTA_FLOWTABLE_HOOK_DEVS);
    put_name(&m, NFTA_DEVICE_NAME, "side0");
    put_name(&m, NFTA_DEVICE_NAME, "side1");
    end_nest(&m, inner);
    end_nest(&m, nest);
    end_part(&m, part);
    part = begin_nft(&m, NFT_MSG_NEWCHAIN, 0);
    put_name(&m, NFTA_CHAIN_TABLE, "f");
    put_name(&m, NFTA_CHAIN_NAME, "forward");
    put_name(&m, NFTA_CHAIN_TYPE, "filter");
    nest = begin_nest(&m, NFTA_CHAIN_HOOK);
    put_be32(&m, NFTA_HOOK_HOOKNUM, NF_INET_FORWARD);
    put_be32(&m, NFTA_HOOK_PRIORITY, 0);
    end_nest(&m, nest);
    end_part(&m, part);
    part = begin_nft(&m, NFT_MSG_NEWRULE, NLM_F_APPEND | NLM_F_ACK);
    put_name(&m, NFTA_RULE_TABLE, "f");
    put_name(&m, NFTA_RULE_CHAIN, "forward");
    nest = begin_nest(&m, NFTA_RULE_EXPRESSIONS);
    element = begin_nest(&m, NFTA_LIST_ELEM);
    put_name(&m, NFTA_EXPR_NAME, "flow_offload");
    inner = begin_nest(&m, NFTA_EXPR_DATA);
    put_name(&m, NFTA_FLOW_TABLE_NAME, "ft");
    end_nest(&m, inner);
    end_nest(&m, element);
    end_nest(&m, nest);
    end_part(&m, part);
    end_part(&m, begin_part(&m, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    return ask_batch(&m);
}

/* Returns what is missing for it, or NULL. */
static const char *make_router(void)
{
    int code;

    if (open_side(0) < 0 || open_side(1) < 0)
        return "tun devices";
    if (write_number("/proc/sys/net/ipv4/ip_forward", 1) < 0 || write_number("/proc/sys/net/ipv6/conf/all/forwarding", 1) < 0)
        return "forwarding";
    code = make_flow_table();
    errno = code;
    return code ? "flow tables" : NULL;
}

/* Flow number `i`: UDP and TCP, of both families. */
static struct ct_entry routed(unsigned i)
{
    uint8_t family = i % 2 ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4;
    struct ct_entry e = {.has = CT_HAS_ORIG | CT_HAS_PORTS, .family = family, .proto = i < 2 ? CT_PROTO_UDP : CT_PROTO_TCP};

    side_address(0, 2, family, e.orig.src);
    side_address(1, 2, family, e.orig.dst);
    e.orig.sport = (uint16_t)(900 + i);
    e.orig.dport = 80;
    mirror(&e);
    return e;
}

/* Whether an entry, or what a message says of it, is that of a flow. */
static int is_routed(const struct ct_entry *e)
{
    for (unsigned i = 0; i < FLOWS; i++) {
        struct ct_entry own = routed(i);

        if (e->proto == own.proto && (memcmp(&e->orig, &own.orig, sizeof own.orig) == 0 ||
                                      memcmp(&e->reply, &own.reply, sizeof own.reply) == 0))
            return 1;
    }
    return 0;
}

static uint16_t sum_of(const unsigned char *data, size_t length, uint32_t sum)
{
    for (size_t i = 0; i < length; i++)
        sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static void set_be16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

#define TCP_SYN 0x02u
#define TCP_ACK 0x10u

/* A packet of the flow without data, from the one who began it or the other. Returns its length. */
static size_t build_packet(unsigned char *packet, const struct ct_entry *e, int reply, unsigned tcp_flags)
{
    const struct ct_tuple *t = reply ? &e->reply : &e->orig;
    size_t head = e->family == CT_FAMILY_IPV4 ? 20 : 40, length = e->proto == CT_PROTO_TCP ? 20 : 8;
    size_t width = e->family == CT_FAMILY_IPV4 ? 4 : 16;
    unsigned char *addresses = packet + (width == 4 ? 12 : 8), *body = packet + head;

    memset(packet, 0, head + length);
    memcpy(addresses, t->src, width);
    memcpy(addresses + width, t->dst, width);
    set_be16(body, t->sport);
    set_be16(body + 2, t->dport);
    if (e->proto == CT_PROTO_TCP) {
        /* The one counts from 1000, the other from 5000. */
        set_be16(body + 6, (reply ? 5000 : 1000) + !(tcp_flags & TCP_SYN));
        if (tcp_flags & TCP_ACK)
            set_be16(body + 10, reply ? 1001 : 5001);
        body[12] = 5 << 4;
        body[13] = (unsigned char)tcp_flags;
        set_be16(body + 14, 1000);
    } else {
        set_be16(body + 4, (unsigned)length);
    }
    set_be16(body + (e->proto == CT_PROTO_TCP ? 16 : 6),
             ~(unsigned)sum_of(body, length, sum_of(addresses, 2 * width, e->proto + (uint32_t)length)));
    if (width == 4) {
        packet[0] = 0x45;
        set_be16(packet + 2, (unsigned)(head + length));
        packet[8] = 64;
        packet[9] = e->proto;
        set_be16(packet + 10, ~(unsigned)sum_of(packet, head, 0));
    } else {
        packet[0] = 0x60;
        set_be16(packet + 4, (unsigned)length);
        packet[6] = e->proto;
        packet[7] = 64;
    }
    return head + length;
}

/* Sends a packet into the router and takes it out on the other side. */
static void send_through(const struct ct_entry *e, int reply, unsigned tcp_flags)
{
    unsigned char packet[64], got[2048];
    size_t length = build_packet(packet, e, reply, tcp_flags), head = e->family == CT_FAMILY_IPV4 ? 20 : 40;
    struct pollfd out = {.fd = sides[!reply], .events = POLLIN};

    if (write(sides[reply], packet, length) != (ssize_t)length)
        die("write to tun");
    /* Not all that comes is ours: IPv6 says hello on every device. */
    while (poll(&out, 1, 30000) == 1)
        if (read(sides[!reply], got, sizeof got) == (ssize_t)length && memcmp(got + head, packet + head, length - head) == 0)
            return;
    errno = ETIMEDOUT;
    die("the router lost a packet");
}

static void begin_flow(const struct ct_entry *e)
{
    unsigned tcp = e->proto == CT_PROTO_TCP;

    send_through(e, 0, tcp * TCP_SYN);
    send_through(e, 1, tcp * (TCP_SYN | TCP_ACK));
    for (int i = 0; i < 2; i++) {
        send_through(e, 0, tcp * TCP_ACK);
        send_through(e, 1, tcp * TCP_ACK);
    }
}

static int mark_flow(const struct ct_entry *e, uint32_t mark)
{
    uint16_t ports[2] = {e->orig.sport, e->orig.dport};
    struct message m;

    begin_message(&m, IPCTNL_MSG_CT_NEW, NLM_F_ACK, e->family, 0);
    put_tuple(&m, CTA_TUPLE_ORIG, e->family, e->orig.src, e->orig.dst, e->proto, ports);
    put_be32(&m, CTA_MARK, mark);
    return ask(&m);
}

/* Lets the flow table take over those flows that it has not. Half of them have mark 0x10. Returns how many were taken over. */
static unsigned offload_flows(void)
{
    struct table t = {0};
    unsigned made = 0;

    for (unsigned i = 0; i < FLOWS; i++) {
        struct ct_entry e = routed(i);
        int offloaded = 0;

        for (unsigned round = 0; round < 300 && !offloaded; round++) {
            /* It keeps a flow whose entry was deleted until it next collects garbage, and may take no other meanwhile. */
            if (round > 1)
                usleep(100000);
            dump_all(&t);
            for (size_t k = 0; k < t.count; k++)
                offloaded |= (t.rows[k].status & CT_STATUS_OFFLOAD) && memcmp(&t.rows[k].orig, &e.orig, sizeof e.orig) == 0;
            if (!offloaded)
                begin_flow(&e);
            made += !offloaded && !round;
        }
        check(offloaded && mark_flow(&e, i % 3 ? 0 : 0x10) == 0, "the flow table has not taken over flow %u", i);
    }
    free(t.rows);
    return made;
}

/* --- nat -------------------------------------------------------------------------------------------------------------- */

/* One new entry: its status. */
static int32_t create_one(const struct ct_entry *e)
{
    struct ct_result r = {.size = sizeof r};
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
static void group_nat(void)
{
    static const uint8_t protocols[][2] = {
        {CT_PROTO_TCP, CT_PROTO_TCP},         {CT_PROTO_UDP, CT_PROTO_UDP}, {CT_PROTO_SCTP, CT_PROTO_SCTP},
        {CT_PROTO_UDPLITE, CT_PROTO_UDPLITE}, {CT_PROTO_GRE, CT_PROTO_GRE}, {PROTO_PLAIN, PROTO_PLAIN},
        {CT_PROTO_ICMP, CT_PROTO_ICMPV6},
    };
    static const uint32_t kinds[] = {CT_STATUS_SRC_NAT, CT_STATUS_DST_NAT, CT_STATUS_SRC_NAT | CT_STATUS_DST_NAT};
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
                      "protocol %u, NAT %#x, %u, its tuple taken: status %d, %zu entries", proto, kind, what, status, now.count);
            } else {
                const struct ct_entry *own = &now.rows[now.count == 2 && now.rows[0].mark == 77];

                check(status == 0 && now.count == (taken ? 2 : 1) && (own->status & nat) == kind &&
                          memcmp(&own->reply, &e.reply, sizeof e.reply) == 0,
                      "protocol %u, NAT %#x, %u, taken %u: status %d (%s), %zu entries", proto, kind, what, taken, status,
                      ct_handle_error(h), now.count);
            }
            flush_everything();
        }
    /* With ports where the kernel keeps them, refused where it would make an entry without. */
    for (size_t i = 0; i < 4; i++) {
        static const uint8_t maybe[] = {CT_PROTO_DCCP, CT_PROTO_SCTP, CT_PROTO_UDPLITE, CT_PROTO_GRE};
        struct ct_entry e = flow(CT_FAMILY_IPV4, CT_PROTO_UDP, 4);
        int32_t status;

        e.proto = maybe[i];
        status = create_one(&e);
        dump_all(&now);
        if (status == 0)
            check(now.count == 1 && (now.rows[0].has & CT_HAS_PORTS), "protocol %u was made without its ports", maybe[i]);
        else
            check(status == -EOPNOTSUPP && now.count == 0, "protocol %u with ports: %d, %zu entries", maybe[i], status, now.count);
        dccp |= status == 0 && maybe[i] == CT_PROTO_DCCP;
        flush_everything();
    }
    snprintf(report.note, sizeof report.note, "%u entries with NAT as asked or refused; DCCP %s ports", tried,
             dccp ? "with" : "without");
}

/* --- entries of a flow table ------------------------------------------------------------------------------------------- */

/* Entries of the flow table and others, with mark 0x10 and without. */
static void fill_offloaded(void)
{
    struct table others = {0};

    for (unsigned i = 0; i < 8; i++) {
        struct ct_entry *e = add_row(&others);

        *e = flow(i % 2 ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4, i < 4 ? CT_PROTO_UDP : CT_PROTO_TCP, i);
        e->mark = i % 3 ? 0 : 0x10;
        set_zone(e, CT_HAS_ZONE, i < 6 ? 0 : 5);
    }
    create(&others, 1);
    free(others.rows);
    offload_flows();
    dump_all(&now);
}

static size_t offloaded_rows(const struct table *t)
{
    size_t count = 0;

    for (size_t i = 0; i < t->count; i++)
        count += (t->rows[i].status & CT_STATUS_OFFLOAD) != 0;
    return count;
}

/* What the kernel keeps of the flow table's entries, without the library. */
static struct {
    size_t flushed, deleted;
} keeps;

static void measure_offloaded(void)
{
    struct message m;
    struct table left = {0};
    int code;

    fill_offloaded();
    for (size_t i = 0; i < now.count; i++) {
        const struct ct_entry *e = &now.rows[i];
        uint16_t ports[2] = {e->orig.sport, e->orig.dport};

        if (!(e->status & CT_STATUS_OFFLOAD))
            continue;
        begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, e->family, 0);
        put_tuple(&m, CTA_TUPLE_ORIG, e->family, e->orig.src, e->orig.dst, e->proto, ports);
        put_be32(&m, CTA_ID, e->id);
        code = ask(&m);
        check(code == 0 || code == EBUSY, "the delete of an offloaded entry was answered with %d", code);
        keeps.deleted += code == EBUSY;
    }
    dump_all(&left);
    check(offloaded_rows(&left) == keeps.deleted, "%zu deletes were refused, and %zu entries stayed", keeps.deleted,
          offloaded_rows(&left));
    fill_offloaded();
    begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, 0, 0);
    code = ask(&m);
    check(code == 0, "a flush with offloaded entries in the table was answered with %d", code);
    dump_all(&left);
    keeps.flushed = offloaded_rows(&left);
    check(left.count == keeps.flushed, "a flush left %zu entries that are not offloaded", left.count - keeps.flushed);
    check(!kernel.flush || keeps.flushed == 0, "this kernel flushes by CTA_FILTER, and skips offloaded entries");
    free(left.rows);
}

enum way { FLUSH_ALL, FLUSH, DELETE, DELETE_UNCOUNTED, DELETE_ENTRIES };

static int delete_rows(const char *what, struct table *rows, struct ct_result *r)
{
    int32_t *status = need(calloc(rows->count + 1, sizeof *status));
    int ret;

    for (size_t i = 0; i < rows->count; i++)
        rows->rows[i].has |= CT_HAS_ORIG | CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_ID;
    ret = ct_delete_entries(h, rows->rows, rows->count, status, r);
    for (size_t i = 0; i < rows->count; i++) {
        int refused = (rows->rows[i].status & CT_STATUS_OFFLOAD) && (pretended == REFUSING || keeps.deleted);

        check(status[i] == (refused ? -EBUSY : 0), "%s: entry %zu has status %d", what, i, status[i]);
    }
    free(status);
    return ret;
}

/*
 * Deletes what the filter matches. Of that nothing may stay but what the kernel refuses to delete, and of that the caller must
 * be told.
 */
static void expect_offloaded(enum way way, const char *scope, const struct ct_filter *f)
{
    static const char *const ways[] = {"ct_flush of everything", "ct_flush", "ct_delete", "ct_delete, uncounted",
                                       "ct_delete_entries"};
    static const char *const kernels[] = {"", ", where the flush skips offloaded entries", ", where their deletes are refused"};
    struct table selected = {0}, rest = {0}, after = {0}, left = {0}, others = {0};
    struct ct_result r = {.size = sizeof r};
    unsigned flushes = flushes_sent, made = made_again;
    size_t n = f != NULL, kept;
    char what[160];
    int ret;

    snprintf(what, sizeof what, "%s of %s%s", ways[way], scope, kernels[pretended]);
    fill_offloaded();
    expected_of(f, n, &selected, &rest);
    kept = offloaded_rows(&selected);
    check(kept > 0, "%s: no offloaded entry to test with", what);
    may_flush_all = way == FLUSH_ALL;
    if (way == FLUSH_ALL || way == FLUSH)
        ret = ct_flush(h, f, way == FLUSH_ALL ? CT_FLUSH_ALL : 0);
    else if (way == DELETE_ENTRIES)
        ret = delete_rows(what, &selected, &r);
    else
        ret = ct_delete(h, f, n, way == DELETE ? 0 : CT_DELETE_UNCOUNTED, &r);
    may_flush_all = 0;
    dump_all(&after);
    for (size_t i = 0; i < after.count; i++)
        *add_row(selects(f, n, &after.rows[i]) ? &left : &others) = after.rows[i];
    check(left.count == offloaded_rows(&left), "%s: %zu entries that are not offloaded are left", what,
          left.count - offloaded_rows(&left));
    if (pretended == REFUSING || keeps.deleted) {
        check(ret == -EBUSY, "%s: %zu offloaded entries are left, and it says %d: %s", what, left.count, ret, ct_handle_error(h));
        check(left.count == kept, "%s: %zu offloaded entries are left, not the %zu that cannot be deleted", what, left.count,
              kept);
    } else {
        check(left.count == 0, "%s: %zu offloaded entries are left, and it says %d", what, left.count, ret);
        check(ret == 0, "%s: %s", what, ct_handle_error(h));
    }
    if (way == DELETE || way == DELETE_ENTRIES)
        check(r.matched == selected.count && r.done == selected.count - left.count && r.gone == 0,
              "%s: it says matched %llu, done %llu, gone %llu of %zu", what, (unsigned long long)r.matched,
              (unsigned long long)r.done, (unsigned long long)r.gone, selected.count);
    if (way == DELETE || way == DELETE_ENTRIES || way == DELETE_UNCOUNTED)
        check(r.failed == left.count && r.first_error == ret, "%s: it says failed %llu, first error %d", what,
              (unsigned long long)r.failed, r.first_error);
    /* Zone 0 is never flushed by the kernel. */
    if (way == FLUSH_ALL || ((way == FLUSH || way == DELETE_UNCOUNTED) && kernel.flush && !(f->match & CT_MATCH_ZONE))) {
        check(flushes_sent > flushes, "%s: the kernel was not asked to flush", what);
        check(pretended == AS_IT_IS || keeps.flushed || made_again > made, "%s: nothing was made again behind the flush", what);
    }
    check(same_rows(others.rows, others.count, rest.rows, rest.count, 1), "%s: %zu entries are left of the %zu others", what,
          others.count, rest.count);
    free(selected.rows);
    free(rest.rows);
    free(after.rows);
    free(left.rows);
    free(others.rows);
}

/* What the library says of a flow table's entries, and whether it can change them. */
static void look_at_offloaded(void)
{
    struct ct_entry changed[FLOWS], got = {0};
    int32_t status[FLOWS];
    struct ct_result r = {.size = sizeof r};

    for (unsigned i = 0; i < FLOWS; i++) {
        changed[i] = routed(i);
        changed[i].has |= CT_HAS_MARK;
        changed[i].mark = 0x100 + i;
    }
    check(ct_update_entries(h, changed, FLOWS, status, &r) == 0 && r.done == FLOWS,
          "the marks of %llu offloaded entries changed: %s", (unsigned long long)r.done, ct_handle_error(h));
    for (unsigned i = 0; i < FLOWS; i++) {
        struct ct_entry key = routed(i);

        check(ct_get(h, &key, &got) == 0 && (got.status & CT_STATUS_OFFLOAD) && got.mark == 0x100 + i,
              "flow %u has status %#x and mark %#x: %s", i, got.status, got.mark, ct_handle_error(h));
        check(!(got.has & CT_HAS_TIMEOUT), "flow %u has a timeout, which the kernel does not send", i);
    }
}

/* Entries that a flow table has taken over: listed like others, and deleted and flushed, or else the caller is told. */
static void group_offload(void)
{
    struct ct_filter none = no_filter(), scopes[] = {
        with_family(none, CT_FAMILY_IPV4),
        with_family(none, CT_FAMILY_IPV6),
        with_mark(none, 0x10, UINT32_MAX),
        with_mark(none, 0, UINT32_MAX),
        with_status(none, CT_STATUS_OFFLOAD, 0),
        with_status(none, CT_STATUS_CONFIRMED, CT_STATUS_DYING),
        with_family(with_mark(none, 0, 0x10), CT_FAMILY_IPV6),
        zone_scope(0),
    };
    static const char *const names[] = {"IPv4", "IPv6", "a mark", "mark 0", "what is offloaded", "a status", "a family and mark",
                                        "zone 0"};
    const char *missing = make_router();
    struct table selected = {0}, rest = {0};

    if (missing) {
        snprintf(report.note, sizeof report.note, "not tested, this kernel has no %s: %s", missing, strerror(errno));
        check(!must_have_flow_tables, "this kernel has no %s, and it should", missing);
        return;
    }
    measure_offloaded();
    fill_offloaded();
    look_at_offloaded();
    fill_offloaded();
    expect_list("a table with offloaded entries", NULL, 0, &now);
    for (size_t i = 0; i < LENGTH(scopes); i++) {
        expected_of(&scopes[i], 1, &selected, &rest);
        expect_list(names[i], &scopes[i], 1, &selected);
        expect_dump(names[i], &scopes[i], 1, &selected, 3);
    }
    for (pretended = AS_IT_IS; pretended <= REFUSING; pretended++) {
        /* A kernel that flushes by CTA_FILTER skips none, and the library relies on that. */
        int flushes = pretended == AS_IT_IS || !kernel.flush;

        if (flushes)
            expect_offloaded(FLUSH_ALL, "the table", NULL);
        for (size_t i = 0; i < LENGTH(scopes); i++) {
            if (flushes) {
                expect_offloaded(FLUSH, names[i], &scopes[i]);
                expect_offloaded(DELETE_UNCOUNTED, names[i], &scopes[i]);
            }
            expect_offloaded(DELETE, names[i], &scopes[i]);
            expect_offloaded(DELETE_ENTRIES, names[i], &scopes[i]);
        }
    }
    snprintf(report.note, sizeof report.note,
             "of %u offloaded entries a flush leaves %zu, and %zu deletes are refused; %u were made again behind flushes", FLOWS,
             keeps.flushed, keeps.deleted, made_again);
    free(selected.rows);
    free(rest.rows);
}

/* --- a large table ---------------------------------------------------------------------------------------------------- */

enum { MILLION = 1000000, BATCH = 1000, POD = 10 };

/* Entry `i`: an address for every ten, a zone for every hundred thousand. */
static struct ct_entry one_of_a_million(unsigned i)
{
    struct ct_entry e = {
        .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_TCP_STATE,
        .family = CT_FAMILY_IPV4,
        .proto = CT_PROTO_TCP,
        .status = CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED,
        .tcp_state = CT_TCP_STATE_ESTABLISHED,
        .timeout = 100000,
        .mark = i,
    };
    unsigned pod = i / POD;

    v4(e.orig.src, 10, pod >> 16, pod >> 8, pod);
    v4(e.orig.dst, 192, 0, 2, 1);
    e.orig.sport = (uint16_t)(1024 + i % POD);
    e.orig.dport = 443;
    set_zone(&e, CT_HAS_ZONE, 1 + i / 100000);
    mirror(&e);
    return e;
}

/* The largest resident memory that this process ever had, in KiB. */
static unsigned long peak_memory(void)
{
    unsigned long peak = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");

    if (!file)
        die("/proc/self/status");
    while (fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %lu", &peak) != 1)
        ;
    fclose(file);
    return peak;
}

/* Streams the table: each entry from `first` on must come once, and nothing else. */
static void stream_million(unsigned first)
{
    static struct ct_entry entries[256];
    static unsigned char seen[MILLION / 8];
    unsigned count = 0, wrong = 0;
    int got;

    memset(seen, 0, sizeof seen);
    if (!check(ct_dump_start(h, NULL, 0) == 0, "ct_dump_start: %s", ct_handle_error(h)))
        return;
    while ((got = ct_dump_next(h, entries, LENGTH(entries))) > 0) {
        for (const struct ct_entry *e = entries; e < entries + got; e++) {
            unsigned i = e->mark;
            struct ct_entry expected;

            if (i < first || i >= MILLION || (seen[i / 8] >> i % 8 & 1)) {
                wrong++;
                continue;
            }
            expected = one_of_a_million(i);
            wrong += memcmp(e->orig.src, expected.orig.src, 16) != 0 || e->orig.sport != expected.orig.sport ||
                     e->zone != expected.zone || e->tcp_state != expected.tcp_state || !(e->has & CT_HAS_ID);
            seen[i / 8] |= (unsigned char)(1u << i % 8);
            count++;
        }
    }
    check(got == 0, "the stream ended with %s", ct_strerror(got));
    check(count == MILLION - first && wrong == 0, "the stream had %u of %u entries, %u wrong", count, MILLION - first, wrong);
}

/* Streams, selects, deletes and flushes in a table of a million, in less than 4 MB with all that this program keeps itself. */
static void group_million(void)
{
    static struct ct_entry batch[BATCH];
    static int32_t status[BATCH];
    struct ct_filter f[POD];
    struct ct_result r = {.size = sizeof r};
    struct ct_entry *entries = NULL;
    unsigned long streamed, deleted;
    uint64_t left = 0;
    size_t count = 0;

    if (!check(kernel.max >= MILLION, "a million entries do not fit, nf_conntrack_max is %lu", kernel.max))
        return;
    for (unsigned i = 0; i < MILLION; i += BATCH) {
        for (unsigned k = 0; k < BATCH; k++)
            batch[k] = one_of_a_million(i + k);
        if (!check(ct_create_entries(h, batch, BATCH, status, &r) == 0, "ct_create_entries: %s", ct_handle_error(h)))
            return;
    }
    check(ct_count(h, &left) == 0 && left == MILLION, "the count of a million is %llu", (unsigned long long)left);
    stream_million(0);
    streamed = peak_memory();
    check(streamed * 1024 < 4000000, "streaming a million entries took %lu KiB", streamed);
    /* The first ten addresses: their hundred entries, and not one more. */
    for (unsigned i = 0; i < POD; i++) {
        const struct ct_entry e = one_of_a_million(i * POD);

        f[i] = with_family(no_filter(), CT_FAMILY_IPV4);
        f[i].match |= CT_MATCH_ORIG_SRC;
        memcpy(f[i].orig_src, e.orig.src, 16);
        f[i].orig_src_prefix = 32;
    }
    check(ct_list(h, f, POD, &entries, &count) == 0 && count == POD * POD, "listed %zu by address: %s", count,
          ct_handle_error(h));
    ct_entries_free(entries);
    check(ct_delete(h, f, POD, 0, &r) == 0 && r.matched == POD * POD && r.done == POD * POD, "deleted %llu by address: %s",
          (unsigned long long)r.done, ct_handle_error(h));
    stream_million(POD * POD);
    deleted = peak_memory();
    f[0] = zone_scope(1);
    check(ct_delete(h, f, 1, 0, &r) == 0 && r.done == 100000 - POD * POD, "deleted %llu of a zone: %s",
          (unsigned long long)r.done, ct_handle_error(h));
    stream_million(100000);
    f[0] = zone_scope(2);
    check(ct_flush(h, f, 0) == 0, "ct_flush of a zone: %s", ct_handle_error(h));
    stream_million(200000);
    may_flush_all = 1;
    check(ct_flush(h, NULL, CT_FLUSH_ALL) == 0, "ct_flush of everything: %s", ct_handle_error(h));
    may_flush_all = 0;
    check(ct_count(h, &left) == 0 && left == 0, "%llu entries survived", (unsigned long long)left);
    snprintf(report.note, sizeof report.note, "a million entries in %lu buckets; largest memory %lu KiB, %lu after deletes",
             kernel.buckets, streamed, deleted);
}

/* --- the kernel ------------------------------------------------------------------------------------------------------- */

/* Whether ctnetlink keeps the ports of a protocol: two entries that differ in them only. */
static int keeps_ports(uint8_t proto)
{
    struct table t = {0};
    struct message m;
    uint8_t src[4] = {10, 1, 0, 1}, dst[4] = {10, 2, 0, 1};
    uint16_t there[2] = {7, 8}, back[2] = {8, 7};
    int keeps;

    begin_message(&m, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, CT_FAMILY_IPV4, 0);
    put_tuple(&m, CTA_TUPLE_ORIG, CT_FAMILY_IPV4, src, dst, proto, there);
    put_tuple(&m, CTA_TUPLE_REPLY, CT_FAMILY_IPV4, dst, src, proto, back);
    put_be32(&m, CTA_TIMEOUT, 1000);
    if (ask(&m) != 0)
        die("create");
    dump_all(&t);
    keeps = 0;
    for (size_t i = 0; i < t.count; i++)
        keeps |= t.rows[i].proto == proto && t.rows[i].orig.sport == 7 && t.rows[i].orig.dport == 8;
    free(t.rows);
    return keeps;
}

static int refuses_dump(struct message *m)
{
    struct table t = {0};
    int code = dump_raw(m, &t);

    free(t.rows);
    return code != 0;
}

/* In a namespace without entries, so that nothing can be lost by it. */
static void measure(void)
{
    struct message m;
    struct table t = {0};
    uint8_t zero[16] = {0}, own[16], other[16];
    uint16_t there[2] = {7, 8}, back[2] = {8, 7};

    kernel.buckets = read_number("/proc/sys/net/netfilter/nf_conntrack_buckets");
    kernel.max = read_number("/proc/sys/net/netfilter/nf_conntrack_max");
    begin_message(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 0, 0);
    put_be16(&m, CTA_ZONE, 0);
    put_be32(&m, CTA_MARK_MASK, 1);
    kernel.zone = refuses_dump(&m);
    begin_message(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 0, 0);
    put_be32(&m, CTA_STATUS, 0);
    kernel.status = refuses_dump(&m);
    begin_message(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 0, 0);
    put_flags(&m, F_IP_SRC);
    kernel.tuple = refuses_dump(&m);
    begin_message(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, CT_FAMILY_IPV4, 1);
    put_tuple(&m, CTA_TUPLE_ORIG, CT_FAMILY_IPV4, zero, zero, 0, NULL);
    put_flags(&m, F_SPORT);
    kernel.flush = ask(&m) == EINVAL;
    kernel.udplite = keeps_ports(CT_PROTO_UDPLITE);
    kernel.sctp = keeps_ports(CT_PROTO_SCTP);
    kernel.gre = keeps_ports(CT_PROTO_GRE);
    v6(own, 1, 1, 1);
    v6(other, 2, 2, 2);
    begin_message(&m, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, CT_FAMILY_IPV6, 0);
    put_tuple(&m, CTA_TUPLE_ORIG, CT_FAMILY_IPV6, own, other, CT_PROTO_UDP, there);
    put_tuple(&m, CTA_TUPLE_REPLY, CT_FAMILY_IPV6, other, own, CT_PROTO_UDP, back);
    put_be32(&m, CTA_TIMEOUT, 1000);
    if (ask(&m) != 0)
        die("create");
    begin_message(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP, CT_FAMILY_IPV6, 0);
    put_tuple(&m, CTA_TUPLE_ORIG, CT_FAMILY_IPV6, own, NULL, CT_PROTO_UDP, NULL);
    put_flags(&m, F_IP_SRC);
    kernel.ipv6 = dump_raw(&m, &t) == 0 && t.count == 1;
    begin_message(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP, CT_FAMILY_IPV6, 0);
    put_tuple(&m, CTA_TUPLE_ORIG, CT_FAMILY_IPV6, other, NULL, CT_PROTO_UDP, NULL);
    put_flags(&m, F_IP_SRC);
    kernel.ipv6 = dump_raw(&m, &t) == 0 && t.count == 0 && kernel.ipv6;
    free(t.rows);
}

static const struct {
    const char *name;
    void (*run)(void);
    /* Only runs when it is asked for. */
    int on_request;
} groups[] = {
    {"filters", group_filters, 0},
    {"flushes", group_flushes, 0},
    {"zone", group_zone_trap, 0},
    {"zone-0", group_zone_0_trap, 0},
    {"status", group_status_trap, 0},
    {"family", group_family_trap, 0},
    {"ipv6-one", group_ipv6_one, 0},
    {"ipv6-some", group_ipv6_some, 0},
    {"ipv6-many", group_ipv6_many, 0},
    {"ipv6-after-empty", group_ipv6_after_empty, 0},
    {"ports", group_ports_trap, 0},
    {"inexact", group_inexact_trap, 0},
    {"overlap", group_overlap, 0},
    {"directions", group_directions_trap, 0},
    {"tuple-zone", group_tuple_zone_trap, 0},
    {"reversed", group_reversed_trap, 0},
    {"guard", group_guard, 0},
    {"naive", group_naive, 0},
    {"reuse", group_reuse, 0},
    {"nat", group_nat, 0},
    {"offload", group_offload, 0},
    {"million", group_million, 1},
};

/* Never the table of the machine: without a namespace of its own this program does nothing. */
static void enter_namespace(void)
{
    if (unshare(CLONE_NEWNET) == 0)
        return;
    if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        die("network namespace");
}

static void run(size_t g, struct report *total)
{
    int fds[2], status;
    pid_t child;
    struct report got = {0};

    fflush(stdout);
    if (pipe(fds) < 0)
        die("pipe");
    child = fork();
    if (child < 0)
        die("process");
    if (child == 0) {
        group_name = groups[g].name;
        random_state = seed * 1000 + g;
        enter_namespace();
        reopen();
        groups[g].run();
        ct_handle_close(h);
        fflush(stdout);
        _exit(write(fds[1], &report, sizeof report) != (ssize_t)sizeof report);
    }
    close(fds[1]);
    if (read(fds[0], &got, sizeof got) != (ssize_t)sizeof got) {
        printf("FAILED %s: ended before its time\n", groups[g].name);
        got.failed++;
    }
    close(fds[0]);
    if (waitpid(child, &status, 0) != child || status != 0)
        got.failed += !got.failed;
    printf("%-6s %-16s %6lu checks", got.failed ? "FAILED" : "ok", groups[g].name, got.checks);
    if (got.failed)
        printf(", %lu failed", got.failed);
    printf("%s%s\n", got.note[0] ? ": " : "", got.note);
    total->checks += got.checks;
    total->failed += got.failed;
    total->filtered_dumps += got.filtered_dumps;
    total->ipv6_dumps += got.ipv6_dumps;
    total->look_ups += got.look_ups;
    total->guarded_flushes += got.guarded_flushes;
    total->tuple_flushes += got.tuple_flushes;
    total->deletes += got.deletes;
}

static int wanted(size_t g, char **names, int count)
{
    int found = count == 0 && !groups[g].on_request;

    for (int i = 0; i < count; i++)
        found |= strcmp(names[i], groups[g].name) == 0;
    return found;
}

int main(int argc, char **argv)
{
    struct report total = {0};
    struct utsname system;
    int at = 1;

    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--sets") == 0)
            sets = (unsigned)strtoul(argv[at + 1], NULL, 10);
        else if (strcmp(argv[at], "--seed") == 0)
            seed = strtoull(argv[at + 1], NULL, 10);
        else if (strcmp(argv[at], "--flow-tables") == 0)
            must_have_flow_tables = (unsigned)strtoul(argv[at + 1], NULL, 10);
        else
            break;
    }
    for (int i = at; i < argc; i++) {
        size_t g = 0;

        while (g < LENGTH(groups) && strcmp(groups[g].name, argv[i]) != 0)
            g++;
        if (g == LENGTH(groups)) {
            fprintf(stderr, "usage: matrix [--sets N] [--seed N] [--flow-tables 1] [GROUP...]\n");
            return 2;
        }
    }
    uname(&system);
    enter_namespace();
    measure();
    printf("kernel %s, libctrack %s, seed %llu\n", system.release, ct_version_string(), (unsigned long long)seed);
    printf("honours: zone %d, status %d, tuple %d, flush by tuple %d, IPv6 addresses %s, ports of SCTP %d UDP-Lite %d GRE %d\n",
           kernel.zone, kernel.status, kernel.tuple, kernel.flush, kernel.ipv6 ? "right" : "inverted", kernel.sctp,
           kernel.udplite, kernel.gre);
    for (size_t g = 0; g < LENGTH(groups); g++)
        if (wanted(g, argv + at, argc - at))
            run(g, &total);
    printf("sent: %lu filtered dumps (%lu by IPv6 address), %lu look-ups, %lu guarded flushes, %lu flushes by tuple, "
           "%lu deletes\n",
           total.filtered_dumps, total.ipv6_dumps, total.look_ups, total.guarded_flushes, total.tuple_flushes,
           total.deletes);
    if (argc == at)
        check(total.filtered_dumps && total.deletes, "what the library sends was not seen");
    total.checks += report.checks;
    total.failed += report.failed;
    printf("matrix: %lu checks, %lu failed\n", total.checks, total.failed);
    return total.failed != 0;
}
