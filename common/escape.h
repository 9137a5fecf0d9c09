/*
 * escape.h - text that is safe to show, and the encodings mail uses.
 * Layer: base.  All append to b.
 */
#ifndef MX_ESCAPE_H
#define MX_ESCAPE_H

#include "buf.h"

/* One safe line for logs and terminals: control bytes, DEL, malformed UTF-8
 * and bidi controls become '?'; at most max bytes (0: no limit), cut marked
 * with "...".  Postfix printable(). */
void escape_line(struct buf *b, struct span s, size_t max);
/* A JSON string with its quotes; malformed UTF-8 becomes U+FFFD. */
void escape_json(struct buf *b, struct span s);
/* DESIGN 4 "text lines": as it is when one plain word, else in double quotes
 * with \" \\ and \xHH for control bytes. */
void escape_word(struct buf *b, struct span s);
/* The same, always in quotes: for texts that may happen to be one word. */
void escape_quoted(struct buf *b, struct span s);
/* xtext of RFC 3461 section 4; decode is false on malformed input or when
 * the result holds a control byte. */
void escape_xtext(struct buf *b, struct span s);
bool escape_unxtext(struct buf *b, struct span s) MX_MUST_CHECK;
/* The addresses of RFC 6533 3: \x{HEX} for what ASCII cannot say; a value
 * that has such escapes keeps them.  The second writes them out as UTF-8;
 * what is malformed is left as it is. */
void escape_unitext(struct buf *b, struct span s);
void escape_ununitext(struct buf *b, struct span s);
/* XFORWARD/XCLIENT attribute values use xtext too (Postfix README). */

/* Base64 of RFC 4648 section 4 without line breaks.  Decode is strict
 * (padding required, no blanks); the second skips blanks, as bodies need. */
void base64_encode(struct buf *b, struct span s);
bool base64_decode(struct buf *b, struct span s) MX_MUST_CHECK;
bool base64_decode_lax(struct buf *b, struct span s) MX_MUST_CHECK;
void hex_encode(struct buf *b, struct span s);
bool hex_decode(struct buf *b, struct span s) MX_MUST_CHECK;

/* Strict UTF-8 (RFC 3629): no overlong form, surrogate or > U+10FFFF. */
bool utf8_valid(struct span s);
/* Decodes one character at s.p; returns its length, or 0 if malformed. */
size_t utf8_next(struct span s, uint32_t *cp_r);
void utf8_add(struct buf *b, uint32_t cp);

#endif
