/*
 * sieve_out.h - the actions of a run as lines, and what is remembered of it.
 */
#ifndef MX_SIEVE_OUT_H
#define MX_SIEVE_OUT_H

#include "sieve.h"

struct memory;

/* The stream of messages: fd -1: there is none. */
struct sieve_out {
	int fd;
	uint64_t at;
	struct {
		const struct sieve_message *m;
		uint64_t at;
	} * seen;
	size_t n, cap;
};
/* The action's lines, appended; its message is written where it needs one. */
int sieve_out_action(struct sieve_out *o, const struct sieve_action *a,
		     struct buf *b) MX_MUST_CHECK;
void sieve_out_done(struct sieve_out *o);
/* The same for people, appended. */
void sieve_say_action(const struct sieve_action *a, struct buf *b);

/* "SECONDS ID" */
bool sieve_mark_parse(const char *mark, int64_t *seconds_r, const char **id_r);
int sieve_mark(struct memory *m, const char *mark, struct err *e) MX_MUST_CHECK;

#endif
