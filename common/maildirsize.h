/*
 * maildirsize.h - the quota of a mail root in Maildir++'s file maildirsize:
 * limits in the first line ("1000000S,1000C"), then what came and went.
 * Layer: mail.  http://www.inter7.com/courierimap/README.maildirquota.html; as
 * Dovecot's and Courier's readers have it.  Who adds mail appends a line; a
 * file that has grown past 5,120 bytes is summed up anew from the folders.
 */
#ifndef MX_MAILDIRSIZE_H
#define MX_MAILDIRSIZE_H

#include "buf.h"
#include "err.h"

struct maildirsize {
	bool exists;
	uint64_t max_bytes, max_count; /* 0: no limit */
	int64_t bytes, count;          /* used */
	size_t file_n;                 /* bytes of the file */
};

/* The first line's limits, the sum of all others; lines that are none count
 * nothing, sums below 0 are 0. */
void maildirsize_parse(struct maildirsize *m, struct span bytes);
/* A missing file is no quota; -1 and e when it is there and cannot be read. */
int maildirsize_read(struct maildirsize *m, int root,
		     struct err *e) MX_MUST_CHECK;
/* Counts all folders and writes the file with m's limits.  Where something
 * cannot be read the file stays as it is. */
void maildirsize_sum(int root, const struct maildirsize *m);
/* May so much come in? */
bool maildirsize_fits(const struct maildirsize *m, uint64_t bytes,
		      uint64_t count);
/* The same of the mail root: what does not fit is counted anew before anybody
 * is refused, for other programs remove mail, too, and note nothing. */
bool maildirsize_room(int root, uint64_t bytes, uint64_t count);
/* Counts anew where there is a file at all: whole folders went. */
void maildirsize_again(int root);
/* Notes what came (or went: negative).  Where there is no file nothing is
 * done.  Never fails: the sum is made anew from time to time. */
void maildirsize_note(int root, int64_t bytes, int64_t count);

#endif
