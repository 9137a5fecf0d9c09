/*
 * param.h - parameters as rows: one table a program, from which parser,
 * --parameters, --check-config and the manual page come (DESIGN 3.7).
 * Layer: sys.  The file is Postfix's main.cf syntax; "$name", "${name}",
 * "${name?yes:no}", "${name:no}", "${name?{yes}:{no}}" are expanded lazily.
 */
#ifndef MX_PARAM_H
#define MX_PARAM_H

#include "err.h"
#include "strs.h"

enum param_type {
	PARAM_STR,    /* char *: expanded text, never NULL */
	PARAM_RAWSTR, /* char *: not expanded (holds $ of its own) */
	PARAM_LIST,   /* struct strs: words at commas and blanks, { } grouped */
	PARAM_BOOL,   /* bool */
	PARAM_INT,    /* int64_t, min..max */
	PARAM_SIZE,   /* int64_t bytes */
	PARAM_TIME,   /* int64_t milliseconds; bare numbers are in `unit` */
	PARAM_CHOICE  /* int: index into words "a|b|c" */
};

struct param {
	const char *name;
	enum param_type type;
	size_t offset;       /* into the program's struct */
	const char *def;     /* default, as text, may hold $name */
	int64_t min, max;    /* both 0: no bound */
	const char *words;   /* CHOICE: "none|may|encrypt"; TIME: unit "s";
				STR: "/file": a path stands for the file's
				first line */
	const char *meaning; /* one line */
};

#ifdef MX_PARAM_NAMES
/* The Makefile asks the preprocessor which names there are (param_names). */
#define PARAM_ROW(STRUCT, TYPE, MEMBER, NAME, ...) @param NAME
#else
/* A row; the compiler checks that MEMBER has the C type of TYPE. */
#define PARAM_ROW(STRUCT, TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)   \
	{                                                                      \
		NAME, PARAM_##TYPE,                                            \
		    offsetof(STRUCT, MEMBER) +                                 \
			0 * sizeof(char[__builtin_types_compatible_p(          \
					    __typeof__(((STRUCT *)0)->MEMBER), \
					    PARAM_C_##TYPE)                    \
					    ? 1                                \
					    : -1]),                            \
		    DEF, MIN, MAX, WORDS, MEANING                              \
	}
#endif
#define PARAM_C_STR char *
#define PARAM_C_RAWSTR char *
#define PARAM_C_LIST struct strs
#define PARAM_C_BOOL bool
#define PARAM_C_INT int64_t
#define PARAM_C_SIZE int64_t
#define PARAM_C_TIME int64_t
#define PARAM_C_CHOICE int

struct param_rows {
	const struct param *rows;
	size_t count;
	void *base; /* the struct that is filled */
};

/* An opened configuration: name -> text, file and line. */
struct config;
/* path NULL: $MX_CONFIG, else /etc/mx/mx.conf; a missing default file is an
 * empty configuration, a missing named one is an error.  Each of `overrides`
 * is "NAME=VALUE" (-o).  `service` picks lines "SERVICE/NAME = value" too. */
struct config *config_open(const char *path, const struct strs *overrides,
			   const char *service, struct err *e) MX_MUST_CHECK;
void config_free(struct config *c);
const char *config_path(const struct config *c);
/* The expanded value of any name, known rows' defaults included; NULL when
 * nobody knows it.  Caller frees. */
char *config_value(struct config *c, const char *name);
/* The same as it is written, $names and all. */
char *config_text(struct config *c, const char *name);
/* Visits each name that begins with prefix or ends with suffix (either may
 * be ""): for pipe_NAME, *_destination_recipient_limit. */
void config_each(struct config *c, const char *prefix, const char *suffix,
		 void (*fn)(void *ctx, const char *name, const char *value),
		 void *ctx);

/* Fills the structs.  Any bad value: -1 and "FILE:LINE: NAME: ..." .  Rows of
 * all sets are known to $name expansion. */
int param_load(struct config *c, const struct param_rows *sets, size_t n,
	       struct err *e) MX_MUST_CHECK;
/* Frees strings and lists of one set. */
void param_free(const struct param_rows *set);
/* --parameters: "name = value" of every row as it is written, not expanded;
 * with -v type, range, meaning and the expanded value as comments. */
void param_print(struct config *c, const struct param_rows *sets, size_t n);
/* --check-config: every line of the file, in order: names that no program of
 * mx has, with the nearest known one; Postfix's names that mx does not have as
 * a warning with advice; bad values of these rows; tables that do not open.
 * Prints FILE:LINE: sentences on stderr; ST_OK or ST_CONFIG. */
int param_check(struct config *c, const struct param_rows *sets, size_t n);
/* --set NAME=VALUE: edits the file, keeping comments; checks name and value;
 * renames the new file into place.  path NULL: the default one. */
int param_set(const char *path, const char *assignment,
	      const struct param_rows *sets, size_t n,
	      struct err *e) MX_MUST_CHECK;

#endif
