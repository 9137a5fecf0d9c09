/*
 * serve.h - kept filters: one process that takes message after message over
 * one stream, because an exec costs more than a delivery (DESIGN 3.3).
 * Layer: sys.  The protocol is mx-serve(5); both ends are here.  The filter
 * itself does not notice: for each message it finds the bytes on fd 0, writes
 * fd 1, 2 and 3, and finds the envelope in its environment, as over pipes.
 */
#ifndef MX_SERVE_H
#define MX_SERVE_H

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "strs.h"

#include <sys/types.h>

/* The filter's side: runs `run` a message until the stream ends.  Returns an
 * exit status: 0 at the end, 65 for a malformed request. */
int serve_loop(int (*run)(int argc, char **argv), int argc, char **argv);

/* The asking side: a filter that is kept. */
struct serve {
	pid_t pid; /* 0: none runs */
	int sock;
	int errs; /* what it says on stderr outside of a message */
};
#define SERVE_INIT                                                             \
	{                                                                      \
		0, -1, -1                                                      \
	}

struct serve_answer {
	int status; /* ST_* */
	struct buf actions, errs;
};

/*
 * Starts argv[0] with --serve as its first argument and waits for its
 * greeting.  -1: e says why, with what it wrote on stderr.
 */
int serve_start(struct serve *s, const struct strs *argv,
		const struct strs *env, deadline_t d,
		struct err *e) MX_MUST_CHECK;
/* Does it still wait for a message? */
bool serve_alive(const struct serve *s);
/*
 * One message: the rest of fd, with `env` as its environment; what the filter
 * writes goes to fd_out, or is appended to *out, at most out_max bytes, when
 * fd_out is -1.  -1: it died, hung or lied: the process is gone, and e says
 * what happened (ST_TEMPFAIL).
 */
int serve_ask(struct serve *s, const struct strs *env, int fd, int fd_out,
	      struct buf *out, size_t out_max, struct serve_answer *a,
	      deadline_t d, struct err *e) MX_MUST_CHECK;
void serve_stop(struct serve *s);
void serve_answer_free(struct serve_answer *a);

#endif
