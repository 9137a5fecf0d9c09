/*
 * bare.c - a bare, safe deposit of stdin into a Maildir or an mbox.
 * DESIGN law 1: exit status 0 only when it is on stable storage; nothing of
 * the message is changed but CRLF, which becomes LF, and a leading mbox
 * separator line, which is no part of a message.
 */
#include "bare.h"
#include "deposit.h"
#include "mbox.h"
#include "opt.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* CRLF to LF over all splits; a first line "From ..." is left out. */
struct lines {
	bool cr;         /* a CR is held back */
	bool skip;       /* inside the separator line */
	bool any;        /* something was read */
	struct buf head; /* first bytes, until it is known what they are */
	bool begun;
};

static void
lines_take(struct lines *l, struct span in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (l->skip) {
			l->skip = c != '\n';
			continue;
		}
		if (l->cr && c != '\n')
			buf_addc(out, '\r');
		l->cr = c == '\r';
		if (!l->cr)
			buf_addc(out, c);
	}
}

static void
lines_add(struct lines *l, struct span in, struct buf *out)
{
	const struct span sep = SPAN("From ");

	l->any = l->any || in.n > 0;
	if (l->begun) {
		lines_take(l, in, out);
		return;
	}
	buf_addspan(&l->head, in);
	if (l->head.n < sep.n && span_starts(sep, buf_span(&l->head)))
		return;
	l->begun = true;
	l->skip = span_starts(buf_span(&l->head), sep);
	lines_take(l, buf_span(&l->head), out);
	buf_free(&l->head);
}

static void
lines_end(struct lines *l, struct buf *out)
{
	if (!l->begun)
		lines_take(l, buf_span(&l->head), out);
	buf_free(&l->head);
	if (l->cr)
		buf_addc(out, '\r');
}

typedef int put_fn(void *to, const void *p, size_t n, struct err *e);

/* Copies stdin to put; an empty input is a failed stage before us. */
static int
copy_stdin(put_fn *put, void *to, struct err *e)
{
	struct lines l = { .cr = false };
	struct buf out = BUF_INIT;
	char in[65536];
	ssize_t got;
	int r = 0;

	do {
		got = read(0, in, sizeof(in));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r = err_sys(e, "reading the message");
		else if (got > 0)
			lines_add(&l, span_make(in, (size_t)got), &out);
		else
			lines_end(&l, &out);
		if (r == 0 && out.n > 0)
			r = put(to, out.p, out.n, e);
		buf_clear(&out);
	} while (r == 0 && got != 0);
	buf_free(&out);
	buf_free(&l.head);
	if (r == 0 && !l.any)
		r = err_set(e, ST_DATA,
			    "the message on standard input is empty");
	return r;
}

static int
put_deposit(void *to, const void *p, size_t n, struct err *e)
{
	return deposit_write(to, p, n, e);
}

static int
put_mbox(void *to, const void *p, size_t n, struct err *e)
{
	return mbox_write(to, p, n, e);
}

int
bare_maildir(const char *dir)
{
	struct err e = ERR_INIT;
	struct deposit d;
	int dirfd = deposit_maildir_open(dir, &e);

	if (dirfd < 0)
		return prog_fail(&e);
	int r = deposit_open(&d, dirfd, DEPOSIT_AUTO, &e);
	if (r == 0)
		r = copy_stdin(put_deposit, &d, &e);
	if (r == 0)
		r = deposit_commit(&d, NULL, &e);
	deposit_abort(&d);
	close(dirfd);
	if (r != 0)
		err_prefix(&e, "%s", dir);
	return r == 0 ? ST_OK : prog_fail(&e);
}

int
bare_mbox(const char *path, const char *sender)
{
	struct err e = ERR_INIT;
	struct mbox *m = mbox_open(path, sender, clock_deadline(60000), &e);

	if (m == NULL)
		return prog_fail(&e);
	int r = copy_stdin(put_mbox, m, &e);
	if (r == 0)
		r = mbox_commit(&m, &e);
	mbox_abort(&m);
	return r == 0 ? ST_OK : prog_fail(&e);
}
