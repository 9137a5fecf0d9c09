/*
 * sieve_mail.c - messages that a script sends: their header, sender, and what
 * is remembered of them.  RFC 3834, 5230 5, 5436 2.7.
 */
#include "clock.h"
#include "date.h"
#include "encword.h"
#include "mem.h"
#include "memory.h"
#include "random.h"
#include "sieve.h"
#include "site.h"

#include <stdio.h>
#include <stdlib.h>

static void
add_field(struct buf *b, const char *name, struct span value)
{
	msg_make_field(b, name, value);
	buf_addc(b, '\n');
}

void
sieve_mail_head(struct buf *b, const char *from, const char *to,
		const char *subject, const char *auto_submitted)
{
	struct buf v = BUF_INIT;
	struct date d;

	buf_adds(&v, "<");
	random_word(&v, 24);
	buf_addf(&v, "@%s>",
		 site.myhostname && site.myhostname[0] ? site.myhostname
						       : "localhost");
	add_field(b, "X-Sieve", SPAN("mx"));
	add_field(b, "Message-ID", buf_span(&v));
	buf_clear(&v);
	date_from_unix_local(&d, (int64_t)clock_now());
	date_print(&v, &d);
	add_field(b, "Date", buf_span(&v));
	if (from != NULL && from[0] != '\0') {
		buf_clear(&v);
		sieve_from_text(&v, from);
		add_field(b, "From", buf_span(&v));
	}
	add_field(b, "To", span_of(to));
	buf_clear(&v);
	encword_encode(&v, span_of(subject));
	add_field(b, "Subject", buf_span(&v));
	add_field(b, "Auto-Submitted", span_of(auto_submitted));
	buf_free(&v);
}

bool
sieve_field(const struct sieve_run *r, const char *name, struct buf *b)
{
	const struct msg_field *f = msg_find(&r->message->m, name, 0);
	struct buf raw = BUF_INIT;

	if (f == NULL)
		return false;
	msg_unfold(&raw, f->value);
	encword_decode(b, buf_span(&raw));
	buf_free(&raw);
	return true;
}

const char *
sieve_envelope_from(const struct sieve_run *r, const char *setting,
		    struct buf *b)
{
	struct span s = span_trim(span_of(setting));
	const char *rcpt = r->recipient != NULL ? r->recipient : "";
	const char *email = sieve_conf.user_email;

	if (span_is(s, "recipient"))
		return rcpt;
	if (span_is(s, "orig_recipient"))
		return r->orig_recipient != NULL ? r->orig_recipient : rcpt;
	if (span_is(s, "user_email"))
		return email != NULL && email[0] != '\0' ? email : rcpt;
	if (span_is(s, "postmaster"))
		return sieve_conf.postmaster_address;
	if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>') {
		buf_clear(b);
		buf_addspan(b, span_trim(span_sub(s, 1, s.n - 1)));
		return buf_str(b);
	}
	return r->sender != NULL ? r->sender : "";
}

bool
sieve_remembered(const struct sieve_run *r, const char *id)
{
	return r->memory != NULL &&
	       memory_has(r->memory, id, (int64_t)clock_now());
}

int
sieve_take_fcc(struct sieve_run *r, const struct sieve_node *n,
	       struct sieve_action *a)
{
	const struct sieve_arg *fcc = sieve_value(n, ":fcc");
	const struct sieve_arg *flags = sieve_value(n, ":flags");

	const char *use;

	if (fcc == NULL)
		return 0;
	a->fcc = mem_strdup(fcc->strings.v[0]);
	if (sieve_take_box(r, n, &a->fcc, &use) != 0)
		return -1;
	if (use != NULL)
		a->special_use = mem_strdup(use);
	a->fcc_create = sieve_has(n, ":create") != NULL;
	for (size_t i = 0; flags != NULL && i < flags->strings.n; i++) {
		struct span rest = span_of(flags->strings.v[i]), w;

		while (span_word(&rest, " ", &w)) {
			if (sieve_flag_ok(w) && !strs_ihas(&a->fcc_flags, w))
				strs_addspan(&a->fcc_flags, w);
		}
	}
	return 0;
}
