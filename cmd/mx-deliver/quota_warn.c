/*
 * quota_warn.c - a mailbox has passed a limit of quota_warning: the user is
 * told by mail, or a command is run.
 * Dovecot's quota_warning = storage=95%% COMMAND ARG...
 */
#include "clock.h"
#include "conf.h"
#include "date.h"
#include "deposit.h"
#include "handwork.h"
#include "log.h"
#include "maildirsize.h"
#include "num.h"
#include "proc.h"
#include "site.h"
#include "status.h"
#include "users.h"

#include <stdio.h>

#define COMMAND_MS 20000

static const char *
warning(size_t i)
{
	const char *const all[] = { conf.quota_warning, conf.quota_warning2,
				    conf.quota_warning3, conf.quota_warning4 };

	return i < ARRAY_LEN(all) ? all[i] : NULL;
}

bool
quota_warns(void)
{
	for (size_t i = 0; warning(i) != NULL; i++)
		if (warning(i)[0] != '\0')
			return true;
	return false;
}

static int
percent(int64_t used, uint64_t limit)
{
	if (limit == 0 || used <= 0)
		return 0;
	if ((uint64_t)used >= limit)
		return 100;
	return (int)((double)used * 100 / (double)limit);
}

static void
tell(int root, const char *user, int passed)
{
	struct deposit d;
	struct buf b = BUF_INIT, date = BUF_INIT;
	struct err e = ERR_INIT;
	struct date now;

	date_from_unix_local(&now, clock_now());
	date_print(&date, &now);
	buf_addf(&b,
		 "Return-Path: <>\n"
		 "From: Mail Delivery System <MAILER-DAEMON@%s>\n"
		 "To: <%s>\n"
		 "Date: %s\n"
		 "Subject: Your mailbox is %d%% full\n"
		 "Message-ID: <%lld.quota@%s>\n"
		 "Auto-Submitted: auto-generated\n"
		 "Precedence: bulk\n"
		 "MIME-Version: 1.0\n"
		 "Content-Type: text/plain; charset=us-ascii\n"
		 "\n"
		 "Your mailbox at %s has passed %d%% of what it may hold.\n"
		 "When it is full, no more mail can be delivered to it:\n"
		 "please delete what you no longer need.\n",
		 site.myhostname, user, buf_str(&date), passed,
		 (long long)clock_now_us(), site.myhostname, site.myhostname,
		 passed);
	int r = deposit_open(&d, root, DEPOSIT_AUTO, &e);
	if (r == 0) {
		r = deposit_write(&d, b.p, b.n, &e);
		if (r == 0)
			r = deposit_commit(&d, NULL, &e);
		if (r == 0)
			maildirsize_note(root, (int64_t)b.n, 1);
		deposit_abort(&d);
	}
	if (r != 0)
		log_warn("quota warning of %s: %s", user, e.text);
	buf_free(&b);
	buf_free(&date);
}

/* "80 95%": the highest percentage that was passed, 0: none. */
static int
list_passed(const char *text, const struct quota_step *s)
{
	int before = percent(s->bytes[0], s->limit.bytes), passed = 0;
	int now = percent(s->bytes[1], s->limit.bytes);
	struct span rest = span_of(text), w;

	if (percent(s->count[1], s->limit.count) > now) {
		now = percent(s->count[1], s->limit.count);
		before = percent(s->count[0], s->limit.count);
	}
	while (span_word(&rest, ", \t", &w)) {
		uint64_t n;
		size_t used;

		if (!num_prefix(w, 100, &n, &used))
			log_warn("quota_warning: \"%.*s\": expected a "
				 "percentage, or storage=95%% COMMAND",
				 SPAN_ARG(w));
		else if (before < (int)n && now >= (int)n && (int)n > passed)
			passed = (int)n;
	}
	return passed;
}

/* "storage=95%%", "messages=80%%", "bytes=1G": was it passed? */
static bool
rule_passed(struct span rule, const struct quota_step *s)
{
	struct span name, limit = rule;
	uint64_t n, unit = 1 << 10, whole = s->limit.bytes;
	const int64_t *used = s->bytes;
	size_t at;

	/* going below a limit: deliveries never do */
	if (!span_split(&limit, '=', &name) || span_starts(name, SPAN("-")))
		return false;
	if (span_is(name, "messages")) {
		used = s->count;
		whole = s->limit.count;
		unit = 1;
	} else if (span_is(name, "bytes")) {
		unit = 1;
	} else if (!span_is(name, "storage")) {
		log_warn("quota_warning: \"%.*s\": expected storage=95%%%%, "
			 "bytes= or messages=",
			 SPAN_ARG(rule));
		return false;
	}
	if (span_ends(limit, SPAN("%"))) {
		if (!num_prefix(limit, 100, &n, &at))
			return false;
		return whole > 0 && percent(used[0], whole) < (int)n &&
		       percent(used[1], whole) >= (int)n;
	}
	return quota_size(limit, unit, &n) && used[0] < (int64_t)n &&
	       used[1] >= (int64_t)n;
}

static void
run(struct span line, const char *user, const char *home)
{
	struct strs words = STRS_INIT;
	struct command c = { .limit_ms = COMMAND_MS, .dir = home };
	struct command_result r = { .status = ST_OK };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	bool ok = proc_words(&words, line, &e) == 0 && words.n > 0;

	for (size_t i = 0; ok && i < words.n; i++) {
		buf_clear(&b);
		ok = users_expand(&b, words.v[i], user, home);
		if (ok)
			strs_addspan(&c.argv, buf_span(&b));
		else
			err_set(&e, ST_CONFIG, "%s: no home is known",
				words.v[i]);
	}
	strs_add(&c.env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
			 "/usr/bin:/sbin:/bin");
	strs_addf(&c.env, "USER=%s", user);
	strs_addf(&c.env, "HOME=%s", home != NULL ? home : "/");
	if (ok && handwork_run(&c, -1, &r, &e) == 0 && r.status != ST_OK)
		log_warn("quota_warning: %s for %s: status %d: %.*s",
			 c.argv.v[0], user, r.status,
			 SPAN_ARG(span_trim(buf_span(&r.errs))));
	if (e.status != ST_OK)
		log_warn("quota_warning of %s: %s", user, e.text);
	buf_free(&r.out);
	buf_free(&r.errs);
	buf_free(&b);
	strs_free(&words);
	strs_free(&c.argv);
	strs_free(&c.env);
}

void
quota_warn(int root, const struct quota_step *s, const char *user,
	   const char *home)
{
	for (size_t i = 0; warning(i) != NULL; i++) {
		struct span rest = span_trim(span_of(warning(i))), rule;

		if (!span_word(&rest, " \t", &rule))
			continue;
		if (span_chr(rule, '=') < 0) {
			int passed = list_passed(warning(i), s);
			if (passed > 0)
				tell(root, user, passed);
		} else if (rule_passed(rule, s)) {
			/* Dovecot: the first one that was passed, and no
			 * other */
			run(span_trim(rest), user, home);
			return;
		}
	}
}
