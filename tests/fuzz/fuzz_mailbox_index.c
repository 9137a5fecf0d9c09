/*
 * fuzz_mailbox_index.c - mx-index and mx-cache as a power cut, another machine
 * or an enemy leaves them.  Checksums are made right, or nothing would come
 * behind them; the first byte says what else is.
 */
#include "crc32.h"
#include "mailbox_cache.h"
#include "mailbox_index_int.h"
#include "mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static char dir[] = "/tmp/mx-fuzz-index.XXXXXX";
static int dir_fd = -1;

static void
clean(void)
{
	(void)unlinkat(dir_fd, "mx-index", 0);
	(void)unlinkat(dir_fd, "mx-cache", 0);
	(void)rmdir(dir);
}

static void
put(const char *name, const char *p, size_t n)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n || close(fd) != 0)
		abort();
}

/* Sums that fit the numbers of the head, and checksums of head and log. */
static void
mend_index(char *p, size_t n, bool sums)
{
	struct index_head h;
	size_t at;

	if (n < sizeof(h))
		return;
	memcpy(&h, p, sizeof(h));
	memcpy(h.magic, MAILBOX_INDEX_MAGIC, 8);
	if (sums) {
		h.n %= 8;
		h.names_n %= 256;
		h.vanished_n %= 8;
		h.guid_n %= MAILBOX_INDEX_GUID + 1;
		h.total = sizeof(h) + h.n * sizeof(struct index_record) +
			  h.names_n + h.vanished_n * sizeof(struct vanished);
	}
	h.crc = mailbox_index_crc(&h);
	memcpy(p, &h, sizeof(h));
	at = h.total;
	while (at < n && n - at >= sizeof(struct index_entry)) {
		struct index_entry e;

		memcpy(&e, p + at, sizeof(e));
		if (e.n < sizeof(e) || e.n > n - at)
			break;
		e.crc = crc32_add(0, p + at + 8, e.n - 8);
		memcpy(p + at + 4, &e.crc, sizeof(e.crc));
		at += e.n;
	}
}

static void
look(struct mailbox *mb)
{
	uint32_t last = 0;
	size_t names = 0;

	for (size_t i = 0; i < mb->n; i++) {
		struct message *m = &mb->v[i];

		if (m->uid <= last || strlen(m->file) < m->base_n)
			abort();
		last = m->uid;
		names += strlen(m->file);
		for (int k = 0; k < MAILBOX_CACHED; k++) {
			struct span s = mailbox_cache_get(
			    mb, m, (enum mailbox_cache_kind)k);

			for (size_t b = 0; b < s.n; b++)
				names += (unsigned char)s.p[b];
		}
	}
	if (names == SIZE_MAX)
		abort(); /* all was read */
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct mailbox mb = { .index = { .fd = -1 }, .cache = { .fd = -1 } };
	struct mbox_head {
		char magic[8];
		uint32_t uidvalidity, zero;
	} cache = { "mxcache", 1, 0 };
	size_t index_n;
	char *copy;

	if (n < 2)
		return 0;
	if (dir_fd < 0) {
		if (mkdtemp(dir) == NULL ||
		    (dir_fd = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
			abort();
		(void)atexit(clean);
	}
	copy = mem_alloc(n + sizeof(cache), 1);
	memcpy(copy, p, n);
	index_n = (size_t)p[1] * 16;
	if (index_n > n - 2)
		index_n = n - 2;
	mend_index(copy + 2, index_n, p[0] & 1);
	put("mx-index", copy + 2, index_n);
	uidlist_init(&mb.ul);
	mb.fd = dir_fd;
	if (mailbox_index_load(&mb)) {
		/* What was not taken for the snapshot is the cache. */
		cache.magic[7] = '1';
		cache.uidvalidity = mb.ul.uidvalidity;
		memmove(copy + sizeof(cache), p + 2 + index_n, n - 2 - index_n);
		memcpy(copy, &cache, sizeof(cache));
		put("mx-cache", copy, sizeof(cache) + n - 2 - index_n);
		look(&mb);
		mailbox_cache_close(&mb);
	}
	mailbox_index_forget(&mb);
	uidlist_done(&mb.ul);
	free(mb.v);
	free(mb.changed);
	free(mb.vanished);
	free(copy);
	return 0;
}
