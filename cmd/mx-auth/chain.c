/*
 * chain.c - asks the configured databases in order and makes one answer.
 * A source that cannot say never counts as "no such user".
 * Dovecot "Password databases", "User databases".
 */
#include "chain.h"
#include "log.h"
#include "log_failed.h"
#include "mem.h"
#include "oauth.h"
#include "num.h"
#include "scheme.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>

extern const struct db_driver *const __start_mx_auth_db[];
extern const struct db_driver *const __stop_mx_auth_db[];

struct source {
	const struct db_driver *driver;
	char *text; /* as configured */
	const char *arg;
};
struct chain {
	struct source *v;
	size_t n, cap;
};

static struct chain passdbs, userdbs;
static struct strs folders;

void
db_entry_init(struct db_entry *r)
{
	memset(r, 0, sizeof(*r));
}

void
db_entry_free(struct db_entry *r)
{
	strs_free(&r->fields);
	free(r->user);
	free(r->home);
	free(r->mail);
	db_entry_init(r);
}

static int
take_id(struct span text, uint32_t *id, bool *have, struct err *e)
{
	uint64_t n;

	if (text.n == 0)
		return 0;
	/* The last number means "no change" to the kernel. */
	if (!num_u64(text, UINT32_MAX - 1, &n))
		return err_set(e, ST_CONFIG, "\"%.*s\" is no uid or gid",
			       SPAN_ARG(span_sub(text, 0, 40)));
	*id = (uint32_t)n;
	*have = true;
	return 0;
}

/* An empty value is none. */
static void
take_text(char **slot, struct span v)
{
	free(*slot);
	*slot = v.n > 0 ? mem_spandup(v) : NULL;
}

int
db_entry_field(struct db_entry *r, struct span field, struct err *e)
{
	if (span_starts(field, SPAN("uid=")))
		return take_id(span_from(field, 4), &r->uid, &r->has_uid, e);
	if (span_starts(field, SPAN("gid=")))
		return take_id(span_from(field, 4), &r->gid, &r->has_gid, e);
	if (span_starts(field, SPAN("home=")))
		take_text(&r->home, span_from(field, 5));
	else if (span_starts(field, SPAN("mail=")))
		take_text(&r->mail, span_from(field, 5));
	else if (span_starts(field, SPAN("user=")))
		take_text(&r->user, span_from(field, 5));
	else if (field.n > 0)
		strs_addspan(&r->fields, field);
	return 0;
}

/* Drivers register themselves in a section of the program: adding one is
 * adding a file. */
static const struct db_driver *
driver_find(struct span name)
{
	for (const struct db_driver *const *d = __start_mx_auth_db;
	     d < __stop_mx_auth_db; d++)
		if (span_is(name, (*d)->name))
			return *d;
	return NULL;
}

static int
unknown_driver(struct span name, struct err *e)
{
	struct buf known = BUF_INIT;

	for (const struct db_driver *const *d = __start_mx_auth_db;
	     d < __stop_mx_auth_db; d++)
		buf_addf(&known, " %s", (*d)->name);
	err_set(e, ST_CONFIG, "database \"%.*s\" is not known; known are:%s",
		SPAN_ARG(span_sub(name, 0, 40)), buf_str(&known));
	buf_free(&known);
	return -1;
}

/* The old chain after SIGHUP, or a new one that did not load. */
static void
chain_drop(struct chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].text);
	free(c->v);
	memset(c, 0, sizeof(*c));
}

/* "NAME[:ARG]" */
static int
source_add(struct chain *c, const char *word, struct err *e)
{
	struct span text = span_of(word);
	ssize_t colon = span_chr(text, ':');
	struct span name = colon < 0 ? text : span_sub(text, 0, (size_t)colon);
	const struct db_driver *d = driver_find(name);
	struct source *s;

	if (!d)
		return unknown_driver(name, e);
	c->v = mem_grow(c->v, &c->cap, c->n + 1, sizeof(*c->v));
	s = &c->v[c->n++];
	s->driver = d;
	s->text = mem_strdup(word);
	s->arg = colon < 0 ? "" : s->text + colon + 1;
	if (d->check && d->check(s->arg, e) < 0)
		return err_prefix(e, "%s", word);
	return 0;
}

static int
chain_read(struct chain *c, const struct strs *words, const char *name,
	   bool user, struct err *e)
{
	for (size_t i = 0; i < words->n; i++) {
		if (source_add(c, words->v[i], e) < 0)
			return err_prefix(e, "%s", name);
		if (user && !c->v[c->n - 1].driver->lookup)
			return err_set(e, ST_CONFIG, "%s: %s is a passdb only",
				       name, words->v[i]);
	}
	return 0;
}

/* Where `userdb` is not set, each passdb's own source tells of its users. */
static int
chain_twins(struct chain *c, const struct chain *pass, struct err *e)
{
	for (size_t i = 0; i < pass->n; i++) {
		const struct source *s = &pass->v[i];
		const char *twin = s->driver->lookup ? s->text : "passwd";

		if (source_add(c, twin, e) < 0)
			return -1;
	}
	return 0;
}

/* What the sandbox must leave readable. */
static void
find_folders(const struct chain *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct db_driver *d = c->v[i].driver;
		struct span p = span_of(d->path ? d->path(c->v[i].arg) : "");
		ssize_t cut = span_chr(p, '%');

		/* A path with variables: the folder before the first. */
		if (cut >= 0)
			p = span_sub(p, 0, (size_t)cut);
		p = span_sub(p, 0, (size_t)(span_rchr(p, '/') + 1));
		if (p.n > 0 && !strs_has(&folders, p))
			strs_addspan(&folders, p);
		if (d->folders)
			d->folders(c->v[i].arg, &folders);
	}
}

int
chain_load(struct err *e)
{
	struct chain p = { NULL, 0, 0 }, u = { NULL, 0, 0 };

	if (chain_read(&p, &auth_params.passdb, "passdb", false, e) < 0 ||
	    chain_read(&u, &auth_params.userdb, "userdb", true, e) < 0 ||
	    (u.n == 0 && chain_twins(&u, &p, e) < 0)) {
		chain_drop(&p);
		chain_drop(&u);
		return -1;
	}
	chain_drop(&passdbs);
	chain_drop(&userdbs);
	passdbs = p;
	userdbs = u;
	strs_clear(&folders);
	find_folders(&passdbs);
	find_folders(&userdbs);
	return 0;
}

unsigned
chain_needs(void)
{
	unsigned needs = 0;

	for (size_t i = 0; i < passdbs.n; i++)
		needs |= passdbs.v[i].driver->needs;
	/* As a userdb nothing needs more than the name service. */
	for (size_t i = 0; i < userdbs.n; i++)
		needs |= userdbs.v[i].driver->needs & (DB_SYSTEM | DB_NET);
	return needs;
}

const char *const *
chain_folders(void)
{
	static const char *const none[] = { NULL };

	return folders.n > 0 ? (const char *const *)folders.v : none;
}

const char *
chain_passwd_file(void)
{
	for (size_t i = 0; i < passdbs.n; i++)
		if (strcmp(passdbs.v[i].driver->name, "passwd-file") == 0)
			return passdbs.v[i].driver->path(passdbs.v[i].arg);
	return NULL;
}

const char *
chain_oauth_file(void)
{
	for (size_t i = 0; i < passdbs.n; i++)
		if (passdbs.v[i].driver->token)
			return passdbs.v[i].driver->path(passdbs.v[i].arg);
	return NULL;
}

static const char *
result_words(enum db_result r)
{
	switch (r) {
	case DB_OK:
		return "yes";
	case DB_NONE:
		return "unknown user";
	case DB_MISMATCH:
		return "Password mismatch";
	case DB_TEMP:
		break;
	}
	return "cannot say";
}

/* Fields of the passdb that limit a login; unknown ones limit nothing. */
static enum db_result
check_limits(const struct db_query *q, const struct db_entry *r, struct err *e)
{
	for (size_t i = 0; i < r->fields.n; i++) {
		struct span f = span_of(r->fields.v[i]), net, rest;
		bool inside = false;

		if (span_is(f, "nologin") || span_starts(f, SPAN("nologin="))) {
			err_set(e, ST_NOPERM, "login is disabled (nologin)");
			return DB_MISMATCH;
		}
		if (!span_starts(f, SPAN("allow_nets=")))
			continue;
		rest = span_from(f, 11);
		while (span_word(&rest, ", ", &net))
			if (match_cidr(net, span_of(q->remote_ip)))
				inside = true;
		if (!inside) {
			err_set(e, ST_NOPERM,
				"not from this address "
				"(allow_nets)");
			return DB_MISMATCH;
		}
	}
	return DB_OK;
}

/* Limits count only for who has proved the password: else they would tell that
 * the account exists. */
static enum db_result
ask_source(const struct source *s, const struct db_query *q, struct db_entry *r,
	   struct strs *trail, struct err *e)
{
	enum db_result res = s->driver->verify(s->arg, q, r, e);

	if (res == DB_OK)
		res = check_limits(q, r, e);
	if (trail)
		strs_addf(trail, "%s: %s", s->text,
			  res == DB_OK || e->text[0] == '\0' ? result_words(res)
							     : e->text);
	else if (res == DB_TEMP)
		log_error("%s(%s,%s): %s", s->driver->name, q->user,
			  q->remote_ip, e->text);
	return res;
}

enum db_result
chain_verify(const struct db_query *q, struct db_entry *r, struct strs *trail,
	     struct err *e)
{
	enum db_result end = DB_NONE;
	bool hashed = false, asked = false;
	const struct source *blamed = NULL;
	struct err said = ERR_INIT;

	for (size_t i = 0; i < passdbs.n; i++) {
		struct err why = ERR_INIT;
		enum db_result res;

		db_entry_init(r);
		if (passdbs.v[i].driver->token != q->token)
			continue;
		asked = true;
		res = ask_source(&passdbs.v[i], q, r, trail, &why);
		if (res == DB_OK)
			return DB_OK;
		/* Somebody did the work of one hash: then none is done for
		 * show. */
		hashed = hashed || r->hashed;
		db_entry_free(r);
		if (res == DB_TEMP && end != DB_TEMP)
			*e = why;
		if (blamed == NULL || res > end) {
			blamed = &passdbs.v[i];
			said = why;
			end = res;
		}
	}
	/* One line a failure, that of the database which knows most: a user of
	 * the second one has not failed at the first. */
	if (blamed && trail == NULL && end != DB_TEMP)
		log_failed(blamed->driver->name, q->user, q->remote_ip,
			   end == DB_NONE ? "unknown user"
					  : "Password mismatch",
			   said.text);
	if (!hashed && !q->token)
		scheme_dummy(SPAN(""), q->password);
	if (!asked)
		err_set(e, ST_CONFIG, "no passdb of this kind is configured");
	return asked ? end : DB_TEMP;
}

enum db_result
chain_credentials(const struct db_query *q, struct db_entry *r,
		  struct buf *stored, struct err *e)
{
	enum db_result end = DB_NONE;

	for (size_t i = 0; i < passdbs.n; i++) {
		const struct source *s = &passdbs.v[i];
		enum db_result res;

		if (s->driver->credentials == NULL)
			continue;
		res = s->driver->credentials(s->arg, q->user, stored, r, e);
		if (res == DB_OK)
			res = check_limits(q, r, e);
		if (res == DB_OK)
			return DB_OK;
		buf_wipe(stored);
		db_entry_free(r);
		db_entry_init(r);
		if (res > end)
			end = res;
	}
	return end;
}

/* A name that no password database knows has no mail here. */
static enum db_result
user_exists(const char *user, struct err *e)
{
	enum db_result end = DB_NONE;

	for (size_t i = 0; i < passdbs.n; i++) {
		const struct source *s = &passdbs.v[i];
		enum db_result res = s->driver->exists
					 ? s->driver->exists(s->arg, user, e)
					 : DB_OK;

		if (res == DB_OK)
			return DB_OK;
		if (res > end)
			end = res;
	}
	return end;
}

/* userdb = prefetch: what the password databases say of the mailbox, too. */
static enum db_result
prefetch(const char *user, struct db_entry *r, struct err *e)
{
	for (size_t i = 0; i < passdbs.n; i++) {
		const struct source *s = &passdbs.v[i];
		enum db_result res;

		if (s->driver->prefetch == NULL)
			continue;
		res = s->driver->prefetch(s->arg, user, r, e);
		if (res != DB_NONE)
			return res;
	}
	return DB_NONE;
}

static enum db_result
prefetch_lookup(const char *arg MX_UNUSED, const char *user, struct db_entry *r,
		struct err *e)
{
	return prefetch(user, r, e);
}

static enum db_result
prefetch_verify(const char *arg MX_UNUSED, const struct db_query *q MX_UNUSED,
		struct db_entry *r MX_UNUSED, struct err *e MX_UNUSED)
{
	return DB_NONE;
}

static const struct db_driver db_prefetch = {
	.name = "prefetch",
	.verify = prefetch_verify,
	.lookup = prefetch_lookup,
};
DB_DRIVER(db_prefetch);

static int
expand_slot(char **slot, const struct expand_vars *v, struct err *e)
{
	struct buf b = BUF_INIT;

	if (!*slot)
		return 0;
	if (expand(&b, span_of(*slot), v, e) < 0) {
		err_prefix(e, "%s", *slot);
		buf_free(&b);
		return -1;
	}
	free(*slot);
	*slot = buf_steal(&b);
	return 0;
}

/* Home first: mail may stand on it. */
static int
expand_entry(const char *user, const char *service, struct db_entry *r,
	     struct err *e)
{
	struct expand_vars v = { user, NULL, service, NULL };

	if (expand_slot(&r->home, &v, e) < 0)
		return -1;
	v.home = r->home;
	if (!r->mail && auth_params.mail_location[0])
		r->mail = mem_strdup(auth_params.mail_location);
	return expand_slot(&r->mail, &v, e);
}

int
chain_each(void (*fn)(void *ctx, const char *user), void *ctx, struct err *e)
{
	bool any = false;

	for (size_t i = 0; i < userdbs.n; i++) {
		const struct source *s = &userdbs.v[i];

		if (s->driver->each == NULL)
			continue;
		any = true;
		if (s->driver->each(s->arg, fn, ctx, e) != 0)
			return -1;
	}
	return any ? 0
		   : err_set(e, ST_UNAVAILABLE,
			     "no userdb here can list its users");
}

enum db_result
chain_user(const char *user, const char *service, struct db_entry *r,
	   struct err *e)
{
	enum db_result end = DB_NONE;

	for (size_t i = 0; i < userdbs.n; i++) {
		const struct source *s = &userdbs.v[i];
		enum db_result res;

		db_entry_init(r);
		res = s->driver->lookup(s->arg, user, r, e);
		if (res == DB_OK && strcmp(s->driver->name, "static") == 0)
			res = user_exists(user, e);
		if (res == DB_OK && expand_entry(user, service, r, e) < 0)
			res = DB_TEMP;
		if (res == DB_OK)
			return DB_OK;
		if (res == DB_TEMP)
			log_error("%s(%s): %s", s->driver->name, user, e->text);
		db_entry_free(r);
		if (res > end)
			end = res;
	}
	return end;
}

void
chain_fields(const struct db_entry *r, struct strs *out)
{
	if (r->has_uid)
		strs_addf(out, "uid=%lu", (unsigned long)r->uid);
	if (r->has_gid)
		strs_addf(out, "gid=%lu", (unsigned long)r->gid);
	if (r->home)
		strs_addf(out, "home=%s", r->home);
	if (r->mail)
		strs_addf(out, "mail=%s", r->mail);
	for (size_t i = 0; i < r->fields.n; i++)
		strs_add(out, r->fields.v[i]);
}
