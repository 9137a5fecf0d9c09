/*
 * notify.h - NOTIFY: what happens in the selected mailbox and in others is told
 * while no command runs.  RFC 5465.
 */
#ifndef IMAPD_NOTIFY_H
#define IMAPD_NOTIFY_H

#include "fetch.h"

#define NOTIFY_BOXES 500 /* mailboxes that one session watches */

enum {
	NOTIFY_NEW = 1,
	NOTIFY_EXPUNGE = 2,
	NOTIFY_FLAG = 4,
	NOTIFY_NAME = 8,
	NOTIFY_SUBSCRIPTION = 16,
	NOTIFY_NOTES = 32,       /* MailboxMetadataChange */
	NOTIFY_SERVER_NOTES = 64 /* ServerMetadataChange */
};
#define NOTIFY_MESSAGE (NOTIFY_NEW | NOTIFY_EXPUNGE | NOTIFY_FLAG)

enum notify_which {
	NOTIFY_SELECTED,
	NOTIFY_DELAYED,
	NOTIFY_PERSONAL,
	NOTIFY_SUBSCRIBED,
	NOTIFY_SUBTREE,
	NOTIFY_MAILBOXES
};
struct notify_group {
	enum notify_which which;
	struct strs names; /* canonical */
	unsigned events;
};
/* What the annotations of a mailbox were: a sum stands for a value. */
struct notify_notes {
	struct notify_note {
		char *name;
		uint64_t sum;
	} * v;
	size_t n, cap;
	bool known; /* looked at before: what differs now is news */
};
/* A mailbox of the tree, and what it was when last looked at. */
struct notify_box {
	char *name;
	uint64_t ino;
	unsigned events; /* NOTIFY_... */
	int wd[3];       /* new/, cur/ and the folder itself, or -1 */
	bool dirty;
	bool dirty_notes;
	struct notify_notes notes;
	size_t messages, unseen;
	uint32_t uidnext, uidvalidity;
	uint64_t modseq;
};
struct notify {
	struct notify_group *v;
	size_t n, cap;
	bool status;       /* tell STATUS at once */
	unsigned selected; /* events of the selected mailbox */
	bool delayed;      /* its EXPUNGEs wait for a command */
	struct fetch att;  /* told of a new message */
	int fd;            /* inotify, or -1: only the selected mailbox */
	int root_wd;
	bool look; /* names or subscriptions may have changed */
	struct notify_box *boxes;
	size_t nboxes;
	struct strs subs;
	struct notify_notes notes; /* the server's */
	bool dirty_notes;
};

/* Behind "NOTIFY SET": false with s->p.bad, or *refusal_r->text set. */
bool notify_parse(struct session *s, struct notify *nf,
		  struct result *refusal_r) MX_MUST_CHECK;
void notify_free(struct notify *nf);

/* notify_boxes.c.  The tree as it is now, and its watches; -1: too much to
 * watch.  tell: what differs from before is told. */
int notify_look(struct session *s, struct notify *nf, bool tell,
		struct err *e) MX_MUST_CHECK;
/* Takes the events that came, and tells what they mean. */
int notify_events(struct session *s, struct notify *nf,
		  struct err *e) MX_MUST_CHECK;
/* STATUS of all that is watched (NOTIFY SET STATUS). */
void notify_status(struct session *s, struct notify *nf);

/* notify_notes.c.  Annotations of a mailbox ("": the server) as they are now;
 * tell: the names of those that differ from before are told (RFC 5465 5.6,
 * 5.7).  What cannot be read is as it was. */
void notify_notes_look(struct session *s, struct notify_notes *notes,
		       const char *mailbox, bool tell);
void notify_notes_free(struct notify_notes *notes);

/* Without NOTIFY these do what a session does anyway. */
/* Untagged news of the selected mailbox; own: the client's own doing. */
void notify_report(struct session *s, bool expunge_too, bool own);
/* News of all; false: the connection cannot go on. */
bool notify_tell(struct session *s, bool expunge_too);
/* Until the client says something. */
void notify_wait(struct session *s);
/* Before and behind a command that changes names or subscriptions. */
void notify_own_names(struct session *s, bool before);
/* To be polled, or -1. */
int notify_fd(const struct session *s);
void notify_done(struct session *s);

#endif
