/*
 * report_limit.c - which reports are not sent: whose sender did not send the
 * message, and more than so many an hour to one address.
 * THREATS 42 (backscatter): who writes mail in somebody's name to a thousand
 * addresses that do not exist must not have us send that person a thousand
 * reports.
 *
 * The counts are in $queue_directory/reports, a count-min sketch of fixed size
 * (memory and time do not grow with the number of senders): ROWS cells stand
 * for an address, the least of them is its count.  Two addresses in all four
 * cells are counted together, which is one chance in 10^14; the seed keeps it
 * from being aimed at.  The file may be deleted at any time.
 */
#include "authres.h"
#include "clock.h"
#include "log.h"
#include "queue.h"
#include "random.h"
#include "site.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROWS 4
#define CELLS 4096
#define MAGIC 0x6d78727031313131u /* also: this version's layout */

struct cell {
	uint32_t hour, count;
};
struct counts {
	uint64_t magic, seed;
	struct cell v[ROWS][CELLS];
};

/* FNV-1a from a secret basis; domains and local parts without case. */
static uint64_t
hash(uint64_t seed, struct span s)
{
	uint64_t h = 0xcbf29ce484222325u ^ seed;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)ascii_tolower(s.p[i])) * 0x100000001b3u;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9u;
	return h ^ h >> 32;
}

/* Reads it, or begins anew what is not whole. */
static void
load(int fd, struct counts *c)
{
	if (pread(fd, c, sizeof(*c), 0) == (ssize_t)sizeof(*c) &&
	    c->magic == MAGIC)
		return;
	memset(c, 0, sizeof(*c));
	c->magic = MAGIC;
	c->seed = random_u64();
}

/* One more for the address; false: as many as may be are sent this hour. */
static bool
count(struct counts *c, struct span addr, uint32_t limit)
{
	uint32_t hour = (uint32_t)(clock_now() / 3600), least = UINT32_MAX;
	uint64_t h = hash(c->seed, addr);
	struct cell *cell[ROWS];

	for (size_t i = 0; i < ROWS; i++) {
		cell[i] = &c->v[i][(h >> (12 * i)) % CELLS];
		if (cell[i]->hour != hour)
			*cell[i] = (struct cell){ .hour = hour };
		if (cell[i]->count < least)
			least = cell[i]->count;
	}
	if (least >= limit)
		return false;
	for (size_t i = 0; i < ROWS; i++)
		if (cell[i]->count == least)
			cell[i]->count++;
	return true;
}

/* Trouble with the counts is no reason not to tell a sender. */
bool
report_allowed(const char *to)
{
	static struct counts c; /* 128 KB: too much for a stack */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct err e = ERR_INIT;
	uint32_t limit = (uint32_t)queue_conf.report_limit;
	bool ok = true;
	int dir, fd;

	if (limit == 0)
		return true;
	dir = deliver_queue_dir(&e);
	fd = dir < 0 ? -1
		     : openat(dir, "reports",
			      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fcntl(fd, F_SETLKW, &lock) != 0) {
		log_warn("%s/reports: %m: reports are not counted",
			 site.queue_directory);
	} else {
		load(fd, &c);
		ok = count(&c, span_of(to), limit);
		if (pwrite(fd, &c, sizeof(c), 0) != (ssize_t)sizeof(c))
			log_warn("%s/reports: %m: reports are not counted",
				 site.queue_directory);
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool
failed_with_reject(struct span value)
{
	struct span payload = authres_payload(value);
	struct authres_result r;

	if (payload.p == NULL)
		return false;
	while (authres_next(&payload, &r))
		/* a trusted sealer vouches for it (RFC 8617): no forgery */
		if (span_iis(r.method, "dmarc") && span_iis(r.result, "fail") &&
		    span_ifind(r.rest, SPAN("p=reject")) >= 0 &&
		    span_ifind(r.rest, SPAN("arc=pass")) < 0)
			return true;
	return false;
}

struct search {
	const char *id;
	bool found;
};

static int
look(void *ctx, const struct msg_field *f)
{
	struct search *s = ctx;

	s->found =
	    authres_is_from(f->value, s->id) && failed_with_reject(f->value);
	return s->found;
}

bool
report_forged(const struct queuefile *q)
{
	struct search s = { queue_conf.authserv_id, false };
	struct buf b = BUF_INIT;
	struct msg m;
	struct err e = ERR_INIT;

	if (!(q->env.flags & QUEUEFILE_INBOUND))
		return false;
	if (bounce_header(q, &b, &e) == 0) {
		msg_index(&m, buf_span(&b), 0);
		(void)msg_each_header(&m, "Authentication-Results", look, &s);
		msg_done(&m);
	}
	buf_free(&b);
	return s.found;
}
