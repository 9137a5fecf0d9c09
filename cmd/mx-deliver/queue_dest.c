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

/* So many destinations are remembered; another one takes the place of the one
 * that shares its slot: that one begins anew. */
#define DEST_MAX 4096
/* Windows and cohorts count in thousandths. */
#define ONE 1000

struct dest {
	uint64_t key;          /* 0: none */
	int64_t window;        /* deliveries at a time, by what was seen */
	int64_t cohorts;       /* of failures in a row */
	bool proven;           /* something was delivered there */
	int64_t next, waiting; /* rate delay: seconds; who was sent away */
	int64_t since, until;  /* suspended */
	char text[300];
};
static struct shared {
	struct dest dest[DEST_MAX];
	uint64_t at[]; /* where each worker is */
} * shared;
static size_t workers, self = SIZE_MAX;

/* Before the workers are started: they inherit the memory. */
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

/* A worker died: it stands nowhere any more. */
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

/* smtp_NAME of the transport, else default_NAME as the text it is; caller
 * frees. */
static char *
param_text(const struct route *r, const char *name)
{
	char full[140];

	if (prog.config == NULL)
		return NULL;
	snprintf(full, sizeof(full), "%.50s_%s", r->transport, name);
	return config_value(prog.config, full);
}

static int64_t
param_number(const struct route *r, const char *name, int64_t otherwise)
{
	char *own = param_text(r, name);
	int64_t n = otherwise;

	if (own != NULL && !num_i64(span_trim(span_of(own)), 0, 100000, &n))
		n = otherwise;
	free(own);
	return n;
}

size_t
queue_dest_recipients(const struct route *r)
{
	int64_t n = param_number(r, "destination_recipient_limit",
				 queue_conf.recipient_limit);

	/* Postfix: 1 also means one recipient a destination; 0: no limit. */
	return n <= 0 ? 1000 : (size_t)n;
}

/* In seconds, as Postfix rounds it; 0: none. */
static int64_t
rate_delay(const struct route *r)
{
	char *own = param_text(r, "destination_rate_delay");
	int64_t ms = queue_conf.rate_delay;

	if (own != NULL && !num_time(span_trim(span_of(own)), 's', &ms))
		ms = queue_conf.rate_delay;
	free(own);
	return (ms + 999) / 1000;
}

/* "1", "0.5", "1/concurrency": how much of a place, in thousandths. */
static int64_t
feedback(const char *text, int64_t window)
{
	struct span rest = span_of(text), number, part;
	int64_t whole = 1, part_n = 0, r;

	(void)span_split(&rest, '/', &number);
	number = span_trim(number);
	(void)span_split(&number, '.', &part);
	if (!num_i64(part, 0, 1000, &whole))
		whole = 1;
	for (size_t i = 0; i < 3; i++)
		part_n =
		    part_n * 10 + (i < number.n && ascii_isdigit(number.p[i])
				       ? number.p[i] - '0'
				       : 0);
	r = whole * ONE + part_n;
	if (rest.n > 0)
		r = r * ONE / (window > ONE ? window : ONE);
	return r;
}

/* The place of a destination; made anew when it is not there. */
static struct dest *
dest_of(const struct route *r)
{
	uint64_t key = key_of(r);
	struct dest *d = &shared->dest[key % DEST_MAX];

	if (d->key != key) {
		d->key = 0;
		d->window = ONE * param_number(r,
					       "initial_destination_"
					       "concurrency",
					       queue_conf.initial_concurrency);
		d->cohorts = d->next = d->waiting = d->since = d->until = 0;
		d->proven = false;
		d->key = key;
	}
	return d;
}

/* smtp_destination_concurrency_limit, else the default one; below it what
 * was seen there decides. */
static int64_t
limit_of(const struct route *r, const struct dest *d)
{
	int64_t n = param_number(r, "destination_concurrency_limit",
				 queue_conf.concurrency_limit);
	int64_t window = (d->window + ONE - 1) / ONE;

	if (rate_delay(r) > 0)
		return 1;
	if (n <= 0)
		n = INT64_MAX;
	return window < 1 ? 1 : window < n ? window : n;
}

int
queue_dest_enter(const struct route *r)
{
	uint64_t key = key_of(r);
	int64_t there = 0, delay, now = clock_now();

	if (shared == NULL || self == SIZE_MAX)
		return 0;
	struct dest *d = dest_of(r);
	/* First stand there, then count: two that come together may both go
	 * away again, never both stay beyond the limit. */
	__atomic_store_n(&shared->at[self], key, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < workers; i++)
		there +=
		    __atomic_load_n(&shared->at[i], __ATOMIC_SEQ_CST) == key;
	if (there > limit_of(r, d)) {
		queue_dest_leave();
		return -1;
	}
	delay = rate_delay(r);
	if (delay == 0)
		return 0;
	if (now < d->next && d->next - now <= delay) {
		/* Each of those who wait gets a second of its own. */
		int64_t later = d->next - now + d->waiting++ * delay;

		queue_dest_leave();
		return later < 86400 ? (int)later : 86400;
	}
	d->next = now + delay;
	d->waiting -= d->waiting > 0;
	return 0;
}

/* Only one's own place is written: no lock, nothing that a killed worker
 * leaves behind. */
void
queue_dest_leave(void)
{
	if (shared != NULL && self != SIZE_MAX)
		__atomic_store_n(&shared->at[self], 0, __ATOMIC_SEQ_CST);
}

void
queue_dest_fails(const struct route *r, struct span text)
{
	int64_t limit =
	    ONE * param_number(r, "destination_concurrency_failed_cohort_limit",
			       queue_conf.cohort_limit);

	if (shared == NULL)
		return;
	struct dest *d = dest_of(r);
	char *own = param_text(r, "destination_concurrency_negative_feedback");
	int64_t places = d->window > ONE ? d->window : ONE;

	d->cohorts += ONE * ONE / places;
	d->window -= feedback(own != NULL ? own : queue_conf.negative_feedback,
			      d->window);
	if (d->window < ONE)
		d->window = ONE;
	free(own);
	/* As long as all of those who were there together failed (Postfix's
	 * cohorts); where nothing was ever delivered one is enough. */
	if (d->proven && (limit == 0 || d->cohorts < limit))
		return;
	snprintf(d->text, sizeof(d->text), "%.*s", SPAN_ARG(text));
	d->since = clock_now();
	d->until = d->since + queue_conf.minimal_backoff / 1000;
	d->proven = false;
	d->cohorts = 0;
}

void
queue_dest_works(const struct route *r)
{
	if (shared == NULL)
		return;
	struct dest *d = dest_of(r);
	char *own = param_text(r, "destination_concurrency_positive_feedback");
	int64_t most = ONE * param_number(r, "destination_concurrency_limit",
					  queue_conf.concurrency_limit);

	d->cohorts = 0;
	d->proven = true;
	d->until = 0;
	d->window += feedback(own != NULL ? own : queue_conf.positive_feedback,
			      d->window);
	if (most <= 0)
		most = INT64_MAX / ONE;
	if (d->window > most)
		d->window = most;
	free(own);
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
	const struct dest *d = &shared->dest[key % DEST_MAX];
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
