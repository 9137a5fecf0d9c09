/*
 * maildir.c - see maildir.h.
 * Layer: mail.  maildir(5).
 */
#include "maildir.h"
#include "clock.h"
#include "num.h"
#include "random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* The number behind "X=" in ",X=123", which ends at a comma or the end. */
static uint64_t
size_of(struct span base, struct span mark)
{
	ssize_t at = span_find(base, mark);
	struct span digits;
	uint64_t v;
	size_t used;

	if (at < 0)
		return MAILDIR_NO_SIZE;
	digits = span_from(base, (size_t)at + mark.n);
	if (!num_prefix(digits, INT64_MAX, &v, &used) ||
	    (used < digits.n && digits.p[used] != ',' && digits.p[used] != '.'))
		return MAILDIR_NO_SIZE;
	return v;
}

static maildir_flags
flags_of(struct span letters)
{
	maildir_flags f = 0;

	for (size_t i = 0; i < letters.n; i++) {
		if (ascii_isalpha(letters.p[i]))
			f |= MAILDIR_BIT(letters.p[i]);
		else if (letters.p[i] == ',')
			break; /* Dovecot: what stands behind is not flags */
	}
	return f;
}

struct span
maildir_name_base(struct span file)
{
	ssize_t colon = span_rchr(file, ':');

	return colon >= 0 ? span_sub(file, 0, (size_t)colon) : file;
}

void
maildir_name_parse(struct maildir_name *r, struct span file)
{
	ssize_t colon = span_rchr(file, ':');

	r->base = file;
	r->flags = 0;
	if (colon >= 0) {
		struct span info = span_from(file, (size_t)colon + 1);

		r->base = span_sub(file, 0, (size_t)colon);
		if (span_starts(info, SPAN("2,")))
			r->flags = flags_of(span_from(info, 2));
	}
	r->size = size_of(r->base, SPAN(",S="));
	r->vsize = size_of(r->base, SPAN(",W="));
}

void
maildir_name_make(struct buf *b, struct span base, maildir_flags flags)
{
	buf_addspan(b, base);
	buf_adds(b, ":2,");
	for (int c = 'A'; c <= 'Z'; c++)
		if (flags & MAILDIR_BIT(c))
			buf_addc(b, (char)c);
	for (int c = 'a'; c <= 'z'; c++)
		if (flags & MAILDIR_BIT(c))
			buf_addc(b, (char)c);
}

int64_t
maildir_name_time(struct span base)
{
	uint64_t s, us = 0;
	size_t used;

	if (!num_prefix(base, INT64_MAX / 4000000, &s, &used))
		return 0;
	base = span_from(base, used);
	if (span_starts(base, SPAN(".M")))
		(void)!num_prefix(span_from(base, 2), 999999, &us, &used);
	return (int64_t)(s * 1000000 + us);
}

void
maildir_name_new(struct buf *b, uint64_t size, uint64_t vsize)
{
	static unsigned long counter;
	char host[65] = "";
	int64_t now = clock_now_us();

	if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
		memcpy(host, "localhost", sizeof("localhost"));
	for (char *p = host; *p != '\0'; p++)
		if (strchr("/:,", *p) != NULL || *p <= ' ')
			*p = '-';
	/* "L" beside deposit.c's counter: both run in one process */
	buf_addf(b, "%lld.M%06lldP%ldQL%luR%08lx.%s",
		 (long long)(now / 1000000), (long long)(now % 1000000),
		 (long)getpid(), counter++,
		 (unsigned long)(random_u64() & 0xffffffff), host);
	if (size != MAILDIR_NO_SIZE)
		buf_addf(b, ",S=%llu", (unsigned long long)size);
	if (vsize != MAILDIR_NO_SIZE)
		buf_addf(b, ",W=%llu", (unsigned long long)vsize);
}

int
maildir_each(int dirfd, const char *sub,
	     int (*fn)(void *ctx, const char *file, size_t n), void *ctx,
	     struct err *e)
{
	int fd =
	    openat(dirfd, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *d;
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return err_sys(e, "opening %s/", sub);
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_sys(e, "reading %s/", sub);
	}
	for (errno = 0; r == 0 && (d = readdir(dir)) != NULL; errno = 0) {
		if (d->d_name[0] == '.' ||
		    (d->d_type != DT_REG && d->d_type != DT_UNKNOWN))
			continue;
		/* a line break would become one in dovecot-uidlist */
		if (span_has_ctl(span_of(d->d_name)))
			continue;
		r = fn(ctx, d->d_name, strlen(d->d_name));
	}
	if (r == 0 && errno != 0)
		r = err_sys(e, "reading %s/", sub);
	closedir(dir);
	return r;
}
