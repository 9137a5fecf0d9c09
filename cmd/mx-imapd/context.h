/*
 * context.h - searches whose results are kept up to date for the client:
 * RETURN (UPDATE), ADDTO, REMOVEFROM, CANCELUPDATE.  RFC 5267 4.3, RFC 5465 7.
 */
#ifndef IMAPD_CONTEXT_H
#define IMAPD_CONTEXT_H

#include "fetch.h"

#define CONTEXTS_MAX 10

/* Puts what was found in the order of the command. */
typedef int context_sort_fn(struct session *s, void *order, struct found *f,
			    struct err *e);
struct context {
	char *tag;
	bool uid;
	struct search se;
	context_sort_fn *sort; /* NULL: by number */
	void *order;
	struct fetch *att;
	uint32_t *uids; /* the result, in its order */
	size_t n, cap;
	uint64_t modseq; /* what was looked at */
	uint32_t last;
};

/* Is the tag one of a search that is kept (RFC 5267 4.3: BAD)? */
bool context_has(const struct session *s, struct span tag);
/* Keeps it; takes what `se` and `w->att` hold.  order: memory of `size` bytes,
 * copied.  Too many: untagged NO. */
void context_keep(struct session *s, struct search *se, struct wanted *w,
		  const struct found *f, context_sort_fn *sort,
		  const void *order, size_t size);
/* Before EXPUNGEs are told: what goes with them. */
void context_gone(struct session *s);
/* Behind FETCH and EXISTS: what came and went by them. */
void context_update(struct session *s);
/* Nothing is selected any more. */
void context_drop_all(struct session *s);

#endif
