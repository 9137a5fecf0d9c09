/*
 * mbox.c - appends a message to an mbox safely.
 * Layer: sys.  RFC 4155, mboxrd quoting; lock order as Postfix: fcntl, then
 * dot lock.  On any error the file is cut back to the length it had.
 */
#include "mbox.h"
#include "buf.h"
#include "escape.h"
#include "mem.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GATHER 65536
#define STALE_LOCK 500 /* seconds, Postfix stale_lock_time */

struct mbox {
	int fd;
	char *path, *lock; /* lock: the dot lock's name while we hold it */
	off_t start;       /* length before us */
	bool device, made;
	struct buf out;
	size_t match; /* bytes of "From " seen at the beginning of a line */
	bool bol, cr, any;
	char last;
};

static const char from_word[] = "From ";

/* One try.  0 held, 1 busy, -1 failed with errno. */
static int
try_dotlock(const char *lock)
{
	int fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct stat st;

	if (fd >= 0) {
		char pid[32];
		int n = snprintf(pid, sizeof(pid), "%ld", (long)getpid());
		ssize_t w = write(fd, pid, (size_t)n);
		if (close(fd) != 0 || w != n) {
			(void)unlink(lock);
			return -1;
		}
		return 0;
	}
	if (errno != EEXIST)
		return -1;
	if (stat(lock, &st) == 0 && st.st_mtime + STALE_LOCK < time(NULL))
		(void)unlink(lock);
	return 1;
}

/* Left out where the directory forbids it (a user and /var/mail). */
static int
take_dotlock(struct mbox *m, deadline_t d, struct err *e)
{
	char *lock = mem_printf("%s.lock", m->path);

	for (;;) {
		int r = try_dotlock(lock);
		if (r == 0) {
			m->lock = lock;
			return 0;
		}
		if (r < 0 && (errno == EACCES || errno == EPERM)) {
			free(lock);
			return 0;
		}
		if (r < 0)
			err_sys(e, "%s: making the lock", lock);
		else if (clock_left(d) == 0)
			err_set(e, ST_TEMPFAIL,
				"%s: somebody else holds this lock", lock);
		else {
			poll(NULL, 0, 100);
			continue;
		}
		free(lock);
		return -1;
	}
}

/* Polled, as the dot lock is: a blocking lock would know no deadline. */
static int
take_fcntl(struct mbox *m, deadline_t d, struct err *e)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	/* owned by the open file: another part of this process counts too */
	while (fcntl(m->fd, F_OFD_SETLK, &fl) != 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return err_sys(e, "%s: locking it", m->path);
		if (clock_left(d) == 0)
			return err_set(e, ST_TEMPFAIL,
				       "%s: somebody else has it locked",
				       m->path);
		poll(NULL, 0, 100);
	}
	return 0;
}

/* THREATS 95: no symlink, no second name, nothing but a regular file. */
static int
open_safely(struct mbox *m, struct err *e)
{
	const int flags =
	    O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat st;

	m->fd = open(m->path, flags | O_CREAT | O_EXCL, 0600);
	m->made = m->fd >= 0;
	if (m->fd < 0 && errno == EEXIST)
		m->fd = open(m->path, flags);
	if (m->fd < 0 && errno == ELOOP)
		return err_esc(e, ST_NOPERM, "5.2.0",
			       "%s: is a symbolic link; mail is not written "
			       "through links",
			       m->path);
	if (m->fd < 0)
		return err_sys(e, "%s: opening the mailbox", m->path);
	if (fstat(m->fd, &st) != 0)
		return err_sys(e, "%s", m->path);
	if (S_ISCHR(st.st_mode) && strcmp(m->path, "/dev/null") == 0) {
		m->device = true;
		return 0;
	}
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return err_esc(e, ST_NOPERM, "5.2.0",
			       "%s: is not a regular file with one name",
			       m->path);
	return 0;
}

/* The place where we begin, and the lines the last writer left out. */
static int
find_end(struct mbox *m, struct err *e)
{
	char tail[2] = "\n\n";
	struct stat ours, named;
	off_t end = lseek(m->fd, 0, SEEK_END);

	/* While we waited for the lock it may have been moved away. */
	if (fstat(m->fd, &ours) != 0 || lstat(m->path, &named) != 0 ||
	    ours.st_ino != named.st_ino || ours.st_dev != named.st_dev)
		return err_set(e, ST_TEMPFAIL,
			       "%s: was replaced while we waited for its lock",
			       m->path);

	if (end < 0)
		return err_sys(e, "%s: seeking", m->path);
	m->start = end;
	size_t n = end >= 2 ? 2 : (size_t)end;
	if (n > 0 &&
	    pread(m->fd, tail + 2 - n, n, end - (off_t)n) != (ssize_t)n)
		return err_sys(e, "%s: reading its end", m->path);
	if (n == 1)
		tail[0] = 'x';
	if (end > 0 && tail[1] != '\n')
		buf_adds(&m->out, "\n\n");
	else if (end > 0 && tail[0] != '\n')
		buf_addc(&m->out, '\n');
	return 0;
}

/* "From SENDER  DATE": blanks and controls of the sender would make two words,
 * or two lines, of it. */
static void
add_from_line(struct mbox *m, const char *sender)
{
	time_t now = clock_now();
	struct tm tm;
	char when[64];

	gmtime_r(&now, &tm);
	/* asctime's form, in English whatever the locale: RFC 4155 */
	strftime(when, sizeof(when), "%a %b %e %H:%M:%S %Y", &tm);
	buf_adds(&m->out, "From ");
	if (sender == NULL || sender[0] == '\0')
		buf_adds(&m->out, "MAILER-DAEMON");
	for (const char *p = sender; p != NULL && *p != '\0'; p++)
		buf_addc(&m->out, *p <= ' ' && *p >= 0 ? '-' : *p);
	buf_addf(&m->out, "  %s\n", when);
}

/* Closing gives the fcntl lock back; then the dot lock goes, as it came last.
 */
static void
mbox_free(struct mbox *m)
{
	if (m->fd >= 0)
		(void)close(m->fd);
	if (m->lock != NULL)
		(void)unlink(m->lock);
	free(m->lock);
	free(m->path);
	buf_free(&m->out);
	free(m);
}

struct mbox *
mbox_open(const char *path, const char *sender, deadline_t d, struct err *e)
{
	struct mbox *m = mem_alloc(1, sizeof(*m));

	m->fd = -1;
	m->path = mem_strdup(path);
	m->bol = true;
	m->last = '\n';
	if (open_safely(m, e) != 0 ||
	    (!m->device &&
	     (take_fcntl(m, d, e) != 0 || take_dotlock(m, d, e) != 0 ||
	      find_end(m, e) != 0))) {
		mbox_free(m);
		return NULL;
	}
	add_from_line(m, sender);
	return m;
}

/* The file was opened O_APPEND: what a program without locks adds meanwhile
 * stands beside ours, not inside of it. */
static int
flush_out(struct mbox *m, struct err *e)
{
	size_t at = 0;

	while (at < m->out.n) {
		ssize_t put = write(m->fd, m->out.p + at, m->out.n - at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			if (put == 0)
				errno = EIO;
			return err_sys(e, "%s: writing", m->path);
		}
		at += (size_t)put;
	}
	buf_clear(&m->out);
	return 0;
}

/* `last` is the last byte that will stand in the file. */
static void
put_char(struct mbox *m, char c)
{
	buf_addc(&m->out, c);
	m->last = c;
	m->any = true;
}

/*
 * One byte of LF-ended text.  mboxrd: a line of any number of '>' and "From "
 * gets one '>' more; the '>' are written as they come, since one more before
 * "From " is the same as one in front.
 */
static void
quote_char(struct mbox *m, char c)
{
	if (m->bol) {
		if (m->match == 0 && c == '>') {
			put_char(m, c);
			return;
		}
		if (c == from_word[m->match]) {
			if (++m->match < strlen(from_word))
				return;
			put_char(m, '>');
		}
		for (size_t i = 0; i < m->match; i++)
			put_char(m, from_word[i]);
		m->bol = false;
		if (m->match == strlen(from_word)) {
			m->match = 0;
			return;
		}
		m->match = 0;
	}
	put_char(m, c);
	m->bol = c == '\n';
}

int
mbox_write(struct mbox *m, const void *p, size_t n, struct err *e)
{
	const char *s = p;

	for (size_t i = 0; i < n; i++) {
		if (m->cr && s[i] != '\n')
			quote_char(m, '\r');
		m->cr = s[i] == '\r';
		if (!m->cr)
			quote_char(m, s[i]);
		if (m->out.n >= GATHER && flush_out(m, e) != 0)
			return -1;
	}
	return 0;
}

/* Half a message would be joined to the next one (THREATS 107).  Where even
 * this fails, find_end of the next delivery puts a line end between. */
static void
cut_back(struct mbox *m)
{
	if (m->device)
		return;
	if (ftruncate(m->fd, m->start) == 0)
		(void)fsync(m->fd);
}

/* A new name needs its directory durable where the file's fsync may not do
 * it; made once in a mailbox's life, so always done. */
static int
sync_parent(const char *path)
{
	char *dir = mem_strdup(path), *slash = strrchr(dir, '/');

	if (slash == dir)
		dir[1] = '\0';
	else if (slash != NULL)
		*slash = '\0';
	int fd =
	    open(slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	/* a directory that we may write but not read cannot be synced */
	if (fd < 0)
		return errno == EACCES ? 0 : -1;
	int r = fsync(fd);
	return close(fd) != 0 ? -1 : r;
}

int
mbox_commit(struct mbox **mp, struct err *e)
{
	struct mbox *m = *mp;
	int r = 0;

	*mp = NULL;
	if (m->cr)
		quote_char(m, '\r');
	for (size_t i = 0; i < m->match; i++)
		put_char(m, from_word[i]);
	if (m->last != '\n')
		put_char(m, '\n');
	put_char(m, '\n');
	r = flush_out(m, e);
	if (r == 0 && !m->device && fsync(m->fd) != 0)
		r = err_sys(e, "%s: syncing", m->path);
	if (r == 0 && m->made && sync_parent(m->path) != 0)
		r = err_sys(e, "%s: syncing its directory", m->path);
	/* close may tell about an error too; then the other descriptor, which
	 * holds the lock as well, is there to cut back with */
	int fd = m->fd, other = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (r == 0 && other < 0)
		r = err_sys(e, "%s", m->path);
	if (r == 0 && close(fd) != 0) {
		r = err_sys(e, "%s: closing", m->path);
		m->fd = other;
		other = -1;
	} else if (r == 0) {
		m->fd = -1;
	}
	if (r != 0)
		cut_back(m);
	if (other >= 0)
		(void)close(other);
	mbox_free(m);
	return r;
}

void
mbox_abort(struct mbox **mp)
{
	if (*mp == NULL)
		return;
	cut_back(*mp);
	mbox_free(*mp);
	*mp = NULL;
}
