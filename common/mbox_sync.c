/*
 * mbox_sync.c - taking an mbox over into its folder: a message is known by
 * what it holds (SHA-256 in its file's name), wherever in the mbox it moved to
 * and whatever flags it was given; so its UID stays, and a UID never names
 * other bytes.
 * Layer: mail.
 */
#include "mbox_shadow.h"
#include "clock.h"
#include "dotlock.h"
#include "keywords.h"
#include "maildir.h"
#include "mbox_read.h"
#include "mem.h"
#include "num.h"
#include "status.h"
#include "strs.h"
#include "uidlist.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_MS 30000
#define READ_LOCK_MS 10000
/* So long ago a change must lie for its time to tell it from the next one. */
#define UNSURE_NS 1000000000LL
#define HASH_TEXT 32

struct newcomer {
	char *tmp, *name;
	uint32_t uid; /* that the mbox gives it, or 0 */
};
struct sync {
	int fd; /* the folder */
	const char *path;
	struct map *there; /* "HASH-N" -> file name in cur/ */
	struct map *count; /* HASH -> how often it was seen */
	struct newcomer *v;
	size_t n, cap;
	int64_t now_us; /* of the first newcomer's name */
	/* what the first message says: nobody else may */
	bool begun;
	uint32_t validity, last_uid;
	char *known; /* keywords */
	struct keywords kw;
	struct err *e;
};

static int64_t
mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* "SECONDS.MUSECx.HASH-N" -> "HASH-N"; p NULL: not one of ours. */
static struct span
key_of(struct span base)
{
	ssize_t dot = span_chr(base, '.');
	struct span rest;

	if (dot < 0)
		return span_make(NULL, 0);
	rest = span_from(base, (size_t)dot + 1);
	dot = span_chr(rest, '.');
	if (dot < 0)
		return span_make(NULL, 0);
	rest = span_from(rest, (size_t)dot + 1);
	dot = span_chr(rest, ',');
	return dot > HASH_TEXT ? span_sub(rest, 0, (size_t)dot)
			       : span_make(NULL, 0);
}

static int
note_file(void *ctx, const char *file, size_t n)
{
	struct sync *s = ctx;
	struct span f = span_make(file, n), key;
	struct maildir_name name;
	struct stat st;
	char *path;

	maildir_name_parse(&name, f);
	key = key_of(name.base);
	path = mem_printf("cur/%.*s", SPAN_ARG(f));
	/* a leftover of a power cut is written anew, under another name */
	if (key.p == NULL || fstatat(s->fd, path, &st, 0) != 0 ||
	    (uint64_t)st.st_size != name.size ||
	    map_get(s->there, key) != NULL) {
		(void)unlinkat(s->fd, path, 0);
		free(path);
	} else {
		(void)map_put(s->there, key, path);
	}
	return 0;
}

static void
make_key(struct sync *s, struct buf *key, struct span bytes)
{
	unsigned char sum[SHA256_DIGEST_LENGTH];
	uintptr_t seen;

	(void)SHA256((const unsigned char *)bytes.p, bytes.n, sum);
	for (int i = 0; i < HASH_TEXT / 2; i++)
		buf_addf(key, "%02x", sum[i]);
	/* the same bytes twice are two messages */
	seen = (uintptr_t)map_get(s->count, buf_span(key)) + 1;
	(void)map_put(s->count, buf_span(key), (void *)seen);
	buf_addf(key, "-%lu", (unsigned long)seen);
}

/* Takes the flags over that the mbox has now. */
static int
reflag(struct sync *s, char *path, maildir_flags flags)
{
	struct span file = span_from(span_of(path), 4);
	struct buf to = BUF_INIT;
	struct maildir_name name;
	int r = 0;

	maildir_name_parse(&name, file);
	buf_adds(&to, "cur/");
	maildir_name_make(&to, name.base, flags);
	if (name.flags != flags &&
	    renameat(s->fd, path, s->fd, buf_str(&to)) != 0 && errno != ENOENT)
		r = err_sys(s->e, "%s", path);
	buf_free(&to);
	return r;
}

static int
write_file(struct sync *s, const char *tmp, struct span bytes, int64_t when)
{
	struct timespec times[2] = { { .tv_sec = (time_t)when },
				     { .tv_sec = (time_t)when } };
	int fd =
	    openat(s->fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t at = 0;

	if (fd < 0)
		return err_sys(s->e, "%s", tmp);
	while (at < bytes.n) {
		ssize_t put = write(fd, bytes.p + at, bytes.n - at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			break;
		at += (size_t)put;
	}
	if (at < bytes.n || futimens(fd, times) != 0 || fsync(fd) != 0) {
		err_sys(s->e, "%s: writing", tmp);
		close(fd);
		return -1;
	}
	return close(fd) != 0 ? err_sys(s->e, "%s: closing", tmp) : 0;
}

static size_t
crlf_size(struct span s)
{
	size_t n = s.n;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r');
	return n;
}

/* UIDs are given in the order of the names: each later by a microsecond. */
static int
take_new(struct sync *s, struct span key, struct span bytes,
	 maildir_flags flags, int64_t when, uint32_t uid)
{
	struct buf base = BUF_INIT, name = BUF_INIT;
	struct newcomer *x;
	int64_t us = s->now_us + (int64_t)s->n;

	s->v = mem_grow(s->v, &s->cap, s->n + 1, sizeof(*s->v));
	x = &s->v[s->n++];
	buf_addf(&base, "%lld.M%06lldx.%.*s,S=%zu,W=%zu",
		 (long long)(us / 1000000), (long long)(us % 1000000),
		 SPAN_ARG(key), bytes.n, crlf_size(bytes));
	buf_adds(&name, "cur/");
	maildir_name_make(&name, buf_span(&base), flags);
	x->tmp = mem_printf("tmp/%s", buf_str(&base));
	x->name = buf_steal(&name);
	x->uid = uid;
	buf_free(&base);
	return write_file(s, x->tmp, bytes, when);
}

static bool
is_known(const struct sync *s, struct span keyword)
{
	struct span known = span_of(s->known != NULL ? s->known : ""), word;

	while (span_word(&known, " \t\r\n", &word))
		if (span_ieq(word, keyword))
			return true;
	return false;
}

/* Keywords of X-Keywords, as far as the first message knows them: others came
 * with a stranger's message, as Dovecot takes it too. */
static int
add_keywords(struct sync *s, struct span words, maildir_flags *flags)
{
	struct span word;

	while (span_word(&words, " \t\r\n", &word)) {
		int at;

		if (!is_known(s, word) || !keywords_valid(word))
			continue;
		at = keywords_add(&s->kw, s->fd, word, s->e);
		if (at == -1)
			return -1;
		if (at >= 0) /* no letter left: it goes without */
			*flags |= MAILDIR_KEYWORD_BIT(at);
	}
	return 0;
}

/* What other servers noted of the message; *uid_r 0: nothing that counts. */
static int
take_facts(struct sync *s, struct span raw, maildir_flags *flags,
	   uint32_t *uid_r)
{
	struct mbox_facts f;

	mbox_facts(&f, raw);
	if (!s->begun) {
		s->validity = f.validity;
		s->last_uid = f.last_uid;
		s->known = mem_spandup(f.known);
	}
	s->begun = true;
	*uid_r = s->validity != 0 && f.uid <= s->last_uid ? f.uid : 0;
	return add_keywords(s, f.keywords, flags);
}

static int
each_message(struct sync *s, int in)
{
	struct mbox_reader reader = { .fd = in, .max = MBOX_MESSAGE_MAX };
	struct buf bytes = BUF_INIT, key = BUF_INIT;
	struct mbox_part p;
	int r = 0, more;

	while (r == 0 &&
	       (more = mbox_reader_next(&reader, s->path, &p, s->e)) != 0) {
		maildir_flags flags;
		uint32_t uid;
		bool is;
		char *path;

		if (more < 0) {
			r = -1;
			break;
		}
		buf_clear(&bytes);
		buf_clear(&key);
		is = mbox_message(&bytes, p.raw, &flags);
		r = take_facts(s, p.raw, &flags, &uid);
		if (r != 0 || !is)
			continue;
		make_key(s, &key, buf_span(&bytes));
		path = map_del(s->there, buf_span(&key));
		if (path != NULL)
			r = reflag(s, path, flags);
		else
			r = take_new(s, buf_span(&key), buf_span(&bytes), flags,
				     p.time, uid);
		free(path);
	}
	mbox_reader_done(&reader);
	buf_free(&bytes);
	buf_free(&key);
	return r;
}

/* UIDs that the mbox gives to newcomers, where they are above all that were
 * given here under the same validity; noted before the files are shown. */
static int
note_uids(struct sync *s)
{
	struct dotlock lock;
	struct uidlist u;
	bool any = false;
	int r;

	for (size_t i = 0; i < s->n; i++)
		any = any || s->v[i].uid != 0;
	if (!any)
		return 0;
	if (uidlist_lock(&lock, s->fd, clock_deadline(LOCK_MS), s->e) != 0)
		return -1;
	uidlist_init(&u);
	r = uidlist_read(&u, s->fd, s->e);
	if (r == 0 && u.uidvalidity == 0)
		uidlist_found(&u, s->validity);
	if (r == 0 && u.uidvalidity == s->validity) {
		for (size_t i = 0; i < s->n; i++) {
			struct maildir_name name;

			if (s->v[i].uid < u.uidnext)
				continue;
			maildir_name_parse(&name,
					   span_from(span_of(s->v[i].name), 4));
			u.uidnext = s->v[i].uid;
			(void)uidlist_add(&u, name.base);
		}
		if (u.uidnext <= s->last_uid)
			u.uidnext = s->last_uid + 1;
		r = uidlist_write(&u, s->fd, &lock, s->e);
	}
	uidlist_done(&u);
	dotlock_drop(&lock);
	return r;
}

/* All of it is on disk: shown together, and what the mbox lost goes. */
static int
publish(struct sync *s)
{
	struct span key;
	void *path;
	size_t i = 0;
	int cur;

	for (size_t k = 0; k < s->n; k++)
		if (renameat(s->fd, s->v[k].tmp, s->fd, s->v[k].name) != 0)
			return err_sys(s->e, "%s", s->v[k].name);
	while (map_next(s->there, &i, &key, &path))
		if (unlinkat(s->fd, path, 0) != 0 && errno != ENOENT)
			return err_sys(s->e, "%s", (char *)path);
	cur = openat(s->fd, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cur < 0 || fsync(cur) != 0) {
		err_sys(s->e, "%s: its folder", s->path);
		if (cur >= 0)
			close(cur);
		return -1;
	}
	return close(cur) != 0 ? err_sys(s->e, "%s", s->path) : 0;
}

/* in < 0: none is there. */
static int
take_over(struct sync *s, int in)
{
	struct timespec ts;
	int r;

	clock_gettime(CLOCK_REALTIME, &ts);
	s->now_us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	s->there = map_new();
	s->count = map_new();
	r = keywords_read(&s->kw, s->fd, s->e);
	if (r == 0)
		r = maildir_each(s->fd, "cur", note_file, s, s->e);
	if (r == 0 && in >= 0)
		r = each_message(s, in);
	if (r == 0)
		r = note_uids(s);
	if (r == 0)
		r = publish(s);
	for (size_t i = 0; i < s->n; i++) {
		if (r != 0)
			(void)unlinkat(s->fd, s->v[i].tmp, 0);
		free(s->v[i].tmp);
		free(s->v[i].name);
	}
	free(s->v);
	free(s->known);
	keywords_free(&s->kw);
	map_free(s->there, free);
	map_free(s->count, NULL);
	return r;
}

/* Against writers that lock, as all do; the lock goes with the descriptor. */
static int
lock_for_reading(int fd, const char *path, struct err *e)
{
	struct flock fl = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	deadline_t d = clock_deadline(READ_LOCK_MS);

	while (fcntl(fd, F_OFD_SETLK, &fl) != 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return err_sys(e, "%s: locking it", path);
		if (clock_left(d) == 0)
			return err_set(e, ST_TEMPFAIL,
				       "%s: somebody else has it locked", path);
		poll(NULL, 0, 20);
	}
	return 0;
}

/* *st is the state that what is read afterwards has, or a later one. */
static int
begin_reading(int fd, const char *path, struct stat *st, struct err *e)
{
	if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))
		return err_set(e, ST_TEMPFAIL, "%s: no regular file", path);
	if (lock_for_reading(fd, path, e) != 0)
		return -1;
	return fstat(fd, st) != 0 ? err_sys(e, "%s", path) : 0;
}

static void
note_state(struct mbox_view *v, const struct stat *s)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	v->ino = s->st_ino;
	v->size = s->st_size;
	v->ns = mtime_ns(s);
	if (v->ns > (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - UNSURE_NS)
		v->ns = -1;
}

/* mx-mbox: the path, and the state that was taken over. */
static int
read_state(int fd, struct mbox_view *v, struct err *e)
{
	struct buf text = BUF_INIT;
	struct span rest, line, word;
	uint64_t n[3];
	int r = dotlock_read(fd, MBOX_SHADOW_FILE, &text, e);

	rest = buf_span(&text);
	if (r == 0 && (!span_split(&rest, '\n', &line) || line.n == 0 ||
		       line.p[0] != '/'))
		r = err_set(e, ST_DATA, "%s: no path of an mbox",
			    MBOX_SHADOW_FILE);
	if (r == 0) {
		free(v->path);
		*v = (struct mbox_view){ .path = mem_spandup(line), .ns = -1 };
		for (int i = 0; i < 3; i++)
			if (!span_word(&rest, " \n", &word) ||
			    !num_u64(word, INT64_MAX, &n[i]))
				rest.n = n[i] = 0;
		v->ino = n[0];
		v->size = (int64_t)n[1];
		v->ns = n[2] > 0 ? (int64_t)n[2] : -1;
	}
	buf_free(&text);
	return r;
}

static bool
same(const struct mbox_view *v)
{
	struct stat s;

	return v->path != NULL && v->ns >= 0 && stat(v->path, &s) == 0 &&
	       v->ino == s.st_ino && v->size == s.st_size &&
	       v->ns == mtime_ns(&s);
}

int
mbox_shadow_note(int fd, struct span text, struct err *e)
{
	static const char tmp[] = MBOX_SHADOW_FILE ".new";
	int out =
	    openat(fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok;

	if (out < 0)
		return err_sys(e, "%s", tmp);
	ok = write(out, text.p, text.n) == (ssize_t)text.n && fsync(out) == 0;
	if (!ok)
		err_sys(e, "%s: writing", tmp);
	if (close(out) != 0 && ok)
		return err_sys(e, "%s: closing", tmp);
	if (!ok)
		return -1;
	return renameat(fd, tmp, fd, MBOX_SHADOW_FILE) != 0 || fsync(fd) != 0
		   ? err_sys(e, "%s", MBOX_SHADOW_FILE)
		   : 0;
}

int
mbox_shadow_lock(int fd, struct err *e)
{
	deadline_t d = clock_deadline(LOCK_MS);
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (own < 0)
		return err_sys(e, "the folder of an mbox");
	while (flock(own, LOCK_EX | LOCK_NB) != 0) {
		if ((errno == EWOULDBLOCK || errno == EINTR) &&
		    clock_left(d) > 0) {
			poll(NULL, 0, 20);
			continue;
		}
		err_sys(e, "the folder of an mbox: locking it");
		close(own);
		return -1;
	}
	return own;
}

/* Under the folder's lock. */
static int
locked_sync(int fd, struct mbox_view *v, struct err *e)
{
	struct buf text = BUF_INIT;
	struct sync s = { .fd = fd, .path = v->path, .e = e };
	struct stat sb = { .st_ino = 0 };
	int in = open(v->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	int r = 0;

	/* no mbox is an empty one: many programs remove those */
	if (in < 0 && errno != ENOENT)
		return err_sys(e, "%s", v->path);
	if (in >= 0)
		r = begin_reading(in, v->path, &sb, e);
	if (r == 0)
		r = take_over(&s, in);
	if (r == 0) {
		note_state(v, &sb);
		buf_addf(&text, "%s\n", v->path);
		if (v->ns >= 0)
			buf_addf(&text, "%llu %lld %lld\n",
				 (unsigned long long)v->ino, (long long)v->size,
				 (long long)v->ns);
		r = mbox_shadow_note(fd, buf_span(&text), e);
	}
	if (in >= 0)
		close(in); /* and the lock with it */
	buf_free(&text);
	return r;
}

int
mbox_shadow_sync(int fd, struct mbox_view *v, struct err *e)
{
	int lock, r;

	if (same(v))
		return 0;
	lock = mbox_shadow_lock(fd, e);
	if (lock < 0)
		return -1;
	r = read_state(fd, v, e);
	if (r == 0 && !same(v))
		r = locked_sync(fd, v, e);
	close(lock);
	return r;
}
