/*
 * sieve_ext_subaddress.c - ":user" and ":detail".  RFC 5233.
 */
#include "sieve.h"

#include <stdio.h>

static const struct sieve_added added[] = {
	{ "*part", { ":user", 0, "address part", "subaddress" } },
	{ "*part", { ":detail", 0, "address part", "subaddress" } },
};
static const struct sieve_extension subaddress = { "subaddress", NULL, 0, added,
						   ARRAY_LEN(added) };
SIEVE_EXTENSION(subaddress);
