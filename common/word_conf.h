/*
 * word_conf.h - "Name value" files with comments and Include, as opendkim.conf
 * and opendmarc.conf are.
 * Layer: sys.  opendkim.conf(5), opendmarc.conf(5).
 */
#ifndef MX_WORD_CONF_H
#define MX_WORD_CONF_H

#include "err.h"
#include "span.h"

/*
 * Calls fn for each line of the file and of those it includes; fn returns
 * non-zero with a sentence (FILE:LINE is put before it), or 0.  `ignored`:
 * words with blanks around each that are passed over; what fn answers with 1
 * and is not there is an error.
 */
int word_conf_read(const char *path, const char *ignored,
		   int (*fn)(void *ctx, struct span name, struct span value,
			     struct err *e),
		   void *ctx, struct err *e) MX_MUST_CHECK;

/* Is the word in such a list, whatever its case? */
bool word_conf_has(const char *list, struct span name);

#endif
