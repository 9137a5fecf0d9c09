/*
 * local.c - see local.h.
 */
#include "local.h"
#include "log.h"
#include "mem.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

enum { NAMES_MAX = 100000 };

/* Sorted by uid; of two names of a uid the first of passwd(5) counts, as with
 * getpwuid(3). */
static struct name {
	uid_t uid;
	size_t place;
	char *name;
} * names;
static size_t nnames;
static uid_t own_uid; /* whoever started us, on a pipe or terminal */

static int
by_uid(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

void
local_load(void)
{
	struct passwd *pw;

	for (size_t i = 0; i < nnames; i++)
		free(names[i].name);
	nnames = 0;
	own_uid = getuid();
	setpwent();
	while (nnames < NAMES_MAX && (pw = getpwent()) != NULL) {
		names = mem_realloc(names, nnames + 1, sizeof(*names));
		names[nnames] = (struct name){ pw->pw_uid, nnames,
					       mem_strdup(pw->pw_name) };
		nnames++;
	}
	endpwent();
	if (nnames > 0)
		qsort(names, nnames, sizeof(*names), by_uid);
}

static char *
name_of(uid_t uid)
{
	size_t from = 0, to = nnames;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (names[mid].uid < uid)
			from = mid + 1;
		else
			to = mid;
	}
	return from < nnames && names[from].uid == uid
		   ? mem_strdup(names[from].name)
		   : mem_printf("%ld", (long)uid);
}

bool
local_begin(struct session *s, struct reply *r)
{
	uid_t uid = s->conn->is_unix ? s->conn->peer_uid : own_uid;

	if (!session_is_local(s)) {
		*r = reply_make(521, "5.3.2",
				"%s takes mail from programs of this host "
				"alone here",
				s->conf->site.myhostname);
		r->close = true;
		return false;
	}
	s->uid = uid;
	s->auth_user = name_of(uid);
	return true;
}
