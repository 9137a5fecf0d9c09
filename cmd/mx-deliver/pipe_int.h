/*
 * pipe_int.h - what pipe.c and pipe_args.c share.
 */
#ifndef MX_DELIVER_PIPE_INT_H
#define MX_DELIVER_PIPE_INT_H

#include "deliver.h"
#include "strs.h"

/* pipe_NAME, parsed. */
struct pipe_spec {
	struct strs argv;
	char *user, *directory, *null_sender, *eol;
	int64_t size, limit_ms;
	bool flag[128];
};

/* What the macros stand for. */
struct pipe_facts {
	const struct queuefile *q;
	const size_t *idx; /* recipients of one call, n of them */
	size_t n;
	const struct queuefile_rcpt *to; /* one of them */
	const char *nexthop;
	const struct pipe_spec *spec;
};

/* null_sender= stands for the null sender. */
const char *pipe_sender(const struct pipe_facts *f);
/*
 * Adds the command's words to argv.  pipe(8): a word that names something of
 * the recipient, as ${user}, is there once for each recipient.
 */
int pipe_argv(struct strs *argv, const struct pipe_facts *f,
	      struct err *e) MX_MUST_CHECK;

#endif
