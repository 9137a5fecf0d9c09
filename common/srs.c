/*
 * srs.c - see srs.h.
 * Layer: mail.  HMAC-SHA1 over the lower case of the parts that the hash
 * protects, in base64; days since 1970 modulo 1024 in base32.
 */
#include "srs.h"
#include "escape.h"
#include "io.h"
#include "mem.h"
#include "status.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define DAY 86400
#define SLOTS 1024 /* two letters of base32 */
#define SECRETS_MAX 65536

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

int
srs_read_secrets(struct srs *s, const char *path, struct err *e)
{
	struct buf b = BUF_INIT;
	struct span rest, line;
	int r = io_read_file(path, &b, SECRETS_MAX, e);

	rest = buf_span(&b);
	while (r == 0 && span_split(&rest, '\n', &line)) {
		line = span_trim(line);
		if (line.n > 0 && line.p[0] != '#')
			strs_addspan(&s->secrets, line);
	}
	if (r == 0 && s->secrets.n == 0)
		r = err_set(e, ST_CONFIG,
			    "%s: it is empty: expected a secret a line", path);
	if (b.p != NULL)
		OPENSSL_cleanse(b.p, b.n);
	buf_free(&b);
	return r;
}

bool
srs_is(struct span local)
{
	return local.n > 5 && span_istarts(local, SPAN("SRS")) &&
	       (local.p[3] == '0' || local.p[3] == '1') &&
	       strchr("=+-", local.p[4]) != NULL;
}

/* The hash in base64: 28 letters, the last one "=". */
static bool
hash_of(struct buf *out, const char *secret, const struct span *v, size_t n)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	struct buf low = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < v[i].n; k++)
			buf_addc(&low, ascii_tolower(v[i].p[k]));
	bool ok = HMAC(EVP_sha1(), secret, (int)strlen(secret),
		       (const unsigned char *)low.p, low.n, md, &len) != NULL;
	if (ok)
		base64_encode(out, span_make((const char *)md, len));
	buf_free(&low);
	return ok;
}

/* Case is lost on the way sometimes; and a longer hash than we write is good
 * when all of it is right, a shorter one never. */
static bool
hash_good(const struct srs *s, struct span hash, const struct span *v, size_t n)
{
	bool good = false;

	if (hash.n < s->hash_length)
		return false;
	for (size_t i = 0; i < s->secrets.n; i++) {
		struct buf b = BUF_INIT;
		unsigned diff = 1;

		if (hash_of(&b, s->secrets.v[i], v, n) && hash.n <= b.n) {
			diff = 0;
			for (size_t k = 0; k < hash.n; k++)
				diff |= (unsigned)(ascii_tolower(hash.p[k]) ^
						   ascii_tolower(b.p[k]));
		}
		good |= diff == 0;
		buf_free(&b);
	}
	return good;
}

static void
add_hash(const struct srs *s, struct buf *out, const struct span *v, size_t n)
{
	struct buf b = BUF_INIT;

	if (hash_of(&b, s->secrets.v[0], v, n))
		buf_addspan(out, span_sub(buf_span(&b), 0, s->hash_length));
	buf_free(&b);
}

static bool
split_at(struct span addr, struct span *local, struct span *domain)
{
	ssize_t at = span_rchr(addr, '@');

	if (at <= 0 || (size_t)at + 1 >= addr.n)
		return false;
	*local = span_sub(addr, 0, (size_t)at);
	*domain = span_from(addr, (size_t)at + 1);
	return true;
}

/* Up to the next "=". */
static bool
take(struct span *rest, struct span *piece)
{
	ssize_t at = span_chr(*rest, '=');

	if (at <= 0)
		return false;
	*piece = span_sub(*rest, 0, (size_t)at);
	*rest = span_from(*rest, (size_t)at + 1);
	return true;
}

int
srs_forward(const struct srs *s, struct buf *out, struct span addr, int64_t now,
	    struct err *e)
{
	struct span local, domain, hash, host;
	char stamp[2];

	if (!split_at(addr, &local, &domain))
		return err_esc(e, ST_DATA, "5.1.7",
			       "\"%.*s\" is no address with a domain",
			       SPAN_ARG(addr));
	if (srs_is(local)) {
		/* SRS0=... of host: SRS1=HASH=host==...; SRS1 of somebody
		 * else: only the hash is ours */
		struct span rest = span_from(local, 4);

		host = domain;
		if (local.p[3] == '1') {
			rest = span_from(local, 5);
			if (!take(&rest, &hash) || !take(&rest, &host))
				return err_esc(e, ST_DATA, "5.1.7",
					       "a malformed SRS1 address");
		}
		struct span v[] = { host, rest };
		buf_addf(out, "SRS1%c", s->separator);
		add_hash(s, out, v, ARRAY_LEN(v));
		buf_addf(out, "=%.*s=%.*s@%s", SPAN_ARG(host), SPAN_ARG(rest),
			 s->domain);
		return 0;
	}
	uint64_t day = (uint64_t)(now / DAY) % SLOTS;
	stamp[0] = letters[day >> 5];
	stamp[1] = letters[day & 31];
	struct span v[] = { { stamp, 2 }, domain, local };
	buf_addf(out, "SRS0%c", s->separator);
	add_hash(s, out, v, ARRAY_LEN(v));
	buf_addf(out, "=%.2s=%.*s=%.*s@%s", stamp, SPAN_ARG(domain),
		 SPAN_ARG(local), s->domain);
	return 0;
}

/* Days since that stamp; -1: it is none. */
static int64_t
age_of(struct span stamp, int64_t now)
{
	uint64_t day = 0;

	if (stamp.n != 2)
		return -1;
	for (size_t i = 0; i < 2; i++) {
		char c = stamp.p[i];
		const char *at;

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		at = c != '\0' ? strchr(letters, c) : NULL;
		if (at == NULL)
			return -1;
		day = day << 5 | (uint64_t)(at - letters);
	}
	return (int64_t)(((uint64_t)(now / DAY) + SLOTS - day) % SLOTS);
}

int
srs_reverse(const struct srs *s, struct buf *out, struct span addr, int64_t now,
	    struct err *e)
{
	struct span local, domain, hash, stamp, host, rest;
	int64_t age;

	if (!split_at(addr, &local, &domain) || !srs_is(local))
		return err_esc(e, ST_NOUSER, "5.1.1", "not an SRS address");
	rest = span_from(local, 5);
	if (!take(&rest, &hash))
		return err_esc(e, ST_NOUSER, "5.1.1",
			       "a malformed SRS address");
	if (local.p[3] == '1') {
		struct span piece = rest;

		/* what is inside begins with its separator */
		if (!take(&piece, &host) || piece.n < 2 ||
		    strchr("=+-", piece.p[0]) == NULL)
			return err_esc(e, ST_NOUSER, "5.1.1",
				       "a malformed SRS1 address");
		struct span v[] = { host, piece };
		if (!hash_good(s, hash, v, ARRAY_LEN(v)))
			return err_esc(e, ST_NOUSER, "5.1.1",
				       "the hash of the SRS address is wrong");
		buf_addf(out, "SRS0%.*s@%.*s", SPAN_ARG(piece), SPAN_ARG(host));
		return 0;
	}
	if (!take(&rest, &stamp) || !take(&rest, &host) || rest.n == 0)
		return err_esc(e, ST_NOUSER, "5.1.1",
			       "a malformed SRS0 address");
	struct span v[] = { stamp, host, rest };
	if (!hash_good(s, hash, v, ARRAY_LEN(v)))
		return err_esc(e, ST_NOUSER, "5.1.1",
			       "the hash of the SRS address is wrong");
	age = age_of(stamp, now);
	if (age < 0 || age > s->max_age)
		return err_esc(e, ST_NOUSER, "5.1.1",
			       "the SRS address has expired");
	buf_addf(out, "%.*s@%.*s", SPAN_ARG(rest), SPAN_ARG(host));
	return 0;
}
