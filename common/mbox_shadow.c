/*
 * mbox_shadow.c - which mboxes there are, and the folders that show them.
 * Layer: mail.
 */
#include "mbox_shadow.h"
#include "deposit.h"
#include "dotlock.h"
#include "mailbox_name.h"
#include "maildir_root.h"
#include "mbox_read.h"
#include "mem.h"
#include "status.h"
#include "strs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVELS_MAX 10

static char *mbox_dir, *mbox_inbox;

const char *
mbox_shadow_dir(void)
{
	return mbox_dir;
}

const char *
mbox_shadow_inbox(void)
{
	return mbox_inbox;
}

static bool
is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int
expand(char **path_r, struct span l, const char *user, const char *home,
       struct err *e)
{
	struct buf b = BUF_INIT;

	if (maildir_root_expand(&b, "mail_location", l, user, home, e) != 0) {
		buf_free(&b);
		return -1;
	}
	while (b.n > 1 && b.p[b.n - 1] == '/')
		buf_cut(&b, b.n - 1);
	*path_r = buf_steal(&b);
	return 0;
}

int
mbox_shadow_use(struct buf *root, const char *location, const char *user,
		const char *home, struct err *e)
{
	struct span l = span_of(location), first, opt;
	char *path = NULL;

	if (!span_istarts(l, SPAN("mbox:")))
		return 1;
	l = span_from(l, 5);
	if (!span_split(&l, ':', &first) ||
	    expand(&path, first, user, home, e) != 0)
		return first.n == 0 ? err_set(e, ST_CONFIG,
					      "mail_location: \"%s\": expected "
					      "mbox:DIR:INBOX=FILE",
					      location)
				    : -1;
	while (mbox_inbox == NULL && l.p != NULL && span_split(&l, ':', &opt))
		if (span_istarts(opt, SPAN("INBOX=")) &&
		    expand(&mbox_inbox, span_from(opt, 6), user, home, e) != 0)
			return -1;
	if (mbox_inbox == NULL && !is_directory(path)) {
		mbox_inbox = path;
		if (home[0] != '/')
			return err_set(e, ST_CONFIG,
				       "mail_location: \"%s\": expected "
				       "mbox:DIR:INBOX=FILE, for user %s has "
				       "no home",
				       location, user);
		buf_addf(root, "%s/.mx-mbox", home);
		return 0;
	}
	mbox_dir = path;
	if (mbox_inbox == NULL)
		mbox_inbox = mem_printf("%s/inbox", path);
	buf_addf(root, "%s/.mx", path);
	return 0;
}

bool
mbox_shadow_is(int fd)
{
	return mbox_inbox != NULL &&
	       faccessat(fd, MBOX_SHADOW_FILE, F_OK, 0) == 0;
}

/* The line "PATH" of a new folder's mx-mbox. */
static int
mark(int fd, const char *path, struct err *e)
{
	struct buf b = BUF_INIT;
	int lock = mbox_shadow_lock(fd, e), r = 0;

	if (lock < 0)
		return -1;
	buf_addf(&b, "%s\n", path);
	if (!mbox_shadow_is(fd))
		r = mbox_shadow_note(fd, buf_span(&b), e);
	close(lock);
	buf_free(&b);
	return r;
}

/* Makes the folder; a Maildir of that name that was there stays what it is. */
static int
show(int root, struct span name, const char *path, struct err *e)
{
	static const char *const subs[] = { "cur", "new", "tmp" };
	struct buf folder = BUF_INIT;
	int fd, r = 0;

	mailbox_name_folder(&folder, name);
	fd = mailbox_name_open(root, name);
	if (fd < 0 && errno == ENOENT &&
	    mkdirat(root, buf_str(&folder), 0700) == 0) {
		fd = mailbox_name_open(root, name);
		if (fd >= 0)
			r = mark(fd, path, e);
	}
	if (fd < 0)
		r = err_sys(e, "%s: making its folder", path);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(subs); i++)
		if (mbox_shadow_is(fd) && mkdirat(fd, subs[i], 0700) != 0 &&
		    errno != EEXIST)
			r = err_sys(e, "%s: making its folder", path);
	if (fd >= 0)
		close(fd);
	buf_free(&folder);
	return r;
}

/* An mbox by its first bytes; a file of another kind is none. */
static bool
is_mbox(int dirfd, const char *name)
{
	char start[2048];
	struct stat st;
	ssize_t n;
	int fd =
	    openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return false;
	n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
		? read(fd, start, sizeof(start))
		: -1;
	close(fd);
	return n >= 0 && mbox_begins(span_make(start, (size_t)n));
}

/* "a/b" below the directory is the mailbox a.b; names on disk are modified
 * UTF-7, as Dovecot writes them, or plain UTF-8. */
static bool
name_of(struct buf *name, struct span path)
{
	struct buf dotted = BUF_INIT;
	struct err e = ERR_INIT;
	bool ok;

	buf_addspan(&dotted, path);
	for (size_t i = 0; i < dotted.n; i++)
		if (dotted.p[i] == '/')
			dotted.p[i] = MAILBOX_NAME_SEP;
	buf_clear(name);
	ok = mailbox_name_parse(name, buf_span(&dotted),
				!span_is_ascii(buf_span(&dotted)), &e) == 0 &&
	     !span_is(buf_span(name), "INBOX");
	buf_free(&dotted);
	return ok;
}

/* Names of one directory: mboxes are shown, directories come to `todo`. */
static int
walk_one(int root, const char *dir, struct strs *todo, size_t *n, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct buf path = BUF_INIT, name = BUF_INIT;
	struct dirent *x;
	int r = 0;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return err_sys(e, "%s", dir);
	}
	while (r == 0 && *n < MBOX_SHADOW_MAX && (x = readdir(d)) != NULL) {
		struct stat st;

		if (x->d_name[0] == '.' ||
		    fstatat(fd, x->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		buf_clear(&path);
		buf_addf(&path, "%s/%s", dir, x->d_name);
		if (S_ISDIR(st.st_mode))
			strs_add(todo, buf_str(&path));
		else if (S_ISREG(st.st_mode) &&
			 strcmp(buf_str(&path), mbox_inbox) != 0 &&
			 is_mbox(fd, x->d_name) &&
			 name_of(&name, span_from(buf_span(&path),
						  strlen(mbox_dir) + 1)) &&
			 ++*n > 0)
			r = show(root, buf_span(&name), buf_str(&path), e);
	}
	closedir(d);
	buf_free(&path);
	buf_free(&name);
	return r;
}

static int
levels(const char *path)
{
	int n = 0;

	for (; *path != '\0'; path++)
		n += *path == '/';
	return n;
}

static int
walk(int root, struct err *e)
{
	struct strs todo = STRS_INIT;
	size_t n = 0;
	int r = 0, top = levels(mbox_dir);

	strs_add(&todo, mbox_dir);
	for (size_t i = 0; r == 0 && i < todo.n && i < MBOX_SHADOW_MAX; i++) {
		char *dir = mem_strdup(todo.v[i]);

		if (levels(dir) <= top + LEVELS_MAX)
			r = walk_one(root, dir, &todo, &n, e);
		free(dir);
	}
	strs_free(&todo);
	return r;
}

/* All of a folder's files: what was read from a mbox that is no more. */
static void
empty(int fd, const char *sub)
{
	int sfd =
	    openat(fd, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = sfd >= 0 ? fdopendir(sfd) : NULL;
	struct dirent *x;

	if (d == NULL) {
		if (sfd >= 0)
			close(sfd);
		return;
	}
	while ((x = readdir(d)) != NULL)
		(void)unlinkat(sfd, x->d_name, 0);
	closedir(d);
}

static void
hide(int root, const char *folder, int fd)
{
	static const char *const subs[] = { "cur", "new", "tmp" };

	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		empty(fd, subs[i]);
		(void)unlinkat(fd, subs[i], AT_REMOVEDIR);
	}
	empty(fd, ".");
	(void)unlinkat(root, folder, AT_REMOVEDIR);
}

/* The mbox of a folder as its mx-mbox has it. */
static bool
source_of(int fd, struct buf *path)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct span rest, line;
	bool ok;

	ok = dotlock_read(fd, MBOX_SHADOW_FILE, &b, &e) == 0;
	rest = buf_span(&b);
	ok = ok && span_split(&rest, '\n', &line) && line.n > 0;
	if (ok)
		buf_addspan(path, line);
	buf_free(&b);
	return ok;
}

static void
drop_gone(int root)
{
	int dup_fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dup_fd >= 0 ? fdopendir(dup_fd) : NULL;
	struct buf path = BUF_INIT, name = BUF_INIT;
	struct dirent *x;

	if (d == NULL) {
		if (dup_fd >= 0)
			close(dup_fd);
		return;
	}
	while ((x = readdir(d)) != NULL) {
		struct stat st;
		int fd;

		buf_clear(&name);
		if (!mailbox_name_of_folder(&name, span_of(x->d_name)) ||
		    (fd = mailbox_name_open(root, buf_span(&name))) < 0)
			continue;
		buf_clear(&path);
		if (mbox_shadow_is(fd) && source_of(fd, &path) &&
		    lstat(buf_str(&path), &st) != 0 &&
		    (errno == ENOENT || errno == ENOTDIR))
			hide(root, x->d_name, fd);
		close(fd);
	}
	closedir(d);
	buf_free(&path);
	buf_free(&name);
}

int
mbox_shadow_folders(int root, struct err *e)
{
	if (mbox_inbox == NULL)
		return 0;
	if (!mbox_shadow_is(root) && mark(root, mbox_inbox, e) != 0)
		return -1;
	if (mbox_dir == NULL)
		return 0;
	drop_gone(root);
	return walk(root, e);
}
