/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * libnetfilter_conntrack, used by its documentation: nfct_query() with a callback and getters.
 *
 * Usage: lnfct OPERATION SIZE [KNOWN]
 */

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct nfct_handle *h;

static const uint32_t any_family = AF_UNSPEC;

static void open_handle(void)
{
  h = nfct_open(CONNTRACK, 0);
  if (!h)
    fail("nfct_open: %s", strerror(errno));
}

static void query(enum nf_conntrack_query what, const void *data, const char *name)
{
  if (nfct_query(h, what, data) == -1)
    fail("nfct_query %s: %s", name, strerror(errno));
}

typedef int callback(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data);

static void dump(callback *each, void *data)
{
  if (nfct_callback_register(h, NFCT_T_ALL, each, data) != 0)
    fail("nfct_callback_register: %s", strerror(errno));
  query(NFCT_Q_DUMP, &any_family, "dump");
  nfct_callback_unregister(h);
}

/* Entries that a callback kept. */
struct kept {
  struct nf_conntrack **entries;
  uint32_t count, room;
  /* What to keep: the entries of a sample, or of the zone, or (neither) all. */
  const uint32_t *places;
  uint32_t total;
  int zone_only;
};

static uint32_t first_word(const struct nf_conntrack *ct, enum nf_conntrack_attr v4, enum nf_conntrack_attr v6)
{
  const int is_v4 = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO) == AF_INET;
  uint32_t word;
  memcpy(&word, nfct_get_attr(ct, is_v4 ? v4 : v6), sizeof word);
  return word;
}

static uint64_t read_entry(const struct nf_conntrack *ct)
{
  const uint32_t src = first_word(ct, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
  const uint32_t dst = first_word(ct, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
  const uint8_t proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO);
  uint16_t sport = 0, dport = 0;
  if (proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6) {
    sport = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC));
    dport = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST));
  }
  return reading(src, dst, sport, dport, proto, nfct_get_attr_u32(ct, ATTR_MARK), nfct_get_attr_u32(ct, ATTR_STATUS));
}

struct readings {
  uint64_t count, sum;
};

static int add_reading(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data)
{
  struct readings *r = data;
  (void)type;
  r->count++;
  r->sum += read_entry(ct);
  return NFCT_CB_CONTINUE;
}

static int keep(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data)
{
  struct kept *k = data;
  uint32_t at = k->count;
  (void)type;
  if (k->places) {
    const uint8_t family = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO);
    const enum nf_conntrack_attr src = family == AF_INET ? ATTR_ORIG_IPV4_SRC : ATTR_ORIG_IPV6_SRC;
    const uint32_t number = flow_number(family, nfct_get_attr(ct, src));
    at = number < k->total ? k->places[number] : UINT32_MAX;
    if (at == UINT32_MAX)
      return NFCT_CB_CONTINUE;
  } else if (k->zone_only && nfct_get_attr_u16(ct, ATTR_ZONE) != BENCH_ZONE) {
    return NFCT_CB_CONTINUE;
  }
  if (at >= k->room)
    fail("more entries than expected");
  k->entries[at] = ct;
  k->count++;
  return NFCT_CB_STOLEN;
}

static void stream(uint32_t size)
{
  struct readings r = {0, 0};

  measure_start();
  dump(add_reading, &r);
  measure_stop();
  measure_report("lnfct", "stream", size, r.count, r.sum);
}

static void list(const char *op, uint32_t size, uint32_t room, int zone_only, int with_free)
{
  struct kept k = {.entries = must_calloc(room, sizeof *k.entries), .room = room, .zone_only = zone_only};
  uint64_t sum = 0;

  measure_start();
  dump(keep, &k);
  if (with_free)
    for (uint32_t i = 0; i < k.count; i++)
      nfct_destroy(k.entries[i]);
  measure_stop();
  if (!with_free)
    for (uint32_t i = 0; i < k.count; i++)
      sum += read_entry(k.entries[i]);
  measure_report("lnfct", op, size, k.count, sum);
}

static struct nf_conntrack *entry_of(const struct flow *f)
{
  struct nf_conntrack *ct = nfct_new();
  if (!ct)
    fail("nfct_new: %s", strerror(errno));
  nfct_set_attr_u8(ct, ATTR_L3PROTO, f->family);
  nfct_set_attr_u8(ct, ATTR_L4PROTO, f->proto);
  nfct_set_attr(ct, f->family == AF_INET ? ATTR_IPV4_SRC : ATTR_IPV6_SRC, f->src);
  nfct_set_attr(ct, f->family == AF_INET ? ATTR_IPV4_DST : ATTR_IPV6_DST, f->dst);
  if (f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6) {
    nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, f->proto == IPPROTO_ICMP ? 8 : 128);
    nfct_set_attr_u8(ct, ATTR_ICMP_CODE, 0);
    nfct_set_attr_u16(ct, ATTR_ICMP_ID, htons(f->sport));
  } else {
    nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(f->sport));
    nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(f->dport));
  }
  nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
  if (f->proto == IPPROTO_TCP)
    nfct_set_attr_u8(ct, ATTR_TCP_STATE, f->tcp_state);
  if (f->zone)
    nfct_set_attr_u16(ct, ATTR_ZONE, f->zone);
  nfct_set_attr_u32(ct, ATTR_STATUS, f->status);
  nfct_set_attr_u32(ct, ATTR_MARK, f->mark);
  nfct_set_attr_u32(ct, ATTR_TIMEOUT, f->timeout);
  return ct;
}

static void create(uint32_t size)
{
  struct nf_conntrack **entries = must_calloc(size, sizeof *entries);

  for (uint32_t i = 0; i < size; i++) {
    struct flow f;
    flow_make(&f, i);
    entries[i] = entry_of(&f);
  }
  measure_start();
  for (uint32_t i = 0; i < size; i++)
    query(NFCT_Q_CREATE, entries[i], "create");
  measure_stop();
  measure_report("lnfct", "create", size, size, 0);
}

static void delete_known(uint32_t size, uint32_t known)
{
  struct kept k = {
    .entries = must_calloc(known, sizeof *k.entries),
    .room = known,
    .places = flow_sample_places(known, size),
    .total = size,
  };
  dump(keep, &k);
  if (k.count != known)
    fail("only %u of %u entries are there", k.count, known);
  measure_start();
  for (uint32_t i = 0; i < known; i++)
    query(NFCT_Q_DESTROY, k.entries[i], "destroy");
  measure_stop();
  measure_report("lnfct", "delete", known, known, 0);
}

static void delete_zone(uint32_t size)
{
  const uint32_t room = size / FLOW_ZONES + 1;
  struct kept k = {.entries = must_calloc(room, sizeof *k.entries), .room = room, .zone_only = 1};

  measure_start();
  dump(keep, &k);
  for (uint32_t i = 0; i < k.count; i++) {
    query(NFCT_Q_DESTROY, k.entries[i], "destroy");
    nfct_destroy(k.entries[i]);
  }
  measure_stop();
  measure_report("lnfct", "delete-zone", size / FLOW_ZONES, k.count, 0);
}

static void flush(uint32_t size)
{
  struct readings before = {0, 0}, after = {0, 0};

  dump(add_reading, &before);
  measure_start();
  query(NFCT_Q_FLUSH, &any_family, "flush");
  measure_stop();
  dump(add_reading, &after);
  measure_report("lnfct", "flush", size, before.count - after.count, 0);
}

static void empty(uint32_t times)
{
  struct readings r = {0, 0};

  nfct_close(h);
  measure_start();
  for (uint32_t i = 0; i < times; i++) {
    open_handle();
    dump(add_reading, &r);
    nfct_close(h);
  }
  measure_stop();
  h = NULL;
  measure_report("lnfct", "empty", times, r.count, 0);
}

int main(int argc, char **argv)
{
  if (argc < 3)
    fail("usage: lnfct OPERATION SIZE [KNOWN]");
  const char *op = argv[1];
  const uint32_t size = must_number(argv[2]);

  open_handle();
  if (!strcmp(op, "stream"))
    stream(size);
  else if (!strcmp(op, "list"))
    list(op, size, size, 0, 0);
  else if (!strcmp(op, "list-free"))
    list(op, size, size, 0, 1);
  else if (!strcmp(op, "list-zone"))
    list(op, size / FLOW_ZONES, size / FLOW_ZONES + 1, 1, 0);
  else if (!strcmp(op, "create"))
    create(size);
  else if (!strcmp(op, "delete") && argc > 3)
    delete_known(size, must_number(argv[3]));
  else if (!strcmp(op, "delete-zone"))
    delete_zone(size);
  else if (!strcmp(op, "flush"))
    flush(size);
  else if (!strcmp(op, "empty"))
    empty(size);
  else
    fail("no operation %s", op);
  if (h)
    nfct_close(h);
  return 0;
}
