/*
 * queue_dest.c - what all workers know of destinations: how many are at one
 * now, and which cannot be reached.  Shared memory; each worker writes its
 * own place only, so that no lock can be left behind by one that was killed.
 */
#include "queue.h"
#include "clock.h"
#include "crc32.h"
#include "escape.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "random.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* So many destinations that are down are remembered; another one takes the
 * place of the one that shares its slot, and is merely tried again. */
#define DOWN_MAX 1024

struct down {
	uint64_t key; /* 0: none */
	int64_t since, until;
	char text[300];
};
static struct shared {
	struct down down[DOWN_MAX];
	uint64_t at[]; /* where each worker is */
} * shared;
static size_t workers, self = SIZE_MAX;

void
queue_dest_init(size_t n)
{
	void *p =
	    mmap(NULL, sizeof(*shared) + n * sizeof(uint64_t),
		 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		log_fatal(ST_TEMPFAIL, "no memory for the queue's workers");
	shared = p;
	workers = n;
}

void
queue_dest_worker(size_t n)
{
	self = n;
}

void
queue_dest_forget(size_t n)
{
	__atomic_store_n(&shared->at[n], 0, __ATOMIC_SEQ_CST);
}

/* Never 0.  Two destinations that share a key only wait for each other. */
static uint64_t
key_of(const struct route *r)
{
	uint32_t a = crc32_add(0, r->transport, strlen(r->transport) + 1);

	a = crc32_add(a, r->nexthop, strlen(r->nexthop));
	return (uint64_t)a << 32 | (uint32_t)strlen(r->nexthop) << 1 | 1u;
}

/* smtp_destination_concurrency_limit, else the default one. */
static size_t
limit_of(const struct route *r)
{
	char name[100];
	int64_t n = queue_conf.concurrency_limit;

	snprintf(name, sizeof(name), "%.50s_destination_concurrency_limit",
		 r->transport);
	char *own =
	    prog.config != NULL ? config_value(prog.config, name) : NULL;
	if (own != NULL && !num_i64(span_trim(span_of(own)), 0, 100000, &n))
		n = queue_conf.concurrency_limit;
	free(own);
	return n <= 0 ? SIZE_MAX : (size_t)n;
}

bool
queue_dest_enter(const struct route *r)
{
	uint64_t key = key_of(r);
	size_t there = 0;

	if (shared == NULL || self == SIZE_MAX)
		return true;
	/* First stand there, then count: two that come together may both go
	 * away again, never both stay beyond the limit. */
	__atomic_store_n(&shared->at[self], key, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < workers; i++)
		there +=
		    __atomic_load_n(&shared->at[i], __ATOMIC_SEQ_CST) == key;
	if (there <= limit_of(r))
		return true;
	queue_dest_leave();
	return false;
}

void
queue_dest_leave(void)
{
	if (shared != NULL && self != SIZE_MAX)
		__atomic_store_n(&shared->at[self], 0, __ATOMIC_SEQ_CST);
}

void
queue_dest_suspend(const struct route *r, struct span text)
{
	uint64_t key = key_of(r);

	if (shared == NULL)
		return;
	struct down *d = &shared->down[key % DOWN_MAX];
	d->key = 0;
	snprintf(d->text, sizeof(d->text), "%.*s", SPAN_ARG(text));
	d->since = clock_now();
	d->until = d->since + queue_conf.minimal_backoff / 1000;
	d->key = key;
}

void
queue_dest_works(const struct route *r)
{
	uint64_t key = key_of(r);

	if (shared != NULL && shared->down[key % DOWN_MAX].key == key)
		shared->down[key % DOWN_MAX].key = 0;
}

#define FLUSHED "flushed"

void
queue_dest_flushed(int dirfd)
{
	struct timespec now[2] = { { .tv_sec = clock_now() },
				   { .tv_sec = clock_now() } };
	int fd = openat(dirfd, FLUSHED,
			O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && futimens(fd, now) != 0)
		log_warn("the time of %s could not be set", FLUSHED);
	if (fd >= 0)
		close(fd);
}

bool
queue_dest_suspended(const struct route *r, char text[300])
{
	uint64_t key = key_of(r);
	struct err e = ERR_INIT;
	struct stat st;

	if (shared == NULL)
		return false;
	const struct down *d = &shared->down[key % DOWN_MAX];
	int64_t since = d->since;
	if (d->key != key || clock_now() >= d->until || clock_now() < since)
		return false;
	int dirfd = deliver_queue_dir(&e);
	if (dirfd >= 0 && fstatat(dirfd, FLUSHED, &st, 0) == 0 &&
	    st.st_mtime >= since)
		return false;
	memcpy(text, d->text, 300);
	text[299] = '\0';
	return true;
}
