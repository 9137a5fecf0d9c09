/* A script, and where it compiles, a run over a message with parts.
 * uses: cmd/mx-filter/sieve_[a-z]*.c cmd/mx-filter/memory.c
 */
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"
#include "sieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char message[] =
    "From: \"A\" <a+b@c.d>, g: x@y;\n"
    "To: c+d@e\nDate: Tue, 1 Apr 1997 09:06:31 -0800\n"
    "Subject: =?utf-8?q?=C3=A9?= text\nMessage-ID: <i@d>\n"
    "Content-Type: multipart/mixed; boundary=b\n\n"
    "--b\n\nbody\n--b\nContent-Type: text/html; charset=utf-8\n"
    "Content-Disposition: attachment; filename=x.html\n\n<p>b</p>\n--b--\n";

/* The defaults, with small limits. */
static void
configure(void)
{
	for (size_t i = 0; i < sieve_rows.count; i++)
		(void)sieve_conf_set(span_of(sieve_rows.rows[i].name),
				     span_of(NULL));
	(void)sieve_conf_set(SPAN("sieve_max_cpu_time"), SPAN("1s"));
	(void)sieve_conf_set(SPAN("sieve_dir"), SPAN("/nonexistent"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct sieve_script *s = mem_alloc(1, sizeof(*s));
	struct sieve_store store = { NULL, 0, 0 };

	configure();
	s->file = mem_strdup("fuzz");
	s->max_errors = SIEVE_ERRORS;
	sieve_parse(s, span_make((const char *)p, n));
	if (s->errors == 0)
		sieve_check(s);
	if (s->errors == 0) {
		struct sieve_run r = { .script = s,
				       .store = &store,
				       .sender = "a@b",
				       .recipient = "c+d@e",
				       .delims = "+" };

		sieve_message_first(&r, SPAN(message));
		if (sieve_execute(&r) == 0 && r.nactions == 0)
			abort(); /* every message goes somewhere */
		sieve_run_done(&r);
		sieve_store_free(&store);
	}
	sieve_close(s);
	return 0;
}
