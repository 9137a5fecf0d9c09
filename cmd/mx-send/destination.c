/*
 * destination.c - recipients with one destination: where it is, what it asks
 * of TLS and passwords (all before the sandbox), then its hosts in turn.
 * A connection may be kept for the next message (jobs_child.c).
 */
#include "apart.h"
#include "send.h"
#include "clock.h"
#include "mem.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

/* One session carries all recipients of one destination. */
void
group_add(struct groups *gs, const char *destination, struct rcpt *r)
{
	struct group *g = NULL;

	for (size_t i = 0; g == NULL && i < gs->n; i++)
		if (strcasecmp(gs->v[i].destination, destination) == 0)
			g = &gs->v[i];
	if (g == NULL) {
		gs->v = mem_grow(gs->v, &gs->cap, gs->n + 1, sizeof(gs->v[0]));
		g = &gs->v[gs->n++];
		*g = (struct group){ .destination = destination };
	}
	g->v = mem_grow(g->v, &g->cap, g->n + 1, sizeof(g->v[0]));
	g->v[g->n++] = r;
}

/* --host, --nexthop, relayhost, else the address's own domain. */
const char *
destination_of(const char *addr)
{
	const char *at = strrchr(addr, '@');

	if (options.host != NULL)
		return options.host;
	if (options.nexthop != NULL)
		return options.nexthop;
	if (params.relayhost[0] != '\0')
		return params.relayhost;
	return at != NULL ? at + 1 : site.myorigin;
}

/* "25" or a service's name, as smtp_tcp_port has it. */
static int
port_of(const char *text, int fallback)
{
	struct span host;
	char hostport[80];
	bool literal;
	int port = fallback;

	snprintf(hostport, sizeof(hostport), "x:%s", text);
	return mx_hosts_parse(span_of(hostport), &host, &port, &literal)
		   ? port
		   : fallback;
}

int
destination_smtp_port(void)
{
	return port_of(params.tcp_port, 25);
}

bool send_tls_optional, send_requiretls;

/* Everything of a group that needs files or names. */
static int
prepare_group(struct group *g, const struct mx_conf *conf,
	      const struct tables *passwords, const struct tables *policies,
	      struct err *e)
{
	if (mx_hosts_find(&g->hosts, conf, span_of(g->destination),
			  DEADLINE_NEVER, &g->no_hosts) != 0)
		return 0;
	g->secrets = mem_alloc(g->hosts.n, sizeof(g->secrets[0]));
	for (size_t k = 0; passwords->n > 0 && k < g->hosts.n; k++)
		sasl_find(&g->secrets[k], passwords, g->hosts.v[k].host,
			  g->destination);
	policy_find(g, policies);
	int level = g->policy.level;
	if (level == TLS_DANE || level == TLS_DANE_ONLY) {
		g->dane = mem_alloc(g->hosts.n, sizeof(g->dane[0]));
		for (size_t k = 0; k < g->hosts.n; k++)
			dane_find(&g->dane[k], g, &g->hosts.v[k], conf->dns);
	}
	if ((level == TLS_NONE && !options.requiretls) ||
	    g->policy.trouble.status != 0)
		return 0;
	/* Levels that check certificates say themselves what they want. */
	if (params.mta_sts && g->hosts.by_mx && !options.lmtp &&
	    (level == TLS_MAY || level == TLS_ENCRYPT || level == TLS_DANE ||
	     (options.requiretls && !g->hosts.secure)))
		g->has_sts = sts_find(&g->sts, g->hosts.domain, conf->dns,
				      g->sts_failure, &g->sts_doubt);
	g->tls = policy_client(
	    &g->policy, level >= TLS_VERIFY || options.requiretls || g->has_sts,
	    e);
	if (g->tls == NULL)
		e->status = ST_CONFIG;
	return g->tls == NULL ? -1 : 0;
}

/* Where the rest goes when none of the destination's own hosts takes it. */
static void
add_fallback(struct group *g)
{
	struct buf b = BUF_INIT;

	if (params.fallback_relay.n == 0 || options.lmtp ||
	    options.no_fallback || options.host != NULL)
		return;
	for (size_t i = 0; i < params.fallback_relay.n; i++)
		buf_addf(&b, "%s%s", i > 0 ? ", " : "",
			 params.fallback_relay.v[i]);
	g->fallback = mem_alloc(1, sizeof(*g->fallback));
	*g->fallback = (struct group){ .destination = mem_strdup(buf_str(&b)) };
	buf_free(&b);
}

/* "[192.0.2.1]:25": nobody has to be asked. */
static bool
is_literal(const char *destination)
{
	struct span host;
	struct in6_addr a;
	bool literal, r = false;
	int port = 0;

	if (mx_hosts_parse(span_of(destination), &host, &port, &literal)) {
		char *z = mem_spandup(host);

		r = inet_pton(AF_INET, z, &a) == 1 ||
		    inet_pton(AF_INET6, z, &a) == 1;
		free(z);
	}
	return r || strncmp(destination, "unix:", 5) == 0;
}

/* Tables and passwords are read here, with the rights that are given up right
 * after. */
static int
resolve(struct groups *gs, const struct mx_conf *conf, struct err *e)
{
	struct tables passwords = { .n = 0 }, policies = { .n = 0 };
	int r = 0;

	for (size_t i = 0; i < gs->n; i++)
		if (!is_literal(gs->v[i].destination))
			apart_warm();
	secrets_open(&passwords);
	tables_open(&policies, &params.policy_maps);
	for (size_t i = 0; r == 0 && i < gs->n; i++)
		r = prepare_group(&gs->v[i], conf, &passwords, &policies, e);
	for (size_t i = 0; r == 0 && i < gs->n; i++) {
		add_fallback(&gs->v[i]);
		if (gs->v[i].fallback != NULL)
			r = prepare_group(gs->v[i].fallback, conf, &passwords,
					  &policies, e);
	}
	secrets_close(&passwords);
	tables_close(&policies);
	apart_end();
	return r;
}

int
groups_prepare(struct groups *gs, struct err *e)
{
	struct strs own = STRS_INIT;
	struct mx_conf conf = {
		.native = strs_has(&params.host_lookup, SPAN("native")),
		.no_mx = options.lmtp || options.host != NULL,
		.family = (enum mx_family)params.inet_protocols,
		.prefer = (enum mx_family)params.address_preference,
		.limit = (int)params.address_limit,
		.own = &own,
	};

	conf.own_port = destination_smtp_port();
	conf.port =
	    options.lmtp ? port_of(params.lmtp_port, 24) : conf.own_port;
	if (strs_has(&params.host_lookup, SPAN("dns")) &&
	    (conf.dns = dns_open(site.resolver, e)) == NULL)
		return -1;
	apart_names(&conf);
	mx_hosts_own(&own, &params.inet_interfaces, &params.proxy_interfaces);
	int r = resolve(gs, &conf, e);
	dns_close(conf.dns);
	strs_free(&own);
	return r;
}

/* Before the first byte of a stranger is read (law 4; what names and policies
 * are was read by others, apart.c): the user, then files, exec and new
 * listeners. */
int
send_give_up_rights(struct err *e)
{
	secrets_forget();
	if (sandbox_user(site.net_user, e) != 0 || sandbox_user_next(e) != 0)
		return -1;
	return sandbox_enter((enum sandbox_mode)site.sandbox,
			     SANDBOX_STDIO | SANDBOX_CONNECT, NULL, e);
}

static bool
any_pending(const struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i]->state == RCPT_PENDING)
			return true;
	return false;
}

void
group_close(struct group *g)
{
	if (g->open)
		session_close(&g->session);
	g->open = false;
}

/* What is told beside each verdict starts with the message, not with the
 * connection. */
static enum attempt
transact(struct group *g, const struct message *m)
{
	struct session *s = &g->session;

	s->uses++;
	send_began_us = clock_mono_us();
	send_dsn = s->c.caps & SMTP_DSN;
	send_uses = s->uses;
	enum attempt a = transaction(s, g, m);
	if (a == ATTEMPT_FRESH && s->lied)
		g->liar = s->target;
	return a;
}

/* Over the connection of the message before, if it is still of use.  FRESH:
 * it was not, which cost nobody anything. */
static enum attempt
over_kept(struct group *g, const struct message *m)
{
	struct session *s = &g->session;
	enum attempt a = ATTEMPT_FRESH;

	if (!g->open)
		return a;
	if (session_alive(s)) {
		s->reused = true;
		a = transact(g, m);
	}
	if (a == ATTEMPT_FRESH)
		group_close(g);
	return a;
}

/* A host in turn; ours is closed first, whatever was left of it. */
static enum attempt
over_new(struct group *g, size_t i, bool no_tls, const struct message *m)
{
	struct session *s = &g->session;
	struct err e = ERR_INIT;
	int64_t start = clock_mono_us();

	group_close(g);
	g->open = true;
	enum attempt a = session_open(s, g, i, no_tls, &e);
	send_connect_us += clock_mono_us() - start;
	if (a == ATTEMPT_DONE)
		return transact(g, m);
	if (s->unfit)
		report_unfit(g, s->relay, &e);
	else if (a != ATTEMPT_FRESH) /* it is asked once more */
		report_all(g, s->relay, &e);
	group_close(g);
	return a;
}

/* Over the destination's own hosts. */
static enum attempt
run_hosts(struct group *g, const struct message *m)
{
	int64_t sessions = 0;
	bool no_tls = false;
	size_t i = 0;

	enum attempt a = over_kept(g, m);
	/* Hosts that failed of late are asked last (Postfix has no such
	 * memory; RFC 5321 5.1 leaves the choice among equals). */
	failing_order(g);
	if (a != ATTEMPT_FRESH) {
		while (&g->hosts.v[g->order[i]] != g->session.target)
			i++;
		i++;
		sessions++;
	}
	while (a != ATTEMPT_STOP && i < g->hosts.n && any_pending(g)) {
		if (params.session_limit > 0 &&
		    sessions >= params.session_limit)
			break;
		a = over_new(g, g->order[i], no_tls, m);
		/* Anew at the same host: for a TLS session that was too old,
		 * or LIMITS; each time somebody was answered.
		 * A host that is not fit was not one of those that may be
		 * asked (RFC 8689 4.2.1). */
		sessions += g->open && a != ATTEMPT_FRESH && !g->session.unfit;
		no_tls = a == ATTEMPT_PLAIN;
		i += a != ATTEMPT_PLAIN && a != ATTEMPT_FRESH;
	}
	return a;
}

/* One that no DNS knows, or that is away, goes there; not one that takes no
 * mail (RFC 7505), nor one that is ourselves. */
static bool
may_fall_back(const struct group *g)
{
	return g->fallback != NULL && g->fallback->hosts.n > 0 &&
	       (g->no_hosts.status != ST_NOHOST ||
		strcmp(err_code(&g->no_hosts), "5.4.4") == 0);
}

/* Over its hosts, then over the fallback's. */
static enum attempt
run_all(struct group *g, const struct message *m)
{
	enum attempt a = ATTEMPT_NEXT;
	struct group *f = g->fallback;

	if (g->hosts.n > 0)
		a = run_hosts(g, m);
	else if (!may_fall_back(g))
		report_all(g, "none", &g->no_hosts);
	if (a != ATTEMPT_STOP && may_fall_back(g)) {
		f->v = g->v;
		f->n = g->n;
		a = run_hosts(f, m);
		group_close(f);
	}
	return a;
}

void
group_run(struct group *g, const struct message *m)
{
	/* RFC 8460 5.3 lets reports about broken TLS through it, RFC 8689
	 * 4.2.2 who says so; who asked for REQUIRETLS (4.1) meant what he
	 * said. */
	send_tls_optional =
	    (m->tls_report || (m->tls_no && params.tls_required)) &&
	    !options.requiretls;
	send_requiretls = options.requiretls;
	enum attempt a = run_all(g, m);
	/* 5: a bounce is not lost for it. */
	if (a != ATTEMPT_STOP && send_requiretls && options.sender[0] == '\0' &&
	    report_any_unfit(g)) {
		group_close(g);
		send_requiretls = false;
		(void)run_all(g, m);
	}
	report_rest(g);
	/* What a report may do, the next message may not. */
	if (!g->keep || !g->open || send_tls_optional ||
	    send_requiretls != options.requiretls ||
	    session_rest(&g->session) != 0)
		group_close(g);
}
