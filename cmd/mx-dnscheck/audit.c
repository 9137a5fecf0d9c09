/*
 * audit.c - mx-dnscheck DOMAIN: everything that decides whether others take
 * its mail, asked at once, scored out of ten.
 */
#include "audit.h"
#include "jobs.h"
#include "mem.h"
#include "status.h"

#include <stdlib.h>
#include <unistd.h>

#define AUDIT_MS 25000
#define HOSTS_MAX 10
#define ADDRS_MAX 8 /* of a host */
#define TASKS_MAX 256

static void
host_addrs(struct audit *a, struct audit_host *h)
{
	static const int types[] = { DNS_A, DNS_AAAA };
	struct dns_answer ans;

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		enum dns_status st =
		    dns_query(a->dns, h->name, types[t], &ans, a->dl, NULL);

		h->temp |= st == DNS_TEMP;
		if (st != DNS_OK)
			continue;
		h->alias |= strcasecmp(ans.name, h->name) != 0;
		for (size_t i = 0; i < ans.n && h->addrs.n < ADDRS_MAX; i++)
			strs_add(&h->addrs, ans.v[i].text);
		dns_answer_free(&ans);
	}
}

static void
add_host(struct audit *a, const char *name, int preference)
{
	struct audit_host *h;

	if (a->n >= HOSTS_MAX)
		return;
	a->host = mem_grow(a->host, &a->cap, a->n + 1, sizeof(*a->host));
	h = &a->host[a->n++];
	*h = (struct audit_host){ .preference = preference };
	h->name = mem_strdup(name);
	host_addrs(a, h);
}

/* The mail hosts: all else is asked of them.  NXDOMAIN ends the audit. */
static enum dns_status
find_hosts(struct audit *a, struct err *e)
{
	struct dns_answer ans;
	enum dns_status st =
	    dns_query(a->dns, a->domain, DNS_MX, &ans, a->dl, e);

	if (st != DNS_OK && st != DNS_NODATA)
		return st;
	a->mx_ad = ans.ad;
	a->has_mx = st == DNS_OK;
	a->null_mx = ans.n == 1 && strcmp(ans.v[0].text, ".") == 0;
	for (size_t i = 0; i < ans.n && !a->null_mx; i++)
		add_host(a, ans.v[i].text, ans.v[i].preference);
	if (!a->has_mx)
		add_host(a, a->domain, 0);
	dns_answer_free(&ans);
	return DNS_OK;
}

/* SPF for a domain of these mail hosts. */
static void
spf_suggestion(const struct audit *a, struct buf *b)
{
	buf_adds(b, "v=spf1");
	if (!a->null_mx && a->has_mx)
		buf_adds(b, " mx");
	for (size_t i = 0; i < a->n && !a->has_mx; i++)
		for (size_t k = 0; k < a->host[i].addrs.n; k++)
			buf_addf(b, " ip%c:%s",
				 strchr(a->host[i].addrs.v[k], ':') ? '6' : '4',
				 a->host[i].addrs.v[k]);
	buf_adds(b, " -all");
}

void
audit_spf(struct audit *a, size_t i, size_t k)
{
	struct buf suggestion = BUF_INIT;

	(void)i;
	(void)k;
	spf_suggestion(a, &suggestion);
	(void)spf_lint(&a->f, a->dns, a->domain, buf_str(&suggestion), a->dl);
	buf_free(&suggestion);
}

/* Mail hosts most often send too: what does SPF say of them; and is there a
 * record for their HELO name? */
void
audit_spf_host(struct audit *a, size_t i, size_t k)
{
	const struct audit_host *h = &a->host[i];
	char *sender = mem_printf("postmaster@%s", a->domain);
	struct spf s;
	enum spf_code c;

	if (spf_init(&s, a->dns, h->addrs.v[k], sender, h->name, h->name)) {
		c = spf_check(&s);
		if (c == SPF_FAIL || c == SPF_SOFTFAIL || c == SPF_NEUTRAL) {
			find_add(&a->f, FIND_NOTE, "SPF", "spf-host", 0,
				 "%s (%s) may not send for %s: %s",
				 h->addrs.v[k], h->name, a->domain,
				 spf_word(c));
			find_why(&a->f,
				 "right if it only receives; if it also "
				 "sends, add it: %s:%s",
				 spf_is_v6(&s) ? "ip6" : "ip4", s.ip);
		} else if (c == SPF_PASS) {
			find_add(&a->f, FIND_OK, "SPF", "spf-host", 0,
				 "%s (%s) may send for %s", h->addrs.v[k],
				 h->name, a->domain);
		}
	}
	spf_done(&s);
	free(sender);
	if (k != 0 ||
	    !spf_init(&s, a->dns, h->addrs.v[k], "", h->name, h->name))
		return;
	if (spf_check(&s) == SPF_NONE) {
		find_add(&a->f, FIND_NOTE, "SPF", "spf-helo", 0,
			 "the host name %s has no SPF record of its own",
			 h->name);
		find_why(&a->f, "bounces have no sender: their SPF is that of "
				"the host's name (RFC 7208 2.4)");
		find_record(&a->f, h->name, "TXT", "v=spf1 a -all");
	}
	spf_done(&s);
}

static void
run_task(struct buf *out, void *arg)
{
	const struct audit_task *t = arg;

	t->run(t->a, t->i, t->k);
	find_save(&t->a->f, out);
}

static size_t
add_task(struct audit_task *v, size_t n, struct audit *a, const char *area,
	 void (*run)(struct audit *, size_t, size_t), size_t i, size_t k)
{
	if (n < TASKS_MAX)
		v[n++] = (struct audit_task){ run, area, i, k, a };
	return n;
}

static size_t
plan(struct audit *a, struct audit_task *v)
{
	size_t n = 0;

	n = add_task(v, n, a, "DNS", audit_zone, 0, 0);
	n = add_task(v, n, a, "MX", audit_mx, 0, 0);
	n = add_task(v, n, a, "SPF", audit_spf, 0, 0);
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < a->host[i].addrs.n; k++)
			n = add_task(v, n, a, "SPF", audit_spf_host, i, k);
	n = add_task(v, n, a, "DKIM", audit_dkim, 0, 0);
	n = add_task(v, n, a, "DMARC", audit_dmarc, 0, 0);
	n = add_task(v, n, a, "MTA-STS", audit_sts, 0, 0);
	n = add_task(v, n, a, "TLSRPT", audit_tlsrpt, 0, 0);
	n = add_task(v, n, a, "BIMI", audit_bimi, 0, 0);
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < a->host[i].addrs.n; k++)
			n = add_task(v, n, a, a->host[i].name, audit_host, i,
				     k);
	for (size_t i = 0; i < check_rbl_zones()->n && a->n > 0; i++)
		n = add_task(v, n, a, "Block-lists", audit_rbl, i, 0);
	return n;
}

static void
run_all(struct audit *a)
{
	struct audit_task *t = mem_alloc(TASKS_MAX, sizeof(*t));
	struct job *v = mem_alloc(TASKS_MAX, sizeof(*v));
	size_t n = plan(a, t);

	for (size_t i = 0; i < n; i++)
		v[i] = (struct job){ .run = run_task, .arg = &t[i] };
	jobs_run(v, n, clock_deadline(AUDIT_MS + 2000));
	for (size_t i = 0; i < n; i++) {
		if (v[i].done)
			find_load(&a->f, buf_span(&v[i].out));
		else
			audit_trouble(a, t[i].area, t[i].area,
				      "no answer in time");
		buf_free(&v[i].out);
	}
	free(t);
	free(v);
}

bool
check_colour(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL &&
	       term != NULL && strcmp(term, "dumb") != 0;
}

int
check_findings(struct findings *f, const char *title)
{
	struct buf out = BUF_INIT;
	int st = find_status(f);

	if (prog.json)
		find_json(f, title, &out);
	else
		find_print(f, title, &out, check_colour());
	find_free(f);
	return check_print(&out, st);
}

int
cmd_audit(int argc, char **argv)
{
	struct audit a = { .dl = clock_deadline(AUDIT_MS) };
	struct buf name = BUF_INIT;
	struct err e = ERR_INIT;
	enum dns_status st;

	if (argc != 1)
		return prog_usage("expected one DOMAIN or a command");
	if (strchr(argv[0], '.') == NULL)
		return prog_usage("%s: unknown command, and no domain: see "
				  "mx-dnscheck --help",
				  argv[0]);
	if (!dns_to_ascii(span_of(argv[0]), &name))
		return prog_usage("%s: not a domain name", argv[0]);
	/* before the children need them */
	(void)check_port(opts.smtp_port, 25);
	(void)check_port(opts.https_port, 443);
	a.domain = buf_steal(&name);
	a.dns = check_dns();
	st = find_hosts(&a, &e);
	if (st != DNS_OK) {
		if (st == DNS_NXDOMAIN)
			err_set(&e, ST_NO, "%s: there is no such domain in DNS",
				a.domain);
		return prog_fail(&e);
	}
	run_all(&a);
	return check_findings(&a.f, a.domain);
}
