/*
 * template.c - see template.h.
 */
#include "template.h"

struct filling {
	struct buf *b;
	template_value value;
	void *ctx;
};

static size_t
name_end(struct span s, size_t i)
{
	while (i < s.n && (ascii_isalnum(s.p[i]) || s.p[i] == '_'))
		i++;
	return i;
}

/* The '}' of what was opened, or the end. */
static size_t
brace_end(struct span t, size_t i)
{
	for (int deep = 1; i < t.n; i++) {
		deep += t.p[i] == '{';
		deep -= t.p[i] == '}';
		if (deep == 0)
			break;
	}
	return i;
}

/* What comes from a client is not taken for more than it is. */
static void
add_value(struct filling *f, struct span v)
{
	for (size_t i = 0; i < v.n; i++)
		buf_addc(f->b, v.p[i] >= ' ' && v.p[i] <= '~' ? v.p[i] : '_');
}

/* Calls itself once at the most: for the text behind '?' or ':'. */
static void
expand(struct filling *f, struct span t, bool inner)
{
	for (size_t i = 0; i < t.n; i++) {
		size_t from = i + 1, to, end;
		struct span v, text;

		if (t.p[i] != '$' || from == t.n) {
			buf_addc(f->b, t.p[i]);
			continue;
		}
		if (t.p[from] != '{') {
			to = name_end(t, from);
			if (to > from)
				add_value(
				    f, f->value(f->ctx, span_sub(t, from, to)));
			else
				buf_addc(f->b, '$'); /* "$$", "$ " */
			i = to > from ? to - 1 : t.p[from] == '$' ? from : i;
			continue;
		}
		from++;
		to = name_end(t, from);
		end = brace_end(t, to);
		v = f->value(f->ctx, span_sub(t, from, to));
		text = to < end ? span_sub(t, to + 1, end) : SPAN("");
		if (to == end)
			add_value(f, v);
		else if (!inner && (t.p[to] == '?' ? v.n > 0 : v.n == 0))
			expand(f, text, true);
		i = end;
	}
}

void
template_expand(struct buf *b, struct span t, template_value value, void *ctx)
{
	struct filling f = { b, value, ctx };

	expand(&f, t, false);
}
