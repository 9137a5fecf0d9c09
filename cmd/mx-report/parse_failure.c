/*
 * parse_failure.c - DMARC failure reports.  RFC 5965 3; RFC 6591 3; RFC 9991.
 */
#include "date.h"
#include "mem.h"
#include "msg.h"
#include "report.h"
#include "status.h"

static char *
text_of(const struct msg *m, const char *name)
{
	const struct msg_field *f = msg_find(m, name, 0);
	struct buf b = BUF_INIT;

	if (f == NULL)
		return NULL;
	msg_unfold(&b, f->value);
	return b.n > 0 ? buf_steal(&b) : mem_strdup("");
}

int
parse_failure(struct reports *all, struct span fields, struct span original,
	      const char *file, struct err *e)
{
	struct msg m, o;
	struct report *r;
	struct report_row *row;
	struct date d;

	msg_index(&m, fields, 0);
	if (msg_find(&m, "Feedback-Type", 0) == NULL) {
		msg_done(&m);
		return err_set(e, ST_DATA,
			       "a feedback report without "
			       "Feedback-Type");
	}
	msg_index(&o, original, 0);
	r = report_new(all, REPORT_FAILURE, file);
	row = report_row(r);
	r->org_name = text_of(&m, "Reporting-MTA");
	if (r->org_name == NULL)
		r->org_name = text_of(&m, "User-Agent");
	r->domain = text_of(&m, "Reported-Domain");
	r->report_id = text_of(&o, "Message-ID");
	row->count = 1;
	row->source_ip = text_of(&m, "Source-IP");
	row->auth_failure = text_of(&m, "Auth-Failure");
	row->disposition = text_of(&m, "Delivery-Result");
	row->envelope_from = text_of(&m, "Original-Mail-From");
	row->dkim_domain = text_of(&m, "DKIM-Domain");
	row->dkim_selector = text_of(&m, "DKIM-Selector");
	row->reason = text_of(&m, "Identity-Alignment");
	row->arrival = text_of(&m, "Arrival-Date");
	row->header_from = text_of(&o, "From");
	row->subject = text_of(&o, "Subject");
	if (row->arrival != NULL && date_parse(span_of(row->arrival), &d))
		r->begin = r->end = d.unix_s;
	msg_done(&m);
	msg_done(&o);
	return 0;
}
