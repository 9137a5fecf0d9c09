/*
 * complete.c - makes a message from stdin whole: From, Date, Message-ID where
 * missing, Bcc stripped, recipients gathered.
 * RFC 5322 3.6, RFC 6409 8; sendmail(1) -t.
 */
#include "submit.h"
#include "clock.h"
#include "date.h"
#include "encword.h"
#include "escape.h"
#include "mem.h"
#include "random.h"
#include "site.h"
#include "status.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#define RECIPIENTS_MAX 10000

void
submission_free(struct submission *s)
{
	free(s->sender);
	free(s->login);
	strs_free(&s->recipients);
	buf_free(&s->head);
	*s = (struct submission){ 0 };
}

/* A bare name gets $myorigin (Postfix append_at_myorigin). */
static char *
qualify(const struct addr *a)
{
	struct buf b = BUF_INIT;

	addr_print(&b, a);
	if (!a->null && a->domain.n == 0)
		buf_addf(&b, "@%s", site.myorigin);
	return buf_steal(&b);
}

static int
add_recipient(struct submission *s, struct span text, struct err *e)
{
	struct addr a;
	char *full;

	if (addr_parse(&a, text, e) != 0) {
		err_prefix(e, "recipient \"%.*s\"", SPAN_ARG(text));
		if (e != NULL)
			e->status = ST_NOUSER;
		return -1;
	}
	s->utf8_path |= a.utf8;
	full = qualify(&a);
	addr_free(&a);
	if (strs_has(&s->recipients, span_of(full)))
		free(full);
	else
		strs_take(&s->recipients, full);
	if (s->recipients.n > RECIPIENTS_MAX)
		return err_set(e, ST_USAGE, "over %d recipients",
			       RECIPIENTS_MAX);
	return 0;
}

/* All mailboxes of one field or operand ("a@b, c@d" too); group marks carry
 * none.  One that is no address is an error: he must not be forgotten. */
static int
add_list(struct submission *s, struct span list, struct err *e)
{
	struct addr_list l;
	struct buf text = BUF_INIT;
	int r = 0;

	addr_list_parse(&l, list, RECIPIENTS_MAX + 1);
	for (size_t i = 0; r == 0 && i < l.n; i++) {
		struct addr_item *it = &l.v[i];

		if (it->kind != ADDR_MAILBOX)
			continue;
		if (it->local.n == 0) {
			r = err_set(e, ST_NOUSER,
				    "recipient \"%.*s\": an address is "
				    "expected",
				    SPAN_ARG(it->name.n > 0 ? it->name : list));
			break;
		}
		buf_clear(&text);
		addr_quote_local(&text, it->local);
		if (it->domain.n > 0)
			buf_addf(&text, "@%.*s", SPAN_ARG(it->domain));
		r = add_recipient(s, buf_span(&text), e);
	}
	buf_free(&text);
	addr_list_free(&l);
	return r;
}

static int
add_operand(struct submission *s, const char *text, struct err *e)
{
	size_t before = s->recipients.n;
	struct addr a;

	/* One plain address needs no list syntax. */
	if (addr_parse(&a, span_trim(span_of(text)), NULL) == 0) {
		addr_free(&a);
		return add_recipient(s, span_trim(span_of(text)), e);
	}
	if (add_list(s, span_of(text), e) != 0)
		return -1;
	if (before == 0 && s->recipients.n == 0)
		return err_set(e, ST_NOUSER,
			       "recipient \"%s\": an address is expected",
			       text);
	return 0;
}

/* -t: RFC 5322 3.6.6: of a message that is sent again, only the Resent- fields
 * name recipients. */
static int
add_from_header(struct submission *s, const struct msg *m, struct err *e)
{
	static const char *const plain[] = { "To", "Cc", "Bcc", NULL };
	static const char *const resent[] = { "Resent-To", "Resent-Cc",
					      "Resent-Bcc", NULL };
	const char *const *names = plain;
	const struct msg_field *f = NULL;

	for (size_t i = 0; resent[i] != NULL; i++) {
		if (msg_find(m, resent[i], 0) != NULL)
			names = resent;
	}
	for (size_t n = 0; names[n] != NULL; n++) {
		while ((f = msg_next(m, names[n], f)) != NULL) {
			if (add_list(s, f->value, e) != 0)
				return -1;
		}
	}
	return 0;
}

/* The caller's login and full name. */
static void
who_am_i(char **login, char **name)
{
	struct passwd *pw = getpwuid(getuid());

	if (pw == NULL) {
		*login = mem_printf("uid%ld", (long)getuid());
		*name = mem_strdup("");
		return;
	}
	*login = mem_strdup(pw->pw_name);
	struct span g = span_of(pw->pw_gecos);
	ssize_t comma = span_chr(g, ',');
	struct buf b = BUF_INIT;

	if (comma >= 0)
		g.n = (size_t)comma;
	/* "&" in the gecos field is the login, capitalised: passwd(5). */
	for (size_t i = 0; i < g.n; i++) {
		if (g.p[i] != '&') {
			buf_addc(&b, g.p[i]);
			continue;
		}
		buf_addc(&b, ascii_toupper(pw->pw_name[0]));
		if (pw->pw_name[0] != '\0')
			buf_adds(&b, pw->pw_name + 1);
	}
	*name = buf_steal(&b);
}

/* Display name as a quoted string where it is no plain words. */
static void
add_phrase(struct buf *b, const char *name)
{
	bool plain = true;

	for (const char *p = name; *p != '\0'; p++)
		plain &= ascii_isalnum(*p) || *p == ' ';
	if (!span_is_ascii(span_of(name))) {
		encword_encode(b, span_of(name));
		return;
	}
	if (plain) {
		buf_adds(b, name);
		return;
	}
	buf_addc(b, '"');
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *p);
	}
	buf_addc(b, '"');
}

static void
add_field_text(struct buf *head, const char *name, struct span value)
{
	msg_make_field(head, name, value);
	buf_addc(head, '\n');
}

static void
add_missing(struct submission *s, const struct msg *m, const char *name)
{
	bool resent = msg_find(m, "Resent-From", 0) != NULL ||
		      msg_find(m, "Resent-To", 0) != NULL;
	const char *prefix = resent ? "Resent-" : "";
	struct buf v = BUF_INIT, f = BUF_INIT;

	buf_addf(&f, "%sFrom", prefix);
	if (msg_find(m, buf_str(&f), 0) == NULL) {
		/* From is obligatory (RFC 5322 3.6), the null sender's too. */
		const char *who = s->sender[0] != '\0' ? s->sender : s->login;

		if (name[0] != '\0') {
			add_phrase(&v, name);
			buf_addf(&v, " <%s>", who);
		} else {
			buf_adds(&v, who);
		}
		add_field_text(&s->head, buf_str(&f), buf_span(&v));
	}
	buf_clear(&f);
	buf_clear(&v);
	buf_addf(&f, "%sDate", prefix);
	if (msg_find(m, buf_str(&f), 0) == NULL) {
		struct date now;

		date_from_unix_local(&now, clock_now());
		date_print(&v, &now);
		add_field_text(&s->head, buf_str(&f), buf_span(&v));
	}
	buf_clear(&f);
	buf_clear(&v);
	buf_addf(&f, "%sMessage-ID", prefix);
	if (msg_find(m, buf_str(&f), 0) == NULL) {
		buf_addf(&v, "<%lld.", (long long)clock_now_us());
		random_word(&v, 16);
		buf_addf(&v, "@%s>", site.myhostname);
		add_field_text(&s->head, buf_str(&f), buf_span(&v));
	}
	buf_free(&v);
	buf_free(&f);
}

/* The header without Bcc, LF lines, and what is missing behind it. */
static void
write_head(struct submission *s, const struct msg *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct msg_field *f = &m->v[i];

		if (span_iis(f->name, "Bcc") || span_iis(f->name, "Resent-Bcc"))
			continue;
		/* Return-Path is the last MTA's to write. */
		if (span_iis(f->name, "Return-Path"))
			continue;
		s->utf8_header |= !span_is_ascii(f->all);
		buf_addspan(&s->head, f->all);
		if (f->all.n == 0 || f->all.p[f->all.n - 1] != '\n')
			buf_addc(&s->head, '\n');
	}
	add_missing(s, m, name);
}

/* -f, else the caller; mx-deliver tells the login beside it, whatever -f says.
 */
static int
choose_sender(struct submission *s, const char *login, struct err *e)
{
	struct addr a;
	size_t used;

	s->login = mem_printf("%s@%s", login, site.myorigin);
	if (opts.from == NULL) {
		s->sender = mem_strdup(s->login);
		return 0;
	}
	if (opts.from[0] == '\0' || strcmp(opts.from, "<>") == 0) {
		s->sender = mem_strdup("");
		return 0;
	}
	if (addr_parse_path(&a, span_of(opts.from), false, true, true, &used,
			    e) != 0 ||
	    used != strlen(opts.from)) {
		if (e != NULL && e->text[0] == '\0')
			err_set(e, ST_USAGE, "text stands behind the address");
		err_prefix(e, "-f %s", opts.from);
		if (e != NULL)
			e->status = ST_USAGE;
		return -1;
	}
	s->utf8_path |= a.utf8;
	s->sender = qualify(&a);
	addr_free(&a);
	return 0;
}

int
complete(struct submission *s, struct span message, char *const *operands,
	 int count, struct err *e)
{
	struct msg m;
	const char *full;
	char *login, *name;
	int r;

	*s = (struct submission){ 0 };
	who_am_i(&login, &name);
	/* sendmail(1): -F, else NAME, else what passwd(5) says. */
	full = opts.full_name != NULL ? opts.full_name : getenv("NAME");
	if (full != NULL) {
		free(name);
		name = mem_strdup(full);
	}
	/* The caller's own message: a Bcc stands in no body. */
	msg_index(&m, message, message.n + 1);
	r = choose_sender(s, login, e);
	for (int i = 0; r == 0 && i < count; i++)
		r = add_operand(s, operands[i], e);
	if (r == 0 && opts.recipients)
		r = add_from_header(s, &m, e);
	if (r == 0 && s->recipients.n == 0)
		r = err_set(e, ST_USAGE,
			    "no recipients: name them, or use -t with a To, Cc "
			    "or Bcc field");
	if (r == 0) {
		write_head(s, &m, name);
		buf_addc(&s->head, '\n');
		s->body = m.body;
		s->eight_bit =
		    s->utf8_path || s->utf8_header || !span_is_ascii(m.body);
	}
	msg_done(&m);
	free(login);
	free(name);
	return r;
}
