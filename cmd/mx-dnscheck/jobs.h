/*
 * jobs.h - questions asked all at once: each in a child of its own, its answer
 * text over a pipe.
 */
#ifndef MX_JOBS_H
#define MX_JOBS_H

#include "buf.h"
#include "clock.h"

struct job {
	void (*run)(struct buf *out, void *arg); /* in the child */
	void *arg;
	struct buf out; /* its answer */
	bool done;      /* false: it was cut off, or died */
};
/* Runs them, at most 64 at a time; those not ended at the deadline are
 * killed. */
void jobs_run(struct job *v, size_t n, deadline_t d);

#endif
