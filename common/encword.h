/*
 * encword.h - header text and charsets to UTF-8.
 * Layer: mail.  RFC 2047 encoded words, RFC 2231 5 (language) and 4 (extended
 * parameter values).  Linear in the input; output is always valid UTF-8.
 */
#ifndef MX_ENCWORD_H
#define MX_ENCWORD_H

#include "buf.h"

/* Unstructured text or a phrase: words decoded, blanks between neighbouring
 * encoded words dropped, folds removed; what is malformed or of an unknown
 * charset stays as it is.  Bytes outside UTF-8 are read as windows-1252.
 * Appended; decoded controls (line ends, NUL) become blanks. */
void encword_decode(struct buf *b, struct span s);
/* CHARSET'LANG'%XX of RFC 2231. */
void encword_decode_ext(struct buf *b, struct span s);
/* Text of a charset as UTF-8, appended; each byte that cannot be converted
 * becomes U+FFFD.  False (nothing appended) when the charset is not known. */
bool encword_convert(struct buf *b, struct span charset, struct span s);
/* Where the C library keeps its charsets: a sandboxed process that converts
 * must be able to read there.  NULL when not known. */
const char *encword_charsets(void);
/* Each line as it is when it is valid UTF-8, else from windows-1252; appended.
 */
void encword_utf8(struct buf *b, struct span s);
/* UTF-8 as an unstructured value for the wire: encoded words of at most 75
 * bytes joined by blanks where it is not ASCII (RFC 2047 2, 5). */
void encword_encode(struct buf *b, struct span s);

#endif
