/*
 * failure_mail.c - the mail of a failure report.  RFC 9991 4; RFC 6591 3; RFC
 * 5965 3; what names people is redacted (RFC 6590).
 */
#include "addr.h"
#include "clock.h"
#include "date.h"
#include "dns.h"
#include "escape.h"
#include "failure.h"
#include "mem.h"
#include "msg.h"
#include "opt.h"
#include "random.h"
#include "site.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define VALUE_MAX 4000
#define LINE_MAX_BYTES 850 /* and a field name */
#define SPF_RECORD_MAX 900 /* one line of a mail */
#define DNS_MS 20000

bool
failure_name_ok(const char *domain)
{
	for (const char *p = domain; *p != '\0'; p++)
		if (!ascii_isalnum(*p) && strchr(".-_", *p) == NULL)
			return false;
	return domain[0] != '\0' && strlen(domain) <= 253;
}

/* --- redaction --- */

/* RFC 6590 3: eight letters of a keyed hash. */
static void
word_for(struct buf *out, struct span local, struct span key)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	struct buf b64 = BUF_INIT;

	if (HMAC(EVP_sha256(), key.p, (int)key.n,
		 (const unsigned char *)local.p, local.n, md, &n) == NULL ||
	    n < 6) {
		buf_adds(out, "redacted");
		return;
	}
	base64_encode(&b64, span_make((const char *)md, 6));
	for (size_t i = 0; i < b64.n; i++)
		buf_addc(out,
			 b64.p[i] == '+' || b64.p[i] == '/' ? '-' : b64.p[i]);
	buf_free(&b64);
}

static bool
is_local(char c)
{
	return (unsigned char)c >= 0x80 || ascii_isalnum(c) ||
	       strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL;
}

/* Words are longer than some local parts: lines of a mail stay under 998
 * (RFC 5322 2.1.1). */
static void
cut_lines(struct buf *out, size_t from)
{
	size_t to = from, line = from;

	for (size_t i = from; i < out->n; i++) {
		if (out->p[i] == '\n')
			line = to + 1;
		if (out->p[i] == '\n' || to - line < LINE_MAX_BYTES)
			out->p[to++] = out->p[i];
	}
	buf_cut(out, to);
}

void
failure_redact(struct buf *out, struct span text, struct span key)
{
	size_t from = out->n;

	for (size_t i = 0; i < text.n; i++) {
		size_t at = out->n;

		if (text.p[i] != '@') {
			buf_addc(out, text.p[i]);
			continue;
		}
		if (at > from && out->p[at - 1] == '"') { /* quoted */
			for (at--; at > from && out->p[at - 1] != '"'; at--)
				;
			at -= at > from;
		} else {
			while (at > from && out->p[at - 1] != '\0' &&
			       is_local(out->p[at - 1]))
				at--;
			/* i=user@, for=user@: the name before is no part */
			for (size_t k = at; k < out->n; k++)
				if (out->p[k] == '=')
					at = k + 1;
		}
		if (at < out->n) {
			char *local = mem_spandup(span_from(buf_span(out), at));

			buf_cut(out, at);
			word_for(out, span_of(local), key);
			free(local);
		}
		buf_addc(out, '@');
	}
	cut_lines(out, from);
}

/* Addresses without names and comments. */
static void
redact_list(struct buf *out, struct span value, struct span key)
{
	struct addr_list l;
	bool first = true;

	addr_list_parse(&l, value, 100);
	for (size_t i = 0; i < l.n; i++) {
		if (l.v[i].kind != ADDR_MAILBOX || l.v[i].domain.n == 0)
			continue;
		buf_adds(out, first ? "" : ",\n ");
		first = false;
		if (l.v[i].local.n > 0)
			word_for(out, l.v[i].local, key);
		buf_addc(out, '@');
		escape_line(out, l.v[i].domain, 255);
	}
	addr_list_free(&l);
}

/* A value as it stands, with its folding; nothing can end the line or the part
 * of the mail. */
static void
value_lines(struct buf *out, struct span v)
{
	struct span line;
	bool first = true;

	v = span_sub(v, 0, VALUE_MAX);
	while (span_split(&v, '\n', &line)) {
		line = span_trim(line);
		if (line.n == 0)
			continue;
		buf_adds(out, first ? "" : "\n ");
		escape_line(out, span_sub(line, 0, 900), 0);
		first = false;
	}
}

static bool
is_one_of(struct span name, const char *const *v)
{
	for (; *v != NULL; v++)
		if (span_iis(name, *v))
			return true;
	return false;
}

void
failure_redact_header(struct buf *out, struct span header, struct span key)
{
	static const char *const lists[] = {
		"From",        "Sender",        "Reply-To",  "To",
		"Cc",          "Bcc",           "Resent-To", "Resent-Cc",
		"Resent-From", "Resent-Sender", NULL
	};
	/* what is not about people: kept as it is */
	static const char *const plain[] = {
		"Date",         "Message-ID",   "References", "In-Reply-To",
		"Content-Type", "MIME-Version", NULL
	};
	struct msg m;

	msg_index(&m, header, 0);
	for (size_t i = 0; i < m.n; i++) {
		const struct msg_field *f = &m.v[i];
		struct buf v = BUF_INIT;

		/* no name is a boundary of the mail around it */
		if (span_starts(f->name, SPAN("--")))
			continue;
		escape_line(out, f->name, 100);
		buf_adds(out, ": ");
		if (is_one_of(f->name, lists)) {
			redact_list(out, f->value, key);
		} else if (span_iis(f->name, "Subject") &&
			   !params.failure_report_subject) {
			buf_adds(out, "[redacted]");
		} else {
			value_lines(&v, f->value);
			if (is_one_of(f->name, plain))
				buf_addspan(out, buf_span(&v));
			else
				failure_redact(out, buf_span(&v), key);
		}
		buf_addc(out, '\n');
		buf_free(&v);
	}
	msg_done(&m);
}

/* --- the report --- */

static bool
below(struct span name, const char *domain)
{
	struct span d = span_of(domain);

	return span_ieq(name, d) || (name.n > d.n && span_iends(name, d) &&
				     name.p[name.n - d.n - 1] == '.');
}

/* RFC 9991 4: required where a signature of the author's domain failed. */
static void
dkim_fields(const struct seen *x, struct span key, struct buf *out)
{
	for (size_t i = 0; i < x->dkim.n; i++) {
		struct span rest = span_of(x->dkim.v[i]), w[4] = { { 0 } };

		for (int k = 0; k < 4; k++)
			(void)span_word(&rest, " ", &w[k]);
		if (span_is(w[0], "pass") ||
		    (strcmp(x->why, "dmarc") == 0 &&
		     !below(w[1], x->org ? x->org : x->from)))
			continue;
		buf_adds(out, "DKIM-Domain: ");
		escape_line(out, w[1], 255);
		buf_adds(out, "\nDKIM-Identity: ");
		if (w[3].n > 0) {
			struct buf id = BUF_INIT;

			escape_line(&id, w[3], 400);
			failure_redact(out, buf_span(&id), key);
			buf_free(&id);
		} else {
			buf_addc(out, '@');
			escape_line(out, w[1], 255);
		}
		buf_adds(out, "\nDKIM-Selector: ");
		escape_line(out, w[2], 255);
		buf_addc(out, '\n');
		return;
	}
}

/* RFC 6591 3.2.6, 4: the record, as DNS has it now. */
static void
spf_field(const struct seen *x, struct dns *dns, struct buf *out)
{
	struct dns_answer ans;

	if (x->spf_domain == NULL || !failure_name_ok(x->spf_domain) ||
	    (strcmp(x->why, "dmarc") == 0 &&
	     !below(span_of(x->spf_domain), x->org ? x->org : x->from)) ||
	    dns_query(dns, x->spf_domain, DNS_TXT, &ans, clock_deadline(DNS_MS),
		      NULL) != DNS_OK)
		return;
	for (size_t i = 0; i < ans.n; i++) {
		struct span t = span_make(ans.v[i].text, ans.v[i].len);

		if (!span_istarts(t, SPAN("v=spf1")))
			continue;
		buf_addf(out, "SPF-DNS: txt : %s : \"", x->spf_domain);
		t = span_sub(t, 0, SPF_RECORD_MAX);
		for (size_t k = 0; k < t.n; k++)
			buf_addc(out, t.p[k] < ' ' || t.p[k] == '"' ||
					      t.p[k] == '\\' || t.p[k] == 127
					  ? '?'
					  : t.p[k]);
		buf_adds(out, "\"\n");
		break;
	}
	dns_answer_free(&ans);
}

/* RFC 6591 3.1: one method's result. */
static void
result_field(const struct seen *x, struct buf *out)
{
	struct span rest = span_of(x->dkim.n ? x->dkim.v[0] : ""), domain;

	buf_addf(out, "Authentication-Results: %s; ", site.myhostname);
	if (strcmp(x->why, "spf") == 0) {
		buf_addf(out,
			 "spf=%s smtp.mailfrom=", x->spf ? x->spf : "fail");
		escape_line(out, span_of(x->spf_domain), 255);
	} else if (strcmp(x->why, "dkim") == 0) {
		(void)span_word(&rest, " ", &domain);
		(void)span_word(&rest, " ", &domain);
		buf_adds(out, "dkim=fail header.d=");
		escape_line(out, domain, 255);
	} else {
		buf_addf(out, "dmarc=%s header.from=%s",
			 x->spf_aligned || x->dkim_aligned ? "pass" : "fail",
			 x->from);
	}
	buf_addc(out, '\n');
}

static void
feedback(const struct failure *f, struct dns *dns, struct span key,
	 struct buf *out)
{
	const struct seen *x = &f->first;
	struct date d;

	buf_addf(out,
		 "Feedback-Type: auth-failure\nVersion: 1\n"
		 "User-Agent: mx/" MX_VERSION "\nAuth-Failure: %s\n",
		 strcmp(x->why, "dkim") == 0 ? "signature" : x->why);
	result_field(x, out);
	buf_addf(out, "Identity-Alignment: %s\n",
		 x->dkim_aligned ? (x->spf_aligned ? "none" : "spf")
				 : (x->spf_aligned ? "dkim" : "dkim, spf"));
	if (!x->dkim_aligned || strcmp(x->why, "dkim") == 0)
		dkim_fields(x, key, out);
	if (!x->spf_aligned || strcmp(x->why, "spf") == 0)
		spf_field(x, dns, out);
	if (x->id != NULL && x->id[0] != '\0') {
		buf_adds(out, "Original-Envelope-Id: ");
		escape_line(out, span_of(x->id), 100);
		buf_addc(out, '\n');
	}
	if (x->sender != NULL) {
		struct buf safe = BUF_INIT;

		buf_adds(out, "Original-Mail-From: <");
		escape_line(&safe, span_of(x->sender), 300);
		failure_redact(out, buf_span(&safe), key);
		buf_adds(out, ">\n");
		buf_free(&safe);
	}
	if (x->ip[0] != '\0') {
		buf_adds(out, "Source-IP: ");
		escape_line(out, span_of(x->ip), 50);
		buf_addc(out, '\n');
	}
	date_from_unix(&d, x->time, 0);
	buf_addf(out, "Reported-Domain: %s\nReporting-MTA: dns; %s\n", x->from,
		 site.myhostname);
	buf_adds(out, "Arrival-Date: ");
	date_print(out, &d);
	buf_addf(out, "\nDelivery-Result: %s\n",
		 x->disposition && strcmp(x->disposition, "reject") == 0
		     ? "reject"
		     : "other");
	if (f->incidents > 1)
		buf_addf(out, "Incidents: %zu\n", f->incidents);
}

static void
addresses(const char *field, const struct strs *l, struct buf *out)
{
	buf_addf(out, "%s: ", field);
	for (size_t i = 0; i < l->n; i++)
		buf_addf(out, "%s%s", i ? ",\n\t" : "", l->v[i]);
	buf_addc(out, '\n');
}

void
failure_mail(const struct failure *f, struct dns *dns, struct span key,
	     int64_t now, struct buf *out)
{
	const struct strs *bcc = &params.failure_report_bcc;
	const struct seen *x = &f->first;
	unsigned long long id = random_u64();
	struct date d;

	date_from_unix(&d, now, 0);
	buf_addf(out, "From: DMARC reports <%s>\n", params.report_sender);
	addresses("To", f->to.n > 0 ? &f->to : bcc, out);
	if (f->to.n > 0 && bcc->n > 0)
		addresses("Bcc", bcc, out);
	buf_addf(out, "Subject: Authentication failure of mail from %s\nDate: ",
		 x->from);
	date_print(out, &d);
	buf_addf(out,
		 "\nMessage-ID: <%016llx.failure@%s>\n"
		 "Auto-Submitted: auto-generated\nMIME-Version: 1.0\n"
		 "Content-Type: multipart/report; "
		 "report-type=feedback-report;\n"
		 "\tboundary=\"=failure%016llx\"\n\n"
		 "--=failure%016llx\nContent-Type: text/plain; "
		 "charset=us-ascii\n\n"
		 "This is an authentication failure report about mail from\n"
		 "%s%s.\n"
		 "What names people in the header is redacted.\n\n"
		 "--=failure%016llx\nContent-Type: message/feedback-report\n\n",
		 id, site.myhostname, id, id, x->from,
		 x->unasked ? "" : ", as its ruf= asks for", id);
	feedback(f, dns, key, out);
	buf_addf(out,
		 "\n--=failure%016llx\nContent-Type: text/rfc822-headers; "
		 "charset=utf-8\n\n",
		 id);
	failure_redact_header(out, span_of(x->header), key);
	buf_addf(out, "\n--=failure%016llx--\n", id);
}
