/*
 * sasl.c - AUTH PLAIN and LOGIN towards a relay host.
 * RFC 4954, 4616; Postfix smtp_sasl_*.
 */
#include "escape.h"
#include "send.h"
#include "status.h"

/* The host first, then the destination as configured, as Postfix does. */
void
sasl_find(struct secret *s, const struct tables *maps, const char *host,
	  const char *destination)
{
	const char *const keys[] = { host, destination };
	struct buf value = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct span user, password;
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
	buf_wipe(&value);
}

void
sasl_forget(struct secret *s)
{
	buf_free(&s->user);
	buf_wipe(&s->password);
}

static bool
has_word(const struct buf *list, const char *word)
{
	struct span rest = buf_span(list), w;

	while (span_word(&rest, " ", &w))
		if (span_iis(w, word))
			return true;
	return false;
}

/* Sends a line that no trace shows. */
static int
send_secret(struct session *s, const char *prefix, struct span bytes,
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
	int st = send_secret(s, "AUTH PLAIN ", buf_span(&b), r, e);
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
	    send_secret(s, "", buf_span(&s->secret->user), r, e) != 0)
		return -1;
	if (r->code == 334 &&
	    send_secret(s, "", buf_span(&s->secret->password), r, e) != 0)
		return -1;
	return 0;
}

int
sasl_login(struct session *s, struct err *e)
{
	const struct strs *forbidden =
	    s->tls ? &params.sasl_tls_options : &params.sasl_options;
	struct smtp_reply r = { .code = 0 };
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
	if (strs_ihas(forbidden, SPAN("noplaintext")))
		return err_esc(e, ST_TEMPFAIL, "4.7.0",
			       "SASL authentication failed; the password would "
			       "travel in clear: see "
			       "smtp_sasl_security_options");
	if (has_word(&s->c.auth, "PLAIN")) {
		st = plain(s, &r, e);
	} else if (has_word(&s->c.auth, "LOGIN")) {
		st = login(s, &r, e);
	} else {
		return err_esc(e, ST_TEMPFAIL, "4.7.0",
			       "SASL authentication failed; server %s offers "
			       "neither PLAIN nor LOGIN",
			       s->name);
	}
	if (st != 0)
		session_lost(s, "sending the AUTH command", e);
	else if (r.code / 100 != 2) {
		struct buf said = BUF_INIT;
		session_reply_text(&said, &r);
		/* A wrong password here is our mistake, not the message's. */
		st = err_esc(e, ST_TEMPFAIL, "4.7.8",
			     "SASL authentication failed; server %s said: %s",
			     s->name, buf_str(&said));
		buf_free(&said);
	}
	smtp_reply_free(&r);
	return st;
}
