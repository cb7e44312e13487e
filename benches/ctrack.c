/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * libctrack, as a program would use it. Usage: ctrack OPERATION SIZE [KNOWN]
 */

#include "bench.h"

#include <ctrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 256 };

static struct ct_handle *h;

static struct ct_result result = {.size = sizeof result};

/* Says what failed. A call that only half succeeded is a failure here too. */
static void must(int code, const char *call)
{
  if (code < 0)
    fail("%s: %s: %s", call, ct_strerror(code), ct_handle_error(h));
}

static uint32_t word(const uint8_t *at)
{
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static uint64_t read_entry(const struct ct_entry *e)
{
  return reading(word(e->orig.src), word(e->orig.dst), e->orig.sport, e->orig.dport, e->proto, e->mark, e->status);
}

static const struct ct_filter zone_filter = {.size = sizeof zone_filter, .match = CT_MATCH_ZONE, .zone = BENCH_ZONE};

static void stream(uint32_t size)
{
  static struct ct_entry buffer[BATCH];
  uint64_t count = 0, sum = 0;
  int got;

  measure_start();
  must(ct_dump_start(h, NULL, 0), "ct_dump_start");
  while ((got = ct_dump_next(h, buffer, BATCH)) > 0) {
    for (int i = 0; i < got; i++)
      sum += read_entry(&buffer[i]);
    count += (uint64_t)got;
  }
  must(got, "ct_dump_next");
  measure_stop();
  measure_report("ctrack", "stream", size, count, sum);
}

/* The list alone, or with its release: then the pages of the array are given back on the clock too. */
static void list(const char *op, uint32_t size, const struct ct_filter *f, size_t n, int with_free)
{
  struct ct_entry *entries;
  uint64_t sum = 0;
  size_t count;

  measure_start();
  must(ct_list(h, f, n, &entries, &count), "ct_list");
  if (with_free)
    ct_entries_free(entries);
  measure_stop();
  if (!with_free) {
    for (size_t i = 0; i < count; i++)
      sum += read_entry(&entries[i]);
    ct_entries_free(entries);
  }
  measure_report("ctrack", op, size, count, sum);
}

static struct ct_entry entry_of(const struct flow *f)
{
  struct ct_entry e = {
    .has = CT_HAS_ORIG | CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_TIMEOUT,
    .family = f->family,
    .proto = f->proto,
    .status = f->status,
    .mark = f->mark,
    .timeout = f->timeout,
  };
  memcpy(e.orig.src, f->src, sizeof e.orig.src);
  memcpy(e.orig.dst, f->dst, sizeof e.orig.dst);
  if (f->proto == CT_PROTO_ICMP || f->proto == CT_PROTO_ICMPV6) {
    e.has |= CT_HAS_ICMP;
    e.orig.icmp_id = f->sport;
    e.orig.icmp_type = f->proto == CT_PROTO_ICMP ? 8 : 128;
  } else {
    e.has |= CT_HAS_PORTS;
    e.orig.sport = f->sport;
    e.orig.dport = f->dport;
  }
  if (f->proto == CT_PROTO_TCP) {
    e.has |= CT_HAS_TCP_STATE;
    e.tcp_state = f->tcp_state;
  }
  if (f->zone) {
    e.has |= CT_HAS_ZONE;
    e.zone = f->zone;
  }
  return e;
}

static void create(uint32_t size)
{
  struct ct_entry *entries = must_calloc(size, sizeof *entries);
  int32_t *status = must_calloc(size, sizeof *status);

  for (uint32_t i = 0; i < size; i++) {
    struct flow f;
    flow_make(&f, i);
    entries[i] = entry_of(&f);
  }
  measure_start();
  must(ct_create_entries(h, entries, size, status, &result), "ct_create_entries");
  measure_stop();
  measure_report("ctrack", "create", size, result.done, 0);
}

static void delete_known(uint32_t size, uint32_t known)
{
  uint32_t *places = flow_sample_places(known, size);
  struct ct_entry *victims = must_calloc(known, sizeof *victims), *entries;
  int32_t *status = must_calloc(known, sizeof *status);
  uint32_t found = 0;
  size_t count;

  must(ct_list(h, NULL, 0, &entries, &count), "ct_list");
  for (size_t i = 0; i < count; i++) {
    const uint32_t number = flow_number(entries[i].family, entries[i].orig.src);
    if (number < size && places[number] != UINT32_MAX) {
      victims[places[number]] = entries[i];
      found++;
    }
  }
  ct_entries_free(entries);
  if (found != known)
    fail("only %u of %u entries are there", found, known);
  measure_start();
  must(ct_delete_entries(h, victims, known, status, &result), "ct_delete_entries");
  measure_stop();
  measure_report("ctrack", "delete", known, result.done, 0);
}

static void delete_zone(uint32_t size)
{
  measure_start();
  must(ct_delete(h, &zone_filter, 1, 0, &result), "ct_delete");
  measure_stop();
  measure_report("ctrack", "delete-zone", size / FLOW_ZONES, result.done, 0);
}

static void flush(const char *op, uint32_t size, const struct ct_filter *scope)
{
  uint64_t before, after;

  must(ct_count(h, &before), "ct_count");
  measure_start();
  must(ct_flush(h, scope, scope ? 0 : CT_FLUSH_ALL), "ct_flush");
  measure_stop();
  must(ct_count(h, &after), "ct_count");
  measure_report("ctrack", op, scope ? size / FLOW_ZONES : size, before - after, 0);
}

static void count(uint32_t times)
{
  uint64_t value = 0;

  measure_start();
  for (uint32_t i = 0; i < times; i++)
    must(ct_count(h, &value), "ct_count");
  measure_stop();
  measure_report("ctrack", "count", times, value, 0);
}

/* The whole way of a program that finds nothing: open, list, close. */
static void empty(uint32_t times)
{
  uint64_t total = 0;

  ct_handle_close(h);
  measure_start();
  for (uint32_t i = 0; i < times; i++) {
    struct ct_entry *entries;
    size_t found;
    must(ct_handle_open(&h, NULL), "ct_handle_open");
    must(ct_list(h, NULL, 0, &entries, &found), "ct_list");
    ct_entries_free(entries);
    ct_handle_close(h);
    total += found;
  }
  measure_stop();
  h = NULL;
  measure_report("ctrack", "empty", times, total, 0);
}

int main(int argc, char **argv)
{
  if (argc < 3)
    fail("usage: ctrack OPERATION SIZE [KNOWN]");
  const char *op = argv[1];
  const uint32_t size = must_number(argv[2]);

  must(ct_handle_open(&h, NULL), "ct_handle_open");
  if (!strcmp(op, "stream"))
    stream(size);
  else if (!strcmp(op, "list"))
    list(op, size, NULL, 0, 0);
  else if (!strcmp(op, "list-free"))
    list(op, size, NULL, 0, 1);
  else if (!strcmp(op, "list-zone"))
    list(op, size / FLOW_ZONES, &zone_filter, 1, 0);
  else if (!strcmp(op, "create"))
    create(size);
  else if (!strcmp(op, "delete") && argc > 3)
    delete_known(size, must_number(argv[3]));
  else if (!strcmp(op, "delete-zone"))
    delete_zone(size);
  else if (!strcmp(op, "flush"))
    flush(op, size, NULL);
  else if (!strcmp(op, "flush-zone"))
    flush(op, size, &zone_filter);
  else if (!strcmp(op, "count"))
    count(size);
  else if (!strcmp(op, "empty"))
    empty(size);
  else
    fail("no operation %s", op);
  ct_handle_close(h);
  return 0;
}
