/* Parts lie inside their parents, numbers are found again. */
#include <stdlib.h>

#include "mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span s = span_make((const char *)p, n);
	struct buf b = BUF_INIT;
	struct mime_value mv;
	struct mime m;
	size_t i;

	mime_value_parse(&mv, s);
	for (i = 0; i < mv.n; i++)
		mime_param_text(&b, &mv.v[i]);
	mime_value_free(&mv);
	mime_index(&m, s);
	for (i = 0; i < m.n; i++) {
		struct mime_part *q = &m.v[i];

		if (q->body.p < s.p || q->body.p + q->body.n > s.p + s.n ||
		    q->header_full.p + q->header_full.n > s.p + s.n)
			abort();
		if (i && q->parent >= i)
			abort();
		buf_clear(&b);
		mime_number(&b, &m, i);
		if (q->kind == MIME_LEAF && mime_find(&m, buf_span(&b)) != i)
			abort();
		mime_text(&b, q, 1000);
	}
	mime_done(&m);
	buf_free(&b);
	return 0;
}
