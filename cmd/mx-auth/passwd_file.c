/*
 * passwd_file.c - reads the lines of a passwd-file.  It opens no file.
 * Dovecot "passwd-file": empty fields and missing ones at the end are fine.
 */
#include "passwd_file.h"

/* A field may not hold a colon, but for an IPv6-like or {..} word none needs
 * one; extra fields are all the rest. */
static struct span
take(struct span *rest)
{
	struct span f;

	return span_split(rest, ':', &f) ? f : SPAN("");
}

bool
passwd_file_next(struct span *rest, struct passwd_line *l)
{
	while (rest->n > 0) {
		ssize_t lf = span_chr(*rest, '\n');
		size_t n = lf < 0 ? rest->n : (size_t)lf;
		struct span line = span_sub(*rest, 0, n);

		l->whole = span_sub(*rest, 0, lf < 0 ? n : n + 1);
		*rest = span_from(*rest, l->whole.n);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0 || line.p[0] == '#' || line.p[0] == ':')
			continue;
		l->user = take(&line);
		l->password = take(&line);
		l->uid = take(&line);
		l->gid = take(&line);
		take(&line); /* gecos */
		l->home = take(&line);
		take(&line); /* shell */
		l->extra = line.p ? line : SPAN("");
		return true;
	}
	return false;
}

bool
passwd_file_find(struct span content, struct span user, struct passwd_line *l)
{
	while (passwd_file_next(&content, l))
		if (user.n == 0 || span_eq(l->user, user))
			return true;
	return false;
}
