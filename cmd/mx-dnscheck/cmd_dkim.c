/*
 * cmd_dkim.c - the command dkim: a line for each signature of a message.
 */
#include "dnscheck.h"
#include "status.h"

#include <unistd.h>

/* 0 if one passes, else 75 if one is temperror, 65 if all are permerror, 1. */
static int
dkim_status(const struct signatures *s)
{
	bool temp = false, all_perm = s->n > 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].code == VERIFY_PASS)
			return ST_OK;
		temp |= s->v[i].code == VERIFY_TEMPERROR;
		all_perm &= s->v[i].code == VERIFY_PERMERROR;
	}
	return temp ? ST_TEMPFAIL : all_perm ? ST_DATA : ST_NO;
}

static void
dkim_json(struct buf *out, const struct signatures *s)
{
	struct json j;

	json_init(&j, out);
	json_array(&j, NULL);
	for (size_t i = 0; i < s->n; i++) {
		json_object(&j, NULL);
		json_str(&j, "result", span_of(verify_word(s->v[i].code)));
		json_str(&j, "d", buf_span(&s->v[i].domain));
		json_str(&j, "s", buf_span(&s->v[i].selector));
		json_str(&j, "a", buf_span(&s->v[i].alg));
		json_str(&j, "reason", span_of(s->v[i].reason));
		json_end(&j, '}');
	}
	json_end(&j, ']');
	buf_addc(out, '\n');
}

int
cmd_dkim(int argc, char **argv)
{
	struct signatures s;
	struct msg_load load;
	struct msg m;
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;
	int status;

	if (argc > 0)
		return prog_usage("dkim: %s: unexpected", argv[0]);
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0)
		return prog_fail(&e);
	msg_index(&m, load.bytes, 0);
	verify_dkim(&s, &m, check_dns(), check_time(),
		    clock_deadline(CHECK_MS));
	if (prog.json) {
		dkim_json(&out, &s);
	} else {
		for (size_t i = 0; i < s.n; i++) {
			buf_adds(&out, verify_word(s.v[i].code));
			check_word(&out, "d", buf_span(&s.v[i].domain));
			check_word(&out, "s", buf_span(&s.v[i].selector));
			check_word(&out, "a", buf_span(&s.v[i].alg));
			check_text(&out, "reason", span_of(s.v[i].reason));
			buf_addc(&out, '\n');
		}
		if (s.n == 0)
			buf_adds(&out, "none\n");
	}
	status = dkim_status(&s);
	verify_done(&s);
	msg_done(&m);
	msg_unload(&load);
	return check_print(&out, status);
}
