/*
 * text.h - a stored message as POP3 sends it: CRLF, dots doubled.
 */
#ifndef POP3D_TEXT_H
#define POP3D_TEXT_H

#include "io.h"

struct text {
	struct stream *st; /* NULL: only counted */
	char last;         /* the byte before */
	uint64_t column;   /* bytes of this line so far */
	bool in_body;
	bool limited;   /* TOP: `lines` of the body, then done */
	uint64_t lines; /* still to come */
	bool done;
	uint64_t sent; /* octets with CRLF, dots not doubled */
};
void text_init(struct text *t, struct stream *st);
/* More bytes of the message. */
void text_put(struct text *t, struct span s);
/* The last line end where it is missing, and the final dot. */
void text_end(struct text *t);

#endif
