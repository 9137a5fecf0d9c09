/*
 * sieve_ext_vacation.c - vacation.  RFC 5230, 6131 (seconds), 3834 (to whom
 * no reply goes).
 */
#include "encword.h"
#include "mem.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY 86400
#define SUBJECT_MAX 256

static bool
same_address(const char *a, const char *b)
{
	return a != NULL && b != NULL && a[0] != '\0' &&
	       span_iis(span_of(a), b);
}

/* Is this address one of the user's?  RFC 5230 4.5 */
static bool
is_mine(const struct sieve_run *r, const struct sieve_node *n, const char *addr)
{
	const struct sieve_arg *more = sieve_value(n, ":addresses");

	if (same_address(addr, r->recipient) ||
	    same_address(addr, sieve_conf.user_email) ||
	    (sieve_conf.vacation_orig_recipient &&
	     same_address(addr, r->orig_recipient)))
		return true;
	for (size_t i = 0; more != NULL && i < more->strings.n; i++) {
		char *a = sieve_address(more->strings.v[i]);
		bool same = same_address(addr, a);

		free(a);
		if (same)
			return true;
	}
	return false;
}

/* The first address in these fields for which ask says yes; or NULL. */
static char *
find_address(const struct sieve_run *r, const char *const *fields,
	     bool (*ask)(const struct sieve_run *, const struct sieve_node *,
			 const char *),
	     const struct sieve_node *n)
{
	const struct msg_field *f = NULL;
	char *found = NULL;

	for (; found == NULL && *fields != NULL; fields++) {
		while (found == NULL &&
		       (f = msg_next(&r->message->m, *fields, f)) != NULL) {
			struct addr_list l;

			addr_list_parse(&l, f->value, 0);
			for (size_t i = 0; found == NULL && i < l.n; i++) {
				struct buf b = BUF_INIT;

				if (l.v[i].kind != ADDR_MAILBOX)
					continue;
				addr_quote_local(&b, l.v[i].local);
				buf_addf(&b, "@%.*s", SPAN_ARG(l.v[i].domain));
				if (ask(r, n, buf_str(&b)))
					found = mem_strdup(buf_str(&b));
				buf_free(&b);
			}
			addr_list_free(&l);
		}
	}
	return found;
}

/* Does a field of that name, whichever it is, have one of these words? */
static bool
field_is(const struct sieve_run *r, const char *name, const char *const *values)
{
	const struct msg_field *f = NULL;
	struct buf b = BUF_INIT;
	bool yes = false;

	while ((f = msg_next(&r->message->m, name, f)) != NULL) {
		struct span rest, w;

		buf_clear(&b);
		encword_decode(&b, f->value);
		rest = buf_span(&b);
		while (span_word(&rest, " \t,;", &w)) {
			for (size_t i = 0; values[i] != NULL; i++)
				yes |= span_iis(w, values[i]);
		}
	}
	buf_free(&b);
	return yes;
}

/* RFC 3834 5: the first word counts, and each field. */
static bool
is_automatic(const struct sieve_run *r)
{
	const struct msg_field *f = NULL;
	struct span rest, w;

	while ((f = msg_next(&r->message->m, "Auto-Submitted", f)) != NULL) {
		rest = f->value;
		if (!span_word(&rest, " \t\r\n;(", &w) || !span_iis(w, "no"))
			return true;
	}
	return false;
}

/* RFC 5230 4.6, RFC 3834 2: addresses of programs. */
static bool
is_robot(const char *addr)
{
	static const char *const names[] = {
		"mailer-daemon", "listserv", "majordomo", "postmaster-bounces",
		"noreply",       "no-reply", "donotreply"
	};
	ssize_t at = span_rchr(span_of(addr), '@');
	struct span local =
	    span_sub(span_of(addr), 0, at < 0 ? SIZE_MAX : (size_t)at);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (span_iis(local, names[i]))
			return true;
	}
	return span_istarts(local, SPAN("owner-")) ||
	       span_iends(local, SPAN("-owner")) ||
	       span_iends(local, SPAN("-request")) ||
	       span_istarts(local, SPAN("bounce-")) ||
	       span_iends(local, SPAN("-bounces")) ||
	       span_iends(local, SPAN("-relay"));
}

/* Why no reply is due (RFC 5230 4.5, 4.6); NULL: one is. */
static const char *
why_not(const struct sieve_run *r, const struct sieve_node *n)
{
	static const char *const lists[] = {
		"List-Id",   "List-Help",  "List-Subscribe", "List-Unsubscribe",
		"List-Post", "List-Owner", "List-Archive"
	};
	static const char *const to[] = {
		"To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc", NULL
	};
	static const char *const bulk[] = { "bulk", "list", "junk", NULL };
	static const char *const suppress[] = { "All", "OOF", NULL };
	const struct msg *m = &r->message->m;
	char *mine;

	/* RFC 3834 2: never to the null sender */
	if (r->sender == NULL || r->sender[0] == '\0')
		return "the message has the null sender";
	if (is_mine(r, n, r->sender))
		return "the message comes from the user";
	if (is_robot(r->sender))
		return "the sender is a program";
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (msg_find(m, lists[i], 0) != NULL)
			return "the message comes from a mailing list";
	}
	if (is_automatic(r))
		return "the message was sent by a program";
	if (field_is(r, "Precedence", bulk))
		return "the message is bulk mail";
	if (field_is(r, "X-Auto-Response-Suppress", suppress))
		return "the message asks for no reply";
	if (!sieve_conf.vacation_check_recipient)
		return NULL;
	mine = find_address(r, to, is_mine, n);
	free(mine);
	return mine == NULL ? "no recipient field has an address of the user"
			    : NULL;
}

/* RFC 5230 4.1, RFC 6131 2: how long one sender gets no second reply, within
 * the bounds. */
static int64_t
period(const struct sieve_node *n)
{
	const struct sieve_arg *days = sieve_value(n, ":days");
	const struct sieve_arg *seconds = sieve_value(n, ":seconds");
	int64_t min = sieve_conf.vacation_min / 1000;
	int64_t max = sieve_conf.vacation_max / 1000;
	int64_t s = sieve_conf.vacation_default / 1000;

	if (days != NULL)
		s = days->number > INT32_MAX ? (int64_t)INT32_MAX * DAY
					     : days->number * DAY;
	else if (seconds != NULL)
		s = seconds->number;
	if (s < min)
		s = min;
	if (max > 0 && s > max)
		s = max;
	return s;
}

static void
check_vacation(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *days = sieve_value(n, ":days");
	const struct sieve_arg *seconds = sieve_value(n, ":seconds");
	const struct sieve_arg *given = days ? days : seconds;

	sieve_check_box(s, n);
	sieve_check_address(s, sieve_value(n, ":from"));
	sieve_check_address(s, sieve_value(n, ":addresses"));
	if (given != NULL &&
	    period(n) != (days ? given->number * DAY : given->number))
		sieve_warn(s, given->line, given->col,
			   "the time between two replies is set to %lld "
			   "seconds",
			   (long long)period(n));
}

/* RFC 5230 5.3; "%{subject}" and "%$" of Pigeonhole's template. */
static void
make_subject(struct sieve_run *r, const struct sieve_node *n, struct buf *b)
{
	const struct sieve_arg *given = sieve_value(n, ":subject");
	struct buf was = BUF_INIT;
	struct span rest = span_of(sieve_conf.vacation_template);
	ssize_t at;

	if (given != NULL) {
		buf_adds(b, given->strings.v[0]);
	} else if (!sieve_field(r, "Subject", &was) || was.n == 0) {
		buf_adds(b, sieve_conf.vacation_subject);
	} else {
		at = span_find(rest, SPAN("%{subject}"));
		buf_addspan(b, span_sub(rest, 0, at < 0 ? rest.n : (size_t)at));
		if (at >= 0) {
			buf_addspan(b, buf_span(&was));
			buf_addspan(b, span_from(rest, (size_t)at + 10));
		}
	}
	buf_cut(b, sieve_cut(buf_span(b), SUBJECT_MAX).n);
	buf_free(&was);
}

static bool
is_sender(const struct sieve_run *r, const struct sieve_node *n,
	  const char *addr)
{
	(void)n;
	return sieve_conf.vacation_ignore_envelope ||
	       same_address(addr, r->sender);
}

/* RFC 5230 5.5: to the sender, by the name that the message gives it. */
static char *
reply_to(struct sieve_run *r)
{
	static const char *const fields[] = { "Sender", "Resent-From", "From",
					      NULL };
	char *to = find_address(r, fields, is_sender, NULL);

	return to != NULL ? to : mem_strdup(r->sender ? r->sender : "");
}

/* RFC 5230 4.3, 5.4. */
static char *
reply_from(struct sieve_run *r, const struct sieve_node *n)
{
	static const char *const to[] = {
		"To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc", NULL
	};
	const struct sieve_arg *given = sieve_value(n, ":from");
	char *mine;

	if (given != NULL)
		return mem_strdup(given->strings.v[0]);
	/* RFC 5230 5.4: the address that the message was sent to */
	mine = find_address(r, to, is_mine, n);
	if (mine != NULL)
		return mine;
	if (sieve_conf.user_email != NULL && sieve_conf.user_email[0] != '\0')
		return mem_strdup(sieve_conf.user_email);
	return mem_strdup(r->recipient ? r->recipient : "");
}

/* RFC 5230 5.8, as a reply has them (RFC 5322 3.6.4). */
static void
add_threading(struct sieve_run *r, struct buf *b)
{
	struct buf id = BUF_INIT, refs = BUF_INIT;

	if (sieve_field(r, "Message-ID", &id)) {
		msg_make_field(b, "In-Reply-To", buf_span(&id));
		buf_addc(b, '\n');
		if (!sieve_field(r, "References", &refs))
			(void)sieve_field(r, "In-Reply-To", &refs);
		if (refs.n > 0)
			buf_addc(&refs, ' ');
		buf_addspan(&refs, buf_span(&id));
		msg_make_field(b, "References", buf_span(&refs));
		buf_addc(b, '\n');
	}
	buf_free(&id);
	buf_free(&refs);
}

static char *
compose(struct sieve_run *r, const struct sieve_node *n)
{
	const char *reason = sieve_pos(n, 0)->strings.v[0];
	struct buf b = BUF_INIT, subject = BUF_INIT;
	char *from = reply_from(r, n), *to = reply_to(r);

	make_subject(r, n, &subject);
	sieve_mail_head(&b, from, to, buf_str(&subject),
			"auto-replied (vacation)");
	add_threading(r, &b);
	buf_adds(&b, "Precedence: bulk\n"
		     "X-Auto-Response-Suppress: All\n"
		     "MIME-Version: 1.0\n");
	if (sieve_has(n, ":mime") == NULL)
		buf_adds(&b, "Content-Type: text/plain; charset=utf-8\n"
			     "Content-Transfer-Encoding: 8bit\n\n");
	buf_adds(&b, reason);
	if (b.p[b.n - 1] != '\n')
		buf_addc(&b, '\n');
	buf_free(&subject);
	free(from);
	free(to);
	return buf_steal(&b);
}

/* RFC 5230 4.2: what makes two replies the same: the handle, or all that they
 * say. */
static char *
make_mark(const struct sieve_run *r, const struct sieve_node *n)
{
	static const char *const tags[] = { ":subject", ":from" };
	const struct sieve_arg *handle = sieve_value(n, ":handle");
	struct buf b = BUF_INIT;

	buf_addf(&b, "%lld vacation %s ", (long long)period(n),
		 r->sender ? r->sender : "");
	if (handle != NULL) {
		buf_adds(&b, handle->strings.v[0]);
		return buf_steal(&b);
	}
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		const struct sieve_arg *a = sieve_value(n, tags[i]);

		buf_addf(&b, "%s%s", tags[i], a ? a->strings.v[0] : "");
	}
	buf_addf(&b, "%s%s", sieve_has(n, ":mime") ? ":mime" : ":text",
		 sieve_pos(n, 0)->strings.v[0]);
	return buf_steal(&b);
}

static int
run_vacation(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *from = sieve_value(n, ":from");
	struct sieve_action *a;
	char *check = from ? sieve_address(from->strings.v[0]) : NULL;
	const char *why, *id;

	if (from != NULL && check == NULL)
		return err_set(&r->err, ST_DATA,
			       "vacation: invalid address \"%.100s\"",
			       from->strings.v[0]);
	free(check);
	for (size_t i = 0; i < r->nactions; i++) {
		/* RFC 5230 4.7: one a message */
		if (strcmp(r->actions[i].verb, "vacation") == 0)
			return err_set(&r->err, ST_UNAVAILABLE,
				       "duplicate vacation action not allowed");
	}
	a = sieve_act_more(r, NULL, "vacation",
			   mem_strdup(r->sender ? r->sender : ""),
			   compose(r, n));
	if (a == NULL)
		return -1;
	a->from = mem_strdup(sieve_conf.vacation_from_recipient && r->recipient
				 ? r->recipient
				 : "");
	if (sieve_take_fcc(r, n, a) != 0)
		return -1;
	a->mark = make_mark(r, n);
	why = why_not(r, n);
	id = strchr(a->mark, ' ');
	if (why == NULL && id != NULL && sieve_remembered(r, id + 1))
		why = "the sender had a reply lately";
	if (why != NULL)
		a->withheld = mem_strdup(why);
	return 0;
}

static const struct sieve_tag tags[] = {
	{ ":days", 'n', "period", NULL }, { ":subject", 's', NULL, NULL },
	{ ":from", 's', NULL, NULL },     { ":addresses", 'S', NULL, NULL },
	{ ":mime", 0, NULL, NULL },       { ":handle", 's', NULL, NULL },
};
static const struct sieve_word words[] = {
	{ .name = "vacation",
	  .ext = "vacation",
	  .positional = "s",
	  .tags = tags,
	  .ntags = ARRAY_LEN(tags),
	  .check = check_vacation,
	  .run = run_vacation },
};
static const struct sieve_extension vacation = {
	.name = "vacation",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
static const struct sieve_added added[] = {
	{ "vacation", { ":seconds", 'n', "period", "vacation-seconds" } },
};
/* RFC 6131 2: it implies vacation. */
static const struct sieve_extension vacation_seconds = {
	.name = "vacation-seconds",
	.added = added,
	.nadded = ARRAY_LEN(added),
	.implies = "vacation",
};
SIEVE_EXTENSION(vacation);
SIEVE_EXTENSION(vacation_seconds);
