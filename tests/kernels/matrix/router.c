/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* A router with a flow table. */

#include "matrix.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * It routes between two tun devices: what this program writes to one comes out at the other. Its flow table takes over every
 * flow that it forwards. Only so does an entry get CT_STATUS_OFFLOAD: ctnetlink lets nobody set it.
 */
static int sides[2];

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
    struct ifreq request = { 0 };
    struct sockaddr_in address = { .sin_family = AF_INET };
    struct in6_ifreq request6 = { .ifr6_prefixlen = 64 };
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        control6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

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
    struct nlmsghdr head = { .nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };
    struct nfgenmsg general = { .nfgen_family = family, .res_id = htons(subsystem) };
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
    struct message m = { .length = 0 };
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
const char *make_router(void)
{
    int code;

    if (open_side(0) < 0 || open_side(1) < 0)
        return "tun devices";
    if (write_number("/proc/sys/net/ipv4/ip_forward", 1) < 0 ||
        write_number("/proc/sys/net/ipv6/conf/all/forwarding", 1) < 0)
        return "forwarding";
    code = make_flow_table();
    errno = code;
    return code ? "flow tables" : NULL;
}

/* Flow number `i`: UDP and TCP, of both families. */
struct ct_entry routed(unsigned i)
{
    uint8_t family = i % 2 ? CT_FAMILY_IPV6 : CT_FAMILY_IPV4;
    struct ct_entry e = { .has = CT_HAS_ORIG | CT_HAS_PORTS,
                          .family = family,
                          .proto = i < 2 ? CT_PROTO_UDP : CT_PROTO_TCP };

    side_address(0, 2, family, e.orig.src);
    side_address(1, 2, family, e.orig.dst);
    e.orig.sport = (uint16_t)(900 + i);
    e.orig.dport = 80;
    mirror(&e);
    return e;
}

/* Whether an entry, or what a message says of it, is that of a flow. */
int is_routed(const struct ct_entry *e)
{
    for (unsigned i = 0; i < FLOWS; i++) {
        struct ct_entry own = routed(i);

        if (e->proto == own.proto &&
            (memcmp(&e->orig, &own.orig, sizeof own.orig) == 0 || memcmp(&e->reply, &own.reply, sizeof own.reply) == 0))
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
    struct pollfd out = { .fd = sides[!reply], .events = POLLIN };

    if (write(sides[reply], packet, length) != (ssize_t)length)
        die("write to tun");
    /* Not all that comes is ours: IPv6 says hello on every device. */
    while (poll(&out, 1, 30000) == 1)
        if (read(sides[!reply], got, sizeof got) == (ssize_t)length &&
            memcmp(got + head, packet + head, length - head) == 0)
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
    uint16_t ports[2] = { e->orig.sport, e->orig.dport };
    struct message m;

    begin_message(&m, IPCTNL_MSG_CT_NEW, NLM_F_ACK, e->family, 0);
    put_tuple(&m, CTA_TUPLE_ORIG, e->family, e->orig.src, e->orig.dst, e->proto, ports);
    put_be32(&m, CTA_MARK, mark);
    return ask(&m);
}

/* Lets the flow table take over those flows that it has not. Half of them have mark 0x10. Returns how many were taken over. */
unsigned offload_flows(void)
{
    struct table t = { 0 };
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
                offloaded |=
                    (t.rows[k].status & CT_STATUS_OFFLOAD) && memcmp(&t.rows[k].orig, &e.orig, sizeof e.orig) == 0;
            if (!offloaded)
                begin_flow(&e);
            made += !offloaded && !round;
        }
        check(offloaded && mark_flow(&e, i % 3 ? 0 : 0x10) == 0, "the flow table has not taken over flow %u", i);
    }
    free(t.rows);
    return made;
}
