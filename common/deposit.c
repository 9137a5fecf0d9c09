/*
 * deposit.c - safe deposit: open in tmp, write, rename, one fsync.
 * Layer: sys.  DESIGN laws 1 and 3: fsync after the rename makes name and
 * bytes durable together on ext4; fsync before it loses names.
 */
#include "deposit.h"
#include "mem.h"
#include "random.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Writes are gathered to this size; beyond it they go straight through. */
#define GATHER 65536
/* ext2, ext3 and ext4 share it; all are served by the kernel's ext4. */
#define EXT4_MAGIC 0xEF53

/* The directory that holds a new name must be durable too, wherever the one
 * fsync of the file is not known to be enough. */
static int
sync_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	int r = fsync(fd);
	int saved = errno;
	if (close(fd) != 0 && r == 0)
		return -1;
	errno = saved;
	return r;
}

enum deposit_sync
deposit_sync_of(int dirfd, enum deposit_sync wish)
{
	struct statfs fs;

	if (wish != DEPOSIT_AUTO)
		return wish;
	if (fstatfs(dirfd, &fs) == 0 && fs.f_type == EXT4_MAGIC)
		return DEPOSIT_FILE;
	return DEPOSIT_BOTH;
}

/* One directory, 0700; its name is durable in the directory above before
 * anything is put into it: what lies in a directory that a power cut takes
 * away is lost, however well it was synced itself. */
static int
make_parent(const char *path)
{
	if (mkdir(path, 0700) != 0)
		return errno == EEXIST ? 0 : -1;
	char *above = mem_printf("%s/..", path);
	int r = sync_dir(AT_FDCWD, above);
	free(above);
	/* one that we may write but not read cannot be synced */
	return r != 0 && errno == EACCES ? 0 : r;
}

/* mkdir -p for the parents of path. */
static int
make_parents(const char *path, struct err *e)
{
	char *part = mem_strdup(path);
	int r = 0;

	for (char *p = part + 1; r == 0 && *p != '\0'; p++) {
		if (*p != '/' || p[1] == '\0')
			continue;
		*p = '\0';
		if (make_parent(part) != 0)
			r = err_sys(e, "%s: making the directory", part);
		*p = '/';
	}
	free(part);
	return r;
}

/* Maildir++: a folder below a Maildir is marked by this file. */
static int
mark_folder(int dirfd)
{
	int fd = openat(dirfd, "maildirfolder",
			O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -1 : close(fd);
}

/* The Maildir itself and what is above it. */
static int
make_folder(const char *path, struct err *e)
{
	if (make_parents(path, e) != 0)
		return -1;
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_sys(e, "%s: making the Maildir", path);
	return 0;
}

static const char *
last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int
deposit_maildir_open(const char *path, struct err *e)
{
	static const char *const subs[] = { "tmp", "new", "cur" };
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char *clean = mem_strdup(path);
	bool made = false;
	int fd, r = 0;

	/* With a slash behind it O_NOFOLLOW would follow. */
	for (size_t n = strlen(clean); n > 1 && clean[n - 1] == '/';)
		clean[--n] = '\0';
	fd = open(clean, flags);
	if (fd < 0 && errno == ENOENT) {
		r = make_folder(clean, e);
		made = true;
		if (r == 0)
			fd = open(clean, flags);
	}
	if (r == 0 && fd < 0)
		r = err_sys(e, "%s: opening the Maildir", clean);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(subs); i++) {
		/* most often it is there: looking takes no lock */
		if (!made && faccessat(fd, subs[i], F_OK, 0) == 0)
			continue;
		if (mkdirat(fd, subs[i], 0700) == 0)
			made = true;
		else if (errno != EEXIST)
			r = err_sys(e, "%s/%s: making the directory", clean,
				    subs[i]);
	}
	if (r == 0 && made && last_part(clean)[0] == '.' &&
	    mark_folder(fd) != 0)
		r = err_sys(e, "%s/maildirfolder", clean);
	if (r == 0 && made && (fsync(fd) != 0 || sync_dir(fd, "..") != 0))
		r = err_sys(e, "%s: syncing the directory", clean);
	free(clean);
	if (r != 0 && fd >= 0)
		close(fd);
	return r == 0 ? fd : -1;
}

/* Our host's name as maildir names hold it: no slash, no colon. */
static const char *
host_word(void)
{
	static char word[65];

	if (word[0] != '\0')
		return word;
	if (gethostname(word, sizeof(word) - 1) != 0 || word[0] == '\0')
		snprintf(word, sizeof(word), "localhost");
	for (char *p = word; *p != '\0'; p++)
		if (*p == '/' || *p == ':' || *p == ',' || *p <= ' ')
			*p = '-';
	return word;
}

/* maildir(5): time, microseconds, process, count, and randomness for what
 * shares all of these (two hosts of one name, two PID namespaces). */
static void
unique_name(char *out, size_t size)
{
	static unsigned long counter;
	int64_t now = clock_now_us();

	snprintf(out, size, "%lld.M%06lldP%ldQ%luR%08x.%s",
		 (long long)(now / 1000000), (long long)(now % 1000000),
		 (long)getpid(), counter++, (unsigned)random_u64(),
		 host_word());
}

int
deposit_open(struct deposit *d, int dirfd, enum deposit_sync sync,
	     struct err *e)
{
	char name[200];

	deposit_adopt(d, -1);
	d->dirfd = dirfd;
	d->sync = sync;
	unique_name(name, sizeof(name));
	snprintf(d->tmp, sizeof(d->tmp), "tmp/%s", name);
	d->fd =
	    openat(dirfd, d->tmp,
		   O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->fd >= 0)
		return 0;
	int r = err_sys(e, "%s: making the file", d->tmp);
	d->tmp[0] = '\0';
	return r;
}

void
deposit_adopt(struct deposit *d, int fd)
{
	*d = (struct deposit){ .dirfd = -1, .fd = fd };
	d->out = BUF_INIT;
}

/* All of it; a short write is followed by the rest, or by its errno. */
static int
write_all(struct deposit *d, const char *p, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t put = write(d->fd, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			if (put == 0)
				errno = EIO;
			return err_sys(e, "writing the message");
		}
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

/* Lines that end in LF alone would be a byte longer on the wire. */
static uint64_t
count_bare_lf(const char *p, size_t n, char before)
{
	const char *end = p + n, *lf = p;
	uint64_t count = 0;

	while (lf < end &&
	       (lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL) {
		if ((lf == p ? before : lf[-1]) != '\r')
			count++;
		lf++;
	}
	return count;
}

int
deposit_write(struct deposit *d, const void *p, size_t n, struct err *e)
{
	if (n == 0)
		return 0;
	d->vsize += n + count_bare_lf(p, n, d->last);
	d->size += n;
	d->last = ((const char *)p)[n - 1];
	if (d->out.n + n > GATHER && d->out.n > 0) {
		if (write_all(d, d->out.p, d->out.n, e) != 0)
			return -1;
		buf_clear(&d->out);
	}
	if (n >= GATHER)
		return write_all(d, p, n, e);
	buf_add(&d->out, p, n);
	return 0;
}

int
deposit_flush(struct deposit *d, struct err *e)
{
	if (d->out.n > 0 && write_all(d, d->out.p, d->out.n, e) != 0)
		return -1;
	/* A hint only: fsync is what counts, and reports every error. */
	if (d->out.n > 0 || d->size >= GATHER)
		(void)sync_file_range(d->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	buf_free(&d->out);
	return 0;
}

/* The rename is done.  A failed fsync is never tried again: the kernel has
 * dropped the error and perhaps the pages. */
int
deposit_durable(struct deposit *d, struct err *e)
{
	char dir[sizeof(d->place)];
	const char *slash = strrchr(d->place, '/');
	int r = 0;

	if (fsync(d->fd) != 0)
		r = err_sys(e, "%s: syncing the file", d->place);
	if (slash == NULL)
		snprintf(dir, sizeof(dir), ".");
	else
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - d->place),
			 d->place);
	if (r == 0 && deposit_sync_of(d->dirfd, d->sync) == DEPOSIT_BOTH &&
	    sync_dir(d->dirfd, dir) != 0)
		r = err_sys(e, "%s: syncing the directory", dir);
	if (close(d->fd) != 0 && r == 0)
		r = err_sys(e, "%s: closing the file", d->place);
	d->fd = -1;
	if (r != 0)
		deposit_undo(d);
	return r;
}

/* rename that may refuse to replace.  Where the file system cannot do that in
 * one step (EINVAL), look first. */
static int
put_in_place(struct deposit *d, const char *name, bool replace)
{
	if (replace)
		return renameat(d->dirfd, d->tmp, d->dirfd, name);
	if (renameat2(d->dirfd, d->tmp, d->dirfd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (faccessat(d->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		return renameat(d->dirfd, d->tmp, d->dirfd, name);
	errno = EEXIST;
	return -1;
}

/* Bytes and name.  1, with the file still open in tmp: `name` is taken.  On
 * failure nothing is left behind. */
static int
put_at(struct deposit *d, const char *name, bool replace, struct err *e)
{
	int r = deposit_flush(d, e);

	if (r == 0 && strlen(name) >= sizeof(d->place))
		r = err_set(e, ST_TEMPFAIL, "%s: the name is too long", name);
	if (r == 0 && put_in_place(d, name, replace) != 0) {
		if (!replace && errno == EEXIST)
			return 1;
		r = err_sys(e, "%s: renaming %s to it", name, d->tmp);
	}
	if (r != 0) {
		deposit_abort(d);
		return r;
	}
	d->tmp[0] = '\0';
	memcpy(d->place, name, strlen(name) + 1);
	return 0;
}

/* DESIGN law 3: bytes, name, and one fsync behind both. */
static int
commit_at(struct deposit *d, const char *name, bool replace, struct err *e)
{
	int r = put_at(d, name, replace, e);

	return r == 0 ? deposit_durable(d, e) : r;
}

int
deposit_commit_as(struct deposit *d, const char *name, struct err *e)
{
	return commit_at(d, name, true, e);
}

int
deposit_commit_new(struct deposit *d, const char *name, struct err *e)
{
	return commit_at(d, name, false, e);
}

/* new/UNIQUE,S=size,W=vsize or cur/...:2,FLAGS; size counts what is gathered
 * too. */
static void
place_name(const struct deposit *d, const char *flags, char *out, size_t size)
{
	snprintf(out, size, "%s/%s,S=%llu,W=%llu%s%s",
		 flags != NULL ? "cur" : "new", d->tmp + strlen("tmp/"),
		 (unsigned long long)d->size, (unsigned long long)d->vsize,
		 flags != NULL ? ":2," : "", flags != NULL ? flags : "");
}

int
deposit_commit(struct deposit *d, const char *flags, struct err *e)
{
	char name[sizeof(d->place)];

	place_name(d, flags, name, sizeof(name));
	return deposit_commit_as(d, name, e);
}

int
deposit_put(struct deposit *d, const char *flags, struct err *e)
{
	char name[sizeof(d->place)];

	place_name(d, flags, name, sizeof(name));
	return put_at(d, name, true, e);
}

/* The size alone does not tell: a file system without a journal may keep the
 * length and lose the bytes. */
static bool
same_bytes(int a, int b, uint64_t size)
{
	char x[8192], y[sizeof(x)];
	ssize_t n;

	for (uint64_t at = 0; at < size; at += (uint64_t)n) {
		n = pread(a, x, sizeof(x), (off_t)at);
		if (n <= 0 || pread(b, y, (size_t)n, (off_t)at) != n ||
		    memcmp(x, y, (size_t)n) != 0)
			return false;
	}
	return true;
}

/* Is the file of that name all that d has?  Then d gives its own up for it. */
static bool
take_over(struct deposit *d, const char *name)
{
	int fd =
	    openat(d->dirfd, name,
		   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct err e = ERR_INIT;
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size != d->size || deposit_flush(d, &e) != 0 ||
	    !same_bytes(d->fd, fd, d->size)) {
		close(fd);
		return false;
	}
	deposit_abort(d);
	d->fd = fd;
	memcpy(d->place, name, strlen(name) + 1);
	return true;
}

static void
once_name(const struct deposit *d, const char *once, char *out, size_t size)
{
	snprintf(out, size, "new/%s.%s,S=%llu,W=%llu", once, host_word(),
		 (unsigned long long)d->size, (unsigned long long)d->vsize);
}

bool
deposit_there(struct deposit *d, const char *once)
{
	char name[sizeof(d->place)];

	once_name(d, once, name, sizeof(name));
	return take_over(d, name);
}

int
deposit_put_once(struct deposit *d, const char *once, struct err *e)
{
	char name[sizeof(d->place)];

	once_name(d, once, name, sizeof(name));
	int r = put_at(d, name, false, e);
	if (r <= 0)
		return r;
	/* what a power cut left of it is no copy */
	return take_over(d, name) ? 0 : put_at(d, name, true, e);
}

/* Names in the other folders first, the rename into the last one then. */
static int
put_names(struct deposit *d, const struct deposit_place *at, size_t n,
	  size_t *done, struct err *e)
{
	char name[sizeof(d->place)];

	for (; *done < n; ++*done) {
		const struct deposit_place *p = &at[*done];
		bool last = *done + 1 == n;

		place_name(d, p->flags, name, sizeof(name));
		if (last ? renameat(d->dirfd, d->tmp, p->dirfd, name) != 0
			 : linkat(d->dirfd, d->tmp, p->dirfd, name, 0) != 0)
			return err_sys(e, "%s: putting the file in place",
				       name);
	}
	return 0;
}

int
deposit_commit_many(struct deposit *d, const struct deposit_place *at, size_t n,
		    struct err *e)
{
	char name[sizeof(d->place)];
	size_t done = 0;
	int r = n > 0 ? deposit_flush(d, e)
		      : err_set(e, ST_SOFTWARE, "no place to put the file");

	if (r == 0)
		r = put_names(d, at, n, &done, e);
	if (r == 0 && fsync(d->fd) != 0)
		r = err_sys(e, "syncing the file");
	for (size_t i = 0; r == 0 && i < n; i++)
		if (deposit_sync_of(at[i].dirfd, d->sync) == DEPOSIT_BOTH &&
		    sync_dir(at[i].dirfd,
			     at[i].flags != NULL ? "cur" : "new") != 0)
			r = err_sys(e, "syncing the directory");
	/* close(2) gives the number back even when it fails: not once more in
	 * deposit_abort, where it may be another's file by then */
	if (r == 0) {
		if (close(d->fd) != 0)
			r = err_sys(e, "closing the file");
		d->fd = -1;
	}
	for (size_t i = 0; r != 0 && i < done; i++) {
		place_name(d, at[i].flags, name, sizeof(name));
		(void)unlinkat(at[i].dirfd, name, 0);
	}
	if (r == 0)
		d->tmp[0] = '\0';
	else
		deposit_abort(d);
	return r;
}

void
deposit_undo(struct deposit *d)
{
	if (d->place[0] != '\0')
		(void)unlinkat(d->dirfd, d->place, 0);
	d->place[0] = '\0';
}

void
deposit_abort(struct deposit *d)
{
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
	if (d->tmp[0] != '\0')
		(void)unlinkat(d->dirfd, d->tmp, 0);
	d->tmp[0] = '\0';
	buf_free(&d->out);
}
