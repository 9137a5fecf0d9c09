/*
 * hold.h - bytes that wait until somebody has decided about them: 256 KB in
 * memory, then in an unlinked file that the monitor opens (DESIGN 4).
 */
#ifndef RECV_HOLD_H
#define RECV_HOLD_H

#include "server.h"

struct hold {
	struct buf mem;
	int fd; /* -1: all is in mem */
	uint64_t size;
	bool failed; /* no room: said once in the log */
};

/* In the monitor's before_drop: the offer that opens files below dir (or in
 * /var/tmp where dir is not there). */
void hold_offer(struct server *s, const char *dir);
void hold_init(struct hold *h);
void hold_free(struct hold *h);
/* Appends; false when it cannot be kept. */
bool hold_add(struct hold *h, struct server *s, struct span bytes);
/* Appends to b at most n bytes from offset `at`; false on an I/O error. */
bool hold_read(struct hold *h, uint64_t at, size_t n,
	       struct buf *b) MX_MUST_CHECK;

#endif
