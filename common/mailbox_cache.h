/*
 * mailbox_cache.h - finished answers about messages (their bytes never
 * change) in a mailbox's file mx-cache: records that are only added.
 * Layer: mail.  The file may be deleted at any time.
 */
#ifndef MX_MAILBOX_CACHE_H
#define MX_MAILBOX_CACHE_H

#include "mailbox.h"

enum mailbox_cache_kind {
	MAILBOX_CACHE_ENVELOPE,
	MAILBOX_CACHE_STRUCTURE,
	MAILBOX_CACHE_FIELDS,
	MAILBOX_CACHE_KEYS
};

/* The bytes, p == NULL when they are not there; they live until the next call
 * for this mailbox. */
struct span mailbox_cache_get(struct mailbox *mb, struct message *m,
			      enum mailbox_cache_kind kind);
/* Remembers them, at the latest at mailbox_cache_flush. */
void mailbox_cache_put(struct mailbox *mb, struct message *m,
		       enum mailbox_cache_kind kind, struct span bytes);
void mailbox_cache_flush(struct mailbox *mb);
void mailbox_cache_close(struct mailbox *mb);

#endif
