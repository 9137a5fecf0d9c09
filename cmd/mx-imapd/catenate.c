/*
 * catenate.c - CATENATE: a message put together from literals and parts of
 * other messages.  RFC 4469; URLs of RFC 5092 relative to this server, with
 * ";PARTIAL=" (RFC 5550).
 */
#include "append.h"
#include "capability.h"
#include "loaded.h"
#include "mailbox_name.h"
#include "num.h"
#include "section.h"

struct url {
	struct buf mailbox; /* empty: the one that is selected */
	uint32_t validity, uid;
	struct section section;
};

static bool
unpercent(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint64_t c;

		if (s.p[i] != '%') {
			buf_addc(b, s.p[i]);
			continue;
		}
		if (i + 2 >= s.n ||
		    !num_hex(span_sub(s, i + 1, i + 3), 255, &c) || c < 0x20)
			return false;
		buf_addc(b, (char)c);
		i += 2;
	}
	return true;
}

/* ";KEY=" at the front of *s, taken. */
static bool
key(struct span *s, const char *word)
{
	if (!span_istarts(*s, span_of(word)))
		return false;
	*s = span_from(*s, strlen(word));
	return true;
}

static bool
parse_section(struct url *u, struct span section, struct span partial)
{
	struct buf text = BUF_INIT, plain = BUF_INIT;
	struct span from = partial, count;
	struct parse p;
	bool ok = unpercent(&plain, section);

	buf_addf(&text, "[%s]", buf_str(&plain));
	if (partial.n > 0) {
		ssize_t dot = span_chr(partial, '.');

		count = SPAN("9223372036854775807");
		if (dot >= 0) {
			from = span_sub(partial, 0, (size_t)dot);
			count = span_from(partial, (size_t)dot + 1);
		}
		buf_addf(&text, "<%.*s.%.*s>", SPAN_ARG(from), SPAN_ARG(count));
	}
	parse_init(&p, buf_span(&text));
	ok = ok && section_parse(&u->section, &p) && parse_end(&p);
	buf_free(&text);
	buf_free(&plain);
	return ok;
}

/* "/Box;UIDVALIDITY=n/;UID=n/;SECTION=s/;PARTIAL=a.b" */
static bool
parse_url(struct url *u, struct span s)
{
	struct span section = SPAN(""), partial = SPAN(""), piece;
	uint64_t n;
	ssize_t at = span_ifind(s, SPAN("/;uid="));
	bool ok = true;

	if (at >= 0 && s.n > 0 && s.p[0] == '/') {
		struct span box = span_sub(s, 1, (size_t)at);
		ssize_t v = span_ifind(box, SPAN(";uidvalidity="));

		if (v >= 0 &&
		    !num_u64(span_from(box, (size_t)v + 13), UINT32_MAX, &n))
			return false;
		if (v >= 0)
			u->validity = (uint32_t)n;
		ok = unpercent(&u->mailbox,
			       v >= 0 ? span_sub(box, 0, (size_t)v) : box) &&
		     u->mailbox.n > 0;
	} else if (at != 0 && !span_istarts(s, SPAN(";uid="))) {
		return false;
	}
	s = span_from(s, at > 0 ? (size_t)at + 1 : at == 0 ? 1 : 0);
	if (!ok || !key(&s, ";uid=") || !span_split(&s, '/', &piece) ||
	    !num_u64(piece, UINT32_MAX, &n) || n == 0)
		return false;
	u->uid = (uint32_t)n;
	while (span_split(&s, '/', &piece)) {
		if (key(&piece, ";section="))
			section = piece;
		else if (key(&piece, ";partial="))
			partial = piece;
		else
			return false;
	}
	return parse_section(u, section, partial);
}

static bool
take_from(struct append *a, struct append_one *x, struct mailbox *mb,
	  const struct url *u)
{
	struct err e = ERR_INIT;
	struct buf made = BUF_INIT;
	struct loaded l;
	bool exact, ok;
	size_t at = mailbox_find(mb, u->uid, &exact);
	struct span bytes;

	if (!exact || (u->validity != 0 && u->validity != mb->ul.uidvalidity))
		return false;
	if (loaded_open(&l, mb, &mb->v[at], true, &e) != 0)
		return false;
	bytes = section_bytes(&u->section, &l, &made);
	ok = bytes.p != NULL;
	/* before it lies on the disk: a short command may name much */
	if (ok && x->n + bytes.n > APPEND_MAX)
		append_refuse(a,
			      result_no("TOOBIG", "The message is too large"));
	else if (ok)
		append_take(a, x, bytes);
	buf_free(&made);
	loaded_close(&l);
	return ok;
}

static bool
take_url(struct session *s, struct append *a, struct append_one *x,
	 const struct url *u)
{
	struct buf name = BUF_INIT;
	struct err e = ERR_INIT;
	struct mailbox *mb = NULL;
	bool ok = false;

	if (u->mailbox.n == 0)
		return s->mb != NULL && take_from(a, x, s->mb, u);
	/* RFC 5092 3: names in URLs are UTF-8 */
	if (mailbox_name_parse(&name, buf_span(&u->mailbox), true, &e) == 0)
		mb = mailbox_select(s->root, buf_str(&name), true, NULL, &e);
	if (mb != NULL)
		ok = take_from(a, x, mb, u);
	mailbox_close(mb);
	buf_free(&name);
	return ok;
}

static void
badurl(struct session *s, struct append *a, struct span text)
{
	if (a->refusal.text != NULL)
		return;
	buf_clear(&s->code);
	buf_adds(&s->code, "BADURL \"");
	for (size_t i = 0; i < text.n && i < 500; i++)
		if ((unsigned char)text.p[i] > 0x20 &&
		    (unsigned char)text.p[i] < 0x7f &&
		    strchr("\"\\[]", text.p[i]) == NULL)
			buf_addc(&s->code, text.p[i]);
	buf_addc(&s->code, '"');
	append_refuse(
	    a, result_no(buf_str(&s->code), "The URL cannot be resolved"));
}

/* The URL may itself be a literal: short, so it is collected. */
static bool
url_part(struct session *s, struct append *a, struct append_one *x)
{
	struct buf text = BUF_INIT;
	struct url u = { .uid = 0 };
	bool ok;

	if (parse_peek(&s->p) == '{' && s->has_literal) {
		struct append_one in = { .dep.fd = -1 };

		ok = s->literal.n < 4096 && append_literal(s, a, &in, true);
		buf_addspan(&text, buf_span(&in.whole));
		buf_free(&in.whole);
	} else {
		ok = parse_astring(&s->p, &text);
	}
	if (ok && (!parse_url(&u, buf_span(&text)) || !take_url(s, a, x, &u)))
		badurl(s, a, buf_span(&text));
	section_free(&u.section);
	buf_free(&u.mailbox);
	buf_free(&text);
	return ok;
}

static bool
one_part(struct session *s, struct append *a, struct append_one *x)
{
	struct parse *p = &s->p;
	bool utf8 = false;

	if (parse_word(p, "URL"))
		return parse_sp(p) && url_part(s, a, x);
	if (parse_word(p, "UTF8")) { /* RFC 6855 4 */
		utf8 = true;
		append_wants_utf8(s, a);
		if (!parse_sp(p) || !parse_char(p, '('))
			return false;
	} else if (!parse_word(p, "TEXT") || !parse_sp(p)) {
		return false;
	}
	if (parse_peek(p) == '~' && !parse_char(p, '~'))
		return false;
	return parse_peek(p) == '{' && s->has_literal &&
	       append_literal(s, a, x, false) && (!utf8 || parse_char(p, ')'));
}

struct result
append_catenate(struct session *s, struct append *a, struct append_one *x)
{
	bool ok = parse_char(&s->p, '(');

	while (ok) {
		ok = one_part(s, a, x);
		if (!ok || parse_peek(&s->p) != ' ')
			break;
		ok = parse_sp(&s->p);
	}
	if (!ok || !parse_char(&s->p, ')'))
		return a->refusal.text != NULL ? a->refusal : result_bad(s);
	if (x->n > APPEND_MAX)
		append_refuse(a,
			      result_no("TOOBIG", "The message is too large"));
	append_end(a, x);
	return result_ok("");
}
