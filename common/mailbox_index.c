/*
 * mailbox_index.c - see mailbox_index.h.
 * Layer: mail.
 *
 *   head, records, names (each with a NUL), vanished | log entries
 *
 * The snapshot is written as a whole, flushed and renamed into place; a log
 * entry carries its length and checksum, so that a torn end is cut off.
 */
#include "mailbox_index.h"
#include "crc32.h"
#include "io.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "mx-index"
#define MAGIC "mxindex1"
#define LOG_MAX ((uint64_t)256 << 10) /* or half the snapshot, if more */
#define VANISHED_MAX 10000
#define GUID_MAX 64
/* A directory's time is exact to the kernel's tick where it shows fractions
 * of a second at all. */
#define TICK_NS 20000000LL
#define COARSE_NS 2000000000LL
#define WORTH_WAITING 500

struct head {
	char magic[8];
	uint32_t crc; /* of the rest of the head */
	uint32_t uidvalidity, uidnext, guid_n;
	uint64_t n, names_n, vanished_n, total; /* bytes of the snapshot */
	uint64_t modseq, vanished_since;
	uint64_t dirs_known;
	int64_t dir_ns[2];
	struct uidlist_file list;
	char guid[GUID_MAX];
};
struct record {
	uint32_t uid;
	uint16_t name_n, base_n;
	uint64_t name; /* offset into the names */
	maildir_flags flags;
	uint64_t modseq, size, vsize;
	int64_t mtime;
};
#define IN_NEW ((maildir_flags)1 << 63)

enum { LOG_MESSAGE = 1, LOG_GONE, LOG_STATE };
struct entry {
	uint32_t n;   /* bytes with this head */
	uint32_t crc; /* of what follows */
	uint32_t kind, uid;
	uint64_t modseq;
};

static uint32_t
head_crc(const struct head *h)
{
	return crc32_add(0, &h->uidvalidity,
			 sizeof(*h) - offsetof(struct head, uidvalidity));
}

void
mailbox_vanished(struct mailbox *mb, uint32_t uid, uint64_t modseq)
{
	if (mb->vanished_n >= VANISHED_MAX) {
		size_t half = VANISHED_MAX / 2;

		mb->vanished_since = mb->vanished[half - 1].modseq;
		memmove(mb->vanished, mb->vanished + half,
			(mb->vanished_n - half) * sizeof(*mb->vanished));
		mb->vanished_n -= half;
	}
	mb->vanished = mem_grow(mb->vanished, &mb->vanished_cap,
				mb->vanished_n + 1, sizeof(*mb->vanished));
	mb->vanished[mb->vanished_n++] = (struct vanished){ uid, modseq };
}

static void
take_record(struct message *m, const struct record *r, const char *names)
{
	bool in_new = (r->flags & IN_NEW) != 0;

	*m = (struct message){ .uid = r->uid,
			       .in_new = in_new,
			       .recent = in_new,
			       .seen_now = true,
			       .lent = true,
			       .noted = true,
			       .flags = r->flags & ~IN_NEW,
			       .modseq = r->modseq,
			       .size = r->size,
			       .vsize = r->vsize,
			       .mtime = r->mtime,
			       .file = (char *)(uintptr_t)(names + r->name),
			       .base_n = r->base_n };
	m->told = m->flags;
}

static bool
fits(const struct head *h, size_t size)
{
	return memcmp(h->magic, MAGIC, 8) == 0 && h->crc == head_crc(h) &&
	       h->n < UINT32_MAX && h->names_n < (uint64_t)1 << 40 &&
	       h->vanished_n <= VANISHED_MAX && h->guid_n <= GUID_MAX &&
	       h->total == sizeof(*h) + h->n * sizeof(struct record) +
			       h->names_n +
			       h->vanished_n * sizeof(struct vanished) &&
	       h->total <= size;
}

/* The snapshot, checked as far as a lie could lead us astray. */
static bool
take_snapshot(struct mailbox *mb, const char *map, size_t size)
{
	struct head h;
	const struct record *r = (const void *)(map + sizeof(h));
	const char *names;
	uint32_t last = 0;

	if (size < sizeof(h))
		return false;
	memcpy(&h, map, sizeof(h));
	if (!fits(&h, size))
		return false;
	names = (const char *)(r + h.n);
	mb->v = mem_grow(mb->v, &mb->cap, h.n + 1, sizeof(*mb->v));
	for (size_t i = 0; i < h.n; i++) {
		if (r[i].uid <= last || r[i].base_n > r[i].name_n ||
		    r[i].name >= h.names_n ||
		    h.names_n - r[i].name <= r[i].name_n ||
		    names[r[i].name] == '\0' ||
		    names[r[i].name + r[i].name_n] != '\0')
			return false;
		last = r[i].uid;
		take_record(&mb->v[i], &r[i], names);
	}
	mb->n = h.n;
	mb->modseq = h.modseq;
	mb->vanished_since = h.vanished_since;
	if (h.vanished_n > 0) {
		mb->vanished = mem_grow(mb->vanished, &mb->vanished_cap,
					h.vanished_n, sizeof(*mb->vanished));
		memcpy(mb->vanished, names + h.names_n,
		       h.vanished_n * sizeof(*mb->vanished));
		mb->vanished_n = h.vanished_n;
	}
	uidlist_assume(&mb->ul, &h.list, h.uidvalidity, h.uidnext,
		       span_make(h.guid, h.guid_n));
	mb->index.dirs_known = h.dirs_known != 0;
	memcpy(mb->index.dir_ns, h.dir_ns, sizeof(h.dir_ns));
	mb->index.log_at = mb->index.end = h.total;
	return true;
}

/* A message as the log tells it; `new_r`: where it is not known. */
static void
take_message(struct mailbox *mb, const struct record *r, const char *name)
{
	bool exact;
	size_t at = mailbox_find(mb, r->uid, &exact);
	struct message *m;

	if (!exact && mb->told)
		return; /* its file will be seen */
	if (!exact) {
		mb->v = mem_grow(mb->v, &mb->cap, mb->n + 1, sizeof(*mb->v));
		m = &mb->v[at];
		memmove(m + 1, m, (mb->n - at) * sizeof(*m));
		mb->n++;
		take_record(m, r, name);
		m->file = mem_spandup(span_make(name, r->name_n));
		m->lent = false;
		return;
	}
	m = &mb->v[at];
	if (!mb->told) { /* reading: the log is newer than the snapshot */
		message_free(m);
		take_record(m, r, name);
		m->file = mem_spandup(span_make(name, r->name_n));
		m->lent = false;
	} else if (m->flags == (r->flags & ~IN_NEW) && r->modseq > m->modseq) {
		m->modseq = r->modseq;
		m->noted = true;
		m->marked = false; /* another session has told the log */
	}
}

static void
take_gone(struct mailbox *mb, uint32_t uid, uint64_t modseq)
{
	bool exact;
	size_t at = mailbox_find(mb, uid, &exact);

	mailbox_vanished(mb, uid, modseq);
	if (!exact)
		return;
	mb->v[at].noted = false;
	if (mb->v[at].marked && mb->v[at].gone)
		mb->v[at].marked = false;
	if (!mb->told)
		mb->v[at].gone = true;
}

static void
take_state(struct mailbox *mb, const struct head *h)
{
	if (mb->told)
		return;
	mb->index.dirs_known = true;
	memcpy(mb->index.dir_ns, h->dir_ns, sizeof(h->dir_ns));
	uidlist_assume(&mb->ul, &h->list, h->uidvalidity, h->uidnext,
		       span_make(h->guid, h->guid_n));
}

static void
take_entry(struct mailbox *mb, const struct entry *x, const char *body,
	   size_t n)
{
	struct record r;
	struct head h;

	if (x->modseq > mb->modseq)
		mb->modseq = x->modseq;
	if (x->kind != LOG_STATE)
		mb->index.dirs_known = false;
	if (x->kind == LOG_GONE) {
		take_gone(mb, x->uid, x->modseq);
	} else if (x->kind == LOG_MESSAGE && n > sizeof(r)) {
		memcpy(&r, body, sizeof(r));
		if (r.uid != 0 && sizeof(r) + r.name_n == n &&
		    r.base_n <= r.name_n)
			take_message(mb, &r, body + sizeof(r));
	} else if (x->kind == LOG_STATE && n == sizeof(h)) {
		memcpy(&h, body, sizeof(h));
		if (h.crc == head_crc(&h) && h.guid_n <= GUID_MAX)
			take_state(mb, &h);
	}
}

/* The log from where it was read to its end; what is torn is passed over, and
 * cut off when we hold the lock. */
static void
read_log(struct mailbox *mb, bool locked)
{
	struct mailbox_index *x = &mb->index;
	struct buf b = BUF_INIT;
	struct stat st;
	size_t at = 0, n;
	ssize_t got;

	if (fstat(x->fd, &st) != 0 || (uint64_t)st.st_size <= x->end)
		return;
	n = (size_t)((uint64_t)st.st_size - x->end);
	got = pread(x->fd, buf_room(&b, n), n, (off_t)x->end);
	if (got > 0)
		buf_grew(&b, (size_t)got);
	while (b.n - at >= sizeof(struct entry)) {
		struct entry e;

		memcpy(&e, b.p + at, sizeof(e));
		if (e.n < sizeof(e) || e.n > b.n - at ||
		    crc32_add(0, b.p + at + 8, e.n - 8) != e.crc)
			break;
		take_entry(mb, &e, b.p + at + sizeof(e), e.n - sizeof(e));
		at += e.n;
	}
	x->end += at;
	if (at < b.n && locked && ftruncate(x->fd, (off_t)x->end) != 0)
		log_debug("%s: a torn end stays", FILE_NAME);
	buf_free(&b);
}

static void
close_index(struct mailbox *mb)
{
	if (mb->index.fd >= 0)
		close(mb->index.fd);
	mb->index.fd = -1;
}

void
mailbox_index_forget(struct mailbox *mb)
{
	for (size_t i = 0; i < mb->n; i++)
		message_free(&mb->v[i]);
	mb->n = 0;
	mb->changed_n = 0;
	mb->vanished_n = 0;
	mb->vanished_since = 0;
	mb->modseq = 0;
	mb->index.dirs_known = false;
	if (mb->index.map != NULL)
		(void)munmap(mb->index.map, mb->index.map_n);
	mb->index.map = NULL;
	close_index(mb);
}

bool
mailbox_index_load(struct mailbox *mb)
{
	struct mailbox_index *x = &mb->index;
	struct stat st;
	bool ok = false;

	x->fd = openat(mb->fd, FILE_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (x->fd < 0)
		return false;
	if (flock(x->fd, LOCK_SH) == 0 && fstat(x->fd, &st) == 0 &&
	    S_ISREG(st.st_mode) && (size_t)st.st_size > sizeof(struct head)) {
		x->ino = st.st_ino;
		x->map_n = (size_t)st.st_size;
		x->map = mmap(NULL, x->map_n, PROT_READ,
			      MAP_PRIVATE | MAP_POPULATE, x->fd, 0);
		if (x->map == MAP_FAILED)
			x->map = NULL;
		ok = x->map != NULL && take_snapshot(mb, x->map, x->map_n);
		if (ok)
			read_log(mb, false);
	}
	(void)flock(x->fd, LOCK_UN);
	if (!ok) {
		log_debug("%s: " FILE_NAME " is made anew", mb->name);
		(void)unlinkat(mb->fd, FILE_NAME, 0);
		mailbox_index_forget(mb);
	}
	mailbox_drop_gone(mb);
	return ok;
}

static void
fill_record(struct record *r, const struct message *m)
{
	*r = (struct record){ .uid = m->uid,
			      .name_n = (uint16_t)strlen(m->file),
			      .base_n = (uint16_t)m->base_n,
			      .flags = m->flags | (m->in_new ? IN_NEW : 0),
			      .modseq = m->modseq,
			      .size = m->size,
			      .vsize = m->vsize,
			      .mtime = m->mtime };
}

static void
put_entry(struct buf *b, uint32_t kind, uint32_t uid, uint64_t modseq,
	  const void *body, size_t n, const char *name, size_t name_n)
{
	struct entry e = { .n = (uint32_t)(sizeof(e) + n + name_n),
			   .kind = kind,
			   .uid = uid,
			   .modseq = modseq };
	size_t from = b->n;

	buf_add(b, &e, sizeof(e));
	buf_add(b, body, n);
	buf_add(b, name, name_n);
	e.crc = crc32_add(0, b->p + from + 8, b->n - from - 8);
	memcpy(b->p + from + offsetof(struct entry, crc), &e.crc, 4);
}

static void
put_message(struct buf *b, const struct message *m)
{
	struct record r;

	fill_record(&r, m);
	put_entry(b, LOG_MESSAGE, m->uid, m->modseq, &r, sizeof(r), m->file,
		  r.name_n);
}

static void
fill_head(struct head *h, const struct mailbox *mb)
{
	*h = (struct head){ .uidvalidity = mb->ul.uidvalidity,
			    .uidnext = mb->ul.uidnext,
			    .modseq = mb->modseq,
			    .vanished_since = mb->vanished_since,
			    .list = mb->ul.file };
	memcpy(h->magic, MAGIC, 8);
	if (mb->ul.guid.n <= GUID_MAX) {
		h->guid_n = (uint32_t)mb->ul.guid.n;
		if (h->guid_n > 0)
			memcpy(h->guid, mb->ul.guid.p, h->guid_n);
	}
}

static void
put_state(struct buf *b, const struct mailbox *mb, const int64_t ns[2])
{
	struct head h;

	fill_head(&h, mb);
	h.dir_ns[0] = ns[0];
	h.dir_ns[1] = ns[1];
	h.crc = head_crc(&h);
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
	if (fstatat(mb->fd, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    st.st_ino != x->ino) {
		/* replaced or deleted: a later open takes the new one */
		close_index(mb);
		return false;
	}
	read_log(mb, true);
	return true;
}

static void
next_modseq(struct mailbox *mb)
{
	uint64_t now = (uint64_t)clock_now_us();

	mb->modseq = mb->modseq + 1 > now ? mb->modseq + 1 : now;
}

static void
commit_one(struct mailbox *mb, uint32_t uid, struct buf *b)
{
	bool exact;
	size_t at = mailbox_find(mb, uid, &exact);
	struct message *m = &mb->v[at];

	if (!exact || !m->marked)
		return;
	m->marked = false;
	if (m->gone) {
		put_entry(b, LOG_GONE, uid, mb->modseq, NULL, 0, NULL, 0);
		mailbox_vanished(mb, uid, mb->modseq);
		m->noted = false;
	} else {
		m->modseq = mb->modseq;
		m->noted = true;
		put_message(b, m);
	}
}

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
	(void)unlinkat(mb->fd, FILE_NAME, 0);
	close_index(mb);
}

void
mailbox_index_commit(struct mailbox *mb)
{
	struct buf b = BUF_INIT;
	bool locked;

	if (mb->changed_n == 0 && mb->modseq != 0)
		return;
	locked = lock_index(mb);
	next_modseq(mb);
	if (mb->vanished_since == 0)
		mb->vanished_since = mb->modseq;
	for (size_t i = 0; i < mb->changed_n; i++)
		commit_one(mb, mb->changed[i], &b);
	mb->changed_n = 0;
	if (locked) {
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

static void
write_records(struct mailbox *mb, struct buf *b, struct buf *names,
	      struct head *h)
{
	for (size_t i = 0; i < mb->n; i++) {
		struct record r;

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

	snprintf(tmp, sizeof(tmp), "tmp/" FILE_NAME ".%ld", (long)getpid());
	fd = openat(mb->fd, tmp,
		    O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	ok = io_write(fd, b->p, b->n, DEADLINE_NEVER) == IO_OK &&
	     (fresh || fdatasync(fd) == 0);
	ok = ok && renameat2(mb->fd, tmp, mb->fd, FILE_NAME,
			     fresh ? RENAME_NOREPLACE : 0) == 0;
	if (ok)
		return fd;
	saved = errno;
	(void)unlinkat(mb->fd, tmp, 0);
	close(fd);
	errno = saved;
	return -1;
}

static int
snapshot(struct mailbox *mb, bool known, const int64_t ns[2], bool fresh)
{
	struct buf b = BUF_INIT, names = BUF_INIT;
	struct head h;
	int fd;

	if (mb->ul.guid.n > GUID_MAX)
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
	h.crc = head_crc(&h);
	memcpy(b.p, &h, sizeof(h));
	fd = write_file(mb, &b, fresh);
	if (fd < 0 && errno != EEXIST)
		log_debug("%s: %s cannot be written", mb->name, FILE_NAME);
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
		close_index(mb);
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
	known = !mb->incomplete && known_state(mb, ns) &&
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
