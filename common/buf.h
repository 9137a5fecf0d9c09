/*
 * buf.h - growable bytes that own their memory.
 * Layer: base.  Always NUL-terminated behind the last byte (the NUL does not
 * count), so p may be used as a C string when the content holds no NUL.
 * Running out of memory ends the process with 75 (see mem.h).
 */
#ifndef MX_BUF_H
#define MX_BUF_H

#include "span.h"

struct buf {
	char *p;    /* NULL until the first byte is added */
	size_t n;   /* bytes held */
	size_t cap; /* bytes allocated */
};

#define BUF_INIT ((struct buf){ NULL, 0, 0 })

void buf_init(struct buf *b);
/* Gives the memory back; b is empty and usable after it. */
void buf_free(struct buf *b);
/* The same, and the bytes are overwritten first: for secrets. */
void buf_wipe(struct buf *b);
/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);
/* Cuts to n bytes (no effect when it is shorter). */
void buf_cut(struct buf *b, size_t n);
/* Drops the first n bytes. */
void buf_shift(struct buf *b, size_t n);
/* Makes room for `more` bytes behind the content and returns that place;
 * the caller writes there and then adds to b->n with buf_grew. */
char *buf_room(struct buf *b, size_t more);
void buf_grew(struct buf *b, size_t added);

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_adds(struct buf *b, const char *cstr);
void buf_addspan(struct buf *b, struct span s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) MX_PRINTF(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) MX_PRINTF(2, 0);
void buf_insert(struct buf *b, size_t at, struct span s);

struct span buf_span(const struct buf *b);
/* The content as a C string; "" when empty, never NULL. */
const char *buf_str(const struct buf *b);
/* The memory as a C string that the caller frees; b is empty after it. */
char *buf_steal(struct buf *b);

#endif
