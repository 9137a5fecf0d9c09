/*
 * enqueue.h - new queue entries of this part.
 */
#ifndef MX_DELIVER_ENQUEUE_H
#define MX_DELIVER_ENQUEUE_H

#include "deliver.h"

/* As deliver_enqueue, committed, but no runner looks at it until
 * deliver_queue_settle. */
int deliver_queue_copy(struct queuefile_writer *w, struct queuefile_env *env,
		       struct span head, int fd, uint64_t at, uint64_t size,
		       struct err *e) MX_MUST_CHECK;
/* All n of them: due now, or taken back. */
void deliver_queue_settle(struct queuefile_writer *w, size_t n, bool good);

#endif
