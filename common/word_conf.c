/*
 * word_conf.c - "Name value" files; see word_conf.h.
 * Layer: sys.
 */
#include "word_conf.h"
#include "io.h"
#include "mem.h"
#include "status.h"
#include "strs.h"

#include <stdlib.h>

#define CONF_MAX (1u << 20)
#define INCLUDES_MAX 10

static bool
word_conf_ignored(const char *list, struct span name)
{
	struct buf word = BUF_INIT;
	bool yes;

	buf_addf(&word, " %.*s ", SPAN_ARG(name));
	yes = span_ifind(span_of(list), buf_span(&word)) >= 0;
	buf_free(&word);
	return yes;
}

/* "NAME VALUE" of a line; false when there is none. */
static bool
word_conf_line(struct span line, struct span *name, struct span *value)
{
	ssize_t hash = span_chr(line, '#');

	if (hash >= 0)
		line.n = (size_t)hash;
	line = span_trim(line);
	if (!span_word(&line, " \t", name))
		return false;
	*value = span_trim(line);
	return true;
}

int
word_conf_read(const char *path, const char *ignored,
	       int (*fn)(void *, struct span, struct span, struct err *),
	       void *ctx, struct err *e)
{
	struct strs todo = STRS_INIT;
	int r = 0;

	strs_add(&todo, path);
	for (size_t i = 0; r == 0 && i < todo.n; i++) {
		struct buf b = BUF_INIT;
		struct span rest, line, name, value;
		int number = 0;

		r = io_read_file(todo.v[i], &b, CONF_MAX, e);
		if (r != 0 && e != NULL)
			e->status = ST_CONFIG;
		rest = buf_span(&b);
		while (r == 0 && span_split(&rest, '\n', &line)) {
			number++;
			if (!word_conf_line(line, &name, &value))
				continue;
			if (span_iis(name, "Include")) {
				if (todo.n < INCLUDES_MAX)
					strs_addspan(&todo, value);
				continue;
			}
			r = fn(ctx, name, value, e);
			if (r == 1)
				r = word_conf_ignored(ignored, name)
					? 0
					: err_set(e, ST_CONFIG,
						  "%.*s: not a word of this "
						  "kind of file",
						  SPAN_ARG(name));
			if (r != 0)
				err_prefix(e, "%s:%d", todo.v[i], number);
		}
		buf_free(&b);
	}
	strs_free(&todo);
	return r;
}
