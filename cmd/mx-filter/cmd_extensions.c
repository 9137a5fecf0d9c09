/*
 * cmd_extensions.c - the command extensions: what a script may require, for
 * mx-sieved's capabilities.  RFC 5804 1.7.
 */
#include "filter.h"
#include "mem.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
cmd_extensions(int argc, char **argv)
{
	const struct sieve_extension *x;
	struct strs names = STRS_INIT;
	size_t i = 0;

	(void)argv;
	if (argc > 0)
		return prog_usage("extensions takes no argument");
	while (sieve_each_extension(&i, &x)) {
		if (x->name != NULL && !x->testing &&
		    (x->available == NULL || x->available()))
			strs_add(&names, x->name);
		for (size_t k = 0; k < x->ncomparators; k++) {
			const char *c = x->comparators[k].name;

			/* RFC 5228 2.7.3: these two need no require */
			if (strcmp(c, "i;octet") != 0 &&
			    strcmp(c, "i;ascii-casemap") != 0)
				strs_addf(&names, "comparator-%s", c);
		}
	}
	qsort(names.v, names.n, sizeof(*names.v), by_name);
	for (i = 0; i < names.n; i++)
		puts(names.v[i]);
	strs_free(&names);
	return fflush(stdout) == 0 ? ST_OK : ST_IOERR;
}
