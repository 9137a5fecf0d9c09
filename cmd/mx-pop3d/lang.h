/*
 * lang.h - LANG: the language of the words behind +OK and -ERR.  RFC 6856 3.
 */
#ifndef POP3D_LANG_H
#define POP3D_LANG_H

#include "command.h"
#include "io.h"

/* Answers LANG, in either state: the listing, or the language that was chosen.
 * All words of this server are English, which is also what i-default means
 * (RFC 2277 4.5); so nothing changes by it. */
void lang_answer(struct stream *st, struct command *c);

#endif
