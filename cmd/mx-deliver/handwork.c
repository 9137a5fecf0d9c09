/*
 * handwork.c - deliveries with the rights of the mailbox's owner.
 * Maildir++ (folders), DESIGN laws 1 and 3, THREATS 23, 94, 95, 96.
 */
#include "handwork_int.h"
#include "conf.h"
#include "io.h"
#include "log.h"
#include "mbox.h"
#include "mem.h"
#include "proc.h"
#include "random.h"
#include "stage.h"
#include "status.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A kept Maildir is opened again after so long: it may have been replaced. */
#define KEEP_MS 5000
#define SWEEP_AGE (36 * 3600)
#define SWEEP_CHANCE 32
#define OUT_MAX 60000
#define ERR_MAX 4096
#define MBOX_LOCK_MS 60000

void
handwork_init(struct handwork *w)
{
	*w = (struct handwork){ .at = NULL };
}

/* The descriptor alone is given up: files in it are what they are. */
static void
forget_dir(struct kept_dir *k)
{
	if (k->path == NULL)
		return;
	close(k->dirfd);
	free(k->path);
	k->path = NULL;
}

void
handwork_done(struct handwork *w)
{
	handwork_abort(w);
	for (size_t i = 0; i < HANDWORK_KEPT; i++)
		forget_dir(&w->dir[i]);
	free(w->user);
	free(w->home);
	w->user = w->home = NULL;
}

/* What a crash left in tmp/ goes after 36 hours; looked at now and then,
 * when a Maildir is opened afresh. */
static void
sweep(int dirfd)
{
	int fd = openat(dirfd, "tmp",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	time_t now = clock_now();
	struct dirent *de;
	struct stat st;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((de = readdir(dir)) != NULL)
		if (de->d_name[0] != '.' &&
		    fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtime + SWEEP_AGE < now)
			(void)unlinkat(fd, de->d_name, 0);
	closedir(dir);
}

/* False: renamed away or replaced since it was opened.  What is put there now
 * would be in a mailbox that nobody reads. */
static bool
is_same(const struct kept_dir *k)
{
	struct stat kept, now;

	return fstat(k->dirfd, &kept) == 0 && stat(k->path, &now) == 0 &&
	       kept.st_ino == now.st_ino && kept.st_dev == now.st_dev;
}

/* The Maildir's descriptor, kept from an earlier message or opened. */
static int
keep_dir(struct handwork *w, const char *maildir, struct err *e)
{
	int64_t now = clock_mono();
	struct kept_dir *k = &w->dir[0];

	for (size_t i = 0; i < HANDWORK_KEPT; i++) {
		struct kept_dir *c = &w->dir[i];
		if (c->pinned)
			continue;
		if (c->path != NULL &&
		    (now - c->opened >= KEEP_MS ||
		     (strcmp(c->path, maildir) == 0 && !is_same(c))))
			forget_dir(c);
		if (c->path != NULL && strcmp(c->path, maildir) == 0) {
			w->at = c;
			return 0;
		}
		/* a free one, else the oldest, makes room */
		if (k->pinned || (k->path != NULL &&
				  (c->path == NULL || c->opened < k->opened)))
			k = c;
	}
	forget_dir(k);
	w->at = NULL;
	k->dirfd = deposit_maildir_open(maildir, e);
	if (k->dirfd < 0)
		return -1;
	k->path = mem_strdup(maildir);
	k->opened = now;
	k->sync = deposit_sync_of(k->dirfd, DEPOSIT_AUTO);
	if (random_below(SWEEP_CHANCE) == 0)
		sweep(k->dirfd);
	w->at = k;
	return 0;
}

int
handwork_start(struct handwork *w, struct deposit *d, const char *maildir,
	       enum deposit_sync sync, struct err *e)
{
	if (keep_dir(w, maildir, e) != 0)
		return -1;
	if (sync == DEPOSIT_AUTO)
		sync = w->at->sync;
	if (deposit_open(d, w->at->dirfd, sync, e) == 0)
		return 0;
	/* the kept folder may be gone: once more from the path */
	forget_dir(w->at);
	if (keep_dir(w, maildir, e) != 0 ||
	    deposit_open(d, w->at->dirfd, sync, e) != 0)
		return -1;
	return 0;
}

int
handwork_open(struct handwork *w, const char *maildir, enum deposit_sync sync,
	      const char *sieve, bool *script_r, struct err *e)
{
	handwork_abort(w);
	if (handwork_start(w, &w->d, maildir, sync, e) != 0)
		return -1;
	w->active = true;
	*script_r = sieve != NULL && access(sieve, F_OK) == 0;
	return 0;
}

/* Asked right before the commit: a mailbox that was moved away meanwhile would
 * take the mail with it. */
static int
check_same(const struct kept_dir *k, struct err *e)
{
	if (is_same(k))
		return 0;
	return err_esc(e, ST_TEMPFAIL, "4.2.0",
		       "%s: another folder stands there now: try again",
		       k->path);
}

int
handwork_may(const struct kept_dir *k, const struct quota *q, uint64_t size,
	     size_t copies, struct err *e)
{
	int r = check_same(k, e);

	if (r == 0)
		r = quota_file(q, size, k->path, e);
	if (r == 0)
		r = quota_check(k->dirfd, q, size, copies, e);
	return r;
}

void
handwork_came(const struct kept_dir *k, const struct quota *q, uint64_t size,
	      size_t copies, const char *user, const char *home)
{
	struct quota_step step;

	if (quota_added(k->dirfd, q, size, copies, &step) == 0 && user != NULL)
		quota_warn(k->dirfd, &step, user, home);
}

static int
commit_places(struct handwork *w, const struct places *p, struct err *e)
{
	struct deposit_place *at = mem_alloc(p->n + 1, sizeof(*at));
	char **letters = mem_alloc(p->n + 1, sizeof(*letters));
	int r = 0;
	size_t n = 0;

	for (; r == 0 && n < p->n; n++) {
		at[n].dirfd =
		    place_open(&p->v[n], w->at->dirfd, w->at->path, e);
		if (at[n].dirfd < 0)
			r = -1;
		else
			at[n].flags = letters[n] =
			    place_letters(&p->v[n], at[n].dirfd);
	}
	if (r == 0)
		r = deposit_commit_many(&w->d, at, n, e);
	for (size_t i = 0; i < n; i++) {
		if (at[i].dirfd >= 0)
			close(at[i].dirfd);
		if (r == 0 && p->v[i].subscribe && p->v[i].folder[0] != '\0')
			place_subscribe(w->at->dirfd, p->v[i].folder);
		free(letters[i]);
	}
	free(letters);
	free(at);
	return r;
}

void
handwork_quota(struct handwork *w, const struct quota *q, const char *user,
	       const char *home)
{
	w->quota = *q;
	free(w->user);
	w->user = user != NULL ? mem_strdup(user) : NULL;
	free(w->home);
	w->home = home != NULL ? mem_strdup(home) : NULL;
}

int
handwork_room(const char *maildir, const struct quota *q, uint64_t size,
	      enum quota_room *r, struct err *e)
{
	int fd = open(maildir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), bad;

	*r = quota_large(q, size) ? QUOTA_LARGE : QUOTA_FITS;
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", maildir);
	bad = quota_room(fd, q, size, 1, r, e);
	close(fd);
	return bad;
}

int
handwork_commit(struct handwork *w, uint64_t size, uint64_t vsize,
		const struct places *p, struct err *e)
{
	int r;

	if (!w->active)
		return err_set(e, ST_SOFTWARE, "no message is open");
	w->d.size = size;
	w->d.vsize = vsize;
	w->active = false;
	/* Everything that may refuse comes before the rename: after it there
	 * is only the one fsync. */
	r = handwork_may(w->at, &w->quota, size, p->n, e);
	if (r == 0 && p->n == 1 && p->v[0].folder[0] == '\0') {
		char *letters = place_letters(&p->v[0], w->at->dirfd);

		r = deposit_commit(&w->d, letters, e);
		free(letters);
	} else if (r == 0) {
		r = commit_places(w, p, e);
	}
	deposit_abort(&w->d);
	if (r == 0)
		handwork_came(w->at, &w->quota, size, p->n, w->user, w->home);
	return r;
}

/* Nothing was promised: the file in tmp/ goes. */
void
handwork_abort(struct handwork *w)
{
	if (w->active)
		deposit_abort(&w->d);
	w->active = false;
}

/* The path is for the log: the client need not know it. */
static int
forward_refused(const char *path, const char *why, struct err *e)
{
	log_warn("%s: %s: mail for its owner waits", path, why);
	return err_esc(e, ST_TEMPFAIL, "4.3.5",
		       "the user's .forward cannot be used: %s", why);
}

/* Postfix local(8), FORWARD FILES: a regular file, the user's or root's, that
 * nobody else may write.  Postfix goes on without another one, so that the
 * mail stays here which the user wants elsewhere; THREATS 94: it waits until
 * the file is mended.  O_NOFOLLOW: the last name is no symbolic link. */
int
handwork_forward(const char *path, bool own, struct buf *b, struct err *e)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
				(own ? O_NOFOLLOW : 0));
	const char *why = NULL;
	struct stat st;
	int r = 0;

	if (fd < 0 && errno == ELOOP && own)
		return forward_refused(path, "a symbolic link", e);
	if (fd < 0) {
		/* a home that is away is no reason to ignore it */
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES
			   ? 0
			   : err_sys(e, "%s", path);
	}
	if (fstat(fd, &st) != 0) {
		r = err_sys(e, "%s", path);
	} else if (!S_ISREG(st.st_mode)) {
		why = "no regular file";
	} else if (own && st.st_uid != geteuid() && st.st_uid != 0) {
		why = "it belongs to somebody else";
	} else if (own && st.st_mode & (S_IWOTH | S_IWGRP)) {
		why = "its group or others may write it";
	} else {
		switch (io_read_all(fd, b, FORWARD_MAX, DEADLINE_NEVER)) {
		case IO_OK:
			r = 1;
			break;
		case IO_TOOLONG:
			why = "it is too large";
			break;
		default:
			r = err_sys(e, "%s", path);
		}
	}
	close(fd);
	if (why != NULL)
		r = forward_refused(path, why, e);
	return r;
}

int
handwork_mbox(const char *path, const char *sender, struct span head, int fd,
	      uint64_t at, uint64_t size, uint64_t limit, struct err *e)
{
	const struct quota q = { .file = limit };
	struct stat st;
	struct mbox *m =
	    mbox_open(path, sender, clock_deadline(MBOX_LOCK_MS), e);
	char b[65536];
	int r;

	if (m == NULL)
		return -1;
	/* it is locked: this is its size */
	r = stat(path, &st) != 0
		? 0
		: quota_file(&q, (uint64_t)st.st_size + head.n + size, path, e);
	if (r == 0)
		r = mbox_write(m, head.p, head.n, e);
	while (r == 0 && size > 0) {
		size_t want = size < sizeof(b) ? (size_t)size : sizeof(b);
		ssize_t got = pread(fd, b, want, (off_t)at);
		if (got <= 0)
			r = got == 0 ? err_set(e, ST_TEMPFAIL,
					       "the message ends early")
				     : err_sys(e, "reading the message");
		else
			r = mbox_write(m, b, (size_t)got, e);
		at += got > 0 ? (uint64_t)got : 0;
		size -= got > 0 ? (uint64_t)got : 0;
	}
	if (r == 0)
		r = mbox_commit(&m, e);
	mbox_abort(&m);
	return r;
}

/* Reads both pipes until they end; what is too much is read and dropped. */
static bool
gather(int out, int errs, struct command_result *r, deadline_t d)
{
	struct pollfd p[2] = { { out, POLLIN, 0 }, { errs, POLLIN, 0 } };
	char b[4096];

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		int n = poll(p, 2, clock_left(d));
		if (n == 0)
			return false;
		for (int i = 0; n > 0 && i < 2; i++) {
			if (p[i].revents == 0)
				continue;
			ssize_t got = read(p[i].fd, b, sizeof(b));
			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0) {
				p[i].fd = -1;
				continue;
			}
			struct buf *to = i == 0 ? &r->out : &r->errs;
			if (i == 0 && to->n >= OUT_MAX)
				continue;
			buf_add(to, b, (size_t)got);
			if (i == 1 && to->n > ERR_MAX)
				buf_shift(to, to->n - ERR_MAX);
		}
	}
	return true;
}

/* Our own filters are asked, not started, once a message. */
static int
run_kept(const struct command *c, int fd, struct command_result *r,
	 deadline_t d, struct err *e)
{
	struct serve_answer a;
	int bad =
	    stage_ask(&c->argv, &c->env, fd, -1, &r->out, OUT_MAX, &a, d, e);

	if (bad == 0) {
		r->status = a.status;
		buf_addspan(&r->errs, buf_span(&a.errs));
	}
	serve_answer_free(&a);
	return bad;
}

int
handwork_run(const struct command *c, int fd, struct command_result *r,
	     struct err *e)
{
	int out[2], errs[2];
	deadline_t d = clock_deadline(c->limit_ms);
	pid_t pid = -1;

	*r = (struct command_result){ .out = BUF_INIT, .errs = BUF_INIT };
	if (stage_kept(&c->argv))
		return run_kept(c, fd, r, d, e);
	if (pipe2(out, O_CLOEXEC) != 0)
		return err_sys(e, "pipe");
	if (pipe2(errs, O_CLOEXEC) != 0) {
		close(out[0]);
		close(out[1]);
		return err_sys(e, "pipe");
	}
	struct proc_spec ps = { .argv = c->argv.v,
				.envp = c->env.v,
				.fd = { fd, out[1], errs[1], -1 },
				.dir = c->dir != NULL ? c->dir : "/",
				.new_group = true };
	pid = proc_spawn(&ps, e);
	close(out[1]);
	close(errs[1]);
	/* A command that closes its output and goes on is waited for; at the
	 * deadline its whole group is killed (THREATS 96). */
	if (pid > 0) {
		(void)gather(out[0], errs[0], r, d);
		r->status = proc_wait(pid, d, NULL);
	}
	close(out[0]);
	close(errs[0]);
	return pid > 0 ? 0 : -1;
}

/* Foreign stages s[from..to) over real pipes; the index of a bad one or -1. */
static int
pipe_foreign(const struct pipeline *p, size_t from, size_t to, int in, int out,
	     deadline_t d, struct pipeline_result *r)
{
	struct proc_stage *s = mem_alloc(to - from, sizeof(*s));
	int bad;

	for (size_t i = from; i < to; i++)
		s[i - from].argv = p->argv[i];
	bad = proc_pipe(s, to - from, in, out, p->env.v, d);
	if (bad >= 0) {
		r->status = s[bad].status;
		buf_addspan(&r->errs, buf_span(&s[bad].errs));
	}
	for (size_t i = 0; i < to - from; i++) {
		/* a request of the hop is bounded */
		if (r->actions.n + s[i].actions.n < OUT_MAX)
			buf_addspan(&r->actions, buf_span(&s[i].actions));
		s[i].argv = STRS_INIT;
		proc_stage_free(&s[i]);
	}
	free(s);
	return bad < 0 ? -1 : bad + (int)from;
}

/* One of our own, kept. */
static int
pipe_kept(const struct pipeline *p, size_t i, int in, int out, deadline_t d,
	  struct pipeline_result *r)
{
	struct serve_answer a;
	struct err e = ERR_INIT;
	bool lost =
	    stage_ask(&p->argv[i], &p->env, in, out, NULL, 0, &a, d, &e) != 0;

	r->status = lost ? ST_TEMPFAIL : a.status;
	if (lost)
		buf_adds(&r->errs, e.text);
	else if (a.status != ST_OK)
		buf_addspan(&r->errs, buf_span(&a.errs));
	if (!lost && r->actions.n + a.actions.n < OUT_MAX)
		buf_addspan(&r->actions, buf_span(&a.actions));
	serve_answer_free(&a);
	return r->status == ST_OK ? -1 : (int)i;
}

int
handwork_pipe(const struct pipeline *p, int fd, struct pipeline_result *r,
	      struct err *e)
{
	deadline_t d = clock_deadline(p->limit_ms);
	int in = fd;

	*r = (struct pipeline_result){ .bad = -1, .fd_out = -1 };
	for (size_t i = 0, to; i < p->n && r->bad < 0; i = to) {
		int out = memfd_create("filtered", MFD_CLOEXEC);

		if (out < 0)
			return err_sys(e, "memory for the filtered message");
		to = i + 1;
		if (stage_kept(&p->argv[i])) {
			r->bad = pipe_kept(p, i, in, out, d, r);
		} else {
			while (to < p->n && !stage_kept(&p->argv[to]))
				to++;
			r->bad = pipe_foreign(p, i, to, in, out, d, r);
		}
		if (r->fd_out >= 0)
			close(r->fd_out);
		r->fd_out = in = out;
		if (lseek(out, 0, SEEK_SET) != 0)
			return err_sys(e, "rewinding the filtered message");
	}
	return 0;
}
