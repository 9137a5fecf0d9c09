/*
 * main.c - mx-recv: the SMTP and submission server.  It parses, decides who
 * may send where, and passes mail on as it reads; it stores nothing.
 * RFC 5321, 6409, 3207, 4954.
 */
#include "conf.h"
#include "dns_link.h"
#include "explain.h"
#include "hold.h"
#include "local.h"
#include "log.h"
#include "mem.h"
#include "opt.h"
#include "rates.h"
#include "sandbox.h"
#include "server_table.h"
#include "session.h"
#include "site.h"

#include <stdlib.h>
#include <time.h>

static struct options {
	struct server_options server;
	bool explain;
} options;

static const struct opt rows[] = {
	SERVER_OPT_ROWS(struct options, server),
	{ 0, "explain", NULL, OPT_FLAG, offsetof(struct options, explain),
	  "rehearse a session: client=ADDR name= helo= from= rcpt=... login= "
	  "tls=yes ask=no, a message on stdin; tell each rule and answer" },
};
static struct param_rows params[2];

static const struct program program = {
	.name = "mx-recv",
	.synopsis = "mx-recv "
		    "[--mode smtp|submission|submissions|lmtp|reinject|submit] "
		    "[--listen ENDPOINT]...\n"
		    "       mx-recv --explain client=ADDR helo=NAME from=ADDR "
		    "rcpt=ADDR...",
	.meaning = "SMTP, submission and LMTP server",
	.opts = rows,
	.nopts = ARRAY_LEN(rows),
	.options = &options,
	.params = params,
	.nparams = ARRAY_LEN(params),
};

static int
before_drop(struct server *s, bool reload, struct err *e)
{
	(void)reload;
	/* What localtime reads is read before the sandbox closes. */
	tzset();
	local_load();
	if (rates_start(e) != 0 || dns_link_start(s, e) != 0 ||
	    conf_load(s, e) != 0)
		return -1;
	server_tables(s);
	hold_offer(s, site.data_directory);
	return 0;
}

static int
after_drop(struct server *s, struct err *e)
{
	(void)e;
	conf_worker(s);
	server_tables_worker(s);
	return 0;
}

static void
explain_table(const char *spec, struct span key, enum table_result r,
	      struct span value, const char *why)
{
	explain("table", "%s: %.*s: %s%.*s%s", spec, SPAN_ARG(key),
		r == TABLE_FOUND  ? "found: "
		: r == TABLE_NONE ? "not found"
				  : "try again: ",
		SPAN_ARG(value), why);
}

static int
serve(void *ctx)
{
	return server_run(ctx, &options.server, NULL);
}

int
main(int argc, char **argv)
{
	struct server_spec spec = {
		.program = &program,
		.modes = conf_modes,
		.nmodes = conf_nmodes,
		.sandbox = SANDBOX_STDIO,
		.busy_text = "421 4.3.2 All server ports are busy\r\n",
		.before_drop = before_drop,
		.after_drop = after_drop,
		.session = session_run,
		.tick = server_tables_changed,
	};
	const struct conf_params *p = conf_params_shown.base;
	int at;

	params[0] = site_params;
	params[1] = conf_params_shown;
	at = prog_start(&program, argc, argv, NULL);
	if (at < argc && !options.explain)
		return prog_usage("%s: no operand is expected", argv[at]);
	/* a text of its own: SIGHUP frees the configuration's */
	spec.user = mem_strdup(site.net_user);
	options.server.max_workers = p->process_limit;
	options.server.max_use = p->max_use;
	options.server.max_idle = p->max_idle;
	options.server.client_limit = p->client_limit;
	options.server.unix_mode = 0666;
	site_log_open("smtpd");
	if (options.explain) {
		strs_clear(&options.server.listen);
		table_trace = explain_table;
		return explain_main(argc - at, argv + at,
				    options.server.mode != NULL &&
					strcmp(options.server.mode, "lmtp") ==
					    0,
				    serve, &spec);
	}
	return serve(&spec);
}
