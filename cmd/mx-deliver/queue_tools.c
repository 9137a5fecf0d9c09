/*
 * queue_tools.c - --list (as mailq, or JSON lines), --show, --flush, --hold,
 * --release, --requeue, --delete.
 */
#include "queue.h"
#include "clock.h"
#include "escape.h"
#include "io.h"
#include "json.h"
#include "mem.h"
#include "opt.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* The queue as it is: looking does not make one, least of all as root. */
int
queue_open_dir(struct err *e)
{
	char *path = mem_printf("%s/queue", site.queue_directory);
	int r = access(path, F_OK);

	if (r != 0 && errno == ENOENT)
		r = err_set(e, ST_NOINPUT, "%s: there is no queue there",
			    site.queue_directory);
	else if (r != 0)
		r = err_sys(e, "%s", path);
	free(path);
	return r != 0 ? -1 : queuefile_dir(site.queue_directory, e);
}

#define ROOM_ASKED (1 << 20) /* smaller messages are tried without asking */

/* Postfix: one and a half times the message, and queue_minfree.  What cannot
 * be found out is found out by writing. */
bool
queue_room(uint64_t size)
{
	struct statvfs v;
	uint64_t room;

	if (queue_conf.minfree <= 0 && size < ROOM_ASKED)
		return true;
	if (statvfs(site.queue_directory, &v) != 0)
		return true;
	room = (uint64_t)v.f_bavail * v.f_frsize;
	return room > (uint64_t)queue_conf.minfree && room / 3 * 2 > size;
}

/* The last words about a recipient. */
struct reasons {
	char **text; /* one a recipient */
	size_t n;
};

/* The journal in order: the last words stay. */
static void
take_reason(void *ctx, const struct queuefile_note *n)
{
	struct reasons *r = ctx;

	if (n->rcpt >= r->n)
		return;
	free(r->text[n->rcpt]);
	r->text[n->rcpt] = mem_spandup(n->text);
}

struct listing {
	int dirfd;
	size_t entries;
	uint64_t bytes;
};

static void
print_text(const struct queuefile *q, struct reasons *r, int64_t size)
{
	struct buf b = BUF_INIT;
	time_t t = (time_t)(q->env.arrival_us / 1000000);
	struct tm tm;
	char when[40];

	localtime_r(&t, &tm);
	strftime(when, sizeof(when), "%a %b %e %H:%M:%S", &tm);
	buf_addf(&b, "%-14s%c %7lld %s  ", q->id, q->env.hold ? '!' : ' ',
		 (long long)size, when);
	if (q->env.sender[0] == '\0')
		buf_adds(&b, "MAILER-DAEMON");
	else
		escape_line(&b, span_of(q->env.sender), 300);
	buf_addc(&b, '\n');
	for (size_t i = 0; i < q->env.nrcpt; i++) {
		if (q->env.rcpt[i].state == QUEUEFILE_DONE ||
		    q->env.rcpt[i].state == QUEUEFILE_TOLD)
			continue;
		if (r->text[i] != NULL) {
			buf_adds(&b, "  (");
			escape_line(&b, span_of(r->text[i]), 200);
			buf_adds(&b, ")\n");
		}
		buf_addf(&b, "%41s", "");
		escape_line(&b, span_of(q->env.rcpt[i].addr), 300);
		buf_addc(&b, '\n');
	}
	printf("%s\n", buf_str(&b));
	buf_free(&b);
}

static void
print_json(const struct queuefile *q, struct reasons *r, int64_t size)
{
	struct buf b = BUF_INIT;
	struct json j;

	json_init(&j, &b);
	json_object(&j, NULL);
	json_str(&j, "queue_id", span_of(q->id));
	json_str(&j, "queue_name", span_of(q->env.hold ? "hold" : "queue"));
	json_int(&j, "arrival_time", q->env.arrival_us / 1000000);
	json_int(&j, "next_attempt", q->next);
	json_int(&j, "message_size", size);
	json_str(&j, "sender", span_of(q->env.sender));
	json_array(&j, "recipients");
	for (size_t i = 0; i < q->env.nrcpt; i++) {
		char state[2] = { q->env.rcpt[i].state, '\0' };

		json_object(&j, NULL);
		json_str(&j, "address", span_of(q->env.rcpt[i].addr));
		json_str(&j, "state", span_of(state));
		if (r->text[i] != NULL)
			json_str(&j, "delay_reason", span_of(r->text[i]));
		json_end(&j, '}');
	}
	json_end(&j, ']');
	json_end(&j, '}');
	printf("%s\n", buf_str(&b));
	buf_free(&b);
}

/* Without a lock: what is being worked on is listed as it is on disk. */
static bool
list_one(void *ctx, const struct queuefile_found *f)
{
	struct listing *l = ctx;
	struct queuefile q;
	struct reasons r;
	struct err e = ERR_INIT;

	if (queuefile_open(&q, l->dirfd, f->id, 0, &e) != QUEUEFILE_OK)
		return true;
	r.n = q.env.nrcpt;
	r.text = mem_alloc(r.n + 1, sizeof(*r.text));
	if (queuefile_notes(&q, take_reason, &r, &e) != 0)
		fprintf(stderr, "mx-deliver: %s: %s\n", f->id, e.text);
	if (l->entries++ == 0 && !prog.json)
		printf("-Queue ID-  --Size-- ----Arrival Time---- "
		       "-Sender/Recipient-------\n");
	l->bytes += q.msg_size;
	if (prog.json)
		print_json(&q, &r, (int64_t)q.msg_size);
	else
		print_text(&q, &r, (int64_t)q.msg_size);
	for (size_t i = 0; i < r.n; i++)
		free(r.text[i]);
	free(r.text);
	queuefile_close(&q);
	return true;
}

int
queue_list(void)
{
	struct listing l = { 0 };
	struct err e = ERR_INIT;

	l.dirfd = queue_open_dir(&e);
	/* No folder, no queue: that is an empty one. */
	if (l.dirfd < 0 && e.status != ST_NOINPUT)
		return prog_fail(&e);
	if (l.dirfd >= 0 && queuefile_scan(l.dirfd, list_one, &l, &e) != 0)
		return prog_fail(&e);
	if (!prog.json && l.entries == 0)
		printf("Mail queue is empty\n");
	else if (!prog.json)
		printf("-- %llu Kbytes in %zu Request%s.\n",
		       (unsigned long long)(l.bytes + 1023) / 1024, l.entries,
		       l.entries == 1 ? "" : "s");
	return fflush(stdout) == 0 ? ST_OK : ST_IOERR;
}

/* Opens one entry by name; a status on failure. */
static int
open_entry(struct queuefile *q, const char *id, unsigned how)
{
	struct err e = ERR_INIT;
	int dirfd;

	if (!queuefile_id_ok(span_of(id)))
		return prog_usage("%s: not a queue ID", id);
	dirfd = queue_open_dir(&e);
	if (dirfd < 0)
		return prog_fail(&e);
	switch (queuefile_open(q, dirfd, id, how, &e)) {
	case QUEUEFILE_OK:
		return ST_OK;
	case QUEUEFILE_GONE:
		err_set(&e, ST_NOINPUT, "%s: no such entry", id);
		break;
	case QUEUEFILE_BUSY:
		err_set(&e, ST_TEMPFAIL, "%s: it is being worked on", id);
		break;
	case QUEUEFILE_BAD:
		e.status = ST_DATA;
		break;
	default:
		break;
	}
	return prog_fail(&e);
}

int
queue_show(const char *id)
{
	struct queuefile q;
	char b[16384];
	int r = open_entry(&q, id, 0);
	off_t at = 0;
	ssize_t n;

	if (r != ST_OK)
		return r;
	/* The entry is text: it is shown as it is. */
	while ((n = pread(q.fd, b, sizeof(b), at)) > 0) {
		if (io_write(STDOUT_FILENO, b, (size_t)n, DEADLINE_NEVER) !=
		    IO_OK) {
			r = ST_IOERR;
			break;
		}
		at += n;
	}
	queuefile_close(&q);
	return n < 0 ? ST_IOERR : r;
}

/* Does the entry have a recipient of that domain that waits? */
static bool
goes_to(const struct queuefile *q, const char *domain)
{
	for (size_t i = 0; i < q->env.nrcpt; i++) {
		struct span a = span_of(q->env.rcpt[i].addr);
		ssize_t at = span_rchr(a, '@');

		if (q->env.rcpt[i].state == QUEUEFILE_QUEUED && at >= 0 &&
		    span_iis(span_from(a, (size_t)at + 1), domain))
			return true;
	}
	return false;
}

struct flushing {
	int dirfd;
	const char *what;
	size_t done;
};

static bool
flush_one(void *ctx, const struct queuefile_found *f)
{
	struct flushing *fl = ctx;
	struct queuefile q;
	struct err e = ERR_INIT;

	if (queuefile_open(&q, fl->dirfd, f->id, QUEUEFILE_LOCK, &e) !=
	    QUEUEFILE_OK)
		return true; /* being worked on: as good as flushed */
	if (q.env.hold)
		;
	else if (fl->what[0] == '\0' || strcmp(fl->what, f->id) == 0 ||
		 goes_to(&q, fl->what)) {
		/* The changed time wakes the runner. */
		if (queuefile_next(&q, clock_now(), &e) != 0)
			fprintf(stderr, "mx-deliver: %s: %s\n", f->id, e.text);
		else
			fl->done++;
	}
	queuefile_close(&q);
	return true;
}

int
queue_flush(const char *what)
{
	struct flushing fl = { .what = what };
	struct err e = ERR_INIT;

	fl.dirfd = queue_open_dir(&e);
	if (fl.dirfd < 0)
		return prog_fail(&e);
	queue_dest_flushed(fl.dirfd);
	if (queuefile_scan(fl.dirfd, flush_one, &fl, &e) != 0)
		return prog_fail(&e);
	if (what[0] != '\0' && fl.done == 0) {
		err_set(&e, ST_NOINPUT, "%s: no entry waits for it", what);
		return prog_fail(&e);
	}
	return ST_OK;
}

/* What is done to one entry, or to all. */
typedef int change_fn(struct queuefile *q, struct err *e);

struct change {
	int dirfd;
	change_fn *fn;
	int status;
};

/* One of ALL that is being worked on is told and left out, and the others go
 * on. */
static bool
change_one(void *ctx, const struct queuefile_found *f)
{
	struct change *c = ctx;
	struct queuefile q;
	struct err e = ERR_INIT;

	switch (queuefile_open(&q, c->dirfd, f->id, QUEUEFILE_LOCK, &e)) {
	case QUEUEFILE_OK:
		if (c->fn(&q, &e) != 0)
			c->status = prog_fail(&e);
		queuefile_close(&q);
		return true;
	case QUEUEFILE_GONE:
		return true;
	default:
		c->status = prog_fail(&e);
		return true;
	}
}

static int
change(const char *id, change_fn *fn)
{
	struct change c = { .fn = fn };
	struct err e = ERR_INIT;
	struct queuefile q;
	int r;

	if (strcmp(id, "ALL") == 0) {
		c.dirfd = queue_open_dir(&e);
		if (c.dirfd < 0 ||
		    queuefile_scan(c.dirfd, change_one, &c, &e) != 0)
			return prog_fail(&e);
		return c.status;
	}
	r = open_entry(&q, id, QUEUEFILE_LOCK);
	if (r != ST_OK)
		return r;
	if (fn(&q, &e) != 0)
		r = prog_fail(&e);
	queuefile_close(&q);
	return r;
}

/* The letter first: a runner that comes between sees an entry on hold. */
static int
hold_it(struct queuefile *q, struct err *e)
{
	return queuefile_hold(q, true, e) != 0 ||
		       queuefile_next(q, QUEUE_NEVER, e) != 0
		   ? -1
		   : 0;
}

static int
release_it(struct queuefile *q, struct err *e)
{
	if (!q->env.hold)
		return 0;
	return queuefile_hold(q, false, e) != 0 ||
		       queuefile_next(q, clock_now(), e) != 0
		   ? -1
		   : 0;
}

/* Failed recipients that nobody was told of wait again, and all is due. */
static int
requeue_it(struct queuefile *q, struct err *e)
{
	for (size_t i = 0; i < q->env.nrcpt; i++) {
		if (q->env.rcpt[i].state == QUEUEFILE_FAILED &&
		    queuefile_mark(q, i, QUEUEFILE_QUEUED, e) != 0)
			return -1;
	}
	return queuefile_hold(q, false, e) != 0 ||
		       queuefile_next(q, clock_now(), e) != 0
		   ? -1
		   : 0;
}

int
queue_hold(const char *id, bool hold)
{
	return change(id, hold ? hold_it : release_it);
}

int
queue_requeue(const char *id)
{
	return change(id, requeue_it);
}

int
queue_delete(const char *id)
{
	return change(id, queuefile_remove);
}
