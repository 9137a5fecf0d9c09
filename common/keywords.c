/*
 * keywords.c - see keywords.h.
 * Layer: mail.  Dovecot's format.
 */
#include "keywords.h"
#include "dotlock.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "status.h"

#include <stdlib.h>

#define LOCK_MS 60000
#define KEYWORDS_FILE "dovecot-keywords"

void
keywords_free(struct keywords *k)
{
	for (int i = 0; i < MAILDIR_KEYWORDS; i++)
		free(k->name[i]);
	*k = (struct keywords){ { NULL } };
}

bool
keywords_valid(struct span name)
{
	if (name.n == 0 || name.n > 64 || name.p[0] == '\\')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		/* RFC 3501 9: atom; never a line break (THREATS 79) */
		if (c <= 0x20 || c >= 0x7f || strchr("(){%*\"\\]", c) != NULL)
			return false;
	}
	return true;
}

bool
keywords_parse(struct keywords *k, struct span bytes)
{
	struct span line;
	bool good = true;

	while (span_split(&bytes, '\n', &line)) {
		uint64_t i;
		size_t used;
		struct span name;

		if (line.n == 0)
			continue;
		if (!num_prefix(line, MAILDIR_KEYWORDS - 1, &i, &used) ||
		    used == line.n || line.p[used] != ' ') {
			good = false;
			continue;
		}
		name = span_from(line, used + 1);
		if (!keywords_valid(name) || k->name[i] != NULL ||
		    keywords_find(k, name) >= 0) {
			good = false;
			continue;
		}
		k->name[i] = mem_spandup(name);
	}
	return good;
}

int
keywords_read(struct keywords *k, int dirfd, struct err *e)
{
	struct buf b = BUF_INIT;

	if (dotlock_read(dirfd, KEYWORDS_FILE, &b, e) != 0) {
		buf_free(&b);
		return -1;
	}
	keywords_free(k);
	if (!keywords_parse(k, buf_span(&b)))
		log_warn(KEYWORDS_FILE ": damaged lines are passed over");
	buf_free(&b);
	return 0;
}

int
keywords_find(const struct keywords *k, struct span name)
{
	for (int i = 0; i < MAILDIR_KEYWORDS; i++)
		if (k->name[i] != NULL && span_iis(name, k->name[i]))
			return i;
	return -1;
}

/* Lines of one word whose names we would not have given are kept as they are,
 * and their letters are taken: messages have them. */
static int
keep_strange(const struct keywords *k, int dirfd, struct buf *kept, bool *taken,
	     struct err *e)
{
	struct buf bytes = BUF_INIT;
	struct span rest, line;
	int r = dotlock_read(dirfd, KEYWORDS_FILE, &bytes, e);

	rest = buf_span(&bytes);
	while (r == 0 && span_split(&rest, '\n', &line)) {
		uint64_t i;
		size_t used;

		if (!num_prefix(line, MAILDIR_KEYWORDS - 1, &i, &used) ||
		    used + 1 >= line.n || line.p[used] != ' ' || taken[i] ||
		    k->name[i] != NULL ||
		    span_has_ctl(span_from(line, used + 1)) ||
		    span_chr(span_from(line, used + 1), ' ') >= 0)
			continue;
		taken[i] = true;
		buf_addspan(kept, line);
		buf_addc(kept, '\n');
	}
	buf_free(&bytes);
	return r;
}

static int
add_locked(struct keywords *k, struct dotlock *l, struct span name,
	   struct err *e)
{
	bool taken[MAILDIR_KEYWORDS] = { false };
	struct buf b = BUF_INIT;
	int at, r;

	if (keep_strange(k, l->dirfd, &b, taken, e) != 0) {
		buf_free(&b);
		return -1;
	}
	for (at = 0;
	     at < MAILDIR_KEYWORDS && (taken[at] || k->name[at] != NULL);)
		at++;
	if (at == MAILDIR_KEYWORDS)
		buf_free(&b);
	if (at == MAILDIR_KEYWORDS)
		return -2;
	k->name[at] = mem_spandup(name);
	for (int i = 0; i < MAILDIR_KEYWORDS; i++)
		if (k->name[i] != NULL)
			buf_addf(&b, "%d %s\n", i, k->name[i]);
	r = dotlock_replace(l, KEYWORDS_FILE, buf_span(&b), e);
	buf_free(&b);
	if (r != 0) {
		free(k->name[at]);
		k->name[at] = NULL;
		return -1;
	}
	return at;
}

int
keywords_add(struct keywords *k, int dirfd, struct span name, struct err *e)
{
	struct dotlock l;
	int at = keywords_find(k, name);

	if (at >= 0)
		return at;
	if (!keywords_valid(name))
		return err_set(e, ST_DATA, "this is no name for a keyword");
	if (dotlock_take(&l, dirfd, KEYWORDS_FILE, clock_deadline(LOCK_MS),
			 e) != 0)
		return -1;
	at = -1;
	if (keywords_read(k, dirfd, e) == 0) {
		at = keywords_find(k, name);
		if (at < 0)
			at = add_locked(k, &l, name, e);
	}
	dotlock_drop(&l);
	return at;
}
