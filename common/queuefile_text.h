/*
 * queuefile_text.h - what queuefile.c and queuefile_work.c share.
 * Layer: mail.
 */
#ifndef MX_QUEUEFILE_TEXT_H
#define MX_QUEUEFILE_TEXT_H

#include "queuefile.h"

/* "\nmx-end: " size " " crc "\n" */
#define QUEUEFILE_TRAILER (9 + 20 + 1 + 8 + 1)

/* An envelope is read whole, so it is written no longer than this: some
 * 200,000 recipients fit. */
#define QUEUEFILE_ENVELOPE_MAX ((size_t)32 << 20)

/* The envelope's lines with the empty one.  Masked: every state letter Q and
 * the size 0, which is what the checksum is taken over. */
void queuefile_dump(struct buf *b, const struct queuefile_env *env,
		    uint64_t size, bool masked, size_t *size_at_r);
/* The folder of an ID: two hexadecimal digits. */
void queuefile_folder(const char *id, char out[3]);

#endif
