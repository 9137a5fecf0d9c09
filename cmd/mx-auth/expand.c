/*
 * expand.c - %-variables of mail_location and userdb fields, and what a user
 * name may look like.
 * Dovecot "Config Variables"; the names of 2.4 ("%{user | domain}") are read
 * too, so that either generation's configuration carries over.
 */
#include "auth.h"
#include "escape.h"
#include "status.h"

static struct span
local_part(const char *user)
{
	struct span u = span_of(user);
	ssize_t at = span_chr(u, '@');

	return at < 0 ? u : span_sub(u, 0, (size_t)at);
}

static struct span
domain_part(const char *user)
{
	struct span u = span_of(user);
	ssize_t at = span_chr(u, '@');

	return at < 0 ? SPAN("") : span_from(u, (size_t)at + 1);
}

/* The value of one variable; false when there is no such variable. */
static bool
variable(struct span name, const struct expand_vars *v, struct span *r)
{
	static const struct {
		const char *names[5];
		char letter;
	} rows[] = {
		{ { "u", "user", NULL }, 'u' },
		{ { "n", "username", "user|username", NULL }, 'n' },
		{ { "d", "domain", "user|domain", NULL }, 'd' },
		{ { "h", "home", NULL }, 'h' },
		{ { "s", "service", "protocol", NULL }, 's' },
		{ { "r", "rip", "remote_ip", NULL }, 'r' },
	};
	char letter = '\0';

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (const char *const *n = rows[i].names; *n; n++)
			if (span_is(name, *n))
				letter = rows[i].letter;
	*r = (struct span){ NULL, 0 };
	if (letter == 'u' && v->user)
		*r = span_of(v->user);
	else if (letter == 'n' && v->user)
		*r = local_part(v->user);
	else if (letter == 'd' && v->user)
		*r = domain_part(v->user);
	else if (letter == 'h')
		*r = v->home ? span_of(v->home) : *r;
	else if (letter == 's')
		*r = v->service ? span_of(v->service) : *r;
	else if (letter == 'r')
		*r = v->remote_ip ? span_of(v->remote_ip) : *r;
	return letter != '\0';
}

/* "user | domain" without its blanks. */
static struct span
squeeze(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ')
			buf_addc(b, s.p[i]);
	return buf_span(b);
}

/* Modifiers of the short form: L, U and a width in digits. */
struct modifiers {
	bool lower, upper;
	size_t width;
};

static void
take_modifiers(struct span *rest, struct modifiers *m)
{
	while (rest->n > 1) {
		char c = rest->p[0];

		if (c == 'L')
			m->lower = true;
		else if (c == 'U')
			m->upper = true;
		else if (ascii_isdigit(c) && m->width < 1000)
			m->width = m->width * 10 + (size_t)(c - '0');
		else
			break;
		*rest = span_from(*rest, 1);
	}
}

/* One variable behind its "%"; *rest moves behind it. */
static int
expand_one(struct buf *out, struct span *rest, const struct expand_vars *v,
	   struct err *e)
{
	struct modifiers m = { false, false, 0 };
	struct buf squeezed = BUF_INIT;
	struct span name, value;
	int r = 0;
	ssize_t end;

	if (rest->n > 0 && rest->p[0] == '%') {
		buf_addc(out, '%');
		*rest = span_from(*rest, 1);
		return 0;
	}
	take_modifiers(rest, &m);
	name = span_sub(*rest, 0, 1);
	*rest = span_from(*rest, 1);
	if (span_is(name, "{") && (end = span_chr(*rest, '}')) >= 0) {
		name = squeeze(&squeezed, span_sub(*rest, 0, (size_t)end));
		*rest = span_from(*rest, (size_t)end + 1);
	}
	if (!variable(name, v, &value))
		r = err_set(e, ST_CONFIG,
			    "variable %%%.*s is not known; known are %%u %%n "
			    "%%d %%h %%s %%r",
			    SPAN_ARG(span_sub(name, 0, 40)));
	else if (!value.p)
		r = err_set(e, ST_CONFIG, "variable %%%.*s has no value here",
			    SPAN_ARG(span_sub(name, 0, 40)));
	if (m.width > 0)
		value = span_sub(value, 0, m.width);
	for (size_t i = 0; r == 0 && i < value.n; i++)
		buf_addc(out, m.lower   ? ascii_tolower(value.p[i])
			      : m.upper ? ascii_toupper(value.p[i])
					: value.p[i]);
	buf_free(&squeezed);
	return r;
}

int
expand(struct buf *out, struct span text, const struct expand_vars *v,
       struct err *e)
{
	bool start = true; /* of a path: here "~/" is the home */

	while (text.n > 0) {
		if (start && text.p[0] == '~' &&
		    (text.n == 1 || text.p[1] == '/')) {
			if (!v->home || !v->home[0])
				return err_set(e, ST_CONFIG,
					       "~ stands for a home directory, "
					       "but the userdb gives none");
			buf_adds(out, v->home);
			text = span_from(text, 1);
		} else if (text.p[0] == '%') {
			text = span_from(text, 1);
			if (expand_one(out, &text, v, e) < 0)
				return -1;
		} else {
			buf_addc(out, text.p[0]);
			text = span_from(text, 1);
		}
		/* "maildir:~/Maildir:INDEX=~/x" */
		start = out->n > 0 && strchr(":=", out->p[out->n - 1]);
	}
	return 0;
}

/* Neither empty nor leading out of the directory it is put into. */
static bool
part_ok(struct span part)
{
	return part.n > 0 && part.p[0] != '.' && span_chr(part, '/') < 0;
}

int
username_check(struct span user, struct err *e)
{
	ssize_t at = span_chr(user, '@');
	bool ok = user.n > 0 && user.n <= 255 && !span_has_ctl(user) &&
		  utf8_valid(user);

	if (ok && at >= 0)
		ok = part_ok(span_sub(user, 0, (size_t)at)) &&
		     part_ok(span_from(user, (size_t)at + 1));
	else if (ok)
		ok = part_ok(user);
	if (ok)
		return 0;
	return err_set(e, ST_NOPERM, "this is no acceptable user name");
}

int
username_normalize(struct buf *out, struct span given, struct err *e)
{
	const char *allowed = auth_params.username_chars;
	struct buf name = BUF_INIT;
	struct expand_vars v = { NULL, NULL, NULL, NULL };
	int r = 0;

	for (size_t i = 0; allowed[0] && i < given.n; i++)
		if (given.p[i] == '\0' || !strchr(allowed, given.p[i]))
			r = err_set(e, ST_NOPERM,
				    "the user name has a character that "
				    "auth_username_chars does not list");
	if (r == 0)
		r = username_check(given, e);
	if (r == 0) {
		buf_addspan(&name, given);
		if (auth_params.default_realm[0] && span_chr(given, '@') < 0)
			buf_addf(&name, "@%s", auth_params.default_realm);
		v.user = buf_str(&name);
		if (auth_params.username_format[0])
			r = expand(out, span_of(auth_params.username_format),
				   &v, e);
		else
			buf_addspan(out, buf_span(&name));
	}
	if (r == 0)
		r = username_check(buf_span(out), e);
	buf_free(&name);
	return r;
}
