/*
 * clock.h - time and deadlines.
 * Layer: base.  A deadline is an absolute instant of the monotonic clock in
 * milliseconds; each read and write takes one, so that no loop can be
 * stretched a byte at a time.
 */
#ifndef MX_CLOCK_H
#define MX_CLOCK_H

#include "base.h"
#include <time.h>

typedef int64_t deadline_t;
#define DEADLINE_NEVER INT64_MAX

/* Monotonic milliseconds. */
int64_t clock_mono(void);
/* Monotonic microseconds, for log delays. */
int64_t clock_mono_us(void);
/* The instant `ms` from now; ms <= 0 is DEADLINE_NEVER. */
deadline_t clock_deadline(int64_t ms);
/* Milliseconds left for poll(2): 0 when passed, -1 for never. */
int clock_left(deadline_t d);
/* Wall clock in seconds and microseconds since 1970.  Where the environment
 * holds MX_TEST_TIME=+SECONDS (and the process is not set-uid) it is shifted:
 * a hook for tests that walk a retry life. */
time_t clock_now(void);
int64_t clock_now_us(void);

#endif
