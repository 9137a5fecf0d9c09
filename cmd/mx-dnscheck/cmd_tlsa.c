/*
 * cmd_tlsa.c - the command tlsa: DANE records against the live certificate.
 * RFC 6698, 7672.
 */
#include "dnscheck.h"
#include "escape.h"
#include "mem.h"
#include "mx_hosts.h"
#include "probe.h"
#include "site.h"
#include "status.h"

#include <stdlib.h>

struct tlsa_check {
	char *host, *name; /* mail.example.org, _25._tcp.mail.example.org */
	int port;
	struct dns_answer ans;
	enum dns_status st;
	struct probe p;
	bool any, matched;
};

/* The first address that answers. */
static void
probe_host(struct tlsa_check *t, struct dns *dns, deadline_t dl)
{
	static const int types[] = { DNS_A, DNS_AAAA };
	struct dns_answer ans;

	snprintf(t->p.error, sizeof(t->p.error), "%s has no address", t->host);
	for (size_t k = 0; k < ARRAY_LEN(types); k++) {
		if (dns_query(dns, t->host, types[k], &ans, dl, NULL) != DNS_OK)
			continue;
		for (size_t i = 0; i < ans.n && t->p.reached == PROBE_CONNECT;
		     i++) {
			probe_done(&t->p);
			probe_run(&t->p, probe_kind_of_port(t->port), t->host,
				  ans.v[i].text,
				  t->port == 25 ? check_port(opts.smtp_port, 25)
						: t->port,
				  site.myhostname, dl);
		}
		dns_answer_free(&ans);
	}
}

static const char *
judge(struct tlsa_check *t, const struct dns_rr *rr)
{
	/* RFC 7672 3.1.3: usages 0 and 1 say nothing about mail */
	if (rr->usage < 2 || rr->usage > 3 || rr->selector > 1 ||
	    rr->matching > 2)
		return "unusable";
	if (t->p.reached != PROBE_DONE)
		return "temperror";
	t->any = true;
	if (!cert_tlsa_match(t->p.chain, rr, t->host))
		return "fail";
	t->matched = true;
	return "pass";
}

static void
print_rr(struct tlsa_check *t, const struct dns_rr *rr, struct buf *out,
	 struct json *j)
{
	struct buf hex = BUF_INIT;
	const char *word = judge(t, rr);

	hex_encode(&hex, span_make(rr->text, rr->len));
	if (j != NULL) {
		json_object(j, NULL);
		json_str(j, "result", span_of(word));
		json_int(j, "usage", rr->usage);
		json_int(j, "selector", rr->selector);
		json_int(j, "matching", rr->matching);
		json_str(j, "data", buf_span(&hex));
		json_end(j, '}');
	} else {
		buf_addf(out, "%s usage=%d selector=%d matching=%d data=%s\n",
			 word, rr->usage, rr->selector, rr->matching,
			 buf_str(&hex));
	}
	buf_free(&hex);
}

/* The record that would fit: "3 1 1 HEX" (RFC 7672 3.1.1). */
static void
wanted(const struct tlsa_check *t, struct buf *out)
{
	struct buf data = BUF_INIT;

	if (sk_X509_num(t->p.chain) > 0 &&
	    cert_tlsa(sk_X509_value(t->p.chain, 0), 1, 1, &data)) {
		buf_adds(out, "3 1 1 ");
		hex_encode(out, buf_span(&data));
	}
	buf_free(&data);
}

static int
verdict(const struct tlsa_check *t, const char **word)
{
	if (t->matched) {
		*word = "pass";
		return ST_OK;
	}
	if (t->st == DNS_TEMP || (t->ans.n > 0 && t->p.reached != PROBE_DONE)) {
		*word = "temperror";
		return ST_TEMPFAIL;
	}
	*word = t->any ? "fail" : "none";
	return ST_NO;
}

static int
print_all(struct tlsa_check *t)
{
	struct buf out = BUF_INIT, lines = BUF_INIT, want = BUF_INIT;
	struct json j;
	const char *word;
	int st;

	if (prog.json) {
		json_init(&j, &out);
		json_object(&j, NULL);
		json_array(&j, "records");
	}
	for (size_t i = 0; i < t->ans.n; i++)
		print_rr(t, &t->ans.v[i], &lines, prog.json ? &j : NULL);
	wanted(t, &want);
	st = verdict(t, &word);
	if (prog.json) {
		json_end(&j, ']');
		json_str(&j, "result", span_of(word));
		json_str(&j, "name", span_of(t->name));
		json_bool(&j, "dnssec", t->ans.ad);
		json_str(&j, "publish", buf_span(&want));
		json_str(&j, "reason", span_of(t->p.error));
		json_end(&j, '}');
		buf_addc(&out, '\n');
	} else {
		buf_addf(&out, "%s name=%s dnssec=%s", word, t->name,
			 t->ans.ad ? "yes" : "no");
		check_text(&out, "publish", buf_span(&want));
		check_text(&out, "reason", span_of(t->p.error));
		buf_addf(&out, "\n%s", buf_str(&lines));
	}
	buf_free(&lines);
	buf_free(&want);
	return check_print(&out, st);
}

int
cmd_tlsa(int argc, char **argv)
{
	struct tlsa_check t = { .port = 25 };
	deadline_t dl = clock_deadline(CHECK_MS);
	struct dns *dns = check_dns();
	struct err e = ERR_INIT;
	struct span host;
	bool literal;

	if (argc != 1 ||
	    !mx_hosts_parse(span_of(argv[0]), &host, &t.port, &literal))
		return prog_usage("tlsa needs one HOST[:PORT]");
	if (t.port <= 0)
		t.port = 25;
	t.host = mem_spandup(host);
	t.name = mem_printf("_%d._tcp.%s", t.port, t.host);
	t.st = dns_query(dns, t.name, DNS_TLSA, &t.ans, dl, &e);
	probe_host(&t, dns, dl);
	if (t.st == DNS_TEMP && t.p.error[0] == '\0')
		snprintf(t.p.error, sizeof(t.p.error), "%.200s", e.text);
	return print_all(&t);
}
