/*
 * addr_path.c - addresses of envelopes; see addr.h.
 * Layer: mail.  RFC 5321 4.1.2, 4.1.3, 4.5.3.1; RFC 6531 3.3.
 */
#include "addr.h"
#include "escape.h"
#include "status.h"

#include <arpa/inet.h>
#include <stdio.h>

/* RFC 5321 4.5.3.1.1, 4.5.3.1.2, 4.5.3.1.3 */
#define LOCAL_MAX 64
#define DOMAIN_MAX 255
#define PATH_MAX_ 256

/* RFC 5322 3.2.3 atext; 6531: and every non-ASCII character. */
static bool
is_atext(char c)
{
	return ascii_isalnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static int
bad(struct err *e, const char *why)
{
	return err_esc(e, ST_DATA, "5.1.3", "%s", why);
}

/* Quoted-string (RFC 5321 4.1.2): its content unquoted to out, for "a" and a
 * are one mailbox; returns bytes taken, 0 bad. */
static size_t
take_quoted(struct span s, struct buf *out)
{
	for (size_t i = 1; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"')
			return i + 1;
		if (c == '\\' && i + 1 < s.n)
			c = (unsigned char)s.p[++i];
		/* qtextSMTP and quoted-pairSMTP are %d32-126; 6531 adds more */
		if (c < 32 || c == 127)
			return 0;
		buf_addc(out, (char)c);
	}
	return 0;
}

/*
 * Dot-string.  Dots at odd places ("a..b", "a.") are not RFC 5321, but some
 * large provider's users have them: taken, and quoted when printed.
 */
static size_t
take_atoms(struct span s, struct buf *out)
{
	size_t i = 0;

	while (i < s.n && (is_atext(s.p[i]) || s.p[i] == '.'))
		buf_addc(out, s.p[i++]);
	return i;
}

/* [1.2.3.4], [IPv6:...]; RFC 5321 4.1.3.  Returns bytes taken, 0 bad. */
static size_t
take_literal(struct span s, struct buf *out)
{
	ssize_t end = span_chr(s, ']');
	struct span in;
	char text[INET6_ADDRSTRLEN];
	unsigned char a[16];
	bool ok;

	if (end < 2)
		return 0;
	in = span_sub(s, 1, (size_t)end);
	/* a NUL would end the text that is checked, not the one that is kept */
	if (in.n >= sizeof(text) || span_has_ctl(in))
		return 0;
	if (span_istarts(in, SPAN("IPv6:"))) {
		snprintf(text, sizeof(text), "%.*s",
			 SPAN_ARG(span_from(in, 5)));
		ok = inet_pton(AF_INET6, text, a) == 1;
	} else {
		snprintf(text, sizeof(text), "%.*s", SPAN_ARG(in));
		ok = inet_pton(AF_INET, text, a) == 1;
	}
	if (!ok)
		return 0;
	buf_add(out, s.p, (size_t)end + 1);
	return (size_t)end + 1;
}

/* RFC 5321 4.1.2: sub-domain *("." sub-domain), underscores too (they exist);
 * one trailing dot is dropped. */
static size_t
take_domain(struct span s, struct buf *out)
{
	size_t i = 0, label = 0, start = out->n;

	if (s.n > 0 && s.p[0] == '[')
		return take_literal(s, out);
	for (; i < s.n; i++) {
		char c = s.p[i];

		if (c == '.') {
			if (label == 0)
				return 0;
			label = 0;
			buf_addc(out, c);
			continue;
		}
		if (!ascii_isalnum(c) && c != '-' && c != '_' &&
		    (unsigned char)c < 0x80)
			break;
		if (label == 0 && c == '-')
			return 0;
		/* U-labels are longer in bytes than their A-labels. */
		if (++label > 63 && (unsigned char)c < 0x80)
			return 0;
		buf_addc(out, ascii_tolower(c));
	}
	if (label == 0 && out->n > start && out->p[out->n - 1] == '.')
		buf_cut(out, out->n - 1);
	if (out->n > start && out->p[out->n - 1] == '-')
		return 0;
	return out->n > start ? i : 0;
}

/* RFC 5321 appendix C: "@a,@b:" is understood and dropped. */
static size_t
skip_route(struct span s)
{
	struct buf drop = BUF_INIT;
	size_t i = 0, n;

	while (i < s.n && s.p[i] == '@') {
		n = take_domain(span_from(s, i + 1), &drop);
		if (n == 0)
			break;
		i += n + 1;
		if (i < s.n && s.p[i] == ',') {
			i++;
			continue;
		}
		if (i < s.n && s.p[i] == ':') {
			buf_free(&drop);
			return i + 1;
		}
		break;
	}
	buf_free(&drop);
	return 0;
}

/* Local-part [ "@" domain ]; the bytes taken, or 0 with a reason. */
static size_t
take_mailbox(struct addr *a, struct span s, bool bare_ok, struct err *e)
{
	size_t used, local;

	if (s.n > 0 && s.p[0] == '"')
		used = take_quoted(s, &a->text);
	else
		used = take_atoms(s, &a->text);
	local = a->text.n;
	if (used == 0 || local == 0) {
		bad(e, "the local part is not valid");
		return 0;
	}
	if (local > LOCAL_MAX) {
		bad(e, "the local part is over 64 bytes");
		return 0;
	}
	if (used < s.n && s.p[used] == '@') {
		size_t n = take_domain(span_from(s, used + 1), &a->text);

		if (n == 0) {
			bad(e, "the domain is not valid");
			return 0;
		}
		used += n + 1;
	} else if (!bare_ok) {
		err_esc(e, ST_DATA, "5.1.3", "the domain is missing");
		return 0;
	}
	if (a->text.n - local > DOMAIN_MAX) {
		bad(e, "the domain is over 255 bytes");
		return 0;
	}
	a->local = span_sub(buf_span(&a->text), 0, local);
	a->domain = span_from(buf_span(&a->text), local);
	return used;
}

static int
check_utf8(struct addr *a, bool utf8_ok, struct err *e)
{
	struct span all = buf_span(&a->text);

	a->utf8 = !span_is_ascii(all);
	if (!a->utf8)
		return 0;
	if (!utf8_ok)
		return err_esc(e, ST_DATA, "5.6.7",
			       "the address needs SMTPUTF8");
	/* RFC 6531 3.3: strict UTF-8, in each part on its own. */
	if (!utf8_valid(a->local) || !utf8_valid(a->domain))
		return bad(e, "the address is not UTF-8");
	return 0;
}

int
addr_parse_path(struct addr *a, struct span s, bool strict, bool utf8_ok,
		bool bare_ok, size_t *used_r, struct err *e)
{
	bool angle = s.n > 0 && s.p[0] == '<';
	size_t at = angle ? 1 : 0, used;

	*a = (struct addr){ .text = BUF_INIT };
	if (strict && !angle)
		return bad(e, "the address must stand in < >");
	if (angle && s.n > 1 && s.p[1] == '>') {
		a->null = true;
		a->local = a->domain = SPAN("");
		*used_r = 2;
		return 0;
	}
	at += skip_route(span_from(s, at));
	buf_room(&a->text, s.n + 1); /* spans into it stay good */
	used = take_mailbox(a, span_from(s, at), bare_ok, e);
	if (used == 0)
		goto out;
	used += at;
	if (angle) {
		if (used >= s.n || s.p[used] != '>') {
			bad(e, "\">\" is missing behind the address");
			goto out;
		}
		used++;
	}
	if (used - at > PATH_MAX_ + LOCAL_MAX) {
		bad(e, "the path is over 256 bytes");
		goto out;
	}
	if (check_utf8(a, utf8_ok, e) != 0)
		goto out;
	*used_r = used;
	return 0;
out:
	addr_free(a);
	return -1;
}

int
addr_parse(struct addr *a, struct span s, struct err *e)
{
	size_t used;

	if (addr_parse_path(a, s, false, true, true, &used, e) != 0)
		return -1;
	if (used == s.n)
		return 0;
	addr_free(a);
	return bad(e, "text stands behind the address");
}

void
addr_free(struct addr *a)
{
	buf_free(&a->text);
	*a = (struct addr){ .text = BUF_INIT };
}

void
addr_quote_local(struct buf *b, struct span local)
{
	bool plain = local.n > 0 && local.p[0] != '.' &&
		     local.p[local.n - 1] != '.' &&
		     span_find(local, SPAN("..")) < 0;

	for (size_t i = 0; i < local.n && plain; i++)
		plain = is_atext(local.p[i]) || local.p[i] == '.';
	if (plain) {
		buf_addspan(b, local);
		return;
	}
	buf_addc(b, '"');
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, local.p[i]);
	}
	buf_addc(b, '"');
}

void
addr_print(struct buf *b, const struct addr *a)
{
	if (a->null)
		return;
	addr_quote_local(b, a->local);
	if (a->domain.n > 0) {
		buf_addc(b, '@');
		buf_addspan(b, a->domain);
	}
}

bool
addr_split_ext(struct span local, const char *delims, struct span *user_r,
	       struct span *ext_r)
{
	*user_r = local;
	*ext_r = SPAN("");
	for (size_t i = 1; delims != NULL && i < local.n; i++) {
		if (local.p[i] == '\0' || strchr(delims, local.p[i]) == NULL)
			continue;
		*user_r = span_sub(local, 0, i);
		*ext_r = span_from(local, i + 1);
		return true;
	}
	return false;
}
