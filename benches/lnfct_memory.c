/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* What libnetfilter_conntrack does in memory alone: nfct_nlmsg_parse() and nfct_snprintf(). */

#include "bench.h"
#include "lnfct.h"

#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sum is the length of all lines. */
void format(uint32_t size, struct nf_conntrack *const *entries, uint32_t count)
{
    uint64_t length = 0;
    uint32_t written = 0;
    char text[1024];

    measure_start();
    for (uint32_t i = 0; i < count; i++) {
        const int here = nfct_snprintf(text, sizeof text, entries[i], NFCT_T_UNKNOWN, NFCT_O_PLAIN, 0);
        if (here < 0)
            fail("nfct_snprintf: %s", strerror(errno));
        length += (uint64_t)here;
        written += (size_t)here < sizeof text;
    }
    measure_stop();
    measure_report("lnfct", "format", size, written, length);
}

static uint8_t *contents(const char *path, size_t *length)
{
    FILE *file = fopen(path, "re");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail("%s: %s", path, strerror(errno));
    const long end = ftell(file);
    rewind(file);
    if (end <= 0)
        fail("%s is empty", path);
    *length = (size_t)end;
    uint8_t *bytes = must_calloc(*length, 1);
    if (fread(bytes, 1, *length, file) != *length)
        fail("%s: %s", path, strerror(errno));
    fclose(file);
    return bytes;
}

/* Into a fresh object each time: one that is used again keeps what the next message does not have. */
void decode(const char *op, uint32_t size, const char *path)
{
    size_t length;
    const uint8_t *bytes = contents(path, &length);
    uint64_t count = 0, sum = 0;

    measure_start();
    for (size_t at = 0; at < length;) {
        const struct nlmsghdr *message = (const struct nlmsghdr *)(bytes + at);
        struct nf_conntrack *ct = nfct_new();
        if (!ct || nfct_nlmsg_parse(message, ct) != 0)
            fail("nfct_nlmsg_parse: %s", strerror(errno));
        sum += read_entry(ct);
        nfct_destroy(ct);
        count++;
        at += NLMSG_ALIGN(message->nlmsg_len);
    }
    measure_stop();
    measure_report("lnfct", op, size, count, sum);
}
