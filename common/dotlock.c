/*
 * dotlock.c - NAME.lock as Dovecot makes it; see dotlock.h.
 * Layer: sys.  Dovecot file-dotlock: O_EXCL, "PID:HOST" inside.
 */
#include "dotlock.h"
#include "io.h"
#include "log.h"
#include "num.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Dovecot's limit: a lock that was not touched for so long is nobody's. */
#define STALE_S 120
#define NAMELESS_S 3
/* Lists of keywords and subscriptions are some KB. */
#define READ_MAX (4 << 20)

/* "PID:HOST", what Dovecot writes into its locks too. */
static void
own_word(char *out, size_t size)
{
	char host[65] = "";

	if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
		snprintf(host, sizeof(host), "localhost");
	snprintf(out, size, "%ld:%s", (long)getpid(), host);
}

/* The locks of this process: one with our name that is not among them is one
 * that we could not take away. */
static struct {
	dev_t dev;
	ino_t ino;
} held[8];

/* Is that file one of our locks?  forget: it is none from now on. */
static bool
held_find(const struct stat *st, bool forget)
{
	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		if (held[i].ino != st->st_ino || held[i].dev != st->st_dev)
			continue;
		if (forget)
			held[i].ino = 0;
		return true;
	}
	return false;
}

static bool
held_add(const struct stat *st)
{
	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		if (held[i].ino == 0) {
			held[i].dev = st->st_dev;
			held[i].ino = st->st_ino;
			return true;
		}
	}
	return false;
}

/* Is the owner that the lock names no more: a dead process of this host? */
static bool
owner_gone(struct span s, const struct stat *st)
{
	char own[96];
	const char *host;
	ssize_t colon = span_chr(s, ':');
	int pid;

	own_word(own, sizeof(own));
	if (span_is(s, own))
		return !held_find(st, false);
	host = strchr(own, ':') + 1;
	if (colon < 0 || !span_is(span_from(s, (size_t)colon + 1), host) ||
	    !num_int(span_sub(s, 0, (size_t)colon), 2, INT32_MAX, &pid))
		return false;
	return kill(pid, 0) != 0 && errno == ESRCH;
}

static bool
is_stale(int fd, const struct stat *st)
{
	char text[128];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	time_t now = time(NULL);

	if (n > 0 && owner_gone(span_trim(span_make(text, (size_t)n)), st))
		return true;
	/* without a name: its maker died between making it and writing */
	if (n == 0 && st->st_mtime < now - NAMELESS_S)
		return true;
	return st->st_mtime < now - STALE_S && st->st_ctime < now - STALE_S;
}

/* Takes away a lock that nobody holds.  Between look and unlink another
 * process may do the same and lock anew: compared by inode, the window is the
 * one Dovecot has too. */
static void
break_stale(int dirfd, const char *name)
{
	struct stat st, now;
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && is_stale(fd, &st) &&
	    fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	    now.st_ino == st.st_ino && now.st_dev == st.st_dev) {
		log_warn("%s: a stale lock is taken away", name);
		(void)unlinkat(dirfd, name, 0);
	}
	close(fd);
}

int
dotlock_take(struct dotlock *l, int dirfd, const char *file, deadline_t d,
	     struct err *e)
{
	char own[96];
	struct stat st;

	l->dirfd = dirfd;
	snprintf(l->name, sizeof(l->name), "%s.lock", file);
	for (;;) {
		l->fd = openat(
		    dirfd, l->name,
		    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (l->fd >= 0)
			break;
		if (errno != EEXIST) {
			int r = err_sys(e, "%s: locking", l->name);

			l->name[0] = '\0';
			return r;
		}
		break_stale(dirfd, l->name);
		if (clock_left(d) == 0) {
			err_set(e, ST_TEMPFAIL,
				"%s: another program holds this lock", l->name);
			l->name[0] = '\0';
			return -1;
		}
		(void)poll(NULL, 0, 10);
	}
	own_word(own, sizeof(own));
	/* A lock without its name is stale to others after NAMELESS_S. */
	if (write(l->fd, own, strlen(own)) != (ssize_t)strlen(own) ||
	    fstat(l->fd, &st) != 0 || !held_add(&st)) {
		int r = err_sys(e, "%s: locking", l->name);

		dotlock_drop(l);
		return r;
	}
	return 0;
}

/* Is the name still that of our file?  Whoever was stopped for longer than
 * STALE_S (a suspended host, a hung disk) may have lost it to another. */
bool
dotlock_held(const struct dotlock *l)
{
	struct stat st, now;

	return l->name[0] != '\0' && fstat(l->fd, &st) == 0 &&
	       fstatat(l->dirfd, l->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == now.st_ino && st.st_dev == now.st_dev;
}

void
dotlock_drop(struct dotlock *l)
{
	struct stat st;

	if (l->name[0] == '\0')
		return;
	if (fstat(l->fd, &st) == 0)
		(void)held_find(&st, true);
	/* Not another's, who took ours for stale. */
	if (dotlock_held(l))
		(void)unlinkat(l->dirfd, l->name, 0);
	close(l->fd);
	l->fd = -1;
	l->name[0] = '\0';
}

int
dotlock_replace(struct dotlock *l, const char *file, struct span content,
		struct err *e)
{
	struct stat st;
	bool written =
	    ftruncate(l->fd, 0) == 0 && lseek(l->fd, 0, SEEK_SET) == 0 &&
	    io_write(l->fd, content.p, content.n, DEADLINE_NEVER) == IO_OK &&
	    fsync(l->fd) == 0;

	/* else the rename would put the new owner's lock over the file */
	if (written && !dotlock_held(l)) {
		dotlock_drop(l);
		return err_set(e, ST_TEMPFAIL,
			       "%s: another program took this lock meanwhile",
			       file);
	}
	if (!written || renameat(l->dirfd, l->name, l->dirfd, file) != 0 ||
	    fsync(l->dirfd) != 0) {
		int r = err_sys(e, "%s: writing", file);

		dotlock_drop(l);
		return r;
	}
	if (fstat(l->fd, &st) == 0)
		(void)held_find(&st, true);
	close(l->fd);
	l->fd = -1;
	l->name[0] = '\0';
	return 0;
}

int
dotlock_read(int dirfd, const char *name, struct buf *b, struct err *e)
{
	int fd =
	    openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r = 0;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(e, "%s: opening", name);
	enum io_result got = io_read_all(fd, b, READ_MAX, DEADLINE_NEVER);
	if (got == IO_TOOLONG)
		r = err_set(e, ST_TEMPFAIL, "%s: larger than %d bytes", name,
			    READ_MAX);
	else if (got != IO_OK)
		r = err_sys(e, "%s: reading", name);
	close(fd);
	return r;
}
