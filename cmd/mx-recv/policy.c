/*
 * policy.c - see policy.h.  A link a worker and server, kept over sessions.
 */
#include "policy.h"

#include "explain.h"
#include "log.h"
#include "mem.h"
#include "policy_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct policy_link {
	int endpoint;
	bool open;
	struct stream s;
	struct policy_link *next;
};
static struct policy_link *links;

/* Kept by the endpoint's number: rules that name the same server share it. */
static struct policy_link *
link_of(int endpoint)
{
	struct policy_link *l;

	for (l = links; l != NULL; l = l->next)
		if (l->endpoint == endpoint)
			return l;
	l = mem_alloc(1, sizeof(*l));
	l->endpoint = endpoint;
	l->next = links;
	links = l;
	return l;
}

/* name=value; what would end the line early becomes '?'. */
static void
attr(struct buf *b, const char *name, struct span v)
{
	buf_addf(b, "%s=", name);
	for (size_t i = 0; i < v.n; i++)
		buf_addc(b, (unsigned char)v.p[i] < 0x20 ? '?' : v.p[i]);
	buf_addc(b, '\n');
}

static void
attr_num(struct buf *b, const char *name, int64_t v)
{
	buf_addf(b, "%s=%lld\n", name, (long long)v);
}

/* SMTPD_POLICY_README: one value for all requests about one message, and no
 * other message's.  Servers give what they said before where they see it
 * again: SPF of one sender would count for the next. */
static const char *
instance(struct session *s)
{
	static unsigned count;

	if (s->instance[0] == '\0')
		snprintf(s->instance, sizeof(s->instance), "%x.%llx.%x",
			 (unsigned)getpid(), (unsigned long long)clock_now_us(),
			 count++);
	return s->instance;
}

static void
request(struct buf *b, const struct check *c)
{
	struct session *s = c->s;
	struct tls_facts f = { .protocol = "", .cipher = "" };
	bool data = c->stage == STAGE_DATA || c->stage == STAGE_END;

	(void)tls_facts(&s->s, &f);
	attr(b, "request", SPAN("smtpd_access_policy"));
	attr(b, "protocol_state", span_of(c->what));
	attr(b, "protocol_name", s->esmtp ? SPAN("ESMTP") : SPAN("SMTP"));
	attr(b, "helo_name", span_of(s->helo));
	attr(b, "queue_id", span_of(s->rcpts > 0 ? s->queue_id : ""));
	attr(b, "sender", buf_span(&s->sender_text));
	attr(b, "recipient",
	     data && s->rcpts > 1 ? SPAN("")
	     : data               ? buf_span(&s->first_rcpt)
				  : buf_span(&s->rcpt_text));
	attr_num(b, "recipient_count", data ? s->rcpts : 0);
	attr(b, "client_address", span_of(s->conn->addr));
	attr(b, "client_name", span_of(s->client_name));
	attr(b, "reverse_client_name",
	     span_of(s->reverse_name != NULL ? s->reverse_name : "unknown"));
	attr_num(b, "client_port", s->conn->port);
	attr(b, "server_address", span_of(s->conn->local_addr));
	attr_num(b, "server_port", s->conn->local_port);
	attr(b, "instance", span_of(instance(s)));
	attr(b, "sasl_method", span_of(s->auth_method));
	attr(b, "sasl_username", span_of(s->auth_user));
	attr(b, "sasl_sender", SPAN(""));
	attr_num(b, "size", (int64_t)s->claimed);
	attr(b, "encryption_protocol", span_of(f.protocol));
	attr(b, "encryption_cipher", span_of(f.cipher));
	attr_num(b, "encryption_keysize", f.bits);
	attr(b, "ccert_subject", span_of(f.peer_cn));
	attr(b, "ccert_fingerprint", span_of(f.peer_fingerprint));
	attr(b, "policy_context", SPAN(""));
	buf_addc(b, '\n');
}

/* An answer is lines up to an empty one, 100 at most; the first action counts.
 * False: the link is of no use. */
static bool
talk(struct policy_link *l, const struct buf *q, struct buf *action,
     deadline_t d)
{
	stream_write(&l->s, q->p, q->n);
	return stream_flush(&l->s, d) == IO_OK &&
	       policy_answer_read(&l->s, action, d);
}

bool
policy_ask(struct check *c, const struct rule *r, struct buf *action)
{
	struct policy_link *l = link_of(r->endpoint);
	deadline_t d = clock_deadline(c->s->conf->p.policy_timeout);
	struct buf q = BUF_INIT;
	struct err e = ERR_INIT;
	bool ok = false;

	if (explain_on && !explain_ask) {
		explain("policy", "%s: not asked", r->arg);
		buf_clear(action);
		buf_adds(action, "DUNNO");
		return true;
	}
	request(&q, c);
	/* A kept link may have died: then once more. */
	for (int i = 0; i < 2 && !ok; i++) {
		bool kept = l->open;

		if (!l->open) {
			int fd =
			    server_connect(c->s->server, l->endpoint, d, &e);

			if (fd < 0)
				break;
			stream_init(&l->s, fd, fd);
			l->open = true;
		}
		buf_clear(action);
		ok = talk(l, &q, action, d);
		if (!ok) {
			stream_close(&l->s);
			l->open = false;
			err_set(&e, 75, "no answer");
			if (!kept)
				break;
		}
	}
	buf_free(&q);
	if (!ok)
		log_warn("check_policy_service %s: %s", r->arg, e.text);
	return ok;
}
