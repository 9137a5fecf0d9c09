/*
 * expand.c - from one recipient to all places: virtual aliases, aliases(5),
 * :include:, mailboxes.  A work list, no recursion: an item knows its parent,
 * so that a name is not expanded below itself.  THREATS 33, 41.
 */
#include "addr.h"
#include "aliases.h"
#include "conf.h"
#include "hand.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "rewrite.h"
#include "route_int.h"
#include "senders.h"
#include "site.h"
#include "status.h"

#include <stdlib.h>

/* Includes and aliases together: no deeper nesting than Postfix allows. */
#define DEPTH_MAX 100
#define INCLUDE_MAX (1 << 20)

/* What is still to be done with an item. */
enum stage { DO_VIRTUAL, DO_ROUTE, DO_ALIAS, DO_FORWARD, DO_MAILBOX };

struct item {
	char *addr;
	enum stage stage;
	ssize_t parent;
	int depth;
	char *owner; /* sender from an owner- alias, or NULL */
	char *by;    /* whose .forward is being read, or NULL */
};

struct work {
	struct item *v;
	size_t n, cap, at;
	struct targets *out;
	struct err *e;
};

void
targets_free(struct targets *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].addr);
		free(t->v[i].sender);
		dest_free(t->v[i].dest);
	}
	free(t->v);
	*t = (struct targets){ NULL, 0, 0 };
}

/* Equal texts of two users are two places: "|procmail" in two .forward files
 * is run for each of them, with the rights of each. */
static bool
same_by(const struct dest *a, const struct dest *b)
{
	if (a->by == NULL || b->by == NULL)
		return a->by == b->by;
	return strcmp(a->by, b->by) == 0;
}

static bool
same_place(const struct target *a, const struct target *b)
{
	bool place = a->dest != NULL && a->dest->user == NULL;
	bool other = b->dest != NULL && b->dest->user == NULL;

	if (place != other)
		return false;
	if (place)
		return a->dest->kind == b->dest->kind &&
		       same_by(a->dest, b->dest) &&
		       strcmp(a->dest->path, b->dest->path) == 0;
	return span_ieq(span_of(a->addr), span_of(b->addr));
}

/* Takes over dest.  Who is named twice gets one copy (THREATS 33).  owner:
 * the sender of what goes there, NULL: the item's own. */
static void
add_target(struct work *w, const struct item *it, struct dest *d,
	   const char *owner)
{
	const char *sender = owner != NULL ? owner : it->owner;
	struct target t = { mem_strdup(it->addr),
			    sender != NULL ? mem_strdup(sender) : NULL, d };
	struct targets *o = w->out;

	for (size_t i = 0; i < o->n; i++) {
		if (!same_place(&o->v[i], &t))
			continue;
		free(t.addr);
		free(t.sender);
		dest_free(d);
		return;
	}
	o->v = mem_grow(o->v, &o->cap, o->n + 1, sizeof(*o->v));
	o->v[o->n++] = t;
}

/* Is addr at or above item `at`? */
static bool
in_chain(const struct work *w, ssize_t at, struct span addr, enum stage stage)
{
	for (; at >= 0; at = w->v[at].parent)
		if (w->v[at].stage == stage &&
		    span_ieq(span_of(w->v[at].addr), addr))
			return true;
	return false;
}

/* A child of item `parent`; takes over addr. */
static int
push(struct work *w, char *addr, enum stage stage, ssize_t parent,
     const char *owner)
{
	int depth = parent < 0 ? 0 : w->v[parent].depth + 1;

	if (w->n >= (size_t)conf.alias_expansion_limit || depth > DEPTH_MAX ||
	    depth > conf.alias_recursion_limit) {
		free(addr);
		return err_esc(w->e, ST_TEMPFAIL, "4.4.6",
			       "alias expansion of <%s> gives more than %lld "
			       "addresses or is nested too deep",
			       w->v[0].addr,
			       (long long)conf.alias_expansion_limit);
	}
	if (owner == NULL && parent >= 0)
		owner = w->v[parent].owner;
	w->v = mem_grow(w->v, &w->cap, w->n + 1, sizeof(*w->v));
	w->v[w->n++] = (struct item){
		addr, stage, parent, depth, owner ? mem_strdup(owner) : NULL,
		NULL
	};
	return 0;
}

/* "joe" -> "joe@$myorigin"; "@other" -> the same local part there. */
static char *
qualify(struct span text, struct span local)
{
	if (text.p[0] == '@')
		return mem_printf("%.*s%.*s", SPAN_ARG(local), SPAN_ARG(text));
	if (span_rchr(text, '@') < 0)
		return mem_printf("%.*s@%s", SPAN_ARG(text), site.myorigin);
	return mem_spandup(text);
}

struct span
domain_of(const char *addr)
{
	struct span s = span_of(addr);
	ssize_t at = span_rchr(s, '@');

	return at < 0 ? SPAN("") : span_from(s, (size_t)at + 1);
}

struct span
local_of(const char *addr)
{
	struct span s = span_of(addr);
	ssize_t at = span_rchr(s, '@');

	return at < 0 ? s : span_sub(s, 0, (size_t)at);
}

static int
do_virtual(struct work *w, size_t i)
{
	struct buf v = BUF_INIT;
	struct span rest, word;
	bool dropped = false, local;
	enum addr_class c;
	int r = 0;

	w->v[i].stage = DO_VIRTUAL;
	if (maps.virtual_alias.n == 0)
		return push(w, mem_strdup(w->v[i].addr), DO_ROUTE, (ssize_t)i,
			    NULL);
	if (route_class(domain_of(w->v[i].addr), &c, w->e) == TABLE_TRY_AGAIN)
		return -1;
	local = c == CLASS_LOCAL ||
		span_iis(domain_of(w->v[i].addr), site.myorigin);
	switch (tables_lookup_address(
	    &maps.virtual_alias, span_of(w->v[i].addr),
	    site.recipient_delimiter, local, &v, &dropped, w->e)) {
	case TABLE_TRY_AGAIN:
		buf_free(&v);
		return -1;
	case TABLE_NONE:
		buf_free(&v);
		return push(w, mem_strdup(w->v[i].addr), DO_ROUTE, (ssize_t)i,
			    NULL);
	case TABLE_FOUND:
		break;
	}
	rest = buf_span(&v);
	while (r == 0 && span_word(&rest, ", \t\r\n", &word)) {
		char *to = qualify(word, local_of(w->v[i].addr));
		bool again;

		if (dropped)
			to = rewrite_extension(to, w->v[i].addr, "virtual");
		again = in_chain(w, (ssize_t)i, span_of(to), DO_VIRTUAL);
		if (again && !span_ieq(span_of(to), span_of(w->v[i].addr))) {
			r = err_esc(w->e, ST_TEMPFAIL, "4.4.6",
				    "virtual_alias_maps: <%s> comes back to "
				    "itself",
				    to);
			free(to);
		} else {
			r = push(w, to, again ? DO_ROUTE : DO_VIRTUAL,
				 (ssize_t)i, NULL);
		}
	}
	buf_free(&v);
	return r;
}

/* An unknown address: refused when it is what the client said, bounced later
 * when an alias names it. */
static int
unknown(struct work *w, size_t i, const char *where)
{
	ssize_t p = (ssize_t)i;

	for (; p >= 0; p = w->v[p].parent)
		if (!span_ieq(span_of(w->v[p].addr), span_of(w->v[0].addr))) {
			add_target(w, &w->v[i], NULL, NULL);
			return 0;
		}
	return err_esc(w->e, ST_NOUSER, "5.1.1", "User unknown in %s", where);
}

/* A local name that nobody has: what local_recipient_maps lists is taken, and
 * bounced later. */
static int
unknown_local(struct work *w, size_t i)
{
	switch (route_local_listed(w->v[i].addr, w->e)) {
	case TABLE_TRY_AGAIN:
		return -1;
	case TABLE_FOUND:
		add_target(w, &w->v[i], NULL, NULL);
		return 0;
	case TABLE_NONE:
		break;
	}
	return unknown(w, i, "local recipient table");
}

/* local_recipient_maps without the users of the system: who is not in it is
 * refused, whoever has the name. */
static int
check_listed(struct work *w, size_t i, bool *go_on)
{
	enum table_result t = TABLE_FOUND;

	*go_on = true;
	if (!maps.local_passwd)
		t = route_local_listed(w->v[i].addr, w->e);
	if (t != TABLE_NONE)
		return t == TABLE_FOUND ? 0 : -1;
	*go_on = false;
	return unknown(w, i, "local recipient table");
}

static int
do_route(struct work *w, size_t i)
{
	struct hop h;
	enum addr_class c;
	struct dest *d = NULL;
	struct buf v = BUF_INIT;
	enum table_result t;
	const char *addr = w->v[i].addr;
	bool go_on = true;
	int r = 0;

	if (route_hop(addr, NULL, &c, &h, w->e) == TABLE_TRY_AGAIN)
		return -1;
	if (c == CLASS_LOCAL)
		r = check_listed(w, i, &go_on);
	if (r != 0 || !go_on) {
		/* decided */
	} else if (c == CLASS_ALIAS && strcmp(h.transport, "smtp") == 0) {
		r = unknown(w, i, "virtual alias table");
	} else if (strcmp(h.transport, "local") == 0) {
		r = push(w, mem_strdup(addr), DO_ALIAS, (ssize_t)i, NULL);
	} else if (strcmp(h.transport, "virtual") == 0) {
		t = virtual_dest(addr, &d, w->e);
		if (t == TABLE_FOUND)
			add_target(w, &w->v[i], d, NULL);
		else if (t == TABLE_NONE)
			r = unknown(w, i, "virtual mailbox table");
		else
			r = -1;
	} else if (strcmp(h.transport, "error") == 0 && i == 1) {
		r = err_esc(w->e, ST_UNAVAILABLE, "5.0.0", "%s",
			    h.nexthop[0] ? h.nexthop : "undeliverable");
	} else if (c == CLASS_RELAY && maps.relay_recipient.n > 0) {
		t = tables_lookup_address(&maps.relay_recipient, span_of(addr),
					  site.recipient_delimiter, false, &v,
					  NULL, w->e);
		if (t == TABLE_FOUND)
			add_target(w, &w->v[i], NULL, NULL);
		else if (t == TABLE_NONE)
			r = unknown(w, i, "relay recipient table");
		else
			r = -1;
	} else {
		add_target(w, &w->v[i], NULL, NULL);
	}
	buf_free(&v);
	hop_free(&h);
	return r;
}

/* luser_relay: local(8)'s names in it, "$user@other.example". */
static int
push_luser(struct work *w, size_t i)
{
	const char *p = conf.luser_relay, *addr = w->v[i].addr;
	struct span user, ext, local = local_of(addr);
	struct buf b = BUF_INIT;

	if (in_chain(w, w->v[i].parent, local, DO_MAILBOX) ||
	    w->v[i].depth > DEPTH_MAX)
		return unknown(w, i, "local recipient table");
	if (!addr_split_ext(local, site.recipient_delimiter, &user, &ext)) {
		user = local;
		ext = SPAN("");
	}
	const struct {
		const char *name;
		struct span value;
	} names[] = { { "user", user },
		      { "local", local },
		      { "extension", ext },
		      { "domain", domain_of(addr) },
		      { "recipient", span_of(addr) } };
	while (*p != '\0') {
		bool brace = p[0] == '$' && p[1] == '{', known = false;
		struct span name = { p + 1 + brace, 0 };

		while (*p == '$' && ascii_isalpha(name.p[name.n]))
			name.n++;
		for (size_t k = 0; name.n > 0 && k < ARRAY_LEN(names); k++) {
			if (!span_is(name, names[k].name))
				continue;
			buf_addspan(&b, names[k].value);
			p = name.p + name.n + (brace && name.p[name.n] == '}');
			known = true;
		}
		if (!known)
			buf_addc(&b, *p++);
	}
	char *to = qualify(buf_span(&b), local);
	buf_free(&b);
	return push(w, to, DO_VIRTUAL, (ssize_t)i, NULL);
}

static int
do_mailbox(struct work *w, size_t i)
{
	struct hop h = { NULL, NULL };
	struct dest *d = NULL;
	struct buf low = BUF_INIT;
	struct span local = local_of(w->v[i].addr);
	enum table_result t;

	for (size_t k = 0; k < local.n; k++)
		buf_addc(&low, ascii_tolower(local.p[k]));
	t = user_dest(buf_span(&low), &d, w->e);
	if (t != TABLE_TRY_AGAIN) {
		/* another transport delivers: from the queue */
		enum table_result o = route_local_hop(
		    t == TABLE_FOUND ? 'm' : 'f', buf_span(&low), &h, w->e);
		if (o == TABLE_FOUND) {
			dest_free(d);
			d = NULL;
			t = TABLE_FOUND;
		} else if (o == TABLE_TRY_AGAIN) {
			t = o;
		}
	}
	hop_free(&h);
	buf_free(&low);
	if (t == TABLE_FOUND)
		add_target(w, &w->v[i], d, NULL);
	else if (t == TABLE_NONE)
		return conf.luser_relay[0] != '\0' ? push_luser(w, i)
						   : unknown_local(w, i);
	else
		dest_free(d);
	return t == TABLE_TRY_AGAIN ? -1 : 0;
}

/* Where a list of destinations stands: allow_mail_to_commands, _files. */
enum source { FROM_ALIAS, FROM_FORWARD, FROM_INCLUDE };

static int push_list(struct work *w, size_t i, struct alias_list *l,
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

static void
add_refused(struct work *w, size_t i, const struct alias_item *it,
	    const char *owner)
{
	struct item nobody = w->v[i];

	nobody.addr = mem_printf("%s@%s", it->text, site.myorigin);
	add_target(w, &nobody, NULL, owner);
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
push_include(struct work *w, size_t i, const char *path, const char *owner)
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

/* An address of an alias: local names go on as aliases, others from the
 * beginning; a name above itself is the mailbox (joe: joe, other). */
static int
push_address(struct work *w, size_t i, const struct alias_item *it,
	     const char *owner)
{
	char *to = qualify(span_of(it->text), SPAN(""));
	enum addr_class c;

	if (route_class(domain_of(to), &c, w->e) == TABLE_TRY_AGAIN) {
		free(to);
		return -1;
	}
	if (c != CLASS_LOCAL)
		return push(w, to, DO_VIRTUAL, (ssize_t)i, owner);
	/* "joe" in joe's .forward is the mailbox; "\joe" in an alias may
	 * still be forwarded */
	if (in_chain(w, (ssize_t)i, span_of(to), DO_FORWARD))
		return push(w, to, DO_MAILBOX, (ssize_t)i, owner);
	if (it->literal || in_chain(w, (ssize_t)i, span_of(to), DO_ALIAS))
		return push(w, to, DO_FORWARD, (ssize_t)i, owner);
	return push(w, to, DO_ALIAS, (ssize_t)i, owner);
}

static int
push_list(struct work *w, size_t i, struct alias_list *l, const char *owner,
	  enum source from)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < l->n; k++) {
		const struct alias_item *it = &l->v[k];
		struct dest *d;

		if (it->kind == ALIAS_ADDRESS) {
			r = push_address(w, i, it, owner);
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
			add_target(w, &w->v[i], d, owner);
		}
	}
	return r;
}

/* list: ... and owner-list: ...: bounces go to owner-list. */
static enum table_result
find_owner(const char *addr, struct span name, char **owner, struct err *e)
{
	struct buf key = BUF_INIT, v = BUF_INIT;
	enum table_result r = TABLE_NONE;

	*owner = NULL;
	if (!span_istarts(name, SPAN("owner-"))) {
		buf_addf(&key, "owner-%.*s", SPAN_ARG(name));
		r = aliases_lookup(buf_span(&key), &v, e);
	}
	if (r == TABLE_FOUND)
		*owner = mem_printf("%s@%.*s", buf_str(&key),
				    SPAN_ARG(domain_of(addr)));
	buf_free(&key);
	buf_free(&v);
	return r;
}

static int
do_alias(struct work *w, size_t i)
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
		t = find_owner(w->v[i].addr, name, &owner, w->e) ==
			    TABLE_TRY_AGAIN
			? TABLE_TRY_AGAIN
			: TABLE_FOUND;
	if (t == TABLE_NONE)
		r = push(w, mem_strdup(w->v[i].addr), DO_FORWARD, (ssize_t)i,
			 NULL);
	else if (t == TABLE_TRY_AGAIN)
		r = -1;
	else
		r = alias_parse(&l, buf_span(&v), false,
				(size_t)conf.alias_expansion_limit, w->e);
	if (r == 0 && t == TABLE_FOUND)
		r = push_list(w, i, &l, owner, FROM_ALIAS);
	alias_list_free(&l);
	buf_free(&v);
	free(owner);
	return r;
}

/* local(8): the user's own say, if there is one. */
static int
do_forward(struct work *w, size_t i)
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
		if (r == 0 && l.n > 0)
			r = push_list(w, i, &l, NULL, FROM_FORWARD);
		else if (r == 0)
			r = push(w, mem_strdup(w->v[i].addr), DO_MAILBOX,
				 (ssize_t)i, NULL);
		if (r != 0 && w->e != NULL)
			w->e->status = ST_TEMPFAIL;
	} else if (r == 0) {
		r = push(w, mem_strdup(w->v[i].addr), DO_MAILBOX, (ssize_t)i,
			 NULL);
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
	if (users_ids(conf.default_privs, &d->uid, &d->gid, e) == 0)
		return d;
	err_prefix(e, "default_privs");
	dest_free(d);
	return NULL;
}

int
route_expand(const char *addr, struct targets *t, struct err *e)
{
	static int (*const steps[])(struct work *, size_t) = {
		[DO_VIRTUAL] = do_virtual, [DO_ROUTE] = do_route,
		[DO_ALIAS] = do_alias,     [DO_FORWARD] = do_forward,
		[DO_MAILBOX] = do_mailbox,
	};
	struct work w = { .out = t, .e = e };
	int r;

	char *first = mem_strdup(addr);

	*t = (struct targets){ NULL, 0, 0 };
	r = senders_reverse(&first, e);
	if (r == 0)
		r = rewrite_address(&first, ENVELOPE_RECIPIENT, e);
	if (r == 0)
		r = push(&w, first, DO_VIRTUAL, -1, NULL);
	else
		free(first);
	for (; r == 0 && w.at < w.n; w.at++)
		r = steps[w.v[w.at].stage](&w, w.at);
	for (size_t i = 0; i < w.n; i++) {
		free(w.v[i].addr);
		free(w.v[i].owner);
		free(w.v[i].by);
	}
	free(w.v);
	if (r == 0 && t->n == 0)
		r = err_esc(e, ST_NOUSER, "5.1.1",
			    "the alias <%s> leads nowhere", addr);
	if (r == 0)
		return 0;
	outcome_settle(e);
	targets_free(t);
	return r;
}
