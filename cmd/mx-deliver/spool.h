/*
 * spool.h - a message that must be held before it goes on: in memory up to
 * 1 MB, then in an unlinked file of the queue's file system.
 */
#ifndef MX_DELIVER_SPOOL_H
#define MX_DELIVER_SPOOL_H

#include "buf.h"
#include "err.h"

struct spool {
	int fd; /* -1 until the first byte */
	uint64_t size;
	bool on_disk;
	struct buf out;
};
void spool_init(struct spool *s);
/* Takes over a descriptor that holds a whole message. */
int spool_adopt(struct spool *s, int fd, struct err *e) MX_MUST_CHECK;
int spool_write(struct spool *s, const void *p, size_t n,
		struct err *e) MX_MUST_CHECK;
/* Appends size bytes of fd from `at`. */
int spool_copy(struct spool *s, int fd, uint64_t at, uint64_t size,
	       struct err *e) MX_MUST_CHECK;
/* Everything is in fd, which stands at its beginning. */
int spool_rewind(struct spool *s, struct err *e) MX_MUST_CHECK;
void spool_free(struct spool *s);
/* "Mon Jan  1 00:00:00 2024\n", for From_ lines. */
void spool_date(struct buf *b);

#endif
