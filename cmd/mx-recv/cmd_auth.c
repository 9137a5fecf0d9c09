/*
 * cmd_auth.c - AUTH through the Dovecot auth protocol.
 * RFC 4954; THREATS 48 to 55.
 */
#include "cmd.h"

#include "authclient.h"
#include "escape.h"
#include "log.h"
#include "mem.h"
#include "rates.h"
#include "status.h"
#include "tls.h"

#include <stdlib.h>

#define AUTH_LINE 12288
#define AUTH_MS 60000

/* One link a worker; one exchange at a time, ended before the next. */
static struct {
	struct authclient a;
	bool open;
	int endpoint;
	struct buf mechs; /* what we offer of what it has */
	char mech[32];    /* of the exchange that goes on */
} auth;

/* THREATS 49, 55: a link on which something went wrong is not used for anybody
 * else. */
static void
auth_close(void)
{
	if (auth.open)
		authclient_close(&auth.a);
	auth.open = false;
}

/* smtpd_sasl_security_options: a word, and the word of the MECH line that a
 * mechanism must not have, or must have. */
static const struct {
	const char *option, *flag;
	bool must;
} policies[] = {
	{ "noplaintext", "plaintext", false },
	{ "noactive", "active", false },
	{ "nodictionary", "dictionary", false },
	{ "noanonymous", "anonymous", false },
	{ "forward_secrecy", "forward-secrecy", true },
	{ "mutual_auth", "mutual-auth", true },
};

int
cmd_auth_check(const struct strs *options, struct err *e)
{
	for (size_t i = 0; i < options->n; i++) {
		bool known = false;

		for (size_t k = 0; k < ARRAY_LEN(policies); k++)
			known |=
			    strcasecmp(options->v[i], policies[k].option) == 0;
		if (!known)
			return err_set(e, ST_CONFIG,
				       "\"%s\" is not known; known are "
				       "noplaintext noactive nodictionary "
				       "noanonymous forward_secrecy "
				       "mutual_auth",
				       options->v[i]);
	}
	return 0;
}

static bool
has_word(const char *list, const char *word)
{
	struct span rest = span_of(list), w;

	while (span_word(&rest, " \t", &w))
		if (span_iis(w, word))
			return true;
	return false;
}

static bool
policy_allows(const struct session *s, const char *flags)
{
	const struct strs *l =
	    s->tls ? &s->conf->p.sasl_tls_options : &s->conf->p.sasl_options;

	for (size_t k = 0; k < ARRAY_LEN(policies); k++)
		if (strs_ihas(l, span_of(policies[k].option)) &&
		    has_word(flags, policies[k].flag) != policies[k].must)
			return false;
	return true;
}

/* Who the client's certificate says it is; NULL: it proves nothing. */
static const char *
cert_name(const struct session *s, struct buf *name)
{
	struct tls_facts f;

	buf_clear(name);
	return session_cert(s, &f) && f.verified &&
		       tls_peer_field(&s->s, s->conf->p.cert_username_field,
				      name)
		   ? buf_str(name)
		   : NULL;
}

/* Does it prove who it is? */
static bool
has_cert_name(const struct session *s)
{
	struct buf name = BUF_INIT;
	bool yes = cert_name(s, &name) != NULL;

	buf_free(&name);
	return yes;
}

/* Mechanisms that need what we do not give are left out. */
static bool
mech_ok(const struct session *s, const char *m, const char *flags)
{
	static const char *const no[] = { "GSSAPI", "GSS-SPNEGO", "NTLM" };
	size_t n = strlen(m);

	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (strcmp(m, no[i]) == 0)
			return false;
	/* whoever sees a token has it (RFC 7628 3) */
	if ((strcmp(m, "OAUTHBEARER") == 0 || strcmp(m, "XOAUTH2") == 0) &&
	    !s->tls && !session_is_local(s))
		return false;
	if (strcmp(m, "EXTERNAL") == 0 && !has_cert_name(s))
		return false;
	return n < sizeof(auth.mech) &&
	       (n < 5 || strcmp(m + n - 5, "-PLUS") != 0) &&
	       policy_allows(s, flags);
}

static bool
auth_open(struct session *s)
{
	struct err e = ERR_INIT;
	deadline_t d = clock_deadline(AUTH_MS);
	int fd;

	if (auth.open && auth.endpoint == s->conf->auth)
		return true;
	auth_close();
	fd = server_connect(s->server, s->conf->auth, d, &e);
	if (fd < 0 || authclient_open(&auth.a, fd, d, &e) != 0) {
		log_warn("auth_socket = %s: %s", s->conf->p.auth_socket,
			 e.text);
		return false;
	}
	auth.open = true;
	auth.endpoint = s->conf->auth;
	return true;
}

/* THREATS 48: a password in the clear only where nobody listens. */
static bool
needs_tls(const struct session *s)
{
	return s->conf->p.tls_auth_only && !s->tls && !session_is_local(s);
}

/* What this session is offered; the link is open. */
static void
list_mechs(const struct session *s)
{
	buf_clear(&auth.mechs);
	for (size_t i = 0; i < auth.a.mechs.n; i++) {
		const char *m = auth.a.mechs.v[i];

		if (!mech_ok(s, m,
			     i < auth.a.mech_flags.n ? auth.a.mech_flags.v[i]
						     : ""))
			continue;
		buf_addf(&auth.mechs, "%s%s", auth.mechs.n > 0 ? " " : "", m);
		if (s->tls && authclient_plus(&auth.a, i))
			buf_addf(&auth.mechs, " %s-PLUS", m);
	}
}

const char *
cmd_auth_mechanisms(struct session *s)
{
	if (!s->conf->p.sasl_enable || needs_tls(s) || !auth_open(s))
		return "";
	list_mechs(s);
	return buf_str(&auth.mechs);
}

static bool
offered(struct span mech)
{
	struct span rest = buf_span(&auth.mechs), word;

	while (span_word(&rest, " ", &word))
		if (span_ieq(word, mech))
			return true;
	return false;
}

static struct reply auth_line(struct session *s);

/* Does fail2ban's postfix filter know this mechanism? */
static bool
watched(const char *mech)
{
	static const char *const names[] = { "PLAIN", "LOGIN", "CRAM-MD5",
					     "DIGEST-MD5" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(mech, names[i]) == 0)
			return true;
	return false;
}

/* Postfix's line; with a mechanism that Debian's filter does not look for (it
 * names four) "login" stands in its place, and it comes after the colon. */
static struct reply
failed(struct session *s, const char *why, const char *user)
{
	bool known = watched(auth.mech);

	log_warn("%s: SASL %s authentication failed: %s%s%s, "
		 "sasl_username=%.100s",
		 s->who, known ? auth.mech : "login", known ? "" : auth.mech,
		 known ? "" : ": ", why,
		 user[0] != '\0' ? user : "(unavailable)");
	return reply_make(535, "5.7.8", "Error: authentication failed: %s",
			  why);
}

static struct reply
challenge(const struct buf *text)
{
	struct reply r = { .code = 334, .then = auth_line };

	base64_encode(&r.text, buf_span(text));
	return r;
}

/* One step's result as a reply. */
static struct reply
step(struct session *s, enum auth_result result, const struct buf *text,
     const struct err *e)
{
	switch (result) {
	case AUTH_CONTINUE:
		return challenge(text);
	case AUTH_OK:
		s->auth_user = mem_strdup(authclient_user(&auth.a));
		s->auth_method = mem_strdup(auth.mech);
		return reply_make(235, "2.7.0", "Authentication successful");
	case AUTH_FAIL:
		return failed(
		    s, e->text[0] != '\0' ? e->text : "(reason unavailable)",
		    authclient_user(&auth.a));
	case AUTH_TEMP:
		break;
	}
	log_warn("auth_socket = %s: %s", s->conf->p.auth_socket, e->text);
	if (auth.a.s.out_failed != IO_OK || auth.a.active)
		auth_close();
	return reply_make(454, "4.7.0", "Temporary authentication failure");
}

/* The client's answer to a challenge. */
static struct reply
auth_line(struct session *s)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;
	struct span line;
	struct reply r;

	/* RFC 4954 4: a line of up to 12288 bytes; the exchange is over, for
	 * the server too. */
	if (!session_line(s, AUTH_LINE, &line, &r)) {
		authclient_cancel(&auth.a);
		return r;
	}
	if (span_is(line, "*")) {
		authclient_cancel(&auth.a);
		return reply_make(501, "5.7.0", "Authentication aborted");
	}
	if (!base64_decode(&in, line)) {
		authclient_cancel(&auth.a);
		r = failed(s, "malformed base64 data", "");
		r.code = 501;
		r.esc = "5.5.2";
	} else {
		enum auth_result k = authclient_continue(
		    &auth.a, buf_span(&in), &out, clock_deadline(AUTH_MS), &e);

		r = step(s, k, &out, &e);
	}
	buf_wipe(&in);
	buf_wipe(&out);
	return r;
}

/* May AUTH be given now?  True, or false and the reply. */
static bool
allowed(struct session *s, struct reply *r)
{
	if (!s->conf->p.sasl_enable || !s->esmtp)
		*r = reply_make(503, "5.5.1",
				"Error: authentication not enabled");
	else if (s->auth_user != NULL)
		*r = reply_make(503, "5.5.1", "Error: already authenticated");
	else if (needs_tls(s))
		*r = reply_make(538, "5.7.11",
				"Encryption required for requested "
				"authentication mechanism");
	else if (!auth_open(s))
		*r = reply_make(454, "4.7.0",
				"Temporary authentication failure");
	else
		return true;
	return false;
}

/* Starts the exchange; a kept link may have died: then once more. */
static enum auth_result
start(struct session *s, struct span initial, struct buf *out, struct err *e)
{
	struct strs bindings = STRS_INIT;
	struct buf name = BUF_INIT;
	struct auth_facts f = { .bindings = &bindings,
				.cert_username = cert_name(s, &name),
				.service = s->conf->p.sasl_service,
				.local_ip = s->conn->local_addr,
				.remote_ip = s->conn->addr,
				.local_port = s->conn->local_port,
				.remote_port = s->conn->port,
				.secured = s->tls || session_is_local(s) };
	enum auth_result k;

	tls_bindings(&s->s, &bindings);
	k = authclient_start(&auth.a, auth.mech, &f, initial, out,
			     clock_deadline(AUTH_MS), e);
	if (k == AUTH_TEMP) {
		auth_close();
		*e = ERR_INIT;
		if (auth_open(s))
			k = authclient_start(&auth.a, auth.mech, &f, initial,
					     out, clock_deadline(AUTH_MS), e);
		else
			err_set(e, 75, "no connection");
	}
	strs_free(&bindings);
	buf_free(&name);
	return k;
}

struct reply
cmd_auth(struct session *s, struct span args)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct span mech, word, initial = { NULL, 0 };
	struct err e = ERR_INIT;
	struct reply r;

	if (!allowed(s, &r) || rates_over(s, RATE_AUTH, &r))
		return r;
	if (!span_word(&args, " ", &mech))
		return reply_syntax("AUTH mechanism");
	list_mechs(s);
	if (!offered(mech))
		return reply_make(504, "5.5.4",
				  "Error: authentication mechanism is not "
				  "offered");
	for (size_t i = 0; i <= mech.n; i++)
		auth.mech[i] = i < mech.n ? ascii_toupper(mech.p[i]) : '\0';
	if (span_word(&args, " ", &word)) {
		/* RFC 4954 4: "=" is an empty initial response. */
		if (span_trim(args).n > 0 ||
		    (!span_is(word, "=") && !base64_decode(&in, word))) {
			buf_wipe(&in);
			return reply_make(501, "5.5.2",
					  "Error: malformed base64 data");
		}
		initial = in.n > 0 ? buf_span(&in) : SPAN("");
	}
	r = step(s, start(s, initial, &out, &e), &out, &e);
	buf_wipe(&in);
	buf_wipe(&out);
	return r;
}
