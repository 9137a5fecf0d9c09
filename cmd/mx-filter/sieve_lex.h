/*
 * sieve_lex.h - tokens of Sieve.  RFC 5228 8.1.
 */
#ifndef MX_SIEVE_LEX_H
#define MX_SIEVE_LEX_H

#include "sieve.h"

enum sieve_token {
	T_END,
	T_BAD, /* why in lex->why */
	T_WORD,
	T_TAG,
	T_NUMBER,
	T_STRING,
	T_PUNCT /* ( ) { } [ ] , ; in lex->punct */
};

struct sieve_lex {
	struct span s; /* what is left */
	int line, col; /* of the next byte */
	/* the token */
	enum sieve_token token;
	int tline, tcol;
	char punct;
	struct buf text; /* word, tag (with ":"), string */
	int64_t number;
	const char *why;
};

void sieve_lex_init(struct sieve_lex *l, struct span text);
/* Reads the next token into l. */
void sieve_lex_next(struct sieve_lex *l);
void sieve_lex_done(struct sieve_lex *l);

#endif
