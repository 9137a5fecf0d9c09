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

#include <arpa/inet.h>
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
	{ 0, "jobs", NULL, OPT_FLAG, offsetof(struct send_options, jobs),
	  "stdin is a socket that messages come over: mx-deliver's runner" },
	{ 0, "times", NULL, OPT_FLAG, offsetof(struct send_options, times),
	  "before each line: \". CONNECT TRANSMIT [dsn] [use=N]\", in "
	  "microseconds" },
};

static const struct param_rows *const sets_order[] = { &site_params,
						       &send_params };

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

static int
run(struct rcpt *rcpts, size_t n)
{
	struct groups gs = { .n = 0 };
	struct message m = { .fd = -1 };
	struct err e = ERR_INIT;

	if (!options.probe && message_load(&m, 0, options.size, &e) != 0)
		return prog_fail(&e);
	for (size_t i = 0; i < n; i++)
		group_add(&gs, destination_of(rcpts[i].addr), &rcpts[i]);
	tlsrpt_open();
	if (groups_prepare(&gs, &e) != 0 || send_give_up_rights(&e) != 0)
		return prog_fail(&e);
	for (size_t i = 0; i < gs.n; i++)
		group_run(&gs.v[i], &m);
	return final_status(rcpts, n);
}

/* Where the message came from, for XFORWARD (DESIGN 3.4). */
static void
take_client(void)
{
	static const char *const names[XFORWARD_NAMES] = {
		"MX_CLIENT_NAME", "MX_CLIENT_ADDR", NULL, NULL,
		"MX_HELO",        "MX_QUEUE_ID",    NULL
	};

	for (size_t i = 0; i < XFORWARD_NAMES; i++)
		if (names[i] != NULL)
			options.xforward[i] = getenv(names[i]);
}

/* A word of --host.  What is typed at a terminal is wrong there, and nobody's
 * mail is: a destination of a table would be a verdict. */
static bool
host_is_good(struct span word)
{
	struct in6_addr a;
	struct span host;
	bool literal;
	int port = 0;

	if (span_starts(word, SPAN("unix:")))
		return word.n > 5;
	if (!mx_hosts_parse(word, &host, &port, &literal))
		return false;
	/* Bare IPv6 addresses alone have colons; nothing has a slash. */
	char *z = mem_spandup(host);
	bool good =
	    span_chr(host, '/') < 0 &&
	    (span_chr(host, ':') < 0 || inet_pton(AF_INET6, z, &a) == 1);

	free(z);
	return good;
}

/* NOTIFY and ORCPT of a recipient (RFC 3461 4.1, 4.2). */
static bool
rcpt_options_good(struct span text)
{
	struct span word, value, way;

	if (span_has_ctl(text))
		return false;
	while (span_word(&text, " ", &word)) {
		if (span_istarts(word, SPAN("ORCPT="))) {
			if (span_chr(word, ';') <= 6)
				return false;
			continue;
		}
		if (!span_istarts(word, SPAN("NOTIFY=")))
			return false;
		value = span_from(word, 7);
		if (span_iis(value, "NEVER"))
			continue;
		while (span_split(&value, ',', &way))
			if (!span_iis(way, "SUCCESS") &&
			    !span_iis(way, "FAILURE") &&
			    !span_iis(way, "DELAY"))
				return false;
	}
	return true;
}

/* 0, or the status of a call that makes no sense. */
static int
check_options(size_t n)
{
	struct span rest, word;

	if (options.host != NULL) {
		bool any = false;

		rest = span_of(options.host);
		for (; span_word(&rest, ", \t", &word); any = true)
			if (!host_is_good(word))
				return prog_usage(
				    "--host: %.*s: expected HOST[:PORT], "
				    "[IPV6-ADDRESS]:PORT or unix:PATH",
				    SPAN_ARG(word));
		if (!any)
			return prog_usage("--host: no host");
	}
	if (options.ret != NULL && !span_iis(span_of(options.ret), "FULL") &&
	    !span_iis(span_of(options.ret), "HDRS"))
		return prog_usage("--ret: FULL or HDRS");
	if (options.envid != NULL &&
	    (options.envid[0] == '\0' || span_has_ctl(span_of(options.envid))))
		return prog_usage("--envid: empty, or control bytes");
	if (options.rcpt_options.n > n)
		return prog_usage("--rcpt-options: more than recipients");
	for (size_t i = 0; i < options.rcpt_options.n; i++)
		if (!rcpt_options_good(span_of(options.rcpt_options.v[i])))
			return prog_usage("--rcpt-options: expected "
					  "NOTIFY=NEVER|SUCCESS,FAILURE,DELAY "
					  "and ORCPT=TYPE;ADDRESS");
	return 0;
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
	if (n == 0 && !options.jobs)
		return prog_usage("a recipient is missing");
	if (options.sender == NULL)
		options.sender = "";
	if (span_has_ctl(span_of(options.sender)))
		return prog_usage("--sender: control bytes");
	if (!options.jobs && check_options(n) != 0)
		return ST_USAGE;
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
	take_client();
	(void)signal(SIGPIPE, SIG_IGN);
	int status = options.jobs ? jobs_serve() : run(rcpts, n);
	free(rcpts);
	return status;
}
