/*
 * err.c - the error sentence; see err.h.
 * Layer: base.
 */
#define MX_ERR_C
#include "err.h"
#include "buf.h"
#include "escape.h"
#include "status.h"

#include <errno.h>
#include <stdio.h>

static void
err_text(struct err *e, const char *fmt, va_list ap)
{
	struct buf raw = BUF_INIT, safe = BUF_INIT;

	buf_vaddf(&raw, fmt, ap);
	escape_line(&safe, buf_span(&raw), sizeof(e->text) - 1);
	snprintf(e->text, sizeof(e->text), "%s", buf_str(&safe));
	buf_free(&raw);
	buf_free(&safe);
}

int
err_set(struct err *e, int status, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	err_text(e, fmt, ap);
	va_end(ap);
	e->status = status;
	e->full = false;
	e->esc[0] = '\0';
	return -1;
}

int
err_esc(struct err *e, int status, const char *esc, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	err_text(e, fmt, ap);
	va_end(ap);
	e->status = status;
	e->full = false;
	snprintf(e->esc, sizeof(e->esc), "%s", esc);
	return -1;
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	int code = errno;
	size_t n;
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	err_text(e, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	/* No errno and yet a failure: a short write, a limit of ours.  Its
	 * status must not be ST_OK, which callers exit with. */
	snprintf(e->text + n, sizeof(e->text) - n, ": %s",
		 code != 0 ? strerror(code) : "not done in full");
	e->full = code == ENOSPC || code == EDQUOT;
	e->status = code != 0 ? status_from_errno(code) : ST_TEMPFAIL;
	e->esc[0] = '\0';
	errno = code;
	return -1;
}

int
err_prefix(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	size_t n;
	va_list ap;

	if (e == NULL)
		return -1;
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	err_text(e, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", old);
	return -1;
}

const char *
err_code(const struct err *e)
{
	return e->esc[0] ? e->esc : status_esc(e->status);
}
