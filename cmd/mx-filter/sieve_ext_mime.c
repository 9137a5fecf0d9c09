/*
 * sieve_ext_mime.c - ":mime" and ":anychild", foreverypart and break,
 * extracttext.  RFC 5703 3, 4, 7.  (replace and enclose: sieve_ext_replace.c.)
 */
#include "mem.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

/* --- header, address, exists with :mime (4) --- */

/* The index behind the last part inside of p. */
static size_t
subtree_end(const struct mime *m, size_t p)
{
	size_t i = p + 1;

	while (i < m->n && m->v[i].depth > m->v[p].depth)
		i++;
	return i;
}

struct option {
	struct sieve_run *r;
	const struct sieve_node *n;
	bool type; /* the field is Content-Type */
	bool any;  /* or Content-Disposition */
	int (*fn)(void *ctx, struct span value);
	void *ctx;
};

static int
params(struct option *o, const struct mime_value *mv)
{
	const struct sieve_arg *names = sieve_value(o->n, ":param");
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < names->strings.n; i++) {
		struct buf lower = BUF_INIT, text = BUF_INIT;
		const struct mime_param *p;

		for (const char *c = names->strings.v[i]; *c != '\0'; c++)
			buf_addc(&lower, ascii_tolower(*c));
		p = mime_param_find(mv, buf_str(&lower));
		if (p != NULL) {
			mime_param_text(&text, p);
			rc = o->fn(o->ctx, buf_span(&text));
		}
		buf_free(&lower);
		buf_free(&text);
	}
	return rc;
}

/* :type, :subtype, :contenttype, :param of one raw value. */
static int
option_value(void *ctx, struct span raw)
{
	struct option *o = ctx;
	struct mime_value mv;
	struct buf b = BUF_INIT;
	int rc = 0;

	mime_value_parse(&mv, raw);
	if (sieve_has(o->n, ":param") != NULL) {
		rc = params(o, &mv);
	} else {
		bool sub = sieve_has(o->n, ":subtype") != NULL;
		bool both = sieve_has(o->n, ":contenttype") != NULL;

		if (o->any && !sub)
			buf_addspan(&b, mv.type);
		if (o->type && both)
			buf_addc(&b, '/');
		if (o->type && (sub || both))
			buf_addspan(&b, mv.subtype);
		if (!mv.bad || b.n > 0)
			rc = o->fn(o->ctx, buf_span(&b));
	}
	buf_free(&b);
	mime_value_free(&mv);
	return rc;
}

static bool
has_option(const struct sieve_node *n)
{
	return sieve_has(n, ":type") != NULL ||
	       sieve_has(n, ":subtype") != NULL ||
	       sieve_has(n, ":contenttype") != NULL ||
	       sieve_has(n, ":param") != NULL;
}

static int
part_values(struct sieve_run *r, const struct sieve_node *n, size_t part,
	    const struct sieve_arg *names, bool raw,
	    int (*fn)(void *ctx, struct span value), void *ctx)
{
	const struct mime *m = sieve_parts(r);
	struct msg own;
	int rc = 0;

	msg_index(&own, m->v[part].header_full, 0);
	for (size_t i = 0; rc == 0 && i < names->strings.n; i++) {
		struct span name = span_of(names->strings.v[i]);
		struct option o = { r, n, false, false, fn, ctx };

		o.type = span_iis(name, "Content-Type");
		o.any = o.type || span_iis(name, "Content-Disposition");
		rc = has_option(n)
			 ? sieve_header_values(r, n, &own, names->strings.v[i],
					       true, option_value, &o)
			 : sieve_header_values(r, n, &own, names->strings.v[i],
					       raw, fn, ctx);
	}
	msg_done(&own);
	return rc;
}

int
sieve_mime_values(struct sieve_run *r, const struct sieve_node *n,
		  const struct sieve_arg *names, bool raw,
		  int (*fn)(void *ctx, struct span value), void *ctx)
{
	const struct mime *m = sieve_parts(r);
	size_t from = r->in_part && r->part < m->n ? r->part : 0;
	size_t to =
	    sieve_has(n, ":anychild") != NULL ? subtree_end(m, from) : from + 1;
	int rc = 0;

	for (size_t i = from; rc == 0 && i < to; i++)
		rc = part_values(r, n, i, names, raw, fn, ctx);
	return rc;
}

/* --- foreverypart (3) --- */

struct sieve_loop {
	const char *name; /* or "" */
	struct sieve_loop *outer;
};

static int
one_part(struct sieve_run *r, const struct sieve_node *n, size_t i,
	 struct sieve_loop *loop)
{
	r->in_part = true;
	r->part = i;
	if (sieve_run_block(r, n) != 0)
		return -1;
	if (r->broken == NULL)
		return 0;
	/* a break without a name, or with ours, ends here */
	if (r->broken[0] == '\0' || strcmp(r->broken, loop->name) == 0)
		r->broken = NULL;
	return 1;
}

static int
run_foreverypart(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *name = sieve_value(n, ":name");
	struct sieve_loop loop = { name ? name->strings.v[0] : "", r->loop };
	bool was_in = r->in_part, last_if = r->last_if;
	size_t root = was_in ? r->part : 0, was = r->part;
	/* inside of a part it goes over what is below that part */
	size_t i = was_in ? root + 1 : 0;
	int rc = 0;

	/* cppcheck-suppress autoVariables */
	r->loop = &loop;
	/* the parts may change on the way (replace) */
	while (rc == 0 && !r->stopped && !r->returned) {
		const struct mime *m = sieve_parts(r);

		if (root >= m->n || i >= subtree_end(m, root))
			break;
		rc = one_part(r, n, i++, &loop);
	}
	r->loop = loop.outer;
	r->in_part = was_in;
	r->part = was;
	r->last_if = last_if;
	return rc < 0 ? -1 : 0;
}

static int
run_break(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *name = sieve_value(n, ":name");
	const struct sieve_loop *l = r->loop;

	r->broken = "";
	if (name == NULL)
		return 0;
	while (l != NULL && strcmp(l->name, name->strings.v[0]) != 0)
		l = l->outer;
	if (l == NULL)
		return err_set(&r->err, ST_DATA,
			       "break: no loop is named \"%.80s\"",
			       name->strings.v[0]);
	r->broken = l->name;
	return 0;
}

/* --- extracttext (7) --- */

/* As set does it: what the modifiers say is set's business. */
static int
run_extracttext(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *first = sieve_value(n, ":first");
	const struct mime *m = sieve_parts(r);
	struct buf text = BUF_INIT;
	struct span s;
	size_t chars = 0, i = 0;
	int rc;

	if (r->in_part && r->part < m->n && m->v[r->part].kind == MIME_LEAF &&
	    span_iis(m->v[r->part].type, "text"))
		mime_text(&text, &m->v[r->part], SIEVE_STRING_MAX);
	if (text.n > 0 && span_iis(m->v[r->part].subtype, "html"))
		sieve_strip_tags(&text);
	s = buf_span(&text);
	if (first != NULL) {
		while (i < s.n) {
			if (((unsigned char)s.p[i] & 0xc0) != 0x80 &&
			    (int64_t)chars++ == first->number)
				break;
			i++;
		}
		s = span_sub(s, 0, i);
	}
	rc = sieve_set_modified(r, n, sieve_pos(n, 0)->strings.v[0], s);
	buf_free(&text);
	return rc;
}

static void
check_extracttext(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	if (!sieve_required(s, "variables"))
		sieve_error(s, n->line, n->col,
			    "the extracttext command needs require "
			    "\"variables\"");
	else if (!sieve_settable(s, a->strings.v[0]))
		sieve_error(s, a->line, a->col,
			    "\"%s\" is not a variable's name", a->strings.v[0]);
}

static const struct sieve_tag name_tags[] = { { ":name", 's', NULL, NULL } };
static const struct sieve_tag text_tags[] = { { ":first", 'n', NULL, NULL } };
static const struct sieve_word loop_words[] = {
	{ .name = "foreverypart",
	  .ext = "foreverypart",
	  .tags = name_tags,
	  .ntags = ARRAY_LEN(name_tags),
	  .block = true,
	  .run = run_foreverypart },
	{ .name = "break",
	  .ext = "foreverypart",
	  .tags = name_tags,
	  .ntags = ARRAY_LEN(name_tags),
	  .inside = "foreverypart",
	  .run = run_break },
};
static const struct sieve_word text_words[] = {
	{ .name = "extracttext",
	  .ext = "extracttext",
	  .positional = "s",
	  .tags = text_tags,
	  .ntags = ARRAY_LEN(text_tags),
	  .inside = "foreverypart",
	  .check = check_extracttext,
	  .run = run_extracttext },
};
static const struct sieve_added mime_added[] = {
	{ "header", { ":mime", 0, NULL, "mime" } },
	{ "header", { ":anychild", 0, NULL, "mime" } },
	{ "header", { ":type", 0, "MIME option", "mime" } },
	{ "header", { ":subtype", 0, "MIME option", "mime" } },
	{ "header", { ":contenttype", 0, "MIME option", "mime" } },
	{ "header", { ":param", 'S', "MIME option", "mime" } },
	{ "address", { ":mime", 0, NULL, "mime" } },
	{ "address", { ":anychild", 0, NULL, "mime" } },
	{ "exists", { ":mime", 0, NULL, "mime" } },
	{ "exists", { ":anychild", 0, NULL, "mime" } },
};
static const struct sieve_extension mime = {
	.name = "mime",
	.added = mime_added,
	.nadded = ARRAY_LEN(mime_added),
};
static const struct sieve_extension foreverypart = {
	.name = "foreverypart",
	.words = loop_words,
	.nwords = ARRAY_LEN(loop_words),
};
static const struct sieve_extension extracttext = {
	.name = "extracttext",
	.words = text_words,
	.nwords = ARRAY_LEN(text_words),
};
SIEVE_EXTENSION(mime);
SIEVE_EXTENSION(foreverypart);
SIEVE_EXTENSION(extracttext);
