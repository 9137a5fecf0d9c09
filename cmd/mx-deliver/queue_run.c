/*
 * queue_run.c - mx-deliver --queue-run [--watch]: looks for entries that are
 * due and gives each to a child.  One runner a spool.  The runner itself never
 * opens an entry; as root it keeps its rights only to start children, which
 * become mail_owner (and whoever owns a mailbox).
 */
#include "queue.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "opt.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DUE_MAX 20000 /* names kept of one look; the rest is found later */

struct child {
	pid_t pid;
	char id[64];
};

struct runner {
	int dirfd;
	int events; /* inotify, or -1 */
	struct strs due;
	size_t at; /* the next of due */
	struct child *child;
	size_t nchild, max;
	time_t next; /* earliest attempt that lies ahead */
	bool cut;    /* DUE_MAX was reached */
	bool failed;
};

static volatile sig_atomic_t runner_stop, runner_woken;

static void
on_signal(int sig)
{
	if (sig == SIGTERM || sig == SIGINT)
		runner_stop = 1;
	else
		runner_woken = 1;
}

static bool
being_worked_on(const struct runner *r, const char *id)
{
	for (size_t i = 0; i < r->nchild; i++) {
		if (strcmp(r->child[i].id, id) == 0)
			return true;
	}
	return false;
}

static bool
found(void *ctx, const struct queuefile_found *f)
{
	struct runner *r = ctx;
	time_t now = clock_now();

	if (f->next > now) {
		if (r->next == 0 || f->next < r->next)
			r->next = f->next;
		return true;
	}
	if (being_worked_on(r, f->id))
		return true;
	strs_add(&r->due, f->id);
	if (r->due.n < DUE_MAX)
		return true;
	r->cut = true;
	return false;
}

static void
look(struct runner *r)
{
	struct err e = ERR_INIT;

	strs_clear(&r->due);
	r->at = 0;
	r->next = 0;
	r->cut = false;
	if (queuefile_scan(r->dirfd, found, r, &e) != 0) {
		log_error("%s: %s", site.queue_directory, e.text);
		r->failed = true;
	}
}

static void
start(struct runner *r, const char *id)
{
	struct err e = ERR_INIT;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGTERM, SIG_DFL);
		(void)signal(SIGINT, SIG_DFL);
		(void)signal(SIGPIPE, SIG_IGN);
		if (deliver_drop(&e) != 0) {
			log_error("%s", e.text);
			_exit(ST_TEMPFAIL);
		}
		_exit(queue_entry(id) == 0 ? 0 : ST_TEMPFAIL);
	}
	if (pid < 0) {
		log_error("fork: %s: the queue waits", strerror(errno));
		r->failed = true;
		return;
	}
	r->child[r->nchild].pid = pid;
	snprintf(r->child[r->nchild].id, sizeof(r->child[0].id), "%s", id);
	r->nchild++;
}

static void
reap(struct runner *r, bool block)
{
	int w;
	pid_t pid;

	while ((pid = waitpid(-1, &w, block ? 0 : WNOHANG)) > 0) {
		for (size_t i = 0; i < r->nchild; i++) {
			if (r->child[i].pid != pid)
				continue;
			if (WIFSIGNALED(w))
				log_warn("%s: its process was killed by "
					 "signal %d: it will be tried again",
					 r->child[i].id, WTERMSIG(w));
			if (status_from_wait(w) != 0)
				r->failed = true;
			r->child[i] = r->child[--r->nchild];
			break;
		}
		block = false;
	}
}

/* Works through what is due, at most r->max at a time. */
static void
work(struct runner *r)
{
	while (r->at < r->due.n && !runner_stop) {
		if (r->nchild == r->max) {
			reap(r, true);
			continue;
		}
		start(r, r->due.v[r->at++]);
		reap(r, false);
	}
}

/* Only one runner; the lock goes with the process. */
static int
take_lock(int dirfd, struct err *e)
{
	int fd = openat(dirfd, "runner.lock",
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(e, "%s/runner.lock", site.queue_directory);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		return err_set(e, ST_TEMPFAIL, "%s: another runner is at work",
			       site.queue_directory);
	}
	return fd;
}

/* As root the queue's folders are made as mail_owner's. */
static int
open_queue(struct err *e)
{
	struct passwd *pw = NULL;
	int fd;

	if (geteuid() == 0) {
		pw = getpwnam(site.mail_owner);
		if (pw == NULL)
			return err_set(e, ST_CONFIG,
				       "mail_owner = %s: no such user",
				       site.mail_owner);
		if (mkdir(site.queue_directory, 0700) == 0 &&
		    chown(site.queue_directory, pw->pw_uid, pw->pw_gid) != 0)
			return err_sys(e, "%s", site.queue_directory);
		if (setegid(pw->pw_gid) != 0 || seteuid(pw->pw_uid) != 0)
			return err_sys(e, "cannot become %s", site.mail_owner);
	}
	fd = queuefile_dir(site.queue_directory, e);
	if (fd >= 0 && take_lock(fd, e) < 0) {
		close(fd);
		fd = -1;
	}
	if (pw != NULL && (seteuid(0) != 0 || setegid(0) != 0))
		return err_sys(e, "cannot become root again");
	return fd;
}

/* New entries are renamed into queue/XX: 256 watches. */
static int
watch_queue(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[4200];

	for (int i = 0; fd >= 0 && i < 256; i++) {
		int naps = 0;

		snprintf(path, sizeof(path), "%s/queue/%02X",
			 site.queue_directory, i);
		/* Another process may be making the folders just now. */
		while (inotify_add_watch(
			   fd, path, IN_MOVED_TO | IN_ATTRIB | IN_CREATE) < 0) {
			if (errno == ENOENT && naps++ < 500) {
				usleep(10000);
				continue;
			}
			log_warn("%s: %s: new mail is found every "
				 "queue_run_delay only",
				 path, strerror(errno));
			close(fd);
			return -1;
		}
	}
	return fd;
}

/* Does a name in these events want a look?  IN_ATTRIB comes from our own
 * marks too; what is being worked on is passed over by look(). */
static void
drain(struct runner *r)
{
	char b[8192] __attribute__((aligned(8)));

	while (read(r->events, b, sizeof(b)) > 0)
		;
}

static void
sleep_until(struct runner *r)
{
	int64_t ms = queue_conf.run_delay;
	struct pollfd p = { r->events, POLLIN, 0 };
	struct timespec ts;
	sigset_t block, old;

	if (r->next > 0) {
		int64_t to = (int64_t)(r->next - clock_now()) * 1000 + 20;

		ms = to < ms ? to : ms;
	}
	if (r->cut || ms < 0)
		ms = 0;
	ts.tv_sec = ms / 1000;
	ts.tv_nsec = (ms % 1000) * 1000000L;
	sigfillset(&block);
	sigprocmask(SIG_BLOCK, &block, &old);
	if (!runner_stop && !runner_woken)
		(void)ppoll(&p, r->events >= 0 ? 1 : 0, &ts, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	runner_woken = 0;
	if (r->events >= 0)
		drain(r);
}

int
queue_run(bool watch)
{
	struct runner r = { .events = -1 };
	struct err e = ERR_INIT;
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	struct sigaction sa = { .sa_handler = on_signal };

	log_role("qmgr");
	for (size_t i = 0; i < ARRAY_LEN(sigs); i++)
		(void)sigaction(sigs[i], &sa, NULL);
	r.max = (size_t)queue_conf.process_limit;
	r.child = mem_alloc(r.max, sizeof(*r.child));
	r.dirfd = open_queue(&e);
	if (r.dirfd < 0)
		return prog_fail(&e);
	if (watch)
		r.events = watch_queue();
	queuefile_sweep(r.dirfd, 36 * 3600);
	do {
		look(&r);
		work(&r);
		if (!watch && !r.cut)
			break;
		if (watch && !runner_stop)
			sleep_until(&r);
		reap(&r, false);
	} while (!runner_stop);
	while (r.nchild > 0) {
		size_t before = r.nchild;

		reap(&r, true);
		if (r.nchild == before && errno == ECHILD)
			break;
	}
	strs_free(&r.due);
	free(r.child);
	return r.failed && !watch ? ST_TEMPFAIL : ST_OK;
}
