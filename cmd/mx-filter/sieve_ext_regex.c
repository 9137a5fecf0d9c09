/*
 * sieve_ext_regex.c - the match type ":regex".  draft-ietf-sieve-regex.
 * PCRE2 with limits on steps, depth and memory; a pattern that exceeds them is
 * an error of the run, never a hang (THREATS 92).
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "mem.h"
#include "sieve.h"
#include "status.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#define KEPT 16
#define PATTERN_MAX 8192

/* The last patterns, compiled. */
static struct kept {
	char *pattern;
	bool fold;
	pcre2_code *code;
} kept[KEPT];
static size_t next_kept;

static pcre2_code *
compile(struct span p, bool fold, char *why, size_t size)
{
	/* "." is any byte but NUL: also a line end, as POSIX has it. */
	uint32_t flags = PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY |
			 PCRE2_NEVER_BACKSLASH_C | PCRE2_UTF |
			 PCRE2_MATCH_INVALID_UTF | (fold ? PCRE2_CASELESS : 0);
	pcre2_code *code;
	size_t at;
	int err;

	if (p.n > PATTERN_MAX) {
		snprintf(why, size, "longer than %d bytes", PATTERN_MAX);
		return NULL;
	}
	code = pcre2_compile((PCRE2_SPTR)p.p, p.n, flags, &err, &at, NULL);
	if (code == NULL)
		pcre2_get_error_message(err, (PCRE2_UCHAR *)why, size);
	return code;
}

static pcre2_code *
get(struct span p, bool fold, char *why, size_t size)
{
	struct kept *k;
	pcre2_code *code;

	for (size_t i = 0; i < KEPT; i++) {
		k = &kept[i];
		if (k->code != NULL && k->fold == fold &&
		    span_is(p, k->pattern))
			return k->code;
	}
	code = compile(p, fold, why, size);
	if (code == NULL)
		return NULL;
	k = &kept[next_kept++ % KEPT];
	pcre2_code_free(k->code);
	free(k->pattern);
	*k = (struct kept){ mem_spandup(p), fold, code };
	return code;
}

static bool
folds(const struct sieve_node *n)
{
	return n->cmp->norm != NULL || n->cmp->fold('a') == n->cmp->fold('A');
}

static void
take_groups(struct sieve_run *r, struct span value, const size_t *at, int count)
{
	struct span v[33];
	size_t n = 0;

	for (int i = 0; i < count && n < ARRAY_LEN(v); i++)
		v[n++] = at[2 * i] == PCRE2_UNSET
			     ? SPAN("")
			     : span_sub(value, at[2 * i], at[2 * i + 1]);
	sieve_set_groups(r, v, n);
}

static int
match_regex(struct sieve_run *r, const struct sieve_node *n, struct span value,
	    struct span key)
{
	char why[160] = "";
	pcre2_code *code = get(key, folds(n), why, sizeof(why));
	pcre2_match_context *limits;
	pcre2_match_data *data;
	int rc;

	if (code == NULL)
		return err_set(&r->err, ST_DATA,
			       "invalid regular expression \"%.100s\": %s",
			       key.p, why);
	limits = pcre2_match_context_create(NULL);
	data = pcre2_match_data_create_from_pattern(code, NULL);
	if (limits == NULL || data == NULL)
		return err_set(&r->err, ST_TEMPFAIL, "out of memory");
	pcre2_set_match_limit(limits, (uint32_t)sieve_conf.regex_match_limit);
	pcre2_set_depth_limit(limits, 10000);
	pcre2_set_heap_limit(limits, 16384);
	rc = pcre2_match(code, (PCRE2_SPTR)(value.p ? value.p : ""), value.n, 0,
			 0, data, limits);
	if (rc > 0)
		take_groups(r, value, pcre2_get_ovector_pointer(data), rc);
	pcre2_match_data_free(data);
	pcre2_match_context_free(limits);
	if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
	    rc == PCRE2_ERROR_HEAPLIMIT)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "the regular expression \"%.100s\" takes too "
			       "long (sieve_regex_match_limit)",
			       key.p);
	return rc > 0;
}

static void
check_regex(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *keys = &n->args[n->nargs - 1];
	char why[160] = "";

	for (size_t i = 0; n->cmp != NULL && i < keys->strings.n; i++) {
		const char *p = keys->strings.v[i];

		if (sieve_constant(s, p) &&
		    get(span_of(p), folds(n), why, sizeof(why)) == NULL)
			sieve_error(s, keys->line, keys->col,
				    "invalid regular expression '%.100s': %s",
				    p, why);
	}
}

static const struct sieve_match_type types[] = {
	/* what folds is PCRE2's to fold: norm's form of a pattern is another */
	{ ":regex", true, true, match_regex, NULL, check_regex },
};
static const struct sieve_added added[] = {
	{ "*match", { ":regex", 0, "match type", "regex" } },
};
static const struct sieve_extension regex = {
	.name = "regex",
	.added = added,
	.nadded = ARRAY_LEN(added),
	.match_types = types,
	.nmatch_types = ARRAY_LEN(types),
};
SIEVE_EXTENSION(regex);
