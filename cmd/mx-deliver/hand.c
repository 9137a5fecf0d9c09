/*
 * hand.c - asking for deliveries with another user's rights: the client.
 * One request, one answer, over a SOCK_SEQPACKET pair; see hand_wire.h.
 */
#include "hand_int.h"
#include "become.h"
#include "conf.h"
#include "hand_wire.h"
#include "io.h"
#include "mem.h"
#include "stage.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HANDS_MAX 16
#define IDLE_MS 60000
#define AHEAD_MS 5000

static struct hand *hands[HANDS_MAX];
static const struct dest *next_dest;

/* The child gives its file up when it opens another one, or ends. */
void
hand_ahead_forget(struct hand *h)
{
	if (h->ahead_fd >= 0)
		close(h->ahead_fd);
	h->ahead_fd = -1;
	buf_clear(&h->ahead);
}

/* Closing the socket ends the child, which forgets what was not committed. */
static void
hand_free(struct hand *h)
{
	if (h->sock >= 0)
		close(h->sock);
	deposit_abort(&h->remote);
	handwork_done(&h->own);
	hand_ahead_forget(h);
	buf_free(&h->ahead);
	free(h);
}

static void
forget(struct hand *h)
{
	for (size_t i = 0; i < HANDS_MAX; i++) {
		if (hands[i] != h)
			continue;
		hands[i] = NULL;
		hand_free(h);
		return;
	}
}

void
hand_idle(void)
{
	stage_idle(false);
	for (size_t i = 0; i < HANDS_MAX; i++)
		if (hands[i] != NULL && !hands[i]->active &&
		    (hands[i]->dead || clock_mono() - hands[i]->used > IDLE_MS))
			forget(hands[i]);
}

/* A child of uid's rights, or (sock -1) our own. HANDS_MAX children at most:
 * the one that was used longest ago ends for a new one. */
static struct hand *
make(int sock, uid_t uid, gid_t gid)
{
	struct hand *h = mem_alloc(1, sizeof(*h));
	size_t slot = 0;

	*h = (struct hand){
		.sock = sock, .uid = uid, .gid = gid, .ahead_fd = -1
	};
	handwork_init(&h->own);
	deposit_adopt(&h->remote, -1);
	/* the longest unused one makes room */
	for (size_t i = 0; i < HANDS_MAX; i++) {
		if (hands[i] == NULL) {
			slot = i;
			break;
		}
		if (hands[slot]->active ||
		    (!hands[i]->active && hands[i]->used < hands[slot]->used))
			slot = i;
	}
	if (hands[slot] != NULL)
		hand_free(hands[slot]);
	hands[slot] = h;
	return h;
}

/* No other rights than ours are needed, or to be had. */
static bool
is_own(const struct dest *d)
{
	return !d->has_ids || !become_possible() || d->uid == geteuid();
}

struct hand *
hand_get(const struct dest *d, struct err *e)
{
	bool own = is_own(d);
	uid_t uid = own ? geteuid() : d->uid;
	gid_t gid = own ? getegid() : d->gid;
	int sock = -1;

	for (size_t i = 0; i < HANDS_MAX; i++)
		if (hands[i] != NULL && hands[i]->uid == uid &&
		    hands[i]->gid == gid && !hands[i]->active &&
		    !hands[i]->dead) {
			hands[i]->used = clock_mono();
			return hands[i];
		}
	if (!own) {
		sock = become_connect(uid, gid, e);
		if (sock < 0)
			return NULL;
	}
	struct hand *h = make(sock, uid, gid);
	/* the deadline of most requests, without a poll each */
	struct timeval tv = { HAND_MS / 1000, 0 };
	if (sock >= 0)
		(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv,
				 sizeof(tv));
	h->used = clock_mono();
	return h;
}

/* The user's process is given the message to read, not the queue's file to
 * write (DESIGN law 4).  -1: it is for reading already, or there is no /proc;
 * the position is kept. */
static int
read_only(int fd)
{
	char path[40];
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (r >= 0 && lseek(r, lseek(fd, 0, SEEK_CUR), SEEK_SET) < 0) {
		close(r);
		r = -1;
	}
	return r;
}

int
hand_ask(struct hand *h, struct buf *request, int fd, struct buf *answer,
	 int *fd_r, int64_t ms, struct err *e)
{
	static char in[HAND_MAX];
	int got_fd = -1, lent = fd < 0 ? -1 : read_only(fd);
	ssize_t n = -1;

	if (lent >= 0)
		fd = lent;
	/* A child that did not answer in time may yet do what it was asked to:
	 * the verdict is "try again", at the risk of a second copy, never of
	 * none. */
	if (!h->dead && io_send_fd(h->sock, request->p, request->n, fd) == 0 &&
	    (ms <= HAND_MS ||
	     io_wait(h->sock, false, clock_deadline(ms)) == IO_OK))
		n = io_recv_fd(h->sock, in, sizeof(in), &got_fd);
	if (lent >= 0)
		close(lent);
	buf_free(request);
	if (n <= 0) {
		err_set(e, ST_TEMPFAIL,
			"the process with uid %ld's rights ended",
			(long)h->uid);
		h->dead = true;
		return -1;
	}
	struct span rest = span_make(in, (size_t)n);
	if (fd_r != NULL)
		*fd_r = got_fd;
	else if (got_fd >= 0)
		close(got_fd);
	if (wire_get_verdict(&rest, e) != 0)
		return -1;
	if (answer != NULL)
		buf_addspan(answer, rest);
	return 0;
}

static void
put_open(struct buf *q, const struct dest *d)
{
	wire_put_u64(q, HAND_OPEN);
	wire_put_str(q, d->path);
	wire_put_u64(q, (uint64_t)conf.maildir_fsync);
	wire_put_str(q, d->sieve);
	wire_put_u64(q, d->quota.bytes);
	wire_put_u64(q, d->quota.count);
	wire_put_str(q, d->user);
	wire_put_u64(q, d->quota.file);
	wire_put_str(q, d->home);
}

/* What was opened ahead counts when it is what is asked for now, to the last
 * byte, and no old story. */
static bool
take_ahead(struct hand *h, struct span request, bool *script_r)
{
	bool same = h->ahead.n > 0 && span_eq(buf_span(&h->ahead), request) &&
		    clock_mono() - h->ahead_at < AHEAD_MS;

	if (same) {
		deposit_adopt(&h->remote, h->ahead_fd);
		*script_r = h->ahead_script;
		h->ahead_fd = -1;
	}
	hand_ahead_forget(h);
	return same;
}

static int
open_remote(struct hand *h, const struct dest *d, bool *script_r, struct err *e)
{
	struct buf q = BUF_INIT, a = BUF_INIT;
	struct span rest;
	uint64_t script = 0;
	int fd = -1;

	put_open(&q, d);
	if (take_ahead(h, buf_span(&q), script_r)) {
		buf_free(&q);
		return 0;
	}
	if (hand_ask(h, &q, -1, &a, &fd, HAND_MS, e) != 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	rest = buf_span(&a);
	bool ok = wire_get_u64(&rest, &script) && fd >= 0;
	buf_free(&a);
	if (!ok)
		return err_set(e, ST_TEMPFAIL, "malformed answer");
	*script_r = script != 0;
	deposit_adopt(&h->remote, fd);
	return 0;
}

int
hand_open(struct hand *h, const struct dest *d, struct deposit **out,
	  bool *script_r, struct err *e)
{
	int r = h->sock < 0
		    ? handwork_open(&h->own, d->path,
				    (enum deposit_sync)conf.maildir_fsync,
				    d->sieve, script_r, e)
		    : open_remote(h, d, script_r, e);

	if (r != 0)
		return r;
	if (h->sock < 0)
		handwork_quota(&h->own, &d->quota, d->user, d->home);
	h->active = true;
	*out = h->sock < 0 ? &h->own.d : &h->remote;
	return 0;
}

void
hand_next(const struct dest *d)
{
	next_dest = d;
}

/* The child's second verdict; without a file nothing was asked ahead, and
 * hand_open hears why. */
static void
keep_ahead(struct hand *h, struct span answer, int fd)
{
	struct err e = ERR_INIT;
	uint64_t script;

	h->ahead_fd = fd;
	h->ahead_at = clock_mono();
	if (wire_get_verdict(&answer, &e) != 0 || fd < 0 ||
	    !wire_get_u64(&answer, &script))
		hand_ahead_forget(h);
	else
		h->ahead_script = script != 0;
}

int
hand_commit(struct hand *h, const struct places *p, struct err *e)
{
	struct buf q = BUF_INIT, a = BUF_INIT;
	const struct dest *next = next_dest;
	int fd = -1;

	h->active = false;
	h->used = clock_mono();
	if (h->sock < 0)
		return handwork_commit(&h->own, h->own.d.size, h->own.d.vsize,
				       p, e);
	if (deposit_flush(&h->remote, e) != 0) {
		h->active = true;
		hand_abort(h);
		return -1;
	}
	/* The child holds the same open file: its fsync tells of errors that
	 * our writes left behind. */
	wire_put_u64(&q, HAND_COMMIT);
	wire_put_u64(&q, h->remote.size);
	wire_put_u64(&q, h->remote.vsize);
	wire_put_places(&q, p);
	hand_ahead_forget(h);
	if (next != NULL && !is_own(next) && next->uid == h->uid &&
	    next->gid == h->gid)
		put_open(&h->ahead, next);
	buf_addspan(&q, buf_span(&h->ahead));
	deposit_abort(&h->remote);
	int r = hand_ask(h, &q, -1, &a, &fd, HAND_MS, e);
	keep_ahead(h, buf_span(&a), fd);
	buf_free(&a);
	return r;
}

void
hand_abort(struct hand *h)
{
	struct buf q = BUF_INIT;
	struct err e = ERR_INIT;

	if (h == NULL || !h->active)
		return;
	h->active = false;
	if (h->sock < 0) {
		handwork_abort(&h->own);
		return;
	}
	deposit_abort(&h->remote);
	wire_put_u64(&q, HAND_ABORT);
	(void)!hand_ask(h, &q, -1, NULL, NULL, HAND_MS, &e);
}

int
hand_mbox(struct hand *h, const char *path, const char *sender,
	  struct span head, int fd, uint64_t at, uint64_t size, uint64_t limit,
	  struct err *e)
{
	struct buf q = BUF_INIT;

	if (h->sock < 0)
		return handwork_mbox(path, sender, head, fd, at, size, limit,
				     e);
	wire_put_u64(&q, HAND_MBOX);
	wire_put_str(&q, path);
	wire_put_str(&q, sender);
	wire_put_span(&q, head);
	wire_put_u64(&q, at);
	wire_put_u64(&q, size);
	wire_put_u64(&q, limit);
	return hand_ask(h, &q, fd, NULL, NULL, HAND_MS, e);
}

int
hand_run(struct hand *h, const struct command *c, int fd,
	 struct command_result *r, struct err *e)
{
	struct buf q = BUF_INIT, a = BUF_INIT;
	struct span rest, out, errs;
	uint64_t status;

	if (h->sock < 0)
		return handwork_run(c, fd, r, e);
	*r = (struct command_result){ .out = BUF_INIT, .errs = BUF_INIT };
	wire_put_u64(&q, HAND_RUN);
	wire_put_strs(&q, &c->argv);
	wire_put_strs(&q, &c->env);
	wire_put_str(&q, c->dir);
	wire_put_u64(&q, (uint64_t)c->limit_ms);
	if (hand_ask(h, &q, fd, &a, NULL, c->limit_ms + 10000, e) != 0)
		return -1;
	rest = buf_span(&a);
	bool ok = wire_get_u64(&rest, &status) && wire_get_span(&rest, &out) &&
		  wire_get_span(&rest, &errs);
	if (ok) {
		r->status = (int)status;
		buf_addspan(&r->out, out);
		buf_addspan(&r->errs, errs);
	}
	buf_free(&a);
	return ok ? 0 : err_set(e, ST_TEMPFAIL, "malformed answer");
}

int
hand_forward(struct hand *h, const char *path, bool own, struct buf *b,
	     struct err *e)
{
	struct buf q = BUF_INIT, a = BUF_INIT;
	struct span rest, bytes;
	uint64_t there;

	if (h->sock < 0)
		return handwork_forward(path, own, b, e);
	wire_put_u64(&q, HAND_FORWARD);
	wire_put_str(&q, path);
	wire_put_u64(&q, own);
	if (hand_ask(h, &q, -1, &a, NULL, HAND_MS, e) != 0)
		return -1;
	rest = buf_span(&a);
	bool ok = wire_get_u64(&rest, &there) && wire_get_span(&rest, &bytes);
	if (ok)
		buf_addspan(b, bytes);
	buf_free(&a);
	if (!ok)
		return err_set(e, ST_TEMPFAIL, "malformed answer");
	return there != 0;
}

int
hand_quota(struct hand *h, const struct dest *d, uint64_t size,
	   enum quota_room *r, struct err *e)
{
	struct buf q = BUF_INIT, a = BUF_INIT;
	struct span rest;
	uint64_t room = 0;

	if (h->sock < 0)
		return handwork_room(d->path, &d->quota, size, r, e);
	wire_put_u64(&q, HAND_QUOTA);
	wire_put_str(&q, d->path);
	wire_put_u64(&q, d->quota.bytes);
	wire_put_u64(&q, d->quota.count);
	wire_put_u64(&q, size);
	if (hand_ask(h, &q, -1, &a, NULL, HAND_MS, e) != 0)
		return -1;
	rest = buf_span(&a);
	bool ok = wire_get_u64(&rest, &room) && room <= QUOTA_LARGE;
	buf_free(&a);
	*r = (enum quota_room)room;
	return ok ? 0 : err_set(e, ST_TEMPFAIL, "malformed answer");
}

int
hand_pipe(struct hand *h, const struct pipeline *p, int fd,
	  struct pipeline_result *r, struct err *e)
{
	struct buf q = BUF_INIT, a = BUF_INIT;
	struct span rest, errs, actions;
	uint64_t bad, status;

	if (h->sock < 0)
		return handwork_pipe(p, fd, r, e);
	*r = (struct pipeline_result){ .bad = -1, .fd_out = -1 };
	wire_put_u64(&q, HAND_PIPE);
	wire_put_u64(&q, p->n);
	for (size_t i = 0; i < p->n; i++)
		wire_put_strs(&q, &p->argv[i]);
	wire_put_strs(&q, &p->env);
	wire_put_u64(&q, (uint64_t)p->limit_ms);
	if (hand_ask(h, &q, fd, &a, &r->fd_out, p->limit_ms + 10000, e) != 0)
		return -1;
	rest = buf_span(&a);
	bool ok = wire_get_u64(&rest, &bad) && bad <= p->n &&
		  wire_get_u64(&rest, &status) && status <= 255 &&
		  wire_get_span(&rest, &errs) &&
		  wire_get_span(&rest, &actions) && r->fd_out >= 0;
	if (ok) {
		r->bad = (int)bad - 1;
		r->status = (int)status;
		buf_addspan(&r->errs, errs);
		buf_addspan(&r->actions, actions);
	}
	buf_free(&a);
	return ok ? 0 : err_set(e, ST_TEMPFAIL, "malformed answer");
}
