/*
 * sort.h - the fields of a message that SORT and THREAD compare.
 * RFC 5256, RFC 5957 (display names).
 */
#ifndef IMAPD_SORT_H
#define IMAPD_SORT_H

#include "loaded.h"

/* RFC 5256 2.1: the base subject of a decoded one, folded for comparison;
 * appended.  Returns whether it was a reply or a forward. */
bool subject_base(struct buf *b, struct span utf8);
/* The value of a field, decoded; appended.  False: no such field. */
bool field_text(struct buf *b, const struct msg *m, const char *name);
/* The sent date; the file's time where there is none (RFC 5256 2.2). */
int64_t sent_date(const struct msg *m, int64_t internal);
/* Mailbox of the first address, or its display name; folded, appended. */
void first_address(struct buf *b, const struct msg *m, const char *field,
		   bool display);
/* The next "<id>" of a References or In-Reply-To value, without brackets. */
bool next_msgid(struct span *rest, struct span *id_r);

#endif
