/*
 * main.c - mx-fetch: one document over HTTPS to stdout, by libcurl, as MTA-STS
 * policies are fetched.  No redirects, bounded, certificate checked.
 * RFC 8461 3.3.
 */
#include "err.h"
#include "escape.h"
#include "io.h"
#include "mtasts.h"
#include "num.h"
#include "opt.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <curl/curl.h>
#include <unistd.h>

#define POST_MAX (1u << 26)

static struct {
	const char *ca_file, *connect_to, *type, *post;
	int64_t max_bytes, timeout;
} opts = { .max_bytes = 65536, .timeout = 60 };

#define O(NAME, ARG, KIND, MEMBER, MEANING)                                    \
	{                                                                      \
		0, NAME, ARG, KIND,                                            \
		    (size_t)((char *)&opts.MEMBER - (char *)&opts), MEANING    \
	}

static const struct opt rows[] = {
	O("ca-file", "FILE", OPT_STR, ca_file,
	  "trust these authorities; else the system's"),
	O("connect-to", "HOST:PORT", OPT_STR, connect_to,
	  "connect there instead; the name in the URL is what is checked"),
	O("max-bytes", "N", OPT_INT, max_bytes,
	  "longer documents are refused (65536)"),
	O("timeout", "SECONDS", OPT_INT, timeout, "for everything (60)"),
	O("post", "TYPE", OPT_STR, post,
	  "standard input is posted, a document of this media type"),
	O("type", "TYPE", OPT_STR, type, "the media type that is expected"),
};

static struct buf posted;

struct body {
	struct buf b;
	bool too_long;
};

static size_t
take(char *p, size_t size, size_t count, void *ctx)
{
	struct body *body = ctx;
	size_t n = size * count;

	if (n > (size_t)opts.max_bytes - body->b.n) {
		body->too_long = true;
		return 0;
	}
	buf_add(&body->b, p, n);
	return n;
}

static void
set_up(CURL *c, struct curl_slist **to, struct body *body, const char *url)
{
	struct buf b = BUF_INIT;

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)opts.timeout);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_USERAGENT, "mx/" MX_VERSION);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, body);
	if (opts.ca_file != NULL)
		curl_easy_setopt(c, CURLOPT_CAINFO, opts.ca_file);
	if (opts.connect_to != NULL) {
		buf_addf(&b, "::%s", opts.connect_to);
		*to = curl_slist_append(NULL, buf_str(&b));
		curl_easy_setopt(c, CURLOPT_CONNECT_TO, *to);
	}
	buf_free(&b);
}

/* RFC 8460 5.4: what is posted stands in memory, its size is told. */
static void
set_post(CURL *c, struct curl_slist **head)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "Content-Type: %s", opts.post);
	*head = curl_slist_append(NULL, buf_str(&b));
	*head = curl_slist_append(*head, "Expect:");
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, *head);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, posted.n ? posted.p : "");
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)posted.n);
	buf_free(&b);
}

/* "text/plain; charset=utf-8" is text/plain. */
static bool
type_ok(const char *have)
{
	struct span rest = span_of(have), main_type;

	return opts.type == NULL || (span_split(&rest, ';', &main_type) &&
				     span_iis(span_trim(main_type), opts.type));
}

static int
status_of(CURLcode r)
{
	switch (r) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ST_DATA;
	default:
		return ST_TEMPFAIL;
	}
}

static int
judge(CURL *c, CURLcode r, const struct body *body, const char *text,
      struct err *e)
{
	long code = 0;
	char *type = NULL;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
	curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
	if (body->too_long)
		return err_set(e, ST_DATA,
			       "the document has more than %lld "
			       "bytes",
			       (long long)opts.max_bytes);
	if (r != CURLE_OK)
		return err_set(
		    e, status_of(r), "%s%s",
		    r == CURLE_PEER_FAILED_VERIFICATION ? MTASTS_UNTRUSTED : "",
		    *text ? text : curl_easy_strerror(r));
	if (code >= 500)
		return err_set(e, ST_TEMPFAIL, "HTTP status %ld", code);
	if (code != 200 && !(opts.post != NULL && code / 100 == 2))
		return err_set(e, ST_UNAVAILABLE, "HTTP status %ld", code);
	if (!type_ok(type))
		return err_set(e, ST_DATA, "media type %s, expected %s",
			       type ? type : "not given", opts.type);
	return 0;
}

static int
fetch(const char *url, struct buf *out, struct err *e)
{
	CURL *c = curl_easy_init();
	struct curl_slist *to = NULL, *head = NULL;
	struct body body = { 0 };
	char text[CURL_ERROR_SIZE] = "";
	CURLcode r;
	int st;

	if (c == NULL)
		return err_set(e, ST_TEMPFAIL, "libcurl does not start");
	set_up(c, &to, &body, url);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, text);
	if (opts.post != NULL)
		set_post(c, &head);
	r = curl_easy_perform(c);
	st = judge(c, r, &body, text, e);
	curl_slist_free_all(to);
	curl_slist_free_all(head);
	curl_easy_cleanup(c);
	if (st == 0)
		buf_addspan(out, buf_span(&body.b));
	buf_free(&body.b);
	return st;
}

/* Law 4: what is read from now on is a stranger's.  Left are the authorities'
 * certificates, and what finding a host's address needs (a thread of
 * libcurl's). */
static int
close_sandbox(struct err *e)
{
	const char *const paths[] = { "/etc/ssl",
				      "/etc/ca-certificates",
				      "/usr/share",
				      "/usr/local/share",
				      "/usr/lib",
				      "/lib",
				      "/lib64",
				      "/usr/lib64",
				      "/etc/hosts",
				      "/etc/nsswitch.conf",
				      "/etc/resolv.conf",
				      "/etc/host.conf",
				      "/etc/gai.conf",
				      "/etc/ld.so.cache",
				      "/run/systemd",
				      opts.ca_file,
				      NULL };

	return sandbox_enter((enum sandbox_mode)site.sandbox,
			     SANDBOX_STDIO | SANDBOX_CONNECT | SANDBOX_RPATH |
				 SANDBOX_FORK | SANDBOX_QUIET,
			     paths, e);
}

int
main(int argc, char **argv)
{
	const struct param_rows sets[] = { site_params };
	const struct program p = {
		.name = "mx-fetch",
		.synopsis = "mx-fetch [OPTION...] https://HOST/PATH",
		.meaning = "one document over HTTPS to standard output",
		.opts = rows,
		.nopts = ARRAY_LEN(rows),
		.options = &opts,
		.params = sets,
		.nparams = 1,
	};
	int at = prog_start(&p, argc, argv, NULL);
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	enum io_result r;

	if (argc - at != 1 ||
	    !span_istarts(span_of(argv[at]), SPAN("https://")))
		return prog_usage("expected one https:// URL");
	if (opts.max_bytes > 1 << 26)
		return prog_usage("--max-bytes: expected at most 67108864");
	if (opts.post != NULL && io_read_all(STDIN_FILENO, &posted, POST_MAX,
					     DEADLINE_NEVER) != IO_OK)
		return prog_usage("--post: standard input: cannot be read, or "
				  "more than 64 MB");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (close_sandbox(&e) != 0)
		return prog_fail(&e);
	if (fetch(argv[at], &out, &e) != 0) {
		err_prefix(&e, "%s", argv[at]);
		return prog_fail(&e);
	}
	r = io_write(STDOUT_FILENO, out.p, out.n, DEADLINE_NEVER);
	buf_free(&out);
	if (r != IO_OK) {
		err_set(&e, ST_IOERR, "standard output: %s", io_words(r));
		return prog_fail(&e);
	}
	return 0;
}
