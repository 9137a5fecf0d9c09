/*
 * queue_many.c - one queued message into several Maildirs of one owner: one
 * request to the process with that owner's rights, one commit of the journal,
 * instead of one of each a recipient.  DESIGN 3.9: a recipient is marked when
 * its file is durable.  Who is killed between leaves files without a mark: the
 * next attempt makes the same names, and what is there is not put there twice.
 */
#include "hand.h"
#include "head.h"
#include "log.h"
#include "mem.h"
#include "queue.h"
#include "via.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct many {
	size_t n, bytes;
	size_t rcpt[HANDWORK_MANY];
	struct buf head[HANDWORK_MANY], once[HANDWORK_MANY];
	struct handwork_item item[HANDWORK_MANY];
};

/* An ordinary Maildir: no script can ask for more than the one file. */
static bool
suits(const struct work *w, size_t i)
{
	const struct route *r = &w->route[i];
	const struct attempt *a = &w->a[i];

	return w->q.env.rcpt[i].state == QUEUEFILE_QUEUED && !a->tried &&
	       !a->skip && !a->alone && r->kind == ROUTE_LOCAL &&
	       r->forward == NULL && r->via.n == 0 && r->dest != NULL &&
	       r->dest->kind == DEST_MAILDIR && !local_filtered(r->dest);
}

/* The same rights, and a mailbox that nobody of the others has. */
static bool
goes_with(const struct work *w, const struct many *m, size_t i)
{
	const struct dest *d = w->route[i].dest;

	for (size_t k = 0; k < m->n; k++) {
		const struct dest *o = w->route[m->rcpt[k]].dest;

		if (d->has_ids != o->has_ids || d->uid != o->uid ||
		    d->gid != o->gid || strcmp(d->path, o->path) == 0)
			return false;
	}
	return true;
}

/* maildir(5), unique: an ID may come again (a content filter hands the message
 * in once more under it), but not with the same microsecond of arrival, and
 * recipient i of an entry has one mailbox. */
static void
add_once(struct buf *b, const struct queuefile *q, size_t i)
{
	buf_addf(b, "%lld.M%06lldI%sR%zu",
		 (long long)(q->env.arrival_us / 1000000),
		 (long long)(q->env.arrival_us % 1000000), q->id, i);
}

/* False: no room for it, or the message was here before (local(8)'s loop),
 * which is said when it comes alone. */
static bool
add(struct work *w, struct many *m, size_t i, struct span body)
{
	const struct dest *d = w->route[i].dest;
	struct handwork_item *it = &m->item[m->n];
	struct buf *head = &m->head[m->n];
	struct facts f;

	deliver_facts(&f, &w->route[i], &w->q, i);
	if (head_loops_in(body, f.addr)) {
		w->a[i].alone = true;
		return false;
	}
	*head = m->once[m->n] = BUF_INIT;
	head_fields(head, &f, "file");
	add_once(&m->once[m->n], &w->q, i);
	*it = (struct handwork_item){ .path = d->path,
				      .sieve = d->sieve,
				      .user = d->user,
				      .home = d->home,
				      .quota = d->quota,
				      .once = buf_str(&m->once[m->n]),
				      .head = buf_span(head) };
	m->bytes += hand_item_size(it);
	if (m->bytes > HAND_ITEMS_MAX) {
		buf_free(head);
		buf_free(&m->once[m->n]);
		return false;
	}
	m->rcpt[m->n++] = i;
	return true;
}

static void
settle_one(struct work *w, const struct many *m, size_t k)
{
	struct err e = m->item[k].e;
	struct outcome o = { .result = DELIVER_DEFERRED };

	if (m->item[k].state == ITEM_DONE) {
		outcome_done(&o, "delivered to maildir");
	} else {
		(void)local_trouble(-1, &e);
		outcome_fail(&o, &e);
	}
	queue_settle_here(w, m->rcpt[k], &o);
}

static void
deliver(struct work *w, struct many *m, struct span body)
{
	const struct dest *d = w->route[m->rcpt[0]].dest;
	struct err e = ERR_INIT;
	struct hand *h = hand_get(d, &e);

	if (h == NULL)
		for (size_t k = 0; k < m->n; k++) {
			m->item[k].state = ITEM_FAILED;
			m->item[k].e = e;
		}
	else
		hand_many(h, m->item, m->n, body);
	/* All marks first: the lines of the log go out in one write behind
	 * them. */
	log_hold();
	for (size_t k = 0; k < m->n; k++) {
		if (m->item[k].state == ITEM_SCRIPT)
			w->a[m->rcpt[k]].alone = true;
		else
			settle_one(w, m, k);
	}
	log_release();
}

bool
queue_many(struct work *w, size_t first)
{
	static char text[HAND_BODY_MAX];
	const struct queuefile *q = &w->q;
	struct many *m;

	if (!suits(w, first) || q->msg_size > sizeof(text) ||
	    pread(q->fd, text, (size_t)q->msg_size, (off_t)q->msg_at) !=
		(ssize_t)q->msg_size)
		return false;
	struct span body = span_make(text, (size_t)q->msg_size);
	m = mem_alloc(1, sizeof(*m));
	for (size_t i = first; i < q->env.nrcpt && m->n < HANDWORK_MANY; i++)
		if (suits(w, i) && goes_with(w, m, i) && !add(w, m, i, body) &&
		    i == first)
			break;
	/* one that may have a script is asked for it where that is run */
	if (m->n > 1 || (m->n == 1 && m->item[0].sieve == NULL))
		deliver(w, m, body);
	for (size_t k = 0; k < m->n; k++) {
		buf_free(&m->head[k]);
		buf_free(&m->once[k]);
	}
	free(m);
	return w->a[first].tried;
}
