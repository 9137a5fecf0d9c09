/*
 * fuzz_oauth.c - bearer tokens: JWTs, and the JSON that is told of others.
 * uses: cmd/mx-auth/oauth_conf.c cmd/mx-auth/oauth_jwt.c
 * uses: cmd/mx-auth/ext_conf.c
 */
#include "escape.h"
#include "oauth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The input as a part of a token, so that base64 does not stand before it. */
static void
add_part(struct buf *b, struct span s)
{
	size_t at = b->n;

	base64_encode(b, s);
	while (b->n > at && b->p[b->n - 1] == '=')
		buf_cut(b, b->n - 1);
	for (size_t i = at; i < b->n; i++) {
		if (b->p[i] == '+')
			b->p[i] = '-';
		else if (b->p[i] == '/')
			b->p[i] = '_';
	}
}

static void
judge(struct span token)
{
	static char empty[] = "", folder[] = "/nonexistent/", id[] = "mx";
	struct oauth_conf conf = { .issuers = empty,
				   .client_id = id,
				   .key_folder = folder };
	struct oauth_claims c = { STRS_INIT, STRS_INIT };
	struct err e = ERR_INIT;

	if (oauth_jwt(&conf, token, 1, &c, &e) == DB_OK)
		abort();
	oauth_claims_free(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span in = span_make((const char *)p, n), rest = in, part;
	struct oauth_claims c = { STRS_INIT, STRS_INIT };
	struct buf token = BUF_INIT;
	struct err e = ERR_INIT;

	if (oauth_claims_read(&c, in, &e) == 0 &&
	    oauth_claim_words(&c, "scope", "a b") &&
	    !oauth_claim_words(&c, "scope", "a"))
		abort();
	oauth_claims_free(&c);
	judge(in);
	while (span_split(&rest, '\n', &part)) {
		if (token.n > 0)
			buf_addc(&token, '.');
		add_part(&token, part);
	}
	judge(buf_span(&token));
	buf_free(&token);
	return 0;
}
