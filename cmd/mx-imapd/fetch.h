/*
 * fetch.h - what a FETCH asks, item by item.
 */
#ifndef IMAPD_FETCH_H
#define IMAPD_FETCH_H

#include "mailbox_cache.h"
#include "search.h"
#include "section.h"

enum item_kind {
	ITEM_UID,
	ITEM_FLAGS,
	ITEM_DATE,
	ITEM_SIZE,
	ITEM_ENVELOPE,
	ITEM_BODY,
	ITEM_STRUCTURE,
	ITEM_SECTION,
	ITEM_BINARY,      /* RFC 3516 */
	ITEM_BINARY_SIZE, /* the same */
	ITEM_PREVIEW,     /* RFC 8970 */
	ITEM_SAVEDATE,    /* RFC 8514 */
	ITEM_EMAILID,     /* RFC 8474 */
	ITEM_THREADID,    /* the same */
	ITEM_MODSEQ       /* RFC 7162 */
};
enum {
	NEEDS_HEADER = 1,
	NEEDS_WHOLE = 2,
	NEEDS_STAT = 4,
	SETS_SEEN = 8,
	NEEDS_FIELDS = 16 /* that mx-cache has */
};
struct item {
	enum item_kind kind;
	unsigned needs;
	bool listed;       /* section_listed */
	const char *label; /* RFC822 and the like, or NULL */
	struct section section;
};
struct fetch {
	struct item *v;
	size_t n, cap;
	unsigned needs;
	bool listed; /* one of them is */
	const struct set *set;
	size_t ahead; /* files up to this index are on their way */
	bool has_uid, has_flags, has_modseq;
	const char *refusal; /* code of a NO: UNKNOWN-CTE */
	bool has_partial;    /* RFC 9394 */
	struct wanted partial;
	bool changed; /* CHANGEDSINCE */
	uint64_t since;
	bool vanished;
	bool some_gone, some_failed;
	struct err e;
};

/* Everything behind the set: items and modifiers. */
bool fetch_parse(struct session *s, struct fetch *f) MX_MUST_CHECK;
/* Items alone: "(UID FLAGS)". */
bool fetch_parse_items(struct fetch *f, struct parse *p) MX_MUST_CHECK;
/* The answer about one message; non-zero: the client is gone. */
int fetch_put(struct session *s, struct fetch *f, size_t index);
void fetch_free(struct fetch *f);

/* RFC 8970: the words a message begins with; appended. */
void fetch_preview(struct buf *b, struct loaded *l);
/* RFC 8474: the same for the same bytes; appended. */
void fetch_emailid(struct buf *b, const struct loaded *l);
/* RFC 8514: when it came here, in seconds; 0: not known. */
int64_t fetch_savedate(const struct message *m);

#endif
