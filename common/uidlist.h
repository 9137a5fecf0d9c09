/*
 * uidlist.h - the UIDs of a mailbox in Dovecot's own file dovecot-uidlist
 * (version 3; 1 is read), under Dovecot's dotlock, and dovecot-uidvalidity of
 * the mail root.
 * Layer: mail.  The reader tolerates, the writer asserts.  A UID is on stable
 * storage before anyone is told of it.
 */
#ifndef MX_UIDLIST_H
#define MX_UIDLIST_H

#include "dotlock.h"
#include "err.h"
#include "maildir.h"
#include "siphash.h"
#include "strs.h"

#define UIDLIST_TAIL 64

struct uidlist_entry {
	uint32_t uid;
	uint32_t hash; /* of its base name */
	uint32_t name_n, ext_n;
	size_t name, ext; /* offsets into text: BASE, and "W12 P9 " */
};
struct uidlist {
	uint32_t uidvalidity;    /* 0: none yet */
	uint32_t uidnext;        /* at least 1 */
	struct buf guid;         /* header's other words, "Gxxxx" and unknown */
	struct uidlist_entry *v; /* ascending uid */
	size_t n, cap;
	struct buf text;
	/* Base name -> entry: open addressing; the names are those in `text`,
	 * so that a list of a million costs no memory beside itself. */
	struct uidlist_slot {
		uint32_t at; /* entry number + 1, 0: free */
		uint32_t hash;
	} * slots;
	size_t nslots; /* a power of two, or 0 */
	struct siphash_key key;
	size_t skipped; /* damaged lines that were passed over */
	/* Only what was appended since `lazy_size` is in memory: the facts of
	 * the rest came from elsewhere (uidlist_assume). */
	bool lazy;
	/* which file this is; to see whether it was replaced, or grew */
	struct uidlist_file {
		uint64_t dev, ino, size;
		int64_t mtime_ns;
		char tail[UIDLIST_TAIL]; /* its last bytes */
	} file;
};
void uidlist_init(struct uidlist *u);
void uidlist_done(struct uidlist *u);
/* Parses bytes (for tests and fuzzing): false when the header is not one;
 * lines that are none are passed over and counted. */
bool uidlist_parse(struct uidlist *u, struct span bytes) MX_MUST_CHECK;
/* Reads dirfd's dovecot-uidlist where it is another file than last time.  A
 * missing or unreadable header leaves uidvalidity 0 (uidlist_renew then);
 * -1 only when reading failed.  uidnext never goes down while the validity
 * stays. */
int uidlist_read(struct uidlist *u, int dirfd, struct err *e) MX_MUST_CHECK;
/* The facts of a file that an index remembers: its entries are not read until
 * uidlist_read_all. */
void uidlist_assume(struct uidlist *u, const struct uidlist_file *file,
		    uint32_t uidvalidity, uint32_t uidnext, struct span guid);
/* RFC 8474: what names the mailbox for good, appended; the second by the file
 * alone, false when it has no header yet. */
void uidlist_id(struct buf *b, const struct uidlist *u);
bool uidlist_id_of(struct buf *b, int dirfd) MX_MUST_CHECK;
/* Reads it, lazy or not. */
int uidlist_read_all(struct uidlist *u, int dirfd, struct err *e) MX_MUST_CHECK;
/* Does the part that was not read name this base?  -1: cannot tell. */
int uidlist_lazy_has(const struct uidlist *u, int dirfd, struct span base);
/* Is the file still the one that was read (or written)? */
bool uidlist_current(const struct uidlist *u, int dirfd);
/* The UID of a file (its base name), or 0. */
uint32_t uidlist_find(const struct uidlist *u, struct span base);
/* Dovecot's words before the name, e.g. "W12 P7 ". */
struct span uidlist_ext(const struct uidlist *u, struct span base);
struct span uidlist_base(const struct uidlist *u, size_t i);
/* Gives the next UID to a base name; 0 when there is no UID left (then
 * uidlist_renew).  The span may not hold control bytes. */
uint32_t uidlist_add(struct uidlist *u, struct span base);
/* Forgets every entry for which keep is false. */
void uidlist_filter(struct uidlist *u,
		    bool (*keep)(void *ctx, uint32_t uid, struct span base),
		    void *ctx);
/* Starts over: all entries gone, a new validity (above every other one of
 * this mail root). */
int uidlist_renew(struct uidlist *u, int root, struct err *e) MX_MUST_CHECK;
/* The same with a validity that the mailbox brought along. */
void uidlist_found(struct uidlist *u, uint32_t validity);
/* Writes dovecot-uidlist: a new file, fsync, rename, fsync of the directory.
 * 75, and nothing is written, when the lock was lost since it was taken: the
 * list may have grown, and a UID would be given twice. */
int uidlist_write(struct uidlist *u, int dirfd, const struct dotlock *l,
		  struct err *e) MX_MUST_CHECK;
/* Writes the entries from number `from` on behind the file that was read, as
 * Dovecot does; 1 (nothing is done) where it is not that file any more.  The
 * caller holds the lock. */
int uidlist_append(struct uidlist *u, int dirfd, size_t from,
		   struct err *e) MX_MUST_CHECK;
/* The next UID by the file alone, or 0: every entry that comes later has at
 * least this one. */
uint32_t uidlist_peek(int dirfd);
/* Gives UIDs to bases that came after uidlist_peek gave `since`, reading no
 * more of the file than its end: uids_r[i].  1 (nothing is done): read it as
 * a whole.  The caller holds the lock. */
int uidlist_quick_add(int dirfd, const struct strs *bases, uint32_t since,
		      uint32_t *uidvalidity_r, uint32_t *uids_r,
		      struct err *e) MX_MUST_CHECK;
int uidlist_lock(struct dotlock *l, int dirfd, deadline_t d,
		 struct err *e) MX_MUST_CHECK;

/* The next UIDVALIDITY of a mail root: at least the time, above all that were
 * given out (dovecot-uidvalidity).  0 on failure. */
uint32_t uidlist_validity(int root, struct err *e);

#endif
