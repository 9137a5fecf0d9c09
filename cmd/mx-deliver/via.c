/*
 * via.c - what an address came through on its way here.
 * Postfix local(8), "In order to stop mail forwarding loops early":
 * Delivered-To is put on mail that an alias or a .forward file sends on, and
 * mail for an address that a Delivered-To names already is bounced.
 * It names the address that the delivery began with, or with
 * frozen_delivered_to = no the last alias or .forward file (postconf(5)).
 */
#include "via.h"
#include "conf.h"
#include "mem.h"
#include "msg.h"
#include "status.h"

#include <stdlib.h>

/* Steps of local(8); what comes before them (virtual aliases, routing) is
 * cleanup(8)'s and leaves no Delivered-To. */
static bool
is_local(const struct expand_item *it)
{
	return it->stage == DO_ALIAS || it->stage == DO_FORWARD ||
	       it->stage == DO_MAILBOX;
}

/* One step further from the recipient towards the target.  An address that is
 * sent on as a message of its own (resent) begins anew: the one it was
 * delivered to before goes into that message. */
static void
follow(const struct expand_item *it, const char *self, struct target *t)
{
	if (it->resent && t->delivered != NULL) {
		struct buf low = BUF_INIT;

		for (const char *p = t->delivered; *p != '\0'; p++)
			buf_addc(&low, ascii_tolower(*p));
		strs_addspan(&t->forwarded, buf_span(&low));
		buf_free(&low);
		free(t->delivered);
		t->delivered = NULL;
	}
	if (!is_local(it))
		return;
	if (it->expanded && !conf.frozen_delivered_to) {
		free(t->delivered);
		t->delivered = NULL;
	}
	if (t->delivered == NULL)
		t->delivered = mem_strdup(it->addr);
	if (!span_ieq(span_of(it->addr), span_of(self)) &&
	    !strs_ihas(&t->via, span_of(it->addr)))
		strs_add(&t->via, it->addr);
}

void
via_trace(const struct expansion *w, const struct expand_item *it,
	  struct target *t)
{
	const struct expand_item **up;
	size_t n = 1;

	for (ssize_t at = it->parent; at >= 0; at = w->v[at].parent)
		n++;
	up = mem_alloc(n, sizeof(*up));
	up[n - 1] = it;
	for (ssize_t at = it->parent, k = (ssize_t)n - 2; at >= 0; k--) {
		up[k] = &w->v[at];
		at = w->v[at].parent;
	}
	for (size_t i = 0; i < n; i++)
		follow(up[i], t->addr, t);
	free(up);
	if (t->delivered != NULL && strcmp(t->delivered, t->addr) == 0) {
		free(t->delivered);
		t->delivered = NULL;
	}
}

void
via_fields(struct buf *b, const struct target *g)
{
	if (!strs_ihas(&conf.prepend_delivered_header, SPAN("forward")))
		return;
	for (size_t i = g->forwarded.n; i-- > 0;) {
		msg_make_field(b, "Delivered-To", span_of(g->forwarded.v[i]));
		buf_addc(b, '\n');
	}
}

bool
via_same(const struct target *a, const struct target *b)
{
	return strs_same(&a->forwarded, &b->forwarded);
}

const char *
via_loops(const struct strs *via, const struct head_watch *w)
{
	for (size_t i = 0; i < via->n; i++)
		if (head_watch_loops(w, via->v[i]))
			return via->v[i];
	return NULL;
}

int
via_err(struct err *e, const char *addr)
{
	return err_esc(e, ST_UNAVAILABLE, "5.4.6",
		       "mail forwarding loop for %s", addr);
}

/* An alias of a hundred members that loops is one report. */
static bool
said_before(const struct targets *t, size_t n, const char *addr)
{
	for (size_t i = 0; i < n; i++)
		if (t->v[i].loop &&
		    span_ieq(span_of(t->v[i].addr), span_of(addr)))
			return true;
	return false;
}

int
via_check(struct targets *t, const struct head_watch *w, struct err *e)
{
	size_t keep = 0, good = 0;
	const char *addr;

	for (size_t i = 0; i < t->n; i++) {
		struct target g = t->v[i];

		addr = via_loops(&g.via, w);
		if (addr != NULL && said_before(t, keep, addr)) {
			target_free(&g);
			continue;
		}
		if (addr != NULL) {
			char *loop = mem_strdup(addr);

			free(g.addr);
			dest_free(g.dest);
			g.addr = loop;
			g.dest = NULL;
			g.loop = true;
		}
		good += !g.loop;
		t->v[keep++] = g;
	}
	t->n = keep;
	if (good > 0 || keep == 0)
		return 0;
	return via_err(e, t->v[0].addr);
}
