/*
 * finding.h - what an audit says: findings, their cost out of ten points, the
 * page and the JSON made of them.
 */
#ifndef MX_FINDING_H
#define MX_FINDING_H

#include "buf.h"
#include "strs.h"

enum find_level {
	FIND_OK,
	FIND_NOTE,   /* worth knowing, costs nothing */
	FIND_WARN,   /* works, and could be better */
	FIND_FAIL,   /* mail is lost, refused or forged because of it */
	FIND_UNKNOWN /* could not be looked at: DNS or network trouble */
};

struct finding {
	enum find_level level;
	int cost;                     /* tenths of a point, once for each id */
	char *area, *id;              /* "SPF", "spf-missing" */
	char *text;                   /* one sentence */
	char *expected, *found, *why; /* may be NULL */
	struct strs records;          /* NAME, TYPE, VALUE with tabs */
};
struct findings {
	struct finding *v;
	size_t n, cap;
};

/* Adds one; the calls below it fill in the last one.  All bytes are made safe
 * to show. */
void find_add(struct findings *f, enum find_level level, const char *area,
	      const char *id, int cost, const char *fmt, ...) MX_PRINTF(6, 7);
void find_expected(struct findings *f, const char *fmt, ...) MX_PRINTF(2, 3);
void find_found(struct findings *f, const char *fmt, ...) MX_PRINTF(2, 3);
void find_why(struct findings *f, const char *fmt, ...) MX_PRINTF(2, 3);
/* A record to publish. */
void find_record(struct findings *f, const char *name, const char *type,
		 const char *fmt, ...) MX_PRINTF(4, 5);
void find_free(struct findings *f);

/* As lines of text, for a pipe, and back (malformed lines are passed over). */
void find_save(const struct findings *f, struct buf *out);
void find_load(struct findings *f, struct span text);

/* Tenths of ten points. */
int find_score(const struct findings *f);
/* 0 nothing failed, 1 something did, 75 not everything could be asked. */
int find_status(const struct findings *f);
/* The page for a terminal (colour or not), or an object of JSON; title: what
 * was looked at. */
void find_print(const struct findings *f, const char *title, struct buf *out,
		bool colour);
void find_json(const struct findings *f, const char *title, struct buf *out);
/* The value of a TXT record as a zone file's strings. */
void find_quote_txt(struct buf *out, struct span value);

#endif
