/*
 * cmd_sort.c - SORT and UID SORT.  RFC 5256 3, RFC 5267 3 (ESORT), RFC 5957
 * (SORT=DISPLAY).
 */
#include "cmd.h"
#include "context.h"
#include "mailbox_cache.h"
#include "mem.h"
#include "search.h"
#include "sort.h"

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
	bool number; /* compared as a number */
	const char *field;
	bool display;
} keys[] = {
	{ "ARRIVAL", BY_ARRIVAL, true, NULL, false },
	{ "CC", BY_CC, false, "Cc", false },
	{ "DATE", BY_DATE, true, NULL, false },
	{ "FROM", BY_FROM, false, "From", false },
	{ "SIZE", BY_SIZE, true, NULL, false },
	{ "SUBJECT", BY_SUBJECT, false, NULL, false },
	{ "TO", BY_TO, false, "To", false },
	{ "DISPLAYFROM", BY_DISPLAYFROM, false, "From", true },
	{ "DISPLAYTO", BY_DISPLAYTO, false, "To", true },
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
	uint32_t index;
	struct value *v;
};
struct sorter {
	struct criterion by[KEYS_MAX];
	size_t nby;
	bool needs_header, needs_size, needs_time, needs_date;
	struct row *rows;
	struct value *values;
	struct buf texts;
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

static void
text_value(struct sorter *so, struct value *v, const struct criterion *c,
	   const struct msg *m)
{
	struct buf subject = BUF_INIT;

	v->text = so->texts.n;
	if (keys[c->key].key == BY_SUBJECT) {
		(void)field_text(&subject, m, "Subject");
		(void)subject_base(&so->texts, buf_span(&subject));
		buf_free(&subject);
	} else {
		first_address(&so->texts, m, keys[c->key].field,
			      keys[c->key].display);
	}
	v->n = so->texts.n - v->text;
}

/* Does a value come from the file's time or size?  A message that says when it
 * was sent is not asked for the time of its file (RFC 5256 2.2). */
static int
ask_file(struct session *s, const struct sorter *so, struct message *m,
	 const struct msg *msg, struct err *e)
{
	bool time = so->needs_time ||
		    (so->needs_date && sent_date(msg, INT64_MIN) == INT64_MIN);

	if ((time && mailbox_stat_message(s->mb, m, e) != 0) ||
	    (so->needs_size && loaded_size(s->mb, m, e) != 0))
		return m->gone ? 1 : -1;
	return 0;
}

/* The values of one message; 1: it is gone. */
static int
fill(struct session *s, struct sorter *so, struct row *row, struct err *e)
{
	struct message *m = &s->mb->v[row->index];
	struct loaded l = { .whole = false };
	int r = 0;

	if (so->needs_header)
		r = loaded_fields(&l, s->mb, m, e);
	if (r == 0)
		r = ask_file(s, so, m, &l.msg, e);
	for (size_t i = 0; r >= 0 && i < so->nby; i++) {
		struct value *v = &row->v[i];

		if (r == 1) /* told, but its file is no more: sorts first */
			continue;
		if (keys[so->by[i].key].key == BY_ARRIVAL)
			v->number = m->mtime;
		else if (keys[so->by[i].key].key == BY_SIZE)
			v->number = (int64_t)m->vsize;
		else if (keys[so->by[i].key].key == BY_DATE)
			v->number = sent_date(&l.msg, m->mtime);
		else
			text_value(so, v, &so->by[i], &l.msg);
	}
	if (so->needs_header)
		loaded_close(&l);
	return r < 0 ? -1 : 0;
}

static int
compare(const void *a, const void *b, void *ctx)
{
	const struct row *x = a, *y = b;
	const struct sorter *so = ctx;

	for (size_t i = 0; i < so->nby; i++) {
		const struct value *v = &x->v[i], *w = &y->v[i];
		int r;

		if (keys[so->by[i].key].number)
			r = v->number < w->number ? -1 : v->number > w->number;
		else
			r = span_cmp(span_make(so->texts.p + v->text, v->n),
				     span_make(so->texts.p + w->text, w->n));
		if (r != 0)
			return so->by[i].reverse ? -r : r;
	}
	/* RFC 5256 2.2: then by number, whatever REVERSE says */
	return x->index < y->index ? -1 : x->index > y->index;
}

static int
sort(struct session *s, struct sorter *so, struct found *f, struct err *e)
{
	int r = 0;

	so->rows = mem_alloc(f->n + 1, sizeof(*so->rows));
	so->values = mem_alloc(f->n * so->nby + 1, sizeof(*so->values));
	for (size_t i = 0; r == 0 && i < f->n; i++) {
		so->rows[i].index = f->v[i];
		so->rows[i].v = so->values + i * so->nby;
		r = fill(s, so, &so->rows[i], e);
		put_progress(s, i, f->n);
	}
	mailbox_cache_flush(s->mb);
	if (so->texts.p == NULL)
		buf_addc(&so->texts, '\0');
	if (r == 0) {
		qsort_r(so->rows, f->n, sizeof(*so->rows), compare, so);
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
