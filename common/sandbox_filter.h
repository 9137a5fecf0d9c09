/*
 * sandbox_filter.h - a list of system calls as a seccomp filter.
 * Layer: sys.  seccomp(2); made here and not by libseccomp, whose making of it
 * costs a millisecond at each start of a filter.
 */
#ifndef MX_SANDBOX_FILTER_H
#define MX_SANDBOX_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#define SANDBOX_FILTER_CALLS 512
/* What sandbox_filter_build needs at most. */
#define SANDBOX_FILTER_MAX (6 * SANDBOX_FILTER_CALLS + 32)

/*
 * Allows the calls (numbers of this machine; negative ones are none of it,
 * and passed over; they are sorted in place), all others fail with EPERM.
 * `probe` is a call that is allowed where its second argument is 0, or -1.
 * Another machine's way of calling ends the process.  Returns the number of
 * instructions, 0: this machine is not known.
 */
size_t sandbox_filter_build(struct sock_filter *out, int *calls, size_t n,
			    int probe);
/* Builds and loads it; no_new_privs is set already.  -1: errno. */
int sandbox_filter_load(int *calls, size_t n, int probe);

#endif
