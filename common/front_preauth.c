/*
 * front_preauth.c - a session on stdin and stdout whose login somebody else
 * saw to: over ssh, in a pipe.
 * Layer: mail.  DESIGN 4 mx-imapd.
 */
#include "front.h"
#include "log.h"
#include "mem.h"
#include "status.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

static void
on_signal(int sig)
{
	(void)sig;
	io_stop = 1;
}

static int
own_root(struct buf *path, const char *maildir, struct err *e)
{
	char cwd[4096];

	if (maildir[0] != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return err_sys(e, "the current directory");
		buf_addf(path, "%s/", cwd);
	}
	buf_adds(path, maildir);
	return 0;
}

int
front_preauth(const struct front_protocol *p, const char *user,
	      const char *maildir)
{
	const struct passwd *pw = getpwuid(getuid());
	struct front_user u = { .greet = true };
	struct sigaction sa = { .sa_handler = on_signal };
	struct err e = ERR_INIT;
	struct stream st;

	if (user == NULL)
		user = pw != NULL ? pw->pw_name : "unknown";
	u.auth.user = mem_strdup(user);
	u.auth.home = mem_strdup(pw != NULL ? pw->pw_dir : "");
	if (maildir != NULL && own_root(&u.root, maildir, &e) != 0)
		return prog_fail(&e);
	if (p->reload != NULL)
		p->reload();
	log_role(p->name);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	stream_init(&st, STDIN_FILENO, STDOUT_FILENO);
	if (p->prepare(&u, &e) != 0) {
		stream_puts(&st, p->unavailable);
		(void)!stream_flush(&st, clock_deadline(FRONT_WRITE_MS));
		if (e.status != ST_CONFIG && e.status != ST_DATA)
			e.status = ST_TEMPFAIL;
		return prog_fail(&e);
	}
	p->session(&st, &u);
	stream_close(&st);
	buf_free(&u.root);
	auth_user_free(&u.auth);
	return ST_OK;
}
