/*
 * mailbox_file.c - the files of single messages: opening, renaming for flags,
 * removing, and numbering those that were put into a folder.
 * Another program may rename a file at any time: then it is looked for by its
 * base name, and the work is done again.
 * Layer: mail.
 */
#include "mailbox.h"
#include "mem.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* So often may another program rename a file while we work on it. */
#define TRIES 5
/* So many are searched for one by one before all are. */
#define SEARCHES_MAX 4
#define LOCK_MS 30000
#define AHEAD_BYTES 65536
/* After one message that the disk had to be asked for; what is read ahead is
 * in memory when its turn comes and would end it too early. */
#define COLD_SCAN 1024

/* Looking through a folder for the message of a base name. */
struct search {
	struct mailbox *mb;
	struct span base;
	struct message *m;
	bool in_new;
};

static int
match(void *ctx, const char *file, size_t n)
{
	struct search *s = ctx;
	struct span f = span_make(file, n);
	struct maildir_name name;

	if (!span_starts(f, s->base))
		return 0;
	maildir_name_parse(&name, f);
	if (!span_eq(name.base, s->base))
		return 0;
	message_take(s->mb, s->m, f, &name, s->in_new);
	return 1;
}

/* Looks for one message through both directories, twice: a rename while a
 * directory is read may hide it. */
static int
search_one(struct mailbox *mb, struct message *m)
{
	char *base = mem_spandup(span_make(m->file, m->base_n));
	struct search s = { mb, span_of(base), m, true };
	struct err e = ERR_INIT;
	int r = 0;

	for (int i = 0; r == 0 && i < 2; i++) {
		s.in_new = true;
		r = maildir_each(mb->fd, "new", match, &s, &e);
		s.in_new = false;
		if (r == 0)
			r = maildir_each(mb->fd, "cur", match, &s, &e);
	}
	free(base);
	if (r == 0) {
		m->gone = true;
		mailbox_mark(mb, m);
	}
	return r;
}

/* Looking for all of them at once. */
struct refresh {
	struct mailbox *mb;
	struct map *by_base; /* number + 1 */
	size_t missing;
	bool in_new;
};

static int
refresh_file(void *ctx, const char *file, size_t n)
{
	struct refresh *x = ctx;
	struct span f = span_make(file, n);
	struct maildir_name name;
	struct message *m;
	uintptr_t at;

	maildir_name_parse(&name, f);
	at = (uintptr_t)map_get(x->by_base, name.base);
	if (at == 0)
		return 0;
	m = &x->mb->v[at - 1];
	if (!m->here)
		x->missing--;
	m->here = true;
	message_take(x->mb, m, f, &name, x->in_new);
	return 0;
}

/* The names of all messages as they are now; those that two looks do not see
 * are gone. */
static int
refresh(struct mailbox *mb)
{
	struct refresh x = { .mb = mb, .by_base = map_new() };
	struct err e = ERR_INIT;
	int r = 0;

	for (size_t i = 0; i < mb->n; i++) {
		struct message *m = &mb->v[i];

		m->here = m->gone;
		if (m->gone)
			continue;
		x.missing++;
		(void)map_put(x.by_base, span_make(m->file, m->base_n),
			      (void *)(uintptr_t)(i + 1));
	}
	for (int i = 0; r == 0 && x.missing > 0 && i < 2; i++) {
		x.in_new = true;
		r = maildir_each(mb->fd, "new", refresh_file, &x, &e);
		x.in_new = false;
		if (r == 0)
			r = maildir_each(mb->fd, "cur", refresh_file, &x, &e);
	}
	for (size_t i = 0; r == 0 && i < mb->n; i++) {
		if (mb->v[i].here)
			continue;
		mb->v[i].gone = true;
		mailbox_mark(mb, &mb->v[i]);
	}
	map_free(x.by_base, NULL);
	return r;
}

/* Finds the file under its present name: 1; 0 when it is gone; -1 and errno
 * when the folder could not be read, which says nothing about the message.
 * One is searched for by itself.  But where another program renames all of a
 * large folder while we go through it, each search would read the folder: after
 * some, all names are taken over in one. */
static int
relocate(struct mailbox *mb, struct message *m)
{
	if (mb->searches < SEARCHES_MAX) {
		mb->searches++;
		return search_one(mb, m);
	}
	mb->searches = 0;
	if (refresh(mb) != 0)
		return -1;
	return m->gone ? 0 : 1;
}

void
mailbox_path(struct buf *b, const struct message *m)
{
	buf_addf(b, "%s/%s", m->in_new ? "new" : "cur", m->file);
}

void
mailbox_read_ahead(struct mailbox *mb, struct message *m)
{
	size_t at = m->uid % MAILBOX_AHEAD;
	struct buf path = BUF_INIT;
	int fd;

	if (mb->cold == 0 || mb->ahead[at].uid == m->uid || m->gone)
		return;
	mailbox_path(&path, m);
	fd = openat(mb->fd, buf_str(&path),
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	buf_free(&path);
	if (fd < 0)
		return;
	(void)posix_fadvise(fd, 0, AHEAD_BYTES, POSIX_FADV_WILLNEED);
	if (mb->ahead[at].uid != 0)
		close(mb->ahead[at].fd);
	mb->ahead[at].uid = m->uid;
	mb->ahead[at].fd = fd;
}

ssize_t
mailbox_read_first(struct mailbox *mb, int fd, void *room, size_t n)
{
	struct iovec v = { room, n };
	ssize_t got = preadv2(fd, &v, 1, -1, RWF_NOWAIT);

	if (got >= 0) {
		if (mb->cold > 0)
			mb->cold--;
		return got;
	}
	/* not there, or a file system or sandbox that cannot tell */
	mb->cold = COLD_SCAN;
	return read(fd, room, n);
}

int
mailbox_open_message(struct mailbox *mb, struct message *m)
{
	struct buf path = BUF_INIT;
	size_t ahead = m->uid % MAILBOX_AHEAD;
	int fd = -1;

	if (mb->ahead[ahead].uid == m->uid && !m->gone) {
		mb->ahead[ahead].uid = 0;
		return mb->ahead[ahead].fd;
	}

	for (int i = 0; !m->gone && i < TRIES; i++) {
		buf_clear(&path);
		mailbox_path(&path, m);
		fd = openat(mb->fd, buf_str(&path),
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0 || errno != ENOENT)
			break;
		int found = relocate(mb, m);
		if (found == 0)
			errno = ENOENT;
		if (found <= 0)
			break;
	}
	if (fd < 0 && m->gone)
		errno = ENOENT;
	int saved = errno;
	buf_free(&path);
	errno = saved;
	return fd;
}

int
mailbox_stat_message(struct mailbox *mb, struct message *m, struct err *e)
{
	struct buf path = BUF_INIT;
	struct stat st;
	int r = -1;

	if (m->mtime != INT64_MIN && m->size != MAILDIR_NO_SIZE)
		return 0;
	errno = ENOENT;
	for (int i = 0; !m->gone && i < TRIES; i++) {
		buf_clear(&path);
		mailbox_path(&path, m);
		r = fstatat(mb->fd, buf_str(&path), &st, AT_SYMLINK_NOFOLLOW);
		if (r == 0 || errno != ENOENT || relocate(mb, m) <= 0)
			break;
	}
	buf_free(&path);
	if (r != 0)
		return err_sys(e, "message %lu", (unsigned long)m->uid);
	m->mtime = st.st_mtime;
	m->size = (uint64_t)st.st_size;
	return 0;
}

int
mailbox_set_flags(struct mailbox *mb, struct message *m, maildir_flags set,
		  maildir_flags clear, struct err *e)
{
	struct buf from = BUF_INIT, to = BUF_INIT;
	int r = -1;

	errno = ENOENT;
	for (int i = 0; !m->gone && i < TRIES; i++) {
		maildir_flags want = (m->flags & ~clear) | set;

		buf_clear(&from);
		mailbox_path(&from, m);
		buf_clear(&to);
		buf_adds(&to, "cur/");
		maildir_name_make(&to, span_make(m->file, m->base_n), want);
		if (want == m->flags &&
		    (m->in_new || strcmp(buf_str(&from), buf_str(&to)) == 0)) {
			/* nothing to do, if that is still its name: another
			 * session may have changed what we are to set */
			r = faccessat(mb->fd, buf_str(&from), F_OK,
				      AT_SYMLINK_NOFOLLOW);
			if (r == 0 || errno != ENOENT || relocate(mb, m) <= 0)
				break;
			continue;
		}
		r = renameat(mb->fd, buf_str(&from), mb->fd, buf_str(&to));
		if (r == 0) {
			mailbox_own(mb, buf_str(&from), false);
			mailbox_own(mb, buf_str(&to), true);
			message_free(m);
			m->file = mem_strdup(buf_str(&to) + 4);
			m->in_new = false;
			m->flags = want;
			mb->renamed = true;
			mailbox_mark(mb, m);
			break;
		}
		if (errno != ENOENT || relocate(mb, m) <= 0)
			break;
	}
	buf_free(&from);
	buf_free(&to);
	if (r != 0)
		return err_sys(e, "message %lu: setting its flags",
			       (unsigned long)m->uid);
	return 0;
}

int
mailbox_unlink(struct mailbox *mb, struct message *m, maildir_flags with,
	       struct err *e)
{
	struct buf path = BUF_INIT;
	bool spared = false;

	for (int i = 0; !m->gone && i < TRIES; i++) {
		/* another session took the flag from it, and was told so */
		spared = (m->flags & with) != with;
		if (spared)
			break;
		buf_clear(&path);
		mailbox_path(&path, m);
		if (unlinkat(mb->fd, buf_str(&path), 0) == 0) {
			mailbox_own(mb, buf_str(&path), false);
			m->gone = true;
			mb->renamed = true;
			mailbox_mark(mb, m);
		} else if (errno != ENOENT || relocate(mb, m) < 0) {
			break;
		}
	}
	/* "removed" is said only of what is: one that was renamed before each
	 * of our tries is still there */
	int r = m->gone || spared ? 0
				  : err_sys(e, "message %lu: removing it",
					    (unsigned long)m->uid);
	buf_free(&path);
	return r;
}

static int
number_all(struct uidlist *u, const struct strs *bases, uint32_t *uids_r,
	   struct err *e)
{
	for (size_t i = 0; i < bases->n; i++) {
		struct span base = span_of(bases->v[i]);
		uint32_t uid = uidlist_find(u, base);

		if (uid == 0)
			uid = uidlist_add(u, base);
		if (uid == 0)
			return err_set(e, ST_TEMPFAIL, "no UID is left");
		uids_r[i] = uid;
	}
	return 0;
}

int
mailbox_assign(int root, int fd, const struct strs *bases, uint32_t since,
	       uint32_t *uidvalidity_r, uint32_t *uids_r, struct err *e)
{
	struct dotlock lock;
	struct uidlist u;
	int r;

	if (uidlist_lock(&lock, fd, clock_deadline(LOCK_MS), e) != 0)
		return -1;
	r = uidlist_quick_add(fd, bases, since, uidvalidity_r, uids_r, e);
	if (r <= 0) {
		dotlock_drop(&lock);
		return r;
	}
	uidlist_init(&u);
	r = uidlist_read(&u, fd, e);
	if (r == 0 && u.uidvalidity == 0)
		r = uidlist_renew(&u, root, e);
	if (r == 0)
		r = number_all(&u, bases, uids_r, e);
	if (r == 0)
		r = uidlist_write(&u, fd, &lock, e);
	if (r == 0)
		*uidvalidity_r = u.uidvalidity;
	uidlist_done(&u);
	dotlock_drop(&lock);
	return r;
}

void
mailbox_id(struct buf *b, const struct mailbox *mb)
{
	uidlist_id(b, &mb->ul);
}

int
mailbox_sync_names(struct mailbox *mb, struct err *e)
{
	int fd, r;

	if (!mb->renamed)
		return 0;
	/* once: the kernel has dropped what it could not write */
	mb->renamed = false;
	fd = openat(mb->fd, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -1 : fsync(fd);
	if (r != 0)
		(void)err_sys(e, "%s: syncing cur/", mb->name);
	if (fd >= 0)
		close(fd);
	return r;
}
