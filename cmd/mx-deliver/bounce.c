/*
 * bounce.c - reports about a message: failure, delay, success.
 * RFC 3464 (multipart/report), RFC 3461 6, RFC 6533 (UTF-8), RFC 8689 5
 * (REQUIRETLS); a report of a
 * report goes to the postmaster, and no further.
 */
#include "queue.h"
#include "clock.h"
#include "escape.h"
#include "log.h"
#include "mem.h"
#include "msg.h"
#include "random.h"
#include "site.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HEADER_MAX (128 * 1024)

struct report {
	const struct queuefile *q;
	const struct attempt *a;
	enum bounce_kind kind;
	struct buf out; /* the parts */
	char boundary[100];
	bool full;   /* the whole message comes along */
	bool tls_no; /* the message has "TLS-Required: No" */
	bool utf8;   /* types of RFC 6533 */
	bool encode; /* them in base64: its receiver may lack SMTPUTF8 */
};

static const char *const subjects[] = {
	"Undelivered Mail Returned to Sender",
	"Delayed Mail (still being retried)",
	"Successful Mail Delivery Report",
};
static const char *const words[] = { "failed", "delayed", "delivered" };

/* Is recipient i in this report? */
static bool
listed(const struct report *r, size_t i)
{
	const struct queuefile_rcpt *rc = &r->q->env.rcpt[i];

	switch (r->kind) {
	case BOUNCE_FAILED:
		return rc->state == QUEUEFILE_FAILED &&
		       r->a[i].result == DELIVER_FAILED;
	case BOUNCE_DELAYED:
		return rc->state == QUEUEFILE_QUEUED &&
		       r->a[i].result == DELIVER_DEFERRED;
	default:
		return r->a[i].tried && r->a[i].result == DELIVER_DONE;
	}
}

/* Controls and line ends of remote words become blanks: nothing from outside
 * begins a field of ours (THREATS 25). */
static void
field(struct buf *b, const char *name, struct span value)
{
	msg_make_field(b, name, value);
	buf_addc(b, '\n');
}

/* Local time with its offset (RFC 5322 3.3). */
static void
date_field(struct buf *b, const char *name, time_t t)
{
	struct tm tm;
	char text[64];

	localtime_r(&t, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S %z", &tm);
	field(b, name, span_of(text));
}

/* What is known of recipient i: this attempt's words, or the last note. */
struct last {
	size_t want;
	struct buf dsn, relay, text;
};

/* The journal in order: the last line about a recipient is what counts. */
static void
take_note(void *ctx, const struct queuefile_note *n)
{
	struct last *l = ctx;

	if (n->rcpt != l->want)
		return;
	buf_clear(&l->dsn);
	buf_addspan(&l->dsn, n->dsn);
	buf_clear(&l->relay);
	buf_addspan(&l->relay, n->relay);
	buf_clear(&l->text);
	buf_addspan(&l->text, n->text);
}

static void
why(const struct report *r, size_t i, struct last *l)
{
	*l = (struct last){ .want = i };
	if (r->a[i].tried) {
		buf_adds(&l->dsn, r->a[i].dsn);
		buf_adds(&l->relay, r->a[i].relay);
		buf_addspan(&l->text, buf_span(&r->a[i].text));
	} else if (queuefile_notes(r->q, take_note, l, NULL) != 0) {
		buf_clear(&l->text);
	}
	if (l->dsn.n == 0 || l->dsn.p[0] == '-') {
		buf_clear(&l->dsn);
		buf_adds(&l->dsn, r->kind == BOUNCE_FAILED    ? "5.0.0"
				  : r->kind == BOUNCE_DELAYED ? "4.0.0"
							      : "2.0.0");
	}
	/* An expired recipient failed for good: 4.4.7 is 5.4.7 then (RFC 3464
	 * 2.3.4: the class agrees with the action). */
	if (r->kind == BOUNCE_FAILED && l->dsn.p[0] == '4')
		l->dsn.p[0] = '5';
}

/* Harmless when nothing was found. */
static void
last_free(struct last *l)
{
	buf_free(&l->dsn);
	buf_free(&l->relay);
	buf_free(&l->text);
}

/* Written last: it says what the parts need. */
static void
head(const struct report *r, struct buf *b, const char *to)
{
	struct buf v = BUF_INIT;

	date_field(b, "Date", clock_now());
	buf_addf(&v, "Mail Delivery System <MAILER-DAEMON@%s>",
		 site.myhostname);
	field(b, "From", buf_span(&v));
	field(b, "To", span_of(to));
	field(b, "Subject", span_of(subjects[r->kind]));
	buf_clear(&v);
	buf_addf(&v, "<%lld.", (long long)clock_now_us());
	random_word(&v, 12);
	buf_addf(&v, "@%s>", site.myhostname);
	field(b, "Message-ID", buf_span(&v));
	/* RFC 3834 5: nobody's vacation answers this. */
	field(b, "Auto-Submitted", SPAN("auto-replied"));
	/* RFC 8689 6: what its sender wants holds for what is said of it. */
	if (r->tls_no)
		field(b, "TLS-Required", SPAN("No"));
	field(b, "MIME-Version", SPAN("1.0"));
	buf_addf(b,
		 "Content-Type: multipart/report; "
		 "report-type=%sdelivery-status;\n\tboundary=\"%s\"\n",
		 r->utf8 ? "global-" : "", r->boundary);
	/* RFC 2045 6.4: no less than its parts need. */
	if (!span_is_ascii(buf_span(&r->out)))
		buf_adds(b, "Content-Transfer-Encoding: 8bit\n");
	buf_adds(b, "\nThis is a MIME-encapsulated message.\n");
	buf_free(&v);
}

/* RFC 6533 4.5: the new types may be encoded, and are where the way back is
 * not known to be fit for UTF-8. */
static void
add_base64(struct buf *out, struct span body)
{
	struct buf line = BUF_INIT;

	while (body.n > 0) {
		size_t n = body.n < 57 ? body.n : 57;

		buf_clear(&line);
		base64_encode(&line, span_sub(body, 0, n));
		buf_addspan(out, buf_span(&line));
		buf_addc(out, '\n');
		body = span_from(body, n);
	}
	buf_free(&line);
}

static void
add_part(struct report *r, const char *what, const char *type, struct span body)
{
	bool plain = span_is_ascii(body);
	bool encode = !plain && r->encode &&
		      span_starts(span_of(type), SPAN("message/global"));

	buf_addf(&r->out,
		 "\n--%s\nContent-Description: %s\nContent-Type: %s\n%s\n",
		 r->boundary, what, type,
		 plain    ? ""
		 : encode ? "Content-Transfer-Encoding: base64\n"
			  : "Content-Transfer-Encoding: 8bit\n");
	if (encode)
		add_base64(&r->out, body);
	else
		buf_addspan(&r->out, body);
}

/* For people: what happened, to whom, in whose words (RFC 3461 6.2). */
static void
text_part(struct report *r)
{
	struct buf body = BUF_INIT, *b = &body;

	buf_addf(b, "This is the mail system at host %s.\n\n", site.myhostname);
	if (r->kind == BOUNCE_FAILED)
		buf_adds(b, "Your message could not be delivered to the "
			    "recipients below. It will not\nbe tried "
			    "again.\n");
	else if (r->kind == BOUNCE_DELAYED)
		buf_adds(b, "Your message could not be delivered yet. It is "
			    "still being tried; you do not\nneed to send it "
			    "again.\n");
	else
		buf_adds(b, "Your message was delivered to the recipients "
			    "below, or handed over to a\nhost that sends no "
			    "such reports.\n");
	for (size_t i = 0; i < r->q->env.nrcpt; i++) {
		struct last l;

		if (!listed(r, i))
			continue;
		why(r, i, &l);
		buf_adds(b, "\n<");
		escape_line(b, span_of(r->q->env.rcpt[i].addr), 400);
		buf_adds(b, ">: ");
		escape_line(b, buf_span(&l.text), 900);
		buf_addc(b, '\n');
		last_free(&l);
	}
	add_part(r, "Notification", "text/plain; charset=utf-8", buf_span(b));
	buf_free(b);
}

/* RFC 3464 2.3: "rfc822;ADDRESS", or utf-8 (RFC 6533 3): written out where the
 * part may hold UTF-8, else in its 7-bit form. */
static void
address_field(const struct report *r, struct buf *b, const char *name,
	      struct span type, struct span addr)
{
	struct buf v = BUF_INIT;

	if (!span_is_ascii(addr))
		type = SPAN("utf-8");
	buf_addf(&v, "%.*s; ", SPAN_ARG(type));
	if (!span_iis(type, "utf-8"))
		buf_addspan(&v, addr);
	else if (r->utf8)
		escape_ununitext(&v, addr);
	else
		escape_unitext(&v, addr);
	field(b, name, buf_span(&v));
	buf_free(&v);
}

/* What the other host said is its own (RFC 3464 2.3.6): "smtp; 550 ...", and
 * who it was; the rest are our words. */
static void
diagnostic(struct buf *b, const struct last *l)
{
	struct span text = buf_span(&l->text), relay = buf_span(&l->relay);
	ssize_t said = span_find(text, SPAN(" said: "));
	ssize_t reply = span_find(text, SPAN(" (in reply to "));
	ssize_t bracket = span_chr(relay, '[');
	struct buf v = BUF_INIT;

	if (said >= 0 && bracket > 0) {
		buf_adds(&v, "dns; ");
		buf_addspan(&v, span_sub(relay, 0, (size_t)bracket));
		field(b, "Remote-MTA", buf_span(&v));
		buf_clear(&v);
		buf_adds(&v, "smtp; ");
		buf_addspan(&v,
			    span_sub(text, (size_t)said + 7,
				     reply > said ? (size_t)reply : text.n));
	} else {
		buf_adds(&v, "x-mx; ");
		buf_addspan(&v, text);
	}
	field(b, "Diagnostic-Code", buf_span(&v));
	buf_free(&v);
}

/* "relayed": nobody behind this host tells more (RFC 3461 5.2.2). */
static const char *
action(const struct report *r, size_t i)
{
	return r->kind == BOUNCE_SUCCESS && r->a[i].relayed ? "relayed"
							    : words[r->kind];
}

/* RFC 3464 2.3. Original-Recipient is there only where the sender gave ORCPT:
 * what we rewrote is not to be told as the sender's word (2.3.1). */
static void
recipient_fields(const struct report *r, struct buf *b, size_t i)
{
	const struct queuefile_rcpt *rc = &r->q->env.rcpt[i];
	struct span addr = span_of(rc->orcpt), type;
	struct last l;

	why(r, i, &l);
	buf_addc(b, '\n');
	if (span_split(&addr, ';', &type))
		address_field(r, b, "Original-Recipient", span_trim(type),
			      span_trim(addr));
	address_field(r, b, "Final-Recipient", SPAN("rfc822"),
		      span_of(rc->addr));
	field(b, "Action", span_of(action(r, i)));
	field(b, "Status", buf_span(&l.dsn));
	diagnostic(b, &l);
	if (r->kind == BOUNCE_DELAYED)
		date_field(b, "Will-Retry-Until",
			   (time_t)(r->q->env.arrival_us / 1000000 +
				    queue_conf.maximal_lifetime / 1000));
	last_free(&l);
}

/* For programs: RFC 3464 2.2, 2.3. Only recipients who are to be told are in
 * it. */
static void
status_part(struct report *r)
{
	struct buf body = BUF_INIT, *b = &body, v = BUF_INIT;

	if (r->q->env.envid != NULL && r->q->env.envid[0] != '\0')
		field(b, "Original-Envelope-Id", span_of(r->q->env.envid));
	buf_addf(&v, "dns; %s", site.myhostname);
	field(b, "Reporting-MTA", buf_span(&v));
	field(b, "X-Queue-ID", span_of(r->q->id));
	date_field(b, "Arrival-Date", (time_t)(r->q->env.arrival_us / 1000000));
	for (size_t i = 0; i < r->q->env.nrcpt; i++) {
		if (listed(r, i))
			recipient_fields(r, b, i);
	}
	add_part(r, "Delivery report",
		 r->utf8 ? "message/global-delivery-status"
			 : "message/delivery-status",
		 buf_span(b));
	buf_free(b);
	buf_free(&v);
}

int
bounce_header(const struct queuefile *q, struct buf *out, struct err *e)
{
	char *room = buf_room(out, HEADER_MAX);
	size_t got = 0;
	struct msg m;

	while (got < HEADER_MAX) {
		ssize_t n =
		    queuefile_read(q, got, room + got, HEADER_MAX - got);

		if (n < 0)
			return err_sys(e, "%s", q->id);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	buf_grew(out, got);
	msg_index(&m, buf_span(out), 0);
	buf_cut(out, (size_t)(m.body.p - out->p));
	msg_done(&m);
	return 0;
}

/* The message, whole: bounce_size_limit bounds it. */
static int
read_message(const struct queuefile *q, struct buf *out, struct err *e)
{
	ssize_t n;

	do {
		char *room = buf_room(out, 16384);
		n = queuefile_read(q, out->n, room, 16384);
		if (n > 0)
			buf_grew(out, (size_t)n);
	} while (n > 0);
	return n < 0 ? err_sys(e, "%s: reading the message", q->id) : 0;
}

/* RFC 6522 3: the message, or its header where RET=HDRS or bounce_size_limit
 * say so (THREATS 42). */
static int
last_part(struct report *r, struct err *e)
{
	struct buf body = BUF_INIT;
	int rc = r->full ? read_message(r->q, &body, e)
			 : bounce_header(r->q, &body, e);

	if (rc == 0 && r->full)
		add_part(r, "Undelivered Message",
			 r->utf8 ? "message/global" : "message/rfc822",
			 buf_span(&body));
	else if (rc == 0)
		add_part(r, "Undelivered Message Headers",
			 r->utf8 ? "message/global-headers"
				 : "text/rfc822-headers",
			 buf_span(&body));
	buf_free(&body);
	return rc;
}

/* RFC 8689 3: one field, and no other value than this. */
static bool
wants_no_tls(const struct queuefile *q)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	const struct msg_field *f;
	struct msg m;
	bool no = false;

	if (bounce_header(q, &b, &e) == 0) {
		msg_index(&m, buf_span(&b), 0);
		f = msg_find(&m, "TLS-Required", 0);
		no = f != NULL && msg_find(&m, "TLS-Required", 1) == NULL &&
		     span_iis(span_trim(f->value), "No");
		msg_done(&m);
	}
	buf_free(&b);
	return no;
}

/* A new queue entry like any other: durable before anybody is marked as told.
 */
static int
write_report(struct report *r, struct queuefile_env *env, struct err *e)
{
	struct buf all = BUF_INIT;
	char id[64];

	text_part(r);
	status_part(r);
	r->tls_no =
	    !(r->q->env.flags & QUEUEFILE_REQUIRETLS) && wants_no_tls(r->q);
	if (last_part(r, e) != 0)
		return -1;
	buf_addf(&r->out, "\n--%s--\n", r->boundary);
	if (!span_is_ascii(buf_span(&r->out)))
		env->flags |= QUEUEFILE_8BIT;
	head(r, &all, env->rcpt[0].addr);
	buf_addspan(&all, buf_span(&r->out));
	int rc = deliver_enqueue(env, buf_span(&all), -1, 0, 0, id, e);
	buf_free(&all);
	if (rc != 0)
		return -1;
	log_role("bounce");
	log_info("%s: sender %s notification: %s", r->q->id,
		 r->kind == BOUNCE_FAILED    ? "non-delivery"
		 : r->kind == BOUNCE_DELAYED ? "delay"
					     : "delivery",
		 id);
	return 0;
}

/* Random, so that no message can hold it on purpose. */
static void
make_boundary(struct report *r)
{
	struct buf word = BUF_INIT;

	random_word(&word, 16);
	snprintf(r->boundary, sizeof(r->boundary), "%s/%s", r->q->id,
		 buf_str(&word));
	buf_free(&word);
}

/* An address of our own where it has no domain. */
static char *
own_address(const char *a)
{
	return strchr(a, '@') != NULL ? mem_strdup(a)
				      : mem_printf("%s@%s", a, site.myorigin);
}

/*
 * Who gets the report: the sender; for the null sender nobody (RFC 5321 6.1),
 * but the postmaster where notify_classes has 2bounce; for what the postmaster
 * should have got, nobody at all.
 */
static char *
receiver(const struct queuefile *q, bool *second)
{
	char *twice = mem_printf("%s@%s", queue_conf.double_bounce_sender,
				 site.myhostname);
	char *to = NULL;

	*second = false;
	if (strcmp(q->env.sender, twice) == 0) {
		log_warn("%s: undeliverable postmaster notification discarded",
			 q->id);
	} else if (q->env.sender[0] != '\0') {
		to = mem_strdup(q->env.sender);
	} else if (strs_has(&queue_conf.notify_classes, SPAN("2bounce"))) {
		*second = true;
		to = own_address(queue_conf.bounce_notice_recipient);
	}
	free(twice);
	return to;
}

/* notify_classes: the postmaster gets the report, too, with the message's
 * header only.  It is no more than a courtesy: its failure is logged. */
static void
postmaster_copy(const struct queuefile *q, const struct attempt *a,
		enum bounce_kind kind)
{
	struct report r = { .q = q, .a = a, .kind = kind };
	struct queuefile_env env = { .flags = QUEUEFILE_FILTERED |
					      (q->env.flags &
					       QUEUEFILE_REQUIRETLS) };
	struct err e = ERR_INIT;
	char *to;

	if (kind == BOUNCE_SUCCESS ||
	    !strs_has(&queue_conf.notify_classes,
		      kind == BOUNCE_FAILED ? SPAN("bounce") : SPAN("delay")))
		return;
	to = own_address(kind == BOUNCE_FAILED
			     ? queue_conf.copy_recipient
			     : queue_conf.delay_copy_recipient);
	env.sender = mem_printf("%s@%s", queue_conf.double_bounce_sender,
				site.myhostname);
	r.utf8 = q->env.flags & QUEUEFILE_UTF8;
	r.encode = true;
	make_boundary(&r);
	(void)queuefile_env_add(&env, to);
	if (write_report(&r, &env, &e) != 0)
		log_error("%s: %s was not told: %s", q->id, to, e.text);
	buf_free(&r.out);
	queuefile_env_free(&env);
	free(to);
}

/* THREATS 42: who did not send the message is not told of it, and nobody is
 * told more than so often an hour.  A failure is told later then, for as long
 * as the queue keeps mail.  -1: not now, 0 and *done: never. */
static int
held_back(const struct queuefile *q, const char *to, enum bounce_kind kind,
	  bool *done, struct err *e)
{
	*done = true;
	if (report_forged(q)) {
		log_info("%s: no report to <%s>: the message failed DMARC with "
			 "p=reject",
			 q->id, to);
		return 0;
	}
	*done = false;
	if (report_allowed(to))
		return 0;
	*done =
	    kind != BOUNCE_FAILED || clock_now() - q->env.arrival_us / 1000000 >
					 queue_conf.maximal_lifetime / 1000;
	if (*done)
		log_warn("%s: no report to <%s>: report_sender_limit", q->id,
			 to);
	else
		(void)err_set(e, ST_TEMPFAIL,
			      "<%s> got %lld reports in this hour "
			      "(report_sender_limit)",
			      to, (long long)queue_conf.report_limit);
	return *done ? 0 : -1;
}

int
bounce_report(const struct queuefile *q, const struct attempt *a,
	      enum bounce_kind kind, struct err *e)
{
	struct report r = { .q = q, .a = a, .kind = kind };
	struct queuefile_env env = { 0 };
	bool second;
	char *to = receiver(q, &second);
	/* RFC 8689 5: with REQUIRETLS it is as if RET=HDRS were there. */
	bool tls = q->env.flags & QUEUEFILE_REQUIRETLS;
	bool headers =
	    tls || (q->env.ret != NULL && strcmp(q->env.ret, "HDRS") == 0);
	bool done = false;
	int rc = 0;

	/* Good news and delays are for people. */
	if (to == NULL || (second && kind != BOUNCE_FAILED)) {
		free(to);
		return 0;
	}
	if (!second)
		rc = held_back(q, to, kind, &done, e);
	if (rc != 0 || done) {
		free(to);
		if (done)
			postmaster_copy(q, a, kind);
		return rc;
	}
	make_boundary(&r);
	/* RFC 3461 6.2: the message comes along only when it failed. */
	r.full = kind == BOUNCE_FAILED && !headers &&
		 q->msg_size <= (uint64_t)queue_conf.bounce_size_limit;
	/* The null sender: a report is never answered by a report (RFC 3461
	 * 6.1). */
	env.sender = second
			 ? mem_printf("%s@%s", queue_conf.double_bounce_sender,
				      site.myhostname)
			 : mem_strdup("");
	env.flags = QUEUEFILE_FILTERED | (tls ? QUEUEFILE_REQUIRETLS : 0);
	r.utf8 = q->env.flags & QUEUEFILE_UTF8;
	r.encode = span_is_ascii(span_of(to));
	if (r.utf8 && !r.encode)
		env.flags |= QUEUEFILE_UTF8;
	(void)queuefile_env_add(&env, to);
	rc = write_report(&r, &env, e);
	buf_free(&r.out);
	queuefile_env_free(&env);
	free(to);
	if (rc == 0 && !second)
		postmaster_copy(q, a, kind);
	return rc;
}
