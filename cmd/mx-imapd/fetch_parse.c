/*
 * fetch_parse.c - the items and modifiers of FETCH; see fetch.h.
 * RFC 3501 6.4.5, RFC 3516, RFC 4466, RFC 9394.
 */
#include "fetch.h"
#include "mem.h"

#include <stdlib.h>

static struct item *
add(struct fetch *f, enum item_kind kind, unsigned needs)
{
	struct item *it;

	f->v = mem_grow(f->v, &f->cap, f->n + 1, sizeof(*f->v));
	it = &f->v[f->n++];
	*it = (struct item){ .kind = kind, .needs = needs };
	f->needs |= needs;
	if (kind == ITEM_UID)
		f->has_uid = true;
	if (kind == ITEM_FLAGS)
		f->has_flags = true;
	if (kind == ITEM_MODSEQ)
		f->has_modseq = true;
	return it;
}

void
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
	{ "PREVIEW", ITEM_PREVIEW, NEEDS_WHOLE },
	{ "SAVEDATE", ITEM_SAVEDATE, 0 },
	{ "EMAILID", ITEM_EMAILID, NEEDS_WHOLE },
	{ "THREADID", ITEM_THREADID, 0 },
	{ "MODSEQ", ITEM_MODSEQ, 0 },
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
	it->needs =
	    section_header_only(&it->section) ? NEEDS_HEADER : NEEDS_WHOLE;
	if (!peek)
		it->needs |= SETS_SEEN;
	f->needs |= it->needs;
	it->listed = section_listed(&it->section);
	f->listed = f->listed || it->listed;
	return true;
}

/* RFC 3516 4.2: a part's number, nothing else */
static bool
parse_binary(struct fetch *f, struct parse *p, enum item_kind kind,
	     unsigned needs)
{
	struct item *it = add(f, kind, NEEDS_WHOLE | needs);

	if (!section_parse(&it->section, p) ||
	    it->section.what != SECTION_ALL ||
	    (kind == ITEM_BINARY_SIZE && it->section.partial)) {
		p->bad = p->bad != NULL ? p->bad : "Invalid section";
		return false;
	}
	return true;
}

static bool
parse_item(struct fetch *f, struct parse *p)
{
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (!parse_word(p, plain[i].word))
			continue;
		add(f, plain[i].kind, plain[i].needs);
		/* RFC 8970 3.1: "PREVIEW (LAZY)"; ours is always had */
		if (plain[i].kind == ITEM_PREVIEW && parse_peek(p) == ' ' &&
		    p->at + 1 < p->s.n && p->s.p[p->at + 1] == '(')
			return parse_sp(p) && parse_char(p, '(') &&
			       parse_word(p, "LAZY") && parse_char(p, ')');
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(old); i++) {
		if (parse_word(p, old[i].word)) {
			struct item *it = add(f, ITEM_SECTION, old[i].needs);

			it->section.what = old[i].what;
			it->label = old[i].word;
			return true;
		}
	}
	if (parse_word(p, "BINARY.SIZE"))
		return parse_binary(f, p, ITEM_BINARY_SIZE, 0);
	if (parse_word(p, "BINARY.PEEK"))
		return parse_binary(f, p, ITEM_BINARY, 0);
	if (parse_word(p, "BINARY"))
		return parse_binary(f, p, ITEM_BINARY, SETS_SEEN);
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

bool
fetch_parse_items(struct fetch *f, struct parse *p)
{
	if (parse_macro(f, p))
		return true;
	if (parse_peek(p) != '(')
		return parse_item(f, p);
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
	return parse_char(p, ')');
}

/* RFC 4466: "(PARTIAL 1:10)" and the like behind the items. */
static bool
parse_modifiers(struct session *s, struct fetch *f)
{
	struct parse *p = &s->p;

	if (!parse_sp(p) || !parse_char(p, '('))
		return false;
	for (;;) {
		/* RFC 9394 3.3 */
		if (s->uid && !f->has_partial && parse_word(p, "PARTIAL")) {
			f->has_partial = true;
			if (!parse_sp(p) || !wanted_parse_range(p, &f->partial))
				return false;
		} else if (f->since == 0 && parse_word(p, "CHANGEDSINCE")) {
			/* RFC 7162 3.1.4.1 */
			if (!parse_sp(p) || !parse_number64(p, &f->since))
				return false;
			f->changed = true;
		} else if ((s->enabled & ENABLED_QRESYNC) && s->uid &&
			   parse_word(p, "VANISHED")) {
			f->vanished = true;
		} else {
			p->bad = "Unknown fetch modifier";
			return false;
		}
		if (parse_peek(p) != ' ')
			break;
		if (!parse_sp(p))
			return false;
	}
	return parse_char(p, ')');
}

bool
fetch_parse(struct session *s, struct fetch *f)
{
	if (!parse_sp(&s->p) || !fetch_parse_items(f, &s->p))
		return false;
	if (parse_peek(&s->p) == ' ' && !parse_modifiers(s, f))
		return false;
	/* RFC 7162 3.2.6: VANISHED needs CHANGEDSINCE; that brings MODSEQ */
	if (f->vanished && !f->changed) {
		s->p.bad = "VANISHED without CHANGEDSINCE";
		return false;
	}
	if (f->changed && !f->has_modseq)
		add(f, ITEM_MODSEQ, 0);
	if (f->has_modseq)
		condstore_enable(s);
	return parse_end(&s->p);
}
