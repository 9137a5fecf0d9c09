/*
 * queue_id.c - see queue_id.h.  Postfix global/mail_queue.h has the form.
 */
#include "queue_id.h"

#include "clock.h"

#include <stdio.h>
#include <unistd.h>

/* No vowels: no words. */
static const char digits[] =
    "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

static void
encode(uint64_t v, char *out, size_t width)
{
	while (width > 0) {
		out[--width] = digits[v % 52];
		v /= 52;
	}
}

void
queue_id_make(char *out, size_t size)
{
	static int64_t last;
	int64_t now = clock_now_us();
	char text[24];

	/* Two of one process differ, whatever the clock says. */
	if (now <= last)
		now = last + 1;
	last = now;
	/* "z" parts the time from the rest, so the time holds none. */
	encode((uint64_t)now / 1000000, text, 6);
	encode((uint64_t)now % 1000000, text + 6, 4);
	text[10] = 'z';
	encode((uint64_t)getpid(), text + 11, 4);
	text[15] = '\0';
	snprintf(out, size, "%s", text);
}
