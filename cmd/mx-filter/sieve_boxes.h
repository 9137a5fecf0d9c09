/*
 * sieve_boxes.h - what a script may know of its user's mailboxes: that there
 * is one, its special uses, its id, its annotations.  Read from the files
 * that mx-imapd keeps, never written.
 * RFC 5490, 8579, 9042.
 */
#ifndef MX_SIEVE_BOXES_H
#define MX_SIEVE_BOXES_H

#include "sieve.h"

/* Names are UTF-8.  All say no where the run has no Maildir. */
bool boxes_have(const struct sieve_run *r, const char *name);
/* An annotation, appended; mailbox NULL: the server's. */
bool boxes_annotation(const struct sieve_run *r, const char *mailbox,
		      const char *entry, struct buf *value);
/* Has it the use "\Junk"?  mailbox NULL: has any? */
bool boxes_have_use(const struct sieve_run *r, const char *mailbox,
		    const char *use);
/* The mailbox with that use (the one named `wish`, if it has it), or with
 * that id; appended. */
bool boxes_with_use(const struct sieve_run *r, const char *use,
		    const char *wish, struct buf *name);
bool boxes_with_id(const struct sieve_run *r, const char *id, struct buf *name);

#endif
