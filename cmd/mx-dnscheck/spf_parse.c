/*
 * spf_parse.c - the syntax of SPF records, whole before anything is asked
 * (4.6: an error anywhere is a permerror).  RFC 7208 5, 6, 7.1, 12.
 */
#include "mem.h"
#include "num.h"
#include "spf.h"
#include "table.h"

#include <stdlib.h>

#define TERMS_MAX 1000

static const char *const mech_names[] = { "all", "include", "a",   "mx",
					  "ptr", "ip4",     "ip6", "exists" };

/* Cuts "/N" (one slash) or "//N" off the end of *spec: 1 cut, 0 not there,
 * -1 malformed. */
static int
take_length(struct span *spec, size_t slashes, int max, int *bits)
{
	size_t digits = 0, at;
	struct span n;

	while (digits < spec->n && ascii_isdigit(spec->p[spec->n - digits - 1]))
		digits++;
	at = spec->n - digits;
	if (at < slashes || spec->p[at - 1] != '/' ||
	    (slashes == 2 && spec->p[at - 2] != '/'))
		return 0;
	n = span_from(*spec, at);
	if (!num_int(n, 0, max, bits) || (n.n > 1 && n.p[0] == '0'))
		return -1;
	*spec = span_sub(*spec, 0, at - slashes);
	return 1;
}

/* RFC 7208 5.6: dual-cidr-length = [ "/" ip4-length ] [ "//" ip6-length ].  Cut
 * from the end: a macro's delimiters may have slashes, too. */
static bool
take_dual_cidr(struct span *spec, struct spf_term *t)
{
	t->bits4 = t->bits6 = -1;
	return take_length(spec, 2, 128, &t->bits6) >= 0 &&
	       take_length(spec, 1, 32, &t->bits4) >= 0;
}

/* RFC 7208 7.1: domain-end is a macro, or "." and a top label that is no
 * number. */
static bool
domain_spec_ok(struct span spec)
{
	struct span top;
	ssize_t dot;
	bool alpha = false, macro_last = false;

	if (spec.n == 0 || !spf_macro_ok(spec, false, &macro_last))
		return false;
	if (macro_last)
		return true;
	if (spec.p[spec.n - 1] == '.')
		spec.n--;
	dot = span_rchr(spec, '.');
	if (dot < 0)
		return false;
	top = span_from(spec, (size_t)dot + 1);
	if (top.n == 0 || top.p[0] == '-' || top.p[top.n - 1] == '-')
		return false;
	for (size_t i = 0; i < top.n; i++) {
		if (!ascii_isalnum(top.p[i]) && top.p[i] != '-')
			return false;
		alpha |= !ascii_isdigit(top.p[i]);
	}
	return alpha;
}

/* RFC 7208 5.6: a length has no leading zero, an address is whole. */
static bool
ip_spec_ok(struct span spec, bool v6)
{
	ssize_t slash = span_chr(spec, '/');
	struct span addr =
	    span_sub(spec, 0, slash < 0 ? spec.n : (size_t)slash);
	int bits;

	if (slash >= 0) {
		struct span n = span_from(spec, (size_t)slash + 1);

		if (!num_int(n, 0, v6 ? 128 : 32, &bits) ||
		    (n.n > 1 && n.p[0] == '0'))
			return false;
	}
	if ((span_chr(addr, ':') >= 0) != v6 || span_chr(addr, '[') >= 0)
		return false;
	return match_cidr(addr, addr);
}

/* What stands behind the name of a mechanism. */
static bool
arguments_ok(struct spf_term *t, bool colon)
{
	switch (t->mech) {
	case SPF_ALL:
		return !colon && t->spec.n == 0;
	case SPF_A:
	case SPF_MX:
		if (!take_dual_cidr(&t->spec, t))
			return false;
		return colon ? domain_spec_ok(t->spec) : t->spec.n == 0;
	case SPF_PTR:
		return colon ? domain_spec_ok(t->spec) : t->spec.n == 0;
	case SPF_INCLUDE:
	case SPF_EXISTS:
		return colon && domain_spec_ok(t->spec);
	case SPF_IP4:
	case SPF_IP6:
		return colon && ip_spec_ok(t->spec, t->mech == SPF_IP6);
	default:
		return false;
	}
}

/* RFC 7208 4.6.1: directive = [ qualifier ] mechanism, in any case. */
static bool
parse_mechanism(struct spf_record *r, struct span text)
{
	static const char signs[] = "+-~?";
	static const enum spf_code codes[] = { SPF_PASS, SPF_FAIL, SPF_SOFTFAIL,
					       SPF_NEUTRAL };
	struct spf_term t = {
		.text = text, .qualifier = SPF_PASS, .bits4 = -1, .bits6 = -1
	};
	const char *sign = text.n > 0 ? strchr(signs, text.p[0]) : NULL;
	struct span s = text, name;
	size_t n = 0;
	bool colon;

	if (sign != NULL && *sign != '\0') {
		t.qualifier = codes[sign - signs];
		s = span_from(s, 1);
		if (*sign == '+')
			t.text = s;
	}
	while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '-'))
		n++;
	name = span_sub(s, 0, n);
	colon = n < s.n && s.p[n] == ':';
	t.spec = span_from(s, n + colon);
	for (t.mech = SPF_ALL; t.mech <= SPF_EXISTS; t.mech++) {
		if (span_iis(name, mech_names[t.mech]))
			break;
	}
	if (t.mech > SPF_EXISTS || !arguments_ok(&t, colon))
		return false;
	r->v = mem_grow(r->v, &r->cap, r->n + 1, sizeof(*r->v));
	r->v[r->n++] = t;
	return true;
}

/* RFC 7208 6: redirect and exp once each; unknown ones are ignored when well
 * formed. */
static bool
parse_modifier(struct spf_record *r, struct span name, struct span value)
{
	struct span *slot = NULL;

	if (span_iis(name, "redirect"))
		slot = &r->redirect;
	else if (span_iis(name, "exp"))
		slot = &r->exp;
	if (slot == NULL)
		return spf_macro_ok(value, true, NULL);
	if (slot->p != NULL || !domain_spec_ok(value))
		return false;
	*slot = value;
	return true;
}

/* Is it "name=" with ALPHA *(ALPHA / DIGIT / "-" / "_" / ".")? */
static size_t
modifier_name(struct span s)
{
	size_t n = 0;

	if (s.n == 0 || !ascii_isalpha(s.p[0]))
		return 0;
	while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '-' ||
			   s.p[n] == '_' || s.p[n] == '.'))
		n++;
	return n < s.n && s.p[n] == '=' ? n : 0;
}

/* RFC 7208 4.5: "v=spf10" is something else. */
bool
spf_is_record(struct span txt)
{
	return span_istarts(txt, SPAN("v=spf1")) &&
	       (txt.n == 6 || txt.p[6] == ' ');
}

bool
spf_parse(struct spf_record *r, struct span txt, struct span *bad)
{
	struct span rest = span_from(txt, strlen("v=spf1")), word;

	*r = (struct spf_record){ 0 };
	while (span_word(&rest, " ", &word)) {
		size_t n = modifier_name(word);

		*bad = word;
		if (r->n > TERMS_MAX || !span_is_ascii(word) ||
		    span_has_ctl(word))
			return false;
		if (n > 0 ? !parse_modifier(r, span_sub(word, 0, n),
					    span_from(word, n + 1))
			  : !parse_mechanism(r, word))
			return false;
	}
	return true;
}

void
spf_record_free(struct spf_record *r)
{
	free(r->v);
	*r = (struct spf_record){ 0 };
}
