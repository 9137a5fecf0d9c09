/*
 * jobs_child.c - one destination's messages, one after the other over one
 * connection as long as it lasts.  The destination is looked up once, before
 * the sandbox: another message comes only within seconds.
 */
#include "send.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "status.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192
#define RCPTS_MAX 1000
#define JOB_MS 60000

struct job {
	struct rcpt *rcpts;
	size_t n, cap;
	struct strs text; /* what the options and recipients point to */
	struct message m;
};

/* Options and recipients point into the job and die with it. */
static const char *
keep_text(struct job *j, struct span s)
{
	strs_addspan(&j->text, s);
	return j->text.v[j->text.n - 1];
}

static bool
take_rcpt(struct job *j, struct span addr)
{
	if (addr.n == 0 || j->n == RCPTS_MAX)
		return false;
	j->rcpts = mem_grow(j->rcpts, &j->cap, j->n + 1, sizeof(j->rcpts[0]));
	j->rcpts[j->n++] =
	    (struct rcpt){ .addr = keep_text(j, addr), .options = "" };
	return true;
}

/* "xforward-addr 192.0.2.1" */
static bool
take_xforward(struct job *j, struct span name, struct span value)
{
	if (!span_starts(name, SPAN("xforward-")))
		return false;
	for (size_t i = 0; i < XFORWARD_NAMES; i++)
		if (span_iis(span_from(name, 9), xforward_names[i])) {
			options.xforward[i] = keep_text(j, value);
			return true;
		}
	return false;
}

/* A line of the job: "name value". */
static bool
take_line(struct job *j, struct span line)
{
	struct span value = line, name;

	if (span_has_ctl(line) || !span_split(&value, ' ', &name))
		return false;
	if (span_is(name, "sender"))
		options.sender = keep_text(j, value);
	else if (span_is(name, "size"))
		return num_i64(value, 0, INT64_MAX, &options.size);
	else if (span_is(name, "8bit"))
		options.eight_bit = true;
	else if (span_is(name, "utf8"))
		options.utf8 = true;
	else if (span_is(name, "envid"))
		options.envid = keep_text(j, value);
	else if (span_is(name, "ret"))
		options.ret = keep_text(j, value);
	else if (span_is(name, "to"))
		return take_rcpt(j, value);
	else if (span_is(name, "with") && j->n > 0)
		j->rcpts[j->n - 1].options = keep_text(j, value);
	else
		return take_xforward(j, name, value);
	return true;
}

/* The message's descriptor with a byte, then the lines up to one with a dot. */
static bool
read_job(struct job *j, int sock, struct err *e)
{
	struct stream s;
	struct span line;
	deadline_t d = clock_deadline(JOB_MS);
	char first[LINE_MAX_BYTES];
	ssize_t got = -1;
	int fd = -1;
	bool ok, end = false;

	options.sender = "";
	options.envid = options.ret = NULL;
	memset(options.xforward, 0, sizeof(options.xforward));
	options.eight_bit = options.utf8 = false;
	options.size = 0;
	/* The message comes as a descriptor: this process reads no folder. */
	if (io_wait(sock, false, d) == IO_OK)
		got = io_recv_fd(sock, first, sizeof(first), &fd);
	ok = got > 0 && fd >= 0;
	stream_init(&s, sock, sock);
	/* Behind its one byte most often the whole job. */
	if (ok)
		buf_add(&s.in, first + 1, (size_t)got - 1);
	while (ok && !end) {
		ok = stream_line(&s, LINE_MAX_BYTES, &line, d) == IO_OK;
		end = ok && span_is(line, ".");
		ok = ok && (end || take_line(j, line));
	}
	buf_free(&s.in);
	buf_free(&s.out);
	if (!ok || j->n == 0) {
		if (fd >= 0)
			close(fd);
		return err_set(e, ST_TEMPFAIL, "a job that makes no sense") ==
		       0;
	}
	return message_load(&j->m, fd, options.size, e) == 0;
}

static void
job_free(struct job *j)
{
	if (j->m.fd >= 0)
		close(j->m.fd);
	strs_free(&j->text);
	free(j->rcpts);
}

/* A sentence in the place of verdicts. */
static void
trouble(int sock, const struct err *e)
{
	dprintf(sock, "! %s\n", e->text);
}

/* The TLS session of this connection is for those that come after us. */
static void
tell_session(struct session *s, int channel)
{
	struct buf b = BUF_INIT;

	if (!s->has_key || !s->tls || s->c.broken)
		return;
	buf_addc(&b, 's');
	buf_add(&b, s->tls_key, TLS_SESSION_KEY);
	if (tls_session(&s->c.s, &b)) {
		tls_sessions_put(tls_sessions_owner, s->tls_key,
				 span_from(buf_span(&b), 1 + TLS_SESSION_KEY));
		(void)send(channel, b.p, b.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		s->has_key = false;
	}
	buf_wipe(&b);
}

/* Verdicts go where the job came from.  False: no connection is left. */
static bool
do_job(struct group *g, int sock, int channel)
{
	struct job j = { .m = { .fd = -1 } };
	struct err e = ERR_INIT;

	send_connect_us = send_began_us = 0;
	send_uses = 0;
	if (!read_job(&j, sock, &e)) {
		trouble(sock, &e);
	} else if (dup2(sock, STDOUT_FILENO) < 0) {
		(void)err_sys(&e, "dup2");
		trouble(sock, &e);
	} else {
		struct rcpt **v = mem_alloc(j.n, sizeof(*v));

		for (size_t i = 0; i < j.n; i++)
			v[i] = &j.rcpts[i];
		g->v = v;
		g->n = j.n;
		group_run(g, &j.m);
		if (g->open)
			tell_session(&g->session, channel);
		(void)fflush(stdout);
		clearerr(stdout);
		g->v = NULL;
		g->n = 0;
		free(v);
	}
	/* Told before the job's end: the worker's next one may come at once.
	 * Its end is the end of the lines: no copy stays open. */
	bool left = g->open && send(channel, "k", 1, MSG_NOSIGNAL) == 1;
	(void)dup2(STDIN_FILENO, STDOUT_FILENO);
	close(sock);
	job_free(&j);
	return left;
}

/* Waits for the next message.  A connection that ends meanwhile is closed at
 * once.  -1: nothing more comes. */
static int
next_job(struct group *g, int channel)
{
	char c;
	int job = -1;

	for (;;) {
		struct pollfd v[2] = { { channel, POLLIN, 0 },
				       { g->session.c.s.fd_in, POLLIN, 0 } };

		if (poll(v, g->open ? 2 : 1, -1) < 0)
			continue;
		if (v[0].revents != 0)
			break;
		g->session.c.broken = true;
		group_close(g);
	}
	if (io_recv_fd(channel, &c, 1, &job) == 1)
		return job;
	return -1;
}

void
jobs_child(const struct job_key *k, int channel, int job)
{
	struct groups gs = { .n = 0 };
	struct err e = ERR_INIT;

	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0)
		_exit(ST_TEMPFAIL);
	close(null);
	options.lmtp = k->lmtp;
	options.requiretls = k->requiretls;
	options.no_fallback = k->no_fallback;
	options.sender = k->sender;
	options.nexthop = k->nexthop;
	options.times = true;
	group_add(&gs, k->nexthop, NULL);
	gs.v[0].n = 0;
	if (groups_prepare(&gs, &e) != 0 || send_give_up_rights(&e) != 0) {
		trouble(job, &e);
		_exit(ST_TEMPFAIL);
	}
	gs.v[0].keep = true;
	failing_tell(channel);
	if (params.tlsrpt_history_file[0] != '\0')
		tlsrpt_tell(channel);
	while (job >= 0 && do_job(&gs.v[0], job, channel))
		job = next_job(&gs.v[0], channel);
	group_close(&gs.v[0]);
	_exit(ST_OK);
}
