/*
 * hand_many.c - both ends of one request: a message into several Maildirs of
 * one owner (handwork_many).  The message is in the request: it is small, and
 * the owner's process needs no descriptor of ours.
 *   request: sync, body, count, then path sieve user home once quota head
 *   answer:  state and verdict of each, in order
 */
#include "conf.h"
#include "hand_int.h"
#include "hand_wire.h"
#include "mem.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

#define STRINGS 5 /* of an item */

static size_t
length(const char *s)
{
	return s != NULL ? strlen(s) : 0;
}

size_t
hand_item_size(const struct handwork_item *it)
{
	return length(it->path) + length(it->sieve) + length(it->user) +
	       length(it->home) + length(it->once) + it->head.n +
	       8 * sizeof(uint64_t);
}

static void
all_failed(struct handwork_item *item, size_t n, const struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		item[i].state = ITEM_FAILED;
		item[i].e = *e;
	}
}

static void
put_item(struct buf *q, const struct handwork_item *it)
{
	wire_put_str(q, it->path);
	wire_put_str(q, it->sieve);
	wire_put_str(q, it->user);
	wire_put_str(q, it->home);
	wire_put_str(q, it->once);
	wire_put_quota(q, &it->quota);
	wire_put_span(q, it->head);
}

/* All or nothing: an answer that cannot be read says nothing of anybody, and
 * all are tried again. */
static int
get_answers(struct span a, struct handwork_item *item, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t state;

		item[i].e = ERR_INIT;
		if (!wire_get_u64(&a, &state) || state > ITEM_SCRIPT ||
		    (wire_get_verdict(&a, &item[i].e) != 0) !=
			(state == ITEM_FAILED))
			return err_set(e, ST_TEMPFAIL, "malformed answer");
		item[i].state = state == ITEM_DONE     ? ITEM_DONE
				: state == ITEM_SCRIPT ? ITEM_SCRIPT
						       : ITEM_FAILED;
	}
	return 0;
}

void
hand_many(struct hand *h, struct handwork_item *item, size_t n,
	  struct span body)
{
	struct buf q = BUF_INIT, a = BUF_INIT;
	struct err e = ERR_INIT;

	h->used = clock_mono();
	if (h->sock < 0) {
		handwork_many(&h->own, (enum deposit_sync)conf.maildir_fsync,
			      item, n, body);
		return;
	}
	hand_ahead_forget(h);
	wire_put_u64(&q, HAND_MANY);
	wire_put_u64(&q, (uint64_t)conf.maildir_fsync);
	wire_put_span(&q, body);
	wire_put_u64(&q, n);
	for (size_t i = 0; i < n; i++)
		put_item(&q, &item[i]);
	if (hand_ask(h, &q, -1, &a, NULL, HAND_MS, &e) != 0 ||
	    get_answers(buf_span(&a), item, n, &e) != 0)
		all_failed(item, n, &e);
	buf_free(&a);
}

/* own: its strings, which the caller frees. */
static bool
get_item(struct span *q, struct handwork_item *it, char *own[STRINGS])
{
	bool ok = wire_get_str(q, &own[0]) && wire_get_str(q, &own[1]) &&
		  wire_get_str(q, &own[2]) && wire_get_str(q, &own[3]) &&
		  wire_get_str(q, &own[4]) && wire_get_quota(q, &it->quota) &&
		  wire_get_span(q, &it->head);

	it->path = own[0];
	it->sieve = own[1];
	it->user = own[2];
	it->home = own[3];
	it->once = own[4];
	/* a name, not a way out of new/ */
	return ok && it->path != NULL && it->once != NULL &&
	       strpbrk(it->once, "/:,") == NULL;
}

int
hand_serve_many(struct handwork *w, struct span q, struct buf *a, struct err *e)
{
	struct handwork_item *item = mem_alloc(HANDWORK_MANY, sizeof(*item));
	char *own[HANDWORK_MANY][STRINGS] = { { NULL } };
	struct span body = SPAN("");
	uint64_t sync, n = 0;
	bool ok = wire_get_u64(&q, &sync) && sync <= DEPOSIT_BOTH &&
		  wire_get_span(&q, &body) && wire_get_u64(&q, &n) &&
		  n <= HANDWORK_MANY;

	for (size_t i = 0; ok && i < n; i++)
		ok = get_item(&q, &item[i], own[i]);
	if (ok)
		handwork_many(w, (enum deposit_sync)sync, item, (size_t)n,
			      body);
	else
		err_set(e, ST_PROTOCOL, "malformed request");
	for (size_t i = 0; ok && i < n; i++) {
		wire_put_u64(a, item[i].state);
		wire_put_verdict(a, item[i].state == ITEM_FAILED ? -1 : 0,
				 &item[i].e);
	}
	for (size_t i = 0; i < HANDWORK_MANY; i++)
		for (size_t k = 0; k < ARRAY_LEN(own[i]); k++)
			free(own[i][k]);
	free(item);
	return ok ? 0 : -1;
}
