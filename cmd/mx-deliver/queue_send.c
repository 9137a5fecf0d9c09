/*
 * queue_send.c - drives mx-send: one message to one nexthop, a line a
 * recipient back.
 */
#include "queue.h"
#include "command.h"
#include "clock.h"
#include "escape.h"
#include "io.h"
#include "mem.h"
#include "proc.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEND_MS (3600 * 1000)

static void
add_rcpt_options(struct strs *argv, const struct queuefile_rcpt *r)
{
	struct buf b = BUF_INIT;

	if (r->notify != NULL && r->notify[0] != '\0')
		buf_addf(&b, "NOTIFY=%s", r->notify);
	if (r->orcpt != NULL && r->orcpt[0] != '\0') {
		buf_addf(&b, "%sORCPT=", b.n ? " " : "");
		/* "rfc822;" stays, the address is xtext (RFC 3461 4.2). */
		ssize_t semi = span_chr(span_of(r->orcpt), ';');

		buf_add(&b, r->orcpt, (size_t)(semi + 1));
		escape_xtext(&b, span_of(r->orcpt + semi + 1));
	}
	strs_addf(argv, "--rcpt-options=%s", buf_str(&b));
	buf_free(&b);
}

static void
build_argv(struct strs *argv, const struct queuefile *q, const struct route *r,
	   const size_t *idx, size_t n)
{
	strs_take(argv, command_own("mx-send"));
	if (strcmp(r->transport, "lmtp") == 0) {
		strs_add(argv, "--lmtp");
		strs_addf(argv, "--host=%s", r->nexthop);
	} else {
		strs_addf(argv, "--nexthop=%s", r->nexthop);
	}
	strs_addf(argv, "--sender=%s", q->env.sender);
	strs_addf(argv, "--size=%llu", (unsigned long long)q->msg_size);
	if (q->env.flags & QUEUEFILE_8BIT)
		strs_add(argv, "--8bit");
	if (q->env.flags & QUEUEFILE_UTF8)
		strs_add(argv, "--utf8");
	if (q->env.flags & QUEUEFILE_REQUIRETLS)
		strs_add(argv, "--requiretls");
	if (q->env.envid != NULL && q->env.envid[0] != '\0')
		strs_addf(argv, "--envid=%s", q->env.envid);
	if (q->env.ret != NULL && q->env.ret[0] != '\0')
		strs_addf(argv, "--ret=%s", q->env.ret);
	for (size_t i = 0; i < n; i++)
		add_rcpt_options(argv, &q->env.rcpt[idx[i]]);
	strs_add(argv, "--");
	for (size_t i = 0; i < n; i++)
		strs_add(argv, q->env.rcpt[idx[i]].addr);
}

/* A word, or a quoted one as escape_word writes it. */
static bool
take_word(struct span *rest, struct buf *out)
{
	size_t i = 0;

	buf_clear(out);
	*rest = span_ltrim(*rest);
	if (rest->n == 0)
		return false;
	if (rest->p[0] != '"') {
		struct span w;

		(void)span_word(rest, " ", &w);
		buf_addspan(out, w);
		return true;
	}
	for (i = 1; i < rest->n && rest->p[i] != '"'; i++) {
		if (rest->p[i] == '\\' && i + 1 < rest->n)
			i++;
		buf_addc(out, rest->p[i]);
	}
	*rest = span_from(*rest, i + 1);
	return true;
}

/* ADDR STATUS DSN RELAY TEXT; false when it is none of ours. */
static bool
take_line(const struct queuefile *q, const size_t *idx, size_t n, bool *seen,
	  struct span line, queue_done_fn *done, void *ctx)
{
	struct buf addr = BUF_INIT, st = BUF_INIT, dsn = BUF_INIT,
		   relay = BUF_INIT;
	bool ok = take_word(&line, &addr) && take_word(&line, &st) &&
		  take_word(&line, &dsn) && take_word(&line, &relay);

	for (size_t i = 0; ok && i < n; i++) {
		if (seen[i] ||
		    strcmp(q->env.rcpt[idx[i]].addr, buf_str(&addr)) != 0)
			continue;
		seen[i] = true;
		done(ctx, idx[i], buf_span(&st), buf_span(&dsn),
		     buf_span(&relay), span_trim(line));
		break;
	}
	buf_free(&addr);
	buf_free(&st);
	buf_free(&dsn);
	buf_free(&relay);
	return ok;
}

static void
read_lines(int fd, const struct queuefile *q, const size_t *idx, size_t n,
	   bool *seen, queue_done_fn *done, void *ctx)
{
	struct stream s;
	struct span line;
	deadline_t d = clock_deadline(SEND_MS);

	stream_init(&s, fd, fd);
	while (stream_line(&s, 4096, &line, d) == IO_OK) {
		if (!span_starts(line, SPAN(". ")))
			(void)take_line(q, idx, n, seen, line, done, ctx);
	}
	stream_close(&s);
}

void
queue_send(const struct queuefile *q, const struct route *r, const size_t *idx,
	   size_t n, queue_done_fn *done, void *ctx)
{
	struct strs argv = STRS_INIT;
	struct proc_spec ps = { .fd = { -1, -1, 2, -1 }, .new_group = true };
	bool *seen = mem_alloc(n, sizeof(*seen));
	struct err e = ERR_INIT;
	int link[2] = { -1, -1 };
	pid_t pid = -1;

	build_argv(&argv, q, r, idx, n);
	ps.argv = argv.v;
	ps.fd[0] = queuefile_message_fd(q, &e);
	if (ps.fd[0] >= 0 && pipe2(link, O_CLOEXEC) == 0) {
		ps.fd[1] = link[1];
		pid = proc_spawn(&ps, &e);
	}
	io_close(&ps.fd[0]);
	io_close(&link[1]);
	if (pid > 0) {
		read_lines(link[0], q, idx, n, seen, done, ctx);
		if (proc_wait(pid, clock_deadline(SEND_MS), NULL) != 0 &&
		    e.text[0] == '\0')
			err_set(&e, ST_TEMPFAIL, "mx-send failed");
	} else {
		io_close(&link[0]);
	}
	/* Who got no line is tried again. */
	for (size_t i = 0; i < n; i++) {
		if (!seen[i])
			done(ctx, idx[i], SPAN("deferred"), SPAN("4.3.0"),
			     SPAN("none"),
			     e.text[0] ? span_of(e.text)
				       : SPAN("mx-send gave no answer"));
	}
	strs_free(&argv);
	free(seen);
}
