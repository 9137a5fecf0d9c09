/*
 * param_int.h - what the files of the configuration share; only they and
 * opt.c include it.
 * Layer: sys.
 */
#ifndef MX_PARAM_INT_H
#define MX_PARAM_INT_H

#include "buf.h"
#include "param.h"

struct config_line {
	char *value; /* raw */
	int line;    /* 0: from the command line */
};

struct config {
	char *path;
	struct map *lines;
	struct param_rows *sets; /* known rows: defaults for $name */
	size_t nsets;
};

int config_parse(struct config *c, struct span text,
		 struct err *e) MX_MUST_CHECK;
/* Makes the rows known to $name expansion. */
void config_use(struct config *c, const struct param_rows *sets, size_t n);
const struct param *config_row(const struct config *c, struct span name);
/* The unexpanded value (file, command line, or the row's default); NULL. */
const char *config_raw(const struct config *c, struct span name, int *line_r);
/* Appends the expansion of raw text; at most 20 levels, 64 KB. */
int config_expand(const struct config *c, struct buf *out, struct span raw,
		  struct err *e) MX_MUST_CHECK;
int param_load_one(struct config *c, const struct param *p, void *base,
		   struct err *e) MX_MUST_CHECK;

#endif
