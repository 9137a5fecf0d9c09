/*
 * mem.h - allocation that does not fail.
 * Layer: base.  When memory runs out the process logs one line and exits 75
 * (try again): nothing that was not yet safe has been acknowledged then.
 */
#ifndef MX_MEM_H
#define MX_MEM_H

#include "span.h"

/* Zeroed memory; count * size is checked for overflow.  Caller frees. */
void *mem_alloc(size_t count, size_t size);
/* As realloc, checked; new bytes are not zeroed. */
void *mem_realloc(void *p, size_t count, size_t size);
/*
 * Grow an array so that it holds at least `need` elements of `size` bytes;
 * *cap is kept in elements.  Returns the (perhaps moved) array.
 */
void *mem_grow(void *p, size_t *cap, size_t need, size_t size);
char *mem_strdup(const char *s);
/* A C string with the span's bytes. */
char *mem_spandup(struct span s);
/* printf into new memory.  Caller frees. */
char *mem_printf(const char *fmt, ...) MX_PRINTF(1, 2);

/* Checked arithmetic: false (and *r untouched) on overflow. */
bool mem_add(size_t a, size_t b, size_t *r);
bool mem_mul(size_t a, size_t b, size_t *r);

/* Comparison whose time does not tell where secrets differ. */
bool mem_equal_secret(const void *a, const void *b, size_t n);

#endif
