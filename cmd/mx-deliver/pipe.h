/*
 * pipe.h - transports that are commands: "pipe_NAME = user= flags= argv=" of
 * the configuration, in the terms of Postfix's pipe(8).
 */
#ifndef MX_DELIVER_PIPE_H
#define MX_DELIVER_PIPE_H

#include "deliver.h"

/* Is there a pipe_NAME for this transport? */
bool pipe_known(const char *transport);
/* One recipient of an open entry through the command, as its user. */
void pipe_deliver(const struct route *r, const struct queuefile *q, size_t i,
		  struct outcome *out);

#endif
