/*
 * mbox_read.h - the messages of an mbox, as readers of mail take one apart:
 * Dovecot, mutt, c-client.
 * Layer: mail.  RFC 4155, with mboxrd quoting as mbox.h writes it.
 */
#ifndef MX_MBOX_READ_H
#define MX_MBOX_READ_H

#include "buf.h"
#include "err.h"
#include "maildir.h"

/* Of a message as it stands in an mbox.  One is held in memory at a time, so
 * this bounds what reading an mbox of any size takes (about twice as much). */
#define MBOX_MESSAGE_MAX (256 << 20)

struct mbox_part {
	struct span from; /* the "From " line, without its end */
	struct span raw;  /* what follows it, up to the empty line before the
			   * next one */
	int64_t time;     /* of the "From " line, seconds since 1970 */
};

/* Is this the beginning of an mbox?  Nothing at all is one, too. */
bool mbox_begins(struct span file) MX_MUST_CHECK;
/* The next message from *at (0 at first) on; false: there is none.  A line is
 * a separator when it has a sender and a date as asctime(3) writes it: then
 * text that begins with "From " by chance is none, quoted or not.  No
 * Content-Length is believed, since strangers write them. */
bool mbox_next(struct span file, size_t *at, struct mbox_part *p) MX_MUST_CHECK;
/* The same over an open file, from where it stands, with one message of it in
 * memory.  Zeroed but for fd and max (MBOX_MESSAGE_MAX) at first; the file is
 * read, not mapped, for a writer without locks may cut it at any time. */
struct mbox_reader {
	int fd;
	size_t max;
	struct buf window;
	size_t at; /* in the window: what stands before it was given out */
	bool end, begun;
};
/* 1: *p, whose bytes last until the next call; 0: there is none any more; -1:
 * it could not be read (errno's status), is no mbox or has a message above
 * the limit (ST_DATA). */
int mbox_reader_next(struct mbox_reader *r, const char *path,
		     struct mbox_part *p, struct err *e) MX_MUST_CHECK;
void mbox_reader_done(struct mbox_reader *r);
/* The time of a "From " line; without a zone it is UTC (RFC 4155).  False: no
 * such line. */
bool mbox_from_time(struct span line, int64_t *time_r) MX_MUST_CHECK;
/* What other servers wrote into an mbox, c-client's way: UIDs, and words for
 * keywords.  Spans lie in the message. */
struct mbox_facts {
	uint32_t uid;         /* X-UID, or 0 */
	uint32_t validity;    /* X-IMAPbase or X-IMAP: UIDVALIDITY, or 0; */
	uint32_t last_uid;    /* the greatest UID given */
	struct span known;    /* and all keywords there are */
	struct span keywords; /* X-Keywords */
};
void mbox_facts(struct mbox_facts *f, struct span raw);
/* The message as it was delivered, appended: one ">" of each ">From " line is
 * gone (at any depth), and so are the fields that only mbox programs write
 * (Status, X-Status, X-Keywords, X-UID, X-IMAP, X-IMAPbase, Content-Length,
 * Lines), which come and go while the message stays the same.  *flags_r is
 * what Status and X-Status say.  False: it is no message, but c-client's
 * "FOLDER INTERNAL DATA". */
bool mbox_message(struct buf *out, struct span raw,
		  maildir_flags *flags_r) MX_MUST_CHECK;

#endif
