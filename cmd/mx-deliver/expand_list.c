/*
 * expand_list.c - lists of destinations: aliases(5), .forward and the files
 * that they include.
 * Postfix aliases(5), local(8); THREATS 18, 94.
 */
#include "expand_int.h"
#include "addr.h"
#include "aliases.h"
#include "conf.h"
#include "hand.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "site.h"
#include "sandbox.h"
#include "status.h"

#include <stdlib.h>

#define INCLUDE_MAX (1 << 20)

/* Where a list of destinations stands: allow_mail_to_commands, _files. */
enum source { FROM_ALIAS, FROM_FORWARD, FROM_INCLUDE };

static int push_list(struct expansion *w, size_t i, struct alias_list *l,
		     const char *owner, enum source from);

/* Commands and files are for those who may edit aliases(5) or .forward; an
 * included list is often written by a list manager, from what strangers ask.
 * Refused ones become a user that nobody has: the bounce tells the owner. */
static bool
allowed(const struct alias_item *it, enum source from)
{
	static const char *const words[] = { [FROM_ALIAS] = "alias",
					     [FROM_FORWARD] = "forward",
					     [FROM_INCLUDE] = "include" };
	bool command = it->kind == ALIAS_COMMAND;

	if (strs_ihas(command ? &conf.allow_commands : &conf.allow_files,
		      span_of(words[from])))
		return true;
	log_warn("mail to %s \"%s\" is restricted: %s has no \"%s\"",
		 command ? "command" : "file", it->text,
		 command ? "allow_mail_to_commands" : "allow_mail_to_files",
		 words[from]);
	return false;
}

/* Others on the list get the message all the same. */
static void
add_refused(struct expansion *w, size_t i, const struct alias_item *it,
	    const char *owner)
{
	struct expand_item nobody = w->v[i];

	nobody.parent = (ssize_t)i;
	nobody.stage = DO_ROUTE;
	nobody.addr = mem_printf("%s@%s", it->text, site.myorigin);
	expand_add(w, &nobody, NULL, owner);
	free(nobody.addr);
}

/* In a .forward file the user names a file that the user can read: what only
 * the queue's owner can read would come back to its author as addresses. */
static int
read_include(const char *path, const char *by, struct buf *b, struct err *e)
{
	struct dest d = { .has_ids = true };
	const struct user *u;
	struct hand *h;
	int r;

	if (by == NULL)
		return io_read_file(path, b, INCLUDE_MAX, e);
	if (users_find(span_of(by), &u, e) != TABLE_FOUND || u->uid == 0)
		return err_set(e, ST_TEMPFAIL, "%s: no such user", by);
	d.uid = u->uid;
	d.gid = u->gid;
	h = hand_get(&d, e);
	r = h == NULL ? -1 : hand_forward(h, path, false, b, e);
	return r == 0  ? err_set(e, ST_TEMPFAIL,
				 ":include:%s: %s cannot read it", path, by)
	       : r > 0 ? 0
		       : -1;
}

static int
push_include(struct expansion *w, size_t i, const char *path, const char *owner)
{
	struct alias_list l = { NULL, 0, 0 };
	struct buf b = BUF_INIT;
	int r;

	if (path[0] != '/')
		r = err_set(w->e, ST_TEMPFAIL,
			    ":include:%s: expected an absolute path", path);
	else
		r = read_include(path, w->v[i].by, &b, w->e);
	if (r != 0 && w->e != NULL)
		w->e->status = ST_TEMPFAIL;
	if (r == 0)
		r = alias_parse(&l, buf_span(&b), true,
				(size_t)conf.alias_expansion_limit, w->e);
	/* no include inside an include: no file recursion at all */
	for (size_t k = 0; r == 0 && k < l.n; k++)
		if (l.v[k].kind == ALIAS_INCLUDE)
			r = err_set(w->e, ST_TEMPFAIL,
				    "%s: :include: inside an included file",
				    path);
	if (r == 0)
		r = push_list(w, i, &l, owner, FROM_INCLUDE);
	alias_list_free(&l);
	buf_free(&b);
	return r;
}

/* local(8) delivers what an alias names by itself, but not what has another
 * owner (an owner- alias, the user of a .forward file) nor what an included
 * file names: that is a new message, with a Delivered-To of its own. */
static void
mark_resent(struct expand_item *it)
{
	struct span local = local_of(it->addr), user, ext;

	if (!addr_split_ext(local, site.recipient_delimiter, &user, &ext))
		user = local;
	if (!it->included &&
	    (it->keeper == NULL || span_ieq(span_of(it->keeper), user)))
		return;
	it->resent = true;
	it->included = false;
	it->keeper = NULL;
}

/* What the list that names the address says of it. */
static void
mark_named(struct expansion *w, size_t i, const char *owner, enum source from,
	   bool ours)
{
	struct expand_item *it = &w->v[w->n - 1];

	it->included = from == FROM_INCLUDE;
	if (w->v[i].by != NULL)
		it->keeper = w->v[i].by;
	else if (owner != NULL)
		it->keeper = it->owner;
	if (!ours)
		it->resent = true;
	else if (it->stage != DO_ALIAS)
		mark_resent(it);
}

/* An address of an alias: local names go on as aliases, others from the
 * beginning; a name above itself is the mailbox (joe: joe, other). */
static int
push_address(struct expansion *w, size_t i, const struct alias_item *it,
	     const char *owner, enum source from)
{
	char *to = expand_resolved(expand_qualify(span_of(it->text), SPAN("")));
	enum expand_stage stage = DO_ALIAS;
	enum addr_class c;
	int r;

	if (route_class(domain_of(to), &c, w->e) == TABLE_TRY_AGAIN) {
		free(to);
		return -1;
	}
	if (c != CLASS_LOCAL)
		stage = DO_VIRTUAL;
	/* "joe" in joe's .forward is the mailbox; "\joe" in an alias may
	 * still be forwarded */
	else if (expand_in_chain(w, (ssize_t)i, span_of(to), DO_FORWARD))
		stage = DO_MAILBOX;
	else if (it->literal ||
		 expand_in_chain(w, (ssize_t)i, span_of(to), DO_ALIAS))
		stage = DO_FORWARD;
	r = expand_push(w, to, stage, (ssize_t)i, owner);
	if (r == 0)
		mark_named(w, i, owner, from, c == CLASS_LOCAL);
	return r;
}

static int
push_list(struct expansion *w, size_t i, struct alias_list *l,
	  const char *owner, enum source from)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < l->n; k++) {
		const struct alias_item *it = &l->v[k];
		struct dest *d;

		if (it->kind == ALIAS_ADDRESS) {
			r = push_address(w, i, it, owner, from);
		} else if (it->kind == ALIAS_INCLUDE) {
			r = push_include(w, i, it->text, owner);
		} else if (!allowed(it, from)) {
			add_refused(w, i, it, owner);
		} else {
			bool command = it->kind == ALIAS_COMMAND;

			d = w->v[i].by != NULL
				? dest_of_forward(it->text, command,
						  span_of(w->v[i].by), w->e)
				: dest_of_alias(it->text, command, w->e);
			if (d == NULL)
				return -1;
			expand_add(w, &w->v[i], d, owner);
		}
	}
	return r;
}

/* postconf(5) expand_owner_alias: what owner-list stands for, when that is one
 * address; a list of them is no sender, and keeps its name. */
static char *
owner_expansion(struct span text)
{
	struct alias_list l = { NULL, 0, 0 };
	struct err e = ERR_INIT;
	char *r = NULL;

	if (alias_parse(&l, text, false, 2, &e) == 0 && l.n == 1 &&
	    l.v[0].kind == ALIAS_ADDRESS)
		r = expand_qualify(span_of(l.v[0].text), SPAN(""));
	alias_list_free(&l);
	return r;
}

/* list: ... and owner-list: ...: bounces go to owner-list. */
static enum table_result
find_owner(struct span name, char **owner, struct err *e)
{
	struct buf key = BUF_INIT, v = BUF_INIT;
	enum table_result r = TABLE_NONE;

	*owner = NULL;
	if (!span_istarts(name, SPAN("owner-"))) {
		buf_addf(&key, "owner-%.*s", SPAN_ARG(name));
		r = aliases_lookup(buf_span(&key), &v, e);
	}
	if (r == TABLE_FOUND && conf.expand_owner_alias)
		*owner = owner_expansion(buf_span(&v));
	if (r == TABLE_FOUND && *owner == NULL)
		*owner = expand_qualify(buf_span(&key), SPAN(""));
	buf_free(&key);
	buf_free(&v);
	return r;
}

/* aliases(5): the whole name, then without extension. */
int
expand_alias(struct expansion *w, size_t i)
{
	struct buf v = BUF_INIT;
	struct alias_list l = { NULL, 0, 0 };
	struct span name = local_of(w->v[i].addr), base, ext;
	char *owner = NULL;
	int r = 0;
	enum table_result t = aliases_lookup(name, &v, w->e);

	if (t == TABLE_NONE &&
	    addr_split_ext(name, site.recipient_delimiter, &base, &ext)) {
		name = base;
		t = aliases_lookup(name, &v, w->e);
	}
	if (t == TABLE_FOUND)
		t = find_owner(name, &owner, w->e) == TABLE_TRY_AGAIN
			? TABLE_TRY_AGAIN
			: TABLE_FOUND;
	if (t == TABLE_NONE) {
		r = expand_push(w, mem_strdup(w->v[i].addr), DO_FORWARD,
				(ssize_t)i, NULL);
		if (r == 0)
			mark_resent(&w->v[w->n - 1]);
	} else if (t == TABLE_TRY_AGAIN) {
		r = -1;
	} else {
		r = alias_parse(&l, buf_span(&v), false,
				(size_t)conf.alias_expansion_limit, w->e);
	}
	if (r == 0 && t == TABLE_FOUND) {
		w->v[i].expanded = true;
		/* postconf(5): of the alias above the sender stays, but its
		 * members are no longer resent on behalf of its owner */
		if (owner == NULL && conf.reset_owner_alias)
			w->v[i].keeper = NULL;
		r = push_list(w, i, &l, owner, FROM_ALIAS);
	}
	alias_list_free(&l);
	buf_free(&v);
	free(owner);
	return r;
}

/* local(8): the user's own say, if there is one. */
int
expand_forward(struct expansion *w, size_t i)
{
	struct alias_list l = { NULL, 0, 0 };
	struct buf low = BUF_INIT, b = BUF_INIT;
	struct span local = local_of(w->v[i].addr), name, ext = SPAN("");
	const struct user *u;
	enum table_result t;
	int r = 0;

	for (size_t k = 0; k < local.n; k++)
		buf_addc(&low, ascii_tolower(local.p[k]));
	name = buf_span(&low);
	t = users_find(name, &u, w->e);
	if (t == TABLE_NONE &&
	    addr_split_ext(name, site.recipient_delimiter, &name, &ext))
		t = users_find(name, &u, w->e);
	if (t == TABLE_TRY_AGAIN)
		r = -1;
	else if (t == TABLE_FOUND && u->system && u->has_ids && u->uid != 0)
		r = forward_read(u, ext, &b, w->e);
	if (r == 1) {
		w->v[i].by = mem_strdup(u->name);
		r = alias_parse(&l, buf_span(&b), true,
				(size_t)conf.alias_expansion_limit, w->e);
		w->v[i].expanded = l.n > 0;
		if (r == 0 && l.n > 0)
			r = push_list(w, i, &l, NULL, FROM_FORWARD);
		else if (r == 0)
			r = expand_push(w, mem_strdup(w->v[i].addr), DO_MAILBOX,
					(ssize_t)i, NULL);
		if (r != 0 && w->e != NULL)
			w->e->status = ST_TEMPFAIL;
	} else if (r == 0) {
		r = expand_push(w, mem_strdup(w->v[i].addr), DO_MAILBOX,
				(ssize_t)i, NULL);
	}
	alias_list_free(&l);
	buf_free(&low);
	buf_free(&b);
	return r;
}

struct dest *
dest_of_alias(const char *text, bool command, struct err *e)
{
	struct dest *d = mem_alloc(1, sizeof(*d));
	size_t n = strlen(text);

	*d = (struct dest){ .relay = "local",
			    .path = mem_strdup(text),
			    .quota = {
				.file = (uint64_t)conf.mailbox_size_limit } };
	d->kind = command ? DEST_COMMAND : DEST_MBOX;
	if (!command && n > 1 && text[n - 1] == '/') {
		d->kind = DEST_MAILDIR;
		d->path[n - 1] = '\0';
	}
	d->has_ids = true;
	if (sandbox_names(conf.default_privs, NULL, &d->uid, &d->gid, e) == 0)
		return d;
	err_prefix(e, "default_privs");
	dest_free(d);
	return NULL;
}
