/*
 * cmd_append.c - APPEND: the message goes from the wire straight into the
 * folder's tmp/, CRLF becoming LF; the one flush of DESIGN law 3 comes before
 * the tagged OK.  RFC 3501 6.3.11, RFC 4315 3 (APPENDUID).
 */
#include "capability.h"
#include "cmd.h"
#include "date.h"
#include "deposit.h"
#include "mailbox_name.h"
#include "status.h"
#include "strs.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LITERAL_MS (10 * 60 * 1000)

struct append {
	struct mailbox to; /* folder and keywords only */
	maildir_flags flags;
	bool has_date;
	struct date date;
	struct deposit dep;
	bool cr; /* a CR waits for what follows */
};

/* The rest of the line behind the literal: nothing for us.  What a client
 * put there belongs to this command. */
static bool
line_end(struct session *s)
{
	struct span line;

	if (stream_line(s->st, IMAP_COMMAND_MAX, &line,
			clock_deadline(LITERAL_MS)) != IO_OK) {
		s->say_bye = true;
		return false;
	}
	return line.n == 0 || span_is(line, "\r");
}

struct result
cmd_literal_left(struct session *s, struct result r)
{
	s->has_literal = false;
	if (s->literal.sync)
		return r; /* the client reads our answer and sends nothing */
	if (s->literal.n > APPEND_MAX || input_drop(s, s->literal.n) != IO_OK) {
		s->say_bye = true;
		return RESULT(RESULT_BYE, "TOOBIG", "Literal too long");
	}
	(void)line_end(s);
	return r;
}

static int
take(struct append *a, const char *p, size_t n, struct err *e)
{
	while (n > 0) {
		const char *cr;
		size_t upto;

		if (a->cr) {
			a->cr = false;
			if (*p != '\n' &&
			    deposit_write(&a->dep, "\r", 1, e) != 0)
				return -1;
		}
		cr = memchr(p, '\r', n);
		upto = cr != NULL ? (size_t)(cr - p) : n;
		if (deposit_write(&a->dep, p, upto, e) != 0)
			return -1;
		p += upto;
		n -= upto;
		if (n > 0) {
			a->cr = true;
			p++;
			n--;
		}
	}
	return 0;
}

/* All of the literal is taken from the wire, also when writing failed. */
static bool
receive(struct session *s, struct append *a, int *failed, struct err *e)
{
	uint64_t left = s->literal.n;

	s->has_literal = false;
	while (left > 0) {
		struct span have = stream_buffered(s->st);
		size_t n = have.n < left ? have.n : (size_t)left;

		if (n == 0) {
			/* by arrival: a client that is slow but alive may
			 * take its time, one that is silent may not */
			if (stream_fill(s->st, clock_deadline(LITERAL_MS)) !=
			    IO_OK) {
				s->say_bye = true;
				return false;
			}
			continue;
		}
		if (*failed == 0)
			*failed = take(a, have.p, n, e);
		stream_take(s->st, n);
		left -= n;
	}
	if (*failed == 0 && a->cr)
		*failed = deposit_write(&a->dep, "\r", 1, e);
	return true;
}

static int
commit(struct append *a, struct err *e)
{
	struct buf flags = BUF_INIT;
	int r = deposit_flush(&a->dep, e);

	if (r == 0 && a->has_date) {
		struct timespec t[2] = { { .tv_nsec = UTIME_NOW },
					 { .tv_sec = a->date.unix_s } };

		if (futimens(a->dep.fd, t) != 0)
			r = err_sys(e, "setting the message's time");
	}
	maildir_name_make(&flags, span_make("", 0), a->flags);
	if (r == 0)
		r = deposit_commit(
		    &a->dep, a->flags != 0 ? buf_str(&flags) + 3 : NULL, e);
	buf_free(&flags);
	return r;
}

static struct result
number(struct session *s, struct append *a)
{
	struct strs base = STRS_INIT;
	struct maildir_name name;
	struct err e = ERR_INIT;
	uint32_t validity, uid;
	struct result r;

	/* "new/NAME" or "cur/NAME" */
	maildir_name_parse(&name, span_from(span_of(a->dep.place), 4));
	strs_addspan(&base, name.base);
	if (mailbox_assign(s->root, a->to.fd, &base, &validity, &uid, &e) !=
	    0) {
		/* It lies there safely; the UID comes later. */
		r = result_ok("Append completed");
	} else {
		buf_clear(&s->code);
		buf_addf(&s->code, "APPENDUID %lu %lu", (unsigned long)validity,
			 (unsigned long)uid);
		r = RESULT(RESULT_OK, buf_str(&s->code), "Append completed");
	}
	strs_free(&base);
	return r;
}

static struct result
store_message(struct session *s, struct append *a)
{
	struct err e = ERR_INIT;
	struct result r;
	int failed = 0;

	if (s->literal.n > APPEND_MAX)
		return result_no("TOOBIG", "The message is too large");
	if (s->literal.n == 0)
		return result_no("CANNOT", "An empty message is none");
	failed = deposit_open(&a->dep, a->to.fd, DEPOSIT_AUTO, &e);
	if (failed != 0)
		return result_err(s, &e);
	if (s->literal.sync && input_continue(s, "OK") != IO_OK) {
		s->has_literal = false;
		s->say_bye = true;
	} else if (receive(s, a, &failed, &e) && !line_end(s)) {
		failed = -1;
		err_set(&e, ST_DATA, "one message a command");
	}
	if (s->say_bye)
		r = RESULT(RESULT_BYE, NULL, "The message was cut off");
	else if (failed != 0 || commit(a, &e) != 0)
		r = result_err(s, &e);
	else
		r = number(s, a);
	deposit_abort(&a->dep);
	return r;
}

static bool
parse_date(struct session *s, struct append *a)
{
	struct buf text = BUF_INIT;
	bool ok = parse_string(&s->p, &text) &&
		  date_parse_imap(buf_span(&text), &a->date);

	if (!ok && s->p.bad == NULL)
		s->p.bad = "Invalid date";
	a->has_date = true;
	buf_free(&text);
	return ok && parse_sp(&s->p);
}

static struct result
arguments(struct session *s, struct append *a)
{
	struct parse *p = &s->p;
	struct result r;

	if (!parse_sp(p))
		return result_bad(s);
	if (parse_peek(p) == '(') {
		r = arg_flags(s, &a->to, &a->flags);
		if (r.kind != RESULT_OK)
			return r;
		if (!parse_sp(p))
			return result_bad(s);
	}
	if (parse_peek(p) == '"' && !parse_date(s, a))
		return result_bad(s);
	if (parse_peek(p) != '{' || !s->has_literal)
		return RESULT(RESULT_BAD, NULL, "Literal expected");
	return result_ok("");
}

struct result
cmd_append(struct session *s)
{
	struct append a = { .has_date = false };
	struct buf name = BUF_INIT;
	struct err e = ERR_INIT;
	struct result r;

	if (!parse_sp(&s->p)) {
		r = result_bad(s);
	} else if (arg_mailbox(s, &name, &r)) {
		a.to.root = s->root;
		a.to.fd = mailbox_name_open(s->root, buf_span(&name));
		if (a.to.fd < 0 && errno == ENOENT) {
			r = result_no("TRYCREATE", "Mailbox doesn't exist");
		} else if (a.to.fd < 0 ||
			   keywords_read(&a.to.kw, a.to.fd, &e) != 0) {
			if (a.to.fd < 0)
				err_sys(&e, "%s: opening", buf_str(&name));
			r = result_err(s, &e);
		} else {
			r = arguments(s, &a);
			if (r.kind == RESULT_OK)
				r = store_message(s, &a);
		}
		keywords_free(&a.to.kw);
		if (a.to.fd >= 0)
			close(a.to.fd);
	}
	buf_free(&name);
	return r;
}
