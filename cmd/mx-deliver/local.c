/*
 * local.c - delivery of one message to one place on this host.
 * virtual(8), local(8) of Postfix: fields on top, loop check by Delivered-To,
 * mailboxes, commands.
 */
#include "local.h"
#include "command.h"
#include "conf.h"
#include "hand.h"
#include "head.h"
#include "log.h"
#include "sieve.h"
#include "status.h"
#include "via.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

void
outcome_settle(struct err *e)
{
	const char *code;

	if (e->esc[0] == '5' && e->status != ST_OK &&
	    !status_is_temp(e->status))
		return;
	if (e->status == ST_OK || !status_is_temp(e->status))
		e->status = ST_TEMPFAIL;
	code = err_code(e);
	if (e->esc[0] != '4')
		snprintf(e->esc, sizeof(e->esc), "%s",
			 code[0] == '4' ? code : "4.3.0");
}

void
outcome_fail(struct outcome *out, const struct err *e)
{
	out->why = *e;
	outcome_settle(&out->why);
	out->result =
	    status_is_temp(out->why.status) ? DELIVER_DEFERRED : DELIVER_FAILED;
	snprintf(out->dsn, sizeof(out->dsn), "%s", out->why.esc);
	snprintf(out->text, sizeof(out->text), "%.190s", out->why.text);
}

void
outcome_done(struct outcome *out, const char *text)
{
	out->result = DELIVER_DONE;
	out->why = ERR_INIT;
	snprintf(out->dsn, sizeof(out->dsn), "2.0.0");
	snprintf(out->text, sizeof(out->text), "%s", text);
}

/* A mailbox that cannot be opened or written is trouble of ours, whatever
 * errno says: permissions, a missing home, a wrong path are mended. */
int
local_trouble(int r, struct err *e)
{
	/* 5.2.2: the mailbox is full, which is no trouble of ours */
	if (r != 0 && e->status != ST_TEMPFAIL &&
	    strcmp(e->esc, "5.2.2") != 0) {
		e->status = ST_TEMPFAIL;
		snprintf(e->esc, sizeof(e->esc), "4.2.0");
	}
	return r;
}

int
local_begin(struct local *l, const struct dest *d, const struct facts *f,
	    struct err *e)
{
	struct buf head = BUF_INIT;
	int r;

	*l = (struct local){ .dest = d, .facts = f };
	l->hand = hand_get(d, e);
	if (l->hand == NULL ||
	    hand_open(l->hand, d, &l->out, &l->script, e) != 0) {
		l->out = NULL;
		return local_trouble(-1, e);
	}
	head_fields(&head, f, "file");
	r = deposit_write(l->out, head.p, head.n, e);
	buf_free(&head);
	if (r != 0)
		local_abort(l);
	return local_trouble(r, e);
}

int
local_write(struct local *l, const void *p, size_t n, struct err *e)
{
	return local_trouble(deposit_write(l->out, p, n, e), e);
}

void
local_abort(struct local *l)
{
	if (l->out != NULL)
		hand_abort(l->hand);
	l->out = NULL;
}

bool
local_filtered(const struct dest *d)
{
	return d->user != NULL && sieve_for_all();
}

void
local_finish(struct local *l, struct outcome *out)
{
	struct verdict v = VERDICT_INIT;
	struct err e = ERR_INIT;
	int r = 0;

	if (l->script || local_filtered(l->dest)) {
		r = deposit_flush(l->out, &e);
		if (r == 0)
			r = sieve_run(l, &v, &e);
	} else {
		places_add(&v.places, SPAN(""), NULL, false, false);
	}
	/* The order is DESIGN 3.3's: queue entries for redirects and replies
	 * are there already (not due), now the mailbox copy, last the entries
	 * are released. A crash between sends nothing or delivers once. */
	if (r == 0 && v.reject != NULL) {
		r = err_esc(&e, ST_UNAVAILABLE, "5.7.1", "%s", v.reject);
		local_abort(l);
	} else if (r == 0 && v.places.n == 0) {
		local_abort(l);
		outcome_done(out, v.words[0]     ? v.words
				  : v.redirected ? "redirected by sieve"
						 : "discarded by sieve");
	} else if (r == 0) {
		r = local_trouble(hand_commit(l->hand, &v.places, &e), &e);
		l->out = NULL;
		if (r == 0)
			outcome_done(out, v.words[0] ? v.words
						     : "delivered to maildir");
	}
	if (r == 0)
		r = local_trouble(verdict_copies(&v, l, &e), &e);
	if (r == 0)
		verdict_done(&v, l);
	if (r != 0) {
		local_abort(l);
		verdict_undo(&v);
		outcome_fail(out, &e);
	}
	verdict_free(&v);
}

/* The same path as a message that comes over the wire: one writer, one commit.
 * small: all of it, or empty. */
static void
deliver_maildir(const struct dest *d, const struct facts *f, int fd,
		uint64_t at, uint64_t size, struct span small,
		struct outcome *out)
{
	struct local l;
	struct err e = ERR_INIT;
	char b[65536];
	int r = local_begin(&l, d, f, &e);

	if (r == 0 && small.n > 0) {
		r = local_write(&l, small.p, small.n, &e);
		size = 0;
	}
	while (r == 0 && size > 0) {
		ssize_t got =
		    pread(fd, b, size < sizeof(b) ? (size_t)size : sizeof(b),
			  (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			r = err_set(&e, ST_TEMPFAIL,
				    "the queued message cannot be read");
		else
			r = local_write(&l, b, (size_t)got, &e);
		at += got > 0 ? (uint64_t)got : 0;
		size -= got > 0 ? (uint64_t)got : 0;
	}
	if (r == 0) {
		local_finish(&l, out);
		return;
	}
	local_abort(&l);
	outcome_fail(out, &e);
}

/* From-escaping and locks are the hand's (common/mbox.h): this side only
 * passes the descriptor. */
static void
deliver_mbox(const struct dest *d, const struct facts *f, int fd, uint64_t at,
	     uint64_t size, struct outcome *out)
{
	struct hand *h;
	struct err e = ERR_INIT;
	struct buf head = BUF_INIT;
	int r = -1;

	h = hand_get(d, &e);
	head_fields(&head, f, "file");
	if (h != NULL)
		r = hand_mbox(h, d->path, f->sender, buf_span(&head), fd, at,
			      size, d->quota.file, &e);
	buf_free(&head);
	if (r == 0)
		outcome_done(out, d->user != NULL ? "delivered to mailbox"
						  : "delivered to file");
	else {
		(void)local_trouble(r, &e);
		outcome_fail(out, &e);
	}
}

void
local_deliver(const struct dest *d, const struct facts *f, int fd, uint64_t at,
	      uint64_t size, struct outcome *out)
{
	static char whole[65536];
	struct span small = SPAN("");
	struct err e = ERR_INIT;

	/* A message of the usual size is read once, not twice. */
	if (size <= sizeof(whole) && d->kind == DEST_MAILDIR &&
	    pread(fd, whole, (size_t)size, (off_t)at) == (ssize_t)size)
		small = span_make(whole, (size_t)size);
	if (small.n > 0 ? head_loops_in(small, f->addr)
			: head_loops(fd, at, size, f->addr)) {
		(void)via_err(&e, f->addr);
		outcome_fail(out, &e);
	} else if (d->kind == DEST_MAILDIR) {
		deliver_maildir(d, f, fd, at, size, small, out);
	} else if (d->kind == DEST_MBOX) {
		deliver_mbox(d, f, fd, at, size, out);
	} else {
		command_deliver(d, f, fd, at, size, out);
	}
}
