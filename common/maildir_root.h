/*
 * maildir_root.h - the mail root of a user: where it is, made when missing,
 * with the mailboxes that every user has.
 * Layer: mail.  Dovecot "Mail location settings", "mailbox { auto }".
 */
#ifndef MX_MAILDIR_ROOT_H
#define MX_MAILDIR_ROOT_H

#include "buf.h"
#include "err.h"
#include "strs.h"

/* Opens (makes) the Maildir and its mailbox_auto folders; a directory
 * descriptor or -1. */
int maildir_root_open(const char *path, struct err *e) MX_MUST_CHECK;
/* "maildir:PATH[:options]" with %u %n %d %h and ~ -> PATH.  A value that
 * would leave a directory ("/", "..") is refused. */
int maildir_root_path(struct buf *path, const char *location, const char *user,
		      const char *home, struct err *e) MX_MUST_CHECK;

/* A parameter's value l (`name` is for the sentence) with these variables ->
 * an absolute path. */
int maildir_root_expand(struct buf *path, const char *name, struct span l,
			const char *user, const char *home,
			struct err *e) MX_MUST_CHECK;

/* mailbox_auto's rows NAME:AUTO:USE, and its default. */
#define MAILDIR_ROOT_BOXES                                                     \
	"Drafts:no:\\Drafts, Sent:no:\\Sent, Archive:no:\\Archive, "           \
	"Junk:no:\\Junk, Trash:no:\\Trash"
extern struct strs maildir_root_boxes;
/* The special use ("\Sent") of a mailbox, or NULL. */
const char *maildir_root_use(struct span name);

#endif
