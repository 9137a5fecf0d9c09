/*
 * word_conf.c - "Name value" files; see word_conf.h.
 * Layer: sys.
 */
#include "word_conf.h"
#include "io.h"
#include "mem.h"
#include "status.h"

#include <stdlib.h>

#define CONF_MAX (1u << 20)
#define INCLUDES_MAX 10

bool
word_conf_has(const char *list, struct span name)
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

/* A file that is being read, and those that include it below it. */
struct open_file {
	char *path;
	struct buf text;
	struct span rest;
	int number; /* of the line */
};

static int
file_open(struct open_file *f, struct span path, struct err *e)
{
	*f = (struct open_file){ .path = mem_spandup(path) };
	if (io_read_file(f->path, &f->text, CONF_MAX, e) != 0) {
		if (e != NULL)
			e->status = ST_CONFIG;
		return -1;
	}
	f->rest = buf_span(&f->text);
	return 0;
}

static void
file_close(struct open_file *f)
{
	buf_free(&f->text);
	free(f->path);
}

int
word_conf_read(const char *path, const char *ignored,
	       int (*fn)(void *, struct span, struct span, struct err *),
	       void *ctx, struct err *e)
{
	struct open_file files[INCLUDES_MAX];
	struct span line, name, value;
	size_t n = 1;
	int r = file_open(&files[0], span_of(path), e);

	/* What is behind an Include counts over what is in it. */
	while (n > 0) {
		struct open_file *f = &files[n - 1];

		if (r != 0 || !span_split(&f->rest, '\n', &line)) {
			file_close(f);
			n--;
			continue;
		}
		f->number++;
		if (!word_conf_line(line, &name, &value))
			continue;
		if (!span_iis(name, "Include")) {
			r = fn(ctx, name, value, e);
			if (r == 1 && word_conf_has(ignored, name))
				r = 0;
			else if (r == 1)
				r = err_set(e, ST_CONFIG,
					    "%.*s: not a word of this kind of "
					    "file",
					    SPAN_ARG(name));
		} else if (n == INCLUDES_MAX) {
			r = err_set(e, ST_CONFIG,
				    "Include: %d files include one another, "
				    "no more can be",
				    INCLUDES_MAX);
		} else {
			r = file_open(&files[n], value, e);
			n += r == 0;
			if (r != 0)
				file_close(&files[n]);
		}
		if (r != 0)
			err_prefix(e, "%s:%d", f->path, f->number);
	}
	return r;
}
