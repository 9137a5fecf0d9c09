/*
 * proc.h - children: spawn, wait with a deadline, environment, pipelines.
 * Layer: sys.  No shell unless the user's own command line asks for one.
 */
#ifndef MX_PROC_H
#define MX_PROC_H

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "strs.h"

struct proc_spec {
	char *const *argv; /* argv[0] found through PATH */
	char *const *envp; /* NULL: ours */
	int fd[4];         /* child's 0, 1, 2, 3; -1: /dev/null (3: closed) */
	const char *dir;   /* working directory or NULL */
	bool new_group; /* own process group, so that it can be killed whole */
	int fd4;        /* child's 4; 0: closed */
};

/* Starts it; all other descriptors are closed in the child; signals reset.
 * Returns the pid, or -1 with a sentence (also when exec itself failed). */
pid_t proc_spawn(const struct proc_spec *ps, struct err *e) MX_MUST_CHECK;
/* Waits; on timeout kills the child (group) and reports ST_TEMPFAIL.  Returns
 * its verdict as status_from_wait, and the raw status in *w_r if not NULL. */
int proc_wait(pid_t pid, deadline_t d, int *w_r);
/* Words of a command line: blanks separate, "..." '...' and \ quote; no
 * expansion, no shell. */
int proc_words(struct strs *argv, struct span line,
	       struct err *e) MX_MUST_CHECK;

/* The program of that name beside ours, or the name itself (for PATH).  Caller
 * frees. */
char *proc_sibling(const char *name);

/* One stage of a filter pipe (DESIGN 3.3). */
struct proc_stage {
	struct strs argv;
	int status;         /* out: ST_*, as status_from_wait */
	struct buf errs;    /* out: last bytes of stderr, at most 4 KB */
	struct buf actions; /* out: what it wrote to fd 3, at most 1 MB */
	bool skipped_input; /* out: it ended without reading all */
};
/*
 * Runs stages at once over real pipes, fd_in -> s[0] | ... | s[n-1] -> fd_out,
 * each with stderr and fd 3 (MX_ACTIONS=3) collected.  SIGPIPE deaths of a
 * stage whose successor failed are not counted.  Returns the index of the
 * first failing stage from the left, or -1 when all ended with 0.
 * On the deadline all are killed and those still running get ST_TEMPFAIL.
 */
int proc_pipe(struct proc_stage *s, size_t n, int fd_in, int fd_out,
	      char *const *envp, deadline_t d);
void proc_stage_free(struct proc_stage *s);

#endif
