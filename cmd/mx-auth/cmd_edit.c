/*
 * cmd_edit.c - `hash`, and `add`, `del`, `passwd`: edit a passwd-file so that
 * a reader sees the old file or the new one, and nobody else's edit is lost:
 * lock, write a new file, fsync, rename, fsync the folder.
 */
#include "options.h"
#include "chain.h"
#include "io.h"
#include "mem.h"
#include "passwd_file.h"
#include "scheme.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
scheme(void)
{
	return options.scheme ? options.scheme : SCHEME_DEFAULT;
}

/* --hash, or a password asked for and hashed. */
static int
new_hash(struct buf *out, struct err *e)
{
	struct buf password = BUF_INIT;
	int r = 0;

	if (options.hash) {
		buf_adds(out, options.hash);
		return 0;
	}
	r = ask_password(&password, true, e);
	if (r == 0)
		r = scheme_make(out, scheme(), options.rounds,
				buf_span(&password), e);
	buf_wipe(&password);
	return r;
}

int
cmd_hash(int argc, char **argv MX_UNUSED)
{
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	int r;

	if (argc != 0)
		return prog_usage("hash reads the password from the terminal "
				  "or stdin; it takes no argument");
	options.hash = NULL;
	r = new_hash(&out, &e);
	if (r == 0)
		printf("%s\n", buf_str(&out));
	buf_wipe(&out);
	return r == 0 ? ST_OK : prog_fail(&e);
}

struct edit {
	char *path, *temp;
	int fd; /* of the old file, locked */
	struct stat st;
	struct buf old, new;
};

/* The file may be replaced while we wait for its lock: look again. */
static int
edit_lock(struct edit *ed, bool create, struct err *e)
{
	for (int i = 0; i < 100; i++) {
		struct stat now;

		ed->fd = open(ed->path,
			      O_RDWR | O_CLOEXEC | O_NOFOLLOW |
				  (create ? O_CREAT : 0),
			      0600);
		if (ed->fd < 0 || flock(ed->fd, LOCK_EX) < 0 ||
		    fstat(ed->fd, &ed->st) < 0)
			return err_sys(e, "%s", ed->path);
		if (!S_ISREG(ed->st.st_mode))
			return err_set(e, ST_CONFIG, "%s: no regular file",
				       ed->path);
		if (stat(ed->path, &now) == 0 && now.st_ino == ed->st.st_ino &&
		    now.st_dev == ed->st.st_dev)
			return 0;
		close(ed->fd);
		ed->fd = -1;
	}
	return err_set(e, ST_TEMPFAIL, "%s: others keep replacing it",
		       ed->path);
}

static int
edit_open(struct edit *ed, bool create, struct err *e)
{
	const char *path = options.file ? options.file : chain_passwd_file();

	memset(ed, 0, sizeof(*ed));
	ed->fd = -1;
	if (!path || strchr(path, '%'))
		return err_set(e, ST_CONFIG,
			       "which file? passdb names no passwd-file with a "
			       "plain path; use --file PATH");
	ed->path = mem_strdup(path);
	ed->temp = mem_printf("%s.new.%ld", path, (long)getpid());
	if (edit_lock(ed, create, e) < 0)
		return -1;
	return io_read_file(ed->path, &ed->old, PASSWD_FILE_MAX, e);
}

static int
sync_folder(const char *path, struct err *e)
{
	struct span p = span_of(path);
	char *dir =
	    mem_spandup(span_sub(p, 0, (size_t)(span_rchr(p, '/') + 1)));
	int fd = open(dir[0] ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0 || fsync(fd) < 0)
		r = err_sys(e, "%s", dir);
	io_close(&fd);
	free(dir);
	return r;
}

/* The new file has the old one's owner and rights before it has its bytes. */
static int
write_temp(const struct edit *ed, struct err *e)
{
	int fd =
	    open(ed->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		 0600);
	int r = 0;

	if (fd < 0)
		return err_sys(e, "%s", ed->temp);
	if (fchown(fd, ed->st.st_uid, ed->st.st_gid) < 0 ||
	    fchmod(fd, ed->st.st_mode & 07777) < 0 ||
	    io_write(fd, ed->new.p, ed->new.n, DEADLINE_NEVER) != IO_OK ||
	    fsync(fd) < 0)
		r = err_sys(e, "%s", ed->temp);
	if (io_close(&fd) < 0 && r == 0)
		r = err_sys(e, "%s", ed->temp);
	return r;
}

static int
edit_commit(struct edit *ed, struct err *e)
{
	if (write_temp(ed, e) < 0) {
		unlink(ed->temp);
		return -1;
	}
	if (rename(ed->temp, ed->path) < 0) {
		err_sys(e, "%s", ed->path);
		unlink(ed->temp);
		return -1;
	}
	return sync_folder(ed->path, e);
}

/* The lock goes with the old file's descriptor: after the rename. */
static void
edit_close(struct edit *ed)
{
	io_close(&ed->fd);
	free(ed->path);
	free(ed->temp);
	buf_wipe(&ed->old);
	buf_wipe(&ed->new);
}

/* Nothing that would make two fields, or two lines, of one. */
static bool
field_ok(const char *s)
{
	return !s || (!strchr(s, ':') && !span_has_ctl(span_of(s)));
}

static int
add_line(struct buf *out, const char *user, struct err *e)
{
	const char *uid = options.uid ? options.uid : "";
	const char *gid = options.gid ? options.gid : "";
	const char *home = options.home ? options.home : "";

	if (!field_ok(uid) || !field_ok(gid) || !field_ok(home) ||
	    !field_ok(options.hash) ||
	    (options.mail && span_has_ctl(span_of(options.mail))))
		return err_set(e, ST_USAGE,
			       "a value has a colon or a control character");
	buf_addf(out, "%s:", user);
	if (new_hash(out, e) < 0)
		return -1;
	buf_addf(out, ":%s:%s::%s::", uid, gid, home);
	if (options.mail)
		buf_addf(out, "userdb_mail=%s", options.mail);
	buf_addc(out, '\n');
	return 0;
}

/* Copies the old bytes around the user's line, with `line` in its place. */
static void
replace_line(struct edit *ed, const struct passwd_line *l, struct span line)
{
	size_t at = l ? (size_t)(l->whole.p - ed->old.p) : ed->old.n;
	size_t end = l ? at + l->whole.n : at;

	buf_add(&ed->new, ed->old.p, at);
	if (at > 0 && ed->old.p[at - 1] != '\n')
		buf_addc(&ed->new, '\n');
	buf_addspan(&ed->new, line);
	buf_addspan(&ed->new, span_from(buf_span(&ed->old), end));
}

enum what { ADD, DEL, PASSWD };

/* passwd: the line as it is but for the password. */
static int
changed_line(struct buf *out, const struct passwd_line *l, struct err *e)
{
	size_t head = l->user.n + 1 + l->password.n;

	buf_addspan(out, l->user);
	buf_addc(out, ':');
	if (new_hash(out, e) < 0)
		return -1;
	if (!field_ok(buf_str(out) + l->user.n + 1))
		return err_set(e, ST_DATA,
			       "this hash has a colon or a control "
			       "character; choose another scheme");
	buf_addspan(out, span_from(l->whole, head));
	return 0;
}

static int
edit_user(struct edit *ed, enum what what, const char *user, struct err *e)
{
	struct passwd_line l;
	struct buf line = BUF_INIT;
	bool there = passwd_file_find(buf_span(&ed->old), span_of(user), &l);
	int r = 0;

	if (what == ADD && there)
		r = err_set(e, ST_CANTCREAT, "%s: user %s is there already",
			    ed->path, user);
	else if (what != ADD && !there)
		r = err_set(e, ST_NOUSER, "%s: no user %s", ed->path, user);
	else if (what == ADD)
		r = add_line(&line, user, e);
	else if (what == PASSWD)
		r = changed_line(&line, &l, e);
	if (r == 0) {
		replace_line(ed, there ? &l : NULL, buf_span(&line));
		r = edit_commit(ed, e);
	}
	buf_wipe(&line);
	return r;
}

static int
edit(enum what what, int argc, char **argv)
{
	struct buf user = BUF_INIT;
	struct edit ed;
	struct err e = ERR_INIT;
	int r;

	if (argc != 1)
		return prog_usage("one USER is expected");
	if (strchr(argv[0], ':') || argv[0][0] == '#' ||
	    strpbrk(argv[0], " \t"))
		return prog_usage("\"%s\" cannot be a name in a passwd-file",
				  argv[0]);
	if (chain_load(&e) < 0 ||
	    username_normalize(&user, span_of(argv[0]), &e) < 0) {
		buf_free(&user);
		return prog_fail(&e);
	}
	r = edit_open(&ed, what == ADD, &e);
	if (r == 0)
		r = edit_user(&ed, what, buf_str(&user), &e);
	edit_close(&ed);
	buf_free(&user);
	return r == 0 ? ST_OK : prog_fail(&e);
}

int
cmd_add(int argc, char **argv)
{
	return edit(ADD, argc, argv);
}

int
cmd_del(int argc, char **argv)
{
	return edit(DEL, argc, argv);
}

int
cmd_passwd(int argc, char **argv)
{
	return edit(PASSWD, argc, argv);
}
