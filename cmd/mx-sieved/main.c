/*
 * main.c - mx-sieved: the ManageSieve server, on the front that mx-imapd
 * and mx-pop3d have.  DESIGN 4; RFC 5804.
 */
#include "before.h"
#include "conf.h"
#include "status.h"

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

static const struct front_start start = { &program, params, &conf_rows,
					  &options.preauth, NULL };

int
main(int argc, char **argv)
{
	const char *user;
	int r = front_start(&start, argc, argv, &user);

	if (r != ST_OK)
		return r;
	if (options.preauth)
		return before_preauth(user);
	front_log("sieve-login");
	return before_serve(&program);
}
