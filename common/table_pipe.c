/*
 * table_pipe.c - pipemap:{TABLE, TABLE}: what the first finds is the key of
 * the second, and so on; pipemap in postconf(5).
 * Layer: sys.
 */
#include "mem.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>

static void
pipe_close(void *state)
{
	tables_close(state);
	free(state);
}

static void *
pipe_open(const char *type, const char *name, struct err *e)
{
	struct tables *ts;
	struct strs specs = STRS_INIT;
	struct span s = span_trim(span_of(name));

	(void)type;
	if (s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}')
		strs_split_braced(&specs, span_sub(s, 1, s.n - 1));
	if (specs.n == 0) {
		err_set(e, ST_CONFIG, "expected {TYPE:NAME, ...}");
		strs_free(&specs);
		return NULL;
	}
	ts = mem_alloc(1, sizeof(*ts));
	tables_open(ts, &specs);
	strs_free(&specs);
	return ts;
}

static enum table_result
pipe_lookup(void *state, struct span key, struct buf *value, struct err *e)
{
	struct tables *ts = state;
	struct buf now = BUF_INIT, next = BUF_INIT;
	enum table_result r = TABLE_FOUND;

	buf_addspan(&now, key);
	for (size_t i = 0; i < ts->n && r == TABLE_FOUND; i++) {
		struct buf swap;

		buf_clear(&next);
		r = table_lookup(ts->v[i], buf_span(&now), &next, e);
		swap = now;
		now = next;
		next = swap;
	}
	if (r == TABLE_FOUND) {
		buf_clear(value);
		buf_addspan(value, buf_span(&now));
	}
	buf_free(&now);
	buf_free(&next);
	return r;
}

static const char *const pipe_names[] = { "pipemap", NULL };
extern const struct table_driver table_pipe;
const struct table_driver table_pipe = {
	.names = pipe_names,
	.open = pipe_open,
	.lookup = pipe_lookup,
	.close = pipe_close,
};
