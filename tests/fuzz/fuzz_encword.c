/*
 * fuzz_encword.c - header text of any charset: what comes out is UTF-8 without
 * controls, and what was encoded is decoded to itself.
 */
#include "encword.h"

#include <stdlib.h>
#include <unistr.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
is_text(const struct buf *b)
{
	if (b->n > 0 && u8_check((const uint8_t *)b->p, b->n) != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span s = span_make((const char *)p, n);
	struct buf text = BUF_INIT, wire = BUF_INIT, again = BUF_INIT;

	encword_decode(&text, s);
	is_text(&text);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\n' || text.p[i] == '\r' || text.p[i] == '\0')
			abort();
	encword_encode(&wire, buf_span(&text));
	for (size_t i = 0; i < wire.n; i++)
		if ((unsigned char)wire.p[i] >= 0x80)
			abort();
	encword_decode(&again, buf_span(&wire));
	is_text(&again);
	buf_clear(&again);
	encword_decode_ext(&again, s);
	is_text(&again);
	buf_clear(&again);
	encword_utf8(&again, s);
	is_text(&again);
	buf_free(&text);
	buf_free(&wire);
	buf_free(&again);
	return 0;
}
