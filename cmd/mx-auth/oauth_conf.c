/*
 * oauth_conf.c - dovecot-oauth2.conf.ext, and the claims of a token.
 * Dovecot "Open Authentication v2.0 database".
 */
#include "escape.h"
#include "ext_conf.h"
#include "json_read.h"
#include "mem.h"
#include "num.h"
#include "oauth.h"
#include "status.h"

enum { CLAIMS = 200, CLAIM_BYTES = 4096 };

#define ROW(NAME, MEMBER, DEF)                                                 \
	{                                                                      \
		NAME, offsetof(struct oauth_conf, MEMBER), DEF                 \
	}
static const struct ext_row rows[] = {
	ROW("tokeninfo_url", tokeninfo_url, ""),
	ROW("introspection_url", introspection_url, ""),
	ROW("introspection_mode", introspection_mode, ""),
	ROW("force_introspection", force_introspection, "no"),
	ROW("local_validation_key_dict", key_dict, ""),
	ROW("issuers", issuers, ""),
	ROW("username_attribute", username_attribute, "email"),
	ROW("username_validation_format", username_format, ""),
	ROW("username_format", username_format_old, ""),
	ROW("active_attribute", active_attribute, ""),
	ROW("active_value", active_value, ""),
	ROW("client_id", client_id, ""),
	ROW("client_secret", client_secret, ""),
	ROW("scope", scope, ""),
	ROW("openid_configuration_url", openid_configuration_url, ""),
	ROW("timeout_msecs", timeout_msecs, "10000"),
	ROW("tls_ca_cert_file", tls_ca_cert_file, ""),
	ROW("tls_ca_cert_dir", tls_ca_cert_dir, ""),
	ROW("tls_cert_file", tls_cert_file, ""),
	ROW("tls_key_file", tls_key_file, ""),
	ROW("tls_cipher_suite", tls_cipher_suite, ""),
	ROW("tls_allow_invalid_cert", tls_allow_invalid_cert, "no"),
	{ "pass_attrs", EXT_IGNORED, NULL },
	{ "debug", EXT_IGNORED, NULL },
	{ "max_idle_time_msecs", EXT_IGNORED, NULL },
	{ "max_parallel_connections", EXT_IGNORED, NULL },
	{ "max_pipelined_requests", EXT_IGNORED, NULL },
};

void
oauth_conf_free(struct oauth_conf *c)
{
	ext_conf_free(rows, ARRAY_LEN(rows), c);
}

/* "fs:posix:prefix=/etc/mx/keys/": keys are files there. */
static int
read_key_dict(struct oauth_conf *c, struct err *e)
{
	struct span s = span_of(c->key_dict), at = SPAN("prefix=");
	ssize_t i = span_find(s, at);

	if (s.n == 0)
		return 0;
	if (!span_starts(s, SPAN("fs:posix:")) || i < 0 ||
	    c->key_dict[(size_t)i + at.n] != '/')
		return err_set(e, ST_CONFIG,
			       "local_validation_key_dict = %s: "
			       "fs:posix:prefix=/FOLDER/ is expected",
			       c->key_dict);
	c->key_folder = c->key_dict + (size_t)i + at.n;
	return 0;
}

static int
read_mode(struct oauth_conf *c, struct err *e)
{
	static const char *const modes[] = { "", "auth", "get", "post",
					     "local" };
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		known |= strcmp(c->introspection_mode, modes[i]) == 0;
	if (!known)
		return err_set(e, ST_CONFIG,
			       "introspection_mode = %s: auth, get, post or "
			       "local is expected",
			       c->introspection_mode);
	c->local_only = strcmp(c->introspection_mode, "local") == 0;
	if (c->local_only && c->key_folder == NULL)
		return err_set(e, ST_CONFIG,
			       "introspection_mode = local needs "
			       "local_validation_key_dict");
	if (c->key_folder == NULL && c->tokeninfo_url[0] == '\0' &&
	    c->introspection_url[0] == '\0')
		return err_set(e, ST_CONFIG,
			       "one of tokeninfo_url, introspection_url and "
			       "local_validation_key_dict is needed");
	return 0;
}

static int
read_words(struct oauth_conf *c, struct err *e)
{
	if (!num_bool(span_of(c->force_introspection), &c->force) ||
	    !num_bool(span_of(c->tls_allow_invalid_cert), &c->any_cert))
		return err_set(e, ST_CONFIG,
			       "force_introspection and "
			       "tls_allow_invalid_cert are yes or no");
	if (!num_i64(span_of(c->timeout_msecs), 0, 60000, &c->timeout_ms))
		return err_set(e, ST_CONFIG,
			       "timeout_msecs = %s: 0 to 60000 is expected",
			       c->timeout_msecs);
	/* Dovecot's 0 means no limit; a login waits no longer than this. */
	if (c->timeout_ms == 0)
		c->timeout_ms = 60000;
	if (c->username_attribute[0] == '\0')
		return err_set(e, ST_CONFIG, "username_attribute is empty");
	return 0;
}

int
oauth_conf_load(struct oauth_conf *c, const char *path, struct err *e)
{
	memset(c, 0, sizeof(*c));
	if (ext_conf_load(path, rows, ARRAY_LEN(rows), c, e) < 0)
		return -1;
	if (read_key_dict(c, e) == 0 && read_mode(c, e) == 0 &&
	    read_words(c, e) == 0)
		return 0;
	oauth_conf_free(c);
	return err_prefix(e, "%s", path);
}

void
oauth_claims_free(struct oauth_claims *c)
{
	strs_free(&c->names);
	strs_free(&c->values);
}

/* Values with control bytes are no names of anybody: passed over. */
static void
claim(void *ctx, const struct json_event *ev)
{
	struct oauth_claims *c = ctx;

	if (ev->begins || ev->value.n > CLAIM_BYTES || c->names.n >= CLAIMS ||
	    span_has_ctl(ev->value) || !utf8_valid(ev->value))
		return;
	strs_add(&c->names, ev->path);
	strs_addspan(&c->values, ev->value);
}

int
oauth_claims_read(struct oauth_claims *c, struct span json, struct err *e)
{
	json = span_trim(json);
	/* An array's members would look like ours. */
	if (!span_starts(json, SPAN("{")))
		return err_set(e, ST_DATA, "no JSON object");
	return json_read(json, claim, c, e);
}

const char *
oauth_claim(const struct oauth_claims *c, const char *name)
{
	for (size_t i = 0; i < c->names.n; i++)
		if (strcmp(c->names.v[i], name) == 0)
			return c->values.v[i];
	return NULL;
}

bool
oauth_claim_has(const struct oauth_claims *c, const char *name,
		struct span value)
{
	for (size_t i = 0; i < c->names.n; i++)
		if (strcmp(c->names.v[i], name) == 0 &&
		    span_is(value, c->values.v[i]))
			return true;
	return false;
}

static bool
one_word(const struct oauth_claims *c, const char *name, struct span wanted)
{
	for (size_t i = 0; i < c->names.n; i++) {
		struct span rest, w;

		if (strcmp(c->names.v[i], name) != 0)
			continue;
		rest = span_of(c->values.v[i]);
		while (span_word(&rest, " ,", &w))
			if (span_eq(w, wanted))
				return true;
	}
	return false;
}

bool
oauth_claim_words(const struct oauth_claims *c, const char *name,
		  const char *wanted)
{
	struct span rest = span_of(wanted), w;

	while (span_word(&rest, " ,", &w))
		if (!one_word(c, name, w))
			return false;
	return true;
}
