/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* For the programs of scripts/test-abi.sh: memory that ends where a struct ends, and checks that say what was found. */

#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int check_failures;

/* Two numbers that must be the same. */
#define IS(found, wanted) check_is(__LINE__, #found, (long long)(found), (long long)(wanted))

static void check_is(int line, const char *what, long long found, long long wanted)
{
    if (found == wanted)
        return;
    check_failures++;
    printf("line %d: %s is %lld instead of %lld\n", line, what, found, wanted);
}

/* Zeroed memory whose last byte is the last one before a page that cannot be touched: one byte too many is SIGSEGV. */
static void *at_the_edge(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = (size + page - 1) / page;
    char *at = mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED || mprotect(at + pages * page, page, PROT_NONE) < 0) {
        perror("mmap");
        exit(2);
    }
    return at + pages * page - size;
}

/* A struct that begins with its size. */
static void *sized(size_t size)
{
    unsigned int *at = at_the_edge(size);

    *at = (unsigned int)size;
    return at;
}

/* An entry to create: UDP, 10.0.0.HOST:1000 to 10.9.9.9:53, with a mark. */
static void fill(struct ct_entry *entry, unsigned char host, unsigned int mark)
{
    static const unsigned char server[4] = { 10, 9, 9, 9 };
    const unsigned char client[4] = { 10, 0, 0, host };

    memset(entry, 0, sizeof *entry);
    entry->has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_MARK;
    entry->family = CT_FAMILY_IPV4;
    entry->proto = CT_PROTO_UDP;
    memcpy(entry->orig.src, client, sizeof client);
    memcpy(entry->orig.dst, server, sizeof server);
    entry->orig.sport = 1000;
    entry->orig.dport = 53;
    entry->timeout = 600;
    entry->mark = mark;
}

/* A filter of one client. */
static void from_client(struct ct_filter *filter, unsigned char host)
{
    const unsigned char client[4] = { 10, 0, 0, host };

    filter->match = CT_MATCH_FAMILY | CT_MATCH_ORIG_SRC;
    filter->family = CT_FAMILY_IPV4;
    memcpy(filter->orig_src, client, sizeof client);
    filter->orig_src_prefix = 32;
}

#endif
