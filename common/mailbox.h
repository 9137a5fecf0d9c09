/*
 * mailbox.h - a mailbox that a session (IMAP, POP3) has open: its messages as
 * the client knows them, and how the files are followed.
 * Layer: mail.  DESIGN 4 mx-imapd; Dovecot's files and locks.
 * THREATS 85: what the client was told stays until it may be told otherwise;
 * a message whose file is gone keeps its number.
 */
#ifndef MX_MAILBOX_H
#define MX_MAILBOX_H

#include "keywords.h"
#include "maildir.h"
#include "mbox_shadow.h"
#include "strs.h"
#include "uidlist.h"

#include <time.h>

#define MAILBOX_CACHED 4 /* kinds of mailbox_cache.h */
#define MAILBOX_AHEAD 64 /* files opened before they are read */

struct message {
	uint32_t uid;
	bool in_new;   /* the file lies in new/ */
	bool recent;   /* \Recent in this session */
	bool gone;     /* the file is no more; EXPUNGE not yet told */
	bool seen_now; /* during a scan */
	bool lent;     /* `file` belongs to the index that is mapped */
	bool marked;   /* in mailbox.changed */
	bool noted;    /* the index has it */
	bool here;     /* during a search for all of them */
	maildir_flags flags;
	maildir_flags told;              /* flags as last told to the client */
	uint64_t modseq;                 /* RFC 7162 */
	uint64_t size;                   /* of the file, or MAILDIR_NO_SIZE */
	uint64_t vsize;                  /* with CRLF, or MAILDIR_NO_SIZE */
	int64_t mtime;                   /* INT64_MIN: not asked yet */
	char *file;                      /* name with flags, in new/ or cur/ */
	uint32_t base_n;                 /* bytes of it before ":2," */
	uint32_t cached[MAILBOX_CACHED]; /* places in mx-cache, or 0 */
	bool cache_ok[MAILBOX_CACHED];   /* looked at in this session */
};

/* RFC 7162 3.2: a message that is no more, and since when. */
struct vanished {
	uint32_t uid;
	uint64_t modseq;
};

/* mx-index as this session has it; see mailbox_index.h. */
struct mailbox_index {
	int fd;            /* -1: none */
	uint64_t ino, end; /* log read up to here */
	uint64_t log_at;
	void *map;
	size_t map_n;
	/* the state that the log ends with */
	bool dirs_known;
	int64_t dir_ns[2];
	struct uidlist_file list;
};

/* mx-cache; see mailbox_cache.h. */
struct mailbox_cache {
	int fd;
	bool loaded;
	char *map;
	size_t map_n;
	uint64_t seen; /* records looked at, in bytes */
	struct buf pending;
};

struct dir_state { /* of new/ or cur/ */
	int64_t mtime_ns;
	bool unsure; /* it changed so shortly before the scan that a later
		      * change may have the same time */
};

struct mailbox {
	char *name; /* canonical */
	int root, fd;
	bool readonly;
	bool no_recent; /* IMAP4rev2 has none */
	bool is_mbox;   /* mbox_shadow.h: readonly, always */
	struct mbox_view mbox;
	bool dead; /* validity changed, or the folder is gone: say BYE */
	struct uidlist ul;
	struct keywords kw;
	struct message *v;
	size_t n, cap;
	struct dir_state dirs[2]; /* new/ and cur/ */
	int watch, watched[2];    /* inotify, or -1 */
	int watched_mbox;
	uint64_t kw_ino; /* which dovecot-keywords was read */
	int64_t kw_ns;
	bool incomplete;   /* a file is there that cannot be shown now */
	bool unread;       /* news was not taken over: read the folder again */
	bool unnumbered;   /* files wait for UIDs that cannot be written */
	uint32_t given;    /* UIDs from here on were given just now; 0: none */
	bool unsticky;     /* its UIDs are this session's alone */
	bool renamed;      /* names in cur/ that no fsync stands behind */
	bool parted;       /* files got new names, and wait for UIDs */
	unsigned searches; /* for messages that were renamed, one by one */
	/* Since the last mailbox_index_commit: UIDs. */
	uint32_t *changed;
	size_t changed_n, changed_cap;
	struct mailbox_index index;
	struct mailbox_cache cache;
	struct {
		uint32_t uid; /* 0: none */
		int fd;
	} ahead[MAILBOX_AHEAD];
	unsigned cold;   /* so many messages more are worth reading ahead */
	uint64_t modseq; /* the greatest given */
	uint64_t vanished_since;   /* `vanished` is whole from then on */
	struct vanished *vanished; /* in order of modseq */
	size_t vanished_n, vanished_cap;
	/* Their UIDs, ascending; NULL: not sorted since they changed. */
	uint32_t *vanished_uids;
	/* Our own renames and removals, whose events are still to come. */
	uint64_t *own;
	size_t own_at, own_n, own_cap;
	struct buf events; /* taken from the kernel, not looked at yet */
	/* What the client knows. */
	bool news; /* something may differ from it */
	bool told; /* it knows the messages at all */
	size_t told_exists, told_recent;
	bool kw_changed;
};

/* Opens by canonical name and brings it up to date; an mbox, and a folder whose
 * cur/ may not be written, is read-only whatever is asked for; readonly:
 * EXAMINE, and for STATUS (nothing is moved out of new/).  Messages that need a
 * UID are not shown while none can be written (permissions, a full disk); in a
 * folder that may not be written and never had a list UIDs are made up for
 * this session (`unsticky`).  With
 * the path of the mail root it is watched from then on.  NULL and a sentence;
 * ST_NOINPUT when there is no such mailbox. */
struct mailbox *mailbox_select(int root, const char *name, bool readonly,
			       const char *watch_path, struct err *e);
void mailbox_close(struct mailbox *mb);
/* Gives mod-sequences to what was changed; mailbox_sync does it too. */
void mailbox_commit(struct mailbox *mb);
/* The mailbox itself changed, not its messages: its annotations, say
 * (RFC 7162 3.2). */
void mailbox_touch(struct mailbox *mb);
/* Follows the files: new messages are appended, those whose file is gone are
 * marked, flags are taken over.  Cheap when nothing changed. */
int mailbox_sync(struct mailbox *mb, struct err *e) MX_MUST_CHECK;

/* RFC 8474: what names the mailbox for good; appended. */
void mailbox_id(struct buf *b, const struct mailbox *mb);
/* Index of a UID, or of the first greater one (then *exact_r is false). */
size_t mailbox_find(const struct mailbox *mb, uint32_t uid, bool *exact_r);
uint32_t mailbox_last_uid(const struct mailbox *mb);
size_t mailbox_recent(const struct mailbox *mb);
/* First message without \Seen, from 1; 0: none. */
size_t mailbox_first_unseen(const struct mailbox *mb);
size_t mailbox_unseen(const struct mailbox *mb);

/* Opens the message's file for reading, wherever it was renamed to; -1 with
 * errno ENOENT when it is gone. */
int mailbox_open_message(struct mailbox *mb, struct message *m);
/* It will be opened soon: its first bytes are read in the background, as long
 * as mailbox_read_first finds messages that are not in memory. */
void mailbox_read_ahead(struct mailbox *mb, struct message *m);
/* read(2) of the first bytes of a message's file; notes whether the disk had
 * to be waited for.  May be short, as read(2). */
ssize_t mailbox_read_first(struct mailbox *mb, int fd, void *room, size_t n);
/* Size and time of the file, asked when not known from its name. */
int mailbox_stat_message(struct mailbox *mb, struct message *m,
			 struct err *e) MX_MUST_CHECK;
/* Sets flags: a rename, also when another program renamed it meanwhile.  The
 * new flags are (old & ~clear) | set. */
int mailbox_set_flags(struct mailbox *mb, struct message *m, maildir_flags set,
		      maildir_flags clear, struct err *e) MX_MUST_CHECK;
/* Unlinks the file; the message is gone then.  Spared (0 too, and not gone) is
 * one that turns out to have lost a flag of `with` to another session. */
int mailbox_unlink(struct mailbox *mb, struct message *m, maildir_flags with,
		   struct err *e) MX_MUST_CHECK;
/* The names given and taken away since the last call are on the disk: one fsync
 * of cur/, none where nothing changed.  A rename is in one directory's journal
 * for both names, also from new/. */
int mailbox_sync_names(struct mailbox *mb, struct err *e) MX_MUST_CHECK;
/* What the files mailbox*.c share. */
struct scan {
	struct seen_file {
		size_t name; /* in `text`, with a NUL behind it */
		uint32_t n;
		uint32_t uid; /* where it was looked up already, or 0 */
		bool in_new;
	} * v;
	size_t n, cap;
	struct buf text;
	bool in_new;
};
int scan_add(void *ctx, const char *file, size_t n);
struct span scan_name(const struct scan *sc, size_t i);
void scan_free(struct scan *sc);
/* mailbox_twin.c; both may rename `file` (then mb->parted is set), not in a
 * mailbox that is open read-only: there it is only not shown.
 * Is `file`, which has m's base name, a second file beside m's (true: not m's),
 * or m's own, renamed? */
bool mailbox_twin(struct mailbox *mb, const struct message *m, struct span file,
		  bool in_new);
/* Was the message of this UID expunged, as far as the index remembers?  Then
 * no file may have it any more (RFC 3501 2.3.1.1). */
bool mailbox_came_back(struct mailbox *mb, uint32_t uid, struct span file,
		       bool in_new);
/* Some files that were not known: those with a UID are taken in, the others
 * get one, without reading more than need be.  1: read the folder. */
int mailbox_take_some(struct mailbox *mb, struct scan *sc,
		      struct err *e) MX_MUST_CHECK;
/* Reads the folder and takes over what it holds. */
int mailbox_follow(struct mailbox *mb, struct err *e) MX_MUST_CHECK;
/* Looks into new/ alone; 1: read the folder. */
int mailbox_follow_new(struct mailbox *mb, struct err *e) MX_MUST_CHECK;
/* What lies in new/ goes to cur/ (RFC 3501 2.3.2). */
void mailbox_empty_new(struct mailbox *mb);
int mailbox_dir_time(int fd, const char *sub, int64_t *ns_r);
void mailbox_watch(struct mailbox *mb, const char *root_path);
/* The mbox too, which may be another file by now. */
void mailbox_watch_mbox(struct mailbox *mb);
/* Takes over what the queue of events tells. */
enum watch_news {
	WATCH_NONE, /* nothing came */
	WATCH_DONE, /* all of it is taken over */
	WATCH_LOOK  /* read the folder */
};
enum watch_news mailbox_events(struct mailbox *mb, struct scan *newcomers);
/* Takes those out that are gone: none of them was told. */
void mailbox_drop_gone(struct mailbox *mb);
/* m differs from what the index has. */
void mailbox_mark(struct mailbox *mb, struct message *m);
/* One of our own changes of a name in new/ or cur/: its event is no news. */
void mailbox_own(struct mailbox *mb, const char *path, bool came);
/* A message's UID is gone for good: for VANISHED (EARLIER). */
void mailbox_vanished(struct mailbox *mb, uint32_t uid, uint64_t modseq);
void message_free(struct message *m);
void message_take(struct mailbox *mb, struct message *m, struct span file,
		  const struct maildir_name *name, bool in_new);
/* "cur/NAME" */
void mailbox_path(struct buf *b, const struct message *m);

/*
 * Messages that were put into a folder's new/ or cur/ under `bases` get their
 * UIDs at once: uids_r[i], ascending.  For APPEND and COPY; `since` is what
 * uidlist_peek said before they were put there.
 */
int mailbox_assign(int root, int fd, const struct strs *bases, uint32_t since,
		   uint32_t *uidvalidity_r, uint32_t *uids_r,
		   struct err *e) MX_MUST_CHECK;

#endif
