/*
 * cmd_search.c - SEARCH and UID SEARCH.  RFC 3501 6.4.4, RFC 4731 (ESEARCH).
 */
#include "cmd.h"
#include "search.h"

enum { RET_MIN = 1, RET_MAX = 2, RET_ALL = 4, RET_COUNT = 8, RET_ANY = 16 };

struct result_set {
	struct set found;
	size_t count;
	uint32_t min, max;
};

static bool
parse_return(struct session *s, unsigned *ret)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = { { "MIN", RET_MIN },
		      { "MAX", RET_MAX },
		      { "ALL", RET_ALL },
		      { "COUNT", RET_COUNT } };
	struct parse *p = &s->p;

	if (!parse_sp(p) || !parse_char(p, '('))
		return false;
	*ret = RET_ANY;
	while (parse_peek(p) != ')') {
		size_t i;

		for (i = 0; i < ARRAY_LEN(words); i++)
			if (parse_word(p, words[i].word))
				break;
		if (i == ARRAY_LEN(words)) {
			p->bad = "Unknown search return option";
			return false;
		}
		*ret |= words[i].bit;
		if (parse_peek(p) != ')' && !parse_sp(p))
			return false;
	}
	/* RFC 4731 3.1: none means ALL */
	if (*ret == RET_ANY)
		*ret |= RET_ALL;
	return parse_char(p, ')') && parse_sp(p);
}

static bool
parse_charset(struct session *s, bool *known)
{
	struct buf name = BUF_INIT;
	bool ok =
	    parse_sp(&s->p) && parse_astring(&s->p, &name) && parse_sp(&s->p);

	*known = span_iis(buf_span(&name), "UTF-8") ||
		 span_iis(buf_span(&name), "US-ASCII");
	buf_free(&name);
	return ok;
}

static void
put_esearch(struct session *s, const struct result_set *r, unsigned ret,
	    struct span tag)
{
	struct stream *st = s->st;

	stream_puts(st, "* ESEARCH (TAG ");
	put_string(st, tag);
	stream_printf(st, ")%s", s->uid ? " UID" : "");
	if ((ret & RET_MIN) && r->count > 0)
		stream_printf(st, " MIN %lu", (unsigned long)r->min);
	if ((ret & RET_MAX) && r->count > 0)
		stream_printf(st, " MAX %lu", (unsigned long)r->max);
	if (ret & RET_COUNT)
		stream_printf(st, " COUNT %zu", r->count);
	if ((ret & RET_ALL) && r->count > 0) {
		struct buf b = BUF_INIT;

		set_print(&b, &r->found);
		stream_printf(st, " ALL %s", buf_str(&b));
		buf_free(&b);
	}
	stream_puts(st, "\r\n");
}

static void
put_search(struct session *s, const struct result_set *r)
{
	stream_puts(s->st, "* SEARCH");
	for (size_t i = 0; i < r->found.n; i++) {
		uint32_t n = r->found.v[i].lo;

		for (;; n++) {
			stream_printf(s->st, " %lu", (unsigned long)n);
			if (n == r->found.v[i].hi)
				break;
		}
	}
	stream_puts(s->st, "\r\n");
}

static struct result
run(struct session *s, struct search *se, unsigned ret)
{
	struct result_set found = { .count = 0 };
	struct err e = ERR_INIT;
	struct parse p;
	struct span tag;

	se->now = clock_now();
	for (size_t i = 0; i < s->mb->told_exists; i++) {
		uint32_t n = s->uid ? s->mb->v[i].uid : (uint32_t)i + 1;
		int m = search_match(se, s, i, &e);

		if (m < 0) {
			set_free(&found.found);
			return result_err(s, &e);
		}
		if (m == 0)
			continue;
		if (found.count++ == 0)
			found.min = n;
		found.max = n;
		set_add(&found.found, n, n);
	}
	/* it was parsed before, as the first word of the command */
	parse_init(&p, buf_span(&s->text));
	if (!parse_tag(&p, &tag))
		tag = SPAN("");
	s->st->out_deadline = clock_deadline(60000);
	if (ret != 0)
		put_esearch(s, &found, ret, tag);
	else
		put_search(s, &found);
	set_free(&found.found);
	return result_ok("Search completed");
}

struct result
cmd_search(struct session *s)
{
	struct search se = { .v = NULL };
	struct result r;
	unsigned ret = 0;
	bool known = true;

	if (!parse_sp(&s->p) ||
	    (parse_word(&s->p, "RETURN") && !parse_return(s, &ret)) ||
	    (parse_word(&s->p, "CHARSET") && !parse_charset(s, &known)))
		return result_bad(s);
	if (!known)
		return result_no("BADCHARSET (US-ASCII UTF-8)",
				 "Unknown charset");
	r = search_parse(&se, s) ? run(s, &se, ret) : result_bad(s);
	search_free(&se);
	return r;
}
