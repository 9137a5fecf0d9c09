/*
 * section.c - see section.h.
 */
#include "section.h"

void
section_free(struct section *s)
{
	buf_free(&s->number);
	buf_free(&s->label);
	strs_free(&s->fields);
}

/* "1.2.3", with a dot behind it when words follow. */
static bool
parse_number_path(struct section *s, struct parse *p)
{
	while (ascii_isdigit(parse_peek(p))) {
		uint32_t n;

		if (!parse_number(p, &n) || n == 0)
			return false;
		if (s->number.n > 0)
			buf_addc(&s->number, '.');
		buf_addf(&s->number, "%lu", (unsigned long)n);
		if (s->number.n > 1000)
			return false;
		if (parse_peek(p) != '.')
			return true;
		p->at++;
		if (parse_peek(p) == ']')
			return false;
	}
	return true;
}

static bool
parse_fields(struct section *s, struct parse *p)
{
	struct buf name = BUF_INIT;
	bool ok = parse_sp(p) && parse_char(p, '(');

	while (ok && parse_peek(p) != ')') {
		buf_clear(&name);
		ok = parse_astring(p, &name) && s->fields.n < 1000;
		if (ok)
			strs_addspan(&s->fields, buf_span(&name));
		if (ok && parse_peek(p) != ')')
			ok = parse_sp(p);
	}
	buf_free(&name);
	/* RFC 3501 9: header-list is 1*; some clients send none */
	return ok && parse_char(p, ')');
}

static bool
parse_what(struct section *s, struct parse *p)
{
	bool numbered = s->number.n > 0;

	if (parse_peek(p) == ']')
		return true;
	/* "1.TEXT", not "1TEXT" */
	if (numbered && p->s.p[p->at - 1] != '.')
		return false;
	if (parse_word(p, "HEADER.FIELDS.NOT")) {
		s->what = SECTION_FIELDS_NOT;
		return parse_fields(s, p);
	}
	if (parse_word(p, "HEADER.FIELDS")) {
		s->what = SECTION_FIELDS;
		return parse_fields(s, p);
	}
	if (parse_word(p, "HEADER"))
		s->what = SECTION_HEADER;
	else if (parse_word(p, "TEXT"))
		s->what = SECTION_TEXT;
	else if (numbered && parse_word(p, "MIME"))
		s->what = SECTION_MIME;
	else
		return false;
	return true;
}

static bool
parse_partial(struct section *s, struct parse *p)
{
	if (parse_peek(p) != '<')
		return true;
	p->at++;
	if (!parse_number64(p, &s->from) || !parse_char(p, '.') ||
	    !parse_number64(p, &s->count) || s->count == 0)
		return false;
	s->partial = true;
	return parse_char(p, '>');
}

/* A field's name as the client may write it: atom, quoted or literal. */
static void
add_field_name(struct buf *b, struct span name)
{
	bool atom = name.n > 0, plain = true;

	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		plain = plain && c >= 0x20 && c < 0x7f;
		atom = atom && c > 0x20 && c < 0x7f &&
		       strchr("(){%*\"\\[]", c) == NULL;
	}
	if (atom) {
		buf_addspan(b, name);
		return;
	}
	if (!plain) {
		buf_addf(b, "{%zu}\r\n", name.n);
		buf_addspan(b, name);
		return;
	}
	buf_addc(b, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, name.p[i]);
	}
	buf_addc(b, '"');
}

static void
make_label(struct section *s)
{
	static const char *const words[] = {
		"",     "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT",
		"MIME", "TEXT",
	};

	buf_addf(&s->label, "BODY[%s%s%s", buf_str(&s->number),
		 s->number.n > 0 && s->what != SECTION_ALL ? "." : "",
		 words[s->what]);
	if (s->what == SECTION_FIELDS || s->what == SECTION_FIELDS_NOT) {
		buf_adds(&s->label, " (");
		for (size_t i = 0; i < s->fields.n; i++) {
			buf_adds(&s->label, i > 0 ? " " : "");
			add_field_name(&s->label, span_of(s->fields.v[i]));
		}
		buf_addc(&s->label, ')');
	}
	buf_addc(&s->label, ']');
	if (s->partial)
		buf_addf(&s->label, "<%llu>", (unsigned long long)s->from);
}

bool
section_parse(struct section *s, struct parse *p)
{
	if (!parse_char(p, '[') || !parse_number_path(s, p) ||
	    !parse_what(s, p) || !parse_char(p, ']') || !parse_partial(s, p)) {
		if (p->bad == NULL)
			p->bad = "Invalid section";
		return false;
	}
	make_label(s);
	return true;
}

bool
section_header_only(const struct section *s)
{
	return s->number.n == 0 && s->what != SECTION_ALL &&
	       s->what != SECTION_TEXT;
}

bool
section_listed(const struct section *s)
{
	if (s->number.n > 0 || s->what != SECTION_FIELDS)
		return false;
	for (size_t i = 0; i < s->fields.n; i++)
		if (!loaded_is_field(s->fields.v[i]))
			return false;
	return true;
}

static void
add_fields(struct buf *b, struct span header, struct span body,
	   const struct section *s)
{
	struct msg m;
	bool not = s->what == SECTION_FIELDS_NOT;

	msg_index(&m, header, header.n + 1);
	for (size_t i = 0; i < m.n; i++) {
		if (strs_ihas(&s->fields, m.v[i].name) == not )
			continue;
		buf_addspan(b, m.v[i].all);
		/* a last field without its line end */
		if (m.v[i].all.n > 0 && m.v[i].all.p[m.v[i].all.n - 1] != '\n')
			buf_adds(b, "\r\n");
	}
	if (loaded_has_end(header, body))
		buf_adds(b, "\r\n");
	msg_done(&m);
}

/* Header and body that HEADER, TEXT ... speak of. */
static bool
find_message(const struct section *s, struct loaded *l, struct span *header,
	     struct span *body)
{
	const struct mime *m;
	size_t at;

	if (s->number.n == 0) {
		*header = l->header;
		*body = l->body;
		return true;
	}
	m = loaded_mime(l);
	at = mime_find(m, buf_span(&s->number));
	if (at == MIME_NONE)
		return false;
	if (s->what == SECTION_MIME || s->what == SECTION_ALL) {
		*header = m->v[at].header_full;
		*body = m->v[at].body;
		return true;
	}
	/* RFC 3501 6.4.5: of a message/rfc822 part, the message inside */
	if (m->v[at].kind != MIME_MESSAGE || m->v[at].child == MIME_NONE)
		return false;
	at = m->v[at].child;
	*header = m->v[at].header_full;
	*body = m->v[at].body;
	return true;
}

static struct span
whole_section(const struct section *s, struct loaded *l, struct buf *made)
{
	struct span header, body;

	if (!find_message(s, l, &header, &body))
		return span_make(NULL, 0);
	switch (s->what) {
	case SECTION_ALL:
		return s->number.n == 0 ? buf_span(&l->bytes) : body;
	case SECTION_TEXT:
		return body;
	case SECTION_HEADER:
	case SECTION_MIME:
		return header;
	default:
		add_fields(made, header, body, s);
		return made->n > 0 ? buf_span(made) : SPAN("");
	}
}

static struct span
cut(const struct section *s, struct span b)
{
	size_t from = s->from < b.n ? (size_t)s->from : b.n;
	size_t n = b.n - from;

	if (!s->partial)
		return b;
	return span_sub(b, from, from + (s->count < n ? (size_t)s->count : n));
}

/* The part whose body is meant; NULL: the whole message, or none. */
static const struct mime_part *
binary_part(const struct section *s, struct loaded *l)
{
	const struct mime *m;
	size_t at;

	if (s->number.n == 0)
		return NULL;
	m = loaded_mime(l);
	at = mime_find(m, buf_span(&s->number));
	return at == MIME_NONE ? NULL : &m->v[at];
}

bool
section_decodable(const struct section *s, struct loaded *l)
{
	const struct mime_part *p = binary_part(s, l);

	return p == NULL || p->kind != MIME_LEAF ||
	       p->encoding != MIME_UNKNOWN_ENCODING;
}

struct span
section_binary(const struct section *s, struct loaded *l, struct buf *made)
{
	const struct mime_part *p = binary_part(s, l);

	if (p == NULL || p->kind != MIME_LEAF ||
	    (p->encoding != MIME_QP && p->encoding != MIME_BASE64))
		return section_bytes(s, l, made);
	(void)mime_decode(made, p->encoding, p->body, 0);
	if (made->p == NULL)
		return SPAN("");
	return cut(s, buf_span(made));
}

/* BODYSTRUCTURE shows an empty part where a multipart has none: then that is
 * what its number names. */
static bool
is_shown(const struct section *s, struct loaded *l)
{
	const struct mime *m = loaded_mime(l);
	struct span number = buf_span(&s->number);
	size_t at;

	if (mime_find(m, number) != MIME_NONE)
		return true;
	if (!span_is(number, "1") && !span_ends(number, SPAN(".1")))
		return false;
	at = mime_find(m, span_sub(number, 0, number.n > 1 ? number.n - 2 : 0));
	if (at != MIME_NONE && m->v[at].kind == MIME_MESSAGE && number.n > 1)
		at = m->v[at].child;
	return at != MIME_NONE && m->v[at].kind == MIME_MULTIPART &&
	       m->v[at].child == MIME_NONE;
}

struct span
section_bytes(const struct section *s, struct loaded *l, struct buf *made)
{
	struct span b = whole_section(s, l, made);

	if (b.p == NULL && b.n == 0 && s->number.n > 0 && !is_shown(s, l))
		return b;
	b = cut(s, b);
	return b.p != NULL ? b : span_make("", 0);
}
