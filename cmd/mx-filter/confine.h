/*
 * confine.h - the sandbox of a run: what comes from outside is read by a
 * process that can start no program and reach no network.
 */
#ifndef MX_CONFINE_H
#define MX_CONFINE_H

#include "err.h"
#include "strs.h"

/* For sieve and check: where the administrator allows no program. */
int confine_sieve(struct err *e) MX_MUST_CHECK;
/* For a filter whose tables are `specs`, lists of them, NULL at the end; with
 * `server` it may connect (exec: starts its own, without a sandbox). */
int confine_filter(const struct strs *const *specs, const char *server,
		   struct err *e) MX_MUST_CHECK;

#endif
