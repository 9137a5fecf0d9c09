/*
 * queue_send.c - drives mx-send: one message to one nexthop, a line a
 * recipient back.  mx-send talks to strangers: its lines are checked as a
 * stranger's.
 */
#include "queue.h"
#include "clock.h"
#include "command.h"
#include "escape.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "proc.h"
#include "site.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEND_MS (3600 * 1000)
#define SAID_MAX 400

static void
add_rcpt_options(struct strs *argv, const struct queuefile_rcpt *r)
{
	struct buf b = BUF_INIT;

	if (r->notify != NULL && r->notify[0] != '\0')
		buf_addf(&b, "NOTIFY=%s", r->notify);
	if (r->orcpt != NULL && r->orcpt[0] != '\0') {
		buf_addf(&b, "%sORCPT=", b.n ? " " : "");
		/* "rfc822;" stays, the address is xtext (RFC 3461 4.2), a
		 * UTF-8 one in the form that every server takes (RFC 6533
		 * 3). */
		struct span all = span_of(r->orcpt);
		ssize_t semi = span_chr(all, ';');
		struct span addr = span_from(all, (size_t)(semi + 1));

		buf_add(&b, r->orcpt, (size_t)(semi + 1));
		if (span_istarts(all, SPAN("utf-8;")))
			escape_unitext(&b, addr);
		else
			escape_xtext(&b, addr);
	}
	strs_addf(argv, "--rcpt-options=%s", buf_str(&b));
	buf_free(&b);
}

/* unix:private/NAME is in run_directory (DESIGN 3.7). */
static void
add_nexthop(struct strs *argv, const struct route *r)
{
	const char *path = r->nexthop + strlen("unix:");
	const char *slash = strrchr(r->nexthop, '/');

	if (strcmp(route_client(r->transport), "lmtp") == 0)
		strs_add(argv, "--lmtp");
	if (strncmp(r->nexthop, "unix:", 5) != 0 || path[0] == '/')
		strs_addf(argv, "--nexthop=%s", r->nexthop);
	else
		strs_addf(argv, "--nexthop=unix:%s/%s", site.run_directory,
			  slash != NULL ? slash + 1 : path);
}

static void
build_argv(struct strs *argv, const struct queuefile *q, const struct route *r,
	   const size_t *idx, size_t n)
{
	strs_take(argv, command_own("mx-send"));
	for (size_t i = 0; i < prog.overrides.n; i++)
		strs_addf(argv, "-o%s", prog.overrides.v[i]);
	if (site.resolver != NULL && site.resolver[0] != '\0')
		strs_addf(argv, "--resolver=%s", site.resolver);
	add_nexthop(argv, r);
	strs_addf(argv, "--sender=%s", q->env.sender);
	strs_addf(argv, "--size=%llu", (unsigned long long)q->msg_size);
	strs_add(argv, "--times");
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

/* Three numbers, the first of the class that the verdict is of. */
static bool
dsn_fits(struct span dsn, char class)
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
	bool dsn; /* their server does DSN */
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
			return dsn_fits(dsn, words[i].class);
	}
	return false;
}

static void
answer(struct reading *rd, size_t i, struct verdict *v)
{
	rd->seen[i] = true;
	v->rcpt = rd->idx[i];
	v->connect_us = rd->connect_us;
	v->transmit_us = rd->transmit_us;
	v->has_dsn = rd->dsn;
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
		ok = ok && take_word(&line, &word[k]);
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

/* ". CONNECT TRANSMIT [dsn]": of the lines that follow. */
static void
take_times(struct reading *rd, struct span line)
{
	struct span word;

	(void)span_word(&line, " ", &word);
	if (span_word(&line, " ", &word))
		(void)!num_i64(word, 0, INT64_MAX, &rd->connect_us);
	if (span_word(&line, " ", &word))
		(void)!num_i64(word, 0, INT64_MAX, &rd->transmit_us);
	rd->dsn = span_word(&line, " ", &word) && span_is(word, "dsn");
}

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
		else
			take_line(rd, line);
	}
	stream_close(&s);
}

/* The last line of its stderr. */
static void
last_words(int fd, struct buf *out)
{
	char said[SAID_MAX];
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	off_t from = end > SAID_MAX ? end - SAID_MAX : 0;
	ssize_t n = end > 0 ? pread(fd, said, sizeof(said), from) : 0;
	struct span s = span_rtrim(span_make(said, n > 0 ? (size_t)n : 0));
	ssize_t lf = span_rchr(s, '\n');

	if (lf >= 0)
		s = span_from(s, (size_t)lf + 1);
	escape_line(out, s, SAID_MAX);
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

void
queue_send(const struct queuefile *q, const struct route *r, const size_t *idx,
	   size_t n, void (*done)(void *ctx, const struct verdict *v),
	   void *ctx)
{
	struct strs argv = STRS_INIT;
	struct proc_spec ps = { .fd = { -1, -1, -1, -1 }, .new_group = true };
	struct reading rd = {
		.q = q, .idx = idx, .n = n, .done = done, .ctx = ctx
	};
	struct err e = ERR_INIT;
	struct buf said = BUF_INIT;
	int link[2] = { -1, -1 }, errs = memfd_create("stderr", MFD_CLOEXEC);
	pid_t pid = -1;

	rd.seen = mem_alloc(n, sizeof(*rd.seen));
	build_argv(&argv, q, r, idx, n);
	ps.argv = argv.v;
	ps.fd[0] = queuefile_message_fd(q, &e);
	ps.fd[2] = errs;
	if (ps.fd[0] >= 0 && pipe2(link, O_CLOEXEC) == 0) {
		ps.fd[1] = link[1];
		pid = proc_spawn(&ps, &e);
	}
	if (ps.fd[0] >= 0)
		close(ps.fd[0]);
	if (link[1] >= 0)
		close(link[1]);
	if (pid > 0) {
		read_lines(link[0], &rd);
		(void)proc_wait(pid, clock_deadline(10000), NULL);
		last_words(errs, &said);
	} else if (link[0] >= 0) {
		close(link[0]);
	}
	if (said.n > 0)
		log_warn("%s: %s", q->id, buf_str(&said));
	no_answer(&rd, said.n > 0          ? buf_span(&said)
		       : e.text[0] != '\0' ? span_of(e.text)
					   : SPAN("mx-send gave no answer"));
	if (errs >= 0)
		close(errs);
	buf_free(&said);
	strs_free(&argv);
	free(rd.seen);
}
