/*
 * cmd_records.c - the commands mx, ptr and dkimkey: single questions to DNS.
 */
#include "dnscheck.h"
#include "escape.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

static int
trouble(struct err *e, const char *name, enum dns_status st)
{
	if (st != DNS_TEMP)
		err_set(e, ST_NO, "%s: %s", name, dns_words(st));
	return prog_fail(e);
}

/* " ADDRESS..." of a host; true when there is one. */
static bool
add_addresses(struct dns *d, const char *host, struct buf *out, struct json *j)
{
	static const int types[] = { DNS_A, DNS_AAAA };
	struct dns_answer ans;
	bool any = false;

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		if (dns_query(d, host, types[t], &ans, clock_deadline(20000),
			      NULL) != DNS_OK)
			continue;
		for (size_t i = 0; i < ans.n; i++) {
			any = true;
			if (j != NULL)
				json_str(j, NULL, span_of(ans.v[i].text));
			else
				buf_addf(out, " %s", ans.v[i].text);
		}
		dns_answer_free(&ans);
	}
	return any;
}

static void
add_host(struct dns *d, int preference, const char *host, struct buf *out,
	 struct json *j)
{
	if (j == NULL) {
		buf_addf(out, "%d %s", preference, host);
		if (!add_addresses(d, host, out, NULL))
			buf_adds(out, " -");
		buf_addc(out, '\n');
		return;
	}
	json_object(j, NULL);
	json_int(j, "preference", preference);
	json_str(j, "host", span_of(host));
	json_array(j, "addresses");
	(void)add_addresses(d, host, out, j);
	json_end(j, ']');
	json_end(j, '}');
}

int
cmd_mx(int argc, char **argv)
{
	struct dns *d = check_dns();
	struct dns_answer ans;
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;
	struct json j = { 0 }, *jp = prog.json ? &j : NULL;
	enum dns_status st;

	if (argc != 1)
		return prog_usage("mx needs one DOMAIN");
	st = dns_query(d, argv[0], DNS_MX, &ans, clock_deadline(20000), &e);
	if (st != DNS_OK && st != DNS_NODATA)
		return trouble(&e, argv[0], st);
	if (jp != NULL) {
		json_init(jp, &out);
		json_array(jp, NULL);
	}
	/* RFC 7505: "0 ." takes no mail. */
	if (st == DNS_OK && ans.n == 1 && strcmp(ans.v[0].text, ".") == 0) {
		err_set(&e, ST_NO, "%s: null MX: takes no mail (RFC 7505)",
			argv[0]);
		return prog_fail(&e);
	}
	for (size_t i = 0; i < ans.n; i++)
		add_host(d, ans.v[i].preference, ans.v[i].text, &out, jp);
	/* RFC 5321 5.1: without MX the name itself is the host. */
	if (st == DNS_NODATA)
		add_host(d, 0, argv[0], &out, jp);
	if (jp != NULL) {
		json_end(jp, ']');
		buf_addc(&out, '\n');
	}
	dns_answer_free(&ans);
	return check_print(&out, ST_OK);
}

int
cmd_ptr(int argc, char **argv)
{
	struct dns *d = check_dns();
	struct buf out = BUF_INIT;
	struct json j;
	char *name = NULL, *reverse = NULL;
	const char *result;
	enum dns_status st;
	int status;

	if (argc != 1)
		return prog_usage("ptr needs one IP");
	st =
	    dns_client_name(d, argv[0], &name, &reverse, clock_deadline(20000));
	if (st == DNS_BADNAME)
		return prog_usage("ptr %s: expected an IP address", argv[0]);
	/* The words of RFC 8601 2.7.3 (iprev). */
	result = st == DNS_OK     ? "pass"
		 : st == DNS_TEMP ? "temperror"
		 : reverse        ? "fail"
				  : "none";
	status = st == DNS_OK ? ST_OK : st == DNS_TEMP ? ST_TEMPFAIL : ST_NO;
	if (name == NULL)
		name = reverse;
	if (prog.json) {
		json_init(&j, &out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(result));
		json_str(&j, "name", span_of(name));
		json_end(&j, '}');
		buf_addc(&out, '\n');
	} else {
		buf_addf(&out, "%s name=", result);
		escape_word(&out, span_of(name));
		buf_addc(&out, '\n');
	}
	if (name != reverse)
		free(name);
	free(reverse);
	return check_print(&out, status);
}
