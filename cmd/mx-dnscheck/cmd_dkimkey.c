/*
 * cmd_dkimkey.c - does DNS hold this key?  One resolver's word, or that of
 * every name server of the zone (before a signer changes keys).
 */
#include "dnscheck.h"
#include "dkim.h"
#include "mem.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

/* ST_OK, ST_NO, ST_TEMPFAIL with a sentence. */
static int
holds_key(struct dns *d, const char *name, const char *public, deadline_t dl,
	  struct err *e)
{
	struct dns_answer ans;
	struct dkim_record rec;
	struct buf have = BUF_INIT;
	const char *why = "no key in DNS";
	enum dns_status st = dns_query(d, name, DNS_TXT, &ans, dl, e);
	bool same = false;

	if (st == DNS_TEMP)
		return ST_TEMPFAIL;
	if (st != DNS_OK) {
		err_set(e, ST_NO, "%s: %s", name, dns_words(st));
		return ST_NO;
	}
	for (size_t i = 0; i < ans.n && !same; i++) {
		struct span txt = span_make(ans.v[i].text, ans.v[i].len);

		if (!dkim_record_parse(&rec, txt, &why))
			continue;
		buf_clear(&have);
		why = "DNS holds another key";
		if (rec.revoked)
			why = "the key is revoked";
		else if (dkim_public(rec.key, &have, e) == 0)
			same = strcmp(buf_str(&have), public) == 0;
		dkim_record_free(&rec);
	}
	dns_answer_free(&ans);
	buf_free(&have);
	if (!same)
		err_set(e, ST_NO, "%s: %s", name, why);
	return same ? ST_OK : ST_NO;
}

/* The name servers of the zone that holds the name. */
static enum dns_status
zone_servers(struct dns *d, const char *name, struct strs *servers,
	     deadline_t dl)
{
	struct dns_answer ans;

	for (const char *at = name; at != NULL;) {
		enum dns_status st = dns_query(d, at, DNS_NS, &ans, dl, NULL);

		if (st == DNS_TEMP)
			return st;
		for (size_t i = 0; st == DNS_OK && i < ans.n; i++)
			strs_add(servers, ans.v[i].text);
		dns_answer_free(&ans);
		if (st == DNS_OK)
			return st;
		at = strchr(at, '.');
		at = at != NULL ? at + 1 : NULL;
	}
	return DNS_NODATA;
}

/* The first of the server's addresses that answers decides. */
static int
server_holds(struct dns *d, const char *server, const char *name,
	     const char *public, deadline_t dl, struct err *e)
{
	static const int types[] = { DNS_A, DNS_AAAA };
	struct dns_answer ans;
	int st = ST_TEMPFAIL;

	err_set(e, ST_TEMPFAIL, "%s has no address", server);
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		if (dns_query(d, server, types[t], &ans, dl, NULL) != DNS_OK)
			continue;
		for (size_t i = 0; i < ans.n && st == ST_TEMPFAIL; i++) {
			char *at = mem_printf(
			    types[t] == DNS_A ? "%s:%d" : "[%s]:%d",
			    ans.v[i].text, check_port(opts.dns_port, 53));
			struct dns *one = dns_open(at, e);

			if (one != NULL)
				st = holds_key(one, name, public, dl, e);
			dns_close(one);
			free(at);
		}
		dns_answer_free(&ans);
	}
	if (st != ST_OK)
		err_prefix(e, "%s", server);
	return st;
}

static int
all_hold(struct dns *d, const char *name, const char *public, struct err *e)
{
	struct strs servers = STRS_INIT;
	deadline_t dl = clock_deadline(3 * CHECK_MS);
	int st = ST_OK;

	if (zone_servers(d, name, &servers, dl) != DNS_OK) {
		err_set(e, ST_TEMPFAIL, "%s: its name servers are not known",
			name);
		return ST_TEMPFAIL;
	}
	for (size_t i = 0; i < servers.n && st == ST_OK; i++)
		st = server_holds(d, servers.v[i], name, public, dl, e);
	strs_free(&servers);
	return st;
}

/* NAME is SELECTOR._domainkey.DOMAIN, PUBLIC the p= value that it should
 * hold. */
int
cmd_dkimkey(int argc, char **argv)
{
	struct dns *d = check_dns();
	struct err e = ERR_INIT;
	int st;

	if (argc != 2)
		return prog_usage("dkimkey needs NAME and PUBLIC");
	st = opts.authoritative
		 ? all_hold(d, argv[0], argv[1], &e)
		 : holds_key(d, argv[0], argv[1], clock_deadline(CHECK_MS), &e);
	if (st == ST_OK) {
		printf("%s: key OK\n", argv[0]);
		return fflush(stdout) == 0 ? ST_OK : ST_IOERR;
	}
	e.status = st;
	return prog_fail(&e);
}
