/*
 * queue_send.c - gives the runner's mx-send (queue_link.c) one message to one
 * nexthop; a line a recipient comes back.  mx-send talks to strangers: its
 * lines are checked as a stranger's.  mx-send(1), JOBS.
 */
#include "queue.h"
#include "clock.h"
#include "escape.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "site.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_MS (3600 * 1000)
#define GIVE_MS 60000
#define AT_ONCE 16384 /* a job that fits into a socket nobody reads yet */
#define SAID_MAX 400

static void
add_rcpt(struct buf *b, const struct queuefile_rcpt *r)
{
	bool notify = r->notify != NULL && r->notify[0] != '\0';
	bool orcpt = r->orcpt != NULL && r->orcpt[0] != '\0';

	buf_addf(b, "to %s\n", r->addr);
	if (!notify && !orcpt)
		return;
	buf_adds(b, "with ");
	if (notify)
		buf_addf(b, "NOTIFY=%s%s", r->notify, orcpt ? " " : "");
	if (orcpt) {
		/* "rfc822;" stays, the address is xtext (RFC 3461 4.2), a
		 * UTF-8 one in the form that every server takes (RFC 6533
		 * 3). */
		struct span all = span_of(r->orcpt);
		ssize_t semi = span_chr(all, ';');
		struct span addr = span_from(all, (size_t)(semi + 1));

		buf_adds(b, "ORCPT=");
		buf_add(b, r->orcpt, (size_t)(semi + 1));
		if (span_istarts(all, SPAN("utf-8;")))
			escape_unitext(b, addr);
		else
			escape_xtext(b, addr);
	}
	buf_addc(b, '\n');
}

/* unix:private/NAME is in run_directory (DESIGN 3.7). */
void
queue_send_nexthop(struct buf *b, const struct route *r)
{
	const char *path = r->nexthop + strlen("unix:");
	const char *slash = strrchr(r->nexthop, '/');

	if (strncmp(r->nexthop, "unix:", 5) != 0 || path[0] == '/')
		buf_adds(b, r->nexthop);
	else
		buf_addf(b, "unix:%s/%s", site.run_directory,
			 slash != NULL ? slash + 1 : path);
}

/* Where it goes: what a connection that is left has in common with it. */
static void
add_key(struct buf *b, const struct queuefile *q, const struct route *r)
{
	const char *client = route_client(r->transport);

	/* master.cf's relay has no smtp_fallback_relay: it would send a backup
	 * MX's mail in a circle. */
	buf_addf(b, "send1\n-%s%s%s\n%s\n",
		 strcmp(client, "lmtp") == 0 ? "l" : "",
		 strcmp(client, "relay") == 0 ? "b" : "",
		 q->env.flags & QUEUEFILE_REQUIRETLS ? "r" : "", q->env.sender);
	queue_send_nexthop(b, r);
}

/* Where it came from, for servers that are told (XFORWARD). */
static void
add_client(struct buf *b, const struct queuefile *q)
{
	const struct {
		const char *name, *value;
	} v[] = {
		{ "name", q->env.client_name },
		{ "addr", q->env.client_addr },
		{ "port", q->env.client_port },
		{ "proto", q->env.proto },
		{ "helo", q->env.helo },
		{ "ident", q->id },
		{ "source",
		  q->env.client_addr != NULL && q->env.client_addr[0] != '\0'
		      ? "REMOTE"
		      : "LOCAL" },
	};

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		buf_addf(b, "xforward-%s %s\n", v[i].name,
			 v[i].value != NULL ? v[i].value : "");
}

static void
add_job(struct buf *b, const struct queuefile *q, const size_t *idx, size_t n)
{
	buf_addf(b, "sender %s\nsize %llu\n", q->env.sender,
		 (unsigned long long)q->msg_size);
	if (q->env.flags & QUEUEFILE_8BIT)
		buf_adds(b, "8bit\n");
	if (q->env.flags & QUEUEFILE_UTF8)
		buf_adds(b, "utf8\n");
	if (q->env.envid != NULL && q->env.envid[0] != '\0')
		buf_addf(b, "envid %s\n", q->env.envid);
	if (q->env.ret != NULL && q->env.ret[0] != '\0')
		buf_addf(b, "ret %s\n", q->env.ret);
	add_client(b, q);
	for (size_t i = 0; i < n; i++)
		add_rcpt(b, &q->env.rcpt[idx[i]]);
	buf_adds(b, ".\n");
}

/* A word, or a quoted one as escape_word writes it. */
bool
queue_send_word(struct span *rest, struct buf *out)
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

/* Three numbers, the first of the class that the verdict is of. */
bool
queue_send_dsn(struct span dsn, char class)
{
	struct span part;
	int parts = 0;
	uint64_t n;

	if (dsn.n < 5 || dsn.n > 11 || dsn.p[0] != class || dsn.p[1] != '.')
		return false;
	while (span_split(&dsn, '.', &part))
		if (++parts > 3 || !num_u64(part, 999, &n))
			return false;
	return parts == 3;
}

struct reading {
	const struct queuefile *q;
	const size_t *idx;
	size_t n;
	bool *seen;
	void (*done)(void *, const struct verdict *);
	void *ctx;
	int64_t connect_us, transmit_us;
	bool dsn;        /* their server does DSN */
	int64_t uses;    /* messages over this connection so far */
	struct buf said; /* mx-send's own trouble */
};

/* What the words mean.  False: they mean nothing. */
static bool
judge(struct span status, struct span dsn, struct verdict *v)
{
	static const struct {
		const char *word;
		enum deliver_result result;
		char class;
	} words[] = {
		{ "sent", DELIVER_DONE, '2' },
		{ "deferred", DELIVER_DEFERRED, '4' },
		{ "bounced", DELIVER_FAILED, '5' },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		v->result = words[i].result;
		if (span_is(status, words[i].word))
			return queue_send_dsn(dsn, words[i].class);
	}
	return false;
}

/* Each recipient is answered once, however often mx-send names it. */
static void
answer(struct reading *rd, size_t i, struct verdict *v)
{
	rd->seen[i] = true;
	v->rcpt = rd->idx[i];
	v->connect_us = rd->connect_us;
	v->transmit_us = rd->transmit_us;
	v->has_dsn = rd->dsn;
	v->uses = rd->uses;
	rd->done(rd->ctx, v);
}

/* ADDR STATUS DSN RELAY TEXT */
static void
take_line(struct reading *rd, struct span line)
{
	struct buf word[4] = { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT };
	struct buf relay = BUF_INIT, text = BUF_INIT;
	struct verdict v = { .result = DELIVER_DEFERRED };
	bool ok = true;

	for (size_t k = 0; k < ARRAY_LEN(word); k++)
		ok = ok && queue_send_word(&line, &word[k]);
	ok = ok && judge(buf_span(&word[1]), buf_span(&word[2]), &v);
	escape_line(&relay, buf_span(&word[3]), 250);
	escape_line(&text, span_trim(line), 900);
	v.dsn = buf_str(&word[2]);
	v.relay = buf_str(&relay);
	v.text = buf_span(&text);
	for (size_t i = 0; ok && i < rd->n; i++) {
		if (rd->seen[i] || strcmp(rd->q->env.rcpt[rd->idx[i]].addr,
					  buf_str(&word[0])) != 0)
			continue;
		answer(rd, i, &v);
		break;
	}
	if (!ok)
		log_warn("%s: mx-send said what it should not: %.*s", rd->q->id,
			 (int)(line.n < 200 ? line.n : 200), line.p);
	for (size_t k = 0; k < ARRAY_LEN(word); k++)
		buf_free(&word[k]);
	buf_free(&relay);
	buf_free(&text);
}

/* ". CONNECT TRANSMIT [dsn] [use=N]": of the lines that follow. */
static void
take_times(struct reading *rd, struct span line)
{
	struct span word;

	(void)span_word(&line, " ", &word);
	if (span_word(&line, " ", &word))
		(void)!num_i64(word, 0, INT64_MAX, &rd->connect_us);
	if (span_word(&line, " ", &word))
		(void)!num_i64(word, 0, INT64_MAX, &rd->transmit_us);
	rd->dsn = false;
	rd->uses = 1;
	while (span_word(&line, " ", &word)) {
		rd->dsn |= span_is(word, "dsn");
		if (span_starts(word, SPAN("use=")) &&
		    !num_i64(span_from(word, 4), 1, 1000000, &rd->uses))
			rd->uses = 1;
	}
}

/* Until mx-send closes the job's socket: its death is the end of the lines
 * too, and who has none by then is tried again. */
static void
read_lines(int fd, struct reading *rd)
{
	struct stream s;
	struct span line;
	deadline_t d = clock_deadline(SEND_MS);

	stream_init(&s, fd, fd);
	while (stream_line(&s, 8192, &line, d) == IO_OK) {
		if (span_starts(line, SPAN(". ")))
			take_times(rd, line);
		else if (span_starts(line, SPAN("! ")))
			escape_line(&rd->said, span_from(line, 2), SAID_MAX);
		else
			take_line(rd, line);
	}
	stream_close(&s);
}

/* Who got no line is tried again. */
static void
no_answer(struct reading *rd, struct span why)
{
	struct verdict v = { .result = DELIVER_DEFERRED,
			     .dsn = "4.3.0",
			     .relay = "none",
			     .text = why };

	for (size_t i = 0; i < rd->n; i++)
		if (!rd->seen[i])
			answer(rd, i, &v);
}

/* The message's descriptor and the job.  A small one lies there before mx-send
 * has the socket: it is read in one piece. */
static int
put_job(int sock, int fd, struct buf *job, bool at_once, struct err *e)
{
	size_t n = at_once ? job->n : 1;

	if (io_send_fd(sock, job->p, n, fd) == 0 &&
	    (n == job->n || io_write(sock, job->p + n, job->n - n,
				     clock_deadline(GIVE_MS)) == IO_OK))
		return 0;
	/* Its answer, or the end of it, tells. */
	return err_set(e, ST_TEMPFAIL, "mx-send ended");
}

/* The job's socket goes to mx-send, over it what it is.  -1: nobody has it. */
static int
give(const struct queuefile *q, const struct route *r, const size_t *idx,
     size_t n, struct err *e)
{
	struct buf key = BUF_INIT, job = BUF_INIT;
	int pair[2] = { -1, -1 }, fd = queuefile_message_fd(q, e), st = -1;

	if (fd < 0)
		return -1;
	add_key(&key, q, r);
	buf_addc(&job, 'm');
	add_job(&job, q, idx, n);
	bool at_once = job.n <= AT_ONCE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		(void)err_sys(e, "socketpair");
	else if (at_once && put_job(pair[0], fd, &job, true, e) != 0)
		(void)0;
	else if (io_send_fd(queue_link_fd(), key.p, key.n, pair[1]) != 0)
		(void)err_sys(e, "mx-send does not take a message");
	else
		st = 0;
	if (pair[1] >= 0)
		close(pair[1]);
	if (st == 0 && !at_once)
		(void)!put_job(pair[0], fd, &job, false, e);
	close(fd);
	if (st != 0 && pair[0] >= 0)
		close(pair[0]);
	buf_free(&key);
	buf_free(&job);
	return st == 0 ? pair[0] : -1;
}

void
queue_send(const struct queuefile *q, const struct route *r, const size_t *idx,
	   size_t n, void (*done)(void *ctx, const struct verdict *v),
	   void *ctx)
{
	struct reading rd = {
		.q = q, .idx = idx, .n = n, .done = done, .ctx = ctx
	};
	struct err e = ERR_INIT;

	rd.seen = mem_alloc(n, sizeof(*rd.seen));
	int fd = give(q, r, idx, n, &e);
	if (fd >= 0)
		read_lines(fd, &rd);
	if (rd.said.n > 0)
		log_warn("%s: %s", q->id, buf_str(&rd.said));
	no_answer(&rd, rd.said.n > 0       ? buf_span(&rd.said)
		       : e.text[0] != '\0' ? span_of(e.text)
					   : SPAN("mx-send gave no answer"));
	buf_free(&rd.said);
	free(rd.seen);
}
