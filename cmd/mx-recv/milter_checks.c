/*
 * milter_checks.c - milter_header_checks: tables about the fields that filters
 * add, insert or change.  header_checks(5) has the actions; as in Postfix,
 * PREPEND is not among them.
 */
#include "milter_int.h"

#include "escape.h"
#include "log.h"
#include "mem.h"
#include "msg.h"
#include "restrict.h"

#include <stdio.h>
#include <stdlib.h>

/* "ID: milter-header-reject: header X-Spam: yes from name[addr]: TEXT; ..." */
static void
say(struct milters *m, size_t i, const char *verb, struct span text)
{
	struct span line = buf_span(&m->fields[i].text);
	struct buf what = BUF_INIT, words = BUF_INIT;
	char *full = mem_printf("milter-header-%s", verb);

	buf_adds(&what, "header ");
	escape_line(&what, span_sub(line, 0, line.n - 1), 200);
	escape_line(&words, text, 200);
	restrict_log_text(m->s, full, buf_str(&what), buf_str(&words));
	buf_free(&what);
	buf_free(&words);
	free(full);
}

/* "4.7.1 text" -> its code; 0: no enhanced code stands there. */
static char
code_class(struct span text)
{
	struct span word, a, b;

	if (!span_word(&text, " \t", &word) || word.n < 5 || word.n > 9 ||
	    !span_split(&word, '.', &a) || !span_split(&word, '.', &b) ||
	    a.n != 1 || b.n == 0 || word.n == 0 || !ascii_isdigit(b.p[0]) ||
	    !ascii_isdigit(word.p[0]))
		return 0;
	return a.p[0] == '4' || a.p[0] == '5' ? a.p[0] : 0;
}

static void
refuse(struct milters *m, int code, const char *esc, struct span text)
{
	if (m->checked.code != 0)
		return; /* the first one counts */
	m->checked.code = code;
	snprintf(m->checked.esc, sizeof(m->checked.esc), "%s", esc);
	escape_line(&m->checked.text, text, 200);
}

static void
act_reject(struct milters *m, size_t i, struct span text)
{
	char class = code_class(text), esc[12] = "5.7.1";
	struct span word;

	say(m, i, "reject", text);
	if (class != 0) {
		(void)span_word(&text, " \t", &word);
		snprintf(esc, sizeof(esc), "%.*s", SPAN_ARG(word));
		text = span_trim(text);
	}
	if (text.n == 0)
		text = SPAN("message content rejected");
	refuse(m, class == '4' ? 450 : 550, esc, text);
}

/* Only the log hears of it. */
static void
act_warn(struct milters *m, size_t i, struct span text)
{
	say(m, i, "warning", text);
}

static void
act_info(struct milters *m, size_t i, struct span text)
{
	say(m, i, "info", text);
}

static void
act_ignore(struct milters *m, size_t i, struct span text)
{
	(void)text;
	milter_field_remove(m, i);
}

static void
act_strip(struct milters *m, size_t i, struct span text)
{
	say(m, i, "strip", text);
	milter_field_remove(m, i);
}

static void
act_replace(struct milters *m, size_t i, struct span text)
{
	struct buf *b = &m->fields[i].text;
	struct msg_field f;

	if (msg_next_field(text, &f) != text.n || text.n == 0) {
		log_warn("milter_header_checks: REPLACE %.*s: expected \"Name: "
			 "text\": left out",
			 SPAN_ARG(span_sub(text, 0, 100)));
		return;
	}
	say(m, i, "replace", text);
	buf_clear(b);
	buf_addspan(b, text);
	buf_addc(b, '\n');
}

static void
act_hold(struct milters *m, size_t i, struct span text)
{
	say(m, i, "hold", text);
	m->s->actions.hold = true;
}

static void
act_discard(struct milters *m, size_t i, struct span text)
{
	say(m, i, "discard", text);
	m->s->actions.discard = true;
}

static void
act_dunno(struct milters *m, size_t i, struct span text)
{
	(void)m;
	(void)i;
	(void)text;
}

/* Those that are the same as in access(5). */
static void
act_access(struct milters *m, const char *verb, struct span action)
{
	struct check c = { .s = m->s, .stage = STAGE_DATA, .what = verb };

	if (restrict_action(&c, ABOUT_SENDER, action) == V_REJECT) {
		refuse(m, c.reply.code, "4.3.5", buf_span(&c.reply.text));
		buf_free(&c.reply.text);
	}
}

static const struct {
	const char *word;
	void (*act)(struct milters *, size_t, struct span);
} rows[] = {
	{ "REJECT", act_reject }, { "WARN", act_warn },
	{ "INFO", act_info },     { "IGNORE", act_ignore },
	{ "STRIP", act_strip },   { "REPLACE", act_replace },
	{ "HOLD", act_hold },     { "DISCARD", act_discard },
	{ "DUNNO", act_dunno },   { "OK", act_dunno },
	{ "PASS", act_dunno },    { "BCC", NULL },
	{ "REDIRECT", NULL },     { "FILTER", NULL },
};

/* The first word is the action; what cannot be done to one field of a milter's
 * is logged and left out. */
static void
obey(struct milters *m, size_t i, struct span action)
{
	struct span rest = action, word;

	if (!span_word(&rest, " \t", &word))
		return;
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		if (!span_iis(word, rows[k].word))
			continue;
		if (rows[k].act == NULL)
			act_access(m, "END-OF-MESSAGE", action);
		else
			rows[k].act(m, i, span_trim(rest));
		return;
	}
	log_warn("milter_header_checks: action \"%.*s\" is none of "
		 "header_checks(5) that can stand here: left out",
		 SPAN_ARG(span_sub(word, 0, 40)));
}

void
milter_check_field(struct milters *m, size_t i)
{
	const struct tables *checks = &m->s->conf->milter_header_checks;
	struct span line = buf_span(&m->fields[i].text);
	struct buf value = BUF_INIT;
	struct err e = ERR_INIT;

	if (checks->n == 0)
		return;
	switch (
	    tables_lookup(checks, span_sub(line, 0, line.n - 1), &value, &e)) {
	case TABLE_FOUND:
		obey(m, i, span_trim(buf_span(&value)));
		break;
	case TABLE_TRY_AGAIN:
		log_warn("milter_header_checks: %s", e.text);
		refuse(m, 451, "4.3.0", SPAN("Temporary lookup failure"));
		break;
	case TABLE_NONE:
		break;
	}
	buf_free(&value);
}
