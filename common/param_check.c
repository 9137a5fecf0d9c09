/*
 * param_check.c - --parameters and --check-config; which names are fine.
 * Layer: sys.  Every line of the file is looked at and everything is said at
 * once, in the order of the lines (law 8).
 */
#include "log.h"
#include "mem.h"
#include "param_int.h"
#include "status.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>

/* Postfix's per-transport and per-command parameters, and ours: what stands
 * before or behind the '*' is the user's own word. */
static const char *const name_suffixes[] = {
	"_time_limit",
	"_delivery_slot_cost",
	"_delivery_slot_discount",
	"_delivery_slot_loan",
	"_delivery_status_filter",
	"_extra_recipient_limit",
	"_initial_destination_concurrency",
	"_minimum_delivery_slots",
	"_recipient_limit",
	"_recipient_refill_delay",
	"_recipient_refill_limit",
	"_transport_rate_delay",
	"_sql_query",
};

#define NAME_INFIX "_destination_"
#define NAME_PREFIX "pipe_"

static bool
name_is_pattern(struct span name)
{
	if (span_starts(name, SPAN(NAME_PREFIX)) ||
	    span_find(name, SPAN(NAME_INFIX)) > 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(name_suffixes); i++) {
		if (span_ends(name, span_of(name_suffixes[i])))
			return true;
	}
	return false;
}

/* Does text hold $name, ${name or $(name? */
static bool
text_uses(const char *text, struct span name)
{
	for (const char *p = text; (p = strchr(p, '$')) != NULL;) {
		struct span rest;

		p++;
		if (*p == '{' || *p == '(')
			p++;
		rest = span_of(p);
		if (span_starts(rest, name) &&
		    (rest.n == name.n ||
		     (!ascii_isalnum(rest.p[name.n]) && rest.p[name.n] != '_')))
			return true;
	}
	return false;
}

/* A name of the user's own: used as $name, or a restriction class. */
static bool
name_is_used(const struct config *c, struct span name)
{
	struct span key, word;
	size_t i = 0;
	void *v;

	while (map_next(c->lines, &i, &key, &v)) {
		const struct config_line *l = v;
		struct span rest = span_of(l->value);

		if (text_uses(l->value, name))
			return true;
		if (!span_is(key, "smtpd_restriction_classes"))
			continue;
		while (span_word(&rest, ", \t", &word)) {
			if (span_eq(word, name))
				return true;
		}
	}
	return false;
}

/* Letters to insert, drop, replace or swap; 99 for names that differ much. */
static int
name_distance(struct span a, struct span b)
{
	int row[3][64];

	if (a.n >= 64 || b.n >= 64 || a.n > b.n + 8 || b.n > a.n + 8)
		return 99;
	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = (int)j;
	for (size_t i = 1; i <= a.n; i++) {
		int *now = row[i % 3], *up = row[(i + 2) % 3];
		int *upper = row[(i + 1) % 3];

		now[0] = (int)i;
		for (size_t j = 1; j <= b.n; j++) {
			int d = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);

			if (up[j] + 1 < d)
				d = up[j] + 1;
			if (now[j - 1] + 1 < d)
				d = now[j - 1] + 1;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1] && upper[j - 2] + 1 < d)
				d = upper[j - 2] + 1;
			now[j] = d;
		}
	}
	return row[a.n % 3][b.n];
}

static const char *
name_nearest(struct span name)
{
	const char *best = NULL;
	int least = 1 + (int)(name.n < 6 ? 1 : name.n / 4);

	for (size_t i = 0; param_names[i] != NULL; i++) {
		int d = name_distance(name, span_of(param_names[i]));

		if (d < least) {
			least = d;
			best = param_names[i];
		}
	}
	return best;
}

int
param_name_check(const struct config *c, struct span name, struct err *e)
{
	const char *advice, *near;
	ssize_t slash = span_chr(name, '/');

	/* SERVICE/NAME: of one listener only. */
	if (slash > 0)
		name = span_from(name, (size_t)slash + 1);
	if (config_row(c, name) != NULL)
		return 0;
	for (size_t i = 0; param_names[i] != NULL; i++) {
		if (span_is(name, param_names[i]))
			return 0;
	}
	if (name_is_used(c, name))
		return 0;
	if ((advice = param_postfix_advice(name)) != NULL)
		return err_set(e, ST_OK,
			       "%.*s: a parameter of Postfix that mx does not "
			       "have: %s",
			       SPAN_ARG(name), advice);
	if (name_is_pattern(name))
		return 0;
	near = name_nearest(name);
	if (near != NULL)
		return err_set(e, ST_CONFIG,
			       "%.*s: unknown parameter: did you mean %s?",
			       SPAN_ARG(name), near);
	return err_set(e, ST_CONFIG,
		       "%.*s: unknown parameter, and no $%.*s refers to it: "
		       "see mx.conf(5), or remove it",
		       SPAN_ARG(name), SPAN_ARG(name));
}

struct finding {
	int line;
	size_t order; /* qsort is not stable */
	char *text;
};

struct findings {
	struct finding *v;
	size_t n, cap;
	int status;
};

static void
found(struct findings *f, const struct config *c, int line, bool bad,
      const char *text)
{
	struct finding *one;

	f->v = mem_grow(f->v, &f->cap, f->n + 1, sizeof(*f->v));
	one = &f->v[f->n];
	one->line = line;
	one->order = f->n++;
	if (line > 0)
		one->text = mem_printf("%s:%d: %s%s", c->path, line,
				       bad ? "" : "warning: ", text);
	else
		one->text = mem_printf("%s%s", bad ? "" : "warning: ", text);
	if (bad)
		f->status = ST_CONFIG;
}

/* A sentence that says its place itself. */
static void
found_placed(struct findings *f, int line, const char *text)
{
	struct finding *one;

	f->v = mem_grow(f->v, &f->cap, f->n + 1, sizeof(*f->v));
	one = &f->v[f->n];
	*one = (struct finding){ line, f->n, mem_strdup(text) };
	f->n++;
	f->status = ST_CONFIG;
}

static int
finding_cmp(const void *pa, const void *pb)
{
	const struct finding *a = pa, *b = pb;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* $name that nobody sets or knows is empty: worth a word. */
static void
check_references(struct config *c, const struct config_line *l,
		 const char *name, struct findings *f)
{
	for (const char *p = l->value; (p = strchr(p, '$')) != NULL;) {
		struct span ref;
		struct err e = ERR_INIT;
		size_t n = 0;
		int line;

		p++;
		if (*p == '$') {
			p++;
			continue;
		}
		if (*p == '{' || *p == '(')
			p++;
		while (ascii_isalnum(p[n]) || p[n] == '_')
			n++;
		ref = span_make(p, n);
		if (n == 0 || config_written(c, ref, &line) != NULL)
			continue;
		for (size_t i = 0; n > 0 && param_names[i] != NULL; i++) {
			if (span_is(ref, param_names[i]))
				n = 0;
		}
		if (n == 0)
			continue;
		(void)err_set(&e, ST_OK,
			      "%s: nothing sets $%.*s: it is empty here", name,
			      SPAN_ARG(ref));
		found(f, c, l->line, false, e.text);
	}
}

/* Tables that cannot be opened would defer mail. */
static void
check_tables(const struct config *c, const struct strs *words, int line,
	     const char *name, struct findings *f)
{
	for (size_t i = 0; i < words->n; i++) {
		struct span w = span_of(words->v[i]);
		struct err e = ERR_INIT;

		if (span_starts(w, SPAN("proxy:")))
			w = span_from(w, 6);
		if (w.n == 0 || span_starts(w, SPAN("unix:")) ||
		    (span_chr(w, ':') <= 0 && w.p[0] != '/'))
			continue;
		table_close(table_open(words->v[i], &e));
		if (e.status == 0)
			continue;
		err_prefix(&e, "%s", name);
		found(f, c, line, true, e.text);
	}
}

static void
check_line(struct config *c, struct span key, const struct config_line *l,
	   struct findings *f)
{
	ssize_t slash = span_chr(key, '/');
	struct span name = slash > 0 ? span_from(key, (size_t)slash + 1) : key;
	const struct param *row = config_row(c, name);
	struct err e = ERR_INIT;
	struct strs words = STRS_INIT;

	if (param_name_check(c, key, &e) != 0)
		found(f, c, l->line, e.status != ST_OK, e.text);
	if (l->earlier > 0 && l->line > 0) {
		(void)err_set(&e, ST_OK, "%.*s: this replaces line %d",
			      SPAN_ARG(key), l->earlier);
		found(f, c, l->line, false, e.text);
	}
	if (row == NULL)
		return;
	if (param_try(c, row, l->value, l->line, &words, &e) != 0) {
		found_placed(f, l->line, e.text);
		return;
	}
	if (row->type != PARAM_RAWSTR)
		check_references(c, l, row->name, f);
	if (span_ends(name, SPAN("_maps")))
		check_tables(c, &words, l->line, row->name, f);
	strs_free(&words);
}

static void
check_defaults(struct config *c, struct findings *f)
{
	struct err e = ERR_INIT;
	int line;

	for (size_t i = 0; i < c->nsets; i++) {
		for (size_t k = 0; k < c->sets[i].count; k++) {
			const struct param *p = &c->sets[i].rows[k];

			if (map_get(c->lines, span_of(p->name)) == NULL &&
			    param_try(c, p,
				      config_raw(c, span_of(p->name), &line), 0,
				      NULL, &e) != 0)
				found_placed(f, 0, e.text);
		}
	}
}

int
param_check(struct config *c, const struct param_rows *sets, size_t n)
{
	struct findings f = { NULL, 0, 0, ST_OK };
	struct span key;
	size_t i = 0;
	void *v;

	config_use(c, sets, n);
	while (map_next(c->lines, &i, &key, &v))
		check_line(c, key, v, &f);
	check_defaults(c, &f);
	if (f.n > 0)
		qsort(f.v, f.n, sizeof(*f.v), finding_cmp);
	for (size_t k = 0; k < f.n; k++) {
		fprintf(stderr, "%s\n", f.v[k].text);
		free(f.v[k].text);
	}
	free(f.v);
	return f.status;
}

static const char *
type_words(const struct param *p)
{
	static const char *const words[] = { "text",   "text, not expanded",
					     "list",   "yes or no",
					     "number", "bytes",
					     "time",   NULL };

	return p->type == PARAM_CHOICE ? p->words : words[p->type];
}

static void
print_verbose(struct config *c, const struct param *p, const char *raw)
{
	struct buf b = BUF_INIT;

	printf("# %s (%s", p->meaning, type_words(p));
	if (p->min != 0 || p->max != 0)
		printf(", at least %lld", (long long)p->min);
	if (p->max != 0 && p->max != INT64_MAX)
		printf(", at most %lld", (long long)p->max);
	printf(")\n");
	if (p->type != PARAM_RAWSTR && strchr(raw, '$') != NULL &&
	    config_expand(c, &b, span_of(raw), NULL) == 0)
		printf("# is now: %s\n", buf_str(&b));
	buf_free(&b);
}

void
param_print(struct config *c, const struct param_rows *sets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sets[i].count; k++) {
			const struct param *p = &sets[i].rows[k];
			int line;
			const char *raw =
			    config_written(c, span_of(p->name), &line);

			if (log_verbose > 0)
				print_verbose(c, p, raw);
			printf("%s = %s\n", p->name, raw);
		}
	}
}
