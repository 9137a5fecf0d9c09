/*
 * table_union.c - unionmap:{TABLE, TABLE}: all results, joined with commas.
 * Layer: sys.  postconf(5).
 */
#include "mem.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>

static void
union_close(void *state)
{
	tables_close(state);
	free(state);
}

static void *
union_open(const char *type, const char *name, struct err *e)
{
	struct tables *ts;
	struct strs specs = STRS_INIT;
	struct span s = span_trim(span_of(name));

	(void)type;
	if (s.n < 2 || s.p[0] != '{' || s.p[s.n - 1] != '}') {
		err_set(e, ST_CONFIG, "expected {TYPE:NAME, ...}");
		return NULL;
	}
	ts = mem_alloc(1, sizeof(*ts));
	strs_split_braced(&specs, span_sub(s, 1, s.n - 1));
	tables_open(ts, &specs);
	strs_free(&specs);
	return ts;
}

static enum table_result
union_lookup(void *state, struct span key, struct buf *value, struct err *e)
{
	struct tables *ts = state;
	struct buf one = BUF_INIT, all = BUF_INIT;
	enum table_result r = TABLE_NONE;

	for (size_t i = 0; i < ts->n && r != TABLE_TRY_AGAIN; i++) {
		enum table_result x = table_lookup(ts->v[i], key, &one, e);

		if (x == TABLE_NONE)
			continue;
		r = x;
		buf_addf(&all, "%s%s", all.n ? "," : "", buf_str(&one));
	}
	if (r == TABLE_FOUND) {
		buf_clear(value);
		buf_addspan(value, buf_span(&all));
	}
	buf_free(&one);
	buf_free(&all);
	return r;
}

static const char *const union_names[] = { "unionmap", NULL };
extern const struct table_driver table_union;
const struct table_driver table_union = {
	.names = union_names,
	.open = union_open,
	.lookup = union_lookup,
	.close = union_close,
};
