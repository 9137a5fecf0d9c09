/*
 * param_expand.c - $name, ${name}, $(name), ${name?yes}, ${name:no},
 * ${name?{yes}:{no}}, ${{a} == {b} ? {yes} : {no}} as postconf(5) has them; $$
 * is a dollar.
 * Layer: sys.  Values are expanded when asked; depth, number of references and
 * length are bounded.
 */
#include "io.h"
#include "num.h"
#include "param_int.h"
#include "status.h"

#define EXPAND_DEPTH 20
#define EXPAND_REFERENCES 10000
#define EXPAND_MAX 65536

/* Where one value's expansion stands. */
struct expand {
	const struct config *c;
	int depth, references;
	struct err *e;
};

static int expand_text(struct expand *x, struct buf *out, struct span raw);

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

/* A row whose words are "/file": the first line of the file it names. */
int
config_from_file(const struct param *row, struct buf *text, struct err *e)
{
	struct buf file = BUF_INIT;
	struct span rest, line = SPAN("");
	int r;

	if (row == NULL || row->type != PARAM_STR || row->words == NULL ||
	    strcmp(row->words, "/file") != 0 || text->n == 0 ||
	    text->p[0] != '/')
		return 0;
	r = io_read_file(buf_str(text), &file, 65536, e);
	rest = buf_span(&file);
	while (r == 0 && span_split(&rest, '\n', &line)) {
		line = span_trim(line);
		if (line.n > 0 && line.p[0] != '#')
			break;
		line.n = 0;
	}
	if (r == 0 && (line.n == 0 || span_has_ctl(line)))
		r = err_set(e, ST_CONFIG, "%s: its first line is no name",
			    buf_str(text));
	if (r == 0) {
		buf_clear(text);
		buf_addspan(text, line);
	}
	buf_free(&file);
	return r;
}

/* The expanded value of a name; nothing when nobody sets it. */
static int
expand_name(struct expand *x, struct buf *out, struct span name)
{
	struct buf value = BUF_INIT;
	const char *raw;
	int line, r;

	raw = config_raw(x->c, name, &line);
	if (raw == NULL)
		return 0;
	r = expand_text(x, &value, span_of(raw));
	if (r == 0)
		r = config_from_file(config_row(x->c, name), &value, x->e);
	if (r == 0)
		buf_addspan(out, buf_span(&value));
	buf_free(&value);
	return r;
}

/* The operator at the front of s; its length is in *used_r. */
static bool
expand_compare(struct span s, struct span a, struct span b, bool *yes_r,
	       size_t *used_r)
{
	int64_t na, nb;
	int d = span_cmp(a, b);

	/* Two numbers are compared as numbers, else bytes: postconf(5). */
	if (num_i64(a, INT64_MIN + 1, INT64_MAX, &na) &&
	    num_i64(b, INT64_MIN + 1, INT64_MAX, &nb))
		d = na < nb ? -1 : na > nb;
	*used_r = 2;
	if (span_starts(s, SPAN("==")))
		*yes_r = d == 0;
	else if (span_starts(s, SPAN("!=")))
		*yes_r = d != 0;
	else if (span_starts(s, SPAN("<=")))
		*yes_r = d <= 0;
	else if (span_starts(s, SPAN(">=")))
		*yes_r = d >= 0;
	else if (s.n > 0 && (s.p[0] == '<' || s.p[0] == '>')) {
		*yes_r = s.p[0] == '<' ? d < 0 : d > 0;
		*used_r = 1;
	} else {
		return false;
	}
	return true;
}

/* {a} OP {b} ? {yes} : {no}, where inner begins with '{'. */
static int
expand_relation(struct expand *x, struct buf *out, struct span inner)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	ssize_t end = expand_close(inner), end2;
	struct span left, op, right, rest, arm[2];
	bool yes = false;
	size_t used, width = 0;
	int r = -1;

	left = end > 0 ? span_sub(inner, 1, (size_t)end) : inner;
	op = end > 0 ? span_ltrim(span_from(inner, (size_t)end + 1)) : SPAN("");
	used = op.n > 1 && op.p[1] == '=' ? 2 : 1;
	rest = span_ltrim(span_from(op, used));
	end2 = rest.n > 0 && rest.p[0] == '{' ? expand_close(rest) : -1;
	if (end2 > 0) {
		right = span_sub(rest, 1, (size_t)end2);
		rest = span_ltrim(span_from(rest, (size_t)end2 + 1));
		if (expand_text(x, &a, span_trim(left)) == 0 &&
		    expand_text(x, &b, span_trim(right)) == 0)
			r = 0;
	}
	if (end2 <= 0 || rest.n == 0 || rest.p[0] != '?' ||
	    (r == 0 &&
	     (!expand_compare(op, buf_span(&a), buf_span(&b), &yes, &width) ||
	      width != used))) {
		r = err_set(x->e, ST_CONFIG,
			    "\"${%.*s}\": expected ${{A} == {B} ? {TEXT} : "
			    "{TEXT}}",
			    SPAN_ARG(inner));
	} else if (r == 0) {
		expand_arms(rest, &arm[0], &arm[1]);
		r = expand_text(x, out, arm[yes ? 0 : 1]);
	}
	buf_free(&a);
	buf_free(&b);
	return r;
}

static int
expand_reference(struct expand *x, struct buf *out, struct span inner)
{
	size_t n = expand_name_length(inner);
	struct span name = span_sub(inner, 0, n), yes, no;
	struct span rest = span_ltrim(span_from(inner, n));
	struct buf value = BUF_INIT;
	int r;

	if (++x->references > EXPAND_REFERENCES)
		return err_set(x->e, ST_CONFIG, "over %d $names in one value",
			       EXPAND_REFERENCES);
	if (n == 0 && rest.n > 0 && rest.p[0] == '{')
		return expand_relation(x, out, rest);
	if (n > 0 && rest.n == 0)
		return expand_name(x, out, name);
	if (n == 0 || (rest.p[0] != '?' && rest.p[0] != ':'))
		return err_set(x->e, ST_CONFIG,
			       "\"${%.*s}\": expected ${NAME}, ${NAME?TEXT} or "
			       "${NAME:TEXT}",
			       SPAN_ARG(inner));
	r = expand_name(x, &value, name);
	expand_arms(rest, &yes, &no);
	if (r == 0 && value.n > 0 && rest.p[0] == ':')
		buf_addspan(out, buf_span(&value)); /* set: it is itself */
	else if (r == 0)
		r = expand_text(x, out, value.n > 0 ? yes : no);
	buf_free(&value);
	return r;
}

/* What a '$' at the front of raw stands for; cuts it off. */
static int
expand_dollar(struct expand *x, struct buf *out, struct span *raw)
{
	struct span rest = span_from(*raw, 1), inner;
	size_t used = 0;
	ssize_t end;

	if (rest.n > 0 && rest.p[0] == '$') {
		buf_addc(out, '$');
		*raw = span_from(rest, 1);
		return 0;
	}
	if (rest.n > 0 && (rest.p[0] == '{' || rest.p[0] == '(')) {
		end = expand_close(rest);
		if (end < 0)
			return err_set(x->e, ST_CONFIG,
				       "\"$%.*s\" is not closed",
				       SPAN_ARG(span_sub(rest, 0, 60)));
		inner = span_sub(rest, 1, (size_t)end);
		used = (size_t)end + 1;
	} else {
		used = expand_name_length(rest);
		inner = span_sub(rest, 0, used);
	}
	*raw = span_from(rest, used);
	if (used == 0) {
		buf_addc(out, '$');
		return 0;
	}
	return expand_reference(x, out, inner);
}

/* The recursion is bounded by EXPAND_DEPTH. */
static int
expand_text(struct expand *x, struct buf *out, struct span raw)
{
	int r = 0;

	if (++x->depth > EXPAND_DEPTH) {
		x->depth--;
		return err_set(x->e, ST_CONFIG,
			       "$name refers to itself, or deeper than %d",
			       EXPAND_DEPTH);
	}
	while (r == 0 && raw.n > 0) {
		ssize_t at = span_chr(raw, '$');

		buf_addspan(out, at < 0 ? raw : span_sub(raw, 0, (size_t)at));
		if (out->n > EXPAND_MAX)
			r = err_set(x->e, ST_CONFIG,
				    "the expanded value is over %d bytes",
				    EXPAND_MAX);
		if (r != 0 || at < 0)
			break;
		raw = span_from(raw, (size_t)at);
		r = expand_dollar(x, out, &raw);
	}
	x->depth--;
	return r;
}

int
config_expand(const struct config *c, struct buf *out, struct span raw,
	      struct err *e)
{
	struct expand x = { c, 0, 0, e };

	return expand_text(&x, out, raw);
}
