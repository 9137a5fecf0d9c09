/*
 * main.c - mx-send: one message to the hosts of its recipients over SMTP or
 * LMTP; a line per recipient on stdout.
 * It never stores mail: what is not sent is whoever's it was before.
 */
#include "clock.h"
#include "mem.h"
#include "num.h"
#include "opt.h"
#include "sandbox.h"
#include "send.h"
#include "site.h"
#include "status.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct send_options options;

static const struct opt opts[] = {
	{ 0, "lmtp", NULL, OPT_FLAG, offsetof(struct send_options, lmtp),
	  "speak LMTP, which answers for each recipient" },
	{ 0, "host", "HOST[:PORT]", OPT_STR,
	  offsetof(struct send_options, host),
	  "send to this host (or unix:PATH); no MX is looked up" },
	{ 0, "nexthop", "DESTINATION", OPT_STR,
	  offsetof(struct send_options, nexthop),
	  "send to DOMAIN's MX, to [HOST], with :PORT; instead of relayhost" },
	{ 'f', "sender", "ADDR", OPT_STR, offsetof(struct send_options, sender),
	  "envelope sender (default: the null sender)" },
	{ 0, "size", "BYTES", OPT_INT, offsetof(struct send_options, size),
	  "the message is the next BYTES of stdin" },
	{ 0, "8bit", NULL, OPT_FLAG, offsetof(struct send_options, eight_bit),
	  "the message needs 8BITMIME (found out by itself, too)" },
	{ 0, "utf8", NULL, OPT_FLAG, offsetof(struct send_options, utf8),
	  "the message came with SMTPUTF8" },
	{ 0, "requiretls", NULL, OPT_FLAG,
	  offsetof(struct send_options, requiretls),
	  "the message came with REQUIRETLS" },
	{ 0, "envid", "ID", OPT_STR, offsetof(struct send_options, envid),
	  "ENVID for servers that do DSN" },
	{ 0, "ret", "FULL|HDRS", OPT_STR, offsetof(struct send_options, ret),
	  "RET for servers that do DSN" },
	{ 0, "rcpt-options", "TEXT", OPT_LIST,
	  offsetof(struct send_options, rcpt_options),
	  "\"NOTIFY=... ORCPT=...\" of the first, second ... recipient" },
	{ 0, "probe", NULL, OPT_FLAG, offsetof(struct send_options, probe),
	  "end before DATA: would they take it?" },
	{ 0, "trace", NULL, OPT_FLAG, offsetof(struct send_options, trace),
	  "show the dialogue on stderr" },
	{ 0, "times", NULL, OPT_FLAG, offsetof(struct send_options, times),
	  "before each line: \". CONNECT TRANSMIT [dsn]\", in microseconds" },
};

static const struct param_rows *const sets_order[] = { &site_params,
						       &send_params };

struct groups {
	struct group *v;
	size_t n, cap;
};

static void
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

/* Where does this recipient's mail go? */
static const char *
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

/* Everything of a group that needs files or names. */
static int
prepare_group(struct group *g, const struct mx_conf *conf,
	      const struct tables *passwords, const struct tables *policies,
	      struct err *e)
{
	static struct tls_client *shared;

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
	if (level == TLS_NONE || g->policy.trouble.status != 0)
		return 0;
	/* Levels that check certificates say themselves what they want. */
	if (params.mta_sts && g->hosts.by_mx && !options.lmtp &&
	    (level == TLS_MAY || level == TLS_ENCRYPT || level == TLS_DANE))
		g->has_sts = sts_find(&g->sts, g->hosts.domain, conf->dns);
	g->tls = policy_client(
	    &g->policy, &shared,
	    level >= TLS_VERIFY || options.requiretls || g->has_sts, e);
	if (g->tls == NULL)
		e->status = ST_CONFIG;
	return g->tls == NULL ? -1 : 0;
}

static int
resolve(struct groups *gs, const struct mx_conf *conf, struct err *e)
{
	struct tables passwords = { .n = 0 }, policies = { .n = 0 };
	int r = 0;

	if (params.sasl_enable)
		tables_open(&passwords, &params.sasl_maps);
	tables_open(&policies, &params.policy_maps);
	for (size_t i = 0; r == 0 && i < gs->n; i++)
		r = prepare_group(&gs->v[i], conf, &passwords, &policies, e);
	tables_close(&passwords);
	tables_close(&policies);
	return r;
}

static void
run_group(struct group *g, const struct message *m)
{
	int64_t sessions = 0;
	bool no_tls = false;

	if (g->hosts.n == 0) {
		report_all(g, "none", &g->no_hosts);
		report_rest(g);
		return;
	}
	for (size_t i = 0; i < g->hosts.n;) {
		struct session s;
		struct err e = ERR_INIT;
		bool left = false;
		for (size_t k = 0; k < g->n; k++)
			left = left || g->v[k]->state == RCPT_PENDING;
		if (!left || (params.session_limit > 0 &&
			      sessions >= params.session_limit))
			break;
		int64_t start = clock_mono_us();
		enum attempt a = session_open(&s, g, i, no_tls, &e);
		send_connect_us += clock_mono_us() - start;
		if (a == ATTEMPT_DONE) {
			sessions++;
			send_began_us = clock_mono_us();
			send_dsn = s.c.caps & SMTP_DSN;
			a = transaction(&s, g, m);
		} else {
			report_all(g, s.relay, &e);
		}
		session_close(&s);
		no_tls = a == ATTEMPT_PLAIN;
		if (a == ATTEMPT_STOP)
			break;
		i += !no_tls;
	}
	report_rest(g);
}

/* The worst of all verdicts. */
static int
final_status(const struct rcpt *r, size_t n)
{
	int status = ST_OK;

	for (size_t i = 0; i < n; i++) {
		if (r[i].state == RCPT_BOUNCED && status == ST_OK)
			status = ST_UNAVAILABLE;
		if (r[i].state == RCPT_DEFERRED || r[i].state == RCPT_PENDING)
			status = ST_TEMPFAIL;
	}
	/* Lines that nobody got are verdicts that nobody knows. */
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? status
							  : ST_TEMPFAIL;
}

/* Everything that needs files or names is done before this. */
static int
give_up_rights(struct err *e)
{
	if (sandbox_user(site.net_user, e) != 0)
		return -1;
	return sandbox_enter((enum sandbox_mode)site.sandbox,
			     SANDBOX_STDIO | SANDBOX_CONNECT, NULL, e);
}

static int
run(struct rcpt *rcpts, size_t n)
{
	struct groups gs = { .n = 0 };
	struct message m = { .fd = -1 };
	struct err e = ERR_INIT;
	struct strs own = STRS_INIT;
	struct mx_conf conf = {
		.native = strs_has(&params.host_lookup, SPAN("native")),
		.no_mx = options.lmtp || options.host != NULL,
		.family = (enum mx_family)params.inet_protocols,
		.limit = (int)params.address_limit,
		.own = &own,
	};

	conf.own_port = port_of(params.tcp_port, 25);
	conf.port =
	    options.lmtp ? port_of(params.lmtp_port, 24) : conf.own_port;
	if (!options.probe && message_load(&m, options.size, &e) != 0)
		return prog_fail(&e);
	if (strs_has(&params.host_lookup, SPAN("dns")) &&
	    (conf.dns = dns_open(site.resolver, &e)) == NULL)
		return prog_fail(&e);
	mx_hosts_own(&own, &params.inet_interfaces, &params.proxy_interfaces);
	for (size_t i = 0; i < n; i++)
		group_add(&gs, destination_of(rcpts[i].addr), &rcpts[i]);
	int bad = resolve(&gs, &conf, &e);
	dns_close(conf.dns);
	if (bad != 0 || give_up_rights(&e) != 0)
		return prog_fail(&e);
	for (size_t i = 0; i < gs.n; i++)
		run_group(&gs.v[i], &m);
	return final_status(rcpts, n);
}

int
main(int argc, char **argv)
{
	const struct param_rows sets[] = { *sets_order[0], *sets_order[1] };
	const struct program program = {
		.name = "mx-send",
		.synopsis = "mx-send [--lmtp] [--host HOST[:PORT]] [-f SENDER] "
			    "RECIPIENT... < msg",
		.meaning = "one message to its recipients' hosts over SMTP or "
			   "LMTP",
		.opts = opts,
		.nopts = ARRAY_LEN(opts),
		.options = &options,
		.params = sets,
		.nparams = ARRAY_LEN(sets),
	};

	int at = prog_start(&program, argc, argv, NULL);
	size_t n = (size_t)(argc - at);
	if (n == 0)
		return prog_usage("a recipient is missing");
	if (options.sender == NULL)
		options.sender = "";
	if (span_has_ctl(span_of(options.sender)))
		return prog_usage("--sender: control bytes");
	struct rcpt *rcpts = mem_alloc(n, sizeof(rcpts[0]));
	for (size_t i = 0; i < n; i++) {
		rcpts[i].addr = argv[at + (int)i];
		rcpts[i].options =
		    i < options.rcpt_options.n ? options.rcpt_options.v[i] : "";
		if (rcpts[i].addr[0] == '\0' ||
		    span_has_ctl(span_of(rcpts[i].addr)))
			return prog_usage("recipient %zu: empty, or control "
					  "bytes",
					  i + 1);
	}
	/* The host's name is known only now where no file sets it. */
	if (params.helo_name[0] == '\0') {
		free(params.helo_name);
		params.helo_name = mem_strdup(site.myhostname);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	int status = run(rcpts, n);
	free(rcpts);
	return status;
}
