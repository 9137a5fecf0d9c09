/*
 * sieve_ext_copy.c - ":copy" of fileinto and redirect.  RFC 3894.
 */
#include "sieve.h"

#include <stdio.h>

static const struct sieve_added added[] = {
	{ "fileinto", { ":copy", 0, NULL, "copy" } },
	{ "redirect", { ":copy", 0, NULL, "copy" } },
};
static const struct sieve_extension copy = {
	.name = "copy",
	.added = added,
	.nadded = ARRAY_LEN(added),
};
SIEVE_EXTENSION(copy);
