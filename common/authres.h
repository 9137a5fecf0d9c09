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
/* Appends " TYPE.PROPERTY=VALUE" with the value as a token, or quoted. */
void authres_property(struct buf *b, const char *name, struct span value);
/* Marks every field of that id for deletion, wherever it stands. */
void authres_remove(struct msg_edit *ed, const char *authserv_id);

#endif
