/* dkim.h: canonicalization, tag lists, key records, and the message of
 * RFC 8463 appendix A. */
#include "dkim.h"
#include "escape.h"

#include "unit.h"

#include <openssl/sha.h>
#include <time.h>

#define ED "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define RSA                                                                    \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08" \
	"a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR" \
	"+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l" \
	"/K4w3QIDAQAB"

static const struct {
	const char *in, *simple, *relaxed;
} bodies[] = {
	/* RFC 6376 3.4.5 */
	{ " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
	{ " C \nD \t E\n\n\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
	{ "", "\r\n", "" },
	{ "\r\n\r\n", "\r\n", "" },
	{ "\n", "\r\n", "" },
	{ " \t\r\n \r\n", " \t\r\n \r\n", "" },
	{ "a", "a\r\n", "a\r\n" },
	{ "a ", "a \r\n", "a\r\n" },
	{ "a\n\nb\n", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n" },
	{ "\n\nb", "\r\n\r\nb\r\n", "\r\n\r\nb\r\n" },
	{ "a\n \nb\n", "a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n" },
	{ "  a  b  \n", "  a  b  \r\n", " a b\r\n" },
	/* a CR alone is content */
	{ "a\rb\r\n", "a\rb\r\n", "a\rb\r\n" },
	{ "a\r\r\nb", "a\r\r\nb\r\n", "a\r\r\nb\r\n" },
	{ "a\r", "a\r\r\n", "a\r\r\n" },
};

static bool
body_is(const char *in, enum dkim_canon c, int64_t limit, const char *want,
	size_t step)
{
	unsigned char have[32], should[32];
	struct span s = span_of(in);
	struct dkim_body b;

	dkim_body_init(&b, c, limit);
	for (size_t i = 0; i < s.n; i += step)
		dkim_body_add(&b, span_sub(s, i, i + step));
	dkim_body_done(&b, have);
	SHA256((const unsigned char *)want, strlen(want), should);
	return memcmp(have, should, 32) == 0;
}

static void
test_bodies(void)
{
	struct dkim_body b;
	unsigned char hash[32];

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		for (size_t step = 1; step < 4; step++) {
			CHECK(body_is(bodies[i].in, DKIM_SIMPLE, -1,
				      bodies[i].simple, step),
			      "body %zu simple, in pieces of %zu", i, step);
			CHECK(body_is(bodies[i].in, DKIM_RELAXED, -1,
				      bodies[i].relaxed, step),
			      "body %zu relaxed, in pieces of %zu", i, step);
		}
	}
	CHECK(body_is("abc\ndef\n", DKIM_SIMPLE, 4, "abc\r", 8), "l=4");
	CHECK(body_is("abc\ndef\n", DKIM_SIMPLE, 0, "", 8), "l=0");
	CHECK(body_is("abc\n", DKIM_SIMPLE, 99, "abc\r\n", 8), "l= too large");
	dkim_body_init(&b, DKIM_RELAXED, 2);
	dkim_body_add(&b, SPAN("a  b\n\n\n"));
	dkim_body_done(&b, hash);
	CHECK(b.hashed == 2 && b.total == 5, "hashed and total");
}

static const struct {
	const char *in, *simple, *relaxed;
} fields[] = {
	{ "A:  X\r\n", "A:  X\r\n", "a:X\r\n" },
	{ "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
	{ "B : Y\t\n\tZ  \n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
	{ "SubJect:\n a\n  b\n", "SubJect:\r\n a\r\n  b\r\n",
	  "subject:a b\r\n" },
	{ "X:\n", "X:\r\n", "x:\r\n" },
	{ "X: \n", "X: \r\n", "x:\r\n" },
	/* a CR alone is no blank */
	{ "X: a\rb\r c\r\n", "X: a\rb\r c\r\n", "x:a\rb\r c\r\n" },
};

static void
test_fields(void)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct buf out = BUF_INIT;
		struct msg m;

		msg_index(&m, span_of(fields[i].in), 0);
		CHECK(m.n == 1, "field %zu is one", i);
		dkim_header(&out, DKIM_SIMPLE, &m.v[0]);
		CHECK(span_is(buf_span(&out), fields[i].simple),
		      "field %zu simple", i);
		buf_clear(&out);
		dkim_header(&out, DKIM_RELAXED, &m.v[0]);
		CHECK(span_is(buf_span(&out), fields[i].relaxed),
		      "field %zu relaxed", i);
		buf_free(&out);
		msg_done(&m);
	}
}

static const struct {
	const char *in;
	bool ok;
	size_t n;
} lists[] = {
	{ "v=1; a=rsa-sha256", true, 2 },
	{ "v=1; a=rsa-sha256;", true, 2 },
	{ " v = 1 ;\r\n\ta = x ; ", true, 2 },
	{ "", true, 0 },
	{ "v=", true, 1 },
	{ "v=a=b", true, 1 },
	{ "v", false, 0 },
	{ "v=1;;a=2", false, 0 },
	{ ";v=1", false, 0 },
	{ "=1", false, 0 },
	{ "v=1; v=2", false, 0 },
	{ "1v=1", false, 0 },
	{ "a b=1", false, 0 },
	{ "v=\x01", false, 0 },
	{ "v=\x7f", false, 0 },
	{ "x_1=2", true, 1 },
};

static void
test_lists(void)
{
	struct dkim_tags t;
	const char *why = "";

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		bool ok = dkim_tags_parse(&t, span_of(lists[i].in), &why);

		CHECK(ok == lists[i].ok && (!ok || t.n == lists[i].n),
		      "list %zu", i);
	}
	CHECK(!dkim_tags_parse(&t, span_make("v=\0", 3), &why), "NUL");
}

static const struct {
	const char *txt;
	bool ok, revoked, sha256, email, strict, testing;
	int bits;
} records[] = {
	{ "v=DKIM1; k=rsa; p=" RSA, true, false, true, true, false, false,
	  1024 },
	{ "p=" RSA, true, false, true, true, false, false, 1024 },
	{ "v=DKIM1; k=ed25519; p=" ED, true, false, true, true, false, false,
	  256 },
	{ "v=DKIM1; p=", true, true, true, true, false, false, 0 },
	{ "v=DKIM1; t=y:s; p=" RSA, true, false, true, true, true, true, 1024 },
	{ "v=DKIM1; h=sha1; s=tlsrpt; p=" RSA, true, false, false, false, false,
	  false, 1024 },
	{ "v=DKIM1; h=sha1 : sha256; s=*; p=" RSA, true, false, true, true,
	  false, false, 1024 },
	{ "v=DKIM2; p=" RSA, false, false, false, false, false, false, 0 },
	{ "p=" RSA "; v=DKIM1", false, false, false, false, false, false, 0 },
	{ "v=DKIM1; k=dsa; p=" RSA, false, false, false, false, false, false,
	  0 },
	{ "v=DKIM1; k=rsa", false, false, false, false, false, false, 0 },
	{ "v=DKIM1; p=!!!!", false, false, false, false, false, false, 0 },
	{ "v=DKIM1; k=rsa; p=" ED, false, false, false, false, false, false,
	  0 },
	/* 3.6.1: v= first */
	{ "va=1; v=DKIM1; p=" RSA, false, false, false, false, false, false,
	  0 },
	/* 2.10: blanks anywhere, "=" is an option; not half of it */
	{ "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQ HOg7hcvPapiMlr\r\n"
	  "\twIaaPcHURo",
	  true, false, true, true, false, false, 256 },
	{ "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= "
	  "=",
	  false, false, false, false, false, false, 0 },
	{ "v=DKIM1; p=A", false, false, false, false, false, false, 0 },
	{ "v=DKIM1; p==", false, false, false, false, false, false, 0 },
	{ "v=DKIM1; k=ed25519; p=" RSA, false, false, false, false, false,
	  false, 0 },
};

static void
test_records(void)
{
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		struct dkim_record r;
		const char *why = NULL;
		bool ok = dkim_record_parse(&r, span_of(records[i].txt), &why);

		CHECK(ok == records[i].ok && (ok || why != NULL),
		      "record %zu: %s", i, why ? why : "ok");
		if (!ok)
			continue;
		CHECK(r.revoked == records[i].revoked &&
			  r.sha256 == records[i].sha256 &&
			  r.email == records[i].email &&
			  r.strict == records[i].strict &&
			  r.testing == records[i].testing &&
			  r.bits == records[i].bits,
		      "record %zu: flags", i);
		dkim_record_free(&r);
	}
}

/* RFC 8463 A.3 */
static const char signed_message[] =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    " subject : date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
    " date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n"
    "Hi.\r\n"
    "\r\n"
    "We lost the game.  Are you hungry yet?\r\n"
    "\r\n"
    "Joe.\r\n";

static bool
verifies(const struct msg *m, const struct msg_field *f, const char *key,
	 enum dkim_alg alg)
{
	struct buf data = BUF_INIT, b64 = BUF_INIT, sig = BUF_INIT;
	struct dkim_record rec;
	struct dkim_tags t;
	const char *why;
	bool ok = dkim_tags_parse(&t, f->value, &why) &&
		  dkim_record_parse(&rec, span_of(key), &why);

	if (!ok)
		return false;
	dkim_strip(&b64, dkim_tag(&t, "b"));
	ok = base64_decode(&sig, buf_span(&b64));
	dkim_data(&data, m, dkim_tag(&t, "h"), DKIM_RELAXED, f);
	ok = ok && dkim_verify(rec.key, alg, buf_span(&data), buf_span(&sig));
	dkim_record_free(&rec);
	buf_free(&data);
	buf_free(&b64);
	buf_free(&sig);
	return ok;
}

static void
test_rfc8463(void)
{
	unsigned char hash[32];
	struct buf b64 = BUF_INIT;
	struct dkim_body b;
	struct msg m;

	msg_index(&m, SPAN(signed_message), 0);
	dkim_body_init(&b, DKIM_RELAXED, -1);
	dkim_body_add(&b, m.body);
	dkim_body_done(&b, hash);
	base64_encode(&b64, span_make((const char *)hash, 32));
	CHECK(span_is(buf_span(&b64),
		      "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="),
	      "RFC 8463: body hash");
	buf_free(&b64);
	CHECK(verifies(&m, &m.v[0], "v=DKIM1; k=ed25519; p=" ED,
		       DKIM_ED25519_SHA256),
	      "RFC 8463: ed25519");
	CHECK(verifies(&m, &m.v[1], "v=DKIM1; k=rsa; p=" RSA, DKIM_RSA_SHA256),
	      "RFC 8463: rsa");
	CHECK(!verifies(&m, &m.v[0], "v=DKIM1; k=rsa; p=" RSA, DKIM_RSA_SHA256),
	      "the other key does not fit");
	msg_done(&m);
}

/* A header of n fields and an h= of n names, none of them equal: the time
 * must not be their product. */
static double
data_time(size_t n)
{
	struct buf text = BUF_INIT, names = BUF_INIT, out = BUF_INIT;
	struct msg_field f = { .all = SPAN("S: b=\r\n"),
			       .name = SPAN("S"),
			       .value = SPAN(" b=") };
	struct timespec a, b;
	struct msg m;

	for (size_t i = 0; i < n; i++) {
		buf_adds(&text, "X:\n");
		buf_adds(&names, "y:");
	}
	msg_index(&m, buf_span(&text), 1 << 20);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	dkim_data(&out, &m, buf_span(&names), DKIM_RELAXED, &f);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	msg_done(&m);
	buf_free(&text);
	buf_free(&names);
	buf_free(&out);
	return (double)(b.tv_sec - a.tv_sec) +
	       (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

/* One line of n bytes, every word of it behind a tab. */
static double
body_time(size_t n)
{
	struct buf text = BUF_INIT;
	struct timespec a, b;
	struct dkim_body body;
	unsigned char hash[32];

	for (size_t i = 0; i < n; i += 2)
		buf_add(&text, "a\t", 2);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	dkim_body_init(&body, DKIM_RELAXED, -1);
	dkim_body_add(&body, buf_span(&text));
	dkim_body_done(&body, hash);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	buf_free(&text);
	return (double)(b.tv_sec - a.tv_sec) +
	       (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

int
main(void)
{
	double one;

	test_bodies();
	test_fields();
	test_lists();
	test_records();
	test_rfc8463();
	one = data_time(50000);
	CHECK(data_time(100000) < 3 * one + 0.05,
	      "n and 2n of names and fields");
	one = body_time(300000);
	CHECK(body_time(600000) < 3 * one + 0.05,
	      "n and 2n of words in a line");
	return unit_done();
}
