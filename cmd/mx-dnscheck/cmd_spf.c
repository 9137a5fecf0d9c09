/*
 * cmd_spf.c - the command spf: check_host() of one client (RFC 7208).
 */
#include "audit.h"
#include "site.h"
#include "status.h"

#include <stdio.h>

static int
spf_status(enum spf_code c)
{
	switch (c) {
	case SPF_PASS:
		return ST_OK;
	case SPF_TEMPERROR:
		return ST_TEMPFAIL;
	case SPF_PERMERROR:
		return ST_DATA;
	default:
		return ST_NO;
	}
}

/* spf --lint DOMAIN */
static int
lint(const char *domain)
{
	struct findings f = { 0 };
	struct buf name = BUF_INIT;

	if (!dns_to_ascii(span_of(domain), &name))
		return prog_usage("%s: not a domain name", domain);
	(void)spf_lint(&f, check_dns(), buf_str(&name), "v=spf1 mx -all",
		       clock_deadline(CHECK_MS));
	buf_free(&name);
	return check_findings(&f, domain);
}

int
cmd_spf(int argc, char **argv)
{
	struct spf s;
	struct buf out = BUF_INIT;
	struct span mech;
	struct json j;
	enum spf_code c;

	if (opts.lint && argc == 1)
		return lint(argv[0]);
	if (argc > 0 || opts.lint)
		return prog_usage(opts.lint ? "spf --lint needs one DOMAIN"
					    : "spf takes no arguments");
	if (opts.ip == NULL || opts.sender == NULL)
		return prog_usage("spf needs --ip and --sender");
	if (opts.helo == NULL && opts.sender[0] == '\0')
		return prog_usage("the null sender needs --helo NAME");
	if (!spf_init(&s, check_dns(), opts.ip, opts.sender,
		      opts.helo ? opts.helo : "", site.myhostname))
		return prog_usage("--ip %s: expected an IP address", opts.ip);
	c = spf_check(&s);
	mech = s.mechanism.n > 0 ? buf_span(&s.mechanism) : SPAN("-");
	if (prog.json) {
		json_init(&j, &out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(spf_word(c)));
		json_str(&j, "mechanism", mech);
		json_int(&j, "lookups", s.lookups);
		json_int(&j, "voids", s.voids);
		json_str(&j, "explanation", buf_span(&s.explanation));
		json_end(&j, '}');
	} else {
		buf_adds(&out, spf_word(c));
		check_word(&out, "mechanism", mech);
		buf_addf(&out, " lookups=%d voids=%d", s.lookups, s.voids);
		check_text(&out, "explanation", buf_span(&s.explanation));
	}
	buf_addc(&out, '\n');
	if (s.reason.n > 0)
		fprintf(stderr, "mx-dnscheck: %s\n", buf_str(&s.reason));
	spf_done(&s);
	return check_print(&out, spf_status(c));
}
