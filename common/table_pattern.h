/*
 * table_pattern.h - the line structure that pcre:, regexp: and cidr: files
 * share: PATTERN RESULT, !PATTERN, if PATTERN ... endif, continuation lines.
 * Layer: sys.  pcre_table(5), regexp_table(5), cidr_table(5).
 */
#ifndef MX_TABLE_PATTERN_H
#define MX_TABLE_PATTERN_H

#include "table.h"

enum pattern_op { PATTERN_MATCH, PATTERN_IF, PATTERN_ENDIF };

struct pattern_rule {
	enum pattern_op op;
	bool not ;
	size_t endif; /* IF: index of its ENDIF */
	int line;
	void *compiled;
	char *result;
};

struct pattern_table;
struct pattern_driver {
	/* Compiles the pattern at the beginning of *text and takes it off.
	 * NULL and a sentence on failure. */
	void *(*compile)(struct span *text, struct err *e);
	void (*release)(void *compiled);
	/* FOUND (the subject matches), NONE or TRY_AGAIN.  Substitutes into
	 * value when result is not NULL. */
	enum table_result (*match)(void *compiled, struct span key,
				   const char *result, struct buf *value,
				   struct err *e);
	/* May be NULL.  False: the rule is not about such a subject, and does
	 * not match it even where it is negated. */
	bool (*applies)(const void *compiled, struct span key);
};

/* NAME is a file, or {{rule}, {rule}} in line. */
struct pattern_table *pattern_open(const struct pattern_driver *d,
				   const char *name, struct err *e);
enum table_result pattern_lookup(struct pattern_table *t, struct span key,
				 struct buf *value, struct err *e);
void pattern_close(struct pattern_table *t);
bool pattern_changed(struct pattern_table *t);
/* For table_values. */
int pattern_values(void *table,
		   int (*fn)(void *ctx, const char *value, struct err *e),
		   void *ctx, struct err *e);
/* Replaces $1 ${1} $(1) $$ in result; group(ctx, n) gives the text of a group
 * (p NULL: no such group). */
void pattern_expand(struct buf *value, const char *result,
		    struct span (*group)(void *ctx, unsigned n), void *ctx);

#endif
