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
	uint64_t file; /* of one file: mailbox_size_limit */
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
/* Is a file of that size (with what comes) within the limit of files?  -1:
 * 5.2.2. */
int quota_file(const struct quota *q, uint64_t size, const char *path,
	       struct err *e) MX_MUST_CHECK;

/* What is used, before and after. */
struct quota_step {
	struct quota limit;
	int64_t bytes[2], count[2];
};
/* They came.  0: step is what quota_warn wants to know; -1: no warnings. */
int quota_added(int root, const struct quota *limits, uint64_t size,
		size_t copies, struct quota_step *step);

/* quota_warn.c */
bool quota_warns(void);
/* If the step passed a limit of quota_warning: runs its command as the user
 * who owns the mailbox, or tells the user by mail, in the inbox.  A failure is
 * logged. */
void quota_warn(int root, const struct quota_step *step, const char *user,
		const char *home);
/* "1G", "512M", "10240" of unit. */
bool quota_size(struct span s, uint64_t unit, uint64_t *r) MX_MUST_CHECK;

#endif
