/*
 * fuzz_wire.c - scanning whole or in two pieces is the same; what was stored,
 * encoded and scanned again is itself.
 */
#include "wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make((const char *)data, size);
	struct wire_in a, b, c;
	struct wire_out o;
	struct buf one = BUF_INIT, two = BUF_INIT, wire = BUF_INIT;
	struct buf back = BUF_INIT;
	bool end1 = false, end2 = false, end3 = false;
	size_t cut = size > 0 ? data[0] % (size + 1) : 0;

	wire_in_init(&a, true, WIRE_NORMALIZE);
	size_t n1 = wire_decode(&a, &one, in, &end1);

	wire_in_init(&b, true, WIRE_NORMALIZE);
	size_t n2 = wire_decode(&b, &two, span_sub(in, 0, cut), &end2);

	if (!end2)
		n2 += wire_decode(&b, &two, span_from(in, cut), &end2);
	if (n1 != n2 || end1 != end2 ||
	    !span_eq(buf_span(&one), buf_span(&two)))
		abort();
	wire_in_finish(&a, &one);
	wire_out_init(&o, true);
	wire_encode(&o, &wire, buf_span(&one));
	wire_finish(&o, &wire);
	wire_in_init(&c, true, WIRE_NORMALIZE);
	if (wire_decode(&c, &back, buf_span(&wire), &end3) != wire.n || !end3 ||
	    !span_starts(buf_span(&back), buf_span(&one)))
		abort();
	buf_free(&one);
	buf_free(&two);
	buf_free(&wire);
	buf_free(&back);
	return 0;
}
