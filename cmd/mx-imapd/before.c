/*
 * before.c - IMAP before the login: the greeting, and what may be said.
 * RFC 3501 6.1, 6.2; RFC 4959 (SASL-IR); RFC 5530.
 */
#include "before.h"
#include "capability.h"
#include "cmd.h"
#include "conf.h"
#include "encword.h"
#include "hook.h"
#include "escape.h"
#include "maildir_root.h"

static void
capability(struct front *f, struct buf *b)
{
	/* RFC 9051 6.1.1: IMAP4rev2 stands in each list */
	buf_adds(b, "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE");
	if (front_can_starttls(f))
		buf_adds(b, " STARTTLS");
	if (front_login_ok(f))
		front_mechs(f, b, " AUTH=");
	else
		buf_adds(b, " LOGINDISABLED");
}

static struct result
before_capability(struct session *s)
{
	struct buf b = BUF_INIT;

	if (!parse_end(&s->p))
		return result_bad(s);
	capability(s->front, &b);
	stream_printf(s->st, "* CAPABILITY %s\r\n", buf_str(&b));
	buf_free(&b);
	return result_ok("Capability completed");
}

static void
starttls(struct session *s)
{
	if (!front_starttls(s->front))
		s->state = STATE_LOGOUT;
}

static struct result
before_starttls(struct session *s)
{
	if (!parse_end(&s->p))
		return result_bad(s);
	if (!front_can_starttls(s->front))
		return RESULT(RESULT_BAD, NULL, "TLS is not to be had");
	/* RFC 3501 6.2.1, CVE-2011-0411: what stands behind it in the clear
	 * is an attacker's */
	if (stream_buffered(s->st).n > 0) {
		s->say_bye = true;
		return RESULT(RESULT_BYE, NULL, "Commands behind STARTTLS");
	}
	s->then = starttls;
	return result_ok("Begin TLS negotiation now");
}

/* What a login came to, in IMAP's words. */
static struct result
login_result(struct session *s, enum front_login_kind k)
{
	static const struct {
		enum result_kind kind;
		const char *code;
	} table[] = {
		[FRONT_LOGIN_OK] = { RESULT_OK, NULL },
		[FRONT_LOGIN_FAILED] = { RESULT_NO, "AUTHENTICATIONFAILED" },
		[FRONT_LOGIN_TEMP] = { RESULT_NO, "UNAVAILABLE" },
		[FRONT_LOGIN_SESSION] = { RESULT_NO, "UNAVAILABLE" },
		[FRONT_LOGIN_LIMIT] = { RESULT_NO, "LIMIT" },
		[FRONT_LOGIN_PRIVACY] = { RESULT_NO, "PRIVACYREQUIRED" },
		[FRONT_LOGIN_MECH] = { RESULT_NO, NULL },
		[FRONT_LOGIN_ABORTED] = { RESULT_BAD, NULL },
		[FRONT_LOGIN_MALFORMED] = { RESULT_BAD, NULL },
		[FRONT_LOGIN_TOO_MANY] = { RESULT_BYE, NULL },
		[FRONT_LOGIN_TOO_LONG] = { RESULT_BYE, NULL },
		[FRONT_LOGIN_GONE] = { RESULT_BYE, NULL },
	};
	struct result r =
	    RESULT(table[k].kind, table[k].code, front_login_text(k));

	if (k == FRONT_LOGIN_GONE)
		r.text = NULL;
	if (r.kind == RESULT_BYE)
		s->say_bye = true;
	if (k == FRONT_LOGIN_OK) {
		s->state = STATE_AUTH;
		buf_clear(&s->code);
		buf_addf(&s->code, "CAPABILITY %s",
			 capability_words(&s->words, true));
		r.code = buf_str(&s->code);
	}
	return r;
}

/* The password was in the command's text. */
static void
wipe_text(struct session *s)
{
	if (s->text.p != NULL)
		explicit_bzero(s->text.p, s->text.n);
}

static struct result
before_login(struct session *s)
{
	struct buf user = BUF_INIT, pass = BUF_INIT;
	struct result r;

	if (!parse_sp(&s->p) || !parse_astring(&s->p, &user) ||
	    !parse_sp(&s->p) || !parse_astring(&s->p, &pass) ||
	    !parse_end(&s->p))
		r = result_bad(s);
	else
		r = login_result(s, front_login_plain(s->front, buf_span(&user),
						      buf_span(&pass)));
	buf_wipe(&user);
	buf_wipe(&pass);
	wipe_text(s);
	return r;
}

/* The initial response: "=" is the empty one. */
static bool
initial(struct session *s, struct buf *resp, bool *has)
{
	struct span rest;

	*has = false;
	if (parse_peek(&s->p) != ' ')
		return parse_end(&s->p);
	if (!parse_sp(&s->p))
		return false;
	rest = span_rtrim(span_from(s->p.s, s->p.at));
	*has = true;
	return span_is(rest, "=") || base64_decode(resp, rest);
}

static struct result
before_authenticate(struct session *s)
{
	struct buf resp = BUF_INIT;
	struct span mech, first = span_make(NULL, 0);
	enum front_login_kind k = FRONT_LOGIN_MALFORMED;
	bool has;

	if (!parse_sp(&s->p) || !parse_atom(&s->p, &mech))
		return result_bad(s);
	if (initial(s, &resp, &has)) {
		if (has)
			first = resp.n > 0 ? buf_span(&resp) : SPAN("");
		k = front_login(s->front, mech, first, front_answer_line);
	}
	buf_wipe(&resp);
	wipe_text(s);
	return login_result(s, k);
}

static struct result
later(struct session *s)
{
	(void)s;
	return RESULT(RESULT_BAD, NULL, "Log in first");
}

static const struct command commands[] = {
	{ "CAPABILITY", STATE_FIRST, CMD_NO_SYNC, before_capability },
	{ "NOOP", STATE_FIRST, CMD_NO_SYNC, cmd_noop },
	{ "LOGOUT", STATE_FIRST, CMD_NO_SYNC, cmd_logout },
	{ "ID", STATE_FIRST, CMD_NO_SYNC, cmd_id },
	{ "STARTTLS", STATE_FIRST, CMD_NO_SYNC, before_starttls },
	{ "LOGIN", STATE_FIRST, CMD_NO_SYNC, before_login },
	{ "AUTHENTICATE", STATE_FIRST, CMD_NO_SYNC, before_authenticate },
	{ "SELECT", STATE_FIRST, CMD_NO_SYNC, later },
	{ "EXAMINE", STATE_FIRST, CMD_NO_SYNC, later },
	{ "LIST", STATE_FIRST, CMD_NO_SYNC, later },
	{ "STATUS", STATE_FIRST, CMD_NO_SYNC, later },
	{ NULL, 0, 0, NULL },
};

static void
talk(struct front *f)
{
	struct session s = { .st = f->st,
			     .state = STATE_FIRST,
			     .user = "",
			     .root = -1,
			     .rows = commands,
			     .max = FRONT_LINE_MAX,
			     .bad_limit = FRONT_BAD_COMMANDS,
			     .until = f->until,
			     .front = f };
	struct buf b = BUF_INIT;

	capability(f, &b);
	if (!f->again)
		stream_printf(f->st, "* OK [CAPABILITY %s] %s\r\n", buf_str(&b),
			      front_conf.login_greeting);
	buf_free(&b);
	while (session_one(&s) && f->fd < 0)
		;
	session_done(&s);
}

static int
prepare(struct front_user *u, struct err *e)
{
	if (front_mail_root(u, conf.mail_location, e) != 0)
		return -1;
	front_path(u, encword_charsets()); /* SEARCH CHARSET, RFC 2047 */
	hook_start(u);
	return 0;
}

static void
session(struct stream *st, struct front_user *u)
{
	(void)session_run(st, u->auth.user, buf_str(&u->root), u->greet);
}

static void
reload(void)
{
	maildir_root_boxes = conf.mailbox_auto;
}

static const struct server_mode modes[] = {
	{ .name = "imap", .port = 143 },
	{ .name = "imaps", .tls = true, .port = 993 },
};

static struct front_protocol imap = {
	.name = "imap",
	.alpn = "imap",
	.modes = modes,
	.nmodes = ARRAY_LEN(modes),
	.busy = "* BYE [UNAVAILABLE] All servers are busy\r\n",
	.too_many = "* BYE [LIMIT] Too many connections from your address\r\n",
	.stopping = "* BYE Shutting down\r\n",
	.unavailable = "* BYE [UNAVAILABLE] The mailbox cannot be opened\r\n",
	.process_limit = &conf.process_limit,
	.client_limit = &conf.client_limit,
	.process_limit_name = "imap_process_limit",
	.reload = reload,
	.before_login = talk,
	.prepare = prepare,
	.session = session,
};

int
before_serve(const struct program *program)
{
	imap.program = program;
	return front_run(&imap, &options.server);
}

int
before_preauth(const char *user, const char *maildir)
{
	return front_preauth(&imap, user, maildir);
}
