/*
 * random.c - randomness from the kernel; see random.h.
 * Layer: base.
 */
#include "random.h"
#include "log.h"

#include <errno.h>
#include <sys/random.h>

void
random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			log_panic("the kernel gives no random bytes: %s",
				  strerror(errno));
		at += got;
		n -= (size_t)got;
	}
}

uint64_t
random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

uint32_t
random_below(uint32_t bound)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % bound, v;

	do {
		v = random_u64();
	} while (v >= limit);
	return (uint32_t)(v % bound);
}

void
random_word(struct buf *b, size_t n)
{
	static const char digits[] =
	    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	unsigned char raw[64];

	while (n > 0) {
		size_t now = n < sizeof(raw) ? n : sizeof(raw);

		random_bytes(raw, now);
		for (size_t i = 0; i < now; i++)
			buf_addc(b, digits[raw[i] % 62]);
		n -= now;
	}
}
