/*
 * smarthost.c - over SMTP with TLS and AUTH to another host: the work of
 * mx-smarthost, so that no other run links libcurl (DESIGN 6).
 */
#include "submit.h"
#include "io.h"
#include "mem.h"
#include "proc.h"
#include "status.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int
smarthost(const struct submission *s, struct err *e)
{
	struct strs argv = STRS_INIT;
	struct proc_spec ps = { .fd = { -1, 1, 2, -1 } };
	int link[2], st, raw = 0;
	bool sent;
	pid_t pid;

	strs_add(&argv, "mx-smarthost");
	if (prog.config_path != NULL)
		strs_addf(&argv, "--config=%s", prog.config_path);
	strs_addf(&argv, "--url=%s", params.submit_url);
	strs_addf(&argv, "--from=%s", s->sender);
	strs_addf(&argv, "--password-file=%s", params.submit_password_file);
	strs_addf(&argv, "--token-command=%s", params.submit_token_command);
	if (params.ca_file[0] != '\0')
		strs_addf(&argv, "--ca-file=%s", params.ca_file);
	strs_add(&argv, "--");
	for (size_t i = 0; i < s->recipients.n; i++)
		strs_add(&argv, s->recipients.v[i]);
	if (pipe2(link, O_CLOEXEC) != 0) {
		strs_free(&argv);
		return err_sys(e, "pipe");
	}
	ps.argv = argv.v;
	ps.fd[0] = link[0];
	(void)signal(SIGPIPE, SIG_IGN);
	pid = proc_spawn(&ps, e);
	strs_free(&argv);
	close(link[0]);
	if (pid < 0) {
		close(link[1]);
		return -1;
	}
	sent =
	    io_write(link[1], s->head.p, s->head.n, DEADLINE_NEVER) == IO_OK &&
	    io_write(link[1], s->body.p, s->body.n, DEADLINE_NEVER) == IO_OK;
	sent &= close(link[1]) == 0;
	st = proc_wait(pid, DEADLINE_NEVER, &raw);
	if (st == ST_OK && sent)
		return 0;
	if (st == ST_OK)
		st = ST_TEMPFAIL; /* it did not read everything */
	else if (WIFEXITED(raw))
		return err_set(e, st, "%s", ""); /* it said why */
	return err_set(e, st, "mx-smarthost ended early: try again");
}
