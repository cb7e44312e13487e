/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An allocator that fails when it is told to: linked into a program, it is that of all libraries of the process too. */

#ifndef FAILING_H
#define FAILING_H

#include <stddef.h>

/* From now on allocations are counted, and the nth one fails, with all behind it if `rest` is set. 0: none fails. */
void failing_start(long nth, int rest);

/* What was asked for since. */
struct failing {
    long asked;
    long failed;
    /* Of the first that failed. */
    size_t size;
};

/* From now on nothing fails and nothing is counted. */
struct failing failing_stop(void);

/* Bytes that are allocated now, whether counted or not. */
long failing_held(void);

#endif
