/*
 * link_ask.c - what is asked and told over the link beside the transaction:
 * whether an address is known (VRFY) or deliverable (XVERIFY), and what
 * restrictions decided about the message (XACTION).  mx-deliver(8).
 */
#include "link_int.h"

#include "escape.h"
#include "explain.h"
#include "log.h"
#include "mem.h"
#include "restrict.h"
#include "status.h"

#include <stdlib.h>

#define L (&link_state)

/* One command that is of no transaction. */
static struct reply
ask(struct session *s, const char *line)
{
	struct smtp_reply sr = { 0 };
	struct err e = ERR_INIT;
	struct reply r;

	/* behind DATA it would be a line of the message */
	if (L->in_data && !(L->c.caps & SMTP_CHUNKING))
		return reply_make(252, "2.0.0", "not asked in a message");
	if (L->in_data && !link_settle(s))
		return reply_make(451, "4.3.0",
				  "Error: mail delivery is not available, try "
				  "again later");
	for (int attempt = 0; attempt < 2; attempt++) {
		bool kept = L->open;

		if (link_open(s, &e) != 0)
			break;
		if (smtp_client_cmd(&L->c, clock_deadline(LINK_REPLY_MS), &sr,
				    &e, "%s", line) == 0) {
			r = link_pass_on(&sr);
			smtp_reply_free(&sr);
			return r;
		}
		/* A kept link may have died since: then once more. */
		if (!kept || L->in_mail)
			break;
		link_close(false);
	}
	return link_fail(s, &e);
}

struct reply
link_verify(struct session *s, struct span addr)
{
	char *line = mem_printf("VRFY <%.*s>", SPAN_ARG(addr));
	struct reply r = ask(s, line);

	free(line);
	/* Off, or unknown to it: RCPT will tell. */
	if (r.code >= 500 && r.code < 510) {
		buf_free(&r.text);
		r = reply_make(252, "2.0.0", "not told");
	}
	return r;
}

struct reply
link_probe(struct session *s, struct span addr, int64_t wait_ms)
{
	char *line = mem_printf("XVERIFY <%.*s> %lld", SPAN_ARG(addr),
				(long long)((wait_ms + 999) / 1000));
	struct reply r = ask(s, line);

	free(line);
	if (r.code != 250 && r.code != 252 && r.code != 550 &&
	    r.code / 100 != 4) {
		log_warn("delivery = %s: XVERIFY is refused: %d %s: it cannot "
			 "verify addresses",
			 s->conf->p.delivery, r.code, buf_str(&r.text));
		buf_free(&r.text);
		r = reply_make(451, "4.3.0",
			       "Address verification is not "
			       "available");
	}
	return r;
}

/* " NAME=xtext" */
static void
add_action(struct buf *b, const char *name, const char *value)
{
	buf_addf(b, " %s=", name);
	escape_xtext(b, span_of(value));
}

bool
link_actions(struct session *s, struct reply *r)
{
	const struct actions *a = &s->actions;
	struct smtp_reply sr = { 0 };
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	bool ok = false;

	if (a->hold)
		buf_adds(&b, " HOLD");
	if (s->conf->rules[STAGE_END]->n > 0)
		buf_adds(&b, " LATE");
	if (a->redirect != NULL)
		add_action(&b, "REDIRECT", a->redirect);
	/* postconf(5): an access table's FILTER goes before content_filter */
	if (a->filter != NULL)
		add_action(&b, "FILTER", a->filter);
	else if (s->conf->p.content_filter[0] != '\0')
		add_action(&b, "FILTER", s->conf->p.content_filter);
	for (size_t i = 0; i < a->bcc.n; i++)
		add_action(&b, "BCC", a->bcc.v[i]);
	if (b.n > 0 && explain_on)
		explain("actions", "XACTION%s", buf_str(&b));
	if (b.n == 0 || explain_on ||
	    span_is(buf_span(&b), s->told_actions ? s->told_actions : "") ||
	    s->link_lost || !L->in_mail) {
		ok = true;
	} else if (!(L->c.caps & SMTP_XACTION)) {
		/* LATE alone asks for nothing. */
		ok = strcmp(buf_str(&b), " LATE") == 0;
		if (!ok) {
			log_warn("delivery = %s: it does not know XACTION, "
				 "which%s needs",
				 s->conf->p.delivery, buf_str(&b));
			*r = reply_make(451, "4.3.5",
					"Server configuration error");
		}
	} else if (L->in_data && !link_settle(s)) {
		ok = true; /* link_finish tells why */
	} else if (smtp_client_cmd(&L->c, clock_deadline(LINK_REPLY_MS), &sr,
				   &e, "XACTION%s", buf_str(&b)) != 0) {
		*r = link_fail(s, &e);
	} else if (sr.code / 100 != 2) {
		log_warn("delivery = %s: XACTION%s is refused: %d %s",
			 s->conf->p.delivery, buf_str(&b), sr.code,
			 buf_str(&sr.text));
		*r = reply_make(451, "4.3.5", "Server configuration error");
	} else {
		ok = true;
	}
	smtp_reply_free(&sr);
	free(s->told_actions);
	s->told_actions = buf_steal(&b);
	return ok;
}
