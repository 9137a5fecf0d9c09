/*
 * apart_ask.c - the side that asks the processes of apart.c.  Their answers are
 * a stranger's: every length and number is checked, and one that makes no sense
 * is trouble with DNS, never "no such name".
 */
#include "apart.h"
#include "io.h"
#include "mem.h"
#include "status.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

/* A question ends by itself long before: servers, tries and aliases are
 * bounded. */
#define LONGEST_MS 900000
#define MORE_MS 5000
#define RECORDS_MAX 4096

static int keeper = -1, names = -1;

void
apart_set_keeper(int sock)
{
	keeper = sock;
}

/* A new process; the descriptor to talk to it, or -1.  It ends when that is
 * closed; nobody waits for it: ours is a short life. */
static int
start(char what)
{
	int pair[2];
	bool ok;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	if (keeper >= 0) {
		ok = io_send_fd(keeper, &what, 1, pair[1]) == 0;
	} else {
		pid_t pid = fork();

		ok = pid >= 0;
		if (pid == 0) {
			close(pair[0]);
			apart_become(what, pair[1]);
		}
	}
	close(pair[1]);
	if (!ok) {
		close(pair[0]);
		return -1;
	}
	return pair[0];
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
apart_warm(void)
{
	if (names < 0)
		names = start('n');
}

/* The question, the answer. */
static bool
ask(struct buf *b, deadline_t dl)
{
	apart_warm();
	if (names >= 0 && apart_write(names, buf_span(b), dl) &&
	    apart_read(names, b, dl))
		return true;
	/* One that is out of step is not asked again. */
	close_fd(&names);
	return false;
}

static bool
take_record(struct span *in, struct dns_rr *r)
{
	struct span text;
	uint32_t preference, words;

	if (!apart_get(in, &r->ttl) || !apart_get(in, &preference) ||
	    preference > UINT16_MAX || !apart_get(in, &words) ||
	    !apart_get_span(in, &text))
		return false;
	r->preference = (int)preference;
	r->usage = (uint8_t)(words >> 16);
	r->selector = (uint8_t)(words >> 8);
	r->matching = (uint8_t)words;
	r->text = mem_spandup(text);
	r->len = text.n;
	return true;
}

/* Names and addresses are C strings to whoever reads them. */
static bool
is_text(const struct dns_rr *r, int type)
{
	return type == DNS_TXT || type == DNS_TLSA ||
	       !span_has_ctl(span_make(r->text, r->len));
}

static bool
take_answer(struct span in, int type, enum dns_status *st,
	    struct dns_answer *ans, struct err *e)
{
	uint32_t status, ad, n;
	struct span name, why;

	if (!apart_get(&in, &status) || status > DNS_BADNAME ||
	    !apart_get(&in, &ad) || ad > 1 || !apart_get(&in, &ans->neg_ttl) ||
	    !apart_get_span(&in, &name) || span_has_ctl(name) ||
	    !apart_get_span(&in, &why) || span_has_ctl(why) ||
	    !apart_get(&in, &n) || n > RECORDS_MAX ||
	    (status == DNS_OK) != (n > 0) || (status == DNS_TEMP && why.n == 0))
		return false;
	*st = (enum dns_status)status;
	if (why.n > 0)
		(void)err_set(e, *st == DNS_TEMP ? ST_TEMPFAIL : ST_NOHOST,
			      "%.*s", SPAN_ARG(why));
	ans->ad = ad;
	ans->name = *st != DNS_TEMP ? mem_spandup(name) : NULL;
	ans->v = mem_alloc(n, sizeof(ans->v[0]));
	while (ans->n < n) {
		if (!take_record(&in, &ans->v[ans->n]))
			return false;
		if (!is_text(&ans->v[ans->n++], type))
			return false;
	}
	return in.n == 0;
}

static deadline_t
bounded(deadline_t dl, uint32_t *ms)
{
	int64_t left = clock_left(dl);

	*ms = left < 0 || left > LONGEST_MS ? LONGEST_MS
	      : left == 0                   ? 1
					    : (uint32_t)left;
	return clock_deadline((int64_t)*ms + MORE_MS);
}

static enum dns_status
ask_dns(void *ctx, const char *name, int type, struct dns_answer *ans,
	deadline_t dl, struct err *e)
{
	struct buf b = BUF_INIT;
	enum dns_status st = DNS_TEMP;
	uint32_t ms;
	deadline_t until = bounded(dl, &ms);

	(void)ctx;
	buf_addc(&b, 'q');
	apart_put(&b, (uint32_t)type);
	apart_put(&b, ms);
	apart_put_span(&b, span_of(name));
	if (!ask(&b, until) || !take_answer(buf_span(&b), type, &st, ans, e)) {
		dns_answer_free(ans);
		st = DNS_TEMP;
		(void)err_set(e, ST_TEMPFAIL, "DNS: %s: no answer", name);
	}
	buf_free(&b);
	return st;
}

/* What getaddrinfo said: 0 or EAI_*; an answer that is cut or goes on adds no
 * address. */
static int
take_system(struct span in, struct strs *addrs)
{
	struct strs got = STRS_INIT;
	struct span addr;
	uint32_t r, n;
	bool ok = apart_get(&in, &r) && r < 1000 && apart_get(&in, &n) &&
		  n <= RECORDS_MAX;

	for (uint32_t i = 0; ok && i < n; i++) {
		ok = apart_get_span(&in, &addr) && !span_has_ctl(addr);
		if (ok)
			strs_addspan(&got, addr);
	}
	ok = ok && in.n == 0;
	for (size_t i = 0; ok && i < got.n; i++)
		strs_add(addrs, got.v[i]);
	strs_free(&got);
	return ok ? -(int)r : EAI_AGAIN;
}

static int
ask_system(void *ctx, const char *name, struct strs *addrs)
{
	struct buf b = BUF_INIT;
	uint32_t ms;
	deadline_t until = bounded(DEADLINE_NEVER, &ms);
	int r = EAI_AGAIN;

	(void)ctx;
	buf_addc(&b, 's');
	buf_adds(&b, name);
	if (ask(&b, until))
		r = take_system(buf_span(&b), addrs);
	buf_free(&b);
	return r;
}

void
apart_names(struct mx_conf *c)
{
	if (c->dns != NULL)
		dns_set_asker(c->dns, ask_dns, NULL);
	c->system = ask_system;
}

/* mx-fetch's status, output and sentences; false: it is none. */
static bool
take_fetched(struct span in, uint32_t *st, struct buf *out, struct buf *errs)
{
	struct span words[2];

	if (!apart_get(&in, st) || *st > 255 ||
	    !apart_get_span(&in, &words[0]) ||
	    !apart_get_span(&in, &words[1]) || in.n != 0)
		return false;
	buf_addspan(out, words[0]);
	buf_addspan(errs, words[1]);
	return true;
}

int
apart_fetch(void *ctx, const struct strs *argv, struct buf *out,
	    struct buf *errs, deadline_t dl)
{
	struct buf b = BUF_INIT;
	uint32_t ms, st = ST_TEMPFAIL;
	deadline_t until = bounded(dl, &ms);
	int fd = start('f');

	(void)ctx;
	apart_put(&b, ms);
	for (size_t i = 0; i < argv->n; i++)
		apart_put_span(&b, span_of(argv->v[i]));
	bool ok = fd >= 0 && apart_write(fd, buf_span(&b), until) &&
		  apart_read(fd, &b, until) &&
		  take_fetched(buf_span(&b), &st, out, errs);
	close_fd(&fd);
	if (!ok)
		buf_adds(errs, "mx-fetch could not be run");
	buf_free(&b);
	return ok ? (int)st : ST_TEMPFAIL;
}

void
apart_end(void)
{
	close_fd(&names);
	close_fd(&keeper);
}
