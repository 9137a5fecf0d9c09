/*
 * become.c - the root parent, and the fork that becomes a user.
 * THREATS 95, 116: requests are hostile, two numbers of a fixed size; root is
 * never given.
 */
#include "become.h"
#include "deliver.h"
#include "hand.h"
#include "io.h"
#include "log.h"
#include "route.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct become_ask {
	uint32_t uid, gid;
};

static struct server *server; /* in a worker */
static int offer = -1;
static int helper = -1; /* socket to our own root parent */

/* For good: all three ids, the user's groups, and a look that root cannot be
 * had back. */
static int
take_rights(uid_t uid, gid_t gid, struct err *e)
{
	struct passwd *pw = getpwuid(uid);
	int r = pw != NULL ? initgroups(pw->pw_name, gid) : setgroups(1, &gid);

	if (r != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return err_sys(e, "becoming uid %ld", (long)uid);
	if (setuid(0) == 0 || getuid() != uid || getegid() != gid)
		return err_set(e, ST_OSERR, "root rights could not be dropped");
	return 0;
}

static MX_NORETURN void
child_run(uid_t uid, gid_t gid, int fd)
{
	struct err e = ERR_INIT;
	int keep[] = { fd, -1 };

	for (int sig = 1; sig < 32; sig++)
		(void)signal(sig, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	/* the log's descriptor goes with the others */
	log_to_fd(2);
	sandbox_close_others(3, keep);
	umask(077);
	if (chdir("/") != 0 || take_rights(uid, gid, &e) != 0) {
		hand_refuse(fd, &e);
		_exit(ST_OSERR);
	}
	sandbox_die_with_parent();
	/* The user may not look into us with ptrace(2): descriptors of the
	 * queue or another's message were open here once. */
	sandbox_no_dump();
	hand_serve(fd);
	_exit(0);
}

/* In the root parent.  The client's end, or -1. */
static int
fork_user(const struct become_ask *a, struct err *e)
{
	int pair[2];
	pid_t pid;

	if (a->uid == 0 || a->gid == 0 || a->uid == (uint32_t)-1 ||
	    a->gid == (uint32_t)-1)
		return err_set(e, ST_NOPERM,
			       "mail is not delivered with the rights of root: "
			       "give root an alias (alias_maps)");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_sys(e, "socketpair");
	pid = fork();
	if (pid == 0)
		child_run(a->uid, a->gid, pair[1]);
	close(pair[1]);
	if (pid > 0)
		return pair[0];
	close(pair[0]);
	return err_sys(e, "fork");
}

/* What a worker of the server says is a stranger's: two numbers or nothing
 * (THREATS 116). */
static int
on_offer(void *ctx, struct server *s, struct span request, struct buf *reply,
	 int *fd_r, struct err *e)
{
	struct become_ask a;

	(void)ctx;
	(void)s;
	(void)reply;
	if (request.n != sizeof(a))
		return err_set(e, ST_PROTOCOL, "malformed request");
	memcpy(&a, request.p, sizeof(a));
	*fd_r = fork_user(&a, e);
	return *fd_r < 0 ? -1 : 0;
}

void
become_offer(struct server *s)
{
	offer = geteuid() == 0 ? server_offer(s, on_offer, NULL) : -1;
}

void
become_in_worker(struct server *s)
{
	server = s;
}

bool
become_possible(void)
{
	return helper >= 0 || (server != NULL && offer >= 0);
}

/* The parent answers "+" with a descriptor, or a sentence. */
static int
ask_helper(const struct become_ask *a, struct err *e)
{
	char answer[sizeof(struct err)];
	int fd = -1;
	ssize_t n;

	if (io_send_fd(helper, a, sizeof(*a), -1) != 0)
		return err_sys(e, "asking the root parent");
	n = io_recv_fd(helper, answer, sizeof(answer) - 1, &fd);
	if (n > 0 && fd >= 0)
		return fd;
	answer[n > 0 ? n : 0] = '\0';
	return err_set(e, ST_TEMPFAIL, "%s",
		       n > 1 ? answer : "the root parent does not answer");
}

int
become_connect(uid_t uid, gid_t gid, struct err *e)
{
	struct become_ask a = { uid, gid };
	struct buf reply = BUF_INIT;
	int fd = -1;

	if (helper >= 0)
		return ask_helper(&a, e);
	if (server_ask(server, offer, span_make((const char *)&a, sizeof(a)),
		       &reply, &fd, e) != 0)
		fd = -1;
	else if (fd < 0)
		err_set(e, ST_TEMPFAIL, "the monitor passed no descriptor");
	buf_free(&reply);
	return fd;
}

/* The root parent of a program that is no server: until its child ends. */
static MX_NORETURN void
parent_run(int sock)
{
	struct become_ask a;
	int keep[] = { sock, -1 };

	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN);
	log_to_fd(2);
	sandbox_close_others(3, keep);
	for (;;) {
		struct err e = ERR_INIT;
		int stray = -1;
		ssize_t n = io_recv_fd(sock, &a, sizeof(a), &stray);

		if (stray >= 0)
			close(stray);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		int fd = n == sizeof(a) ? fork_user(&a, &e) : -1;
		if (io_send_fd(sock, fd >= 0 ? "+" : e.text,
			       fd >= 0 ? 1 : strlen(e.text) + 1, fd) != 0)
			_exit(0);
		if (fd >= 0)
			close(fd);
	}
}

int
deliver_drop(struct err *e)
{
	int pair[2];
	pid_t pid;

	/* tables that only root may read are opened while we are root */
	route_open();
	if (geteuid() != 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_sys(e, "socketpair");
	pid = fork();
	if (pid < 0)
		return err_sys(e, "fork");
	if (pid == 0)
		parent_run(pair[1]);
	close(pair[1]);
	helper = pair[0];
	return sandbox_user(site.mail_owner, e);
}
