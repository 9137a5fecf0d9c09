/*
 * verify_probe.c - asks the next host about an address: mx-send --probe, which
 * ends before DATA.  What it says is a stranger's: queue_send.c reads it.
 */
#include "verify.h"

#include "clock.h"
#include "command.h"
#include "escape.h"
#include "io.h"
#include "log.h"
#include "opt.h"
#include "proc.h"
#include "queue.h"
#include "site.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PROBE_MS 600000

static void
deferred(struct verify_answer *a, const char *text)
{
	a->state = VERIFY_DEFER;
	snprintf(a->dsn, sizeof(a->dsn), "4.3.0");
	buf_clear(&a->text);
	buf_adds(&a->text, text);
}

/* ADDR WORD DSN RELAY TEXT */
static bool
take_line(struct span line, const char *addr, struct verify_answer *a)
{
	static const char *const words[] = { "deliverable", "deferred",
					     "undeliverable" };
	struct buf w[4] = { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT };
	bool ok = true;
	size_t k = 0;

	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		ok = ok && queue_send_word(&line, &w[i]);
	while (k < ARRAY_LEN(words) && !span_is(buf_span(&w[1]), words[k]))
		k++;
	ok = ok && k < ARRAY_LEN(words) && span_is(buf_span(&w[0]), addr) &&
	     queue_send_dsn(buf_span(&w[2]), "245"[k]);
	if (ok) {
		a->state = (enum verify_state)k;
		snprintf(a->dsn, sizeof(a->dsn), "%s", buf_str(&w[2]));
		buf_clear(&a->text);
		escape_line(&a->text, span_trim(line), 300);
	}
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		buf_free(&w[i]);
	return ok;
}

void
verify_probe(const char *addr, const struct route *r, const char *sender,
	     struct verify_answer *a)
{
	struct strs argv = STRS_INIT;
	struct proc_spec ps = { .fd = { -1, -1, -1, -1 }, .new_group = true };
	struct err e = ERR_INIT;
	struct buf hop = BUF_INIT;
	struct stream s;
	struct span line;
	int link[2];
	pid_t pid = -1;

	deferred(a, "the probe gave no answer");
	strs_take(&argv, command_own("mx-send"));
	for (size_t i = 0; i < prog.overrides.n; i++)
		strs_addf(&argv, "-o%s", prog.overrides.v[i]);
	if (site.resolver != NULL && site.resolver[0] != '\0')
		strs_addf(&argv, "--resolver=%s", site.resolver);
	strs_add(&argv, "--probe");
	if (strcmp(route_client(r->transport), "lmtp") == 0)
		strs_add(&argv, "--lmtp");
	queue_send_nexthop(&hop, r);
	strs_addf(&argv, "--nexthop=%s", buf_str(&hop));
	strs_addf(&argv, "--sender=%s", sender);
	strs_add(&argv, "--");
	strs_add(&argv, addr);
	ps.argv = argv.v;
	if (pipe2(link, O_CLOEXEC) == 0) {
		ps.fd[1] = link[1];
		pid = proc_spawn(&ps, &e);
		close(link[1]);
		if (pid < 0) {
			deferred(a, e.text);
			close(link[0]);
		}
	}
	if (pid > 0) {
		deadline_t d = clock_deadline(PROBE_MS);

		stream_init(&s, link[0], link[0]);
		while (stream_line(&s, 8192, &line, d) == IO_OK)
			if (!take_line(line, addr, a))
				log_warn("mx-send --probe said what it should "
					 "not: %.*s",
					 SPAN_ARG(span_sub(line, 0, 200)));
		stream_close(&s);
		(void)proc_wait(pid, clock_deadline(10000), NULL);
	}
	buf_free(&hop);
	strs_free(&argv);
}
