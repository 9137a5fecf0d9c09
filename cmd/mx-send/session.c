/*
 * session.c - from a target's address to a server that takes MAIL: connect,
 * greeting, EHLO; then STARTTLS (session_tls.c) and AUTH (sasl.c).
 * RFC 5321 3.1; sentences as Postfix smtp(8) writes them.
 */
#include "log.h"
#include "send.h"
#include "site.h"
#include "status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

int64_t send_connect_us, send_began_us;
bool send_dsn;
int send_uses;

/* --trace; secrets never, not even at a terminal. */
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

/* Which of our addresses they see; and why nothing may follow. */
static void
show_connected(const struct session *s, int fd)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(ss);
	char addr[INET6_ADDRSTRLEN], words[INET6_ADDRSTRLEN + 32];

	if (!options.trace || s->target->port == 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) != 0 ||
	    getnameinfo((struct sockaddr *)&ss, len, addr, sizeof(addr), NULL,
			0, NI_NUMERICHOST) != 0)
		return;
	snprintf(words, sizeof(words), "connected, from [%s]", addr);
	show_event(s, words);
	/* RFC 8314 7.3: such a server waits for us to begin. */
	if (s->target->port == 465 && !params.wrappermode)
		show_event(s, "port 465 is for TLS from the first byte on: "
			      "see smtp_tls_wrappermode");
}

/* smtp_bind_address: some receivers judge by it. */
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
		return err_esc(e, ST_TEMPFAIL, "4.3.5",
			       "smtp_bind_address %s: not an address of the "
			       "family",
			       addr) == 0;
	if (r != 0 && !params.bind_enforce) {
		/* Postfix's smtp(8), too, rather sends from another one. */
		log_warn("smtp_bind_address %s: %s", addr, strerror(errno));
		return true;
	}
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
	/* smtp_connect_timeout: the system's own is minutes. */
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
greeting(struct session *s, struct err *e)
{
	struct smtp_reply r = { .code = 0 };
	deadline_t d = clock_deadline(params.t_helo);
	int st = smtp_client_greeting(&s->c, d, &r, e);

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

/* Its EHLO begins with our own name: tables that lead in a circle, which the
 * addresses do not show (a NAT).  At the port of SMTP alone, as Postfix's
 * smtp(8) has it: at another one, a content filter or a second instance on
 * this host may bear its name. */
static bool
is_myself(const struct session *s, struct span text)
{
	struct span word;

	return !options.lmtp && !options.probe &&
	       s->target->port == destination_smtp_port() &&
	       site.myhostname[0] != '\0' && span_word(&text, " \n", &word) &&
	       span_ieq(word, span_of(site.myhostname));
}

/* Is no other host better than this one? */
static bool
first_choice(const struct session *s)
{
	return s->target->preference == s->group->hosts.v[0].preference;
}

int
session_hello(struct session *s, struct err *e)
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
	} else if (is_myself(s, buf_span(&r.text))) {
		st = err_esc(e, first_choice(s) ? ST_UNAVAILABLE : ST_TEMPFAIL,
			     first_choice(s) ? "5.4.6" : "4.4.6",
			     "mail for %s loops back to myself: host %s "
			     "greeted me with my own hostname %s",
			     s->group->destination, s->name, site.myhostname);
	}
	smtp_reply_free(&r);
	return st;
}

enum attempt
session_open(struct session *s, const struct group *g, size_t i, bool no_tls,
	     struct err *e)
{
	const struct mx_target *t = &g->hosts.v[i];

	*s = (struct session){ .target = t,
			       .group = g,
			       .secret = &g->secrets[i],
			       .dane = g->dane != NULL ? &g->dane[i] : NULL,
			       .no_tls = no_tls,
			       .until = clock_deadline(params.reuse_time) };
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
	show_event(s, failing_is(t) ? "connecting; it failed of late"
				    : "connecting");
	int fd = connect_to(s, e);
	if (fd < 0) {
		failing_note(t, true);
		show_event(s, e->text);
		return ATTEMPT_NEXT;
	}
	show_connected(s, fd);
	smtp_client_start(&s->c, fd);
	enum attempt r = session_wrap(s, e);
	if (r == ATTEMPT_DONE &&
	    (greeting(s, e) != 0 || session_hello(s, e) != 0)) {
		failing_note(t, true);
		return ATTEMPT_NEXT;
	}
	failing_note(t, false);
	if (r == ATTEMPT_DONE)
		r = session_secure(s, e);
	if (r != ATTEMPT_DONE) {
		show_event(s, e->text);
		return r;
	}
	/* They are a matter of comfort; those that a message cannot do without
	 * stay. */
	if (g->liar == t)
		s->c.caps &= ~(unsigned)SEND_OPTIONAL;
	return sasl_login(s, e) == 0 ? ATTEMPT_DONE : ATTEMPT_NEXT;
}

/* QUIT, where the link is still in step. */
void
session_close(struct session *s)
{
	if (s->c.s.ops != NULL)
		smtp_client_close(&s->c, true);
}

bool
session_alive(struct session *s)
{
	/* Bytes that nobody asked for are a 421, or its end. */
	return !s->c.broken && s->c.unread == 0 && clock_left(s->until) > 0 &&
	       (params.reuse_count == 0 || s->uses < params.reuse_count) &&
	       (s->c.mail_max == 0 || s->mails < s->c.mail_max) &&
	       !stream_ready(&s->c.s);
}

int
session_rest(struct session *s)
{
	struct smtp_reply r = { .code = 0 };
	struct err e = ERR_INIT;
	int st = 0;

	if (s->in_mail && !s->c.broken) {
		st = smtp_client_cmd(&s->c, clock_deadline(params.t_mail), &r,
				     &e, "RSET");
		st = st == 0 && r.code / 100 == 2 ? 0 : -1;
		s->in_mail = false;
		smtp_reply_free(&r);
	}
	return st == 0 && session_alive(s) ? 0 : -1;
}
