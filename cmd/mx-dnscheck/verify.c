/*
 * verify.c - DKIM verification.  RFC 6376 6; RFC 8301 3; RFC 8463.
 */
#include "verify.h"
#include "mem.h"
#include "num.h"

#include <stdio.h>
#include <stdlib.h>

#define SIGNATURE_MAX 65536
#define DRIFT 300 /* t= may lie so many seconds ahead of us */

const char *
verify_word(enum verify_code c)
{
	static const char *const words[] = { "pass",     "fail",    "none",
					     "policy",   "neutral", "temperror",
					     "permerror" };

	return words[c];
}

enum kind { KIND_DKIM, KIND_AMS, KIND_SEAL };

/* What one DKIM-Signature, ARC-Message-Signature or ARC-Seal field says. */
struct parsed {
	enum kind kind;
	struct dkim_tags tags;
	struct span domain, selector, names;
	struct buf auid, sig, bh;
	enum dkim_alg alg;
	enum dkim_canon head, body;
	int64_t limit, expires, made;
};

static bool
bad(struct signature *s, enum verify_code code, const char *why)
{
	s->code = code;
	snprintf(s->reason, sizeof(s->reason), "%.150s", why);
	return false;
}

/* RFC 6376 3.5: two labels at least; U-labels (RFC 8616) stand for their
 * A-labels. */
static bool
domain_syntax(struct span d)
{
	struct buf ascii = BUF_INIT;
	bool ok = span_chr(d, '.') > 0 && d.p[d.n - 1] != '.' &&
		  dns_to_ascii(d, &ascii) &&
		  dns_valid_hostname(buf_span(&ascii));

	buf_free(&ascii);
	return ok;
}

/* RFC 6376 3.1: selector = sub-domain *( "." sub-domain ); "_" is seen, too. */
static bool
selector_syntax(struct span s)
{
	struct span label;

	if (s.n == 0 || s.n > 200)
		return false;
	while (span_split(&s, '.', &label)) {
		if (label.n == 0 || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++) {
			if (!ascii_isalnum(label.p[i]) && label.p[i] != '-' &&
			    label.p[i] != '_' &&
			    (unsigned char)label.p[i] < 0x80)
				return false;
		}
	}
	return true;
}

static bool
same_or_below(struct span name, struct span domain)
{
	return span_ieq(name, domain) ||
	       (name.n > domain.n && span_iends(name, domain) &&
		name.p[name.n - domain.n - 1] == '.');
}

static bool
names_from(struct span names)
{
	struct span w;

	while (span_split(&names, ':', &w)) {
		if (span_iis(span_trim(w), "from"))
			return true;
	}
	return false;
}

/* RFC 6376 3.5: q= holds a list; dns/txt must be in it. */
static bool
query_ok(struct span q)
{
	struct span w;

	if (q.p == NULL)
		return true;
	while (span_split(&q, ':', &w)) {
		if (span_iis(span_trim(w), "dns/txt"))
			return true;
	}
	return false;
}

static bool
parse_numbers(struct parsed *p, struct signature *s, int64_t now)
{
	struct span l = dkim_tag(&p->tags, "l"), t = dkim_tag(&p->tags, "t"),
		    x = dkim_tag(&p->tags, "x");

	p->limit = p->made = p->expires = -1;
	if ((l.p && !num_i64(l, 0, INT64_MAX, &p->limit)) ||
	    (t.p && !num_i64(t, 0, INT64_MAX, &p->made)) ||
	    (x.p && !num_i64(x, 0, INT64_MAX, &p->expires)))
		return bad(s, VERIFY_PERMERROR, "malformed number");
	/* RFC 6376 3.5: x= MUST be greater than t= */
	if (p->expires >= 0 && p->made >= 0 && p->expires <= p->made)
		return bad(s, VERIFY_PERMERROR, "x= is not behind t=");
	if (p->expires >= 0 && p->expires < now)
		return bad(s, VERIFY_PERMERROR, "signature expired");
	if (p->made > now + DRIFT)
		return bad(s, VERIFY_PERMERROR, "signature is from the future");
	return true;
}

/* Is the domain of i= that of d=, or (unless `same`) one below it?  U-labels
 * and their A-labels are equal (RFC 8616). */
static bool
auid_inside(const struct parsed *p, bool same)
{
	struct buf domain = BUF_INIT, d = BUF_INIT;
	struct span auid = buf_span(&p->auid);
	ssize_t at = span_rchr(auid, '@');
	bool yes = at >= 0 &&
		   dns_to_ascii(span_from(auid, (size_t)at + 1), &domain) &&
		   dns_to_ascii(p->domain, &d);

	if (yes)
		yes = same ? span_ieq(buf_span(&domain), buf_span(&d))
			   : same_or_below(buf_span(&domain), buf_span(&d));
	buf_free(&domain);
	buf_free(&d);
	return yes;
}

/* i= of DKIM, the AUID (RFC 6376 3.5): the domain of d= or one below it. */
static bool
parse_auid(struct parsed *p, struct signature *s)
{
	if (dkim_tag(&p->tags, "i").p == NULL)
		return true;
	/* RFC 6376 2.11: blanks and folds in quoted-printable do not count */
	dkim_strip(&s->auid, dkim_tag(&p->tags, "i"));
	buf_addspan(&p->auid, buf_span(&s->auid));
	if (!auid_inside(p, false))
		return bad(s, VERIFY_PERMERROR, "i= is not inside d=");
	return true;
}

/* The list of fields: From must be in it (RFC 6376 5.4); of an ARC-Message-
 * Signature no seal may (RFC 8617 4.1.2). */
static bool
parse_names(struct parsed *p, struct signature *s)
{
	struct span rest, w;

	p->names = rest = dkim_tag(&p->tags, "h");
	if (!names_from(p->names))
		return bad(s, VERIFY_PERMERROR, "From is not signed");
	while (p->kind == KIND_AMS && span_split(&rest, ':', &w)) {
		w = span_trim(w);
		if (span_iis(w, "ARC-Seal") ||
		    span_iis(w, "ARC-Message-Signature") ||
		    span_iis(w, "ARC-Authentication-Results"))
			return bad(s, VERIFY_PERMERROR,
				   "an ARC field is in h= (RFC 8617 4.1.2)");
	}
	return true;
}

/* What only signatures over a message have. */
static bool
parse_message_tags(struct parsed *p, struct signature *s)
{
	struct span canon = dkim_tag(&p->tags, "c");

	if (!dkim_canon_parse(canon, &p->head, &p->body))
		return bad(s, VERIFY_PERMERROR, "unknown canonicalization");
	if (!parse_names(p, s))
		return false;
	if (!dkim_base64(&p->bh, dkim_tag(&p->tags, "bh")))
		return bad(s, VERIFY_PERMERROR, "bh= is not base64");
	return p->kind != KIND_DKIM || parse_auid(p, s);
}

/* RFC 6376 6.1.1: syntax and meaning of the tags. */
static bool
parse_signature(struct parsed *p, struct signature *s,
		const struct msg_field *f, int64_t now)
{
	const char *why = "malformed";
	struct span v;

	if (f->all.n > SIGNATURE_MAX ||
	    !dkim_tags_parse(&p->tags, f->value, &why))
		return bad(s, VERIFY_PERMERROR, why);
	p->domain = dkim_tag(&p->tags, "d");
	p->selector = dkim_tag(&p->tags, "s");
	v = dkim_tag(&p->tags, "a");
	buf_addspan(&s->domain, p->domain);
	buf_addspan(&s->selector, p->selector);
	buf_addspan(&s->alg, v);
	dkim_strip(&s->b, dkim_tag(&p->tags, "b"));
	buf_cut(&s->b, 8);
	if (p->kind == KIND_DKIM && !span_is(dkim_tag(&p->tags, "v"), "1"))
		return bad(s, VERIFY_PERMERROR, "v= is not 1");
	if (!domain_syntax(p->domain))
		return bad(s, VERIFY_PERMERROR, "d= is not a domain");
	if (!selector_syntax(p->selector))
		return bad(s, VERIFY_PERMERROR, "s= is not a selector");
	if (!dkim_alg_parse(v, &p->alg))
		return bad(s, VERIFY_PERMERROR, "unknown algorithm");
	if (!query_ok(dkim_tag(&p->tags, "q")))
		return bad(s, VERIFY_PERMERROR, "unknown query method");
	if (!dkim_base64(&p->sig, dkim_tag(&p->tags, "b")))
		return bad(s, VERIFY_PERMERROR, "b= is not base64");
	/* RFC 8617 4.1.3: h= in a seal makes it fail */
	if (p->kind == KIND_SEAL && dkim_tag(&p->tags, "h").p != NULL)
		return bad(s, VERIFY_PERMERROR, "a seal has no h=");
	if (p->kind != KIND_SEAL && !parse_message_tags(p, s))
		return false;
	/* a seal does not expire: its t= may be of any time */
	return p->kind == KIND_SEAL || parse_numbers(p, s, now);
}

/* RFC 6376 6.1.2: the first record that is a key; TRY AGAIN is temperror. */
static bool
fetch_key(struct parsed *p, struct signature *s, struct dns *dns, deadline_t dl,
	  struct dkim_record *rec)
{
	struct buf name = BUF_INIT;
	struct dns_answer ans;
	struct err e = ERR_INIT;
	const char *why = "no key";
	enum dns_status st;
	bool found = false;

	buf_addf(&name, "%.*s._domainkey.%.*s", SPAN_ARG(p->selector),
		 SPAN_ARG(p->domain));
	st = dns_query(dns, buf_str(&name), DNS_TXT, &ans, dl, &e);
	buf_free(&name);
	if (st == DNS_TEMP)
		return bad(s, VERIFY_TEMPERROR, e.text);
	for (size_t i = 0; st == DNS_OK && i < ans.n && !found; i++)
		found = dkim_record_parse(
		    rec, span_make(ans.v[i].text, ans.v[i].len), &why);
	dns_answer_free(&ans);
	if (!found)
		return bad(s, VERIFY_PERMERROR,
			   st == DNS_OK ? why : "no key in DNS");
	return true;
}

/* RFC 6376 6.1.2: what the key's record allows; 3.6.1 has its tags. */
static bool
key_usable(struct parsed *p, struct signature *s, const struct dkim_record *rec)
{
	s->testing = rec->testing;
	if (rec->revoked)
		return bad(s, VERIFY_PERMERROR, "key is revoked");
	if (rec->ed25519 != (p->alg == DKIM_ED25519_SHA256))
		return bad(s, VERIFY_PERMERROR,
			   "key is of another kind than a= says");
	if (!rec->sha256 && p->alg != DKIM_RSA_SHA1)
		return bad(s, VERIFY_PERMERROR, "key does not allow sha256");
	if (!rec->email)
		return bad(s, VERIFY_PERMERROR, "key is not for mail");
	if (rec->strict && p->auid.n > 0 && !auid_inside(p, true))
		return bad(s, VERIFY_PERMERROR,
			   "key asks that i= be d= itself");
	return true;
}

/* Is there a From that the signature does not cover?  RFC 6376 8.15: a reader
 * may be shown the one that was added. */
static bool
extra_from(const struct msg *m, struct span names)
{
	size_t have = 0, signed_ = 0;
	struct span w;

	for (size_t i = 0; i < m->n; i++)
		have += span_iis(m->v[i].name, "From");
	while (span_split(&names, ':', &w))
		signed_ += span_iis(span_trim(w), "from");
	return have > signed_;
}

/* The hash of the present message's whole body, by canonicalization: ten
 * signatures and fifty ARC sets cost two walks over it, not sixty. */
static struct known_body {
	bool known;
	struct span body;
	unsigned char hash[32];
	uint64_t total;
} whole[2];

void
verify_forget(void)
{
	memset(whole, 0, sizeof(whole));
}

static void
hash_body(const struct parsed *p, const struct msg *m, unsigned char hash[32],
	  uint64_t *total)
{
	struct known_body *k = &whole[p->body];
	struct dkim_body body;

	if (p->limit < 0 && k->known && k->body.p == m->body.p &&
	    k->body.n == m->body.n) {
		memcpy(hash, k->hash, sizeof(k->hash));
		*total = k->total;
		return;
	}
	dkim_body_init(&body, p->body, p->limit);
	dkim_body_add(&body, m->body);
	dkim_body_done(&body, hash);
	*total = body.total;
	if (p->limit >= 0)
		return;
	*k = (struct known_body){ .known = true,
				  .body = m->body,
				  .total = body.total };
	memcpy(k->hash, hash, sizeof(k->hash));
}

static bool
check_body(struct parsed *p, struct signature *s, const struct msg *m,
	   uint64_t *total)
{
	unsigned char hash[32];

	hash_body(p, m, hash, total);
	/* RFC 6376 3.5, l= */
	if (p->limit >= 0 && (uint64_t)p->limit > *total)
		return bad(s, VERIFY_PERMERROR, "l= is larger than the body");
	/* RFC 6376 6.1.3 */
	if (p->bh.n != sizeof(hash) || memcmp(p->bh.p, hash, sizeof(hash)) != 0)
		return bad(s, VERIFY_FAIL, "body hash does not match");
	return true;
}

static void
check_hashes(struct parsed *p, struct signature *s, const struct msg *m,
	     const struct msg_field *f, const struct dkim_record *rec)
{
	struct buf data = BUF_INIT;
	uint64_t total;
	bool ok;

	if (!check_body(p, s, m, &total))
		return;
	dkim_data(&data, m, p->names, p->head, f);
	ok = dkim_verify(rec->key, p->alg, buf_span(&data), buf_span(&p->sig));
	buf_free(&data);
	if (!ok)
		(void)bad(s, VERIFY_FAIL, "signature does not match");
	else if (!rec->ed25519 && rec->bits < 1024)
		(void)bad(s, VERIFY_POLICY, "key under 1024 bits (RFC 8301)");
	else if (p->limit >= 0 && (uint64_t)p->limit < total)
		(void)bad(s, VERIFY_POLICY, "l= leaves body unsigned");
	else if (extra_from(m, p->names))
		(void)bad(s, VERIFY_POLICY, "a second From is not signed");
	else
		s->code = VERIFY_PASS;
}

/* The key, or false: s says why not. */
static bool
usable_key(struct parsed *p, struct signature *s, struct dns *dns,
	   deadline_t dl, struct dkim_record *rec)
{
	/* RFC 8301 3.1: rsa-sha1 must not be verified. */
	if (p->alg == DKIM_RSA_SHA1)
		return bad(s, VERIFY_PERMERROR,
			   "rsa-sha1 is not accepted (RFC 8301)");
	return fetch_key(p, s, dns, dl, rec) && key_usable(p, s, rec);
}

static void
parsed_free(struct parsed *p)
{
	buf_free(&p->auid);
	buf_free(&p->sig);
	buf_free(&p->bh);
}

static void
verify_one(struct signature *s, const struct msg *m, const struct msg_field *f,
	   enum kind kind, struct dns *dns, int64_t now, deadline_t dl)
{
	struct parsed p = { .kind = kind };
	struct dkim_record rec = { 0 };

	*s = (struct signature){ .code = VERIFY_PERMERROR };
	if (parse_signature(&p, s, f, now) && usable_key(&p, s, dns, dl, &rec))
		check_hashes(&p, s, m, f, &rec);
	dkim_record_free(&rec);
	parsed_free(&p);
}

static void
signature_free(struct signature *s)
{
	buf_free(&s->domain);
	buf_free(&s->selector);
	buf_free(&s->alg);
	buf_free(&s->auid);
	buf_free(&s->b);
}

enum verify_code
verify_ams(const struct msg *m, const struct msg_field *f, struct dns *dns,
	   int64_t now, deadline_t dl, char *reason)
{
	struct signature s;

	verify_one(&s, m, f, KIND_AMS, dns, now, dl);
	memcpy(reason, s.reason, sizeof(s.reason));
	signature_free(&s);
	return s.code;
}

enum verify_code
verify_seal(const struct msg_field *f, struct span data, struct dns *dns,
	    deadline_t dl, char *reason, struct buf *domain_r)
{
	struct signature s = { .code = VERIFY_PERMERROR };
	struct parsed p = { .kind = KIND_SEAL };
	struct dkim_record rec = { 0 };

	if (parse_signature(&p, &s, f, 0) &&
	    usable_key(&p, &s, dns, dl, &rec)) {
		s.code = VERIFY_PASS;
		if (!rec.ed25519 && rec.bits < 1024)
			(void)bad(&s, VERIFY_POLICY,
				  "key under 1024 bits (RFC 8301)");
		else if (!dkim_verify(rec.key, p.alg, data, buf_span(&p.sig)))
			(void)bad(&s, VERIFY_FAIL, "signature does not match");
	}
	if (domain_r != NULL)
		buf_addspan(domain_r, buf_span(&s.domain));
	memcpy(reason, s.reason, sizeof(s.reason));
	dkim_record_free(&rec);
	parsed_free(&p);
	signature_free(&s);
	return s.code;
}

/* A thousand signatures cost no more than the first ones. */
static void
not_verified(struct signature *s, const struct msg_field *f)
{
	struct dkim_tags tags;
	const char *why;

	*s = (struct signature){ .code = VERIFY_POLICY };
	if (dkim_tags_parse(&tags, f->value, &why)) {
		buf_addspan(&s->domain, dkim_tag(&tags, "d"));
		buf_addspan(&s->selector, dkim_tag(&tags, "s"));
		buf_addspan(&s->alg, dkim_tag(&tags, "a"));
	}
	snprintf(s->reason, sizeof(s->reason),
		 "not verified: more than %d signatures", VERIFY_SIGNATURES);
}

void
verify_dkim(struct signatures *s, const struct msg *m, struct dns *dns,
	    int64_t now, deadline_t dl)
{
	*s = (struct signatures){ 0 };
	verify_forget();
	for (size_t i = 0; i < m->n; i++) {
		struct signature *one;

		/* RFC 6376 6.1: from the top down, each for itself */
		if (!span_iis(m->v[i].name, "DKIM-Signature"))
			continue;
		s->v = mem_grow(s->v, &s->cap, s->n + 1, sizeof(*s->v));
		one = &s->v[s->n++];
		if (s->n <= VERIFY_SIGNATURES)
			verify_one(one, m, &m->v[i], KIND_DKIM, dns, now, dl);
		else
			not_verified(one, &m->v[i]);
	}
}

bool
verify_body(const struct msg *m, const struct msg_field *f, int64_t now,
	    const char **why_r)
{
	static char why[sizeof(((struct signature *)0)->reason)];
	struct signatures one = { 0 };
	struct signature *s;
	struct parsed p = { 0 };
	uint64_t total;
	bool ok;

	verify_forget();
	one.v = mem_grow(one.v, &one.cap, 1, sizeof(*one.v));
	s = &one.v[one.n++];
	*s = (struct signature){ .code = VERIFY_PERMERROR };
	ok = parse_signature(&p, s, f, now) && check_body(&p, s, m, &total);
	memcpy(why, s->reason, sizeof(why));
	*why_r = why;
	parsed_free(&p);
	verify_done(&one);
	return ok;
}

void
verify_done(struct signatures *s)
{
	for (size_t i = 0; i < s->n; i++)
		signature_free(&s->v[i]);
	free(s->v);
	*s = (struct signatures){ 0 };
}
