/*
 * headers_act.c - the actions of header_checks(5), a row each.
 */
#include <stdlib.h>

#include "addr.h"
#include "escape.h"
#include "headers.h"
#include "log.h"
#include "mem.h"

static const char *
place_words(const struct hit *h)
{
	return h->place == PLACE_BODY ? "body" : "header";
}

/* "info: header Subject: x: TEXT", as Postfix logs it. */
static void
say(const char *what, const struct hit *h, struct span text)
{
	struct buf b = BUF_INIT, t = BUF_INIT;

	escape_line(&b, span_sub(h->line, 0, 200), 0);
	escape_line(&t, text, 1000);
	log_info("%s: %s %s%s%s", what, place_words(h), buf_str(&b),
		 t.n ? ": " : "", buf_str(&t));
	buf_free(&b);
	buf_free(&t);
}

/* Text that goes in place of a header must be one itself. */
static bool
is_header_text(const struct hit *h, struct span text, const char *action)
{
	struct msg_field f;

	if (text.n && (h->place == PLACE_BODY || msg_next_field(text, &f)))
		return true;
	if (!text.n) {
		log_warn("%s: there is no text: left out", action);
		return false;
	}
	log_warn("%s %.*s: the text must begin with a header name and a "
		 "colon: left out",
		 action, SPAN_ARG(span_sub(text, 0, 100)));
	return false;
}

static const char *
eol_of(const struct hit *h)
{
	return span_ends(h->whole, SPAN("\r\n")) ? "\r\n" : "\n";
}

/* A body line with the line end of the one it stands for. */
static void
put_line(struct checks *c, const struct hit *h, struct span at,
	 struct span text)
{
	struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < text.n; i++)
		buf_addc(&b, text.p[i] == '\n' || text.p[i] == '\r'
				 ? ' '
				 : text.p[i]);
	buf_adds(&b, eol_of(h));
	msg_edit_bytes(&c->ed, at, buf_span(&b));
	buf_free(&b);
}

static void
act_ignore(struct checks *c, const struct hit *h, struct span text)
{
	(void)text;
	if (h->field)
		msg_edit_delete(&c->ed, h->field);
	else
		msg_edit_bytes(&c->ed, h->whole, SPAN(""));
}

static void
act_strip(struct checks *c, const struct hit *h, struct span text)
{
	say("strip", h, text);
	act_ignore(c, h, text);
}

static void
act_replace(struct checks *c, const struct hit *h, struct span text)
{
	if (!is_header_text(h, text, "REPLACE"))
		return;
	say("replace", h, text);
	if (h->field)
		msg_edit_replace(&c->ed, h->field, text);
	else
		put_line(c, h, h->whole, text);
}

static void
act_prepend(struct checks *c, const struct hit *h, struct span text)
{
	if (!is_header_text(h, text, "PREPEND"))
		return;
	say("prepend", h, text);
	if (h->field)
		msg_edit_insert(&c->ed, h->field, text);
	else
		put_line(c, h, span_sub(h->whole, 0, 0), text);
}

static void
act_warn(struct checks *c, const struct hit *h, struct span text)
{
	(void)c;
	say("warning", h, text);
}

static void
act_info(struct checks *c, const struct hit *h, struct span text)
{
	(void)c;
	say("info", h, text);
}

static void
act_pass(struct checks *c, const struct hit *h, struct span text)
{
	say("pass", h, text);
	c->done = true;
}

static void
act_hold(struct checks *c, const struct hit *h, struct span text)
{
	if (!c->hold) /* said once, as cleanup does */
		say("hold", h, text);
	c->hold = true;
}

static void
act_discard(struct checks *c, const struct hit *h, struct span text)
{
	say("discard", h, text);
	c->discard = c->done = true;
}

/* RFC 3463 class of "4.7.1 text"; 0: no code stands there. */
static char
code_class(struct span text)
{
	struct span code = span_sub(text, 0, 0), a, b;

	if (!span_word(&text, " \t", &code) || code.n > 9)
		return 0;
	if (!span_split(&code, '.', &a) || !span_split(&code, '.', &b) ||
	    !code.p || a.n != 1 || !b.n || !code.n)
		return 0;
	if (!ascii_isdigit(b.p[0]) || !ascii_isdigit(code.p[0]))
		return 0;
	return a.p[0] == '4' || a.p[0] == '5' ? a.p[0] : 0;
}

static void
act_reject(struct checks *c, const struct hit *h, struct span text)
{
	if (!text.n)
		text = SPAN("message content rejected");
	if (!code_class(text))
		buf_adds(&c->reject, "5.7.1 ");
	escape_line(&c->reject, text, 200);
	say("reject", h, buf_span(&c->reject));
	c->done = true;
}

/* The argument as an address, as it is written; NULL with a warning. */
static char *
address_of(const char *action, struct span text)
{
	struct err e = ERR_INIT;
	bool whole = false;
	struct addr a;

	if (addr_parse(&a, text, &e) == 0) {
		whole = a.domain.n > 0;
		addr_free(&a);
	}
	if (!whole) {
		log_warn("%s %.*s: not an address user@domain: left out",
			 action, SPAN_ARG(span_sub(text, 0, 100)));
		return NULL;
	}
	return mem_spandup(text);
}

static void
act_redirect(struct checks *c, const struct hit *h, struct span text)
{
	char *to = address_of("REDIRECT", text);

	if (!to)
		return;
	say("redirect", h, text);
	free(c->redirect);
	c->redirect = to;
	/* cleanup turns its checks off then, whatever header_checks(5) says */
	c->done = true;
}

static void
act_bcc(struct checks *c, const struct hit *h, struct span text)
{
	char *to = address_of("BCC", text);

	if (!to)
		return;
	say("bcc", h, text);
	if (!strs_has(&c->bcc, span_of(to)))
		strs_add(&c->bcc, to);
	free(to);
}

static void
act_filter(struct checks *c, const struct hit *h, struct span text)
{
	if (span_chr(text, ':') <= 0) {
		log_warn("FILTER %.*s: expected TRANSPORT:DESTINATION: left "
			 "out",
			 SPAN_ARG(span_sub(text, 0, 100)));
		return;
	}
	say("filter", h, text);
	free(c->filter);
	c->filter = mem_spandup(text);
}

static void
act_dunno(struct checks *c, const struct hit *h, struct span text)
{
	(void)c;
	(void)h;
	(void)text;
}

static const struct {
	const char *name;
	void (*act)(struct checks *, const struct hit *, struct span);
} rows[] = {
	{ "BCC", act_bcc },           { "DISCARD", act_discard },
	{ "DUNNO", act_dunno },       { "FILTER", act_filter },
	{ "HOLD", act_hold },         { "IGNORE", act_ignore },
	{ "INFO", act_info },         { "OK", act_dunno },
	{ "PASS", act_pass },         { "PREPEND", act_prepend },
	{ "REDIRECT", act_redirect }, { "REJECT", act_reject },
	{ "REPLACE", act_replace },   { "STRIP", act_strip },
	{ "WARN", act_warn },
};

void
headers_obey(struct checks *c, const struct hit *h)
{
	struct span text = span_trim(buf_span(&c->value)), word;
	size_t i;

	if (!span_word(&text, " \t", &word))
		return;
	text = text.p ? span_trim(text) : SPAN("");
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (span_iis(word, rows[i].name)) {
			rows[i].act(c, h, text);
			return;
		}
	log_warn("action \"%.*s\" is not known: left out; see "
		 "header_checks(5)",
		 SPAN_ARG(span_sub(word, 0, 40)));
}
