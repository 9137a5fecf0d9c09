/*
 * mailbox_index.h - what a mailbox was when it was last looked at, in its file
 * mx-index: a snapshot (records, names) and a log of what changed since.  It
 * spares reading the folder, and remembers the mod-sequences of RFC 7162.
 * Layer: mail.  For mailbox*.c alone.
 *
 * The truth is the folder and dovecot-uidlist: the file may be deleted at any
 * time; then each message has a new mod-sequence, greater than any told
 * before (microseconds since 1970).  Writers hold flock(2) on it; whoever
 * finds a change that the log does not tell gives it a mod-sequence.
 */
#ifndef MX_MAILBOX_INDEX_H
#define MX_MAILBOX_INDEX_H

#include "mailbox.h"

/* Reads the index into an empty mailbox; false: there is none that fits. */
bool mailbox_index_load(struct mailbox *mb);
/* Makes the first snapshot where there is none; false: another process was
 * faster, and its mod-sequences count. */
bool mailbox_index_begin(struct mailbox *mb);
/* Forgets what was loaded. */
void mailbox_index_forget(struct mailbox *mb);
/* Notes what changed (mb->changed), and takes over the mod-sequences that
 * others gave meanwhile. */
void mailbox_index_commit(struct mailbox *mb);
/* A mod-sequence for the mailbox, no message of which changed. */
void mailbox_index_touch(struct mailbox *mb);
/* The state is what the two directories' times say: the next one to open the
 * mailbox need not read them.  Makes a new snapshot now and then. */
void mailbox_index_close(struct mailbox *mb);

#endif
