/*
 * tls_send.c - mx-report --send-tls: what mx-send noted of its TLS sessions
 * becomes a report a domain and day, for who asked at _smtp._tls.DOMAIN.
 * RFC 8460 3, 5.
 */
#include "tls_report.h"
#include "clock.h"
#include "mem.h"
#include "mtasts.h"
#include "num.h"
#include "opt.h"
#include "proc.h"
#include "site.h"
#include "status.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define DNS_MS 20000
#define URIS_MAX 5
#define POLICIES_MAX 50
#define FAILURES_MAX 500 /* kinds of them a policy; then without reasons */

struct tls_sending {
	struct map *all; /* "DAY DOMAIN" -> struct tls_outgoing */
	struct spool spool;
	int64_t now, until;
	struct dns *dns;
	size_t sent, kept;
};

/* A line of the history. */
struct tls_line {
	int64_t time;
	char *domain, *type, *result, *mx, *ip, *local, *helo, *reason;
	struct strs policy;
};

static void
line_free(struct tls_line *l)
{
	char *all[] = { l->domain, l->type,  l->result, l->mx,
			l->ip,     l->local, l->helo,   l->reason };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]);
	strs_free(&l->policy);
}

static bool
line_parse(struct span text, struct tls_line *l)
{
	struct buf v = BUF_INIT;
	struct span key;
	struct {
		const char *key;
		char **at;
	} rows[] = { { "domain", &l->domain }, { "type", &l->type },
		     { "result", &l->result }, { "mx", &l->mx },
		     { "ip", &l->ip },         { "local", &l->local },
		     { "helo", &l->helo },     { "reason", &l->reason } };
	bool all = true;

	*l = (struct tls_line){ .time = -1 };
	if (!span_starts(text, SPAN("mx-tlsrpt-1 ")))
		return false;
	text = span_from(text, 12);
	while (history_pair(&text, &key, &v)) {
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (span_is(key, rows[i].key) && *rows[i].at == NULL)
				*rows[i].at = mem_strdup(buf_str(&v));
		if (span_is(key, "policy"))
			strs_add(&l->policy, buf_str(&v));
		else if (span_is(key, "time"))
			(void)!num_i64(buf_span(&v), 0, INT64_MAX / 2,
				       &l->time);
	}
	buf_free(&v);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		all = all && *rows[i].at != NULL;
	return all && l->time >= 0 && dns_valid_hostname(span_of(l->domain));
}

static void
failure_free(void *p)
{
	struct tls_failure *f = p;

	free(f->result);
	free(f->mx);
	free(f->ip);
	free(f->local);
	free(f->helo);
	free(f->reason);
	free(f);
}

static void
policy_free(void *p)
{
	struct tls_policy_seen *seen = p;

	free(seen->type);
	strs_free(&seen->lines);
	map_free(seen->failures, failure_free);
	free(seen);
}

static void
outgoing_free(void *p)
{
	struct tls_outgoing *o = p;

	free(o->domain);
	map_free(o->policies, policy_free);
	buf_free(&o->text);
	free(o);
}

static struct tls_outgoing *
outgoing_of(struct tls_sending *s, const struct tls_line *l)
{
	int64_t day = l->time / 86400;
	char *key = mem_printf("%lld %s", (long long)day, l->domain);
	struct tls_outgoing *o = map_get(s->all, span_of(key));

	if (o == NULL) {
		o = mem_alloc(1, sizeof(*o));
		o->domain = mem_strdup(l->domain);
		o->day = day;
		o->policies = map_new();
		(void)map_put(s->all, span_of(key), o);
	}
	free(key);
	return o;
}

/* NULL: there are too many. */
static struct tls_policy_seen *
policy_of(struct tls_outgoing *o, const struct tls_line *l)
{
	struct buf key = BUF_INIT;
	struct tls_policy_seen *p;

	buf_adds(&key, l->type);
	for (size_t i = 0; i < l->policy.n; i++)
		buf_addf(&key, "\n%s", l->policy.v[i]);
	p = map_get(o->policies, buf_span(&key));
	if (p == NULL && map_count(o->policies) < POLICIES_MAX) {
		p = mem_alloc(1, sizeof(*p));
		p->type = mem_strdup(l->type);
		for (size_t i = 0; i < l->policy.n; i++)
			strs_add(&p->lines, l->policy.v[i]);
		p->failures = map_new();
		(void)map_put(o->policies, buf_span(&key), p);
	}
	buf_free(&key);
	return p;
}

static void
count_failure(struct tls_policy_seen *p, const struct tls_line *l)
{
	bool full = map_count(p->failures) >= FAILURES_MAX;
	char *key = full
			? mem_strdup(l->result)
			: mem_printf("%s\n%s\n%s\n%s\n%s\n%s", l->result, l->mx,
				     l->ip, l->local, l->helo, l->reason);
	struct tls_failure *f = map_get(p->failures, span_of(key));

	if (f == NULL) {
		f = mem_alloc(1, sizeof(*f));
		*f = (struct tls_failure){
			.result = mem_strdup(l->result),
			.mx = mem_strdup(full ? "" : l->mx),
			.ip = mem_strdup(full ? "" : l->ip),
			.local = mem_strdup(full ? "" : l->local),
			.helo = mem_strdup(full ? "" : l->helo),
			.reason = mem_strdup(full ? "" : l->reason)
		};
		(void)map_put(p->failures, span_of(key), f);
	}
	f->count++;
	free(key);
}

static void
take_line(struct tls_sending *s, struct span text)
{
	struct tls_line l;
	struct tls_outgoing *o;
	struct tls_policy_seen *p;

	if (!line_parse(text, &l)) {
		line_free(&l);
		return;
	}
	if (l.time >= s->until) { /* of a day that is not over */
		buf_addspan(&s->spool.back, text);
		buf_addc(&s->spool.back, '\n');
	} else if ((p = policy_of(o = outgoing_of(s, &l), &l)) != NULL) {
		if (strcmp(l.result, "success") == 0) {
			p->good++;
		} else {
			p->bad++;
			count_failure(p, &l);
		}
		/* given up after tlsrpt_expire */
		if (l.time > s->now - params.tlsrpt_expire / 1000) {
			buf_addspan(&o->text, text);
			buf_addc(&o->text, '\n');
		}
	}
	line_free(&l);
}

/* 5.4: POST, by mx-fetch, so that nothing else links libcurl. */
static int
post(const char *url, struct span body, struct err *e)
{
	struct strs argv = STRS_INIT;
	int st;

	strs_take(&argv, proc_sibling("mx-fetch"));
	strs_add(&argv, "--post");
	strs_add(&argv, "application/tlsrpt+gzip");
	if (params.report_CAfile[0] != '\0') {
		strs_add(&argv, "--ca-file");
		strs_add(&argv, params.report_CAfile);
	}
	strs_add(&argv, url);
	st = report_feed(&argv, body, url, e);
	strs_free(&argv);
	return st;
}

static bool
url_ok(struct span url)
{
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= ' ' || url.p[i] >= 0x7f)
			return false;
	return span_istarts(url, SPAN("https://")) && url.n < 1000;
}

/* 3: rua, mailto and https. */
static void
take_uris(struct span rua, struct strs *to, struct strs *urls)
{
	struct buf addr = BUF_INIT;
	struct span uri;

	for (int n = 0; n < URIS_MAX && span_split(&rua, ',', &uri); n++) {
		uri = span_trim(uri);
		if (destination_mail(uri, &addr))
			strs_add(to, buf_str(&addr));
		else if (url_ok(uri))
			strs_addspan(urls, uri);
	}
	buf_free(&addr);
}

/* One that takes it is enough (3). */
static bool
deliver(struct tls_sending *s, const struct tls_outgoing *o,
	const struct strs *to, const struct strs *urls)
{
	struct buf json = BUF_INIT, gz = BUF_INIT, mail = BUF_INIT;
	struct err e = ERR_INIT;
	bool done = false;

	tls_report_json(o, &json);
	if (!report_gzip(buf_span(&json), &gz))
		err_set(&e, ST_TEMPFAIL, "zlib: out of memory");
	if (e.status == 0 && to->n > 0)
		tls_report_mail(o, to, buf_span(&gz), s->now, &mail);
	if (opts.print) {
		for (size_t i = 0; i < urls->n; i++)
			printf("POST %s\n%s\n", urls->v[i], buf_str(&json));
		if (to->n > 0)
			printf("%s\n", buf_str(&mail));
		done = true;
	} else if (e.status == 0) {
		done = mail.n > 0 && report_submit(&mail, &e) == 0;
		for (size_t i = 0; i < urls->n; i++)
			done |= post(urls->v[i], buf_span(&gz), &e) == 0;
	}
	if (!done)
		fprintf(stderr, "mx-report: %s: %s\n", o->domain, e.text);
	buf_free(&json);
	buf_free(&gz);
	buf_free(&mail);
	return done;
}

static void
send_one(struct tls_sending *s, struct tls_outgoing *o)
{
	char *name = mem_printf("_smtp._tls.%s", o->domain);
	char why[MTASTS_REASON] = "";
	struct buf record = BUF_INIT;
	struct strs to = STRS_INIT, urls = STRS_INIT;
	int found = mtasts_txt(s->dns, name, "v=TLSRPTv1", &record, why,
			       clock_deadline(DNS_MS));
	bool keep = found < 0;

	if (keep)
		fprintf(stderr, "mx-report: %s: %s\n", name, why);
	/* none, or several: it does not want to know (3) */
	if (found == 1)
		take_uris(mtasts_field(buf_span(&record), "rua"), &to, &urls);
	if (to.n + urls.n > 0) {
		keep = !deliver(s, o, &to, &urls);
		s->sent += !keep;
	}
	if (keep)
		buf_addspan(&s->spool.back, buf_span(&o->text));
	s->kept += keep;
	free(name);
	buf_free(&record);
	strs_free(&to);
	strs_free(&urls);
}

static int
send_all(struct tls_sending *s, struct err *e)
{
	struct buf text = BUF_INIT;
	struct span rest, line, key;
	void *o;
	size_t i = 0;
	int st = spool_open(&s->spool, params.tlsrpt_history_file, opts.print,
			    &text, e);

	rest = buf_span(&text);
	while (st == 0 && span_split(&rest, '\n', &line))
		take_line(s, line);
	while (st == 0 && map_next(s->all, &i, &key, &o))
		send_one(s, o);
	buf_free(&text);
	return spool_close(&s->spool, st, e);
}

int
send_tls(void)
{
	struct tls_sending s = { .now = clock_now() };
	struct err e = ERR_INIT;
	int st;

	if (params.tlsrpt_history_file[0] == '\0')
		return prog_usage("--send-tls: tlsrpt_history_file is not set");
	signal(SIGPIPE, SIG_IGN); /* who takes a report may end early */
	if (!report_until(s.now, &s.until))
		return ST_USAGE;
	s.dns = dns_open(site.resolver, &e);
	if (s.dns == NULL)
		return prog_fail(&e);
	s.all = map_new();
	st = send_all(&s, &e);
	map_free(s.all, outgoing_free);
	dns_close(s.dns);
	if (st != 0)
		return prog_fail(&e);
	if (!opts.print && s.sent + s.kept > 0)
		fprintf(stderr,
			"mx-report: %zu TLS reports sent, %zu kept for later\n",
			s.sent, s.kept);
	return s.kept > 0 ? ST_TEMPFAIL : ST_OK;
}
