/*
 * sieve_vars.c - variables: references in strings, values.  RFC 5229 3.
 */
#include "escape.h"
#include "mem.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

/* RFC 5229 3: a name is an identifier; digits alone are a match variable. */
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

/* "${NAME}" or "${1}" at s; its length, or 0: what is no reference stands for
 * itself (RFC 5229 3).  A name with dots: *space_r. */
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

/* The extension whose namespace "SPACE.name" is; *name_r is what stands behind
 * it. */
static const struct sieve_extension *
find_space(const struct sieve_script *s, struct span *name_r)
{
	const struct sieve_extension *x;
	struct span rest = *name_r, space;
	size_t i = 0;

	(void)span_split(&rest, '.', &space);
	while (sieve_each_extension(&i, &x)) {
		size_t n = x->space != NULL ? strlen(x->space) : 0;

		/* a space of several words: vnd.dovecot.environment */
		if (n > 0 && span_istarts(*name_r, span_of(x->space)) &&
		    name_r->n > n && name_r->p[n] == '.' &&
		    sieve_required(s, x->name)) {
			*name_r = span_from(*name_r, n + 1);
			return x;
		}
	}
	return NULL;
}

bool
sieve_settable(const struct sieve_script *s, const char *name)
{
	struct span n = span_of(name);
	const struct sieve_extension *x;

	if (span_chr(n, '.') < 0)
		return sieve_identifier(n);
	x = find_space(s, &n);
	return x != NULL && x->space_set != NULL && sieve_identifier(n);
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
		if (space && find_space(s, &name) == NULL)
			sieve_error(s, a->line, a->col,
				    "${%.*s}: referring to an unknown "
				    "namespace",
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

static const char *
get(const struct map *m, struct span name)
{
	struct buf b = BUF_INIT;
	const char *v = NULL;

	if (m != NULL)
		v = map_get(m, lower(&b, name));
	buf_free(&b);
	/* RFC 5229 3: what was never set is empty */
	return v != NULL ? v : "";
}

const char *
sieve_global(const struct sieve_run *r, struct span name)
{
	return get(r->globals, name);
}

const char *
sieve_var(const struct sieve_run *r, struct span name)
{
	if (all_digits(name))
		return group(r, name);
	if (strs_ihas(&r->script->globals, name))
		return sieve_global(r, name);
	return get(r->vars, name);
}

/* RFC 5229 3.2: of the last match that succeeded, and only those. */
void
sieve_set_groups(struct sieve_run *r, const struct span *v, size_t n)
{
	struct strs next = STRS_INIT;

	if (r->no_groups || !sieve_required(r->script, "variables"))
		return;
	for (size_t i = 0; i < n; i++)
		strs_addspan(&next, v[i]); /* they may lie in the old ones */
	strs_free(&r->groups);
	r->groups = next;
}

/* RFC 5229 6: a value that is too long is cut, and never within a character. */
struct span
sieve_cut(struct span s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
		max--;
	return span_sub(s, 0, max);
}

static int
put(struct sieve_run *r, struct map **m, struct span name, struct span value)
{
	size_t max = sieve_conf.max_value_size > 0
			 ? (size_t)sieve_conf.max_value_size
			 : SIEVE_STRING_MAX;
	struct buf b = BUF_INIT;

	if (*m == NULL)
		*m = map_new();
	lower(&b, name);
	if (map_count(*m) >= (size_t)sieve_conf.max_scope_size &&
	    map_get(*m, buf_span(&b)) == NULL) {
		buf_free(&b);
		return err_set(&r->err, ST_UNAVAILABLE,
			       "more than %lld variables",
			       (long long)sieve_conf.max_scope_size);
	}
	free(map_put(*m, buf_span(&b), mem_spandup(sieve_cut(value, max))));
	buf_free(&b);
	return 0;
}

int
sieve_global_set(struct sieve_run *r, struct span name, struct span value)
{
	return put(r, &r->globals, name, value);
}

int
sieve_var_set(struct sieve_run *r, struct span name, struct span value)
{
	const struct sieve_extension *x;

	if (span_chr(name, '.') >= 0) {
		x = find_space(r->script, &name);
		return x != NULL && x->space_set != NULL
			   ? x->space_set(r, name, value)
			   : 0;
	}
	if (strs_ihas(&r->script->globals, name))
		return sieve_global_set(r, name, value);
	return put(r, &r->vars, name, value);
}

static void
add_value(struct sieve_run *r, struct span name, bool space, struct buf *out)
{
	const struct sieve_extension *x;

	if (!space) {
		buf_adds(out, sieve_var(r, name));
		return;
	}
	x = find_space(r->script, &name);
	if (x != NULL)
		(void)x->space_get(r, name, out);
}

void
sieve_expand_text(struct sieve_run *r, const char *text, struct buf *out)
{
	struct span rest = span_of(text), name;
	bool space;
	size_t len;
	ssize_t at;

	while (out->n < SIEVE_STRING_MAX &&
	       (at = next_reference(rest, &len, &name, &space)) >= 0) {
		buf_addspan(out, span_sub(rest, 0, (size_t)at));
		add_value(r, name, space, out);
		rest = span_from(rest, (size_t)at + len);
	}
	buf_addspan(out, rest);
}

static void
expand_text(struct sieve_run *r, const char *text, struct strs *to)
{
	struct buf out = BUF_INIT;

	sieve_expand_text(r, text, &out);
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
