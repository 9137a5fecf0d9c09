/*
 * fuzz_mbox_read.c - the reader of mboxes: messages lie one behind the other
 * within the file, and none grows.
 */
#include "mbox_read.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span in = span_make((const char *)p, n);
	struct buf b = BUF_INIT;
	struct mbox_part m;
	size_t at = 0, was = 0;

	(void)!mbox_begins(in);
	while (mbox_next(in, &at, &m)) {
		maildir_flags flags;

		if (at <= was || at > n || m.raw.p < in.p ||
		    m.raw.p + m.raw.n > in.p + at)
			abort();
		was = at;
		buf_clear(&b);
		(void)!mbox_message(&b, m.raw, &flags);
		if (b.n > m.raw.n)
			abort();
	}
	buf_free(&b);
	return 0;
}
