/* Text of an rcfile: its substitutions, and as a regular expression on a mail.
 * Commands are only echoed.
 * uses: cmd/mx-filter/procmail_regex.c cmd/mx-filter/procmail_expand.c
 */
#include <stdlib.h>

#include "mem.h"
#include "procmail.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What the expansion asks of others. */
const char *
pm_get(const struct pm *p, const char *name)
{
	const char *v = map_get(p->env, span_of(name));

	return v != NULL ? v : "";
}

bool
pm_isset(const struct pm *p, const char *name)
{
	return map_get(p->env, span_of(name)) != NULL;
}

int
pm_command(struct pm *p, const struct pm_cmd *c)
{
	(void)p;
	buf_adds(c->out, c->line);
	return 0;
}

void
pm_text(struct buf *b, struct span text, bool quote, bool blank)
{
	(void)quote;
	(void)blank;
	buf_addspan(b, text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const enum pm_expand how[] = { PM_VALUE, PM_WORDS, PM_DQUOTE };
	static const char text[] = "From a@b Sat\nSubject: hi there\n"
				   "To: x@y.example\n\nbody\nline\n";
	struct pm pm = { .log = -1 };
	struct buf match = BUF_INIT;
	struct err e = ERR_INIT;
	bool part;

	pm.env = map_new();
	map_put(pm.env, SPAN("A"), mem_strdup("a b  c"));
	map_put(pm.env, SPAN("B"), mem_strdup("x.*(y)"));
	strs_add(&pm.args, "one");
	for (size_t i = 0; i < 3; i++) {
		struct span rest = span_make((const char *)p, n);
		struct strs words = STRS_INIT;
		size_t before = rest.n;

		pm_expand(&pm, &rest, how[i], false, &words);
		if (rest.n > before)
			abort();
		strs_free(&words);
	}
	if (n < 400)
		(void)pm_match(span_make((const char *)p, n), true, SPAN(text),
			       50, &match, &part, &e);
	buf_free(&match);
	map_free(pm.env, free);
	strs_free(&pm.args);
	return 0;
}
