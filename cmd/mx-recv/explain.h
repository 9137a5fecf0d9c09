/*
 * explain.h - mx-recv --explain: a session is rehearsed, and each rule, look-up
 * and answer is told; nothing is delivered, counted or logged.
 */
#ifndef RECV_EXPLAIN_H
#define RECV_EXPLAIN_H

#include "conf.h"

/* Is this a rehearsal?  Set before anything is forked. */
extern bool explain_on;
/* May policy servers and milters be asked (ask=no: not)? */
extern bool explain_ask;
/* One thing that happened; nothing when this is no rehearsal. */
void explain(const char *kind, const char *fmt, ...) MX_PRINTF(2, 3);
/*
 * The rehearsal: operands client=ADDR name=NAME helo= from= rcpt=... login=
 * tls=yes; the message, if any, on stdin.  run(ctx) becomes the server on
 * descriptors 0 and 1.  Returns 0 when all was accepted, 1 refused, 75 later.
 */
int explain_main(int argc, char **argv, bool lmtp, int (*run)(void *ctx),
		 void *ctx);

#endif
