/*
 * main.c - mx-imapd: the IMAP server.  A front that parses what comes before
 * the login and holds no rights on mail, and a session for each login that
 * has exactly its user's.  DESIGN 4.
 */
#include "conf.h"
#include "before.h"
#include "imap.h"
#include "log.h"
#include "maildir_root.h"
#include "mem.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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

/* The mail root of the caller: --maildir, or mail_location. */
static int
own_root(struct buf *path, const char *user, const char *home, struct err *e)
{
	char cwd[4096];

	if (options.maildir == NULL)
		return maildir_root_path(path, conf.mail_location, user, home,
					 e);
	if (options.maildir[0] != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return err_sys(e, "the current directory");
		buf_addf(path, "%s/", cwd);
	}
	buf_adds(path, options.maildir);
	return 0;
}

static void
on_signal(int sig)
{
	(void)sig;
	io_stop = 1;
}

static int
preauth(const char *user)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *home = pw != NULL ? pw->pw_dir : "";
	struct sigaction sa = { .sa_handler = on_signal };
	struct buf path = BUF_INIT;
	struct err e = ERR_INIT;
	struct stream st;
	int status;

	if (user == NULL)
		user = pw != NULL ? pw->pw_name : "unknown";
	if (own_root(&path, user, home, &e) != 0)
		return prog_fail(&e);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	stream_init(&st, STDIN_FILENO, STDOUT_FILENO);
	status = session_run(&st, user, buf_str(&path), true);
	stream_close(&st);
	buf_free(&path);
	return status;
}

int
main(int argc, char **argv)
{
	int at;

	params[0] = site_params;
	params[1] = front_params;
	params[2] = conf_rows;
	at = prog_start(&program, argc, argv, NULL);
	tzset();
	maildir_root_boxes = conf.mailbox_auto;
	if (options.preauth) {
		if (at + 1 < argc)
			return prog_usage("%s: one user is expected",
					  argv[at + 1]);
		log_role("imap");
		return preauth(at < argc ? argv[at] : NULL);
	}
	if (at < argc)
		return prog_usage("%s: no operand is expected", argv[at]);
	if (options.maildir != NULL)
		return prog_usage("--maildir goes with --preauth");
	log_open(site.syslog_name, "imap-login",
		 (enum log_format)site.log_format);
	return before_serve(&program);
}
