/*
 * expand_int.h - what expand.c and expand_list.c share: the work list from one
 * recipient to all its places.
 */
#ifndef MX_DELIVER_EXPAND_INT_H
#define MX_DELIVER_EXPAND_INT_H

#include "route_int.h"

/* What is still to be done with an item. */
enum expand_stage { DO_VIRTUAL, DO_ROUTE, DO_ALIAS, DO_FORWARD, DO_MAILBOX };

struct expand_item {
	char *addr;
	enum expand_stage stage;
	ssize_t parent;
	int depth;
	char *owner; /* sender from an owner- alias, or NULL */
	char *by;    /* whose .forward is being read, or NULL */
	/* what via.c asks */
	const char *keeper; /* owner- alias or user of the .forward that named
			       it, NULL: neither; another item's string */
	bool included;      /* named in an :include: file */
	bool expanded;      /* a list of aliases(5) or .forward, read */
	bool resent;        /* local(8) sends it on as a message of its own */
};

struct expansion {
	struct expand_item *v;
	size_t n, cap, at;
	struct targets *out;
	struct err *e;
};

/* A child of item `parent` (-1: the first); takes over addr.  owner NULL: the
 * parent's.  -1 and w->e: too many, or nested too deep. */
int expand_push(struct expansion *w, char *addr, enum expand_stage stage,
		ssize_t parent, const char *owner) MX_MUST_CHECK;
/* One place more, unless it is there already; takes over dest (NULL: to the
 * queue).  owner: the sender of what goes there, NULL: the item's own. */
void expand_add(struct expansion *w, const struct expand_item *it,
		struct dest *d, const char *owner);
/* Is addr at or above item `at`, in that stage? */
bool expand_in_chain(const struct expansion *w, ssize_t at, struct span addr,
		     enum expand_stage stage);
/* "joe" -> "joe@$myorigin"; "@other" -> the same local part there.  The caller
 * frees it. */
char *expand_qualify(struct span text, struct span local);
/* addr, which it takes over, or "joe" -> "joe@$myhostname": what is left after
 * append_at_myorigin = no, when it is time to deliver. */
char *expand_resolved(char *addr);
/* Stages of route_expand: 0, or -1 and w->e. */
int expand_alias(struct expansion *w, size_t i) MX_MUST_CHECK;
int expand_forward(struct expansion *w, size_t i) MX_MUST_CHECK;

#endif
