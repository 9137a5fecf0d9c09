/*
 * sieve_ext_report.c - report of vnd.dovecot.report: an abuse report.
 * RFC 5965.
 */
#include "clock.h"
#include "date.h"
#include "mem.h"
#include "random.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

static void
add_field(struct buf *b, const char *name, const char *value)
{
	msg_make_field(b, name, span_of(value));
	buf_addc(b, '\n');
}

/* RFC 5965 3.1, 3.2 */
static void
add_feedback(struct sieve_run *r, const struct sieve_node *n, struct buf *b)
{
	struct buf v = BUF_INIT;
	struct date d;

	buf_adds(b, "Content-Type: message/feedback-report\n\n");
	add_field(b, "Feedback-Type", sieve_pos(n, 0)->strings.v[0]);
	add_field(b, "User-Agent", "mx");
	add_field(b, "Version", "1");
	buf_addf(&v, "<%s>", r->sender ? r->sender : "");
	add_field(b, "Original-Mail-From", buf_str(&v));
	buf_clear(&v);
	if (r->recipient != NULL) {
		buf_addf(&v, "<%s>", r->recipient);
		add_field(b, "Original-Rcpt-To", buf_str(&v));
		buf_clear(&v);
	}
	if (r->client_addr != NULL)
		add_field(b, "Source-IP", r->client_addr);
	date_from_unix_local(&d, (int64_t)clock_now());
	date_print(&v, &d);
	add_field(b, "Arrival-Date", buf_str(&v));
	buf_free(&v);
}

static char *
compose(struct sieve_run *r, const struct sieve_node *n, const char *to)
{
	const struct msg *m = &r->message->m;
	bool only_header = sieve_has(n, ":headers_only") != NULL;
	const char *text = sieve_pos(n, 1)->strings.v[0];
	struct buf b = BUF_INIT, mark = BUF_INIT, subject = BUF_INIT;

	buf_adds(&subject, "Report: ");
	(void)sieve_field(r, "Subject", &subject);
	random_word(&mark, 24);
	sieve_mail_head(&b, r->recipient, to, buf_str(&subject),
			"auto-generated (report)");
	buf_addf(&b,
		 "MIME-Version: 1.0\n"
		 "Content-Type: multipart/report; report-type=feedback-report;"
		 "\n\tboundary=\"%s\"\n\n--%s\n"
		 "Content-Type: text/plain; charset=utf-8\n"
		 "Content-Transfer-Encoding: 8bit\n\n%s\n\n--%s\n",
		 buf_str(&mark), buf_str(&mark), text, buf_str(&mark));
	add_feedback(r, n, &b);
	buf_addf(&b, "\n--%s\nContent-Type: %s\n\n", buf_str(&mark),
		 only_header ? "text/rfc822-headers" : "message/rfc822");
	buf_addspan(&b, only_header
			    ? m->header
			    : span_from(m->whole, msg_from_line(m->whole)));
	buf_addf(&b, "\n--%s--\n", buf_str(&mark));
	buf_free(&mark);
	buf_free(&subject);
	return buf_steal(&b);
}

static int
run_report(struct sieve_run *r, const struct sieve_node *n)
{
	const char *text = sieve_pos(n, 2)->strings.v[0];
	char *to = sieve_address(text), *message;
	struct sieve_action *a;

	if (to == NULL)
		return err_set(&r->err, ST_DATA,
			       "report: invalid address \"%.100s\"", text);
	message = compose(r, n, to);
	a = sieve_act_more(r, NULL, "notify", to, message);
	if (a == NULL)
		return -1;
	a->from = mem_strdup(r->recipient ? r->recipient : "");
	return 0;
}

static void
check_report(struct sieve_script *s, struct sieve_node *n)
{
	static const char *const types[] = { "abuse",   "auth-failure",
					     "fraud",   "not-spam",
					     "opt-out", "other",
					     "virus",   "dmarc" };
	const struct sieve_arg *a = sieve_pos(n, 0);

	sieve_check_address(s, sieve_pos(n, 2));
	if (!sieve_constant(s, a->strings.v[0]))
		return;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (span_iis(span_of(a->strings.v[0]), types[i]))
			return;
	}
	sieve_warn(s, a->line, a->col, "unknown feedback type '%s'",
		   a->strings.v[0]);
}

static const struct sieve_tag tags[] = { { ":headers_only", 0, NULL, NULL } };
static const struct sieve_word words[] = {
	{ .name = "report",
	  .ext = "vnd.dovecot.report",
	  .positional = "sss",
	  .tags = tags,
	  .ntags = ARRAY_LEN(tags),
	  .check = check_report,
	  .run = run_report },
};
static const struct sieve_extension report = {
	.name = "vnd.dovecot.report",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(report);
