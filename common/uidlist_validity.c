/*
 * uidlist_validity.c - the identity of mailboxes: UIDVALIDITY numbers, given
 * out once in a mail root, and what RFC 8474 calls MAILBOXID.
 * Layer: mail.  RFC 3501 2.3.1.1; Dovecot's dovecot-uidvalidity files.
 */
#include "uidlist_int.h"
#include "num.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define VALIDITY_FILE "dovecot-uidvalidity"
/* Others that give out numbers at the same moment. */
#define TRIES 100

/*
 * One try.  The number in dovecot-uidvalidity (hex) is advice; what is true is
 * the name of the empty file beside it, dovecot-uidvalidity.HEX: making that
 * file can succeed for one process only.  0 with *next_r; 1: another was
 * faster; -1 and e.
 */
static int
validity_try(int root, unsigned try, uint32_t *next_r, struct err *e)
{
	struct buf b = BUF_INIT;
	char old[64], new[64];
	uint64_t last, next = (uint64_t)clock_now();

	if (dotlock_read(root, VALIDITY_FILE, &b, e) != 0) {
		buf_free(&b);
		return -1;
	}
	if (!num_hex(span_trim(buf_span(&b)), UINT32_MAX - 1, &last))
		last = 0;
	buf_free(&b);
	/* At least the time, so that a root whose files were deleted does not
	 * begin anew with numbers that clients know; and above the last one:
	 * others may have gone on without writing it down. */
	if (next <= last + try)
		next = last + try + 1;
	*next_r = (uint32_t)next;
	if (*next_r == 0) /* RFC 3501: nz-number */
		*next_r = 1;
	snprintf(old, sizeof(old), VALIDITY_FILE ".%08lx", (unsigned long)last);
	snprintf(new, sizeof(new), VALIDITY_FILE ".%08lx",
		 (unsigned long)*next_r);
	int fd =
	    openat(root, new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return errno == EEXIST ? 1 : err_sys(e, "%s: making it", new);
	close(fd);
	(void)unlinkat(root, old, 0);
	return 0;
}

/* Written over in place: eight digits before, eight digits then. */
static int
validity_note(int root, uint32_t validity, struct err *e)
{
	char text[16];
	int fd = openat(root, VALIDITY_FILE,
			O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = 0;

	snprintf(text, sizeof(text), "%08lx", (unsigned long)validity);
	if (fd < 0 || pwrite(fd, text, 8, 0) != 8)
		r = err_sys(e, VALIDITY_FILE ": writing");
	if (fd >= 0 && close(fd) != 0 && r == 0)
		r = err_sys(e, VALIDITY_FILE ": closing");
	return r;
}

uint32_t
uidlist_validity(int root, struct err *e)
{
	uint32_t next = 0;
	int r = 1;

	for (unsigned i = 0; r > 0 && i < TRIES; i++)
		r = validity_try(root, i, &next, e);
	if (r > 0)
		r = err_set(e, ST_TEMPFAIL,
			    VALIDITY_FILE ": %d numbers in a row are taken",
			    TRIES);
	if (r == 0)
		r = validity_note(root, next, e);
	return r == 0 ? next : 0;
}

void
uidlist_id(struct buf *b, const struct uidlist *u)
{
	struct span rest = buf_span(&u->guid), word;

	while (span_word(&rest, " ", &word)) {
		if (word.p[0] == 'G' && word.n > 1) {
			buf_addspan(b, word);
			return;
		}
	}
	/* an old list without one: the validity is as unique */
	buf_addf(b, "V%lu", (unsigned long)u->uidvalidity);
}

bool
uidlist_id_of(struct buf *b, int dirfd)
{
	struct uidlist head = { .uidvalidity = 0 };
	char line[512];
	int fd = openat(dirfd, UIDLIST_NAME,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : pread(fd, line, sizeof(line), 0);
	ssize_t lf = n <= 0 ? -1 : span_chr(span_make(line, (size_t)n), '\n');
	bool ok =
	    lf > 0 && uidlist_parse_header(&head, span_make(line, (size_t)lf));

	if (ok)
		uidlist_id(b, &head);
	buf_free(&head.guid);
	if (fd >= 0)
		close(fd);
	return ok;
}
