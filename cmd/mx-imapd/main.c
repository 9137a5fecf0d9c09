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
#include "status.h"

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

static const struct front_start start = { &program, params, &conf_rows,
					  &options.preauth, &options.maildir };

int
main(int argc, char **argv)
{
	struct hook_rules rules;
	struct err e = ERR_INIT;
	const char *user;
	int r = front_start(&start, argc, argv, &user);

	if (r != ST_OK)
		return r;
	tzset();
	maildir_root_boxes = conf.mailbox_auto;
	if (hook_parse(&rules, &e) != 0)
		return prog_fail(&e);
	hook_free(&rules);
	if (options.preauth) {
		log_role("imap");
		return before_preauth(user, options.maildir);
	}
	front_log("imap-login");
	return before_serve(&program);
}
