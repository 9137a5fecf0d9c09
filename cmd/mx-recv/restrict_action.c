/*
 * restrict_action.c - what an access table or a policy server may say.
 * Postfix access(5), SMTPD_POLICY_README.
 */
#include "restrict.h"

#include "log.h"
#include "mem.h"
#include "msg.h"
#include "num.h"

#include <stdlib.h>

#define LIST_DEPTH 20

void
session_actions_clear(struct actions *a)
{
	free(a->redirect);
	free(a->filter);
	strs_free(&a->bcc);
	strs_free(&a->prepend);
	*a = (struct actions){ 0 };
}

static char *
dup_or_null(const char *s)
{
	return s != NULL ? mem_strdup(s) : NULL;
}

void
session_actions_copy(struct actions *to, const struct actions *from)
{
	session_actions_clear(to);
	to->hold = from->hold;
	to->discard = from->discard;
	to->redirect = dup_or_null(from->redirect);
	to->filter = dup_or_null(from->filter);
	for (size_t i = 0; i < from->bcc.n; i++)
		strs_add(&to->bcc, from->bcc.v[i]);
	for (size_t i = 0; i < from->prepend.n; i++)
		strs_add(&to->prepend, from->prepend.v[i]);
}

/* "5.7.2 text": an enhanced code in front belongs to the reply. */
static enum verdict
refuse(struct check *c, enum about about, int64_t code, const char *esc,
       struct span text, const char *fallback)
{
	struct span rest = text, word;
	char mine[12];

	if (span_word(&rest, " \t", &word) && word.n >= 5 && word.n < 12 &&
	    (word.p[0] == '4' || word.p[0] == '5') && word.p[1] == '.') {
		memcpy(mine, word.p, word.n);
		mine[word.n] = '\0';
		esc = mine;
		text = span_trim(rest);
	}
	if (text.n == 0)
		text = span_of(fallback);
	return restrict_reject(c, code, esc, about, "%.*s", SPAN_ARG(text));
}

static enum verdict
act_ok(struct check *c, enum about about, struct span arg)
{
	(void)c;
	(void)about;
	(void)arg;
	return V_PERMIT;
}

static enum verdict
act_dunno(struct check *c, enum about about, struct span arg)
{
	(void)c;
	(void)about;
	(void)arg;
	return V_DUNNO;
}

/* REJECT text: Postfix's access_map_reject_code and words. */
static enum verdict
act_reject(struct check *c, enum about about, struct span arg)
{
	return refuse(c, about, c->s->conf->p.code_access_reject, "5.7.1", arg,
		      "Access denied");
}

static enum verdict
act_defer(struct check *c, enum about about, struct span arg)
{
	return refuse(c, about, c->s->conf->p.code_access_defer, "4.7.1", arg,
		      "Access denied");
}

static enum verdict
act_defer_if_permit(struct check *c, enum about about, struct span arg)
{
	(void)refuse(c, about, c->s->conf->p.code_access_defer, "4.7.1", arg,
		     "Service unavailable");
	return restrict_defer_if_permit(c);
}

static enum verdict
act_defer_if_reject(struct check *c, enum about about, struct span arg)
{
	(void)refuse(c, about, c->s->conf->p.code_access_defer, "4.7.1", arg,
		     "Service unavailable");
	return restrict_defer_if_reject(c);
}

/* "ID: verb: RCPT from ...: <SUBJECT>: Sender address TEXT; from=..." */
static void tell(struct check *c, const char *verb, enum about about,
		 const char *fmt, ...) MX_PRINTF(4, 5);
static void
tell(struct check *c, const char *verb, enum about about, const char *fmt, ...)
{
	struct span subject = restrict_subject(c, about);
	struct buf b = BUF_INIT;
	va_list ap;

	buf_addf(&b, "<%.*s>: %s ", SPAN_ARG(subject), restrict_class(about));
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	restrict_log_text(c->s, verb, c->what, buf_str(&b));
	buf_free(&b);
}

static enum verdict
act_warn(struct check *c, enum about about, struct span arg)
{
	char *text = mem_spandup(arg);

	(void)about;
	restrict_log_text(c->s, "warn", c->what, text);
	free(text);
	return V_DUNNO;
}

static enum verdict
act_info(struct check *c, enum about about, struct span arg)
{
	char *text = mem_spandup(arg);

	(void)about;
	restrict_log_text(c->s, "info", c->what, text);
	free(text);
	return V_DUNNO;
}

/* Those of this message; before MAIL, of those that follow. */
static struct actions *
actions(struct check *c)
{
	return c->s->in_mail ? &c->s->actions : &c->s->lasting;
}

/* Told on to the delivery side with XACTION; nothing is refused. */
static enum verdict
act_hold(struct check *c, enum about about, struct span arg)
{
	tell(c, "hold", about, "%.*s",
	     SPAN_ARG(arg.n > 0 ? arg : SPAN("triggers HOLD action")));
	if (!c->warn)
		actions(c)->hold = true;
	return V_DUNNO;
}

/* The client hears 250, nobody gets it: the log is the only witness. */
static enum verdict
act_discard(struct check *c, enum about about, struct span arg)
{
	tell(c, "discard", about, "%.*s",
	     SPAN_ARG(arg.n > 0 ? arg : SPAN("triggers DISCARD action")));
	if (c->warn)
		return V_DUNNO;
	actions(c)->discard = true;
	return V_PERMIT;
}

/* A word that is missing or malformed: the message waits until the table is
 * right. */
static enum verdict
malformed(struct check *c, enum about about, const char *word, struct span arg)
{
	log_warn("access table or policy server: %s needs %s, got \"%.*s\"",
		 word,
		 strcmp(word, "FILTER") == 0    ? "TRANSPORT:NEXTHOP"
		 : strcmp(word, "PREPEND") == 0 ? "\"Name: text\""
						: "an address",
		 SPAN_ARG(span_sub(arg, 0, 100)));
	return restrict_reject(c, 451, "4.3.5", about,
			       "Server configuration error");
}

/* What a table names as a recipient must be one: it goes into an SMTP command.
 */
static bool
is_address(struct span arg)
{
	struct err e = ERR_INIT;
	struct addr a;
	bool ok;

	if (addr_parse(&a, arg, &e) != 0)
		return false;
	ok = a.domain.n > 0;
	addr_free(&a);
	return ok;
}

static enum verdict
act_redirect(struct check *c, enum about about, struct span arg)
{
	struct actions *a = actions(c);

	if (!is_address(arg))
		return malformed(c, about, "REDIRECT", arg);
	tell(c, "redirect", about, "triggers REDIRECT %.*s", SPAN_ARG(arg));
	if (!c->warn) {
		free(a->redirect);
		a->redirect = mem_spandup(arg);
	}
	return V_DUNNO;
}

static enum verdict
act_filter(struct check *c, enum about about, struct span arg)
{
	struct actions *a = actions(c);

	if (span_chr(arg, ':') <= 0 || span_chr(arg, ' ') >= 0)
		return malformed(c, about, "FILTER", arg);
	tell(c, "filter", about, "triggers FILTER %.*s", SPAN_ARG(arg));
	if (!c->warn) {
		free(a->filter);
		a->filter = mem_spandup(arg);
	}
	return V_DUNNO;
}

static enum verdict
act_bcc(struct check *c, enum about about, struct span arg)
{
	struct actions *a = actions(c);

	if (!is_address(arg))
		return malformed(c, about, "BCC", arg);
	tell(c, "bcc", about, "triggers BCC %.*s", SPAN_ARG(arg));
	if (!c->warn && !strs_has(&a->bcc, arg))
		strs_addspan(&a->bcc, arg);
	return V_DUNNO;
}

static enum verdict
act_prepend(struct check *c, enum about about, struct span arg)
{
	struct actions *a = actions(c);
	ssize_t colon = span_chr(arg, ':');
	bool ok = colon > 0 && !span_has_ctl(arg);

	for (ssize_t i = 0; ok && i < colon; i++)
		ok = arg.p[i] > ' ';
	if (!ok || c->stage == STAGE_END)
		return malformed(c, about, "PREPEND", arg);
	tell(c, "prepend", about, "triggers PREPEND %.*s", SPAN_ARG(arg));
	/* Each recipient asks again; the field is wanted once. */
	if (!c->warn && !strs_has(&a->prepend, arg))
		strs_addspan(&a->prepend, arg);
	return V_DUNNO;
}

static const struct {
	const char *word;
	enum verdict (*act)(struct check *, enum about, struct span);
} acts[] = {
	{ "OK", act_ok },
	{ "PERMIT", act_ok },
	{ "DUNNO", act_dunno },
	{ "REJECT", act_reject },
	{ "DEFER", act_defer },
	{ "DEFER_IF_PERMIT", act_defer_if_permit },
	{ "DEFER_IF_REJECT", act_defer_if_reject },
	{ "WARN", act_warn },
	{ "INFO", act_info },
	{ "HOLD", act_hold },
	{ "DISCARD", act_discard },
	{ "REDIRECT", act_redirect },
	{ "FILTER", act_filter },
	{ "BCC", act_bcc },
	{ "PREPEND", act_prepend },
};

/* A class that the administrator declared; NULL: none of that name. */
static const struct rules *
class_named(const struct conf *conf, struct span name)
{
	for (size_t i = 0; i < conf->p.restriction_classes.n; i++)
		if (span_is(name, conf->p.restriction_classes.v[i]))
			return conf->classes[i];
	return NULL;
}

/* Names of restrictions and of classes; nothing is opened here. */
static enum verdict
run_words(struct check *c, enum about about, struct span action)
{
	struct span rest = action, word;
	enum verdict v = V_DUNNO;

	if (c->depth >= LIST_DEPTH)
		return V_DUNNO;
	c->depth++;
	while (v == V_DUNNO && span_word(&rest, ", \t", &word)) {
		const struct rules *class = class_named(c->s->conf, word);
		char *name = mem_spandup(word);
		struct rule r = { .row = restrict_row(name) };

		free(name);
		if (class != NULL) {
			v = restrict_run(c, class);
			continue;
		}
		if (r.row != NULL && r.row->arg == ARG_ZONE &&
		    span_word(&rest, ", \t", &word))
			r.arg = mem_spandup(word);
		if (r.row == NULL || (r.row->arg != ARG_NONE && !r.arg)) {
			log_warn("access table: \"%.*s\" is no action or "
				 "restriction that can stand there",
				 SPAN_ARG(span_sub(action, 0, 100)));
			v = restrict_reject(c, 451, "4.3.5", about,
					    "Server configuration error");
			continue;
		}
		v = r.row->run(c, &r);
		free(r.arg);
	}
	c->depth--;
	return v;
}

enum verdict
restrict_action(struct check *c, enum about about, struct span action)
{
	struct span rest = span_trim(action), word, digits;
	int code;

	action = rest;
	if (!span_word(&rest, " \t", &word))
		return V_DUNNO;
	rest = span_trim(rest);
	for (size_t i = 0; i < ARRAY_LEN(acts); i++)
		if (span_iis(word, acts[i].word))
			return acts[i].act(c, about, rest);
	if (word.n == 3 && (word.p[0] == '4' || word.p[0] == '5') &&
	    num_int(word, 400, 599, &code))
		return refuse(c, about, code, code < 500 ? "4.7.1" : "5.7.1",
			      rest, "Access denied");
	/* All digits: OK, as relay-before-smtp tables have it. */
	digits = word;
	if (!span_word(&digits, "0123456789", &rest))
		return V_PERMIT;
	return run_words(c, about, action);
}
