/*
 * fuzz_dkim.c - DKIM: tag lists, key records, and canonicalisation, which must
 * not depend on how the bytes arrive.
 */
#include "dkim.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
body(struct span s, enum dkim_canon canon, size_t step, unsigned char hash[32])
{
	struct dkim_body b;

	dkim_body_init(&b, canon, -1);
	while (s.n > 0) {
		struct span part = span_sub(s, 0, step);

		dkim_body_add(&b, part);
		s = span_from(s, part.n);
	}
	dkim_body_done(&b, hash);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span s = span_make((const char *)p, n);
	unsigned char whole[32], pieces[32];
	struct dkim_tags tags;
	struct dkim_record rec;
	struct buf out = BUF_INIT;
	struct msg m;
	const char *why;

	if (dkim_tags_parse(&tags, s, &why))
		(void)dkim_tag(&tags, "b");
	if (dkim_record_parse(&rec, s, &why))
		dkim_record_free(&rec);
	for (int c = DKIM_SIMPLE; c <= DKIM_RELAXED; c++) {
		body(s, (enum dkim_canon)c, n + 1, whole);
		body(s, (enum dkim_canon)c, 1 + n % 3, pieces);
		if (memcmp(whole, pieces, sizeof(whole)) != 0)
			abort();
	}
	msg_index(&m, s, 0);
	for (size_t i = 0; i < m.n; i++)
		dkim_data(&out, &m, SPAN("from:from:subject:x"), DKIM_RELAXED,
			  &m.v[i]);
	msg_done(&m);
	buf_free(&out);
	return 0;
}
