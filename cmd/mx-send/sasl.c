/*
 * sasl.c - AUTH towards a relay host: SCRAM (sasl_scram.c), PLAIN, LOGIN,
 * OAUTHBEARER and XOAUTH2.
 * RFC 4954, 4616, 7628; Postfix smtp_sasl_*.
 */
#include "escape.h"
#include "io.h"
#include "proc.h"
#include "send.h"
#include "status.h"

#include <fcntl.h>
#include <unistd.h>

#define TOKEN_MS 30000
#define TOKEN_MAX 16384

/* What a command says of this user: the first line is the token. */
static void
ask_token(struct secret *s)
{
	struct strs argv = STRS_INIT;
	struct proc_spec ps = { .fd = { -1, -1, STDERR_FILENO, -1 } };
	deadline_t d = clock_deadline(TOKEN_MS);
	struct buf out = BUF_INIT;
	struct span line, rest;
	int link[2], st = ST_TEMPFAIL;
	pid_t pid = -1;

	if (proc_words(&argv, span_of(params.token_command), &s->trouble) != 0)
		return;
	strs_addspan(&argv, buf_span(&s->user));
	ps.argv = argv.v;
	if (pipe2(link, O_CLOEXEC) == 0) {
		ps.fd[1] = link[1];
		pid = proc_spawn(&ps, &s->trouble);
		close(link[1]);
		if (pid > 0 &&
		    io_read_all(link[0], &out, TOKEN_MAX, d) == IO_OK)
			st = proc_wait(pid, d, NULL);
		close(link[0]);
	}
	rest = buf_span(&out);
	if (st == ST_OK && span_split(&rest, '\n', &line) &&
	    span_trim(line).n > 0 && !span_has_ctl(span_trim(line)))
		buf_addspan(&s->token, span_trim(line));
	else
		(void)err_esc(&s->trouble, ST_TEMPFAIL, "4.7.0",
			      "smtp_sasl_token_command gave no token");
	buf_wipe(&out);
	strs_free(&argv);
}

/* The sender, where that is asked for; the host, then the destination as
 * configured, as Postfix does. */
void
sasl_find(struct secret *s, const struct tables *maps, const char *host,
	  const char *destination)
{
	const char *const keys[] = { params.sender_auth ? options.sender : "",
				     host, destination };
	struct buf value = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct span user, password;
		if (keys[i][0] == '\0')
			continue;
		enum table_result r =
		    tables_lookup(maps, span_of(keys[i]), &value, &s->trouble);
		if (r == TABLE_TRY_AGAIN) {
			s->trouble.status = ST_TEMPFAIL;
			(void)err_prefix(&s->trouble,
					 "smtp_sasl_password_maps");
			break;
		}
		if (r != TABLE_FOUND)
			continue;
		password = buf_span(&value);
		if (span_split(&password, ':', &user)) {
			buf_addspan(&s->user, user);
			buf_addspan(&s->password, password);
		}
		break;
	}
	if (s->user.n > 0 && params.token_command[0] != '\0')
		ask_token(s);
	buf_wipe(&value);
}

void
sasl_forget(struct secret *s)
{
	buf_free(&s->user);
	buf_wipe(&s->password);
	buf_wipe(&s->token);
}

/* smtp_sasl_mechanism_filter, as Postfix reads it: the first word that fits
 * decides, "!" before it turns it round, static: fits all. */
static bool
allowed(const char *mechanism)
{
	for (size_t i = 0; i < params.mechanisms.n; i++) {
		struct span word = span_of(params.mechanisms.v[i]);
		bool no = word.n > 0 && word.p[0] == '!';

		if (no)
			word = span_from(word, 1);
		if (span_iis(word, mechanism) ||
		    span_istarts(word, SPAN("static:")))
			return !no;
	}
	return params.mechanisms.n == 0;
}

/* Is it offered, and not filtered out? */
static bool
offered(const struct session *s, const char *word)
{
	struct span rest = buf_span(&s->c.auth), w;

	if (!allowed(word))
		return false;
	while (span_word(&rest, " ", &w))
		if (span_iis(w, word))
			return true;
	return false;
}

/* Sends a line that no trace shows. */
int
sasl_secret(struct session *s, const char *prefix, struct span bytes,
	    struct smtp_reply *r, struct err *e)
{
	struct buf line = BUF_INIT;

	buf_adds(&line, prefix);
	base64_encode(&line, bytes);
	s->hide = true;
	int st = smtp_client_cmd(&s->c, clock_deadline(params.t_helo), r, e,
				 "%s", buf_str(&line));
	s->hide = false;
	buf_wipe(&line);
	return st;
}

static int
plain(struct session *s, struct smtp_reply *r, struct err *e)
{
	struct buf b = BUF_INIT;

	buf_addc(&b, '\0');
	buf_addspan(&b, buf_span(&s->secret->user));
	buf_addc(&b, '\0');
	buf_addspan(&b, buf_span(&s->secret->password));
	int st = sasl_secret(s, "AUTH PLAIN ", buf_span(&b), r, e);
	buf_wipe(&b);
	return st;
}

static int
login(struct session *s, struct smtp_reply *r, struct err *e)
{
	if (smtp_client_cmd(&s->c, clock_deadline(params.t_helo), r, e,
			    "AUTH LOGIN") != 0)
		return -1;
	if (r->code == 334 &&
	    sasl_secret(s, "", buf_span(&s->secret->user), r, e) != 0)
		return -1;
	if (r->code == 334 &&
	    sasl_secret(s, "", buf_span(&s->secret->password), r, e) != 0)
		return -1;
	return 0;
}

/* What a server says of a token (RFC 7628 3.2.2): JSON, for people here. */
static void
refusal(struct buf *why, const struct smtp_reply *r)
{
	struct buf text = BUF_INIT;

	if (base64_decode(&text, span_trim(buf_span(&r->text))) && text.n > 0)
		escape_line(why, buf_span(&text), 300);
	buf_free(&text);
}

/* RFC 7628 3.1, and the older form.  A refusal comes as a challenge, which a
 * byte of 1 answers (3.2.3), in the older form nothing; then comes the reply
 * that counts.  why: what the challenge said. */
static int
bearer(struct session *s, bool old, struct buf *why, struct smtp_reply *r,
       struct err *e)
{
	const struct secret *k = s->secret;
	struct buf b = BUF_INIT;

	if (old)
		buf_addf(&b, "user=%.*s\1auth=Bearer %.*s\1\1",
			 SPAN_ARG(buf_span(&k->user)),
			 SPAN_ARG(buf_span(&k->token)));
	else {
		buf_adds(&b, "n,a=");
		sasl_name(&b, buf_span(&k->user));
		buf_addf(&b, ",\1auth=Bearer %.*s\1\1",
			 SPAN_ARG(buf_span(&k->token)));
	}
	int st = sasl_secret(s, old ? "AUTH XOAUTH2 " : "AUTH OAUTHBEARER ",
			     buf_span(&b), r, e);
	if (st == 0 && r->code == 334) {
		refusal(why, r);
		st = sasl_secret(s, "", old ? SPAN("") : SPAN("\1"), r, e);
	}
	buf_wipe(&b);
	return st;
}

/* smtp_sasl_security_options: what a mechanism is, as Cyrus SASL, whose words
 * they are, tells of its own. */
#define NOPLAINTEXT 1u
#define NOACTIVE 2u
#define NODICTIONARY 4u
#define NOANONYMOUS 8u
#define MUTUAL_AUTH 16u
#define OF_SCRAM (NOPLAINTEXT | NOACTIVE | NOANONYMOUS | MUTUAL_AUTH)

enum kind { SCRAM, PLAIN, LOGIN, BEARER, XOAUTH2 };
struct mechanism {
	const char *word;
	enum kind kind;
	unsigned is;
};
/* The best one first. */
static const struct mechanism mechanisms[] = {
	{ "OAUTHBEARER", BEARER, NOANONYMOUS },
	{ "XOAUTH2", XOAUTH2, NOANONYMOUS },
	{ "SCRAM-SHA-256-PLUS", SCRAM, OF_SCRAM },
	{ "SCRAM-SHA-1-PLUS", SCRAM, OF_SCRAM },
	{ "SCRAM-SHA-256", SCRAM, OF_SCRAM },
	{ "SCRAM-SHA-1", SCRAM, OF_SCRAM },
	{ "PLAIN", PLAIN, NOANONYMOUS },
	{ "LOGIN", LOGIN, NOANONYMOUS },
};

/* What smtp_sasl_(tls_)security_options ask for; false: a word that is none,
 * which must not mean that anything goes. */
static bool
wanted(const struct session *s, unsigned *is, const char **word)
{
	static const struct {
		const char *word;
		unsigned is;
	} words[] = {
		{ "noplaintext", NOPLAINTEXT },
		{ "noactive", NOACTIVE },
		{ "nodictionary", NODICTIONARY },
		{ "noanonymous", NOANONYMOUS },
		{ "mutual_auth", MUTUAL_AUTH },
	};
	const struct strs *list =
	    s->tls ? &params.sasl_tls_options : &params.sasl_options;

	*is = 0;
	for (size_t i = 0; i < list->n; i++) {
		size_t k = 0;

		while (k < ARRAY_LEN(words) &&
		       !span_iis(span_of(list->v[i]), words[k].word))
			k++;
		*word = list->v[i];
		if (k == ARRAY_LEN(words))
			return false;
		*is |= words[k].is;
	}
	return true;
}

static bool
is_plus(const struct mechanism *m)
{
	return span_iends(span_of(m->word), SPAN("-PLUS"));
}

/* NULL: none.  *any: there is one that the options forbid. */
static const struct mechanism *
choose(const struct session *s, unsigned is, bool *any)
{
	bool token = s->secret->token.n > 0;
	struct strs bindings = STRS_INIT;
	const struct mechanism *found = NULL;

	*any = false;
	sasl_bindings(s, &bindings);
	for (size_t i = 0; i < ARRAY_LEN(mechanisms) && found == NULL; i++) {
		const struct mechanism *m = &mechanisms[i];

		if ((m->kind >= BEARER) != token || !offered(s, m->word) ||
		    (is_plus(m) && bindings.n == 0))
			continue;
		*any = true;
		if ((m->is & is) == is)
			found = m;
	}
	strs_free(&bindings);
	return found;
}

/* Does the server offer -PLUS, whatever we make of it? */
static bool
plus_seen(const struct session *s)
{
	struct span rest = buf_span(&s->c.auth), w;

	while (span_word(&rest, " ", &w))
		if (span_iends(w, SPAN("-PLUS")))
			return true;
	return false;
}

static int
run_mechanism(struct session *s, const struct mechanism *m, struct buf *why,
	      struct smtp_reply *r, struct err *e)
{
	switch (m->kind) {
	case SCRAM:
		return sasl_scram(s, m->word, plus_seen(s), r, e);
	case PLAIN:
		return plain(s, r, e);
	case LOGIN:
		return login(s, r, e);
	default:
		return bearer(s, m->kind == XOAUTH2, why, r, e);
	}
}

int
sasl_login(struct session *s, struct err *e)
{
	struct smtp_reply r = { .code = 0 };
	struct buf why = BUF_INIT;
	const struct mechanism *m;
	const char *word = "";
	unsigned is;
	bool any;
	int st;

	if (s->secret->trouble.status != 0) {
		*e = s->secret->trouble;
		return -1;
	}
	if (s->secret->user.n == 0)
		return 0;
	if (!(s->c.caps & SMTP_AUTH))
		return params.sasl_enforce
			   ? err_esc(e, ST_TEMPFAIL, "4.7.0",
				     "SASL authentication failed; server %s "
				     "offers no AUTH",
				     s->name)
			   : 0;
	if (!wanted(s, &is, &word))
		return err_esc(e, ST_TEMPFAIL, "4.3.5",
			       "smtp_sasl_%ssecurity_options: no such word: %s",
			       s->tls ? "tls_" : "", word);
	m = choose(s, is, &any);
	if (m == NULL && any && choose(s, is & ~NOPLAINTEXT, &any) != NULL)
		return err_esc(e, ST_TEMPFAIL, "4.7.0",
			       "SASL authentication failed; the password would "
			       "travel in clear: see "
			       "smtp_sasl_security_options");
	if (m == NULL)
		return err_esc(
		    e, ST_TEMPFAIL, "4.7.0",
		    "SASL authentication failed; server %s offers no "
		    "mechanism we can use%s: %s",
		    s->name, any ? " (smtp_sasl_security_options)" : "",
		    buf_str(&s->c.auth));
	st = run_mechanism(s, m, &why, &r, e);
	if (st != 0 && strncmp(e->text, "SASL", 4) != 0)
		session_lost(s, "sending the AUTH command", e);
	else if (st != 0)
		;
	else if (r.code / 100 != 2) {
		struct buf said = BUF_INIT;
		session_reply_text(&said, &r);
		/* A wrong password here is our mistake, not the message's. */
		bool final = r.code / 100 == 5 && !params.sasl_soft_bounce;

		st = err_esc(e, final ? ST_UNAVAILABLE : ST_TEMPFAIL,
			     final ? "5.7.8" : "4.7.8",
			     "SASL authentication failed; server %s said: "
			     "%s%s%s",
			     s->name, buf_str(&said), why.n > 0 ? ": " : "",
			     buf_str(&why));
		buf_free(&said);
	}
	buf_free(&why);
	smtp_reply_free(&r);
	return st;
}
