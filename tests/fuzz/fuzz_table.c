/*
 * fuzz_table.c - rules of pcre:, regexp: and cidr: tables, inline maps, match
 * lists, and keys: the first line is the key, the rest the table.
 */
#include "mem.h"
#include "table.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
one(const char *type, struct span body, struct span key)
{
	char *spec = mem_printf("%s:{%.*s}", type, SPAN_ARG(body));
	struct err e = ERR_INIT;
	struct table *t = table_open(spec, &e);
	struct buf v = BUF_INIT;

	if (table_lookup(t, key, &v, &e) == TABLE_TRY_AGAIN &&
	    e.text[0] == '\0')
		abort();
	buf_free(&v);
	table_close(t);
	free(spec);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span rest = span_make((const char *)p, n), key;
	struct strs words = STRS_INIT;
	struct match_list *m;

	if (n > 4096 || memchr(p, 0, n) != NULL ||
	    !span_split(&rest, '\n', &key) || rest.p == NULL)
		return 0;
	one("pcre", rest, key);
	one("regexp", rest, key);
	one("cidr", rest, key);
	one("inline", rest, key);
	/* no files, no nested tables: words of networks only */
	if (span_chr(rest, '/') != 0 && span_find(rest, SPAN(" /")) < 0 &&
	    span_find(rest, SPAN("\n/")) < 0 && span_chr(rest, ':') < 0) {
		strs_split(&words, rest, " \n");
		m = match_networks(&words, NULL);
		if (m != NULL)
			(void)!match_lookup(m, key, NULL);
		match_free(m);
		strs_free(&words);
	}
	return 0;
}
