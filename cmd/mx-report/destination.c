/*
 * destination.c - who may have a report: the addresses of rua or ruf, those of
 * other organisations only with their consent.  RFC 9990 4; RFC 9991 5.
 */
#include "clock.h"
#include "escape.h"
#include "mem.h"
#include "num.h"
#include "send.h"

#include <stdio.h>
#include <stdlib.h>

#define ADDRESSES_MAX 5
#define NAME_MAX_BYTES 253
#define DNS_MS 20000

static bool
below(const char *name, const char *domain)
{
	struct span n = span_of(name), d = span_of(domain);

	return span_ieq(n, d) ||
	       (n.n > d.n && span_iends(n, d) && n.p[n.n - d.n - 1] == '.');
}

/* RFC 9990 3.5.2: reports go by mail; "!10m" behind the address was RFC 7489's
 * and is passed over. */
bool
destination_mail(struct span uri, struct buf *addr)
{
	uint64_t byte;

	buf_clear(addr);
	uri = span_trim(uri);
	if (!span_istarts(uri, SPAN("mailto:")))
		return false;
	uri = span_from(uri, 7);
	for (size_t i = 0; i < uri.n && uri.p[i] != '!' && uri.p[i] != '?';
	     i++) {
		if (uri.p[i] == '%' && i + 2 < uri.n &&
		    num_hex(span_sub(uri, i + 1, i + 3), 255, &byte)) {
			buf_addc(addr, (char)byte);
			i += 2;
		} else {
			buf_addc(addr, uri.p[i]);
		}
	}
	/* it becomes a header field and a recipient */
	for (size_t i = 0; i < addr->n; i++)
		if (!ascii_isalnum(addr->p[i]) &&
		    strchr("@.-_+=~", addr->p[i]) == NULL)
			return false;
	return span_chr(buf_span(addr), '@') > 0;
}

static const char *
host_of(const struct buf *addr)
{
	return strrchr(buf_str(addr), '@') + 1;
}

/* RFC 9990 4, step 6: as in a policy's record, with blanks about the "=". */
static bool
is_version(struct span tag)
{
	ssize_t eq = span_chr(tag, '=');

	return eq > 0 &&
	       span_iis(span_trim(span_sub(tag, 0, (size_t)eq)), "v") &&
	       span_is(span_trim(span_from(tag, (size_t)eq + 1)), "DMARC1");
}

/* A record of the other organisation that takes reports: its own tag, where it
 * has one, says where they go; to another host it says that nobody gets one.
 * False: it is no such record. */
static bool
consent(struct span txt, const char *tag, const char *host,
	struct strs *instead, bool *elsewhere)
{
	char *record = mem_spandup(txt);
	struct span rest = txt, first, uri;
	struct buf addr = BUF_INIT;
	bool yes = span_split(&rest, ';', &first) && is_version(first);

	rest = yes ? aggregate_tag(record, tag) : SPAN("");
	while (span_split(&rest, ',', &uri)) {
		if (!destination_mail(uri, &addr))
			continue;
		if (strcasecmp(host_of(&addr), host) == 0)
			strs_add(instead, buf_str(&addr));
		else
			*elsewhere = true;
	}
	buf_free(&addr);
	free(record);
	return yes;
}

/* Does the other organisation take reports about this domain (RFC 9990 4)?  1
 * yes, 0 no, -1 DNS trouble. */
static int
consents(struct dns *dns, const char *tag, const char *domain, const char *host,
	 struct strs *instead)
{
	char *name = mem_printf("%s._report._dmarc.%s", domain, host);
	struct dns_answer ans;
	enum dns_status st;
	bool elsewhere = false;
	int yes = 0;

	if (strlen(name) > NAME_MAX_BYTES) {
		free(name);
		return 0;
	}
	st = dns_query(dns, name, DNS_TXT, &ans, clock_deadline(DNS_MS), NULL);
	free(name);
	if (st == DNS_TEMP)
		return -1;
	for (size_t i = 0; i < ans.n; i++)
		if (consent(span_make(ans.v[i].text, ans.v[i].len), tag, host,
			    instead, &elsewhere))
			yes = 1;
	dns_answer_free(&ans);
	return elsewhere ? 0 : yes;
}

static void
add_once(struct strs *out, const char *addr)
{
	if (out->n < ADDRESSES_MAX && !strs_ihas(out, span_of(addr)))
		strs_add(out, addr);
}

void
destinations(struct dns *dns, const char *tag, const char *domain,
	     const char *org, const char *record, struct strs *out,
	     bool *trouble)
{
	struct span rest = aggregate_tag(record, tag), uri;
	struct buf addr = BUF_INIT;

	for (int asked = 0;
	     asked < ADDRESSES_MAX && span_split(&rest, ',', &uri);) {
		struct strs instead = STRS_INIT;
		int yes = 1;

		if (!destination_mail(uri, &addr))
			continue;
		asked++;
		if (!below(host_of(&addr), org))
			yes = consents(dns, tag, domain, host_of(&addr),
				       &instead);
		for (size_t i = 0; yes == 1 && i < instead.n; i++)
			add_once(out, instead.v[i]);
		if (yes == 1 && instead.n == 0)
			add_once(out, buf_str(&addr));
		else if (yes < 0)
			*trouble = true;
		else if (yes == 0)
			fprintf(stderr,
				"mx-report: %s: %s has not said that it takes "
				"its reports\n",
				domain, host_of(&addr));
		strs_free(&instead);
	}
	buf_free(&addr);
}
