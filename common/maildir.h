/*
 * maildir.h - names of message files, their flag letters, and the walk over
 * new/ and cur/.  Nothing here writes a message: that is deposit.h.
 * Layer: mail.  maildir(5); Dovecot's ",S=size,W=size with CRLF" and letters
 * a to z for keywords.
 */
#ifndef MX_MAILDIR_H
#define MX_MAILDIR_H

#include "buf.h"
#include "err.h"

/* A set of flag letters; every letter there is has its bit, so that one that
 * we do not know is kept when the file is renamed. */
typedef uint64_t maildir_flags;
#define MAILDIR_BIT(letter)                                                    \
	((maildir_flags)1 << ((letter) >= 'a' ? (letter) - 'a' + 26            \
					      : (letter) - 'A'))
#define MAILDIR_DRAFT MAILDIR_BIT('D')
#define MAILDIR_FLAGGED MAILDIR_BIT('F')
#define MAILDIR_PASSED MAILDIR_BIT('P')
#define MAILDIR_REPLIED MAILDIR_BIT('R')
#define MAILDIR_SEEN MAILDIR_BIT('S')
#define MAILDIR_TRASHED MAILDIR_BIT('T')
#define MAILDIR_KEYWORDS 26 /* letters a to z */
#define MAILDIR_KEYWORD_BIT(i) ((maildir_flags)1 << (26 + (i)))
#define MAILDIR_KEYWORD_MASK ((((maildir_flags)1 << 26) - 1) << 26)

struct maildir_name {
	struct span base; /* up to ":2,": what Dovecot's uidlist holds */
	maildir_flags flags;
	uint64_t size, vsize; /* S=, W=: UINT64_MAX when not told */
};
#define MAILDIR_NO_SIZE UINT64_MAX

void maildir_name_parse(struct maildir_name *r, struct span file);
/* The same base, and nothing else of it. */
struct span maildir_name_base(struct span file);
/* BASE:2,LETTERS in the order of ASCII; appended. */
void maildir_name_make(struct buf *b, struct span base, maildir_flags flags);
/* The seconds (microseconds) that a name begins with (its M part): the order
 * of arrival.  0 when there is none. */
int64_t maildir_name_time(struct span base);

/* A new base name, unique over hosts and processes, with the sizes that are
 * known; appended.  For links to a file that exists: what is written anew is
 * named by deposit.h. */
void maildir_name_new(struct buf *b, uint64_t size, uint64_t vsize);

/* Visits every message file of dirfd's `sub` ("new" or "cur") in the order of
 * the directory; names with a leading dot and what is known to be no regular
 * file are passed over, and so are names with control bytes.  Stops when fn
 * returns non-zero, and returns that; -1 and a sentence when the directory
 * cannot be read. */
int maildir_each(int dirfd, const char *sub,
		 int (*fn)(void *ctx, const char *file, size_t n), void *ctx,
		 struct err *e) MX_MUST_CHECK;

#endif
