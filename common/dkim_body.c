/*
 * dkim_body.c - the canonical body and its hash, streaming; see dkim.h.
 * Layer: mail.  RFC 6376 3.4.3, 3.4.4.
 */
#include "dkim.h"
#include "log.h"

#define FLUSH_AT 16384

void
dkim_body_init(struct dkim_body *b, enum dkim_canon canon, int64_t limit)
{
	*b = (struct dkim_body){ .canon = canon, .limit = limit };
	b->md = EVP_MD_CTX_new();
	if (b->md == NULL || EVP_DigestInit_ex(b->md, EVP_sha256(), NULL) != 1)
		log_panic("SHA-256 does not start");
}

static void
body_flush(struct dkim_body *b)
{
	size_t n = b->out.n;

	b->total += n;
	if (b->limit >= 0 && b->hashed + n > (uint64_t)b->limit)
		n = (size_t)((uint64_t)b->limit - b->hashed);
	if (n > 0)
		EVP_DigestUpdate(b->md, b->out.p, n);
	b->hashed += n;
	buf_clear(&b->out);
}

/* Before a byte of content: what was held back counts now. */
static void
body_catch_up(struct dkim_body *b)
{
	for (; b->lines > 0; b->lines--) {
		buf_add(&b->out, "\r\n", 2);
		if (b->out.n > FLUSH_AT)
			body_flush(b);
	}
	if (b->ws)
		buf_addc(&b->out, ' ');
	b->ws = false;
	b->content = true;
}

static void
body_byte(struct dkim_body *b, char c)
{
	if (b->canon == DKIM_RELAXED && (c == ' ' || c == '\t')) {
		b->ws = true;
		return;
	}
	if (c == '\n') {
		/* Line ends wait: those at the end of the body do not count;
		 * blanks before one neither (relaxed). */
		b->lines++;
		b->ws = false;
		return;
	}
	body_catch_up(b);
	buf_addc(&b->out, c);
}

/* A single blank between two bytes of content stays as it is (relaxed). */
static bool
lone_blank(struct span s, size_t n)
{
	return n > 0 && s.p[n] == ' ' && n + 1 < s.n &&
	       strchr(" \t\r\n", s.p[n + 1]) == NULL;
}

/* How many bytes at the front mean nothing but themselves. */
static size_t
plain_run(const struct dkim_body *b, struct span s)
{
	size_t n = 0;

	if (b->canon == DKIM_RELAXED) {
		while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r' &&
		       ((s.p[n] != ' ' && s.p[n] != '\t') || lone_blank(s, n)))
			n++;
	} else {
		while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r')
			n++;
	}
	return n;
}

void
dkim_body_add(struct dkim_body *b, struct span bytes)
{
	while (bytes.n > 0) {
		char c = bytes.p[0];
		size_t run;

		/* A CR that no LF follows is content. */
		if (b->cr && c != '\n')
			body_byte(b, '\r');
		b->cr = c == '\r';
		run = plain_run(b, bytes);
		if (run > 0) {
			body_catch_up(b);
			buf_add(&b->out, bytes.p, run);
		} else if (!b->cr) {
			body_byte(b, c);
		}
		bytes = span_from(bytes, run > 0 ? run : 1);
		if (b->out.n > FLUSH_AT)
			body_flush(b);
	}
}

void
dkim_body_done(struct dkim_body *b, unsigned char hash[32])
{
	unsigned int n = 32;

	if (b->cr)
		body_byte(b, '\r');
	/* 3.4.3: an empty body is CRLF; 3.4.4: it is nothing. */
	if (b->content || b->canon == DKIM_SIMPLE)
		buf_add(&b->out, "\r\n", 2);
	body_flush(b);
	EVP_DigestFinal_ex(b->md, hash, &n);
	EVP_MD_CTX_free(b->md);
	b->md = NULL;
	buf_free(&b->out);
}
