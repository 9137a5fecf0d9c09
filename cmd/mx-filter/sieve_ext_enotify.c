/*
 * sieve_ext_enotify.c - notify and its tests.  RFC 5435; the method mailto of
 * RFC 5436, the only one here.  (:encodeurl is sieve_ext_variables.c's.)
 */
#include "escape.h"
#include "mem.h"
#include "num.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define RECIPIENTS_MAX 8

/* A mailto URI (RFC 6068), taken apart. */
struct mailto {
	struct strs to,
	    cc; /* bare addresses; bcc is among to of the envelope */
	struct strs bcc;
	char *subject, *body;
	struct buf fields; /* other headers, as they go into the message */
};

static void
mailto_free(struct mailto *m)
{
	strs_free(&m->to);
	strs_free(&m->cc);
	strs_free(&m->bcc);
	free(m->subject);
	free(m->body);
	buf_free(&m->fields);
}

static bool
unescape(struct buf *b, struct span s)
{
	uint64_t v;

	buf_clear(b);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			buf_addc(b, s.p[i]);
			continue;
		}
		if (i + 2 >= s.n ||
		    !num_hex(span_sub(s, i + 1, i + 3), 255, &v) || v == 0)
			return false;
		buf_addc(b, (char)v);
		i += 2;
	}
	return utf8_valid(buf_span(b));
}

static bool
add_addresses(struct strs *to, struct span list)
{
	struct buf b = BUF_INIT;
	struct span one;
	bool ok = true;

	while (ok && span_split(&list, ',', &one)) {
		char *a;

		if (one.n == 0)
			continue;
		ok = unescape(&b, one);
		a = ok ? sieve_address(buf_str(&b)) : NULL;
		ok = a != NULL;
		if (ok && !strs_ihas(to, span_of(a)))
			strs_add(to, a);
		free(a);
	}
	buf_free(&b);
	return ok;
}

/* RFC 5436 2.7: these are ours to set, whatever the URI says. */
static bool
reserved(struct span name)
{
	static const char *const names[] = {
		"auto-submitted", "received", "message-id", "date",   "from",
		"return-path",    "resent-",  "x-sieve",    "sender", "dkim-"
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (span_istarts(name, span_of(names[i])))
			return true;
	}
	return false;
}

static bool
field_ok(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (!ascii_isalnum(name.p[i]) && name.p[i] != '-')
			return false;
	}
	return name.n > 0;
}

/* "subject=...", "cc=...", "x-thing=..." */
static bool
add_header(struct mailto *m, struct span item)
{
	struct buf v = BUF_INIT;
	struct span name;
	bool ok;

	if (!span_split(&item, '=', &name) || item.p == NULL || !field_ok(name))
		return false;
	ok = unescape(&v, item);
	if (span_iis(name, "to")) {
		ok = add_addresses(&m->to, item);
	} else if (span_iis(name, "cc")) {
		ok = add_addresses(&m->cc, item);
	} else if (span_iis(name, "bcc")) {
		ok = add_addresses(&m->bcc, item);
	} else if (ok && span_iis(name, "subject")) {
		free(m->subject);
		m->subject = mem_strdup(buf_str(&v));
	} else if (ok && span_iis(name, "body")) {
		free(m->body);
		m->body = mem_strdup(buf_str(&v));
	} else if (ok && !reserved(name)) {
		char *n = mem_spandup(name);

		msg_make_field(&m->fields, n, buf_span(&v));
		buf_addc(&m->fields, '\n');
		free(n);
	}
	buf_free(&v);
	return ok;
}

static bool
is_mailto(const char *uri)
{
	return span_istarts(span_of(uri), SPAN("mailto:"));
}

static bool
mailto_parse(struct mailto *m, const char *uri)
{
	struct span rest = span_of(uri), list, item;
	bool ok;

	*m = (struct mailto){ .subject = NULL };
	if (!is_mailto(uri) || rest.n > 4096)
		return false;
	for (size_t i = 0; i < rest.n; i++) {
		if ((unsigned char)rest.p[i] <= 32 || rest.p[i] == '#')
			return false;
	}
	rest = span_from(rest, 7);
	(void)span_split(&rest, '?', &list);
	ok = add_addresses(&m->to, list);
	while (ok && rest.p != NULL && span_split(&rest, '&', &item)) {
		/* "&amp;" stands in examples of RFC 5435 */
		if (item.n > 0)
			ok = add_header(m, item);
	}
	return ok;
}

static const char *
value_of(const struct sieve_node *n, const char *tag, const char *none)
{
	const struct sieve_arg *a = sieve_value(n, tag);

	return a != NULL ? a->strings.v[0] : none;
}

static void
add_list(struct buf *b, const char *name, const struct strs *l)
{
	struct buf v = BUF_INIT;

	for (size_t i = 0; i < l->n; i++)
		buf_addf(&v, "%s%s", i ? ", " : "", l->v[i]);
	if (l->n > 0) {
		msg_make_field(b, name, buf_span(&v));
		buf_addc(b, '\n');
	}
	buf_free(&v);
}

/* RFC 5436 2.3: the user, where that is known, else the postmaster. */
static const char *
default_sender(void)
{
	const char *email = sieve_conf.user_email;

	return email != NULL && email[0] != '\0'
		   ? email
		   : sieve_conf.postmaster_address;
}

/* RFC 5436 2.7 */
static char *
compose(struct sieve_run *r, const struct sieve_node *n, const struct mailto *m)
{
	const char *message = value_of(n, ":message", NULL);
	const char *importance = value_of(n, ":importance", "2");
	const char *from = value_of(n, ":from", default_sender());
	struct buf b = BUF_INIT, subject = BUF_INIT, to = BUF_INIT;

	if (message != NULL)
		buf_adds(&subject, message);
	else if (m->subject != NULL)
		buf_adds(&subject, m->subject);
	else if (!sieve_field(r, "Subject", &subject))
		buf_adds(&subject, "Notification");
	for (size_t i = 0; i < m->to.n; i++)
		buf_addf(&to, "%s%s", i ? ", " : "", m->to.v[i]);
	sieve_mail_head(&b, from,
			to.n ? buf_str(&to) : "undisclosed-recipients:;",
			buf_str(&subject), "auto-notified");
	add_list(&b, "Cc", &m->cc);
	buf_addf(&b, "Importance: %s\nX-Priority: %s\n",
		 importance[0] == '1'   ? "high"
		 : importance[0] == '3' ? "low"
					: "normal",
		 importance[0] == '1'   ? "1 (Highest)"
		 : importance[0] == '3' ? "5 (Lowest)"
					: "3 (Normal)");
	buf_addspan(&b, buf_span(&m->fields));
	buf_adds(&b, "MIME-Version: 1.0\n"
		     "Content-Type: text/plain; charset=utf-8\n"
		     "Content-Transfer-Encoding: 8bit\n\n");
	buf_adds(&b, m->body ? m->body : "Notification of new message.");
	buf_addc(&b, '\n');
	buf_free(&subject);
	buf_free(&to);
	return buf_steal(&b);
}

static void
add_recipients(struct strs *all, const struct strs *from)
{
	for (size_t i = 0; i < from->n; i++) {
		if (!strs_ihas(all, span_of(from->v[i])))
			strs_add(all, from->v[i]);
	}
}

/* RFC 5436 2.7.1: the null sender stays null; a notification of a notification
 * is none. */
static int
act(struct sieve_run *r, const struct sieve_node *n, struct mailto *m)
{
	struct strs all = STRS_INIT;
	struct buf from = BUF_INIT, was = BUF_INIT;
	struct sieve_action *a;
	const char *setting = sieve_conf.notify_from;
	int rc = 0;

	add_recipients(&all, &m->to);
	add_recipients(&all, &m->cc);
	add_recipients(&all, &m->bcc);
	if (all.n == 0) {
		strs_free(&all);
		return 0;
	}
	if (all.n > RECIPIENTS_MAX)
		rc = err_set(&r->err, ST_UNAVAILABLE,
			     "a notification has more than %d recipients",
			     RECIPIENTS_MAX);
	a = rc == 0 ? sieve_act_more(r, NULL, "notify", mem_strdup(all.v[0]),
				     compose(r, n, m))
		    : NULL;
	if (a != NULL) {
		for (size_t i = 1; i < all.n; i++)
			strs_add(&a->args, all.v[i]);
		if (r->sender == NULL || r->sender[0] == '\0') {
			a->from = mem_strdup("");
		} else if (setting != NULL && setting[0] != '\0') {
			a->from =
			    mem_strdup(sieve_envelope_from(r, setting, &from));
		} else {
			a->from = sieve_address(
			    value_of(n, ":from", default_sender()));
			if (a->from == NULL)
				a->from = mem_strdup("");
		}
		rc = sieve_take_fcc(r, n, a);
		if (sieve_field(r, "Auto-Submitted", &was) &&
		    span_istarts(buf_span(&was), SPAN("auto-notified")))
			a->withheld =
			    mem_strdup("the message is a notification");
	}
	buf_free(&from);
	buf_free(&was);
	strs_free(&all);
	return a != NULL ? rc : -1;
}

static int
run_notify(struct sieve_run *r, const struct sieve_node *n)
{
	const char *uri = sieve_pos(n, 0)->strings.v[0];
	struct mailto m;
	int rc;

	if (sieve_conf.max_notifications == 0)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "local policy prohibits the use of a notify "
			       "action");
	if (mailto_parse(&m, uri))
		rc = act(r, n, &m);
	else
		rc = err_set(&r->err, ST_DATA,
			     "notify: invalid method \"%.100s\"", uri);
	mailto_free(&m);
	return rc;
}

static void
check_notify(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *uri = sieve_pos(n, 0);
	const struct sieve_arg *imp = sieve_value(n, ":importance");
	const char *text = uri->strings.v[0];
	struct mailto m;

	sieve_check_box(s, n);
	if (sieve_conf.max_notifications == 0)
		sieve_error(s, n->line, n->col,
			    "local policy prohibits the use of a notify "
			    "action");
	sieve_check_address(s, sieve_value(n, ":from"));
	if (imp != NULL && sieve_constant(s, imp->strings.v[0])) {
		const char *v = imp->strings.v[0];

		if (v[0] < '1' || v[0] > '3' || v[1] != '\0')
			sieve_error(s, imp->line, imp->col,
				    "invalid :importance value for the notify "
				    "command: %s",
				    v);
	}
	if (!sieve_constant(s, text))
		return;
	if (!is_mailto(text)) {
		sieve_error(s, uri->line, uri->col,
			    "invalid notification method \"%s\"", text);
		return;
	}
	if (!mailto_parse(&m, text))
		sieve_error(s, uri->line, uri->col, "invalid mailto URI \"%s\"",
			    text);
	mailto_free(&m);
}

static int
run_valid(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *uris = sieve_pos(n, 0);
	bool ok = true;

	(void)r;
	for (size_t i = 0; ok && i < uris->strings.n; i++) {
		struct mailto m;

		ok = mailto_parse(&m, uris->strings.v[i]);
		mailto_free(&m);
	}
	return ok;
}

/* RFC 5435 5: "online" is all that is defined; mail cannot tell. */
static int
run_capability(struct sieve_run *r, const struct sieve_node *n)
{
	struct mailto m;
	bool ok = mailto_parse(&m, sieve_pos(n, 0)->strings.v[0]);

	mailto_free(&m);
	if (!ok || !span_iis(span_of(sieve_pos(n, 1)->strings.v[0]), "online"))
		return 0;
	return sieve_match(r, n, SPAN("maybe"), sieve_pos(n, 2));
}

static const struct sieve_tag tags[] = {
	{ ":from", 's', NULL, NULL },
	{ ":importance", 's', NULL, NULL },
	{ ":options", 'S', NULL, NULL },
	{ ":message", 's', NULL, NULL },
};
static const struct sieve_word words[] = {
	{ .name = "notify",
	  .ext = "enotify",
	  .positional = "s",
	  .tags = tags,
	  .ntags = ARRAY_LEN(tags),
	  .check = check_notify,
	  .run = run_notify },
	{ .name = "valid_notify_method",
	  .ext = "enotify",
	  .is_test = true,
	  .positional = "S",
	  .run = run_valid },
	{ .name = "notify_method_capability",
	  .ext = "enotify",
	  .is_test = true,
	  .positional = "ssS",
	  .with_match = true,
	  .run = run_capability },
};
static const struct sieve_extension enotify = {
	.name = "enotify",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(enotify);
