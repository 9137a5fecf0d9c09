/* A header_checks table (behind the first empty line) and the header that it is
 * asked about: the parser, each action, the edited bytes.
 * uses: cmd/mx-filter/headers_act.c cmd/mx-filter/actions.c
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "headers.h"
#include "log.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int
count(void *ctx, const void *p, size_t n)
{
	(void)p;
	*(size_t *)ctx += n;
	return 0;
}

static void
one(const char *type, struct span rules, struct span header)
{
	char *spec = mem_printf("%s:{%.*s}", type, SPAN_ARG(rules));
	struct checks c = { .hold = false };
	struct strs names = STRS_INIT;
	struct span rest = header;
	struct msg_field f;
	size_t k, out = 0;

	strs_add(&names, spec);
	tables_open(&c.tables[PLACE_HEADER], &names);
	msg_index(&c.m, header, 0);
	msg_edit_init(&c.ed, &c.m);
	while (!c.done && (k = msg_next_field(rest, &f)) != 0) {
		struct hit h = { PLACE_HEADER, &f, span_trim(f.all), f.all };

		if (tables_lookup(&c.tables[PLACE_HEADER], h.line, &c.value,
				  &c.err) == TABLE_FOUND)
			headers_obey(&c, &h);
		rest = span_from(rest, k);
	}
	if (msg_edit_emit(&c.ed, count, &out) != 0)
		abort();
	tables_close(&c.tables[PLACE_HEADER]);
	msg_edit_done(&c.ed);
	msg_done(&c.m);
	actions_done(&c.acts);
	strs_free(&c.bcc);
	strs_free(&names);
	free(c.redirect);
	free(c.filter);
	buf_free(&c.reject);
	buf_free(&c.value);
	free(spec);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span all = span_make((const char *)p, n);
	ssize_t cut = span_find(all, SPAN("\n\n"));
	static int null = -1;

	if (n > 4096 || memchr(p, 0, n) != NULL || cut < 0)
		return 0;
	if (null < 0) {
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		log_to_fd(null);
	}
	one("pcre", span_sub(all, 0, (size_t)cut),
	    span_from(all, (size_t)cut + 2));
	one("regexp", span_sub(all, 0, (size_t)cut),
	    span_from(all, (size_t)cut + 2));
	return 0;
}
