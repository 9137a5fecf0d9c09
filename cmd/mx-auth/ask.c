/*
 * ask.c - reads a password: from a terminal without showing it, else the
 * first line of standard input.
 */
#include "options.h"
#include "status.h"

#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_BYTES = 1024 };

static int
read_line(struct buf *out, struct err *e)
{
	char c;
	ssize_t n;

	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
		if (out->n >= PASSWORD_BYTES)
			return err_set(e, ST_DATA,
				       "the password is longer than %d bytes",
				       PASSWORD_BYTES);
		buf_addc(out, c);
	}
	if (n < 0)
		return err_sys(e, "standard input");
	if (out->n > 0 && out->p[out->n - 1] == '\r')
		buf_cut(out, out->n - 1);
	return 0;
}

static int
read_hidden(struct buf *out, const char *prompt, struct err *e)
{
	struct termios old, hidden;
	int r;

	if (tcgetattr(STDIN_FILENO, &old) < 0)
		return err_sys(e, "terminal");
	hidden = old;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	fputs(prompt, stderr);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0)
		return err_sys(e, "terminal");
	r = read_line(out, e);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &old) < 0)
		r = err_sys(e, "terminal");
	fputc('\n', stderr);
	return r;
}

int
ask_password(struct buf *out, bool confirm, struct err *e)
{
	struct buf again = BUF_INIT;
	int r;

	if (!isatty(STDIN_FILENO)) {
		r = read_line(out, e);
	} else {
		r = read_hidden(out, "Password: ", e);
		if (r == 0 && confirm)
			r = read_hidden(&again, "Again: ", e);
		if (r == 0 && confirm &&
		    !span_eq(buf_span(out), buf_span(&again)))
			r = err_set(e, ST_DATA, "the two are not the same");
		buf_wipe(&again);
	}
	if (r == 0 && (out->n == 0 || memchr(out->p, '\0', out->n)))
		r = err_set(e, ST_DATA, "the password is empty or has a NUL");
	return r;
}
