/*
 * mbox_read.h - the messages of an mbox, as readers of mail take one apart:
 * Dovecot, mutt, c-client.
 * Layer: mail.  RFC 4155, with mboxrd quoting as mbox.h writes it.
 */
#ifndef MX_MBOX_READ_H
#define MX_MBOX_READ_H

#include "buf.h"
#include "maildir.h"

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
/* The time of a "From " line; without a zone it is UTC (RFC 4155).  False: no
 * such line. */
bool mbox_from_time(struct span line, int64_t *time_r) MX_MUST_CHECK;
/* The message as it was delivered, appended: one ">" of each ">From " line is
 * gone (at any depth), and so are the fields that only mbox programs write
 * (Status, X-Status, X-Keywords, X-UID, X-IMAP, X-IMAPbase, Content-Length,
 * Lines), which come and go while the message stays the same.  *flags_r is
 * what Status and X-Status say.  False: it is no message, but c-client's
 * "FOLDER INTERNAL DATA". */
bool mbox_message(struct buf *out, struct span raw,
		  maildir_flags *flags_r) MX_MUST_CHECK;

#endif
