/*
 * sieve_ext_replace.c - replace and enclose.  RFC 5703 5, 6.
 */
#include "clock.h"
#include "date.h"
#include "encword.h"
#include "mem.h"
#include "random.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define SIZE_MAX_NEW ((size_t)256 << 20)

static void
add_field(struct buf *b, const char *name, struct span value)
{
	msg_make_field(b, name, value);
	buf_addc(b, '\n');
}

static const char text_head[] = "MIME-Version: 1.0\n"
				"Content-Type: text/plain; charset=utf-8\n"
				"Content-Transfer-Encoding: 8bit\n";

static bool
is_mime_field(struct span name)
{
	return span_istarts(name, SPAN("Content-")) ||
	       span_iis(name, "MIME-Version");
}

/* What the entity is made of: its own header, or that of plain text. */
static void
add_entity(struct buf *b, const struct sieve_node *n, const char *text)
{
	if (sieve_has(n, ":mime") == NULL) {
		/* in a part MIME-Version is not needed, and does no harm */
		buf_adds(b, text_head);
		buf_addc(b, '\n');
	}
	buf_adds(b, text);
	if (b->p[b->n - 1] != '\n')
		buf_addc(b, '\n');
}

static int
replace_part(struct sieve_run *r, const struct sieve_node *n, const char *text)
{
	const struct mime *m = sieve_parts(r);
	const struct mime_part *p = &m->v[r->part];
	struct span whole = m->whole, tail;
	const char *end = p->body.p + p->body.n;
	struct buf b = BUF_INIT;

	buf_addspan(&b,
		    span_sub(whole, 0, (size_t)(p->header_full.p - whole.p)));
	add_entity(&b, n, text);
	tail = span_from(whole, (size_t)(end - whole.p));
	/* the line end before the boundary is the boundary's */
	if (span_starts(tail, SPAN("\n")) && b.p[b.n - 1] == '\n')
		tail = span_from(tail, 1);
	buf_addspan(&b, tail);
	sieve_message_edit(r, &b);
	return 0;
}

/* All fields stay but those of MIME; Subject and From move to Original-. */
static int
replace_whole(struct sieve_run *r, const struct sieve_node *n, const char *text)
{
	const struct sieve_arg *subject = sieve_value(n, ":subject");
	const struct sieve_arg *from = sieve_value(n, ":from");
	const struct msg *m = &r->message->m;
	struct buf b = BUF_INIT, v = BUF_INIT;

	for (size_t i = 0; i < m->n; i++) {
		const struct msg_field *f = &m->v[i];

		if (is_mime_field(f->name))
			continue;
		if ((subject != NULL && span_iis(f->name, "Subject")) ||
		    (from != NULL && span_iis(f->name, "From")))
			buf_adds(&b, "Original-");
		buf_addspan(&b, f->all);
	}
	if (from != NULL) {
		sieve_from_text(&v, from->strings.v[0]);
		add_field(&b, "From", buf_span(&v));
		buf_clear(&v);
	}
	if (subject != NULL) {
		encword_encode(&v, span_of(subject->strings.v[0]));
		add_field(&b, "Subject", buf_span(&v));
	}
	add_entity(&b, n, text);
	sieve_message_edit(r, &b);
	buf_free(&v);
	return 0;
}

static int
run_replace(struct sieve_run *r, const struct sieve_node *n)
{
	const char *text = sieve_pos(n, 0)->strings.v[0];

	if (r->in_part && r->part > 0 && r->part < sieve_parts(r)->n)
		return replace_part(r, n, text);
	return replace_whole(r, n, text);
}

static void
check_replace(struct sieve_script *s, struct sieve_node *n)
{
	sieve_check_address(s, sieve_value(n, ":from"));
	if (sieve_has(n, ":mime") != NULL &&
	    (sieve_has(n, ":subject") != NULL || sieve_has(n, ":from") != NULL))
		sieve_error(s, n->line, n->col,
			    "replace: :mime excludes :subject and :from");
}

/* --- enclose --- */

static void
copy_fields(struct buf *b, const struct msg *m, const char *name)
{
	const struct msg_field *f = NULL;

	while ((f = msg_next(m, name, f)) != NULL) {
		if (!is_mime_field(f->name))
			buf_addspan(b, f->all);
	}
}

static void
enclose_head(struct sieve_run *r, const struct sieve_node *n, struct buf *b)
{
	const struct sieve_arg *subject = sieve_value(n, ":subject");
	const struct sieve_arg *headers = sieve_value(n, ":headers");
	const struct msg *m = &r->message->m;
	const struct strs *names = headers ? &headers->strings : NULL;
	struct buf v = BUF_INIT;
	struct date d;

	for (size_t i = 0; names != NULL && i < names->n; i++)
		copy_fields(b, m, names->v[i]);
	if (names == NULL || !strs_ihas(names, SPAN("From")))
		add_field(b, "From", span_of(r->recipient ? r->recipient : ""));
	if (names == NULL || !strs_ihas(names, SPAN("Date"))) {
		date_from_unix_local(&d, (int64_t)clock_now());
		date_print(&v, &d);
		add_field(b, "Date", buf_span(&v));
		buf_clear(&v);
	}
	if (subject != NULL) {
		encword_encode(&v, span_of(subject->strings.v[0]));
		add_field(b, "Subject", buf_span(&v));
	} else if (names == NULL || !strs_ihas(names, SPAN("Subject"))) {
		copy_fields(b, m, "Subject");
	}
	buf_free(&v);
}

static int
run_enclose(struct sieve_run *r, const struct sieve_node *n)
{
	const char *text = sieve_pos(n, 0)->strings.v[0];
	struct span whole = r->message->m.whole;
	struct buf b = BUF_INIT, boundary = BUF_INIT;

	whole = span_from(whole, msg_from_line(whole));
	if (whole.n > SIZE_MAX_NEW || r->store->n > 1000)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "enclose: the message grows too large");
	buf_adds(&boundary, "mx=");
	random_word(&boundary, 24);
	enclose_head(r, n, &b);
	buf_addf(&b,
		 "MIME-Version: 1.0\n"
		 "Content-Type: multipart/mixed; boundary=\"%s\"\n\n"
		 "--%s\nContent-Type: text/plain; charset=utf-8\n"
		 "Content-Transfer-Encoding: 8bit\n\n%s\n"
		 "--%s\nContent-Type: message/rfc822\n\n",
		 buf_str(&boundary), buf_str(&boundary), text,
		 buf_str(&boundary));
	buf_addspan(&b, whole);
	buf_addf(&b, "\n--%s--\n", buf_str(&boundary));
	sieve_message_edit(r, &b);
	buf_free(&boundary);
	/* The parts that a loop goes over are no longer there. */
	r->in_part = false;
	if (r->loop != NULL)
		r->broken = "";
	return 0;
}

static const struct sieve_tag replace_tags[] = {
	{ ":mime", 0, NULL, NULL },
	{ ":subject", 's', NULL, NULL },
	{ ":from", 's', NULL, NULL },
};
static const struct sieve_tag enclose_tags[] = {
	{ ":subject", 's', NULL, NULL },
	{ ":headers", 'S', NULL, NULL },
};
static const struct sieve_word replace_words[] = {
	{ .name = "replace",
	  .ext = "replace",
	  .positional = "s",
	  .tags = replace_tags,
	  .ntags = ARRAY_LEN(replace_tags),
	  .check = check_replace,
	  .run = run_replace },
};
static const struct sieve_word enclose_words[] = {
	{ .name = "enclose",
	  .ext = "enclose",
	  .positional = "s",
	  .tags = enclose_tags,
	  .ntags = ARRAY_LEN(enclose_tags),
	  .run = run_enclose },
};
static const struct sieve_extension replace = {
	.name = "replace",
	.words = replace_words,
	.nwords = ARRAY_LEN(replace_words),
};
static const struct sieve_extension enclose = {
	.name = "enclose",
	.words = enclose_words,
	.nwords = ARRAY_LEN(enclose_words),
};
SIEVE_EXTENSION(replace);
SIEVE_EXTENSION(enclose);
