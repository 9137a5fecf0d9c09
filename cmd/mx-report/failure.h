/*
 * failure.h - failure reports: one of like failures, and its mail.  RFC 9991.
 */
#ifndef MX_REPORT_FAILURE_H
#define MX_REPORT_FAILURE_H

#include "send.h"

struct failure {
	struct seen first;
	size_t incidents;
	struct buf text; /* their lines */
	struct strs to;
};
/* A domain that may stand in a header field. */
bool failure_name_ok(const char *domain);
/* failure_mail.c */
void failure_mail(const struct failure *f, struct dns *dns, struct span key,
		  int64_t now, struct buf *out);
/* The header with what names people taken out (RFC 6590): each local part is
 * a word made of it and the key, the same one each time. */
void failure_redact_header(struct buf *out, struct span header,
			   struct span key);
/* local@domain, where there is one. */
void failure_redact(struct buf *out, struct span text, struct span key);

#endif
