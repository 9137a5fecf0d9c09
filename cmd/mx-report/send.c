/*
 * send.c - mx-report --send: the history of complete days becomes reports,
 * mailed to who asked for them.  RFC 9990 3, 4 (external destinations).
 */
#include "send.h"
#include "clock.h"
#include "date.h"
#include "escape.h"
#include "mem.h"
#include "num.h"
#include "opt.h"
#include "site.h"
#include "status.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

struct sending {
	struct map *domains; /* "DAY POLICY-DOMAIN" -> struct outgoing */
	struct spool spool;
	int64_t now, until;
	struct dns *dns;
	size_t sent, failed;
};

static void
outgoing_free(void *p)
{
	struct outgoing *o = p;

	free(o->domain);
	free(o->record);
	free(o->org);
	strs_free(&o->rua);
	map_free(o->rows, NULL);
	buf_free(&o->text);
	free(o);
}

static void
give_back(struct sending *s, struct span text)
{
	buf_addspan(&s->spool.back, text);
	buf_addc(&s->spool.back, '\n');
}

/* One domain, one day of UTC: periods do not overlap, and what has to be sent
 * again has the same name (RFC 9990 3.1.1.4, 3.5.2). */
static struct outgoing *
outgoing_of(struct sending *s, const struct seen *x)
{
	int64_t day = x->time / 86400;
	char *key = mem_printf("%lld %s", (long long)day, x->policy_domain);
	struct outgoing *o = map_get(s->domains, span_of(key));

	if (o == NULL) {
		o = mem_alloc(1, sizeof(*o));
		o->domain = mem_strdup(x->policy_domain);
		o->org = mem_strdup(x->org ? x->org : x->policy_domain);
		o->record = mem_strdup("");
		o->begin = day * 86400;
		o->end =
		    o->begin + 86400 < s->until ? o->begin + 86400 : s->until;
		o->end--;
		o->rows = map_new();
		(void)map_put(s->domains, span_of(key), o);
	}
	free(key);
	return o;
}

/* It becomes a header field, an identifier and a file name. */
static bool
plain_name(const char *name)
{
	for (const char *p = name; *p != '\0'; p++)
		if (!ascii_isalnum(*p) && strchr(".-_", *p) == NULL)
			return false;
	return name[0] != '\0' && strlen(name) <= 253;
}

static void
take_message(struct sending *s, const struct seen *x)
{
	struct outgoing *o;
	struct buf row = BUF_INIT;
	intptr_t count;

	/* of a day that is not over */
	if (x->time >= s->until) {
		give_back(s, x->text);
		return;
	}
	/* nobody wants to know; no client, so no source_ip to name */
	if (aggregate_tag(x->record, "rua").n == 0 || x->ip[0] == '\0' ||
	    !plain_name(x->policy_domain))
		return;
	o = outgoing_of(s, x);
	free(o->record); /* the newest one counts */
	o->record = mem_strdup(x->record);
	o->psl = x->psl;
	aggregate_row(x, &row);
	count = (intptr_t)map_get(o->rows, buf_span(&row));
	(void)map_put(o->rows, buf_span(&row), (void *)(count + 1));
	buf_free(&row);
	/* given up after report_expire */
	if (x->time > s->now - params.report_expire / 1000) {
		buf_addspan(&o->text, x->text);
		buf_addc(&o->text, '\n');
	}
}

bool
report_gzip(struct span bytes, struct buf *out)
{
	z_stream z = { 0 };
	int r;

	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 9,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	z.next_in = (Bytef *)(uintptr_t)bytes.p;
	z.avail_in = (uInt)bytes.n;
	z.avail_out = (uInt)deflateBound(&z, bytes.n);
	z.next_out = (Bytef *)buf_room(out, z.avail_out);
	r = deflate(&z, Z_FINISH);
	buf_grew(out, z.total_out);
	deflateEnd(&z);
	return r == Z_STREAM_END;
}

void
report_base64(struct buf *out, struct span bytes)
{
	while (bytes.n > 0) {
		struct span part = span_sub(bytes, 0, 57);

		base64_encode(out, part);
		buf_addc(out, '\n');
		bytes = span_from(bytes, part.n);
	}
}

/* RFC 9990 3.5.1, 3.5.2: identifier, subject, file name, type.  The same for
 * the same day, so that a second one is seen to be a duplicate. */
static bool
make_mail(const struct sending *s, const struct outgoing *o, struct buf *out)
{
	struct buf xml = BUF_INIT, gz = BUF_INIT, id = BUF_INIT,
		   date = BUF_INIT;
	struct date d;
	bool ok;

	buf_addf(&id, "%lld.%lld.%s@%s", (long long)o->begin, (long long)o->end,
		 o->domain, site.myhostname);
	aggregate_xml(o, buf_str(&id), &xml);
	ok = report_gzip(buf_span(&xml), &gz);
	date_from_unix(&d, s->now, 0);
	date_print(&date, &d);
	buf_addf(out, "From: DMARC reports <%s>\nTo: ", params.report_sender);
	for (size_t i = 0; i < o->rua.n; i++)
		buf_addf(out, "%s%s", i ? ",\n\t" : "", o->rua.v[i]);
	buf_addf(out,
		 "\nSubject: Report Domain: %s\n\tSubmitter: %s\n"
		 "\tReport-ID: <%s>\nDate: %s\n"
		 "Message-ID: <dmarc.%s>\nAuto-Submitted: "
		 "auto-generated\nMIME-Version: 1.0\n"
		 "Content-Type: multipart/mixed; boundary=\"=report\"\n\n"
		 "--=report\nContent-Type: text/plain; charset=us-ascii\n\n"
		 "This is a DMARC aggregate report about %s.\n\n"
		 "--=report\nContent-Type: application/gzip\n"
		 "Content-Transfer-Encoding: base64\n"
		 "Content-Disposition: attachment;\n"
		 "\tfilename=\"%s!%s!%lld!%lld.xml.gz\"\n\n",
		 o->domain, site.myhostname, buf_str(&id), buf_str(&date),
		 buf_str(&id), o->domain, site.myhostname, o->domain,
		 (long long)o->begin, (long long)o->end);
	report_base64(out, buf_span(&gz));
	buf_adds(out, "--=report--\n");
	buf_free(&xml);
	buf_free(&gz);
	buf_free(&id);
	buf_free(&date);
	return ok;
}

static void
send_one(struct sending *s, struct outgoing *o)
{
	struct buf mail = BUF_INIT;
	struct err e = ERR_INIT;

	destinations(s->dns, "rua", o->domain, o->org, o->record, &o->rua,
		     &o->keep);
	/* one address that cannot be asked about must not cost the others
	 * theirs: the last time, those that can be had get it */
	if (o->text.n == 0 && o->rua.n > 0)
		o->keep = false;
	if (o->rua.n > 0 && !o->keep) {
		if (!make_mail(s, o, &mail))
			err_set(&e, ST_TEMPFAIL, "zlib: out of memory");
		else if (opts.print)
			printf("%s\n", buf_str(&mail));
		else
			(void)!report_submit(&mail, &e);
		o->keep = e.status != 0;
		if (o->keep)
			fprintf(stderr, "mx-report: %s: %s\n", o->domain,
				e.text);
		else
			s->sent++;
	} else if (o->keep) {
		fprintf(stderr, "mx-report: %s: DNS is in trouble\n",
			o->domain);
	}
	s->failed += o->keep;
	if (o->keep)
		buf_addspan(&s->spool.back, buf_span(&o->text));
	buf_free(&mail);
}

static void
read_history(struct sending *s, struct span text)
{
	struct seen x;

	while (history_next(&text, &x)) {
		take_message(s, &x);
		history_free(&x);
	}
}

static int
send_all(struct sending *s, struct err *e)
{
	struct buf text = BUF_INIT;
	struct span key;
	void *o;
	size_t i = 0;
	int st = spool_open(&s->spool, params.dmarc_history_file, opts.print,
			    &text, e);

	if (st == 0)
		read_history(s, buf_span(&text));
	while (st == 0 && map_next(s->domains, &i, &key, &o))
		send_one(s, o);
	buf_free(&text);
	return spool_close(&s->spool, st, e);
}

bool
report_until(int64_t now, int64_t *until_r)
{
	*until_r = now / 86400 * 86400;
	if (opts.until == NULL ||
	    num_i64(span_of(opts.until), 0, INT64_MAX / 2, until_r))
		return true;
	(void)prog_usage("--until %s: expected seconds since 1970", opts.until);
	return false;
}

int
send_reports(void)
{
	struct sending s = { .now = clock_now() };
	struct err e = ERR_INIT;
	int st;

	if (params.dmarc_history_file[0] == '\0')
		return prog_usage("--send: dmarc_history_file is not set");
	signal(SIGPIPE, SIG_IGN); /* report_command may end early */
	if (!report_until(s.now, &s.until))
		return ST_USAGE;
	s.dns = dns_open(site.resolver, &e);
	if (s.dns == NULL)
		return prog_fail(&e);
	s.domains = map_new();
	st = send_all(&s, &e);
	map_free(s.domains, outgoing_free);
	dns_close(s.dns);
	if (st != 0)
		return prog_fail(&e);
	if (!opts.print && s.sent + s.failed > 0)
		fprintf(stderr, "mx-report: %zu sent, %zu kept for later\n",
			s.sent, s.failed);
	return s.failed > 0 ? ST_TEMPFAIL : ST_OK;
}
