/*
 * subscriptions.h - the file `subscriptions` of a mail root, as Dovecot has
 * it.
 * Layer: mail.  The reader tolerates, the writer asserts.
 */
#ifndef MX_SUBSCRIPTIONS_H
#define MX_SUBSCRIPTIONS_H

#include "err.h"
#include "strs.h"

/* Subscriptions of a mail root: names in canonical modified UTF-7.  Reads
 * both forms: lines of names, and "V\t2" with levels parted by tabs. */
void subscriptions_parse(struct strs *names, struct span bytes);
int subscriptions_read(struct strs *names, int root,
		       struct err *e) MX_MUST_CHECK;
/* 0 also when it was so already. */
int subscriptions_set(int root, struct span name, bool on,
		      struct err *e) MX_MUST_CHECK;

#endif
