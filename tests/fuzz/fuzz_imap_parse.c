/*
 * fuzz_imap_parse.c - the words of IMAP commands: no crash, sets ascend and
 * do not touch, an accepted string holds no NUL.
 * uses: cmd/mx-imapd/parse.c
 */
#include "parse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_set(struct span in, uint32_t star)
{
	struct parse p;
	struct set set = { NULL, 0, 0 };

	parse_init(&p, in);
	if (parse_set(&p, &set, star)) {
		for (size_t i = 0; i < set.n; i++)
			if (set.v[i].lo > set.v[i].hi || set.v[i].lo == 0 ||
			    (i > 0 && set.v[i].lo <= set.v[i - 1].hi + 1) ||
			    !set_has(&set, set.v[i].lo) ||
			    !set_has(&set, set.v[i].hi))
				abort();
		if (set_has(&set, 0))
			abort();
	}
	set_free(&set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span in = span_make((const char *)bytes, n), word;
	struct buf b = BUF_INIT;
	struct literal lit;
	struct parse p;
	uint64_t number;
	size_t at;

	check_set(in, 0);
	check_set(in, 5);
	check_set(in, UINT32_MAX);
	parse_init(&p, in);
	while (p.at < p.s.n) {
		size_t before = p.at;

		buf_clear(&b);
		if (parse_astring(&p, &b) && span_chr(buf_span(&b), '\0') >= 0)
			abort();
		(void)!parse_sp(&p);
		(void)!parse_flag(&p, &word);
		(void)!parse_tag(&p, &word);
		(void)!parse_number64(&p, &number);
		(void)!parse_list_mailbox(&p, &b);
		(void)parse_word(&p, "BODY.PEEK");
		if (p.at == before)
			p.at++;
	}
	if (parse_literal_end(in, &lit, &at) && at >= n)
		abort();
	buf_free(&b);
	return 0;
}
