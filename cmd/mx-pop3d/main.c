/*
 * main.c - mx-pop3d: the POP3 server, on the front and the mailboxes that
 * mx-imapd serves too.  DESIGN 4; RFC 1939.
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
	  "USER, where it is part of mail_location)" },
	{ 0, "maildir", "DIR", OPT_STR, OFF(maildir),
	  "the mail root, in place of mail_location (with --preauth)" },
};
static struct param_rows params[3];

static const struct program program = {
	.name = "mx-pop3d",
	.synopsis = "mx-pop3d [--mode pop3|pop3s] [--listen ENDPOINT]...\n"
		    "mx-pop3d --preauth [--maildir DIR] [USER]",
	.meaning = "POP3 server on Maildir",
	.opts = rows,
	.nopts = ARRAY_LEN(rows),
	.options = &options,
	.params = params,
	.nparams = ARRAY_LEN(params),
};

static const struct front_start start = { &program, params, &conf_rows,
					  &options.preauth, &options.maildir };

int
main(int argc, char **argv)
{
	const char *user;
	int r = front_start(&start, argc, argv, &user);

	if (r != ST_OK)
		return r;
	if (options.preauth)
		return before_preauth(user, options.maildir);
	front_log("pop3-login");
	return before_serve(&program);
}
