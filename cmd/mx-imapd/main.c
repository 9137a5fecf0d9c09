/*
 * main.c - mx-imapd: the IMAP server.  A front that parses what comes before
 * the login and holds no rights on mail, and a session for each login that
 * has exactly its user's.  DESIGN 4.
 */
#include "conf.h"
#include "before.h"
#include "hook.h"
#include "log.h"
#include "maildir_root.h"
#include "site.h"

#include <time.h>

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
	.name = "mx-imapd",
	.synopsis = "mx-imapd [--mode imap|imaps] [--listen ENDPOINT]...\n"
		    "mx-imapd --preauth [--maildir DIR] [USER]",
	.meaning = "IMAP server on Maildir",
	.opts = rows,
	.nopts = ARRAY_LEN(rows),
	.options = &options,
	.params = params,
	.nparams = ARRAY_LEN(params),
};

int
main(int argc, char **argv)
{
	struct hook_rules rules;
	struct err e = ERR_INIT;
	int at;

	params[0] = site_params;
	params[1] = front_params;
	params[2] = conf_rows;
	at = prog_start(&program, argc, argv, NULL);
	tzset();
	maildir_root_boxes = conf.mailbox_auto;
	if (hook_parse(&rules, &e) != 0)
		return prog_fail(&e);
	hook_free(&rules);
	if (options.preauth) {
		if (at + 1 < argc)
			return prog_usage("%s: one user is expected",
					  argv[at + 1]);
		log_role("imap");
		return before_preauth(at < argc ? argv[at] : NULL,
				      options.maildir);
	}
	if (at < argc)
		return prog_usage("%s: no operand is expected", argv[at]);
	if (options.maildir != NULL)
		return prog_usage("--maildir goes with --preauth");
	log_dovecot();
	log_open(site.syslog_name, "imap-login",
		 (enum log_format)site.log_format);
	return before_serve(&program);
}
