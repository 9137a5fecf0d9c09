/*
 * clock.c - time and deadlines; see clock.h.
 * Layer: base.
 */
#include "clock.h"
#include "num.h"

#include <limits.h>
#include <stdlib.h>

int64_t
clock_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_mono(void)
{
	return clock_mono_us() / 1000;
}

deadline_t
clock_deadline(int64_t ms)
{
	return ms <= 0 ? DEADLINE_NEVER : clock_mono() + ms;
}

int
clock_left(deadline_t d)
{
	int64_t left;

	if (d == DEADLINE_NEVER)
		return -1;
	left = d - clock_mono();
	if (left <= 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

/* The test hook: read once; ignored in a set-uid process. */
static int64_t
clock_shift(void)
{
	static int64_t shift;
	static bool known;
	const char *v;

	if (!known) {
		known = true;
		v = secure_getenv("MX_TEST_TIME");
		if (v != NULL && v[0] == '+' &&
		    !num_i64(span_of(v + 1), 0, INT32_MAX, &shift))
			shift = 0;
	}
	return shift;
}

int64_t
clock_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec + clock_shift()) * 1000000 +
	       ts.tv_nsec / 1000;
}

time_t
clock_now(void)
{
	return (time_t)(clock_now_us() / 1000000);
}
