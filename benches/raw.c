/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * The floor: the least that a program can do to get an operation out of the kernel, written for this table alone. It
 * knows the shape of every request in advance and copies it from a template, looks at no more of the replies than it
 * must, and checks no more than that everything succeeded. How much more than that a library does is what is measured.
 *
 * Usage: raw OPERATION SIZE [KNOWN]. The operation `fill` makes the table for the other ones.
 */

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The largest dump datagram has 32 KiB. */
static uint8_t received[64 * 1024] __attribute__((aligned(8)));

/* Batches of 64 and 128 were a few percent slower. */
enum { BATCH = 256, REQUEST_MAX = 320 };

static uint8_t batch[BATCH * REQUEST_MAX] __attribute__((aligned(8)));

static int fd = -1;
static uint32_t sequence;

/* --- Socket --- */

static void open_socket(void)
{
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  const struct timeval patience = {.tv_sec = 10};
  const int one = 1, size = 1024 * 1024;

  fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
    fail("netlink socket: %s", strerror(errno));
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static void send_bytes(const void *bytes, size_t length)
{
  if (send(fd, bytes, length, 0) != (ssize_t)length)
    fail("send: %s", strerror(errno));
}

static size_t receive(void)
{
  const ssize_t length = recv(fd, received, sizeof received, MSG_TRUNC);
  if (length < 0)
    fail("recv: %s", strerror(errno));
  if ((size_t)length > sizeof received || (size_t)length < sizeof(struct nlmsghdr))
    fail("a datagram of %zd bytes", length);
  return (size_t)length;
}

/* The header at a place of the receive buffer; whole messages only. */
static const struct nlmsghdr *message_at(size_t at, size_t length)
{
  const struct nlmsghdr *header = (const struct nlmsghdr *)(received + at);
  if (length - at < sizeof *header || header->nlmsg_len < sizeof *header || header->nlmsg_len > length - at)
    fail("a broken message");
  return header;
}

static int error_of(const struct nlmsghdr *header)
{
  const struct nlmsgerr *error = (const struct nlmsgerr *)(header + 1);
  return -error->error;
}

/* --- Requests --- */

static size_t put_header(uint8_t *at, uint16_t message, uint16_t flags, uint8_t family, uint8_t version)
{
  const struct nlmsghdr header = {
    .nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | message),
    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
  };
  const struct nfgenmsg general = {.nfgen_family = family, .version = version};
  memcpy(at, &header, sizeof header);
  memcpy(at + sizeof header, &general, sizeof general);
  return sizeof header + sizeof general;
}

/* Appends an attribute and returns where its value lies. */
static size_t put(uint8_t *bytes, size_t *end, uint16_t type, const void *value, size_t length)
{
  const struct nlattr attr = {.nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = type};
  const size_t at = *end + NLA_HDRLEN;
  memcpy(bytes + *end, &attr, sizeof attr);
  memcpy(bytes + at, value, length);
  *end = at + NLA_ALIGN(length);
  return at;
}

static size_t open_nest(uint8_t *bytes, size_t *end, uint16_t type)
{
  const size_t start = *end;
  put(bytes, end, type | NLA_F_NESTED, "", 0);
  return start;
}

static void close_nest(uint8_t *bytes, size_t end, size_t start)
{
  const uint16_t length = (uint16_t)(end - start);
  memcpy(bytes + start, &length, sizeof length);
}

static void close_request(uint8_t *bytes, size_t end)
{
  const uint32_t length = (uint32_t)end;
  memcpy(bytes, &length, sizeof length);
}

/* A finished request for one kind of connection, and where the fields lie that differ. */
struct template {
  uint8_t bytes[REQUEST_MAX];
  uint16_t length;
  struct {
    uint16_t src, dst, sport, dport, icmp_id;
  } tuple[2];
  uint16_t zone, timeout, status, mark, tcp_state, id;
};

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

enum request { CREATE, DELETE, DELETE_WITHOUT_ID, LOOK_UP };

static void make_template(struct template *t, enum request what, const struct flow *f)
{
  const uint32_t zero = 0;
  size_t end = what == CREATE    ? put_header(t->bytes, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, f->family, 0)
               : what == LOOK_UP ? put_header(t->bytes, IPCTNL_MSG_CT_GET, 0, f->family, 0)
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

static void make_templates(enum request what, const struct flow *flows, uint32_t count)
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

/* Writes the request for one connection and returns its length. */
static size_t fill_from(const struct template *t, uint8_t *at, enum request what, const struct flow *f, uint32_t id)
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
  } else if (what == DELETE) {
    memcpy(at + t->id, &id, sizeof id);
  }
  return t->length;
}

static size_t fill_request(uint8_t *at, enum request what, const struct flow *f, uint32_t id)
{
  return fill_from(template_for(f), at, what, f, id);
}

/* Sends a batch whose last request, at `last`, gets the acknowledgement that ends it; returns how many failed. */
static uint32_t exchange(uint8_t *bytes, size_t length, size_t last)
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

/* Sends the requests for `count` connections and returns how many succeeded. */
static uint32_t run_batches(enum request what, const struct flow *flows, const uint32_t *ids, uint32_t count)
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

/* --- Dumps --- */

/* What the kernel is asked to dump or to flush. */
struct wanted {
  enum { EVERYTHING, IPV4, ZONE, MARK, SOURCE } by;
  uint32_t value;
};

static size_t put_wanted(uint8_t *request, uint16_t message, uint16_t flags, struct wanted wanted)
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

static void start_dump(struct wanted wanted)
{
  uint8_t request[128] = {0};
  send_bytes(request, put_wanted(request, IPCTNL_MSG_CT_GET, NLM_F_DUMP, wanted));
}

/* Receives to the end without looking at entries: the message that ends a dump comes in a datagram of its own. */
static uint64_t skip_dump(void)
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

/* Hands every entry to `each` (which may be NULL) and returns how many there were. */
static uint32_t walk_dump(void (*each)(const struct nlmsghdr *, void *), void *data)
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

/* The attribute of this type in an entry. It must be there. */
static const struct nlattr *find(const struct nlmsghdr *header, uint16_t type)
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

/* --- Operations --- */

static struct flow *make_flows(uint32_t count)
{
  struct flow *flows = must_calloc(count, sizeof *flows);
  for (uint32_t i = 0; i < count; i++)
    flow_make(&flows[i], i);
  return flows;
}

static uint32_t count_entries(void)
{
  uint8_t request[32] = {0};
  const size_t end = put_header(request, IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC, 0);
  uint32_t value;

  close_request(request, end);
  sequence++;
  memcpy(request + offsetof(struct nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
  send_bytes(request, end);
  message_at(0, receive());
  const struct nlmsghdr *header = (const struct nlmsghdr *)received;
  if (header->nlmsg_type == NLMSG_ERROR)
    fail("count: %s", strerror(error_of(header)));
  memcpy(&value, find(header, CTA_STATS_GLOBAL_ENTRIES) + 1, sizeof value);
  return ntohl(value);
}

static void create(const char *op, uint32_t size, const struct flow *flows)
{
  make_templates(CREATE, flows, size);
  measure_start();
  const uint32_t done = run_batches(CREATE, flows, NULL, size);
  measure_stop();
  if (done != size)
    fail("only %u of %u entries could be created", done, size);
  measure_report("raw", op, size, done, 0);
}

static void dump(uint32_t size)
{
  measure_start();
  start_dump((struct wanted){EVERYTHING, 0});
  const uint64_t bytes = skip_dump();
  measure_stop();
  measure_report("raw", "dump", size, bytes, 0);
}

static void walk(const char *op, uint32_t size, struct wanted wanted)
{
  measure_start();
  start_dump(wanted);
  const uint32_t count = walk_dump(NULL, NULL);
  measure_stop();
  measure_report("raw", op, size, count, 0);
}

struct ids {
  const uint32_t *places;
  uint32_t *ids;
  uint32_t total, found;
};

static void learn_id(const struct nlmsghdr *header, void *data)
{
  struct ids *k = data;
  /* Tuple, addresses, source: the kernel nests them first, in this order. */
  const uint8_t *src = (const uint8_t *)find(header, CTA_TUPLE_ORIG) + 3 * NLA_HDRLEN;
  const uint32_t number = flow_number(((const struct nfgenmsg *)(header + 1))->nfgen_family, src);

  if (number >= k->total || k->places[number] == UINT32_MAX)
    return;
  memcpy(&k->ids[k->places[number]], find(header, CTA_ID) + 1, sizeof *k->ids);
  k->found++;
}

static void delete_known(const char *op, enum request what, uint32_t size, uint32_t known)
{
  struct flow *flows = must_calloc(known, sizeof *flows);
  struct ids k = {
    .places = flow_sample_places(known, size),
    .ids = must_calloc(known, sizeof *k.ids),
    .total = size,
  };

  for (uint32_t i = 0; i < known; i++)
    flow_make(&flows[i], flow_sample(i, size));
  start_dump((struct wanted){EVERYTHING, 0});
  walk_dump(learn_id, &k);
  if (k.found != known)
    fail("only %u of %u entries are there", k.found, known);
  make_templates(what, flows, known);
  measure_start();
  const uint32_t done = run_batches(what, flows, k.ids, known);
  measure_stop();
  measure_report("raw", op, known, done, 0);
}

/* Deletes that wait for the end of the dump, which has the socket. */
struct requests {
  /* The source addresses whose connections go; NULL: all that the kernel sends. */
  const struct address_set *sources;
  uint8_t *bytes;
  uint32_t *ends;
  uint32_t count, room;
};

static void add_delete(const struct nlmsghdr *header, void *data)
{
  struct requests *r = data;
  const struct nlattr *tuple = find(header, CTA_TUPLE_ORIG);
  size_t end;

  if (r->sources) {
    uint32_t src;
    memcpy(&src, (const uint8_t *)tuple + 3 * NLA_HDRLEN, sizeof src);
    if (*address_set_slot(r->sources, src) == 0)
      return;
  }
  if (r->count == r->room)
    fail("more entries than expected");
  uint8_t *at = r->bytes + (r->count ? r->ends[r->count - 1] : 0);
  end = put_header(at, IPCTNL_MSG_CT_DELETE, 0, ((const struct nfgenmsg *)(header + 1))->nfgen_family, 1);
  memcpy(at + end, tuple, tuple->nla_len);
  end += NLA_ALIGN(tuple->nla_len);
  /* Everything that is deleted here has a zone. */
  put(at, &end, CTA_ZONE, find(header, CTA_ZONE) + 1, 2);
  put(at, &end, CTA_ID, find(header, CTA_ID) + 1, 4);
  close_request(at, end);
  sequence++;
  memcpy(at + offsetof(struct nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
  r->ends[r->count] = (uint32_t)(at + end - r->bytes);
  r->count++;
}

/*
 * A dump, filtered by the kernel, and then batched deletes of what it found, so that the number is known. With
 * `sources`: of those entries that have one of these addresses.
 */
static void delete_wanted(const char *op, uint32_t victims, struct wanted wanted, const uint32_t *sources,
                          uint32_t source_count)
{
  const uint32_t room = victims + 1;
  struct requests r = {
    .bytes = must_calloc(room, REQUEST_MAX),
    .ends = must_calloc(room, sizeof *r.ends),
    .room = room,
  };
  struct address_set set;
  uint32_t done = 0;

  measure_start();
  if (sources) {
    address_set_init(&set, source_count);
    for (uint32_t i = 0; i < source_count; i++)
      address_set_add(&set, sources[i]);
    r.sources = &set;
  }
  start_dump(wanted);
  walk_dump(add_delete, &r);
  for (uint32_t first = 0; first < r.count;) {
    const uint32_t end = r.count - first < BATCH ? r.count : first + BATCH;
    const size_t from = first ? r.ends[first - 1] : 0;
    const size_t last = end - first > 1 ? r.ends[end - 2] - from : 0;
    done += end - first - exchange(r.bytes + from, r.ends[end - 1] - from, last);
    first = end;
  }
  measure_stop();
  measure_report("raw", op, victims, done, 0);
}

static void delete_pods(const char *op, uint32_t size)
{
  const uint32_t pods = pod_count(size);
  uint32_t *sources = must_calloc(pods, sizeof *sources);

  for (uint32_t i = 0; i < pods; i++)
    sources[i] = htonl(pod_address(i));
  delete_wanted(op, pods * POD_FLOWS, (struct wanted){IPV4, 0}, sources, pods);
}

/* One message that deletes everything, or everything of the zone. */
static void flush(const char *op, uint32_t victims, struct wanted wanted)
{
  uint8_t request[128] = {0};
  const size_t end = put_wanted(request, IPCTNL_MSG_CT_DELETE, 0, wanted);
  const uint32_t before = count_entries();

  measure_start();
  const uint32_t failed = exchange(request, end, 0);
  measure_stop();
  if (failed)
    fail("the kernel refused the flush");
  measure_report("raw", op, victims, before - count_entries(), 0);
}

/* One connection of each pod, one by one: a GET, for the id, and a DELETE. */
static void delete_one(uint32_t size)
{
  const uint32_t times = pod_count(size);
  const struct flow *flows = flow_of_each_pod(size);
  struct template get = {0};
  uint32_t done = 0;

  make_template(&get, LOOK_UP, &flows[0]);
  make_templates(DELETE, flows, times);
  measure_start();
  for (uint32_t i = 0; i < times; i++) {
    uint32_t id;
    send_bytes(batch, fill_from(&get, batch, LOOK_UP, &flows[i], 0));
    message_at(0, receive());
    const struct nlmsghdr *header = (const struct nlmsghdr *)received;
    if (header->nlmsg_type == NLMSG_ERROR)
      fail("get: %s", strerror(error_of(header)));
    memcpy(&id, find(header, CTA_ID) + 1, sizeof id);
    done += 1 - exchange(batch, fill_request(batch, DELETE, &flows[i], id), 0);
  }
  measure_stop();
  measure_report("raw", "delete-one", times, done, 0);
}

static void count(uint32_t times)
{
  uint32_t value = 0;

  measure_start();
  for (uint32_t i = 0; i < times; i++)
    value = count_entries();
  measure_stop();
  measure_report("raw", "count", times, value, 0);
}

/* The cheapest way to learn that there is nothing: open, count, close. */
static void empty(uint32_t times)
{
  uint64_t total = 0;

  close(fd);
  measure_start();
  for (uint32_t i = 0; i < times; i++) {
    open_socket();
    total += count_entries();
    close(fd);
  }
  measure_stop();
  fd = -1;
  measure_report("raw", "empty", times, total, 0);
}

int main(int argc, char **argv)
{
  if (argc < 3)
    fail("usage: raw OPERATION SIZE [KNOWN]");
  const char *op = argv[1];
  const uint32_t size = must_number(argv[2]);
  const struct wanted everything = {EVERYTHING, 0}, zone = {ZONE, BENCH_ZONE},
                      pod_by_zone = {ZONE, pod_zone(BENCH_POD)}, pod_by_address = {SOURCE, pod_address(BENCH_POD)},
                      pod_by_mark = {MARK, pod_mark(BENCH_POD)};

  open_socket();
  if (!strcmp(op, "fill") || !strcmp(op, "create"))
    create(op, size, make_flows(size));
  else if (!strcmp(op, "fill-pods"))
    create(op, size, flows_with_pods(size));
  else if (!strcmp(op, "dump"))
    dump(size);
  else if (!strcmp(op, "walk"))
    walk(op, size, everything);
  else if (!strcmp(op, "list-zone"))
    walk(op, size / FLOW_ZONES, zone);
  else if (!strcmp(op, "list-pod-zone"))
    walk(op, POD_FLOWS, pod_by_zone);
  else if (!strcmp(op, "list-pod-address"))
    walk(op, POD_FLOWS, pod_by_address);
  else if (!strcmp(op, "list-pod-mark"))
    walk(op, POD_FLOWS, pod_by_mark);
  else if (!strcmp(op, "delete") && argc > 3)
    delete_known(op, DELETE, size, must_number(argv[3]));
  else if (!strcmp(op, "delete-without-id") && argc > 3)
    delete_known(op, DELETE_WITHOUT_ID, size, must_number(argv[3]));
  else if (!strcmp(op, "delete-zone"))
    delete_wanted(op, size / FLOW_ZONES, zone, NULL, 0);
  else if (!strcmp(op, "delete-pod-zone"))
    delete_wanted(op, POD_FLOWS, pod_by_zone, NULL, 0);
  else if (!strcmp(op, "delete-pod-address"))
    delete_wanted(op, POD_FLOWS, pod_by_address, NULL, 0);
  else if (!strcmp(op, "delete-pod-mark"))
    delete_wanted(op, POD_FLOWS, pod_by_mark, NULL, 0);
  else if (!strcmp(op, "delete-pods"))
    delete_pods(op, size);
  else if (!strcmp(op, "delete-one"))
    delete_one(size);
  else if (!strcmp(op, "flush"))
    flush(op, size, everything);
  else if (!strcmp(op, "flush-zone"))
    flush(op, size / FLOW_ZONES, zone);
  else if (!strcmp(op, "count"))
    count(size);
  else if (!strcmp(op, "empty"))
    empty(size);
  else
    fail("no operation %s", op);
  return 0;
}
