/*
 * history.c - the history: our lines "mx-dmarc-1 key=value ...", those of
 * failures, "mx-failure-1 key=value ...", and the blocks of OpenDMARC's
 * HistoryFile ("job ID", then "name value" lines).
 */
#include "escape.h"
#include "mem.h"
#include "num.h"
#include "send.h"

#include <stdlib.h>

bool
history_pair(struct span *s, struct span *key, struct buf *value)
{
	ssize_t eq;
	uint64_t byte;
	size_t i;

	*s = span_ltrim(*s);
	eq = span_chr(*s, '=');
	if (eq <= 0)
		return false;
	*key = span_sub(*s, 0, (size_t)eq);
	*s = span_from(*s, (size_t)eq + 1);
	buf_clear(value);
	if (s->n == 0 || s->p[0] != '"') {
		for (i = 0; i < s->n && s->p[i] != ' '; i++)
			buf_addc(value, s->p[i]);
		*s = span_from(*s, i);
		return true;
	}
	for (i = 1; i < s->n && s->p[i] != '"'; i++) {
		if (s->p[i] != '\\' || i + 1 >= s->n) {
			buf_addc(value, s->p[i]);
		} else if (s->p[i + 1] == 'x' && i + 3 < s->n &&
			   num_hex(span_sub(*s, i + 2, i + 4), 255, &byte)) {
			buf_addc(value, (char)byte);
			i += 3;
		} else {
			buf_addc(value, s->p[++i]);
		}
	}
	*s = span_from(*s, i + 1);
	return true;
}

static void
set(char **at, const char *v)
{
	free(*at);
	*at = mem_strdup(v);
}

static void
our_value(struct seen *s, struct span key, const char *v, struct buf *dkim)
{
	struct {
		const char *key;
		char **at;
	} rows[] = {
		{ "ip", &s->ip },
		{ "from", &s->from },
		{ "policy-domain", &s->policy_domain },
		{ "policy", &s->policy },
		{ "disposition", &s->disposition },
		{ "record", &s->record },
		{ "org", &s->org },
		{ "spf", &s->spf },
		{ "spf-scope", &s->spf_scope },
		{ "spf-domain", &s->spf_domain },
		{ "why", &s->why },
		{ "sender", &s->sender },
		{ "id", &s->id },
		{ "header", &s->header },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (span_is(key, rows[i].key))
			set(rows[i].at, v);
	if (span_is(key, "time"))
		(void)!num_i64(span_of(v), 0, INT64_MAX / 2, &s->time);
	else if (span_is(key, "unasked"))
		s->unasked = true;
	else if (span_is(key, "spf-aligned"))
		s->spf_aligned = v[0] == '1';
	else if (span_is(key, "dkim-aligned"))
		s->dkim_aligned = v[0] == '1';
	else if (span_is(key, "dkim"))
		buf_addf(dkim, "%s", v);
	else if (span_is(key, "dkim-domain"))
		buf_addf(dkim, " %s", v);
	else if (span_is(key, "dkim-selector")) {
		strs_addf(&s->dkim, "%s %s", buf_str(dkim), v);
		buf_clear(dkim);
	} else if (span_is(key, "dkim-identity") && s->dkim.n > 0) {
		char **last = &s->dkim.v[s->dkim.n - 1], *before = *last;

		*last = mem_printf("%s %s", before, v);
		free(before);
	}
}

static bool
our_line(struct span line, struct seen *s)
{
	struct buf v = BUF_INIT, dkim = BUF_INIT;
	struct span key;

	*s = (struct seen){ .text = line };
	line = span_from(line, (size_t)span_chr(line, ' '));
	while (history_pair(&line, &key, &v))
		our_value(s, key, buf_str(&v), &dkim);
	buf_free(&v);
	buf_free(&dkim);
	return s->policy_domain != NULL && s->record != NULL &&
	       s->from != NULL && s->ip != NULL;
}

/* --- OpenDMARC --- */

static const char *
ares_word(struct span v)
{
	static const char *const words[] = {
		"pass",      "none", "softfail", "neutral", "temperror",
		"permerror", "none", "fail",     "policy"
	};
	int n = 6;

	if (!num_int(v, 0, (int)ARRAY_LEN(words) - 1, &n))
		n = 6;
	return words[n];
}

/* A policy as a letter or its number. */
static const char *
policy_word(struct span v)
{
	int n = v.n == 1 ? v.p[0] : 0;

	(void)!num_int(v, 0, 255, &n);
	return n == 'r' ? "reject" : n == 'q' ? "quarantine" : "none";
}

static bool
is_strict(struct span v)
{
	int n = v.n == 1 ? v.p[0] : 0;

	(void)!num_int(v, 0, 255, &n);
	return n == 's';
}

struct block {
	struct buf p, sp, rua;
	bool adkim_s, aspf_s;
};

static void
open_value(struct seen *s, struct block *b, struct span key, struct span v)
{
	char *text = mem_spandup(v);
	struct span rest = v, word[3] = { { 0 } };

	for (int i = 0; i < 3; i++)
		(void)span_word(&rest, " \t", &word[i]);
	if (span_is(key, "received"))
		(void)!num_i64(v, 0, INT64_MAX / 2, &s->time);
	else if (span_is(key, "ipaddr"))
		set(&s->ip, text);
	else if (span_is(key, "from"))
		set(&s->from, text);
	else if (span_is(key, "mfrom"))
		set(&s->spf_domain, text);
	else if (span_is(key, "pdomain"))
		set(&s->policy_domain, text);
	else if (span_is(key, "spf"))
		set(&s->spf, ares_word(v));
	else if (span_is(key, "action"))
		set(&s->disposition, span_is(v, "4")   ? "quarantine"
				     : span_is(v, "2") ? "none"
						       : "reject");
	else if (span_is(key, "align_spf"))
		s->spf_aligned = span_is(v, "4");
	else if (span_is(key, "align_dkim"))
		s->dkim_aligned = span_is(v, "4");
	else if (span_is(key, "p"))
		buf_adds(&b->p, policy_word(v));
	else if (span_is(key, "sp"))
		buf_adds(&b->sp, policy_word(v));
	else if (span_is(key, "adkim"))
		b->adkim_s = is_strict(v);
	else if (span_is(key, "aspf"))
		b->aspf_s = is_strict(v);
	else if (span_is(key, "rua") && !span_is(v, "-"))
		buf_addf(&b->rua, "%s%s", b->rua.n ? "," : "", text);
	else if (span_is(key, "dkim") && word[2].n > 0)
		strs_addf(&s->dkim, "%s %.*s %.*s", ares_word(word[2]),
			  SPAN_ARG(word[0]), SPAN_ARG(word[1]));
	else if (span_is(key, "dkim"))
		strs_addf(&s->dkim, "%s %.*s", ares_word(word[1]),
			  SPAN_ARG(word[0]));
	free(text);
}

/* From a "job" line up to the next one. */
static bool
open_block(struct span *rest, struct seen *s)
{
	struct block b = { 0 };
	struct span line, key, start = *rest;
	bool first = true;

	*s = (struct seen){ .psl = true };
	while (rest->n > 0) {
		struct span before = *rest;

		(void)span_split(rest, '\n', &line);
		if ((!first && span_starts(line, SPAN("job "))) ||
		    span_starts(line, SPAN("mx-dmarc-1 "))) {
			*rest = before;
			break;
		}
		first = false;
		if (span_word(&line, " \t", &key))
			open_value(s, &b, key, span_trim(line));
	}
	s->text = span_trim(span_sub(start, 0, start.n - rest->n));
	s->record = mem_printf(
	    "v=DMARC1; p=%s%s%s%s%s%s%s", b.p.n ? buf_str(&b.p) : "none",
	    b.sp.n ? "; sp=" : "", buf_str(&b.sp), b.adkim_s ? "; adkim=s" : "",
	    b.aspf_s ? "; aspf=s" : "", b.rua.n ? "; rua=" : "",
	    buf_str(&b.rua));
	buf_free(&b.p);
	buf_free(&b.sp);
	buf_free(&b.rua);
	if (s->policy_domain != NULL && s->org == NULL)
		s->org = mem_strdup(s->policy_domain);
	return s->policy_domain != NULL && s->from != NULL && s->ip != NULL;
}

bool
history_next(struct span *rest, struct seen *s)
{
	while (rest->n > 0) {
		struct span line, before = *rest;
		bool good;

		(void)span_split(rest, '\n', &line);
		if (span_starts(line, SPAN("mx-dmarc-1 ")) ||
		    span_starts(line, SPAN("mx-failure-1 "))) {
			good = our_line(line, s);
		} else if (span_starts(line, SPAN("job "))) {
			*rest = before;
			good = open_block(rest, s);
		} else {
			continue;
		}
		if (good)
			return true;
		history_free(s);
	}
	return false;
}

void
history_free(struct seen *s)
{
	char *all[] = { s->ip,         s->from,        s->policy_domain,
			s->policy,     s->disposition, s->record,
			s->org,        s->spf,         s->spf_scope,
			s->spf_domain, s->why,         s->sender,
			s->id,         s->header };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]);
	strs_free(&s->dkim);
	*s = (struct seen){ 0 };
}
