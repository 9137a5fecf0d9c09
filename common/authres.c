/*
 * authres.c - Authentication-Results fields; see authres.h.
 * Layer: mail.  RFC 8601 2.2.
 */
#include "authres.h"

/* Blanks, folds and comments; nesting is counted, not recursed. */
static struct span
skip_cfws(struct span s)
{
	size_t depth = 0, i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\')
			i++;
		else if (depth == 0 && !ascii_isspace(c))
			break;
	}
	return span_from(s, i);
}

bool
authres_is_from(struct span value, const char *authserv_id)
{
	struct span s = skip_cfws(value);
	struct buf id = BUF_INIT;
	bool same;

	if (s.n > 0 && s.p[0] == '"') {
		for (size_t i = 1; i < s.n && s.p[i] != '"'; i++) {
			if (s.p[i] == '\\' && i + 1 < s.n)
				i++;
			buf_addc(&id, s.p[i]);
		}
	} else {
		for (size_t i = 0; i < s.n; i++) {
			if (ascii_isspace(s.p[i]) || s.p[i] == ';' ||
			    s.p[i] == '(')
				break;
			buf_addc(&id, s.p[i]);
		}
	}
	same = span_iis(buf_span(&id), authserv_id);
	buf_free(&id);
	return same;
}

/* RFC 2045 token, and '@' '.' as pvalues have them. */
static bool
plain(struct span v)
{
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (c <= 0x20 || c >= 0x7f ||
		    strchr("()<>,;:\\\"/[]?=", (char)c) != NULL)
			return false;
	}
	return v.n > 0;
}

void
authres_property(struct buf *b, const char *name, struct span value)
{
	buf_addf(b, " %s=", name);
	if (plain(value)) {
		buf_addspan(b, value);
		return;
	}
	buf_addc(b, '"');
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, value.p[i]);
	}
	buf_addc(b, '"');
}

void
authres_remove(struct msg_edit *ed, const char *authserv_id)
{
	const struct msg_field *f;

	for (size_t i = 0;
	     (f = msg_find(ed->m, "Authentication-Results", i)) != NULL; i++) {
		if (authres_is_from(f->value, authserv_id))
			msg_edit_delete(ed, f);
	}
}
