/*
 * random.h - randomness from the kernel; failure stops the process.
 * Layer: base.
 */
#ifndef MX_RANDOM_H
#define MX_RANDOM_H

#include "buf.h"

void random_bytes(void *p, size_t n);
uint64_t random_u64(void);
/* Evenly in 0 .. bound-1; bound > 0. */
uint32_t random_below(uint32_t bound);
/* Appends n letters and digits, e.g. for unique file names. */
void random_word(struct buf *b, size_t n);

#endif
