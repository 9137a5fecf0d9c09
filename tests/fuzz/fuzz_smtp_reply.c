/*
 * fuzz_smtp_reply.c - a reply line from a hostile server.
 */
#include "smtp_client.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = span_make((const char *)data, size), text;
	char esc[12];
	bool more;
	int code;

	if (!smtp_reply_line(line, &code, &more, esc, &text))
		return 0;
	if (code < 200 || code > 599 || strlen(esc) >= sizeof(esc) ||
	    text.n > size)
		abort();
	return 0;
}
