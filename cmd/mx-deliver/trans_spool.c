/*
 * trans_spool.c - the end of a message that was spooled: filters, then each
 * recipient's mailbox or queue entries, one for each sender.
 * DESIGN 3.3; RFC 2033 4.2.
 */
#include "trans_int.h"
#include "enqueue.h"
#include "filters.h"
#include "mem.h"
#include "via.h"

#include <stdlib.h>

/* Who is told of failures of what goes to that target. */
static const char *
sender_of(const struct trans *t, const struct target *g)
{
	return g->sender != NULL ? g->sender : t->sender;
}

/* Target k of a recipient is of this entry: its sender, its bytes. */
static bool
is_of(const struct trans *t, const struct target *g, const struct target *first)
{
	return via_same(g, first) && g->list == first->list &&
	       strcmp(sender_of(t, g), sender_of(t, first)) == 0;
}

/* The recipients of t->rcpt[from..to) that have the sender and the bytes of
 * `first`. */
static void
add_like(const struct trans *t, struct queuefile_env *env, size_t from,
	 size_t to, const struct target *first)
{
	for (size_t i = from; i < to; i++)
		for (size_t k = 0; k < t->rcpt[i].t.n; k++) {
			const struct target *g = &t->rcpt[i].t.v[k];

			if (is_of(t, g, first))
				trans_add_to_env(env, &t->rcpt[i], g);
		}
}

/* The targets that begin a queue entry: one for each sender (owner- aliases,
 * SRS) and each Delivered-To. */
static size_t
find_firsts(const struct trans *t, size_t from, size_t to,
	    const struct target **first)
{
	size_t n = 0, at;

	for (size_t i = from; i < to; i++)
		for (size_t k = 0; k < t->rcpt[i].t.n; k++) {
			const struct target *g = &t->rcpt[i].t.v[k];

			for (at = 0; at < n && !is_of(t, g, first[at]);)
				at++;
			if (at == n)
				first[n++] = g;
		}
	return n;
}

/* From the spool into queue entries, see find_firsts: all of them or none.
 * copies: BCC goes with the first. */
static int
queue_some(struct trans *t, size_t from, size_t to, bool copies, struct err *e)
{
	const struct target **first;
	struct queuefile_writer *w;
	struct buf head = BUF_INIT;
	size_t n = 0, count = 0;
	int r = 0;

	for (size_t i = from; i < to; i++)
		count += t->rcpt[i].t.n;
	first = mem_alloc(count + 1, sizeof(*first));
	count = find_firsts(t, from, to, first);
	w = mem_alloc(count + 1, sizeof(*w));
	for (; r == 0 && n < count; n += r == 0) {
		struct queuefile_env env;

		buf_clear(&head);
		via_fields(&head, first[n]);
		buf_addspan(&head, buf_span(&t->top));
		trans_fill_env(t, &env, sender_of(t, first[n]));
		if (first[n]->list) {
			free(env.envid);
			free(env.ret);
			env.envid = env.ret = NULL;
		}
		add_like(t, &env, from, to, first[n]);
		if (copies && n == 0)
			trans_add_bcc(t, &env);
		r = deliver_queue_copy(&w[n], &env, buf_span(&head),
				       t->spool.fd, 0, t->spool.size, e);
		queuefile_env_free(&env);
	}
	deliver_queue_settle(w, n, r == 0);
	free(w);
	free(first);
	buf_free(&head);
	for (size_t i = from; i < to; i++)
		t->rcpt[i].queued = true;
	return r;
}

/* LMTP: one recipient's message is in the spool, and it has a verdict of its
 * own (RFC 2033 4.2).  copies: BCC goes with it; true: it went. */
static bool
finish_rcpt(struct trans *t, size_t i, bool copies)
{
	struct trans_rcpt *r = &t->rcpt[i];
	struct err e = ERR_INIT;

	if (r->t.n == 0) {
		outcome_done(&r->out, "redirected by filter");
		return false;
	}
	if (via_check(&r->t, &t->head, &e) != 0) {
		outcome_fail(&r->out, &e);
		return false;
	}
	if (trans_ends_here(t, r)) {
		trans_fill_facts(t, r);
		local_deliver(r->t.v[0].dest, &t->facts, t->spool.fd, 0,
			      t->spool.size, &r->out);
		return false;
	}
	if (queue_some(t, i, i + 1, copies, &e) == 0)
		outcome_done(&r->out, "queued");
	else
		outcome_fail(&r->out, &e);
	return r->out.result == DELIVER_DONE;
}

/* Refused only where it loops for all: else those for whom it does are
 * reported by a bounce. */
static int
check_loops(struct trans *t, struct err *e)
{
	size_t good = t->bcc.n;

	for (size_t i = 0; i < t->nrcpt; i++)
		good += via_check(&t->rcpt[i].t, &t->head, e) == 0;
	return good > 0 || t->nrcpt == 0 ? 0 : -1;
}

int
trans_finish_spool(struct trans *t, struct err *e)
{
	bool copies = true; /* once, with the first that is queued */

	if (spool_rewind(&t->spool, e) != 0 || trans_redirect(t, e) != 0 ||
	    filters_run(t, &t->spool, e) != 0 || trans_redirect(t, e) != 0)
		return -1;
	if (t->discard) {
		for (size_t i = 0; i < t->nrcpt; i++)
			outcome_done(&t->rcpt[i].out, "discarded by filter");
		return 0;
	}
	if (!t->lmtp && check_loops(t, e) != 0)
		return -1;
	if (!t->lmtp && !(t->nrcpt == 1 && trans_ends_here(t, &t->rcpt[0])))
		return queue_some(t, 0, t->nrcpt, true, e);
	for (size_t i = 0; i < t->nrcpt; i++)
		copies = !finish_rcpt(t, i, copies) && copies;
	if (t->lmtp || t->rcpt[0].out.result == DELIVER_DONE)
		return 0;
	*e = t->rcpt[0].out.why;
	return -1;
}
