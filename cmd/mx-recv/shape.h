/*
 * shape.h - where a header begins and ends, said so that every reader finds
 * the same: a leading "From " line becomes a field (Postfix smtpd's
 * X-Mailbox-Line), and a header that ends at a line that is no field gets its
 * empty line (as Postfix's cleanup).  Readers differ there: what one of them
 * passes over as junk inside the header is the first line of the body for
 * another, and the From field behind it is seen by one of them alone.
 * RFC 5322 2.1; mx-mail-in-the-wild(7).
 */
#ifndef RECV_SHAPE_H
#define RECV_SHAPE_H

#include "buf.h"

struct shape {
	struct buf held; /* the front of a line, until it is known */
	bool inside;     /* in a line that is known to be of the header */
	bool fields;     /* one was seen */
	bool done;       /* the header has ended: all else passes */
};

/* For the next message; keeps what memory there is. */
void shape_init(struct shape *sh);
void shape_free(struct shape *sh);
/* Stored (LF) bytes in; what may go on is appended to out.  At most 4 KB are
 * held back. */
void shape_feed(struct shape *sh, struct span in, struct buf *out);
/* The message has ended. */
void shape_finish(struct shape *sh, struct buf *out);

#endif
