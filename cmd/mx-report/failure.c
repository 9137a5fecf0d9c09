/*
 * failure.c - mx-report --send-failures: what failed and somebody asked to hear
 * of (ruf, fo) becomes mails.  RFC 9991; RFC 6591; RFC 5965.
 *
 * Like failures are one report with Incidents, and a domain gets no more than
 * failure_report_limit a day (RFC 9991 7.1): the rest is dropped.  The counts
 * of the day stand in FILE.count, the key of the redaction in FILE.key.
 */
#include "clock.h"
#include "date.h"
#include "dns.h"
#include "escape.h"
#include "failure.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "opt.h"
#include "random.h"
#include "site.h"
#include "status.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT_FILE_MAX (4u << 20)
#define KEY_FILE_MAX 100
#define REPORTS_MAX 10000 /* a run; the rest waits */

struct failing {
	struct spool spool;
	struct map *all;  /* what is alike -> struct failure */
	struct map *sent; /* domain -> reports of this day */
	struct buf key;   /* of the redaction */
	int64_t now;
	struct dns *dns;
	size_t nsent, nkept, ndropped;
};

static void
failure_free(void *p)
{
	struct failure *f = p;

	history_free(&f->first);
	buf_free(&f->text);
	strs_free(&f->to);
	free(f);
}

/* Alike: the same domain, client, and what failed. */
static void
alike(const struct seen *x, struct buf *key)
{
	buf_addf(key, "%s %s %s %s %s %d", x->policy_domain, x->from, x->ip,
		 x->why, x->spf ? x->spf : "-", x->unasked);
	for (size_t i = 0; i < x->dkim.n; i++)
		buf_addf(key, " %s", x->dkim.v[i]);
}

static void
take_failures(struct failing *s, struct span text)
{
	struct seen x;

	while (history_next(&text, &x)) {
		struct buf key = BUF_INIT;
		struct failure *f;

		if (x.why == NULL || x.header == NULL ||
		    !failure_name_ok(x.policy_domain) ||
		    !failure_name_ok(x.from) ||
		    x.time < s->now - params.report_expire / 1000) {
			history_free(&x);
			continue;
		}
		alike(&x, &key);
		f = map_get(s->all, buf_span(&key));
		if (f == NULL && map_count(s->all) < REPORTS_MAX) {
			f = mem_alloc(1, sizeof(*f));
			(void)map_put(s->all, buf_span(&key), f);
		}
		buf_addspan(f ? &f->text : &s->spool.back, x.text);
		buf_addc(f ? &f->text : &s->spool.back, '\n');
		if (f != NULL && f->incidents++ == 0)
			f->first = x;
		else
			history_free(&x);
		buf_free(&key);
	}
}

/* --- the counts of the day: "DAY DOMAIN N" lines --- */

static void
counts_read(struct failing *s, const char *path)
{
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct span rest, line, day, name;
	int64_t d, n;

	if (io_read_file(path, &text, COUNT_FILE_MAX, &e) == 0) {
		rest = buf_span(&text);
		while (span_split(&rest, '\n', &line))
			if (span_word(&line, " ", &day) &&
			    span_word(&line, " ", &name) &&
			    num_i64(day, 0, INT64_MAX, &d) &&
			    d == s->now / 86400 &&
			    num_i64(span_trim(line), 0, INT32_MAX, &n))
				(void)map_put(s->sent, name,
					      (void *)(intptr_t)n);
	}
	buf_free(&text);
}

static int
counts_write(const struct failing *s, const char *path, struct err *e)
{
	char *tmp = mem_printf("%s.new", path);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
	    st = 0;
	struct buf text = BUF_INIT;
	struct span key;
	void *n;
	size_t i = 0;

	while (map_next(s->sent, &i, &key, &n))
		buf_addf(&text, "%lld %.*s %lld\n", (long long)(s->now / 86400),
			 SPAN_ARG(key), (long long)(intptr_t)n);
	if (fd < 0 || io_write(fd, text.p, text.n, DEADLINE_NEVER) != IO_OK ||
	    fsync(fd) != 0)
		st = err_sys(e, "%s", tmp);
	if (fd >= 0 && close(fd) != 0 && st == 0)
		st = err_sys(e, "%s", tmp);
	if (st == 0 && rename(tmp, path) != 0)
		st = err_sys(e, "%s", path);
	buf_free(&text);
	free(tmp);
	return st;
}

/* RFC 6590 3: a key that stays, so that the same name gives the same word. */
static int
key_read(struct buf *key, const char *path, struct err *e)
{
	struct buf hex = BUF_INIT;
	struct err none = ERR_INIT;
	char bytes[32];
	int fd, st = 0;

	if (io_read_file(path, key, KEY_FILE_MAX, &none) == 0 && key->n >= 64)
		return 0;
	random_bytes(bytes, sizeof(bytes));
	hex_encode(&hex, span_make(bytes, sizeof(bytes)));
	buf_clear(key);
	buf_addspan(key, buf_span(&hex));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || io_write(fd, hex.p, hex.n, DEADLINE_NEVER) != IO_OK)
		st = err_sys(e, "%s", path);
	if (fd >= 0 && close(fd) != 0 && st == 0)
		st = err_sys(e, "%s", path);
	buf_free(&hex);
	return st;
}

/* --- */

static void
send_failure(struct failing *s, struct failure *f)
{
	struct span domain = span_of(f->first.policy_domain);
	intptr_t n = (intptr_t)map_get(s->sent, domain);
	struct buf mail = BUF_INIT;
	struct err e = ERR_INIT;
	bool keep = false;

	if (n >= params.failure_report_limit) {
		s->ndropped += f->incidents;
		return;
	}
	if (!f->first.unasked)
		destinations(s->dns, "ruf", f->first.policy_domain,
			     f->first.org ? f->first.org
					  : f->first.policy_domain,
			     f->first.record, &f->to, &keep);
	if (f->to.n + params.failure_report_bcc.n > 0 && !keep) {
		failure_mail(f, s->dns, buf_span(&s->key), s->now, &mail);
		if (opts.print)
			printf("%s\n", buf_str(&mail));
		else
			(void)!report_submit(&mail, &e);
		keep = e.status != 0;
		if (keep)
			fprintf(stderr, "mx-report: %s: %s\n",
				f->first.policy_domain, e.text);
		else
			s->nsent++;
		(void)map_put(s->sent, domain, (void *)(n + !keep));
	}
	s->nkept += keep;
	if (keep)
		buf_addspan(&s->spool.back, buf_span(&f->text));
	buf_free(&mail);
}

static int
send_all(struct failing *s, struct err *e)
{
	const char *file = params.dmarc_failure_file;
	char *count = mem_printf("%s.count", file);
	char *key = mem_printf("%s.key", file);
	struct buf text = BUF_INIT;
	struct span k;
	void *f;
	size_t i = 0;
	int st = spool_open(&s->spool, file, opts.print, &text, e);

	if (st == 0 && s->spool.taken) {
		take_failures(s, buf_span(&text));
		counts_read(s, count);
		st = key_read(&s->key, key, e);
		while (st == 0 && map_next(s->all, &i, &k, &f))
			send_failure(s, f);
		if (st == 0 && !opts.print)
			st = counts_write(s, count, e);
	}
	buf_free(&text);
	free(count);
	free(key);
	return spool_close(&s->spool, st, e);
}

int
send_failures(void)
{
	struct failing s = { .now = clock_now() };
	struct err e = ERR_INIT;
	int st;

	if (params.dmarc_failure_file[0] == '\0')
		return prog_usage(
		    "--send-failures: dmarc_failure_file is not set");
	signal(SIGPIPE, SIG_IGN); /* report_command may end early */
	s.dns = dns_open(site.resolver, &e);
	if (s.dns == NULL)
		return prog_fail(&e);
	s.all = map_new();
	s.sent = map_new();
	st = send_all(&s, &e);
	map_free(s.all, failure_free);
	map_free(s.sent, NULL);
	buf_free(&s.key);
	dns_close(s.dns);
	if (st != 0)
		return prog_fail(&e);
	if (!opts.print && s.nsent + s.nkept + s.ndropped > 0)
		fprintf(stderr,
			"mx-report: %zu failure reports sent, %zu kept for "
			"later, %zu failures over the limit of the day\n",
			s.nsent, s.nkept, s.ndropped);
	return s.nkept > 0 ? ST_TEMPFAIL : ST_OK;
}
