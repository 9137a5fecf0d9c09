/*
 * cmd_fetch.c - FETCH and UID FETCH.  RFC 3501 6.4.5, 7.4.2.
 */
#include "cmd.h"
#include "date.h"
#include "log.h"
#include "mem.h"
#include "section.h"

#include <errno.h>
#include <stdlib.h>

#define MESSAGE_MS (5 * 60 * 1000)

enum item_kind {
	ITEM_UID,
	ITEM_FLAGS,
	ITEM_DATE,
	ITEM_SIZE,
	ITEM_ENVELOPE,
	ITEM_BODY,
	ITEM_STRUCTURE,
	ITEM_SECTION
};
enum { NEEDS_HEADER = 1, NEEDS_WHOLE = 2, NEEDS_STAT = 4, SETS_SEEN = 8 };
struct item {
	enum item_kind kind;
	const char *label; /* RFC822 and the like, or NULL */
	struct section section;
};
struct fetch {
	struct item *v;
	size_t n, cap;
	unsigned needs;
	bool has_uid, has_flags;
	bool some_gone, some_failed;
	struct err e;
};

static struct item *
add(struct fetch *f, enum item_kind kind, unsigned needs)
{
	struct item *it;

	f->v = mem_grow(f->v, &f->cap, f->n + 1, sizeof(*f->v));
	it = &f->v[f->n++];
	*it = (struct item){ .kind = kind };
	f->needs |= needs;
	if (kind == ITEM_UID)
		f->has_uid = true;
	if (kind == ITEM_FLAGS)
		f->has_flags = true;
	return it;
}

static void
fetch_free(struct fetch *f)
{
	for (size_t i = 0; i < f->n; i++)
		section_free(&f->v[i].section);
	free(f->v);
}

static const struct {
	const char *word;
	enum item_kind kind;
	unsigned needs;
} plain[] = {
	{ "UID", ITEM_UID, 0 },
	{ "FLAGS", ITEM_FLAGS, 0 },
	{ "INTERNALDATE", ITEM_DATE, NEEDS_STAT },
	{ "RFC822.SIZE", ITEM_SIZE, 0 },
	{ "ENVELOPE", ITEM_ENVELOPE, NEEDS_HEADER },
	{ "BODYSTRUCTURE", ITEM_STRUCTURE, NEEDS_WHOLE },
};

static const struct {
	const char *word;
	enum section_what what;
	unsigned needs;
} old[] = {
	{ "RFC822", SECTION_ALL, NEEDS_WHOLE | SETS_SEEN },
	{ "RFC822.HEADER", SECTION_HEADER, NEEDS_HEADER },
	{ "RFC822.TEXT", SECTION_TEXT, NEEDS_WHOLE | SETS_SEEN },
};

static bool
parse_body(struct fetch *f, struct parse *p, bool peek)
{
	struct item *it;

	/* "BODY" alone is the structure without extension data */
	if (!peek && parse_peek(p) != '[') {
		add(f, ITEM_BODY, NEEDS_WHOLE);
		return true;
	}
	it = add(f, ITEM_SECTION, 0);
	if (!section_parse(&it->section, p))
		return false;
	f->needs |=
	    section_header_only(&it->section) ? NEEDS_HEADER : NEEDS_WHOLE;
	if (!peek)
		f->needs |= SETS_SEEN;
	return true;
}

static bool
parse_item(struct fetch *f, struct parse *p)
{
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (parse_word(p, plain[i].word)) {
			add(f, plain[i].kind, plain[i].needs);
			return true;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(old); i++) {
		if (parse_word(p, old[i].word)) {
			struct item *it = add(f, ITEM_SECTION, old[i].needs);

			it->section.what = old[i].what;
			it->label = old[i].word;
			return true;
		}
	}
	if (parse_word(p, "BODY.PEEK"))
		return parse_body(f, p, true);
	if (parse_word(p, "BODY"))
		return parse_body(f, p, false);
	p->bad = p->bad != NULL ? p->bad : "Unknown fetch item";
	return false;
}

/* RFC 3501 6.4.5: words that stand for several, and only alone. */
static bool
parse_macro(struct fetch *f, struct parse *p)
{
	bool all = parse_word(p, "ALL"), full = !all && parse_word(p, "FULL");

	if (!all && !full && !parse_word(p, "FAST"))
		return false;
	add(f, ITEM_FLAGS, 0);
	add(f, ITEM_DATE, NEEDS_STAT);
	add(f, ITEM_SIZE, 0);
	if (all || full)
		add(f, ITEM_ENVELOPE, NEEDS_HEADER);
	if (full)
		add(f, ITEM_BODY, NEEDS_WHOLE);
	return true;
}

static bool
parse_items(struct fetch *f, struct parse *p)
{
	if (parse_macro(f, p))
		return parse_end(p);
	if (parse_peek(p) != '(')
		return parse_item(f, p) && parse_end(p);
	if (!parse_char(p, '('))
		return false;
	for (;;) {
		if (!parse_item(f, p))
			return false;
		if (parse_peek(p) != ' ')
			break;
		if (!parse_sp(p))
			return false;
	}
	return parse_char(p, ')') && parse_end(p);
}

static void
put_date(struct stream *st, int64_t mtime)
{
	struct buf b = BUF_INIT;
	struct date d;

	date_from_unix_local(&d, mtime);
	date_print_imap(&b, &d);
	stream_printf(st, "INTERNALDATE \"%s\"", buf_str(&b));
	buf_free(&b);
}

static void
put_section(struct stream *st, const struct item *it, struct loaded *l)
{
	struct buf made = BUF_INIT;
	struct span b = section_bytes(&it->section, l, &made);

	stream_printf(st, "%s ",
		      it->label != NULL ? it->label
					: buf_str(&it->section.label));
	if (b.p == NULL)
		stream_puts(st, "NIL");
	else
		put_literal(st, b);
	buf_free(&made);
}

static void
put_item(struct session *s, const struct item *it, struct message *m,
	 struct loaded *l)
{
	struct stream *st = s->st;

	switch (it->kind) {
	case ITEM_UID:
		stream_printf(st, "UID %lu", (unsigned long)m->uid);
		break;
	case ITEM_FLAGS:
		stream_puts(st, "FLAGS ");
		put_flags(st, s->mb, m);
		m->told = m->flags;
		break;
	case ITEM_DATE:
		put_date(st, m->mtime);
		break;
	case ITEM_SIZE:
		stream_printf(st, "RFC822.SIZE %llu",
			      (unsigned long long)m->vsize);
		break;
	case ITEM_ENVELOPE:
		stream_puts(st, "ENVELOPE ");
		put_envelope(st, l->header);
		break;
	case ITEM_BODY:
		stream_puts(st, "BODY ");
		put_structure(st, loaded_mime(l), false);
		break;
	case ITEM_STRUCTURE:
		stream_puts(st, "BODYSTRUCTURE ");
		put_structure(st, loaded_mime(l), true);
		break;
	case ITEM_SECTION:
		put_section(st, it, l);
		break;
	}
}

/* Everything an answer needs, before its first byte: an answer is whole or
 * none.  1: passed over. */
static int
prepare(struct session *s, struct fetch *f, struct message *m, struct loaded *l,
	bool *seen_r)
{
	unsigned needs = f->needs;
	int r = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].kind == ITEM_SIZE && m->vsize == MAILDIR_NO_SIZE)
			needs |= NEEDS_WHOLE;
	if (needs & (NEEDS_HEADER | NEEDS_WHOLE))
		r = loaded_open(l, s->mb, m, (needs & NEEDS_WHOLE) != 0, &f->e);
	if (r == 0 && (needs & NEEDS_STAT) &&
	    mailbox_stat_message(s->mb, m, &f->e) != 0)
		r = m->gone ? 1 : -1;
	if (r == 0 && (needs & SETS_SEEN) && !s->mb->readonly &&
	    !(m->flags & MAILDIR_SEEN)) {
		*seen_r =
		    mailbox_set_flags(s->mb, m, MAILDIR_SEEN, 0, &f->e) == 0;
		if (!*seen_r)
			log_warn("%s: %s", s->user, f->e.text);
	}
	if (r > 0)
		f->some_gone = true;
	if (r < 0) {
		log_error("%s: %s", s->user, f->e.text);
		f->some_failed = true;
	}
	return r != 0;
}

static int
fetch_one(struct session *s, size_t i, void *ctx)
{
	struct fetch *f = ctx;
	struct message *m = &s->mb->v[i];
	struct loaded l = { .whole = false };
	bool seen = false;

	/* a slow client has this long for each message */
	s->st->out_deadline = clock_deadline(MESSAGE_MS);
	if (prepare(s, f, m, &l, &seen) == 0) {
		put_fetch(s, i);
		for (size_t k = 0; k < f->n; k++) {
			if (k > 0)
				stream_puts(s->st, " ");
			put_item(s, &f->v[k], m, &l);
		}
		if (s->uid && !f->has_uid)
			stream_printf(s->st, "%sUID %lu", f->n > 0 ? " " : "",
				      (unsigned long)m->uid);
		if (seen && !f->has_flags) {
			stream_puts(s->st, " FLAGS ");
			put_flags(s->st, s->mb, m);
			m->told = m->flags;
		}
		stream_puts(s->st, ")\r\n");
	}
	loaded_close(&l);
	/* a client that is gone need not be served on */
	return s->st->out_failed != IO_OK;
}

static struct result
fetch(struct session *s, const struct set *set)
{
	struct fetch f = { .e = ERR_INIT };
	struct result r = result_ok("Fetch completed");

	if (!parse_sp(&s->p) || !parse_items(&f, &s->p))
		r = result_bad(s);
	else if (each_message(s, set, fetch_one, &f) != 0)
		s->say_bye = true;
	if (f.some_failed)
		r = result_err(s, &f.e);
	else if (f.some_gone && !s->uid)
		r = result_no("EXPUNGEISSUED",
			      "Some of the messages no longer exist");
	fetch_free(&f);
	return r;
}

struct result
cmd_fetch(struct session *s)
{
	struct set set = { NULL, 0, 0 };
	struct result r;

	if (!parse_sp(&s->p))
		return result_bad(s);
	if (arg_set(s, &set, &r))
		r = fetch(s, &set);
	set_free(&set);
	return r;
}
