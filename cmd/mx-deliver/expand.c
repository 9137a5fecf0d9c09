/*
 * expand.c - from one recipient to all places: virtual aliases, aliases(5),
 * :include:, mailboxes.  A work list, no recursion: an item knows its parent,
 * so that a name is not expanded below itself.  THREATS 33, 41.
 */
#include "expand_int.h"
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
#include "via.h"

#include <stdlib.h>

/* Includes and aliases together: no deeper nesting than Postfix allows. */
#define DEPTH_MAX 100

void
target_free(struct target *g)
{
	free(g->addr);
	free(g->sender);
	dest_free(g->dest);
	strs_free(&g->via);
	strs_free(&g->forwarded);
	free(g->delivered);
}

void
targets_free(struct targets *t)
{
	for (size_t i = 0; i < t->n; i++)
		target_free(&t->v[i]);
	free(t->v);
	*t = (struct targets){ NULL, 0, 0 };
}

bool
targets_list(const struct targets *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].list)
			return true;
	return false;
}

void
targets_later(struct targets *t, const char *addr)
{
	char *own = mem_strdup(addr);

	targets_free(t);
	t->v = mem_grow(t->v, &t->cap, 1, sizeof(*t->v));
	t->v[t->n++] = (struct target){ .addr = own, .later = true };
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
void
expand_add(struct expansion *w, const struct expand_item *it, struct dest *d,
	   const char *owner)
{
	const char *sender = owner != NULL ? owner : it->owner;
	struct target t = { .addr = mem_strdup(it->addr),
			    .sender =
				sender != NULL ? mem_strdup(sender) : NULL,
			    .dest = d,
			    .list = sender != NULL };
	struct targets *o = w->out;

	for (size_t i = 0; i < o->n; i++) {
		if (!same_place(&o->v[i], &t))
			continue;
		target_free(&t);
		return;
	}
	via_trace(w, it, &t);
	o->v = mem_grow(o->v, &o->cap, o->n + 1, sizeof(*o->v));
	o->v[o->n++] = t;
}

/* Is addr at or above item `at`? */
bool
expand_in_chain(const struct expansion *w, ssize_t at, struct span addr,
		enum expand_stage stage)
{
	for (; at >= 0; at = w->v[at].parent)
		if (w->v[at].stage == stage &&
		    span_ieq(span_of(w->v[at].addr), addr))
			return true;
	return false;
}

/* A child of item `parent`; takes over addr. */
int
expand_push(struct expansion *w, char *addr, enum expand_stage stage,
	    ssize_t parent, const char *owner)
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
	const char *keeper = parent >= 0 ? w->v[parent].keeper : NULL;
	w->v = mem_grow(w->v, &w->cap, w->n + 1, sizeof(*w->v));
	w->v[w->n++] =
	    (struct expand_item){ .addr = addr,
				  .stage = stage,
				  .parent = parent,
				  .depth = depth,
				  .owner = owner ? mem_strdup(owner) : NULL,
				  .keeper = keeper,
				  .included =
				      parent >= 0 && w->v[parent].included };
	return 0;
}

/* "joe" -> "joe@$myorigin"; "@other" -> the same local part there.  Without
 * append_at_myorigin "joe" remains until expand_resolved. */
char *
expand_qualify(struct span text, struct span local)
{
	if (text.p[0] == '@')
		return mem_printf("%.*s%.*s", SPAN_ARG(local), SPAN_ARG(text));
	if (span_rchr(text, '@') < 0 && conf.append_at_myorigin)
		return mem_printf("%.*s@%s", SPAN_ARG(text), site.myorigin);
	return mem_spandup(text);
}

/* trivial-rewrite(8) resolves what still has no domain as one of this host. */
char *
expand_resolved(char *addr)
{
	char *r;

	if (strchr(addr, '@') != NULL)
		return addr;
	r = mem_printf("%s@%s", addr, site.myhostname);
	free(addr);
	return r;
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

/* virtual(5): the result is looked up again until it names itself or nothing
 * is found. */
static int
do_virtual(struct expansion *w, size_t i)
{
	struct buf v = BUF_INIT;
	struct span rest, word;
	bool dropped = false, local;
	enum addr_class c;
	int r = 0;

	w->v[i].stage = DO_VIRTUAL;
	if (maps.virtual_alias.n == 0)
		return expand_push(w, mem_strdup(w->v[i].addr), DO_ROUTE,
				   (ssize_t)i, NULL);
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
		return expand_push(w, mem_strdup(w->v[i].addr), DO_ROUTE,
				   (ssize_t)i, NULL);
	case TABLE_FOUND:
		break;
	}
	rest = buf_span(&v);
	while (r == 0 && span_word(&rest, ", \t\r\n", &word)) {
		char *to = expand_qualify(word, local_of(w->v[i].addr));
		bool again;

		if (dropped)
			to = rewrite_extension(to, w->v[i].addr, "virtual");
		again = expand_in_chain(w, (ssize_t)i, span_of(to), DO_VIRTUAL);
		if (again && !span_ieq(span_of(to), span_of(w->v[i].addr))) {
			r = err_esc(w->e, ST_TEMPFAIL, "4.4.6",
				    "virtual_alias_maps: <%s> comes back to "
				    "itself",
				    to);
			free(to);
		} else {
			r = expand_push(w, to, again ? DO_ROUTE : DO_VIRTUAL,
					(ssize_t)i, NULL);
		}
	}
	buf_free(&v);
	return r;
}

/* An unknown address: refused when it is what the client said, bounced later
 * when an alias names it. */
static int
unknown(struct expansion *w, size_t i, const char *where)
{
	ssize_t p = (ssize_t)i;

	for (; p >= 0; p = w->v[p].parent)
		if (!span_ieq(span_of(w->v[p].addr), span_of(w->v[0].addr))) {
			expand_add(w, &w->v[i], NULL, NULL);
			return 0;
		}
	return err_esc(w->e, ST_NOUSER, "5.1.1", "User unknown in %s", where);
}

/* A local name that nobody has: what local_recipient_maps lists is taken, and
 * bounced later. */
static int
unknown_local(struct expansion *w, size_t i)
{
	switch (route_local_listed(w->v[i].addr, w->e)) {
	case TABLE_TRY_AGAIN:
		return -1;
	case TABLE_FOUND:
		expand_add(w, &w->v[i], NULL, NULL);
		return 0;
	case TABLE_NONE:
		break;
	}
	return unknown(w, i, "local recipient table");
}

/* local_recipient_maps without the users of the system: who is not in it is
 * refused, whoever has the name. */
static int
check_listed(struct expansion *w, size_t i, bool *go_on)
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

/* The class of the domain says who knows its recipients (postconf(5), ADDRESS
 * CLASSES). */
static int
do_route(struct expansion *w, size_t i)
{
	w->v[i].addr = expand_resolved(w->v[i].addr);

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
		r = expand_push(w, mem_strdup(addr), DO_ALIAS, (ssize_t)i,
				NULL);
	} else if (strcmp(h.transport, "virtual") == 0) {
		t = virtual_dest(addr, &d, w->e);
		if (t == TABLE_FOUND)
			expand_add(w, &w->v[i], d, NULL);
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
			expand_add(w, &w->v[i], NULL, NULL);
		else if (t == TABLE_NONE)
			r = unknown(w, i, "relay recipient table");
		else
			r = -1;
	} else {
		expand_add(w, &w->v[i], NULL, NULL);
	}
	buf_free(&v);
	hop_free(&h);
	return r;
}

/* luser_relay: local(8)'s names in it, "$user@other.example". */
static int
push_luser(struct expansion *w, size_t i)
{
	const char *p = conf.luser_relay, *addr = w->v[i].addr;
	struct span user, ext, local = local_of(addr);
	struct buf b = BUF_INIT;

	if (expand_in_chain(w, w->v[i].parent, local, DO_MAILBOX) ||
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
	char *to = expand_qualify(buf_span(&b), local);
	buf_free(&b);
	int r = expand_push(w, to, DO_VIRTUAL, (ssize_t)i, NULL);

	if (r == 0)
		w->v[w->n - 1].resent = true;
	return r;
}

/* The end of local addresses: a mailbox, another transport, luser_relay, or
 * nobody. */
static int
do_mailbox(struct expansion *w, size_t i)
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
		expand_add(w, &w->v[i], d, NULL);
	else if (t == TABLE_NONE)
		return conf.luser_relay[0] != '\0' ? push_luser(w, i)
						   : unknown_local(w, i);
	else
		dest_free(d);
	return t == TABLE_TRY_AGAIN ? -1 : 0;
}

int
route_expand(const char *addr, struct targets *t, struct err *e)
{
	static int (*const steps[])(struct expansion *, size_t) = {
		[DO_VIRTUAL] = do_virtual, [DO_ROUTE] = do_route,
		[DO_ALIAS] = expand_alias, [DO_FORWARD] = expand_forward,
		[DO_MAILBOX] = do_mailbox,
	};
	struct expansion w = { .out = t, .e = e };
	int r;

	char *first = mem_strdup(addr);

	*t = (struct targets){ NULL, 0, 0 };
	r = senders_reverse(&first, e);
	if (r == 0)
		r = rewrite_address(&first, ENVELOPE_RECIPIENT, e);
	if (r == 0)
		r = expand_push(&w, first, DO_VIRTUAL, -1, NULL);
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
