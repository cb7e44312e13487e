/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A program for another machine: what the library does without a kernel. Run by scripts/test-cross.sh in qemu, which knows no
 * netfilter sockets, so opening a handle says so.
 */
#include <ctrack.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    struct ct_entry e = { .has = CT_HAS_ORIG | CT_HAS_REPLY | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_MARK | CT_HAS_ID |
                                 CT_HAS_ZONE | CT_HAS_ORIG_COUNTERS | CT_HAS_REPLY_COUNTERS | CT_HAS_STATUS,
                          .family = CT_FAMILY_IPV4,
                          .proto = 17,
                          .timeout = 30,
                          .mark = 0x01020304,
                          .id = 4000000000u,
                          .zone = 258,
                          .status = CT_STATUS_CONFIRMED };
    struct ct_open_opts o = { .size = 1 };
    struct ct_handle *h;
    char text[1024];

    memcpy(e.orig.src, (uint8_t[]){ 10, 0, 0, 1 }, 4);
    memcpy(e.orig.dst, (uint8_t[]){ 10, 0, 0, 2 }, 4);
    memcpy(e.reply.src, (uint8_t[]){ 10, 0, 0, 2 }, 4);
    memcpy(e.reply.dst, (uint8_t[]){ 10, 0, 0, 1 }, 4);
    e.orig.sport = e.reply.dport = 258;
    e.orig.dport = e.reply.sport = 53;
    e.orig_counters.packets = e.reply_counters.bytes = 1ull << 33 | 5;

    printf("version %s, header %d\n", ct_version_string(), ct_version_number() == CT_VERSION_NUMBER);
    printf("%s\n", ct_strerror(-1));
    if (ct_entry_format(&e, CT_FORMAT_LINE | CT_FORMAT_ID, text, sizeof text) < 0)
        return 1;
    printf("%s\n", text);
    printf("too small an option: %s\n", ct_strerror(ct_handle_open(&h, &o)));
    printf("open: %s\n", ct_strerror(ct_handle_open(&h, NULL)));
    return 0;
}
