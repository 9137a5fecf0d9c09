/*
 * milter.c - packets of the milter protocol, read and made; see milter.h.
 * Layer: mail.  Sendmail's libmilter (mfdef.h), version 6.
 */
#include "milter.h"

#include "num.h"

#include <arpa/inet.h>
#include <errno.h>

enum io_result
milter_read(struct stream *s, size_t max, struct buf *mem,
	    struct milter_packet *p_r, deadline_t d)
{
	enum io_result r;
	struct span head;
	uint32_t n = 0;

	buf_clear(mem);
	r = stream_read(s, mem, 4, d);
	if (r == IO_OK) {
		head = buf_span(mem);
		if (!milter_u32(&head, &n) || n == 0 || n > max)
			return IO_TOOLONG;
		buf_clear(mem);
		r = stream_read(s, mem, n, d);
	} else if (r == IO_EOF && mem->n == 0) {
		return IO_EOF;
	}
	if (r == IO_EOF) {
		errno = EPROTO;
		return IO_ERROR;
	}
	if (r != IO_OK)
		return r;
	p_r->code = (enum milter_code)(unsigned char)mem->p[0];
	p_r->data = span_make(mem->p + 1, mem->n - 1);
	return IO_OK;
}

size_t
milter_begin(struct buf *b, enum milter_code code)
{
	size_t at = b->n;

	buf_add(b, "\0\0\0\0", 4);
	buf_addc(b, (char)code);
	return at;
}

void
milter_end(struct buf *b, size_t at)
{
	uint32_t n = htonl((uint32_t)(b->n - at - 4));

	memcpy(b->p + at, &n, 4);
}

void
milter_put_u16(struct buf *b, unsigned v)
{
	uint16_t n = htons((uint16_t)v);

	buf_add(b, &n, 2);
}

void
milter_put_u32(struct buf *b, uint32_t v)
{
	v = htonl(v);
	buf_add(b, &v, 4);
}

void
milter_put_str(struct buf *b, struct span s)
{
	size_t at = b->n;

	buf_addspan(b, s);
	for (; at < b->n; at++)
		if (b->p[at] == '\0')
			b->p[at] = ' ';
	buf_addc(b, '\0');
}

void
milter_put(struct buf *b, enum milter_code code)
{
	milter_end(b, milter_begin(b, code));
}

bool
milter_u16(struct span *rest, unsigned *r)
{
	uint16_t n;

	if (rest->n < 2)
		return false;
	memcpy(&n, rest->p, 2);
	*r = ntohs(n);
	*rest = span_from(*rest, 2);
	return true;
}

bool
milter_u32(struct span *rest, uint32_t *r)
{
	uint32_t n;

	if (rest->n < 4)
		return false;
	memcpy(&n, rest->p, 4);
	*r = ntohl(n);
	*rest = span_from(*rest, 4);
	return true;
}

bool
milter_str(struct span *rest, struct span *r)
{
	ssize_t at = span_chr(*rest, '\0');

	if (at < 0)
		return false;
	*r = span_sub(*rest, 0, (size_t)at);
	*rest = span_from(*rest, (size_t)at + 1);
	return true;
}

bool
milter_parse_options(struct milter_options *o, struct span data)
{
	struct milter_options got = { 0 };

	if (!milter_u32(&data, &got.version) ||
	    !milter_u32(&data, &got.actions))
		return false;
	/* Version 1 had no third number; what it would be is 0. */
	if (!milter_u32(&data, &got.protocol) && data.n != 0)
		return false;
	while (data.n > 0) {
		uint32_t stage;
		struct span names;

		if (!milter_u32(&data, &stage) || !milter_str(&data, &names))
			return false;
		if (stage < MILTER_STAGES)
			got.macros[stage] = names;
	}
	*o = got;
	return true;
}

void
milter_put_options(struct buf *b, const struct milter_options *o)
{
	size_t at = milter_begin(b, MILTER_OPTNEG);

	milter_put_u32(b, o->version);
	milter_put_u32(b, o->actions);
	milter_put_u32(b, o->protocol);
	for (uint32_t i = 0; i < MILTER_STAGES; i++) {
		if (o->macros[i].p == NULL)
			continue;
		milter_put_u32(b, i);
		milter_put_str(b, o->macros[i]);
	}
	milter_end(b, at);
}

bool
milter_parse_peer(struct milter_peer *p, struct span data)
{
	struct milter_peer got = { .family = 'U' };

	if (!milter_str(&data, &got.name) || data.n == 0)
		return false;
	got.family = data.p[0];
	data = span_from(data, 1);
	if (got.family != 'U') {
		if (strchr("46L", got.family) == NULL ||
		    !milter_u16(&data, &got.port))
			return false;
		/* libmilter takes an address without its NUL, too. */
		if (!milter_str(&data, &got.addr)) {
			got.addr = data;
			data.n = 0;
		}
		if (span_istarts(got.addr, SPAN("IPv6:")))
			got.addr = span_from(got.addr, 5);
	}
	*p = got;
	return true;
}

void
milter_put_peer(struct buf *b, const struct milter_peer *p)
{
	size_t at = milter_begin(b, MILTER_CONNECT);

	milter_put_str(b, p->name);
	buf_addc(b, p->family);
	if (p->family != 'U') {
		milter_put_u16(b, p->port);
		milter_put_str(b, p->addr);
	}
	milter_end(b, at);
}

int
milter_parse_args(struct span data, struct span *v, size_t max)
{
	size_t n = 0;
	struct span one;

	while (data.n > 0) {
		if (!milter_str(&data, &one))
			return -1;
		if (n < max)
			v[n++] = one;
	}
	return n > 0 ? (int)n : -1;
}

bool
milter_parse_header(struct span data, struct span *name_r, struct span *value_r)
{
	struct span name, value;

	if (!milter_str(&data, &name) || !milter_str(&data, &value) ||
	    name.n == 0 || data.n != 0)
		return false;
	/* What a name may be: RFC 5322 2.2. */
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || name.p[i] == ':' ||
		    name.p[i] == 0x7f)
			return false;
	*name_r = name;
	*value_r = value;
	return true;
}

/* Takes "5.7.1 " of the class `digit` off *line. */
static void
take_esc(struct span *line, char digit, char *esc_r, size_t size)
{
	size_t n = 0;
	int dots = 0;

	while (n < line->n && (ascii_isdigit(line->p[n]) || line->p[n] == '.'))
		dots += line->p[n++] == '.';
	if (dots != 2 || n < 5 || n >= size || line->p[0] != digit ||
	    line->p[1] != '.' || line->p[n - 1] == '.' ||
	    (n < line->n && line->p[n] != ' '))
		return;
	memcpy(esc_r, line->p, n);
	esc_r[n] = '\0';
	*line = span_ltrim(span_from(*line, n));
}

/* One line of a reply into r; *last_r: no other follows. */
static bool
reply_line(struct milter_reply *r, struct span line, bool first, bool *last_r)
{
	int code;

	if (line.n < 3 || !num_int(span_sub(line, 0, 3), 400, 599, &code) ||
	    (!first && code != r->code))
		return false;
	*last_r = line.n == 3 || line.p[3] == ' ';
	if (!*last_r && line.p[3] != '-')
		return false;
	r->code = code;
	line = span_from(line, 4);
	take_esc(&line, (char)('0' + code / 100), r->esc, sizeof(r->esc));
	if (!first)
		buf_addc(&r->text, '\n');
	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];

		/* Sendmail doubles %, and takes a single one as a mistake. */
		if (c == '%' && (++i >= line.n || line.p[i] != '%'))
			i--;
		else
			buf_addc(&r->text,
				 (unsigned char)c < ' ' || c == 0x7f ? ' ' : c);
	}
	return true;
}

bool
milter_parse_reply(struct milter_reply *r, struct span data)
{
	struct milter_reply got = { 0, "", BUF_INIT };
	struct span all, line;
	bool last = false, first = true;

	if (!milter_str(&data, &all))
		return false;
	all = span_rtrim(all);
	while (!last && span_split(&all, '\n', &line)) {
		if (!reply_line(&got, span_rtrim(line), first, &last)) {
			buf_free(&got.text);
			return false;
		}
		first = false;
	}
	*r = got;
	return true;
}

void
milter_put_reply(struct buf *b, int code, const char *esc, struct span text)
{
	size_t at = milter_begin(b, MILTER_REPLYCODE);
	struct span line;
	bool first = true;

	if (text.p == NULL)
		text = SPAN("");
	while (span_split(&text, '\n', &line)) {
		if (!first)
			buf_adds(b, "\r\n");
		first = false;
		buf_addf(b, "%03d%c", code, text.p != NULL ? '-' : ' ');
		if (esc != NULL && esc[0] != '\0')
			buf_addf(b, "%s ", esc);
		for (size_t i = 0; i < line.n; i++) {
			char c = line.p[i];

			if (c == '%')
				buf_addc(b, '%');
			buf_addc(b,
				 (unsigned char)c < ' ' || c == 0x7f ? ' ' : c);
		}
	}
	buf_addc(b, '\0');
	milter_end(b, at);
}

bool
milter_socket(struct span text, struct buf *out)
{
	ssize_t colon, at;
	struct span kind, rest;

	text = span_trim(text);
	colon = span_chr(text, ':');
	if (text.n > 0 && text.p[0] == '/') {
		buf_addf(out, "unix:%.*s", SPAN_ARG(text));
		return true;
	}
	if (colon <= 0)
		return false;
	kind = span_sub(text, 0, (size_t)colon);
	rest = span_from(text, (size_t)colon + 1);
	if (span_iis(kind, "local") || span_iis(kind, "unix")) {
		buf_addf(out, "unix:%.*s", SPAN_ARG(rest));
		return rest.n > 0;
	}
	if (!span_iis(kind, "inet") && !span_iis(kind, "inet6"))
		return false;
	at = span_chr(rest, '@');
	if (at < 0) {
		buf_addf(out, "inet::%.*s", SPAN_ARG(rest));
	} else {
		struct span host = span_from(rest, (size_t)at + 1);
		bool v6 = span_chr(host, ':') >= 0 && host.p[0] != '[';

		buf_addf(out, v6 ? "inet:[%.*s]:%.*s" : "inet:%.*s:%.*s",
			 SPAN_ARG(host),
			 SPAN_ARG(span_sub(rest, 0, (size_t)at)));
	}
	return true;
}

const char *
milter_word(enum milter_code code)
{
	switch (code) {
	case MILTER_CONNECT:
		return "CONNECT";
	case MILTER_HELO:
		return "HELO";
	case MILTER_MAIL:
		return "MAIL";
	case MILTER_RCPT:
		return "RCPT";
	case MILTER_DATA:
		return "DATA";
	case MILTER_HEADER:
		return "HEADER";
	case MILTER_EOH:
		return "END-OF-HEADER";
	case MILTER_BODY:
		return "BODY";
	case MILTER_EOM:
		return "END-OF-MESSAGE";
	case MILTER_UNKNOWN:
		return "UNKNOWN";
	case MILTER_OPTNEG:
		return "negotiation";
	default:
		return "packet";
	}
}
