/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* What the two parts of the program lnfct share. */

#ifndef CTRACK_BENCH_LNFCT_H
#define CTRACK_BENCH_LNFCT_H

#include <stdint.h>

struct nf_conntrack;

/* What a reader takes from an entry. */
uint64_t read_entry(const struct nf_conntrack *ct);

/* Every entry as the line of `conntrack -L`. */
void format(uint32_t size, struct nf_conntrack *const *entries, uint32_t count);

/* The messages of a recorded dump, each decoded and read. */
void decode(const char *op, uint32_t size, const char *path);

#endif
