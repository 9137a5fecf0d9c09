/*
 * addr_list.c - address lists of header fields; see addr.h.
 * Layer: mail.  RFC 5322 3.4 and 4.4; what cannot be parsed is kept as `bad`.
 * No recursion: comments are counted, groups do not nest.
 */
#include "addr.h"
#include "mem.h"

#include <stdlib.h>

#define ITEMS_MAX 10000

struct parser {
	struct addr_list *l;
	struct span s;
	size_t cap, max;
	struct buf phrase;  /* words so far: a display name, or a local part */
	struct buf local;   /* the same words as a local part, without blanks */
	struct buf comment; /* the last comment: an old form of the name */
	bool any;           /* a word was seen */
	bool in_group;
};

/* A comment at s.p[0] == '(' : skipped by counting; its text to out.  One that
 * never ends hides what stands in it. */
static size_t
take_comment(struct parser *ps, struct span s, struct buf *out)
{
	size_t depth = 0;

	buf_clear(out);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '(' && depth++ == 0)
			continue;
		if (c == ')' && --depth == 0)
			return i + 1;
		if (c == '\\' && i + 1 < s.n)
			c = s.p[++i];
		if (c != '\r' && c != '\n')
			buf_addc(out, c);
	}
	ps->l->unread |= span_chr(s, '@') >= 0;
	return s.n;
}

static size_t
take_string(struct parser *ps, struct span s, struct buf *out)
{
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];

		if (c == '"')
			return i + 1;
		if (c == '\\' && i + 1 < s.n)
			c = s.p[++i];
		if (c != '\r' && c != '\n')
			buf_addc(out, c);
	}
	ps->l->unread |= span_chr(s, '@') >= 0;
	return s.n;
}

/* Skips blanks and comments. */
static void
skip_cfws(struct parser *ps)
{
	for (;;) {
		struct span t = span_ltrim(ps->s);

		ps->s = t;
		if (t.n == 0 || t.p[0] != '(')
			return;
		ps->s = span_from(t, take_comment(ps, t, &ps->comment));
	}
}

static size_t
keep(struct parser *ps, struct span s)
{
	size_t at = ps->l->text.n;

	buf_addspan(&ps->l->text, s);
	return at;
}

/* Adds an item whose spans hold offsets (as p) until fix_spans. */
static void
add_item(struct parser *ps, int kind, struct span name, struct span local,
	 struct span domain, struct span route, bool wrong)
{
	struct addr_list *l = ps->l;
	struct addr_item *it;
	const struct span in[4] = { name, local, domain, route };
	struct span *out[4];

	if (l->n >= ps->max)
		return;
	l->v = mem_grow(l->v, &ps->cap, l->n + 1, sizeof(*l->v));
	it = &l->v[l->n++];
	memset(it, 0, sizeof(*it));
	out[0] = &it->name;
	out[1] = &it->local;
	out[2] = &it->domain;
	out[3] = &it->route;
	for (int i = 0; i < 4; i++) {
		size_t at = keep(ps, in[i]);

		/* the offset for now: see fix_spans */
		out[i]->p = (const char *)(uintptr_t)at;
		out[i]->n = in[i].n;
	}
	it->kind = kind;
	it->bad = wrong;
}

static void
fix_spans(struct addr_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct span *all[4] = { &l->v[i].name, &l->v[i].local,
					&l->v[i].domain, &l->v[i].route };

		for (int k = 0; k < 4; k++)
			all[k]->p = buf_str(&l->text) + (uintptr_t)all[k]->p;
	}
}

static void
forget_words(struct parser *ps)
{
	buf_clear(&ps->phrase);
	buf_clear(&ps->local);
	buf_clear(&ps->comment);
	ps->any = false;
}

/* domain or domain-literal with CFWS between its parts (4.4). */
static void
take_domain(struct parser *ps, struct buf *out)
{
	skip_cfws(ps);
	if (ps->s.n > 0 && ps->s.p[0] == '[') {
		ssize_t end = span_chr(ps->s, ']');
		size_t n = end < 0 ? ps->s.n : (size_t)end + 1;

		for (size_t i = 0; i < n; i++) {
			if (!ascii_isspace(ps->s.p[i]))
				buf_addc(out, ps->s.p[i]);
		}
		ps->s = span_from(ps->s, n);
		return;
	}
	for (;;) {
		size_t n = 0;

		while (n < ps->s.n && (unsigned char)ps->s.p[n] > 32 &&
		       strchr("()<>@,;:\\\"[]", ps->s.p[n]) == NULL)
			n++;
		buf_add(out, ps->s.p, n);
		ps->s = span_from(ps->s, n);
		skip_cfws(ps);
		/* only a dot joins what stands behind a blank */
		if (n == 0 || ps->s.n == 0 ||
		    (ps->s.p[0] != '.' && out->p[out->n - 1] != '.'))
			return;
	}
}

/*
 * A word: atom (dots in it), or quoted string.  As part of a display name it
 * stands behind a blank; as part of a local part too ("a b@c" has none that
 * anyone agrees on), but not beside a dot (4.4: "a . b").
 */
static bool
take_word(struct parser *ps)
{
	struct buf word = BUF_INIT;
	size_t n = 0;

	if (ps->s.n == 0)
		return false;
	if (ps->s.p[0] == '"') {
		n = take_string(ps, ps->s, &word);
	} else {
		while (n < ps->s.n && (unsigned char)ps->s.p[n] > 32 &&
		       strchr("()<>@,;:\\\"[]", ps->s.p[n]) == NULL)
			n++;
		buf_add(&word, ps->s.p, n);
	}
	if (n > 0) {
		if (ps->any)
			buf_addc(&ps->phrase, ' ');
		if (ps->any && ps->s.p[0] != '.' &&
		    (ps->local.n == 0 || ps->local.p[ps->local.n - 1] != '.'))
			buf_addc(&ps->local, ' ');
		buf_addspan(&ps->phrase, buf_span(&word));
		buf_addspan(&ps->local, buf_span(&word));
		ps->any = true;
		ps->s = span_from(ps->s, n);
	}
	buf_free(&word);
	return n > 0;
}

/* [name] "<" [route ":"] [local "@" domain] ">" */
static void
take_angle(struct parser *ps)
{
	struct buf name = BUF_INIT, domain = BUF_INIT, route = BUF_INIT;
	bool wrong = false;

	buf_addspan(&name, buf_span(&ps->phrase));
	if (name.n == 0)
		buf_addspan(&name, buf_span(&ps->comment));
	forget_words(ps);
	ps->s = span_from(ps->s, 1);
	skip_cfws(ps);
	while (ps->s.n > 0 && (ps->s.p[0] == '@' || ps->s.p[0] == ',')) {
		buf_addc(&route, ps->s.p[0]);
		ps->s = span_from(ps->s, 1);
		take_domain(ps, &route);
		skip_cfws(ps);
		if (ps->s.n > 0 && ps->s.p[0] == ':') {
			ps->s = span_from(ps->s, 1);
			break;
		}
	}
	skip_cfws(ps);
	while (take_word(ps))
		skip_cfws(ps);
	if (ps->s.n > 0 && ps->s.p[0] == '@') {
		ps->s = span_from(ps->s, 1);
		take_domain(ps, &domain);
		skip_cfws(ps);
	}
	/* Junk before '>' is skipped, but not past the next address. */
	while (ps->s.n > 0 && ps->s.p[0] != '>' && ps->s.p[0] != ',' &&
	       ps->s.p[0] != '<') {
		wrong = true;
		ps->l->unread |= ps->s.p[0] == '@';
		ps->s = span_from(ps->s, 1);
	}
	if (ps->s.n > 0 && ps->s.p[0] == '>')
		ps->s = span_from(ps->s, 1);
	else
		wrong = true;
	add_item(ps, ADDR_MAILBOX, buf_span(&name), buf_span(&ps->local),
		 buf_span(&domain), buf_span(&route), wrong || domain.n == 0);
	forget_words(ps);
	buf_free(&name);
	buf_free(&domain);
	buf_free(&route);
}

/* local "@" domain without brackets */
static void
take_bare(struct parser *ps)
{
	struct buf domain = BUF_INIT, name = BUF_INIT, local = BUF_INIT;

	ps->s = span_from(ps->s, 1);
	buf_addspan(&local, buf_span(&ps->local));
	buf_clear(&ps->comment);
	take_domain(ps, &domain);
	skip_cfws(ps);
	buf_addspan(&name, buf_span(&ps->comment));
	add_item(ps, ADDR_MAILBOX, buf_span(&name), buf_span(&local),
		 buf_span(&domain), SPAN(""),
		 domain.n == 0 || span_chr(buf_span(&local), ' ') >= 0);
	forget_words(ps);
	buf_free(&domain);
	buf_free(&name);
	buf_free(&local);
}

/* Words that nothing followed: "undisclosed", a local user's name. */
static void
end_words(struct parser *ps)
{
	if (ps->any)
		add_item(ps, ADDR_MAILBOX, SPAN(""), buf_span(&ps->phrase),
			 SPAN(""), SPAN(""), true);
	forget_words(ps);
}

static void
parse_special(struct parser *ps)
{
	switch (ps->s.p[0]) {
	case '<':
		take_angle(ps);
		return;
	case '@':
		if (ps->any) {
			take_bare(ps);
			return;
		}
		ps->l->unread = true;
		break;
	case ':':
		if (!ps->in_group) {
			add_item(ps, ADDR_GROUP_START, buf_span(&ps->phrase),
				 SPAN(""), SPAN(""), SPAN(""), false);
			ps->in_group = true;
			forget_words(ps);
		}
		break;
	case ';':
		end_words(ps);
		if (ps->in_group)
			add_item(ps, ADDR_GROUP_END, SPAN(""), SPAN(""),
				 SPAN(""), SPAN(""), false);
		ps->in_group = false;
		break;
	case ',':
		end_words(ps);
		break;
	default:
		break;
	}
	ps->s = span_from(ps->s, 1);
}

void
addr_list_parse(struct addr_list *l, struct span body, size_t max)
{
	struct parser ps = { .l = l, .s = body };

	*l = (struct addr_list){ NULL, 0, BUF_INIT, false };
	ps.max = max > 0 && max < ITEMS_MAX ? max : ITEMS_MAX;
	for (skip_cfws(&ps); ps.s.n > 0 && l->n < ps.max; skip_cfws(&ps)) {
		if (!take_word(&ps))
			parse_special(&ps);
	}
	end_words(&ps);
	if (ps.in_group)
		add_item(&ps, ADDR_GROUP_END, SPAN(""), SPAN(""), SPAN(""),
			 SPAN(""), true);
	fix_spans(l);
	buf_free(&ps.phrase);
	buf_free(&ps.local);
	buf_free(&ps.comment);
}

void
addr_list_free(struct addr_list *l)
{
	free(l->v);
	buf_free(&l->text);
	*l = (struct addr_list){ NULL, 0, BUF_INIT, false };
}
