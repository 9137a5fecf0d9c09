/*
 * mailbox_name.h - the one validator of mailbox names, and the only way from
 * a name to a folder: modified UTF-7 (RFC 3501 5.1.3), separator ".", folders
 * as Maildir++ has them, opened beneath the mail root.
 * Layer: mail.  THREATS 78: decode, validate, encode again canonically.
 */
#ifndef MX_MAILBOX_NAME_H
#define MX_MAILBOX_NAME_H

#include "buf.h"
#include "err.h"

#define MAILBOX_NAME_LEVELS 50
#define MAILBOX_NAME_MAX 254 /* NAME_MAX without the leading dot */
#define MAILBOX_NAME_SEP '.'

/* Modified UTF-7 to UTF-8 and back; both append.  Decoding is false on what
 * an encoder would not have written: encoded ASCII, lone surrogates, bits
 * behind the end, a shift that need not be. */
bool mailbox_name_decode(struct buf *utf8, struct span mutf7) MX_MUST_CHECK;
bool mailbox_name_encode(struct buf *mutf7, struct span utf8) MX_MUST_CHECK;

/* May a mailbox have this name (UTF-8)?  Not with a control character, "/",
 * an empty level, a leading "~", more than 50 levels. */
bool mailbox_name_ok(struct span utf8) MX_MUST_CHECK;
/* "Lists.x" -> ".Lists.x" as it is on disk; false when not ok or longer there
 * than a file's name may be. */
bool mailbox_name_to_disk(struct buf *b, struct span utf8) MX_MUST_CHECK;

/*
 * A name as a client gave it (`utf8`: after ENABLE UTF8=ACCEPT or IMAP4rev2)
 * to its one canonical form, modified UTF-7, "INBOX" in capitals.  -1 with a
 * sentence on: control bytes, "/", an empty level, a leading "~", more than
 * 50 levels, a name longer than a folder's may be.
 */
int mailbox_name_parse(struct buf *name, struct span given, bool utf8,
		       struct err *e) MX_MUST_CHECK;

/* The folder of a canonical name, relative to the mail root: "." for INBOX,
 * ".Foo.Bar" for Foo.Bar. */
void mailbox_name_folder(struct buf *folder, struct span name);
/* The canonical name of a folder ".Foo.Bar"; false when it is no mailbox. */
bool mailbox_name_of_folder(struct buf *name, struct span folder) MX_MUST_CHECK;

/* openat(2) that never leaves the tree under root: neither "..", nor an
 * absolute path, nor a symbolic link is followed.  O_CLOEXEC is added.
 * Returns a descriptor, or -1 and errno. */
int mailbox_name_openat(int root, const char *path, int flags,
			unsigned mode) MX_MUST_CHECK;
/* The directory of a mailbox by canonical name; -1 and errno. */
int mailbox_name_open(int root, struct span name) MX_MUST_CHECK;

#endif
