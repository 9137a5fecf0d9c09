/*
 * actions.c - the action lines of a stage; see actions.h.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "actions.h"
#include "io.h"
#include "status.h"

void
actions_add(struct actions *a, const char *verb, const char *arg)
{
	buf_adds(&a->lines, verb);
	if (arg)
		buf_addc(&a->lines, '\t');
	for (; arg && *arg; arg++)
		buf_addc(&a->lines,
			 (unsigned char)*arg < 32 || *arg == 127 ? ' ' : *arg);
	buf_addc(&a->lines, '\n');
}

int
actions_write(struct actions *a, struct err *e)
{
	const char *where = getenv("MX_ACTIONS");
	int fd = where && strcmp(where, "3") == 0 ? 3 : STDERR_FILENO;

	if (a->lines.n == 0)
		return 0;
	if (fcntl(fd, F_GETFD) < 0)
		return err_set(e, ST_TEMPFAIL,
			       "MX_ACTIONS=3 is set, but descriptor 3 is not "
			       "open: open it, or unset MX_ACTIONS");
	if (io_write(fd, a->lines.p, a->lines.n, DEADLINE_NEVER) != IO_OK)
		return err_sys(e, "cannot write the actions");
	return 0;
}

void
actions_done(struct actions *a)
{
	buf_free(&a->lines);
}
