/*
 * param_check.c - --parameters, --check-config and --set.
 * Layer: sys.
 */
#include "io.h"
#include "mem.h"
#include "param_int.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

void
param_print(struct config *c, const struct param_rows *sets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sets[i].count; k++) {
			const struct param *p = &sets[i].rows[k];
			int line;

			printf("%s = %s\n", p->name,
			       config_raw(c, span_of(p->name), &line));
		}
	}
}

int
param_check(struct config *c, const struct param_rows *sets, size_t n)
{
	struct err e = ERR_INIT;
	int status = ST_OK;

	config_use(c, sets, n);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sets[i].count; k++) {
			if (param_load_one(c, &sets[i].rows[k], sets[i].base,
					   &e) == 0)
				continue;
			fprintf(stderr, "%s\n", e.text);
			status = ST_CONFIG;
		}
	}
	return status;
}

int
param_set(const char *path, const char *assignment,
	  const struct param_rows *sets, size_t n, struct err *e)
{
	(void)sets;
	(void)n;
	return err_set(e, ST_USAGE, "%s: cannot set %s yet",
		       path ? path : "mx.conf", assignment);
}
