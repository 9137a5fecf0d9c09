/*
 * cmd_auth.c - the filter `auth`: SPF, DKIM and DMARC over one message;
 * forged results removed, ours on top.  RFC 8601; RFC 7208 9.1.
 */
#include "dnscheck.h"
#include "addr.h"
#include "authres.h"
#include "envelope.h"
#include "escape.h"
#include "io.h"
#include "mem.h"
#include "site.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct auth {
	struct dns *dns;
	const char *id; /* authserv-id */
	struct envelope env;
	struct msg m;
	struct spf spf;
	enum spf_code spf_code;
	struct buf spf_domain; /* the identity that was checked */
	struct signatures sigs;
	struct dmarc dmarc;
	struct strs from; /* domains of From, A-labels */
	bool several;     /* more than one From field or domain */
};

/* Options win over the environment. */
static void
read_envelope(struct auth *a)
{
	struct {
		const char *opt;
		char **field;
	} over[] = { { opts.sender, &a->env.sender },
		     { opts.helo, &a->env.helo },
		     { opts.client_addr, &a->env.client_addr },
		     { opts.client_name, &a->env.client_name },
		     { opts.auth_user, &a->env.auth_user } };

	envelope_from_env(&a->env);
	for (size_t i = 0; i < ARRAY_LEN(over); i++) {
		if (over[i].opt == NULL)
			continue;
		free(*over[i].field);
		*over[i].field = mem_strdup(over[i].opt);
	}
}

static void
run_spf(struct auth *a)
{
	const char *helo = a->env.helo ? a->env.helo : "";
	const char *sender = a->env.sender ? a->env.sender : "";
	struct buf name = BUF_INIT;

	a->spf_code = SPF_NONE;
	/* No client on a network: nothing to check. */
	if (a->env.client_addr == NULL ||
	    !dns_reverse_name(a->env.client_addr, NULL, NULL, &name)) {
		buf_free(&name);
		return;
	}
	buf_free(&name);
	if (!spf_init(&a->spf, a->dns, a->env.client_addr, sender, helo,
		      site.myhostname))
		return;
	buf_addspan(&a->spf_domain, buf_span(&a->spf.sender_domain));
	a->spf_code = spf_check(&a->spf);
}

static void
read_from(struct auth *a)
{
	const struct msg_field *f;
	struct addr_list l;

	for (size_t i = 0; (f = msg_find(&a->m, "From", i)) != NULL; i++) {
		a->several |= i > 0;
		addr_list_parse(&l, f->value, 100);
		for (size_t k = 0; k < l.n; k++) {
			struct buf ascii = BUF_INIT;

			if (l.v[k].kind == ADDR_MAILBOX &&
			    dns_to_ascii(l.v[k].domain, &ascii) &&
			    !strs_ihas(&a->from, buf_span(&ascii)))
				strs_addspan(&a->from, buf_span(&ascii));
			buf_free(&ascii);
		}
		addr_list_free(&l);
	}
	a->several |= a->from.n > 1;
}

/* THREATS 68: of several From domains each must pass; the strictest counts. */
static void
run_dmarc(struct auth *a)
{
	struct dmarc_identity spf = { a->spf_code == SPF_PASS,
				      buf_span(&a->spf_domain) };
	struct dmarc_identity dkim[VERIFY_SIGNATURES];
	size_t n = 0;

	for (size_t i = 0; i < a->sigs.n; i++) {
		/* A key in test mode passes as any other (RFC 6376 3.6.1). */
		dkim[n].pass = a->sigs.v[i].code == VERIFY_PASS;
		dkim[n++].domain = buf_span(&a->sigs.v[i].domain);
	}
	read_from(a);
	a->dmarc.code = a->from.n == 0 ? VERIFY_PERMERROR : VERIFY_NONE;
	for (size_t i = 0; i < a->from.n && i < 10; i++) {
		struct dmarc d;

		dmarc_check(&d, a->dns, a->from.v[i], &spf, dkim, n);
		if (i > 0 && (d.code == VERIFY_PASS || d.code == VERIFY_NONE ||
			      d.applied < a->dmarc.applied)) {
			dmarc_done(&d);
			continue;
		}
		dmarc_done(&a->dmarc);
		a->dmarc = d;
	}
	if (a->several && a->dmarc.code == VERIFY_PASS) {
		a->dmarc.code = VERIFY_FAIL;
		a->dmarc.applied = a->dmarc.policy;
	}
}

static void
add_spf(struct auth *a, struct buf *v)
{
	const char *sender = a->env.sender ? a->env.sender : "";

	buf_addf(v, "; spf=%s", spf_word(a->spf_code));
	if (a->env.client_addr == NULL)
		return;
	if (sender[0] != '\0')
		authres_property(v, "smtp.mailfrom", span_of(sender));
	else
		authres_property(v, "smtp.helo", buf_span(&a->spf_domain));
}

static void
add_dkim(struct auth *a, struct buf *v)
{
	if (a->sigs.n == 0)
		buf_adds(v, "; dkim=none");
	for (size_t i = 0; i < a->sigs.n; i++) {
		struct signature *s = &a->sigs.v[i];

		buf_addf(v, "; dkim=%s", verify_word(s->code));
		if (s->reason[0] != '\0')
			authres_property(v, "reason", span_of(s->reason));
		if (s->domain.n > 0)
			authres_property(v, "header.d", buf_span(&s->domain));
		if (s->selector.n > 0)
			authres_property(v, "header.s", buf_span(&s->selector));
		if (s->alg.n > 0)
			authres_property(v, "header.a", buf_span(&s->alg));
		if (s->b.n > 0)
			authres_property(v, "header.b", buf_span(&s->b));
	}
}

static void
prepend(struct msg_edit *ed, const char *name, struct buf *v)
{
	struct buf f = BUF_INIT;

	msg_make_field(&f, name, buf_span(v));
	msg_edit_prepend(ed, buf_span(&f));
	buf_free(&f);
	buf_clear(v);
}

/* Received-SPF (RFC 7208 9.1): a comment, then key=value pairs. */
static void
received_spf(struct auth *a, struct buf *v)
{
	struct buf word = BUF_INIT;

	buf_addf(v, "%s (%s: domain of %s", spf_word(a->spf_code), a->id,
		 a->spf_code == SPF_PASS ? "" : "");
	escape_line(v, buf_span(&a->spf_domain), 255);
	buf_addf(v, " says %s)", spf_word(a->spf_code));
	buf_addf(v, " client-ip=%s;", a->env.client_addr);
	escape_word(&word, span_of(a->env.sender ? a->env.sender : ""));
	buf_addf(v, " envelope-from=%s;", buf_str(&word));
	buf_clear(&word);
	escape_word(&word, span_of(a->env.helo ? a->env.helo : ""));
	buf_addf(v, " helo=%s;", buf_str(&word));
	buf_addf(v, " identity=%s;",
		 a->env.sender && a->env.sender[0] ? "mailfrom" : "helo");
	buf_free(&word);
}

/* The last one that is put on top stands first. */
static void
mark(struct auth *a, struct msg_edit *ed)
{
	struct buf v = BUF_INIT;

	authres_remove(ed, a->id);
	if (a->env.client_addr != NULL) {
		received_spf(a, &v);
		prepend(ed, "Received-SPF", &v);
	}
	/* DMARC has a field of its own, "ID; dmarc=" on one line: rules that
	 * users wrote for OpenDMARC's field match it. */
	buf_addf(&v, "%s; dmarc=%s", a->id, verify_word(a->dmarc.code));
	if (a->dmarc.has_record)
		buf_addf(&v, " (p=%s dis=%s)",
			 dmarc_policy_word(a->dmarc.policy),
			 dmarc_policy_word(a->dmarc.applied));
	if (a->from.n > 0)
		authres_property(&v, "header.from", span_of(a->from.v[0]));
	prepend(ed, "Authentication-Results", &v);
	buf_adds(&v, a->id);
	add_spf(a, &v);
	add_dkim(a, &v);
	prepend(ed, "Authentication-Results", &v);
	buf_free(&v);
}

static int
emit(void *ctx, const void *p, size_t n)
{
	(void)ctx;
	return io_write(STDOUT_FILENO, p, n, DEADLINE_NEVER) == IO_OK ? 0 : -1;
}

/* One line a message, for the reports; a failure never stops mail. */
static void
history(struct auth *a)
{
	struct buf b = BUF_INIT;
	int fd;

	if (params.dmarc_history_file[0] == '\0' || !a->dmarc.has_record)
		return;
	buf_addf(&b, "mx-dmarc-1 time=%lld", (long long)clock_now());
	authres_property(&b, "ip", span_of(a->env.client_addr));
	authres_property(&b, "from", span_of(a->from.v[0]));
	authres_property(&b, "policy-domain", buf_span(&a->dmarc.domain));
	buf_addf(&b, " policy=%s disposition=%s spf-aligned=%d dkim-aligned=%d",
		 dmarc_policy_word(a->dmarc.policy),
		 dmarc_policy_word(a->dmarc.applied), a->dmarc.spf_aligned,
		 a->dmarc.dkim_aligned);
	buf_addf(&b, " spf=%s", spf_word(a->spf_code));
	authres_property(&b, "spf-domain", buf_span(&a->spf_domain));
	for (size_t i = 0; i < a->sigs.n; i++) {
		buf_addf(&b, " dkim=%s", verify_word(a->sigs.v[i].code));
		authres_property(&b, "dkim-domain",
				 buf_span(&a->sigs.v[i].domain));
		authres_property(&b, "dkim-selector",
				 buf_span(&a->sigs.v[i].selector));
	}
	buf_addc(&b, '\n');
	fd = open(params.dmarc_history_file,
		  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, b.p, b.n) != (ssize_t)b.n)
		fprintf(stderr, "mx-dnscheck: %s: cannot append\n",
			params.dmarc_history_file);
	if (fd >= 0)
		close(fd);
	buf_free(&b);
}

static int
verdict(struct auth *a, struct msg_edit *ed)
{
	struct err e = ERR_INIT;

	if (params.dmarc_reject_failures && a->dmarc.code == VERIFY_FAIL &&
	    a->dmarc.applied == DMARC_REJECT) {
		err_esc(&e, ST_UNAVAILABLE, "5.7.1",
			"rejected by the DMARC policy of %s",
			buf_str(&a->dmarc.domain));
		return prog_fail(&e);
	}
	if (msg_edit_emit(ed, emit, NULL) != 0) {
		err_set(&e, ST_IOERR, "standard output cannot be written");
		return prog_fail(&e);
	}
	return ST_OK;
}

int
cmd_auth(int argc, char **argv)
{
	struct auth a = { 0 };
	struct msg_load load;
	struct msg_edit ed;
	struct err e = ERR_INIT;
	int status;

	if (argc > 0)
		return prog_usage("auth: %s: unexpected", argv[0]);
	a.id = opts.authserv_id;
	if (a.id == NULL)
		a.id = params.authserv_id[0] ? params.authserv_id
					     : site.myhostname;
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0)
		return prog_fail(&e);
	msg_index(&a.m, load.bytes, 0);
	a.dns = check_dns();
	read_envelope(&a);
	run_spf(&a);
	verify_dkim(&a.sigs, &a.m, a.dns, check_time());
	run_dmarc(&a);
	msg_edit_init(&ed, &a.m);
	mark(&a, &ed);
	history(&a);
	status = verdict(&a, &ed);
	msg_edit_done(&ed);
	dmarc_done(&a.dmarc);
	verify_done(&a.sigs);
	spf_done(&a.spf);
	buf_free(&a.spf_domain);
	strs_free(&a.from);
	envelope_free(&a.env);
	dns_close(a.dns);
	msg_done(&a.m);
	msg_unload(&load);
	return status;
}
