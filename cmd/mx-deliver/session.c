/*
 * session.c - the command loop: rows of words, one reply a command, written
 * here only; replies of pipelined commands go out in one write.
 */
#include "session.h"
#include "conf.h"
#include "escape.h"
#include "hand.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "site.h"
#include "status.h"
#include "users.h"
#include "wire.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048 /* Postfix line_length_limit */
#define SKIP_MAX (1 << 20)
#define ERRORS_MAX 20 /* smtpd_hard_error_limit */

struct reply
reply_make(int code, const char *esc, const char *fmt, ...)
{
	struct reply r = { .code = code };
	va_list ap;

	snprintf(r.esc, sizeof(r.esc), "%s", esc);
	va_start(ap, fmt);
	vsnprintf(r.text, sizeof(r.text), fmt, ap);
	va_end(ap);
	return r;
}

struct reply
reply_err(const struct session *x, const struct err *e)
{
	bool temp = status_is_temp(e->status);
	const char *code = e->esc;

	if (!temp)
		return reply_make(strcmp(code, "5.3.4") == 0   ? 552
				  : strcmp(code, "5.2.2") == 0 ? 552
				  : strcmp(code, "5.4.6") == 0 ? 554
				  : strcmp(code, "5.4.0") == 0 ? 554
							       : 550,
				  code, "%s", e->text);
	if (strcmp(code, "4.2.2") == 0)
		return reply_make(452, code, "%s", e->text);
	if (x->submit)
		return reply_make(451, code, "%s", e->text);
	return reply_make(451, code, "%s, try again later",
			  code[2] == '2'   ? "Mailbox trouble"
			  : code[2] == '4' ? "Routing trouble"
					   : "Temporary failure");
}

deadline_t
session_deadline(void)
{
	return clock_deadline(conf.session_timeout);
}

void
session_say(struct session *x, const struct reply *r)
{
	struct buf b = BUF_INIT;

	x->s.out_deadline = session_deadline();
	escape_line(&b, span_of(r->text), 480);
	stream_printf(&x->s, "%d %s%s%s\r\n", r->code, r->esc,
		      r->esc[0] ? " " : "", buf_str(&b));
	buf_free(&b);
	if (r->code >= 500)
		x->errors++;
}

/* What XFORWARD said is one transaction's (XFORWARD_README): the link is kept
 * for clients who have nothing to do with each other, and a LOGIN that stays
 * would make the next one a user of ours. */
static void
forget_forwarded(struct session *x)
{
	if (!x->client.forwarded)
		return;
	client_free(&x->client);
	if (x->helo != NULL)
		x->client.helo = mem_strdup(x->helo);
}

void
session_reset(struct session *x)
{
	trans_reset(&x->t);
	forget_forwarded(x);
	x->bdat = false;
	free(x->wire);
	x->wire = NULL;
}

/* The lines of EHLO and LHLO. */
static struct reply
hello(struct session *x, struct span arg, bool lmtp)
{
	static const char *const lines[] = {
		"PIPELINING",          "8BITMIME", "SMTPUTF8",
		"ENHANCEDSTATUSCODES", "DSN",      "CHUNKING"
	};

	if (arg.n == 0 || arg.n > 255 || span_has_ctl(arg))
		return reply_make(501, "5.5.4", "Syntax: %s hostname",
				  lmtp ? "LHLO" : "EHLO");
	session_reset(x);
	x->greeted = true;
	x->lmtp = lmtp;
	x->t.lmtp = lmtp;
	free(x->helo);
	x->helo = mem_spandup(arg);
	if (x->client.helo == NULL)
		x->client.helo = mem_strdup(x->helo);
	stream_printf(&x->s, "250-%s\r\n", site.myhostname);
	if (conf.message_size_limit > 0)
		stream_printf(&x->s, "250-SIZE %lld\r\n",
			      (long long)conf.message_size_limit);
	else
		stream_puts(&x->s, "250-SIZE\r\n");
	if (x->trusted)
		stream_puts(&x->s, "250-XFORWARD NAME ADDR PORT PROTO HELO "
				   "IDENT SOURCE LOGIN TLS\r\n"
				   "250-XACTION HOLD REDIRECT FILTER BCC "
				   "LATE\r\n"
				   "250-XVERIFY\r\n"
				   "250-REQUIRETLS\r\n");
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		stream_printf(&x->s, "250%c%s\r\n",
			      i + 1 < ARRAY_LEN(lines) ? '-' : ' ', lines[i]);
	return (struct reply){ .code = 0 };
}

static struct reply
cmd_ehlo(struct session *x, struct span arg)
{
	return hello(x, arg, false);
}

static struct reply
cmd_lhlo(struct session *x, struct span arg)
{
	return hello(x, arg, true);
}

static struct reply
cmd_helo(struct session *x, struct span arg)
{
	if (arg.n == 0 || arg.n > 255 || span_has_ctl(arg))
		return reply_make(501, "", "Syntax: HELO hostname");
	session_reset(x);
	x->greeted = true;
	x->lmtp = x->t.lmtp = false;
	if (x->client.helo == NULL)
		x->client.helo = mem_spandup(arg);
	return reply_make(250, "", "%s", site.myhostname);
}

static struct reply
cmd_noop(struct session *x, struct span arg)
{
	(void)x;
	(void)arg;
	return reply_make(250, "2.0.0", "Ok");
}

static struct reply
cmd_rset(struct session *x, struct span arg)
{
	(void)arg;
	session_reset(x);
	return reply_make(250, "2.0.0", "Ok");
}

static struct reply
cmd_quit(struct session *x, struct span arg)
{
	(void)arg;
	x->quit = true;
	return reply_make(221, "2.0.0", "Bye");
}

/* State a command needs. */
enum { ANY = 0, GREETED = 1, SENDER = 2, RCPTS = 4, NO_BDAT = 8 };

static const struct {
	const char *word;
	unsigned needs;
	struct reply (*act)(struct session *, struct span);
} commands[] = {
	{ "EHLO", ANY, cmd_ehlo },
	{ "LHLO", ANY, cmd_lhlo },
	{ "HELO", ANY, cmd_helo },
	{ "XFORWARD", ANY, cmd_xforward },
	{ "MAIL", GREETED, cmd_mail },
	{ "RCPT", GREETED | SENDER | NO_BDAT, cmd_rcpt },
	{ "DATA", GREETED | SENDER | RCPTS | NO_BDAT, cmd_data },
	/* BDAT takes its bytes off the wire whatever it answers */
	{ "BDAT", ANY, cmd_bdat },
	{ "XACTION", GREETED | SENDER, cmd_xaction },
	{ "RSET", ANY, cmd_rset },
	{ "NOOP", ANY, cmd_noop },
	{ "VRFY", ANY, cmd_vrfy },
	{ "XVERIFY", GREETED, cmd_xverify },
	{ "QUIT", ANY, cmd_quit },
};

static struct reply
check_state(const struct session *x, unsigned needs)
{
	if ((needs & GREETED) && !x->greeted)
		return reply_make(503, "5.5.1",
				  "Error: send EHLO or LHLO "
				  "first");
	if ((needs & SENDER) && x->t.sender == NULL)
		return reply_make(503, "5.5.1", "Error: need MAIL command");
	if ((needs & NO_BDAT) && x->bdat)
		return reply_make(503, "5.5.1",
				  "Error: not inside a BDAT sequence");
	if ((needs & RCPTS) && x->t.nrcpt == 0)
		return reply_make(x->lmtp ? 503 : 554, "5.5.1",
				  "Error: no valid recipients");
	return (struct reply){ .code = 0 };
}

static struct reply
dispatch(struct session *x, struct span line)
{
	struct span word, rest = line;
	struct reply r;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		rest = line = span_sub(line, 0, line.n - 1);
	if (span_has_ctl(line))
		return reply_make(500, "5.5.2", "Error: bad syntax");
	if (!span_word(&rest, " ", &word))
		return reply_make(500, "5.5.2", "Error: command expected");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!span_iis(word, commands[i].word))
			continue;
		r = check_state(x, commands[i].needs);
		if (r.code != 0)
			return r;
		return commands[i].act(x, span_trim(rest));
	}
	return reply_make(500, "5.5.2", "Error: command not recognized");
}

/* Is this uid one of authorized_forward_users? */
static bool
uid_trusted(uid_t uid)
{
	if (uid == geteuid())
		return true;
	for (size_t i = 0; i < conf.authorized_forward_users.n; i++) {
		const char *name = conf.authorized_forward_users.v[i];
		struct passwd *pw;
		uint64_t n;

		if (num_u64(span_of(name), UINT32_MAX - 1, &n)) {
			if (uid == (uid_t)n)
				return true;
			continue;
		}
		pw = getpwnam(name);
		if (pw != NULL && pw->pw_uid == uid)
			return true;
	}
	return false;
}

static void
open_session(struct session *x, struct server *s, struct server_conn *c)
{
	*x = (struct session){ .server = s };
	stream_init(&x->s, c->fd_in, c->fd_out);
	x->submit = strcmp(c->mode->name, "submit") == 0;
	/* A pipe or a terminal is whoever started us: our own uid. */
	bool local = !c->has_peer;
	uid_t uid = c->is_unix ? c->peer_uid : getuid();
	x->trusted = !x->submit && local && uid_trusted(uid);
	x->client.submit = x->submit;
	if (x->submit && local) {
		struct passwd *pw = getpwuid(uid);
		x->client.login = pw != NULL ? mem_strdup(pw->pw_name)
					     : mem_printf("%ld", (long)uid);
	} else if (c->has_peer) {
		x->client.addr = mem_strdup(c->addr);
	}
	trans_init(&x->t, &x->client, false);
	route_refresh();
}

static void
close_session(struct session *x)
{
	session_reset(x);
	client_free(&x->client);
	free(x->helo);
	/* the descriptors are the server's */
	x->s.fd_in = x->s.fd_out = -1;
	stream_close(&x->s);
}

/* Replies wait while more commands are there to be read. */
static bool
flush(struct session *x)
{
	if (stream_buffered(&x->s).n > 0 &&
	    span_chr(stream_buffered(&x->s), '\n') >= 0)
		return true;
	return stream_flush(&x->s, session_deadline()) == IO_OK;
}

static bool
one_command(struct session *x)
{
	struct reply r;
	struct span line;

	switch (stream_line(&x->s, LINE_MAX_BYTES, &line, session_deadline())) {
	case IO_OK:
		r = dispatch(x, line);
		break;
	case IO_TOOLONG:
		if (stream_skip_line(&x->s, SKIP_MAX, session_deadline()) !=
		    IO_OK)
			return false;
		r = reply_make(500, "5.5.2", "Error: line too long");
		break;
	case IO_TIMEOUT:
		r = reply_make(421, "4.4.2", "%s Error: timeout exceeded",
			       site.myhostname);
		x->quit = true;
		break;
	default:
		return false;
	}
	if (r.code != 0)
		session_say(x, &r);
	if (x->errors > ERRORS_MAX) {
		r = reply_make(421, "4.7.0", "%s Error: too many errors",
			       site.myhostname);
		session_say(x, &r);
		x->quit = true;
	}
	return !x->quit;
}

void
session_run(struct server *s, struct server_conn *c)
{
	struct session x;
	struct reply r;

	open_session(&x, s, c);
	if (c->too_many) {
		r = reply_make(421, "4.7.0", "%s Error: too many connections",
			       site.myhostname);
		x.quit = true;
	} else {
		r = reply_make(220, "", "%s ESMTP mx", site.myhostname);
	}
	session_say(&x, &r);
	while (flush(&x) && !x.quit) {
		if (s != NULL && server_stopping(s) && x.t.sender == NULL &&
		    stream_buffered(&x.s).n == 0) {
			r = reply_make(421, "4.3.2", "%s closing",
				       site.myhostname);
			session_say(&x, &r);
			x.quit = true;
			continue;
		}
		if (!one_command(&x))
			break;
	}
	(void)!stream_flush(&x.s, session_deadline());
	close_session(&x);
	hand_idle();
}
