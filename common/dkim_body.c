/*
 * dkim_body.c - the canonical body and its hash, streaming; see dkim.h.
 * Layer: mail.  RFC 6376 3.4.3, 3.4.4.
 */
#include "dkim.h"
#include "log.h"

/* So much is gathered before it goes into the hash. */
#define FLUSH_AT 16384

void
dkim_body_init(struct dkim_body *b, enum dkim_canon canon, int64_t limit)
{
	*b = (struct dkim_body){ .canon = canon, .limit = limit };
	b->md = EVP_MD_CTX_new();
	if (b->md == NULL || EVP_DigestInit_ex(b->md, dkim_sha256(), NULL) != 1)
		log_panic("SHA-256 does not start");
}

/* Into the hash, as far as l= lets it (RFC 6376 3.5); all is counted. */
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

/* One byte of LF-ended text. */
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

/* Has a word of eight bytes a zero byte? */
static inline bool
zero_byte(uint64_t v)
{
	return ((v - 0x0101010101010101u) & ~v & 0x8080808080808080u) != 0;
}

#define EACH_BYTE(c) ((c)*0x0101010101010101u)

/* Does the line mean nothing but itself: no CR and, relaxed, no tab, no two
 * blanks in a row, none at its end?  Most lines are so. */
static bool
is_plain(enum dkim_canon canon, struct span s)
{
	uint64_t v, next;
	size_t i = 0;

	if (canon == DKIM_SIMPLE)
		return memchr(s.p, '\r', s.n) == NULL;
	if (s.n == 0 || s.p[s.n - 1] == ' ')
		return s.n == 0;
	for (; i + sizeof(v) < s.n; i += sizeof(v)) {
		memcpy(&v, s.p + i, sizeof(v));
		memcpy(&next, s.p + i + 1, sizeof(next));
		if (zero_byte(v ^ EACH_BYTE((uint64_t)'\t')) ||
		    zero_byte(v ^ EACH_BYTE((uint64_t)'\r')) ||
		    zero_byte((v ^ EACH_BYTE((uint64_t)' ')) |
			      (next ^ EACH_BYTE((uint64_t)' '))))
			return false;
	}
	for (; i < s.n; i++)
		if (s.p[i] == '\t' || s.p[i] == '\r' ||
		    (s.p[i] == ' ' && i + 1 < s.n && s.p[i + 1] == ' '))
			return false;
	return true;
}

/* A whole line at the front of bytes that can be taken at once: its length
 * with its end, or 0; then *again_r is where it makes sense to ask again, for
 * the rest of this line would be searched for its end at every word. */
static size_t
plain_line(struct dkim_body *b, struct span bytes, const char **again_r)
{
	const char *lf = memchr(bytes.p, '\n', bytes.n);
	struct span line;

	*again_r = lf != NULL ? lf : bytes.p + bytes.n;
	if (lf == NULL)
		return 0;
	line = span_make(bytes.p, (size_t)(lf - bytes.p));
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	/* one blank is held back already, another one follows */
	if (b->ws && line.n > 0 && line.p[0] == ' ')
		return 0;
	if (!is_plain(b->canon, line))
		return 0;
	if (line.n > 0) {
		body_catch_up(b);
		buf_add(&b->out, line.p, line.n);
	}
	b->lines++;
	b->ws = false;
	return (size_t)(lf - bytes.p) + 1;
}

/* How many bytes at the front mean nothing but themselves. */
static size_t
plain_run(const struct dkim_body *b, struct span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r' &&
	       (b->canon == DKIM_SIMPLE || (s.p[n] != ' ' && s.p[n] != '\t')))
		n++;
	return n;
}

void
dkim_body_add(struct dkim_body *b, struct span bytes)
{
	const char *again = bytes.p;

	while (bytes.n > 0) {
		char c = bytes.p[0];
		size_t run = !b->cr && bytes.p >= again
				 ? plain_line(b, bytes, &again)
				 : 0;

		if (run > 0) {
			bytes = span_from(bytes, run);
			if (b->out.n > FLUSH_AT)
				body_flush(b);
			continue;
		}
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
	/* RFC 6376 3.4.3: an empty body is CRLF; 3.4.4: it is nothing. */
	if (b->content || b->canon == DKIM_SIMPLE)
		buf_add(&b->out, "\r\n", 2);
	body_flush(b);
	EVP_DigestFinal_ex(b->md, hash, &n);
	EVP_MD_CTX_free(b->md);
	b->md = NULL;
	buf_free(&b->out);
}
