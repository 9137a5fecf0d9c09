/*
 * table.h - look-up tables, Postfix's types and file formats (DESIGN 3.8).
 * Layer: sys.  A driver is one file common/table_NAME.c that exports one
 * `const struct table_driver table_NAME`; the Makefile lists the files found.
 */
#ifndef MX_TABLE_H
#define MX_TABLE_H

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "strs.h"

/* TRY_AGAIN is never taken for NONE. */
enum table_result { TABLE_FOUND, TABLE_NONE, TABLE_TRY_AGAIN };

struct table;
struct table_driver {
	const char *const *names; /* {"texthash", "hash", "btree", NULL} */
	unsigned flags;
	/* name is what stands behind "TYPE:".  Returns the driver's state or
	 * NULL and a sentence. */
	void *(*open)(const char *type, const char *name, struct err *e);
	enum table_result (*lookup)(void *state, struct span key,
				    struct buf *value, struct err *e);
	void (*close)(void *state);
	/* Optional: has the file behind it changed since open? */
	bool (*changed)(void *state);
	/* Optional: the entries, as table_each needs them. */
	struct map *(*entries)(void *state);
	/* Optional: what it may ever answer, for table_values, where the
	 * entries do not say so. */
	int (*values)(void *state,
		      int (*fn)(void *ctx, const char *value, struct err *e),
		      void *ctx, struct err *e);
};
/* Driver flags. */
#define TABLE_FOLD 1u    /* keys are folded to lower case before lookup */
#define TABLE_PATTERN 2u /* patterns: whole address only, no partial keys */
#define TABLE_NET 4u     /* asks somebody else: never inside a worker */

/* "TYPE:NAME"; a bare "/path" is texthash.  Never NULL: a table that cannot
 * open answers TRY_AGAIN with its reason (and e is filled for --check). */
struct table *table_open(const char *spec, struct err *e);
void table_close(struct table *t);
const char *table_spec(const struct table *t);
unsigned table_flags(const struct table *t);
/* Replaces value's content on FOUND; e says why on TRY_AGAIN. */
enum table_result table_lookup(struct table *t, struct span key,
			       struct buf *value, struct err *e) MX_MUST_CHECK;
/* Reopens it when its file changed (called between sessions); true: it has
 * another content now. */
bool table_refresh(struct table *t);
/* The same for all that are open. */
bool table_refresh_all(void);
/* Calls fn for each entry, where the driver knows its entries (text files,
 * inline:); -1 and a sentence otherwise, or fn's own failure. */
int table_each(struct table *t,
	       int (*fn)(void *ctx, struct span key, const char *value,
			 struct err *e),
	       void *ctx, struct err *e) MX_MUST_CHECK;
/* Calls fn for each answer that it may ever give; groups ($1) stand as they
 * are.  1: that cannot be known (it asks somebody else, or is away); else what
 * fn returned. */
int table_values(struct table *t,
		 int (*fn)(void *ctx, const char *value, struct err *e),
		 void *ctx, struct err *e) MX_MUST_CHECK;
/*
 * Tables that ask somebody else have a number.  In a worker's sandbox they are
 * looked up by `fn`, wherever they stand (server_table.c); at its other end
 * table_lookup_number does it.
 */
typedef enum table_result table_remote_fn(void *ctx, int number,
					  struct span key, struct buf *value,
					  struct err *e);
/* For those who explain: called after each look-up; NULL: nobody. */
extern void (*table_trace)(const char *spec, struct span key,
			   enum table_result r, struct span value,
			   const char *why);
void table_remote(table_remote_fn *fn, void *ctx);
enum table_result table_lookup_number(int number, struct span key,
				      struct buf *value,
				      struct err *e) MX_MUST_CHECK;

/* Many maps per parameter, first match wins. */
struct tables {
	struct table **v;
	size_t n;
};
void tables_open(struct tables *ts, const struct strs *specs);
void tables_close(struct tables *ts);
enum table_result tables_lookup(const struct tables *ts, struct span key,
				struct buf *value, struct err *e) MX_MUST_CHECK;
/*
 * Postfix's order for addresses (virtual(5), canonical(5)): user+ext@domain,
 * user@domain, user+ext, user (both only when the domain is ours: `local`),
 * @domain.  Pattern tables see the whole address only.  ext_r (may be NULL)
 * tells whether an extension was dropped by the match.
 */
enum table_result tables_lookup_address(const struct tables *ts,
					struct span addr, const char *delims,
					bool local, struct buf *value,
					bool *ext_r,
					struct err *e) MX_MUST_CHECK;
/* access(5)/transport(5): domain, then .parent, parent ... */
enum table_result tables_lookup_domain(const struct tables *ts,
				       struct span domain, struct buf *value,
				       struct err *e) MX_MUST_CHECK;

/*
 * Postfix match lists (mydestination, relay_domains: DOMAIN words, /file,
 * type:table, !exclude; mynetworks: CIDR, [v6]/n).  FOUND means "in the list".
 */
struct match_list;
struct match_list *match_domains(const struct strs *words, bool parents,
				 struct err *e);
struct match_list *match_networks(const struct strs *words, struct err *e);
enum table_result match_lookup(const struct match_list *m, struct span key,
			       struct err *e) MX_MUST_CHECK;
void match_free(struct match_list *m);
/* Is the textual IP inside CIDR text "192.0.2.0/24", "[2001:db8::]/32"? */
bool match_cidr(struct span cidr, struct span ip);

#endif
