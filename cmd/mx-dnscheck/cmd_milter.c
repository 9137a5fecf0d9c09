/*
 * cmd_milter.c - mx-dnscheck --milter: `auth` for an MTA that speaks the
 * milter protocol, in the place of opendkim's verifier, opendmarc and
 * policyd-spf.  Mail of logins and of our own hosts is not judged; forged
 * results are removed from it, too.
 */
#include "auth.h"
#include "authres.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "milter_server.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>

#define MESSAGE_MAX (100 * 1024 * 1024) /* held in memory */
#define HEADER_MAX (1024 * 1024)
#define RECIPIENTS_MAX 10000

static struct {
	struct dns *dns;
	struct match_list *networks;
	struct strs folders;
} m_state;

struct client {
	char *addr, *name, *helo, *sender;
	struct strs recipients;
	bool judged;     /* a stranger: there is something to find out */
	struct buf text; /* the message, header with LF */
	bool eoh;
};

static struct client *
client_of(struct milter *m)
{
	struct client *c = *milter_state(m);

	if (c == NULL)
		c = *milter_state(m) = mem_alloc(1, sizeof(*c));
	return c;
}

static void
set(char **at, struct span v)
{
	free(*at);
	*at = mem_spandup(v);
}

static enum milter_code
on_connect(struct milter *m, const struct milter_peer *p)
{
	struct client *c = client_of(m);
	bool net = p->family == '4' || p->family == '6';

	set(&c->addr, net ? p->addr : SPAN(""));
	set(&c->name, p->name);
	return MILTER_CONTINUE;
}

static enum milter_code
on_helo(struct milter *m, struct span name)
{
	set(&client_of(m)->helo, name);
	return MILTER_CONTINUE;
}

/* Logins, this host, mynetworks.  TRY_AGAIN: cannot tell. */
static enum table_result
is_ours(struct milter *m, const struct client *c, struct err *e)
{
	if (milter_macro(m, "auth_authen").n > 0 ||
	    milter_macro(m, "auth_type").n > 0 || c->addr == NULL ||
	    c->addr[0] == '\0')
		return TABLE_FOUND;
	return match_lookup(m_state.networks, span_of(c->addr), e);
}

static enum milter_code
on_mail(struct milter *m, const struct span *v, size_t n)
{
	struct client *c = client_of(m);
	struct span addr = v[0];
	struct err e = ERR_INIT;
	enum table_result r = is_ours(m, c, &e);

	(void)n;
	if (r == TABLE_TRY_AGAIN) {
		log_warn("mynetworks: %s", e.text);
		return MILTER_TEMPFAIL;
	}
	c->judged = r != TABLE_FOUND;
	if (addr.n >= 2 && addr.p[0] == '<' && addr.p[addr.n - 1] == '>')
		addr = span_sub(addr, 1, addr.n - 1);
	set(&c->sender, addr);
	return MILTER_CONTINUE;
}

/* Known for opendmarc's IgnoreMailTo. */
static enum milter_code
on_rcpt(struct milter *m, const struct span *v, size_t n MX_UNUSED)
{
	struct client *c = client_of(m);
	struct span addr = v[0];

	if (addr.n >= 2 && addr.p[0] == '<' && addr.p[addr.n - 1] == '>')
		addr = span_sub(addr, 1, addr.n - 1);
	if (params.dmarc_ignore_mail_to.n > 0 &&
	    c->recipients.n < RECIPIENTS_MAX)
		strs_addspan(&c->recipients, addr);
	return MILTER_CONTINUE;
}

static enum milter_code
on_header(struct milter *m, struct span name, struct span value)
{
	struct client *c = client_of(m);

	/* Not more than msg_index will look at: a From, or forged results,
	 * could hide behind it. */
	if (c->text.n + 2 * value.n + name.n + 4 > HEADER_MAX)
		return milter_reply(m, 552, "5.3.4", "header too large");
	buf_addspan(&c->text, name);
	buf_addc(&c->text, ':');
	if (!milter_leading_space(m))
		buf_addc(&c->text, ' ');
	for (size_t i = 0; i < value.n; i++) {
		char b = value.p[i],
		     next = i + 1 < value.n ? value.p[i + 1] : 0;

		if (b == '\r')
			continue;
		buf_addc(&c->text, b);
		/* A line end that is no fold would be another field. */
		if (b == '\n' && next != ' ' && next != '\t')
			buf_addc(&c->text, '\t');
	}
	buf_addc(&c->text, '\n');
	return MILTER_CONTINUE;
}

static void
end_header(struct client *c)
{
	if (!c->eoh)
		buf_addc(&c->text, '\n');
	c->eoh = true;
}

static enum milter_code
on_eoh(struct milter *m)
{
	end_header(client_of(m));
	return MILTER_CONTINUE;
}

static enum milter_code
on_body(struct milter *m, struct span bytes)
{
	struct client *c = client_of(m);

	end_header(c);
	/* Nobody looks at the body of our own mail. */
	if (!c->judged)
		return MILTER_SKIP;
	if (c->text.n + bytes.n > MESSAGE_MAX)
		return milter_reply(m, 552, "5.3.4", "message too large");
	buf_addspan(&c->text, bytes);
	return MILTER_CONTINUE;
}

/* How many fields of f's name stand among those from `from` up to f. */
static uint32_t
count_names(const struct msg_field *from, const struct msg_field *f)
{
	uint32_t n = 0;

	for (const struct msg_field *g = from; g <= f; g++)
		n += span_ieq(g->name, f->name);
	return n;
}

/* The field that the splice deletes, at or above `f`. */
static const struct msg_field *
deleted(const struct msg *m, const struct msg_splice *sp,
	const struct msg_field *f)
{
	while (f > m->v && m->whole.p + sp->at != f->all.p)
		f--;
	return f;
}

/* Deletions from the bottom up, so that places stay.  They stand in the edit
 * from the top down, and are all of one name: thousands of them cost one walk
 * over the header. */
static bool
tell_deletions(struct milter *m, const struct msg_edit *ed)
{
	const struct msg_field *f, *below = NULL;
	uint32_t place = 0;
	bool ok = true;

	for (size_t k = ed->n; k-- > 0 && ok;) {
		struct buf name = BUF_INIT;

		if (ed->v[k].drop == 0)
			continue;
		f = deleted(ed->m, &ed->v[k],
			    below != NULL ? below : ed->m->v + ed->m->n - 1);
		if (below != NULL && span_ieq(below->name, f->name))
			place -= count_names(f + 1, below);
		else
			place = count_names(ed->m->v, f);
		below = f;
		buf_addspan(&name, f->name);
		ok = milter_change_header(m, place, buf_str(&name), SPAN(""));
		buf_free(&name);
	}
	return ok;
}

/* A field of the filter as the MTA gets it. */
static bool
insert(struct milter *m, struct span field)
{
	struct msg_field f;
	struct buf text = BUF_INIT, name = BUF_INIT;
	bool ok = false;

	buf_addspan(&text, field);
	buf_addc(&text, '\n');
	if (msg_next_field(buf_span(&text), &f) > 0) {
		buf_addspan(&name, f.name);
		if (!milter_leading_space(m) && f.value.n > 0 &&
		    f.value.p[0] == ' ')
			f.value = span_from(f.value, 1);
		ok = milter_insert_header(m, 0, buf_str(&name), f.value);
	}
	buf_free(&text);
	buf_free(&name);
	return ok;
}

/* What the filter does to a message, told as modifications: the new fields on
 * top come last. */
static bool
tell(struct milter *m, const struct msg_edit *ed)
{
	bool ok = tell_deletions(m, ed);

	for (size_t k = 0; k < ed->n && ok; k++)
		if (ed->v[k].drop == 0)
			ok = insert(m, buf_span(&ed->v[k].put));
	return ok;
}

static void
envelope(struct milter *m, const struct client *c, struct envelope *env)
{
	env->client_addr = mem_strdup(c->addr != NULL ? c->addr : "");
	env->client_name = mem_strdup(c->name != NULL ? c->name : "");
	env->helo = mem_strdup(c->helo != NULL ? c->helo : "");
	env->sender = mem_strdup(c->sender != NULL ? c->sender : "");
	env->queue_id = mem_spandup(milter_macro(m, "i"));
	for (size_t i = 0; i < c->recipients.n; i++)
		strs_add(&env->recipients, c->recipients.v[i]);
}

/* opendmarc's CopyFailuresTo and HoldQuarantinedMessages. */
static bool
treat(struct milter *m, const struct auth *a)
{
	bool ok = true;

	for (size_t i = 0; i < params.dmarc_copy_failures_to.n && !a->ignored &&
			   a->dmarc.code == VERIFY_FAIL && ok;
	     i++) {
		struct buf rcpt = BUF_INIT;

		buf_addf(&rcpt, "<%s>", params.dmarc_copy_failures_to.v[i]);
		ok = milter_add_rcpt(m, buf_span(&rcpt), SPAN(""));
		buf_free(&rcpt);
	}
	if (ok && auth_disposition(a) == DMARC_QUARANTINE)
		ok = milter_quarantine(m, "the DMARC policy of its author");
	if (!ok)
		log_error("%s: the MTA lets no recipient be added, or holds "
			  "no mail",
			  a->env.queue_id);
	return ok;
}

static enum milter_code
judge(struct milter *m, struct auth *a, struct msg_edit *ed)
{
	struct span id = milter_macro(m, "i");
	enum milter_code v = MILTER_CONTINUE;
	struct buf text = BUF_INIT;
	const char *esc;

	auth_mark(a, ed);
	auth_history(a);
	auth_failure(a);
	log_info("%.*s: client=%s spf=%s dkim=%s dmarc=%s", SPAN_ARG(id),
		 a->env.client_addr, spf_word(a->spf_code),
		 a->sigs.n > 0 ? verify_word(a->sigs.v[0].code) : "none",
		 a->ignored ? "ignored" : verify_word(a->dmarc.code));
	if (auth_refusal(a, &text, &esc))
		v = milter_reply(m, 550, esc, "%s", buf_str(&text));
	else if (!treat(m, a))
		v = MILTER_TEMPFAIL;
	buf_free(&text);
	return v;
}

static enum milter_code
on_eom(struct milter *m)
{
	struct client *c = client_of(m);
	struct auth a = { .dns = m_state.dns, .id = auth_id() };
	struct msg_edit ed;
	struct err e = ERR_INIT;
	enum milter_code v = MILTER_CONTINUE;

	a.now = check_time();
	end_header(c);
	msg_index(&a.m, buf_span(&c->text), HEADER_MAX);
	msg_edit_init(&ed, &a.m);
	if (!c->judged) {
		authres_remove(&ed, a.id);
	} else {
		envelope(m, c, &a.env);
		if (auth_run(&a, &e) != 0) {
			log_error("%.*s: %s", SPAN_ARG(milter_macro(m, "i")),
				  e.text);
			v = MILTER_TEMPFAIL;
		} else {
			v = judge(m, &a, &ed);
		}
	}
	if (v == MILTER_CONTINUE && !tell(m, &ed)) {
		log_error("%.*s: the MTA lets no field be changed",
			  SPAN_ARG(milter_macro(m, "i")));
		v = MILTER_TEMPFAIL;
	}
	msg_edit_done(&ed);
	if (c->judged)
		auth_done(&a);
	msg_done(&a.m);
	return v;
}

static void
on_end_mail(struct milter *m)
{
	struct client *c = client_of(m);

	buf_free(&c->text);
	strs_free(&c->recipients);
	c->eoh = false;
}

static void
on_close(struct milter *m)
{
	struct client *c = client_of(m);

	on_end_mail(m);
	free(c->addr);
	free(c->name);
	free(c->helo);
	free(c->sender);
	free(c);
	*milter_state(m) = NULL;
}

static const struct milter_filter filter = {
	.name = "mx-dnscheck",
	.actions = MILTER_ACT_ADDHDRS | MILTER_ACT_CHGHDRS |
		   MILTER_ACT_ADDRCPT | MILTER_ACT_QUARANTINE,
	.protocol = MILTER_P_HDR_LEADSPC | MILTER_P_NR_CONN | MILTER_P_NR_HELO |
		    MILTER_P_NR_RCPT | MILTER_P_NR_EOH,
	.macros = { [MILTER_AT_MAIL] = "i {auth_type} {auth_authen}",
		    [MILTER_AT_EOM] = "i" },
	.connect = on_connect,
	.helo = on_helo,
	.mail = on_mail,
	.rcpt = on_rcpt,
	.header = on_header,
	.eoh = on_eoh,
	.body = on_body,
	.eom = on_eom,
	.end_mail = on_end_mail,
	.close = on_close,
};

static struct server_spec spec;

static void
say(const char *sentence)
{
	log_warn("%s", sentence);
}

static void
add_folder(const char *path)
{
	struct span p = span_of(path);
	ssize_t slash = span_rchr(p, '/');

	if (slash > 0 && p.p[0] == '/')
		strs_addspan(&m_state.folders, span_sub(p, 0, (size_t)slash));
}

static int
before_drop(struct server *s, bool reload, struct err *e)
{
	const struct strs *lists[] = { &params.dmarc_ignore_hosts,
				       &params.dmarc_ignore_mail_from,
				       &params.dmarc_trusted_sealers };
	struct strs servers = STRS_INIT;
	struct dns *dns = dns_open(site.resolver, e);

	(void)reload;
	if (dns == NULL || auth_configure(say, e) != 0)
		return -1;
	m_state.networks = match_networks(&site.mynetworks, e);
	if (m_state.networks == NULL)
		return -1;
	if (m_state.dns != NULL)
		dns_close(m_state.dns);
	m_state.dns = dns;
	dns_set_opener(dns, server_dns_socket, s);
	(void)dns_servers(dns, &servers);
	server_resolvers(s, &servers);
	strs_free(&servers);
	strs_clear(&m_state.folders);
	add_folder(params.dmarc_history_file);
	add_folder(params.dmarc_failure_file);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t k = 0; k < lists[i]->n; k++)
			add_folder(lists[i]->v[k]);
	spec.sandbox_paths = (const char *const *)m_state.folders.v;
	return 0;
}

static void
session(struct server *s, struct server_conn *c)
{
	dns_set_opener(m_state.dns, server_dns_socket, s);
	milter_serve(&filter, NULL, s, c);
}

int
cmd_milter(const struct program *p)
{
	static struct server_mode mode = { .name = "milter",
					   .unix_mode = 0660,
					   .group = &site.filter_user };
	char *user = mem_strdup(site.filter_user);
	struct err e = ERR_INIT;

	site_log_open("auth");
	if (auth_configure(NULL, &e) != 0 ||
	    milter_process_apply(&auth_process, params.opendmarc_conf,
				 &opts.server, &mode, &user, &e) != 0)
		return prog_fail(&e);
	opts.server.max_workers = params.process_limit;
	opts.server.max_use = 100;
	spec = (struct server_spec){ .program = p,
				     .modes = &mode,
				     .nmodes = 1,
				     .user = user,
				     .sandbox = SANDBOX_RPATH | SANDBOX_WPATH,
				     .patient = true,
				     .before_drop = before_drop,
				     .session = session };
	return server_run(&spec, &opts.server, NULL);
}
