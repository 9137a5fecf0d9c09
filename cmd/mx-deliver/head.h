/*
 * head.h - the header of a message as it passes: what is put on top, and what
 * is looked for on the way (hops, loops, Message-ID).
 */
#ifndef MX_DELIVER_HEAD_H
#define MX_DELIVER_HEAD_H

#include "local.h"

/* Return-Path, X-Original-To, Delivered-To, then f->extra.  where: the word
 * of prepend_delivered_header, "file", "command" or "forward". */
void head_fields(struct buf *b, const struct facts *f, const char *where);

/* Watches the bytes of a message as they come (LF lines). */
struct head_watch {
	bool done;       /* the header has ended */
	struct buf line; /* begin of the line that is not complete */
	int received;
	char *message_id;
	struct strs delivered_to;
	char field; /* the field being read: R, D, M or 0 */
};
void head_watch(struct head_watch *w, struct span bytes);
void head_watch_free(struct head_watch *w);
/* Does a Delivered-To name addr? */
bool head_watch_loops(const struct head_watch *w, const char *addr);
/* The header of a stored message: size bytes of fd from `at`. */
void head_watch_file(struct head_watch *w, int fd, uint64_t at, uint64_t size);
/* head_watch_loops for a stored message. */
bool head_loops(int fd, uint64_t at, uint64_t size, const char *addr);
/* The same of one that is in memory. */
bool head_loops_in(struct span message, const char *addr);

#endif
