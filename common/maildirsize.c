/*
 * maildirsize.c - see maildirsize.h.
 * Layer: mail.
 */
#include "maildirsize.h"
#include "io.h"
#include "maildir.h"
#include "num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "maildirsize"
/* Read up to here: of a file that nobody sums up anew the rest is guesswork. */
#define FILE_MAX ((size_t)64 << 10)
/* The Maildir++ page: recalculate when the file is larger than 5,120 bytes. */
#define REWRITE_AT 5120
/* No number in the file counts for more. */
#define COUNT_MAX ((uint64_t)INT64_MAX / 2)

/* Sums of what anybody may have written into the file: never past the ends,
 * so that a quota cannot be wrapped round to "nothing used". */
static void
add_clipped(int64_t *sum, int64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = n < 0 ? INT64_MIN : INT64_MAX;
}

/* "1000000S,1000C" */
static void
parse_limits(struct maildirsize *m, struct span line)
{
	struct span word;

	while (span_word(&line, ", ", &word)) {
		uint64_t n;

		if (!num_u64(span_sub(word, 0, word.n - 1), COUNT_MAX, &n))
			continue;
		if (word.p[word.n - 1] == 'S')
			m->max_bytes = n;
		else if (word.p[word.n - 1] == 'C')
			m->max_count = n;
	}
}

void
maildirsize_parse(struct maildirsize *m, struct span bytes)
{
	struct span line, word;

	*m = (struct maildirsize){ .exists = true, .file_n = bytes.n };
	if (span_split(&bytes, '\n', &line))
		parse_limits(m, line);
	while (span_split(&bytes, '\n', &line)) {
		int64_t n[2];
		int i = 0;

		while (i < 2 && span_word(&line, " \t\r", &word) &&
		       num_i64(word, -(int64_t)COUNT_MAX, (int64_t)COUNT_MAX,
			       &n[i]))
			i++;
		if (i == 2) {
			add_clipped(&m->bytes, n[0]);
			add_clipped(&m->count, n[1]);
		}
	}
	if (m->bytes < 0)
		m->bytes = 0;
	if (m->count < 0)
		m->count = 0;
}

/* What the walk over the folders has found so far. */
struct sum {
	int fd; /* of the folder it is in */
	const char *sub;
	int64_t bytes, count;
};

static int
add_file(void *ctx, const char *file, size_t n)
{
	struct sum *s = ctx;
	struct maildir_name name;
	char path[300];
	struct stat st;

	maildir_name_parse(&name, span_make(file, n));
	if (name.flags & MAILDIR_TRASHED)
		return 0; /* Maildir++: what is marked for deletion is free */
	if (name.size == MAILDIR_NO_SIZE) {
		snprintf(path, sizeof(path), "%s/%.*s", s->sub, (int)n, file);
		if (fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return 0;
		name.size = (uint64_t)st.st_size;
	}
	if (name.size < COUNT_MAX) {
		add_clipped(&s->bytes, (int64_t)name.size);
		s->count++;
	}
	return 0;
}

/* -1: part of it could not be read; one that is gone by now holds nothing. */
static int
add_folder(int root, const char *folder, struct sum *s)
{
	static const char *const subs[] = { "new", "cur" };
	struct err e = ERR_INIT;
	int r = 0;

	s->fd = openat(root, folder,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			   ? 0
			   : -1;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(subs); i++) {
		s->sub = subs[i];
		/* a ".name" without cur and new is no folder */
		if (faccessat(s->fd, subs[i], F_OK, 0) == 0)
			r = maildir_each(s->fd, subs[i], add_file, s, &e);
	}
	close(s->fd);
	return r;
}

static int
add_folders(int root, struct sum *s)
{
	int dir = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dir >= 0 ? fdopendir(dir) : NULL;
	struct dirent *x;
	int r;

	if (d == NULL) {
		if (dir >= 0)
			close(dir);
		return -1;
	}
	r = add_folder(root, ".", s);
	for (errno = 0; r == 0 && (x = readdir(d)) != NULL; errno = 0)
		if (x->d_name[0] == '.' && x->d_name[1] != '.' &&
		    x->d_name[1] != '\0')
			r = add_folder(root, x->d_name, s);
	if (r == 0 && errno != 0)
		r = -1;
	closedir(d);
	return r;
}

/* A new file in the place of the old one, under a name of its own: two that
 * sum up at once do not write into one file.  Not synced: a quota that a power
 * cut took back is counted again. */
static void
replace_file(int root, const char *text, size_t n)
{
	struct buf tmp = BUF_INIT;
	bool ok;
	int fd;

	buf_adds(&tmp, "tmp/");
	maildir_name_new(&tmp, MAILDIR_NO_SIZE, MAILDIR_NO_SIZE);
	fd = openat(root, buf_str(&tmp),
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0) {
		ok = io_write(fd, text, n, DEADLINE_NEVER) == IO_OK;
		if (close(fd) != 0 || !ok ||
		    renameat(root, buf_str(&tmp), root, FILE_NAME) != 0)
			(void)unlinkat(root, buf_str(&tmp), 0);
	}
	buf_free(&tmp);
}

/* What others note between the count and the rename is lost until the next
 * count: Maildir++ lives with that, and so does DESIGN (THREATS 89). */
void
maildirsize_sum(int root, const struct maildirsize *m)
{
	struct sum s = { .fd = -1 };
	char text[160];
	int n;

	/* too little counted would open the quota: the old file is better */
	if (add_folders(root, &s) != 0)
		return;
	n = snprintf(text, sizeof(text), "%lluS,%lluC\n%lld %lld\n",
		     (unsigned long long)m->max_bytes,
		     (unsigned long long)m->max_count, (long long)s.bytes,
		     (long long)s.count);
	replace_file(root, text, (size_t)n);
}

int
maildirsize_read(struct maildirsize *m, int root, struct err *e)
{
	int fd = openat(root, FILE_NAME,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct buf b = BUF_INIT;
	enum io_result r;

	*m = (struct maildirsize){ .exists = false };
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, FILE_NAME);
	r = io_read_all(fd, &b, FILE_MAX, DEADLINE_NEVER);
	close(fd);
	if (r == IO_OK || r == IO_TOOLONG)
		maildirsize_parse(m, buf_span(&b));
	buf_free(&b);
	return r == IO_OK || r == IO_TOOLONG
		   ? 0
		   : err_sys(e, FILE_NAME ": reading");
}

bool
maildirsize_fits(const struct maildirsize *m, uint64_t bytes, uint64_t count)
{
	if (!m->exists)
		return true;
	return (m->max_bytes == 0 ||
		(uint64_t)m->bytes + bytes <= m->max_bytes) &&
	       (m->max_count == 0 ||
		(uint64_t)m->count + count <= m->max_count);
}

void
maildirsize_again(int root)
{
	struct maildirsize m;
	struct err e = ERR_INIT;

	if (maildirsize_read(&m, root, &e) == 0 && m.exists)
		maildirsize_sum(root, &m);
}

bool
maildirsize_room(int root, uint64_t bytes, uint64_t count)
{
	struct maildirsize m;
	struct err e = ERR_INIT;

	if (maildirsize_read(&m, root, &e) != 0 ||
	    maildirsize_fits(&m, bytes, count))
		return true;
	maildirsize_sum(root, &m);
	return maildirsize_read(&m, root, &e) != 0 ||
	       maildirsize_fits(&m, bytes, count);
}

void
maildirsize_note(int root, int64_t bytes, int64_t count)
{
	int fd =
	    openat(root, FILE_NAME,
		   O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct maildirsize m;
	struct err e = ERR_INIT;
	char line[64];
	int n;

	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%lld %lld\n", (long long)bytes,
		     (long long)count);
	/* one write: lines of several writers do not mix */
	(void)!io_write(fd, line, (size_t)n, DEADLINE_NEVER);
	close(fd);
	if (maildirsize_read(&m, root, &e) == 0 && m.file_n > REWRITE_AT)
		maildirsize_sum(root, &m);
}
