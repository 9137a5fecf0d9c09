/*
 * via.h - what an address came through on its way here: the aliases and
 * .forward files, which Delivered-To remembers so that loops over two hosts
 * end.
 */
#ifndef MX_DELIVER_VIA_H
#define MX_DELIVER_VIA_H

#include "expand_int.h"
#include "head.h"

/* Fills via, forwarded and delivered of a target that item `it` of the
 * expansion became; it may be a copy of an item, with the same parent. */
void via_trace(const struct expansion *w, const struct expand_item *it,
	       struct target *t);
/* The Delivered-To lines on top of a message that is forwarded to g, the last
 * one first; nothing where prepend_delivered_header lacks "forward". */
void via_fields(struct buf *b, const struct target *g);
/* Are both copies of the message the same bytes? */
bool via_same(const struct target *a, const struct target *b);
/* An address of the chain that a Delivered-To names already, or NULL. */
const char *via_loops(const struct strs *via, const struct head_watch *w);
/* Each target whose chain the message went through before becomes one that
 * only bounces (target.loop).  0, or -1 and e with 5.4.6: none is left. */
int via_check(struct targets *t, const struct head_watch *w,
	      struct err *e) MX_MUST_CHECK;
/* Local(8)'s word for a loop; -1. */
int via_err(struct err *e, const char *addr);

#endif
