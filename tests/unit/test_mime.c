/* Parts, parameters, transfer encodings. */
#include "unit.h"

#include <time.h>

#include "mime.h"

static void
test_params(void)
{
	static const struct {
		const char *in, *type, *subtype, *params;
		bool bad;
	} cases[] = {
		{ "text/plain; charset=us-ascii (Plain text)", "text", "plain",
		  "charset=us-ascii;", 0 },
		{ "TEXT/Plain ; Charset=\"ISO-8859-1\"", "text", "plain",
		  "charset=ISO-8859-1;", 0 },
		/* RFC 2231 3 */
		{ "message/external-body; access-type=URL;\r\n"
		  " URL*0=\"ftp://\";\r\n"
		  " URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/"
		  "bulk-mailer.tar\"",
		  "message", "external-body",
		  "access-type=URL;url=ftp://cs.utk.edu/pub/moore/bulk-mailer/"
		  "bulk-mailer.tar;",
		  0 },
		/* RFC 2231 4.1 */
		{ "application/x-stuff\n title*0*=us-ascii'en'This%20is%20even"
		  "%20more%20\n ;title*1*=%2A%2A%2Afun%2A%2A%2A%20;\n"
		  " title*2=\"isn't it!\"",
		  "application", "x-stuff", "", 1 },
		{ "application/x-stuff;\n title*0*=us-ascii'en'This%20is%20"
		  "even%20more%20;title*1*=%2A%2A%2Afun%2A%2A%2A%20;\n"
		  " title*2=\"isn't it!\"",
		  "application", "x-stuff",
		  "title=This is even more ***fun*** isn't it!;", 0 },
		{ "attachment; filename=a b.pdf; x=y", "attachment", "",
		  "filename=a b.pdf;x=y;", 0 },
		{ "attachment; filename=\"=?utf-8?q?=C3=A9?=\"", "attachment",
		  "", "filename=\xc3\xa9;", 0 },
		{ "attachment; filename=plain; filename*=utf-8''%c3%a9",
		  "attachment", "", "filename=\xc3\xa9;", 0 },
		{ "multipart/mixed; boundary=\"a\\\"b\"; boundary=c",
		  "multipart", "mixed", "boundary=a\"b;", 0 },
		{ "multipart/mixed; boundary=\"open", "multipart", "mixed",
		  "boundary=open;", 1 },
		{ "text", "text", "", "", 0 },
		{ "", "", "", "", 0 },
		{ ";;;=;a=;b", "", "", "a=;", 1 },
		/* twice: the first counts */
		{ "text/plain; charset=utf-8; charset=koi8-r", "text", "plain",
		  "charset=utf-8;", 0 },
		/* RFC 2231 pieces out of order, with zeros, one missing */
		{ "text/plain; name*1=b; name*0=a", "text", "plain", "name=ab;",
		  0 },
		{ "text/plain; name*0=a; name*2=c", "text", "plain", "name=a;",
		  0 },
		{ "text/plain; name*0*=utf-8''%c3; name*1*=%a9", "text",
		  "plain", "name=\xc3\xa9;", 0 },
		{ "text/plain; name*=utf-8'%41", "text", "plain",
		  "name=utf-8'A;", 0 },
		/* no semicolon, a comma, one in a name, signs in a boundary */
		{ "text/plain charset=utf-8", "text", "plain", "", 1 },
		{ "text/plain, charset=utf-8", "text", "plain", "", 1 },
		{ "application/pdf; name=a;b.pdf", "application", "pdf",
		  "name=a;", 1 },
		{ "multipart/mixed; boundary=a/b:c=d", "multipart", "mixed",
		  "boundary=a/b:c=d;", 1 },
		{ "text / plain ; charset = utf-8 ;;", "text", "plain",
		  "charset=utf-8;", 0 },
		{ "{text}", "{text}", "", "", 0 },
	};
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct mime_value mv;
		struct buf b = BUF_INIT;

		mime_value_parse(&mv, span_of(cases[i].in));
		for (k = 0; k < mv.n; k++) {
			buf_addspan(&b, mv.v[k].name);
			buf_addc(&b, '=');
			mime_param_text(&b, &mv.v[k]);
			buf_addc(&b, ';');
		}
		CHECK(span_is(mv.type, cases[i].type), "param %zu type", i);
		CHECK(span_is(mv.subtype, cases[i].subtype), "param %zu sub",
		      i);
		if (i != 3)
			CHECK(span_is(buf_span(&b), cases[i].params),
			      "param %zu: %s", i, buf_str(&b));
		CHECK(mv.bad == cases[i].bad, "param %zu: bad", i);
		mime_value_free(&mv);
		buf_free(&b);
	}
}

/* One line a part: number type/subtype children header body lines. */
static void
show(struct buf *b, const char *text)
{
	struct mime m;
	size_t i;

	mime_index(&m, span_of(text));
	for (i = 0; i < m.n; i++) {
		struct mime_part *p = &m.v[i];

		mime_number(b, &m, i);
		buf_addf(b, "|%.*s/%.*s|%zu|%zu|%.*s|%zu\n", SPAN_ARG(p->type),
			 SPAN_ARG(p->subtype), p->children, p->header_full.n,
			 p->kind == MIME_LEAF ? (int)p->body.n : 0, p->body.p,
			 p->body_lines);
	}
	mime_done(&m);
}

static const char nested[] = "Subject: x\n"
			     "Content-Type: multipart/mixed; boundary=abc\n"
			     "\n"
			     "preamble\n"
			     "--abc\n"
			     "\n"
			     "one\n"
			     "\n"
			     "--abc\n"
			     "Content-Type: message/rfc822\n"
			     "\n"
			     "Subject: inner\n"
			     "Content-Type: multipart/digest; boundary=abcde\n"
			     "\n"
			     "--abcde\n"
			     "\n"
			     "Subject: deep\n"
			     "\n"
			     "D\n"
			     "--abcde--\n"
			     "--abc\n"
			     "Content-Type: text/html\n"
			     "\n"
			     "--abc--\n"
			     "epilogue\n"
			     "--abc\n"
			     "\n"
			     "no part\n";

static void
test_parts(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "A: b\n\nbody\nmore\n", "1|text/plain|0|6|body\nmore\n|2\n" },
		{ "", "1|text/plain|0|0||0\n" },
		{ "no header\n", "1|text/plain|0|0|no header\n|1\n" },
		{ "From x y\nA: b\n\nq", "1|text/plain|0|6|q|0\n" },
		{ nested, "|multipart/mixed|3|56||25\n"
			  "1|text/plain|0|1|one\n|1\n"
			  "2|message/rfc822|1|30||8\n"
			  "2|multipart/digest|1|63||5\n"
			  "2.1|message/rfc822|1|1||2\n"
			  "2.1.1|text/plain|0|15|D|0\n"
			  "3|text/html|0|25||0\n" },
		/* the parts end where the outer boundary says */
		{ "Content-Type: multipart/x; boundary=a\n\n--a\n"
		  "Content-Type: multipart/y; boundary=b\n\n--b\n\nx\n--a\n\ny"
		  "\n",
		  "|multipart/x|2|39||9\n"
		  "1|multipart/y|1|39||2\n"
		  "1.1|text/plain|0|1|x|0\n"
		  "2|text/plain|0|1|y\n|1\n" },
		/* no empty line, no last delimiter, blanks behind it */
		{ "Content-Type: multipart/x; boundary=a\n\n--a  \nX: y\n--a "
		  "\nContent-Type: text/a\n",
		  "|multipart/x|2|39||4\n"
		  "1|text/plain|0|5||0\n"
		  "2|text/a|0|21||0\n" },
		/* a multipart without boundary has no parts */
		{ "Content-Type: multipart/mixed\n\n--\n",
		  "|multipart/mixed|0|31||1\n" },
		{ "Content-Type: message/rfc822\n\n",
		  "1|message/rfc822|1|30||0\n1.1|text/plain|0|0||0\n" },
		{ "Content-Type: message/rfc822",
		  "1|message/rfc822|1|28||0\n1.1|text/plain|0|0||0\n" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;

		show(&b, cases[i].in);
		CHECK(span_is(buf_span(&b), cases[i].out), "parts %zu\n%s", i,
		      span_is(buf_span(&b), cases[i].out) ? "" : buf_str(&b));
		buf_free(&b);
	}
}

static void
test_find(void)
{
	static const struct {
		const char *number;
		size_t part;
	} cases[] = {
		{ "", 0 },
		{ "1", 1 },
		{ "2", 2 },
		{ "2.1", 4 },
		{ "2.1.1", 5 },
		{ "3", 6 },
		{ "4", MIME_NONE },
		{ "0", MIME_NONE },
		{ "1.1", MIME_NONE },
		{ "2.1.2", MIME_NONE },
		{ "2.", MIME_NONE },
		{ "x", MIME_NONE },
	};
	struct mime m;
	size_t i;

	mime_index(&m, SPAN(nested));
	for (i = 0; i < ARRAY_LEN(cases); i++)
		CHECK(mime_find(&m, span_of(cases[i].number)) == cases[i].part,
		      "find %s", cases[i].number);
	CHECK(span_is(mime_field(&m.v[3], "subject"), " inner"), "field");
	CHECK(mime_field(&m.v[3], "to").p == NULL, "no field");
	mime_done(&m);
	/* both line ends give the same sizes */
	mime_index(&m, SPAN("A: b\n\nx\ny\r\n"));
	CHECK(mime_header_size(&m.v[0]) == 8, "header size as CRLF");
	CHECK(mime_body_size(&m.v[0]) == 6, "body size as CRLF");
	mime_done(&m);
}

static void
test_limits(void)
{
	struct buf b = BUF_INIT;
	struct mime m;
	size_t i, deepest = 0;

	for (i = 0; i < 300; i++)
		buf_addf(&b,
			 "Content-Type: multipart/x; boundary=b%zu\n\n--b%zu\n",
			 i, i);
	mime_index(&m, buf_span(&b));
	for (i = 0; i < m.n; i++)
		if (m.v[i].depth > deepest)
			deepest = m.v[i].depth;
	CHECK(deepest == MIME_NESTING_MAX && m.limited, "depth %zu", deepest);
	CHECK(m.v[m.n - 1].kind == MIME_LEAF, "beyond it a leaf");
	mime_done(&m);
	buf_clear(&b);
	for (i = 0; i < 300; i++)
		buf_adds(&b, "Content-Type: message/rfc822\n\n");
	mime_index(&m, buf_span(&b));
	CHECK(m.n == MIME_NESTING_MAX + 1 && m.limited, "messages %zu", m.n);
	mime_done(&m);
	buf_clear(&b);
	buf_adds(&b, "Content-Type: multipart/x; boundary=b\n\n");
	for (i = 0; i < 20000; i++)
		buf_adds(&b, "--b\n\n");
	mime_index(&m, buf_span(&b));
	CHECK(m.n == MIME_PARTS_MAX && m.limited, "parts %zu", m.n);
	mime_done(&m);
	buf_free(&b);
}

static double
seconds_for(const char *head, const char *unit, int n)
{
	struct buf in = BUF_INIT;
	struct timespec a, b;
	struct mime m;

	buf_adds(&in, head);
	while (n--)
		buf_adds(&in, unit);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	mime_index(&m, buf_span(&in));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	mime_done(&m);
	buf_free(&in);
	return (double)(b.tv_sec - a.tv_sec) +
	       (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static void
test_linear(void)
{
	static const char head[] = "Content-Type: multipart/x; boundary=b\n\n";
	static const char *const units[] = { "--b\n", "--\n",        "A:\n",
					     "a\n",   "--bbbbbbb\n", "(",
					     " x\n" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(units); i++) {
		double a = seconds_for(head, units[i], 50000);
		double b = seconds_for(head, units[i], 100000);

		CHECK(b < 3 * a + 0.05, "linear %zu: %f %f", i, a, b);
		a = seconds_for("Content-Type: ", units[i], 50000);
		b = seconds_for("Content-Type: ", units[i], 100000);
		CHECK(b < 3 * a + 0.05, "linear field %zu: %f %f", i, a, b);
	}
}

static void
test_decode(void)
{
	static const struct {
		const char *enc, *in, *out;
		size_t max;
		bool ok;
	} cases[] = {
		{ "quoted-printable", "a=3Db=\nc \t\nd=\r\n", "a=bc\nd", 0, 1 },
		{ "Quoted-Printable", "a=zz=", "a=zz", 0, 0 },
		{ "quoted-printable", "a  = \nb  ", "a  b", 0, 1 },
		{ "quoted-printable", "abcdef", "abc", 3, 0 },
		{ "base64", "YWJj\r\nZGVm\n", "abcdef", 0, 1 },
		{ "base64", "YWI=", "ab", 0, 1 },
		{ "base64", "YWI", "ab", 0, 1 },
		{ "base64", "Y!WI=junk", "ab", 0, 0 },
		{ "base64", "YWJjZGVm", "abcd", 4, 0 },
		{ "8bit (x)", "\xe9", "\xe9", 0, 1 },
		{ "x-uuencode", "abc", "abc", 0, 0 },
		/* what is broken stays to be seen */
		{ "quoted-printable", "==41", "=A", 0, 0 },
		{ "quoted-printable", "a= b", "a= b", 0, 0 },
		{ "quoted-printable", "=e9", "\xe9", 0, 1 },
		/* behind the padding comes a list's footer */
		{ "base64", "YWJj\n\nYWI=\n--\nfooter\n", "abcab", 0, 1 },
		{ "base64", "YWJj=ZGVm", "abc", 0, 1 },
		{ "base64", "YWJjZ", "abc", 0, 0 },
		{ "7-bit", "a=3D", "a=3D", 0, 0 },
		{ "base64;", "YWJj", "abc", 0, 1 },
		{ "", "abc", "abc", 0, 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;
		bool ok =
		    mime_decode(&b, mime_encoding_of(span_of(cases[i].enc)),
				span_of(cases[i].in), cases[i].max);

		CHECK(ok == cases[i].ok, "decode %zu: ok", i);
		CHECK(span_is(buf_span(&b), cases[i].out), "decode %zu: %s", i,
		      buf_str(&b));
		buf_free(&b);
	}
}

static void
test_text(void)
{
	struct buf b = BUF_INIT;
	struct mime m;

	mime_index(&m, SPAN("Content-Type: text/plain; charset=iso-8859-15\n"
			    "Content-Transfer-Encoding: base64\n\npCA=\n"));
	mime_text(&b, &m.v[0], 0);
	CHECK(span_is(buf_span(&b), "\xe2\x82\xac "), "text: %s", buf_str(&b));
	mime_done(&m);
	buf_free(&b);
}

/* An unknown charset is read as windows-1252, so that something is read. */
static void
test_unknown_charset(void)
{
	struct buf b = BUF_INIT;
	struct mime m;

	mime_index(&m, SPAN("Content-Type: text/plain; charset=x-none\n\n"
			    "caf\xe9 \x80\n"));
	mime_text(&b, &m.v[0], 0);
	CHECK(span_is(buf_span(&b), "caf\xc3\xa9 \xe2\x82\xac\n"),
	      "unknown charset: %s", buf_str(&b));
	mime_done(&m);
	buf_free(&b);
}

int
main(void)
{
	test_unknown_charset();
	test_params();
	test_parts();
	test_find();
	test_limits();
	test_linear();
	test_decode();
	test_text();
	return unit_done();
}
