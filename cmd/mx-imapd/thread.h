/*
 * thread.h - messages as a forest.  RFC 5256 3; no recursion, every walk is
 * over an explicit order, so a chain of a million replies is but long.
 */
#ifndef IMAPD_THREAD_H
#define IMAPD_THREAD_H

#include "buf.h"

#define THREAD_NONE UINT32_MAX

struct thread_node {
	uint32_t parent, child, last, next;
	uint32_t message; /* what the caller put there, or THREAD_NONE */
	int64_t date;     /* sent */
	int64_t latest;   /* INT64_MIN, and what thread_refs makes of it */
	size_t subject;   /* base subject in `texts` */
	uint32_t subject_n;
	bool reply;
};
struct thread {
	struct thread_node *v; /* v[0] is the root */
	size_t n, cap;
	struct map *ids; /* message id -> node number */
	struct buf texts;
};

void thread_init(struct thread *t);
void thread_done(struct thread *t);
/* A message with its own id and those it refers to, "<id><id>..." (or what
 * stands in between, as in the field): the last one is its parent. */
void thread_add(struct thread *t, const struct thread_node *facts,
		struct span id, struct span references);
/* A message without a place: ORDEREDSUBJECT. */
void thread_add_plain(struct thread *t, const struct thread_node *facts);
/* Base subject as it was stored. */
struct span thread_subject(const struct thread *t, uint32_t node);
void thread_references(struct thread *t);
void thread_refs(struct thread *t);
void thread_ordered_subject(struct thread *t);

#endif
