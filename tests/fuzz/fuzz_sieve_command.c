/*
 * fuzz_sieve_command.c - ManageSieve commands: no crash, arguments lie in the
 * command's text, an accepted name of a script cannot leave its folder.
 * uses: cmd/mx-sieved/command.c
 */
#include "command.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(const struct command *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->args[i].at + c->args[i].n > c->text.n)
			abort();
		(void)command_span(c, i);
	}
	(void)command_shape(c, "s?");
	(void)command_shape(c, "sn");
	(void)command_is(c, "PUTSCRIPT");
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span rest = span_make((const char *)bytes, n), line, name = rest;
	struct command c = { .n = 0 };

	if (command_name_ok(name) &&
	    (name.n == 0 || name.n > 249 || name.p[0] == '.' ||
	     span_chr(name, '/') >= 0 || span_has_ctl(name)))
		abort();
	while (span_split(&rest, '\n', &line)) {
		enum command_state state = command_line(&c, line);

		if (state == COMMAND_LITERAL) {
			size_t want =
			    c.literal < rest.n ? (size_t)c.literal : rest.n;

			command_literal(&c, span_sub(rest, 0, want));
			check(&c);
			rest = span_from(rest, want);
			if (rest.n == 0)
				break;
			continue;
		}
		check(&c);
		command_clear(&c);
	}
	command_clear(&c);
	buf_free(&c.text);
	return 0;
}
