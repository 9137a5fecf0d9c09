/*
 * rbl.c - is an address on a block list?  RFC 5782 2.1, 2.4; and the command
 * rbl, all lists at once.
 */
#include "rbl.h"
#include "dnscheck.h"
#include "escape.h"
#include "jobs.h"
#include "mem.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

const char *
rbl_word(enum rbl_code c)
{
	static const char *const words[] = { "clean", "listed", "refused",
					     "temperror" };

	return words[c];
}

static void
rbl_text(struct rbl *r, struct dns *dns, const char *name, deadline_t dl)
{
	struct dns_answer ans;

	if (dns_query(dns, name, DNS_TXT, &ans, dl, NULL) != DNS_OK)
		return;
	escape_line(&r->text, span_make(ans.v[0].text, ans.v[0].len), 200);
	dns_answer_free(&ans);
}

void
rbl_query(struct rbl *r, struct dns *dns, const char *ip, const char *zone,
	  deadline_t dl)
{
	struct buf name = BUF_INIT;
	struct dns_answer ans;
	enum dns_status st;

	*r = (struct rbl){ .code = RBL_TEMPERROR };
	/* RFC 5782 2.1, 2.4: the address backwards, as nibbles of IPv6 */
	if (!dns_reverse_name(ip, zone, zone, &name)) {
		buf_free(&name);
		return;
	}
	st = dns_query(dns, buf_str(&name), DNS_A, &ans, dl, NULL);
	if (st == DNS_OK) {
		struct span a = span_of(ans.v[0].text);

		snprintf(r->answer, sizeof(r->answer), "%s", ans.v[0].text);
		/* 127.255.255.0/24: an error of ours, as the large lists say
		 * it; what is not in 127/8 is a dead list's parking page. */
		if (span_starts(a, SPAN("127.255.255.")) ||
		    !span_starts(a, SPAN("127.")))
			r->code = RBL_REFUSED;
		else
			r->code = RBL_LISTED;
		rbl_text(r, dns, buf_str(&name), dl);
		dns_answer_free(&ans);
		/* RFC 5782 2.1: no such name is "not listed" */
	} else if (st != DNS_TEMP) {
		r->code = RBL_CLEAN;
		dns_answer_free(&ans);
	}
	buf_free(&name);
}

void
rbl_done(struct rbl *r)
{
	buf_free(&r->text);
}

struct question {
	const char *ip, *zone;
};

/* "LETTER ANSWER TEXT", or JSON. */
static void
ask(struct buf *out, void *arg)
{
	const struct question *q = arg;
	struct rbl r;

	rbl_query(&r, check_dns(), q->ip, q->zone, clock_deadline(CHECK_MS));
	buf_addc(out, (char)('0' + (int)r.code));
	if (prog.json) {
		struct json j;

		json_init(&j, out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(rbl_word(r.code)));
		json_str(&j, "zone", span_of(q->zone));
		json_str(&j, "answer", span_of(r.answer));
		json_str(&j, "text", buf_span(&r.text));
		json_end(&j, '}');
	} else {
		buf_addf(out, "%s zone=%s", rbl_word(r.code), q->zone);
		check_word(out, "answer", span_of(*r.answer ? r.answer : "-"));
		check_text(out, "text", buf_span(&r.text));
		buf_addc(out, '\n');
	}
	rbl_done(&r);
}

int
cmd_rbl(int argc, char **argv)
{
	const struct strs *zones = check_rbl_zones();
	struct job *v = mem_alloc(zones->n + 1, sizeof(*v));
	struct question *q = mem_alloc(zones->n + 1, sizeof(*q));
	struct buf out = BUF_INIT;
	bool listed = false, temp = false;

	if (argc != 1 || !dns_reverse_name(argv[0], NULL, NULL, &out))
		return prog_usage("rbl needs one IP");
	buf_clear(&out);
	for (size_t i = 0; i < zones->n; i++) {
		q[i] = (struct question){ argv[0], zones->v[i] };
		v[i] = (struct job){ .run = ask, .arg = &q[i] };
	}
	jobs_run(v, zones->n, clock_deadline(CHECK_MS + 2000));
	buf_adds(&out, prog.json ? "[" : "");
	for (size_t i = 0; i < zones->n; i++) {
		struct span text = buf_span(&v[i].out);
		char code = v[i].done && text.n > 0 ? text.p[0] : '3';

		listed |= code == '0' + RBL_LISTED;
		temp |= code == '0' + RBL_TEMPERROR;
		if (prog.json && i > 0)
			buf_addc(&out, ',');
		if (v[i].done)
			buf_addspan(&out, span_from(text, 1));
		buf_free(&v[i].out);
	}
	buf_adds(&out, prog.json ? "]\n" : "");
	free(v);
	free(q);
	return check_print(&out, listed ? ST_NO : temp ? ST_TEMPFAIL : ST_OK);
}
