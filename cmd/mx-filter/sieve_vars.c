/*
 * sieve_vars.c - variables: references in strings, values.  RFC 5229 3.
 */
#include "escape.h"
#include "mem.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUE_MAX 4096 /* sieve_variables_max_value_size */
#define VARS_MAX 255   /* sieve_variables_max_scope_size */

bool
sieve_identifier(struct span name)
{
	if (name.n == 0 || name.n > 64 || ascii_isdigit(name.p[0]))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if (!ascii_isalnum(name.p[i]) && name.p[i] != '_')
			return false;
	}
	return true;
}

static bool
all_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_isdigit(s.p[i]))
			return false;
	}
	return s.n > 0;
}

/* "${NAME}" or "${1}" at s; its length, or 0.  A name with dots: *space_r. */
static size_t
reference(struct span s, struct span *name_r, bool *space_r)
{
	struct span rest, part;
	size_t n = 2;
	bool first = true;

	if (!span_starts(s, SPAN("${")))
		return 0;
	while (n < s.n && n < 200 &&
	       (ascii_isalnum(s.p[n]) || s.p[n] == '_' || s.p[n] == '.'))
		n++;
	if (n >= s.n || s.p[n] != '}' || n == 2)
		return 0;
	*name_r = rest = span_sub(s, 2, n);
	*space_r = span_chr(rest, '.') >= 0;
	while (span_split(&rest, '.', &part)) {
		if (!sieve_identifier(part) &&
		    !(all_digits(part) && (!*space_r || !first)))
			return 0;
		first = false;
	}
	return n + 1;
}

/* The next reference in s: its index, or -1. */
static ssize_t
next_reference(struct span s, size_t *n_r, struct span *name_r, bool *space_r)
{
	size_t at = 0;

	while (at < s.n) {
		const char *d = memchr(s.p + at, '$', s.n - at);

		if (d == NULL)
			break;
		at = (size_t)(d - s.p);
		*n_r = reference(span_from(s, at), name_r, space_r);
		if (*n_r > 0)
			return (ssize_t)at;
		at++;
	}
	return -1;
}

bool
sieve_constant(const struct sieve_script *s, const char *text)
{
	struct span name;
	bool space;
	size_t n;

	return !sieve_required(s, "variables") ||
	       next_reference(span_of(text), &n, &name, &space) < 0;
}

static void
check_text(struct sieve_script *s, struct sieve_node *n,
	   const struct sieve_arg *a, const char *text)
{
	struct span rest = span_of(text), name;
	bool space;
	size_t len;
	ssize_t at;

	while ((at = next_reference(rest, &len, &name, &space)) >= 0) {
		n->has_vars = true;
		if (space)
			sieve_error(s, a->line, a->col,
				    "${%.*s}: nobody has this namespace",
				    SPAN_ARG(name));
		rest = span_from(rest, (size_t)at + len);
	}
}

void
sieve_check_vars(struct sieve_script *s, struct sieve_node *n)
{
	if (!sieve_required(s, "variables"))
		return;
	for (size_t i = 0; i < n->nargs; i++) {
		for (size_t k = 0; k < n->args[i].strings.n; k++)
			check_text(s, n, &n->args[i], n->args[i].strings.v[k]);
	}
}

static struct span
lower(struct buf *b, struct span name)
{
	buf_clear(b);
	for (size_t i = 0; i < name.n; i++)
		buf_addc(b, ascii_tolower(name.p[i]));
	return buf_span(b);
}

/* RFC 5229 3.2: leading zeros do not count. */
static const char *
group(const struct sieve_run *r, struct span digits)
{
	size_t k = 0;

	for (size_t i = 0; i < digits.n && k <= r->groups.n; i++)
		k = k * 10 + (size_t)(digits.p[i] - '0');
	return k < r->groups.n ? r->groups.v[k] : "";
}

const char *
sieve_var(const struct sieve_run *r, struct span name)
{
	struct buf b = BUF_INIT;
	const char *v = NULL;

	if (all_digits(name))
		return group(r, name);
	if (r->vars != NULL)
		v = map_get(r->vars, lower(&b, name));
	buf_free(&b);
	return v != NULL ? v : "";
}

/* At most max bytes, not inside a character. */
static struct span
cut(struct span s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
		max--;
	return span_sub(s, 0, max);
}

int
sieve_var_set(struct sieve_run *r, struct span name, struct span value)
{
	struct buf b = BUF_INIT;

	if (r->vars == NULL)
		r->vars = map_new();
	lower(&b, name);
	if (map_count(r->vars) >= VARS_MAX &&
	    map_get(r->vars, buf_span(&b)) == NULL) {
		buf_free(&b);
		return err_set(&r->err, ST_UNAVAILABLE,
			       "more than %d variables", VARS_MAX);
	}
	free(
	    map_put(r->vars, buf_span(&b), mem_spandup(cut(value, VALUE_MAX))));
	buf_free(&b);
	return 0;
}

static void
expand_text(const struct sieve_run *r, const char *text, struct strs *to)
{
	struct span rest = span_of(text), name;
	struct buf out = BUF_INIT;
	bool space;
	size_t len;
	ssize_t at;

	while (out.n < SIEVE_SCRIPT_MAX &&
	       (at = next_reference(rest, &len, &name, &space)) >= 0) {
		buf_addspan(&out, span_sub(rest, 0, (size_t)at));
		buf_adds(&out, sieve_var(r, name));
		rest = span_from(rest, (size_t)at + len);
	}
	buf_addspan(&out, rest);
	strs_addspan(to, buf_span(&out));
	buf_free(&out);
}

void
sieve_expand(struct sieve_run *r, const struct sieve_node *n,
	     struct sieve_node *out)
{
	*out = *n;
	out->args = mem_alloc(n->nargs, sizeof(*out->args));
	for (size_t i = 0; i < n->nargs; i++) {
		out->args[i] = n->args[i];
		out->args[i].strings = STRS_INIT;
		for (size_t k = 0; k < n->args[i].strings.n; k++)
			expand_text(r, n->args[i].strings.v[k],
				    &out->args[i].strings);
	}
}

void
sieve_expand_done(struct sieve_node *n)
{
	for (size_t i = 0; i < n->nargs; i++)
		strs_free(&n->args[i].strings);
	free(n->args);
	n->args = NULL;
}
