/*
 * session.c - from a target's address to a server that takes MAIL: connect,
 * greeting, EHLO, STARTTLS, AUTH.
 * RFC 5321 3.1, 3207; sentences as Postfix smtp(8) writes them.
 */
#include "send.h"
#include "status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

int64_t send_connect_us, send_began_us;

static void
show(void *ctx, char dir, struct span line)
{
	const struct session *s = ctx;

	if (dir == '>' && s->hide)
		line = SPAN("(secret)");
	fprintf(stderr, "%c %.*s\n", dir, SPAN_ARG(span_rtrim(line)));
}

static void
show_event(const struct session *s, const char *words)
{
	if (options.trace)
		fprintf(stderr, "* %s: %s\n", s->relay, words);
}

static bool
bind_to(int fd, int family, struct err *e)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const char *addr = family == AF_INET ? params.bind4 : params.bind6;
	int r = 0;

	if (addr[0] == '\0' || family == AF_UNIX)
		return true;
	if (family == AF_INET && inet_pton(AF_INET, addr, &in4.sin_addr) == 1)
		r = bind(fd, (struct sockaddr *)&in4, sizeof(in4));
	else if (family == AF_INET6 &&
		 inet_pton(AF_INET6, addr, &in6.sin6_addr) == 1)
		r = bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	else
		errno = EINVAL, r = -1;
	if (r != 0)
		(void)err_esc(e, ST_TEMPFAIL, "4.4.1",
			      "smtp_bind_address %s: %s", addr,
			      strerror(errno));
	return r == 0;
}

static int
connect_to(struct session *s, struct err *e)
{
	const struct mx_target *t = s->target;
	int one = 1, error = 0;
	socklen_t len = sizeof(error);

	int fd = socket(t->ss.ss_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_esc(e, ST_TEMPFAIL, "4.3.0", "socket: %s",
			       strerror(errno));
	if (!bind_to(fd, t->ss.ss_family, e)) {
		close(fd);
		return -1;
	}
	if (connect(fd, (const struct sockaddr *)&t->ss, t->len) != 0)
		error = errno;
	if (error == EINPROGRESS) {
		enum io_result w =
		    io_wait(fd, true, clock_deadline(params.t_connect));
		error = ETIMEDOUT;
		if (w == IO_OK &&
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
			error = errno;
	}
	if (error != 0) {
		close(fd);
		return err_esc(e, ST_TEMPFAIL, "4.4.1", "connect to %s: %s",
			       s->relay, strerror(error));
	}
	if (t->ss.ss_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one));
	return fd;
}

void
session_lost(const struct session *s, const char *doing, struct err *e)
{
	char why[sizeof(e->text)];

	memcpy(why, e->text, sizeof(why));
	if (strncmp(why, "timed out", 9) == 0)
		(void)err_esc(e, ST_TEMPFAIL, "4.4.2",
			      "conversation with %s timed out while %s",
			      s->name, doing);
	else if (strncmp(why, "lost connection", 15) == 0)
		(void)err_esc(e, ST_TEMPFAIL, "4.4.2",
			      "lost connection with %s while %s", s->name,
			      doing);
	else
		(void)err_esc(e, ST_TEMPFAIL, "4.5.0",
			      "host %s, while %s: %.300s", s->name, doing, why);
}

void
session_reply_text(struct buf *b, const struct smtp_reply *r)
{
	buf_addf(b, "%d%s%s", r->code, r->esc[0] != '\0' ? " " : "", r->esc);
	if (r->text.n > 0)
		buf_addc(b, ' ');
	for (size_t i = 0; i < r->text.n; i++)
		buf_addc(b, r->text.p[i] == '\n' ? ' ' : r->text.p[i]);
}

void
session_said(const struct session *s, const struct smtp_reply *r,
	     const char *command, struct err *e)
{
	struct buf said = BUF_INIT;
	bool permanent = r->code / 100 == 5;
	char esc[12];

	session_reply_text(&said, r);
	buf_cut(&said, 500);
	memcpy(esc, r->esc, sizeof(esc));
	if (esc[0] == '\0')
		snprintf(esc, sizeof(esc), "%s", permanent ? "5.0.0" : "4.0.0");
	/* A code that fits no step is a broken server, not a verdict. */
	if (!permanent && r->code / 100 != 4)
		snprintf(esc, sizeof(esc), "4.5.0");
	(void)err_esc(e, permanent ? ST_UNAVAILABLE : ST_TEMPFAIL, esc,
		      "host %s said: %s (in reply to %s)", s->name,
		      buf_str(&said), command);
	buf_free(&said);
}

static int
greeting(struct session *s, int fd, struct err *e)
{
	struct smtp_reply r = { .code = 0 };
	deadline_t d = clock_deadline(params.t_helo);
	int st = smtp_client_open(&s->c, fd, d, &r, e);

	if (st != 0) {
		session_lost(s, "receiving the initial server greeting", e);
	} else if (r.code / 100 != 2) {
		struct buf said = BUF_INIT;
		session_reply_text(&said, &r);
		/* Whatever the code: another host may take it (Postfix
		 * smtp_skip_5xx_greeting). */
		st = err_esc(e, ST_TEMPFAIL, "4.0.0",
			     "host %s refused to talk to me: %.500s", s->name,
			     buf_str(&said));
		if (r.esc[0] != '\0') {
			memcpy(e->esc, r.esc, sizeof(e->esc));
			e->esc[0] = '4';
		}
		buf_free(&said);
	}
	smtp_reply_free(&r);
	return st;
}

static int
hello(struct session *s, struct err *e)
{
	struct smtp_reply r = { .code = 0 };
	deadline_t d = clock_deadline(params.t_helo);
	int st =
	    smtp_client_hello(&s->c, params.helo_name, options.lmtp, d, &r, e);

	if (st != 0) {
		session_lost(s,
			     options.lmtp ? "performing the LHLO handshake"
					  : "performing the EHLO handshake",
			     e);
	} else if (r.code / 100 != 2) {
		session_said(s, &r,
			     options.lmtp ? "LHLO command" : "HELO command", e);
		st = -1;
	}
	smtp_reply_free(&r);
	return st;
}

/* 1: TLS is on; 0: not offered, or refused; -1: the link is of no use. */
static int
starttls(struct session *s, struct tls_client *tls, int level, struct err *e)
{
	struct smtp_reply r = { .code = 0 };
	enum tls_verify verify =
	    level >= TLS_VERIFY ? TLS_VERIFY_NAME : TLS_VERIFY_NONE;
	const char *name = level == TLS_SECURE && s->group->hosts.by_mx
			       ? s->group->hosts.domain
			       : s->target->host;
	deadline_t d = clock_deadline(params.t_tls);

	if (!(s->c.caps & SMTP_STARTTLS))
		return 0;
	if (smtp_client_cmd(&s->c, d, &r, e, "STARTTLS") != 0) {
		session_lost(s, "sending STARTTLS", e);
		return -1;
	}
	int code = r.code;
	smtp_reply_free(&r);
	if (code / 100 != 2)
		return 0;
	/* What came before the handshake was nobody's we know (RFC 3207 4.2,
	 * CVE-2021-38502's kin). */
	if (stream_buffered(&s->c.s).n > 0)
		return err_esc(e, ST_TEMPFAIL, "4.7.5",
			       "host %s sent bytes in clear behind its reply "
			       "to STARTTLS",
			       s->name);
	if (tls_connect(tls, &s->c.s, name, verify, NULL, 0, d, e) != 0) {
		s->c.broken = true;
		(void)err_prefix(e, "Cannot start TLS with %s", s->name);
		e->status = ST_TEMPFAIL;
		snprintf(e->esc, sizeof(e->esc), "4.7.5");
		return -1;
	}
	s->tls = true;
	struct tls_facts f;
	if (options.trace && tls_facts(&s->c.s, &f))
		fprintf(stderr, "* TLS: %s %s, certificate %s%s\n", f.protocol,
			f.cipher, f.peer_cn, f.verified ? " (verified)" : "");
	return 1;
}

static enum attempt
secure_link(struct session *s, struct tls_client *tls, struct err *e)
{
	int level = options.lmtp ? params.lmtp_tls_level : params.tls_level;

	if (options.requiretls && level < TLS_VERIFY)
		level = TLS_VERIFY; /* RFC 8689 4.2.1 */
	if (level == TLS_NONE || s->no_tls || s->target->port == 0)
		return ATTEMPT_DONE;
	int r = starttls(s, tls, level, e);
	if (r < 0)
		return level == TLS_MAY ? ATTEMPT_PLAIN : ATTEMPT_NEXT;
	if (r > 0)
		return hello(s, e) == 0 ? ATTEMPT_DONE : ATTEMPT_NEXT;
	if (level == TLS_MAY)
		return s->c.broken ? ATTEMPT_PLAIN : ATTEMPT_DONE;
	(void)err_esc(e, ST_TEMPFAIL, "4.7.4",
		      "TLS is required, but was not offered by host %s",
		      s->name);
	return ATTEMPT_NEXT;
}

enum attempt
session_open(struct session *s, const struct group *g, size_t i, bool no_tls,
	     struct tls_client *tls, struct err *e)
{
	const struct mx_target *t = &g->hosts.v[i];

	*s = (struct session){ .target = t,
			       .group = g,
			       .secret = &g->secrets[i],
			       .no_tls = no_tls };
	snprintf(s->name, sizeof(s->name), "%s[%s]", t->host, t->addr);
	if (t->port == 0)
		snprintf(s->name, sizeof(s->name), "%s[%s]", params.helo_name,
			 t->host);
	snprintf(s->relay, sizeof(s->relay), "%s", s->name);
	if (t->port != 0)
		snprintf(s->relay + strlen(s->relay),
			 sizeof(s->relay) - strlen(s->relay), ":%d", t->port);
	if (options.trace) {
		s->c.trace = show;
		s->c.trace_ctx = s;
	}
	show_event(s, "connecting");
	int fd = connect_to(s, e);
	if (fd < 0) {
		show_event(s, e->text);
		return ATTEMPT_NEXT;
	}
	if (greeting(s, fd, e) != 0 || hello(s, e) != 0)
		return ATTEMPT_NEXT;
	enum attempt r = secure_link(s, tls, e);
	if (r != ATTEMPT_DONE) {
		show_event(s, e->text);
		return r;
	}
	return sasl_login(s, e) == 0 ? ATTEMPT_DONE : ATTEMPT_NEXT;
}

void
session_close(struct session *s)
{
	if (s->c.s.ops != NULL)
		smtp_client_close(&s->c, true);
}
