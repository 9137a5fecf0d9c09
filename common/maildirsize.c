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
#define FILE_MAX ((size_t)64 << 10)
#define REWRITE_AT 5120
#define COUNT_MAX ((uint64_t)INT64_MAX / 2)

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
			m->bytes += n[0];
			m->count += n[1];
		}
	}
	if (m->bytes < 0)
		m->bytes = 0;
	if (m->count < 0)
		m->count = 0;
}

struct sum {
	int fd;
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
		s->bytes += (int64_t)name.size;
		s->count++;
	}
	return 0;
}

static void
add_folder(int root, const char *folder, struct sum *s)
{
	static const char *const subs[] = { "new", "cur" };
	struct err e = ERR_INIT;

	s->fd = openat(root, folder,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->fd < 0)
		return;
	for (size_t i = 0; i < 2; i++) {
		s->sub = subs[i];
		(void)!maildir_each(s->fd, subs[i], add_file, s, &e);
	}
	close(s->fd);
}

/* Sums up all folders and puts a short file in the place of the long one. */
void
maildirsize_sum(int root, const struct maildirsize *m)
{
	static const char tmp[] = "tmp/" FILE_NAME ".mx";
	int dir = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	DIR *d = dir >= 0 ? fdopendir(dir) : NULL;
	struct sum s = { .fd = -1 };
	struct dirent *x;
	char text[160];
	int n;

	if (d == NULL) {
		if (dir >= 0)
			close(dir);
		return;
	}
	add_folder(root, ".", &s);
	while ((x = readdir(d)) != NULL)
		if (x->d_name[0] == '.' && x->d_name[1] != '.' &&
		    x->d_name[1] != '\0')
			add_folder(root, x->d_name, &s);
	closedir(d);
	n = snprintf(text, sizeof(text), "%lluS,%lluC\n%lld %lld\n",
		     (unsigned long long)m->max_bytes,
		     (unsigned long long)m->max_count, (long long)s.bytes,
		     (long long)s.count);
	fd =
	    openat(root, tmp,
		   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (io_write(fd, text, (size_t)n, DEADLINE_NEVER) != IO_OK ||
	    close(fd) != 0 || renameat(root, tmp, root, FILE_NAME) != 0)
		(void)unlinkat(root, tmp, 0);
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
