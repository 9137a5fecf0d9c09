/*
 * pattern.c - files of rules: see table_pattern.h.
 * Layer: sys.
 */
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "status.h"
#include "table_pattern.h"

#include <stdlib.h>
#include <sys/stat.h>

#define PATTERN_FILE_MAX (64u << 20)
#define PATTERN_IFS 100

struct pattern_table {
	const struct pattern_driver *d;
	struct pattern_rule *v;
	size_t n, cap;
	char *path; /* NULL: in line */
	struct stat st;
};

void
pattern_close(struct pattern_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].compiled != NULL)
			t->d->release(t->v[i].compiled);
		free(t->v[i].result);
	}
	free(t->v);
	free(t->path);
	free(t);
}

/* One logical line.  A bad one is an error: the table then answers TRY_AGAIN
 * and mail waits, instead of passing a check that is not there. */
static int
pattern_add(struct pattern_table *t, struct span s, int line, struct err *e)
{
	struct pattern_rule r = { PATTERN_MATCH, false, 0, line, NULL, NULL };
	struct span word, rest = s;

	(void)span_word(&rest, " \t", &word);
	if (span_iis(word, "endif")) {
		r.op = PATTERN_ENDIF;
	} else if (span_iis(word, "if")) {
		r.op = PATTERN_IF;
		s = span_ltrim(rest);
	}
	if (r.op != PATTERN_ENDIF) {
		while (s.n > 0 && s.p[0] == '!') {
			r.not = !r.not ;
			s = span_ltrim(span_from(s, 1));
		}
		r.compiled = t->d->compile(&s, e);
		if (r.compiled == NULL)
			return err_prefix(e, "%s:%d", t->path ? t->path : "-",
					  line);
		s = span_trim(s);
		if (r.op == PATTERN_MATCH)
			r.result = mem_spandup(s);
	}
	t->v = mem_grow(t->v, &t->cap, t->n + 1, sizeof(*t->v));
	t->v[t->n++] = r;
	return 0;
}

/* Joins each "if" with its "endif". */
static int
pattern_link(struct pattern_table *t, struct err *e)
{
	size_t stack[PATTERN_IFS], depth = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].op == PATTERN_IF) {
			if (depth == PATTERN_IFS)
				return err_set(e, ST_CONFIG,
					       "line %d: \"if\" nested over "
					       "%d deep",
					       t->v[i].line, PATTERN_IFS);
			stack[depth++] = i;
		} else if (t->v[i].op == PATTERN_ENDIF) {
			if (depth == 0)
				return err_set(e, ST_CONFIG,
					       "line %d: \"endif\" without "
					       "\"if\"",
					       t->v[i].line);
			t->v[stack[--depth]].endif = i;
		}
	}
	if (depth > 0)
		return err_set(e, ST_CONFIG,
			       "line %d: \"if\" without \"endif\"",
			       t->v[stack[depth - 1]].line);
	return 0;
}

static int
pattern_parse(struct pattern_table *t, struct span all, struct err *e)
{
	struct buf whole = BUF_INIT;
	struct span line;
	int number = 0, start = 0, r = 0;

	while (r == 0 && span_split(&all, '\n', &line)) {
		struct span s = span_trim(line);

		number++;
		if (s.n == 0 || s.p[0] == '#')
			continue;
		if (line.p[0] != ' ' && line.p[0] != '\t') {
			if (start > 0)
				r = pattern_add(t, buf_span(&whole), start, e);
			buf_clear(&whole);
			start = number;
		}
		/* A continuation keeps its blanks. */
		buf_addspan(&whole, span_rtrim(line));
	}
	if (r == 0 && start > 0)
		r = pattern_add(t, buf_span(&whole), start, e);
	buf_free(&whole);
	return r == 0 ? pattern_link(t, e) : r;
}

static int
pattern_inline(struct pattern_table *t, const char *name, struct err *e)
{
	struct span s = span_trim(span_of(name));
	struct strs rules = STRS_INIT;
	int r = 0;

	if (s.p[s.n - 1] != '}')
		return err_set(e, ST_CONFIG, "expected {{RULE}, {RULE}}");
	strs_split_braced(&rules, span_sub(s, 1, s.n - 1));
	for (size_t i = 0; r == 0 && i < rules.n; i++)
		r = pattern_add(t, span_of(rules.v[i]), (int)i + 1, e);
	strs_free(&rules);
	return r == 0 ? pattern_link(t, e) : r;
}

struct pattern_table *
pattern_open(const struct pattern_driver *d, const char *name, struct err *e)
{
	struct pattern_table *t = mem_alloc(1, sizeof(*t));
	struct buf b = BUF_INIT;
	int r;

	t->d = d;
	if (name[0] == '{') {
		r = pattern_inline(t, name, e);
	} else {
		t->path = mem_strdup(name);
		r = stat(name, &t->st) != 0
			? err_sys(e, "%s", name)
			: io_read_file(name, &b, PATTERN_FILE_MAX, e);
		if (r == 0)
			r = pattern_parse(t, buf_span(&b), e);
	}
	buf_free(&b);
	if (r == 0)
		return t;
	pattern_close(t);
	return NULL;
}

enum table_result
pattern_lookup(struct pattern_table *t, struct span key, struct buf *value,
	       struct err *e)
{
	for (size_t i = 0; i < t->n; i++) {
		struct pattern_rule *r = &t->v[i];
		enum table_result m;

		if (r->op == PATTERN_ENDIF)
			continue;
		if (t->d->applies != NULL && !t->d->applies(r->compiled, key)) {
			if (r->op == PATTERN_IF)
				i = r->endif;
			continue;
		}
		m = t->d->match(r->compiled, key,
				r->op == PATTERN_MATCH && !r->not ? r->result
								  : NULL,
				value, e);
		if (m == TABLE_TRY_AGAIN)
			return m;
		if ((m == TABLE_FOUND) == r->not ) {
			if (r->op == PATTERN_IF)
				i = r->endif;
			continue;
		}
		if (r->op == PATTERN_IF)
			continue;
		if (r->not ) {
			buf_clear(value);
			buf_adds(value, r->result);
		}
		return TABLE_FOUND;
	}
	return TABLE_NONE;
}

bool
pattern_changed(struct pattern_table *t)
{
	struct stat st;

	return t->path != NULL && stat(t->path, &st) == 0 &&
	       (st.st_mtim.tv_sec != t->st.st_mtim.tv_sec ||
		st.st_mtim.tv_nsec != t->st.st_mtim.tv_nsec ||
		st.st_ino != t->st.st_ino || st.st_size != t->st.st_size);
}

void
pattern_expand(struct buf *value, const char *result,
	       struct span (*group)(void *ctx, unsigned n), void *ctx)
{
	struct span s = span_of(result);

	while (s.n > 0) {
		ssize_t at = span_chr(s, '$');
		bool brace;
		uint64_t n;
		size_t used;

		buf_addspan(value, at < 0 ? s : span_sub(s, 0, (size_t)at));
		if (at < 0)
			return;
		s = span_from(s, (size_t)at + 1);
		if (s.n > 0 && s.p[0] == '$') {
			buf_addc(value, '$');
			s = span_from(s, 1);
			continue;
		}
		brace = s.n > 0 && (s.p[0] == '{' || s.p[0] == '(');
		if (num_prefix(span_from(s, brace), 1000, &n, &used)) {
			struct span g = group(ctx, (unsigned)n);

			if (g.p != NULL)
				buf_addspan(value, g);
			s = span_from(s, used + (brace ? 2 : 0));
		} else {
			buf_addc(value, '$');
		}
	}
}

int
pattern_values(void *table,
	       int (*fn)(void *ctx, const char *value, struct err *e),
	       void *ctx, struct err *e)
{
	struct pattern_table *t = table;
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->n; i++)
		if (t->v[i].result != NULL)
			r = fn(ctx, t->v[i].result, e);
	return r;
}
