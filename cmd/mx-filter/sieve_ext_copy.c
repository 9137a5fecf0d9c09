/*
 * sieve_ext_copy.c - ":copy" of fileinto and redirect.  RFC 3894.
 */
#include "sieve.h"

#include <stdio.h>

static const struct sieve_added added[] = {
	{ "fileinto", { ":copy", 0, NULL, "copy" } },
	{ "redirect", { ":copy", 0, NULL, "copy" } },
};
static const struct sieve_extension copy = { "copy", NULL, 0, added,
					     ARRAY_LEN(added) };
SIEVE_EXTENSION(copy);
