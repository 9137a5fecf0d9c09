/*
 * arc_check.c - the validation of an ARC chain, and the command arc.
 * RFC 8617 5.2.
 */
#include "arc_check.h"
#include "arc.h"
#include "dnscheck.h"
#include "status.h"

#include <stdio.h>
#include <unistd.h>

/* RFC 8617 5.2, step 5: how far down the message signatures still verify. */
static void
oldest_pass(struct arc_result *r, const struct arc *a, const struct msg *m,
	    struct dns *dns, int64_t now, deadline_t dl)
{
	char reason[160];

	r->oldest_pass = 0;
	for (int i = a->n - 1; i >= 1; i--) {
		if (verify_ams(m, a->v[i - 1].ams, dns, now, dl, reason) ==
		    VERIFY_PASS)
			continue;
		r->oldest_pass = i + 1;
		return;
	}
}

static void
arc_set_reason(struct arc_result *r, enum verify_code code, const char *what,
	       int i, const char *why)
{
	r->code = code == VERIFY_TEMPERROR ? VERIFY_TEMPERROR : VERIFY_FAIL;
	snprintf(r->reason, sizeof(r->reason), "%s i=%d: %.120s", what, i, why);
}

void
arc_check(struct arc_result *r, const struct msg *m, struct dns *dns,
	  int64_t now, deadline_t dl)
{
	struct arc a;
	char why[160];
	enum verify_code code;

	*r = (struct arc_result){ .code = VERIFY_NONE };
	arc_find(&a, m);
	r->n = a.n;
	if (a.n == 0)
		return;
	/* RFC 8617 5.2, steps 2 and 3: the shape of the sets, and cv= */
	if (a.broken) {
		r->code = VERIFY_FAIL;
		snprintf(r->reason, sizeof(r->reason), "%s", a.why);
		return;
	}
	/* step 4: the last forwarder's signature must fit the message */
	code = verify_ams(m, a.v[a.n - 1].ams, dns, now, dl, why);
	if (code != VERIFY_PASS) {
		arc_set_reason(r, code, "message signature", a.n, why);
		return;
	}
	/* step 6: every seal, and each covers the ones below it */
	for (int i = a.n; i >= 1; i--) {
		struct buf data = BUF_INIT;

		arc_seal_data(&data, &a, i, false);
		code = verify_seal(a.v[i - 1].as, buf_span(&data), dns, dl, why,
				   i == a.n ? &r->domain : NULL);
		buf_free(&data);
		if (code != VERIFY_PASS) {
			arc_set_reason(r, code, "seal", i, why);
			return;
		}
	}
	oldest_pass(r, &a, m, dns, now, dl);
	r->code = VERIFY_PASS;
}

void
arc_done(struct arc_result *r)
{
	buf_free(&r->domain);
}

static void
arc_print(struct buf *out, const struct arc_result *r)
{
	struct json j;

	if (prog.json) {
		json_init(&j, out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(verify_word(r->code)));
		json_int(&j, "i", r->n);
		json_int(&j, "oldest-pass", r->oldest_pass);
		json_str(&j, "d", buf_span(&r->domain));
		json_str(&j, "reason", span_of(r->reason));
		json_end(&j, '}');
	} else {
		buf_addf(out, "%s i=%d oldest-pass=%d", verify_word(r->code),
			 r->n, r->oldest_pass);
		check_text(out, "reason", span_of(r->reason));
	}
	buf_addc(out, '\n');
}

int
cmd_arc(int argc, char **argv)
{
	struct msg_load load;
	struct msg m;
	struct arc_result r;
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	int st;

	if (argc > 0)
		return prog_usage("arc: %s: unexpected", argv[0]);
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0)
		return prog_fail(&e);
	msg_index(&m, load.bytes, 0);
	verify_forget();
	arc_check(&r, &m, check_dns(), check_time(), clock_deadline(CHECK_MS));
	arc_print(&out, &r);
	st = check_status(r.code);
	arc_done(&r);
	msg_done(&m);
	msg_unload(&load);
	return check_print(&out, st);
}
