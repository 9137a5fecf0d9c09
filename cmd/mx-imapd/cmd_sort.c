/*
 * cmd_sort.c - SORT and UID SORT.  RFC 5256 3, RFC 5267 3 (ESORT), RFC 5957
 * (SORT=DISPLAY).
 */
#include "cmd.h"
#include "context.h"
#include "keys.h"
#include "mailbox_cache.h"
#include "mem.h"
#include "search.h"
#include "loaded.h"

#include <stdlib.h>

enum key {
	BY_ARRIVAL,
	BY_CC,
	BY_DATE,
	BY_FROM,
	BY_SIZE,
	BY_SUBJECT,
	BY_TO,
	BY_DISPLAYFROM,
	BY_DISPLAYTO
};
#define KEYS_MAX 20

static const struct {
	const char *word;
	enum key key;
	enum key_text text; /* KEY_TEXTS: compared as a number */
} keys[] = {
	{ "ARRIVAL", BY_ARRIVAL, KEY_TEXTS },
	{ "CC", BY_CC, KEY_CC },
	{ "DATE", BY_DATE, KEY_TEXTS },
	{ "FROM", BY_FROM, KEY_FROM },
	{ "SIZE", BY_SIZE, KEY_TEXTS },
	{ "SUBJECT", BY_SUBJECT, KEY_SUBJECT },
	{ "TO", BY_TO, KEY_TO },
	{ "DISPLAYFROM", BY_DISPLAYFROM, KEY_DISPLAYFROM },
	{ "DISPLAYTO", BY_DISPLAYTO, KEY_DISPLAYTO },
};

struct criterion {
	size_t key; /* in keys[] */
	bool reverse;
};
struct value {
	int64_t number;
	size_t text, n; /* in `texts` */
};
struct row {
	uint64_t first; /* see beginning() */
	uint32_t index;
	uint32_t at; /* its values, in rows */
};
struct sorter {
	struct criterion by[KEYS_MAX];
	size_t nby;
	bool needs_header, needs_size, needs_time, needs_date;
	struct row *rows;
	struct value *values;
	struct buf texts;
	size_t shared; /* so many bytes all texts that are first begin with */
};

static bool
parse_criterion(struct sorter *so, struct parse *p)
{
	struct criterion *c = &so->by[so->nby];

	if (so->nby == KEYS_MAX) {
		p->bad = "Too many sort keys";
		return false;
	}
	c->reverse = parse_word(p, "REVERSE");
	if (c->reverse && !parse_sp(p))
		return false;
	for (c->key = 0; c->key < ARRAY_LEN(keys); c->key++)
		if (parse_word(p, keys[c->key].word))
			break;
	if (c->key == ARRAY_LEN(keys)) {
		p->bad = "Unknown sort key";
		return false;
	}
	if (keys[c->key].key != BY_ARRIVAL && keys[c->key].key != BY_SIZE)
		so->needs_header = true;
	so->needs_size = so->needs_size || keys[c->key].key == BY_SIZE;
	so->needs_time = so->needs_time || keys[c->key].key == BY_ARRIVAL;
	so->needs_date = so->needs_date || keys[c->key].key == BY_DATE;
	so->nby++;
	return true;
}

static bool
parse_criteria(struct sorter *so, struct parse *p)
{
	if (!parse_char(p, '('))
		return false;
	do {
		if (so->nby > 0 && !parse_sp(p))
			return false;
		if (!parse_criterion(so, p))
			return false;
	} while (parse_peek(p) == ' ');
	return parse_char(p, ')');
}

/* Does a value come from the file's time or size?  A message that says when it
 * was sent is not asked for the time of its file (RFC 5256 2.2). */
static int
ask_file(struct session *s, const struct sorter *so, struct message *m,
	 const struct keys *k, struct err *e)
{
	bool time = so->needs_time || (so->needs_date && k->date == INT64_MIN);

	if ((time && mailbox_stat_message(s->mb, m, e) != 0) ||
	    (so->needs_size && loaded_size(s->mb, m, e) != 0))
		return m->gone ? 1 : -1;
	return 0;
}

static void
take_value(struct sorter *so, struct value *v, const struct criterion *c,
	   const struct message *m, const struct keys *k)
{
	struct span text;

	switch (keys[c->key].key) {
	case BY_ARRIVAL:
		v->number = m->mtime;
		break;
	case BY_SIZE:
		v->number = (int64_t)m->vsize;
		break;
	case BY_DATE:
		v->number = k->date != INT64_MIN ? k->date : m->mtime;
		break;
	default:
		text = k->text[keys[c->key].text];
		v->text = so->texts.n;
		v->n = text.n;
		buf_addspan(&so->texts, text);
		break;
	}
}

/* The values of one message, or its error. */
static int
fill(struct session *s, struct sorter *so, const struct row *row,
     struct keys *k, struct err *e)
{
	struct message *m = &s->mb->v[row->index];
	struct value *v = so->values + row->at * so->nby;
	int r = 0;

	if (so->needs_header)
		r = keys_get(k, s->mb, m, e);
	if (r == 0)
		r = ask_file(s, so, m, k, e);
	/* told, but its file is no more: sorts first */
	for (size_t i = 0; r == 0 && i < so->nby; i++)
		take_value(so, &v[i], &so->by[i], m, k);
	return r < 0 ? -1 : 0;
}

static bool
is_number(const struct criterion *c)
{
	return keys[c->key].text == KEY_TEXTS;
}

static struct span
text_of(const struct sorter *so, const struct value *v)
{
	return span_make(so->texts.p + v->text, v->n);
}

/* What all texts of the first criterion begin with, empty ones apart: it
 * decides nothing. */
static size_t
find_shared(const struct sorter *so, size_t n)
{
	struct span all = { NULL, 0 };

	for (size_t i = 0; i < n && !is_number(&so->by[0]); i++) {
		struct span s = text_of(so, &so->values[i * so->nby]);
		size_t same = 0;

		if (s.n == 0)
			continue;
		if (all.p == NULL)
			all = s;
		while (same < all.n && same < s.n && all.p[same] == s.p[same])
			same++;
		all.n = same;
	}
	return all.n;
}

/* More of a text than a row's `first` holds. */
#define MORE 9

/*
 * The first value as a number that compares as the value does, in the order
 * asked for: of a text the seven bytes behind what all share, and how many
 * there are (0: an empty text), so that of two that are the same the values
 * need be looked at only where there are more of them.
 */
static uint64_t
beginning(const struct sorter *so, const struct value *v)
{
	const struct criterion *c = &so->by[0];
	struct span s = text_of(so, v), rest = span_from(s, so->shared);
	uint64_t r = 0;

	if (is_number(c)) {
		r = (uint64_t)v->number ^ (uint64_t)1 << 63;
	} else {
		for (size_t i = 0; i < 7; i++)
			r = (r | (i < rest.n ? (unsigned char)rest.p[i] : 0))
			    << 8;
		if (s.n > 0)
			r |= rest.n > 7 ? MORE : rest.n + 1;
	}
	return c->reverse ? ~r : r;
}

/* Does `first` say all of the first value? */
static bool
is_whole(const struct sorter *so, uint64_t first)
{
	if (so->by[0].reverse)
		first = ~first;
	return is_number(&so->by[0]) || (first & 0xff) != MORE;
}

static int
compare(const void *a, const void *b, void *ctx)
{
	const struct row *x = a, *y = b;
	const struct sorter *so = ctx;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	for (size_t i = is_whole(so, x->first) ? 1 : 0; i < so->nby; i++) {
		const struct value *v = so->values + x->at * so->nby + i;
		const struct value *w = so->values + y->at * so->nby + i;
		int r;

		if (is_number(&so->by[i]))
			r = v->number < w->number ? -1 : v->number > w->number;
		else
			r = span_cmp(text_of(so, v), text_of(so, w));
		if (r != 0)
			return so->by[i].reverse ? -r : r;
	}
	/* RFC 5256 2.2: then by number, whatever REVERSE says */
	return x->index < y->index ? -1 : x->index > y->index;
}

/* By `first` alone, byte by byte from the last one; bytes that are the same in
 * all of them are passed over.  Rows of one `first` keep their order. */
static void
sort_firsts(struct row *v, size_t n)
{
	struct row *from = v, *to = mem_alloc(n, sizeof(*to)), *other = to;
	uint64_t differ = 0;

	for (size_t i = 1; i < n; i++)
		differ |= v[i].first ^ v[0].first;
	for (unsigned bits = 0; bits < 64; bits += 8) {
		size_t at[256] = { 0 }, sum = 0;
		struct row *was = from;

		if ((differ >> bits & 0xff) == 0)
			continue;
		for (size_t i = 0; i < n; i++)
			at[from[i].first >> bits & 0xff]++;
		for (size_t i = 0; i < 256; i++) {
			size_t count = at[i];

			at[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[at[from[i].first >> bits & 0xff]++] = from[i];
		from = to;
		to = was;
	}
	if (from != v)
		memcpy(v, from, n * sizeof(*v));
	free(other);
}

static void
sort_rows(struct sorter *so, size_t n)
{
	struct row *v = so->rows;
	size_t end;

	if (n == 0)
		return;
	sort_firsts(v, n);
	for (size_t i = 0; i < n; i = end) {
		bool in_order = true;

		for (end = i + 1; end < n && v[end].first == v[i].first; end++)
			in_order =
			    in_order && compare(&v[end - 1], &v[end], so) <= 0;
		if (!in_order)
			qsort_r(v + i, end - i, sizeof(*v), compare, so);
	}
}

static int
sort(struct session *s, struct sorter *so, struct found *f, struct err *e)
{
	struct keys k = { .date = INT64_MIN };
	int r = 0;

	so->rows = mem_alloc(f->n + 1, sizeof(*so->rows));
	so->values = mem_alloc(f->n * so->nby + 1, sizeof(*so->values));
	for (size_t i = 0; r == 0 && i < f->n; i++) {
		so->rows[i].index = f->v[i];
		so->rows[i].at = (uint32_t)i;
		r = fill(s, so, &so->rows[i], &k, e);
		put_progress(s, i, f->n);
	}
	buf_free(&k.made);
	mailbox_cache_flush(s->mb);
	if (so->texts.p == NULL)
		buf_addc(&so->texts, '\0');
	if (r == 0) {
		so->shared = find_shared(so, f->n);
		for (size_t i = 0; i < f->n; i++)
			so->rows[i].first =
			    beginning(so, &so->values[i * so->nby]);
		sort_rows(so, f->n);
		for (size_t i = 0; i < f->n; i++)
			f->v[i] = so->rows[i].index;
	}
	free(so->rows);
	free(so->values);
	buf_free(&so->texts);
	return r;
}

static int
sort_again(struct session *s, void *order, struct found *f, struct err *e)
{
	return sort(s, order, f, e);
}

static struct result
run(struct session *s, struct sorter *so, struct search *se, struct wanted *w)
{
	struct found found = { .modseq = se->has_modseq, .sorted = true };
	struct err e = ERR_INIT;
	struct result r = result_ok("Sort completed");

	if (search_run(se, s, &found, &e) != 0)
		r = result_err(s, &e);
	else if (s->lowest != 0) /* RFC 9738 3.3 */
		r = limit_refusal(s);
	else if (sort(s, so, &found, &e) != 0)
		r = result_err(s, &e);
	else {
		found_put(s, &found, w, "SORT");
		if (w->bits & RET_UPDATE)
			context_keep(s, se, w, &found, sort_again, so,
				     sizeof(*so));
	}
	found_free(&found);
	return r;
}

struct result
cmd_sort(struct session *s)
{
	struct search se = { .v = NULL };
	struct sorter so = { .nby = 0 };
	struct wanted w = { .bits = 0 };
	struct result r = { RESULT_OK, NULL, NULL };
	bool known = true, ok;

	ok = parse_sp(&s->p) &&
	     (!parse_word(&s->p, "RETURN") || wanted_parse(s, &w)) &&
	     parse_criteria(&so, &s->p) && search_charset(&se, s, &known) &&
	     parse_sp(&s->p);
	if (!ok)
		r = result_bad(s);
	else if (!known)
		r = result_no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset");
	else
		r = search_parse(&se, s) ? run(s, &so, &se, &w) : result_bad(s);
	wanted_failed(s, &w, r);
	search_free(&se);
	wanted_free(&w);
	return r;
}
