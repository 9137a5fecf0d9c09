/*
 * sieve_ext_body.c - the test body.  RFC 5173.  What is decoded is bounded.
 */
#include "sieve.h"

#include <stdio.h>

#define BODY_MAX ((size_t)32 << 20) /* of all parts together */

struct body {
	struct sieve_run *r;
	const struct sieve_node *n;
	size_t left;
	struct buf text;
};

static int
match(struct body *b, struct span text)
{
	int yes;

	b->r->no_groups = true; /* RFC 5173 6 */
	yes = sieve_match(b->r, b->n, text, sieve_pos(b->n, 0));
	b->r->no_groups = false;
	return yes;
}

/* RFC 5173 5.2: "" is any type, "text" any text, "text/plain" that one. */
static bool
wanted(const struct sieve_arg *types, const struct mime_part *p)
{
	for (size_t i = 0; i < types->strings.n; i++) {
		struct span t = span_of(types->strings.v[i]), main;
		bool slash = span_chr(t, '/') >= 0;

		if (t.n == 0)
			return true;
		if (t.p[0] == '/' || t.p[t.n - 1] == '/')
			continue;
		(void)span_split(&t, '/', &main);
		if (span_ieq(main, p->type) &&
		    (!slash || span_ieq(t, p->subtype)))
			return true;
	}
	return false;
}

static void
decoded(struct body *b, const struct mime_part *p, bool text)
{
	buf_clear(&b->text);
	if (text && span_iis(p->type, "text"))
		mime_text(&b->text, p, b->left);
	else
		(void)mime_decode(&b->text, p->encoding, p->body, b->left);
	b->left -= b->text.n < b->left ? b->text.n : b->left;
}

/* RFC 5173 5.2: a multipart is its prologue and its epilogue, two strings; an
 * attached message its header. */
static void
own_text(const struct mime *m, const struct mime_part *p, struct buf *out,
	 struct span *epilogue_r)
{
	const struct mime_part *c;
	struct span rest, line;
	const char *end;
	ssize_t lf;

	buf_clear(out);
	*epilogue_r = SPAN("");
	if (p->child == MIME_NONE)
		return;
	c = &m->v[p->child];
	if (p->kind == MIME_MESSAGE) {
		buf_addspan(out, c->header);
		return;
	}
	/* without the first delimiter and the line end before it */
	rest = span_sub(p->body, 0, (size_t)(c->header_full.p - p->body.p));
	rest = span_sub(rest, 0, rest.n > 0 ? rest.n - 1 : 0);
	lf = span_rchr(rest, '\n');
	rest = span_sub(rest, 0, lf < 0 ? 0 : (size_t)lf);
	if (rest.n > 0 && rest.p[rest.n - 1] == '\r')
		rest.n--;
	buf_addspan(out, rest);
	while (c->next != MIME_NONE)
		c = &m->v[c->next];
	end = c->body.p + c->body.n;
	rest = span_from(p->body, (size_t)(end - p->body.p));
	/* the line end before the boundary, and the boundary */
	for (int i = 0; i < 2 && rest.p != NULL; i++)
		(void)span_split(&rest, '\n', &line);
	if (rest.p != NULL)
		*epilogue_r = rest;
}

static int
run_content(struct body *b, const struct sieve_arg *types)
{
	const struct mime *m = sieve_parts(b->r);
	int yes = 0;

	for (size_t i = 0; yes == 0 && i < m->n; i++) {
		const struct mime_part *p = &m->v[i];

		if (!wanted(types, p))
			continue;
		if (p->kind != MIME_LEAF) {
			struct span epilogue;

			own_text(m, p, &b->text, &epilogue);
			yes = match(b, buf_span(&b->text));
			if (yes == 0 && epilogue.n > 0)
				yes = match(b, epilogue);
			continue;
		}
		decoded(b, p, true);
		yes = match(b, buf_span(&b->text));
	}
	return yes;
}

/* RFC 5173 5.3: the text parts, a blank for each tag of HTML. */
void
sieve_strip_tags(struct buf *b)
{
	size_t to = 0;
	bool tag = false;

	for (size_t i = 0; i < b->n; i++) {
		char c = b->p[i];

		if (c == '<' && !tag) {
			tag = true;
			b->p[to++] = ' ';
		}
		if (!tag)
			b->p[to++] = c;
		if (c == '>')
			tag = false;
	}
	buf_cut(b, to);
}

static int
run_text(struct body *b)
{
	const struct mime *m = sieve_parts(b->r);
	int yes = 0;

	for (size_t i = 0; yes == 0 && i < m->n; i++) {
		const struct mime_part *p = &m->v[i];

		if (p->kind != MIME_LEAF || !span_iis(p->type, "text"))
			continue;
		decoded(b, p, true);
		if (span_iis(p->subtype, "html"))
			sieve_strip_tags(&b->text);
		yes = match(b, buf_span(&b->text));
	}
	return yes;
}

static int
run_body(struct sieve_run *r, const struct sieve_node *n)
{
	struct body b = { .r = r, .n = n, .left = BODY_MAX };
	const struct sieve_arg *types = sieve_value(n, ":content");
	int yes;

	if (sieve_has(n, ":raw") != NULL)
		yes = match(&b, r->message->m.body);
	else if (types != NULL)
		yes = run_content(&b, types);
	else
		yes = run_text(&b);
	buf_free(&b.text);
	return yes;
}

static const struct sieve_tag tags[] = {
	{ ":raw", 0, "body transform", NULL },
	{ ":content", 'S', "body transform", NULL },
	{ ":text", 0, "body transform", NULL },
};
static const struct sieve_word words[] = {
	{ .name = "body",
	  .ext = "body",
	  .is_test = true,
	  .positional = "S",
	  .tags = tags,
	  .ntags = ARRAY_LEN(tags),
	  .with_match = true,
	  .run = run_body },
};
static const struct sieve_extension body = {
	.name = "body",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(body);
