/*
 * proc.c - children: spawn, wait, split command lines; see proc.h.
 * Layer: sys.  No shell.
 */
#include "proc.h"
#include "io.h"
#include "mem.h"
#include "sandbox.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child between fork and exec: only what is safe there. */
static MX_NORETURN void
proc_child(const struct proc_spec *ps, int report)
{
	int from[5];
	sigset_t none;

	if (ps->new_group)
		(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < 32; sig++)
		(void)signal(sig, SIG_DFL);
	/* Out of the way of 0..4 first, then into place. */
	for (int i = 0; i < 5; i++) {
		int fd = i < 4 ? ps->fd[i] : ps->fd4 > 0 ? ps->fd4 : -1;

		if (fd < 0 && i < 3)
			fd = open("/dev/null", i == 0 ? O_RDONLY : O_WRONLY);
		from[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
		if (fd >= 0 && from[i] < 0)
			goto out;
	}
	report = fcntl(report, F_DUPFD_CLOEXEC, 10);
	for (int i = 0; i < 5; i++) {
		if (from[i] >= 0 && dup2(from[i], i) < 0)
			goto out;
		if (from[i] < 0)
			close(i);
	}
	(void)syscall(436 /* close_range */, 5u, ~0u, 4u /* CLOEXEC */);
	if (ps->dir != NULL && chdir(ps->dir) != 0)
		goto out;
	if (ps->envp != NULL)
		execvpe(ps->argv[0], ps->argv, ps->envp);
	else
		execvp(ps->argv[0], ps->argv);
out:
	from[0] = errno;
	(void)!write(report, &from[0], sizeof(from[0]));
	_exit(127);
}

pid_t
proc_spawn(const struct proc_spec *ps, struct err *e)
{
	int report[2], code = 0;
	pid_t pid;
	ssize_t got;

	if (pipe2(report, O_CLOEXEC) != 0)
		return err_sys(e, "pipe");
	pid = fork();
	if (pid == 0)
		proc_child(ps, report[1]);
	close(report[1]);
	if (pid < 0) {
		close(report[0]);
		return err_sys(e, "fork");
	}
	do {
		got = read(report[0], &code, sizeof(code));
	} while (got < 0 && errno == EINTR);
	close(report[0]);
	if (got == (ssize_t)sizeof(code)) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		errno = code;
		err_sys(e, "cannot run %s", ps->argv[0]);
		if (e != NULL)
			e->status = ST_TEMPFAIL;
		return -1;
	}
	return pid;
}

/* No SIGCHLD handler: this is a library, and its caller may have one. */
int
proc_wait(pid_t pid, deadline_t d, int *w_r)
{
	int w = 0, naps = 0;

	for (;;) {
		bool wait_whole = d == DEADLINE_NEVER;
		pid_t r = waitpid(pid, &w, wait_whole ? 0 : WNOHANG);

		if (r == pid)
			break;
		if (r < 0 && errno != EINTR)
			return ST_TEMPFAIL;
		if (r != 0)
			continue;
		if (clock_left(d) == 0) {
			(void)kill(-pid, SIGKILL);
			(void)kill(pid, SIGKILL);
			while (waitpid(pid, &w, 0) < 0 && errno == EINTR)
				;
			if (w_r != NULL)
				*w_r = w;
			return ST_TEMPFAIL;
		}
		/* Short naps at first: most children end at once. */
		usleep(naps < 20 ? 500 : 10000);
		naps++;
	}
	if (w_r != NULL)
		*w_r = w;
	return status_from_wait(w);
}

int
proc_words(struct strs *argv, struct span line, struct err *e)
{
	struct buf word = BUF_INIT;
	bool in_word = false;
	char quote = '\0';

	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];

		if (c == '\0')
			goto bad;
		if (quote != '\'' && c == '\\' && i + 1 < line.n) {
			buf_addc(&word, line.p[++i]);
			in_word = true;
		} else if (quote != '\0' && c == quote) {
			quote = '\0';
		} else if (quote == '\0' && (c == '"' || c == '\'')) {
			quote = c;
			in_word = true;
		} else if (quote == '\0' && ascii_isspace(c)) {
			if (in_word)
				strs_take(argv, buf_steal(&word));
			in_word = false;
		} else {
			buf_addc(&word, c);
			in_word = true;
		}
	}
	if (quote != '\0')
		goto bad;
	if (in_word)
		strs_take(argv, buf_steal(&word));
	buf_free(&word);
	return 0;
bad:
	buf_free(&word);
	return err_set(e, ST_CONFIG, "\"%.*s\": %s", SPAN_ARG(line),
		       quote ? "a quote is not closed" : "holds a NUL");
}

char *
proc_sibling(const char *name)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash, *path;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL)
		return mem_strdup(name);
	path = mem_printf("%.*s/%s", (int)(slash - self), self, name);
	if (access(path, X_OK) == 0)
		return path;
	free(path);
	return mem_strdup(name);
}
