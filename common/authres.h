/*
 * authres.h - Authentication-Results fields.
 * Layer: mail.  RFC 8601.
 */
#ifndef MX_AUTHRES_H
#define MX_AUTHRES_H

#include "msg.h"

/* Does the field claim to come from this authserv-id?  Comments, folds and
 * quotes before it are understood (RFC 8601 5: such fields are removed). */
bool authres_is_from(struct span value, const char *authserv_id);
/* The results behind the id and its ";" (p NULL: none there). */
struct span authres_payload(struct span value);
/* One result of a payload: "spf=pass (comment) smtp.mailfrom=a@b". */
struct authres_result {
	struct span method, result; /* without a version behind the method */
	struct span rest;           /* reason and properties */
};
/* The next one of *payload; false at the end.  Semicolons in comments and
 * quotes do not separate; what is malformed is passed over. */
bool authres_next(struct span *payload, struct authres_result *r);
/* A property's value, unquoted ("header.d"); false without it. */
bool authres_find(const struct authres_result *r, const char *name,
		  struct buf *value);
/* Appends " TYPE.PROPERTY=VALUE" with the value as a token, or quoted. */
void authres_property(struct buf *b, const char *name, struct span value);
/* Marks every field of that id for deletion, wherever it stands. */
void authres_remove(struct msg_edit *ed, const char *authserv_id);

#endif
