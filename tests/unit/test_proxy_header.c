/* proxy_header: versions 1 and 2, and what is none. */
#include "unit.h"

#include "proxy_header.h"

#define SIGN "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\0\2\1\xc0\0\2\2\4\1\0\31"

static const struct {
	const char *in;
	size_t n;
	bool ok, local;
	const char *addr, *here;
	int port, local_port;
} cases[] = {
#define IN(S) S, sizeof(S) - 1
	{ IN("PROXY TCP4 192.0.2.1 192.0.2.2 1025 25\r\n"), true, false,
	  "192.0.2.1", "192.0.2.2", 1025, 25 },
	{ IN("PROXY TCP6 2001:DB8::1 ::1 65535 0\r\n"), true, false,
	  "2001:db8::1", "::1", 65535, 0 },
	{ IN("PROXY UNKNOWN\r\n"), true, true, "", "", 0, 0 },
	{ IN("PROXY UNKNOWN what ever\r\n"), true, true, "", "", 0, 0 },
	{ IN("PROXY TCP4 192.0.2.1 192.0.2.2 1025 65536\r\n"), false, false, "",
	  "", 0, 0 },
	{ IN("PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n"), false, false, "", "",
	  0, 0 },
	{ IN("PROXY TCP4 192.0.2.1 192.0.2.2 1025\r\n"), false, false, "", "",
	  0, 0 },
	{ IN("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), false, false, "", "",
	  0, 0 },
	{ IN("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), false, false, "", "",
	  0, 0 },
	{ IN("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n"), false, false, "", "",
	  0, 0 },
	{ IN("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"), false, false, "", "", 0,
	  0 },
	{ IN("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), false, false, "", "", 0,
	  0 },
	{ IN("EHLO me\r\n"), false, false, "", "", 0, 0 },
	{ IN(SIGN "\x21\x11\0\14" V4), true, false, "192.0.2.1", "192.0.2.2",
	  1025, 25 },
	{ IN(SIGN "\x21\x11\0\20" V4 "\1\0\1x"), true, false, "192.0.2.1",
	  "192.0.2.2", 1025, 25 },
	{ IN(SIGN "\x20\0\0\0"), true, true, "", "", 0, 0 },
	{ IN(SIGN "\x21\x31\0\0"), true, true, "", "", 0, 0 },
	{ IN(SIGN "\x21\x11\0\4\1\2\3\4"), false, false, "", "", 0, 0 },
	{ IN(SIGN "\x31\x11\0\14" V4), false, false, "", "", 0, 0 },
	{ IN(SIGN "\x2f\x11\0\14" V4), false, false, "", "", 0, 0 },
	{ IN(SIGN "\x21\x11\xff\xff" V4), false, false, "", "", 0, 0 },
	{ IN(SIGN "\x21\x11\0\14" V4 "X"), false, false, "", "", 0, 0 },
	{ IN(""), false, false, "", "", 0, 0 },
};

static void
headers(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proxy_header h;
		struct span in = span_make(cases[i].in, cases[i].n);
		bool ok = proxy_header_parse(&h, in);

		CHECK(ok == cases[i].ok, "case %zu", i);
		if (!ok || !cases[i].ok)
			continue;
		CHECK(h.local == cases[i].local, "case %zu", i);
		CHECK(strcmp(h.addr, cases[i].addr) == 0, "case %zu", i);
		CHECK(strcmp(h.local_addr, cases[i].here) == 0, "case %zu", i);
		CHECK(h.port == cases[i].port, "case %zu", i);
		CHECK(h.local_port == cases[i].local_port, "case %zu", i);
	}
}

/* Whatever the cut, never more is asked for than the header has. */
static void
needs(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = 0, more;
		bool bad = false;

		if (!cases[i].ok)
			continue;
		while ((more = proxy_header_need(span_make(cases[i].in, n),
						 &bad)) > 0)
			n += more;
		CHECK(!bad && n == cases[i].n, "case %zu", i);
	}
}

int
main(void)
{
	headers();
	needs();
	return unit_done();
}
