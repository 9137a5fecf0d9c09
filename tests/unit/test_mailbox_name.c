/* Unit tests of common/mailbox_name.c. */
#include "mailbox_name.h"
#include "unit.h"

static const struct {
	const char *utf8, *disk; /* disk NULL: refused */
} cases[] = {
	{ "Lists", ".Lists" },
	{ "a.b.c", ".a.b.c" },
	{ "Entw\303\274rfe", ".Entw&APw-rfe" },
	{ "\345\217\260\345\214\227.\346\227\245\346\234\254\350\252\236",
	  ".&U,BTFw-.&ZeVnLIqe-" },
	{ "R&D", ".R&-D" },
	{ "\360\237\223\247", ".&2D3c5w-" },
	{ "a b", ".a b" },
	{ "", NULL },
	{ ".", NULL },
	{ "a..b", NULL },
	{ ".a", NULL },
	{ "a.", NULL },
	{ "../x", NULL },
	{ "a/b", NULL },
	{ "a\nb", NULL },
	{ "a\177", NULL },
	{ "\377", NULL },
	{ "\300\257", NULL },
};

static const char *const bad_mutf7[] = { "&",     "&AP",      "&AGE-",
					 "&2D0-", "\303\274", "a\nb",
					 "&!-",   "&3Oc-",    "&APx-" };

int
main(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT, back = BUF_INIT;
		bool ok = mailbox_name_to_disk(&b, span_of(cases[i].utf8));
		CHECK(ok == (cases[i].disk != NULL), "%zu ok", i);
		if (ok) {
			CHECK(strcmp(buf_str(&b), cases[i].disk) == 0,
			      "%zu is %s", i, buf_str(&b));
			CHECK(mailbox_name_decode(&back,
						  span_from(buf_span(&b), 1)) &&
				  strcmp(buf_str(&back), cases[i].utf8) == 0,
			      "%zu back", i);
		}
		buf_free(&b);
		buf_free(&back);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_mutf7); i++) {
		struct buf b = BUF_INIT;
		CHECK(!mailbox_name_decode(&b, span_of(bad_mutf7[i])),
		      "bad %zu", i);
		buf_free(&b);
	}
	return unit_done();
}
