/*
 * mailbox_index_write.c - writing mx-index: a snapshot as a whole, flushed and
 * renamed into place, and behind it entries of what changed, each with length
 * and checksum, so that a torn end is cut off; see mailbox_index.h.
 * Layer: mail.
 */
#include "mailbox_index_int.h"
#include "crc32.h"
#include "io.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_MAX ((uint64_t)256 << 10) /* or half the snapshot, if more */
/* A directory's time is exact to the kernel's tick where it shows fractions
 * of a second at all. */
#define TICK_NS 20000000LL
#define COARSE_NS 2000000000LL
/* Of so many messages a folder costs more to read than a tick to wait. */
#define WORTH_WAITING 500

/* Without its place in the snapshot. */
static void
fill_record(struct index_record *r, const struct message *m)
{
	*r =
	    (struct index_record){ .uid = m->uid,
				   .name_n = (uint16_t)strlen(m->file),
				   .base_n = (uint16_t)m->base_n,
				   .flags = m->flags | (m->in_new ? IN_NEW : 0),
				   .modseq = m->modseq,
				   .size = m->size,
				   .vsize = m->vsize,
				   .mtime = m->mtime };
}

/* Appends an entry: head, body, name; length and checksum are its own. */
static void
put_entry(struct buf *b, uint32_t kind, uint32_t uid, uint64_t modseq,
	  const void *body, size_t n, const char *name, size_t name_n)
{
	struct index_entry e = { .n = (uint32_t)(sizeof(e) + n + name_n),
				 .kind = kind,
				 .uid = uid,
				 .modseq = modseq };
	size_t from = b->n;

	buf_add(b, &e, sizeof(e));
	buf_add(b, body, n);
	buf_add(b, name, name_n);
	e.crc = crc32_add(0, b->p + from + 8, b->n - from - 8);
	memcpy(b->p + from + offsetof(struct index_entry, crc), &e.crc, 4);
}

static void
put_message(struct buf *b, const struct message *m)
{
	struct index_record r;

	fill_record(&r, m);
	put_entry(b, LOG_MESSAGE, m->uid, m->modseq, &r, sizeof(r), m->file,
		  r.name_n);
}

static void
fill_head(struct index_head *h, const struct mailbox *mb)
{
	*h = (struct index_head){ .uidvalidity = mb->ul.uidvalidity,
				  .uidnext = mb->ul.uidnext,
				  .modseq = mb->modseq,
				  .vanished_since = mb->vanished_since,
				  .list = mb->ul.file };
	memcpy(h->magic, MAILBOX_INDEX_MAGIC, 8);
	if (mb->ul.guid.n <= MAILBOX_INDEX_GUID) {
		h->guid_n = (uint32_t)mb->ul.guid.n;
		if (h->guid_n > 0)
			memcpy(h->guid, mb->ul.guid.p, h->guid_n);
	}
}

/* The last words of a session: the folder's times that this log stands for. */
static void
put_state(struct buf *b, const struct mailbox *mb, const int64_t ns[2])
{
	struct index_head h;

	fill_head(&h, mb);
	h.dir_ns[0] = ns[0];
	h.dir_ns[1] = ns[1];
	h.crc = mailbox_index_crc(&h);
	put_entry(b, LOG_STATE, 0, mb->modseq, &h, sizeof(h), NULL, 0);
}

/* Locks the file that is in place now, with all of its log read. */
static bool
lock_index(struct mailbox *mb)
{
	struct mailbox_index *x = &mb->index;
	struct stat st;

	if (x->fd < 0)
		return false;
	if (flock(x->fd, LOCK_EX) != 0)
		return false;
	if (fstatat(mb->fd, MAILBOX_INDEX_NAME, &st, AT_SYMLINK_NOFOLLOW) !=
		0 ||
	    st.st_ino != x->ino) {
		/* replaced or deleted: a later open takes the new one */
		mailbox_index_drop(mb);
		return false;
	}
	mailbox_index_read_log(mb, true);
	return true;
}

/* Greater than any given before, also by an index that was deleted, as long as
 * the clock does not go back by more than that (RFC 7162 3.1.1). */
static void
next_modseq(struct mailbox *mb)
{
	uint64_t now = (uint64_t)clock_now_us();

	mb->modseq = mb->modseq + 1 > now ? mb->modseq + 1 : now;
}

/* A mod-sequence for one message that was marked, and its entry: none where
 * there is no log (b == NULL).  `next` is where it probably is; returns where
 * the one behind it is then: most come in the order of their UIDs. */
static size_t
commit_one(struct mailbox *mb, uint32_t uid, size_t next, struct buf *b)
{
	bool exact = next < mb->n && mb->v[next].uid == uid;
	size_t at = exact ? next : mailbox_find(mb, uid, &exact);
	struct message *m = &mb->v[at];

	if (!exact || !m->marked)
		return at;
	m->marked = false;
	if (m->gone) {
		if (b != NULL)
			put_entry(b, LOG_GONE, uid, mb->modseq, NULL, 0, NULL,
				  0);
		mailbox_vanished(mb, uid, mb->modseq);
		m->noted = false;
	} else {
		m->modseq = mb->modseq;
		m->noted = true;
		if (b != NULL)
			put_message(b, m);
	}
	return at + 1;
}

/* One write behind the log; the lock is held. */
static void
append_log(struct mailbox *mb, const struct buf *b)
{
	struct mailbox_index *x = &mb->index;

	if (b->n == 0)
		return;
	if (pwrite(x->fd, b->p, b->n, (off_t)x->end) == (ssize_t)b->n) {
		x->end += b->n;
		return;
	}
	/* Full disk.  This session takes what it could not write for written,
	 * and would end by saying that the index is the state of the folder:
	 * so there is none any more, and the next one reads the folder. */
	(void)!ftruncate(x->fd, (off_t)x->end);
	(void)unlinkat(mb->fd, MAILBOX_INDEX_NAME, 0);
	mailbox_index_drop(mb);
}

void
mailbox_index_commit(struct mailbox *mb)
{
	struct buf b = BUF_INIT;
	size_t next = 0;
	bool locked;

	if (mb->changed_n == 0 && mb->modseq != 0)
		return;
	locked = lock_index(mb);
	next_modseq(mb);
	if (mb->vanished_since == 0)
		mb->vanished_since = mb->modseq;
	for (size_t i = 0; i < mb->changed_n; i++)
		next = commit_one(mb, mb->changed[i], next, locked ? &b : NULL);
	mb->changed_n = 0;
	if (locked) {
		append_log(mb, &b);
		if (mb->index.fd >= 0)
			(void)flock(mb->index.fd, LOCK_UN);
	}
	buf_free(&b);
}

void
mailbox_index_touch(struct mailbox *mb)
{
	struct buf b = BUF_INIT;
	bool locked = lock_index(mb);

	next_modseq(mb);
	if (locked) {
		put_entry(&b, LOG_TOUCH, 0, mb->modseq, NULL, 0, NULL, 0);
		append_log(mb, &b);
		if (mb->index.fd >= 0)
			(void)flock(mb->index.fd, LOCK_UN);
	}
	buf_free(&b);
}

/* Both directories' times, and whether a later change would show in them. */
static bool
settled(struct mailbox *mb, int64_t ns[2])
{
	static const char *const subs[2] = { "new", "cur" };
	struct timespec now;
	int64_t now_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	for (int i = 0; i < 2; i++) {
		struct stat st;
		int64_t room;

		if (fstatat(mb->fd, subs[i], &st, AT_SYMLINK_NOFOLLOW) != 0)
			return false;
		room = st.st_mtim.tv_nsec != 0 ? TICK_NS : COARSE_NS;
		ns[i] = (int64_t)st.st_mtim.tv_sec * 1000000000 +
			st.st_mtim.tv_nsec;
		if (ns[i] > now_ns - room)
			return false;
	}
	return true;
}

/* Is what we have in memory the state at these times? */
static bool
known_state(struct mailbox *mb, int64_t ns[2])
{
	int64_t again[2];

	if (!settled(mb, ns)) {
		/* the client is gone already; the next one need not read a
		 * large folder for the sake of a moment */
		if (mb->n < WORTH_WAITING)
			return false;
		(void)poll(NULL, 0, TICK_NS / 1000000 + 5);
		if (!settled(mb, ns))
			return false;
	}
	if (mb->watch >= 0) {
		struct scan newcomers = { 0 };
		bool news = mailbox_events(mb, &newcomers) == WATCH_LOOK ||
			    newcomers.n > 0;

		scan_free(&newcomers);
		if (news)
			return false;
		mailbox_index_commit(mb);
		return settled(mb, again) && again[0] == ns[0] &&
		       again[1] == ns[1];
	}
	return !mb->dirs[0].unsure && !mb->dirs[1].unsure &&
	       mb->dirs[0].mtime_ns == ns[0] && mb->dirs[1].mtime_ns == ns[1];
}

/* Records into b, names into names, their numbers into h. */
static void
write_records(struct mailbox *mb, struct buf *b, struct buf *names,
	      struct index_head *h)
{
	for (size_t i = 0; i < mb->n; i++) {
		struct index_record r;

		if (mb->v[i].gone)
			continue;
		if (mb->v[i].modseq == 0)
			mb->v[i].modseq = mb->modseq;
		fill_record(&r, &mb->v[i]);
		r.name = names->n;
		buf_add(b, &r, sizeof(r));
		buf_add(names, mb->v[i].file, r.name_n + (size_t)1);
		h->n++;
	}
	h->names_n = names->n;
	h->vanished_n = mb->vanished_n;
}

/* The descriptor of the file that is in place then, or -1; `fresh`: only
 * where there is none yet (errno EEXIST otherwise). */
static int
write_file(struct mailbox *mb, const struct buf *b, bool fresh)
{
	char tmp[64];
	int fd, saved;
	bool ok;

	snprintf(tmp, sizeof(tmp), "tmp/" MAILBOX_INDEX_NAME ".%ld",
		 (long)getpid());
	fd = openat(mb->fd, tmp,
		    O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	ok = io_write(fd, b->p, b->n, DEADLINE_NEVER) == IO_OK &&
	     (fresh || fdatasync(fd) == 0);
	ok = ok && renameat2(mb->fd, tmp, mb->fd, MAILBOX_INDEX_NAME,
			     fresh ? RENAME_NOREPLACE : 0) == 0;
	if (ok)
		return fd;
	saved = errno;
	(void)unlinkat(mb->fd, tmp, 0);
	close(fd);
	errno = saved;
	return -1;
}

/* The whole index as it is in memory; see write_file. */
static int
snapshot(struct mailbox *mb, bool known, const int64_t ns[2], bool fresh)
{
	struct buf b = BUF_INIT, names = BUF_INIT;
	struct index_head h;
	int fd;

	if (mb->ul.guid.n > MAILBOX_INDEX_GUID)
		return -1;
	fill_head(&h, mb);
	h.dirs_known = known;
	h.dir_ns[0] = known ? ns[0] : 0;
	h.dir_ns[1] = known ? ns[1] : 0;
	buf_add(&b, &h, sizeof(h));
	write_records(mb, &b, &names, &h);
	buf_addspan(&b, buf_span(&names));
	buf_add(&b, mb->vanished, mb->vanished_n * sizeof(*mb->vanished));
	h.total = b.n;
	h.crc = mailbox_index_crc(&h);
	memcpy(b.p, &h, sizeof(h));
	fd = write_file(mb, &b, fresh);
	if (fd < 0 && errno != EEXIST)
		log_debug("%s: %s cannot be written", mb->name,
			  MAILBOX_INDEX_NAME);
	mb->index.log_at = b.n;
	buf_free(&b);
	buf_free(&names);
	return fd;
}

bool
mailbox_index_begin(struct mailbox *mb)
{
	static const int64_t none[2] = { 0, 0 };
	struct mailbox_index *x = &mb->index;
	struct stat st;

	if (x->fd >= 0 || mb->dead || mb->ul.uidvalidity == 0)
		return true;
	x->fd = snapshot(mb, false, none, true);
	if (x->fd < 0)
		return errno != EEXIST;
	if (fstat(x->fd, &st) != 0) {
		mailbox_index_drop(mb);
		return true;
	}
	x->ino = st.st_ino;
	x->end = x->log_at;
	for (size_t i = 0; i < mb->n; i++)
		mb->v[i].noted = true;
	return true;
}

void
mailbox_index_close(struct mailbox *mb)
{
	struct mailbox_index *x = &mb->index;
	int64_t ns[2] = { 0, 0 };
	struct buf b = BUF_INIT;
	bool known, same;

	if (mb->dead || mb->ul.uidvalidity == 0)
		return;
	mailbox_index_commit(mb);
	known = !mb->incomplete && !mb->unread && known_state(mb, ns) &&
		uidlist_current(&mb->ul, mb->fd);
	if (x->fd < 0 || !lock_index(mb))
		return;
	same = x->dirs_known && x->dir_ns[0] == ns[0] && x->dir_ns[1] == ns[1];
	if (x->end - x->log_at >
	    (x->log_at / 2 > LOG_MAX ? x->log_at / 2 : LOG_MAX)) {
		int fd = snapshot(mb, known, ns, false);

		if (fd >= 0)
			close(fd);
	} else if (known && !same) {
		put_state(&b, mb, ns);
		append_log(mb, &b);
	}
	if (x->fd >= 0)
		(void)flock(x->fd, LOCK_UN);
	buf_free(&b);
}
