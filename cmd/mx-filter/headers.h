/*
 * headers.h - what the parts of "mx-filter headers" say to each other.
 * header_checks(5).
 */
#ifndef MX_FILTER_HEADERS_H
#define MX_FILTER_HEADERS_H

#include "actions.h"
#include "mime.h"
#include "table.h"

enum place { PLACE_HEADER, PLACE_MIME, PLACE_NESTED, PLACE_BODY, PLACES };

struct checks {
	struct tables tables[PLACES];
	struct msg m;
	struct mime mime;
	struct msg_edit ed;
	struct actions acts;
	struct strs bcc;
	char *redirect, *filter; /* the last one of each counts */
	bool hold, discard, done;
	struct buf reject;
	struct buf value; /* what a table said */
	struct err err;
};

/* The line that matched: what the edits work on. */
struct hit {
	enum place place;
	const struct msg_field *field; /* NULL for a body line */
	struct span line;              /* without its line end */
	struct span whole;             /* with it */
};

/* headers_act.c: does what the table said about a line (c->value).  An action
 * that is not known is left out with a warning, as Postfix does: a typing
 * error must not lose mail. */
void headers_obey(struct checks *c, const struct hit *h);

#endif
