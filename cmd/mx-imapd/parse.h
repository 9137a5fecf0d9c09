/*
 * parse.h - the words of an IMAP command: atoms, strings, numbers, sets.
 * RFC 3501 9, RFC 9051 9.  One buffer holds the whole command, literals as
 * they came ("{5}\r\n" and five bytes); no recursion, nothing is allocated by
 * what a client claims.
 */
#ifndef IMAPD_PARSE_H
#define IMAPD_PARSE_H

#include "buf.h"

struct parse {
	struct span s;
	size_t at;
	const char *bad;  /* what was expected, once something was not there */
	const char *code; /* and its response code, or NULL */
};

void parse_init(struct parse *p, struct span s);
/* All return false where the word is not there; `bad` tells why then. */
bool parse_char(struct parse *p, char c) MX_MUST_CHECK;
bool parse_sp(struct parse *p) MX_MUST_CHECK;
bool parse_end(struct parse *p) MX_MUST_CHECK;
/* Next byte without taking it; '\0' at the end. */
char parse_peek(const struct parse *p);
bool parse_atom(struct parse *p, struct span *r) MX_MUST_CHECK;
/* The tag: an astring atom without "+", of at most TAG_MAX bytes: codes quote
 * it (INPROGRESS, NOUPDATE), where a longer string would be a literal. */
#define TAG_MAX 255
bool parse_tag(struct parse *p, struct span *r) MX_MUST_CHECK;
/* The next bytes are this word (any case), which is taken. */
bool parse_word(struct parse *p, const char *word);
/* Quoted or literal, or (astring) an atom; appended.  No NUL, CR or LF in a
 * quoted string, no NUL in a literal. */
bool parse_string(struct parse *p, struct buf *b) MX_MUST_CHECK;
bool parse_astring(struct parse *p, struct buf *b) MX_MUST_CHECK;
/* "~{5}" and any five bytes (RFC 3516 7). */
bool parse_literal8(struct parse *p, struct buf *b) MX_MUST_CHECK;
/* The same with the wildcards of LIST. */
bool parse_list_mailbox(struct parse *p, struct buf *b) MX_MUST_CHECK;
bool parse_number(struct parse *p, uint32_t *r) MX_MUST_CHECK;
bool parse_number64(struct parse *p, uint64_t *r) MX_MUST_CHECK;
/* A flag: "\Seen" or a keyword. */
bool parse_flag(struct parse *p, struct span *r) MX_MUST_CHECK;

/* Does a line end with "{N}" or "{N+}"?  Takes it apart. */
struct literal {
	uint64_t n;
	bool sync; /* the client waits for "+ " */
};
bool parse_literal_end(struct span line, struct literal *r,
		       size_t *at_r) MX_MUST_CHECK;

/* Sets of numbers as merged ranges in ascending order. */
struct set_range {
	uint32_t lo, hi;
};
struct set {
	struct set_range *v;
	size_t n, cap;
};
/* "*" stands for `star`, the greatest number there is (0: none).  False when
 * it is malformed, or too long. */
bool parse_set(struct parse *p, struct set *set, uint32_t star) MX_MUST_CHECK;
void set_free(struct set *set);
void set_add(struct set *set, uint32_t lo, uint32_t hi);
/* Sorts and merges; after the last set_add. */
void set_finish(struct set *set);
/* b takes what a holds. */
void set_move(struct set *to, struct set *from);
bool set_has(const struct set *set, uint32_t n);
void set_print(struct buf *b, const struct set *set);

#endif
