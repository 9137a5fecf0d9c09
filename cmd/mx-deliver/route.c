/*
 * route.c - classes of domains, transports, mailboxes: where one address
 * goes.  trivial-rewrite(8), transport(5), virtual(8), local(8) of Postfix.
 */
#include "route.h"
#include "addr.h"
#include "aliases.h"
#include "conf.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "rewrite.h"
#include "route_int.h"
#include "senders.h"
#include "site.h"
#include "status.h"
#include "users.h"
#include "verify.h"

#include <stdlib.h>
#include <unistd.h>

struct maps maps;

void
dest_free(struct dest *d)
{
	if (d == NULL)
		return;
	free(d->path);
	free(d->user);
	free(d->by);
	free(d->home);
	free(d->sieve);
	free(d);
}

static char *
dup_or_null(const char *s)
{
	return s != NULL ? mem_strdup(s) : NULL;
}

struct dest *
dest_copy(const struct dest *d)
{
	struct dest *c = mem_alloc(1, sizeof(*c));

	*c = *d;
	c->path = dup_or_null(d->path);
	c->user = dup_or_null(d->user);
	c->by = dup_or_null(d->by);
	c->home = dup_or_null(d->home);
	c->sieve = dup_or_null(d->sieve);
	return c;
}

/* A list that cannot be read matches nothing for sure: match_lookup says
 * TRY_AGAIN, and mail waits. */
struct match_list *
route_list(const struct strs *words, bool parents)
{
	struct err e = ERR_INIT;
	struct match_list *m = match_domains(words, parents, &e);

	if (e.status != 0)
		log_warn("%s", e.text);
	return m;
}

/* unix:passwd.byname and $alias_maps, the default, are what the delivery asks
 * anyway. */
static void
open_local_recipients(void)
{
	struct strs rest = STRS_INIT;

	maps.local_passwd = false;
	for (size_t i = 0; i < conf.local_recipient_maps.n; i++) {
		struct span s = span_of(conf.local_recipient_maps.v[i]);

		if (span_ends(s, SPAN("unix:passwd.byname")))
			maps.local_passwd = true;
		else if (!strs_has(&conf.alias_maps, s) || !maps.local_passwd)
			strs_addspan(&rest, s);
	}
	tables_open(&maps.local_recipient, &rest);
	strs_free(&rest);
}

enum table_result
route_local_listed(const char *addr, struct err *e)
{
	struct buf v = BUF_INIT;
	enum table_result r;

	if (conf.local_recipient_maps.n == 0)
		return TABLE_FOUND;
	r = tables_lookup_address(&maps.local_recipient, span_of(addr),
				  site.recipient_delimiter, true, &v, NULL, e);
	buf_free(&v);
	return r;
}

/* Postfix: no mailbox is smaller than a message may be; its default goes up
 * with message_size_limit, a value that was set does not. */
static void
check_limit(const char *name, int64_t *limit)
{
	if (*limit == 0 ||
	    (conf.message_size_limit > 0 && *limit >= conf.message_size_limit))
		return;
	if (*limit != 51200000)
		log_fatal(ST_CONFIG,
			  "%s = %lld is smaller than message_size_limit = "
			  "%lld: raise it, or set it to 0 (no limit)",
			  name, (long long)*limit,
			  (long long)conf.message_size_limit);
	*limit = conf.message_size_limit;
}

/* What probes have instead, by the same names. */
static struct {
	struct tables transport, sender_relayhost, sender_transport;
} probes;

/* The tables of probes; where they are those of mail, nothing is opened. */
static void
open_probes(void)
{
	const struct verify_conf *v = &verify_conf;

	if (!strs_same(&v->transport_maps, &conf.transport_maps))
		tables_open(&probes.transport, &v->transport_maps);
	if (!strs_same(&v->sender_relayhost_maps, &conf.sender_relayhost_maps))
		tables_open(&probes.sender_relayhost,
			    &v->sender_relayhost_maps);
	if (!strs_same(&v->sender_transport_maps, &conf.sender_transport_maps))
		tables_open(&probes.sender_transport,
			    &v->sender_transport_maps);
}

void
route_open(void)
{
	check_limit("mailbox_size_limit", &conf.mailbox_size_limit);
	check_limit("virtual_mailbox_limit", &conf.virtual_mailbox_limit);
	open_local_recipients();
	maps.mydestination = route_list(&conf.mydestination, false);
	maps.alias_domains = route_list(&conf.virtual_alias_domains, false);
	maps.mailbox_domains = route_list(&conf.virtual_mailbox_domains, false);
	maps.relay_domains = route_list(&conf.relay_domains, true);
	tables_open(&maps.virtual_alias, &conf.virtual_alias_maps);
	tables_open(&maps.mailbox, &conf.virtual_mailbox_maps);
	tables_open(&maps.uid, &conf.virtual_uid_maps);
	tables_open(&maps.gid, &conf.virtual_gid_maps);
	tables_open(&maps.transport, &conf.transport_maps);
	tables_open(&maps.relay_recipient, &conf.relay_recipient_maps);
	tables_open(&maps.sender_relayhost, &conf.sender_relayhost_maps);
	tables_open(&maps.sender_transport, &conf.sender_transport_maps);
	tables_open(&maps.mailbox_transport, &conf.mailbox_transport_maps);
	tables_open(&maps.fallback_transport, &conf.fallback_transport_maps);
	tables_open(&maps.sender_bcc, &conf.sender_bcc_maps);
	tables_open(&maps.recipient_bcc, &conf.recipient_bcc_maps);
	open_probes();
	aliases_open(&conf.alias_maps);
	rewrite_open();
	senders_open();
}

static void
swap_tables(struct tables *a, struct tables *b, const struct strs *mail,
	    const struct strs *probe)
{
	struct tables t = *a;

	if (strs_same(mail, probe))
		return;
	*a = *b;
	*b = t;
}

static void
swap_text(char **a, char **b)
{
	char *t = *a;

	*a = *b;
	*b = t;
}

void
route_probing(bool on)
{
	static bool now;
	struct verify_conf *v = &verify_conf;

	if (on == now)
		return;
	now = on;
	swap_tables(&maps.transport, &probes.transport, &conf.transport_maps,
		    &v->transport_maps);
	swap_tables(&maps.sender_relayhost, &probes.sender_relayhost,
		    &conf.sender_relayhost_maps, &v->sender_relayhost_maps);
	swap_tables(&maps.sender_transport, &probes.sender_transport,
		    &conf.sender_transport_maps, &v->sender_transport_maps);
	swap_text(&conf.relayhost, &v->relayhost);
	swap_text(&conf.local_transport, &v->local_transport);
	swap_text(&conf.virtual_transport, &v->virtual_transport);
	swap_text(&conf.relay_transport, &v->relay_transport);
	swap_text(&conf.default_transport, &v->default_transport);
}

/* Tables that were rebuilt are opened anew; a session sees one version of
 * them. */
static void
refresh(const struct tables *ts)
{
	for (size_t i = 0; i < ts->n; i++)
		table_refresh(ts->v[i]);
}

void
route_refresh(void)
{
	refresh(&maps.virtual_alias);
	refresh(&maps.mailbox);
	refresh(&maps.uid);
	refresh(&maps.gid);
	refresh(&maps.transport);
	refresh(&maps.relay_recipient);
	refresh(&maps.sender_relayhost);
	refresh(&maps.sender_transport);
	refresh(&probes.transport);
	refresh(&probes.sender_relayhost);
	refresh(&probes.sender_transport);
	refresh(&maps.mailbox_transport);
	refresh(&maps.fallback_transport);
	refresh(&maps.sender_bcc);
	refresh(&maps.recipient_bcc);
	refresh(&maps.local_recipient);
	aliases_refresh();
	rewrite_refresh();
}

static enum table_result
in_list(const struct match_list *m, struct span domain, enum addr_class c,
	enum addr_class *out, struct err *e)
{
	enum table_result r = match_lookup(m, domain, e);

	if (r == TABLE_FOUND)
		*out = c;
	return r;
}

/* An address literal of this host counts as ours; Postfix asks its
 * interfaces, we know the loopback. */
static bool
is_loopback_literal(struct span domain)
{
	return span_iis(domain, "[127.0.0.1]") ||
	       span_iis(domain, "[IPv6:::1]");
}

enum table_result
route_class(struct span domain, enum addr_class *c, struct err *e)
{
	enum table_result r;

	/* trivial-rewrite(8): the first class that has the domain is the one,
	 * in this order. */
	*c = CLASS_DEFAULT;
	if (domain.n == 0 || is_loopback_literal(domain)) {
		*c = CLASS_LOCAL;
		return TABLE_FOUND;
	}
	r = in_list(maps.mydestination, domain, CLASS_LOCAL, c, e);
	if (r == TABLE_NONE)
		r = in_list(maps.alias_domains, domain, CLASS_ALIAS, c, e);
	if (r == TABLE_NONE)
		r = in_list(maps.mailbox_domains, domain, CLASS_MAILBOX, c, e);
	if (r == TABLE_NONE)
		r = in_list(maps.relay_domains, domain, CLASS_RELAY, c, e);
	return r == TABLE_TRY_AGAIN ? r : TABLE_FOUND;
}

enum table_result
route_is_local(struct span domain, struct err *e)
{
	enum addr_class c;

	if (route_class(domain, &c, e) == TABLE_TRY_AGAIN)
		return TABLE_TRY_AGAIN;
	return c == CLASS_LOCAL || c == CLASS_ALIAS || c == CLASS_MAILBOX
		   ? TABLE_FOUND
		   : TABLE_NONE;
}

/* "transport:nexthop" over what stands already; empty parts keep it. */
void
hop_set(struct hop *h, const char *text)
{
	struct span s = span_of(text), t;
	ssize_t colon = span_chr(s, ':');

	t = colon < 0 ? s : span_sub(s, 0, (size_t)colon);
	if (t.n > 0) {
		free(h->transport);
		h->transport = mem_spandup(t);
	}
	if (colon >= 0 && (size_t)colon + 1 < s.n) {
		free(h->nexthop);
		h->nexthop = mem_spandup(span_from(s, (size_t)colon + 1));
	}
}

/* Harmless on a hop that was never set. */
void
hop_free(struct hop *h)
{
	free(h->transport);
	free(h->nexthop);
	*h = (struct hop){ NULL, NULL };
}

/* transport(5): the address, then its domain and parents, then "*". */
static enum table_result
transport_lookup(const char *addr, struct span domain, struct buf *v,
		 struct err *e)
{
	enum table_result r;

	if (maps.transport.n == 0)
		return TABLE_NONE;
	r = tables_lookup_address(&maps.transport, span_of(addr),
				  site.recipient_delimiter, false, v, NULL, e);
	if (r == TABLE_NONE)
		r = tables_lookup_domain(&maps.transport, domain, v, e);
	if (r == TABLE_NONE)
		r = tables_lookup(&maps.transport, SPAN("*"), v, e);
	return r;
}

/* postconf(5) sender_dependent_relayhost_maps: the whole sender, then its
 * @domain; the null sender is "<>"; DUNNO is no answer. */
static enum table_result
by_sender(const struct tables *ts, const char *sender, struct buf *v,
	  struct err *e)
{
	enum table_result r;

	if (ts->n == 0 || sender == NULL)
		return TABLE_NONE;
	r = tables_lookup_address(ts, sender[0] ? span_of(sender) : SPAN("<>"),
				  site.recipient_delimiter, false, v, NULL, e);
	return r == TABLE_FOUND && span_iis(buf_span(v), "DUNNO") ? TABLE_NONE
								  : r;
}

/* Where mail for other domains goes. */
static enum table_result
default_hop(struct hop *h, const char *sender, struct err *e)
{
	struct buf v = BUF_INIT;
	const char *relay = conf.relayhost;
	enum table_result r;

	r = by_sender(&maps.sender_transport, sender, &v, e);
	if (r != TABLE_TRY_AGAIN)
		hop_set(h, r == TABLE_FOUND ? buf_str(&v)
					    : conf.default_transport);
	buf_clear(&v);
	if (r != TABLE_TRY_AGAIN)
		r = by_sender(&maps.sender_relayhost, sender, &v, e);
	if (r == TABLE_FOUND)
		relay = buf_str(&v);
	if (r != TABLE_TRY_AGAIN && relay[0] != '\0') {
		free(h->nexthop);
		h->nexthop = mem_strdup(relay);
	}
	buf_free(&v);
	return r;
}

enum table_result
route_hop(const char *addr, const char *sender, enum addr_class *c,
	  struct hop *h, struct err *e)
{
	struct span domain = domain_of(addr);
	struct buf v = BUF_INIT;
	enum table_result r = route_class(domain, c, e);

	*h = (struct hop){ NULL, NULL };
	if (r == TABLE_TRY_AGAIN)
		return r;
	/* Each later rule overrides the ones before: class, sender,
	 * transport_maps. */
	h->nexthop = mem_spandup(domain);
	/* A host that asks back whether our probes have a sender. */
	if (verify_is_sender(addr)) {
		hop_set(h, "discard:mail to the sender of probes");
		return TABLE_FOUND;
	}
	if (*c == CLASS_LOCAL)
		hop_set(h, conf.local_transport);
	else if (*c == CLASS_MAILBOX)
		hop_set(h, conf.virtual_transport);
	else if (*c == CLASS_RELAY)
		hop_set(h, conf.relay_transport);
	else
		r = default_hop(h, sender, e);
	if (r != TABLE_TRY_AGAIN)
		r = transport_lookup(addr, domain, &v, e);
	if (r == TABLE_FOUND)
		hop_set(h, buf_str(&v));
	buf_free(&v);
	if (r == TABLE_TRY_AGAIN)
		hop_free(h);
	return r == TABLE_TRY_AGAIN ? r : TABLE_FOUND;
}

enum table_result
route_local_hop(char which, struct span name, struct hop *h, struct err *e)
{
	const struct tables *ts =
	    which == 'm' ? &maps.mailbox_transport : &maps.fallback_transport;
	const char *text =
	    which == 'm' ? conf.mailbox_transport : conf.fallback_transport;
	struct buf v = BUF_INIT;
	enum table_result r = TABLE_NONE;

	if (ts->n > 0)
		r = tables_lookup(ts, name, &v, e);
	if (r == TABLE_NONE && text[0] != '\0') {
		buf_adds(&v, text);
		r = TABLE_FOUND;
	}
	if (r == TABLE_FOUND)
		hop_set(h, buf_str(&v));
	buf_free(&v);
	return r;
}

/* "maildir:/path", "mbox:/path" of Dovecot (what stands behind a second ":"
 * is about indexes), or a bare path. */
static int
parse_location(struct dest *d, const char *mail, struct err *e)
{
	struct span s = span_of(mail), path;
	bool typed = true;

	if (span_starts(s, SPAN("maildir:"))) {
		d->kind = DEST_MAILDIR;
		s = span_from(s, 8);
	} else if (span_starts(s, SPAN("mbox:"))) {
		d->kind = DEST_MBOX;
		s = span_from(s, 5);
	} else {
		typed = false;
	}
	if (!typed || !span_split(&s, ':', &path))
		path = s;
	/* mbox:~/mail:INBOX=/var/mail/%u: the INBOX is what we deliver to */
	struct span opt;
	while (typed && s.p != NULL && span_split(&s, ':', &opt))
		if (span_starts(opt, SPAN("INBOX=")))
			path = span_from(opt, 6);
	if (!typed)
		d->kind = span_ends(path, SPAN("/")) ? DEST_MAILDIR : DEST_MBOX;
	if (path.n == 0 || path.p[0] != '/')
		return err_set(e, ST_CONFIG,
			       "mail location \"%s\" is no absolute path: "
			       "expected maildir:/PATH or mbox:/PATH",
			       mail);
	d->path = mem_spandup(path);
	return 0;
}

/* quota_rule in the configuration, where nobody said more. */
static void
default_quota(struct dest *d)
{
	d->quota.file = (uint64_t)(strcmp(d->relay, "virtual") == 0
				       ? conf.virtual_mailbox_limit
				       : conf.mailbox_size_limit);
	if (d->quota.bytes > 0 || d->quota.count > 0 ||
	    conf.quota_rule[0] == '\0')
		return;
	if (!quota_rule(&d->quota, span_of(conf.quota_rule)))
		log_warn("quota_rule: \"%s\": expected "
			 "*:storage=1G:messages=1000",
			 conf.quota_rule);
}

struct dest *
dest_of_user(const struct user *u, struct err *e)
{
	struct dest *d = mem_alloc(1, sizeof(*d));
	struct buf b = BUF_INIT;

	*d = (struct dest){ .relay = u->system ? "local" : "virtual",
			    .user = mem_strdup(u->name),
			    .home = u->home[0] ? mem_strdup(u->home) : NULL,
			    .uid = u->uid,
			    .gid = u->gid,
			    .quota = u->quota,
			    .has_ids = u->has_ids };

	default_quota(d);
	if (u->system && conf.mailbox_command[0] != '\0') {
		d->kind = DEST_COMMAND;
		d->path = mem_strdup(conf.mailbox_command);
		return d;
	}
	if (parse_location(d, u->mail, e) != 0) {
		dest_free(d);
		return NULL;
	}
	if (conf.sieve[0] != '\0' && d->kind == DEST_MAILDIR &&
	    users_expand(&b, conf.sieve, u->name, u->home) &&
	    buf_str(&b)[0] == '/')
		d->sieve = mem_strdup(buf_str(&b));
	buf_free(&b);
	return d;
}

/* uid or gid of a virtual mailbox. */
static int
lookup_id(const struct tables *ts, const char *addr, const char *what,
	  int64_t min, uint32_t *id, struct err *e)
{
	struct buf v = BUF_INIT;
	uint64_t n = 0;
	int r = 0;

	switch (tables_lookup_address(
	    ts, span_of(addr), site.recipient_delimiter, false, &v, NULL, e)) {
	case TABLE_FOUND:
		if (!num_u64(span_trim(buf_span(&v)), UINT32_MAX - 1, &n) ||
		    n < (uint64_t)min)
			r = err_set(e, ST_CONFIG,
				    "%s: \"%s\" for %s is no number from %lld "
				    "on (virtual_minimum_uid)",
				    what, buf_str(&v), addr, (long long)min);
		break;
	case TABLE_NONE:
		r = err_set(e, ST_CONFIG, "%s: nothing found for %s", what,
			    addr);
		break;
	case TABLE_TRY_AGAIN:
		r = -1;
		break;
	}
	buf_free(&v);
	*id = (uint32_t)n;
	return r;
}

/* virtual(8): a mailbox below virtual_mailbox_base. */
static struct dest *
dest_of_virtual(const char *addr, const char *value, struct err *e)
{
	struct dest *d = mem_alloc(1, sizeof(*d));
	struct span v = span_trim(span_of(value));
	uint32_t id;
	int r = 0;

	*d = (struct dest){ .relay = "virtual", .user = mem_strdup(addr) };
	default_quota(d);
	d->kind = span_ends(v, SPAN("/")) ? DEST_MAILDIR : DEST_MBOX;
	while (v.n > 0 && v.p[v.n - 1] == '/')
		v.n--;
	if (v.n == 0 || span_has_ctl(v) || span_find(v, SPAN("../")) >= 0 ||
	    span_ends(v, SPAN("..")))
		r = err_set(e, ST_CONFIG,
			    "virtual_mailbox_maps: \"%s\" for %s is no mailbox",
			    value, addr);
	else if (conf.virtual_mailbox_base[0] == '\0' && v.p[0] != '/')
		r = err_set(e, ST_CONFIG,
			    "virtual_mailbox_base is not set, and \"%s\" for "
			    "%s is no absolute path",
			    value, addr);
	else
		d->path = mem_printf("%s%s%.*s", conf.virtual_mailbox_base,
				     conf.virtual_mailbox_base[0] ? "/" : "",
				     SPAN_ARG(v));
	if (r == 0 && maps.uid.n > 0) {
		/* virtual(8): a uid below virtual_minimum_uid is a mistake of
		 * the table, and nobody's mailbox. */
		r = lookup_id(&maps.uid, addr, "virtual_uid_maps",
			      conf.virtual_minimum_uid, &id, e);
		d->uid = id;
		d->has_ids = true;
	}
	if (r == 0 && maps.gid.n > 0) {
		r = lookup_id(&maps.gid, addr, "virtual_gid_maps", 1, &id, e);
		d->gid = id;
	} else if (r == 0 && d->has_ids) {
		d->gid = d->uid;
	}
	struct buf b = BUF_INIT;
	if (r == 0 && conf.sieve[0] != '\0' && d->kind == DEST_MAILDIR &&
	    users_expand(&b, conf.sieve, addr, NULL) && buf_str(&b)[0] == '/')
		d->sieve = mem_strdup(buf_str(&b));
	buf_free(&b);
	if (r == 0)
		return d;
	dest_free(d);
	return NULL;
}

/* user+ext: the whole name first, then without extension. */
enum table_result
user_dest(struct span name, struct dest **d, struct err *e)
{
	const struct user *u;
	struct span base, ext;
	enum table_result r = users_find(name, &u, e);

	if (r == TABLE_NONE && site.recipient_delimiter[0] != '\0') {
		ssize_t at = span_rchr(name, '@');
		struct span local =
		    at < 0 ? name : span_sub(name, 0, (size_t)at);
		if (addr_split_ext(local, site.recipient_delimiter, &base,
				   &ext)) {
			struct buf b = BUF_INIT;
			buf_addspan(&b, base);
			if (at >= 0)
				buf_addspan(&b, span_from(name, (size_t)at));
			r = users_find(buf_span(&b), &u, e);
			buf_free(&b);
		}
	}
	if (r != TABLE_FOUND)
		return r;
	*d = dest_of_user(u, e);
	return *d != NULL ? TABLE_FOUND : TABLE_TRY_AGAIN;
}

enum table_result
virtual_dest(const char *addr, struct dest **d, struct err *e)
{
	struct buf v = BUF_INIT;
	enum table_result r;

	if (maps.mailbox.n == 0) {
		struct buf low = BUF_INIT;
		for (const char *p = addr; *p != '\0'; p++)
			buf_addc(&low, ascii_tolower(*p));
		r = user_dest(buf_span(&low), d, e);
		buf_free(&low);
		return r;
	}
	r = tables_lookup_address(&maps.mailbox, span_of(addr),
				  site.recipient_delimiter, false, &v, NULL, e);
	if (r == TABLE_FOUND) {
		*d = dest_of_virtual(addr, buf_str(&v), e);
		if (*d == NULL)
			r = TABLE_TRY_AGAIN;
	}
	buf_free(&v);
	return r;
}
