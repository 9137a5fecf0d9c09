/* fuzz_proxy_header.c - any bytes; what is asked for is bounded. */
#include "proxy_header.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make((const char *)data, size);
	struct proxy_header h;
	bool bad = false;
	size_t more = proxy_header_need(in, &bad);

	if (more > PROXY_HEADER_MAX || (bad && more != 0))
		abort();
	(void)proxy_header_parse(&h, in);
	return 0;
}
