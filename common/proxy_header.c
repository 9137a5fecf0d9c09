/*
 * proxy_header.c - see proxy_header.h.
 * Layer: sys.
 */
#include "proxy_header.h"

#include "io.h"
#include "num.h"
#include "status.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define V1_MAX 107
#define V2_FIXED 16

static const char v2_sign[12] = "\r\n\r\n\0\r\nQUIT\n";

size_t
proxy_header_need(struct span have, bool *bad_r)
{
	const unsigned char *p = (const unsigned char *)have.p;
	size_t n = have.n < 6 ? have.n : 6;

	*bad_r = false;
	if (have.n == 0)
		return 1;
	if (memcmp(have.p, "PROXY ", n) == 0) {
		if (have.n >= 2 && memcmp(have.p + have.n - 2, "\r\n", 2) == 0)
			return 0;
		*bad_r = have.n >= V1_MAX;
		return *bad_r ? 0 : 1;
	}
	n = have.n < sizeof(v2_sign) ? have.n : sizeof(v2_sign);
	if (memcmp(have.p, v2_sign, n) != 0) {
		*bad_r = true;
		return 0;
	}
	if (have.n < V2_FIXED)
		return V2_FIXED - have.n;
	n = V2_FIXED + ((size_t)p[14] << 8 | p[15]);
	*bad_r = n > PROXY_HEADER_MAX || have.n > n;
	return *bad_r ? 0 : n - have.n;
}

/* A textual address of the family, in its usual form. */
static bool
take_addr(char out[64], int family, struct span text)
{
	unsigned char bin[16];
	char mine[64];

	if (text.n == 0 || text.n >= sizeof(mine))
		return false;
	memcpy(mine, text.p, text.n);
	mine[text.n] = '\0';
	return inet_pton(family, mine, bin) == 1 &&
	       inet_ntop(family, bin, out, 64) != NULL;
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 1025 25", "PROXY UNKNOWN ..." */
static bool
parse_v1(struct proxy_header *h, struct span line)
{
	struct span word[6], rest = line;
	size_t n = 0;
	int family;

	while (n < 6 && rest.p != NULL && span_split(&rest, ' ', &word[n]))
		n++;
	if (n >= 2 && span_is(word[1], "UNKNOWN")) {
		h->local = true;
		return true;
	}
	if (n != 6 || rest.p != NULL)
		return false;
	if (span_is(word[1], "TCP4"))
		family = AF_INET;
	else if (span_is(word[1], "TCP6"))
		family = AF_INET6;
	else
		return false;
	return take_addr(h->addr, family, word[2]) &&
	       take_addr(h->local_addr, family, word[3]) &&
	       num_int(word[4], 0, 65535, &h->port) &&
	       num_int(word[5], 0, 65535, &h->local_port);
}

static bool
parse_v2(struct proxy_header *h, struct span whole)
{
	const unsigned char *p = (const unsigned char *)whole.p;
	unsigned version = p[12] >> 4, command = p[12] & 15;
	size_t n = whole.n - V2_FIXED, size;
	int family;

	if (version != 2 || command > 1)
		return false;
	/* LOCAL, or a family that has no address for us. */
	if (command == 0 || (p[13] != 0x11 && p[13] != 0x21)) {
		h->local = true;
		return true;
	}
	family = p[13] == 0x11 ? AF_INET : AF_INET6;
	size = family == AF_INET ? 4 : 16;
	if (n < 2 * size + 4)
		return false;
	p += V2_FIXED;
	h->port = p[2 * size] << 8 | p[2 * size + 1];
	h->local_port = p[2 * size + 2] << 8 | p[2 * size + 3];
	return inet_ntop(family, p, h->addr, sizeof(h->addr)) != NULL &&
	       inet_ntop(family, p + size, h->local_addr,
			 sizeof(h->local_addr)) != NULL;
}

bool
proxy_header_parse(struct proxy_header *h, struct span whole)
{
	bool bad;

	*h = (struct proxy_header){ 0 };
	if (proxy_header_need(whole, &bad) != 0 || bad)
		return false;
	if (whole.p[0] == 'P')
		return parse_v1(h, span_sub(whole, 0, whole.n - 2));
	return parse_v2(h, whole);
}

int
proxy_header_read(struct proxy_header *h, int fd, deadline_t d, struct err *e)
{
	char b[PROXY_HEADER_MAX];
	size_t n = 0, more;
	bool bad = false;

	while ((more = proxy_header_need(span_make(b, n), &bad)) > 0) {
		enum io_result r = io_read(fd, b + n, more, d);

		if (r != IO_OK)
			return err_set(e, ST_TEMPFAIL,
				       "reading the PROXY header: %s",
				       io_words(r));
		n += more;
	}
	if (bad || !proxy_header_parse(h, span_make(b, n)))
		return err_set(e, ST_DATA, "no PROXY header, or a bad one");
	return 0;
}
