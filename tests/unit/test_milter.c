/*
 * test_milter.c - packets of the milter protocol as libmilter and Postfix
 * write them, and the filter's end against canned MTAs: hostile lengths,
 * orders and strings.
 */
#include "log.h"
#include "milter_server.h"
#include "unit.h"

#include <sys/socket.h>
#include <unistd.h>

#define B(lit) lit, sizeof(lit) - 1

static void
test_reply(void)
{
	static const struct {
		const char *in;
		int code; /* 0: refused */
		const char *esc, *text;
	} cases[] = {
		{ "550 5.7.1 no", 550, "5.7.1", "no" },
		{ "450 no", 450, "", "no" },
		{ "550 5.7.1", 550, "5.7.1", "" },
		{ "550", 550, "", "" },
		{ "550 4.7.1 other class", 550, "", "4.7.1 other class" },
		{ "550 5.7.1x", 550, "", "5.7.1x" },
		{ "550 5.7 x", 550, "", "5.7 x" },
		{ "550 5.999.999 x", 550, "5.999.999", "x" },
		{ "550 5.7.1 100%% sure 5% x", 550, "5.7.1", "100% sure 5 x" },
		{ "550 end%", 550, "", "end" },
		{ "550-5.7.1 one\r\n550 5.7.1 two", 550, "5.7.1", "one\ntwo" },
		{ "451-one\n451-two\n451 three\r\n", 451, "",
		  "one\ntwo\nthree" },
		{ "550-one\r\n451 two", 0, "", "" },
		{ "550-open", 550, "", "open" },
		{ "250 fine", 0, "", "" },
		{ "354 go", 0, "", "" },
		{ "600 x", 0, "", "" },
		{ "55", 0, "", "" },
		{ "", 0, "", "" },
		{ "5a0 x", 0, "", "" },
		{ "+50 x", 0, "", "" },
		{ "550_x", 0, "", "" },
		{ "550 a\001b\177c", 550, "", "a b c" },
		{ "550 a\r\nRCPT TO:<x>", 550, "", "a" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct milter_reply r = { 0 };
		struct span in =
		    span_make(cases[i].in, strlen(cases[i].in) + 1);
		bool ok = milter_parse_reply(&r, in);

		CHECK(
		    ok == (cases[i].code != 0) &&
			(!ok || (r.code == cases[i].code &&
				 strcmp(r.esc, cases[i].esc) == 0 &&
				 strcmp(buf_str(&r.text), cases[i].text) == 0)),
		    "reply %zu: %d %s %s", i, r.code, r.esc, buf_str(&r.text));
		buf_free(&r.text);
	}
	CHECK(!milter_parse_reply(&(struct milter_reply){ 0 },
				  SPAN("550 without NUL")),
	      "a reply without its NUL");
}

static void
test_put_reply(void)
{
	struct buf b = BUF_INIT;
	struct milter_reply r = { 0 };
	static const char one[] = "\0\0\0\x13y550 5.7.1 100%% x";

	milter_put_reply(&b, 550, "5.7.1", SPAN("100% x"));
	CHECK(b.n == sizeof(one) && memcmp(b.p, one, b.n) == 0,
	      "one line: %zu bytes", b.n);
	buf_clear(&b);
	milter_put_reply(&b, 451, NULL, SPAN("a\nb\rc"));
	CHECK(milter_parse_reply(&r, span_from(buf_span(&b), 5)) &&
		  r.code == 451 && strcmp(buf_str(&r.text), "a\nb c") == 0,
	      "two lines: %s", buf_str(&r.text));
	buf_free(&r.text);
	buf_free(&b);
}

static void
test_peer(void)
{
	static const struct {
		const char *in;
		size_t n;
		bool ok;
		char family;
		unsigned port;
		const char *addr;
	} cases[] = {
		{ B("h\0"
		    "4\x1f\x40"
		    "192.0.2.1\0"),
		  true, '4', 8000, "192.0.2.1" },
		{ B("h\0"
		    "6\0\x19IPv6:2001:db8::1\0"),
		  true, '6', 25, "2001:db8::1" },
		{ B("localhost\0L\0\0/run/x\0"), true, 'L', 0, "/run/x" },
		{ B("h\0U"), true, 'U', 0, "" },
		{ B("h\0"
		    "4\0\x19"
		    "192.0.2.1"),
		  true, '4', 25, "192.0.2.1" },
		{ B("h\0"), false, 0, 0, "" },
		{ B("h"), false, 0, 0, "" },
		{ B(""), false, 0, 0, "" },
		{ B("h\0X\0\x19"
		    "a\0"),
		  false, 0, 0, "" },
		{ B("h\0"
		    "4\0"),
		  false, 0, 0, "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct milter_peer p = { 0 };
		struct buf b = BUF_INIT;
		bool ok =
		    milter_parse_peer(&p, span_make(cases[i].in, cases[i].n));

		CHECK(ok == cases[i].ok &&
			  (!ok || (p.family == cases[i].family &&
				   p.port == cases[i].port &&
				   span_is(p.addr, cases[i].addr))),
		      "peer %zu: %c %u %.*s", i, p.family ? p.family : '-',
		      p.port, SPAN_ARG(p.addr));
		if (ok) {
			struct milter_peer q = { 0 };

			milter_put_peer(&b, &p);
			CHECK(
			    milter_parse_peer(&q, span_from(buf_span(&b), 5)) &&
				q.family == p.family && q.port == p.port &&
				span_eq(q.addr, p.addr) &&
				span_eq(q.name, p.name),
			    "peer %zu: there and back", i);
		}
		buf_free(&b);
	}
}

static void
test_options(void)
{
	static const struct {
		const char *in;
		size_t n;
		bool ok;
		uint32_t version, actions, protocol;
		const char *mail;
	} cases[] = {
		{ B("\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"), true, 6, 0x1ff,
		  0x1fffff, "" },
		{ B("\0\0\0\2\0\0\0\1\0\0\0\0"), true, 2, 1, 0, "" },
		{ B("\0\0\0\1\0\0\0\1"), true, 1, 1, 0, "" },
		{ B("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\2i j\0"), true, 6, 0, 0,
		  "i j" },
		{ B("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\x63i j\0"), true, 6, 0, 0,
		  "" },
		{ B("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\2i j"), false, 0, 0, 0,
		  "" },
		{ B("\0\0\0\6\0\0\0\0\0\0\0\0\0\0"), false, 0, 0, 0, "" },
		{ B("\0\0\0\6\0\0\0\0\0"), false, 0, 0, 0, "" },
		{ B("\0\0\0\6"), false, 0, 0, 0, "" },
		{ B(""), false, 0, 0, 0, "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct milter_options o = { 0 };
		bool ok = milter_parse_options(
		    &o, span_make(cases[i].in, cases[i].n));

		CHECK(ok == cases[i].ok &&
			  (!ok ||
			   (o.version == cases[i].version &&
			    o.actions == cases[i].actions &&
			    o.protocol == cases[i].protocol &&
			    span_is(o.macros[MILTER_AT_MAIL], cases[i].mail))),
		      "options %zu: %u %x %x", i, o.version, o.actions,
		      o.protocol);
	}
}

static void
test_header(void)
{
	static const struct {
		const char *in;
		size_t n;
		bool ok;
	} cases[] = {
		{ B("Subject\0 x\0"), true }, { B("Subject\0\0"), true },
		{ B("X\0a\n\tb\0"), true },   { B("\0x\0"), false },
		{ B("a b\0x\0"), false },     { B("a:\0x\0"), false },
		{ B("a\r\nb\0x\0"), false },  { B("a\0x"), false },
		{ B("a\0"), false },          { B("a\0x\0y"), false },
	};
	struct span n, v;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK(milter_parse_header(span_make(cases[i].in, cases[i].n),
					  &n, &v) == cases[i].ok,
		      "header %zu", i);
}

static void
test_socket(void)
{
	static const struct {
		const char *in, *out; /* NULL: none */
	} cases[] = {
		{ "inet:8891@localhost", "inet:localhost:8891" },
		{ "inet:8891@127.0.0.1", "inet:127.0.0.1:8891" },
		{ "inet6:8891@::1", "inet:[::1]:8891" },
		{ "inet:8891@[::1]", "inet:[::1]:8891" },
		{ "inet:8891", "inet::8891" },
		{ " inet:8891@localhost ", "inet:localhost:8891" },
		{ "local:/run/x.sock", "unix:/run/x.sock" },
		{ "unix:/run/x.sock", "unix:/run/x.sock" },
		{ "/run/x.sock", "unix:/run/x.sock" },
		{ "8891", NULL },
		{ "local:", NULL },
		{ "tcp:1@x", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;
		bool ok = milter_socket(span_of(cases[i].in), &b);

		CHECK(ok == (cases[i].out != NULL) &&
			  (!ok || strcmp(buf_str(&b), cases[i].out) == 0),
		      "socket %s: %s", cases[i].in, buf_str(&b));
		buf_free(&b);
	}
}

/* ---- the filter's end ---- */

static struct buf seen; /* a word an event */
static enum milter_code eom_verdict = MILTER_CONTINUE;

static enum milter_code
on_connect(struct milter *m, const struct milter_peer *p)
{
	struct span j = milter_macro(m, "j");

	buf_addf(&seen, "C%.*s/%.*s ", SPAN_ARG(p->addr), SPAN_ARG(j));
	return MILTER_CONTINUE;
}

static enum milter_code
on_helo(struct milter *m, struct span name)
{
	(void)m;
	buf_addf(&seen, "H%.*s ", SPAN_ARG(name));
	return MILTER_CONTINUE;
}

static enum milter_code
on_mail(struct milter *m, const struct span *v, size_t n)
{
	struct span login = milter_macro(m, "auth_authen");

	buf_addf(&seen, "M%.*s+%zu/%.*s ", SPAN_ARG(v[0]), n - 1,
		 SPAN_ARG(login));
	return MILTER_CONTINUE;
}

static enum milter_code
on_rcpt(struct milter *m, const struct span *v, size_t n)
{
	(void)n;
	buf_addf(&seen, "R%.*s ", SPAN_ARG(v[0]));
	if (span_is(v[0], "<bad>"))
		return milter_reply(m, 550, "5.1.1", "not %s", "here");
	return MILTER_CONTINUE;
}

static enum milter_code
on_header(struct milter *m, struct span n, struct span v)
{
	(void)m;
	buf_addf(&seen, "L%.*s:%.*s ", SPAN_ARG(n), SPAN_ARG(v));
	/* Not the time for it. */
	return milter_add_header(m, "X", SPAN("y")) ? MILTER_REJECT
						    : MILTER_CONTINUE;
}

static enum milter_code
on_body(struct milter *m, struct span b)
{
	(void)m;
	buf_addf(&seen, "B%zu ", b.n);
	return MILTER_CONTINUE;
}

static enum milter_code
on_eom(struct milter *m)
{
	buf_addf(&seen, "E%.*s ", SPAN_ARG(milter_macro(m, "i")));
	milter_insert_header(m, 0, "X", SPAN(" y"));
	milter_quarantine(m, "q");
	return eom_verdict;
}

static void
on_end(struct milter *m)
{
	(void)m;
	buf_adds(&seen, "end ");
}

static void
on_close(struct milter *m)
{
	(void)m;
	buf_adds(&seen, "close");
}

static const struct milter_filter filter = {
	.name = "test",
	.actions = MILTER_ACT_ADDHDRS,
	.protocol = MILTER_P_HDR_LEADSPC,
	.macros = { [MILTER_AT_MAIL] = "i" },
	.connect = on_connect,
	.helo = on_helo,
	.mail = on_mail,
	.rcpt = on_rcpt,
	.header = on_header,
	.body = on_body,
	.eom = on_eom,
	.end_mail = on_end,
	.close = on_close,
};

/* What the filter said, as letters (with its data for the interesting). */
static void
letters(struct span out, struct buf *b)
{
	uint32_t n;

	while (milter_u32(&out, &n) && n > 0 && n <= out.n) {
		buf_addc(b, out.p[0]);
		if (out.p[0] == MILTER_REPLYCODE)
			buf_addf(b, "(%s)", out.p + 1);
		out = span_from(out, n);
	}
	if (out.n > 0)
		buf_adds(b, "?");
}

/* Packets end in "|" here and get their lengths in canned(); one that begins
 * with "!" is raw bytes. */
#define NEG "O\0\0\0\6\0\0\1\xff\0\x1f\xff\xff|"
#define NEG_OLD "O\0\0\0\2\0\0\0\0\0\0\0\x7f|"
#define CONN                                                                   \
	"Ch\0"                                                                 \
	"4\0\x19"                                                              \
	"1.2.3.4\0|"
#define MAC_J "DCj\0m\0|"
#define HELO "Hh.b\0|"
#define MAC_M "DM{auth_authen}\0bob\0|"
#define MAIL "M<s@b>\0SIZE\0|"
#define RCPT_CUT "R<r@b>|"
#define RCPT_OK "R<r@>\0|"
#define RCPT_BAD "R<bad>\0|"
#define HEAD "LS\0 x\0|"
#define BODY "Babc|"
#define MAC_E "DEi\0ID\0|"
#define EOM "E|"
#define ABORT "A|"
#define QUIT "Q|"
#define NEXT "K|"

static void
canned(struct buf *b, const char *in, size_t n)
{
	struct span rest = span_make(in, n), one;

	while (span_split(&rest, '|', &one)) {
		size_t at;

		if (one.n == 0)
			continue;
		if (one.p[0] == '!') {
			buf_addspan(b, span_from(one, 1));
			continue;
		}
		at = milter_begin(b, (enum milter_code)one.p[0]);
		buf_addspan(b, span_from(one, 1));
		milter_end(b, at);
	}
}

static const struct {
	const char *name;
	const char *in;
	size_t n;
	enum milter_code eom;
	const char *seen, *said;
} runs[] = {
	{ "a whole session",
	  B(NEG MAC_J CONN HELO MAC_M MAIL RCPT_OK HEAD BODY MAC_E EOM QUIT),
	  MILTER_CONTINUE,
	  "C1.2.3.4/m Hh.b M<s@b>+1/bob R<r@> LS: x B3 EID end close",
	  "Occccccic" },
	{ "a refused recipient and an abort",
	  B(NEG MAIL RCPT_BAD RCPT_OK ABORT MAIL QUIT), MILTER_CONTINUE,
	  "M<s@b>+1/ R<bad> R<r@> end M<s@b>+1/ end close",
	  "Ocy(550 5.1.1 not here)cc" },
	{ "macros of one message are not the next one's",
	  B(NEG MAC_M MAIL ABORT "DM|" MAIL QUIT), MILTER_CONTINUE,
	  "M<s@b>+1/bob end M<s@b>+1/ end close", "Occ" },
	{ "a second client on the link", B(NEG MAC_J CONN NEXT CONN QUIT),
	  MILTER_CONTINUE, "C1.2.3.4/m closeC1.2.3.4/ close", "Occ" },
	{ "an old MTA without actions", B(NEG_OLD MAIL RCPT_OK EOM QUIT),
	  MILTER_CONTINUE, "M<s@b>+1/ R<r@> E end close", "Occc" },
	{ "verdicts of the end", B(NEG MAIL EOM QUIT), MILTER_DISCARD,
	  "M<s@b>+1/ E end close", "Ocid" },
	{ "the body's end rides on the end", B(NEG MAIL "Exy|" QUIT),
	  MILTER_CONTINUE, "M<s@b>+1/ B2 E end close", "Ocic" },
	{ "no negotiation", B(MAIL), MILTER_CONTINUE, "", "" },
	{ "headers behind the body", B(NEG MAIL BODY HEAD), MILTER_CONTINUE,
	  "M<s@b>+1/ B3 end close", "Occ" },
	{ "two ends", B(NEG MAIL EOM EOM), MILTER_CONTINUE,
	  "M<s@b>+1/ E end E end close", "Ocicic" },
	{ "a string that does not end", B(NEG RCPT_CUT), MILTER_CONTINUE,
	  "end close", "O" },
	{ "length 0", B(NEG "!\0\0\0\0"), MILTER_CONTINUE, "", "O" },
	{ "length 4 GB", B(NEG "!\xff\xff\xff\xff"), MILTER_CONTINUE, "", "O" },
	{ "a cut packet", B(NEG MAIL "!\0\0\0\x20L"), MILTER_CONTINUE,
	  "M<s@b>+1/ end close", "Oc" },
	{ "an unknown command", B(NEG "Z|"), MILTER_CONTINUE, "", "O" },
	{ "macros without end", B(NEG "DMix|"), MILTER_CONTINUE, "", "O" },
	{ "macros of an unknown stage", B(NEG "DZi\0|" MAIL), MILTER_CONTINUE,
	  "M<s@b>+1/ end close", "Oc" },
	{ "version 1", B("O\0\0\0\1\0\0\0\1|"), MILTER_CONTINUE, "", "" },
	{ "MAIL without a string", B(NEG "M|"), MILTER_CONTINUE, "end close",
	  "O" },
};

static void
test_runs(void)
{
	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		int sv[2];
		struct stream s;
		struct buf in = BUF_INIT, out = BUF_INIT, said = BUF_INIT;

		canned(&in, runs[i].in, runs[i].n);
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0 ||
		    write(sv[1], in.p, in.n) != (ssize_t)in.n ||
		    shutdown(sv[1], SHUT_WR) < 0)
			exit(99);
		buf_clear(&seen);
		eom_verdict = runs[i].eom;
		stream_init(&s, sv[0], sv[0]);
		milter_run(&filter, NULL, &s);
		stream_close(&s);
		if (io_read_all(sv[1], &out, 100000, clock_deadline(5000)) !=
		    IO_OK)
			exit(99);
		letters(buf_span(&out), &said);
		CHECK(strcmp(buf_str(&seen), runs[i].seen) == 0 &&
			  strcmp(buf_str(&said), runs[i].said) == 0,
		      "%s: [%s] [%s]", runs[i].name, buf_str(&seen),
		      buf_str(&said));
		close(sv[1]);
		buf_free(&in);
		buf_free(&out);
		buf_free(&said);
	}
}

static void
test_negotiation(void)
{
	int sv[2];
	struct stream s;
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct milter_options o = { 0 };

	canned(&in, B(NEG QUIT));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0 ||
	    write(sv[1], in.p, in.n) < 0)
		exit(99);
	stream_init(&s, sv[0], sv[0]);
	milter_run(&filter, NULL, &s);
	stream_close(&s);
	if (io_read_all(sv[1], &out, 1000, clock_deadline(5000)) != IO_OK)
		exit(99);
	CHECK(milter_parse_options(&o, span_from(buf_span(&out), 5)) &&
		  o.version == 6 &&
		  o.actions == (MILTER_ACT_ADDHDRS | MILTER_ACT_SETSYMLIST) &&
		  o.protocol ==
		      (MILTER_P_NOEOH | MILTER_P_NODATA | MILTER_P_NOUNKNOWN |
		       MILTER_P_SKIP | MILTER_P_HDR_LEADSPC) &&
		  span_is(o.macros[MILTER_AT_MAIL], "i"),
	      "what the filter agrees to: %x %x", o.actions, o.protocol);
	close(sv[1]);
	buf_free(&in);
	buf_free(&out);
}

int
main(void)
{
	log_to_fd(2);
	test_reply();
	test_put_reply();
	test_peer();
	test_options();
	test_header();
	test_socket();
	test_runs();
	test_negotiation();
	buf_free(&seen);
	return unit_done();
}
