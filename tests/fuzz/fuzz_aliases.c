/*
 * fuzz_aliases.c - aliases(5) text, right-hand sides, action lines of Sieve.
 * uses: cmd/mx-deliver/aliases.c
 */
#include "aliases.h"
#include "log.h"

#include <fcntl.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span s = span_make((const char *)data, size);
	struct alias_list l = { NULL, 0, 0 };
	static int null = -1;

	if (null < 0)
		log_to_fd(null = open("/dev/null", O_WRONLY | O_CLOEXEC));
	struct map *m = alias_file_parse(s, "fuzz");
	size_t i = 0;
	struct span key;
	void *v;
	while (map_next(m, &i, &key, &v))
		if (key.n == 0 || *(char *)v == '\0')
			abort();
	map_free(m, free);
	for (int file = 0; file < 2; file++) {
		(void)!alias_parse(&l, s, file, 1000, NULL);
		for (size_t k = 0; k < l.n; k++)
			if (l.v[k].text[0] == '\0' ||
			    span_has_ctl(span_of(l.v[k].text)))
				abort();
		alias_list_free(&l);
	}
	return 0;
}
