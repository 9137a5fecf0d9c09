/* The match types of Sieve: "PATTERN LF VALUE" through :is, :contains,
 * :matches, :value and :regex with each comparator.
 * uses: cmd/mx-filter/sieve_[a-z]*.c cmd/mx-filter/memory.c
 */
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"
#include "sieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char script[] =
    "require [\"variables\", \"regex\", \"relational\", "
    "\"comparator-i;ascii-numeric\", \"comparator-i;unicode-casemap\"];\n"
    "if string :is \"${v}\" \"${p}\" { keep; }\n"
    "if string :contains \"${v}\" \"${p}\" { keep; }\n"
    "if string :matches \"${v}\" \"${p}\" { set \"x\" \"${1}${2}\"; }\n"
    "if string :comparator \"i;octet\" :matches \"${v}\" \"${p}\" { keep; }\n"
    "if string :comparator \"i;unicode-casemap\" :matches \"${v}\" \"${p}\" "
    "{ keep; }\n"
    "if string :value \"lt\" :comparator \"i;ascii-numeric\" \"${v}\" \"${p}\" "
    "{ keep; }\n"
    "if string :regex \"${v}\" \"${p}\" { set \"x\" \"${1}${9}\"; }\n";

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct sieve_script *s = mem_alloc(1, sizeof(*s));
	struct sieve_store store = { NULL, 0, 0 };
	struct sieve_run r = { .script = s, .store = &store, .delims = "+" };
	struct span rest = span_make((const char *)p, n), pattern;

	for (size_t i = 0; i < sieve_rows.count; i++)
		(void)sieve_conf_set(span_of(sieve_rows.rows[i].name),
				     span_of(NULL));
	s->file = mem_strdup("fuzz");
	s->max_errors = SIEVE_ERRORS;
	sieve_parse(s, span_of(script));
	sieve_check(s);
	if (s->errors > 0)
		abort();
	sieve_message_first(&r, SPAN("Subject: x\n\n"));
	(void)span_split(&rest, '\n', &pattern);
	(void)sieve_var_set(&r, SPAN("p"), pattern);
	(void)sieve_var_set(&r, SPAN("v"), rest);
	(void)sieve_execute(&r);
	sieve_run_done(&r);
	sieve_store_free(&store);
	sieve_close(s);
	return 0;
}
