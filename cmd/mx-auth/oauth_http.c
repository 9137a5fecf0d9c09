/*
 * oauth_http.c - asks the authorization server about a token, by libcurl:
 * bounded in time and size, no redirect (a token goes only where the
 * administrator sends it), no proxy of the environment, nothing logged.
 * RFC 6750 2, RFC 7662.
 */
#include "oauth.h"
#include "status.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_BYTES = 65536 };

void
oauth_http_start(void)
{
	static bool started;

	if (!started)
		started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static size_t
take(char *p, size_t size, size_t n, void *ctx)
{
	struct buf *out = ctx;

	if (size * n > ANSWER_BYTES - out->n)
		return 0;
	buf_add(out, p, size * n);
	return size * n;
}

static void
set_tls(CURL *c, const struct oauth_conf *conf)
{
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (conf->tls_ca_cert_file[0] != '\0')
		curl_easy_setopt(c, CURLOPT_CAINFO, conf->tls_ca_cert_file);
	if (conf->tls_ca_cert_dir[0] != '\0')
		curl_easy_setopt(c, CURLOPT_CAPATH, conf->tls_ca_cert_dir);
	if (conf->tls_cert_file[0] != '\0')
		curl_easy_setopt(c, CURLOPT_SSLCERT, conf->tls_cert_file);
	if (conf->tls_key_file[0] != '\0')
		curl_easy_setopt(c, CURLOPT_SSLKEY, conf->tls_key_file);
	if (conf->tls_cipher_suite[0] != '\0')
		curl_easy_setopt(c, CURLOPT_SSL_CIPHER_LIST,
				 conf->tls_cipher_suite);
	if (conf->any_cert) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void
set_limits(CURL *c, const struct oauth_conf *conf, struct buf *answer,
	   char *words)
{
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)conf->timeout_ms);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "mx-auth");
}

/* Appends the token, which has '+', '/' and '='. */
static void
add_token(CURL *c, struct buf *out, struct span token)
{
	char *t = curl_easy_escape(c, token.p, (int)token.n);

	if (t == NULL)
		return;
	buf_adds(out, t);
	explicit_bzero(t, strlen(t));
	curl_free(t);
}

static void
add_form(CURL *c, struct buf *out, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	buf_addf(out, "&%s=", name);
	add_token(c, out, span_of(value));
}

/* The request as the mode says it; what it borrows lives on in url, body and
 * heads until it is done. */
static void
set_request(CURL *c, const struct oauth_conf *conf, enum oauth_ask ask,
	    struct span token, struct buf *url, struct buf *body,
	    struct curl_slist **heads)
{
	struct buf line = BUF_INIT;

	buf_adds(url, ask == OAUTH_TOKENINFO ? conf->tokeninfo_url
					     : conf->introspection_url);
	if (ask == OAUTH_TOKENINFO ||
	    strcmp(conf->introspection_mode, "get") == 0) {
		add_token(c, url, token);
		/* RFC 7662 2.1 */
	} else if (strcmp(conf->introspection_mode, "post") == 0) {
		buf_adds(body, "token=");
		add_token(c, body, token);
		add_form(c, body, "client_id", conf->client_id);
		add_form(c, body, "client_secret", conf->client_secret);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)body->n);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, buf_str(body));
	}
	if (body->n == 0) {
		buf_addf(&line, "Authorization: Bearer %.*s", SPAN_ARG(token));
		*heads = curl_slist_append(*heads, buf_str(&line));
	}
	*heads = curl_slist_append(*heads, "Accept: application/json");
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, *heads);
	curl_easy_setopt(c, CURLOPT_URL, buf_str(url));
	buf_wipe(&line);
}

static enum db_result
verdict(CURLcode code, long http, const char *words, const char *name,
	struct span answer, struct oauth_claims *c, struct err *e)
{
	if (code != CURLE_OK) {
		err_set(e, ST_TEMPFAIL, "%s: %s", name,
			code == CURLE_WRITE_ERROR ? "the answer is too long"
			: words[0] != '\0'        ? words
						  : curl_easy_strerror(code));
		return DB_TEMP;
	}
	/* RFC 6750 3.1: invalid_request, invalid_token, insufficient_scope. */
	if (http == 400 || http == 401 || http == 403) {
		err_set(e, ST_NOPERM, "%s: the token is not taken (%ld)", name,
			http);
		return DB_MISMATCH;
	}
	if (http / 100 != 2) {
		err_set(e, ST_TEMPFAIL, "%s: answer %ld", name, http);
		return DB_TEMP;
	}
	if (oauth_claims_read(c, answer, e) < 0) {
		err_prefix(e, "%s", name);
		return DB_TEMP;
	}
	return DB_OK;
}

enum db_result
oauth_http(const struct oauth_conf *conf, enum oauth_ask ask, struct span token,
	   struct oauth_claims *claims, struct err *e)
{
	const char *name =
	    ask == OAUTH_TOKENINFO ? "tokeninfo_url" : "introspection_url";
	struct buf url = BUF_INIT, body = BUF_INIT, answer = BUF_INIT;
	struct curl_slist *heads = NULL;
	char words[CURL_ERROR_SIZE] = "";
	enum db_result r = DB_TEMP;
	CURL *c = curl_easy_init();
	CURLcode code;
	long http = 0;

	if (c == NULL) {
		err_set(e, ST_SOFTWARE, "libcurl does not start");
		return DB_TEMP;
	}
	set_tls(c, conf);
	set_limits(c, conf, &answer, words);
	set_request(c, conf, ask, token, &url, &body, &heads);
	code = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &http);
	r = verdict(code, http, words, name, buf_span(&answer), claims, e);
	curl_easy_cleanup(c);
	for (struct curl_slist *h = heads; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(heads);
	buf_wipe(&url);
	buf_wipe(&body);
	buf_wipe(&answer);
	return r;
}
