/*
 * output.c - words for the client, and what it is told untagged.
 * THREATS 81: one writer chooses quoted or literal; a literal when in doubt.
 * RFC 3501 7, 9.
 */
#include "context.h"
#include "mailbox_name.h"

#define QUOTED_MAX 1000
#define PROGRESS_MS 10000

static const struct {
	const char *name;
	maildir_flags bit;
} system_flags[] = {
	{ "\\Answered", MAILDIR_REPLIED }, { "\\Flagged", MAILDIR_FLAGGED },
	{ "\\Deleted", MAILDIR_TRASHED },  { "\\Seen", MAILDIR_SEEN },
	{ "\\Draft", MAILDIR_DRAFT },
};

void
put_literal(struct stream *st, struct span s)
{
	stream_printf(st, "{%zu}\r\n", s.n);
	/* RFC 3501 9: CHAR8 is not NUL; as Dovecot shows it */
	while (s.n > 0) {
		ssize_t nul = span_chr(s, '\0');
		size_t n = nul < 0 ? s.n : (size_t)nul;

		stream_write(st, s.p, n);
		if (nul >= 0) {
			stream_write(st, "\x80", 1);
			n++;
		}
		s = span_from(s, n);
	}
}

void
put_string(struct stream *st, struct span s)
{
	bool plain = s.n <= QUOTED_MAX;

	for (size_t i = 0; plain && i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 ||
		    (unsigned char)s.p[i] >= 0x7f)
			plain = false;
	if (!plain) {
		put_literal(st, s);
		return;
	}
	stream_write(st, "\"", 1);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			stream_write(st, "\\", 1);
		stream_write(st, s.p + i, 1);
	}
	stream_write(st, "\"", 1);
}

void
put_nstring(struct stream *st, struct span s)
{
	if (s.p == NULL)
		stream_puts(st, "NIL");
	else
		put_string(st, s);
}

/* RFC 6855 3, RFC 9051 5.1: UTF-8 in quoted strings once it is enabled. */
static void
put_utf8_mailbox(struct stream *st, struct span utf8)
{
	stream_write(st, "\"", 1);
	for (size_t i = 0; i < utf8.n; i++) {
		if (utf8.p[i] == '"' || utf8.p[i] == '\\')
			stream_write(st, "\\", 1);
		stream_write(st, utf8.p + i, 1);
	}
	stream_write(st, "\"", 1);
}

void
put_mailbox(struct session *s, struct span name)
{
	struct stream *st = s->st;
	struct buf utf8 = BUF_INIT;
	bool atom = name.n > 0 && !span_iis(name, "NIL");

	for (size_t i = 0; atom && i < name.n; i++)
		atom = ascii_isalnum(name.p[i]) ||
		       strchr(".-_&,+", name.p[i]) != NULL;
	if (s->utf8 && span_chr(name, '&') >= 0 &&
	    mailbox_name_decode(&utf8, name))
		put_utf8_mailbox(st, buf_span(&utf8));
	else if (atom)
		stream_write(st, name.p, name.n);
	else
		put_string(st, name);
	buf_free(&utf8);
}

void
put_entry_name(struct stream *st, const char *name)
{
	for (const char *p = name; *p != '\0'; p++) {
		if (strchr("(){\"\\]", *p) == NULL)
			continue;
		put_string(st, span_of(name));
		return;
	}
	stream_puts(st, name);
}

void
put_fetch(struct session *s, size_t index)
{
	/* RFC 9586 3.3 */
	bool only = (s->enabled & ENABLED_UIDONLY) != 0;

	stream_puts(s->st, "* ");
	stream_num(s->st, only ? s->mb->v[index].uid : index + 1);
	stream_puts(s->st, only ? " UIDFETCH (" : " FETCH (");
}

bool
put_uid_too(const struct session *s)
{
	return s->uid && !(s->enabled & ENABLED_UIDONLY);
}

bool
put_uid_as_news(const struct session *s)
{
	return (s->enabled & (ENABLED_CONDSTORE | ENABLED_REV2)) &&
	       !(s->enabled & ENABLED_UIDONLY);
}

void
put_fetch_flags(struct session *s, size_t index, bool flags)
{
	const struct message *m = &s->mb->v[index];
	const char *sep = "";

	if (flags) {
		stream_puts(s->st, "FLAGS ");
		put_flags(s->st, s->mb, m);
		sep = " ";
	}
	/* RFC 7162 3.2.4: after any CONDSTORE enabling command, not QRESYNC's
	 * alone; RFC 9051 7.5.2: in IMAP4rev2; with UIDONLY it stands in
	 * front */
	if (put_uid_too(s) || put_uid_as_news(s)) {
		stream_puts(s->st, sep);
		stream_puts(s->st, "UID ");
		stream_num(s->st, m->uid);
		sep = " ";
	}
	if (s->enabled & ENABLED_CONDSTORE)
		stream_printf(s->st, "%sMODSEQ (%llu)", sep,
			      (unsigned long long)m->modseq);
	stream_puts(s->st, ")\r\n");
}

void
condstore_enable(struct session *s)
{
	if (!(s->enabled & ENABLED_CONDSTORE) && s->mb != NULL)
		stream_printf(s->st, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
			      (unsigned long long)s->mb->modseq);
	s->enabled |= ENABLED_CONDSTORE;
}

const char *
condstore_code(struct session *s)
{
	if (!(s->enabled & ENABLED_QRESYNC) || s->mb == NULL)
		return NULL;
	buf_clear(&s->code);
	buf_addf(&s->code, "HIGHESTMODSEQ %llu",
		 (unsigned long long)s->mb->modseq);
	return buf_str(&s->code);
}

/* Every UID of `known` that no message has. */
static void
missing(const struct mailbox *mb, const struct set *known, struct set *out)
{
	for (size_t i = 0; i < known->n; i++) {
		uint64_t at = known->v[i].lo, hi = known->v[i].hi;
		bool exact;
		size_t k = mailbox_find(mb, known->v[i].lo, &exact);

		if (hi >= mb->ul.uidnext)
			hi = mb->ul.uidnext - 1;
		for (; k < mb->n && mb->v[k].uid <= hi; k++) {
			if (mb->v[k].uid > at)
				set_add(out, (uint32_t)at, mb->v[k].uid - 1);
			at = (uint64_t)mb->v[k].uid + 1;
		}
		if (at <= hi)
			set_add(out, (uint32_t)at, (uint32_t)hi);
	}
}

void
put_vanished_since(struct session *s, const struct set *known, uint64_t since)
{
	struct mailbox *mb = s->mb;
	struct set out = { NULL, 0, 0 };
	struct buf b = BUF_INIT;
	bool exact;

	if (mb->vanished_since != 0 && since >= mb->vanished_since) {
		for (size_t i = 0; i < mb->vanished_n; i++) {
			uint32_t uid = mb->vanished[i].uid;

			(void)mailbox_find(mb, uid, &exact);
			if (mb->vanished[i].modseq > since && !exact &&
			    set_has(known, uid))
				set_add(&out, uid, uid);
		}
		set_finish(&out);
	} else { /* not remembered so far back: all that are not there */
		missing(mb, known, &out);
	}
	if (out.n > 0) {
		set_print(&b, &out);
		stream_printf(s->st, "* VANISHED (EARLIER) %s\r\n",
			      buf_str(&b));
	}
	set_free(&out);
	buf_free(&b);
}

void
put_progress(struct session *s, size_t done, size_t total)
{
	/* asking the clock costs more than some messages do */
	if (done % 16 != 0 || clock_left(s->progress_at) > 0)
		return;
	s->progress_at = clock_deadline(PROGRESS_MS);
	stream_puts(s->st, "* OK [INPROGRESS (");
	put_string(s->st, buf_span(&s->tag));
	stream_printf(s->st, " %zu %zu)] Still working\r\n", done, total);
	(void)!stream_flush(s->st, clock_deadline(PROGRESS_MS));
}

static void
put_flag_names(struct stream *st, const struct mailbox *mb, maildir_flags f,
	       bool recent)
{
	const char *sep = "";

	for (size_t i = 0; i < ARRAY_LEN(system_flags); i++) {
		if (f & system_flags[i].bit) {
			stream_puts(st, sep);
			stream_puts(st, system_flags[i].name);
			sep = " ";
		}
	}
	if (recent) {
		stream_puts(st, sep);
		stream_puts(st, "\\Recent");
		sep = " ";
	}
	for (int i = 0; (f & MAILDIR_KEYWORD_MASK) && i < MAILDIR_KEYWORDS;
	     i++) {
		if ((f & MAILDIR_KEYWORD_BIT(i)) && mb->kw.name[i] != NULL) {
			stream_puts(st, sep);
			stream_puts(st, mb->kw.name[i]);
			sep = " ";
		}
	}
}

void
put_flags(struct stream *st, const struct mailbox *mb, const struct message *m)
{
	stream_puts(st, "(");
	put_flag_names(st, mb, m->flags, m->recent && !mb->no_recent);
	stream_puts(st, ")");
}

void
put_flag_lists(struct session *s)
{
	struct mailbox *mb = s->mb;
	maildir_flags all = MAILDIR_KEYWORD_MASK;
	bool room = false;

	for (size_t i = 0; i < ARRAY_LEN(system_flags); i++)
		all |= system_flags[i].bit;
	for (int i = 0; i < MAILDIR_KEYWORDS; i++)
		if (mb->kw.name[i] == NULL)
			room = true;
	stream_puts(s->st, "* FLAGS (");
	put_flag_names(s->st, mb, all, false);
	stream_puts(s->st, ")\r\n* OK [PERMANENTFLAGS (");
	if (!mb->readonly) {
		put_flag_names(s->st, mb, all, false);
		/* RFC 3501 7.1: "\*" says that new ones can be made */
		stream_puts(s->st, room ? " \\*" : "");
	}
	stream_printf(s->st, ")] %s\r\n",
		      mb->readonly ? "Read-only mailbox" : "Flags permitted");
	mb->kw_changed = false;
}

/* RFC 7162 3.2.10, RFC 9586 3.5: by UID, in one line. */
static void
put_vanished(struct session *s)
{
	struct mailbox *mb = s->mb;
	struct set set = { NULL, 0, 0 };
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < mb->told_exists; i++)
		if (mb->v[i].gone)
			set_add(&set, mb->v[i].uid, mb->v[i].uid);
	if (set.n > 0) {
		set_print(&b, &set);
		stream_printf(s->st, "* VANISHED %s\r\n", buf_str(&b));
	}
	set_free(&set);
	buf_free(&b);
}

/* EXPUNGE for every message that is gone, from the last: then a number is
 * that of the client's view whatever went before. */
static void
report_expunged(struct session *s)
{
	struct mailbox *mb = s->mb;
	bool by_uid = (s->enabled & (ENABLED_QRESYNC | ENABLED_UIDONLY)) != 0;

	if (by_uid)
		put_vanished(s);
	for (size_t i = mb->told_exists; i-- > 0;) {
		/* one that was never told of just goes */
		if (!mb->v[i].gone)
			continue;
		if (!by_uid)
			stream_printf(s->st, "* %zu EXPUNGE\r\n", i + 1);
		mb->told_exists--;
	}
	mailbox_drop_gone(mb);
}

void
report_changes(struct session *s, bool expunge_too)
{
	struct mailbox *mb = s->mb;
	size_t recent;

	if (mb == NULL || (!mb->news && !mb->kw_changed))
		return;
	if (expunge_too) {
		context_gone(s);
		report_expunged(s);
	}
	if (mb->kw_changed)
		put_flag_lists(s);
	recent = mailbox_recent(mb);
	if (mb->n != mb->told_exists || recent != mb->told_recent) {
		if (mb->n != mb->told_exists)
			stream_printf(s->st, "* %zu EXISTS\r\n", mb->n);
		if (!(s->enabled & ENABLED_REV2))
			stream_printf(s->st, "* %zu RECENT\r\n", recent);
	}
	for (size_t i = 0; i < mb->told_exists; i++) {
		struct message *m = &mb->v[i];

		if (m->flags == m->told || m->gone)
			continue;
		m->told = m->flags;
		put_fetch(s, i);
		put_fetch_flags(s, i, true);
	}
	mb->told_exists = mb->n;
	mb->told_recent = recent;
	/* what could not be told stays news */
	mb->news = !expunge_too;
}
