/*
 * mailbox_name.h - names of mailboxes: UTF-8 for people, modified UTF-7 with
 * a leading dot on disk (Maildir++), "." between levels.
 * Layer: mail.  RFC 3501 5.1.3; THREATS 78, 79: validated decoded, encoded
 * canonically.
 */
#ifndef MX_MAILBOX_NAME_H
#define MX_MAILBOX_NAME_H

#include "buf.h"

/* May a mailbox have this name?  Valid UTF-8, no control byte, no "/", no
 * empty level, at most 200 bytes and 50 levels. */
bool mailbox_name_ok(struct span utf8) MX_MUST_CHECK;
/* Appends modified UTF-7; false for malformed UTF-8. */
bool mailbox_name_encode(struct buf *b, struct span utf8) MX_MUST_CHECK;
/* Appends UTF-8; false for malformed or not canonical modified UTF-7. */
bool mailbox_name_decode(struct buf *b, struct span mutf7) MX_MUST_CHECK;
/* "Lists.x" -> ".Lists.x" as it is on disk; false when not ok or longer than
 * 250 bytes there. */
bool mailbox_name_to_disk(struct buf *b, struct span utf8) MX_MUST_CHECK;

#endif
