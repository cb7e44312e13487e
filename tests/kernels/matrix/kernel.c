/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* What the kernel honours, measured without the library. */

#include "matrix.h"

struct kernel kernel;

static unsigned long read_number(const char *path)
{
    unsigned long number = 0;
    FILE *file = fopen(path, "r");

    if (!file || fscanf(file, "%lu", &number) != 1)
        die(path);
    fclose(file);
    return number;
}

/* Whether ctnetlink keeps the ports of a protocol: two entries that differ in them only. */
static int keeps_ports(uint8_t proto)
{
    struct table t = { 0 };
    struct message m;
    uint8_t src[4] = { 10, 1, 0, 1 }, dst[4] = { 10, 2, 0, 1 };
    uint16_t there[2] = { 7, 8 }, back[2] = { 8, 7 };
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
    struct table t = { 0 };
    int code = dump_raw(m, &t);

    free(t.rows);
    return code != 0;
}

/* In a namespace without entries, so that nothing can be lost by it. */
void measure(void)
{
    struct message m;
    struct table t = { 0 };
    uint8_t zero[16] = { 0 }, own[16], other[16];
    uint16_t there[2] = { 7, 8 }, back[2] = { 8, 7 };

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
