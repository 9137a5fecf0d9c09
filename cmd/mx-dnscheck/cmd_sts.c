/*
 * cmd_sts.c - the commands mta-sts and tlsrpt.
 */
#include "dnscheck.h"
#include "status.h"
#include "sts.h"

#include <stdlib.h>

static void
join(struct buf *b, const struct strs *l)
{
	for (size_t i = 0; i < l->n; i++)
		buf_addf(b, "%s%s", i ? "," : "", l->v[i]);
}

static void
json_list(struct json *j, const char *key, const struct strs *l)
{
	json_array(j, key);
	for (size_t i = 0; i < l->n; i++)
		json_str(j, NULL, span_of(l->v[i]));
	json_end(j, ']');
}

/* Each mail host must be one of the policy's: else enforce loses mail. */
static void
check_hosts(struct sts *s, struct dns *dns, const char *domain, deadline_t dl)
{
	struct dns_answer ans;
	struct err e = ERR_INIT;

	if (s->code != VERIFY_PASS || s->p.mode == MTASTS_MODE_NONE)
		return;
	switch (dns_query(dns, domain, DNS_MX, &ans, dl, &e)) {
	case DNS_OK:
		break;
	case DNS_TEMP:
		s->code = VERIFY_TEMPERROR;
		return;
	default:
		return;
	}
	for (size_t i = 0; i < ans.n; i++) {
		if (mtasts_match(&s->p, ans.v[i].text))
			continue;
		s->code = VERIFY_FAIL;
		snprintf(s->p.reason, sizeof(s->p.reason),
			 "the policy does not name the MX %s", ans.v[i].text);
	}
	dns_answer_free(&ans);
}

static void
sts_text(struct buf *out, const struct sts *s)
{
	struct buf mx = BUF_INIT;

	join(&mx, &s->p.mx);
	buf_adds(out, verify_word(s->code));
	if (s->p.mx.n > 0 || s->code == VERIFY_PASS) {
		check_word(out, "mode", span_of(mtasts_mode_word(s->p.mode)));
		check_word(out, "id", buf_span(&s->p.id));
		buf_addf(out, " max_age=%lld", (long long)s->p.max_age);
		check_word(out, "mx", buf_span(&mx));
	}
	check_text(out, "reason", span_of(s->p.reason));
	buf_addc(out, '\n');
	buf_free(&mx);
}

int
cmd_mta_sts(int argc, char **argv)
{
	deadline_t dl = clock_deadline(CHECK_MS);
	struct dns *dns = check_dns();
	struct buf out = BUF_INIT;
	struct sts s;
	struct json j;
	int st;

	if (argc != 1)
		return prog_usage("mta-sts needs one DOMAIN");
	sts_fetch(&s, dns, argv[0], dl);
	check_hosts(&s, dns, argv[0], dl);
	if (prog.json) {
		json_init(&j, &out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(verify_word(s.code)));
		json_str(&j, "mode", span_of(mtasts_mode_word(s.p.mode)));
		json_str(&j, "id", buf_span(&s.p.id));
		json_int(&j, "max_age", s.p.max_age);
		json_list(&j, "mx", &s.p.mx);
		json_str(&j, "reason", span_of(s.p.reason));
		json_end(&j, '}');
		buf_addc(&out, '\n');
	} else {
		sts_text(&out, &s);
	}
	st = check_status(s.code);
	sts_done(&s);
	return check_print(&out, st);
}

int
cmd_tlsrpt(int argc, char **argv)
{
	struct buf out = BUF_INIT, rua = BUF_INIT;
	struct tlsrpt t;
	struct json j;
	int st;

	if (argc != 1)
		return prog_usage("tlsrpt needs one DOMAIN");
	tlsrpt_fetch(&t, check_dns(), argv[0], clock_deadline(CHECK_MS));
	if (prog.json) {
		json_init(&j, &out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(verify_word(t.code)));
		json_list(&j, "rua", &t.rua);
		json_str(&j, "record", buf_span(&t.record));
		json_str(&j, "reason", span_of(t.reason));
		json_end(&j, '}');
		buf_addc(&out, '\n');
	} else {
		join(&rua, &t.rua);
		buf_adds(&out, verify_word(t.code));
		check_word(&out, "rua", buf_span(&rua));
		check_text(&out, "record", buf_span(&t.record));
		check_text(&out, "reason", span_of(t.reason));
		buf_addc(&out, '\n');
		buf_free(&rua);
	}
	st = check_status(t.code);
	tlsrpt_done(&t);
	return check_print(&out, st);
}
