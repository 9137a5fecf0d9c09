/*
 * handover.c - gives a message to mx-deliver over ESMTP; 2xx means that it is
 * on stable storage there.  DESIGN 4, mx-submit.
 */
#include "submit.h"
#include "endpoint.h"
#include "escape.h"
#include "mem.h"
#include "site.h"
#include "smtp_client.h"
#include "status.h"
#include "wire.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A word of a command line, as proc_words reads it. */
static void
add_word(struct buf *b, const char *before, const char *text)
{
	buf_adds(b, " \"");
	buf_adds(b, before);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *text);
	}
	buf_addc(b, '"');
}

/* The command that serves one session when nobody listens. */
static char *
own_deliver(void)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "exec:mx-deliver --lmtp --mode submit");
	if (prog.config_path != NULL)
		add_word(&b, "--config=", prog.config_path);
	for (size_t i = 0; i < prog.overrides.n; i++) {
		buf_adds(&b, " -o");
		add_word(&b, "", prog.overrides.v[i]);
	}
	if (opts.spool != NULL) {
		buf_adds(&b, " -o");
		add_word(&b, "queue_directory=", opts.spool);
	}
	return buf_steal(&b);
}

/*
 * /run/mx/submit; without it root (and --spool) starts mx-deliver itself.
 * Nobody else may: the queue is not his.
 */
static int
reach(struct err *e)
{
	struct endpoint ep;
	char *text;
	int fd = -1;

	if (opts.spool == NULL) {
		if (endpoint_parse(&ep, SPAN("unix:submit"), site.run_directory,
				   e) != 0)
			return -1;
		fd = endpoint_connect(&ep, clock_deadline(10000), e);
		endpoint_free(&ep);
		if (fd >= 0)
			return fd;
		if (geteuid() != 0) {
			err_prefix(e, "mx-deliver does not answer: start "
				      "\"mx-deliver --lmtp\" (or its socket "
				      "unit), or use --spool DIR");
			if (e != NULL)
				e->status = ST_TEMPFAIL;
			return -1;
		}
	} else {
		fprintf(stderr,
			"mx-submit: queued in %s; run \"mx-deliver -o "
			"queue_directory=%s --queue-run\" to send it\n",
			opts.spool, opts.spool);
	}
	text = own_deliver();
	if (endpoint_parse(&ep, span_of(text), NULL, e) == 0) {
		fd = endpoint_connect(&ep, clock_deadline(10000), e);
		endpoint_free(&ep);
	}
	free(text);
	return fd;
}

/* The verdict of a reply that is not 2xx or 3xx. */
static int
refused(const struct smtp_reply *r, const char *what, struct err *e)
{
	int st = r->code >= 500 ? ST_UNAVAILABLE : ST_TEMPFAIL;

	if (r->code >= 500 && strncmp(r->esc, "5.1.", 4) == 0)
		st = ST_NOUSER;
	return err_esc(e, st, r->esc, "%s: %d %s%s%s", what, r->code, r->esc,
		       r->esc[0] ? " " : "", buf_str(&r->text));
}

static int
command(struct smtp_client *c, struct smtp_reply *r, const char *what,
	struct span line, struct err *e)
{
	if (smtp_client_cmd(c, clock_deadline(params.timeout), r, e, "%.*s",
			    SPAN_ARG(line)) != 0)
		return -1;
	if (r->code >= 200 && r->code < 400)
		return 0;
	return refused(r, what, e);
}

/* SIZE is what is sent; DSN where the server has it, as sendmail does. */
static int
mail_from(struct smtp_client *c, const struct submission *s,
	  struct smtp_reply *r, struct err *e)
{
	struct buf b = BUF_INIT;
	int rc;

	/* RFC 6531 3.2: such an address goes nowhere else. */
	if (s->utf8_path && !(c->caps & SMTP_SMTPUTF8))
		return err_esc(e, ST_UNAVAILABLE, "5.6.7",
			       "an address needs SMTPUTF8, which the server "
			       "does not offer");
	buf_addf(&b, "MAIL FROM:<%s>", s->sender);
	if (c->caps & SMTP_SIZE)
		buf_addf(&b, " SIZE=%zu", s->head.n + s->body.n);
	if (s->eight_bit && (c->caps & SMTP_8BITMIME))
		buf_adds(&b, " BODY=8BITMIME");
	if ((s->utf8_path || s->utf8_header) && (c->caps & SMTP_SMTPUTF8))
		buf_adds(&b, " SMTPUTF8");
	if ((c->caps & SMTP_DSN) && opts.ret != NULL)
		buf_addf(&b, " RET=%s", opts.ret);
	if ((c->caps & SMTP_DSN) && opts.envid != NULL) {
		buf_adds(&b, " ENVID=");
		escape_xtext(&b, span_of(opts.envid));
	}
	rc = command(c, r, "sender", buf_span(&b), e);
	buf_free(&b);
	return rc;
}

static int
rcpt_to(struct smtp_client *c, const struct submission *s, struct smtp_reply *r,
	struct err *e)
{
	struct buf b = BUF_INIT;
	int rc = 0;

	/* One that is refused refuses the message, and is named. */
	for (size_t i = 0; rc == 0 && i < s->recipients.n; i++) {
		buf_clear(&b);
		buf_addf(&b, "RCPT TO:<%s>", s->recipients.v[i]);
		if ((c->caps & SMTP_DSN) && opts.notify != NULL)
			buf_addf(&b, " NOTIFY=%s", opts.notify);
		rc = command(c, r, s->recipients.v[i], buf_span(&b), e);
	}
	buf_free(&b);
	return rc;
}

/* The encoder is the one of all programs (THREATS 2): a line with a dot in the
 * message is no end of it. */
static int
send_data(struct smtp_client *c, const struct submission *s,
	  struct smtp_reply *r, struct err *e)
{
	struct wire_out w;
	struct buf out = BUF_INIT;
	struct span rest = s->body;
	int rc = command(c, r, "DATA", SPAN("DATA"), e);

	if (rc != 0)
		return rc;
	c->s.out_deadline = clock_deadline(params.timeout);
	wire_out_init(&w, true);
	wire_encode(&w, &out, buf_span(&s->head));
	while (rest.n > 0) {
		struct span piece = span_sub(rest, 0, 32768);

		rest = span_from(rest, piece.n);
		wire_encode(&w, &out, piece);
		stream_write(&c->s, out.p, out.n);
		buf_clear(&out);
	}
	wire_finish(&w, &out);
	stream_write(&c->s, out.p, out.n);
	buf_free(&out);
	if (smtp_client_reply(c, clock_deadline(params.timeout), r, e) != 0)
		return -1;
	return r->code >= 200 && r->code < 300 ? 0 : refused(r, "message", e);
}

int
handover(const struct submission *s, struct err *e)
{
	struct smtp_client c = { 0 };
	struct smtp_reply r = { 0 };
	int fd = reach(e), rc;

	if (fd < 0)
		return -1;
	rc = smtp_client_open(&c, fd, clock_deadline(params.timeout), &r, e);
	if (rc == 0 && r.code != 220)
		rc = refused(&r, "mx-deliver", e);
	if (rc == 0)
		rc = smtp_client_hello(&c, site.myhostname, false,
				       clock_deadline(params.timeout), &r, e);
	if (rc == 0 && r.code >= 300)
		rc = refused(&r, "mx-deliver", e);
	if (rc == 0)
		rc = mail_from(&c, s, &r, e);
	if (rc == 0)
		rc = rcpt_to(&c, s, &r, e);
	if (rc == 0)
		rc = send_data(&c, s, &r, e);
	/* A lost connection after the dot: nobody said 2xx, so try again. */
	if (rc != 0 && e != NULL && r.code == 0)
		e->status = ST_TEMPFAIL;
	smtp_client_close(&c, rc == 0 || !c.broken);
	smtp_reply_free(&r);
	return rc;
}

/* Copies what is there from one descriptor to another; 0 at its end. */
static int
copy_some(int from, int to)
{
	char b[16384];
	ssize_t n = read(from, b, sizeof(b));

	if (n <= 0)
		return (int)n;
	return io_write(to, b, (size_t)n, clock_deadline(params.timeout)) ==
		       IO_OK
		   ? 1
		   : -1;
}

int
handover_session(struct err *e)
{
	int fd = params.submit_url[0] != '\0'
		     ? err_set(e, ST_UNAVAILABLE,
			       "-bs: mail goes to submit_url, which takes "
			       "whole messages only")
		     : reach(e);
	struct pollfd p[2] = { { 0, POLLIN, 0 }, { fd, POLLIN, 0 } };

	if (fd < 0)
		return -1;
	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents && copy_some(0, fd) <= 0) {
			/* Our input ended: what is left is his answer. */
			(void)shutdown(fd, SHUT_WR);
			p[0].fd = -1;
			p[0].revents = 0;
		}
		if (p[1].revents && copy_some(fd, 1) <= 0)
			break;
	}
	close(fd);
	return 0;
}
