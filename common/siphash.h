/*
 * siphash.h - a keyed hash for tables whose keys come from outside: who does
 * not know the key cannot make entries collide (THREATS 46).
 * Layer: base.  SipHash-1-3, Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF"; one round a word and three at the end are what Linux,
 * Python and Rust take for their tables, whose hashes nobody outside sees.
 */
#ifndef MX_SIPHASH_H
#define MX_SIPHASH_H

#include "span.h"

#include <stdint.h>

struct siphash_key {
	uint64_t k[2];
};

/* A key from the kernel. */
void siphash_key_new(struct siphash_key *key);
uint64_t siphash(const struct siphash_key *key, struct span s);

#endif
