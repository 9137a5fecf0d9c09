/*
 * srs.h - the Sender Rewriting Scheme: addresses of forwarded mail that lead
 * bounces back, and nobody else.
 * Layer: mail.  http://www.openspf.org/SRS; hashes and time stamps as libsrs2
 * and postsrsd have them, so that either takes the other's addresses.
 */
#ifndef MX_SRS_H
#define MX_SRS_H

#include "buf.h"
#include "err.h"
#include "strs.h"

struct srs {
	const char *domain;  /* what stands behind the @ */
	struct strs secrets; /* the first one signs, each one verifies */
	int64_t max_age;     /* days */
	size_t hash_length;  /* 4 to 28 letters of the hash are written */
	char separator;      /* behind SRS0 and SRS1: = + - */
};

/* One secret a line; empty lines and lines with # do not count. */
int srs_read_secrets(struct srs *s, const char *path,
		     struct err *e) MX_MUST_CHECK;
/* local@domain -> SRS0=HHHH=TT=domain=local@ours; an SRS0 or SRS1 address of
 * another host becomes SRS1.  now: seconds since 1970.  -1: no address that
 * can be rewritten. */
int srs_forward(const struct srs *s, struct buf *out, struct span addr,
		int64_t now, struct err *e) MX_MUST_CHECK;
/* And back.  -1 with 5.1.1: no SRS address, a hash that is not ours, or one
 * that is too old. */
int srs_reverse(const struct srs *s, struct buf *out, struct span addr,
		int64_t now, struct err *e) MX_MUST_CHECK;
/* Does the local part begin with SRS0 or SRS1 and a separator? */
bool srs_is(struct span local);

#endif
