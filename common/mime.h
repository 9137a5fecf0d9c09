/*
 * mime.h - the parts of a message as a flat array of spans, the parameters of
 * structured MIME fields, and transfer decoding.
 * Layer: mail.  RFC 2045, 2046, 2183, 2231.  One pass, no recursion; nesting
 * and number of parts are bounded, beyond the bounds a part is a leaf.
 */
#ifndef MX_MIME_H
#define MX_MIME_H

#include "msg.h"

/* A field body such as that of Content-Type or Content-Disposition. */
struct mime_param {
	struct span name;  /* lower case, without the stars of RFC 2231 */
	struct span value; /* unquoted, continuations joined; when `ext` still
			    * in its CHARSET'LANG'%XX form */
	bool ext;
};
struct mime_value {
	struct span type, subtype; /* lower case; subtype only behind "/" */
	struct mime_param *v;      /* in order of first appearance; names are
				    * unique, the first one counts */
	size_t n, cap;
	struct buf text; /* owns all bytes */
	bool bad;        /* not as the RFCs say, taken as well as possible */
};
/* Folded or not.  At most 100 parameters are kept. */
void mime_value_parse(struct mime_value *mv, struct span body);
void mime_value_free(struct mime_value *mv);
/* The parameter of that (lower-case) name, or NULL. */
const struct mime_param *mime_param_find(const struct mime_value *mv,
					 const char *name);
/* Its value in UTF-8, RFC 2231 and (as real mail has it) encoded words
 * decoded; appended. */
void mime_param_text(struct buf *b, const struct mime_param *p);

enum mime_encoding {
	MIME_7BIT, /* also when there is no such field */
	MIME_8BIT,
	MIME_BINARY,
	MIME_QP,
	MIME_BASE64,
	MIME_UNKNOWN_ENCODING
};

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART, /* parts are its children; there may be none (show it
			 * as one empty text/plain then) */
	MIME_MESSAGE    /* message/rfc822, message/global: exactly one child,
			 * the content of the enclosed message */
};

#define MIME_NONE SIZE_MAX
#define MIME_NESTING_MAX 100
#define MIME_PARTS_MAX 10000

/*
 * A part.  v[0] is the message itself: `header` its fields, `body` all of its
 * body.  The child of a MIME_MESSAGE part has the fields of the enclosed
 * message as its header, in the same way: BODY[2.HEADER] is the header_full
 * of the child of part 2, BODY[2.TEXT] its body; BODY[2.MIME] is the
 * header_full of part 2, BODY[2] its body.
 * Sizes are those of the bytes as stored.  A reader that counts every line
 * end as CRLF (IMAP) adds the bare LFs: see mime_body_size.
 */
#define MIME_CONTENT 8 /* fields that a part's structure is told by */

struct mime_part {
	size_t parent;   /* index, MIME_NONE for v[0] */
	size_t child;    /* first child, or MIME_NONE */
	size_t next;     /* next sibling, or MIME_NONE */
	size_t children; /* how many */
	size_t number;   /* among its siblings, from 1 */
	size_t depth;    /* 0 for v[0] */
	enum mime_kind kind;
	enum mime_encoding encoding;
	struct span type, subtype; /* as written; text/plain when missing,
				    * message/rfc822 in a digest */
	struct span header;        /* fields without the empty line */
	struct span header_full;   /* with it, where it is there */
	struct span body; /* without the line end before the boundary */
	size_t header_lf; /* LFs without CR in header_full */
	size_t body_lines, body_lf; /* LFs, and those without CR, in body */
	struct span content[MIME_CONTENT]; /* for mime_field */
};

struct mime {
	struct span whole;
	struct mime_part *v; /* in the order they begin: parents first */
	size_t n, cap;
	bool limited; /* a bound was reached */
};

/* Finds the parts of a message whose bytes stay with the caller. */
void mime_index(struct mime *m, struct span bytes);
void mime_done(struct mime *m);
/* Sizes with every line end as CRLF. */
size_t mime_body_size(const struct mime_part *p);
size_t mime_header_size(const struct mime_part *p);

/* The value of the part's first field of that name, folds inside; the empty
 * span with p == NULL when there is none. */
struct span mime_field(const struct mime_part *p, const char *name);

/* The part that IMAP's section number names ("1", "2.1.3"; RFC 3501 6.4.5:
 * part 1 of a message that is no multipart is the message's body itself), or
 * MIME_NONE.  "" is the message. */
size_t mime_find(const struct mime *m, struct span number);
/* The section number of a part, appended; nothing for a message's own
 * multipart, the number of the MIME_MESSAGE for that of an enclosed one. */
void mime_number(struct buf *b, const struct mime *m, size_t part);

/* Content-Transfer-Encoding's value. */
enum mime_encoding mime_encoding_of(struct span value);
/*
 * Appends the decoded bytes, at most max (0: no limit).  Lax, as all readers
 * are: broken quoted-printable stays as it is, base64 skips what is not of
 * its alphabet and ends at its padding.  False when something was malformed
 * or cut.
 */
bool mime_decode(struct buf *b, enum mime_encoding enc, struct span body,
		 size_t max);
/* A text part decoded and in UTF-8 (charset parameter, unknown ones as if
 * windows-1252), at most max bytes before conversion (0: 10 MB). */
void mime_text(struct buf *b, const struct mime_part *p, size_t max);

#endif
