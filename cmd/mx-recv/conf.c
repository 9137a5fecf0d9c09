/*
 * conf.c - the parameters of mx-recv, one row each, with the defaults of the
 * modes; see conf.h.  postconf(5) for the names.
 */
#include "conf.h"

#include "cmd.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "milters.h"
#include "restrict.h"
#include "site.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

const struct server_mode conf_modes[] = {
	{ .name = "smtp", .port = 25 },
	{ .name = "submission", .port = 587 },
	{ .name = "submissions", .tls = true, .port = 465 },
	{ .name = "lmtp", .port = 24 },
	{ .name = "reinject" },
	{ .name = "submit", .unix_mode = 0666 },
};
const size_t conf_nmodes = ARRAY_LEN(conf_modes);

#define NMODES ARRAY_LEN(conf_modes)

/* Where a mode's default is another one.  RFC 6409 for submission. */
static const struct {
	const char *mode, *name, *def;
} mode_defaults[] = {
	{ "submission", "smtpd_sasl_auth_enable", "yes" },
	{ "submission", "smtpd_relay_restrictions",
	  "permit_sasl_authenticated, reject" },
	{ "submission", "smtpd_sender_restrictions",
	  "reject_sender_login_mismatch" },
	/* RFC 6409 8: what a user's program left out */
	{ "submission", "always_add_missing_headers", "yes" },
	/* final delivery: for others' MTAs, often on a unix socket */
	{ "lmtp", "smtpd_relay_restrictions", "reject_unauth_destination" },
	{ "lmtp", "smtpd_peername_lookup", "no" },
	/* a filter of ours hands a message back: all was checked before */
	{ "reinject", "smtpd_client_restrictions",
	  "permit_mynetworks, reject" },
	{ "reinject", "smtpd_relay_restrictions", "permit_mynetworks, reject" },
	{ "reinject", "smtpd_recipient_restrictions",
	  "permit_mynetworks, reject" },
	{ "reinject", "smtpd_data_restrictions", "reject_unauth_pipelining" },
	{ "reinject", "smtpd_delay_reject", "no" },
	{ "reinject", "smtpd_error_sleep_time", "0" },
	{ "reinject", "smtpd_soft_error_limit", "1001" },
	{ "reinject", "smtpd_hard_error_limit", "1000" },
	{ "reinject", "smtpd_authorized_xforward_hosts", "$mynetworks" },
	{ "reinject", "smtpd_peername_lookup", "no" },
	{ "reinject", "smtpd_tls_security_level", "none" },
	{ "reinject", "smtpd_milters", "" },
	{ "reinject", "smtpd_milter_maps", "" },
	/* programs of this host: whoever runs them may send anywhere */
	{ "submit", "smtpd_client_restrictions", "" },
	{ "submit", "smtpd_helo_restrictions", "" },
	{ "submit", "smtpd_sender_restrictions", "" },
	{ "submit", "smtpd_relay_restrictions", "permit" },
	{ "submit", "smtpd_recipient_restrictions", "" },
	{ "submit", "smtpd_data_restrictions", "" },
	{ "submit", "smtpd_end_of_data_restrictions", "" },
	{ "submit", "smtpd_recipient_limit", "50000" },
	{ "submit", "smtpd_error_sleep_time", "0" },
	{ "submit", "smtpd_soft_error_limit", "1001" },
	{ "submit", "smtpd_hard_error_limit", "1000" },
	{ "submit", "smtpd_peername_lookup", "no" },
	{ "submit", "smtpd_tls_security_level", "none" },
	{ "submit", "smtpd_sasl_auth_enable", "no" },
	{ "submit", "smtpd_forbid_unauth_pipelining", "no" },
};

/* The state in use; replaced as a whole. */
static struct conf *confs;

static const char *
mode_default(const struct server_mode *m, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(mode_defaults); i++)
		/* submissions has the defaults of submission. */
		if (strncmp(m->name, mode_defaults[i].mode,
			    strlen(mode_defaults[i].mode)) == 0 &&
		    strcmp(mode_defaults[i].name, name) == 0)
			return mode_defaults[i].def;
	return NULL;
}

/* Debian's /etc/mailname: myorigin may be a file that holds it. */
static int
load_origin(struct site *st, struct err *e)
{
	struct buf b = BUF_INIT;
	struct span rest, line;

	if (st->myorigin[0] != '/')
		return 0;
	if (io_read_file(st->myorigin, &b, 4096, e) != 0)
		return err_prefix(e, "myorigin");
	rest = buf_span(&b);
	(void)span_split(&rest, '\n', &line);
	free(st->myorigin);
	st->myorigin = mem_spandup(span_trim(line));
	buf_free(&b);
	return 0;
}

static bool
overridden(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < prog.overrides.n; i++)
		if (strncmp(prog.overrides.v[i], name, n) == 0 &&
		    prog.overrides.v[i][n] == '=')
			return true;
	return false;
}

/* "submit/NAME": what stands in the file for strangers is not for programs of
 * this host, whom Postfix's smtpd_ rules never met either; only a line (or -o)
 * for this mode is. */
static const char *
own_name(const char *name)
{
	static struct strs kept;

	for (size_t i = 0; i < kept.n; i++)
		if (strcmp(kept.v[i] + strlen("submit/"), name) == 0)
			return kept.v[i];
	strs_addf(&kept, "submit/%s", name);
	return kept.v[kept.n - 1];
}

/* Reads the file as this mode sees it.  What the host is called was found
 * out at start and stands above an empty value in the file. */
static struct config *
load_params(struct conf *c, struct err *e)
{
	const size_t n = conf_params_shown.count;
	struct param *mine = mem_alloc(n, sizeof(*mine));
	struct param_rows sets[2] = { { site_params.rows, site_params.count,
					&c->site },
				      { mine, n, &c->p } };
	struct strs over = STRS_INIT;
	struct config *file;

	memcpy(mine, conf_params_shown.rows, n * sizeof(*mine));
	for (size_t i = 0; i < n; i++) {
		const char *def = mode_default(c->mode, mine[i].name);

		if (def == NULL)
			continue;
		mine[i].def = def;
		if (strcmp(c->mode->name, "submit") == 0 &&
		    !overridden(mine[i].name))
			mine[i].name = own_name(mine[i].name);
	}
	strs_addf(&over, "myhostname=%s", site.myhostname);
	strs_addf(&over, "mydomain=%s", site.mydomain);
	for (size_t i = 0; i < prog.overrides.n; i++)
		strs_add(&over, prog.overrides.v[i]);
	file = config_open(prog.config_path, &over, c->mode->name, e);
	if (file != NULL && param_load(file, sets, 2, e) != 0) {
		config_free(file);
		file = NULL;
	}
	strs_free(&over);
	free(mine);
	return file;
}

static int
load_endpoint(struct server *s, const char *name, const char *text, int *n_r,
	      struct err *e)
{
	struct endpoint ep;

	if (endpoint_parse(&ep, span_of(text), site.run_directory, e) != 0)
		return err_prefix(e, "%s", name);
	*n_r = server_endpoint(s, &ep);
	endpoint_free(&ep);
	return 0;
}

/* postscreen_access_list in its order: permit_mynetworks, networks (both
 * permit), tables. */
static int
load_pregreet(struct conf *c, struct err *e)
{
	const struct strs *l = &c->p.pregreet_access;

	tables_open(&c->dnsbl_reply_map, &c->p.dnsbl_reply_map);
	c->pregreet = mem_alloc(l->n + 1, sizeof(*c->pregreet));
	for (size_t i = 0; i < l->n; i++) {
		struct strs one = STRS_INIT;
		struct span w = span_of(l->v[i]);
		struct pregreet_rule *r = &c->pregreet[c->npregreet++];

		*r = (struct pregreet_rule){ .networks = NULL };
		strs_addspan(&one, w);
		if (span_is(w, "permit_mynetworks"))
			r->networks = match_networks(&c->site.mynetworks, e);
		else if (span_chr(w, ':') > 0 && w.p[0] != '[' &&
			 !match_cidr(w, w))
			tables_open(&r->tables, &one);
		else
			r->networks = match_networks(&one, e);
		strs_free(&one);
		if (r->networks == NULL && r->tables.n == 0)
			return err_prefix(e, "postscreen_access_list");
	}
	return 0;
}

static int
load_lists(struct conf *c, struct err *e)
{
	const struct {
		const char *name;
		const struct strs *words;
		bool parents;
		struct match_list **list;
	} lists[] = {
		{ "mydestination", &c->p.mydestination, false,
		  &c->mydestination },
		{ "relay_domains", &c->p.relay_domains, true,
		  &c->relay_domains },
		{ "virtual_alias_domains", &c->p.virtual_alias_domains, false,
		  &c->virtual_alias_domains },
		{ "virtual_mailbox_domains", &c->p.virtual_mailbox_domains,
		  false, &c->virtual_mailbox_domains },
	};
	const struct {
		const char *name;
		const struct strs *words;
		struct match_list **list;
	} nets[] = {
		{ "mynetworks", &c->site.mynetworks, &c->mynetworks },
		{ "smtpd_client_event_limit_exceptions", &c->p.limit_exceptions,
		  &c->limit_exceptions },
		{ "smtpd_authorized_xclient_hosts", &c->p.xclient_hosts,
		  &c->xclient_hosts },
		{ "smtpd_authorized_xforward_hosts", &c->p.xforward_hosts,
		  &c->xforward_hosts },
		{ "proxy_networks", &c->p.proxy_networks, &c->proxy_networks },
		{ "smtpd_sasl_exceptions_networks", &c->p.sasl_exceptions,
		  &c->sasl_exceptions },
	};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		*lists[i].list =
		    match_domains(lists[i].words, lists[i].parents, e);
		if (*lists[i].list == NULL)
			return err_prefix(e, "%s", lists[i].name);
	}
	for (size_t i = 0; i < ARRAY_LEN(nets); i++) {
		*nets[i].list = match_networks(nets[i].words, e);
		if (*nets[i].list == NULL)
			return err_prefix(e, "%s", nets[i].name);
	}
	if (load_pregreet(c, e) != 0)
		return -1;
	tables_open(&c->sender_login_maps, &c->p.sender_login_maps);
	tables_open(&c->rbl_reply_maps, &c->p.rbl_reply_maps);
	tables_open(&c->relay_clientcerts, &c->p.relay_clientcerts);
	tables_open(&c->discard_ehlo_maps, &c->p.discard_ehlo_maps);
	tables_open(&c->command_filter, &c->p.command_filter);
	tables_open(&c->reject_footer_maps, &c->p.reject_footer_maps);
	snprintf(c->rbl_code, sizeof(c->rbl_code), "%d", (int)c->p.code_rbl);
	return 0;
}

/* What follows from several parameters together. */
static int
load_modes(struct conf *c, struct err *e)
{
	struct conf_params *p = &c->p;

	c->lmtp = strcmp(c->mode->name, "lmtp") == 0;
	c->submit = strcmp(c->mode->name, "submit") == 0;
	c->implicit_tls = c->mode->tls || p->tls_wrappermode;
	if (p->enforce_tls && p->tls_level == TLS_LEVEL_MAY)
		p->tls_level = TLS_LEVEL_ENCRYPT;
	p->proxy_protocol = strcmp(p->upstream_proxy, "haproxy") == 0;
	if (p->upstream_proxy[0] != '\0' && !p->proxy_protocol)
		return err_set(e, ST_CONFIG,
			       "smtpd_upstream_proxy_protocol = %s: expected "
			       "haproxy, or nothing",
			       p->upstream_proxy);
	return 0;
}

/* A list of ciphers, and those that are not to be used. */
static char *
cipher_text(const char *base, const struct strs *out, const struct strs *more)
{
	struct buf b = BUF_INIT;

	if (strcmp(base, "medium") == 0)
		base = "HIGH:MEDIUM:@STRENGTH";
	else if (strcmp(base, "high") == 0)
		base = "HIGH:@STRENGTH";
	buf_adds(&b, base[0] != '\0' ? base : "DEFAULT");
	for (size_t i = 0; i < out->n; i++)
		buf_addf(&b, ":!%s", out->v[i]);
	for (size_t i = 0; more != NULL && i < more->n; i++)
		buf_addf(&b, ":!%s", more->v[i]);
	return buf_steal(&b);
}

struct sni_list {
	struct tls_sni *v;
	size_t n, cap;
};

static int
add_sni(void *ctx, struct span key, const char *value, struct err *e)
{
	struct sni_list *l = ctx;
	struct tls_sni *one;

	(void)e;
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	one = &l->v[l->n++];
	*one = (struct tls_sni){ .name = mem_spandup(key) };
	strs_split(&one->chain_files, span_of(value), ", \t");
	return 0;
}

/* All of the maps, now: a worker opens no file. */
static int
load_sni(const struct conf *c, struct sni_list *l, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->p.sni_maps.n; i++) {
		struct table *t = table_open(c->p.sni_maps.v[i], e);

		r = table_each(t, add_sni, l, e);
		table_close(t);
	}
	return r == 0 ? 0 : err_prefix(e, "tls_server_sni_maps");
}

static void
free_sni(struct sni_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		strs_free(&l->v[i].chain_files);
	}
	free(l->v);
}

static int
load_tls(struct conf *c, struct server *s, struct err *e)
{
	const struct conf_params *p = &c->p;
	bool must = p->tls_level == TLS_LEVEL_ENCRYPT || c->implicit_tls;
	struct sni_list sni = { NULL, 0, 0 };
	struct tls_server_conf t = {
		.cert_file = p->tls_cert_file,
		.key_file = p->tls_key_file,
		.chain_files = p->tls_chain_files,
		.protocols =
		    must ? p->tls_mandatory_protocols : p->tls_protocols,
		.ca_file = p->tls_ca_file,
		.ask_client_cert = p->tls_ask_ccert,
		.require_client_cert = p->tls_req_ccert && must,
		.alpn = "smtp"
	};
	char *context, *ciphers;

	if (p->tls_cert_file[0] == '\0' && t.chain_files.n == 0) {
		/* A mode of TLS alone that nobody uses is no reason to stop;
		 * its sessions are refused. */
		if (p->tls_level == TLS_LEVEL_ENCRYPT)
			return err_set(e, ST_CONFIG,
				       "smtpd_tls_security_level = encrypt "
				       "needs smtpd_tls_cert_file");
		return 0;
	}
	if (p->tls_level == TLS_LEVEL_NONE && !c->implicit_tls)
		return 0;
	if (load_sni(c, &sni, e) != 0)
		return -1;
	context = mem_printf("mx-recv/%s", c->mode->name);
	ciphers = cipher_text(must ? p->tls_mandatory_ciphers : p->tls_ciphers,
			      &p->tls_exclude,
			      must ? &p->tls_mandatory_exclude : NULL);
	t.session_context = context;
	t.ciphers = ciphers;
	t.sni = sni.v;
	t.nsni = sni.n;
	c->tls = tls_server_new(&t, s, e);
	free(context);
	free(ciphers);
	free_sni(&sni);
	if (c->tls == NULL)
		return err_prefix(e, "smtpd_tls_cert_file");
	return 0;
}

/* Access tables name classes, so each is there whether a list has it or
 * not. */
static int
load_classes(struct conf *c, struct server *s, struct config *file,
	     struct err *e)
{
	const struct strs *names = &c->p.restriction_classes;

	c->classes = mem_alloc(names->n + 1, sizeof(*c->classes));
	for (size_t i = 0; i < names->n; i++) {
		c->classes[i] = restrict_parse(file, s, &c->p, STAGE_RECIPIENT,
					       names->v[i], e);
		if (c->classes[i] == NULL)
			return err_prefix(e, "smtpd_restriction_classes");
	}
	return 0;
}

static int
load_one(struct conf *c, struct server *s, struct err *e)
{
	struct config *file = load_params(c, e);
	char *const text[STAGES] = {
		c->p.client_restrictions,    c->p.helo_restrictions,
		c->p.sender_restrictions,    c->p.relay_restrictions,
		c->p.recipient_restrictions, c->p.data_restrictions,
		c->p.end_restrictions,
	};
	int r = file == NULL || load_origin(&c->site, e) != 0 ? -1 : 0;

	if (r == 0 && (load_modes(c, e) != 0 ||
		       load_endpoint(s, "delivery", c->p.delivery, &c->delivery,
				     e) != 0 ||
		       load_endpoint(s, "auth_socket", c->p.auth_socket,
				     &c->auth, e) != 0 ||
		       load_lists(c, e) != 0 || load_tls(c, s, e) != 0))
		r = -1;
	if (r == 0)
		r = load_classes(c, s, file, e);
	if (r == 0)
		r = milters_load(c, s, e);
	if (r == 0 && (cmd_auth_check(&c->p.sasl_options, e) != 0 ||
		       cmd_auth_check(&c->p.sasl_tls_options, e) != 0))
		r = err_prefix(e, "smtpd_sasl_security_options");
	if (r == 0 && !tls_digest(c->p.tls_digest))
		r = err_set(e, ST_CONFIG,
			    "smtpd_tls_fingerprint_digest = %s: expected a "
			    "digest's name, as sha256 or sha1",
			    c->p.tls_digest);
	if (r == 0 && !tls_field_known(c->p.cert_username_field))
		r = err_set(e, ST_CONFIG,
			    "ssl_cert_username_field = %s: expected a field's "
			    "name, as commonName or emailAddress",
			    c->p.cert_username_field);
	for (int i = 0; i < STAGES && r == 0; i++) {
		c->rules[i] = restrict_parse(file, s, &c->p, i, text[i], e);
		if (c->rules[i] == NULL)
			r = err_prefix(e, "smtpd_%s_restrictions",
				       restrict_stage_name(i));
	}
	config_free(file);
	return r;
}

int
conf_load(struct server *s, struct err *e)
{
	struct conf *fresh = mem_alloc(NMODES, sizeof(*fresh));

	for (size_t i = 0; i < NMODES; i++) {
		fresh[i].mode = &conf_modes[i];
		if (load_one(&fresh[i], s, e) != 0)
			/* The little that was made stays: reloads are rare.*/
			return -1;
	}
	/* Workers of before have their own copy; the monitor's handlers may
	 * still serve them from the old one, so it is not freed. */
	confs = fresh;
	return 0;
}

const struct conf *
conf_of(const struct server_mode *m)
{
	for (size_t i = 0; i < NMODES; i++)
		if (confs[i].mode == m)
			return &confs[i];
	log_panic("conf_of: unknown mode");
}

void
conf_worker(struct server *s)
{
	for (size_t i = 0; i < NMODES; i++)
		if (confs[i].tls != NULL)
			tls_server_worker(confs[i].tls, s);
}
