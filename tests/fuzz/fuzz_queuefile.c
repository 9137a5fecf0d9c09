/*
 * fuzz_queuefile.c - the envelope of a queue entry: whatever is accepted has
 * no control byte in a value.
 */
#include "queuefile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct queuefile_env env;
	struct err e = ERR_INIT;
	size_t used;
	uint64_t bytes;

	if (queuefile_parse(&env, span_make((const char *)data, size), &used,
			    &bytes, &e) != 0)
		return 0;
	for (size_t i = 0; i < env.nrcpt; i++)
		if (span_has_ctl(span_of(env.rcpt[i].addr)))
			abort();
	queuefile_env_free(&env);
	return 0;
}
