/*
 * sts.c - the MTA-STS policy of a destination: from the cache, or fetched.
 * RFC 8461 3.3, 5.1.  A policy that cannot be had anew stays in force until
 * max_age; a cache that cannot be written is only slower.
 * The cache: $data_directory/mta-sts/DOMAIN, a line "mta-sts FETCHED TRIED ID
 * [FAILURE]" and the policy's text, which is empty when it could not be had.
 */
#include "apart.h"
#include "send.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "random.h"
#include "site.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FETCH_MS 20000
#define RETRY_S 300     /* nobody is asked more often (3.3) */
#define REFRESH_S 86400 /* the same record, asked again after a day */
#define CACHE_MAX (128 * 1024)

struct cached {
	int64_t fetched, tried;
	struct buf id, text;
	char failure[40]; /* of the last try, a word of RFC 8460 4.3.2.2 */
};

static char *
cache_path(const char *domain)
{
	struct buf ascii = BUF_INIT;
	char *path = NULL;

	/* A name of the DNS has no slash in it, but who knows. */
	if (dns_to_ascii(span_of(domain), &ascii) &&
	    dns_valid_hostname(buf_span(&ascii)))
		path = mem_printf("%s/mta-sts/%s", site.data_directory,
				  buf_str(&ascii));
	buf_free(&ascii);
	return path;
}

/* False: nothing, or nothing that makes sense; then it is as if there were no
 * cache (law 7). */
static bool
cache_read(struct cached *c, const char *domain)
{
	char *path = cache_path(domain);
	struct buf b = BUF_INIT;
	struct span rest, line, word;
	bool ok = false;

	if (path != NULL && io_read_file(path, &b, CACHE_MAX, NULL) == 0) {
		rest = buf_span(&b);
		ok = span_split(&rest, '\n', &line) &&
		     span_word(&line, " ", &word) && span_is(word, "mta-sts") &&
		     span_word(&line, " ", &word) &&
		     num_i64(word, 0, INT64_MAX, &c->fetched) &&
		     span_word(&line, " ", &word) &&
		     num_i64(word, 0, INT64_MAX, &c->tried) &&
		     span_word(&line, " ", &word);
		if (ok) {
			buf_addspan(&c->id, word);
			buf_addspan(&c->text, rest);
			if (span_word(&line, " ", &word) && word.n < 40)
				snprintf(c->failure, sizeof(c->failure), "%.*s",
					 SPAN_ARG(word));
		}
	}
	free(path);
	buf_free(&b);
	return ok;
}

/* The folder is its parent's owner's: what root looks up must not lock the
 * others out. */
static void
cache_write(const struct cached *c, const char *domain)
{
	char *path = cache_path(domain), *tmp = NULL;
	char *dir = mem_printf("%s/mta-sts", site.data_directory);
	struct buf b = BUF_INIT;
	struct stat st;
	int fd = -1;
	bool ok = path != NULL && stat(site.data_directory, &st) == 0;

	if (ok && mkdir(dir, 0755) == 0 && geteuid() == 0)
		ok = chown(dir, st.st_uid, st.st_gid) == 0;
	if (ok) {
		buf_addf(&b, "%s.", path);
		random_word(&b, 12);
		tmp = mem_strdup(buf_str(&b));
		buf_clear(&b);
		buf_addf(&b, "mta-sts %lld %lld %.*s%s%s\n",
			 (long long)c->fetched, (long long)c->tried,
			 SPAN_ARG(buf_span(&c->id)), c->failure[0] ? " " : "",
			 c->failure);
		buf_addspan(&b, buf_span(&c->text));
		fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	}
	if (fd >= 0) {
		ok = io_write(fd, b.p, b.n, DEADLINE_NEVER) == IO_OK;
		if (geteuid() == 0)
			ok = fchown(fd, st.st_uid, st.st_gid) == 0 && ok;
		ok = io_close(&fd) == 0 && ok;
		if (!ok || rename(tmp, path) != 0)
			(void)unlink(tmp);
	}
	buf_free(&b);
	free(tmp);
	free(dir);
	free(path);
}

/* Is what the cache holds a policy in force? */
static bool
in_force(const struct cached *c, struct mtasts *p)
{
	int64_t now = clock_now();

	return c->text.n > 0 && mtasts_parse(p, buf_span(&c->text)) &&
	       now >= c->fetched && now < c->fetched + p->max_age;
}

static void
fetch(struct cached *c, const struct mtasts *record, const char *domain,
      struct dns *dns)
{
	const struct mtasts_conf conf = { .dns = dns,
					  .ca_file = params.tls_ca,
					  .https_port = (int)params.sts_port,
					  .run = apart_fetch };
	struct mtasts got = { .max_age = 0 };
	enum mtasts_result r;

	c->tried = clock_now();
	buf_clear(&c->id);
	buf_addspan(&c->id, buf_span(&record->id));
	r = mtasts_policy(&got, &conf, domain, clock_deadline(FETCH_MS));
	snprintf(c->failure, sizeof(c->failure), "%s",
		 r == MTASTS_FOUND    ? ""
		 : r == MTASTS_BROKEN ? "sts-policy-invalid"
		 : got.untrusted      ? "sts-webpki-invalid"
				      : "sts-policy-fetch-error");
	if (r == MTASTS_FOUND) {
		c->fetched = c->tried;
		buf_clear(&c->text);
		buf_addspan(&c->text, buf_span(&got.text));
	} else if (options.trace) {
		fprintf(stderr, "* MTA-STS: %s: %s\n", domain, got.reason);
	}
	mtasts_free(&got);
	cache_write(c, domain);
}

static bool
want_fetch(const struct cached *c, const struct mtasts *record, bool valid)
{
	int64_t now = clock_now();
	bool same = buf_span(&c->id).n == record->id.n &&
		    memcmp(c->id.p, record->id.p, record->id.n) == 0;

	if (c->tried > 0 && same && now >= c->tried && now - c->tried < RETRY_S)
		return false;
	return !valid || !same || now - c->fetched >= REFRESH_S ||
	       now < c->fetched;
}

bool
sts_find(struct mtasts *p, const char *domain, struct dns *dns,
	 char failure[40], bool *doubt_r)
{
	struct mtasts record = { .max_age = 0 };
	struct cached c = { .fetched = 0 };
	bool valid = cache_read(&c, domain) && in_force(&c, p);

	/* No record, or no answer: what is cached holds (3.1, 5.1). */
	enum mtasts_result r =
	    mtasts_record(&record, dns, domain, clock_deadline(FETCH_MS));
	if (r == MTASTS_FOUND && want_fetch(&c, &record, valid)) {
		fetch(&c, &record, domain, dns);
		mtasts_free(p);
		*p = (struct mtasts){ .max_age = 0 };
		valid = in_force(&c, p);
	}
	if (!valid)
		mtasts_free(p);
	else if (p->text.n == 0) /* reports show it */
		buf_addspan(&p->text, buf_span(&c.text));
	snprintf(failure, 40, "%s", valid ? "" : c.failure);
	*doubt_r = !valid && (r == MTASTS_FOUND || r == MTASTS_TEMP);
	mtasts_free(&record);
	buf_free(&c.id);
	buf_free(&c.text);
	return valid && p->mode != MTASTS_MODE_NONE;
}
