/*
 * finding.c - a list of findings: made, carried over a pipe, counted.
 */
#include "finding.h"
#include "escape.h"
#include "mem.h"
#include "num.h"
#include "status.h"

#include <stdlib.h>

#define TEXT_MAX 4000

static char *
safe_text(const char *fmt, va_list ap)
{
	struct buf raw = BUF_INIT, b = BUF_INIT;

	buf_vaddf(&raw, fmt, ap);
	escape_line(&b, buf_span(&raw), TEXT_MAX);
	buf_free(&raw);
	return b.n > 0 ? buf_steal(&b) : mem_strdup("");
}

void
find_add(struct findings *f, enum find_level level, const char *area,
	 const char *id, int cost, const char *fmt, ...)
{
	struct finding *x;
	va_list ap;

	f->v = mem_grow(f->v, &f->cap, f->n + 1, sizeof(*f->v));
	x = &f->v[f->n++];
	*x = (struct finding){ .level = level, .cost = cost };
	x->area = mem_strdup(area);
	x->id = mem_strdup(id);
	va_start(ap, fmt);
	x->text = safe_text(fmt, ap);
	va_end(ap);
}

static void
set_text(char **at, const char *fmt, va_list ap)
{
	free(*at);
	*at = safe_text(fmt, ap);
}

void
find_expected(struct findings *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(&f->v[f->n - 1].expected, fmt, ap);
	va_end(ap);
}

void
find_found(struct findings *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(&f->v[f->n - 1].found, fmt, ap);
	va_end(ap);
}

void
find_why(struct findings *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(&f->v[f->n - 1].why, fmt, ap);
	va_end(ap);
}

void
find_record(struct findings *f, const char *name, const char *type,
	    const char *fmt, ...)
{
	va_list ap;
	char *value;

	va_start(ap, fmt);
	value = safe_text(fmt, ap);
	va_end(ap);
	strs_addf(&f->v[f->n - 1].records, "%s\t%s\t%s", name, type, value);
	free(value);
}

void
find_free(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct finding *x = &f->v[i];

		free(x->area);
		free(x->id);
		free(x->text);
		free(x->expected);
		free(x->found);
		free(x->why);
		strs_free(&x->records);
	}
	free(f->v);
	*f = (struct findings){ 0 };
}

void
find_save(const struct findings *f, struct buf *out)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *x = &f->v[i];

		buf_addf(out, "F%d %d %s %s\nt%s\n", (int)x->level, x->cost,
			 x->area, x->id, x->text);
		if (x->expected != NULL)
			buf_addf(out, "e%s\n", x->expected);
		if (x->found != NULL)
			buf_addf(out, "f%s\n", x->found);
		if (x->why != NULL)
			buf_addf(out, "w%s\n", x->why);
		for (size_t k = 0; k < x->records.n; k++)
			buf_addf(out, "r%s\n", x->records.v[k]);
	}
}

static void
load_head(struct findings *f, struct span line)
{
	struct span word[4] = { { 0 } };
	int level, cost;
	char *area, *id;

	for (size_t i = 0; i < ARRAY_LEN(word); i++) {
		if (!span_word(&line, " ", &word[i]))
			return;
	}
	if (!num_int(word[0], 0, FIND_UNKNOWN, &level) ||
	    !num_int(word[1], 0, 100, &cost))
		return;
	area = mem_spandup(word[2]);
	id = mem_spandup(word[3]);
	find_add(f, (enum find_level)level, area, id, cost, "%s", "");
	free(area);
	free(id);
}

void
find_load(struct findings *f, struct span text)
{
	struct span line;

	while (span_split(&text, '\n', &line)) {
		struct span rest = span_from(line, 1);
		struct finding *x = f->n > 0 ? &f->v[f->n - 1] : NULL;
		char **at = NULL;

		if (line.n == 0)
			continue;
		if (line.p[0] == 'F')
			load_head(f, rest);
		else if (x != NULL && line.p[0] == 'r')
			strs_addspan(&x->records, rest);
		else if (x != NULL && line.p[0] == 't')
			at = &x->text;
		else if (x != NULL && line.p[0] == 'e')
			at = &x->expected;
		else if (x != NULL && line.p[0] == 'f')
			at = &x->found;
		else if (x != NULL && line.p[0] == 'w')
			at = &x->why;
		if (at != NULL) {
			free(*at);
			*at = mem_spandup(rest);
		}
	}
}

/* Each id costs once: ten hosts with one fault are one fault. */
int
find_score(const struct findings *f)
{
	int score = 100;

	for (size_t i = 0; i < f->n; i++) {
		bool before = false;

		for (size_t k = 0; k < i && !before; k++)
			before = strcmp(f->v[k].id, f->v[i].id) == 0;
		if (!before)
			score -= f->v[i].cost;
	}
	return score > 0 ? score : 0;
}

int
find_status(const struct findings *f)
{
	bool fail = false, unknown = false;

	for (size_t i = 0; i < f->n; i++) {
		fail |= f->v[i].level == FIND_FAIL;
		unknown |= f->v[i].level == FIND_UNKNOWN;
	}
	return fail ? ST_NO : unknown ? ST_TEMPFAIL : ST_OK;
}
