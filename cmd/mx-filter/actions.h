/*
 * actions.h - the action lines of a stage (DESIGN 3.3): a word, its argument
 * and trailing words, separated by tabs; on fd 3 where MX_ACTIONS=3, else on
 * stderr.
 */
#ifndef MX_FILTER_ACTIONS_H
#define MX_FILTER_ACTIONS_H

#include "buf.h"
#include "err.h"

struct actions {
	struct buf lines;
};
/* One line; control bytes of arg become blanks.  arg may be NULL. */
void actions_add(struct actions *a, const char *verb, const char *arg);
/* All lines at once. */
int actions_write(struct actions *a, struct err *e) MX_MUST_CHECK;
void actions_done(struct actions *a);

#endif
