/*
 * handwork_int.h - what handwork.c and handwork_many.c share: Maildirs that
 * are kept open, and what is asked before and told after a message.
 */
#ifndef MX_DELIVER_HANDWORK_INT_H
#define MX_DELIVER_HANDWORK_INT_H

#include "handwork.h"

/* A file in tmp/ of that Maildir, which w->at becomes and which is made where
 * it is missing.  Pinned ones stay as they are. */
int handwork_start(struct handwork *w, struct deposit *d, const char *maildir,
		   enum deposit_sync sync, struct err *e) MX_MUST_CHECK;
/* May `copies` of it come in?  Right before the rename: after it there is only
 * the one fsync. */
int handwork_may(const struct kept_dir *k, const struct quota *q, uint64_t size,
		 size_t copies, struct err *e) MX_MUST_CHECK;
/* They came: counted, and user (may be NULL) warned. */
void handwork_came(const struct kept_dir *k, const struct quota *q,
		   uint64_t size, size_t copies, const char *user,
		   const char *home);

#endif
