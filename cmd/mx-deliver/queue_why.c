/*
 * queue_why.c - --why ID|ADDR: what became of a message, or of an address's
 * messages: the queue's entry and the log's lines, in plain sentences.
 * The log is $MX_LOG, /var/log/mail.log or /var/log/maillog, with the rotated
 * ones before it (.1, .2.gz ...), or the journal.
 */
#include "queue.h"
#include "clock.h"
#include "escape.h"
#include "io.h"
#include "mem.h"
#include "proc.h"
#include "site.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define IDS_MAX 50          /* of an address: the latest */
#define ROTATED_MAX 14      /* old logs that are read */
#define LINES_MAX (1 << 17) /* bytes of log kept a message */

struct story {
	char id[64];
	struct buf lines; /* of the log */
	bool in_queue;
};

struct why {
	const char *what;
	bool by_address;
	int dirfd;
	struct story v[IDS_MAX];
	size_t n;
	bool have_log;
};

static struct story *
story_of(struct why *w, struct span id, bool add)
{
	for (size_t i = 0; i < w->n; i++)
		if (span_is(id, w->v[i].id))
			return &w->v[i];
	if (!add || id.n >= sizeof(w->v[0].id))
		return NULL;
	if (w->n == IDS_MAX) {
		/* The oldest makes room. */
		buf_free(&w->v[0].lines);
		memmove(w->v, w->v + 1, (IDS_MAX - 1) * sizeof(w->v[0]));
		w->n--;
	}
	struct story *s = &w->v[w->n++];
	*s = (struct story){ .in_queue = false };
	memcpy(s->id, id.p, id.n);
	return s;
}

/* The queue ID of "... mx/smtp[12]: ID: to=<...", or of a JSON line. */
static struct span
id_of(struct span line)
{
	static const struct span key = { "\"id\":\"", 6 };
	ssize_t at = span_find(line, SPAN("]: "));
	struct span rest, id;

	if (at < 0)
		at = span_find(line, key);
	if (at < 0)
		return SPAN("");
	rest = span_from(line, (size_t)at + (line.p[at] == ']' ? 3 : key.n));
	id = rest;
	for (id.n = 0; id.n < rest.n && rest.p[id.n] != ':' &&
		       rest.p[id.n] != '"' && rest.p[id.n] != ' ';)
		id.n++;
	return id.n > 5 && id.n < rest.n && queuefile_id_ok(id) ? id : SPAN("");
}

/* Does the line name the address as sender or recipient? */
static bool
names(struct span line, const char *addr)
{
	static const char *const forms[] = { "to=<%s>", "from=<%s>",
					     "\"to\":\"%s\"", "\"from\":\"%s\"",
					     "\"orig_to\":\"%s\"" };
	char key[400];

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		int n = snprintf(key, sizeof(key), forms[i], addr);
#pragma GCC diagnostic pop
		if (n > 0 && span_find(line, span_of(key)) >= 0)
			return true;
	}
	return false;
}

static void
take_line(struct why *w, struct span line, bool gather)
{
	struct span id = id_of(line);
	struct story *s;

	if (id.n == 0)
		return;
	if (!gather) {
		if (names(line, w->what))
			(void)story_of(w, id, true);
		return;
	}
	s = story_of(w, id, !w->by_address && span_is(id, w->what));
	if (s != NULL && s->lines.n < LINES_MAX) {
		buf_adds(&s->lines, "    ");
		escape_line(&s->lines, span_rtrim(line), 1000);
		buf_addc(&s->lines, '\n');
	}
}

/* What a program prints; -1: it cannot be run. */
static int
open_program(const char *const *words, size_t n, pid_t *pid)
{
	struct strs argv = STRS_INIT;
	struct proc_spec ps = { .fd = { -1, -1, -1, -1 } };
	struct err e = ERR_INIT;
	int link[2];

	if (pipe2(link, O_CLOEXEC) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		strs_add(&argv, words[i]);
	ps.argv = argv.v;
	ps.fd[1] = link[1];
	*pid = proc_spawn(&ps, &e);
	strs_free(&argv);
	close(link[1]);
	if (*pid > 0)
		return link[0];
	close(link[0]);
	return -1;
}

/* The journal's mail lines, by its own program; -1: there is none. */
static int
open_journal(pid_t *pid)
{
	static const char *const words[] = { "journalctl", "--quiet",
					     "--no-pager", "--output=short-iso",
					     "SYSLOG_FACILITY=2" };

	if (access("/run/systemd/journal", F_OK) != 0)
		return -1;
	return open_program(words, ARRAY_LEN(words), pid);
}

/* A log that was rotated away: "mail.log.3.gz" through gzip, "mail.log.1". */
static int
open_rotated(const char *path, int n, pid_t *pid)
{
	char *plain = mem_printf("%s.%d", path, n);
	char *packed = mem_printf("%s.%d.gz", path, n);
	int fd = open(plain, O_RDONLY | O_CLOEXEC);

	*pid = -1;
	if (fd < 0 && access(packed, R_OK) == 0) {
		const char *const words[] = { "gzip", "-dc", "--", packed };

		fd = open_program(words, ARRAY_LEN(words), pid);
	}
	free(plain);
	free(packed);
	return fd;
}

static void
read_lines(struct why *w, int fd, pid_t pid, bool gather)
{
	struct stream s;
	struct span line;
	enum io_result r;

	w->have_log = true;
	stream_init(&s, fd, fd);
	while ((r = stream_line(&s, 65536, &line, DEADLINE_NEVER)) == IO_OK ||
	       r == IO_TOOLONG) {
		if (r == IO_OK)
			take_line(w, line, gather);
		else if (stream_skip_line(&s, SIZE_MAX, DEADLINE_NEVER) !=
			 IO_OK)
			break;
	}
	stream_close(&s);
	if (pid > 0)
		(void)proc_wait(pid, clock_deadline(5000), NULL);
}

/* The log and what logrotate(8) made of it before, oldest first. */
static void
read_log(struct why *w, bool gather)
{
	static const char *const places[] = { "/var/log/mail.log",
					      "/var/log/maillog" };
	const char *own = secure_getenv("MX_LOG"), *path = own;
	pid_t pid = -1;
	int fd;

	for (size_t i = 0; path == NULL && i < ARRAY_LEN(places); i++)
		if (access(places[i], R_OK) == 0)
			path = places[i];
	for (int n = ROTATED_MAX; path != NULL && n > 0; n--)
		if ((fd = open_rotated(path, n, &pid)) >= 0)
			read_lines(w, fd, pid, gather);
	pid = -1;
	fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC)
			  : open_journal(&pid);
	if (fd >= 0)
		read_lines(w, fd, pid, gather);
}

static bool
find_entry(void *ctx, const struct queuefile_found *f)
{
	struct why *w = ctx;
	struct queuefile q;
	struct err e = ERR_INIT;
	bool hit;

	if (queuefile_open(&q, w->dirfd, f->id, 0, &e) != QUEUEFILE_OK)
		return true;
	hit = strcasecmp(q.env.sender, w->what) == 0;
	for (size_t i = 0; i < q.env.nrcpt; i++) {
		const struct queuefile_rcpt *r = &q.env.rcpt[i];

		hit |= strcasecmp(r->addr, w->what) == 0 ||
		       (r->original != NULL &&
			strcasecmp(r->original, w->what) == 0);
	}
	if (hit)
		(void)story_of(w, span_of(f->id), true);
	queuefile_close(&q);
	return true;
}

static void
add_when(struct buf *b, int64_t t)
{
	time_t at = (time_t)t;
	int64_t gap = t - clock_now(), n = gap < 0 ? -gap : gap;
	const char *unit = n < 120 ? "second" : n < 7200 ? "minute" : "hour";
	struct tm tm;
	char text[60];

	localtime_r(&at, &tm);
	strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M:%S %z", &tm);
	n = n < 120 ? n : n < 7200 ? n / 60 : n / 3600;
	buf_addf(b, "%s (%s%lld %s%s%s)", text, gap > 0 ? "in " : "",
		 (long long)n, unit, n == 1 ? "" : "s", gap > 0 ? "" : " ago");
}

/* The last note about each recipient, and how many attempts there were. */
struct notes {
	struct queuefile_note *last;
	struct buf *text;
	size_t n, attempts;
};

static void
take_note(void *ctx, const struct queuefile_note *note)
{
	struct notes *t = ctx;

	t->attempts += note->rcpt == SIZE_MAX && span_is(note->word, "attempt");
	if (note->rcpt >= t->n)
		return;
	t->last[note->rcpt] = *note;
	buf_clear(&t->text[note->rcpt]);
	escape_line(&t->text[note->rcpt], note->text, 900);
}

static void
tell_recipient(struct buf *b, const struct queuefile *q, const struct notes *t,
	       size_t i)
{
	const struct queuefile_rcpt *r = &q->env.rcpt[i];
	bool noted = t->last[i].time != 0;

	buf_adds(b, "  <");
	escape_line(b, span_of(r->addr), 300);
	buf_adds(b, r->state == QUEUEFILE_DONE     ? ">: delivered"
		    : r->state == QUEUEFILE_FAILED ? ">: failed for good"
		    : r->state == QUEUEFILE_TOLD
			? ">: failed for good, and the sender was told"
			: ">: waits");
	if (r->original != NULL && r->original[0] != '\0' &&
	    strcmp(r->original, r->addr) != 0) {
		buf_adds(b, "; came for <");
		escape_line(b, span_of(r->original), 300);
		buf_addc(b, '>');
	}
	if (noted) {
		buf_adds(b, "; last attempt ");
		add_when(b, t->last[i].time);
		buf_addf(b, ": %s", buf_str(&t->text[i]));
	} else if (r->state == QUEUEFILE_QUEUED) {
		buf_adds(b, "; not tried yet");
	}
	buf_addc(b, '\n');
}

static void
tell_waiting(struct buf *b, const struct queuefile *q, size_t attempts)
{
	int64_t life = q->env.sender[0] == '\0' ? queue_conf.bounce_lifetime
						: queue_conf.maximal_lifetime;
	int64_t end = (q->env.arrival_us / 1000 + life) / 1000;

	if (q->env.hold) {
		buf_addf(b,
			 "  It is on hold until somebody says mx-deliver "
			 "--release %s.\n",
			 q->id);
		return;
	}
	buf_addf(b, "  %zu attempt%s so far; the next ", attempts,
		 attempts == 1 ? "" : "s");
	if (q->next <= clock_now())
		buf_adds(b, "as soon as the queue's runner gets to it");
	else
		add_when(b, q->next);
	buf_addf(b, "; %s ",
		 q->env.sender[0] == '\0' ? "it is given up after"
					  : "it goes back to its sender after");
	add_when(b, end);
	buf_adds(b, ".\n");
}

/* False: it is not in the queue. */
static bool
tell_entry(struct buf *b, struct why *w, const struct story *s)
{
	struct queuefile q;
	struct err e = ERR_INIT;
	struct notes t = { .n = 0 };

	if (w->dirfd < 0 ||
	    queuefile_open(&q, w->dirfd, s->id, 0, &e) != QUEUEFILE_OK)
		return false;
	t.n = q.env.nrcpt;
	t.last = mem_alloc(t.n + 1, sizeof(*t.last));
	t.text = mem_alloc(t.n + 1, sizeof(*t.text));
	if (queuefile_notes(&q, take_note, &t, &e) != 0)
		buf_addf(b, "  its journal cannot be read: %s\n", e.text);
	buf_addf(b, "%s: in the queue, %llu bytes, from ", s->id,
		 (unsigned long long)q.msg_size);
	if (q.env.sender[0] == '\0')
		buf_adds(b, "the mail system itself (null sender)");
	else
		escape_line(b, span_of(q.env.sender), 300);
	buf_adds(b, ", arrived ");
	add_when(b, q.env.arrival_us / 1000000);
	if (q.env.client_addr != NULL && q.env.client_addr[0] != '\0') {
		buf_addf(b, " from %s[",
			 q.env.client_name != NULL ? q.env.client_name
						   : "unknown");
		escape_line(b, span_of(q.env.client_addr), 60);
		buf_addc(b, ']');
	}
	buf_addc(b, '\n');
	for (size_t i = 0; i < t.n; i++)
		tell_recipient(b, &q, &t, i);
	if (queuefile_count(&q, QUEUEFILE_QUEUED) > 0)
		tell_waiting(b, &q, t.attempts);
	for (size_t i = 0; i < t.n; i++)
		buf_free(&t.text[i]);
	free(t.last);
	free(t.text);
	queuefile_close(&q);
	return true;
}

/* What the last log line of each recipient says of one that is gone. */
static void
tell_log(struct buf *b, const struct story *s)
{
	static const char *const words[][2] = {
		{ "status=sent", "delivered" },
		{ "status=bounced", "refused" },
		{ "status=expired", "given up, too old" },
		{ "status=deferred", "put off" },
	};
	struct span rest = buf_span(&s->lines), line;
	bool removed = span_find(rest, SPAN(": removed")) >= 0;

	buf_addf(b, "%s: %s\n", s->id,
		 removed ? "not in the queue any more: everything about it is "
			   "done"
			 : "not in the queue");
	while (span_split(&rest, '\n', &line)) {
		ssize_t to = span_find(line, SPAN(" to=<"));

		for (size_t i = 0; to >= 0 && i < ARRAY_LEN(words); i++) {
			ssize_t at = span_find(line, span_of(words[i][0]));
			if (at < 0)
				continue;
			struct span addr = span_from(line, (size_t)to + 4);
			ssize_t end = span_chr(addr, '>');
			struct span text =
			    span_from(line, (size_t)at + strlen(words[i][0]));
			buf_adds(b, "  ");
			buf_addspan(b, span_sub(addr, 0, (size_t)end + 1));
			buf_addf(b, ": %s%.*s\n", words[i][1], SPAN_ARG(text));
		}
	}
}

static void
tell(struct why *w, struct story *s)
{
	struct buf b = BUF_INIT;

	if (!tell_entry(&b, w, s))
		tell_log(&b, s);
	if (s->lines.n > 0) {
		buf_adds(&b, "  The log:\n");
		buf_addspan(&b, buf_span(&s->lines));
	}
	printf("%s\n", buf_str(&b));
	buf_free(&b);
}

int
queue_why(const char *what)
{
	struct why w = { .what = what, .dirfd = -1 };
	struct err e = ERR_INIT;
	size_t told = 0;

	w.by_address = strchr(what, '@') != NULL;
	if (!w.by_address && !queuefile_id_ok(span_of(what)))
		return prog_usage("%s: neither a queue ID nor an address",
				  what);
	w.dirfd = queue_open_dir(&e);
	if (w.dirfd < 0 && e.status != ST_NOINPUT)
		return prog_fail(&e);
	if (w.by_address)
		read_log(&w, false);
	if (w.by_address && w.dirfd >= 0 &&
	    queuefile_scan(w.dirfd, find_entry, &w, &e) != 0)
		return prog_fail(&e);
	if (!w.by_address)
		(void)story_of(&w, span_of(what), true);
	read_log(&w, true);
	for (size_t i = 0; i < w.n; i++) {
		struct queuefile q;
		bool there = w.dirfd >= 0 &&
			     queuefile_open(&q, w.dirfd, w.v[i].id, 0, &e) ==
				 QUEUEFILE_OK;
		if (there)
			queuefile_close(&q);
		if (there || w.v[i].lines.n > 0) {
			tell(&w, &w.v[i]);
			told++;
		}
		buf_free(&w.v[i].lines);
	}
	if (told == 0)
		err_set(&e, ST_NOINPUT, "%s: neither the queue nor %s", what,
			w.have_log ? "the log knows it"
				   : "a log (there is none to read) knows it");
	return told == 0             ? prog_fail(&e)
	       : fflush(stdout) == 0 ? ST_OK
				     : ST_IOERR;
}
