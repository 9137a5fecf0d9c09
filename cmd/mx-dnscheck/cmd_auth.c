/*
 * cmd_auth.c - the filter `auth`: SPF, DKIM and DMARC over one message; forged
 * results removed, ours on top.
 */
#include "auth.h"
#include "io.h"
#include "mem.h"
#include "status.h"

#include <stdlib.h>
#include <unistd.h>

void
auth_envelope(struct auth *a)
{
	struct {
		const char *opt;
		char **field;
	} over[] = { { opts.sender, &a->env.sender },
		     { opts.helo, &a->env.helo },
		     { opts.client_addr, &a->env.client_addr },
		     { opts.client_name, &a->env.client_name },
		     { opts.auth_user, &a->env.auth_user } };

	envelope_from_env(&a->env);
	for (size_t i = 0; i < ARRAY_LEN(over); i++) {
		if (over[i].opt == NULL)
			continue;
		free(*over[i].field);
		*over[i].field = mem_strdup(over[i].opt);
	}
}

static int
emit(void *ctx, const void *p, size_t n)
{
	(void)ctx;
	return io_write(STDOUT_FILENO, p, n, DEADLINE_NEVER) == IO_OK ? 0 : -1;
}

static int
verdict(struct auth *a, struct msg_edit *ed)
{
	struct err e = ERR_INIT;
	struct buf text = BUF_INIT;
	const char *esc;
	bool refused = auth_refusal(a, &text, &esc);

	if (refused)
		err_esc(&e, ST_UNAVAILABLE, esc, "%s", buf_str(&text));
	buf_free(&text);
	if (refused)
		return prog_fail(&e);
	if (msg_edit_emit(ed, emit, NULL) != 0) {
		err_set(&e, ST_IOERR, "standard output cannot be written");
		return prog_fail(&e);
	}
	return ST_OK;
}

int
cmd_auth(int argc, char **argv)
{
	struct auth a = { 0 };
	struct msg_load load;
	struct msg_edit ed;
	struct err e = ERR_INIT;
	int status;

	if (argc > 0)
		return prog_usage("auth: %s: unexpected", argv[0]);
	if (auth_configure(NULL, &e) != 0)
		return prog_fail(&e);
	a.id = auth_id();
	a.now = check_time();
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0)
		return prog_fail(&e);
	msg_index(&a.m, load.bytes, 0);
	/* A From, or forged results, could hide behind what is looked at. */
	if (msg_header_cut(&a.m)) {
		err_esc(&e, ST_UNAVAILABLE, "5.3.4", "the header is too large");
		return prog_fail(&e);
	}
	a.dns = check_dns();
	auth_envelope(&a);
	if (auth_run(&a, &e) != 0)
		return prog_fail(&e);
	msg_edit_init(&ed, &a.m);
	auth_mark(&a, &ed);
	auth_history(&a);
	auth_failure(&a);
	status = verdict(&a, &ed);
	msg_edit_done(&ed);
	auth_done(&a);
	dns_close(a.dns);
	msg_done(&a.m);
	msg_unload(&load);
	return status;
}
