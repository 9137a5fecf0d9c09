/*
 * found.c - what a search found, and how it is told: RETURN options, SEARCH,
 * SORT and ESEARCH answers, the saved result.
 * RFC 4731, RFC 5182 (SEARCHRES), RFC 5267 3 (ESORT), RFC 9394 (PARTIAL).
 */
#include "cmd.h"
#include "context.h"
#include "mem.h"
#include "search.h"

#include <stdlib.h>

#define ANSWER_MS 60000

void
found_add(struct found *f, size_t index)
{
	f->v = mem_grow(f->v, &f->cap, f->n + 1, sizeof(*f->v));
	f->v[f->n++] = (uint32_t)index;
}

void
found_free(struct found *f)
{
	free(f->v);
	*f = (struct found){ .v = NULL };
}

/* RFC 9394 4: both ends from the front, or both from the end. */
bool
wanted_parse_range(struct parse *p, struct wanted *w)
{
	bool neg = parse_peek(p) == '-';
	uint32_t a, b;

	if (neg && !parse_char(p, '-'))
		return false;
	if (!parse_number(p, &a) || !parse_char(p, ':') ||
	    (neg && !parse_char(p, '-')) || !parse_number(p, &b) || a == 0 ||
	    b == 0)
		return false;
	w->from_end = neg;
	w->lo = a < b ? a : b;
	w->hi = a < b ? b : a;
	return true;
}

void
wanted_range(const struct wanted *w, size_t n, size_t *from, size_t *to)
{
	size_t lo = w->lo - 1 < n ? w->lo - 1 : n;
	size_t hi = w->hi < n ? w->hi : n;

	*from = w->from_end ? n - hi : lo;
	*to = w->from_end ? n - lo : hi;
}

/* RFC 5465 7: "UPDATE (UID FLAGS)"; a tag that is kept already is no tag
 * (RFC 5267 4.3). */
static bool
parse_update(struct session *s, struct wanted *w)
{
	struct parse *p = &s->p;

	if (context_has(s, buf_span(&s->tag))) {
		p->bad = "Tag reuse";
		return false;
	}
	if (p->at + 1 >= p->s.n || p->s.p[p->at] != ' ' ||
	    p->s.p[p->at + 1] != '(')
		return true;
	if (w->att != NULL || !parse_sp(p))
		return false;
	w->att = mem_alloc(1, sizeof(*w->att));
	return fetch_parse_items(w->att, p);
}

void
wanted_failed(struct session *s, const struct wanted *w, struct result r)
{
	if (r.kind == RESULT_NO && (w->bits & RET_SAVE))
		set_free(&s->saved);
}

void
wanted_free(struct wanted *w)
{
	if (w->att != NULL)
		fetch_free(w->att);
	free(w->att);
	w->att = NULL;
}

static bool
parse_option(struct session *s, struct wanted *w)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = {
		{ "MIN", RET_MIN },       { "MAX", RET_MAX },
		{ "ALL", RET_ALL },       { "COUNT", RET_COUNT },
		{ "SAVE", RET_SAVE },     { "PARTIAL", RET_PARTIAL },
		{ "UPDATE", RET_UPDATE }, { "CONTEXT", RET_CONTEXT },
	};
	struct parse *p = &s->p;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!parse_word(p, words[i].word))
			continue;
		/* RFC 9394 3: once, and not with ALL */
		if (words[i].bit == RET_PARTIAL &&
		    ((w->bits & RET_PARTIAL) || !parse_sp(p) ||
		     !wanted_parse_range(p, w)))
			return false;
		w->bits |= words[i].bit;
		if (words[i].bit == RET_UPDATE)
			return parse_update(s, w);
		return true;
	}
	p->bad = "Unknown search return option";
	return false;
}

bool
wanted_parse(struct session *s, struct wanted *w)
{
	struct parse *p = &s->p;

	if (!parse_sp(p) || !parse_char(p, '('))
		return false;
	w->bits = RET_ANY;
	while (parse_peek(p) != ')') {
		if (!parse_option(s, w))
			return false;
		if (parse_peek(p) != ')' && !parse_sp(p))
			return false;
	}
	if ((w->bits & RET_PARTIAL) && (w->bits & RET_ALL)) {
		p->bad = "PARTIAL and ALL exclude each other";
		return false;
	}
	/* RFC 4731 3.1: none means ALL; RFC 5182 2.4: but not beside SAVE;
	 * RFC 5267 4.3: nor beside UPDATE */
	if (!(w->bits & (RET_MIN | RET_MAX | RET_ALL | RET_COUNT | RET_SAVE |
			 RET_PARTIAL | RET_UPDATE)))
		w->bits |= RET_ALL;
	return parse_char(p, ')') && parse_sp(p);
}

static uint32_t
number(const struct session *s, const struct found *f, size_t i)
{
	return s->uid ? s->mb->v[f->v[i]].uid : f->v[i] + 1;
}

/* Runs of neighbours as "a:b"; the order of a SORT stays. */
static void
put_numbers(struct session *s, const struct found *f, size_t from, size_t to)
{
	const char *sep = "";

	for (size_t i = from; i < to;) {
		uint32_t lo = number(s, f, i), hi = lo;

		while (++i < to && number(s, f, i) == hi + 1)
			hi++;
		stream_puts(s->st, sep);
		stream_num(s->st, lo);
		if (hi != lo)
			stream_printf(s->st, ":%lu", (unsigned long)hi);
		sep = ",";
	}
}

static uint64_t
greatest_modseq(const struct session *s, const struct found *f,
		const struct wanted *w)
{
	uint64_t max = 0;
	size_t n = f->n;

	/* RFC 4731 3.2: of what is told */
	if (!(w->bits & (RET_ALL | RET_COUNT | RET_PARTIAL)) && n > 0 &&
	    (w->bits & (RET_MIN | RET_MAX))) {
		if (w->bits & RET_MIN)
			max = s->mb->v[f->v[0]].modseq;
		if ((w->bits & RET_MAX) && s->mb->v[f->v[n - 1]].modseq > max)
			max = s->mb->v[f->v[n - 1]].modseq;
		return max;
	}
	for (size_t i = 0; i < n; i++)
		if (s->mb->v[f->v[i]].modseq > max)
			max = s->mb->v[f->v[i]].modseq;
	return max;
}

static void
put_esearch(struct session *s, const struct found *f, const struct wanted *w)
{
	struct stream *st = s->st;
	unsigned bits = w->bits;

	stream_puts(st, "* ESEARCH (TAG ");
	put_string(st, buf_span(&s->tag));
	stream_printf(st, ")%s", s->uid ? " UID" : "");
	if ((bits & RET_MIN) && f->n > 0)
		stream_printf(st, " MIN %lu", (unsigned long)number(s, f, 0));
	if ((bits & RET_MAX) && f->n > 0)
		stream_printf(st, " MAX %lu",
			      (unsigned long)number(s, f, f->n - 1));
	if (bits & RET_COUNT)
		stream_printf(st, " COUNT %zu", f->n);
	if ((bits & RET_ALL) && f->n > 0) {
		stream_puts(st, " ALL ");
		put_numbers(s, f, 0, f->n);
	}
	if (bits & RET_PARTIAL) {
		const char *sign = w->from_end ? "-" : "";
		size_t from, to;

		wanted_range(w, f->n, &from, &to);
		stream_printf(st, " PARTIAL (%s%lu:%s%lu ", sign,
			      (unsigned long)w->lo, sign, (unsigned long)w->hi);
		if (from < to)
			put_numbers(s, f, from, to);
		else
			stream_puts(st, "NIL");
		stream_puts(st, ")");
	}
	if (f->modseq && f->n > 0)
		stream_printf(st, " MODSEQ %llu",
			      (unsigned long long)greatest_modseq(s, f, w));
	stream_puts(st, "\r\n");
}

static void
put_plain(struct session *s, const struct found *f, const struct wanted *w,
	  const char *word)
{
	stream_printf(s->st, "* %s", word);
	for (size_t i = 0; i < f->n; i++) {
		stream_puts(s->st, " ");
		stream_num(s->st, number(s, f, i));
	}
	if (f->modseq && f->n > 0) /* RFC 7162 3.1.5 */
		stream_printf(s->st, " (MODSEQ %llu)",
			      (unsigned long long)greatest_modseq(s, f, w));
	stream_puts(s->st, "\r\n");
}

static void
save_one(struct session *s, const struct found *f, struct set *set, size_t i)
{
	uint32_t uid = s->mb->v[f->v[i]].uid;

	set_add(set, uid, uid);
}

/* RFC 5182 2.1, 2.4: with MIN or MAX alone, only those; RFC 9394 3.1: with
 * PARTIAL, what that tells. */
static void
save(struct session *s, const struct found *f, const struct wanted *w)
{
	struct set set = { NULL, 0, 0 };
	size_t from = 0, to = f->n;

	if (w->bits & RET_PARTIAL)
		wanted_range(w, f->n, &from, &to);
	if ((w->bits & (RET_MIN | RET_MAX)) &&
	    !(w->bits & (RET_ALL | RET_COUNT | RET_PARTIAL))) {
		if ((w->bits & RET_MIN) && f->n > 0)
			save_one(s, f, &set, 0);
		if ((w->bits & RET_MAX) && f->n > 0)
			save_one(s, f, &set, f->n - 1);
	} else {
		for (size_t i = from; i < to; i++)
			save_one(s, f, &set, i);
	}
	set_finish(&set);
	set_move(&s->saved, &set);
}

void
found_put(struct session *s, const struct found *f, const struct wanted *w,
	  const char *word)
{
	unsigned told =
	    w->bits & (RET_MIN | RET_MAX | RET_ALL | RET_COUNT | RET_PARTIAL);

	s->st->out_deadline = clock_deadline(ANSWER_MS);
	if (w->bits & RET_SAVE)
		save(s, f, w);
	if (!(w->bits & RET_ANY))
		put_plain(s, f, w, word);
	else if (told != 0 || (w->bits & RET_UPDATE))
		put_esearch(s, f, w);
}
