/*
 * before.c - the authorization state.  RFC 1939 4, RFC 2449 (CAPA), RFC 2595
 * (STLS), RFC 5034 (AUTH), RFC 3206 (AUTH and SYS response codes), RFC 6856
 * (UTF8).
 */
#include "before.h"
#include "command.h"
#include "conf.h"
#include "escape.h"
#include "lang.h"
#include "maildir_root.h"
#include "pop3.h"
#include "saslprep.h"

#include <stdio.h>

struct before {
	struct front *f;
	struct buf user; /* USER's */
	bool over;
};

static void
ok(struct before *s, const char *text)
{
	stream_printf(s->f->st, "+OK%s%s\r\n", text != NULL ? " " : "",
		      text != NULL ? text : "");
}

static void
refuse(struct before *s, const char *text)
{
	stream_printf(s->f->st, "-ERR %s\r\n", text);
}

static void
unknown(struct before *s, const char *text)
{
	s->over = ++s->f->bad_commands >= FRONT_BAD_COMMANDS;
	refuse(s, s->over ? "Too many bad commands" : text);
}

static void
before_capa(struct before *s, struct command *c)
{
	struct buf b = BUF_INIT;

	(void)c;
	pop3_capabilities(&b);
	if (front_can_starttls(s->f))
		buf_adds(&b, "STLS\r\n");
	if (front_login_ok(s->f)) {
		buf_adds(&b, "USER\r\nSASL");
		front_mechs(s->f, &b, " ");
		buf_adds(&b, "\r\n");
	}
	stream_printf(s->f->st, "+OK\r\n%s.\r\n", buf_str(&b));
	buf_free(&b);
}

static void
before_stls(struct before *s, struct command *c)
{
	(void)c;
	if (!front_can_starttls(s->f)) {
		refuse(s, s->f->tls ? "TLS is active" : "TLS is not to be had");
		return;
	}
	/* CVE-2011-0411: what stands behind it in the clear is an attacker's;
	 * RFC 2595 4: knowledge from before is dropped */
	if (stream_buffered(s->f->st).n > 0) {
		refuse(s, "Commands behind STLS");
		s->over = true;
		return;
	}
	buf_wipe(&s->user);
	s->f->option[0] = '\0';
	ok(s, "Begin TLS negotiation now");
	s->over = !front_starttls(s->f);
}

/* What a login came to.  The session itself says +OK, with its mailbox open.
 * RFC 3206: AUTH is for bad credentials alone. */
static void
login_result(struct before *s, enum front_login_kind k)
{
	static const char *const codes[] = {
		[FRONT_LOGIN_OK] = "",
		[FRONT_LOGIN_FAILED] = "[AUTH] ",
		[FRONT_LOGIN_TEMP] = "[SYS/TEMP] ",
		[FRONT_LOGIN_SESSION] = "[SYS/TEMP] ",
		[FRONT_LOGIN_LIMIT] = "[SYS/TEMP] ",
		[FRONT_LOGIN_PRIVACY] = "",
		[FRONT_LOGIN_MECH] = "",
		[FRONT_LOGIN_ABORTED] = "",
		[FRONT_LOGIN_MALFORMED] = "",
		[FRONT_LOGIN_TOO_MANY] = "[AUTH] ",
		[FRONT_LOGIN_TOO_LONG] = "",
		[FRONT_LOGIN_GONE] = "",
	};

	if (k == FRONT_LOGIN_OK)
		return;
	if (k != FRONT_LOGIN_GONE)
		stream_printf(s->f->st, "-ERR %s%s\r\n", codes[k],
			      front_login_text(k));
	s->over = k == FRONT_LOGIN_GONE || k == FRONT_LOGIN_TOO_MANY ||
		  k == FRONT_LOGIN_TOO_LONG;
}

static void
before_user(struct before *s, struct command *c)
{
	struct span name = span_trim(c->args);

	if (!front_login_ok(s->f)) {
		login_result(s, FRONT_LOGIN_PRIVACY);
	} else if (name.n == 0) {
		refuse(s, "A user name is expected");
	} else {
		buf_wipe(&s->user);
		if (saslprep(&s->user, name) != 0 || s->user.n == 0)
			refuse(s, "No name has such characters");
		else
			ok(s, NULL); /* whoever it is: THREATS 50 */
	}
}

static void
before_pass(struct before *s, struct command *c)
{
	struct buf pass = BUF_INIT;

	if (s->user.n == 0) {
		refuse(s, "USER comes first");
		return;
	}
	/* RFC 1939 7: the whole rest, spaces are part of it.  RFC 6856 2.2:
	 * what SASLprep refuses MUST be refused, whatever is stored */
	login_result(s, saslprep(&pass, c->args) == 0
			    ? front_login_plain(s->f, buf_span(&s->user),
						buf_span(&pass))
			    : FRONT_LOGIN_FAILED);
	buf_wipe(&pass);
	buf_wipe(&s->user);
}

/* RFC 5034 6: without an argument, the mechanisms, as older clients ask. */
static void
list_mechs(struct before *s)
{
	struct buf b = BUF_INIT;

	if (front_login_ok(s->f))
		front_mechs(s->f, &b, "\r\n");
	stream_printf(s->f->st, "+OK%s\r\n.\r\n", buf_str(&b));
	buf_free(&b);
}

static void
before_auth(struct before *s, struct command *c)
{
	struct span mech, initial, first = span_make(NULL, 0);
	struct buf resp = BUF_INIT;
	enum front_login_kind k = FRONT_LOGIN_MALFORMED;
	bool good = true;

	if (!command_arg(c, &mech)) {
		list_mechs(s);
		return;
	}
	if (command_arg(c, &initial)) {
		good = span_is(initial, "=") || base64_decode(&resp, initial);
		first = resp.n > 0 ? buf_span(&resp) : SPAN("");
	}
	if (good)
		k = front_login(s->f, mech, first, front_answer_line);
	buf_wipe(&resp);
	login_result(s, k);
}

static void
before_utf8(struct before *s, struct command *c)
{
	struct span arg;

	if (command_arg(c, &arg)) {
		refuse(s, "UTF8 has no parameters");
		return;
	}
	snprintf(s->f->option, sizeof(s->f->option), "utf8");
	ok(s, "UTF-8 mode");
}

static void
before_lang(struct before *s, struct command *c)
{
	lang_answer(s->f->st, c);
}

static void
before_quit(struct before *s, struct command *c)
{
	(void)c;
	s->over = true;
	ok(s, "Logging out");
}

static void
before_later(struct before *s, struct command *c)
{
	(void)c;
	unknown(s, "Log in first");
}

static const struct {
	const char *word;
	void (*run)(struct before *s, struct command *c);
} commands[] = {
	{ "CAPA", before_capa },  { "STLS", before_stls },
	{ "USER", before_user },  { "PASS", before_pass },
	{ "AUTH", before_auth },  { "UTF8", before_utf8 },
	{ "QUIT", before_quit },  { "STAT", before_later },
	{ "LIST", before_later }, { "UIDL", before_later },
	{ "RETR", before_later }, { "TOP", before_later },
	{ "DELE", before_later }, { "RSET", before_later },
	{ "NOOP", before_later }, { "LANG", before_lang },
};

static void
run(struct before *s, struct span line)
{
	struct command c;

	if (command_parse(&c, line)) {
		for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
			if (span_iis(c.word, commands[i].word)) {
				commands[i].run(s, &c);
				return;
			}
		}
	}
	unknown(s, "Unknown command");
}

static void
talk(struct front *f)
{
	struct before s = { .f = f };
	struct buf line = BUF_INIT;
	struct span got;

	stream_printf(f->st, "+OK %s\r\n", front_conf.login_greeting);
	while (!s.over && f->fd < 0) {
		enum io_result r = front_line(f, FRONT_LINE_MAX, &got);

		if (r == IO_TOOLONG)
			refuse(&s, "Line too long");
		else if (r == IO_TIMEOUT)
			refuse(&s, io_stop ? "[SYS/TEMP] Shutting down"
					   : "Too slow to log in");
		if (r != IO_OK)
			break;
		/* a login reads further lines over it, and it may hold a
		 * password */
		buf_wipe(&line);
		buf_addspan(&line, got);
		run(&s, buf_span(&line));
	}
	buf_wipe(&line);
	buf_wipe(&s.user);
}

static int
prepare(struct front_user *u, struct err *e)
{
	return front_mail_root(u, conf.mail_location, e);
}

static void
session(struct stream *st, struct front_user *u)
{
	pop3_run(st, u->auth.user, buf_str(&u->root),
		 strcmp(u->option, "utf8") == 0, u->greet);
}

static const struct server_mode modes[] = {
	{ .name = "pop3", .port = 110 },
	{ .name = "pop3s", .tls = true, .port = 995 },
};

static struct front_protocol pop3 = {
	.name = "pop3",
	.alpn = "pop3",
	.modes = modes,
	.nmodes = ARRAY_LEN(modes),
	.busy = "-ERR [SYS/TEMP] All servers are busy\r\n",
	.too_many = "-ERR [SYS/TEMP] Too many connections from your "
		    "address\r\n",
	.stopping = "",
	.unavailable = "-ERR [SYS/TEMP] The mailbox cannot be opened\r\n",
	.process_limit = &conf.process_limit,
	.client_limit = &conf.client_limit,
	.process_limit_name = "pop3_process_limit",
	.before_login = talk,
	.prepare = prepare,
	.session = session,
};

int
before_serve(const struct program *program)
{
	pop3.program = program;
	return front_run(&pop3, &options.server);
}

int
before_preauth(const char *user, const char *maildir)
{
	return front_preauth(&pop3, user, maildir);
}
