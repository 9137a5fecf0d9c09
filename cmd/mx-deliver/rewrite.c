/*
 * rewrite.c - addresses completed, mapped by canonical(5), masqueraded.
 * Postfix ADDRESS_REWRITING_README, canonical(5), postconf(5).
 */
#include "rewrite.h"
#include "addr.h"
#include "conf.h"
#include "filters.h"
#include "log.h"
#include "mem.h"
#include "msg.h"
#include "route_int.h"
#include "site.h"
#include "status.h"

#include <stdlib.h>

/* canonical(5): mapping goes on until nothing changes, at most so often
 * (cleanup(8)'s limit); what it is then is taken. */
#define ROUNDS_MAX 10
#define ADDRESSES_MAX 10000

static struct tables canonical, sender_canonical, recipient_canonical;
static struct match_list *exceptions; /* masquerade_exceptions */

void
rewrite_open(void)
{
	tables_open(&canonical, &conf.canonical_maps);
	tables_open(&sender_canonical, &conf.sender_canonical_maps);
	tables_open(&recipient_canonical, &conf.recipient_canonical_maps);
	exceptions = route_list(&conf.masquerade_exceptions, false);
}

static void
refresh(const struct tables *ts)
{
	for (size_t i = 0; i < ts->n; i++)
		table_refresh(ts->v[i]);
}

void
rewrite_refresh(void)
{
	refresh(&canonical);
	refresh(&sender_canonical);
	refresh(&recipient_canonical);
}

static bool
in_classes(const struct strs *classes, enum rewrite_class class)
{
	static const char *const words[] = {
		[ENVELOPE_SENDER] = "envelope_sender",
		[ENVELOPE_RECIPIENT] = "envelope_recipient",
		[HEADER_SENDER] = "header_sender",
		[HEADER_RECIPIENT] = "header_recipient",
	};

	return strs_ihas(classes, span_of(words[class]));
}

char *
rewrite_extension(char *addr, const char *from, const char *where)
{
	struct span user, ext, local = local_of(addr);

	if (!strs_ihas(&conf.propagate_extensions, span_of(where)) ||
	    !addr_split_ext(local_of(from), site.recipient_delimiter, &user,
			    &ext))
		return addr;
	char *r = mem_printf("%.*s%c%.*s%s", SPAN_ARG(local), ext.p[-1],
			     SPAN_ARG(ext), addr + local.n);
	free(addr);
	return r;
}

/* postconf(5): append_at_myorigin, append_dot_mydomain; in a stranger's header
 * both append remote_header_rewrite_domain. */
static void
complete(char **addr, bool remote)
{
	const char *origin =
	    remote ? conf.remote_rewrite_domain : site.myorigin;
	const char *parent =
	    remote ? conf.remote_rewrite_domain : site.mydomain;
	struct span domain = domain_of(*addr), local = local_of(*addr);
	char *r = NULL;

	if (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.n == 0 && conf.append_at_myorigin)
		r = mem_printf("%.*s@%s", SPAN_ARG(local), origin);
	else if (domain.n > 0 && span_chr(domain, '.') < 0 &&
		 domain.p[0] != '[' && conf.append_dot_mydomain &&
		 parent[0] != '\0')
		r = mem_printf("%.*s@%.*s.%s", SPAN_ARG(local),
			       SPAN_ARG(domain), parent);
	else if (domain.n != domain_of(*addr).n)
		r = mem_printf("%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain));
	if (r == NULL)
		return;
	free(*addr);
	*addr = r;
}

/* What a map says, as one whole address; NULL when it is none.  dropped: the
 * extension of `from` was no part of the key. */
static char *
mapped(const char *from, struct span text, bool dropped)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct addr a;
	char *r = NULL;

	text = span_trim(text);
	if (text.n > 1 && text.p[0] == '@') { /* the local part stays */
		struct span local = local_of(from), ext;

		/* mail_addr_map(3): but for what the match dropped */
		if (dropped)
			(void)addr_split_ext(local_of(from),
					     site.recipient_delimiter, &local,
					     &ext);
		buf_addspan(&b, local);
	}
	buf_addspan(&b, text);
	if (span_rchr(text, '@') < 0 && conf.append_at_myorigin)
		buf_addf(&b, "@%s", site.myorigin);
	if (!span_has_ctl(buf_span(&b)) &&
	    addr_parse(&a, buf_span(&b), &e) == 0) {
		struct buf out = BUF_INIT;

		addr_print(&out, &a);
		addr_free(&a);
		r = buf_steal(&out);
		complete(&r, false); /* as cleanup's mail_addr_crunch() */
	} else {
		log_warn("canonical maps: \"%.200s\" for <%s> is no address: "
			 "it is left out",
			 buf_str(&b), from);
	}
	buf_free(&b);
	return r;
}

static int
canonicalize(const struct tables *ts, char **addr, struct err *e)
{
	struct buf v = BUF_INIT;
	int r = 0;

	for (int i = 0; ts->n > 0; i++) {
		bool dropped = false, local;
		enum addr_class c;
		enum table_result t;
		char *to;

		if (route_class(domain_of(*addr), &c, e) == TABLE_TRY_AGAIN) {
			r = -1;
			break;
		}
		if (i == ROUNDS_MAX) {
			log_warn("canonical maps: <%s> changed %d times: it "
				 "is taken as it is now",
				 *addr, ROUNDS_MAX);
			break;
		}
		local = c == CLASS_LOCAL ||
			span_iis(domain_of(*addr), site.myorigin);
		t = tables_lookup_address(ts, span_of(*addr),
					  site.recipient_delimiter, local, &v,
					  &dropped, e);
		r = t == TABLE_TRY_AGAIN ? -1 : 0;
		if (t != TABLE_FOUND ||
		    (to = mapped(*addr, buf_span(&v), dropped)) == NULL)
			break;
		if (dropped)
			to = rewrite_extension(to, *addr, "canonical");
		bool same = span_ieq(span_of(to), span_of(*addr));
		free(*addr);
		*addr = to;
		if (same)
			break;
	}
	buf_free(&v);
	return r;
}

/* postconf(5) masquerade_domains: in order, "!" leaves a domain and what is
 * below it alone. */
static int
masquerade(char **addr, struct err *e)
{
	struct span domain = domain_of(*addr);
	enum table_result t = match_lookup(exceptions, local_of(*addr), e);

	if (t != TABLE_NONE)
		return t == TABLE_FOUND ? 0 : -1;
	for (size_t i = 0; i < conf.masquerade_domains.n; i++) {
		struct span m = span_of(conf.masquerade_domains.v[i]);
		bool not = false;

		for (; m.n > 0 && m.p[0] == '!'; m = span_from(m, 1))
			not = !not ;
		if (m.n == 0 || domain.n < m.n ||
		    !span_ieq(span_from(domain, domain.n - m.n), m))
			continue;
		if (domain.n > m.n && domain.p[domain.n - m.n - 1] != '.')
			continue; /* another domain with the same end */
		if (domain.n == m.n || not )
			return 0;
		char *r = mem_printf("%.*s@%.*s", SPAN_ARG(local_of(*addr)),
				     SPAN_ARG(m));
		for (char *c = strrchr(r, '@'); *c != 0; c++)
			*c = ascii_tolower(*c);

		free(*addr);
		*addr = r;
		return 0;
	}
	return 0;
}

/* rewrite_address; remote: in the header of a stranger's message. */
static int
rewrite_in(char **addr, enum rewrite_class class, bool remote, struct err *e)
{
	bool sender = class == ENVELOPE_SENDER || class == HEADER_SENDER;
	const struct tables *own =
	    sender ? &sender_canonical : &recipient_canonical;
	const struct strs *classes = sender ? &conf.sender_canonical_classes
					    : &conf.recipient_canonical_classes;

	if ((*addr)[0] == '\0')
		return 0;
	complete(addr, remote);
	if (in_classes(classes, class) && canonicalize(own, addr, e) != 0)
		return -1;
	if (in_classes(&conf.canonical_classes, class) &&
	    canonicalize(&canonical, addr, e) != 0)
		return -1;
	if (conf.masquerade_domains.n == 0 ||
	    !in_classes(&conf.masquerade_classes, class))
		return 0;
	return masquerade(addr, e);
}

int
rewrite_address(char **addr, enum rewrite_class class, struct err *e)
{
	return rewrite_in(addr, class, false, e);
}

/* Nothing that rewrite_header could do. */
static bool
idle(void)
{
	return canonical.n == 0 && sender_canonical.n == 0 &&
	       recipient_canonical.n == 0 && conf.masquerade_domains.n == 0;
}

/* local_header_rewrite_clients. */
static bool
is_local(const struct client *c)
{
	const struct strs *l = &conf.header_rewrite_clients;

	if (c->submit || c->addr == NULL)
		return true;
	for (size_t i = 0; i < l->n; i++) {
		struct span w = span_of(l->v[i]);

		if (span_is(w, "permit_inet_interfaces") &&
		    (span_starts(span_of(c->addr), SPAN("127.")) ||
		     strcmp(c->addr, "::1") == 0))
			return true;
		if (span_is(w, "permit_sasl_authenticated") &&
		    c->login != NULL && c->login[0] != '\0')
			return true;
		if (span_is(w, "permit_mynetworks") && c->login == NULL &&
		    filters_is_ours(c))
			return true;
	}
	return false;
}

bool
rewrite_wanted(const struct client *c)
{
	if (conf.remote_rewrite_domain[0] != '\0')
		return true;
	return !(idle() && !conf.append_dot_mydomain) && is_local(c);
}

/* Which fields hold addresses (RFC 5322 3.6.2, 3.6.3, 3.6.6; Postfix's
 * header_opts.c). */
static bool
field_class(struct span name, enum rewrite_class *c)
{
	static const struct {
		const char *name;
		enum rewrite_class class;
	} rows[] = {
		{ "From", HEADER_SENDER },
		{ "Sender", HEADER_SENDER },
		{ "Reply-To", HEADER_SENDER },
		{ "Errors-To", HEADER_SENDER },
		{ "Return-Receipt-To", HEADER_SENDER },
		{ "Disposition-Notification-To", HEADER_SENDER },
		{ "Mail-Followup-To", HEADER_SENDER },
		{ "Resent-From", HEADER_SENDER },
		{ "Resent-Sender", HEADER_SENDER },
		{ "To", HEADER_RECIPIENT },
		{ "Cc", HEADER_RECIPIENT },
		{ "Bcc", HEADER_RECIPIENT },
		{ "Apparently-To", HEADER_RECIPIENT },
		{ "Resent-Reply-To", HEADER_RECIPIENT }, /* as cleanup(8) */
		{ "Resent-To", HEADER_RECIPIENT },
		{ "Resent-Cc", HEADER_RECIPIENT },
		{ "Resent-Bcc", HEADER_RECIPIENT },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (span_iis(name, rows[i].name)) {
			*c = rows[i].class;
			return true;
		}
	return false;
}

/* A display name, quoted where it has to be. */
static void
add_phrase(struct buf *b, struct span name)
{
	bool plain = true;

	for (size_t i = 0; i < name.n; i++)
		plain &= (unsigned char)name.p[i] >= 0x80 ||
			 strchr("()<>[]:;@\\,.\"", name.p[i]) == NULL;
	if (!plain)
		buf_addc(b, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, name.p[i]);
	}
	if (!plain)
		buf_addc(b, '"');
}

/* Parsed well, or a bare local name, as people on one host write it. */
static bool
usable(const struct addr_item *it)
{
	if (it->kind != ADDR_MAILBOX)
		return true;
	if (it->local.n == 0 || (it->bad && it->domain.n > 0))
		return false;
	for (size_t i = 0; it->bad && i < it->local.n; i++)
		if (!ascii_isalnum(it->local.p[i]) &&
		    strchr("._+-", it->local.p[i]) == NULL)
			return false;
	return true;
}

static char *
wire_form(const struct addr_item *it)
{
	struct buf b = BUF_INIT;

	addr_quote_local(&b, it->local);
	if (it->domain.n > 0)
		buf_addf(&b, "@%.*s", SPAN_ARG(it->domain));
	return buf_steal(&b);
}

/* One item of the list into *v; *changed_r when it is another address now. */
static int
put_item(struct buf *v, const struct addr_item *it, enum rewrite_class class,
	 bool remote, bool *first, bool *changed_r, struct err *e)
{
	char *was, *now;
	int r;

	if (it->kind == ADDR_GROUP_END) {
		buf_addc(v, ';');
		*first = false;
		return 0;
	}
	if (!*first)
		buf_adds(v, ", ");
	if (it->kind == ADDR_GROUP_START) {
		add_phrase(v, it->name);
		buf_adds(v, ": ");
		*first = true;
		return 0;
	}
	*first = false;
	was = wire_form(it);
	now = mem_strdup(was);
	r = usable(it) ? rewrite_in(&now, class, remote, e) : 0;
	*changed_r |= strcmp(was, now) != 0;
	if (it->name.n > 0) {
		add_phrase(v, it->name);
		buf_addf(v, " <%s>", now);
	} else {
		buf_adds(v, now);
	}
	free(was);
	free(now);
	return r;
}

/* One field: as it was unless an address in it changed. */
static int
put_field(struct buf *out, const struct msg_field *f, enum rewrite_class class,
	  bool remote, struct err *e)
{
	struct addr_list l = { 0 };
	struct buf v = BUF_INIT;
	bool first = true, changed = false, bad = false;
	char *name;
	int r = 0;

	addr_list_parse(&l, f->value, ADDRESSES_MAX);
	for (size_t i = 0; r == 0 && i < l.n; i++) {
		bad |= !usable(&l.v[i]);
		r = put_item(&v, &l.v[i], class, remote, &first, &changed, e);
	}
	if (r == 0 && changed && !bad) {
		name = mem_spandup(f->name);
		msg_make_field(out, name, buf_span(&v));
		buf_addc(out, '\n');
		free(name);
	} else {
		buf_addspan(out, f->all);
	}
	addr_list_free(&l);
	buf_free(&v);
	return r;
}

int
rewrite_header(struct buf *out, const struct client *c, struct span header,
	       struct err *e)
{
	bool remote = !is_local(c);
	struct msg_field f;
	enum rewrite_class class;
	size_t n;
	int r = 0;

	while (r == 0 && (n = msg_next_field(header, &f)) > 0) {
		if (field_class(f.name, &class))
			r = put_field(out, &f, class, remote, e);
		else
			buf_addspan(out, f.all);
		header = span_from(header, n);
	}
	buf_addspan(out, header);
	return r;
}
