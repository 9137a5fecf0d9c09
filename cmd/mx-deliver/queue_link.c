/*
 * queue_link.c - the runner's mx-send: started when a worker's first job lies
 * in its socket, kept for the jobs that follow.  It runs as mail_owner, as
 * the workers do; what it starts gives up more.
 */
#include "queue.h"
#include "command.h"
#include "log.h"
#include "proc.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGAIN_MS 1000
#define END_MS 5000

static struct {
	int ours, theirs; /* both ends stay open: no job is lost between two */
	pid_t pid;        /* 0: none */
	deadline_t not_before;
} sender = { .ours = -1, .theirs = -1 };
static volatile sig_atomic_t child_ended; /* some child, perhaps mx-send */

void
queue_link_init(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		log_fatal(ST_TEMPFAIL, "socketpair: %s", strerror(errno));
	sender.ours = pair[0];
	sender.theirs = pair[1];
}

int
queue_link_fd(void)
{
	return sender.ours;
}

/* Workers only give jobs; the other end is the runner's to hand to the next
 * mx-send. */
void
queue_link_worker(void)
{
	close(sender.theirs);
	sender.theirs = -1;
}

/* In the child.  As root it stays root until mx-send has read the passwords
 * that only root may read: it becomes mail_owner itself. */
static MX_NORETURN void
become_sender(void)
{
	struct strs argv = STRS_INIT;
	static const int plain[] = { SIGHUP, SIGCHLD, SIGTERM, SIGINT };

	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		(void)signal(plain[i], SIG_DFL);
	strs_take(&argv, command_own("mx-send"));
	for (size_t i = 0; i < prog.overrides.n; i++)
		strs_addf(&argv, "-o%s", prog.overrides.v[i]);
	if (site.resolver != NULL && site.resolver[0] != '\0')
		strs_addf(&argv, "--resolver=%s", site.resolver);
	strs_add(&argv, "--jobs");
	(void)setpgid(0, 0);
	if (dup2(sender.theirs, STDIN_FILENO) == STDIN_FILENO)
		(void)execvp(argv.v[0], argv.v);
	log_error("%s: %s", argv.v[0], strerror(errno));
	_exit(ST_TEMPFAIL);
}

static void
reap(void)
{
	int st = 0;

	if (sender.pid <= 0 || !child_ended)
		return;
	/* Not after the look: what ends meanwhile is seen the next time. */
	child_ended = 0;
	if (waitpid(sender.pid, &st, WNOHANG) == 0)
		return;
	if (!WIFEXITED(st) || WEXITSTATUS(st) != 0)
		log_warn("mx-send ended with %s %d",
			 WIFEXITED(st) ? "status" : "signal",
			 WIFEXITED(st) ? WEXITSTATUS(st) : WTERMSIG(st));
	/* One that cannot start is not started all the time. */
	if (!WIFEXITED(st) || WEXITSTATUS(st) != 0)
		sender.not_before = clock_deadline(AGAIN_MS);
	sender.pid = 0;
}

void
queue_link_child(void)
{
	child_ended = 1;
}

int
queue_link_watch(void)
{
	reap();
	return sender.pid == 0 ? sender.theirs : -1;
}

void
queue_link_take(void)
{
	struct pollfd p = { sender.theirs, POLLIN, 0 };

	reap();
	if (sender.pid != 0 || poll(&p, 1, 0) <= 0)
		return;
	int64_t ms = clock_left(sender.not_before);
	if (sender.not_before != 0 && ms > 0)
		(void)poll(NULL, 0, (int)ms);
	(void)fflush(NULL);
	sender.pid = fork();
	if (sender.pid == 0)
		become_sender();
	if (sender.pid < 0) {
		log_error("fork: %s: mail to other hosts waits",
			  strerror(errno));
		sender.pid = 0;
		sender.not_before = clock_deadline(AGAIN_MS);
	}
}

void
queue_link_recycle(void)
{
	if (sender.pid > 0)
		(void)kill(sender.pid, SIGTERM);
}

/* Children of mx-send finish the message that they are at. */
void
queue_link_end(void)
{
	close(sender.ours);
	close(sender.theirs);
	if (sender.pid > 0)
		(void)proc_wait(sender.pid, clock_deadline(END_MS), NULL);
	sender.ours = sender.theirs = -1;
	sender.pid = 0;
}
