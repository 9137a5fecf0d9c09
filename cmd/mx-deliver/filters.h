/*
 * filters.h - inbound_filter and outbound_filter: stages over real pipes,
 * once a message, before its reply.  DESIGN 3.3.
 */
#ifndef MX_DELIVER_FILTERS_H
#define MX_DELIVER_FILTERS_H

#include "trans.h"

/* A user of ours: logged in, in mynetworks, or on the submit socket. */
bool filters_is_ours(const struct client *c);
/* Is there a filter for this client's mail? */
bool filters_wanted(const struct client *c);
/*
 * Runs it on the spool, which holds the result then.  -1 and e: the verdict,
 * permanent for 69, 77 (the stage's last line) and 65, else temporary.
 */
int filters_run(struct trans *t, struct spool *s, struct err *e) MX_MUST_CHECK;
/* Parses a parameter into stages: words as proc_words, "|" between. */
int filters_stages(const char *text, struct strs **argv_r, size_t *n_r,
		   struct err *e) MX_MUST_CHECK;

#endif
