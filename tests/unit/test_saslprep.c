/*
 * test_saslprep.c - RFC 4013 3 and the tables of RFC 3454.
 */
#include "saslprep.h"
#include "unit.h"

#include <string.h>

static const struct {
	const char *in, *out; /* NULL: refused */
} cases[] = {
	/* RFC 4013 3 */
	{ "I\xc2\xadX", "IX" },
	{ "user", "user" },
	{ "USER", "USER" },
	{ "\xc2\xaa", "a" },
	{ "\xe2\x85\xa8", "IX" },
	{ "\x07", NULL },
	{ "\xd8\xa7\x31", NULL },
	/* spaces, nothing, normal form */
	{ "a b", "a b" },
	{ "a\xc2\xa0"
	  "b\xe3\x80\x80",
	  "a b " },
	{ "\xef\xbb\xbf", "" },
	{ "", "" },
	{ "e\xcc\x81", "\xc3\xa9" },
	/* directions */
	{ "\xd8\xa7\xd8\xa8", "\xd8\xa7\xd8\xa8" },
	{ "\xd8\xa7"
	  "a\xd8\xa8",
	  NULL },
	{ "\xd8\xa7"
	  "1\xd8\xa8",
	  "\xd8\xa7"
	  "1\xd8\xa8" },
	/* not UTF-8, not allowed */
	{ "\xe9", NULL },
	{ "a\xc0\x80", NULL },
	{ "\xed\xa0\x80", NULL },
	{ "\x7f", NULL },
	{ "\xc2\x85", NULL },
	{ "\xe2\x80\x8e", NULL },
	{ "\xee\x80\x80", NULL },
	{ "\xef\xbf\xbd", NULL },
	{ "\xf3\xa0\x80\x81", NULL },
	{ "\xf0\x9f\xbf\xbf", NULL },
};

int
main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = BUF_INIT;
		int r = saslprep(&b, span_of(cases[i].in));

		if (cases[i].out == NULL)
			CHECK(r != 0 && b.n == 0, "case %zu is refused", i);
		else
			CHECK(r == 0 && span_is(buf_span(&b), cases[i].out),
			      "case %zu", i);
		buf_free(&b);
	}
	return unit_done();
}
