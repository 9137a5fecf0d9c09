/*
 * login.c - LOGIN and AUTHENTICATE through the auth link.  One link a worker,
 * one exchange at a time.  RFC 3501 6.2.2, 6.2.3; RFC 4959 (SASL-IR).
 * THREATS 48 to 55: empty or malformed passwords never reach a backend as
 * something else; the reply to a failure is always the same.
 */
#include "front.h"
#include "capability.h"
#include "conf.h"
#include "escape.h"
#include "log.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

#define AUTH_MS 60000
#define LINE_MAX 12288

static struct {
	struct authclient a;
	bool open;
	int endpoint;
} link_;

void
login_use(int endpoint)
{
	link_.endpoint = endpoint;
}

static void
link_close(void)
{
	if (link_.open)
		authclient_close(&link_.a);
	link_.open = false;
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
		log_warn("auth_socket = %s: %s", conf.auth_socket, e.text);
		return false;
	}
	link_.open = true;
	return true;
}

/* Mechanisms that need what we do not give, or prove nothing. */
static bool
mech_ok(struct span m)
{
	static const char *const no[] = { "ANONYMOUS", "EXTERNAL", "GSSAPI",
					  "GSS-SPNEGO", "NTLM" };

	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (span_iis(m, no[i]))
			return false;
	return m.n < sizeof(((struct front *)0)->mech) &&
	       !span_iends(m, SPAN("-PLUS"));
}

void
login_mechs(struct front *f, struct buf *b)
{
	if (!link_open(f)) {
		/* said when somebody tries it; see link_open */
		buf_adds(b, " AUTH=PLAIN");
		return;
	}
	for (size_t i = 0; i < link_.a.mechs.n; i++)
		if (mech_ok(span_of(link_.a.mechs.v[i])))
			buf_addf(b, " AUTH=%s", link_.a.mechs.v[i]);
}

static void
facts(const struct front *f, struct auth_facts *r)
{
	*r = (struct auth_facts){ .service = "imap",
				  .local_ip = f->conn->local_addr,
				  .remote_ip = f->conn->addr,
				  .local_port = f->conn->local_port,
				  .remote_port = f->conn->port,
				  .secured = front_secured(f) };
}

static struct result
failed(struct session *s, const char *why)
{
	struct front *f = s->front;

	log_info("auth failed: method=%s, rip=%s, lip=%s%s%s%s", f->mech,
		 f->conn->addr, f->conn->local_addr, f->tls ? ", TLS" : "",
		 why[0] != '\0' ? ": " : "", why);
	if (++f->attempts >= FRONT_LOGINS) {
		s->say_bye = true;
		return RESULT(RESULT_BYE, NULL, "Too many failed logins");
	}
	return result_no("AUTHENTICATIONFAILED", "Authentication failed");
}

static struct result
logged_in(struct session *s)
{
	struct front *f = s->front;
	struct err e = ERR_INIT;
	int fd = hand_ask(f->server, &link_.a, f->conn->addr, &e);

	if (fd < 0) {
		log_error("%s: %s", authclient_user(&link_.a), e.text);
		return result_no("UNAVAILABLE",
				 "The session cannot be started; see the "
				 "server's log");
	}
	f->fd = fd;
	f->user = mem_strdup(authclient_user(&link_.a));
	s->state = STATE_AUTH;
	log_info("Login: user=<%s>, method=%s, rip=%s, lip=%s%s", f->user,
		 f->mech, f->conn->addr, f->conn->local_addr,
		 f->tls ? ", TLS" : "");
	buf_clear(&s->code);
	buf_addf(&s->code, "CAPABILITY %s", capability_session);
	return RESULT(RESULT_OK, buf_str(&s->code), "Logged in");
}

static struct result
temporary(const struct err *e)
{
	log_warn("auth_socket = %s: %s", conf.auth_socket, e->text);
	link_close();
	return result_no("UNAVAILABLE", "Temporary authentication failure");
}

/* A challenge goes out, an answer comes in.  False: with a result. */
static bool
answer(struct session *s, const struct buf *challenge, struct buf *in,
       struct result *r)
{
	struct buf b64 = BUF_INIT;
	struct span line;
	enum io_result io;

	base64_encode(&b64, buf_span(challenge));
	io = input_continue(s, buf_str(&b64));
	buf_free(&b64);
	if (io == IO_OK)
		io = stream_line(s->st, LINE_MAX, &line, s->until);
	if (io != IO_OK) {
		s->say_bye = true;
		*r = RESULT(RESULT_BYE, NULL,
			    io == IO_TOOLONG ? "Line too long" : NULL);
		return false;
	}
	line = span_rtrim(line);
	if (span_is(line, "*")) {
		*r = RESULT(RESULT_BAD, NULL, "Authentication aborted");
		return false;
	}
	if (!base64_decode(in, line)) {
		*r = RESULT(RESULT_BAD, NULL, "Malformed base64");
		return false;
	}
	return true;
}

static enum auth_result
start(struct front *f, struct span resp, struct buf *challenge, struct err *e)
{
	struct auth_facts fa;

	facts(f, &fa);
	return authclient_start(&link_.a, f->mech, &fa, resp, challenge,
				clock_deadline(AUTH_MS), e);
}

/* A whole exchange; resp.p NULL: no initial response. */
static struct result
exchange(struct session *s, struct span resp)
{
	struct front *f = s->front;
	struct buf challenge = BUF_INIT, in = BUF_INIT;
	struct err e = ERR_INIT;
	enum auth_result k = AUTH_TEMP;
	struct result r = { RESULT_OK, NULL, NULL };
	bool was_open = link_.open;

	if (link_open(f))
		k = start(f, resp, &challenge, &e);
	/* A kept link may have died since the last session: once more. */
	if (k == AUTH_TEMP && was_open) {
		link_close();
		e = ERR_INIT;
		buf_clear(&challenge);
		if (link_open(f))
			k = start(f, resp, &challenge, &e);
	}
	while (k == AUTH_CONTINUE) {
		buf_wipe(&in);
		if (!answer(s, &challenge, &in, &r)) {
			authclient_cancel(&link_.a);
			break;
		}
		buf_clear(&challenge);
		k = authclient_continue(&link_.a, buf_span(&in), &challenge,
					clock_deadline(AUTH_MS), &e);
	}
	if (k == AUTH_OK)
		r = logged_in(s);
	else if (k == AUTH_FAIL)
		r = failed(s, e.text);
	else if (k == AUTH_TEMP)
		r = temporary(&e);
	buf_wipe(&challenge);
	buf_wipe(&in);
	return r;
}

static struct result
not_here(void)
{
	return result_no("PRIVACYREQUIRED",
			 "Logins are disabled without TLS here");
}

/* The password was in the command's text. */
static void
wipe_text(struct session *s)
{
	if (s->text.p != NULL)
		explicit_bzero(s->text.p, s->text.n);
}

struct result
front_cmd_login(struct session *s)
{
	struct buf user = BUF_INIT, pass = BUF_INIT, resp = BUF_INIT;
	struct result r;

	if (!parse_sp(&s->p) || !parse_astring(&s->p, &user) ||
	    !parse_sp(&s->p) || !parse_astring(&s->p, &pass) ||
	    !parse_end(&s->p)) {
		r = result_bad(s);
	} else if (!front_login_ok(s->front)) {
		r = not_here();
	} else {
		/* RFC 4616: neither holds a NUL, the parser saw to it */
		buf_addc(&resp, '\0');
		buf_addspan(&resp, buf_span(&user));
		buf_addc(&resp, '\0');
		buf_addspan(&resp, buf_span(&pass));
		snprintf(s->front->mech, sizeof(s->front->mech), "PLAIN");
		r = exchange(s, buf_span(&resp));
	}
	buf_wipe(&user);
	buf_wipe(&pass);
	buf_wipe(&resp);
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

struct result
front_cmd_authenticate(struct session *s)
{
	struct front *f = s->front;
	struct buf resp = BUF_INIT;
	struct span mech;
	struct result r;
	bool has;

	if (!parse_sp(&s->p) || !parse_atom(&s->p, &mech))
		return result_bad(s);
	if (!initial(s, &resp, &has)) {
		r = RESULT(RESULT_BAD, NULL, "Malformed base64");
	} else if (!mech_ok(mech)) {
		r = result_no(NULL, "Unsupported mechanism");
	} else if (!front_login_ok(f)) {
		r = not_here();
	} else {
		for (size_t i = 0; i < mech.n; i++)
			f->mech[i] = ascii_toupper(mech.p[i]);
		f->mech[mech.n] = '\0';
		r = exchange(
		    s, has ? span_make(resp.p != NULL ? resp.p : "", resp.n)
			   : span_make(NULL, 0));
	}
	buf_wipe(&resp);
	wipe_text(s);
	return r;
}
