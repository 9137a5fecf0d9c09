/*
 * db_oauth2.c - `oauth2:PATH`: whose is this bearer token?  PATH is a
 * dovecot-oauth2.conf.ext, read anew for each question.  A token that is a
 * JWT with a key in local_validation_key_dict is judged here, any other is
 * shown to tokeninfo_url, then to introspection_url.
 */
#include "clock.h"
#include "mem.h"
#include "oauth.h"
#include "status.h"

#include <time.h>

static int
check(const char *arg, struct err *e)
{
	struct oauth_conf c;

	if (arg[0] != '/')
		return err_set(e, ST_CONFIG,
			       "an absolute path is expected, e.g. "
			       "oauth2:/etc/mx/dovecot-oauth2.conf.ext");
	if (oauth_conf_load(&c, arg, e) < 0)
		return -1;
	oauth_conf_free(&c);
	return 0;
}

static const char *
path(const char *arg)
{
	return arg;
}

static void
folders(const char *arg, struct strs *out)
{
	static const char *const names[] = { "/etc", "/usr", "/lib", "/run" };
	struct err e = ERR_INIT;
	struct oauth_conf c;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		strs_add(out, names[i]);
	if (oauth_conf_load(&c, arg, &e) < 0)
		return;
	if (c.key_folder != NULL)
		strs_add(out, c.key_folder);
	if (c.tls_ca_cert_file[0] != '\0')
		strs_add(out, c.tls_ca_cert_file);
	if (c.tls_ca_cert_dir[0] != '\0')
		strs_add(out, c.tls_ca_cert_dir);
	if (c.tls_cert_file[0] != '\0')
		strs_add(out, c.tls_cert_file);
	if (c.tls_key_file[0] != '\0')
		strs_add(out, c.tls_key_file);
	oauth_conf_free(&c);
}

static bool
all_there(const struct oauth_conf *conf, const struct oauth_claims *c)
{
	return !conf->force &&
	       oauth_claim(c, conf->username_attribute) != NULL &&
	       (conf->active_attribute[0] == '\0' ||
		oauth_claim(c, conf->active_attribute) != NULL);
}

/* What the token is, from wherever it is told. */
static enum db_result
ask(const struct oauth_conf *conf, struct span token, struct oauth_claims *c,
    struct err *e)
{
	bool info = conf->tokeninfo_url[0] != '\0';
	enum db_result r = DB_NONE;

	if (conf->key_folder != NULL)
		r = oauth_jwt(conf, token, (int64_t)time(NULL), c, e);
	if (r != DB_NONE || conf->local_only)
		return r == DB_NONE ? DB_MISMATCH : r;
	if (info)
		r = oauth_http(conf, OAUTH_TOKENINFO, token, c, e);
	if (conf->introspection_url[0] != '\0' &&
	    (!info || (r == DB_OK && !all_there(conf, c))))
		r = oauth_http(conf, OAUTH_INTROSPECT, token, c, e);
	return r;
}

/* NULL: all is well; or why not. */
static const char *
check_state(const struct oauth_conf *conf, const struct oauth_claims *c)
{
	const char *v = oauth_claim(c, "expires_in");

	if (oauth_claim(c, "error") != NULL)
		return "the token is not taken";
	/* RFC 7662 2.2, whatever active_attribute is. */
	if (oauth_claim_has(c, "active", SPAN("false")))
		return "the token is not active";
	if (v != NULL && (v[0] == '-' || strcmp(v, "0") == 0))
		return "the token has expired";
	v = conf->active_attribute[0] ? oauth_claim(c, conf->active_attribute)
				      : "";
	if (v == NULL || (conf->active_attribute[0] != '\0' &&
			  conf->active_value[0] != '\0' &&
			  strcmp(v, conf->active_value) != 0))
		return "active_attribute is not active_value";
	if (!oauth_claim_words(c, oauth_claim(c, "scope") ? "scope" : "aud",
			       conf->scope))
		return "the token lacks the scope";
	return NULL;
}

/* The name that the client gave, and the token's, in one form. */
static enum db_result
check_user(const struct oauth_conf *conf, const struct oauth_claims *c,
	   const char *user, struct db_entry *r, struct err *e)
{
	const char *told = oauth_claim(c, conf->username_attribute);
	const char *format =
	    conf->username_format[0] != '\0'       ? conf->username_format
	    : conf->username_format_old[0] != '\0' ? conf->username_format_old
						   : "%Lu";
	struct expand_vars v = { told, NULL, NULL, NULL };
	struct buf a = BUF_INIT, b = BUF_INIT;
	enum db_result res = DB_TEMP;

	if (told == NULL) {
		err_set(e, ST_CONFIG, "no \"%s\" is told of the token",
			conf->username_attribute);
		return DB_TEMP;
	}
	if (user[0] == '\0') {
		res = username_normalize(&a, span_of(told), e) == 0
			  ? DB_OK
			  : DB_MISMATCH;
		if (res == DB_OK)
			r->user = mem_strdup(buf_str(&a));
	} else if (expand(&a, span_of(format), &v, e) == 0) {
		v.user = user;
		if (expand(&b, span_of(format), &v, e) == 0)
			res = span_eq(buf_span(&a), buf_span(&b)) ? DB_OK
								  : DB_MISMATCH;
		if (res == DB_MISMATCH)
			err_set(e, ST_NOPERM, "it is the token of %s",
				buf_str(&a));
	}
	buf_free(&a);
	buf_free(&b);
	return res;
}

static enum db_result
verify(const char *arg, const struct db_query *q, struct db_entry *r,
       struct err *e)
{
	struct oauth_claims c = { STRS_INIT, STRS_INIT };
	struct oauth_conf conf;
	enum db_result res;
	const char *why;

	if (oauth_conf_load(&conf, arg, e) < 0)
		return DB_TEMP;
	res = ask(&conf, q->password, &c, e);
	why = res == DB_OK ? check_state(&conf, &c) : NULL;
	if (why != NULL) {
		err_set(e, ST_NOPERM, "%s", why);
		res = DB_MISMATCH;
	}
	if (res == DB_OK)
		res = check_user(&conf, &c, q->user, r, e);
	oauth_claims_free(&c);
	oauth_conf_free(&conf);
	return res;
}

static const struct db_driver db_oauth2 = {
	.name = "oauth2",
	.needs = DB_NET,
	.token = true,
	.check = check,
	.path = path,
	.folders = folders,
	.verify = verify,
};
DB_DRIVER(db_oauth2);
