/*
 * quota.h - how much a mailbox may hold: rules as Dovecot has them, counted in
 * Maildir++'s maildirsize.
 */
#ifndef MX_DELIVER_QUOTA_H
#define MX_DELIVER_QUOTA_H

#include "err.h"
#include "span.h"

/* Limits of the whole mailbox; 0: none. */
struct quota {
	uint64_t bytes, count;
};

/* "*:storage=1G:messages=1000", "*:bytes=512000000", or the old
 * "maildir:storage=10240".  Rules of single folders do not count.  False:
 * malformed. */
bool quota_rule(struct quota *q, struct span rule) MX_MUST_CHECK;

enum quota_room { QUOTA_FITS, QUOTA_OVER, QUOTA_LARGE };
/* Would they fit?  A size of 0: not known yet.  QUOTA_LARGE: not even into the
 * empty mailbox.  -1: trouble. */
int quota_room(int root, const struct quota *limits, uint64_t size,
	       size_t copies, enum quota_room *r, struct err *e) MX_MUST_CHECK;
bool quota_large(const struct quota *q, uint64_t size);
/* -1 and what the sender is told: 5.2.2, or 4.2.2 with quota_full_tempfail. */
int quota_refusal(struct err *e);
/* In the Maildir `root`: may `copies` messages of `size` bytes come in?  Makes
 * maildirsize where a limit is set.  -1: 5.2.2, or 4.2.2 with
 * quota_full_tempfail. */
int quota_check(int root, const struct quota *limits, uint64_t size,
		size_t copies, struct err *e) MX_MUST_CHECK;
/* They came.  Returns the percentage of quota_warning that was passed by it,
 * or 0. */
int quota_added(int root, const struct quota *limits, uint64_t size,
		size_t copies);
/* Tells the user so, in the inbox; a failure is logged. */
void quota_warn(int root, const char *user, int passed);

#endif
