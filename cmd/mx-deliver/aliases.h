/*
 * aliases.h - aliases(5) files, and what stands on the right-hand side of an
 * alias, in :include: files and in .forward.
 * THREATS 18: commands and files exist only in the parsed result of such a
 * file, never as an address from outside.
 */
#ifndef MX_DELIVER_ALIASES_H
#define MX_DELIVER_ALIASES_H

#include "strs.h"
#include "table.h"

enum alias_kind { ALIAS_ADDRESS, ALIAS_COMMAND, ALIAS_FILE, ALIAS_INCLUDE };

/* One destination; text without quotes, "|" or ":include:". */
struct alias_item {
	enum alias_kind kind;
	char *text;
	bool literal; /* "\name": no further aliases */
};
struct alias_list {
	struct alias_item *v;
	size_t n, cap;
};
/* Splits the right-hand side (or a whole :include: file, where lines count
 * as commas and # begins a comment line); adds to l.  At most max items,
 * -1 and a sentence beyond it. */
int alias_parse(struct alias_list *l, struct span text, bool file, size_t max,
		struct err *e) MX_MUST_CHECK;
void alias_list_free(struct alias_list *l);

/* A whole aliases(5) file into a map from folded name to char * (owned).
 * Lines that make no sense are logged with their number and left out. */
struct map *alias_file_parse(struct span text, const char *path);

/* alias_maps: hash:/etc/aliases and its like are read as aliases(5) text,
 * other types by their drivers. */
void aliases_open(const struct strs *maps);
/* Reads again what changed; between sessions. */
void aliases_refresh(void);
enum table_result aliases_lookup(struct span name, struct buf *value,
				 struct err *e) MX_MUST_CHECK;

#endif
