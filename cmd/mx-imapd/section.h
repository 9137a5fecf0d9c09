/*
 * section.h - BODY[...]<...>: what is asked, and its bytes.
 * RFC 3501 6.4.5.
 */
#ifndef IMAPD_SECTION_H
#define IMAPD_SECTION_H

#include "loaded.h"
#include "parse.h"
#include "strs.h"

enum section_what {
	SECTION_ALL,
	SECTION_HEADER,
	SECTION_FIELDS,
	SECTION_FIELDS_NOT,
	SECTION_MIME,
	SECTION_TEXT
};
struct section {
	struct buf number; /* "1.2", or empty */
	enum section_what what;
	struct strs fields;
	bool partial;
	uint64_t from, count;
	struct buf label; /* "BODY[1.TEXT]<0>" */
};
/* Behind "BODY" or "BODY.PEEK": "[...]" and "<n.m>". */
bool section_parse(struct section *s, struct parse *p) MX_MUST_CHECK;
void section_free(struct section *s);
/* Can it be served from the header alone? */
bool section_header_only(const struct section *s);
/* Fields of the message's own header, each one that mx-cache keeps? */
bool section_listed(const struct section *s);
/* The bytes: a span into the message or into *made.  p == NULL: no such
 * part. */
struct span section_bytes(const struct section *s, struct loaded *l,
			  struct buf *made);
/* BINARY[...] (RFC 3516): a part without its transfer encoding, and whether
 * that is one we know. */
struct span section_binary(const struct section *s, struct loaded *l,
			   struct buf *made);
bool section_decodable(const struct section *s, struct loaded *l);

#endif
