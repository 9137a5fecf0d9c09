/* A script, and where it compiles, a run over a message.
 * uses: cmd/mx-filter/sieve_lex.c cmd/mx-filter/sieve_parse.c
 * cmd/mx-filter/sieve_check.c cmd/mx-filter/sieve_run.c
 * cmd/mx-filter/sieve_match.c cmd/mx-filter/sieve_core.c
 * cmd/mx-filter/sieve_ext_copy.c cmd/mx-filter/sieve_ext_imap4flags.c
 * cmd/mx-filter/sieve_ext_mailbox.c cmd/mx-filter/sieve_ext_reject.c
 * cmd/mx-filter/sieve_ext_subaddress.c cmd/mx-filter/sieve_vars.c
 * cmd/mx-filter/sieve_ext_variables.c cmd/mx-filter/sieve_ext_relational.c
 */
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"
#include "sieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char message[] = "From: \"A\" <a+b@c.d>, g: x@y;\n"
			      "Subject: =?utf-8?q?=C3=A9?= text\n\nbody\n";

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct sieve_script *s = mem_alloc(1, sizeof(*s));
	struct msg m;

	s->file = mem_strdup("fuzz");
	s->max_errors = SIEVE_ERRORS;
	sieve_parse(s, span_make((const char *)p, n));
	sieve_check(s);
	msg_index(&m, SPAN(message), 0);
	if (s->errors == 0) {
		struct sieve_run r = { .script = s,
				       .m = &m,
				       .size = 100,
				       .sender = "a@b",
				       .recipient = "c+d@e",
				       .delims = "+" };

		if (sieve_execute(&r) == 0 && r.nactions == 0)
			abort(); /* every message goes somewhere */
		sieve_run_done(&r);
	}
	msg_done(&m);
	sieve_close(s);
	return 0;
}
