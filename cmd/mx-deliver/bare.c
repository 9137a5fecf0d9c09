/*
 * bare.c - a bare, safe deposit of stdin into a Maildir or an mbox.
 * DESIGN law 1: exit status 0 only when it is on stable storage; nothing of
 * the message is changed but CRLF, which becomes LF, and a leading mbox
 * separator line, which is no part of a message.
 */
#include "bare.h"
#include "deposit.h"
#include "lines.h"
#include "mbox.h"
#include "opt.h"
#include "status.h"

#include <unistd.h>

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
		r = lines_stdin(put_deposit, &d, &e);
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
	int r = lines_stdin(put_mbox, m, &e);
	if (r == 0)
		r = mbox_commit(&m, &e);
	mbox_abort(&m);
	return r == 0 ? ST_OK : prog_fail(&e);
}
