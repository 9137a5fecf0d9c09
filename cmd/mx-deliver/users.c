/*
 * users.c - who has a mailbox here.
 * Dovecot auth protocol (master side), getpwnam(3).
 */
#include "users.h"
#include "authclient.h"
#include "clock.h"
#include "conf.h"
#include "endpoint.h"
#include "log.h"
#include "mem.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#define KEPT_MAX 2000
#define ASK_MS 10000

/* One answer: a user, or that there is none. */
struct kept {
	bool found;
	int64_t until;
	struct user u;
};

static struct map *cache;
static struct authmaster master;
static bool connected;

/* A user who was handed out lives until the next question: users_find says so.
 */
static void
kept_free(void *p)
{
	struct kept *k = p;

	free(k->u.name);
	free(k->u.home);
	free(k->u.mail);
	free(k);
}

void
users_forget(void)
{
	map_free(cache, kept_free);
	cache = NULL;
}

/* Of "joe@example.org"; the whole where there is no domain. */
static struct span
local_part(struct span name)
{
	ssize_t at = span_rchr(name, '@');

	return at < 0 ? name : span_sub(name, 0, (size_t)at);
}

/* A name that is put into a path leads nowhere else.  THREATS 23. */
static bool
name_ok(struct span name)
{
	struct span rest = name, part;

	if (name.n == 0 || name.n > 320 || span_has_ctl(name) ||
	    span_chr(name, '/') >= 0)
		return false;
	while (span_split(&rest, '@', &part))
		if (part.n == 0 || part.p[0] == '.')
			return false;
	return true;
}

/* One %-variable of Dovecot's; false where it has no value here. */
static bool
expand_letter(struct buf *b, char c, struct span name, const char *home)
{
	ssize_t at = span_rchr(name, '@');

	/* a catch-all of virtual_mailbox_maps takes "joe/old@", too */
	if (strchr("und", c) != NULL && !name_ok(name))
		return false;
	if (c == '%')
		buf_addc(b, '%');
	else if (c == 'u')
		buf_addspan(b, name);
	else if (c == 'n')
		buf_addspan(b, local_part(name));
	else if (c == 'd')
		buf_addspan(b, at < 0 ? SPAN("")
				      : span_from(name, (size_t)at + 1));
	else if (c == 'h' && home != NULL && home[0] != '\0')
		buf_adds(b, home);
	else
		return false;
	return true;
}

bool
users_expand(struct buf *b, const char *text, const char *name,
	     const char *home)
{
	bool start = true;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '~' && start && (p[1] == '/' || p[1] == '\0')) {
			if (home == NULL || home[0] == '\0')
				return false;
			buf_adds(b, home);
		} else if (*p == '%' && p[1] != '\0') {
			if (!expand_letter(b, *++p, span_of(name), home))
				return false;
		} else {
			buf_addc(b, *p);
		}
		start = *p == ':' || *p == '=';
	}
	return true;
}

/* getpwnam tells "nobody of that name" from "cannot say" only by errno: the
 * first alone may become 550. */
static enum table_result
ask_system(struct span name, struct user *u, struct err *e)
{
	char *cname = mem_spandup(name);
	struct passwd pw, *found = NULL;
	static char text[16384];
	int r = getpwnam_r(cname, &pw, text, sizeof(text), &found);

	free(cname);
	if (found == NULL) {
		/* getpwnam(3): these say "no such user" */
		if (r == 0 || r == ENOENT || r == ESRCH || r == EBADF ||
		    r == EPERM)
			return TABLE_NONE;
		errno = r;
		err_sys(e, "the system's user database");
		return TABLE_TRY_AGAIN;
	}
	*u = (struct user){ .name = mem_strdup(pw.pw_name),
			    .home = mem_strdup(pw.pw_dir),
			    .uid = pw.pw_uid,
			    .gid = pw.pw_gid,
			    .has_ids = true,
			    .system = true };
	return TABLE_FOUND;
}

/* Kept: a connection a recipient would cost more than the question. */
static int
master_connect(struct err *e)
{
	struct endpoint ep;
	int fd;

	if (endpoint_parse(&ep, span_of(conf.auth_master_socket),
			   site.run_directory, e) != 0)
		return -1;
	fd = endpoint_connect(&ep, clock_deadline(ASK_MS), e);
	endpoint_free(&ep);
	if (fd < 0 ||
	    authmaster_open(&master, fd, clock_deadline(ASK_MS), e) != 0)
		return -1;
	connected = true;
	return 0;
}

/* quota_rule=*:bytes=..., quota_rule2=..., or the old quota=maildir:... */
static void
find_quota(struct user *u, const struct strs *fields)
{
	for (size_t i = 0; i < fields->n; i++) {
		struct span value = span_of(fields->v[i]), name;

		if (!span_starts(value, SPAN("quota")) ||
		    !span_split(&value, '=', &name) || value.p == NULL)
			continue;
		if ((span_is(name, "quota") ||
		     span_starts(name, SPAN("quota_rule"))) &&
		    !quota_rule(&u->quota, value))
			log_warn("userdb: %s of %s is no rule for a quota: "
				 "expected *:storage=1G:messages=1000",
				 fields->v[i], u->name);
	}
}

/* The server may have ended since: one new connection is tried. */
static enum table_result
ask_master(struct span name, struct user *u, struct err *e)
{
	char *cname = mem_spandup(name);
	struct auth_user au = { .user = NULL };
	enum auth_result r = AUTH_TEMP;

	for (int i = 0; i < 2 && r == AUTH_TEMP; i++) {
		bool fresh = !connected;

		if (!connected && master_connect(e) != 0)
			break;
		r = authmaster_user(&master, cname, "lda", &au,
				    clock_deadline(ASK_MS), e);
		if (r != AUTH_TEMP)
			break;
		authmaster_close(&master);
		connected = false;
		if (fresh)
			break;
	}
	free(cname);
	if (r != AUTH_OK)
		return r == AUTH_FAIL ? TABLE_NONE : TABLE_TRY_AGAIN;
	*u = (struct user){ .name = au.user != NULL ? mem_strdup(au.user)
						    : mem_spandup(name),
			    .home = mem_strdup(au.home ? au.home : ""),
			    .uid = au.uid,
			    .gid = au.gid,
			    .has_ids = au.has_ids };
	if (au.mail != NULL && au.mail[0] != '\0')
		u->mail = mem_strdup(au.mail);
	find_quota(u, &au.fields);
	auth_user_free(&au);
	return TABLE_FOUND;
}

/* Where home_mailbox, mail_location and mail_spool_directory put it. */
static int
find_mail(struct user *u, struct err *e)
{
	struct buf b = BUF_INIT;
	bool ok = true;

	if (u->mail != NULL)
		return 0;
	if (u->system && conf.home_mailbox[0] != '\0') {
		size_t n = strlen(conf.home_mailbox);
		bool dir = conf.home_mailbox[n - 1] == '/';
		buf_addf(&b, "%s:%s/%.*s", dir ? "maildir" : "mbox", u->home,
			 (int)(dir ? n - 1 : n), conf.home_mailbox);
	} else if (conf.mail_location[0] != '\0') {
		ok = users_expand(&b, conf.mail_location, u->name, u->home);
	} else {
		buf_addf(&b, "mbox:%s/%s", conf.mail_spool_directory, u->name);
	}
	u->mail = buf_steal(&b);
	if (!ok)
		return err_set(e, ST_CONFIG,
			       "mail_location = %s: user %s has no home "
			       "directory, or a %%variable is not known",
			       conf.mail_location, u->name);
	return 0;
}

/* mail_uid and mail_gid: one user of the system for all who have none. */
static int
default_ids(struct user *u, struct err *e)
{
	if (u->has_ids || conf.mail_uid[0] == '\0')
		return 0;
	if (sandbox_names(conf.mail_uid, conf.mail_gid, &u->uid, &u->gid, e) !=
	    0) {
		err_prefix(e, "mail_uid, mail_gid");
		return -1;
	}
	u->has_ids = true;
	return 0;
}

enum table_result
users_find(struct span name, const struct user **out, struct err *e)
{
	enum table_result r;
	struct kept *k;
	int64_t now = clock_mono();

	if (!name_ok(name))
		return TABLE_NONE;
	if (cache != NULL && map_count(cache) > KEPT_MAX)
		users_forget();
	if (cache == NULL)
		cache = map_new();
	k = map_get(cache, name);
	if (k != NULL && k->until > now) {
		*out = &k->u;
		return k->found ? TABLE_FOUND : TABLE_NONE;
	}
	k = mem_alloc(1, sizeof(*k));
	r = conf.auth_master_socket[0] != '\0' ? ask_master(name, &k->u, e)
					       : ask_system(name, &k->u, e);
	if (r == TABLE_FOUND &&
	    (find_mail(&k->u, e) != 0 || default_ids(&k->u, e) != 0))
		r = TABLE_TRY_AGAIN;
	if (r == TABLE_TRY_AGAIN) {
		kept_free(k);
		return r;
	}
	k->found = r == TABLE_FOUND;
	/* "no such user" is asked again sooner: it may have been added */
	k->until = now + (k->found ? conf.userdb_cache_time : 1000);
	*out = &k->u;
	void *old = map_put(cache, name, k);
	if (old != NULL)
		kept_free(old);
	return r;
}
