/*
 * sieve_ext_spamtest.c - spamtest and virustest over the header field of a
 * scanner.  RFC 5235; the settings are Pigeonhole's.
 */
#include "mem.h"
#include "num.h"
#include "sieve.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

/* "FIELD[:REGEX]": the field's text, or of it what group 1 matches.  False: no
 * such field, or no match. */
static bool
read_header(const struct sieve_run *r, const char *setting, struct buf *b)
{
	struct span rest = span_of(setting), name;
	regmatch_t at[2];
	regex_t re;
	char *n, *pattern;
	bool ok;

	if (!span_split(&rest, ':', &name))
		return false;
	n = mem_spandup(span_trim(name));
	ok = sieve_field(r, n, b);
	free(n);
	if (!ok || rest.p == NULL)
		return ok;
	pattern = mem_spandup(span_ltrim(rest));
	ok = regcomp(&re, pattern, REG_EXTENDED) == 0;
	free(pattern);
	if (!ok)
		return false;
	ok = regexec(&re, buf_str(b), 2, at, 0) == 0 && re.re_nsub > 0 &&
	     at[1].rm_so >= 0;
	regfree(&re);
	if (ok) {
		buf_cut(b, (size_t)at[1].rm_eo);
		buf_shift(b, (size_t)at[1].rm_so);
	}
	return ok;
}

/* "-1.25" in thousandths; what is behind the number does not count. */
static bool
decimal(struct span s, int64_t *r)
{
	uint64_t whole = 0;
	int64_t milli = 0, unit = 100;
	bool minus;
	size_t used;

	s = span_trim(s);
	minus = s.n > 0 && s.p[0] == '-';
	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
		s = span_from(s, 1);
	if (s.n == 0 || !ascii_isdigit(s.p[0]))
		return false;
	if (!num_prefix(s, 1000000000, &whole, &used))
		return false;
	s = span_from(s, used);
	if (s.n > 0 && s.p[0] == '.') {
		for (size_t i = 1; i < s.n && ascii_isdigit(s.p[i]); i++) {
			milli += (s.p[i] - '0') * unit;
			unit /= 10;
		}
	}
	*r = ((int64_t)whole * 1000 + milli) * (minus ? -1 : 1);
	return true;
}

/* The number whose text this is. */
static int64_t
text_value(const struct sieve_scan_conf *c, struct span text, int64_t most)
{
	for (size_t i = 0; i < c->texts.n; i++) {
		struct span rest = span_of(c->texts.v[i]), number;
		uint64_t v;

		(void)span_split(&rest, '=', &number);
		if (rest.p != NULL && span_eq(rest, text) &&
		    num_u64(number, (uint64_t)most, &v))
			return (int64_t)v;
	}
	return -1;
}

/* score / maximum in 0 .. 1,000,000; -1: nothing is known. */
static int64_t
ratio(const struct sieve_run *r, const struct sieve_scan_conf *c,
      struct span text)
{
	struct buf b = BUF_INIT;
	int64_t score, max = 0;
	bool ok;

	if (c->max_header[0] != '\0')
		ok = read_header(r, c->max_header, &b) &&
		     decimal(buf_span(&b), &max);
	else
		ok = decimal(span_of(c->max_value), &max);
	buf_free(&b);
	if (!ok || max <= 0)
		return -1;
	if (strcmp(c->status_type, "strlen") == 0)
		score = (int64_t)text.n * 1000;
	else if (!decimal(text, &score))
		return -1;
	if (score < 0)
		score = 0;
	return score >= max ? 1000000 : score * 1000000 / max;
}

/* 2.1, 3.1: 1 .. most (0: not tested), or percents. */
static int64_t
value_of(const struct sieve_run *r, const struct sieve_scan_conf *c,
	 int64_t most, bool percent, bool *tested_r)
{
	struct buf b = BUF_INIT;
	int64_t v = 0, part;

	if (c->status_header[0] != '\0' &&
	    read_header(r, c->status_header, &b)) {
		if (strcmp(c->status_type, "text") == 0) {
			v = text_value(c, buf_span(&b), most);
			*tested_r = v > 0;
			if (v > 0 && percent)
				v = (v - 1) * 100 / (most - 1);
			v = v < 0 ? 0 : v;
		} else {
			part = ratio(r, c, buf_span(&b));
			*tested_r = part >= 0;
			if (part >= 0)
				v = percent ? part / 10000
					    : 1 + part * (most - 1) / 1000000;
		}
	}
	buf_free(&b);
	return v;
}

static int
run(struct sieve_run *r, const struct sieve_node *n,
    const struct sieve_scan_conf *c, int64_t most)
{
	bool percent = sieve_has(n, ":percent") != NULL;
	struct buf b = BUF_INIT;
	bool tested = false;
	int yes;

	buf_addf(&b, "%lld", (long long)value_of(r, c, most, percent, &tested));
	/* 3.1: there is nothing to count where nothing was tested */
	if (!tested && sieve_has(n, ":count") != NULL) {
		buf_free(&b);
		return 0;
	}
	yes = sieve_match(r, n, buf_span(&b), sieve_pos(n, 0));
	buf_free(&b);
	return yes;
}

static int
run_spamtest(struct sieve_run *r, const struct sieve_node *n)
{
	return run(r, n, &sieve_conf.spam, 10);
}

static int
run_virustest(struct sieve_run *r, const struct sieve_node *n)
{
	return run(r, n, &sieve_conf.virus, 5);
}

static const struct sieve_word spam_words[] = {
	{ .name = "spamtest",
	  .ext = "spamtest",
	  .is_test = true,
	  .positional = "s",
	  .with_match = true,
	  .run = run_spamtest },
};
static const struct sieve_word virus_words[] = {
	{ .name = "virustest",
	  .ext = "virustest",
	  .is_test = true,
	  .positional = "s",
	  .with_match = true,
	  .run = run_virustest },
};
static const struct sieve_added added[] = {
	{ "spamtest", { ":percent", 0, NULL, "spamtestplus" } },
};
static const struct sieve_extension spamtest = {
	.name = "spamtest",
	.words = spam_words,
	.nwords = ARRAY_LEN(spam_words),
};
static const struct sieve_extension spamtestplus = {
	.name = "spamtestplus",
	.added = added,
	.nadded = ARRAY_LEN(added),
	.implies = "spamtest",
};
static const struct sieve_extension virustest = {
	.name = "virustest",
	.words = virus_words,
	.nwords = ARRAY_LEN(virus_words),
};
SIEVE_EXTENSION(spamtest);
SIEVE_EXTENSION(spamtestplus);
SIEVE_EXTENSION(virustest);
