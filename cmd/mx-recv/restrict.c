/*
 * restrict.c - parses and runs restriction lists; see restrict.h.
 */
#include "restrict.h"

#include "log.h"
#include "mem.h"
#include "num.h"
#include "received.h"
#include "site.h"
#include "status.h"

#include <stdlib.h>

#define CLASS_DEPTH 20

static const struct {
	const char *name, *class, *what;
} stages[STAGES] = {
	{ "client", "Client host", "CONNECT" },
	{ "helo", "Helo command", "HELO" },
	{ "sender", "Sender address", "MAIL" },
	{ "relay", "Recipient address", "RCPT" },
	{ "recipient", "Recipient address", "RCPT" },
	{ "data", "Data command", "DATA" },
};

const char *
restrict_stage_name(int stage)
{
	return stages[stage].name;
}

/* ------- parsing */

static const struct restriction *
find_row(const char *word)
{
	for (size_t i = 0; i < restrict_nrows; i++)
		if (strcmp(restrict_rows[i].name, word) == 0)
			return &restrict_rows[i];
	return NULL;
}

static int parse_into(struct rules *l, struct config *file, struct server *s,
		      const struct conf_params *p, const struct strs *words,
		      int depth, struct err *e);

static int
parse_class(struct rule *r, struct config *file, struct server *s,
	    const struct conf_params *p, const char *name, int depth,
	    struct err *e)
{
	char *text = config_value(file, name);
	struct strs words = STRS_INIT;
	int st;

	if (depth >= CLASS_DEPTH)
		st = err_set(e, ST_CONFIG, "%s: classes name each other", name);
	else if (text == NULL)
		st = err_set(e, ST_CONFIG,
			     "%s is in smtpd_restriction_classes but has no "
			     "value",
			     name);
	else {
		strs_split_braced(&words, span_of(text));
		r->list = mem_alloc(1, sizeof(*r->list));
		st = parse_into(r->list, file, s, p, &words, depth + 1, e);
		strs_free(&words);
	}
	free(text);
	return st;
}

static int
parse_arg(struct rule *r, struct server *s, const char *arg, struct err *e)
{
	struct strs one = STRS_INIT;
	struct endpoint ep;

	if (arg == NULL)
		return err_set(e, ST_CONFIG, "%s: a word is missing behind it",
			       r->row->name);
	r->arg = mem_strdup(arg);
	if (r->row->arg_table) {
		strs_add(&one, arg);
		tables_open(&r->table, &one);
		strs_free(&one);
	}
	if (r->row->arg_server) {
		if (endpoint_parse(&ep, span_of(arg), site.run_directory, e) !=
		    0)
			return err_prefix(e, "%s", r->row->name);
		r->endpoint = server_endpoint(s, &ep);
		endpoint_free(&ep);
	}
	return 0;
}

/* Depth is bounded by CLASS_DEPTH; input is the configuration. */
static int
parse_into(struct rules *l, struct config *file, struct server *s,
	   const struct conf_params *p, const struct strs *words, int depth,
	   struct err *e)
{
	for (size_t i = 0; i < words->n; i++) {
		const char *w = words->v[i];
		struct rule *r;

		l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
		r = &l->v[l->n++];
		*r = (struct rule){ .row = find_row(w) };
		if (r->row != NULL) {
			if (r->row->takes_arg &&
			    parse_arg(r, s,
				      i + 1 < words->n ? words->v[++i] : NULL,
				      e) != 0)
				return -1;
		} else if (strs_has(&p->restriction_classes, span_of(w))) {
			if (parse_class(r, file, s, p, w, depth, e) != 0)
				return -1;
		} else if (strchr(w, ':') != NULL) {
			/* Postfix: a bare table is check_STAGE_access. */
			return err_set(e, ST_CONFIG,
				       "\"%s\": write check_client_access, "
				       "check_sender_access or "
				       "check_recipient_access before it",
				       w);
		} else {
			return err_set(e, ST_CONFIG,
				       "\"%s\" is no restriction that mx-recv "
				       "knows, and not in "
				       "smtpd_restriction_classes",
				       w);
		}
	}
	return 0;
}

struct rules *
restrict_parse(struct config *file, struct server *s,
	       const struct conf_params *p, const char *text, struct err *e)
{
	struct rules *l = mem_alloc(1, sizeof(*l));
	struct strs words = STRS_INIT;
	int st;

	strs_split_braced(&words, span_of(text));
	st = parse_into(l, file, s, p, &words, 0, e);
	strs_free(&words);
	return st == 0 ? l : NULL;
}

/* ------- running */

struct span
restrict_subject(struct check *c, enum stage about)
{
	struct session *s = c->s;

	switch (about) {
	case STAGE_CLIENT:
		return span_of(s->who);
	case STAGE_HELO:
		return span_of(s->helo);
	case STAGE_SENDER:
		return buf_span(&s->sender_text);
	case STAGE_RELAY:
	case STAGE_RECIPIENT:
		return buf_span(&s->rcpt_text);
	default:
		return span_of(c->what);
	}
}

enum verdict
restrict_reject_as(struct check *c, int code, const char *esc, enum stage about,
		   const char *text)
{
	struct span subject = restrict_subject(c, about);

	buf_free(&c->reply.text);
	c->reply = reply_make(code, esc, "<%.*s>: %s rejected: %s",
			      SPAN_ARG(subject), stages[about].class, text);
	return V_REJECT;
}

enum verdict
restrict_reject(struct check *c, int code, const char *esc, const char *text)
{
	return restrict_reject_as(c, code, esc, c->stage, text);
}

void
restrict_log(struct session *s, const char *verb, const char *what,
	     const struct reply *r)
{
	struct buf b = BUF_INIT;
	struct span text = buf_span(&r->text);

	buf_addf(&b, "%s: %s: %s from %s: %d ",
		 s->queue_id[0] != '\0' && s->rcpts > 0 ? s->queue_id
							: "NOQUEUE",
		 verb, what, s->who, r->code);
	if (r->esc != NULL && r->esc[0] != '\0')
		buf_addf(&b, "%s ", r->esc);
	for (size_t i = 0; i < text.n; i++)
		buf_addc(&b, text.p[i] == '\n' ? ' ' : text.p[i]);
	buf_addc(&b, ';');
	if (s->in_mail || s->sender_text.n > 0)
		buf_addf(&b, " from=<%s>", buf_str(&s->sender_text));
	if (strcmp(what, "RCPT") == 0)
		buf_addf(&b, " to=<%s>", buf_str(&s->rcpt_text));
	else if (s->rcpts > 0)
		buf_addf(&b, " to=<%s>", buf_str(&s->first_rcpt));
	buf_addf(&b, " proto=%s", s->esmtp ? "ESMTP" : "SMTP");
	if (s->helo != NULL)
		buf_addf(&b, " helo=<%s>", s->helo);
	if (s->auth_user != NULL)
		buf_addf(&b, " sasl_username=<%s>", s->auth_user);
	log_info("%s", buf_str(&b));
	buf_free(&b);
}

static enum verdict run_list(struct check *c, const struct rules *l);

static enum verdict
run_rule(struct check *c, const struct rule *r)
{
	enum verdict v;

	if (r->list == NULL)
		return r->row->run(c, r);
	if (c->depth >= CLASS_DEPTH)
		return V_DUNNO;
	c->depth++;
	v = run_list(c, r->list);
	c->depth--;
	return v;
}

/* Depth is bounded by CLASS_DEPTH. */
static enum verdict
run_list(struct check *c, const struct rules *l)
{
	bool warn = false;

	for (size_t i = 0; i < l->n; i++) {
		enum verdict v;

		if (l->v[i].row != NULL &&
		    strcmp(l->v[i].row->name, "warn_if_reject") == 0) {
			warn = true;
			continue;
		}
		v = run_rule(c, &l->v[i]);
		if (v == V_REJECT && warn) {
			restrict_log(c->s, "reject_warning", c->what,
				     &c->reply);
			buf_free(&c->reply.text);
			v = V_DUNNO;
		}
		warn = false;
		if (v != V_DUNNO)
			return v;
	}
	return V_DUNNO;
}

/* What access(5) allows behind a key; rows of words. */
static enum verdict
action_refuse(struct check *c, enum stage about, int code, const char *esc,
	      struct span text, const char *fallback)
{
	static char esc_mem[12];
	struct span rest = text, word;
	char *t;
	enum verdict v;

	/* An enhanced code in front belongs to the reply. */
	if (span_word(&rest, " \t", &word) && word.n >= 5 && word.n < 12 &&
	    word.p[0] == '0' + code / 100 && word.p[1] == '.') {
		memcpy(esc_mem, word.p, word.n);
		esc_mem[word.n] = '\0';
		esc = esc_mem;
		text = span_trim(rest);
	}
	t = text.n > 0 ? mem_spandup(text) : mem_strdup(fallback);
	v = restrict_reject_as(c, code, esc, about, t);
	free(t);
	return v;
}

static enum verdict
keep_for_later(struct check *c, enum stage about, struct reply *place,
	       struct span text)
{
	if (place->code == 0) {
		(void)action_refuse(c, about, 450, "4.7.1", text,
				    "Service unavailable");
		*place = c->reply;
		c->reply = (struct reply){ 0 };
	}
	return V_DUNNO;
}

enum verdict
restrict_action(struct check *c, enum stage about, struct span action)
{
	struct span rest = span_trim(action), word;
	int code;

	if (!span_word(&rest, " \t", &word))
		return V_DUNNO;
	rest = span_trim(rest);
	if (span_iis(word, "OK") || span_iis(word, "PERMIT"))
		return V_PERMIT;
	if (span_iis(word, "DUNNO"))
		return V_DUNNO;
	if (span_iis(word, "REJECT"))
		return action_refuse(c, about, 554, "5.7.1", rest,
				     "Access denied");
	if (span_iis(word, "DEFER"))
		return action_refuse(c, about, 450, "4.7.1", rest,
				     "Access denied");
	if (span_iis(word, "DEFER_IF_PERMIT"))
		return keep_for_later(c, about, &c->defer_if_permit, rest);
	if (span_iis(word, "DEFER_IF_REJECT"))
		return keep_for_later(c, about, &c->defer_if_reject, rest);
	if (span_iis(word, "WARN") || span_iis(word, "INFO")) {
		log_info("%s: %s: %s from %s: %.*s",
			 c->s->queue_id[0] ? c->s->queue_id : "NOQUEUE",
			 span_iis(word, "WARN") ? "warn" : "info", c->what,
			 c->s->who, SPAN_ARG(rest));
		return V_DUNNO;
	}
	if (word.n == 3 && (word.p[0] == '4' || word.p[0] == '5') &&
	    num_int(word, 400, 599, &code)) {
		enum verdict v = action_refuse(c, about, code,
					       code < 500 ? "4.7.1" : "5.7.1",
					       rest, "Access denied");

		if (code == 421 || code == 521)
			c->reply.close = true;
		return v;
	}
	/* All digits: OK, as relay-before-smtp tables have it. */
	if (span_word(&word, "0123456789", &rest) == false)
		return V_PERMIT;
	struct span name = span_trim(action);
	char *text = mem_spandup(name);
	const struct restriction *row = find_row(text);

	free(text);
	if (row != NULL && !row->takes_arg) {
		struct rule r = { .row = row };

		return row->run(c, &r);
	}
	log_warn("access table: \"%.*s\" is no action that mx-recv knows: "
		 "taken for DUNNO",
		 SPAN_ARG(name));
	return V_DUNNO;
}

/* One stage; true when refused. */
static bool
run_stage(struct session *s, enum stage stage, const char *what,
	  struct check *c)
{
	c->stage = stage;
	c->what = what;
	return run_list(c, s->conf->rules[stage]) == V_REJECT;
}

static void
check_done(struct check *c)
{
	buf_free(&c->defer_if_permit.text);
	buf_free(&c->defer_if_reject.text);
}

/* Runs stages in order; on refusal logs and fills r. */
static bool
run_stages(struct session *s, const enum stage *v, size_t n, const char *what,
	   struct reply *r)
{
	struct check c = { .s = s };
	bool refused = false;

	for (size_t i = 0; i < n && !refused; i++)
		refused = run_stage(s, v[i], what, &c);
	if (refused && c.defer_if_reject.code != 0 && c.reply.code >= 500) {
		buf_free(&c.reply.text);
		c.reply = c.defer_if_reject;
		c.defer_if_reject = (struct reply){ 0 };
	} else if (!refused && c.defer_if_permit.code != 0) {
		c.reply = c.defer_if_permit;
		c.defer_if_permit = (struct reply){ 0 };
		refused = true;
	}
	check_done(&c);
	if (!refused)
		return false;
	restrict_log(s, "reject", what, &c.reply);
	*r = c.reply;
	return true;
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
	return run_stages(s, v, n, "RCPT", r);
}

bool
restrict_data(struct session *s, struct reply *r)
{
	static const enum stage v[] = { STAGE_DATA };

	return run_stages(s, v, 1, "DATA", r);
}
