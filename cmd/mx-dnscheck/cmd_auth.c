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

#define FROM_MAX 10 /* domains of From that are looked at */

struct auth {
	struct dns *dns;
	const char *id; /* authserv-id */
	struct envelope env;
	const char *sender, *helo; /* of env, never NULL */
	bool client; /* a client on a network: there is SPF to check */
	struct msg m;
	struct spf spf;
	enum spf_code spf_code;
	struct signatures sigs;
	struct dmarc dmarc;
	size_t from_fields;
	struct strs from; /* domains of From, A-labels */
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
	a->sender = a->env.sender ? a->env.sender : "";
	a->helo = a->env.helo ? a->env.helo : "";
	a->client = spf_init(&a->spf, a->dns,
			     a->env.client_addr ? a->env.client_addr : "",
			     a->sender, a->helo, site.myhostname);
	a->spf_code = a->client ? spf_check(&a->spf) : SPF_NONE;
}

static void
read_from(struct auth *a)
{
	for (size_t i = 0; i < a->m.n; i++) {
		struct addr_list l;

		if (!span_iis(a->m.v[i].name, "From"))
			continue;
		if (a->from_fields++ >= FROM_MAX)
			continue;
		addr_list_parse(&l, a->m.v[i].value, 100);
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
}

/* Is one result worse news than the other? */
static bool
worse(const struct dmarc *d, const struct dmarc *than)
{
	static const int rank[] = {
		[VERIFY_PASS] = 0,      [VERIFY_NONE] = 1,
		[VERIFY_TEMPERROR] = 2, [VERIFY_FAIL] = 3,
		[VERIFY_PERMERROR] = 0, [VERIFY_POLICY] = 0,
		[VERIFY_NEUTRAL] = 0,
	};

	if (rank[d->code] != rank[than->code])
		return rank[d->code] > rank[than->code];
	return d->applied > than->applied;
}

/*
 * Each domain in From must pass, and the strictest policy counts: a reader may
 * be shown any of them (RFC 9989 11.5).  A second From field fails.
 */
static void
run_dmarc(struct auth *a)
{
	struct dmarc_identity spf = { a->spf_code == SPF_PASS,
				      a->spf_code == SPF_TEMPERROR,
				      buf_span(&a->spf.sender_domain) };
	struct dmarc_identity dkim[VERIFY_SIGNATURES];
	deadline_t dl = clock_deadline(CHECK_MS);
	size_t n = 0;

	for (size_t i = 0; i < a->sigs.n && n < VERIFY_SIGNATURES; i++) {
		struct signature *s = &a->sigs.v[i];

		/* A key in test mode passes as any other (RFC 6376 3.6.1). */
		dkim[n++] =
		    (struct dmarc_identity){ s->code == VERIFY_PASS,
					     s->code == VERIFY_TEMPERROR,
					     buf_span(&s->domain) };
	}
	read_from(a);
	a->dmarc.code = VERIFY_PERMERROR;
	for (size_t i = 0; i < a->from.n && i < FROM_MAX; i++) {
		struct dmarc d;

		dmarc_check(&d, a->dns, a->from.v[i], &spf, dkim, n, dl);
		if (i > 0 && !worse(&d, &a->dmarc)) {
			dmarc_done(&d);
			continue;
		}
		dmarc_done(&a->dmarc);
		a->dmarc = d;
	}
	if (a->dmarc.code == VERIFY_PASS &&
	    (a->from_fields > 1 || a->from.n > FROM_MAX)) {
		a->dmarc.code = VERIFY_FAIL;
		a->dmarc.applied = a->dmarc.policy;
	}
}

static void
add_spf(struct auth *a, struct buf *v)
{
	buf_addf(v, "; spf=%s", spf_word(a->spf_code));
	if (!a->client)
		return;
	if (a->sender[0] != '\0')
		authres_property(v, "smtp.mailfrom", span_of(a->sender));
	else
		authres_property(v, "smtp.helo", span_of(a->helo));
}

static void
add_dkim(struct auth *a, struct buf *v)
{
	if (a->sigs.n == 0)
		buf_adds(v, "; dkim=none");
	for (size_t i = 0; i < a->sigs.n && i < VERIFY_SIGNATURES; i++) {
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

/* What the comment of Received-SPF says of the client. */
static const char *
spf_sentence(enum spf_code c)
{
	static const char *const words[] = {
		[SPF_NONE] = "has no policy for",
		[SPF_NEUTRAL] = "neither permits nor denies",
		[SPF_PASS] = "permits",
		[SPF_FAIL] = "does not permit",
		[SPF_SOFTFAIL] = "probably does not permit",
		[SPF_TEMPERROR] = "could not be asked for",
		[SPF_PERMERROR] = "publishes no valid policy for",
	};

	return words[c];
}

/* Received-SPF (RFC 7208 9.1): a comment, then key=value pairs. */
static void
received_spf(struct auth *a, struct buf *v)
{
	struct span domain = buf_span(&a->spf.sender_domain);
	struct buf word = BUF_INIT;
	struct {
		const char *key;
		struct span value;
	} pairs[] = { { "receiver", span_of(a->id) },
		      { "identity",
			a->sender[0] ? SPAN("mailfrom") : SPAN("helo") },
		      { "client-ip", span_of(a->spf.ip) },
		      { "envelope-from", span_of(a->sender) },
		      { "helo", span_of(a->helo) },
		      { "mechanism", buf_span(&a->spf.mechanism) } };

	buf_addf(v, "%s (%s: ", spf_word(a->spf_code), a->id);
	/* Nothing that ends or nests a comment. */
	for (size_t i = 0; i < domain.n && i < 255; i++)
		buf_addc(v, strchr("()\\\"", domain.p[i]) ? '?' : domain.p[i]);
	buf_addf(v, " %s %s)", spf_sentence(a->spf_code), a->spf.ip);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (pairs[i].value.n == 0 &&
		    strcmp(pairs[i].key, "envelope-from") != 0)
			continue;
		buf_clear(&word);
		authres_property(&word, pairs[i].key, pairs[i].value);
		buf_addf(v, "%s;", buf_str(&word));
	}
	buf_cut(v, v->n - 1);
	buf_free(&word);
}

/* The last one that is put on top stands first. */
static void
mark(struct auth *a, struct msg_edit *ed)
{
	struct buf v = BUF_INIT;

	authres_remove(ed, a->id);
	if (a->client) {
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

/* What really happens to the message: a refusal only where it is asked for,
 * nothing else is done here. */
static enum dmarc_policy
disposition(const struct auth *a)
{
	bool refuse = params.dmarc_reject_failures &&
		      a->dmarc.code == VERIFY_FAIL &&
		      a->dmarc.applied == DMARC_REJECT;

	return refuse ? DMARC_REJECT : DMARC_NONE;
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
	check_word(&b, "ip", span_of(a->client ? a->spf.ip : ""));
	check_word(&b, "from", span_of(a->from.v[0]));
	check_word(&b, "policy-domain", buf_span(&a->dmarc.domain));
	buf_addf(&b, " policy=%s disposition=%s spf-aligned=%d dkim-aligned=%d",
		 dmarc_policy_word(a->dmarc.policy),
		 dmarc_policy_word(disposition(a)), a->dmarc.spf_aligned,
		 a->dmarc.dkim_aligned);
	buf_addf(&b, " spf=%s", spf_word(a->spf_code));
	check_word(&b, "spf-domain", buf_span(&a->spf.sender_domain));
	for (size_t i = 0; i < a->sigs.n && i < VERIFY_SIGNATURES; i++) {
		struct signature *s = &a->sigs.v[i];

		buf_addf(&b, " dkim=%s", verify_word(s->code));
		check_word(&b, "dkim-domain", buf_span(&s->domain));
		check_word(&b, "dkim-selector", buf_span(&s->selector));
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

	if (disposition(a) == DMARC_REJECT) {
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
	verify_dkim(&a.sigs, &a.m, a.dns, check_time(),
		    clock_deadline(CHECK_MS));
	run_dmarc(&a);
	msg_edit_init(&ed, &a.m);
	mark(&a, &ed);
	history(&a);
	status = verdict(&a, &ed);
	msg_edit_done(&ed);
	dmarc_done(&a.dmarc);
	verify_done(&a.sigs);
	spf_done(&a.spf);
	strs_free(&a.from);
	envelope_free(&a.env);
	dns_close(a.dns);
	msg_done(&a.m);
	msg_unload(&load);
	return status;
}
