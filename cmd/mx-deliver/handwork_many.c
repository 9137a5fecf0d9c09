/*
 * handwork_many.c - one message into several Maildirs of one owner.
 * DESIGN law 3 for each file: written, its write-out started, renamed into
 * place, then fsynced.  The steps are taken side by side: by the time of the
 * first fsync all bytes and names are in the journal's running transaction,
 * which commits once; the other fsyncs find it done, and each still tells of
 * its own file's errors.
 */
#include "handwork_int.h"
#include "mem.h"
#include "status.h"

#include <unistd.h>

static void
fail(struct handwork_item *it)
{
	it->state = ITEM_FAILED;
	deposit_abort(&it->d);
}

/* The file in tmp/, written. */
static void
write_one(struct handwork *w, enum deposit_sync sync, struct handwork_item *it,
	  struct span body)
{
	if (it->sieve != NULL && access(it->sieve, F_OK) == 0) {
		it->state = ITEM_SCRIPT;
		return;
	}
	if (handwork_start(w, &it->d, it->path, sync, &it->e) != 0) {
		fail(it);
		return;
	}
	it->at = w->at;
	it->at->pinned = true;
	if (deposit_write(&it->d, it->head.p, it->head.n, &it->e) != 0 ||
	    deposit_write(&it->d, body.p, body.n, &it->e) != 0 ||
	    deposit_flush(&it->d, &it->e) != 0)
		fail(it);
}

void
handwork_many(struct handwork *w, enum deposit_sync sync,
	      struct handwork_item *item, size_t n, struct span body)
{
	handwork_abort(w);
	for (size_t i = 0; i < n; i++) {
		item[i].state = ITEM_DONE;
		item[i].e = ERR_INIT;
		item[i].at = NULL;
		deposit_adopt(&item[i].d, -1);
		write_one(w, sync, &item[i], body);
	}
	for (struct handwork_item *it = item; it < item + n; it++)
		if (it->state == ITEM_DONE &&
		    !deposit_there(&it->d, it->once) &&
		    (handwork_may(it->at, &it->quota, it->d.size, 1, &it->e) !=
			 0 ||
		     deposit_put_once(&it->d, it->once, &it->e) != 0))
			fail(it);
	for (struct handwork_item *it = item; it < item + n; it++)
		if (it->state == ITEM_DONE &&
		    deposit_durable(&it->d, &it->e) != 0)
			fail(it);
	for (struct handwork_item *it = item; it < item + n; it++) {
		if (it->state == ITEM_DONE)
			handwork_came(it->at, &it->quota, it->d.size, 1,
				      it->user, it->home);
		if (it->at != NULL)
			it->at->pinned = false;
		deposit_abort(&it->d);
	}
	/* the one open message of handwork_open is another story */
	w->at = NULL;
}
