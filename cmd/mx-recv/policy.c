/*
 * policy.c - see policy.h.  A link a worker and server, kept over sessions.
 */
#include "policy.h"

#include "explain.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "policy_request.h"
#include "status.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct policy_link {
	int endpoint;
	bool open;
	int64_t born, used, asked; /* clock_mono; requests on it */
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

static int
set_option(struct policy_options *o, struct span name, struct span v,
	   struct err *e)
{
	const struct {
		const char *name;
		int64_t *time, *num;
		char **text;
	} rows[] = {
		{ "timeout", &o->timeout, NULL, NULL },
		{ "retry_delay", &o->delay, NULL, NULL },
		{ "max_idle", &o->idle, NULL, NULL },
		{ "max_ttl", &o->ttl, NULL, NULL },
		{ "request_limit", NULL, &o->requests, NULL },
		{ "try_limit", NULL, &o->tries, NULL },
		{ "default_action", NULL, NULL, &o->default_action },
		{ "policy_context", NULL, NULL, &o->context },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!span_is(name, rows[i].name))
			continue;
		if (rows[i].text != NULL) {
			free(*rows[i].text);
			*rows[i].text = mem_spandup(v);
			return 0;
		}
		if (rows[i].time != NULL ? num_time(v, 's', rows[i].time)
					 : num_i64(v, 0, 1000000, rows[i].num))
			return 0;
		break;
	}
	return err_set(e, ST_CONFIG,
		       "check_policy_service: \"%.*s = %.*s\" is not known; "
		       "known are timeout retry_delay max_idle max_ttl "
		       "request_limit try_limit default_action policy_context",
		       SPAN_ARG(name), SPAN_ARG(v));
}

struct policy_options *
policy_options_parse(const char *arg, const struct conf_params *p,
		     struct span *endpoint_r, struct err *e)
{
	struct policy_options *o = mem_alloc(1, sizeof(*o));
	struct span rest = span_of(arg);
	struct strs words = STRS_INIT;
	int r = 0;

	*o = (struct policy_options){
		.timeout = p->policy_timeout,
		.delay = p->policy_delay,
		.idle = p->policy_idle,
		.ttl = p->policy_ttl,
		.requests = p->policy_requests,
		.tries = p->policy_tries,
		.default_action = mem_strdup(p->policy_default),
		.context = mem_strdup(p->policy_context),
	};
	/* a command is all of it */
	if (span_istarts(rest, SPAN("exec:"))) {
		*endpoint_r = rest;
		return o;
	}
	if (!span_word(&rest, ", \t", endpoint_r))
		*endpoint_r = SPAN("");
	strs_split_braced(&words, rest);
	for (size_t i = 0; r == 0 && i < words.n; i++) {
		struct span v = span_of(words.v[i]), name;

		(void)span_split(&v, '=', &name);
		r = set_option(o, span_trim(name), span_trim(v), e);
	}
	strs_free(&words);
	return r == 0 ? o : NULL;
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
request(struct buf *b, const struct check *c, const char *context)
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
	attr(b, "policy_context", span_of(context));
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

static void
link_close(struct policy_link *l)
{
	if (l->open)
		stream_close(&l->s);
	l->open = false;
}

/*
 * Between two requests a server has nothing to say: what can be read is the end
 * of the link, or an answer too many, which would be taken for the one to the
 * next request and for ever be one behind.  Found out before the request is
 * sent, so that a server that counts requests (greylisting adds its field at
 * the first one alone) does not get it twice.
 */
static bool
link_quiet(const struct policy_link *l)
{
	struct pollfd p = { l->s.fd_in, POLLIN, 0 };

	return stream_buffered(&l->s).n == 0 && poll(&p, 1, 0) == 0;
}

/* One try; on a link that is still good, or on a new one. */
static bool
ask_once(struct policy_link *l, struct server *server,
	 const struct policy_options *o, const struct buf *q,
	 struct buf *action, struct err *e)
{
	deadline_t d = clock_deadline(o->timeout);
	int64_t now = clock_mono();
	int fd;

	if (l->open &&
	    (now - l->used >= o->idle || now - l->born >= o->ttl ||
	     (o->requests > 0 && l->asked >= o->requests) || !link_quiet(l)))
		link_close(l);
	if (!l->open) {
		fd = server_connect(server, l->endpoint, d, e);
		if (fd < 0)
			return false;
		stream_init(&l->s, fd, fd);
		l->open = true;
		l->born = now;
		l->asked = 0;
	}
	buf_clear(action);
	l->asked++;
	if (talk(l, q, action, d)) {
		l->used = clock_mono();
		return true;
	}
	link_close(l);
	err_set(e, ST_TEMPFAIL, "no answer");
	return false;
}

bool
policy_ask(struct check *c, const struct rule *r, struct buf *action)
{
	const struct policy_options *o = r->policy;
	struct policy_link *l = link_of(r->endpoint);
	struct buf q = BUF_INIT;
	struct err e = ERR_INIT;
	bool ok = false, kept;

	if (explain_on && !explain_ask) {
		explain("policy", "%s: not asked", r->arg);
		buf_clear(action);
		buf_adds(action, "DUNNO");
		return true;
	}
	request(&q, c, o->context);
	for (int64_t i = 0; !ok && i < o->tries; i++) {
		/* A kept link may have died meanwhile: no need to wait. */
		kept = l->open;
		if (i > 0)
			usleep((useconds_t)(o->delay * 1000));
		ok = ask_once(l, c->s->server, o, &q, action, &e);
		if (!ok && kept)
			ok = ask_once(l, c->s->server, o, &q, action, &e);
	}
	buf_free(&q);
	if (!ok) {
		log_warn("check_policy_service %s: %s", r->arg, e.text);
		buf_clear(action);
		buf_adds(action, o->default_action);
	}
	return ok;
}
