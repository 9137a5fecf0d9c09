/*
 * status.c - the one table of verdicts; see status.h.
 * Layer: base.  RFC 3463; sysexits(3); Postfix global/sys_exits(3).
 */
#include "status.h"

#include <errno.h>
#include <sys/wait.h>

static const struct status_row {
	int st;
	bool temp;
	const char *esc, *words;
} status_rows[] = {
	{ ST_OK, false, "2.0.0", "done" },
	{ ST_NO, false, "5.3.0", "no" },
	{ ST_USAGE, false, "5.3.0", "command line usage error" },
	{ ST_DATA, false, "5.6.0", "data format error" },
	{ ST_NOINPUT, false, "5.3.0", "cannot open input" },
	{ ST_NOUSER, false, "5.1.1", "user unknown" },
	{ ST_NOHOST, false, "5.1.2", "host name unknown" },
	{ ST_UNAVAILABLE, false, "5.7.1", "refused" },
	{ ST_SOFTWARE, false, "5.3.0", "internal software error" },
	{ ST_OSERR, true, "4.3.0", "system error" },
	{ ST_OSFILE, false, "5.3.0", "critical OS file missing" },
	{ ST_CANTCREAT, false, "5.2.0", "cannot create output file" },
	{ ST_IOERR, true, "4.3.0", "input/output error" },
	{ ST_TEMPFAIL, true, "4.3.0", "temporary failure" },
	{ ST_PROTOCOL, false, "5.5.0", "remote error in protocol" },
	{ ST_NOPERM, false, "5.7.0", "permission denied" },
	{ ST_CONFIG, true, "4.3.5", "local configuration error" },
};

static const struct status_row status_unknown = { -1, true, "4.3.0",
						  "unknown failure" };

static const struct status_row *
status_row(int st)
{
	for (size_t i = 0; i < ARRAY_LEN(status_rows); i++) {
		if (status_rows[i].st == st)
			return &status_rows[i];
	}
	return &status_unknown;
}

int
status_from_errno(int err)
{
	switch (err) {
	case 0:
		return ST_OK;
	case EACCES:
	case EPERM:
		return ST_NOPERM;
	case ENOENT:
	case ENOTDIR:
		return ST_NOINPUT;
	default: /* ENOSPC, EDQUOT, EIO, EROFS, EMFILE, ...: try again */
		return ST_TEMPFAIL;
	}
}

int
status_from_wait(int wstatus)
{
	if (WIFEXITED(wstatus))
		return WEXITSTATUS(wstatus);
	return ST_TEMPFAIL;
}

bool
status_is_temp(int st)
{
	return status_row(st)->temp;
}

const char *
status_esc(int st)
{
	return status_row(st)->esc;
}

const char *
status_words(int st)
{
	return status_row(st)->words;
}
