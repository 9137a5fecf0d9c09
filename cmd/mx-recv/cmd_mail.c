/*
 * cmd_mail.c - MAIL and RCPT: path, parameters, limits.
 * RFC 5321 4.1.1.2, 4.1.1.3; 1870 (SIZE), 6152 (BODY), 6531 (SMTPUTF8), 3461
 * (RET, ENVID, NOTIFY, ORCPT), 4954 5 (AUTH).
 */
#include "cmd.h"

#include "escape.h"
#include "link.h"
#include "log.h"
#include "milters.h"
#include "num.h"
#include "pregreet.h"
#include "queue_id.h"
#include "rates.h"
#include "restrict.h"

/* Text of a parameter as xtext that decodes to nothing odd. */
static bool
is_xtext(struct span v, size_t max)
{
	struct buf b = BUF_INIT;
	bool ok = v.n > 0 && v.n <= max && escape_unxtext(&b, v);

	buf_free(&b);
	return ok;
}

/* ------- MAIL */

struct parm {
	const char *name;
	/* v.p is NULL without "=".  False: malformed. */
	bool (*take)(struct session *s, struct span v);
};

/* RFC 1870 6.1: a claim, for an early no; the bytes are counted. */
static bool
parm_size(struct session *s, struct span v)
{
	return num_u64(v, UINT64_MAX / 2, &s->claimed);
}

/* RFC 6152 2. */
static bool
parm_body(struct session *s, struct span v)
{
	s->body8 = span_iis(v, "8BITMIME");
	return s->body8 || span_iis(v, "7BIT");
}

/* RFC 6531 3.1: no value; looked for before the path is read. */
static bool
parm_utf8(struct session *s, struct span v)
{
	(void)s;
	return v.p == NULL;
}

/* RFC 3461 4.3; passed on as it stands. */
static bool
parm_ret(struct session *s, struct span v)
{
	if (!span_iis(v, "FULL") && !span_iis(v, "HDRS"))
		return false;
	buf_addf(&s->sender_parms, " RET=%.*s", SPAN_ARG(v));
	return true;
}

static bool
parm_envid(struct session *s, struct span v)
{
	/* RFC 3461 4.4: at most 100 characters. */
	if (!is_xtext(v, 100))
		return false;
	buf_addf(&s->sender_parms, " ENVID=%.*s", SPAN_ARG(v));
	return true;
}

/* RFC 4954 5: who the client says it is for; we trust the login alone. */
static bool
parm_auth(struct session *s, struct span v)
{
	(void)s;
	return span_is(v, "<>") || is_xtext(v, 500);
}

/* RFC 8689 4.2.1: under TLS, and only where the next side keeps it. */
static bool
parm_requiretls(struct session *s, struct span v)
{
	s->requiretls = true;
	return v.p == NULL && s->tls;
}

static const struct parm mail_parms[] = {
	{ "REQUIRETLS", parm_requiretls },
	{ "SIZE", parm_size },
	{ "BODY", parm_body },
	{ "SMTPUTF8", parm_utf8 },
	{ "RET", parm_ret },
	{ "ENVID", parm_envid },
	{ "AUTH", parm_auth },
};

/* The words behind the path.  True, or false and the reply. */
static bool
take_parms(struct session *s, struct span rest, const struct parm *rows,
	   size_t n, struct reply *r)
{
	struct span word;
	unsigned seen = 0;

	while (span_word(&rest, " \t", &word)) {
		ssize_t eq = span_chr(word, '=');
		struct span name =
		    eq < 0 ? word : span_sub(word, 0, (size_t)eq);
		struct span v = eq < 0 ? (struct span){ NULL, 0 }
				       : span_from(word, (size_t)eq + 1);
		size_t i = 0;

		while (i < n && !span_iis(name, rows[i].name))
			i++;
		/* RFC 5321 4.1.1.11 */
		if (i == n) {
			*r =
			    reply_make(555, "5.5.4", "Unsupported option: %.*s",
				       SPAN_ARG(span_sub(word, 0, 100)));
			return false;
		}
		if ((seen & (1u << i)) != 0 || !rows[i].take(s, v)) {
			*r = reply_make(501, "5.5.4", "Error: bad value of %s",
					rows[i].name);
			return false;
		}
		seen |= 1u << i;
	}
	return true;
}

/* SMTPUTF8 decides how the path is read, so it is looked for first. */
static bool
wants_utf8(struct span rest)
{
	struct span word;

	while (span_word(&rest, " \t", &word))
		if (span_iis(word, "SMTPUTF8"))
			return true;
	return false;
}

/* RFC 5321 3.3: "FROM:" or "TO:" and the path, before which some put a blank;
 * *rest_r: parameters.  False: syntax. */
static bool
take_path(struct session *s, struct span args, const char *word, struct addr *a,
	  struct span *rest_r, bool *path_bad)
{
	struct err e = ERR_INIT;
	size_t used = 0;

	*path_bad = false;
	if (!span_istarts(args, span_of(word)))
		return false;
	args = span_ltrim(span_from(args, strlen(word)));
	if (args.n == 0)
		return false;
	*path_bad = true;
	if (addr_parse_path(a, args, false, s->utf8, true, &used, &e) != 0)
		return false;
	*rest_r = span_from(args, used);
	if (rest_r->n > 0 && rest_r->p[0] != ' ' && rest_r->p[0] != '\t')
		return false;
	/* THREATS 21: never an option for somebody's command line. */
	return a->local.n == 0 || a->local.p[0] != '-';
}

/* As it goes on: a bare name gets our domain. */
static void
print_path(struct session *s, struct buf *b, const struct addr *a)
{
	buf_clear(b);
	addr_print(b, a);
	if (!a->null && a->domain.n == 0) {
		if (b->n == 0 || b->p[b->n - 1] != '@')
			buf_addc(b, '@');
		buf_adds(b, s->conf->site.myorigin);
	}
}

struct reply
cmd_mail(struct session *s, struct span args)
{
	int64_t limit = s->conf->p.message_size_limit;
	struct span rest;
	struct reply r;
	bool bad;

	if ((s->conf->p.helo_required || s->lmtp) && s->helo == NULL)
		return reply_make(503, "5.5.1", "Error: send HELO/EHLO first");
	/* RFC 5321 4.1.1.2: the buffers are empty.  A MAIL that fails leaves
	 * nothing of the one before. */
	session_end_mail(s);
	s->utf8 = s->esmtp && wants_utf8(args);
	if (!take_path(s, args, "FROM:", &s->sender, &rest, &bad)) {
		session_end_mail(s);
		return bad ? reply_make(501, "5.1.7",
					"Bad sender address syntax")
			   : reply_syntax("MAIL FROM:<address>");
	}
	print_path(s, &s->sender_text, &s->sender);
	if (!take_parms(s, rest, mail_parms, ARRAY_LEN(mail_parms), &r)) {
		session_end_mail(s);
		return r;
	}
	/* RFC 1870 6.2: known before a byte is sent. */
	if (limit > 0 && s->claimed > (uint64_t)limit) {
		session_end_mail(s);
		return reply_make(552, "5.3.4",
				  "Message size exceeds fixed limit");
	}
	if (rates_over(s, RATE_MESSAGE, &r)) {
		session_end_mail(s);
		return r;
	}
	s->in_mail = true;
	session_actions_copy(&s->actions, &s->lasting);
	if (restrict_mail(s, &r) || milters_mail(s, rest, &r)) {
		session_end_mail(s);
		return r;
	}
	return reply_make(250, "2.1.0", "Ok");
}

/* ------- RCPT */

/* RFC 3461 4.1: NEVER alone, or a list of the others. */
static bool
parm_notify(struct session *s, struct span v)
{
	struct span rest = v, word;
	int n = 0;
	bool never = false;

	(void)s;
	while (span_split(&rest, ',', &word)) {
		never |= span_iis(word, "NEVER");
		n++;
		if (!span_iis(word, "NEVER") && !span_iis(word, "SUCCESS") &&
		    !span_iis(word, "FAILURE") && !span_iis(word, "DELAY"))
			return false;
	}
	return n > 0 && n <= 3 && (!never || n == 1);
}

/* RFC 3461 4.2: addr-type ";" xtext; with SMTPUTF8 RFC 6533's forms. */
static bool
parm_orcpt(struct session *s, struct span v)
{
	ssize_t semi = span_chr(v, ';');

	if (semi <= 0 || v.n > 500)
		return false;
	for (size_t i = 0; i < (size_t)semi; i++)
		if (!ascii_isalnum(v.p[i]) && v.p[i] != '-')
			return false;
	if (s->utf8 && span_istarts(v, SPAN("utf-8;")))
		return v.n > (size_t)semi + 1 && !span_has_ctl(v) &&
		       utf8_valid(v);
	return is_xtext(span_from(v, (size_t)semi + 1), 500);
}

static const struct parm rcpt_parms[] = {
	{ "NOTIFY", parm_notify },
	{ "ORCPT", parm_orcpt },
};

/* "ID: client=...": with the first recipient, as Postfix does. */
static void
log_client(struct session *s)
{
	struct log_event ev;

	if (s->logged)
		return;
	s->logged = true;
	log_event_begin(&ev, s->queue_id);
	if (s->conf->submit) {
		log_event_add(&ev, "uid", "%ld", (long)s->uid);
		log_event_add(&ev, "from", "<%s>", buf_str(&s->sender_text));
		log_event_end(&ev);
		return;
	}
	log_event_add(&ev, "client", "%s", s->who);
	if (s->forwarded) {
		const char *name = s->forward[FORWARD_NAME];
		const char *addr = s->forward[FORWARD_ADDR];

		log_event_add(&ev, "orig_client", "%s[%s]",
			      name != NULL && *name ? name : "unknown",
			      addr != NULL && *addr ? addr : "unknown");
		if (s->forward[FORWARD_IDENT] != NULL)
			log_event_add(&ev, "orig_queue_id", "%s",
				      s->forward[FORWARD_IDENT]);
	}
	if (s->auth_user != NULL) {
		log_event_add(&ev, "sasl_method", "%s", s->auth_method);
		log_event_add(&ev, "sasl_username", "%s", s->auth_user);
	}
	log_event_end(&ev);
}

/* unknown_local_recipient_reject_code and its like: what "no such user" is
 * called here. */
static void
configured_code(struct session *s, struct reply *r)
{
	int code;

	if (r->code != 550 || r->esc == NULL || strcmp(r->esc, "5.1.1") != 0)
		return;
	code = (int)session_unknown_code(s, s->rcpt.domain);
	r->code = code;
	r->esc = code < 500 ? "4.1.1" : "5.1.1";
}

struct reply
cmd_rcpt(struct session *s, struct span args)
{
	struct span rest;
	struct reply r, refusal;
	bool bad;

	addr_free(&s->rcpt);
	if (!take_path(s, args, "TO:", &s->rcpt, &rest, &bad) || s->rcpt.null) {
		addr_free(&s->rcpt);
		return bad ? reply_make(501, "5.1.3",
					"Bad recipient address syntax")
			   : reply_syntax("RCPT TO:<address>");
	}
	print_path(s, &s->rcpt_text, &s->rcpt);
	if (!take_parms(s, rest, rcpt_parms, ARRAY_LEN(rcpt_parms), &r))
		return r;
	/* RFC 5321 4.5.3.1.10: 452 and the session goes on; the client sends
	 * the rest in another transaction. Asked before any table or server
	 * is. */
	if (s->rcpts >= s->conf->p.recipient_limit)
		return reply_make(452, "4.5.3", "Error: too many recipients");
	if (rates_over(s, RATE_RCPT, &r) || pregreet_refuses(s, &r))
		return r;
	if (restrict_rcpt(s, &r)) {
		milters_rcpt_refused(s, rest, &r);
		return r;
	}
	if (s->queue_id[0] == '\0')
		queue_id_make(s->queue_id, sizeof(s->queue_id));
	/* The rules let it pass; whether it exists is the delivery side's to
	 * say (THREATS 27), and its answer is the answer. */
	r = link_rcpt(s, rest.n > 0 ? rest : SPAN(""));
	if (r.code / 100 != 2) {
		configured_code(s, &r);
		restrict_log(s, "reject", "RCPT", &r);
		milters_rcpt_refused(s, rest, &r);
		return r;
	}
	if (milters_rcpt(s, rest, &refusal)) {
		buf_free(&r.text);
		return refusal;
	}
	log_client(s);
	if (s->rcpts++ == 0)
		buf_addspan(&s->first_rcpt, buf_span(&s->rcpt_text));
	return r;
}
