/*
 * milter.c - mx-dkimsign --milter: signs for an MTA, as opendkim does: mail of
 * logins and of our own hosts, whose From is of a domain with a key.  The
 * body is hashed as it comes; only the header is kept.
 * opendkim(8), "OPERATION".
 */
#include "dkimsign.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "milter_server.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"
#include "table.h"
#include "tls_key.h"

#include <limits.h>
#include <stdlib.h>

#define HEADER_MAX (1024 * 1024)

static struct {
	struct sign_plan plan; /* without signers */
	struct match_list *networks;
	struct strs folders; /* of tables */
} m_state;

/* One MTA's client, and its present message. */
struct client {
	char *addr, *name;
	struct buf header;
	struct dkim_body body;
	size_t old; /* signatures that came along */
	bool hashing, never;
};

static enum milter_code
on_connect(struct milter *m, const struct milter_peer *p)
{
	struct client *c = *milter_state(m);

	if (c == NULL)
		c = *milter_state(m) = mem_alloc(1, sizeof(*c));
	free(c->addr);
	free(c->name);
	c->addr =
	    p->family == '4' || p->family == '6' ? mem_spandup(p->addr) : NULL;
	c->name = mem_spandup(p->name);
	return MILTER_CONTINUE;
}

static void
on_end_mail(struct milter *m)
{
	struct client *c = *milter_state(m);
	unsigned char hash[32];

	if (c == NULL)
		return;
	if (c->hashing)
		dkim_body_done(&c->body, hash);
	c->hashing = false;
	buf_free(&c->header);
}

static void
on_close(struct milter *m)
{
	struct client *c = *milter_state(m);

	if (c == NULL)
		return;
	on_end_mail(m);
	free(c->addr);
	free(c->name);
	free(c);
	*milter_state(m) = NULL;
}

static bool
has_macro(const struct milter *m, const char *name)
{
	return milter_macro(m, name).n > 0;
}

/* MTA and MacroList: what the MTA says of its listener or client. */
static bool
macros_say_ours(struct milter *m)
{
	for (size_t i = 0; i < conf.mtas.n; i++)
		if (span_ieq(milter_macro(m, "daemon_name"),
			     span_of(conf.mtas.v[i])))
			return true;
	for (size_t i = 0; i < conf.macros.n; i++) {
		struct span want = span_of(conf.macros.v[i]), name, value;
		struct buf n = BUF_INIT;

		(void)span_split(&want, '=', &name);
		if (name.n > 2 && name.p[0] == '{')
			name = span_sub(name, 1, name.n - 1);
		buf_addspan(&n, name);
		value = milter_macro(m, buf_str(&n));
		buf_free(&n);
		if (value.p == NULL)
			continue;
		if (want.n == 0)
			return true;
		while (span_split(&want, '|', &name))
			if (span_eq(name, value))
				return true;
	}
	return false;
}

/* Whose mail is signed: logins', and that of InternalHosts (without such a
 * list: of this host and mynetworks).  -1: cannot tell. */
static int
is_ours(struct milter *m, const struct client *c, struct err *e)
{
	const char *file =
	    opts.trusted_hosts ? opts.trusted_hosts : conf.dkim_trusted_hosts;
	bool yes = false;

	if (has_macro(m, "auth_authen") || has_macro(m, "auth_type") ||
	    macros_say_ours(m))
		return 1;
	/* No network between: its own host's mail. */
	if (c->addr == NULL)
		return 1;
	if (file[0] != '\0')
		return keytable_trusted(file, c->addr, c->name, &yes, e) != 0
			   ? -1
			   : yes;
	if (match_cidr(SPAN("127.0.0.0/8"), span_of(c->addr)) ||
	    match_cidr(SPAN("::1"), span_of(c->addr)))
		return 1;
	switch (match_lookup(m_state.networks, span_of(c->addr), e)) {
	case TABLE_FOUND:
		return 1;
	case TABLE_NONE:
		return 0;
	default:
		return -1;
	}
}

static enum milter_code
on_mail(struct milter *m, const struct span *v, size_t n)
{
	struct client *c = *milter_state(m);
	struct err e = ERR_INIT;
	bool peer = false;
	int ours;

	(void)v;
	(void)n;
	if (c == NULL)
		c = *milter_state(m) = mem_alloc(1, sizeof(*c));
	ours = is_ours(m, c, &e);
	if (ours >= 0 && conf.peers != NULL && c->addr != NULL &&
	    keytable_trusted(conf.peers, c->addr, c->name, &peer, &e) != 0)
		ours = -1;
	if (ours < 0) {
		log_warn("%s", e.text);
		return MILTER_TEMPFAIL;
	}
	if (conf.log_why && (ours == 0 || peer))
		log_info("%s [%s]: not signed: %s", c->name, c->addr,
			 peer ? "in PeerList"
			      : "no login, and not in InternalHosts");
	if (ours == 0 || peer || conf.verify_only)
		return MILTER_ACCEPT;
	c->never = false;
	c->old = 0;
	dkim_body_init(&c->body, m_state.plan.body, -1);
	c->hashing = true;
	return MILTER_CONTINUE;
}

/* DontSignMailTo: any of them. */
static enum milter_code
on_rcpt(struct milter *m, const struct span *v, size_t n MX_UNUSED)
{
	struct client *c = *milter_state(m);
	struct span addr = v[0];
	struct err e = ERR_INIT;
	bool yes = false;

	if (c == NULL || !c->hashing || conf.unsigned_to == NULL)
		return MILTER_CONTINUE;
	if (addr.n >= 2 && addr.p[0] == '<' && addr.p[addr.n - 1] == '>')
		addr = span_sub(addr, 1, addr.n - 1);
	if (keytable_has(conf.unsigned_to, addr, &yes, &e) != 0) {
		log_warn("%s", e.text);
		return MILTER_TEMPFAIL;
	}
	c->never |= yes;
	return MILTER_CONTINUE;
}

static enum milter_code
on_header(struct milter *m, struct span name, struct span value)
{
	struct client *c = *milter_state(m);

	if (c == NULL || !c->hashing)
		return MILTER_CONTINUE;
	if (c->header.n + name.n + value.n > HEADER_MAX)
		return milter_reply(m, 552, "5.3.4", "header too large");
	c->old += span_iis(name, "DKIM-Signature");
	buf_addspan(&c->header, name);
	buf_addc(&c->header, ':');
	if (!milter_leading_space(m))
		buf_addc(&c->header, ' ');
	for (size_t i = 0; i < value.n; i++) {
		char b = value.p[i];

		if (b == '\r')
			continue;
		buf_addc(&c->header, b);
		/* A line end that is no fold would be another field. */
		if (b == '\n' && (i + 1 >= value.n || (value.p[i + 1] != ' ' &&
						       value.p[i + 1] != '\t')))
			buf_addc(&c->header, '\t');
	}
	buf_addc(&c->header, '\n');
	return MILTER_CONTINUE;
}

static enum milter_code
on_body(struct milter *m, struct span bytes)
{
	struct client *c = *milter_state(m);

	if (c != NULL && c->hashing)
		dkim_body_add(&c->body, bytes);
	return MILTER_CONTINUE;
}

/* The fields, top down, each behind the MTA's own Received. */
static bool
insert(struct milter *m, struct span fields)
{
	struct msg_field f;
	size_t n;
	uint32_t at = 1;

	while ((n = msg_next_field(fields, &f)) > 0) {
		struct span v = f.value;

		if (!milter_leading_space(m) && v.n > 0 && v.p[0] == ' ')
			v = span_from(v, 1);
		if (!milter_insert_header(m, at++, "DKIM-Signature", v))
			return false;
		fields = span_from(fields, n);
	}
	return true;
}

/* RemoveOldSignatures, SoftwareHeader. */
static bool
tidy(struct milter *m, const struct client *c)
{
	struct buf v = BUF_INIT;
	bool ok = true;

	for (size_t i = conf.remove_old ? c->old : 0; i > 0 && ok; i--)
		ok = milter_change_header(m, (uint32_t)i, "DKIM-Signature",
					  SPAN(""));
	if (ok && conf.software_header) {
		buf_addf(&v, "%smx-dkimsign %s %s %.*s",
			 milter_leading_space(m) ? " " : "", MX_VERSION,
			 site.myhostname, SPAN_ARG(milter_macro(m, "i")));
		ok = milter_insert_header(m, 1, "DKIM-Filter", buf_span(&v));
	}
	buf_free(&v);
	return ok;
}

static void
log_signed(struct milter *m, const struct sign_plan *plan)
{
	struct span id = milter_macro(m, "i");

	for (size_t i = 0; i < plan->n; i++)
		log_info("%.*s: DKIM-Signature field added (s=%s, d=%s)",
			 SPAN_ARG(id), plan->v[i].selector, plan->v[i].domain);
}

static enum milter_code
on_eom(struct milter *m)
{
	struct client *c = *milter_state(m);
	struct sign_plan plan = m_state.plan;
	struct buf fields = BUF_INIT;
	struct err e = ERR_INIT;
	struct msg msg;
	unsigned char hash[32];
	bool ok;
	int r;

	if (c == NULL || !c->hashing)
		return MILTER_CONTINUE;
	dkim_body_done(&c->body, hash);
	c->hashing = false;
	if (c->never) {
		if (conf.log_why)
			log_info("%.*s: not signed: DontSignMailTo",
				 SPAN_ARG(milter_macro(m, "i")));
		return MILTER_ACCEPT;
	}
	buf_addc(&c->header, '\n');
	/* blanks behind colons and folds are on top of what was counted */
	msg_index(&msg, buf_span(&c->header), SIZE_MAX);
	if (opts.time == NULL)
		plan.time = clock_now();
	r = plan_message(&plan, &msg, &e);
	/* A message without From is nobody's. */
	if (r != 0 && e.status == ST_DATA) {
		log_info("%.*s: not signed: %s", SPAN_ARG(milter_macro(m, "i")),
			 e.text);
		r = 0;
	} else if (r == 0 && plan.n > 0) {
		r = sign_fields(&plan, &msg, hash, &fields, &e);
	}
	if (r == 0 && plan.n == 0 && conf.log_why)
		log_info("%.*s: not signed: no key for its author",
			 SPAN_ARG(milter_macro(m, "i")));
	ok = r == 0 && (plan.n == 0 || tidy(m, c)) &&
	     insert(m, buf_span(&fields));
	if (r != 0)
		log_error("%.*s: cannot sign: %s",
			  SPAN_ARG(milter_macro(m, "i")), e.text);
	else if (!ok)
		log_error("%.*s: the MTA lets no field be added",
			  SPAN_ARG(milter_macro(m, "i")));
	else
		log_signed(m, &plan);
	plan_free(&plan);
	msg_done(&msg);
	buf_free(&fields);
	return ok ? MILTER_ACCEPT : MILTER_TEMPFAIL;
}

static struct milter_filter filter = {
	.name = "mx-dkimsign",
	.actions = MILTER_ACT_ADDHDRS | MILTER_ACT_CHGHDRS,
	.protocol = MILTER_P_HDR_LEADSPC | MILTER_P_NR_BODY | MILTER_P_NR_CONN,
	.macros = { [MILTER_AT_MAIL] = "i {auth_type} {auth_authen}",
		    [MILTER_AT_EOM] = "i" },
	.connect = on_connect,
	.mail = on_mail,
	.rcpt = on_rcpt,
	.header = on_header,
	.body = on_body,
	.eom = on_eom,
	.end_mail = on_end_mail,
	.close = on_close,
};

static void
add_folder(const char *path)
{
	struct span p = span_of(path);
	ssize_t slash;

	if (span_starts(p, SPAN("file:")) || span_starts(p, SPAN("refile:")))
		p = span_from(p, (size_t)span_chr(p, ':') + 1);
	slash = span_rchr(p, '/');
	if (slash > 0 && p.p[0] == '/' &&
	    !strs_has(&m_state.folders, span_sub(p, 0, (size_t)slash)))
		strs_addspan(&m_state.folders, span_sub(p, 0, (size_t)slash));
}

static const char *
key_table(void)
{
	return opts.key_table ? opts.key_table : conf.dkim_key_table;
}

bool
keys_named(const char *keyfile)
{
	if (strs_has(&opts.keys, span_of(keyfile)))
		return true;
	if (opts.domain != NULL)
		return false;
	return strcmp(conf.dkim_key_file, keyfile) == 0 ||
	       (key_table()[0] != '\0' && keytable_names(key_table(), keyfile));
}

/* Keys are read here, and stay here: workers ask for signatures. */
static int
load_keys(struct err *e)
{
	for (size_t i = 0; i < opts.keys.n; i++)
		if (keys_keep(opts.keys.v[i], e) != 0)
			return -1;
	if (opts.domain != NULL)
		return 0;
	if (conf.dkim_key_file[0] != '\0' &&
	    keys_keep(conf.dkim_key_file, e) != 0)
		return -1;
	return key_table()[0] != '\0' ? keytable_each(key_table(), keys_keep, e)
				      : 0;
}

static struct server_spec spec;

static void
say(const char *sentence)
{
	log_warn("%s", sentence);
}

/* The macros that decide, besides the usual ones, asked for at MAIL. */
static void
want_macros(void)
{
	static struct buf names = BUF_INIT;

	buf_clear(&names);
	buf_adds(&names, "i {auth_type} {auth_authen} {daemon_name}");
	for (size_t i = 0; i < conf.macros.n; i++) {
		struct span name, rest = span_of(conf.macros.v[i]);

		(void)span_split(&rest, '=', &name);
		if (name.n > 1 && name.p[0] == '{')
			buf_addf(&names, " %.*s", SPAN_ARG(name));
		else
			buf_addf(&names, name.n > 1 ? " {%.*s}" : " %.*s",
				 SPAN_ARG(name));
	}
	filter.macros[MILTER_AT_MAIL] = buf_str(&names);
}

static int
before_drop(struct server *s, bool reload, struct err *e)
{
	const char *const tables[] = { opts.key_table,
				       opts.signing_table,
				       opts.trusted_hosts,
				       conf.dkim_key_table,
				       conf.dkim_signing_table,
				       conf.dkim_trusted_hosts,
				       conf.peers,
				       conf.unsigned_to,
				       conf.exempt };
	const char *opendkim =
	    opts.opendkim_conf ? opts.opendkim_conf : conf.opendkim_conf;
	struct sign_plan plan = { 0 };

	if (reload && opendkim[0] != '\0' &&
	    opendkim_read(&conf, opendkim, say, e) != 0)
		return -1;
	if (sign_check_options(&plan) != ST_OK)
		return err_set(e, ST_CONFIG, "the options do not fit");
	m_state.plan = plan;
	want_macros();
	strs_clear(&m_state.folders);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (tables[i] != NULL)
			add_folder(tables[i]);
	keys_begin(s);
	if (load_keys(e) != 0) {
		keys_abandon();
		return -1;
	}
	spec.sandbox_paths = (const char *const *)m_state.folders.v;
	m_state.networks = match_networks(&site.mynetworks, e);
	return m_state.networks != NULL ? 0 : -1;
}

/* Before a byte of the network is read. */
static int
after_drop(struct server *s MX_UNUSED, struct err *e MX_UNUSED)
{
	keys_forget();
	return 0;
}

static void
session(struct server *s, struct server_conn *c)
{
	milter_serve(&filter, NULL, s, c);
}

int
sign_milter(const struct program *p)
{
	static struct server_mode mode = { .name = "milter",
					   .unix_mode = 0660,
					   .group = &site.sign_user };
	const char *opendkim =
	    opts.opendkim_conf ? opts.opendkim_conf : conf.opendkim_conf;
	char *user = mem_strdup(site.sign_user);
	struct err e = ERR_INIT;

	tls_key_scrub(); /* before OpenSSL has any memory */
	site_log_open("dkim");
	if (opendkim[0] != '\0' && opendkim_read(&conf, opendkim, say, &e) != 0)
		return prog_fail(&e);
	if (milter_process_apply(&conf.process, opendkim, &opts.server, &mode,
				 &user, &e) != 0)
		return prog_fail(&e);
	opts.server.max_workers = conf.process_limit;
	opts.server.max_use = 100;
	spec = (struct server_spec){ .program = p,
				     .modes = &mode,
				     .nmodes = 1,
				     .user = user,
				     .sandbox = SANDBOX_RPATH,
				     .patient = true,
				     .before_drop = before_drop,
				     .after_drop = after_drop,
				     .session = session };
	return server_run(&spec, &opts.server, NULL);
}
