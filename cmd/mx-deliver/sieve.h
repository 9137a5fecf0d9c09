/*
 * sieve.h - a user's Sieve script: run by mx-filter with the user's rights,
 * its actions carried out here.  RFC 5228, 3894, 5232, 5490, 5429.
 */
#ifndef MX_DELIVER_SIEVE_H
#define MX_DELIVER_SIEVE_H

#include "hand.h"
#include "local.h"

/* sieve_before, the user's, sieve_after: so many scripts at most. */
#define SIEVE_SCRIPTS_MAX 32

/* A piece of what the interpreter wrote: a message that is not the one that
 * came (edited, or made by the script). */
struct piece {
	bool set;
	uint64_t at, size;
	int fd; /* the verdict's */
};
/* A message for somebody else: redirect, vacation, notify. */
struct sieve_mail {
	char *to;
	char *from; /* NULL: the sender stays */
	bool own;   /* the script made it: it is no redirect */
	struct piece text;
};
/* Folders that get another message than the one that came. */
struct sieve_copy {
	struct places places;
	struct piece text;
};

struct verdict {
	bool keep; /* no action took the implicit keep away */
	struct places places;
	struct sieve_mail *mails;
	size_t nmails, mails_cap;
	struct sieve_copy *copies;
	size_t ncopies, copies_cap;
	struct strs marks; /* for mx-filter remember, after the delivery */
	int fd; /* what the pieces of this script are pieces of, or -1 */
	int fds[SIEVE_SCRIPTS_MAX]; /* of all */
	size_t nfds;
	char *reject; /* text for the sender */
	bool redirected;
	struct queuefile_writer *queued; /* mails, to be taken back */
	size_t nqueued, cap;
	char words[150]; /* for the log */
};
#define VERDICT_INIT                                                           \
	{                                                                      \
		.keep = true, .fd = -1                                         \
	}
void verdict_free(struct verdict *v);
/* Takes the redirects back: the mailbox copy failed. */
void verdict_undo(struct verdict *v);

/* Stores the copies; l's own message must be committed or aborted. */
int verdict_copies(struct verdict *v, struct local *l,
		   struct err *e) MX_MUST_CHECK;
/* After all is stored: the mails may leave, and what the script remembers is
 * written; a failure of that is logged. */
void verdict_done(struct verdict *v, struct local *l);

/* Are there scripts for all users? */
bool sieve_for_all(void);
/* Runs the scripts on the message that l has written, each while the one
 * before it keeps the message.  0: v says what to do,
 * redirects are in the queue.  -1: temporary. */
int sieve_run(struct local *l, struct verdict *v, struct err *e) MX_MUST_CHECK;
/* The action lines of mx-filter(1) alone; for tests and fuzzing.  Unknown
 * actions mean keep. */
void sieve_actions(struct span lines, struct verdict *v);

#endif
