/*
 * cmd_metadata.c - GETMETADATA, SETMETADATA.  RFC 5464.
 */
#include "cmd.h"
#include "mailbox_name.h"
#include "metadata.h"
#include "status.h"
#include "strs.h"

#include <errno.h>
#include <unistd.h>

#define DEPTH_ALL 1000
struct get {
	bool limited;
	uint32_t max;
	int depth;
	struct strs names;
};

static bool
parse_options(struct parse *p, struct get *g)
{
	if (!parse_char(p, '('))
		return false;
	for (;;) {
		if (parse_word(p, "MAXSIZE")) {
			g->limited = true;
			if (!parse_sp(p) || !parse_number(p, &g->max))
				return false;
		} else if (parse_word(p, "DEPTH") && parse_sp(p)) {
			g->depth = parse_word(p, "0")          ? 0
				   : parse_word(p, "1")        ? 1
				   : parse_word(p, "infinity") ? DEPTH_ALL
							       : -1;
			if (g->depth < 0)
				return false;
		} else {
			return false;
		}
		if (parse_peek(p) != ' ')
			break;
		if (!parse_sp(p))
			return false;
	}
	return parse_char(p, ')');
}

/* Options stand before the mailbox by the grammar, behind it by the
 * examples. */
static bool
options_next(const struct parse *p)
{
	struct parse q = *p;

	return parse_peek(&q) == '(' && parse_char(&q, '(') &&
	       (parse_word(&q, "MAXSIZE") || parse_word(&q, "DEPTH"));
}

/* The mailbox ("" is the server), opened: the directory, or -1 and *r. */
static int
open_place(struct session *s, struct buf *name, const char **file,
	   struct result *r)
{
	struct err e = ERR_INIT;
	int fd;

	*file = METADATA_FILE;
	if (parse_peek(&s->p) == '"' && s->p.at + 1 < s->p.s.n &&
	    s->p.s.p[s->p.at + 1] == '"') {
		s->p.at += 2;
		*file = METADATA_SERVER_FILE;
		fd = dup(s->root);
	} else {
		if (!arg_mailbox(s, name, r))
			return -1;
		fd = mailbox_name_open(s->root, buf_span(name));
	}
	if (fd < 0 && errno == ENOENT) {
		*r = result_no("NONEXISTENT", "Mailbox doesn't exist");
	} else if (fd < 0) {
		err_sys(&e, "%s: opening", buf_str(name));
		*r = result_err(s, &e);
	}
	return fd;
}

static bool
entry_name(struct session *s, struct buf *b)
{
	if (!parse_astring(&s->p, b))
		return false;
	if (metadata_name_ok(buf_span(b)))
		return true;
	s->p.bad = "Invalid entry name";
	return false;
}

static bool
parse_names(struct session *s, struct get *g)
{
	bool list = parse_peek(&s->p) == '(', ok = true;
	struct buf name = BUF_INIT;

	if (list)
		s->p.at++;
	while (ok) {
		buf_clear(&name);
		ok = g->names.n < 1000 && entry_name(s, &name);
		if (ok)
			strs_addspan(&g->names, buf_span(&name));
		if (!ok || parse_peek(&s->p) != ' ')
			break;
		ok = parse_sp(&s->p);
	}
	buf_free(&name);
	return ok && (!list || parse_char(&s->p, ')')) && parse_end(&s->p);
}

/* Is it asked for: itself, or so many levels above? */
static bool
asked(const struct get *g, const char *entry)
{
	for (size_t i = 0; i < g->names.n; i++) {
		struct span want = span_of(g->names.v[i]);
		struct span e = span_of(entry), rest;
		int levels = 0;

		if (!span_istarts(e, want))
			continue;
		rest = span_from(e, want.n);
		if (rest.n == 0)
			return true;
		for (size_t k = 0; k < rest.n; k++)
			levels += rest.p[k] == '/';
		if (rest.p[0] == '/' && levels <= g->depth)
			return true;
	}
	return false;
}

static void
put_value(struct session *s, struct span v)
{
	if (span_chr(v, '\0') < 0) {
		put_string(s->st, v.n > 0 ? v : SPAN(""));
		return;
	}
	stream_printf(s->st, "~{%zu}\r\n", v.n);
	stream_write(s->st, v.p, v.n);
}

/* Returns the size of the greatest that was left out. */
static size_t
put_entries(struct session *s, const struct get *g, const struct metadata *m,
	    struct span mailbox)
{
	size_t longest = 0;
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		struct span v = buf_span(&m->v[i].value);

		if (!asked(g, m->v[i].name))
			continue;
		if (g->limited && v.n > g->max) {
			if (v.n > longest)
				longest = v.n;
			continue;
		}
		if (!any) {
			stream_puts(s->st, "* METADATA ");
			if (mailbox.n > 0)
				put_mailbox(s, mailbox);
			else
				stream_puts(s->st, "\"\"");
		}
		stream_puts(s->st, any ? " " : " (");
		put_entry_name(s->st, m->v[i].name);
		stream_puts(s->st, " ");
		put_value(s, v);
		any = true;
	}
	if (any)
		stream_puts(s->st, ")\r\n");
	return longest;
}

static struct result
get(struct session *s, struct get *g)
{
	struct buf name = BUF_INIT;
	struct metadata m = { NULL, 0, 0 };
	struct err e = ERR_INIT;
	struct result r = result_ok("Getmetadata completed");
	const char *file;
	int fd = open_place(s, &name, &file, &r);
	size_t longest;

	if (fd >= 0) {
		if (!parse_sp(&s->p) ||
		    (options_next(&s->p) &&
		     (!parse_options(&s->p, g) || !parse_sp(&s->p))) ||
		    !parse_names(s, g)) {
			r = result_bad(s);
		} else if (metadata_read(&m, fd, file, &e) != 0) {
			r = result_err(s, &e);
		} else {
			longest = put_entries(s, g, &m, buf_span(&name));
			if (longest > 0) {
				buf_clear(&s->code);
				buf_addf(&s->code, "METADATA LONGENTRIES %zu",
					 longest);
				r.code = buf_str(&s->code);
			}
		}
		close(fd);
	}
	metadata_free(&m);
	buf_free(&name);
	return r;
}

struct result
cmd_getmetadata(struct session *s)
{
	struct get g = { .depth = 0 };
	struct result r;

	if (!parse_sp(&s->p) ||
	    (options_next(&s->p) &&
	     (!parse_options(&s->p, &g) || !parse_sp(&s->p))))
		r = result_bad(s);
	else
		r = get(s, &g);
	strs_free(&g.names);
	return r;
}

/* "(entry value ...)": a value is NIL, a string, or a literal8 */
static struct result
parse_entries(struct session *s, struct metadata *m)
{
	struct parse *p = &s->p;
	struct buf name = BUF_INIT;
	bool ok = parse_char(p, '(');

	while (ok) {
		struct metadata_entry *x;

		buf_clear(&name);
		ok = entry_name(s, &name) && parse_sp(p) &&
		     m->n < METADATA_ENTRIES_MAX;
		if (!ok)
			break;
		x = metadata_add(m, buf_span(&name));
		if (!parse_word(p, "NIL")) {
			(void)buf_room(&x->value, 1);
			ok = parse_peek(p) == '~' ? parse_literal8(p, &x->value)
						  : parse_string(p, &x->value);
		}
		if (!ok || parse_peek(p) != ' ')
			break;
		ok = parse_sp(p);
	}
	buf_free(&name);
	if (!ok || !parse_char(p, ')') || !parse_end(p))
		return result_bad(s);
	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].value.n > METADATA_VALUE_MAX)
			return result_no("METADATA MAXSIZE 32768",
					 "The value is too long");
		/* RFC 6154 4: checked as CREATE does */
		if (span_iis(span_of(m->v[i].name), "/private/specialuse") &&
		    !special_use_known(buf_span(&m->v[i].value)))
			return result_no("USEATTR", "Unknown special use");
	}
	return result_ok("Setmetadata completed");
}

/* RFC 7162 3.2: what is annotated has a new mod-sequence.  Where that cannot be
 * noted the annotation holds all the same. */
static void
touched(struct session *s, const char *name)
{
	struct err e = ERR_INIT;
	struct mailbox *mb = mailbox_select(s->root, name, true, NULL, &e);

	if (mb == NULL)
		return;
	mailbox_touch(mb);
	mailbox_close(mb);
}

struct result
cmd_setmetadata(struct session *s)
{
	struct buf name = BUF_INIT;
	struct metadata m = { NULL, 0, 0 };
	struct err e = ERR_INIT;
	struct result r = result_ok("");
	const char *file;
	int fd;

	if (!parse_sp(&s->p))
		return result_bad(s);
	fd = open_place(s, &name, &file, &r);
	if (fd < 0)
		return r;
	r = parse_sp(&s->p) ? parse_entries(s, &m) : result_bad(s);
	if (r.kind == RESULT_OK && metadata_change(fd, file, &m, &e) != 0)
		r = e.status == ST_NOINPUT
			? result_no("METADATA TOOMANY", "Too many entries")
			: result_err(s, &e);
	if (r.kind == RESULT_OK && name.n > 0)
		touched(s, buf_str(&name));
	metadata_free(&m);
	buf_free(&name);
	close(fd);
	return r;
}
