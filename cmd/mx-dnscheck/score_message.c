/*
 * score_message.c - what a receiver's filter sees in a message itself: its
 * fields, its shape, what lists must have.  RFC 5322 3.6, RFC 8058.  No DNS.
 */
#include "addr.h"
#include "date.h"
#include "mime.h"
#include "score.h"

#define LONGEST_LINE 998 /* RFC 5322 2.1.1 */
#define DAY 86400

static size_t
count(const struct msg *m, const char *name)
{
	const struct msg_field *f = NULL;
	size_t n = 0;

	while ((f = msg_next(m, name, f)) != NULL)
		n++;
	return n;
}

static void
score_from(struct findings *f, const struct msg *m)
{
	const struct msg_field *x = msg_find(m, "From", 0);
	size_t n = count(m, "From"), good = 0;
	struct addr_list l;

	if (n != 1) {
		find_add(f, FIND_FAIL, "Header", "from-count", 20,
			 n == 0 ? "no From field" : "%zu From fields", n);
		find_expected(f, "exactly one (RFC 5322 3.6)");
		find_why(f, "Gmail refuses it: nobody knows whose message it "
			    "is");
		return;
	}
	addr_list_parse(&l, x->value, 100);
	for (size_t i = 0; i < l.n; i++)
		good += l.v[i].kind == ADDR_MAILBOX && !l.v[i].bad &&
			span_chr(l.v[i].domain, '.') > 0;
	if (good != 1) {
		find_add(f, good == 0 ? FIND_FAIL : FIND_WARN, "Header",
			 "from-address", good == 0 ? 15 : 5,
			 good == 0 ? "From holds no address"
				   : "From holds %zu addresses",
			 good);
		find_expected(f, "one address with a domain");
		find_found(f, "%.*s", SPAN_ARG(span_trim(x->value)));
	}
	addr_list_free(&l);
}

static void
score_date(struct findings *f, const struct msg *m, int64_t now)
{
	const struct msg_field *x = msg_find(m, "Date", 0);
	struct date d;

	if (x == NULL || !date_parse(x->value, &d)) {
		find_add(f, FIND_WARN, "Header", "date", 5,
			 x == NULL ? "no Date field"
				   : "the Date field cannot be read");
		find_expected(f, "one (RFC 5322 3.6)");
		if (x != NULL)
			find_found(f, "%.*s", SPAN_ARG(span_trim(x->value)));
	} else if (d.unix_s > now + DAY) {
		find_add(f, FIND_WARN, "Header", "date-future", 5,
			 "Date lies in the future");
		find_found(f, "%.*s", SPAN_ARG(span_trim(x->value)));
	}
}

static void
score_singles(struct findings *f, const struct msg *m)
{
	static const char *const once[] = {
		"Date",       "Sender",      "Reply-To",   "To",     "Cc",
		"Message-ID", "In-Reply-To", "References", "Subject"
	};

	for (size_t i = 0; i < ARRAY_LEN(once); i++) {
		size_t n = count(m, once[i]);

		if (n <= 1)
			continue;
		find_add(f, FIND_WARN, "Header", "field-twice", 5,
			 "%zu fields %s", n, once[i]);
		find_expected(f, "at most one (RFC 5322 3.6)");
		find_why(f, "Gmail refuses messages with doubled fields");
	}
	if (count(m, "Message-ID") == 0) {
		find_add(f, FIND_WARN, "Header", "message-id", 5,
			 "no Message-ID field");
		find_why(f, "filters count it; threads and duplicate checks "
			    "fail");
	}
	if (count(m, "Subject") == 0)
		find_add(f, FIND_WARN, "Header", "subject", 2,
			 "no Subject field");
	if (count(m, "To") + count(m, "Cc") + count(m, "Bcc") == 0)
		find_add(f, FIND_WARN, "Header", "no-recipient", 2,
			 "neither To nor Cc");
}

static void
score_lines(struct findings *f, const struct msg *m)
{
	struct span rest = m->whole, line;
	size_t longest = 0;

	while (span_split(&rest, '\n', &line))
		if (line.n > longest)
			longest = line.n;
	if (longest > LONGEST_LINE + 1) {
		find_add(f, FIND_WARN, "Header", "long-line", 3,
			 "a line of %zu bytes", longest);
		find_expected(f, "at most 998 (RFC 5322 2.1.1)");
		find_why(f, "hosts on the way cut it: the DKIM signature "
			    "breaks");
	}
	if (!span_is_ascii(m->header)) {
		find_add(f, FIND_NOTE, "Header", "utf8-header", 0,
			 "raw 8-bit bytes in the header");
		find_why(f, "only hosts with SMTPUTF8 take it");
	}
}

/* RFC 8058, and the sender requirements since 2024. */
static void
score_list(struct findings *f, const struct msg *m)
{
	const struct msg_field *unsub = msg_find(m, "List-Unsubscribe", 0);
	const struct msg_field *prec = msg_find(m, "Precedence", 0);
	bool bulk =
	    msg_find(m, "List-Id", 0) != NULL || unsub != NULL ||
	    msg_find(m, "Feedback-ID", 0) != NULL ||
	    (prec != NULL && (span_ifind(prec->value, SPAN("bulk")) >= 0 ||
			      span_ifind(prec->value, SPAN("list")) >= 0));

	if (!bulk)
		return;
	if (unsub == NULL || span_ifind(unsub->value, SPAN("https:")) < 0 ||
	    msg_find(m, "List-Unsubscribe-Post", 0) == NULL) {
		find_add(f, FIND_WARN, "List", "one-click", 5,
			 "bulk mail without one-click unsubscription");
		find_expected(f, "List-Unsubscribe: <https://...> and "
				 "List-Unsubscribe-Post: "
				 "List-Unsubscribe=One-Click, both signed");
		find_found(f, "%s",
			   unsub == NULL ? "no List-Unsubscribe"
					 : "List-Unsubscribe without https: or "
					   "without -Post");
		find_why(f, "Gmail and Yahoo ask it of who sends more than "
			    "5,000 a day (RFC 8058)");
	} else {
		find_add(f, FIND_OK, "List", "one-click", 0,
			 "one-click unsubscription");
	}
}

static void
score_parts(struct findings *f, const struct msg *m)
{
	struct mime t;
	bool html = false, text = false;

	mime_index(&t, m->whole);
	for (size_t i = 0; i < t.n; i++) {
		if (!span_iis(t.v[i].type, "text"))
			continue;
		html |= span_iis(t.v[i].subtype, "html");
		text |= span_iis(t.v[i].subtype, "plain");
	}
	mime_done(&t);
	if (html && !text) {
		find_add(f, FIND_WARN, "Content", "html-only", 2,
			 "HTML alone, without a text part");
		find_expected(f, "multipart/alternative with text/plain");
		find_why(f, "spam filters count it, and readers without HTML "
			    "see nothing");
	}
}

void
score_fields(struct findings *f, const struct msg *m, int64_t now)
{
	size_t before = f->n;

	score_from(f, m);
	score_date(f, m, now);
	score_singles(f, m);
	score_lines(f, m);
	score_list(f, m);
	score_parts(f, m);
	if (f->n == before)
		find_add(f, FIND_OK, "Header", "header", 0,
			 "From, Date, Message-ID and the other fields are as "
			 "RFC 5322 wants them");
}
