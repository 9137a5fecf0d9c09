/*
 * context.c - see context.h.  A message is looked at again when its
 * mod-sequence is a new one: no key but those of flags can change (and OLDER,
 * YOUNGER, which are as they were when it was looked at).
 */
#include "cmd.h"
#include "context.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static void
context_free(struct context *c)
{
	free(c->tag);
	search_free(&c->se);
	free(c->order);
	if (c->att != NULL)
		fetch_free(c->att);
	free(c->att);
	free(c->uids);
	free(c);
}

void
context_drop_all(struct session *s)
{
	for (size_t i = 0; i < s->ncontexts; i++)
		context_free(s->contexts[i]);
	free(s->contexts);
	s->contexts = NULL;
	s->ncontexts = 0;
}

bool
context_has(const struct session *s, struct span tag)
{
	for (size_t i = 0; i < s->ncontexts; i++)
		if (span_is(tag, s->contexts[i]->tag))
			return true;
	return false;
}

/* RFC 5267 4.3: numbers mean the messages that have them now. */
static void
numbers_to_uids(struct session *s, struct search *se)
{
	for (size_t i = 0; i < se->n; i++) {
		struct set uids = { NULL, 0, 0 };

		if (se->v[i].op != OP_SEQ)
			continue;
		for (size_t k = 0; k < s->mb->told_exists; k++)
			if (set_has(&se->v[i].set, (uint32_t)k + 1))
				set_add(&uids, s->mb->v[k].uid,
					s->mb->v[k].uid);
		set_finish(&uids);
		set_move(&se->v[i].set, &uids);
		se->v[i].op = OP_UID;
	}
}

static void
looked_at(struct session *s, struct context *c)
{
	c->modseq = s->mb->modseq;
	if (s->mb->told_exists > 0)
		c->last = s->mb->v[s->mb->told_exists - 1].uid;
}

void
context_keep(struct session *s, struct search *se, struct wanted *w,
	     const struct found *f, context_sort_fn *sort, const void *order,
	     size_t size)
{
	struct context *c;

	if (s->ncontexts == CONTEXTS_MAX) {
		stream_puts(s->st, "* NO [NOUPDATE ");
		put_string(s->st, buf_span(&s->tag));
		stream_puts(s->st, "] Too many contexts\r\n");
		return;
	}
	if (s->contexts == NULL)
		s->contexts = mem_alloc(CONTEXTS_MAX, sizeof(*s->contexts));
	c = mem_alloc(1, sizeof(*c));
	c->tag = mem_spandup(buf_span(&s->tag));
	c->uid = s->uid;
	c->se = *se;
	*se = (struct search){ .v = NULL };
	numbers_to_uids(s, &c->se);
	c->sort = sort;
	if (size > 0) {
		c->order = mem_alloc(1, size);
		memcpy(c->order, order, size);
	}
	c->att = w->att;
	w->att = NULL;
	c->uids = mem_grow(NULL, &c->cap, f->n + 1, sizeof(*c->uids));
	for (; c->n < f->n; c->n++)
		c->uids[c->n] = s->mb->v[f->v[c->n]].uid;
	looked_at(s, c);
	s->contexts[s->ncontexts++] = c;
}

static void
put_head(struct session *s, const struct context *c, const char *word)
{
	stream_puts(s->st, "* ESEARCH (TAG ");
	put_string(s->st, span_of(c->tag));
	stream_printf(s->st, ")%s %s (", c->uid ? " UID" : "", word);
}

static uint32_t
number(struct session *s, const struct context *c, uint32_t uid)
{
	bool exact;

	return c->uid ? uid : (uint32_t)mailbox_find(s->mb, uid, &exact) + 1;
}

/* Those of `set` (UIDs), by mailbox order. */
static void
put_unordered(struct session *s, const struct context *c, const char *word,
	      const struct set *set)
{
	struct set told = { NULL, 0, 0 };
	struct buf b = BUF_INIT;

	if (set->n == 0)
		return;
	for (size_t i = 0; i < s->mb->told_exists; i++)
		if (set_has(set, s->mb->v[i].uid)) {
			uint32_t n = number(s, c, s->mb->v[i].uid);

			set_add(&told, n, n);
		}
	set_print(&b, &told);
	put_head(s, c, word);
	stream_printf(s->st, "0 %s)\r\n", buf_str(&b));
	set_free(&told);
	buf_free(&b);
}

/* Takes those of `out` from the result; a sorted one tells each place. */
static void
remove_from(struct session *s, struct context *c, const struct set *out)
{
	size_t to = 0;
	bool any = false;

	if (out->n == 0)
		return;
	if (c->sort == NULL)
		put_unordered(s, c, "REMOVEFROM", out);
	for (size_t i = 0; i < c->n; i++) {
		if (!set_has(out, c->uids[i])) {
			c->uids[to++] = c->uids[i];
			continue;
		}
		if (c->sort == NULL)
			continue;
		if (!any)
			put_head(s, c, "REMOVEFROM");
		/* those before it are gone already */
		stream_printf(s->st, "%s%zu %lu", any ? " " : "", to + 1,
			      (unsigned long)number(s, c, c->uids[i]));
		any = true;
	}
	if (any)
		stream_puts(s->st, ")\r\n");
	c->n = to;
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The result as indexes, in its order; -1: it cannot be had. */
static int
order(struct session *s, struct context *c, struct found *f)
{
	struct err e = ERR_INIT;
	bool exact;

	if (c->sort == NULL) {
		qsort(c->uids, c->n, sizeof(*c->uids), by_number);
		return 0;
	}
	for (size_t i = 0; i < c->n; i++) {
		size_t at = mailbox_find(s->mb, c->uids[i], &exact);

		if (exact)
			found_add(f, at);
	}
	if (f->n != c->n || c->sort(s, c->order, f, &e) != 0) {
		log_warn("%s: a sorted context: %s", s->user, e.text);
		return -1;
	}
	for (size_t i = 0; i < f->n; i++)
		c->uids[i] = s->mb->v[f->v[i]].uid;
	return 0;
}

static void
add_to(struct session *s, struct context *c, const struct set *in)
{
	struct found f = { .v = NULL };
	bool any = false;

	if (in->n == 0)
		return;
	for (size_t i = 0; i < s->mb->told_exists; i++) {
		uint32_t uid = s->mb->v[i].uid;

		if (!set_has(in, uid))
			continue;
		c->uids =
		    mem_grow(c->uids, &c->cap, c->n + 1, sizeof(*c->uids));
		c->uids[c->n++] = uid;
	}
	if (order(s, c, &f) == 0 && c->sort != NULL) {
		/* from the front: each finds its place as it is then */
		for (size_t i = 0; i < c->n; i++) {
			if (!set_has(in, c->uids[i]))
				continue;
			if (!any)
				put_head(s, c, "ADDTO");
			stream_printf(s->st, "%s%zu %lu", any ? " " : "", i + 1,
				      (unsigned long)number(s, c, c->uids[i]));
			any = true;
		}
		if (any)
			stream_puts(s->st, ")\r\n");
	} else if (c->sort == NULL) {
		put_unordered(s, c, "ADDTO", in);
	}
	found_free(&f);
}

static void
members(const struct context *c, struct set *set)
{
	for (size_t i = 0; i < c->n; i++)
		set_add(set, c->uids[i], c->uids[i]);
	set_finish(set);
}

static void
gone_from(struct session *s, struct context *c)
{
	struct set have = { NULL, 0, 0 }, out = { NULL, 0, 0 };

	members(c, &have);
	for (size_t i = 0; i < s->mb->told_exists; i++)
		if (s->mb->v[i].gone && set_has(&have, s->mb->v[i].uid))
			set_add(&out, s->mb->v[i].uid, s->mb->v[i].uid);
	remove_from(s, c, &out);
	set_free(&have);
	set_free(&out);
}

void
context_gone(struct session *s)
{
	bool any = false;

	for (size_t i = 0; s->ncontexts > 0 && i < s->mb->told_exists; i++)
		any = any || s->mb->v[i].gone;
	for (size_t i = 0; any && i < s->ncontexts; i++)
		gone_from(s, s->contexts[i]);
}

/* RFC 5465 7: what was asked of new messages that match. */
static void
put_new(struct session *s, struct context *c, size_t index)
{
	bool uid = s->uid;

	if (c->att == NULL || s->mb->v[index].uid <= c->last)
		return;
	s->uid = false;
	(void)fetch_put(s, c->att, index);
	s->uid = uid;
}

static void
update_one(struct session *s, struct context *c)
{
	struct set have = { NULL, 0, 0 }, in = { NULL, 0, 0 },
		   out = { NULL, 0, 0 };
	struct err e = ERR_INIT;

	members(c, &have);
	c->se.now = clock_now();
	for (size_t i = 0; i < s->mb->told_exists; i++) {
		struct message *m = &s->mb->v[i];
		bool is = set_has(&have, m->uid);
		int fits;

		if (m->gone || (m->modseq <= c->modseq && m->uid <= c->last))
			continue;
		fits = search_match(&c->se, s, i, &e);
		if (fits < 0)
			continue;
		if (fits > 0 && !is) {
			put_new(s, c, i);
			set_add(&in, m->uid, m->uid);
		} else if (fits == 0 && is) {
			set_add(&out, m->uid, m->uid);
		}
	}
	remove_from(s, c, &out);
	add_to(s, c, &in);
	looked_at(s, c);
	set_free(&have);
	set_free(&in);
	set_free(&out);
}

void
context_update(struct session *s)
{
	struct mailbox *mb = s->mb;

	for (size_t i = 0; mb != NULL && i < s->ncontexts; i++) {
		struct context *c = s->contexts[i];

		if (c->modseq != mb->modseq ||
		    (mb->told_exists > 0 &&
		     mb->v[mb->told_exists - 1].uid > c->last))
			update_one(s, c);
	}
}

static bool
cancel(struct session *s, struct span tag)
{
	for (size_t i = 0; i < s->ncontexts; i++) {
		if (!span_is(tag, s->contexts[i]->tag))
			continue;
		context_free(s->contexts[i]);
		s->contexts[i] = s->contexts[--s->ncontexts];
		return true;
	}
	return false;
}

/* RFC 5267 4.3.5 */
struct result
cmd_cancelupdate(struct session *s)
{
	struct buf tag = BUF_INIT;
	bool ok, known = true;

	do {
		buf_clear(&tag);
		ok = parse_sp(&s->p) && parse_string(&s->p, &tag);
		known = ok && cancel(s, buf_span(&tag)) && known;
	} while (ok && parse_peek(&s->p) == ' ');
	buf_free(&tag);
	if (!ok || !parse_end(&s->p))
		return result_bad(s);
	if (!known)
		return result_no(NULL, "There is no such update");
	return result_ok("No further updates");
}
