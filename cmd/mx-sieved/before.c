/*
 * before.c - ManageSieve before the login.  RFC 5804 1.7, 2.1 to 2.3.
 */
#include "before.h"
#include "conf.h"
#include "escape.h"
#include "maildir_root.h"
#include "sandbox.h"
#include "sieved.h"

#include <stdlib.h>

#define SASL_LINE_MAX 12288

struct before {
	struct front *f;
	struct command c;
	bool over;
};

static void
no(struct before *s, const char *code, const char *text)
{
	sieved_reply(s->f->st, "NO", code, span_of(text));
}

static void
bye(struct before *s, const char *code, const char *text)
{
	s->over = true;
	sieved_reply(s->f->st, "BYE", code, span_of(text));
}

static void
bad(struct before *s, const char *text)
{
	if (++s->f->bad_commands >= FRONT_BAD_COMMANDS)
		bye(s, NULL, "Too many bad commands");
	else
		no(s, NULL, text);
}

static void
capabilities(struct front *f)
{
	struct buf b = BUF_INIT;

	sieved_capabilities(f->st);
	/* RFC 5804 1.7: an empty list where a login needs TLS first */
	if (front_login_ok(f))
		front_mechs(f, &b, " ");
	stream_printf(f->st, "\"SASL\" \"%s\"\r\n",
		      b.n > 0 ? buf_str(&b) + 1 : "");
	if (front_can_starttls(f))
		stream_puts(f->st, "\"STARTTLS\"\r\n");
	buf_free(&b);
}

static void
before_capability(struct before *s)
{
	capabilities(s->f);
	sieved_reply(s->f->st, "OK", NULL, SPAN("Capability completed"));
}

/* RFC 5804 1.7: the greeting is what CAPABILITY answers. */
static void
greet(struct before *s)
{
	capabilities(s->f);
	sieved_reply(s->f->st, "OK", NULL, span_of(front_conf.login_greeting));
}

static void
before_starttls(struct before *s)
{
	struct front *f = s->f;

	if (!front_can_starttls(f)) {
		no(s, NULL, f->tls ? "TLS is active" : "TLS is not to be had");
		return;
	}
	/* CVE-2011-0411: what stands behind it in the clear is an attacker's */
	if (stream_buffered(f->st).n > 0) {
		bye(s, NULL, "Commands behind STARTTLS");
		return;
	}
	sieved_reply(f->st, "OK", NULL, SPAN("Begin TLS negotiation now"));
	s->over = !front_starttls(f);
	/* RFC 5804 2.2: the capabilities once more, as nobody in between wrote
	 * them */
	if (!s->over)
		greet(s);
}

/* RFC 5804 2.1: a challenge is a string on a line, and so is the answer. */
static enum io_result
ask(struct front *f, struct span challenge, struct buf *answer_r)
{
	struct limits l = { .line = SASL_LINE_MAX, .until = f->until };
	struct command c = { .n = 0 };
	enum read_result k;

	sieved_string(f->st, challenge);
	stream_puts(f->st, "\r\n");
	k = sieved_read(f->st, &c, &l);
	if (k == READ_OK && c.n == 1 && c.args[0].type == ARG_STRING)
		buf_addspan(answer_r, command_span(&c, 0));
	else if (k == READ_OK || k == READ_BAD)
		buf_adds(answer_r, "!"); /* no base64 */
	command_clear(&c);
	return k == READ_TOO_LONG || k == READ_TOO_BIG ? IO_TOOLONG
	       : k == READ_TIMEOUT                     ? IO_TIMEOUT
	       : k == READ_GONE                        ? IO_EOF
						       : IO_OK;
}

static void
before_authenticate(struct before *s)
{
	static const char *const codes[] = {
		[FRONT_LOGIN_TEMP] = "TRYLATER",
		[FRONT_LOGIN_SESSION] = "TRYLATER",
		[FRONT_LOGIN_LIMIT] = "TRYLATER",
		[FRONT_LOGIN_PRIVACY] = "ENCRYPT-NEEDED",
		[FRONT_LOGIN_GONE] = NULL,
	};
	struct span first = span_make(NULL, 0);
	struct buf resp = BUF_INIT;
	enum front_login_kind k = FRONT_LOGIN_MALFORMED;
	bool good = true;

	/* RFC 5804 2.1: an initial response, in base64; "" is one of no
	 * bytes */
	if (s->c.n == 3) {
		good = base64_decode(&resp, command_span(&s->c, 2));
		first = resp.n > 0 ? buf_span(&resp) : SPAN("");
	}
	if (good)
		k = front_login(s->f, command_span(&s->c, 1), first, ask);
	buf_wipe(&resp);
	/* the session itself says OK, with its folder open */
	if (k == FRONT_LOGIN_OK)
		return;
	if (k == FRONT_LOGIN_TOO_MANY || k == FRONT_LOGIN_TOO_LONG)
		bye(s, NULL, front_login_text(k));
	else if (k == FRONT_LOGIN_GONE)
		s->over = true;
	else
		no(s, codes[k], front_login_text(k));
}

static void
before_noop(struct before *s)
{
	if (s->c.n == 1) {
		sieved_reply(s->f->st, "OK", NULL, SPAN("Done"));
		return;
	}
	stream_puts(s->f->st, "OK (TAG ");
	sieved_string(s->f->st, command_span(&s->c, 1));
	stream_puts(s->f->st, ") \"Done\"\r\n");
}

static void
before_logout(struct before *s)
{
	s->over = true;
	sieved_reply(s->f->st, "OK", NULL, SPAN("Logging out"));
}

static const struct {
	const char *word, *shape;
	void (*run)(struct before *s);
} commands[] = {
	{ "CAPABILITY", "", before_capability },
	{ "STARTTLS", "", before_starttls },
	{ "AUTHENTICATE", "ss?", before_authenticate },
	{ "NOOP", "s?", before_noop },
	{ "LOGOUT", "", before_logout },
};

static void
run(struct before *s)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!command_is(&s->c, commands[i].word))
			continue;
		if (command_shape(&s->c, commands[i].shape))
			commands[i].run(s);
		else
			bad(s, "Wrong arguments");
		return;
	}
	bad(s, "Log in first, or no such command");
}

static void
talk(struct front *f)
{
	struct before s = { .f = f };
	struct limits l = { .line = SASL_LINE_MAX, .until = f->until };

	if (!f->again)
		greet(&s);
	while (!s.over && f->fd < 0) {
		switch (sieved_read(f->st, &s.c, &l)) {
		case READ_OK:
			run(&s);
			break;
		case READ_BAD:
		case READ_TOO_BIG:
			bad(&s, "No command of ManageSieve");
			break;
		case READ_TOO_LONG:
			bye(&s, NULL, "Command too long");
			break;
		case READ_TIMEOUT:
			bye(&s, io_stop ? "TRYLATER" : NULL,
			    io_stop ? "Shutting down" : "Too slow to log in");
			break;
		case READ_GONE:
			s.over = true;
			break;
		}
	}
	command_clear(&s.c);
}

static struct store store;

/* As the user: its folders, and the checker's environment. */
static int
prepare(struct front_user *u, struct err *e)
{
	const char *home = u->auth.home != NULL ? u->auth.home : "";
	struct buf dir = BUF_INIT, link = BUF_INIT;
	size_t n = 0;

	if (maildir_root_expand(&dir, "sieve_dir", span_of(conf.sieve_dir),
				u->auth.user, home, e) != 0 ||
	    maildir_root_expand(&link, "sieve", span_of(conf.sieve),
				u->auth.user, home, e) != 0 ||
	    store_open(&store, buf_str(&dir), buf_str(&link), e) != 0)
		return -1;
	buf_free(&dir);
	buf_free(&link);
	store.max_size = conf.max_script_size;
	store.quota_scripts = conf.quota_scripts;
	store.quota_storage = conf.quota_storage;
	if (setenv("HOME", home, 1) != 0 ||
	    setenv("USER", u->auth.user, 1) != 0)
		return err_sys(e, "the environment");
	u->paths[n++] = buf_str(&store.dir_path);
	u->paths[n++] = buf_str(&store.link_folder);
	if (sieved_check_folder() != NULL)
		u->paths[n++] = sieved_check_folder();
	u->paths[n] = config_path(prog.config);
	u->promises =
	    SANDBOX_RPATH | SANDBOX_WPATH | SANDBOX_EXEC | SANDBOX_FORK;
	return 0;
}

static void
session(struct stream *st, struct front_user *u)
{
	sieved_run(st, u->auth.user, &store, u->greet);
	store_close(&store);
}

static const struct server_mode modes[] = {
	{ .name = "sieve", .port = 4190 },
	{ .name = "sieves", .tls = true },
};

static struct front_protocol sieve = {
	.name = "sieve",
	.alpn = "managesieve",
	.modes = modes,
	.nmodes = ARRAY_LEN(modes),
	.busy = "BYE (TRYLATER) \"All servers are busy\"\r\n",
	.too_many = "BYE (TRYLATER) \"Too many connections from your "
		    "address\"\r\n",
	.stopping = "",
	.unavailable = "BYE (TRYLATER) \"The scripts' folder cannot be "
		       "opened\"\r\n",
	.process_limit = &conf.process_limit,
	.client_limit = &conf.client_limit,
	.process_limit_name = "sieve_process_limit",
	.reload = sieved_extensions_read,
	.before_login = talk,
	.prepare = prepare,
	.session = session,
};

int
before_serve(const struct program *program)
{
	sieve.program = program;
	return front_run(&sieve, &options.server);
}

int
before_preauth(const char *user)
{
	return front_preauth(&sieve, user, NULL);
}
