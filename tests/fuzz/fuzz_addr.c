/* Addresses of envelopes and header fields; what was printed parses again to
 * the same. */
#include <stdlib.h>

#include "addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span s = span_make((const char *)p, n);
	struct addr_list l;
	struct addr a, b;
	struct err e = ERR_INIT;
	size_t used = 0;

	addr_list_parse(&l, s, 0);
	addr_list_free(&l);
	if (addr_parse_path(&a, s, n % 2, n % 3 > 0, true, &used, &e) == 0) {
		struct buf t = BUF_INIT;

		if (used > n)
			abort();
		addr_print(&t, &a);
		if (a.domain.n && a.local.n) {
			if (addr_parse(&b, buf_span(&t), &e) != 0 ||
			    !span_eq(a.local, b.local) ||
			    !span_eq(a.domain, b.domain))
				abort();
			addr_free(&b);
		}
		addr_free(&a);
		buf_free(&t);
	}
	return 0;
}
