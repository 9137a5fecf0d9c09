/*
 * milter_process.c - Socket, UserID, UMask and BaseDirectory; see
 * milter_process.h.
 * Layer: mail.
 */
#include "milter_process.h"
#include "log.h"
#include "mem.h"
#include "milter.h"
#include "status.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

/* "0007" */
static bool
octal(struct span v, unsigned *r)
{
	unsigned n = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '7')
			return false;
		n = n * 8 + (unsigned)(v.p[i] - '0');
		if (n > 0777)
			return false;
	}
	*r = n;
	return v.n > 0;
}

static void
set(char **at, struct span v)
{
	free(*at);
	*at = v.n > 0 ? mem_spandup(v) : NULL;
}

static int
enter(struct span v, struct err *e)
{
	char *dir = mem_spandup(v);
	int r = chdir(dir) != 0 ? err_sys(e, "%s", dir) : 0;

	free(dir);
	return r;
}

int
milter_process_word(struct milter_process *p, struct span name,
		    struct span value, struct err *e)
{
	struct span user;

	if (span_iis(name, "Socket")) {
		set(&p->socket, value);
	} else if (span_iis(name, "UserID")) {
		(void)span_split(&value, ':', &user);
		set(&p->user, user);
		set(&p->group, value);
	} else if (span_iis(name, "UMask")) {
		p->has_umask = octal(value, &p->umask);
		if (!p->has_umask)
			return err_set(e, ST_CONFIG,
				       "UMask: expected an octal number");
	} else if (span_iis(name, "BaseDirectory")) {
		return enter(value, e);
	} else {
		return 1;
	}
	return 0;
}

int
milter_process_apply(const struct milter_process *p, const char *path,
		     struct server_options *o, struct server_mode *mode,
		     char **user, struct err *e)
{
	static char *no_group;
	struct buf at = BUF_INIT;

	if (o->listen.n == 0 && p->socket != NULL &&
	    getenv("LISTEN_FDS") == NULL) {
		if (!milter_socket(span_of(p->socket), &at))
			return err_set(e, ST_CONFIG,
				       "%s: Socket %s: inet:PORT@HOST or "
				       "local:PATH is expected",
				       path, p->socket);
		strs_add(&o->listen, buf_str(&at));
		buf_free(&at);
	}
	if (p->has_umask)
		mode->unix_mode = 0666 & ~p->umask;
	if (p->user != NULL && getpwnam(p->user) == NULL) {
		log_warn("%s: UserID %s: there is no such user: %s is taken",
			 path, p->user, *user);
	} else if (p->user != NULL) {
		free(*user);
		*user = mem_strdup(p->user);
		mode->owner = &p->user;
		mode->group = p->group != NULL ? &p->group : &no_group;
	}
	return 0;
}
