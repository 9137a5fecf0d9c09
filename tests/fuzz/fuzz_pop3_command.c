/*
 * fuzz_pop3_command.c - a POP3 command line: no crash, words are printable,
 * arguments are pieces of the line; and a message as it is sent never ends
 * early, whatever its bytes.
 * uses: cmd/mx-pop3d/command.c cmd/mx-pop3d/text.c
 */
#include "command.h"
#include "text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_line(struct span in)
{
	struct command c;
	struct span arg;
	uint32_t n;

	if (!command_parse(&c, in))
		return;
	if (c.word.n == 0 || span_has_ctl(c.word) || c.args.n > in.n)
		abort();
	while (command_arg(&c, &arg)) {
		if (arg.n == 0 || span_chr(arg, ' ') >= 0)
			abort();
		(void)command_number(arg, &n);
	}
}

/* Sent whole and in two pieces it is the same; "CRLF.CRLF" stands at the end
 * alone. */
static void
check_text(struct span in, size_t cut)
{
	struct text a, b;
	struct stream one, two;
	struct span out;

	stream_init(&one, -1, -1);
	stream_init(&two, -1, -1);
	one.out_limit = two.out_limit = SIZE_MAX;
	text_init(&a, &one);
	text_put(&a, in);
	text_end(&a);
	text_init(&b, &two);
	text_put(&b, span_sub(in, 0, cut));
	text_put(&b, span_from(in, cut));
	text_end(&b);
	out = buf_span(&one.out);
	if (!span_eq(out, buf_span(&two.out)) || a.sent != b.sent ||
	    !span_ends(out, SPAN(".\r\n")))
		abort();
	if (out.n > 3 &&
	    (span_find(span_sub(out, 0, out.n - 1), SPAN("\r\n.\r\n")) >= 0 ||
	     span_starts(out, SPAN(".\r\n"))))
		abort();
	stream_close(&one);
	stream_close(&two);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span in = span_make((const char *)bytes, n);

	check_line(in);
	check_text(in, n > 0 ? bytes[0] % (n + 1) : 0);
	return 0;
}
