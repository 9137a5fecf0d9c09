/*
 * keys.h - what SORT and THREAD compare, made once for each message and kept
 * in mx-cache: no header is parsed a second time.
 * RFC 5256, RFC 5957.
 */
#ifndef IMAPD_KEYS_H
#define IMAPD_KEYS_H

#include "mailbox.h"

enum key_text {
	KEY_SUBJECT, /* base subject; this and the next five folded */
	KEY_FROM,
	KEY_TO,
	KEY_CC,
	KEY_DISPLAYFROM,
	KEY_DISPLAYTO,
	KEY_ID,      /* Message-ID, without brackets */
	KEY_PARENTS, /* "<id><id>..." of References, else of In-Reply-To */
	KEY_TEXTS
};

struct keys {
	int64_t date; /* sent; INT64_MIN: the header does not say */
	bool reply;   /* RFC 5256 2.1: a reply or a forward, by its subject */
	struct span text[KEY_TEXTS]; /* until the next keys_get */
	struct buf made;             /* one room for all messages */
};

/* The caller frees `made` behind the last one.  1: the message is gone; -1 and
 * a sentence. */
int keys_get(struct keys *k, struct mailbox *mb, struct message *m,
	     struct err *e) MX_MUST_CHECK;

#endif
