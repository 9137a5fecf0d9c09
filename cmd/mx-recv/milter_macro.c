/*
 * milter_macro.c - the macros that go before an event: names from
 * milter_*_macros or from the filter itself, values from the session.
 * Postfix MILTER_README, "Sendmail macros".
 */
#include "milter_int.h"

#include "clock.h"
#include "table.h"

#include <time.h>

/* Of this connection; nothing where there is none. */
static bool
from_tls(const struct milters *m, struct span name, struct buf *b)
{
	struct tls_facts f;

	if (!tls_facts(&m->s->s, &f))
		return false;
	if (span_is(name, "tls_version"))
		buf_adds(b, f.protocol);
	else if (span_is(name, "cipher"))
		buf_adds(b, f.cipher);
	else if (span_is(name, "cipher_bits"))
		buf_addf(b, "%d", f.bits);
	else if (span_is(name, "cert_subject") && f.peer_cn[0] != '\0')
		buf_adds(b, f.peer_cn);
	else if (span_is(name, "verify"))
		buf_adds(b, f.verified ? "OK" : "NO");
	else
		return false;
	return true;
}

static bool
from_client(const struct milters *m, struct span name, struct buf *b)
{
	const struct session *s = m->s;
	const char *ptr = s->reverse_name != NULL ? s->reverse_name : "unknown";

	if (span_is(name, "_"))
		buf_addf(b, "%s [%s]", s->client_name, s->conn->addr);
	else if (span_is(name, "client_addr"))
		buf_adds(b, s->conn->addr);
	else if (span_is(name, "client_name"))
		buf_adds(b, s->client_name);
	else if (span_is(name, "client_ptr"))
		buf_adds(b, ptr);
	else if (span_is(name, "client_port"))
		buf_addf(b, "%d", s->conn->port);
	else if (span_is(name, "client_connections"))
		buf_addf(b, "%d", s->conn->count);
	else if (span_is(name, "client_resolve"))
		buf_adds(b, strcmp(s->client_name, "unknown") != 0 ? "OK"
			    : s->name_temp                         ? "TEMP"
			    : s->reverse_name != NULL              ? "FORGED"
								   : "FAIL");
	else if (span_is(name, "s") && s->helo != NULL)
		buf_adds(b, s->helo);
	else if (span_is(name, "r"))
		buf_adds(b, session_proto(s));
	else
		return false;
	return true;
}

static bool
from_server(const struct milters *m, struct span name, struct buf *b)
{
	const struct session *s = m->s;
	const struct conf_params *p = &s->conf->p;
	time_t now = clock_now();
	struct tm tm;
	char date[64];

	if (span_is(name, "j"))
		buf_adds(b, s->conf->site.myhostname);
	else if (span_is(name, "daemon_name"))
		buf_adds(b, p->milter_daemon_name);
	else if (span_is(name, "daemon_addr") || span_is(name, "if_addr"))
		buf_adds(b, s->conn->local_addr);
	else if (span_is(name, "daemon_port"))
		buf_addf(b, "%d", s->conn->local_port);
	else if (span_is(name, "v"))
		buf_adds(b, p->milter_v);
	else if (span_is(name, "b") && localtime_r(&now, &tm) != NULL &&
		 strftime(date, sizeof(date), "%a, %e %b %Y %H:%M:%S %z", &tm) >
		     0)
		buf_adds(b, date);
	else
		return false;
	return true;
}

/* How mail for this domain goes, in Postfix's words. */
static const char *
mailer(const struct session *s, struct span domain)
{
	const struct conf *c = s->conf;
	const struct {
		const struct match_list *list;
		const char *word;
	} rows[] = {
		{ c->mydestination, "local" },
		{ c->virtual_mailbox_domains, "virtual" },
		{ c->virtual_alias_domains, "error" },
		{ c->relay_domains, "relay" },
	};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (match_lookup(rows[i].list, domain, &e) == TABLE_FOUND)
			return rows[i].word;
	return "smtp";
}

static struct span
domain_of(struct span addr)
{
	ssize_t at = span_rchr(addr, '@');

	return at < 0 ? SPAN("") : span_from(addr, (size_t)at + 1);
}

/* What is known depends on the event: rcpt_* only at RCPT. */
static bool
from_mail(const struct milters *m, struct span name, struct buf *b)
{
	const struct session *s = m->s;
	bool rcpt = span_starts(name, SPAN("rcpt_"));
	struct span addr =
	    rcpt ? buf_span(&s->rcpt_text) : buf_span(&s->sender_text);
	struct span what = span_from(name, 5);

	if (span_is(name, "i")) {
		buf_adds(b, s->queue_id);
		return s->queue_id[0] != '\0';
	}
	if (span_is(name, "auth_authen") || span_is(name, "auth_type")) {
		const char *v =
		    span_is(name, "auth_type") ? s->auth_method : s->auth_user;

		if (s->auth_method == NULL)
			return false;
		buf_adds(b, v);
		return true;
	}
	if ((!rcpt && !span_starts(name, SPAN("mail_"))) || !s->in_mail)
		return false;
	if (rcpt && span_is(what, "mailer") && m->refused != NULL)
		buf_adds(b, "error");
	else if (rcpt && span_is(what, "host") && m->refused != NULL)
		buf_addf(b, "%s", m->refused->esc ? m->refused->esc : "5.0.0");
	else if (rcpt && span_is(what, "addr") && m->refused != NULL)
		buf_addspan(b, buf_span(&m->refused->text));
	else if (span_is(what, "addr"))
		buf_addspan(b, addr);
	else if (span_is(what, "host"))
		buf_addspan(b, domain_of(addr));
	else if (span_is(what, "mailer"))
		buf_adds(b, mailer(s, domain_of(addr)));
	else
		return false;
	return true;
}

/* milter_macro_defaults: "name=value", for what nobody knows. */
static bool
from_defaults(const struct milters *m, struct span name, struct buf *b)
{
	const struct strs *l = &m->s->conf->p.milter_macro_defaults;

	for (size_t i = 0; i < l->n; i++) {
		struct span v = span_of(l->v[i]);
		ssize_t eq = span_chr(v, '=');
		struct span n;

		if (eq < 0)
			continue;
		n = span_trim(span_sub(v, 0, (size_t)eq));
		if (n.n > 2 && n.p[0] == '{' && n.p[n.n - 1] == '}')
			n = span_sub(n, 1, n.n - 1);
		if (span_eq(n, name)) {
			buf_addspan(b, span_trim(span_from(v, (size_t)eq + 1)));
			return true;
		}
	}
	return false;
}

/* "{name}" and "name" are one; unknown ones are left out, as in Postfix. */
static void
add(struct milters *m, struct span name, struct buf *out)
{
	struct buf v = BUF_INIT;

	if (name.n > 2 && name.p[0] == '{' && name.p[name.n - 1] == '}')
		name = span_sub(name, 1, name.n - 1);
	if (name.n > 0 &&
	    (from_client(m, name, &v) || from_server(m, name, &v) ||
	     from_mail(m, name, &v) || from_tls(m, name, &v) ||
	     from_defaults(m, name, &v))) {
		if (name.n > 1)
			buf_addc(out, '{');
		buf_addspan(out, name);
		if (name.n > 1)
			buf_addc(out, '}');
		buf_addc(out, '\0');
		milter_put_str(out, buf_span(&v));
	}
	buf_free(&v);
}

void
milter_macros(struct milters *m, struct mlink *l, struct buf *out,
	      enum milter_code code, int stage)
{
	const struct conf_params *p = &m->s->conf->p;
	const struct strs *lists[MILTER_STAGES] = {
		[MILTER_AT_CONNECT] = &p->milter_connect_macros,
		[MILTER_AT_HELO] = &p->milter_helo_macros,
		[MILTER_AT_MAIL] = &p->milter_mail_macros,
		[MILTER_AT_RCPT] = &p->milter_rcpt_macros,
		[MILTER_AT_DATA] = &p->milter_data_macros,
		[MILTER_AT_EOM] = &p->milter_eom_macros,
		[MILTER_AT_EOH] = &p->milter_eoh_macros,
	};
	const struct strs *names =
	    code == MILTER_UNKNOWN ? &p->milter_unknown_macros : lists[stage];
	size_t at = milter_begin(out, MILTER_MACRO);
	struct span rest, word;

	buf_addc(out, (char)code);
	if (l->macros[stage] != NULL && code != MILTER_UNKNOWN) {
		rest = span_of(l->macros[stage]);
		while (span_word(&rest, " \t,", &word))
			add(m, word, out);
	} else {
		for (size_t i = 0; i < names->n; i++)
			add(m, span_of(names->v[i]), out);
	}
	milter_end(out, at);
	/* Nothing to tell: no packet. */
	if (out->n == at + 6)
		buf_cut(out, at);
}
