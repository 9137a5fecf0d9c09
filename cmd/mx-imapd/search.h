/*
 * search.h - the keys of SEARCH as a flat tree, and its evaluation.
 * RFC 3501 6.4.4.  No recursion: nodes know their parent, child and sibling;
 * nesting is bounded (THREATS 74).
 */
#ifndef IMAPD_SEARCH_H
#define IMAPD_SEARCH_H

#include "imap.h"
#include "loaded.h"

#define SEARCH_DEPTH 100
#define SEARCH_NODES 5000

struct fetch;
enum search_op {
	OP_AND,
	OP_OR,
	OP_NOT,
	OP_ALL,
	OP_FLAGS,    /* all of `flags` set */
	OP_NO_FLAGS, /* none of them */
	OP_NEVER,    /* an unknown keyword */
	OP_RECENT,
	OP_OLD,
	OP_NEW,
	OP_SEQ,
	OP_UID,
	OP_UIDAFTER, /* RFC 9738 3.2 */
	OP_UIDBEFORE,
	OP_LARGER,
	OP_SMALLER,
	OP_BEFORE, /* days of INTERNALDATE */
	OP_ON,
	OP_SINCE,
	OP_SAVED_BEFORE, /* RFC 8514 */
	OP_SAVED_ON,
	OP_SAVED_SINCE,
	OP_EMAILID, /* RFC 8474 */
	OP_MODSEQ,  /* RFC 7162 */
	OP_OLDER,   /* seconds */
	OP_YOUNGER,
	OP_SENT_BEFORE,
	OP_SENT_ON,
	OP_SENT_SINCE,
	OP_HEADER,
	OP_BODY,
	OP_TEXT
};
#define NODE_NONE UINT32_MAX
struct node {
	enum search_op op;
	uint32_t parent, child, last, next;
	maildir_flags flags;
	struct set set;
	uint64_t number;
	int64_t day;
	char *field;
	struct buf text; /* UTF-8, case folded */
};
struct search {
	struct node *v;
	size_t n, cap;
	int64_t now;
	struct buf charset; /* empty: UTF-8 */
	bool has_modseq;
};
/* What RETURN asks (RFC 4731, 5182, 5267, 9394), as bits. */
enum {
	RET_MIN = 1,
	RET_MAX = 2,
	RET_ALL = 4,
	RET_COUNT = 8,
	RET_PARTIAL = 16,
	RET_SAVE = 32,
	RET_UPDATE = 64,
	RET_CONTEXT = 128,
	RET_ANY = 256 /* RETURN stood there */
};
struct wanted {
	unsigned bits;
	bool from_end; /* PARTIAL -1:-10 */
	uint32_t lo, hi;
	struct fetch *att; /* UPDATE (UID FLAGS), or NULL */
};
void wanted_free(struct wanted *w);
/* RFC 5182 2.1: a NO where SAVE was asked for leaves nothing behind "$". */
void wanted_failed(struct session *s, const struct wanted *w, struct result r);
bool wanted_parse(struct session *s, struct wanted *w) MX_MUST_CHECK;
/* A part of a result: indexes from *from up to but without *to. */
void wanted_range(const struct wanted *w, size_t n, size_t *from, size_t *to);
/* RFC 9394: "1:10" or "-1:-10" behind PARTIAL. */
bool wanted_parse_range(struct parse *p, struct wanted *w) MX_MUST_CHECK;
/* What was found: indexes of messages, in the order of the answer. */
struct found {
	uint32_t *v;
	size_t n, cap;
	bool modseq; /* MODSEQ was a key: the greatest one is told */
	bool sorted; /* not by number: MIN and MAX are the first and last */
};
void found_add(struct found *f, size_t index);
void found_free(struct found *f);
/* Says "* SEARCH ..." (or SORT), or "* ESEARCH ..."; keeps it for "$". */
void found_put(struct session *s, const struct found *f, const struct wanted *w,
	       const char *word);
/* The charset that texts are given in (RFC 3501 6.4.4): false with BADCHARSET
 * when it is not known. */
bool search_charset(struct search *se, struct session *s, bool *known_r);
/* Everything told so far that matches, in order of number. */
int search_run(struct search *se, struct session *s, struct found *f,
	       struct err *e) MX_MUST_CHECK;
/* Parses search keys up to the end of the command. */
bool search_parse(struct search *se, struct session *s) MX_MUST_CHECK;
void search_free(struct search *se);
/* Does message `index` match?  -1 and a sentence when it cannot be read. */
int search_match(struct search *se, struct session *s, size_t index,
		 struct err *e) MX_MUST_CHECK;
/* Text as it is compared: folded and decomposed (as i;unicode-casemap, RFC
 * 5051, does); appended. */
void search_fold(struct buf *b, struct span utf8);

#endif
