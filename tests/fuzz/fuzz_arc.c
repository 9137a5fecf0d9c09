/*
 * fuzz_arc.c - ARC: the fields of a message put into sets, and what each seal
 * covers, whatever stands in them.
 */
#include "arc.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf out = BUF_INIT;
	struct msg m;
	struct arc a;

	msg_index(&m, span_make((const char *)p, n), 0);
	for (size_t i = 0; i < m.n; i++) {
		(void)arc_instance(&m.v[i]);
		(void)arc_cv_word(arc_seal_cv(&m.v[i]));
	}
	arc_find(&a, &m);
	for (int i = 1; i <= a.n && !a.broken; i++) {
		arc_seal_data(&out, &a, i, false);
		arc_seal_data(&out, &a, i, true);
		buf_clear(&out);
	}
	msg_done(&m);
	buf_free(&out);
	return 0;
}
