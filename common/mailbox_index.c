/*
 * mailbox_index.c - reading mx-index: the snapshot and its log; see
 * mailbox_index.h.  It is advice: every length is checked, and what does not
 * fit is made anew from the folder.
 * Layer: mail.
 */
#include "mailbox_index_int.h"
#include "crc32.h"
#include "log.h"
#include "mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* So many that are gone are remembered for QRESYNC; a client that was away for
 * more reads all UIDs (RFC 7162 3.2.5.2). */
#define VANISHED_MAX 10000

uint32_t
mailbox_index_crc(const struct index_head *h)
{
	return crc32_add(0, &h->uidvalidity,
			 sizeof(*h) - offsetof(struct index_head, uidvalidity));
}

void
mailbox_vanished(struct mailbox *mb, uint32_t uid, uint64_t modseq)
{
	free(mb->vanished_uids);
	mb->vanished_uids = NULL;
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

/* The file's name stays where it is: `names` outlives the message, or the
 * caller gives it another. */
static void
take_record(struct message *m, const struct index_record *r, const char *names)
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

/* No number of the head leads out of the file, and no product of them round
 * the end of 64 bits. */
static bool
fits(const struct index_head *h, size_t size)
{
	return memcmp(h->magic, MAILBOX_INDEX_MAGIC, 8) == 0 &&
	       h->crc == mailbox_index_crc(h) && h->n < UINT32_MAX &&
	       h->names_n < (uint64_t)1 << 40 &&
	       h->vanished_n <= VANISHED_MAX &&
	       h->guid_n <= MAILBOX_INDEX_GUID &&
	       h->total == sizeof(*h) + h->n * sizeof(struct index_record) +
			       h->names_n +
			       h->vanished_n * sizeof(struct vanished) &&
	       h->total <= size;
}

/* The snapshot, checked as far as a lie could lead us astray. */
static bool
take_snapshot(struct mailbox *mb, const char *map, size_t size)
{
	struct index_head h;
	const struct index_record *r = (const void *)(map + sizeof(h));
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
		    h.names_n - r[i].name <= r[i].name_n || r[i].name_n == 0 ||
		    strnlen(names + r[i].name, r[i].name_n) != r[i].name_n ||
		    names[r[i].name + r[i].name_n] != '\0')
			return false;
		last = r[i].uid;
		take_record(&mb->v[i], &r[i], names);
	}
	mb->n = h.n;
	mb->modseq = h.modseq;
	mb->vanished_since = h.vanished_since;
	free(mb->vanished_uids);
	mb->vanished_uids = NULL;
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
take_message(struct mailbox *mb, const struct index_record *r, const char *name)
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

/* For the session too: a mod-sequence that another session gave it. */
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

/* "The folder was so at these times."  Of use while opening only. */
static void
take_state(struct mailbox *mb, const struct index_head *h)
{
	if (mb->told)
		return;
	mb->index.dirs_known = true;
	memcpy(mb->index.dir_ns, h->dir_ns, sizeof(h->dir_ns));
	uidlist_assume(&mb->ul, &h->list, h->uidvalidity, h->uidnext,
		       span_make(h->guid, h->guid_n));
}

/* One entry, whose checksum was right: lengths are looked at all the same. */
static void
take_entry(struct mailbox *mb, const struct index_entry *x, const char *body,
	   size_t n)
{
	struct index_record r;
	struct index_head h;

	if (x->modseq > mb->modseq)
		mb->modseq = x->modseq;
	if (x->kind != LOG_STATE)
		mb->index.dirs_known = false;
	if (x->kind == LOG_GONE) {
		take_gone(mb, x->uid, x->modseq);
	} else if (x->kind == LOG_MESSAGE && n > sizeof(r)) {
		memcpy(&r, body, sizeof(r));
		r.name = 0; /* it stands behind */
		if (r.uid != 0 && sizeof(r) + r.name_n == n &&
		    r.base_n <= r.name_n &&
		    strnlen(body + sizeof(r), r.name_n) == r.name_n)
			take_message(mb, &r, body + sizeof(r));
	} else if (x->kind == LOG_STATE && n == sizeof(h)) {
		memcpy(&h, body, sizeof(h));
		if (h.crc == mailbox_index_crc(&h) &&
		    h.guid_n <= MAILBOX_INDEX_GUID)
			take_state(mb, &h);
	}
}

void
mailbox_index_read_log(struct mailbox *mb, bool locked)
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
	while (b.n - at >= sizeof(struct index_entry)) {
		struct index_entry e;

		memcpy(&e, b.p + at, sizeof(e));
		if (e.n < sizeof(e) || e.n > b.n - at ||
		    crc32_add(0, b.p + at + 8, e.n - 8) != e.crc)
			break;
		take_entry(mb, &e, b.p + at + sizeof(e), e.n - sizeof(e));
		at += e.n;
	}
	x->end += at;
	if (at < b.n && locked && ftruncate(x->fd, (off_t)x->end) != 0)
		log_debug("%s: a torn end stays", MAILBOX_INDEX_NAME);
	buf_free(&b);
}

void
mailbox_index_drop(struct mailbox *mb)
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
	mailbox_index_drop(mb);
}

bool
mailbox_index_load(struct mailbox *mb)
{
	struct mailbox_index *x = &mb->index;
	struct stat st;
	bool ok = false;

	/* Shared lock: nobody cuts a torn end off under our map. */
	x->fd =
	    openat(mb->fd, MAILBOX_INDEX_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (x->fd < 0)
		return false;
	if (flock(x->fd, LOCK_SH) == 0 && fstat(x->fd, &st) == 0 &&
	    S_ISREG(st.st_mode) &&
	    (size_t)st.st_size >= sizeof(struct index_head)) {
		x->ino = st.st_ino;
		x->map_n = (size_t)st.st_size;
		x->map = mmap(NULL, x->map_n, PROT_READ,
			      MAP_PRIVATE | MAP_POPULATE, x->fd, 0);
		if (x->map == MAP_FAILED)
			x->map = NULL;
		ok = x->map != NULL && take_snapshot(mb, x->map, x->map_n);
		if (ok)
			mailbox_index_read_log(mb, false);
	}
	(void)flock(x->fd, LOCK_UN);
	if (!ok) {
		log_debug("%s: " MAILBOX_INDEX_NAME " is made anew", mb->name);
		(void)unlinkat(mb->fd, MAILBOX_INDEX_NAME, 0);
		mailbox_index_forget(mb);
	}
	mailbox_drop_gone(mb);
	return ok;
}
