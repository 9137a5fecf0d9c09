/*
 * cmd_scan.c - the commands spam and virus: a message through a scanner, and
 * what is done with its verdict.  A scanner that is away, slow or not itself
 * never loses a message: it waits (75) or passes, as configured.
 */
#include "actions.h"
#include "confine.h"
#include "escape.h"
#include "filter.h"
#include "io.h"
#include "mem.h"
#include "msg.h"
#include "scan.h"
#include "site.h"
#include "status.h"
#include "table.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct scan_conf scan_conf;

#define ROW(TYPE, MEMBER, DEF, MIN, MAX, WORDS, MEANING)                       \
	PARAM_ROW(struct scan_conf, TYPE, MEMBER, #MEMBER, DEF, MIN, MAX,      \
		  WORDS, MEANING)
#define NAMED(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)               \
	PARAM_ROW(struct scan_conf, TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS,  \
		  MEANING)
static const struct param rows[] = {
	ROW(STR, spam_server, "inet:127.0.0.1:783", 0, 0, NULL,
	    "where spamd or rspamd listens"),
	ROW(CHOICE, spam_protocol, "spamd", 0, 0, "spamd|rspamd",
	    "what spam_server speaks"),
	ROW(TIME, spam_timeout, "60s", 0, 0, "s", "how long it may take"),
	ROW(SIZE, spam_size_limit, "512k", 0, 0, NULL,
	    "larger messages are not asked about; 0: no limit"),
	ROW(CHOICE, spam_default_action, "tempfail", 0, 0, "tempfail|accept",
	    "what is done when spam_server is away"),
	ROW(STR, spam_tag_level, "-9999", 0, 0, NULL,
	    "from this score on X-Spam-Status and X-Spam-Level are added"),
	ROW(STR, spam_tag2_level, "", 0, 0, NULL,
	    "from this score on it is spam (empty: as the scanner says)"),
	ROW(STR, spam_kill_level, "", 0, 0, NULL,
	    "from this score on final_spam_destiny counts (empty: never)"),
	ROW(CHOICE, final_spam_destiny, "reject", 0, 0,
	    "pass|reject|discard|quarantine",
	    "what becomes of spam above spam_kill_level"),
	NAMED(RAWSTR, spam_subject_tag, "spam_subject_tag", "", 0, 0, NULL,
	      "put before the subject of spam"),
	ROW(STR, spam_user, "", 0, 0, NULL,
	    "whose settings count (empty: the recipient's, when it is one)"),
	ROW(STR, virus_server, "unix:/run/clamav/clamd.ctl", 0, 0, NULL,
	    "where clamd listens"),
	ROW(TIME, virus_timeout, "120s", 0, 0, "s", "how long it may take"),
	ROW(CHOICE, virus_default_action, "tempfail", 0, 0, "tempfail|accept",
	    "what is done when virus_server is away"),
	ROW(CHOICE, final_virus_destiny, "reject", 0, 0,
	    "pass|reject|discard|quarantine", "what becomes of a virus"),
	ROW(STR, virus_header, "", 0, 0, NULL,
	    "value of X-Virus-Scanned in clean messages (empty: none)"),
	NAMED(STR, quarantine, "quarantine_folder", "Quarantine", 0, 0, NULL,
	      "the folder of messages in quarantine"),
	NAMED(LIST, bypass_spam, "bypass_spam_checks_maps", "", 0, 0, NULL,
	      "recipients and domains that want no spam check"),
	NAMED(LIST, bypass_virus, "bypass_virus_checks_maps", "", 0, 0, NULL,
	      "recipients and domains that want no virus check"),
};
const struct param_rows scan_rows = { rows, ARRAY_LEN(rows), &scan_conf };

struct scan {
	struct msg_load load;
	struct msg m;
	struct msg_edit ed;
	struct envelope env;
	struct actions acts;
	struct scan_verdict v;
	struct err err;
};

static int
write_out(void *ctx, const void *p, size_t n)
{
	struct scan *s = ctx;

	if (io_write(STDOUT_FILENO, p, n, DEADLINE_NEVER) != IO_OK)
		return err_sys(&s->err, "stdout");
	return 0;
}

static int
open_scan(struct scan *s, const struct strs *bypass, const char *server)
{
	const struct strs *const tables[] = { bypass, NULL };

	*s = (struct scan){ .err = ERR_INIT };
	if (opts.server != NULL)
		server = opts.server;
	if (confine_filter(tables, server, &s->err) != 0)
		return -1;
	signal(SIGPIPE, SIG_IGN); /* a scanner may stop reading */
	if (msg_load(&s->load, STDIN_FILENO, 0, &s->err) != 0)
		return -1;
	envelope_from_env(&s->env);
	if (opts.sender != NULL) {
		free(s->env.sender);
		s->env.sender = mem_strdup(opts.sender);
	}
	if (opts.recipient != NULL) {
		strs_clear(&s->env.recipients);
		strs_add(&s->env.recipients, opts.recipient);
	}
	msg_index(&s->m, s->load.bytes, 0);
	msg_edit_init(&s->ed, &s->m);
	return 0;
}

static void
close_scan(struct scan *s)
{
	msg_edit_done(&s->ed);
	msg_done(&s->m);
	msg_unload(&s->load);
	envelope_free(&s->env);
	actions_done(&s->acts);
	buf_free(&s->v.tests);
}

/* Actions first, then the message. */
static int
pass(struct scan *s)
{
	if (actions_write(&s->acts, &s->err) != 0 ||
	    msg_edit_emit(&s->ed, write_out, s) != 0)
		return prog_fail(&s->err);
	return ST_OK;
}

/* Has everybody whom it is for said no?  A table that cannot answer has not. */
static int
bypassed(struct scan *s, const struct strs *specs)
{
	struct tables ts;
	struct buf value = BUF_INIT;
	size_t said_no = 0;
	bool trouble = false;

	if (specs->n == 0 || s->env.recipients.n == 0)
		return 0;
	tables_open(&ts, specs);
	for (size_t i = 0; i < s->env.recipients.n; i++) {
		struct span rcpt = span_of(s->env.recipients.v[i]);
		ssize_t at = span_rchr(rcpt, '@');
		bool ext;
		enum table_result r =
		    tables_lookup_address(&ts, rcpt, site.recipient_delimiter,
					  false, &value, &ext, &s->err);

		if (r == TABLE_NONE && at >= 0)
			r = tables_lookup_domain(
			    &ts, span_from(rcpt, (size_t)at + 1), &value,
			    &s->err);
		trouble |= r == TABLE_TRY_AGAIN;
		said_no += r == TABLE_FOUND &&
			   !span_iis(buf_span(&value), "no") &&
			   !span_is(buf_span(&value), "0");
	}
	tables_close(&ts);
	buf_free(&value);
	if (trouble)
		return -1;
	return said_no == s->env.recipients.n;
}

/* What came with fields that only our verdict may say: whoever reads them
 * behind us cannot know that nobody was asked. */
static void
drop_verdicts(struct scan *s, const char *prefix)
{
	for (size_t i = 0; i < s->m.n; i++) {
		if (span_istarts(s->m.v[i].name, span_of(prefix)))
			msg_edit_delete(&s->ed, &s->m.v[i]);
	}
}

/* Fields that we do not see are not ours to answer for. */
static bool
hides_fields(const struct scan *s)
{
	if (!msg_header_cut(&s->m))
		return false;
	fprintf(stderr, "5.3.4 the header is too large\n");
	return true;
}

/* The scanner could not be asked. */
static int
no_verdict(struct scan *s, int action)
{
	if (action == 0) {
		s->err.status = ST_TEMPFAIL;
		return prog_fail(&s->err);
	}
	fprintf(stderr, "mx-filter: %s: passed without a verdict\n",
		s->err.text);
	s->err = ERR_INIT;
	return pass(s);
}

static int
destiny(struct scan *s, int what, const char *text)
{
	switch (what) {
	case SCAN_REJECT:
		fprintf(stderr, "5.7.1 %s\n", text);
		return ST_UNAVAILABLE;
	case SCAN_DISCARD:
		actions_add(&s->acts, "discard", NULL);
		break;
	case SCAN_QUARANTINE:
		actions_add(&s->acts, "quarantine", scan_conf.quarantine);
		break;
	default:
		break;
	}
	return pass(s);
}

/* --- spam --- */

static void
add_field(struct scan *s, const char *name, const struct buf *value)
{
	struct buf f = BUF_INIT;

	msg_make_field(&f, name, buf_span(value));
	msg_edit_append(&s->ed, buf_span(&f));
	buf_free(&f);
}

static void
tag_subject(struct scan *s)
{
	const struct msg_field *f = msg_find(&s->m, "Subject", 0);
	struct buf b = BUF_INIT;

	if (scan_conf.spam_subject_tag[0] == '\0')
		return;
	buf_addf(&b, "Subject: %s", scan_conf.spam_subject_tag);
	if (f == NULL) {
		msg_edit_append(&s->ed, buf_span(&b));
	} else if (span_find(f->value, span_of(scan_conf.spam_subject_tag)) <
		   0) {
		if (b.p[b.n - 1] != ' ')
			buf_addc(&b, ' ');
		buf_addspan(&b, span_trim(f->value));
		msg_edit_replace(&s->ed, f, buf_span(&b));
	}
	buf_free(&b);
}

static bool
reaches(const char *level, int64_t score)
{
	int64_t v;

	return level[0] != '\0' && scan_decimal(span_of(level), &v) &&
	       score >= v;
}

static void
add_spam_fields(struct scan *s, bool spam)
{
	struct buf b = BUF_INIT;
	int64_t stars = s->v.score / 1000;

	if (spam) {
		buf_adds(&b, "YES");
		add_field(s, "X-Spam-Flag", &b);
		tag_subject(s);
	}
	if (!spam && !reaches(scan_conf.spam_tag_level, s->v.score)) {
		buf_free(&b);
		return;
	}
	buf_clear(&b);
	scan_print(&b, s->v.score);
	add_field(s, "X-Spam-Score", &b);
	buf_clear(&b);
	for (int64_t i = 0; i < stars && i < 50; i++)
		buf_addc(&b, '*');
	if (b.n > 0)
		add_field(s, "X-Spam-Level", &b);
	buf_clear(&b);
	buf_addf(&b, "%s, score=", spam ? "Yes" : "No");
	scan_print(&b, s->v.score);
	buf_adds(&b, " required=");
	scan_print(&b, s->v.needed);
	buf_adds(&b, " tests=[");
	for (size_t i = 0; i < s->v.tests.n && i < 2000; i++) {
		buf_addc(&b, s->v.tests.p[i]);
		if (s->v.tests.p[i] == ',')
			buf_addc(&b, ' ');
	}
	buf_addc(&b, ']');
	add_field(s, "X-Spam-Status", &b);
	buf_free(&b);
}

static int
ask_spam(struct scan *s, const struct scan_request *q)
{
	struct endpoint ep;
	const char *server = opts.server ? opts.server : scan_conf.spam_server;
	const char *class = opts.learn;
	int r =
	    endpoint_parse(&ep, span_of(server), site.run_directory, &s->err);

	if (r != 0)
		return -1;
	if (class != NULL && strcmp(class, "forget") == 0)
		class = "";
	if (opts.learn != NULL)
		r = scan_conf.spam_protocol == 0
			? scan_spamd_tell(&ep, q, class, &s->err)
			: scan_rspamd_learn(&ep, q, class, &s->err);
	else
		r = scan_conf.spam_protocol == 0
			? scan_spamd(&ep, q, &s->v, &s->err)
			: scan_rspamd(&ep, q, &s->v, &s->err);
	endpoint_free(&ep);
	return r;
}

static int
judge_spam(struct scan *s)
{
	bool spam = scan_conf.spam_tag2_level[0] != '\0'
			? reaches(scan_conf.spam_tag2_level, s->v.score)
			: s->v.bad;
	struct buf text = BUF_INIT;
	int status;

	if (s->v.soft) {
		fprintf(stderr, "4.7.1 try again later\n");
		return ST_TEMPFAIL;
	}
	add_spam_fields(s, spam);
	if (!reaches(scan_conf.spam_kill_level, s->v.score))
		return pass(s);
	buf_adds(&text, "this is spam, score ");
	scan_print(&text, s->v.score);
	status = destiny(s, scan_conf.final_spam_destiny, buf_str(&text));
	buf_free(&text);
	return status;
}

static const char *
whose_settings(const struct scan *s)
{
	if (scan_conf.spam_user[0] != '\0')
		return scan_conf.spam_user;
	if (s->env.recipients.n == 1)
		return s->env.recipients.v[0];
	return getenv("USER");
}

int
cmd_spam(int argc, char **argv)
{
	struct scan s;
	struct scan_request q;
	int status, skip;

	if (argc > 0)
		return prog_usage("spam: %s: unexpected", argv[0]);
	if (opts.learn != NULL && strcmp(opts.learn, "spam") != 0 &&
	    strcmp(opts.learn, "ham") != 0 && strcmp(opts.learn, "forget") != 0)
		return prog_usage("--learn: spam, ham or forget");
	if (open_scan(&s, &scan_conf.bypass_spam, scan_conf.spam_server) != 0)
		return prog_fail(&s.err);
	drop_verdicts(&s, "X-Spam-");
	q = (struct scan_request){ .message = s.load.bytes,
				   .env = &s.env,
				   .user = whose_settings(&s),
				   .deadline =
				       clock_deadline(scan_conf.spam_timeout) };
	skip = opts.learn ? 0 : bypassed(&s, &scan_conf.bypass_spam);
	if (skip == 0 && scan_conf.spam_size_limit > 0 && opts.learn == NULL)
		skip = s.load.bytes.n > (size_t)scan_conf.spam_size_limit;
	if (opts.learn == NULL && hides_fields(&s))
		status = ST_UNAVAILABLE;
	else if (skip > 0)
		status = pass(&s);
	else if (skip < 0 || ask_spam(&s, &q) != 0)
		status = opts.learn
			     ? prog_fail(&s.err)
			     : no_verdict(&s, scan_conf.spam_default_action);
	else
		status = opts.learn ? ST_OK : judge_spam(&s);
	close_scan(&s);
	return status;
}

/* --- viruses --- */

static int
ask_virus(struct scan *s, const struct scan_request *q)
{
	struct endpoint ep;
	const char *server = opts.server ? opts.server : scan_conf.virus_server;
	int r =
	    endpoint_parse(&ep, span_of(server), site.run_directory, &s->err);

	if (r != 0)
		return -1;
	r = scan_clamd(&ep, q, &s->v, &s->err);
	endpoint_free(&ep);
	return r;
}

static int
judge_virus(struct scan *s)
{
	struct buf text = BUF_INIT, b = BUF_INIT;
	int status;

	if (!s->v.bad) {
		buf_adds(&b, scan_conf.virus_header);
		if (b.n > 0)
			add_field(s, "X-Virus-Scanned", &b);
		status = pass(s);
	} else {
		buf_adds(&b, "Infected: ");
		escape_line(&b, buf_span(&s->v.tests), 100);
		add_field(s, "X-Virus-Status", &b);
		buf_adds(&text, "a virus was found: ");
		escape_line(&text, buf_span(&s->v.tests), 100);
		status =
		    destiny(s, scan_conf.final_virus_destiny, buf_str(&text));
	}
	buf_free(&b);
	buf_free(&text);
	return status;
}

int
cmd_virus(int argc, char **argv)
{
	struct scan s;
	struct scan_request q;
	int status, skip;

	if (argc > 0)
		return prog_usage("virus: %s: unexpected", argv[0]);
	if (open_scan(&s, &scan_conf.bypass_virus, scan_conf.virus_server) != 0)
		return prog_fail(&s.err);
	drop_verdicts(&s, "X-Virus-");
	q = (struct scan_request){ .message = s.load.bytes,
				   .env = &s.env,
				   .deadline = clock_deadline(
				       scan_conf.virus_timeout) };
	skip = bypassed(&s, &scan_conf.bypass_virus);
	if (hides_fields(&s))
		status = ST_UNAVAILABLE;
	else if (skip > 0)
		status = pass(&s);
	else if (skip < 0 || ask_virus(&s, &q) != 0)
		status = no_verdict(&s, scan_conf.virus_default_action);
	else
		status = judge_virus(&s);
	close_scan(&s);
	return status;
}
