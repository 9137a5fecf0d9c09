/*
 * template.h - $name in texts that the administrator writes and a client
 * hears: default_rbl_reply, smtpd_reject_footer.  THREATS 20.
 */
#ifndef RECV_TEMPLATE_H
#define RECV_TEMPLATE_H

#include "buf.h"
#include "span.h"

/* The value of a name; an empty one for a name that there is not. */
typedef struct span (*template_value)(void *ctx, struct span name);

/* Appends t with $name, ${name}, ${name?text}, ${name:text} replaced; `text`
 * may hold $name and ${name}, no more.  Values are never templates, and what
 * is not printable ASCII in them becomes '_' (smtpd_expansion_filter). */
void template_expand(struct buf *b, struct span t, template_value value,
		     void *ctx);

#endif
