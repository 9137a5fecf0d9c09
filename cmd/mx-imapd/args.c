/*
 * args.c - arguments that many commands take: mailbox names, sets of
 * messages, flags.
 */
#include "imap.h"
#include "mailbox_name.h"
#include "status.h"

#include <stdlib.h>
#include <uninorm.h>

bool
arg_net_unicode(const struct session *s, struct span name, struct result *r)
{
	struct buf utf8 = BUF_INIT;
	uint8_t *norm;
	size_t n = 0;
	bool ok = true;

	/* names in modified UTF-7 are those of clients that never heard of it
	 */
	if (!s->utf8 || span_chr(name, '&') < 0 ||
	    !mailbox_name_decode(&utf8, name)) {
		buf_free(&utf8);
		return true;
	}
	norm = u8_normalize(UNINORM_NFC, (const uint8_t *)utf8.p, utf8.n, NULL,
			    &n);
	if (norm != NULL)
		ok = span_eq(buf_span(&utf8), span_make((const char *)norm, n));
	free(norm);
	buf_free(&utf8);
	if (!ok)
		*r = result_no("CANNOT", "The name is not in Unicode's normal "
					 "form C");
	return ok;
}

bool
arg_mailbox(struct session *s, struct buf *name, struct result *r)
{
	struct buf given = BUF_INIT;
	struct err e = ERR_INIT;
	bool ok = parse_astring(&s->p, &given);

	if (!ok) {
		*r = result_bad(s);
	} else if (mailbox_name_parse(name, buf_span(&given), s->utf8, &e) !=
		   0) {
		*r = result_err(s, &e);
		ok = false;
	}
	buf_free(&given);
	return ok;
}

/* RFC 5182 2.1 */
bool
arg_saved(struct session *s, struct set *set, bool uids)
{
	if (!parse_char(&s->p, '$'))
		return false;
	for (size_t i = 0; i < s->saved.n; i++) {
		const struct set_range *range = &s->saved.v[i];
		bool exact;
		size_t at;

		if (uids) {
			set_add(set, range->lo, range->hi);
			continue;
		}
		at = mailbox_find(s->mb, range->lo, &exact);
		for (; at < s->mb->told_exists && s->mb->v[at].uid <= range->hi;
		     at++)
			set_add(set, (uint32_t)at + 1, (uint32_t)at + 1);
	}
	return true;
}

uint32_t
arg_star(const struct session *s)
{
	size_t n = s->mb->told_exists;

	return n > 0 ? s->mb->v[n - 1].uid : 0;
}

bool
arg_set(struct session *s, struct set *set, struct result *r)
{
	size_t n = s->mb->told_exists;
	uint32_t star = s->uid ? arg_star(s) : (uint32_t)n;

	if (parse_peek(&s->p) == '$') {
		if (arg_saved(s, set, s->uid))
			return true;
		*r = result_bad(s);
		return false;
	}
	if (!parse_set(&s->p, set, star)) {
		*r = result_bad(s);
		return false;
	}
	/* RFC 3501 9, seq-number: one that no message has, and with no message
	 * "*" too */
	if (!s->uid && (n == 0 || (set->n > 0 && set->v[set->n - 1].hi > n))) {
		*r = RESULT(RESULT_BAD, NULL, "Invalid messageset");
		return false;
	}
	return true;
}

static int
each_downward(struct session *s, const struct set *set,
	      int (*fn)(struct session *s, size_t index, void *ctx), void *ctx)
{
	int r = 0;

	for (size_t i = s->mb->told_exists; r == 0 && i-- > 0;)
		if (set_has(set, s->uid ? s->mb->v[i].uid : (uint32_t)i + 1))
			r = fn(s, i, ctx);
	return r;
}

int
each_message(struct session *s, const struct set *set,
	     int (*fn)(struct session *s, size_t index, void *ctx), void *ctx)
{
	struct mailbox *mb = s->mb;
	int r = 0;

	if (s->downward)
		return each_downward(s, set, fn, ctx);
	for (size_t i = 0; r == 0 && i < set->n; i++) {
		const struct set_range *range = &set->v[i];
		size_t at = range->lo - 1;
		bool exact;

		if (s->uid)
			at = mailbox_find(mb, range->lo, &exact);
		for (; r == 0 && at < mb->told_exists; at++) {
			if ((s->uid ? mb->v[at].uid : at + 1) > range->hi)
				break;
			r = fn(s, at, ctx);
		}
	}
	return r;
}

static const struct {
	const char *name;
	maildir_flags bit;
} system_flags[] = {
	{ "\\Answered", MAILDIR_REPLIED }, { "\\Flagged", MAILDIR_FLAGGED },
	{ "\\Deleted", MAILDIR_TRASHED },  { "\\Seen", MAILDIR_SEEN },
	{ "\\Draft", MAILDIR_DRAFT },      { "\\Recent", 0 },
};

static struct result
one_flag(struct session *s, struct mailbox *mb, struct span word, bool make,
	 maildir_flags *flags)
{
	struct err e = ERR_INIT;
	int at;

	for (size_t i = 0; i < ARRAY_LEN(system_flags); i++) {
		if (span_iis(word, system_flags[i].name)) {
			*flags |= system_flags[i].bit;
			return result_ok("");
		}
	}
	if (word.p[0] == '\\' || !keywords_valid(word))
		return RESULT(RESULT_BAD, NULL, "Invalid flag");
	at = keywords_find(&mb->kw, word);
	if (at < 0 && !make) /* no message has it */
		return result_ok("");
	if (at < 0) {
		at = keywords_add(&mb->kw, mb->fd, word, &e);
		mb->kw_changed = true;
	}
	if (at == -2)
		return result_no("LIMIT", "A mailbox has at most 26 keywords");
	if (at < 0)
		return result_err(s, &e);
	*flags |= MAILDIR_KEYWORD_BIT(at);
	return result_ok("");
}

struct result
arg_flags(struct session *s, struct mailbox *mb, bool make,
	  maildir_flags *flags_r)
{
	struct parse *p = &s->p;
	bool list = parse_peek(p) == '(';
	struct span word;
	struct result r;

	*flags_r = 0;
	if (list && !parse_char(p, '('))
		return result_bad(s);
	while (!list || parse_peek(p) != ')') {
		if (!parse_flag(p, &word))
			return result_bad(s);
		r = one_flag(s, mb, word, make, flags_r);
		if (r.kind != RESULT_OK)
			return r;
		if (parse_peek(p) != ' ')
			break;
		if (!parse_sp(p))
			return result_bad(s);
	}
	if (list && !parse_char(p, ')'))
		return result_bad(s);
	return result_ok("");
}
