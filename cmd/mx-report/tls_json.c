/*
 * tls_json.c - the JSON of a TLS report, and its mail.  RFC 8460 4.4, 5.3,
 * whose 5.1 names the file.
 */
#include "tls_report.h"
#include "date.h"
#include "json.h"
#include "site.h"

const char *
tls_report_submitter(void)
{
	const char *at = strrchr(params.report_sender, '@');

	return at != NULL ? at + 1 : site.myhostname;
}

/* The same id for the same day, so that a report that is sent twice is known as
 * one. */
void
tls_report_id(const struct tls_outgoing *o, struct buf *out)
{
	buf_addf(out, "tls.%lld.%s@%s", (long long)o->day * 86400, o->domain,
		 site.myhostname);
}

/* RFC 3339 5.6, in UTC. */
static void
time_of(struct json *j, const char *key, int64_t at)
{
	struct buf b = BUF_INIT;
	struct date d;

	date_from_unix(&d, at, 0);
	buf_addf(&b, "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year, d.month, d.day,
		 d.hour, d.minute, d.second);
	json_str(j, key, buf_span(&b));
	buf_free(&b);
}

static void
policy(struct json *j, const struct tls_outgoing *o,
       const struct tls_policy_seen *p)
{
	bool mx = false;

	json_object(j, "policy");
	json_str(j, "policy-type", span_of(p->type));
	if (p->lines.n > 0) {
		json_array(j, "policy-string");
		for (size_t i = 0; i < p->lines.n; i++)
			json_str(j, NULL, span_of(p->lines.v[i]));
		json_end(j, ']');
	}
	json_str(j, "policy-domain", span_of(o->domain));
	/* RFC 8460 4.4: an array, of a policy of MTA-STS alone */
	for (size_t i = 0; strcmp(p->type, "sts") == 0 && i < p->lines.n; i++) {
		struct span line = span_of(p->lines.v[i]);

		if (!span_istarts(line, SPAN("mx:")))
			continue;
		if (!mx)
			json_array(j, "mx-host");
		mx = true;
		json_str(j, NULL, span_trim(span_from(line, 3)));
	}
	if (mx)
		json_end(j, ']');
	json_end(j, '}');
}

/* RFC 8460 4.4: what is not known is left out; the count is of sessions. */
static void
failure(struct json *j, const struct tls_failure *f)
{
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "result-type", f->result },
		{ "sending-mta-ip", f->local },
		{ "receiving-mx-hostname", f->mx },
		{ "receiving-mx-helo", f->helo },
		{ "receiving-ip", f->ip },
	};

	json_object(j, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].value[0] != '\0')
			json_str(j, rows[i].key, span_of(rows[i].value));
	json_int(j, "failed-session-count", f->count);
	if (f->reason[0] != '\0')
		json_str(j, "failure-reason-code", span_of(f->reason));
	json_end(j, '}');
}

static void
policy_seen(struct json *j, const struct tls_outgoing *o,
	    const struct tls_policy_seen *p)
{
	struct span key;
	void *f;
	size_t i = 0;

	json_object(j, NULL);
	policy(j, o, p);
	json_object(j, "summary");
	json_int(j, "total-successful-session-count", p->good);
	json_int(j, "total-failure-session-count", p->bad);
	json_end(j, '}');
	if (p->bad > 0) {
		json_array(j, "failure-details");
		while (map_next(p->failures, &i, &key, &f))
			failure(j, f);
		json_end(j, ']');
	}
	json_end(j, '}');
}

void
tls_report_json(const struct tls_outgoing *o, struct buf *out)
{
	struct buf id = BUF_INIT;
	struct span key;
	struct json j;
	void *p;
	size_t i = 0;

	tls_report_id(o, &id);
	json_init(&j, out);
	json_object(&j, NULL);
	json_str(&j, "organization-name", span_of(params.report_org_name));
	json_object(&j, "date-range");
	/* RFC 8460 4.1: a day of UTC */
	time_of(&j, "start-datetime", o->day * 86400);
	time_of(&j, "end-datetime", o->day * 86400 + 86399);
	json_end(&j, '}');
	json_str(&j, "contact-info", span_of(params.report_sender));
	json_str(&j, "report-id", buf_span(&id));
	json_array(&j, "policies");
	while (map_next(o->policies, &i, &key, &p))
		policy_seen(&j, o, p);
	json_end(&j, ']');
	json_end(&j, '}');
	buf_addc(out, '\n');
	buf_free(&id);
}

void
tls_report_mail(const struct tls_outgoing *o, const struct strs *to,
		struct span json_gz, int64_t now, struct buf *out)
{
	const char *us = tls_report_submitter();
	struct buf id = BUF_INIT, date = BUF_INIT;
	struct date d;

	tls_report_id(o, &id);
	date_from_unix(&d, now, 0);
	date_print(&date, &d);
	buf_addf(out, "From: TLS reports <%s>\nTo: ", params.report_sender);
	for (size_t i = 0; i < to->n; i++)
		buf_addf(out, "%s%s", i ? ",\n\t" : "", to->v[i]);
	buf_addf(out,
		 /* RFC 8460 5.3: receivers sort reports by this form and these
		  * fields */
		 "\nSubject: Report Domain: %s\n\tSubmitter: %s\n"
		 "\tReport-ID: <%s>\nDate: %s\nMessage-ID: <%s>\n"
		 "TLS-Report-Domain: %s\nTLS-Report-Submitter: %s\n"
		 "Auto-Submitted: auto-generated\nMIME-Version: 1.0\n"
		 "Content-Type: multipart/report; report-type=\"tlsrpt\";\n"
		 "\tboundary=\"=report\"\n\n",
		 o->domain, us, buf_str(&id), buf_str(&date), buf_str(&id),
		 o->domain, us);
	buf_addf(out,
		 "--=report\nContent-Type: text/plain; charset=us-ascii\n\n"
		 "This is an aggregate TLS report about %s\nfrom %s.\n\n"
		 "--=report\nContent-Type: application/tlsrpt+gzip\n"
		 "Content-Transfer-Encoding: base64\n"
		 "Content-Disposition: attachment;\n"
		 "\tfilename=\"%s!%s!%lld!%lld.json.gz\"\n\n",
		 o->domain, us, us, o->domain, (long long)o->day * 86400,
		 (long long)o->day * 86400 + 86399);
	report_base64(out, json_gz);
	buf_adds(out, "--=report--\n");
	buf_free(&id);
	buf_free(&date);
}
