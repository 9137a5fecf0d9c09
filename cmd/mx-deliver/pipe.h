/*
 * pipe.h - transports that are commands: "pipe_NAME = user= flags= argv=" of
 * the configuration, in the terms of Postfix's pipe(8).
 */
#ifndef MX_DELIVER_PIPE_H
#define MX_DELIVER_PIPE_H

#include "deliver.h"

/* Is there a pipe_NAME for this transport? */
bool pipe_known(const char *transport);
/* Is it a call for each recipient, whatever *_destination_recipient_limit is?
 * Fields that name the recipient (flags D and O) are of one only. */
bool pipe_single(const char *transport);
/* n recipients of an open entry through one call of the command, as its user;
 * the outcome is that of all of them. */
void pipe_deliver(const struct route *r, const struct queuefile *q,
		  const size_t *idx, size_t n, struct outcome *out);

#endif
