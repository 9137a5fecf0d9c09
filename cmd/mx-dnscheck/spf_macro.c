/*
 * spf_macro.c - macros of RFC 7208 7, and validated names of 5.5.
 */
#include "spf.h"
#include "mem.h"
#include "num.h"
#include "strs.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPANDED_MAX 8192 /* THREATS 64 */

struct macro {
	char letter;
	bool upper, reverse;
	int digits; /* 0: all */
	struct span delims;
};

/* "{" letter digits "r" delims "}" at s.p[0]; the bytes taken, 0 bad. */
static size_t
macro_parse(struct span s, struct macro *m)
{
	ssize_t end = span_chr(s, '}');
	uint64_t v;
	size_t used, i = 2;

	*m = (struct macro){ 0 };
	if (end < 2 || s.p[0] != '{')
		return 0;
	m->letter = ascii_tolower(s.p[1]);
	m->upper = s.p[1] != m->letter;
	if (!ascii_isalpha(m->letter) ||
	    strchr("slodiphcrtv", m->letter) == NULL)
		return 0;
	if (num_prefix(span_sub(s, i, (size_t)end), 1000, &v, &used)) {
		if (v == 0)
			return 0; /* RFC 7208 7.3: MUST be nonzero */
		m->digits = (int)v;
		i += used;
	}
	if (s.p[i] == 'r' || s.p[i] == 'R') {
		m->reverse = true;
		i++;
	}
	m->delims = span_sub(s, i, (size_t)end);
	for (size_t k = 0; k < m->delims.n; k++) {
		if (strchr(".-+,/_=", m->delims.p[k]) == NULL)
			return 0;
	}
	return (size_t)end + 1;
}

/* RFC 7208 7.1; "c", "r" and "t" are for explanations alone (7.2). */
bool
spf_macro_ok(struct span text, bool exp, bool *macro_last)
{
	bool last = false;

	for (size_t i = 0; i < text.n; i++) {
		struct macro m;
		size_t n;

		last = text.p[i] == '%';
		if ((unsigned char)text.p[i] < 0x20 ||
		    (unsigned char)text.p[i] > 0x7e)
			return false;
		if (!last)
			continue;
		if (i + 1 < text.n &&
		    (text.p[i + 1] == '%' || text.p[i + 1] == '_' ||
		     text.p[i + 1] == '-')) {
			i++;
			continue;
		}
		n = macro_parse(span_from(text, i + 1), &m);
		if (n == 0 || (!exp && strchr("crt", m.letter) != NULL))
			return false;
		i += n;
	}
	if (macro_last != NULL)
		*macro_last = last;
	return true;
}

/* RFC 7208 7.3, %{i}: dotted decimal, or nibbles with dots (upper case, as
 * others). */
static void
add_ip(struct buf *out, const char *ip)
{
	unsigned char a[16];

	if (inet_pton(AF_INET6, ip, a) != 1) {
		buf_adds(out, ip);
		return;
	}
	for (int i = 0; i < 16; i++)
		buf_addf(out, "%s%X.%X", i ? "." : "", a[i] >> 4, a[i] & 15);
}

/* RFC 7208 7.3, %{p}: asked once a domain; "unknown" when there is none. */
static const char *
validated(struct spf *s, const char *domain)
{
	bool temp, empty;

	if (s->validated != NULL &&
	    span_iis(buf_span(&s->validated_domain), domain))
		return s->validated;
	free(s->validated);
	s->validated = spf_validated_name(s, domain, false, &temp, &empty);
	if (s->validated == NULL)
		s->validated = mem_strdup("unknown");
	buf_clear(&s->validated_domain);
	buf_adds(&s->validated_domain, domain);
	return s->validated;
}

static void
macro_value(struct spf *s, struct buf *out, char letter, const char *domain)
{
	switch (letter) {
	case 's':
		buf_addf(out, "%s@%s", buf_str(&s->local),
			 buf_str(&s->sender_domain));
		break;
	case 'l':
		buf_addspan(out, buf_span(&s->local));
		break;
	case 'o':
		buf_addspan(out, buf_span(&s->sender_domain));
		break;
	case 'd':
		buf_adds(out, domain);
		break;
	case 'i':
		add_ip(out, s->ip);
		break;
	case 'c':
		buf_adds(out, s->ip);
		break;
	case 'p':
		buf_adds(out, validated(s, domain));
		break;
	case 'v':
		buf_adds(out, spf_is_v6(s) ? "ip6" : "in-addr");
		break;
	case 'h':
		buf_adds(out, s->helo);
		break;
	case 'r':
		buf_adds(out, s->receiver[0] ? s->receiver : "unknown");
		break;
	default:
		buf_addf(out, "%lld", (long long)clock_now());
	}
}

/* RFC 7208 7.3: splits, reverses, keeps the last `digits` parts, joins with
 * dots. */
static void
macro_transform(struct buf *out, struct span value, const struct macro *m)
{
	struct strs parts = STRS_INIT;
	struct buf one = BUF_INIT;
	size_t from = 0;

	for (size_t i = 0; i <= value.n; i++) {
		bool cut = i == value.n;

		if (!cut && m->delims.n > 0)
			cut = span_chr(m->delims, value.p[i]) >= 0;
		else if (!cut)
			cut = value.p[i] == '.';
		if (!cut) {
			buf_addc(&one, value.p[i]);
			continue;
		}
		strs_addspan(&parts, buf_span(&one));
		buf_clear(&one);
	}
	if (m->digits > 0 && (size_t)m->digits < parts.n)
		from = parts.n - (size_t)m->digits;
	for (size_t i = from; i < parts.n; i++) {
		/* Reversed: the first parts are the last to count. */
		size_t k = m->reverse ? parts.n - 1 - i : i;

		buf_addf(out, "%s%s", i > from ? "." : "", parts.v[k]);
	}
	strs_free(&parts);
	buf_free(&one);
}

/* RFC 7208 7.3: of upper-case macros, all but "unreserved" of RFC 3986 2.3. */
static void
url_escape(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (ascii_isalnum(s.p[i]) || s.p[i] == '-' || s.p[i] == '.' ||
		    s.p[i] == '_' || s.p[i] == '~')
			buf_addc(out, s.p[i]);
		else
			buf_addf(out, "%%%02X", (unsigned char)s.p[i]);
	}
}

static void
macro_expand(struct spf *s, struct buf *out, const struct macro *m,
	     const char *domain)
{
	struct buf value = BUF_INIT, done = BUF_INIT;

	macro_value(s, &value, m->letter, domain);
	if (m->digits > 0 || m->reverse || m->delims.n > 0)
		macro_transform(&done, buf_span(&value), m);
	else
		buf_addspan(&done, buf_span(&value));
	if (m->upper)
		url_escape(out, buf_span(&done));
	else
		buf_addspan(out, buf_span(&done));
	buf_free(&value);
	buf_free(&done);
}

int
spf_expand(struct spf *s, struct buf *out, struct span text, const char *domain,
	   bool exp)
{
	size_t start = out->n;

	if (!spf_macro_ok(text, exp, NULL))
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		struct macro m;

		if (text.p[i] != '%') {
			buf_addc(out, text.p[i]);
		} else if (text.p[i + 1] == '%' || text.p[i + 1] == '_') {
			buf_addc(out, text.p[++i] == '_' ? ' ' : '%');
		} else if (text.p[i + 1] == '-') {
			buf_adds(out, "%20");
			i++;
		} else {
			i += macro_parse(span_from(text, i + 1), &m);
			macro_expand(s, out, &m, domain);
		}
		if (out->n - start > EXPANDED_MAX)
			return -1;
	}
	/* RFC 7208 7.3: a name that is too long loses labels on the left. */
	while (!exp && out->n - start > 253) {
		struct span name = span_from(buf_span(out), start);
		ssize_t dot = span_chr(name, '.');
		size_t keep;

		if (dot < 0)
			return -1;
		keep = name.n - (size_t)dot - 1;
		memmove(out->p + start, name.p + dot + 1, keep);
		buf_cut(out, start + keep);
	}
	return 0;
}

/* Is name the domain or below it? */
static bool
below(const char *name, const char *domain)
{
	struct span n = span_of(name), d = span_of(domain);

	return span_ieq(n, d) ||
	       (n.n > d.n && span_iends(n, d) && n.p[n.n - d.n - 1] == '.');
}

/* RFC 7208 5.5: an address of the name is the client's. */
static bool
leads_back(struct spf *s, const char *name, bool *temp_r)
{
	struct dns_answer ans;
	unsigned char want[16], have[16];
	bool v6 = spf_is_v6(s), yes = false;
	int family = v6 ? AF_INET6 : AF_INET;
	enum dns_status st = dns_query(s->dns, name, v6 ? DNS_AAAA : DNS_A,
				       &ans, s->deadline, NULL);

	if (st == DNS_TEMP) {
		*temp_r = true;
		return false;
	}
	for (size_t i = 0; i < ans.n; i++)
		yes |= inet_pton(family, s->ip, want) == 1 &&
		       inet_pton(family, ans.v[i].text, have) == 1 &&
		       memcmp(want, have, v6 ? 16 : 4) == 0;
	dns_answer_free(&ans);
	return yes;
}

char *
spf_validated_name(struct spf *s, const char *domain, bool match_only,
		   bool *temp_r, bool *void_r)
{
	struct buf q = BUF_INIT;
	struct dns_answer ans;
	char *best = NULL;
	enum dns_status st;

	*temp_r = *void_r = false;
	if (!dns_reverse_name(s->ip, NULL, NULL, &q)) {
		buf_free(&q);
		return NULL;
	}
	st = dns_query(s->dns, buf_str(&q), DNS_PTR, &ans, s->deadline, NULL);
	buf_free(&q);
	*temp_r = st == DNS_TEMP;
	*void_r = st == DNS_NXDOMAIN || st == DNS_NODATA;
	/* RFC 7208 4.6.4: only the first ten names are looked at. */
	for (size_t i = 0; st == DNS_OK && i < ans.n && i < 10; i++) {
		const char *name = ans.v[i].text;
		bool mine = below(name, domain);

		if ((match_only && !mine) || !leads_back(s, name, temp_r))
			continue;
		/* RFC 7208 7.3: the domain itself, then one below it, then any.
		 */
		if (best == NULL || (mine && !below(best, domain)) ||
		    strcasecmp(name, domain) == 0) {
			free(best);
			best = mem_strdup(name);
		}
	}
	if (st == DNS_OK)
		dns_answer_free(&ans);
	return best;
}
