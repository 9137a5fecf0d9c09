/*
 * cmd_check.c - the commands spf, dkim and dmarc: what they print, exactly
 * (mx-dnscheck(1)).
 */
#include "dnscheck.h"
#include "escape.h"
#include "mem.h"
#include "site.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* " KEY=VALUE" of a text line. */
static void
add_word(struct buf *b, const char *key, struct span v)
{
	buf_addf(b, " %s=", key);
	escape_word(b, v);
}

static int
spf_status(enum spf_code c)
{
	switch (c) {
	case SPF_PASS:
		return ST_OK;
	case SPF_TEMPERROR:
		return ST_TEMPFAIL;
	case SPF_PERMERROR:
		return ST_DATA;
	default:
		return ST_NO;
	}
}

int
cmd_spf(int argc, char **argv)
{
	struct spf s;
	struct buf out = BUF_INIT;
	struct span mech;
	struct json j;
	enum spf_code c;

	if (argc > 0)
		return prog_usage("spf: %s: unexpected", argv[0]);
	if (opts.ip == NULL || opts.sender == NULL || opts.helo == NULL)
		return prog_usage("spf needs --ip, --sender and --helo");
	if (!spf_init(&s, check_dns(), opts.ip, opts.sender, opts.helo,
		      site.myhostname))
		return prog_usage("--ip %s: expected an IP address", opts.ip);
	c = spf_check(&s);
	mech = s.mechanism.n > 0 ? buf_span(&s.mechanism) : SPAN("-");
	if (prog.json) {
		json_init(&j, &out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(spf_word(c)));
		json_str(&j, "mechanism", mech);
		json_int(&j, "lookups", s.lookups);
		json_int(&j, "voids", s.voids);
		json_str(&j, "explanation", buf_span(&s.explanation));
		json_end(&j, '}');
	} else {
		buf_adds(&out, spf_word(c));
		add_word(&out, "mechanism", mech);
		buf_addf(&out, " lookups=%d voids=%d explanation=\"", s.lookups,
			 s.voids);
		/* always quoted: it is a text, not a word */
		struct buf q = BUF_INIT;

		buf_addc(&q, ' ');
		buf_addspan(&q, buf_span(&s.explanation));
		struct buf w = BUF_INIT;

		escape_word(&w, buf_span(&q));
		buf_addspan(&out, span_from(buf_span(&w), 2));
		buf_free(&q);
		buf_free(&w);
	}
	buf_addc(&out, '\n');
	if (s.reason.n > 0)
		fprintf(stderr, "mx-dnscheck: %s\n", buf_str(&s.reason));
	spf_done(&s);
	return check_print(&out, spf_status(c));
}

/* 0 if one passes, else 75 if one is temperror, 65 if all are permerror, 1. */
static int
dkim_status(const struct signatures *s)
{
	bool temp = false, all_perm = s->n > 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].code == VERIFY_PASS)
			return ST_OK;
		temp |= s->v[i].code == VERIFY_TEMPERROR;
		all_perm &= s->v[i].code == VERIFY_PERMERROR;
	}
	return temp ? ST_TEMPFAIL : all_perm ? ST_DATA : ST_NO;
}

static void
dkim_json(struct buf *out, const struct signatures *s)
{
	struct json j;

	json_init(&j, out);
	json_array(&j, NULL);
	for (size_t i = 0; i < s->n; i++) {
		json_object(&j, NULL);
		json_str(&j, "result", span_of(verify_word(s->v[i].code)));
		json_str(&j, "d", buf_span(&s->v[i].domain));
		json_str(&j, "s", buf_span(&s->v[i].selector));
		json_str(&j, "a", buf_span(&s->v[i].alg));
		json_str(&j, "reason", span_of(s->v[i].reason));
		json_end(&j, '}');
	}
	json_end(&j, ']');
	buf_addc(out, '\n');
}

int
cmd_dkim(int argc, char **argv)
{
	struct signatures s;
	struct msg_load load;
	struct msg m;
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;
	int status;

	if (argc > 0)
		return prog_usage("dkim: %s: unexpected", argv[0]);
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0)
		return prog_fail(&e);
	msg_index(&m, load.bytes, 0);
	verify_dkim(&s, &m, check_dns(), check_time());
	if (prog.json) {
		dkim_json(&out, &s);
	} else {
		for (size_t i = 0; i < s.n; i++) {
			buf_adds(&out, verify_word(s.v[i].code));
			add_word(&out, "d", buf_span(&s.v[i].domain));
			add_word(&out, "s", buf_span(&s.v[i].selector));
			add_word(&out, "a", buf_span(&s.v[i].alg));
			add_word(&out, "reason", span_of(s.v[i].reason));
			buf_addc(&out, '\n');
		}
		if (s.n == 0)
			buf_adds(&out, "none\n");
	}
	status = dkim_status(&s);
	verify_done(&s);
	msg_done(&m);
	msg_unload(&load);
	return check_print(&out, status);
}

/* RESULT:DOMAIN with a word of RFC 8601; false when it is none. */
static bool
take_identity(struct span s, struct dmarc_identity *id)
{
	static const char *const words[] = {
		"pass", "fail",      "softfail",  "neutral",
		"none", "temperror", "permerror", "policy",
	};
	ssize_t colon = span_chr(s, ':');
	struct span word = colon < 0 ? s : span_sub(s, 0, (size_t)colon);
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		known |= span_is(word, words[i]);
	id->pass = span_is(word, "pass");
	id->domain = colon < 0 ? SPAN("") : span_from(s, (size_t)colon + 1);
	return known && colon >= 0;
}

static int
dmarc_run(const struct dmarc_identity *spf, const struct dmarc_identity *dkim,
	  size_t n)
{
	struct dmarc d;
	struct buf out = BUF_INIT, ascii = BUF_INIT;
	struct json j;
	int status;

	if (!dns_to_ascii(span_of(opts.from), &ascii)) {
		buf_free(&ascii);
		return prog_usage("--from %s: expected a domain", opts.from);
	}
	dmarc_check(&d, check_dns(), buf_str(&ascii), spf, dkim, n);
	if (prog.json) {
		json_init(&j, &out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(verify_word(d.code)));
		json_str(&j, "policy", span_of(dmarc_policy_word(d.policy)));
		json_str(&j, "applied", span_of(dmarc_policy_word(d.applied)));
		json_str(&j, "domain", buf_span(&d.domain));
		json_str(&j, "record", buf_span(&d.record));
		json_end(&j, '}');
	} else {
		buf_addf(&out, "%s policy=%s applied=%s", verify_word(d.code),
			 dmarc_policy_word(d.policy),
			 dmarc_policy_word(d.applied));
		add_word(&out, "domain", buf_span(&d.domain));
		add_word(&out, "record", buf_span(&d.record));
	}
	buf_addc(&out, '\n');
	status = check_status(d.code);
	dmarc_done(&d);
	buf_free(&ascii);
	return check_print(&out, status);
}

int
cmd_dmarc(int argc, char **argv)
{
	struct dmarc_identity spf = { false, { "", 0 } }, dkim[32];
	struct span rest, one;
	size_t n = 0;

	if (argc > 0)
		return prog_usage("dmarc: %s: unexpected", argv[0]);
	if (opts.from == NULL)
		return prog_usage("dmarc needs --from DOMAIN");
	if (opts.spf != NULL && !take_identity(span_of(opts.spf), &spf))
		return prog_usage("--spf %s: expected RESULT:DOMAIN", opts.spf);
	rest = span_of(opts.dkim);
	while (opts.dkim != NULL && n < ARRAY_LEN(dkim) &&
	       span_split(&rest, ',', &one)) {
		if (!take_identity(span_trim(one), &dkim[n++]))
			return prog_usage("--dkim %s: expected RESULT:DOMAIN",
					  opts.dkim);
	}
	return dmarc_run(&spf, dkim, n);
}
