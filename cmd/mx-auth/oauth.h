/*
 * oauth.h - is this bearer token good, and whose is it (RFC 6750)?  Asked of
 * the authorization server (RFC 7662, or its token information address), or
 * seen from the token itself (JWT, RFC 7519) with keys in files.
 */
#ifndef MX_AUTH_OAUTH_H
#define MX_AUTH_OAUTH_H

#include "buf.h"
#include "db.h"
#include "strs.h"

/* dovecot-oauth2.conf.ext; numbers and flags are as they stand there. */
struct oauth_conf {
	char *tokeninfo_url, *introspection_url, *introspection_mode;
	char *force_introspection;
	char *key_dict, *issuers;
	char *username_attribute, *username_format, *username_format_old;
	char *active_attribute, *active_value;
	char *client_id, *client_secret, *scope;
	char *openid_configuration_url;
	char *timeout_msecs;
	char *tls_ca_cert_file, *tls_ca_cert_dir, *tls_cert_file, *tls_key_file;
	char *tls_cipher_suite, *tls_allow_invalid_cert;
	/* read from the above */
	bool force, any_cert, local_only;
	int64_t timeout_ms;
	const char *key_folder; /* NULL: no local validation */
};
int oauth_conf_load(struct oauth_conf *c, const char *path,
		    struct err *e) MX_MUST_CHECK;
void oauth_conf_free(struct oauth_conf *c);
/* The file of the first oauth2 source of passdb, or NULL. */
const char *chain_oauth_file(void);

/* What is told of a token: names ("a.b" for those in an object) and values. */
struct oauth_claims {
	struct strs names, values;
};
void oauth_claims_free(struct oauth_claims *c);
/* Adds those of a JSON object. */
int oauth_claims_read(struct oauth_claims *c, struct span json,
		      struct err *e) MX_MUST_CHECK;
/* The first value, or NULL. */
const char *oauth_claim(const struct oauth_claims *c, const char *name);
/* Is it among the values? */
bool oauth_claim_has(const struct oauth_claims *c, const char *name,
		     struct span value);
/* Does its list of words (or its values) hold all words wanted? */
bool oauth_claim_words(const struct oauth_claims *c, const char *name,
		       const char *wanted);

/* A word that may be a token at all (RFC 6750 2.1 b64token). */
bool oauth_token_ok(struct span token);
/* DB_OK: a JWT whose signature and times are right at `now`, claims in c.
 * DB_NONE: it is none.  DB_MISMATCH, DB_TEMP: as ever. */
enum db_result oauth_jwt(const struct oauth_conf *conf, struct span token,
			 int64_t now, struct oauth_claims *c,
			 struct err *e) MX_MUST_CHECK;

enum oauth_ask { OAUTH_TOKENINFO, OAUTH_INTROSPECT };
enum db_result oauth_http(const struct oauth_conf *conf, enum oauth_ask ask,
			  struct span token, struct oauth_claims *c,
			  struct err *e) MX_MUST_CHECK;
/* Before the sandbox: libraries that are loaded late. */
void oauth_http_start(void);

#endif
