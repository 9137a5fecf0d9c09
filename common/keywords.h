/*
 * keywords.h - the keywords of a mailbox in Dovecot's dovecot-keywords: lines
 * "INDEX NAME", index 0 to 25 is the letter a to z in names of messages.
 * Layer: mail.  The reader tolerates, the writer asserts.
 */
#ifndef MX_KEYWORDS_H
#define MX_KEYWORDS_H

#include "err.h"
#include "maildir.h"

struct keywords {
	char *name[MAILDIR_KEYWORDS]; /* NULL: not used */
};
void keywords_free(struct keywords *k);
bool keywords_parse(struct keywords *k, struct span bytes) MX_MUST_CHECK;
int keywords_read(struct keywords *k, int dirfd, struct err *e) MX_MUST_CHECK;
/* Index of a keyword (any case), or -1. */
int keywords_find(const struct keywords *k, struct span name);
/* May a keyword be so named: an IMAP atom, at most 64 bytes. */
bool keywords_valid(struct span name);
/* The index of a keyword, which is given a letter where it has none; -2 when
 * all 26 are taken, -1 and a sentence on failure. */
int keywords_add(struct keywords *k, int dirfd, struct span name,
		 struct err *e) MX_MUST_CHECK;

#endif
