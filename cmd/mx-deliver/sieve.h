/*
 * sieve.h - a user's Sieve script: run by mx-filter with the user's rights,
 * its actions carried out here.  RFC 5228, 3894, 5232, 5490, 5429.
 */
#ifndef MX_DELIVER_SIEVE_H
#define MX_DELIVER_SIEVE_H

#include "hand.h"
#include "local.h"

struct verdict {
	bool keep; /* no action took the implicit keep away */
	struct places places;
	char *reject; /* text for the sender */
	bool redirected;
	struct queuefile_writer *queued; /* redirects, to be taken back */
	size_t nqueued, cap;
	char words[150]; /* for the log */
};
void verdict_free(struct verdict *v);
/* Takes the redirects back: the mailbox copy failed. */
void verdict_undo(struct verdict *v);

/* Runs the script on the message that l has written.  0: v says what to do,
 * redirects are in the queue.  -1: temporary. */
int sieve_run(struct local *l, struct verdict *v, struct err *e) MX_MUST_CHECK;
/* The action lines of mx-filter(1) alone; for tests and fuzzing.  Unknown
 * actions mean keep. */
void sieve_actions(struct span lines, struct verdict *v,
		   struct strs *redirects);

#endif
