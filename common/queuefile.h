/*
 * queuefile.h - the queue: one file an entry; envelope in text, message,
 * trailer, journal of attempts.  The format is mx-queue(5).
 * Layer: mail.  DESIGN 3.9, 3.11 and 4 (mx-deliver).  $queue_directory holds
 *   queue/XX/ID  256 folders, XX from a checksum of ID
 *   tmp/         entries being written
 *   corrupt/     what is not a whole entry
 * An entry's mtime is the time of its next attempt.
 */
#ifndef MX_QUEUEFILE_H
#define MX_QUEUEFILE_H

#include "deposit.h"
#include "strs.h"

/* States of a recipient: the letter its line begins with. */
#define QUEUEFILE_QUEUED 'Q'
#define QUEUEFILE_DONE 'D'   /* delivered, or nothing more is to be done */
#define QUEUEFILE_FAILED 'F' /* failed for good, the report is not made yet */
#define QUEUEFILE_TOLD 'B'   /* failed, and the report (if any) is queued */
/* State of the entry as a whole: queued, or on hold. */
#define QUEUEFILE_HELD 'H'

struct queuefile_rcpt {
	char state;
	char *addr;        /* where it goes now */
	char *original;    /* as it came (X-Original-To), or NULL */
	char *orcpt;       /* "rfc822;bob@example.org", decoded, or NULL */
	char *notify;      /* "NEVER" or "SUCCESS,FAILURE,DELAY", or NULL */
	struct strs other; /* unknown " name: value" lines, kept */
	int64_t at;        /* reader: offset of the letter */
};

/* Flags of an entry. */
#define QUEUEFILE_8BIT 1u     /* body holds bytes above 0x7f */
#define QUEUEFILE_UTF8 2u     /* MAIL had SMTPUTF8 */
#define QUEUEFILE_FILTERED 4u /* filters and content_filter are behind it */
#define QUEUEFILE_REQUIRETLS 8u
#define QUEUEFILE_INBOUND 16u /* came from a stranger */

/* All strings are owned (mem.h); NULL or "": not known, no line is written. */
struct queuefile_env {
	char *id;           /* queue ID: letters, digits, "._-", at most 60 */
	char *sender;       /* "" is the null sender */
	int64_t arrival_us; /* microseconds since 1970; 0: now */
	unsigned flags;
	bool hold;   /* arrives on hold */
	char *envid; /* ENVID of RFC 3461, decoded */
	char *ret;   /* "FULL", "HDRS" */
	char *client_addr, *client_name, *client_port, *helo, *proto, *tls,
	    *login;        /* as XFORWARD says them */
	char *transport;   /* overrides routing: "smtp:[127.0.0.1]:10024" */
	struct strs other; /* unknown "name: value" lines, kept */
	struct queuefile_rcpt *rcpt;
	size_t nrcpt, cap;
};

void queuefile_env_free(struct queuefile_env *env);
/* Adds a recipient in state QUEUED; the strings of the result may be filled in
 * with mem_strdup.  The pointer lives until the next add. */
struct queuefile_rcpt *queuefile_env_add(struct queuefile_env *env,
					 const char *addr);
/* Is this a queue ID (and so a safe file name)? */
bool queuefile_id_ok(struct span id);
/* A new one: microseconds and randomness, never seen before. */
void queuefile_id_new(char *id_r, size_t size); /* size >= 24 */

/* Opens $queue_directory, making it (0700) and the folders in it where they
 * are missing.  Returns a directory descriptor or -1. */
int queuefile_dir(const char *path, struct err *e) MX_MUST_CHECK;

/* Writing: create, write..., commit.  The message is LF bytes, streamed. */
struct queuefile_writer {
	struct deposit d;
	char id[64];   /* after commit: the name it got, see below */
	uint64_t size; /* message bytes */
	uint64_t size_at;
	uint32_t crc;
	bool later; /* set after create: not due for a minute, see release */
};
/* Writes the envelope.  A control byte in any value, no recipient or a bad ID
 * is refused with ST_DATA: nothing from outside splits a line here. */
int queuefile_create(struct queuefile_writer *w, int dirfd,
		     const struct queuefile_env *env,
		     struct err *e) MX_MUST_CHECK;
int queuefile_write(struct queuefile_writer *w, const void *p, size_t n,
		    struct err *e) MX_MUST_CHECK;
/* Makes it durable (rename, one fsync): only then may 2xx be said.  An entry
 * of the same ID is never replaced: w->id becomes "ID.2" and so on.  On
 * failure nothing is left behind. */
int queuefile_commit(struct queuefile_writer *w, struct err *e) MX_MUST_CHECK;
/* Makes an entry that was committed with `later` due now.  Until then no
 * runner looks at it, so that it can still be undone; should that never be
 * said (a crash), it is due a minute later. */
void queuefile_release(struct queuefile_writer *w);
/* Takes the commit back (another recipient's write failed). */
void queuefile_undo(struct queuefile_writer *w);
/* Gives up before commit. */
void queuefile_abort(struct queuefile_writer *w);

/* Reading and working on an entry. */
struct queuefile {
	int dirfd, fd;
	char id[64];    /* name of the file: what logs and tools say */
	char place[80]; /* "queue/XX/ID" */
	struct queuefile_env env;
	uint64_t msg_at, msg_size; /* the message inside fd */
	uint64_t journal_at;       /* behind the trailer */
	int64_t end;               /* of the journal; 0: not known */
	time_t next;               /* next attempt */
	bool locked;
};

enum queuefile_result {
	QUEUEFILE_OK,
	QUEUEFILE_GONE, /* no such entry (any more) */
	QUEUEFILE_BUSY, /* somebody works on it */
	QUEUEFILE_BAD,  /* not a whole entry; with a lock: moved to corrupt/
			   and logged, unless it is young (being copied) */
	QUEUEFILE_ERROR /* temporary trouble: e says what */
};
#define QUEUEFILE_LOCK 1u  /* take the lock (read and write) */
#define QUEUEFILE_CHECK 2u /* verify the checksum over the message too */
/* e is filled on anything but OK. */
enum queuefile_result queuefile_open(struct queuefile *q, int dirfd,
				     const char *id, unsigned how,
				     struct err *e) MX_MUST_CHECK;
/* Parses the envelope lines at the beginning of `bytes`; *used_r: with the
 * empty line.  -1 and a sentence when malformed; env is empty then. */
int queuefile_parse(struct queuefile_env *env, struct span bytes,
		    size_t *used_r, uint64_t *size_r,
		    struct err *e) MX_MUST_CHECK;
/* Message bytes from `at` (0: its first); 0 at its end, -1 and errno. */
ssize_t queuefile_read(const struct queuefile *q, uint64_t at, void *p,
		       size_t n);
/* A second, read-only descriptor positioned at the message's first byte
 * (msg_size bytes of it are the message), for a child's stdin. */
int queuefile_message_fd(const struct queuefile *q,
			 struct err *e) MX_MUST_CHECK;
/* Overwrites the letter of recipient i.  Written, not synced: DESIGN 3.9. */
int queuefile_mark(struct queuefile *q, size_t i, char state,
		   struct err *e) MX_MUST_CHECK;
/* Puts the entry on hold or releases it. */
int queuefile_hold(struct queuefile *q, bool hold, struct err *e) MX_MUST_CHECK;
/* How many recipients are in that state? */
size_t queuefile_count(const struct queuefile *q, char state);

/* A line of the journal. */
struct queuefile_note {
	int64_t time;      /* seconds */
	size_t rcpt;       /* index; SIZE_MAX: the entry as a whole */
	struct span word;  /* sent, deferred, bounced, expired, delayed ... */
	struct span dsn;   /* "4.4.1" or "-" */
	struct span relay; /* host[addr]:port or "none" */
	struct span text;
};
/* Appends one; what is not printable in it is escaped.  time 0: now. */
int queuefile_note(struct queuefile *q, const struct queuefile_note *n,
		   struct err *e) MX_MUST_CHECK;
/* Visits the journal in order; half lines (a crash) are skipped. */
int queuefile_notes(const struct queuefile *q,
		    void (*fn)(void *ctx, const struct queuefile_note *n),
		    void *ctx, struct err *e) MX_MUST_CHECK;
/* Sets the time of the next attempt (mtime).  Call it last: marks and notes
 * make the entry due now. */
int queuefile_next(struct queuefile *q, time_t when,
		   struct err *e) MX_MUST_CHECK;
/* The same for who works on the entry now, should it die: no event tells the
 * runner, which knows that somebody works on it. */
int queuefile_ahead(struct queuefile *q, time_t when,
		    struct err *e) MX_MUST_CHECK;
/* Removes the entry; close it after that. */
int queuefile_remove(struct queuefile *q, struct err *e) MX_MUST_CHECK;
/* Unlocks and frees. */
void queuefile_close(struct queuefile *q);

/* Visits every entry's name, without opening it, folder by folder in bounded
 * memory; fn returns false to stop.  Returns 0, or -1 on trouble. */
struct queuefile_found {
	const char *id;
	time_t next;   /* mtime */
	int64_t bytes; /* of the file */
};
int queuefile_scan(int dirfd,
		   bool (*fn)(void *ctx, const struct queuefile_found *f),
		   void *ctx, struct err *e) MX_MUST_CHECK;
/* The same from *folder on: it is then the folder in which fn said stop, or 256
 * when all were visited. */
int queuefile_scan_from(int dirfd, unsigned *folder,
			bool (*fn)(void *ctx, const struct queuefile_found *f),
			void *ctx, struct err *e) MX_MUST_CHECK;
/* Removes what a crash left in tmp/, older than `age` seconds. */
void queuefile_sweep(int dirfd, int64_t age);

#endif
