/*
 * cmd_headers.c - mx-filter headers: Postfix's header_checks and body_checks
 * over one message.  header_checks(5): a logical header line is the key as it
 * stands, folds inside; MIME headers, headers of attached messages and body
 * lines have tables of their own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "confine.h"
#include "filter.h"
#include "headers.h"
#include "io.h"
#include "status.h"

/* 0, or -1: a table has no answer, so neither have we. */
static int
look(struct checks *c, const struct hit *h)
{
	struct span key =
	    span_sub(h->line, 0, (size_t)filter_params.header_size_limit);

	if (!h->line.n || !c->tables[h->place].n)
		return 0;
	switch (tables_lookup(&c->tables[h->place], key, &c->value, &c->err)) {
	case TABLE_FOUND:
		if (c->value.n) {
			headers_obey(c, h);
			return 0;
		}
		/* cleanup refuses such a message for now, too */
		err_set(&c->err, ST_TEMPFAIL,
			"a rule that matched \"%.*s\" has no action",
			SPAN_ARG(span_sub(key, 0, 40)));
		return -1;
	case TABLE_NONE:
		return 0;
	case TABLE_TRY_AGAIN:
	default:
		c->err.status = ST_TEMPFAIL;
		return -1;
	}
}

static struct span
line_text(struct span line)
{
	if (span_ends(line, SPAN("\n")))
		line.n--;
	if (span_ends(line, SPAN("\r")))
		line.n--;
	return line;
}

/* Those that say how the body is made; Content-Length and Content-Language are
 * none of them, for Postfix neither. */
static bool
is_mime_field(struct span name)
{
	static const char *const names[] = {
		"MIME-Version",
		"Content-Type",
		"Content-Transfer-Encoding",
		"Content-Disposition",
		"Content-Description",
		"Content-ID",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_iis(name, names[i]))
			return true;
	return false;
}

/* The key has LF between its lines, whatever the message has. */
static int
look_field(struct checks *c, enum place place, const struct msg_field *f)
{
	struct hit h = { place, f, line_text(f->all), f->all };
	struct buf key = BUF_INIT;
	size_t i;
	int rc;

	if (is_mime_field(f->name))
		h.place = PLACE_MIME;
	for (i = 0; i < h.line.n; i++)
		if (h.line.p[i] != '\r' || i + 1 == h.line.n ||
		    h.line.p[i + 1] != '\n')
			buf_addc(&key, h.line.p[i]);
	h.line = buf_span(&key);
	rc = look(c, &h);
	buf_free(&key);
	return rc;
}

static int
look_header(struct checks *c, enum place place, struct span header)
{
	struct msg_field f;
	size_t n;

	while (header.n && !c->done && (n = msg_next_field(header, &f)) != 0) {
		if (look_field(c, place, &f) < 0)
			return -1;
		header = span_from(header, n);
	}
	return 0;
}

/* One line, in pieces of line_length_limit bytes. */
static int
look_line(struct checks *c, struct span whole)
{
	struct span rest = line_text(whole);
	size_t limit = (size_t)filter_params.line_length_limit;

	while (rest.n && !c->done) {
		struct hit h = { PLACE_BODY, NULL, span_sub(rest, 0, limit),
				 SPAN("") };

		rest = span_from(rest, h.line.n);
		h.whole = h.line;
		if (!rest.n) /* the last piece has the line end */
			h.whole.n = (size_t)(whole.p + whole.n - h.line.p);
		if (look(c, &h) < 0)
			return -1;
	}
	return 0;
}

/* Does a boundary stand at `at`, behind part i or one that it is in? */
static bool
at_boundary(const struct checks *c, size_t i, const char *at)
{
	for (; i != MIME_NONE; i = c->mime.v[i].parent) {
		struct span body = c->mime.v[i].body;
		ptrdiff_t gap;

		if (body.p == NULL)
			continue;
		/* a line end stands between, but behind an empty body */
		gap = at - (body.p + body.n);
		if (gap >= 0 && gap <= 2 && at[0] == '-' &&
		    (gap == 0 || at[-1] == '\n'))
			return true;
	}
	return false;
}

/* The body with the headers of its parts, from top to bottom. */
static int
look_body(struct checks *c)
{
	struct span rest = c->m.body;
	size_t limit = (size_t)filter_params.body_checks_size_limit;
	size_t next = 1, segment = 0;

	while (rest.n && !c->done) {
		const struct mime_part *p = &c->mime.v[next];
		const char *lf;
		size_t n;

		if (next < c->mime.n && p->header_full.p == rest.p) {
			enum place place =
			    c->mime.v[p->parent].kind == MIME_MESSAGE
				? PLACE_NESTED
				: PLACE_MIME;

			if (look_header(c, place, p->header) < 0)
				return -1;
			rest = span_from(rest, p->header_full.n);
			segment = 0;
			next++;
			continue;
		}
		lf = memchr(rest.p, '\n', rest.n);
		n = lf ? (size_t)(lf - rest.p) + 1 : rest.n;
		/* body_checks_size_limit: of each segment */
		if (at_boundary(c, next - 1, rest.p))
			segment = 0;
		if ((limit == 0 || segment < limit) &&
		    look_line(c, span_sub(rest, 0, n)) < 0)
			return -1;
		segment += n;
		rest = span_from(rest, n);
	}
	return 0;
}

static int
write_out(void *ctx, const void *p, size_t n)
{
	struct checks *c = ctx;

	if (io_write(STDOUT_FILENO, p, n, DEADLINE_NEVER) == IO_OK)
		return 0;
	return err_sys(&c->err, "cannot write the message to standard output");
}

/* Actions first: a reader of both streams has them when the message ends. */
static int
finish(struct checks *c)
{
	size_t i;

	if (c->discard)
		actions_add(&c->acts, "discard", NULL);
	if (c->hold)
		actions_add(&c->acts, "hold", NULL);
	for (i = 0; i < c->bcc.n; i++)
		actions_add(&c->acts, "bcc", c->bcc.v[i]);
	if (c->redirect) /* overrides FILTER */
		actions_add(&c->acts, "redirect", c->redirect);
	else if (c->filter)
		actions_add(&c->acts, "filter", c->filter);
	if (actions_write(&c->acts, &c->err) < 0)
		return -1;
	return msg_edit_emit(&c->ed, write_out, c);
}

/* Tables named on the command line come instead of the parameters: those of
 * the header stand for MIME and nested headers too, as in Postfix. */
static int
open_tables(struct checks *c, int argc, char **argv)
{
	struct strs named = STRS_INIT;
	const struct strs *header = &filter_params.header_checks;
	const struct strs *mime = &filter_params.mime_header_checks;
	const struct strs *nested = &filter_params.nested_header_checks;
	const struct strs *body = &filter_params.body_checks;
	int i, r;

	for (i = 0; i < argc; i++)
		strs_add(&named, argv[i]);
	if (argc || opts.mime_tables.n || opts.nested_tables.n ||
	    opts.body_tables.n) {
		header = &named;
		mime = opts.mime_tables.n ? &opts.mime_tables : header;
		nested = opts.nested_tables.n ? &opts.nested_tables : header;
		body = &opts.body_tables;
	}
	r = confine_filter(
	    (const struct strs *const[]){ header, mime, nested, body, NULL },
	    NULL, &c->err);
	tables_open(&c->tables[PLACE_HEADER], header);
	tables_open(&c->tables[PLACE_MIME], mime);
	tables_open(&c->tables[PLACE_NESTED], nested);
	tables_open(&c->tables[PLACE_BODY], body);
	strs_free(&named);
	return r;
}

static bool
no_tables(const struct checks *c)
{
	return !c->tables[PLACE_HEADER].n && !c->tables[PLACE_MIME].n &&
	       !c->tables[PLACE_NESTED].n && !c->tables[PLACE_BODY].n;
}

static void
close_all(struct checks *c)
{
	int i;

	for (i = 0; i < PLACES; i++)
		tables_close(&c->tables[i]);
	msg_edit_done(&c->ed);
	msg_done(&c->m);
	mime_done(&c->mime);
	actions_done(&c->acts);
	strs_free(&c->bcc);
	free(c->redirect);
	free(c->filter);
	buf_free(&c->reject);
	buf_free(&c->value);
}

int
cmd_headers(int argc, char **argv)
{
	struct checks c = { .hold = false };
	struct msg_load l;
	int rc, status = ST_OK;

	if (open_tables(&c, argc, argv) != 0) {
		close_all(&c);
		return prog_fail(&c.err);
	}
	if (no_tables(&c)) {
		close_all(&c);
		return prog_usage("headers: name a table, such as "
				  "pcre:/etc/mx/header_checks, or set "
				  "header_checks");
	}
	if (msg_load(&l, STDIN_FILENO, 0, &c.err) < 0) {
		close_all(&c);
		return prog_fail(&c.err);
	}
	msg_index(&c.m, l.bytes, 0);
	mime_index(&c.mime, l.bytes);
	msg_edit_init(&c.ed, &c.m);
	rc = look_header(&c, PLACE_HEADER, c.m.header);
	if (rc == 0)
		rc = look_body(&c);
	if (rc == 0 && c.reject.n) {
		status = c.reject.p[0] == '4' ? ST_TEMPFAIL : ST_UNAVAILABLE;
		fprintf(stderr, "%s\n", buf_str(&c.reject));
	} else if (rc < 0 || finish(&c) != 0) {
		status = prog_fail(&c.err);
	}
	close_all(&c);
	msg_unload(&l);
	return status;
}
