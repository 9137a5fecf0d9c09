/*
 * cmd_mail.c - MAIL, RCPT and XFORWARD.
 * RFC 5321 4.1.1.2 and 4.1.1.3, 1870, 6152, 6531, 3461; Postfix
 * XFORWARD_README; THREATS 15, 17, 21, 22, 24, 33.
 */
#include "addr.h"
#include "conf.h"
#include "escape.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "queue.h"
#include "session.h"
#include "site.h"
#include "status.h"

#include <stdlib.h>

/* "FROM:" or "TO:", then the path; params: what stands behind it. */
static int
take_path(struct span arg, const char *word, bool null_ok, bool utf8,
	  char **addr_r, struct span *params, struct err *e)
{
	struct addr a;
	struct buf b = BUF_INIT;
	size_t used;
	int r = 0;

	if (!span_istarts(arg, span_of(word)))
		return err_esc(e, ST_DATA, "5.5.4", "Syntax: %s<address>",
			       word);
	arg = span_ltrim(span_from(arg, strlen(word)));
	if (addr_parse_path(&a, arg, false, utf8, true, &used, e) != 0)
		return -1;
	*params = span_trim(span_from(arg, used));
	if (used < arg.n && arg.p[used] != ' ')
		r = err_esc(e, ST_DATA, "5.1.3", "Bad address syntax");
	else if (a.null && !null_ok)
		r = err_esc(e, ST_DATA, "5.1.3", "Bad recipient address");
	/* postconf(5) allow_min_user = no: of senders, too, which commands
	 * get as an argument */
	else if (!a.null && a.local.n > 0 && a.local.p[0] == '-')
		r = err_esc(e, ST_DATA, "5.1.3",
			    "An address does not begin with \"-\"");
	if (r == 0) {
		addr_print(&b, &a);
		/* a name without domain is one of this host's */
		if (!a.null && a.domain.n == 0 && conf.append_at_myorigin)
			buf_addf(&b, "@%s", site.myorigin);
		if (span_has_ctl(buf_span(&b)))
			r = err_esc(e, ST_DATA, "5.1.3", "Bad address syntax");
	}
	addr_free(&a);
	if (r == 0)
		*addr_r = mem_strdup(buf_str(&b));
	buf_free(&b);
	return r;
}

static char *
unxtext(struct span v, size_t max)
{
	struct buf b = BUF_INIT;

	if (v.n > max || !escape_unxtext(&b, v) || span_has_ctl(buf_span(&b))) {
		buf_free(&b);
		return NULL;
	}
	if (b.n == 0)
		buf_adds(&b, "");
	return buf_steal(&b);
}

/* RFC 5321 4.1.1.11: 555 where the parameter is none of ours; RFC 3461 5.1: 501
 * where one of DSN's has a bad value, or is there twice. */
static struct reply
bad_param(struct span name)
{
	static const char *const dsn[] = { "RET", "ENVID", "NOTIFY", "ORCPT" };
	int code = 555;

	for (size_t i = 0; i < ARRAY_LEN(dsn); i++)
		if (span_iis(name, dsn[i]))
			code = 501;
	return reply_make(code, "5.5.4",
			  "Unsupported or malformed parameter: %.*s",
			  SPAN_ARG(span_sub(name, 0, 40)));
}

/* One "NAME=value" of MAIL; the reply's code is 0 when it is fine. */
static struct reply
mail_param(struct session *x, struct span name, struct span value)
{
	struct trans *t = &x->t;
	uint64_t size;

	if (span_iis(name, "SIZE") && num_u64(value, INT64_MAX, &size)) {
		if (conf.message_size_limit > 0 &&
		    size > (uint64_t)conf.message_size_limit)
			return reply_make(552, "5.3.4",
					  "Message size exceeds fixed limit");
		if (!queue_room(size))
			return reply_make(452, "4.3.1",
					  "Insufficient system storage");
		t->announced = size;
	} else if (span_iis(name, "BODY") && span_iis(value, "8BITMIME")) {
		t->flags |= QUEUEFILE_8BIT;
	} else if (span_iis(name, "BODY") && span_iis(value, "7BIT")) {
		t->flags &= ~QUEUEFILE_8BIT;
	} else if (span_iis(name, "SMTPUTF8") && value.p == NULL) {
		t->flags |= QUEUEFILE_UTF8;
	} else if (span_iis(name, "REQUIRETLS") && value.p == NULL &&
		   x->trusted) {
		/* RFC 8689; it came under TLS, mx-recv says */
		t->flags |= QUEUEFILE_REQUIRETLS;
	} else if (span_iis(name, "RET") && t->ret == NULL &&
		   (span_iis(value, "FULL") || span_iis(value, "HDRS"))) {
		t->ret = mem_strdup(span_iis(value, "FULL") ? "FULL" : "HDRS");
	} else if (span_iis(name, "ENVID") && value.p != NULL &&
		   t->envid == NULL &&
		   (t->envid = unxtext(value, 100)) != NULL) {
		return (struct reply){ .code = 0 };
	} else if (!span_iis(name, "AUTH")) {
		/* RFC 4954 5: AUTH= may always stand there */
		return bad_param(name);
	}
	return (struct reply){ .code = 0 };
}

/* "A=b C" -> name and value (p NULL without "="). */
static bool
next_param(struct span *rest, struct span *name, struct span *value)
{
	struct span word;
	ssize_t eq;

	if (!span_word(rest, " ", &word))
		return false;
	eq = span_chr(word, '=');
	*name = eq < 0 ? word : span_sub(word, 0, (size_t)eq);
	*value =
	    eq < 0 ? (struct span){ NULL, 0 } : span_from(word, (size_t)eq + 1);
	return true;
}

/* It decides how the path is read, so it is looked for first: a word that may
 * as well stand inside of a quoted local part; cmd_mail looks again. */
static bool
wants_utf8(struct span arg)
{
	return span_ifind(arg, SPAN(" SMTPUTF8")) >= 0;
}

struct reply
cmd_mail(struct session *x, struct span arg)
{
	struct span params, name, value;
	struct err e = ERR_INIT;
	struct reply r = { .code = 0 };
	char *addr = NULL;

	if (x->t.sender != NULL)
		return reply_make(503, "5.5.1", "Error: nested MAIL command");
	if (take_path(arg, "FROM:", true, wants_utf8(arg), &addr, &params,
		      &e) != 0)
		return reply_make(501, "5.1.7", "%s", e.text);
	if (!queue_room(0))
		r = reply_make(452, "4.3.1", "Insufficient system storage");
	while (r.code == 0 && next_param(&params, &name, &value))
		r = mail_param(x, name, value);
	/* RFC 6531 3.5 */
	if (r.code == 0 && !span_is_ascii(span_of(addr)) &&
	    !(x->t.flags & QUEUEFILE_UTF8))
		r = reply_make(550, "5.6.7",
			       "Error: this address needs SMTPUTF8");
	if (r.code != 0) {
		free(addr);
		session_reset(x);
		return r;
	}
	x->t.sender = addr;
	return reply_make(250, "2.1.0", "Ok");
}

/* RFC 3461 4.1: NEVER alone, or a list of the others. */
static bool
notify_ok(struct span v)
{
	struct span piece, rest = v;
	bool never = span_iis(v, "NEVER");

	while (!never && span_split(&rest, ',', &piece))
		if (!span_iis(piece, "SUCCESS") &&
		    !span_iis(piece, "FAILURE") && !span_iis(piece, "DELAY"))
			return false;
	return v.n > 0;
}

static struct reply
rcpt_param(struct span name, struct span value, char **orcpt, char **notify)
{
	if (span_iis(name, "NOTIFY") && *notify == NULL && notify_ok(value)) {
		*notify = mem_spandup(value);
		for (char *p = *notify; *p != '\0'; p++)
			*p = ascii_toupper(*p);
		return (struct reply){ .code = 0 };
	}
	/* RFC 6533 3: this type may hold UTF-8 as it is, and has escapes of its
	 * own. */
	if (span_iis(name, "ORCPT") && *orcpt == NULL && value.n <= 500 &&
	    span_istarts(value, SPAN("utf-8;")) && utf8_valid(value) &&
	    !span_has_ctl(value)) {
		*orcpt = mem_spandup(value);
		return (struct reply){ .code = 0 };
	}
	if (span_iis(name, "ORCPT") && *orcpt == NULL &&
	    span_chr(value, ';') > 0 && (*orcpt = unxtext(value, 500)) != NULL)
		return (struct reply){ .code = 0 };
	return bad_param(name);
}

struct reply
cmd_rcpt(struct session *x, struct span arg)
{
	char *addr = NULL, *orcpt = NULL, *notify = NULL;
	struct span params, name, value;
	struct err e = ERR_INIT;
	struct reply r = { .code = 0 };
	int code = 0;

	if (x->t.nrcpt >= (size_t)conf.recipient_limit)
		return reply_make(452, "4.5.3", "Error: too many recipients");
	if (take_path(arg, "TO:", false, x->t.flags & QUEUEFILE_UTF8, &addr,
		      &params, &e) != 0)
		return reply_make(501, "5.1.3", "%s", e.text);
	while (r.code == 0 && next_param(&params, &name, &value))
		r = rcpt_param(name, value, &orcpt, &notify);
	if (r.code != 0) {
		free(orcpt);
		free(notify);
	} else if (trans_rcpt(&x->t, addr, orcpt, notify, &code, &e) != 0) {
		struct reply why = reply_err(x, &e);
		if (code > 0)
			why = reply_make(code, err_code(&e), "%s", e.text);
		r = reply_make(why.code, why.esc,
			       "<%s>: Recipient address rejected: %s", addr,
			       why.text);
		if (r.code < 500)
			log_warn("<%s>: %s", addr, e.text);
	} else {
		r = reply_make(250, "2.1.5", "Ok");
	}
	free(addr);
	return r;
}

static const struct {
	const char *name;
	size_t offset;
} attributes[] = {
	{ "NAME", offsetof(struct client, name) },
	{ "ADDR", offsetof(struct client, addr) },
	{ "PORT", offsetof(struct client, port) },
	{ "PROTO", offsetof(struct client, proto) },
	{ "HELO", offsetof(struct client, helo) },
	{ "IDENT", offsetof(struct client, ident) },
	{ "SOURCE", offsetof(struct client, source) },
	{ "LOGIN", offsetof(struct client, login) },
	{ "TLS", offsetof(struct client, tls) },
};

static bool
set_attribute(struct client *c, struct span name, struct span value)
{
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
		char **slot;
		char *v;

		if (!span_iis(name, attributes[i].name))
			continue;
		v = unxtext(value, 255);
		if (v == NULL)
			return false;
		/* "IPV6:" stands before addresses in Postfix's way */
		if (strcmp(attributes[i].name, "ADDR") == 0 &&
		    span_istarts(span_of(v), SPAN("IPV6:")))
			memmove(v, v + 5, strlen(v + 5) + 1);
		slot = (char **)(void *)((char *)c + attributes[i].offset);
		free(*slot);
		*slot = v;
		if (strcmp(v, "[UNAVAILABLE]") == 0) {
			free(v);
			*slot = NULL;
		}
		return true;
	}
	return false;
}

struct reply
cmd_xforward(struct session *x, struct span arg)
{
	struct span name, value;

	if (!x->trusted)
		return reply_make(550, "5.7.0",
				  "Error: insufficient authorization");
	if (x->t.sender != NULL)
		return reply_make(503, "5.5.1",
				  "Error: MAIL transaction in progress");
	if (arg.n == 0)
		return reply_make(501, "5.5.4",
				  "Syntax: XFORWARD attribute=value...");
	while (next_param(&arg, &name, &value))
		if (value.p == NULL || !set_attribute(&x->client, name, value))
			return reply_make(501, "5.5.4",
					  "Bad XFORWARD attribute: %.*s",
					  SPAN_ARG(span_sub(name, 0, 40)));
	x->client.forwarded = true;
	return reply_make(250, "2.0.0", "Ok");
}
