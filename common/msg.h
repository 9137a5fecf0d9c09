/*
 * msg.h - the message index: spans over untouched bytes, and edits as
 * splices.  RFC 5322 with what real mail does; LF and CRLF both.
 * Layer: mail.  DKIM, filters and IMAP share the index; untouched bytes stay
 * equal.
 */
#ifndef MX_MSG_H
#define MX_MSG_H

#include "buf.h"
#include "err.h"

struct msg_field {
	struct span all;  /* the whole field with its line end(s) */
	struct span name; /* without the colon and blanks before it */
	struct span
	    value; /* behind the colon, folds inside, last line end not */
};

struct msg {
	struct span whole;
	struct span header; /* fields, without the empty line */
	struct span body;   /* behind the empty line */
	bool crlf;          /* first line ends with CRLF */
	bool has_blank;     /* an empty line stood behind the header */
	struct msg_field *v;
	size_t n, cap;
};

/* Indexes bytes that stay with the caller.  What msg_front tells is skipped
 * (not part of header).  A line that is no field ends the header (it
 * becomes body) as Postfix does; header limit `max_header` bytes (0: 1 MB):
 * beyond it the rest counts as body.  Linear time. */
void msg_index(struct msg *m, struct span bytes, size_t max_header);
void msg_done(struct msg *m);
/* Did max_header end the header: does it go on in what counts as body?  Who
 * judges a message by its fields has not seen them all then. */
bool msg_header_cut(const struct msg *m);
/* The field at the front of s with its folded lines: its length, or 0 when no
 * field begins there.  For readers that need no index. */
size_t msg_next_field(struct span s, struct msg_field *f);
/* The length of the mbox "From " line at the front of s, or 0. */
size_t msg_from_line(struct span s);
/* The length of the lines above the header: mbox "From " lines, quoted with '>'
 * or not, as Postfix's sendmail(1) passes over; 0 as a rule. */
size_t msg_front(struct span s);
/* The i-th field (from 0, top down) of that name, case-insensitive; NULL. */
const struct msg_field *msg_find(const struct msg *m, const char *name,
				 size_t i);
/* The next field of that name behind `after` (NULL: the first one): a walk over
 * all of them is linear, which one with msg_find and a hundred thousand fields
 * is not. */
const struct msg_field *msg_next(const struct msg *m, const char *name,
				 const struct msg_field *after);
/* The one walk shape: stops when fn returns non-zero, and returns that. */
int msg_each_header(const struct msg *m, const char *name /* NULL: all */,
		    int (*fn)(void *ctx, const struct msg_field *f), void *ctx);
/* Value with folds removed (CRLF before WSP dropped), trimmed; appended. */
void msg_unfold(struct buf *b, struct span value);

/* Edits: a list of splices on the original bytes. */
struct msg_splice {
	size_t at, drop;
	int64_t order; /* among those at one place */
	struct buf put;
};
struct msg_edit {
	const struct msg *m;
	struct msg_splice *v;
	size_t n, cap;
};
void msg_edit_init(struct msg_edit *ed, const struct msg *m);
void msg_edit_done(struct msg_edit *ed);
/* Field text is "Name: value" without line end, may hold "\n\t" folds; it is
 * written with the message's own line ends.  A later prepend stands above an
 * earlier one, a later append below; of several changes of one field the last
 * counts. */
void msg_edit_prepend(struct msg_edit *ed, struct span field);
void msg_edit_append(struct msg_edit *ed, struct span field);
/* Before that field. */
void msg_edit_insert(struct msg_edit *ed, const struct msg_field *before,
		     struct span field);
/* Any piece of the message for any bytes. */
void msg_edit_bytes(struct msg_edit *ed, struct span piece, struct span put);
void msg_edit_delete(struct msg_edit *ed, const struct msg_field *f);
void msg_edit_replace(struct msg_edit *ed, const struct msg_field *f,
		      struct span field);
/* The edited message, in pieces; fn returns non-zero to stop. */
int msg_edit_emit(struct msg_edit *ed,
		  int (*fn)(void *ctx, const void *p, size_t n), void *ctx);

/* One safe header field: controls replaced, folded at 78 with "\n\t", name
 * and value joined.  The only writer of generated fields (THREATS 25). */
void msg_make_field(struct buf *b, const char *name, struct span value);

/* Reads a whole message from fd into memory (limit bytes, 0: 2 GB; large
 * ones through an unlinked temporary file mapped read-only).  Empty input is
 * ST_DATA.  Release with msg_unload. */
struct msg_load {
	struct span bytes;
	struct buf mem;
	void *map;
	size_t map_len;
};
int msg_load(struct msg_load *l, int fd, size_t limit,
	     struct err *e) MX_MUST_CHECK;
void msg_unload(struct msg_load *l);

#endif
