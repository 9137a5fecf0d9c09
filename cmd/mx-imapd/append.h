/*
 * append.h - messages on their way into a mailbox: APPEND, REPLACE.
 */
#ifndef IMAPD_APPEND_H
#define IMAPD_APPEND_H

#include "date.h"
#include "deposit.h"
#include "imap.h"

/* RFC 3502 does not bound them; each holds a descriptor until all are safe. */
#define APPEND_MESSAGES 500

struct append_one {
	maildir_flags flags;
	bool has_date;
	struct date date;
	struct deposit dep;
	bool cr;          /* a CR waits for what follows */
	bool placed;      /* it has its name in the mailbox */
	struct buf whole; /* a literal8, until it is looked through */
	uint64_t n;       /* bytes taken so far */
};
struct append {
	struct mailbox to; /* folder and keywords only */
	uint32_t since;    /* its next UID before the messages came */
	struct append_one **v;
	size_t n, cap;
	struct err e;
	bool failed; /* e tells why; the rest is read and dropped */
	struct result refusal;
};

/* Opens a file for one more message; failing is remembered. */
struct append_one *append_next(struct append *a);
/* Bytes of the wire, CRLF becoming LF. */
void append_take(struct append *a, struct append_one *x, struct span bytes);
/* The last byte of a message has come. */
void append_end(struct append *a, struct append_one *x);
/* All of them, durable and numbered, or none: RESULT_OK and the code
 * APPENDUID, or why not. */
struct result append_commit(struct session *s, struct append *a);
void append_done(struct append *a);

/* A literal8 whose parts are in "binary": in base64 from now on (RFC 3516
 * 4.4); as it is otherwise. */
void append_unbinary(struct buf *whole);
/* CATENATE (RFC 4469) behind its word: "(" to ")".  RESULT_OK, or why not. */
struct result append_catenate(struct session *s, struct append *a,
			      struct append_one *x);
/* The data extension UTF8 was said: refuses where it was not enabled. */
void append_wants_utf8(struct session *s, struct append *a);
/* The literal that stands next: taken from the wire into x (or dropped, when
 * something failed before), and the line behind it read.  False: s->say_bye,
 * or result_bad. */
bool append_literal(struct session *s, struct append *a, struct append_one *x,
		    bool collect);
/* Refuses: the first reason counts. */
void append_refuse(struct append *a, struct result r);

#endif
