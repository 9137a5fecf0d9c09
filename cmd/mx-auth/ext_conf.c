/*
 * ext_conf.c - see ext_conf.h.  A '#' behind a blank begins a comment unless
 * it stands in quotes; a '\' at the end continues the line; quotes around the
 * whole value are removed.
 * Dovecot "Settings file syntax" of the .conf.ext files.
 */
#include "ext_conf.h"
#include "io.h"
#include "mem.h"
#include "status.h"

#include <stdlib.h>

enum { FILE_BYTES = 262144 };

static char **
slot(void *base, const struct ext_row *row)
{
	return (char **)(void *)((char *)base + row->offset);
}

void
ext_conf_free(const struct ext_row *rows, size_t n, void *base)
{
	for (size_t i = 0; i < n; i++) {
		char **s;

		if (rows[i].offset == EXT_IGNORED)
			continue;
		s = slot(base, &rows[i]);
		if (*s != NULL)
			explicit_bzero(*s, strlen(*s));
		free(*s);
		*s = NULL;
	}
}

/* Up to a comment. */
static struct span
without_comment(struct span s)
{
	char quote = '\0';

	for (size_t i = 0; i < s.n; i++) {
		if (quote != '\0')
			quote = s.p[i] == quote ? '\0' : quote;
		else if (s.p[i] == '"' || s.p[i] == '\'')
			quote = s.p[i];
		else if (s.p[i] == '#' && (i == 0 || ascii_isspace(s.p[i - 1])))
			return span_sub(s, 0, i);
	}
	return s;
}

static struct span
without_quotes(struct span v)
{
	if (v.n >= 2 && (v.p[0] == '"' || v.p[0] == '\'') &&
	    v.p[v.n - 1] == v.p[0])
		return span_sub(v, 1, v.n - 1);
	return v;
}

static int
take_line(struct span line, const struct ext_row *rows, size_t n, void *base,
	  struct err *e)
{
	struct span value = span_trim(line), name;
	char **s;

	if (value.n == 0)
		return 0;
	if (span_chr(value, '=') <= 0 || !span_split(&value, '=', &name))
		return err_set(e, ST_CONFIG, "NAME = VALUE is expected");
	name = span_trim(name);
	value = without_quotes(span_trim(value));
	for (size_t i = 0; i < n; i++) {
		if (!span_is(name, rows[i].name))
			continue;
		if (rows[i].offset == EXT_IGNORED)
			return 0;
		if (memchr(value.p, '\0', value.n) != NULL)
			return err_set(e, ST_CONFIG, "a NUL byte");
		s = slot(base, &rows[i]);
		free(*s);
		*s = mem_spandup(value);
		return 0;
	}
	return err_set(e, ST_CONFIG, "\"%.*s\" is no setting of such a file",
		       SPAN_ARG(span_sub(name, 0, 60)));
}

static int
take_file(const char *path, struct span rest, const struct ext_row *rows,
	  size_t n, void *base, struct err *e)
{
	struct buf whole = BUF_INIT;
	struct span line;
	int number = 0, r = 0;

	while (r == 0 && span_split(&rest, '\n', &line)) {
		number++;
		/* A comment does not continue, nor does it end what does. */
		if (span_starts(span_ltrim(line), SPAN("#")))
			continue;
		line = span_rtrim(whole.n > 0 ? line : span_ltrim(line));
		if (span_ends(line, SPAN("\\"))) {
			buf_addspan(&whole, span_sub(line, 0, line.n - 1));
			continue;
		}
		buf_addspan(&whole, line);
		r = take_line(without_comment(buf_span(&whole)), rows, n, base,
			      e);
		if (r < 0)
			err_prefix(e, "%s:%d", path, number);
		buf_wipe(&whole);
	}
	if (r == 0 && whole.n > 0)
		r = err_set(e, ST_CONFIG,
			    "%s: the last line ends in a backslash", path);
	buf_wipe(&whole);
	return r;
}

int
ext_conf_load(const char *path, const struct ext_row *rows, size_t n,
	      void *base, struct err *e)
{
	struct buf content = BUF_INIT;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		if (rows[i].offset != EXT_IGNORED)
			*slot(base, &rows[i]) =
			    mem_strdup(rows[i].def ? rows[i].def : "");
	if (io_read_file(path, &content, FILE_BYTES, e) < 0)
		r = -1;
	else
		r = take_file(path, buf_span(&content), rows, n, base, e);
	buf_wipe(&content);
	if (r < 0)
		ext_conf_free(rows, n, base);
	return r;
}
