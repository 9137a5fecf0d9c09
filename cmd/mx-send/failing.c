/*
 * failing.c - hosts that did not answer of late: they are asked after the
 * others of their destination, not before each message once more.
 * RFC 5321 5.1 lets a client choose among hosts after one has failed; who is
 * alone is asked all the same.  Told along by --jobs (jobs.c) to the processes
 * that come later; bounded in number and in time.
 */
#include "send.h"
#include "clock.h"
#include "mem.h"

#include <stdlib.h>
#include <sys/socket.h>

#define FAILING_MAX 1000
#define NAME_MAX_BYTES 100

static struct map *failing; /* "192.0.2.1:25" -> struct since */
static int tell = -1;

struct since {
	int64_t at; /* clock_mono */
};

void
failing_tell(int channel)
{
	tell = channel;
}

static bool
name_of(const struct mx_target *t, struct buf *b)
{
	if (t->port == 0) /* a socket of this host */
		return false;
	buf_addf(b, "%s:%d", t->addr, t->port);
	return b->n < NAME_MAX_BYTES;
}

static bool
over(const struct since *s)
{
	return clock_mono() - s->at > params.failed_time;
}

/* Room for one more: what is over is forgotten. */
static bool
has_room(void)
{
	struct strs old = STRS_INIT;
	struct span key;
	void *value;
	size_t at = 0;

	if (map_count(failing) < FAILING_MAX)
		return true;
	while (map_next(failing, &at, &key, &value))
		if (over(value))
			strs_addspan(&old, key);
	for (size_t i = 0; i < old.n; i++)
		free(map_del(failing, span_of(old.v[i])));
	strs_free(&old);
	return map_count(failing) < FAILING_MAX;
}

void
failing_take(struct span name, bool failed)
{
	struct since *s;

	if (params.failed_time <= 0 || name.n == 0 ||
	    name.n >= NAME_MAX_BYTES || span_has_ctl(name))
		return;
	if (failing == NULL)
		failing = map_new();
	if (!failed) {
		free(map_del(failing, name));
		return;
	}
	s = map_get(failing, name);
	if (s == NULL && has_room()) {
		s = mem_alloc(1, sizeof(*s));
		(void)map_put(failing, name, s);
	}
	if (s != NULL)
		s->at = clock_mono();
}

void
failing_note(const struct mx_target *t, bool failed)
{
	struct buf b = BUF_INIT;
	bool known;

	/* One byte of what it is, then the name. */
	buf_addc(&b, failed ? 'f' : 'g');
	struct buf name = BUF_INIT;
	if (name_of(t, &name)) {
		known = failing != NULL &&
			map_get(failing, buf_span(&name)) != NULL;
		failing_take(buf_span(&name), failed);
		buf_addspan(&b, buf_span(&name));
		if (tell >= 0 && params.failed_time > 0 && (failed || known))
			(void)send(tell, b.p, b.n, MSG_NOSIGNAL);
	}
	buf_free(&name);
	buf_free(&b);
}

bool
failing_is(const struct mx_target *t)
{
	struct buf name = BUF_INIT;
	const struct since *s = NULL;

	if (failing != NULL && name_of(t, &name))
		s = map_get(failing, buf_span(&name));
	buf_free(&name);
	return s != NULL && !over(s);
}

void
failing_order(struct group *g)
{
	bool *last = mem_alloc(g->hosts.n, sizeof(*last));
	size_t n = 0;

	if (g->order == NULL)
		g->order = mem_alloc(g->hosts.n, sizeof(g->order[0]));
	for (size_t i = 0; i < g->hosts.n; i++) {
		last[i] = failing_is(&g->hosts.v[i]);
		if (!last[i])
			g->order[n++] = i;
	}
	for (size_t i = 0; i < g->hosts.n; i++)
		if (last[i])
			g->order[n++] = i;
	free(last);
}
