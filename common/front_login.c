/*
 * front_login.c - logins through the auth link: one link a worker, one
 * exchange at a time.
 * Layer: mail.  RFC 4422, RFC 4616.  THREATS 48 to 55: empty or malformed
 * passwords never reach a backend as something else; the reply to a failure
 * is always the same.
 */
#include "front.h"
#include "escape.h"
#include "log.h"
#include "mem.h"
#include "tls.h"

#include <stdio.h>
#include <stdlib.h>

#define AUTH_MS 60000
#define SASL_LINE_MAX 12288

static struct {
	const struct front_protocol *protocol;
	struct authclient a;
	bool open;
	int endpoint;
} link_;

void
front_login_use(const struct front_protocol *p, int endpoint)
{
	link_.protocol = p;
	link_.endpoint = endpoint;
}

static void
link_close(void)
{
	if (link_.open)
		authclient_close(&link_.a);
	link_.open = false;
}

void
front_login_rest(void)
{
	link_close();
}

static bool
link_open(struct front *f)
{
	deadline_t d = clock_deadline(AUTH_MS);
	struct err e = ERR_INIT;
	int fd;

	if (link_.open)
		return true;
	fd = server_connect(f->server, link_.endpoint, d, &e);
	if (fd < 0 || authclient_open(&link_.a, fd, d, &e) != 0) {
		log_warn("auth_socket = %s: %s", front_conf.auth_socket,
			 e.text);
		return false;
	}
	link_.open = true;
	return true;
}

/* Mechanisms that need what we do not give, or prove nothing. */
static bool
mech_ok(const struct front *f, struct span m)
{
	static const char *const no[] = { "ANONYMOUS", "EXTERNAL", "GSSAPI",
					  "GSS-SPNEGO", "NTLM" };

	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (span_iis(m, no[i]))
			return false;
	/* Whoever sees a token has it (RFC 7628 3). */
	if ((span_iis(m, "OAUTHBEARER") || span_iis(m, "XOAUTH2")) &&
	    !front_secured(f))
		return false;
	return m.n > 0 && m.n < sizeof(((struct front *)0)->mech) &&
	       (f->tls || !span_iends(m, SPAN("-PLUS")));
}

void
front_mechs(struct front *f, struct buf *b, const char *before)
{
	if (!link_open(f)) {
		/* said when somebody tries it; see link_open */
		buf_addf(b, "%sPLAIN", before);
		return;
	}
	for (size_t i = 0; i < link_.a.mechs.n; i++) {
		const char *m = link_.a.mechs.v[i];

		/* A -PLUS of a server that takes bindings in another way. */
		if (!mech_ok(f, span_of(m)) ||
		    span_iends(span_of(m), SPAN("-PLUS")))
			continue;
		buf_addf(b, "%s%s", before, m);
		if (f->tls && authclient_plus(&link_.a, i))
			buf_addf(b, "%s%s-PLUS", before, m);
	}
}

const char *
front_login_text(enum front_login_kind k)
{
	static const char *const texts[] = {
		[FRONT_LOGIN_OK] = "Logged in",
		[FRONT_LOGIN_FAILED] = "Authentication failed",
		[FRONT_LOGIN_TEMP] = "Temporary authentication failure",
		[FRONT_LOGIN_SESSION] =
		    "The session cannot be started; see the server's log",
		[FRONT_LOGIN_LIMIT] =
		    "Too many sessions of this user from your address",
		[FRONT_LOGIN_PRIVACY] = "Logins are disabled without TLS here",
		[FRONT_LOGIN_MECH] = "Unsupported mechanism",
		[FRONT_LOGIN_ABORTED] = "Authentication aborted",
		[FRONT_LOGIN_MALFORMED] = "Malformed base64",
		[FRONT_LOGIN_TOO_MANY] = "Too many failed logins",
		[FRONT_LOGIN_TOO_LONG] = "Line too long",
		[FRONT_LOGIN_GONE] = "Connection lost",
	};

	return texts[k];
}

static enum front_login_kind
failed(struct front *f, const char *why)
{
	/* mx-auth tells each one and why; here they are told at the end, once
	 * for the connection, as by Dovecot */
	log_debug("auth failed: method=%s, rip=%s, lip=%s%s%s%s", f->mech,
		  f->conn->addr, f->conn->local_addr, f->tls ? ", TLS" : "",
		  why[0] != '\0' ? ": " : "", why);
	return ++f->attempts >= FRONT_LOGINS ? FRONT_LOGIN_TOO_MANY
					     : FRONT_LOGIN_FAILED;
}

static enum front_login_kind
logged_in(struct front *f)
{
	struct err e = ERR_INIT;
	int fd = front_hand_ask(f, &link_.a, &e);

	if (fd < 0) {
		log_error("%s: %s", authclient_user(&link_.a), e.text);
		return fd == -2 ? FRONT_LOGIN_LIMIT : FRONT_LOGIN_SESSION;
	}
	f->fd = fd;
	f->user = mem_strdup(authclient_user(&link_.a));
	log_info("Login: user=<%s>, method=%s, rip=%s, lip=%s%s", f->user,
		 f->mech, f->conn->addr, f->conn->local_addr,
		 f->tls ? ", TLS" : "");
	return FRONT_LOGIN_OK;
}

enum io_result
front_answer_line(struct front *f, struct span challenge, struct buf *answer_r)
{
	struct span line;
	enum io_result r;

	stream_printf(f->st, "+ %.*s\r\n", SPAN_ARG(challenge));
	r = stream_flush(f->st, f->until);
	if (r == IO_OK)
		r = front_line(f, SASL_LINE_MAX, &line);
	if (r == IO_OK)
		buf_addspan(answer_r, span_rtrim(line));
	return r;
}

/* A challenge goes out, an answer comes in: FRONT_LOGIN_OK, or why not. */
static enum front_login_kind
answer(struct front *f, front_answer_fn *ask, const struct buf *challenge,
       struct buf *in)
{
	struct buf b64 = BUF_INIT, line = BUF_INIT;
	enum front_login_kind k = FRONT_LOGIN_OK;
	enum io_result io;

	base64_encode(&b64, buf_span(challenge));
	io = ask(f, buf_span(&b64), &line);
	buf_free(&b64);
	if (io == IO_TOOLONG)
		k = FRONT_LOGIN_TOO_LONG;
	else if (io != IO_OK)
		k = FRONT_LOGIN_GONE;
	else if (span_is(buf_span(&line), "*"))
		k = FRONT_LOGIN_ABORTED;
	else if (!base64_decode(in, buf_span(&line)))
		k = FRONT_LOGIN_MALFORMED;
	buf_wipe(&line);
	return k;
}

static enum auth_result
start(struct front *f, struct span resp, struct buf *challenge, struct err *e)
{
	struct strs bindings = STRS_INIT;
	enum auth_result r;
	struct auth_facts fa = { .bindings = &bindings,
				 .service = link_.protocol->name,
				 .local_ip = f->conn->local_addr,
				 .remote_ip = f->conn->addr,
				 .local_port = f->conn->local_port,
				 .remote_port = f->conn->port,
				 .secured = front_secured(f) };

	tls_bindings(f->st, &bindings);
	r = authclient_start(&link_.a, f->mech, &fa, resp, challenge,
			     clock_deadline(AUTH_MS), e);
	strs_free(&bindings);
	return r;
}

static enum front_login_kind
exchange(struct front *f, struct span resp, front_answer_fn *ask)
{
	struct buf challenge = BUF_INIT, in = BUF_INIT;
	struct err e = ERR_INIT;
	enum auth_result a = AUTH_TEMP;
	enum front_login_kind k = FRONT_LOGIN_TEMP;
	bool was_open = link_.open;

	if (link_open(f))
		a = start(f, resp, &challenge, &e);
	/* A kept link may have died since the last session: once more. */
	if (a == AUTH_TEMP && was_open) {
		link_close();
		e = ERR_INIT;
		buf_clear(&challenge);
		if (link_open(f))
			a = start(f, resp, &challenge, &e);
	}
	while (a == AUTH_CONTINUE) {
		buf_wipe(&in);
		k = answer(f, ask, &challenge, &in);
		if (k != FRONT_LOGIN_OK) {
			authclient_cancel(&link_.a);
			break;
		}
		buf_clear(&challenge);
		a = authclient_continue(&link_.a, buf_span(&in), &challenge,
					clock_deadline(AUTH_MS), &e);
	}
	if (a == AUTH_OK) {
		k = logged_in(f);
	} else if (a == AUTH_FAIL) {
		k = failed(f, e.text);
	} else if (a == AUTH_TEMP) {
		if (e.text[0] != '\0')
			log_warn("auth_socket = %s: %s", front_conf.auth_socket,
				 e.text);
		link_close();
		k = FRONT_LOGIN_TEMP;
	}
	buf_wipe(&challenge);
	buf_wipe(&in);
	return k;
}

enum front_login_kind
front_login(struct front *f, struct span mech, struct span initial,
	    front_answer_fn *ask)
{
	if (!mech_ok(f, mech))
		return FRONT_LOGIN_MECH;
	if (!front_login_ok(f))
		return FRONT_LOGIN_PRIVACY;
	for (size_t i = 0; i < mech.n; i++)
		f->mech[i] = ascii_toupper(mech.p[i]);
	f->mech[mech.n] = '\0';
	return exchange(f, initial, ask);
}

enum front_login_kind
front_login_plain(struct front *f, struct span user, struct span pass)
{
	struct buf resp = BUF_INIT;
	enum front_login_kind k;

	/* RFC 4616: neither may hold what parts them */
	if (span_chr(user, '\0') >= 0 || span_chr(pass, '\0') >= 0) {
		snprintf(f->mech, sizeof(f->mech), "PLAIN");
		return failed(f, "a NUL in user name or password");
	}
	buf_addc(&resp, '\0');
	buf_addspan(&resp, user);
	buf_addc(&resp, '\0');
	buf_addspan(&resp, pass);
	k = front_login(f, SPAN("PLAIN"), buf_span(&resp), front_answer_line);
	buf_wipe(&resp);
	return k;
}
