/*
 * fuzz_failure.c - the header of a stranger's message, redacted: no line of it
 * ends the part of the mail that it stands in.
 * uses: cmd/mx-report/failure_mail.c
 */
#include "failure.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct report_params params;

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf out = BUF_INIT;
	struct span rest, line;

	failure_redact_header(&out, span_make((const char *)p, n), SPAN("key"));
	rest = buf_span(&out);
	while (span_split(&rest, '\n', &line))
		if (line.n > 1000 || span_starts(line, SPAN("--=failure")))
			abort();
	buf_clear(&out);
	failure_redact(&out, span_make((const char *)p, n), SPAN("key"));
	buf_free(&out);
	return 0;
}
