/*
 * main.c - mx-pop3d: the POP3 server, on the front and the mailboxes that
 * mx-imapd serves too.  DESIGN 4; RFC 1939.
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
		return before_preauth(at < argc ? argv[at] : NULL,
				      options.maildir);
	}
	if (at < argc)
		return prog_usage("%s: no operand is expected", argv[at]);
	if (options.maildir != NULL)
		return prog_usage("--maildir goes with --preauth");
	log_dovecot();
	log_open(site.syslog_name, "pop3-login",
		 (enum log_format)site.log_format);
	return before_serve(&program);
}
