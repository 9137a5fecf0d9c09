/*
 * sieve_ext_editheader.c - addheader and deleteheader.  RFC 5293.
 */
#include "encword.h"
#include "mem.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

static bool
name_ok(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] <= 32 || name.p[i] >= 127 || name.p[i] == ':')
			return false;
	}
	return name.n > 0;
}

static bool
value_ok(struct span v)
{
	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];

		if (((unsigned char)c < 32 && c != '\t' && c != '\n' &&
		     c != '\r') ||
		    c == 127)
			return false;
	}
	return true;
}

static void
check_name(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	if (sieve_constant(s, a->strings.v[0]) &&
	    !name_ok(span_of(a->strings.v[0])))
		sieve_error(s, a->line, a->col,
			    "specified field name '%s' is invalid",
			    a->strings.v[0]);
}

static void
check_add(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 1);

	check_name(s, n);
	if (sieve_constant(s, a->strings.v[0]) &&
	    !value_ok(span_of(a->strings.v[0])))
		sieve_error(s, a->line, a->col,
			    "specified value '%s' is invalid", a->strings.v[0]);
}

/* RFC 5293 6: some fields are never touched, Subject always may be unless the
 * administrator says otherwise. */
static bool
allowed(struct span name, bool add)
{
	const struct strs *no = add ? &sieve_conf.editheader_forbid_add
				    : &sieve_conf.editheader_forbid_delete;

	return !span_iis(name, "Received") &&
	       !span_iis(name, "Auto-Submitted") && !strs_ihas(no, name) &&
	       !strs_ihas(&sieve_conf.editheader_protected, name);
}

static int
emit(void *ctx, const void *p, size_t n)
{
	buf_add(ctx, p, n);
	return 0;
}

static void
finish(struct sieve_run *r, struct msg_edit *ed)
{
	struct buf out = BUF_INIT;

	(void)msg_edit_emit(ed, emit, &out);
	sieve_message_edit(r, &out);
	buf_free(&out);
}

/* The value as it stands in the message: line ends become folds. */
static void
make_value(struct buf *out, const char *text)
{
	struct span rest = span_of(text), line;
	bool first = true;

	while (span_split(&rest, '\n', &line)) {
		ssize_t cr;

		line = span_trim(line);
		/* a bare CR is a line end to some */
		while ((cr = span_chr(line, '\r')) >= 0) {
			buf_addspan(out, span_sub(line, 0, (size_t)cr));
			buf_addc(out, ' ');
			line = span_from(line, (size_t)cr + 1);
		}
		if (!first && line.n > 0)
			buf_adds(out, "\n\t");
		first = false;
		if (span_is_ascii(line))
			buf_addspan(out, line);
		else
			encword_encode(out, line);
	}
}

/* RFC 5293 4: on top, or with :last at the bottom; what was kept before stays
 * as it is. */
static int
run_add(struct sieve_run *r, const struct sieve_node *n)
{
	const char *name = sieve_pos(n, 0)->strings.v[0];
	const char *value = sieve_pos(n, 1)->strings.v[0];
	struct buf text = BUF_INIT, field = BUF_INIT;
	const struct msg *m = &r->message->m;
	struct msg_edit ed;

	if (!name_ok(span_of(name)))
		return err_set(&r->err, ST_DATA,
			       "specified field name '%.80s' is invalid", name);
	if (!value_ok(span_of(value)))
		return err_set(&r->err, ST_DATA,
			       "specified value '%.80s' is invalid", value);
	if (sieve_conf.editheader_max_header_size > 0 &&
	    strlen(name) + strlen(value) + 4 >
		(size_t)sieve_conf.editheader_max_header_size)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "specified header value is too large "
			       "(sieve_editheader_max_header_size)");
	if (!allowed(span_of(name), true))
		return 0;
	make_value(&text, value);
	if (span_chr(buf_span(&text), '\n') < 0) {
		msg_make_field(&field, name, buf_span(&text));
	} else {
		buf_addf(&field, "%s: ", name);
		buf_addspan(&field, buf_span(&text));
	}
	msg_edit_init(&ed, m);
	if (sieve_has(n, ":last") != NULL)
		msg_edit_append(&ed, buf_span(&field));
	else
		msg_edit_prepend(&ed, buf_span(&field));
	finish(r, &ed);
	msg_edit_done(&ed);
	buf_free(&text);
	buf_free(&field);
	return 0;
}

/* Does the field's value match one of the patterns, or are there none? */
static int
value_matches(struct sieve_run *r, const struct sieve_node *n,
	      const struct msg_field *f)
{
	const struct sieve_arg *patterns = sieve_pos(n, 1);
	struct buf raw = BUF_INIT, text = BUF_INIT;
	int yes;

	if (patterns == NULL)
		return 1;
	msg_unfold(&raw, f->value);
	encword_decode(&text, buf_span(&raw));
	yes = sieve_match(r, n, buf_span(&text), patterns);
	buf_free(&raw);
	buf_free(&text);
	return yes;
}

static int delete (struct sieve_run *r, const struct sieve_node *n,
		   struct msg_edit *ed, const char *name)
{
	const struct sieve_arg *index = sieve_value(n, ":index");
	const struct msg *m = &r->message->m;
	const struct msg_field *f = NULL;
	size_t count = 0, only = SIZE_MAX, i;
	int deleted = 0;

	while ((f = msg_next(m, name, f)) != NULL)
		count++;
	if (index != NULL) {
		i = (size_t)index->number;
		if (index->number < 1 || i > count)
			return 0;
		only = sieve_has(n, ":last") != NULL ? count - i : i - 1;
	}
	for (i = 0; (f = msg_next(m, name, f)) != NULL; i++) {
		int yes;

		if (only != SIZE_MAX && i != only)
			continue;
		yes = value_matches(r, n, f);
		if (yes < 0)
			return -1;
		if (yes > 0) {
			msg_edit_delete(ed, f);
			deleted++;
		}
	}
	return deleted;
}

static int
run_delete(struct sieve_run *r, const struct sieve_node *n)
{
	const char *name = sieve_pos(n, 0)->strings.v[0];
	struct msg_edit ed;
	int deleted;

	if (!name_ok(span_of(name)))
		return err_set(&r->err, ST_DATA,
			       "specified field name '%.80s' is invalid", name);
	if (!allowed(span_of(name), false))
		return 0;
	msg_edit_init(&ed, &r->message->m);
	deleted = delete (r, n, &ed, name);
	if (deleted > 0)
		finish(r, &ed);
	msg_edit_done(&ed);
	return deleted < 0 ? -1 : 0;
}

static void
check_delete(struct sieve_script *s, struct sieve_node *n)
{
	check_name(s, n);
	if (sieve_has(n, ":last") != NULL && sieve_has(n, ":index") == NULL)
		sieve_error(s, n->line, n->col,
			    "the :last tag for the deleteheader command cannot "
			    "be specified without the :index tag");
	if (n->match != NULL && n->match->finish != NULL)
		sieve_error(s, n->line, n->col,
			    "the deleteheader command does not allow %s",
			    n->match->tag);
}

static const struct sieve_tag add_tags[] = { { ":last", 0, NULL, NULL } };
static const struct sieve_tag delete_tags[] = {
	{ ":index", 'n', NULL, NULL },
	{ ":last", 0, NULL, NULL },
};
static const struct sieve_word words[] = {
	{ .name = "addheader",
	  .ext = "editheader",
	  .positional = "ss",
	  .tags = add_tags,
	  .ntags = ARRAY_LEN(add_tags),
	  .check = check_add,
	  .run = run_add },
	{ .name = "deleteheader",
	  .ext = "editheader",
	  .positional = "soS",
	  .tags = delete_tags,
	  .ntags = ARRAY_LEN(delete_tags),
	  .with_match = true,
	  .check = check_delete,
	  .run = run_delete },
};
static const struct sieve_extension editheader = {
	.name = "editheader",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(editheader);
