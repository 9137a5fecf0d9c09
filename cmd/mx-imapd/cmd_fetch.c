/*
 * cmd_fetch.c - FETCH and UID FETCH.  RFC 3501 6.4.5, 7.4.2.
 */
#include "cmd.h"
#include "date.h"
#include "fetch.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>

#define MESSAGE_MS (5 * 60 * 1000)

static void
put_date(struct stream *st, const char *name, int64_t when)
{
	struct buf b = BUF_INIT;
	struct date d;

	date_from_unix_local(&d, when);
	date_print_imap(&b, &d);
	stream_printf(st, "%s \"%s\"", name, buf_str(&b));
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

/* RFC 3516 4.2: decoded; a literal8 where it must be one. */
static void
put_binary(struct stream *st, const struct item *it, struct loaded *l)
{
	struct buf made = BUF_INIT;
	struct span b = section_binary(&it->section, l, &made);
	/* "BODY[1]<0>" */
	const char *label = buf_str(&it->section.label) + 4;

	if (it->kind == ITEM_BINARY_SIZE) {
		stream_printf(st, "BINARY.SIZE%s %zu", label, b.n);
	} else {
		stream_printf(st, "BINARY%s ", label);
		if (b.p == NULL)
			stream_puts(st, "NIL");
		else if (span_chr(b, '\0') < 0)
			put_literal(st, b);
		else {
			stream_printf(st, "~{%zu}\r\n", b.n);
			stream_write(st, b.p, b.n);
		}
	}
	buf_free(&made);
}

static void
put_more(struct stream *st, const struct item *it, const struct message *m,
	 struct loaded *l)
{
	struct buf b = BUF_INIT;

	switch (it->kind) {
	case ITEM_BINARY:
	case ITEM_BINARY_SIZE:
		put_binary(st, it, l);
		break;
	case ITEM_PREVIEW:
		fetch_preview(&b, l);
		stream_puts(st, "PREVIEW ");
		put_string(st, b.n > 0 ? buf_span(&b) : SPAN(""));
		break;
	case ITEM_SAVEDATE:
		if (fetch_savedate(m) > 0)
			put_date(st, "SAVEDATE", fetch_savedate(m));
		else
			stream_puts(st, "SAVEDATE NIL");
		break;
	case ITEM_EMAILID:
		fetch_emailid(&b, l);
		stream_printf(st, "EMAILID (%s)", buf_str(&b));
		break;
	case ITEM_MODSEQ:
		stream_printf(st, "MODSEQ (%llu)",
			      (unsigned long long)m->modseq);
		break;
	default:
		stream_puts(st, "THREADID NIL");
		break;
	}
	buf_free(&b);
}

/* From the cache; made, and kept there, otherwise. */
static void
put_cached(struct session *s, struct message *m, enum mailbox_cache_kind kind,
	   struct loaded *l)
{
	struct span have = mailbox_cache_get(s->mb, m, kind);
	struct stream made = { .fd_out = -1, .out_limit = SIZE_MAX };

	if (have.p == NULL) {
		(void)buf_room(&made.out, 1024);
		if (kind == MAILBOX_CACHE_ENVELOPE)
			put_envelope_of(&made, &l->msg);
		else
			put_structure(&made, loaded_mime(l), true);
		have = buf_span(&made.out);
		mailbox_cache_put(s->mb, m, kind, have);
	}
	stream_write(s->st, have.p, have.n);
	buf_free(&made.out);
}

static bool
is_cached(struct session *s, const struct item *it, struct message *m)
{
	if (it->kind == ITEM_ENVELOPE)
		return mailbox_cache_get(s->mb, m, MAILBOX_CACHE_ENVELOPE).p !=
		       NULL;
	if (it->kind == ITEM_STRUCTURE)
		return mailbox_cache_get(s->mb, m, MAILBOX_CACHE_STRUCTURE).p !=
		       NULL;
	return it->listed && loaded_fields_cached(s->mb, m);
}

static unsigned
needs_of(struct session *s, const struct fetch *f, struct message *m)
{
	unsigned needs = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct item *it = &f->v[i];

		if (it->kind == ITEM_SIZE && m->vsize == MAILDIR_NO_SIZE)
			needs |= NEEDS_WHOLE;
		else if (!is_cached(s, it, m))
			needs |= it->needs;
		else if (it->listed)
			needs |= NEEDS_FIELDS | (it->needs & SETS_SEEN);
	}
	return needs;
}

static void
put_item(struct session *s, const struct item *it, struct message *m,
	 struct loaded *l)
{
	struct stream *st = s->st;

	switch (it->kind) {
	case ITEM_UID:
		stream_puts(st, "UID ");
		stream_num(st, m->uid);
		break;
	case ITEM_FLAGS:
		stream_puts(st, "FLAGS ");
		put_flags(st, s->mb, m);
		m->told = m->flags;
		break;
	case ITEM_DATE:
		put_date(st, "INTERNALDATE", m->mtime);
		break;
	case ITEM_SIZE:
		stream_puts(st, "RFC822.SIZE ");
		stream_num(st, m->vsize);
		break;
	case ITEM_ENVELOPE:
		stream_puts(st, "ENVELOPE ");
		put_cached(s, m, MAILBOX_CACHE_ENVELOPE, l);
		break;
	case ITEM_BODY:
		stream_puts(st, "BODY ");
		put_structure(st, loaded_mime(l), false);
		break;
	case ITEM_STRUCTURE:
		stream_puts(st, "BODYSTRUCTURE ");
		put_cached(s, m, MAILBOX_CACHE_STRUCTURE, l);
		break;
	case ITEM_SECTION:
		put_section(st, it, l);
		break;
	default:
		put_more(st, it, m, l);
		break;
	}
}

/* Everything an answer needs, before its first byte: an answer is whole or
 * none.  1: passed over. */
static int
prepare(struct session *s, struct fetch *f, struct message *m, struct loaded *l,
	bool *seen_r)
{
	unsigned needs = needs_of(s, f, m);
	int r = 0;

	if (needs & (NEEDS_HEADER | NEEDS_WHOLE))
		r = loaded_open(l, s->mb, m, (needs & NEEDS_WHOLE) != 0, &f->e);
	else if (needs & NEEDS_FIELDS)
		r = loaded_fields(l, s->mb, m, &f->e);
	if (r == 0 && f->listed && (needs & (NEEDS_HEADER | NEEDS_WHOLE)))
		loaded_fields_keep(l, s->mb, m);
	if (r == 0 && (needs & NEEDS_STAT) &&
	    mailbox_stat_message(s->mb, m, &f->e) != 0)
		r = m->gone ? 1 : -1;
	for (size_t i = 0; r == 0 && i < f->n; i++)
		if ((f->v[i].kind == ITEM_BINARY ||
		     f->v[i].kind == ITEM_BINARY_SIZE) &&
		    !section_decodable(&f->v[i].section, l)) {
			f->refusal = "UNKNOWN-CTE";
			return 1;
		}
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

/* What a scan of many messages reads next is on its way meanwhile. */
static void
read_ahead(struct session *s, struct fetch *f, size_t i)
{
	size_t to = i + MAILBOX_AHEAD / 2;

	if (!(f->needs & (NEEDS_HEADER | NEEDS_WHOLE)) || s->downward ||
	    f->set == NULL)
		return;
	if (to >= s->mb->told_exists)
		to = s->mb->told_exists - 1;
	if (f->ahead < i)
		f->ahead = i;
	for (; f->ahead < to; f->ahead++) {
		struct message *m = &s->mb->v[f->ahead + 1];
		uint32_t n = s->uid ? m->uid : (uint32_t)f->ahead + 2;

		if (set_has(f->set, n) &&
		    (needs_of(s, f, m) & (NEEDS_HEADER | NEEDS_WHOLE)))
			mailbox_read_ahead(s->mb, m);
	}
}

static int
fetch_one(struct session *s, size_t i, void *ctx)
{
	struct fetch *f = ctx;
	struct message *m = &s->mb->v[i];
	struct loaded l = { .whole = false };
	bool seen = false;

	if (f->changed && m->modseq <= f->since)
		return 0;
	read_ahead(s, f, i);
	/* a slow client has this long for each message */
	s->st->out_deadline = clock_deadline(MESSAGE_MS);
	if (prepare(s, f, m, &l, &seen) == 0) {
		if (seen && (s->enabled & ENABLED_CONDSTORE))
			mailbox_commit(s->mb);
		put_fetch(s, i);
		for (size_t k = 0; k < f->n; k++) {
			if (k > 0)
				stream_puts(s->st, " ");
			put_item(s, &f->v[k], m, &l);
		}
		if (!f->has_uid &&
		    (put_uid_too(s) || (seen && put_uid_as_news(s)))) {
			stream_puts(s->st, f->n > 0 ? " UID " : "UID ");
			stream_num(s->st, m->uid);
		}
		if (seen && !f->has_flags) {
			stream_puts(s->st, " FLAGS ");
			put_flags(s->st, s->mb, m);
			m->told = m->flags;
		}
		/* RFC 7162 3.1.3: flags that change are told with theirs */
		if (seen && !f->has_modseq && (s->enabled & ENABLED_CONDSTORE))
			stream_printf(s->st, " MODSEQ (%llu)",
				      (unsigned long long)m->modseq);
		stream_puts(s->st, ")\r\n");
	}
	loaded_close(&l);
	/* a client that is gone need not be served on */
	return s->st->out_failed != IO_OK;
}

int
fetch_put(struct session *s, struct fetch *f, size_t index)
{
	return fetch_one(s, index, f);
}

static int
count_one(struct session *s, size_t i, void *ctx)
{
	size_t *n = ctx;

	(void)s;
	(void)i;
	(*n)++;
	return 0;
}

/* RFC 9394 3.3: only a part of those that there are. */
static void
cut_partial(struct session *s, const struct fetch *f, struct set *set)
{
	struct set out = { NULL, 0, 0 };
	size_t n = 0, from, to;

	if (each_message(s, set, count_one, &n) != 0)
		return;
	wanted_range(&f->partial, n, &from, &to);
	n = 0;
	for (size_t i = 0; i < s->mb->told_exists && n < to; i++) {
		uint32_t uid = s->mb->v[i].uid;

		if (!set_has(set, uid))
			continue;
		if (n++ >= from)
			set_add(&out, uid, uid);
	}
	set_move(set, &out);
}

static struct result
fetch(struct session *s, struct set *set)
{
	struct fetch f = { .e = ERR_INIT };
	struct result r = result_ok("Fetch completed");

	if (!fetch_parse(s, &f)) {
		r = result_bad(s);
	} else if (f.has_partial && limit_messages() > 0 &&
		   f.partial.hi - f.partial.lo >= limit_messages()) {
		r = limit_refusal(s);
	} else {
		if (f.vanished)
			put_vanished_since(s, set, f.since);
		if (f.has_partial)
			cut_partial(s, &f, set);
		limit_set(s, set);
		f.set = set;
		if (each_message(s, set, fetch_one, &f) != 0)
			s->say_bye = true;
		mailbox_cache_flush(s->mb);
	}
	if (f.some_failed)
		r = result_err(s, &f.e);
	else if (f.refusal != NULL)
		r = result_no(f.refusal, "A part cannot be decoded");
	else if (f.some_gone && !s->uid)
		r = result_no("EXPUNGEISSUED",
			      "Some of the messages no longer exist");
	fetch_free(&f);
	return limit_result(s, r);
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
