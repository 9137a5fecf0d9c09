/*
 * sts.c - MTA-STS's verdict, TLSRPT's record.
 * RFC 8461, RFC 8460 3.
 */
#include "sts.h"
#include "dnscheck.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

void
sts_fetch(struct sts *s, struct dns *dns, const char *domain, deadline_t dl)
{
	static const enum verify_code codes[] = { VERIFY_PASS, VERIFY_NONE,
						  VERIFY_PERMERROR, VERIFY_FAIL,
						  VERIFY_TEMPERROR };
	const struct mtasts_conf conf = { .dns = dns,
					  .ca_file = opts.ca_file,
					  .https_port = check_port(
					      opts.https_port, 443) };

	*s = (struct sts){ .code = VERIFY_NONE };
	enum mtasts_result r = mtasts_record(&s->p, dns, domain, dl);
	if (r == MTASTS_FOUND)
		r = mtasts_policy(&s->p, &conf, domain, dl);
	s->code = codes[r];
}

void
sts_done(struct sts *s)
{
	mtasts_free(&s->p);
}

void
tlsrpt_fetch(struct tlsrpt *t, struct dns *dns, const char *domain,
	     deadline_t dl)
{
	char *name = mem_printf("_smtp._tls.%s", domain);
	struct span rest, uri;
	int n;

	*t = (struct tlsrpt){ .code = VERIFY_NONE };
	/* RFC 8460 3: one record, with a place for the reports */
	n = mtasts_txt(dns, name, "v=TLSRPTv1", &t->record, t->reason, dl);
	rest = mtasts_field(buf_span(&t->record), "rua");
	while (rest.p != NULL && span_split(&rest, ',', &uri)) {
		uri = span_trim(uri);
		if (span_istarts(uri, SPAN("mailto:")) ||
		    span_istarts(uri, SPAN("https:")))
			strs_addspan(&t->rua, uri);
	}
	if (n < 0)
		t->code = VERIFY_TEMPERROR;
	else if (n == 0)
		snprintf(t->reason, sizeof(t->reason), "no record at %s", name);
	else if (n > 1 || t->rua.n == 0)
		t->code = VERIFY_PERMERROR;
	else
		t->code = VERIFY_PASS;
	if (t->code == VERIFY_PERMERROR)
		snprintf(t->reason, sizeof(t->reason),
			 n > 1 ? "%s: several records"
			       : "%s: no rua=mailto: or https:",
			 name);
	free(name);
}

void
tlsrpt_done(struct tlsrpt *t)
{
	buf_free(&t->record);
	strs_free(&t->rua);
}
