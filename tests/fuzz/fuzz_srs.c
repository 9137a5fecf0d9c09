/*
 * fuzz_srs.c - addresses that come back, and what becomes of any sender.
 */
#include "srs.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct srs s = { .domain = "fwd.example",
				.max_age = 21,
				.hash_length = 4,
				.separator = '=' };
	struct span in = span_make((const char *)data, size);
	struct buf f = BUF_INIT, b = BUF_INIT;
	struct err e = ERR_INIT;

	if (s.secrets.n == 0)
		strs_add(&s.secrets, "secret");
	if (srs_reverse(&s, &b, in, 1700000000, &e) == 0)
		buf_clear(&b);
	/* what we made leads back to what it was, but for an SRS1's hash */
	if (srs_forward(&s, &f, in, 1700000000, &e) == 0 &&
	    span_chr(in, '\0') < 0 && !span_istarts(in, SPAN("SRS")) &&
	    span_chr(in, '=') < 0 &&
	    (srs_reverse(&s, &b, buf_span(&f), 1700000000, &e) != 0 ||
	     !span_eq(buf_span(&b), in)))
		abort();
	buf_free(&f);
	buf_free(&b);
	return 0;
}
