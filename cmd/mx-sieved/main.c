/*
 * main.c - mx-sieved: the ManageSieve server, on the front that mx-imapd
 * and mx-pop3d have.  DESIGN 4; RFC 5804.
 */
#include "before.h"
#include "conf.h"
#include "log.h"
#include "site.h"

struct options options;

#define OFF(MEMBER) offsetof(struct options, MEMBER)
static const struct opt rows[] = {
	SERVER_OPT_ROWS(struct options, server),
	{ 0, "preauth", NULL, OPT_FLAG, OFF(preauth),
	  "one session on stdin and stdout, logged in as the caller (or as "
	  "USER, where it is part of sieve_dir)" },
};
static struct param_rows params[3];

static const struct program program = {
	.name = "mx-sieved",
	.synopsis = "mx-sieved [--mode sieve|sieves] [--listen ENDPOINT]...\n"
		    "mx-sieved --preauth [USER]",
	.meaning = "ManageSieve server: scripts for mx-filter",
	.opts = rows,
	.nopts = ARRAY_LEN(rows),
	.options = &options,
	.params = params,
	.nparams = ARRAY_LEN(params),
};

int
main(int argc, char **argv)
{
	int at;

	params[0] = site_params;
	params[1] = front_params;
	params[2] = conf_rows;
	at = prog_start(&program, argc, argv, NULL);
	if (options.preauth) {
		if (at + 1 < argc)
			return prog_usage("%s: one user is expected",
					  argv[at + 1]);
		return before_preauth(at < argc ? argv[at] : NULL);
	}
	if (at < argc)
		return prog_usage("%s: no operand is expected", argv[at]);
	log_dovecot();
	log_open(site.syslog_name, "sieve-login",
		 (enum log_format)site.log_format);
	return before_serve(&program);
}
