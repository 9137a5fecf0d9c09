/*
 * fuzz_param.c - a configuration file: any bytes are parsed, expanded and
 * checked in bounded time and memory, or refused with a sentence.
 */
#include "param_int.h"
#include "site.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct config c = { .path = (char *)(uintptr_t) "fuzz" };
	struct err e = ERR_INIT;
	struct span key;
	size_t i = 0;
	void *v;

	c.lines = map_new();
	if (config_parse(&c, span_make((const char *)p, n), &e) != 0) {
		if (e.text[0] == '\0')
			abort();
		goto out;
	}
	config_use(&c, &site_params, 1);
	while (map_next(c.lines, &i, &key, &v)) {
		struct config_line *l = v;
		struct buf b = BUF_INIT;

		if (config_expand(&c, &b, span_of(l->value), &e) == 0 &&
		    b.n > (1 << 20))
			abort();
		buf_free(&b);
		(void)!param_name_check(&c, key, &e);
	}
	(void)!param_load(&c, &site_params, 1, &e);
out:
	while (i = 0, map_next(c.lines, &i, &key, &v)) {
		struct config_line *l = map_del(c.lines, key);

		free(l->value);
		free(l);
	}
	map_free(c.lines, NULL);
	free(c.sets);
	free(c.host);
	free(c.domain);
	return 0;
}
