/*
 * param_expand.c - $name, ${name}, $(name), ${name?yes}, ${name:no},
 * ${name?{yes}:{no}} as postconf(5) has them; $$ is a dollar.
 * Layer: sys.  Values are expanded when asked; the depth is bounded.
 */
#include "param_int.h"
#include "status.h"

#define EXPAND_DEPTH 20
#define EXPAND_MAX 65536

static int expand_text(const struct config *c, struct buf *out, struct span raw,
		       int depth, struct err *e);

/* The end of a bracketed piece that begins at s.p[0]. */
static ssize_t
expand_close(struct span s)
{
	char open = s.p[0], close = open == '{' ? '}' : ')';
	int depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == open)
			depth++;
		else if (s.p[i] == close && --depth == 0)
			return (ssize_t)i;
	}
	return -1;
}

static size_t
expand_name_length(struct span s)
{
	size_t n = 0;

	while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '_'))
		n++;
	return n;
}

static struct span
expand_unbrace(struct span s)
{
	s = span_trim(s);
	if (s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}')
		s = span_trim(span_sub(s, 1, s.n - 1));
	return s;
}

/* What stands behind NAME? : the texts for "set" and for "empty". */
static void
expand_arms(struct span rest, struct span *yes, struct span *no)
{
	*yes = *no = SPAN("");
	if (rest.p[0] == ':') {
		*no = expand_unbrace(span_from(rest, 1));
		return;
	}
	rest = span_ltrim(span_from(rest, 1));
	if (rest.n > 0 && rest.p[0] == '{') {
		ssize_t end = expand_close(rest);

		if (end > 0) {
			*yes =
			    expand_unbrace(span_sub(rest, 0, (size_t)end + 1));
			rest = span_ltrim(span_from(rest, (size_t)end + 1));
			if (rest.n > 0 && rest.p[0] == ':')
				*no = expand_unbrace(span_from(rest, 1));
			return;
		}
	}
	*yes = rest;
}

static int
expand_reference(const struct config *c, struct buf *out, struct span inner,
		 int depth, struct err *e)
{
	size_t n = expand_name_length(inner);
	struct span name = span_sub(inner, 0, n), yes, no;
	struct span rest = span_ltrim(span_from(inner, n));
	struct buf value = BUF_INIT;
	const char *raw;
	int line, r;

	raw = config_raw(c, name, &line);
	if (rest.n == 0)
		return expand_text(c, out, span_of(raw ? raw : ""), depth + 1,
				   e);
	if (n == 0 || (rest.p[0] != '?' && rest.p[0] != ':'))
		return err_set(e, ST_CONFIG,
			       "\"${%.*s}\": expected ${NAME}, ${NAME?TEXT} or "
			       "${NAME:TEXT}",
			       SPAN_ARG(inner));
	r = expand_text(c, &value, span_of(raw ? raw : ""), depth + 1, e);
	expand_arms(rest, &yes, &no);
	if (r == 0)
		r = expand_text(c, out, value.n > 0 ? yes : no, depth + 1, e);
	/* ${name:text} is the value itself when it is set. */
	if (r == 0 && value.n > 0 && rest.p[0] == ':')
		buf_addspan(out, buf_span(&value));
	buf_free(&value);
	return r;
}

/* The recursion is bounded by EXPAND_DEPTH. */
static int
expand_text(const struct config *c, struct buf *out, struct span raw, int depth,
	    struct err *e)
{
	if (depth > EXPAND_DEPTH)
		return err_set(e, ST_CONFIG,
			       "$name refers to itself, or deeper than %d",
			       EXPAND_DEPTH);
	while (raw.n > 0) {
		ssize_t at = span_chr(raw, '$');
		struct span inner;
		size_t used;

		buf_addspan(out, at < 0 ? raw : span_sub(raw, 0, (size_t)at));
		if (out->n > EXPAND_MAX)
			return err_set(e, ST_CONFIG,
				       "the expanded value is over %d bytes",
				       EXPAND_MAX);
		if (at < 0)
			return 0;
		raw = span_from(raw, (size_t)at + 1);
		if (raw.n > 0 && raw.p[0] == '$') {
			buf_addc(out, '$');
			raw = span_from(raw, 1);
			continue;
		}
		if (raw.n > 0 && (raw.p[0] == '{' || raw.p[0] == '(')) {
			ssize_t end = expand_close(raw);

			if (end < 0)
				return err_set(e, ST_CONFIG,
					       "\"$%.*s\" is not closed",
					       SPAN_ARG(raw));
			inner = span_sub(raw, 1, (size_t)end);
			used = (size_t)end + 1;
		} else {
			used = expand_name_length(raw);
			inner = span_sub(raw, 0, used);
			if (used == 0) {
				buf_addc(out, '$');
				continue;
			}
		}
		if (expand_reference(c, out, inner, depth, e) != 0)
			return -1;
		raw = span_from(raw, used);
	}
	return 0;
}

int
config_expand(const struct config *c, struct buf *out, struct span raw,
	      struct err *e)
{
	return expand_text(c, out, raw, 0, e);
}
