/*
 * server_table.c - see server_table.h.
 * Layer: sys.
 */
#include "server_table.h"

#include "io.h"
#include "log.h"
#include "sandbox.h"
#include "server_int.h"
#include "sql.h"
#include "status.h"
#include "table.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MS 130000 /* beyond any driver's own limits */
#define MSG_MAX SERVER_ASK_MAX

static int offer_number = -1; /* of this generation */
static int link_fd = -1;      /* in a worker */

/* ------- the process that asks */

/* Until a question comes; connections that nobody uses are closed meanwhile. */
static void
helper_wait(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	while (poll(&p, 1, (int)sql_idle()) == 0)
		;
}

/* [number, key] to [result, value or sentence]; what a worker says is hostile:
 * table_lookup_number checks the number. */
MX_NORETURN static void
helper_loop(int fd)
{
	static char in[MSG_MAX];
	struct buf out = BUF_INIT, value = BUF_INIT;

	for (;;) {
		struct err e = ERR_INIT;
		int32_t word;
		int stray = -1;
		ssize_t got;

		helper_wait(fd);
		got = io_recv_fd(fd, in, sizeof(in), &stray);
		io_close(&stray);
		if (got < (ssize_t)sizeof(word))
			_exit(0); /* the worker is gone */
		memcpy(&word, in, sizeof(word));
		buf_clear(&value);
		word = (int32_t)table_lookup_number(
		    word,
		    span_make(in + sizeof(word), (size_t)got - sizeof(word)),
		    &value, &e);
		if (word == TABLE_FOUND && value.n > MSG_MAX - sizeof(word)) {
			word = TABLE_TRY_AGAIN;
			err_set(&e, ST_DATA, "a value of %zu bytes", value.n);
		}
		buf_clear(&out);
		buf_add(&out, &word, sizeof(word));
		if (word == TABLE_FOUND)
			buf_addspan(&out, buf_span(&value));
		else if (word == TABLE_TRY_AGAIN)
			buf_adds(&out, e.text);
		if (io_send_fd(fd, out.p, out.n, -1) != 0)
			_exit(0);
	}
}

static int
offer_tables(void *ctx, struct server *s, struct span request,
	     struct buf *reply, int *fd_r, struct err *e)
{
	int pair[2];
	pid_t pid;

	(void)ctx;
	(void)request;
	(void)reply;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_sys(e, "socketpair");
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_sys(e, "fork");
	}
	if (pid == 0) {
		/* Nothing of the monitor's stays: no worker's ear, no port. */
		for (size_t i = 0; i < s->max; i++)
			io_close(&s->worker[i].ask);
		for (size_t i = 0; i < s->nlisteners; i++)
			io_close(&s->listener[i].fd);
		io_close(&s->wake[0]);
		io_close(&s->wake[1]);
		io_close(&s->spare);
		close(pair[0]);
		(void)signal(SIGTERM, SIG_DFL);
		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGHUP, SIG_IGN);
		if (sandbox_user(s->spec->user, e) != 0)
			log_fatal(e->status, "%s", e->text);
		sandbox_die_with_parent();
		sandbox_no_dump(); /* it knows the data bases' passwords */
		helper_loop(pair[1]);
	}
	close(pair[1]);
	*fd_r = pair[0];
	return 0;
}

void
server_tables(struct server *s)
{
	offer_number = server_offer(s, offer_tables, NULL);
}

bool
server_tables_changed(struct server *s)
{
	(void)s;
	return table_refresh_all();
}

/* ------- the worker */

static int
ask_once(struct server *s, struct buf *q, struct buf *answer, struct err *e)
{
	struct pollfd p;
	int stray = -1;
	ssize_t got;
	char *room;

	if (link_fd < 0 &&
	    server_ask(s, offer_number, SPAN(""), NULL, &link_fd, e) != 0)
		return -1;
	if (link_fd < 0)
		return err_set(e, ST_TEMPFAIL, "the monitor sent no link");
	if (io_send_fd(link_fd, q->p, q->n, -1) != 0)
		return err_set(e, ST_TEMPFAIL, "the tables' process is gone");
	p = (struct pollfd){ link_fd, POLLIN, 0 };
	while (poll(&p, 1, ANSWER_MS) < 0 && errno == EINTR)
		;
	if (p.revents == 0)
		return err_set(e, ST_TEMPFAIL, "no answer in time");
	buf_clear(answer);
	room = buf_room(answer, MSG_MAX);
	got = io_recv_fd(link_fd, room, MSG_MAX, &stray);
	io_close(&stray);
	if (got < (ssize_t)sizeof(int32_t))
		return err_set(e, ST_TEMPFAIL, "the tables' process is gone");
	buf_grew(answer, (size_t)got);
	return 0;
}

static enum table_result
ask(void *ctx, int number, struct span key, struct buf *value, struct err *e)
{
	struct buf q = BUF_INIT, answer = BUF_INIT;
	int32_t word = number;
	enum table_result r = TABLE_TRY_AGAIN;
	int st = -1;

	if (key.n > MSG_MAX - sizeof(word)) {
		err_set(e, ST_DATA, "a key of %zu bytes", key.n);
		return TABLE_TRY_AGAIN;
	}
	buf_add(&q, &word, sizeof(word));
	buf_addspan(&q, key);
	/* A process that died is replaced, once. */
	for (int i = 0; i < 2 && st != 0; i++) {
		st = ask_once(ctx, &q, &answer, e);
		if (st != 0)
			io_close(&link_fd);
	}
	if (st == 0) {
		struct span rest = span_from(buf_span(&answer), sizeof(word));

		memcpy(&word, answer.p, sizeof(word));
		if (word == TABLE_FOUND) {
			buf_clear(value);
			buf_addspan(value, rest);
			r = TABLE_FOUND;
		} else if (word == TABLE_NONE) {
			r = TABLE_NONE;
		} else {
			err_set(e, ST_TEMPFAIL, "%.*s", SPAN_ARG(rest));
		}
	}
	buf_free(&q);
	buf_free(&answer);
	return r;
}

void
server_tables_worker(struct server *s)
{
	link_fd = -1;
	table_remote(ask, s);
	/* It has nothing to ask with, and a client at its other end. */
	sql_forget();
}
