/*
 * memory.h - what Sieve remembers of a user from message to message: whom it
 * sent a vacation reply (RFC 5230 4.2), which messages it saw (RFC 7352).
 * A text file, a line "EXPIRY HASH" each, only appended to, so that a crash
 * costs at most the line that was being written; rewritten aside and renamed
 * when most of it has expired, or when there are more than 262144 lines: then
 * the oldest half of what is left is forgotten, too.
 */
#ifndef MX_FILTER_MEMORY_H
#define MX_FILTER_MEMORY_H

#include "buf.h"
#include "err.h"

struct memory;
/* What stands in the file for an id: 32 hexadecimal digits, appended. */
void memory_hash(struct buf *b, const char *id);
/* "~/" is $HOME; the file need not exist.  NULL and a sentence. */
struct memory *memory_open(const char *path, struct err *e) MX_MUST_CHECK;
bool memory_has(const struct memory *m, const char *id, int64_t now);
/* Durable when it returns 0. */
int memory_mark(struct memory *m, const char *id, int64_t expiry,
		struct err *e) MX_MUST_CHECK;
void memory_close(struct memory *m);

#endif
