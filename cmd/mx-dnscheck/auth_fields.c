/*
 * auth_fields.c - what auth found, written into the message and the history.
 * RFC 8601; RFC 7208 9.1.
 */
#include "auth.h"
#include "authres.h"
#include "escape.h"
#include "history.h"

#include <stdio.h>
#include <unistd.h>

/* RFC 8601 2.7.2: with no sender it is the HELO name that was checked. */
void
auth_spf_result(struct auth *a, struct buf *v)
{
	buf_addf(v, "; spf=%s", spf_word(a->spf_code));
	if (!a->client)
		return;
	if (a->sender[0] != '\0')
		authres_property(v, "smtp.mailfrom", span_of(a->sender));
	else
		authres_property(v, "smtp.helo", span_of(a->helo));
}

/* RFC 8601 2.7.1; header.b tells signatures of one domain apart. */
static void
add_dkim(struct auth *a, struct buf *v)
{
	if (a->sigs.n == 0)
		buf_adds(v, "; dkim=none");
	for (size_t i = 0; i < a->sigs.n && i < VERIFY_SIGNATURES; i++) {
		struct signature *s = &a->sigs.v[i];

		buf_addf(v, "; dkim=%s", verify_word(s->code));
		if (s->reason[0] != '\0')
			authres_property(v, "reason", span_of(s->reason));
		if (s->domain.n > 0)
			authres_property(v, "header.d", buf_span(&s->domain));
		if (s->selector.n > 0)
			authres_property(v, "header.s", buf_span(&s->selector));
		if (s->alg.n > 0)
			authres_property(v, "header.a", buf_span(&s->alg));
		if (s->b.n > 0)
			authres_property(v, "header.b", buf_span(&s->b));
	}
}

/* RFC 8617 6, 10.2 */
static void
add_arc(struct auth *a, struct buf *v)
{
	if (!params.arc_verify && params.dmarc_trusted_sealers.n == 0)
		return;
	buf_addf(v, "; arc=%s", verify_word(a->arc.code));
	if (a->arc.n > 0)
		buf_addf(v, " (i=%d)", a->arc.n);
	if (a->arc.reason[0] != '\0')
		authres_property(v, "reason", span_of(a->arc.reason));
	if (a->arc.code == VERIFY_PASS)
		buf_addf(v, " header.oldest-pass=%d", a->arc.oldest_pass);
	if (a->client && a->arc.n > 0)
		authres_property(v, "smtp.remote-ip", span_of(a->spf.ip));
}

static void
prepend(struct msg_edit *ed, const char *name, struct buf *v)
{
	struct buf f = BUF_INIT;

	msg_make_field(&f, name, buf_span(v));
	msg_edit_prepend(ed, buf_span(&f));
	buf_free(&f);
	buf_clear(v);
}

/* RFC 7208 9.1: what the comment of Received-SPF says of the client. */
static const char *
spf_sentence(enum spf_code c)
{
	static const char *const words[] = {
		[SPF_NONE] = "has no policy for",
		[SPF_NEUTRAL] = "neither permits nor denies",
		[SPF_PASS] = "permits",
		[SPF_FAIL] = "does not permit",
		[SPF_SOFTFAIL] = "probably does not permit",
		[SPF_TEMPERROR] = "could not be asked for",
		[SPF_PERMERROR] = "publishes no valid policy for",
	};

	return words[c];
}

/* Received-SPF (RFC 7208 9.1): a comment, then key=value pairs. */
void
auth_received_spf(struct auth *a, struct buf *v)
{
	struct span domain = buf_span(&a->spf.sender_domain);
	struct buf word = BUF_INIT;
	struct {
		const char *key;
		struct span value;
	} pairs[] = { { "receiver", span_of(a->id) },
		      { "identity",
			a->sender[0] ? SPAN("mailfrom") : SPAN("helo") },
		      { "client-ip", span_of(a->spf.ip) },
		      { "envelope-from", span_of(a->sender) },
		      { "helo", span_of(a->helo) },
		      { "mechanism", buf_span(&a->spf.mechanism) } };

	buf_addf(v, "%s (%s: ", spf_word(a->spf_code), a->id);
	/* Nothing that ends or nests a comment. */
	for (size_t i = 0; i < domain.n && i < 255; i++)
		buf_addc(v, strchr("()\\\"", domain.p[i]) ? '?' : domain.p[i]);
	buf_addf(v, " %s %s)", spf_sentence(a->spf_code), a->spf.ip);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (pairs[i].value.n == 0 &&
		    strcmp(pairs[i].key, "envelope-from") != 0)
			continue;
		buf_clear(&word);
		authres_property(&word, pairs[i].key, pairs[i].value);
		buf_addf(v, "%s;", buf_str(&word));
	}
	buf_cut(v, v->n - 1);
	buf_free(&word);
}

/* opendmarc's AuthservIDWithJobID: removal of forged results knows both. */
static const char *
name_of(const struct auth *a)
{
	return a->job_id != NULL ? a->job_id : a->id;
}

static void
dmarc_field(struct auth *a, struct msg_edit *ed, struct buf *v)
{
	/* DMARC has a field of its own, "ID; dmarc=" on one line: rules that
	 * users wrote for OpenDMARC's field match it. */
	buf_addf(v, "%s; dmarc=%s", name_of(a), verify_word(a->dmarc.code));
	if (a->dmarc.has_record)
		buf_addf(v, " (p=%s dis=%s%s)",
			 dmarc_policy_word(a->dmarc.policy),
			 dmarc_policy_word(a->dmarc.applied),
			 a->sealed ? " arc=pass" : "");
	if (a->from.n > 0)
		authres_property(v, "header.from", span_of(a->from.v[0]));
	prepend(ed, "Authentication-Results", v);
}

/* The last one that is put on top stands first. */
void
auth_mark(struct auth *a, struct msg_edit *ed)
{
	struct buf v = BUF_INIT;

	authres_remove(ed, a->id);
	if (params.dmarc_software_header) {
		buf_addf(&v, "mx-dnscheck %s %s %s", MX_VERSION, a->id,
			 a->env.queue_id != NULL ? a->env.queue_id : "-");
		prepend(ed, "DMARC-Filter", &v);
	}
	if (a->client) {
		auth_received_spf(a, &v);
		prepend(ed, "Received-SPF", &v);
	}
	if (!a->ignored)
		dmarc_field(a, ed, &v);
	buf_adds(&v, name_of(a));
	auth_spf_result(a, &v);
	add_dkim(a, &v);
	add_arc(a, &v);
	prepend(ed, "Authentication-Results", &v);
	buf_free(&v);
}

enum dmarc_policy
auth_disposition(const struct auth *a)
{
	bool fails = a->dmarc.code == VERIFY_FAIL;

	if (fails && params.dmarc_reject_failures &&
	    a->dmarc.applied == DMARC_REJECT)
		return DMARC_REJECT;
	if (fails && params.dmarc_hold_quarantined && opts.milter &&
	    a->dmarc.applied == DMARC_QUARANTINE)
		return DMARC_QUARANTINE;
	return DMARC_NONE;
}

/* RFC 5322 3.6: the field that is there too often, or missing; NULL: none. */
static const char *
unfit_field(const struct auth *a)
{
	static const struct {
		const char *name;
		bool needed;
	} rows[] = { { "From", true },         { "Date", true },
		     { "Sender", false },      { "Reply-To", false },
		     { "To", false },          { "Cc", false },
		     { "Bcc", false },         { "Message-ID", false },
		     { "In-Reply-To", false }, { "References", false },
		     { "Subject", false } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (msg_find(&a->m, rows[i].name, 1) != NULL ||
		    (rows[i].needed &&
		     msg_find(&a->m, rows[i].name, 0) == NULL))
			return rows[i].name;
	return a->from.n == 0 ? "From" : NULL;
}

bool
auth_refusal(const struct auth *a, struct buf *text, const char **esc_r)
{
	const char *field;
	struct span before, rest = span_of(params.dmarc_reject_text);
	ssize_t at;

	*esc_r = "5.7.1";
	if (params.dmarc_required_headers && (field = unfit_field(a)) != NULL) {
		*esc_r = "5.6.0";
		buf_addf(text, "the field %s is missing, or there too often",
			 field);
		return true;
	}
	if (params.dmarc_reject_multi_from && !a->ignored &&
	    (a->from.n > 1 || a->from_fields > 1)) {
		buf_adds(text, "From names several domains");
		return true;
	}
	if (auth_disposition(a) != DMARC_REJECT)
		return false;
	at = span_ifind(rest, SPAN("%s"));
	before = at >= 0 ? span_sub(rest, 0, (size_t)at) : rest;
	buf_addspan(text, before);
	if (at >= 0) {
		buf_addspan(text, buf_span(&a->dmarc.domain));
		buf_addspan(text, span_from(rest, (size_t)at + 2));
	}
	return true;
}

void
auth_line(const struct auth *a, const char *kind, struct buf *b)
{
	buf_addf(b, "%s time=%lld", kind, (long long)clock_now());
	check_word(b, "ip", span_of(a->client ? a->spf.ip : ""));
	check_word(b, "from", span_of(a->from.n > 0 ? a->from.v[0] : ""));
	check_word(b, "policy-domain", buf_span(&a->dmarc.domain));
	buf_addf(b, " policy=%s disposition=%s spf-aligned=%d dkim-aligned=%d",
		 dmarc_policy_word(a->dmarc.policy),
		 dmarc_policy_word(auth_disposition(a)), a->dmarc.spf_aligned,
		 a->dmarc.dkim_aligned);
	check_word(b, "record", buf_span(&a->dmarc.record));
	check_word(b, "org", buf_span(&a->dmarc.org));
	buf_addf(b, " spf=%s spf-scope=%s", spf_word(a->spf_code),
		 a->sender[0] != '\0' ? "mfrom" : "helo");
	check_word(b, "spf-domain", buf_span(&a->spf.sender_domain));
	for (size_t i = 0; i < a->sigs.n && i < VERIFY_SIGNATURES; i++) {
		const struct signature *s = &a->sigs.v[i];

		buf_addf(b, " dkim=%s", verify_word(s->code));
		check_word(b, "dkim-domain", buf_span(&s->domain));
		check_word(b, "dkim-selector", buf_span(&s->selector));
		if (s->auid.n > 0)
			check_word(b, "dkim-identity", buf_span(&s->auid));
	}
	check_word(b, "id",
		   a->env.queue_id ? span_of(a->env.queue_id) : SPAN(""));
}

void
auth_history(struct auth *a)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	int fd;

	if (params.dmarc_history_file[0] == '\0' ||
	    (!a->dmarc.has_record && !params.dmarc_record_all) ||
	    auth_unrecorded(a))
		return;
	auth_line(a, "mx-dmarc-1", &b);
	buf_addc(&b, '\n');
	fd = history_open(params.dmarc_history_file, &e);
	if (fd < 0)
		fprintf(stderr, "mx-dnscheck: %s\n", e.text);
	else if (write(fd, b.p, b.n) != (ssize_t)b.n)
		fprintf(stderr, "mx-dnscheck: %s: cannot append\n",
			params.dmarc_history_file);
	if (fd >= 0)
		close(fd);
	buf_free(&b);
}
