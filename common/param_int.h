/*
 * param_int.h - what the files of the configuration share; only they and
 * opt.c include it.
 * Layer: sys.
 */
#ifndef MX_PARAM_INT_H
#define MX_PARAM_INT_H

#include "buf.h"
#include "param.h"

#define CONFIG_DEFAULT "/etc/mx/mx.conf"

struct config_line {
	char *value; /* raw */
	int line;    /* 0: from the command line */
	int earlier; /* line of the value that this one replaces, or 0 */
};

struct config {
	char *path;
	struct map *lines;
	struct param_rows *sets; /* known rows: defaults for $name */
	size_t nsets;
	char *host, *domain; /* of an empty myhostname, mydomain */
};

int config_parse(struct config *c, struct span text,
		 struct err *e) MX_MUST_CHECK;
/* Makes the rows known to $name expansion. */
void config_use(struct config *c, const struct param_rows *sets, size_t n);
const struct param *config_row(const struct config *c, struct span name);
/* What myhostname and mydomain are where the file does not say. */
void config_host(struct config *c);
/* The value as written (file, command line, or the row's default); NULL. */
const char *config_written(const struct config *c, struct span name,
			   int *line_r);
/* The same, but the host's own name for an empty myhostname or mydomain. */
const char *config_raw(const struct config *c, struct span name, int *line_r);
/* Appends the expansion of raw text; at most 20 levels, 64 KB. */
int config_expand(const struct config *c, struct buf *out, struct span raw,
		  struct err *e) MX_MUST_CHECK;
/* Puts the first line of the file in place of its path where the row says so
 * (myorigin = /etc/mailname). */
int config_from_file(const struct param *row, struct buf *text,
		     struct err *e) MX_MUST_CHECK;
int param_load_one(struct config *c, const struct param *p, void *base,
		   struct err *e) MX_MUST_CHECK;
/* Is raw text good for the row?  It is expanded and stored nowhere; words_r
 * (may be NULL) gets the words of a list. */
int param_try(struct config *c, const struct param *p, const char *raw,
	      int line, struct strs *words_r, struct err *e) MX_MUST_CHECK;

/* Every name that any program of mx has, in order (made by the Makefile from
 * all rows); ends with NULL. */
extern const char *const param_names[];
/* What to do instead of a parameter of Postfix; NULL: Postfix has none. */
const char *param_postfix_advice(struct span name);
/* Is the name fine?  0, or -1 with a sentence: ST_CONFIG for an unknown one,
 * ST_OK for one that only deserves a warning. */
int param_name_check(const struct config *c, struct span name,
		     struct err *e) MX_MUST_CHECK;

#endif
