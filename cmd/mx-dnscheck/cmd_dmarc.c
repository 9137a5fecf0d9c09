/*
 * cmd_dmarc.c - the command dmarc: what follows from results of SPF and DKIM
 * that were found elsewhere (RFC 9989).
 */
#include "dnscheck.h"
#include "mem.h"
#include "status.h"

#include <stdlib.h>

/* RESULT:DOMAIN with a word of RFC 8601; false when it is none. */
static bool
take_identity(struct span s, struct dmarc_identity *id)
{
	static const char *const words[] = {
		"pass", "fail",      "softfail",  "neutral",
		"none", "temperror", "permerror", "policy",
	};
	ssize_t colon = span_chr(s, ':');
	struct span word = colon < 0 ? s : span_sub(s, 0, (size_t)colon);
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		known |= span_is(word, words[i]);
	id->pass = span_is(word, "pass");
	id->temp = span_is(word, "temperror");
	id->domain = colon < 0 ? SPAN("") : span_from(s, (size_t)colon + 1);
	return known && (colon >= 0 || span_is(word, "none"));
}

static int
dmarc_run(const struct dmarc_identity *spf, const struct dmarc_identity *dkim,
	  size_t n)
{
	struct dmarc d;
	struct buf out = BUF_INIT, ascii = BUF_INIT;
	struct json j;
	int status;

	if (!dns_to_ascii(span_of(opts.from), &ascii)) {
		buf_free(&ascii);
		return prog_usage("--from %s: expected a domain", opts.from);
	}
	dmarc_check(&d, check_dns(), buf_str(&ascii), spf, dkim, n,
		    clock_deadline(CHECK_MS));
	if (prog.json) {
		json_init(&j, &out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(verify_word(d.code)));
		json_str(&j, "policy", span_of(dmarc_policy_word(d.policy)));
		json_str(&j, "applied", span_of(dmarc_policy_word(d.applied)));
		json_str(&j, "domain", buf_span(&d.domain));
		json_str(&j, "record", buf_span(&d.record));
		json_end(&j, '}');
	} else {
		buf_addf(&out, "%s policy=%s applied=%s", verify_word(d.code),
			 dmarc_policy_word(d.policy),
			 dmarc_policy_word(d.applied));
		check_word(&out, "domain", buf_span(&d.domain));
		check_text(&out, "record", buf_span(&d.record));
	}
	buf_addc(&out, '\n');
	status = check_status(d.code);
	dmarc_done(&d);
	buf_free(&ascii);
	return check_print(&out, status);
}

int
cmd_dmarc(int argc, char **argv)
{
	struct dmarc_identity spf = { .domain = SPAN("") }, *dkim = NULL;
	struct span rest, one;
	size_t n = 0, cap = 0;
	int r = ST_OK;

	if (argc > 0)
		return prog_usage("dmarc: %s: unexpected", argv[0]);
	if (opts.from == NULL)
		return prog_usage("dmarc needs --from DOMAIN");
	if (opts.spf != NULL && !take_identity(span_of(opts.spf), &spf))
		return prog_usage("--spf %s: expected RESULT:DOMAIN", opts.spf);
	rest = span_of(opts.dkim);
	while (opts.dkim != NULL && r == ST_OK &&
	       span_split(&rest, ',', &one)) {
		dkim = mem_grow(dkim, &cap, n + 1, sizeof(*dkim));
		if (!take_identity(span_trim(one), &dkim[n++]))
			r = prog_usage("--dkim %s: expected RESULT:DOMAIN",
				       opts.dkim);
	}
	if (r == ST_OK)
		r = dmarc_run(&spf, dkim, n);
	free(dkim);
	return r;
}
