/*
 * fuzz_mailbox_name.c - a name that is taken is canonical, stays the same when
 * parsed again, and leaves no folder.
 */
#include "mailbox_name.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span in = span_make((const char *)p, n);

	for (int utf8 = 0; utf8 < 2; utf8++) {
		struct buf a = BUF_INIT, b = BUF_INIT, dir = BUF_INIT;

		if (mailbox_name_parse(&a, in, utf8 != 0, NULL) == 0) {
			if (mailbox_name_parse(&b, buf_span(&a), false, NULL) !=
				0 ||
			    !span_eq(buf_span(&a), buf_span(&b)))
				abort();
			mailbox_name_folder(&dir, buf_span(&a));
			if (dir.n > 255 || span_has_ctl(buf_span(&dir)) ||
			    span_chr(buf_span(&dir), '/') >= 0 ||
			    span_find(buf_span(&dir), SPAN("..")) >= 0)
				abort();
		}
		buf_free(&a);
		buf_free(&b);
		buf_free(&dir);
	}
	return 0;
}
