/*
 * authres.c - Authentication-Results fields; see authres.h.
 * Layer: mail.  RFC 8601 2.2.
 */
#include "authres.h"

/* Blanks, folds and comments; nesting is counted, not recursed.  False when a
 * comment does not end. */
static bool
skip_cfws(struct span *s)
{
	size_t depth = 0, i;

	for (i = 0; i < s->n; i++) {
		char c = s->p[i];

		if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\')
			i++;
		else if (depth == 0 && !ascii_isspace(c))
			break;
	}
	*s = span_from(*s, i);
	return depth == 0;
}

/* The authserv-id, unquoted; *in moves behind it.  False when the field is
 * malformed there. */
static bool
take_id(struct span *in, struct buf *id)
{
	struct span s = *in;
	size_t i = 0;

	if (!skip_cfws(&s))
		return false;
	if (s.n > 0 && s.p[0] == '"') {
		for (i = 1; i < s.n && s.p[i] != '"'; i++) {
			if (s.p[i] == '\\' && i + 1 < s.n)
				i++;
			buf_addc(id, s.p[i]);
		}
		if (i >= s.n)
			return false;
		i++;
	} else {
		while (i < s.n && !ascii_isspace(s.p[i]) && s.p[i] != ';' &&
		       s.p[i] != '(')
			buf_addc(id, s.p[i++]);
	}
	/* What may follow: a version, then ";" or the end (2.2). */
	s = span_from(s, i);
	if (!skip_cfws(&s))
		return false;
	for (i = 0; i < s.n && ascii_isdigit(s.p[i]);)
		i++;
	s = span_from(s, i);
	if (!skip_cfws(&s) || (s.n > 0 && s.p[0] != ';'))
		return false;
	*in = s;
	return true;
}

/* "ID/JOB", as OpenDKIM and OpenDMARC write it with AuthservIDWithJobID. */
static bool
is_job_of(struct span value, const char *authserv_id)
{
	struct buf id = BUF_INIT;
	size_t n = strlen(authserv_id);
	bool yes;

	(void)take_id(&value, &id);
	yes = id.n > n && id.p[n] == '/' &&
	      span_iis(span_sub(buf_span(&id), 0, n), authserv_id);
	buf_free(&id);
	return yes;
}

/* "ID;" anywhere: no honest field has it, and rules that look for "ID; dmarc="
 * with a pattern would find it. */
static bool
names_us(struct span value, const char *authserv_id)
{
	struct span id = span_of(authserv_id);
	ssize_t at;

	while (id.n > 0 && (at = span_ifind(value, id)) >= 0) {
		struct span rest = span_from(value, (size_t)at + id.n);
		char before = at > 0 ? value.p[at - 1] : ' ';

		value = rest;
		if (!ascii_isalnum(before) && strchr("-_.", before) == NULL &&
		    skip_cfws(&rest) && rest.n > 0 && rest.p[0] == ';')
			return true;
	}
	return false;
}

bool
authres_is_from(struct span value, const char *authserv_id)
{
	struct buf id = BUF_INIT;
	bool well = take_id(&value, &id), same;

	if (id.n > 1 && id.p[id.n - 1] == '.')
		buf_cut(&id, id.n - 1);
	same = span_iis(buf_span(&id), authserv_id);
	buf_free(&id);
	/* Nobody knows whose a malformed field is: readers less careful than
	 * this one may take it for ours when it names us. */
	return same || (!well && span_ifind(value, span_of(authserv_id)) >= 0);
}

struct span
authres_payload(struct span value)
{
	struct buf id = BUF_INIT;
	bool well = take_id(&value, &id);

	buf_free(&id);
	if (!well || value.n == 0)
		return span_make(NULL, 0);
	return span_trim(span_from(value, 1));
}

/* Up to the byte `end` outside of comments and quotes. */
static struct span
take_until(struct span *s, char end)
{
	size_t depth = 0, i;
	bool quoted = false;
	struct span piece;

	for (i = 0; i < s->n; i++) {
		char c = s->p[i];

		if (c == '\\')
			i++;
		else if (quoted)
			quoted = c != '"';
		else if (c == '"' && depth == 0)
			quoted = true;
		else if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == end && depth == 0)
			break;
	}
	piece = span_sub(*s, 0, i);
	*s = i < s->n ? span_from(*s, i + 1) : span_make(NULL, 0);
	return piece;
}

/* A word: up to a blank, '=', '/', ';' or a comment. */
static struct span
take_word(struct span *s)
{
	size_t i = 0;
	struct span word;

	while (i < s->n && !ascii_isspace(s->p[i]) &&
	       strchr("=/;(\"", s->p[i]) == NULL)
		i++;
	word = span_sub(*s, 0, i);
	*s = span_from(*s, i);
	return word;
}

bool
authres_next(struct span *payload, struct authres_result *r)
{
	while (payload->p != NULL) {
		struct span s = take_until(payload, ';');

		if (!skip_cfws(&s))
			continue;
		r->method = take_word(&s);
		if (!skip_cfws(&s))
			continue;
		if (s.n > 0 && s.p[0] == '/') { /* method-version */
			s = span_from(s, 1);
			if (!skip_cfws(&s))
				continue;
			(void)take_word(&s);
			if (!skip_cfws(&s))
				continue;
		}
		if (r->method.n == 0 || s.n == 0 || s.p[0] != '=')
			continue;
		s = span_from(s, 1);
		if (!skip_cfws(&s))
			continue;
		r->result = take_word(&s);
		r->rest = s;
		if (r->result.n > 0)
			return true;
	}
	return false;
}

/* A token, or a quoted string without its quotes. */
static void
take_value(struct span *s, struct buf *value)
{
	size_t i = 0;

	buf_clear(value);
	if (s->n > 0 && s->p[0] == '"') {
		for (i = 1; i < s->n && s->p[i] != '"'; i++) {
			if (s->p[i] == '\\' && i + 1 < s->n)
				i++;
			buf_addc(value, s->p[i]);
		}
		i++;
	} else {
		while (i < s->n && !ascii_isspace(s->p[i]) && s->p[i] != '(')
			buf_addc(value, s->p[i++]);
	}
	*s = span_from(*s, i);
}

bool
authres_find(const struct authres_result *r, const char *name,
	     struct buf *value)
{
	struct span s = r->rest;

	while (skip_cfws(&s) && s.n > 0) {
		struct span word = take_word(&s);

		if (!skip_cfws(&s))
			break;
		if (s.n == 0 || s.p[0] != '=') {
			/* what is no NAME=VALUE: step over it */
			if (word.n == 0)
				s = span_from(s, 1);
			continue;
		}
		s = span_from(s, 1);
		if (!skip_cfws(&s))
			break;
		take_value(&s, value);
		if (span_iis(word, name))
			return true;
	}
	buf_clear(value);
	return false;
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
	for (size_t i = 0; i < ed->m->n; i++) {
		const struct msg_field *f = &ed->m->v[i];

		if (span_iis(f->name, "Authentication-Results") &&
		    (authres_is_from(f->value, authserv_id) ||
		     is_job_of(f->value, authserv_id) ||
		     names_us(f->value, authserv_id)))
			msg_edit_delete(ed, f);
	}
}
