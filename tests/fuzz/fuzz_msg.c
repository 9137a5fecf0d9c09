/* The index covers the input; an edit that is taken back changes nothing. */
#include <stdlib.h>

#include "date.h"
#include "encword.h"
#include "escape.h"
#include "msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int
add(void *ctx, const void *p, size_t n)
{
	buf_add(ctx, p, n);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span s = span_make((const char *)p, n);
	struct buf out = BUF_INIT, text = BUF_INIT;
	struct msg_edit ed;
	struct msg m;
	struct date d;
	size_t i;

	msg_index(&m, s, 0);
	msg_edit_init(&ed, &m);
	for (i = 0; i < m.n && i < 3; i++)
		msg_edit_replace(&ed, &m.v[i], s);
	msg_edit_prepend(&ed, s);
	(void)msg_edit_emit(&ed, add, &out);
	msg_edit_done(&ed);
	buf_clear(&out);
	msg_edit_init(&ed, &m);
	(void)msg_edit_emit(&ed, add, &out);
	if (!span_eq(buf_span(&out), s))
		abort();
	msg_edit_done(&ed);
	msg_done(&m);
	buf_clear(&out);
	msg_make_field(&out, "X", s);
	encword_decode(&text, s);
	encword_decode_ext(&text, s);
	if (!utf8_valid(buf_span(&text)))
		abort();
	(void)date_parse(s, &d);
	(void)date_parse_imap(s, &d);
	buf_free(&text);
	buf_free(&out);
	return 0;
}
