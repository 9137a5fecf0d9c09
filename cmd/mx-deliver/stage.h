/*
 * stage.h - our own filters as kept stages (DESIGN 3.3): each is started once
 * and takes message after message.  They belong to the process that asks, so
 * they are kept per uid.
 */
#ifndef MX_DELIVER_STAGE_H
#define MX_DELIVER_STAGE_H

#include "serve.h"

/* Is this one of our filters?  A foreign command runs once a message. */
bool stage_kept(const struct strs *argv);
/*
 * One message, from where fd stands, through the kept filter, which is started
 * when it does not run.  As serve_ask; -1: it is gone, ST_TEMPFAIL.
 */
int stage_ask(const struct strs *argv, const struct strs *env, int fd,
	      int fd_out, struct buf *out, size_t out_max,
	      struct serve_answer *a, deadline_t d,
	      struct err *e) MX_MUST_CHECK;
/* Ends those that nobody asked for a minute; all: every one. */
void stage_idle(bool all);

#endif
