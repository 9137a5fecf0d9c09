/*
 * cmd_xclient.c - XCLIENT and XFORWARD from hosts that may say who the client
 * is; PROXY before the session.  Postfix XCLIENT_README, XFORWARD_README;
 * THREATS 17: listed hosts only, and not even offered to others.
 */
#include "cmd.h"

#include "dns_link.h"
#include "escape.h"
#include "explain.h"
#include "log.h"
#include "mem.h"
#include "milters.h"
#include "num.h"
#include "proxy_header.h"
#include "table.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static bool
listed(const struct session *s, const struct match_list *l)
{
	struct err e = ERR_INIT;

	/* Who connected, whatever it has said since. */
	return s->peer_addr[0] != '\0' &&
	       match_lookup(l, span_of(s->peer_addr), &e) == TABLE_FOUND;
}

bool
cmd_xclient_offered(const struct session *s)
{
	return listed(s, s->conf->xclient_hosts);
}

bool
cmd_xforward_offered(const struct session *s)
{
	return listed(s, s->conf->xforward_hosts);
}

/* "192.0.2.1", "IPV6:2001:db8::1" into out; false: no address. */
static bool
take_addr(char out[64], struct span v)
{
	unsigned char bin[16];
	char text[64];
	bool six = span_istarts(v, SPAN("IPV6:"));

	if (six)
		v = span_from(v, 5);
	if (v.n == 0 || v.n >= sizeof(text) || memchr(v.p, '\0', v.n) != NULL)
		return false;
	memcpy(text, v.p, v.n);
	text[v.n] = '\0';
	if (inet_pton(AF_INET, text, bin) == 1)
		return inet_ntop(AF_INET, bin, out, 64) != NULL;
	return inet_pton(AF_INET6, text, bin) == 1 &&
	       inet_ntop(AF_INET6, bin, out, 64) != NULL;
}

enum { GIVEN, UNAVAILABLE, TEMPUNAVAIL };

/* xtext without control bytes; [UNAVAILABLE] is no value. */
static bool
decode(struct span xtext, struct buf *b, int *kind)
{
	buf_clear(b);
	*kind = GIVEN;
	if (xtext.n > 255 || !escape_unxtext(b, xtext) ||
	    span_has_ctl(buf_span(b)))
		return false;
	if (span_iis(buf_span(b), "[UNAVAILABLE]"))
		*kind = UNAVAILABLE;
	else if (span_iis(buf_span(b), "[TEMPUNAVAIL]"))
		*kind = TEMPUNAVAIL;
	if (*kind != GIVEN)
		buf_clear(b);
	return true;
}

/* "NAME=value" words; value.p is NULL without "=". */
static bool
next_attribute(struct span *rest, struct span *name, struct span *value)
{
	struct span word;
	ssize_t eq;

	if (!span_word(rest, " \t", &word))
		return false;
	eq = span_chr(word, '=');
	*name = eq < 0 ? word : span_sub(word, 0, (size_t)eq);
	*value =
	    eq < 0 ? (struct span){ NULL, 0 } : span_from(word, (size_t)eq + 1);
	return true;
}

void
cmd_xclient_who(struct session *s)
{
	snprintf(s->who, sizeof(s->who), "%.100s[%s]", s->client_name,
		 s->conn->addr);
}

/* ------- XCLIENT */

/* One attribute: its value, decoded, and whether there is one (GIVEN).  False:
 * malformed, and nothing is changed. */
typedef bool attribute_fn(struct session *s, struct span v, int kind);

/* Who the proxy says the client is; TEMPUNAVAIL: DNS did not answer it. */
static bool
x_name(struct session *s, struct span v, int kind)
{
	free(s->name_mem);
	s->name_mem = kind == GIVEN ? mem_spandup(v) : NULL;
	s->client_name = kind == GIVEN ? s->name_mem : "unknown";
	s->name_temp = kind == TEMPUNAVAIL;
	return true;
}

static void
set_text(char **slot, struct span v, int kind)
{
	free(*slot);
	*slot = kind == GIVEN ? mem_spandup(v) : NULL;
}

static bool
x_reverse_name(struct session *s, struct span v, int kind)
{
	set_text(&s->reverse_name, v, kind);
	return true;
}

/* Without an address it is in no network, and still not of this host. */
static bool
x_addr(struct session *s, struct span v, int kind)
{
	struct server_conn *c = s->conn;

	if (kind == GIVEN && !take_addr(c->addr, v))
		return false;
	if (kind != GIVEN)
		snprintf(c->addr, sizeof(c->addr), "unknown");
	c->has_peer = kind == GIVEN;
	return true;
}

static bool
set_port(int *slot, struct span v, int kind)
{
	int n = 0;

	if (kind == GIVEN && !num_int(v, 0, 65535, &n))
		return false;
	*slot = n;
	return true;
}

static bool
x_port(struct session *s, struct span v, int kind)
{
	return set_port(&s->conn->port, v, kind);
}

static bool
x_destaddr(struct session *s, struct span v, int kind)
{
	return kind != GIVEN || take_addr(s->conn->local_addr, v);
}

static bool
x_destport(struct session *s, struct span v, int kind)
{
	return set_port(&s->conn->local_port, v, kind);
}

static bool
x_helo(struct session *s, struct span v, int kind)
{
	set_text(&s->helo, v, kind);
	return true;
}

static bool
x_proto(struct session *s, struct span v, int kind)
{
	if (kind == GIVEN && !span_iis(v, "SMTP") && !span_iis(v, "ESMTP"))
		return false;
	s->esmtp = kind == GIVEN && span_iis(v, "ESMTP");
	return true;
}

/* The rehearsal's own word: tls=yes of --explain. */
static bool
x_tls(struct session *s, struct span v, int kind)
{
	(void)kind;
	if (explain_on)
		s->tls = span_iis(v, "yes");
	return explain_on;
}

static bool
x_login(struct session *s, struct span v, int kind)
{
	set_text(&s->auth_user, v, kind);
	set_text(&s->auth_method, SPAN("XCLIENT"), kind);
	return true;
}

/* XCLIENT_README, "Extended command syntax". */
static const struct {
	const char *name;
	attribute_fn *take;
} attributes[] = {
	{ "NAME", x_name },         { "REVERSE_NAME", x_reverse_name },
	{ "ADDR", x_addr },         { "PORT", x_port },
	{ "DESTADDR", x_destaddr }, { "DESTPORT", x_destport },
	{ "HELO", x_helo },         { "PROTO", x_proto },
	{ "TLS", x_tls },           { "LOGIN", x_login },
};

static bool
xclient_one(struct session *s, struct span name, struct span v, int kind)
{
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		if (span_iis(name, attributes[i].name))
			return attributes[i].take(s, v, kind);
	return false;
}

struct reply
cmd_xclient(struct session *s, struct span args)
{
	struct span rest = args, name, value;
	struct buf b = BUF_INIT;
	bool ok = true;
	int kind;

	if (!explain_on && !cmd_xclient_offered(s))
		return reply_make(550, "5.7.0",
				  "Error: insufficient authorization");
	if (args.n == 0)
		return reply_syntax("XCLIENT attribute=value...");
	/* HELO and login of before belong to somebody else; so does what the
	 * TLS of this connection says, which the proxy has. */
	session_forget(s);
	s->tls_of_proxy = s->tls;
	milters_close(s);
	dns_link_forget();
	while (ok && next_attribute(&rest, &name, &value))
		ok = value.p != NULL && decode(value, &b, &kind) &&
		     xclient_one(s, name, buf_span(&b), kind);
	buf_free(&b);
	if (explain_on && s->name_mem == NULL) {
		free(s->reverse_name);
		s->reverse_name = NULL;
		dns_link_client_name(s);
	}
	cmd_xclient_who(s);
	explain("session", "client %s, %s mynetworks", s->who,
		session_in_mynetworks(s) ? "in" : "not in");
	if (!ok)
		return reply_make(501, "5.5.4", "Bad XCLIENT attribute: %.*s",
				  SPAN_ARG(span_sub(name, 0, 40)));
	log_info("XCLIENT from %s: now %s", s->peer_addr, s->who);
	return session_greeting(s);
}

/* ------- XFORWARD */

static const char *const forward_names[FORWARDS] = {
	"NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE",
};

struct reply
cmd_xforward(struct session *s, struct span args)
{
	struct span rest = args, name, value;
	struct buf b = BUF_INIT;
	struct reply bad = { 0 };
	int kind;

	if (!cmd_xforward_offered(s))
		return reply_make(550, "5.7.0",
				  "Error: insufficient authorization");
	if (args.n == 0)
		return reply_syntax("XFORWARD attribute=value...");
	while (bad.code == 0 && next_attribute(&rest, &name, &value)) {
		char addr[64];
		size_t i = 0;

		while (i < FORWARDS && !span_iis(name, forward_names[i]))
			i++;
		if (i == FORWARDS || value.p == NULL ||
		    !decode(value, &b, &kind) ||
		    (i == FORWARD_ADDR && kind == GIVEN &&
		     !take_addr(addr, buf_span(&b)))) {
			bad = reply_make(501, "5.5.4",
					 "Bad XFORWARD attribute: %.*s",
					 SPAN_ARG(span_sub(name, 0, 40)));
			continue;
		}
		if (i == FORWARD_ADDR && kind == GIVEN) {
			buf_clear(&b);
			buf_adds(&b, addr);
		}
		free(s->forward[i]);
		s->forward[i] = mem_strdup(buf_str(&b));
		s->forwarded = true;
	}
	buf_free(&b);
	return bad.code != 0 ? bad : reply_make(250, "2.0.0", "Ok");
}

void
cmd_xforward_reset(struct session *s)
{
	for (size_t i = 0; i < FORWARDS; i++) {
		free(s->forward[i]);
		s->forward[i] = NULL;
	}
	s->forwarded = false;
}

/* ------- PROXY */

bool
cmd_proxy(struct session *s)
{
	struct server_conn *c = s->conn;
	struct proxy_header h;
	struct err e = ERR_INIT;

	if (!s->conf->p.proxy_protocol)
		return true;
	/* THREATS 17: anybody could say who he is; a table that is away trusts
	 * nobody. */
	if (match_lookup(s->conf->proxy_networks, span_of(c->addr), &e) !=
	    TABLE_FOUND) {
		log_warn("%s is not in proxy_networks: closed", c->addr);
		return false;
	}
	if (proxy_header_read(&h, c->fd_in,
			      clock_deadline(s->conf->p.proxy_timeout),
			      &e) != 0) {
		log_warn("%s: %s: closed", c->addr, e.text);
		return false;
	}
	if (h.local)
		return true;
	snprintf(c->addr, sizeof(c->addr), "%s", h.addr);
	snprintf(c->local_addr, sizeof(c->local_addr), "%s", h.local_addr);
	c->port = h.port;
	c->local_port = h.local_port;
	return true;
}
