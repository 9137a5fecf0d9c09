/*
 * store.c - see store.h.  Pigeonhole "Sieve file storage"; RFC 5804 1.6, 2.
 */
#include "store.h"
#include "command.h"
#include "io.h"
#include "mem.h"
#include "random.h"
#include "status.h"
#include "strs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".sieve"
#define READ_MAX (64u << 20)
#define BASE_MAX 240 /* with a suffix a file's name */
#define LONG_HEX 32
#define LONG_SUFFIX ".name"
#define LONG_MAX_BYTES 1024
/* A script that stood where the link belongs, as Pigeonhole calls it. */
#define RESCUED "dovecot.orig" SUFFIX

/* mkdir -p, then the folder; a link as the last part is the user's own. */
static int
open_folder(const char *path, bool make, struct err *e)
{
	char *copy = mem_strdup(path);
	int fd;

	for (char *p = copy + 1; make && *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(copy, 0700);
		*p = '/';
	}
	if (make)
		(void)mkdir(copy, 0700);
	fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err_sys(e, "%s", path);
	free(copy);
	return fd;
}

int
store_open(struct store *s, const char *dir, const char *link, struct err *e)
{
	const char *slash = strrchr(link, '/');

	*s = (struct store){ .dir = -1, .link_dir = -1 };
	buf_adds(&s->dir_path, dir);
	while (s->dir_path.n > 1 && s->dir_path.p[s->dir_path.n - 1] == '/')
		buf_cut(&s->dir_path, s->dir_path.n - 1);
	if (slash == NULL || slash[1] == '\0')
		return err_set(e, ST_CONFIG, "sieve: \"%s\" names no file",
			       link);
	buf_add(&s->link_folder, link,
		slash == link ? 1 : (size_t)(slash - link));
	buf_adds(&s->link_name, slash + 1);
	s->dir = open_folder(buf_str(&s->dir_path), true, e);
	if (s->dir < 0)
		return -1;
	if (mkdirat(s->dir, "tmp", 0700) != 0 && errno != EEXIST)
		return err_sys(e, "%s/tmp", buf_str(&s->dir_path));
	s->link_dir = open_folder(buf_str(&s->link_folder), true, e);
	return s->link_dir < 0 ? -1 : 0;
}

void
store_close(struct store *s)
{
	buf_free(&s->dir_path);
	buf_free(&s->link_folder);
	buf_free(&s->link_name);
	if (s->dir >= 0)
		close(s->dir);
	if (s->link_dir >= 0)
		close(s->link_dir);
	s->dir = s->link_dir = -1;
}

static bool
is_long(struct span name)
{
	return name.n > BASE_MAX;
}

/* The file's name without its suffix. */
static char *
base_of(struct span name)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	struct buf b = BUF_INIT;
	unsigned n = 0;

	if (!is_long(name) ||
	    EVP_Digest(name.p, name.n, md, &n, EVP_sha256(), NULL) != 1)
		return mem_spandup(name);
	buf_addc(&b, '~');
	for (unsigned i = 0; i < LONG_HEX / 2; i++)
		buf_addf(&b, "%02x", md[i]);
	return buf_steal(&b);
}

static char *
with_suffix(struct span name, const char *suffix)
{
	char *base = base_of(name), *file = mem_printf("%s%s", base, suffix);

	free(base);
	return file;
}

static char *
file_of(struct span name)
{
	return with_suffix(name, SUFFIX);
}

/* The script's name by its file's, appended. */
static void
name_of(struct store *s, struct span base, struct buf *name)
{
	struct buf text = BUF_INIT;
	char *file, *same = NULL;
	int fd = -1;

	if (base.n == LONG_HEX + 1 && base.p[0] == '~') {
		file = mem_printf("%.*s" LONG_SUFFIX, SPAN_ARG(base));
		fd = openat(s->dir, file,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		free(file);
	}
	if (fd >= 0 &&
	    io_read_all(fd, &text, LONG_MAX_BYTES, DEADLINE_NEVER) == IO_OK)
		same = base_of(buf_span(&text));
	buf_addspan(name, same != NULL && span_is(base, same) ? buf_span(&text)
							      : base);
	if (fd >= 0)
		close(fd);
	free(same);
	buf_free(&text);
}

/* Before the script: a crash between leaves a name without one. */
static int
put_long(struct store *s, struct span name, struct err *e)
{
	struct deposit d;
	char *file;
	int r;

	if (!is_long(name))
		return 0;
	if (deposit_open(&d, s->dir, DEPOSIT_AUTO, e) != 0)
		return -1;
	file = with_suffix(name, LONG_SUFFIX);
	r = deposit_write(&d, name.p, name.n, e) == 0 &&
		    deposit_flush(&d, e) == 0 &&
		    deposit_commit_as(&d, file, e) == 0
		? 0
		: -1;
	deposit_abort(&d);
	free(file);
	return r;
}

static void
drop_long(struct store *s, struct span name)
{
	char *file = is_long(name) ? with_suffix(name, LONG_SUFFIX) : NULL;

	if (file != NULL)
		(void)unlinkat(s->dir, file, 0);
	free(file);
}

void
store_path(const struct store *s, struct span name, struct buf *path)
{
	char *file = file_of(name);

	buf_addspan(path, buf_span(&s->dir_path));
	buf_addf(path, "/%s", file);
	free(file);
}

/* Is it there, and a plain file? */
static bool
is_there(struct store *s, const char *file, uint64_t *size_r)
{
	struct stat st;

	if (fstatat(s->dir, file, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	if (size_r != NULL)
		*size_r = (uint64_t)st.st_size;
	return true;
}

static bool
is_our_folder(struct store *s, struct span folder)
{
	char *path = mem_spandup(folder.n > 0 ? folder : SPAN("."));
	struct stat a, b;
	bool same = fstatat(s->link_dir, path, &a, 0) == 0 &&
		    fstat(s->dir, &b) == 0 && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino;

	free(path);
	return same;
}

bool
store_active(struct store *s, struct buf *name)
{
	char target[4096];
	ssize_t n = readlinkat(s->link_dir, buf_str(&s->link_name), target,
			       sizeof(target));
	struct span t, file;
	ssize_t slash;

	if (n <= 0 || (size_t)n >= sizeof(target))
		return false;
	t = span_make(target, (size_t)n);
	slash = span_rchr(t, '/');
	file = slash < 0 ? t : span_from(t, (size_t)slash + 1);
	if (!span_ends(file, SPAN(SUFFIX)) ||
	    !is_our_folder(s, slash < 0    ? SPAN("")
			      : slash == 0 ? SPAN("/")
					   : span_sub(t, 0, (size_t)slash)))
		return false;
	name_of(s, span_sub(file, 0, file.n - sizeof(SUFFIX) + 1), name);
	return true;
}

static bool
is_active(struct store *s, struct span name)
{
	struct buf active = BUF_INIT;
	bool yes = store_active(s, &active) && span_eq(buf_span(&active), name);

	buf_free(&active);
	return yes;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of all scripts; *size_r: their sizes together. */
static int
read_names(struct store *s, struct strs *names, uint64_t *size_r, struct err *e)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct buf name = BUF_INIT;
	const struct dirent *de;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return err_sys(e, "%s", buf_str(&s->dir_path));
	}
	*size_r = 0;
	while ((de = readdir(d)) != NULL) {
		struct span f = span_of(de->d_name);
		uint64_t size;

		if (!span_ends(f, SPAN(SUFFIX)))
			continue;
		buf_clear(&name);
		name_of(s, span_sub(f, 0, f.n - sizeof(SUFFIX) + 1), &name);
		if (!command_name_ok(buf_span(&name)) ||
		    !is_there(s, de->d_name, &size))
			continue;
		strs_addspan(names, buf_span(&name));
		*size_r += size;
	}
	closedir(d);
	buf_free(&name);
	if (names->n > 0)
		qsort(names->v, names->n, sizeof(*names->v), by_name);
	return 0;
}

int
store_each(struct store *s,
	   void (*fn)(void *ctx, struct span name, bool active), void *ctx,
	   struct err *e)
{
	struct strs names = STRS_INIT;
	struct buf active = BUF_INIT;
	uint64_t size;
	int r = read_names(s, &names, &size, e);
	bool any = store_active(s, &active);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct span name = span_of(names.v[i]);

		fn(ctx, name, any && span_eq(buf_span(&active), name));
	}
	strs_free(&names);
	buf_free(&active);
	return r;
}

enum store_result
store_space(struct store *s, struct span name, uint64_t size, struct err *e)
{
	struct strs names = STRS_INIT;
	enum store_result k = STORE_OK;
	char *file = file_of(name);
	uint64_t have, old = 0;
	bool there;

	if (!command_name_ok(name)) {
		free(file);
		return STORE_BAD_NAME;
	}
	there = is_there(s, file, &old);
	if (s->max_size > 0 && size > (uint64_t)s->max_size)
		k = STORE_TOO_BIG;
	else if (read_names(s, &names, &have, e) != 0)
		k = STORE_TEMP;
	else if (s->quota_scripts > 0 &&
		 names.n + (there ? 0 : 1) > (uint64_t)s->quota_scripts)
		k = STORE_TOO_MANY;
	else if (s->quota_storage > 0 &&
		 have - old + size > (uint64_t)s->quota_storage)
		k = STORE_FULL;
	strs_free(&names);
	free(file);
	return k;
}

enum store_result
store_get(struct store *s, struct span name, struct buf *text, struct err *e)
{
	enum store_result k = STORE_OK;
	char *file;
	int fd;

	if (!command_name_ok(name))
		return STORE_NONEXISTENT;
	file = file_of(name);
	fd = openat(s->dir, file,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		k = errno == ENOENT || errno == ELOOP ? STORE_NONEXISTENT
						      : STORE_TEMP;
	else if (io_read_all(fd, text, READ_MAX, DEADLINE_NEVER) != IO_OK)
		k = STORE_TEMP;
	if (k == STORE_TEMP)
		err_sys(e, "%s/%s", buf_str(&s->dir_path), file);
	if (fd >= 0)
		close(fd);
	free(file);
	return k;
}

static enum store_result
failed(void)
{
	return errno == ENOSPC || errno == EDQUOT ? STORE_FULL : STORE_TEMP;
}

enum store_result
store_write(struct store *s, struct deposit *d, struct span text,
	    struct buf *path_r, struct err *e)
{
	if (deposit_open(d, s->dir, DEPOSIT_AUTO, e) != 0)
		return failed();
	if (deposit_write(d, text.p, text.n, e) != 0 ||
	    deposit_flush(d, e) != 0) {
		enum store_result k = failed();

		deposit_abort(d);
		return k;
	}
	buf_addf(path_r, "%s/%s", buf_str(&s->dir_path), d->tmp);
	return STORE_OK;
}

enum store_result
store_commit(struct store *s, struct deposit *d, struct span name,
	     struct err *e)
{
	char *file = file_of(name);
	enum store_result k = STORE_OK;

	if (put_long(s, name, e) != 0 || deposit_commit_as(d, file, e) != 0)
		k = failed();
	deposit_abort(d); /* frees; harmless after the commit */
	free(file);
	return k;
}

static enum store_result
sync_folder(int fd, struct err *e)
{
	if (fsync(fd) == 0)
		return STORE_OK;
	err_sys(e, "syncing the scripts' folder");
	return STORE_TEMP;
}

/* A plain file where the link belongs is a script of the user's own: it goes
 * to the others. */
static enum store_result
rescue(struct store *s, struct err *e)
{
	struct stat st;

	if (fstatat(s->link_dir, buf_str(&s->link_name), &st,
		    AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return STORE_OK;
	if (renameat(s->link_dir, buf_str(&s->link_name), s->dir, RESCUED) == 0)
		return sync_folder(s->dir, e);
	err_sys(e, "%s/%s", buf_str(&s->link_folder), buf_str(&s->link_name));
	return STORE_TEMP;
}

/* What the link holds: relative where sieve_dir is below the link's folder, so
 * that a home may move. */
static char *
target_of(struct store *s, struct span name)
{
	struct span dir = buf_span(&s->dir_path);
	struct span folder = buf_span(&s->link_folder);
	char *file, *target;

	if (span_starts(dir, folder) && dir.n > folder.n &&
	    dir.p[folder.n] == '/')
		dir = span_from(dir, folder.n + 1);
	file = file_of(name);
	target = mem_printf("%.*s/%s", SPAN_ARG(dir), file);
	free(file);
	return target;
}

static enum store_result
point_link(struct store *s, struct span name, struct err *e)
{
	char *target = target_of(s, name);
	char *tmp =
	    mem_printf(".%s.%ld.%08lx", buf_str(&s->link_name), (long)getpid(),
		       (unsigned long)random_below(UINT32_MAX));
	enum store_result k = STORE_OK;

	if (symlinkat(target, s->link_dir, tmp) != 0 ||
	    renameat(s->link_dir, tmp, s->link_dir, buf_str(&s->link_name)) !=
		0) {
		k = failed();
		err_sys(e, "%s/%s", buf_str(&s->link_folder),
			buf_str(&s->link_name));
		(void)unlinkat(s->link_dir, tmp, 0);
	}
	free(target);
	free(tmp);
	return k == STORE_OK ? sync_folder(s->link_dir, e) : k;
}

static enum store_result
deactivate(struct store *s, struct err *e)
{
	if (unlinkat(s->link_dir, buf_str(&s->link_name), 0) != 0 &&
	    errno != ENOENT) {
		err_sys(e, "%s/%s", buf_str(&s->link_folder),
			buf_str(&s->link_name));
		return STORE_TEMP;
	}
	return sync_folder(s->link_dir, e);
}

enum store_result
store_activate(struct store *s, struct span name, struct err *e)
{
	enum store_result k = STORE_OK;

	if (name.n > 0) {
		char *file = command_name_ok(name) ? file_of(name) : NULL;

		if (file == NULL || !is_there(s, file, NULL))
			k = STORE_NONEXISTENT;
		free(file);
	}
	if (k == STORE_OK)
		k = rescue(s, e);
	if (k != STORE_OK)
		return k;
	return name.n > 0 ? point_link(s, name, e) : deactivate(s, e);
}

enum store_result
store_delete(struct store *s, struct span name, struct err *e)
{
	enum store_result k = STORE_OK;
	char *file;

	if (!command_name_ok(name))
		return STORE_NONEXISTENT;
	if (is_active(s, name))
		return STORE_ACTIVE;
	file = file_of(name);
	if (unlinkat(s->dir, file, 0) != 0) {
		k = errno == ENOENT ? STORE_NONEXISTENT : STORE_TEMP;
		err_sys(e, "%s/%s", buf_str(&s->dir_path), file);
	} else {
		drop_long(s, name);
	}
	free(file);
	return k == STORE_OK ? sync_folder(s->dir, e) : k;
}

/* Two names for a moment, then the link, then one name: whenever this is cut
 * off, the active script is there and active. */
enum store_result
store_rename(struct store *s, struct span from, struct span to, struct err *e)
{
	enum store_result k = STORE_OK;
	char *old, *new;

	if (!command_name_ok(from))
		return STORE_NONEXISTENT;
	if (!command_name_ok(to))
		return STORE_BAD_NAME;
	old = file_of(from);
	new = file_of(to);
	if (!is_there(s, old, NULL)) {
		k = STORE_NONEXISTENT;
	} else if (span_eq(from, to)) {
		k = STORE_OK;
	} else if (put_long(s, to, e) != 0) {
		k = failed();
	} else if (linkat(s->dir, old, s->dir, new, 0) != 0) {
		k = errno == EEXIST ? STORE_EXISTS : failed();
		err_sys(e, "%s/%s", buf_str(&s->dir_path), new);
	} else {
		k = sync_folder(s->dir, e);
		if (k == STORE_OK && is_active(s, from))
			k = point_link(s, to, e);
		/* a link that points there already keeps it: two names are
		 * better than an active script that is gone */
		if (k != STORE_OK) {
			if (!is_active(s, to))
				(void)unlinkat(s->dir, new, 0);
		} else if (unlinkat(s->dir, old, 0) == 0) {
			drop_long(s, from);
			k = sync_folder(s->dir, e);
		}
	}
	free(old);
	free(new);
	return k;
}
