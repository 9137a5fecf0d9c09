/*
 * procmail_expand.c - the substitutions of procmailrc(5): quotes, backslashes,
 * $name and its relatives, backquotes.
 */
#include "mem.h"
#include "num.h"
#include "procmail.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct word {
	struct buf text;
	bool any;   /* quotes make an empty word one */
	bool value; /* it begins with a value, not with the rcfile's text */
};

struct expand {
	struct pm *p;
	bool dry;
	enum pm_expand how;
	struct strs *words;
	struct word w;
	bool dash; /* a word that begins with a value begins with "-" */
};

static void
end_word(struct expand *x)
{
	if (x->w.any)
		strs_addspan(x->words, buf_span(&x->w.text));
	x->dash |= x->w.value && x->w.text.n > 0 && x->w.text.p[0] == '-';
	buf_clear(&x->w.text);
	x->w.any = x->w.value = false;
}

/* A variable's value: outside of quotes it is split into words. */
static void
add_value(struct expand *x, const char *v, bool quoted)
{
	if (quoted || x->how != PM_WORDS) {
		x->w.value |= x->w.text.n == 0 && v[0] != '\0';
		buf_adds(&x->w.text, v);
		x->w.any |= quoted || v[0] != '\0';
		return;
	}
	v += strspn(v, " \t\n"); /* these do not end the word before */
	for (; *v != '\0'; v++) {
		if (*v == ' ' || *v == '\t' || *v == '\n') {
			end_word(x);
		} else {
			x->w.value |= x->w.text.n == 0;
			buf_addc(&x->w.text, *v);
			x->w.any = true;
		}
	}
}

/* $\name: its magic characters disarmed; "()" keeps the first one so. */
static void
add_disarmed(struct expand *x, const char *v)
{
	buf_adds(&x->w.text, "()");
	x->w.any = true;
	for (; *v != '\0'; v++) {
		if (strchr("(|)*?+.^$[\\", *v) != NULL)
			buf_addc(&x->w.text, '\\');
		buf_addc(&x->w.text, *v);
	}
}

static size_t
name_length(struct span s)
{
	size_t n = 0;

	if (s.n == 0 || ascii_isdigit(s.p[0]))
		return 0;
	while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '_'))
		n++;
	return n;
}

/* The value that a one-character parameter has, or NULL: it is none. */
static bool
special(struct expand *x, char c, struct buf *b)
{
	const struct pm *p = x->p;

	if (ascii_isdigit(c)) {
		size_t k = (size_t)(c - '0');

		buf_adds(b, k == 0           ? "procmail"
			    : k <= p->args.n ? p->args.v[k - 1]
					     : "");
	} else if (c == '#') {
		buf_addf(b, "%zu", p->args.n);
	} else if (c == '$') {
		buf_addf(b, "%ld", (long)getpid());
	} else if (c == '?') {
		buf_addf(b, "%d", p->exit);
	} else if (c == '=') {
		buf_addf(b, "%lld", (long long)p->score);
	} else if (c == '-') {
		buf_adds(b, pm_get(p, "LASTFOLDER"));
	} else if (c == '_') {
		buf_adds(b, p->nrc ? p->rc[p->nrc - 1].name : "");
	} else {
		return false;
	}
	return true;
}

static void expand_some(struct expand *x, struct span *rest, bool quoted,
			char end, int depth);

/* ${name}, ${name:-text} ... ; behind "${".  The depth is bounded. */
static void
braces(struct expand *x, struct span *rest, bool quoted, int depth)
{
	size_t n = name_length(*rest);
	char *name = mem_spandup(span_sub(*rest, 0, n));
	struct buf one = BUF_INIT;
	const char *v = NULL;
	bool colon, use, set;
	char op;

	if (n == 0 && rest->n > 0 && special(x, rest->p[0], &one)) {
		n = 1;
		v = buf_str(&one);
		set = true;
	} else {
		set = pm_isset(x->p, name);
		v = pm_get(x->p, name);
	}
	*rest = span_from(*rest, n);
	colon = rest->n > 0 && rest->p[0] == ':';
	if (colon)
		*rest = span_from(*rest, 1);
	op = rest->n > 0 ? rest->p[0] : '}';
	use = set && (!colon || v[0] != '\0');
	if (op == '-' || op == '+') {
		struct expand skip = *x;
		struct strs none = STRS_INIT;

		*rest = span_from(*rest, 1);
		if (op == '-' && use)
			add_value(x, v, quoted);
		if ((op == '-') != use) {
			expand_some(x, rest, quoted, '}', depth + 1);
		} else { /* passed over */
			skip.dry = true;
			skip.words = &none;
			skip.w = (struct word){ .text = BUF_INIT };
			expand_some(&skip, rest, true, '}', depth + 1);
			buf_free(&skip.w.text);
			strs_free(&none);
		}
	} else {
		add_value(x, v, quoted);
	}
	if (rest->n > 0 && rest->p[0] == '}')
		*rest = span_from(*rest, 1);
	free(name);
	buf_free(&one);
}

/* Behind a "$". */
static void
dollar(struct expand *x, struct span *rest, bool quoted, int depth)
{
	struct buf one = BUF_INIT;
	bool disarm = rest->n > 0 && rest->p[0] == '\\';
	size_t n = name_length(span_from(*rest, disarm));
	char *name;

	if (rest->n > 0 && rest->p[0] == '{' && depth < 50) {
		*rest = span_from(*rest, 1);
		braces(x, rest, quoted, depth);
	} else if (rest->n > 1 && rest->p[0] == '@') {
		/* "$@": each argument a word */
		for (size_t i = 0; i < x->p->args.n; i++) {
			if (i > 0)
				end_word(x);
			x->w.value |= x->w.text.n == 0;
			buf_adds(&x->w.text, x->p->args.v[i]);
			x->w.any = true;
		}
		if (x->p->args.n == 0)
			x->w.any = false;
		*rest = span_from(*rest, 1);
	} else if (n > 0 && !(n == 1 && rest->p[disarm] == '_')) {
		name = mem_spandup(span_sub(span_from(*rest, disarm), 0, n));
		if (disarm)
			add_disarmed(x, pm_get(x->p, name));
		else
			add_value(x, pm_get(x->p, name), quoted);
		*rest = span_from(*rest, n + disarm);
		free(name);
	} else if (rest->n > 0 && special(x, rest->p[0], &one)) {
		add_value(x, buf_str(&one), quoted);
		*rest = span_from(*rest, 1);
	} else {
		buf_addc(&x->w.text, '$');
		x->w.any = true;
	}
	buf_free(&one);
}

/* `command`, behind the first one: its output without the last line end. */
static void
backquotes(struct expand *x, struct span *rest, bool quoted)
{
	struct buf line = BUF_INIT, out = BUF_INIT;
	size_t i = 0;

	for (; i < rest->n && rest->p[i] != '`'; i++) {
		if (rest->p[i] == '\\' && i + 1 < rest->n &&
		    strchr("`\\$", rest->p[i + 1]) != NULL)
			i++;
		buf_addc(&line, rest->p[i]);
	}
	*rest = span_from(*rest, i + 1);
	if (!x->dry) {
		struct buf mail = BUF_INIT;
		struct pm_cmd c = { .line = buf_str(&line),
				    .out = &out,
				    .wait = true,
				    .ignore_write = true };

		pm_text(&mail, buf_span(&x->p->mail), false, true);
		c.in = buf_span(&mail);
		x->p->exit = pm_command(x->p, &c);
		buf_free(&mail);
		if (out.n > 0 && out.p[out.n - 1] == '\n')
			buf_cut(&out, out.n - 1);
		add_value(x, buf_str(&out), quoted);
	}
	x->w.any |= quoted;
	buf_free(&line);
	buf_free(&out);
}

static void
backslash(struct expand *x, struct span *rest, bool quoted)
{
	char c;

	if (rest->n == 0) {
		buf_addc(&x->w.text, '\\');
		x->w.any = true;
		return;
	}
	c = rest->p[0];
	*rest = span_from(*rest, 1);
	if (c == '\n')
		return; /* the line goes on */
	if (quoted && strchr("$`\"\\", c) == NULL)
		buf_addc(&x->w.text, '\\');
	buf_addc(&x->w.text, c);
	x->w.any = true;
}

static void
single_quotes(struct expand *x, struct span *rest)
{
	ssize_t end = span_chr(*rest, '\'');

	buf_addspan(&x->w.text,
		    span_sub(*rest, 0, end < 0 ? rest->n : (size_t)end));
	*rest = span_from(*rest, end < 0 ? rest->n : (size_t)end + 1);
	x->w.any = true;
}

/* Up to `end` (left there), or in how's manner.  Depth: of ${ } alone. */
static void
expand_some(struct expand *x, struct span *rest, bool quoted, char end,
	    int depth)
{
	while (rest->n > 0) {
		char c = rest->p[0];

		if (end != '\0' && c == end)
			return;
		if (end == '\0' && !quoted && x->how != PM_DQUOTE) {
			if (c == '\n')
				return;
			if ((c == ' ' || c == '\t') && x->how == PM_VALUE)
				return;
			if ((c == ' ' || c == '\t')) {
				end_word(x);
				*rest = span_from(*rest, 1);
				continue;
			}
			if (c == '#' && !x->w.any)
				return;
		}
		*rest = span_from(*rest, 1);
		if (c == '\\') {
			backslash(x, rest, quoted);
		} else if (c == '$') {
			dollar(x, rest, quoted, depth);
		} else if (c == '`') {
			backquotes(x, rest, quoted);
		} else if (c == '\'' && !quoted) {
			single_quotes(x, rest);
		} else if (c == '"' && x->how != PM_DQUOTE && end != '"') {
			x->w.any = true;
			if (depth < 50)
				expand_some(x, rest, true, '"', depth + 1);
			*rest = span_from(*rest, 1);
		} else {
			buf_addc(&x->w.text, c);
			x->w.any = true;
		}
	}
}

bool
pm_expand(struct pm *p, struct span *rest, enum pm_expand how, bool dry,
	  struct strs *words)
{
	struct expand x = { .p = p, .dry = dry, .how = how, .words = words };

	expand_some(&x, rest, how == PM_DQUOTE, '\0', 0);
	if (how != PM_WORDS)
		x.w.any = true;
	end_word(&x);
	buf_free(&x.w.text);
	return !x.dash;
}
