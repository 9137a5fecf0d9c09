/*
 * sieve_ext_subaddress.c - ":user" and ":detail".  RFC 5233.
 */
#include "sieve.h"

#include <stdio.h>

static const struct sieve_added added[] = {
	{ "*part", { ":user", 0, "address part", "subaddress" } },
	{ "*part", { ":detail", 0, "address part", "subaddress" } },
};
static const struct sieve_extension subaddress = {
	.name = "subaddress",
	.added = added,
	.nadded = ARRAY_LEN(added),
};
SIEVE_EXTENSION(subaddress);
