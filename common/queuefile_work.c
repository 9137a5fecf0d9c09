/*
 * queuefile_work.c - working on queue entries: open, lock, check, mark, the
 * journal, the scan.
 * Layer: mail.  DESIGN 3.9: marks are written, not synced; a crash may repeat
 * a delivery and never loses one.
 */
#include "queuefile.h"
#include "clock.h"
#include "crc32.h"
#include "escape.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "queuefile_text.h"
#include "status.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A damaged entry this young may still be on its way in (cp, scp). */
#define YOUNG 600
#define NOTE_TEXT_MAX 500

/* 0: it is there; else the errno, of which ENOENT alone says that it is not. */
static int
look_for(const struct queuefile *q)
{
	if (faccessat(q->dirfd, q->place, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return errno;
}

/* Finds an ID that is not in its own folder: wherever somebody has copied it
 * to.  0, or the errno; ENOENT only when every folder has been looked into. */
static int
find_place(struct queuefile *q)
{
	int trouble = 0;

	for (unsigned i = 0; i < 256; i++) {
		snprintf(q->place, sizeof(q->place), "queue/%02X/%s", i, q->id);
		int r = look_for(q);
		if (r == 0)
			return 0;
		if (r != ENOENT)
			trouble = r;
	}
	return trouble != 0 ? trouble : ENOENT;
}

/* e says PLACE: WORDS; returns r. */
static enum queuefile_result
fail(enum queuefile_result r, struct err *e, const char *place,
     const char *words)
{
	(void)err_set(e, ST_TEMPFAIL, "%s: %s", place, words);
	return r;
}

/* An open file description lock: gone with the last descriptor, whatever
 * becomes of the process. */
static enum queuefile_result
lock_entry(struct queuefile *q, struct stat *st, struct err *e)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat named;

	if (fcntl(q->fd, F_OFD_SETLK, &fl) != 0) {
		if (errno == EAGAIN || errno == EACCES)
			return fail(QUEUEFILE_BUSY, e, q->place,
				    "somebody works on it");
		(void)err_sys(e, "%s: locking", q->place);
		return QUEUEFILE_ERROR;
	}
	/* Removed by whoever held the lock before us?  The lock is the
	 * file's, not the name's: without this look the message would be
	 * delivered again. */
	if (fstatat(q->dirfd, q->place, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
	    named.st_ino != st->st_ino || named.st_dev != st->st_dev)
		return fail(QUEUEFILE_GONE, e, q->place, "it is done");
	q->locked = true;
	/* its time and length may have changed while somebody else had it */
	if (fstat(q->fd, st) == 0)
		return QUEUEFILE_OK;
	(void)err_sys(e, "%s", q->place);
	return QUEUEFILE_ERROR;
}

/* Reads until the empty line that ends the envelope is there. */
static int
load_envelope(struct queuefile *q, struct buf *b, struct err *e)
{
	size_t seen = 0;

	for (;;) {
		size_t from = seen > 0 ? seen - 1 : 0;
		if (span_find(span_from(buf_span(b), from), SPAN("\n\n")) >= 0)
			return 0;
		seen = b->n;
		if (b->n >= QUEUEFILE_ENVELOPE_MAX)
			return err_set(e, ST_DATA, "the envelope is too long");
		char *room = buf_room(b, 65536);
		ssize_t n = pread(q->fd, room, 65536, (off_t)b->n);
		if (n < 0)
			return err_sys(e, "reading");
		if (n == 0)
			return err_set(e, ST_DATA, "it ends in its envelope");
		buf_grew(b, (size_t)n);
	}
}

/* n bytes of the file from `at`: of what was read with the envelope, else from
 * the file. */
static ssize_t
take_bytes(const struct queuefile *q, struct span read, uint64_t at, char *p,
	   size_t n)
{
	if (at + n > read.n)
		return pread(q->fd, p, n, (off_t)at);
	memcpy(p, read.p + at, n);
	return (ssize_t)n;
}

/* *crc goes on over the message; false and errno when it cannot be read. */
static bool
sum_message(const struct queuefile *q, struct span read, uint32_t *crc)
{
	char chunk[65536];

	if (q->msg_at + q->msg_size <= read.n) {
		*crc = crc32_add(*crc, read.p + q->msg_at, (size_t)q->msg_size);
		return true;
	}
	for (uint64_t at = 0; at < q->msg_size;) {
		ssize_t n = queuefile_read(q, at, chunk, sizeof(chunk));
		if (n <= 0)
			return false;
		*crc = crc32_add(*crc, chunk, (size_t)n);
		at += (uint64_t)n;
	}
	return true;
}

/* The trailer is where size says; with QUEUEFILE_CHECK the checksum too.
 * ST_DATA is damage, anything else is trouble that may pass. */
static int
check_trailer(struct queuefile *q, unsigned how, struct span read,
	      struct err *e)
{
	char have[QUEUEFILE_TRAILER], want[QUEUEFILE_TRAILER + 1];
	struct buf masked = BUF_INIT;
	uint64_t sum;
	size_t size_at;

	ssize_t n =
	    take_bytes(q, read, q->msg_at + q->msg_size, have, sizeof(have));
	if (n < 0)
		return err_sys(e, "reading");
	if (n != (ssize_t)sizeof(have))
		return err_set(e, ST_DATA, "it is cut off: no trailer");
	snprintf(want, sizeof(want), "\nmx-end: %020llu ",
		 (unsigned long long)q->msg_size);
	if (memcmp(have, want, QUEUEFILE_TRAILER - 9) != 0 ||
	    have[sizeof(have) - 1] != '\n' ||
	    !num_hex(span_make(have + sizeof(have) - 9, 8), UINT32_MAX, &sum))
		return err_set(e, ST_DATA, "it has no proper trailer");
	q->journal_at = q->msg_at + q->msg_size + sizeof(have);
	if (!(how & QUEUEFILE_CHECK))
		return 0;
	queuefile_dump(&masked, &q->env, 0, true, &size_at);
	uint32_t crc = crc32_add(0, masked.p, masked.n);
	buf_free(&masked);
	if (!sum_message(q, read, &crc))
		return err_sys(e, "reading");
	if (crc != sum)
		return err_set(e, ST_DATA, "its checksum is wrong");
	return 0;
}

/* Envelope, message and journal: their places in the file, which is `bytes`
 * long.  What was read for the envelope is most often all of it. */
static int
load(struct queuefile *q, unsigned how, int64_t bytes, struct err *e)
{
	struct buf b = BUF_INIT;
	size_t used;

	int r = load_envelope(q, &b, e);
	if (r == 0)
		r = queuefile_parse(&q->env, buf_span(&b), &used, &q->msg_size,
				    e);
	if (r == 0 && q->msg_size > INT64_MAX / 2)
		r = err_set(e, ST_DATA, "bad size");
	if (r == 0) {
		q->msg_at = used;
		r = check_trailer(q, how, buf_span(&b), e);
	}
	/* Nobody but the lock's owner makes it longer. */
	if (r == 0 && q->locked && (int64_t)b.n == bytes &&
	    b.p[b.n - 1] == '\n')
		q->end = bytes;
	buf_free(&b);
	return r;
}

/* Out of the queue's way, for a person to look at.  Never thrown away. */
static void
put_aside(struct queuefile *q, const struct stat *st, const struct err *e)
{
	char to[100];

	if (!q->locked || clock_now() - st->st_ctime < YOUNG)
		return;
	snprintf(to, sizeof(to), "corrupt/%s", q->id);
	if (faccessat(q->dirfd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		snprintf(to, sizeof(to), "corrupt/%s.%lld", q->id,
			 (long long)clock_now_us());
	if (renameat(q->dirfd, q->place, q->dirfd, to) == 0)
		log_error("%s: not a whole queue entry (%s): moved to %s",
			  q->place, e->text, to);
	else
		log_error("%s: not a whole queue entry (%s): cannot be moved",
			  q->place, e->text);
}

static void
open_place(struct queuefile *q, unsigned how)
{
	int mode = how & QUEUEFILE_LOCK ? O_RDWR : O_RDONLY;

	q->fd = openat(q->dirfd, q->place,
		       mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* What open_place did, with its errno; the caller closes q unless it is OK. */
static enum queuefile_result
open_entry(struct queuefile *q, unsigned how, struct err *e)
{
	struct stat st;

	if (q->fd < 0 && errno == ENOENT)
		return fail(QUEUEFILE_GONE, e, q->place, "it is done");
	if (q->fd < 0 || fstat(q->fd, &st) != 0) {
		(void)err_sys(e, "%s: opening", q->place);
		return QUEUEFILE_ERROR;
	}
	if (!S_ISREG(st.st_mode))
		return fail(QUEUEFILE_BAD, e, q->place, "not a file");
	if (how & QUEUEFILE_LOCK) {
		enum queuefile_result r = lock_entry(q, &st, e);
		if (r != QUEUEFILE_OK)
			return r;
	}
	q->next = st.st_mtime;
	struct err why = ERR_INIT;
	if (load(q, how, st.st_size, &why) == 0)
		return QUEUEFILE_OK;
	if (why.status == ST_DATA)
		put_aside(q, &st, &why);
	if (e != NULL)
		*e = why;
	(void)err_prefix(e, "%s", q->place);
	return why.status == ST_DATA ? QUEUEFILE_BAD : QUEUEFILE_ERROR;
}

enum queuefile_result
queuefile_open(struct queuefile *q, int dirfd, const char *id, unsigned how,
	       struct err *e)
{
	*q = (struct queuefile){ .dirfd = dirfd, .fd = -1 };
	if (strlen(id) >= sizeof(q->id))
		return fail(QUEUEFILE_GONE, e, id, "not a queue ID");
	snprintf(q->id, sizeof(q->id), "%s", id);
	if (strchr(id, '/') != NULL || id[0] == '.' || id[0] == '\0')
		return fail(QUEUEFILE_GONE, e, id, "no such queue entry");
	char folder[3];
	queuefile_folder(q->id, folder);
	snprintf(q->place, sizeof(q->place), "queue/%s/%s", folder, q->id);
	open_place(q, how);
	if (q->fd < 0 && errno == ENOENT) {
		int missing = find_place(q);
		if (missing == ENOENT)
			return fail(QUEUEFILE_GONE, e, id,
				    "no such queue entry");
		if (missing != 0) {
			errno = missing;
			(void)err_sys(e, "%s: looking for it", id);
			return QUEUEFILE_ERROR;
		}
		open_place(q, how);
	}
	enum queuefile_result r = open_entry(q, how, e);
	if (r != QUEUEFILE_OK)
		queuefile_close(q);
	return r;
}

ssize_t
queuefile_read(const struct queuefile *q, uint64_t at, void *p, size_t n)
{
	if (at >= q->msg_size)
		return 0;
	if (n > q->msg_size - at)
		n = (size_t)(q->msg_size - at);
	for (;;) {
		ssize_t got = pread(q->fd, p, n, (off_t)(q->msg_at + at));
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0) { /* cut off under our hands */
			errno = EIO;
			return -1;
		}
		return got;
	}
}

int
queuefile_message_fd(const struct queuefile *q, struct err *e)
{
	char path[40];

	/* By descriptor and not by name: it must be this very file. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", q->fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = openat(q->dirfd, q->place,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || lseek(fd, (off_t)q->msg_at, SEEK_SET) < 0) {
		(void)err_sys(e, "%s: opening", q->place);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* One byte: it is written whole or not at all (DESIGN 3.9). */
static int
put_letter(struct queuefile *q, int64_t at, char c, struct err *e)
{
	if (!q->locked)
		log_panic("%s: marked without its lock", q->place);
	if (pwrite(q->fd, &c, 1, (off_t)at) != 1)
		return err_sys(e, "%s: writing a mark", q->place);
	return 0;
}

int
queuefile_mark(struct queuefile *q, size_t i, char state, struct err *e)
{
	if (i >= q->env.nrcpt || strchr("QDFB", state) == NULL)
		log_panic("%s: bad mark", q->place);
	if (put_letter(q, q->env.rcpt[i].at, state, e) != 0)
		return -1;
	q->env.rcpt[i].state = state;
	return 0;
}

int
queuefile_hold(struct queuefile *q, bool hold, struct err *e)
{
	/* The letter stands at the beginning of the second line, behind
	 * VERSION_LINE. */
	if (put_letter(q, (int64_t)strlen("mx-queue: 1\n"),
		       hold ? QUEUEFILE_HELD : QUEUEFILE_QUEUED, e) != 0)
		return -1;
	q->env.hold = hold;
	return 0;
}

size_t
queuefile_count(const struct queuefile *q, char state)
{
	size_t n = 0;

	for (size_t i = 0; i < q->env.nrcpt; i++)
		n += q->env.rcpt[i].state == state;
	return n;
}

/* The journal: "TIME RECIPIENT WORD DSN RELAY TEXT" lines. */

/* One word of a journal line: printable, without blanks, never empty. */
static void
add_word(struct buf *b, struct span s)
{
	size_t from = b->n;

	escape_line(b, s, 200);
	for (size_t i = from; i < b->n; i++)
		if (b->p[i] == ' ')
			b->p[i] = '_';
	if (b->n == from)
		buf_addc(b, '-');
	buf_addc(b, ' ');
}

/* Once an opening: while the lock is ours nobody else writes.  *half_r: the
 * last line has no end. */
static int
find_end(struct queuefile *q, bool *half_r, struct err *e)
{
	struct stat st;
	char last;

	if (fstat(q->fd, &st) != 0 ||
	    pread(q->fd, &last, 1, st.st_size - 1) != 1)
		return err_sys(e, "%s: reading its end", q->place);
	*half_r = last != '\n';
	q->end = st.st_size;
	return 0;
}

int
queuefile_note(struct queuefile *q, const struct queuefile_note *n,
	       struct err *e)
{
	struct buf b = BUF_INIT;
	bool half = false;

	if (!q->locked)
		log_panic("%s: noted without its lock", q->place);
	if (q->end == 0 && find_end(q, &half, e) != 0)
		return -1;
	if (half) /* of somebody who was killed */
		buf_addc(&b, '\n');
	buf_addf(&b, "%lld %zu ",
		 (long long)(n->time != 0 ? n->time : clock_now()),
		 n->rcpt == SIZE_MAX ? 0 : n->rcpt + 1);
	add_word(&b, n->word);
	add_word(&b, n->dsn);
	add_word(&b, n->relay);
	escape_line(&b, n->text, NOTE_TEXT_MAX);
	buf_addc(&b, '\n');
	ssize_t put = pwrite(q->fd, b.p, b.n, q->end);
	bool whole = put == (ssize_t)b.n;
	q->end = whole ? q->end + put : 0;
	buf_free(&b);
	if (whole)
		return 0;
	if (put >= 0)
		errno = ENOSPC;
	return err_sys(e, "%s: writing its journal", q->place);
}

/* False on anything that is not a whole line of ours. */
static bool
parse_note(struct span line, size_t nrcpt, struct queuefile_note *n)
{
	struct span rest = line, word;
	uint64_t num;

	if (!span_split(&rest, ' ', &word) ||
	    !num_i64(word, 0, INT64_MAX, &n->time) ||
	    !span_split(&rest, ' ', &word) || !num_u64(word, nrcpt, &num) ||
	    !span_split(&rest, ' ', &n->word) ||
	    !span_split(&rest, ' ', &n->dsn) ||
	    !span_split(&rest, ' ', &n->relay) || rest.p == NULL)
		return false;
	n->rcpt = num == 0 ? SIZE_MAX : (size_t)num - 1;
	n->text = rest;
	return !span_has_ctl(line);
}

/* The whole lines of b, which are dropped from it. */
static void
visit_lines(struct buf *b, size_t nrcpt,
	    void (*fn)(void *, const struct queuefile_note *), void *ctx)
{
	size_t at = 0;

	for (;;) {
		struct span rest = span_from(buf_span(b), at);
		ssize_t lf = span_chr(rest, '\n');
		struct queuefile_note n;
		if (lf < 0)
			break;
		if (parse_note(span_sub(rest, 0, (size_t)lf), nrcpt, &n))
			fn(ctx, &n);
		at += (size_t)lf + 1;
	}
	buf_shift(b, at);
	/* No line of ours is that long. */
	if (b->n > 65536)
		buf_clear(b);
}

int
queuefile_notes(const struct queuefile *q,
		void (*fn)(void *ctx, const struct queuefile_note *n),
		void *ctx, struct err *e)
{
	struct buf b = BUF_INIT;
	uint64_t at = q->journal_at;
	ssize_t n;

	if (q->locked && q->end == (int64_t)at)
		return 0; /* there is none yet */
	do {
		char *room = buf_room(&b, 65536);
		n = pread(q->fd, room, 65536, (off_t)at);
		if (n > 0) {
			buf_grew(&b, (size_t)n);
			at += (uint64_t)n;
			visit_lines(&b, q->env.nrcpt, fn, ctx);
		}
	} while (n > 0);
	buf_free(&b);
	return n < 0 ? err_sys(e, "%s: reading its journal", q->place) : 0;
}

static int
set_times(struct queuefile *q, const struct timespec ts[2], struct err *e)
{
	if (futimens(q->fd, ts) != 0)
		return err_sys(e, "%s: setting its time", q->place);
	q->next = ts[1].tv_sec;
	return 0;
}

int
queuefile_next(struct queuefile *q, time_t when, struct err *e)
{
	/* Both times: with one alone inotify(7) calls it IN_MODIFY, as every
	 * write, and the runner looks for IN_ATTRIB. */
	struct timespec ts[2] = { { .tv_sec = when }, { .tv_sec = when } };

	return set_times(q, ts, e);
}

int
queuefile_ahead(struct queuefile *q, time_t when, struct err *e)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT },
				  { .tv_sec = when } };

	return set_times(q, ts, e);
}

int
queuefile_remove(struct queuefile *q, struct err *e)
{
	if (!q->locked)
		log_panic("%s: removed without its lock", q->place);
	if (unlinkat(q->dirfd, q->place, 0) != 0 && errno != ENOENT)
		return err_sys(e, "%s: removing", q->place);
	return 0;
}

void
queuefile_close(struct queuefile *q)
{
	if (q->fd >= 0)
		close(q->fd);
	queuefile_env_free(&q->env);
	q->fd = -1;
	q->locked = false;
}

/* The scan. */

/* 0: go on; 1: fn said stop; -1: trouble. */
static int
scan_folder(int dirfd, unsigned number,
	    bool (*fn)(void *, const struct queuefile_found *), void *ctx,
	    struct err *e)
{
	char name[16];
	struct dirent *de;
	int r = 0;

	snprintf(name, sizeof(name), "queue/%02X", number);
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s: opening", name);
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_sys(e, "%s: reading", name);
	}
	/* errno tells the end of the folder from a failure to read on */
	for (errno = 0; r == 0 && (de = readdir(dir)) != NULL; errno = 0) {
		struct stat st;
		if (de->d_name[0] == '.' ||
		    strlen(de->d_name) >= sizeof(((struct queuefile *)0)->id) ||
		    fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		struct queuefile_found f = { .id = de->d_name,
					     .next = st.st_mtime,
					     .bytes = st.st_size };
		r = fn(ctx, &f) ? 0 : 1;
	}
	if (r == 0 && errno != 0)
		r = err_sys(e, "%s: reading", name);
	closedir(dir);
	return r;
}

int
queuefile_scan_from(int dirfd, unsigned *folder,
		    bool (*fn)(void *ctx, const struct queuefile_found *f),
		    void *ctx, struct err *e)
{
	int r = 0;

	while (r == 0 && *folder < 256) {
		r = scan_folder(dirfd, *folder, fn, ctx, e);
		*folder += r == 0;
	}
	return r < 0 ? -1 : 0;
}

int
queuefile_scan(int dirfd,
	       bool (*fn)(void *ctx, const struct queuefile_found *f),
	       void *ctx, struct err *e)
{
	unsigned folder = 0;

	return queuefile_scan_from(dirfd, &folder, fn, ctx, e);
}

void
queuefile_sweep(int dirfd, int64_t age)
{
	int fd = openat(dirfd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((de = readdir(dir)) != NULL) {
		struct stat st;
		if (de->d_name[0] != '.' &&
		    fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && clock_now() - st.st_mtime > age)
			(void)unlinkat(fd, de->d_name, 0);
	}
	closedir(dir);
}
