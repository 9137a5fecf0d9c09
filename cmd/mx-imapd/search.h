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
	OP_LARGER,
	OP_SMALLER,
	OP_BEFORE, /* days of INTERNALDATE */
	OP_ON,
	OP_SINCE,
	OP_OLDER, /* seconds */
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
};
/* Parses search keys up to the end of the command. */
bool search_parse(struct search *se, struct session *s) MX_MUST_CHECK;
void search_free(struct search *se);
/* Does message `index` match?  -1 and a sentence when it cannot be read. */
int search_match(struct search *se, struct session *s, size_t index,
		 struct err *e) MX_MUST_CHECK;
/* Text as it is compared: folded; appended. */
void search_fold(struct buf *b, struct span utf8);

#endif
