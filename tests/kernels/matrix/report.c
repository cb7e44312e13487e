/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* What is checked and what comes of it; and chance. */

#include "matrix.h"

#include <stdarg.h>
#include <unistd.h>

struct report report;
const char *group_name = "setup";

void fail(const char *format, ...)
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

void die(const char *what)
{
    printf("FAILED %s: %s: %s\n", group_name, what, strerror(errno));
    fflush(stdout);
    _exit(2);
}

void *need(void *memory)
{
    if (!memory)
        die("memory");
    return memory;
}

uint64_t random_state;

static uint64_t random_bits(void)
{
    /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

unsigned below(unsigned n)
{
    return (unsigned)(random_bits() % n);
}

int one_in(unsigned n)
{
    return below(n) == 0;
}
