/*
 * restrict.c - runs restriction lists; see restrict.h.
 */
#include "restrict.h"

#include "explain.h"
#include "log.h"
#include "mem.h"
#include "received.h"

#include <stdlib.h>

#define CLASS_DEPTH 20

static const struct {
	const char *name, *what;
	enum about about;
} stages[STAGES] = {
	{ "client", "CONNECT", ABOUT_CLIENT },
	{ "helo", "HELO", ABOUT_HELO },
	{ "sender", "MAIL", ABOUT_SENDER },
	{ "relay", "RCPT", ABOUT_RECIPIENT },
	{ "recipient", "RCPT", ABOUT_RECIPIENT },
	{ "data", "DATA", ABOUT_DATA },
	{ "end_of_data", "END-OF-MESSAGE", ABOUT_END },
};

/* Postfix's words for whom a reply is about. */
static const char *const classes[] = {
	[ABOUT_CLIENT] = "Client host",
	[ABOUT_REVERSE] = "Unverified Client host",
	[ABOUT_HELO] = "Helo command",
	[ABOUT_SENDER] = "Sender address",
	[ABOUT_RECIPIENT] = "Recipient address",
	[ABOUT_DATA] = "Data command",
	[ABOUT_END] = "End-of-data",
	[ABOUT_CCERT] = "Client certificate",
	[ABOUT_LOGIN] = "SASL login name",
};

const char *
restrict_stage_name(int stage)
{
	return stages[stage].name;
}

const char *
restrict_class(enum about about)
{
	return classes[about];
}

enum about
restrict_about(enum stage stage)
{
	return stages[stage].about;
}

struct span
restrict_subject(struct check *c, enum about about)
{
	struct session *s = c->s;

	switch (about) {
	case ABOUT_CLIENT:
		return span_of(s->who);
	case ABOUT_REVERSE:
		return span_of(s->reverse_name != NULL ? s->reverse_name
						       : "unknown");
	case ABOUT_HELO:
		return span_of(s->helo);
	case ABOUT_SENDER:
		return buf_span(&s->sender_text);
	case ABOUT_RECIPIENT:
		return buf_span(&s->rcpt_text);
	case ABOUT_LOGIN:
		return span_of(s->auth_user);
	default:
		return span_of(c->what);
	}
}

/* ------- answers */

static void
set_reply(struct check *c, int64_t code, const char *esc, struct buf *text)
{
	size_t n = strlen(esc);

	buf_free(&c->reply.text);
	if (n >= sizeof(c->esc))
		n = sizeof(c->esc) - 1;
	memmove(c->esc, esc, n);
	c->esc[n] = '\0';
	/* A code that was configured decides; the rest of esc stays. */
	c->esc[0] = (char)('0' + code / 100);
	c->reply = (struct reply){ .code = (int)code, .esc = c->esc };
	c->reply.text = *text;
	if (code == 421 || code == 521)
		c->reply.close = true;
}

enum verdict
restrict_reject(struct check *c, int64_t code, const char *esc,
		enum about about, const char *fmt, ...)
{
	struct span subject = restrict_subject(c, about);
	struct buf b = BUF_INIT;
	va_list ap;

	buf_addf(&b, "<%.*s>: %s rejected: ", SPAN_ARG(subject),
		 classes[about]);
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	set_reply(c, code, esc, &b);
	return V_REJECT;
}

enum verdict
restrict_say(struct check *c, int64_t code, const char *esc, const char *fmt,
	     ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	set_reply(c, code, esc, &b);
	return V_REJECT;
}

/* Keeps the first of its kind; it owns its enhanced code then. */
static enum verdict
keep(struct check *c, struct reply *place)
{
	if (c->warn) {
		/* Only to be logged, as the loop does with a refusal. */
		return V_REJECT;
	}
	if (place->code == 0) {
		*place = c->reply;
		place->esc = mem_strdup(c->esc);
	} else {
		buf_free(&c->reply.text);
	}
	c->reply = (struct reply){ 0 };
	return V_DUNNO;
}

enum verdict
restrict_defer_if_permit(struct check *c)
{
	return keep(c, &c->defer_if_permit);
}

enum verdict
restrict_defer_if_reject(struct check *c)
{
	return keep(c, &c->defer_if_reject);
}

enum verdict
restrict_tempfail(struct check *c, int action)
{
	return action == TEMPFAIL_DEFER ? V_REJECT
					: restrict_defer_if_permit(c);
}

enum verdict
restrict_no_table(struct check *c, enum about about, const struct err *e)
{
	struct span t = restrict_subject(c, about);

	log_warn("%s", e->text);
	return restrict_say(c, 451, "4.3.0", "<%.*s>: Temporary lookup failure",
			    SPAN_ARG(t));
}

/* ------- the log */

static void
log_facts(struct session *s, const char *verb, const char *what,
	  const char *code, struct span text)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s: %s: %s from %s: %s",
		 s->queue_id[0] != '\0' && s->rcpts > 0 ? s->queue_id
							: "NOQUEUE",
		 verb, what, s->who, code);
	for (size_t i = 0; i < text.n; i++)
		buf_addc(&b, text.p[i] == '\n' ? ' ' : text.p[i]);
	buf_addc(&b, ';');
	if (s->in_mail || s->sender_text.n > 0)
		buf_addf(&b, " from=<%s>", buf_str(&s->sender_text));
	if (strcmp(what, "RCPT") == 0)
		buf_addf(&b, " to=<%s>", buf_str(&s->rcpt_text));
	else if (s->rcpts > 0)
		buf_addf(&b, " to=<%s>", buf_str(&s->first_rcpt));
	buf_addf(&b, " proto=%s", session_proto(s));
	if (s->helo != NULL)
		buf_addf(&b, " helo=<%s>", s->helo);
	if (s->auth_user != NULL)
		buf_addf(&b, " sasl_username=<%s>", s->auth_user);
	log_info("%s", buf_str(&b));
	buf_free(&b);
}

void
restrict_log(struct session *s, const char *verb, const char *what,
	     const struct reply *r)
{
	struct buf code = BUF_INIT;

	buf_addf(&code, "%d ", r->code);
	if (r->esc != NULL && r->esc[0] != '\0')
		buf_addf(&code, "%s ", r->esc);
	log_facts(s, verb, what, buf_str(&code), buf_span(&r->text));
	buf_free(&code);
}

/* Access tables' WARN, HOLD and the like: a line without a code. */
void
restrict_log_text(struct session *s, const char *verb, const char *what,
		  const char *text)
{
	log_facts(s, verb, what, "", span_of(text));
}

/* ------- running */

/* A class runs as if its words stood there; classes that name each other end
 * at CLASS_DEPTH. */
static enum verdict
run_rule(struct check *c, const struct rule *r)
{
	enum verdict v;

	if (r->list == NULL)
		return r->row->run(c, r);
	if (c->depth >= CLASS_DEPTH)
		return V_DUNNO;
	c->depth++;
	v = restrict_run(c, r->list);
	c->depth--;
	return v;
}

/* For --explain: each rule and what it said. */
static void
told(const struct check *c, const struct rule *r, enum verdict v)
{
	struct span text = buf_span(&c->reply.text);

	if (r->row == NULL)
		explain("rule", "end of the class: %s",
			v == V_DUNNO ? "next" : "decided");
	else if (v == V_REJECT)
		explain("rule", "%s%s%s: %s%d %s %.*s", r->row->name,
			r->arg != NULL ? " " : "", r->arg != NULL ? r->arg : "",
			c->warn ? "(warning only) " : "", c->reply.code,
			c->reply.esc, SPAN_ARG(text));
	else
		explain("rule", "%s%s%s: %s", r->row->name,
			r->arg != NULL ? " " : "", r->arg != NULL ? r->arg : "",
			v == V_PERMIT ? "permit" : "next");
}

/* Depth is bounded by CLASS_DEPTH. */
enum verdict
restrict_run(struct check *c, const struct rules *l)
{
	bool outer = c->warn;

	for (size_t i = 0; i < l->n; i++) {
		enum verdict v;

		if (l->v[i].row != NULL &&
		    strcmp(l->v[i].row->name, "warn_if_reject") == 0) {
			c->warn = true;
			continue;
		}
		v = run_rule(c, &l->v[i]);
		told(c, &l->v[i], v);
		if (v == V_REJECT && c->warn) {
			restrict_log(c->s, "reject_warning", c->what,
				     &c->reply);
			buf_free(&c->reply.text);
			c->reply = (struct reply){ 0 };
			v = V_DUNNO;
		}
		c->warn = outer;
		if (v != V_DUNNO)
			return v;
	}
	return V_DUNNO;
}

/* The reply outlives the check: its enhanced code must too. */
static struct reply
lasting(struct session *s, const struct check *c, struct reply r)
{
	(void)c;
	if (r.esc != NULL) {
		memcpy(s->esc_mem, r.esc, strlen(r.esc) + 1);
		r.esc = s->esc_mem;
	}
	return r;
}

static void
forget(struct reply *r)
{
	union {
		const char *c;
		char *p;
	} esc = { r->esc };

	buf_free(&r->text);
	free(esc.p);
}

/* Runs stages in order; on refusal logs and fills r. */
static bool
run_stages(struct session *s, const enum stage *v, size_t n, const char *what,
	   struct reply *r)
{
	struct check c = { .s = s, .what = what };
	bool refused = false;

	for (size_t i = 0; i < n && !refused; i++) {
		c.stage = v[i];
		if (s->conf->rules[v[i]]->n > 0)
			explain("list", "smtpd_%s_restrictions",
				stages[v[i]].name);
		refused = restrict_run(&c, s->conf->rules[v[i]]) == V_REJECT;
	}
	/* postconf(5): DEFER_IF_REJECT turns a permanent no into a temporary
	 * one, DEFER_IF_PERMIT a yes. */
	if (refused && c.defer_if_reject.code != 0 && c.reply.code >= 500) {
		buf_free(&c.reply.text);
		*r = lasting(s, &c, c.defer_if_reject);
		c.defer_if_reject.text = BUF_INIT;
	} else if (!refused && c.defer_if_permit.code != 0) {
		*r = lasting(s, &c, c.defer_if_permit);
		c.defer_if_permit.text = BUF_INIT;
		refused = true;
	} else if (refused) {
		*r = lasting(s, &c, c.reply);
	}
	forget(&c.defer_if_permit);
	forget(&c.defer_if_reject);
	if (refused)
		restrict_log(s, "reject", what, r);
	return refused;
}

bool
restrict_connect(struct session *s, struct reply *r)
{
	static const enum stage v[] = { STAGE_CLIENT };

	if (s->conf->p.delay_reject || !run_stages(s, v, 1, "CONNECT", r))
		return false;
	r->close = true;
	return true;
}

bool
restrict_helo(struct session *s, struct reply *r)
{
	static const enum stage v[] = { STAGE_HELO };

	return !s->conf->p.delay_reject &&
	       run_stages(s, v, 1, s->esmtp ? "EHLO" : "HELO", r);
}

bool
restrict_mail(struct session *s, struct reply *r)
{
	static const enum stage v[] = { STAGE_SENDER };

	return !s->conf->p.delay_reject && run_stages(s, v, 1, "MAIL", r);
}

/* smtpd_reject_unlisted_sender: behind all lists. */
static bool
unlisted_sender(struct session *s, struct reply *r)
{
	struct rule rule = { .row = restrict_row("reject_unlisted_sender") };
	struct check c = { .s = s, .what = "RCPT", .stage = STAGE_SENDER };

	if (rule.row == NULL || rule.row->run(&c, &rule) != V_REJECT)
		return false;
	*r = lasting(s, &c, c.reply);
	restrict_log(s, "reject", "RCPT", r);
	return true;
}

bool
restrict_rcpt(struct session *s, struct reply *r)
{
	enum stage v[STAGES];
	size_t n = 0;

	if (s->conf->p.delay_reject) {
		v[n++] = STAGE_CLIENT;
		v[n++] = STAGE_HELO;
		v[n++] = STAGE_SENDER;
	}
	if (s->conf->p.relay_before_recipient)
		v[n++] = STAGE_RELAY;
	v[n++] = STAGE_RECIPIENT;
	if (!s->conf->p.relay_before_recipient)
		v[n++] = STAGE_RELAY;
	if (run_stages(s, v, n, "RCPT", r))
		return true;
	return s->conf->p.reject_unlisted_sender && unlisted_sender(s, r);
}

bool
restrict_data(struct session *s, struct reply *r)
{
	static const enum stage v[] = { STAGE_DATA };

	return run_stages(s, v, 1, "DATA", r);
}

bool
restrict_end(struct session *s, struct reply *r)
{
	static const enum stage v[] = { STAGE_END };

	return run_stages(s, v, 1, "END-OF-MESSAGE", r);
}
