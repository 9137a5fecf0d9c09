/*
 * uidlist_int.h - what the three files of dovecot-uidlist share; nobody else
 * includes it.
 * Layer: mail.
 */
#ifndef MX_UIDLIST_INT_H
#define MX_UIDLIST_INT_H

#include "uidlist.h"

#include <sys/stat.h>

#define UIDLIST_NAME "dovecot-uidlist"

/* "3 V123 N456 G..." (version 1 was "1 123 456") into validity, next UID and
 * the other words; false, and nothing is changed, when it is none. */
bool uidlist_parse_header(struct uidlist *u, struct span line) MX_MUST_CHECK;
/* "UID EXT:BASE" and its end; ext is empty or ends with a blank. */
void uidlist_put_line(struct buf *b, uint32_t uid, struct span ext,
		      struct span base);
/* Is it the file we know? */
bool uidlist_same_file(const struct uidlist *u, const struct stat *st);
/* It is from now on; `content` ends as the file does. */
void uidlist_remember(struct uidlist *u, const struct stat *st,
		      struct span content);

#endif
