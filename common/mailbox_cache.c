/*
 * mailbox_cache.c - see mailbox_cache.h.
 * Layer: mail.  Writers hold flock(2); readers map what there is.
 */
#include "mailbox_cache.h"
#include "crc32.h"
#include "mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "mx-cache"
#define MAGIC "mxcache1"
#define ALIGN 8
#define PENDING_MAX ((size_t)512 << 10)
#define DEAD_MAX ((size_t)1 << 20)
#define FILE_MAX ((uint64_t)UINT32_MAX * ALIGN)

struct head {
	char magic[8];
	uint32_t uidvalidity, zero;
};
struct record {
	uint32_t n; /* bytes of the answer */
	uint32_t uid;
	uint32_t kind, crc; /* of the answer and these three */
};

/* A record with its bytes, up to where the next one begins. */
static size_t
whole(uint32_t n)
{
	return (sizeof(struct record) + (size_t)n + ALIGN - 1) / ALIGN * ALIGN;
}

static uint32_t
record_crc(const struct record *r, const char *bytes)
{
	return crc32_add(crc32_add(0, r, offsetof(struct record, crc)), bytes,
			 r->n);
}

/* Lengths checked; the checksum is looked at when the bytes are wanted. */
static bool
record_at(const struct mailbox_cache *c, uint64_t at, struct record *r)
{
	if (at + sizeof(*r) > c->map_n)
		return false;
	memcpy(r, c->map + at, sizeof(*r));
	return r->n > 1 && r->kind < MAILBOX_CACHED && r->uid != 0 &&
	       r->n <= c->map_n - at - sizeof(*r);
}

/* As long as it is now: other sessions append. */
static bool
map_file(struct mailbox_cache *c)
{
	struct stat st;
	void *map;

	if (fstat(c->fd, &st) != 0 || (size_t)st.st_size <= sizeof(struct head))
		return false;
	if ((size_t)st.st_size == c->map_n)
		return true;
	if (c->map != NULL)
		(void)munmap(c->map, c->map_n);
	c->map = NULL;
	c->map_n = 0;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, c->fd, 0);
	if (map == MAP_FAILED)
		return false;
	c->map = map;
	c->map_n = (size_t)st.st_size;
	return true;
}

/* Records of messages that there are; how many bytes are of no use. */
static size_t
read_records(struct mailbox *mb)
{
	struct mailbox_cache *c = &mb->cache;
	size_t dead = 0, next = 0;
	struct record r;

	while (record_at(c, c->seen, &r)) {
		struct message *m = NULL;
		bool exact = next < mb->n && mb->v[next].uid == r.uid;

		/* most come in the order of their UIDs, some kinds in a row */
		if (!exact && next > 0 && mb->v[next - 1].uid == r.uid) {
			exact = true;
			next--;
		}
		if (!exact)
			next = mailbox_find(mb, r.uid, &exact);
		m = exact ? &mb->v[next] : NULL;
		if (m != NULL && m->cached[r.kind] == 0)
			m->cached[r.kind] = (uint32_t)(c->seen / ALIGN);
		else
			dead += whole(r.n);
		next += exact ? 1 : 0;
		c->seen += whole(r.n);
	}
	return dead;
}

static bool
open_file(struct mailbox *mb, bool make)
{
	struct mailbox_cache *c = &mb->cache;
	struct head h = { .uidvalidity = mb->ul.uidvalidity };
	struct stat st;

	c->fd = openat(mb->fd, FILE_NAME,
		       O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0),
		       0600);
	if (c->fd < 0)
		return false;
	memcpy(h.magic, MAGIC, 8);
	if (make && flock(c->fd, LOCK_EX) == 0) {
		if (fstat(c->fd, &st) == 0 && st.st_size == 0 &&
		    pwrite(c->fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
			(void)!ftruncate(c->fd, 0);
		(void)flock(c->fd, LOCK_UN);
	}
	c->seen = sizeof(h);
	return true;
}

static void
close_file(struct mailbox_cache *c)
{
	if (c->map != NULL)
		(void)munmap(c->map, c->map_n);
	c->map = NULL;
	c->map_n = 0;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Others that have it mapped keep what they see: unlinked, never cut. */
static void
forget(struct mailbox *mb)
{
	(void)unlinkat(mb->fd, FILE_NAME, 0);
	close_file(&mb->cache);
	for (size_t i = 0; i < mb->n; i++)
		memset(mb->v[i].cached, 0, sizeof(mb->v[i].cached));
}

/* Once a session. */
static void
load(struct mailbox *mb)
{
	struct mailbox_cache *c = &mb->cache;
	struct head h;
	size_t dead;

	if (c->loaded)
		return;
	c->loaded = true;
	if (!open_file(mb, false) || !map_file(c))
		return;
	memcpy(&h, c->map, sizeof(h));
	if (memcmp(h.magic, MAGIC, 8) != 0 ||
	    h.uidvalidity != mb->ul.uidvalidity) {
		forget(mb);
		return;
	}
	dead = read_records(mb);
	/* mostly of messages that are gone, or torn: begun anew */
	if ((dead > DEAD_MAX && dead > c->map_n / 2) || c->seen != c->map_n)
		forget(mb);
}

struct span
mailbox_cache_get(struct mailbox *mb, struct message *m,
		  enum mailbox_cache_kind kind)
{
	struct span none = { NULL, 0 };
	const char *bytes;
	struct record r;
	uint64_t at;

	load(mb);
	at = (uint64_t)m->cached[kind] * ALIGN;
	if (at == 0 || mb->cache.fd < 0)
		return none;
	if (at >= mb->cache.map_n && !map_file(&mb->cache))
		return none;
	if (!record_at(&mb->cache, at, &r) || r.uid != m->uid ||
	    r.kind != (uint32_t)kind)
		return none;
	bytes = mb->cache.map + at + sizeof(r);
	/* once a session: a power cut may have torn it */
	if (!m->cache_ok[kind] && record_crc(&r, bytes) != r.crc) {
		m->cached[kind] = 0;
		return none;
	}
	m->cache_ok[kind] = true;
	return span_make(bytes, r.n);
}

void
mailbox_cache_put(struct mailbox *mb, struct message *m,
		  enum mailbox_cache_kind kind, struct span bytes)
{
	struct mailbox_cache *c = &mb->cache;
	struct record r = { .n = (uint32_t)bytes.n,
			    .uid = m->uid,
			    .kind = (uint32_t)kind };
	static const char zeros[ALIGN] = { 0 };

	if (bytes.n < 2 || bytes.n > UINT32_MAX / 2 || m->cached[kind] != 0)
		return;
	r.crc = record_crc(&r, bytes.p);
	buf_add(&c->pending, &r, sizeof(r));
	buf_addspan(&c->pending, bytes);
	buf_add(&c->pending, zeros, whole(r.n) - sizeof(r) - bytes.n);
	if (c->pending.n > PENDING_MAX)
		mailbox_cache_flush(mb);
}

/* Where the records went. */
static void
note(struct mailbox *mb, uint64_t end)
{
	struct buf *b = &mb->cache.pending;
	size_t i = 0;

	for (size_t at = 0; at < b->n;) {
		struct record r;
		bool exact;

		memcpy(&r, b->p + at, sizeof(r));
		/* mostly that of the message behind the last one's */
		exact = i < mb->n && mb->v[i].uid == r.uid;
		if (!exact)
			i = mailbox_find(mb, r.uid, &exact);
		if (exact)
			mb->v[i++].cached[r.kind] =
			    (uint32_t)((end + at) / ALIGN);
		at += whole(r.n);
	}
}

void
mailbox_cache_flush(struct mailbox *mb)
{
	struct mailbox_cache *c = &mb->cache;
	struct stat st, there;

	if (c->pending.n == 0)
		return;
	load(mb);
	if ((c->fd >= 0 || open_file(mb, true)) && flock(c->fd, LOCK_EX) == 0) {
		bool ok = fstat(c->fd, &st) == 0 &&
			  fstatat(mb->fd, FILE_NAME, &there,
				  AT_SYMLINK_NOFOLLOW) == 0 &&
			  st.st_ino == there.st_ino &&
			  st.st_size % ALIGN == 0 &&
			  (size_t)st.st_size >= sizeof(struct head) &&
			  (uint64_t)st.st_size + c->pending.n < FILE_MAX;

		if (ok && pwrite(c->fd, c->pending.p, c->pending.n,
				 st.st_size) == (ssize_t)c->pending.n)
			note(mb, (uint64_t)st.st_size);
		/* on a full disk a torn end stays (others may have mapped
		 * it): the next to open the file begins it anew */
		(void)flock(c->fd, LOCK_UN);
	}
	buf_clear(&c->pending);
}

void
mailbox_cache_close(struct mailbox *mb)
{
	if (!mb->dead)
		mailbox_cache_flush(mb);
	close_file(&mb->cache);
	buf_free(&mb->cache.pending);
}
