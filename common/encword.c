/*
 * encword.c - encoded words, extended parameters and charsets to UTF-8.
 * Layer: mail.  RFC 2047, RFC 2231.  Every byte is looked at a bounded number
 * of times; the number of converters opened for one value is bounded.
 */
#include <errno.h>
#include <dlfcn.h>
#include <iconv.h>

#include "encword.h"
#include "escape.h"
#include "mem.h"

#define CHARSET_MAX 40
#define OPENS_MAX 100
#define REPLACEMENT "\xef\xbf\xbd"
#define NOT_OPEN ((iconv_t)-1)

/* --- charsets ------------------------------------------------------------ */

static bool
charset_name(struct span cs, char out[CHARSET_MAX + 1])
{
	size_t i;

	if (!cs.n || cs.n > CHARSET_MAX)
		return false;
	for (i = 0; i < cs.n; i++) {
		/* No "/": glibc would read "//IGNORE" and the like. */
		if (!ascii_isalnum(cs.p[i]) && !strchr("-_.:+", cs.p[i]))
			return false;
		out[i] = cs.p[i];
	}
	out[i] = '\0';
	return true;
}

static bool
is_utf8_name(struct span cs)
{
	return span_iis(cs, "utf-8") || span_iis(cs, "utf8") ||
	       span_iis(cs, "us-ascii") || span_iis(cs, "ascii");
}

/* Names in use that mean more than they say (as all browsers have it). */
static struct span
charset_alias(struct span cs)
{
	if (span_iis(cs, "iso-8859-1") || span_iis(cs, "latin1"))
		return SPAN("windows-1252");
	if (span_iis(cs, "ks_c_5601-1987"))
		return SPAN("cp949");
	if (span_iis(cs, "gb2312"))
		return SPAN("gb18030");
	if (span_iis(cs, "shift_jis"))
		return SPAN("cp932");
	return cs;
}

/* Malformed bytes of UTF-8 each become U+FFFD. */
static void
add_checked(struct buf *b, struct span s)
{
	uint32_t cp;
	size_t n;

	if (utf8_valid(s)) {
		buf_addspan(b, s);
		return;
	}
	for (; s.n; s = span_from(s, n)) {
		n = utf8_next(s, &cp);
		if (n)
			buf_add(b, s.p, n);
		else
			buf_adds(b, REPLACEMENT);
		n = n ? n : 1;
	}
}

static void
run_iconv(struct buf *b, iconv_t cd, struct span s)
{
	/* iconv's prototype wants char **; it does not write there. */
	char *in;
	size_t left = s.n;

	memcpy(&in, &s.p, sizeof(in));
	(void)iconv(cd, NULL, NULL, NULL, NULL);
	for (;;) {
		size_t room = left * 2 + 64;
		char *out = buf_room(b, room), *was = out;
		size_t rc = iconv(cd, left ? &in : NULL, &left, &out, &room);

		buf_grew(b, (size_t)(out - was));
		if (rc != (size_t)-1 && !left)
			return;
		if (rc == (size_t)-1 && errno != E2BIG) {
			buf_adds(b, REPLACEMENT);
			in++;
			if (!--left)
				return;
		}
	}
}

/* A converter that stays open while the charset does not change. */
struct converter {
	iconv_t cd;
	char name[CHARSET_MAX + 1];
	size_t opens;
};

static bool
convert(struct converter *c, struct buf *b, struct span charset, struct span s)
{
	char name[CHARSET_MAX + 1];

	charset = charset_alias(charset);
	if (is_utf8_name(charset)) {
		add_checked(b, s);
		return true;
	}
	if (!charset_name(charset, name))
		return false;
	if (c->cd == NOT_OPEN || strcmp(name, c->name) != 0) {
		if (c->cd != NOT_OPEN)
			(void)iconv_close(c->cd);
		c->cd = c->opens++ < OPENS_MAX ? iconv_open("UTF-8", name)
					       : NOT_OPEN;
		memcpy(c->name, name, sizeof(name));
		if (c->cd == NOT_OPEN)
			return false;
	}
	run_iconv(b, c->cd, s);
	return true;
}

static void
converter_done(struct converter *c)
{
	if (c->cd != NOT_OPEN)
		(void)iconv_close(c->cd);
}

bool
encword_convert(struct buf *b, struct span charset, struct span s)
{
	struct converter c = { NOT_OPEN, "", 0 };
	bool ok = convert(&c, b, charset, s);

	converter_done(&c);
	return ok;
}

void
encword_utf8(struct buf *b, struct span s)
{
	struct converter c = { NOT_OPEN, "", 0 };

	while (s.n > 0) {
		ssize_t lf = span_chr(s, '\n');
		struct span line =
		    span_sub(s, 0, lf < 0 ? s.n : (size_t)lf + 1);

		/* one header field, or line, says nothing about the others */
		if (utf8_valid(line) ||
		    !convert(&c, b, SPAN("windows-1252"), line))
			add_checked(b, line);
		s = span_from(s, line.n);
	}
	converter_done(&c);
}

/* --- encoded words ------------------------------------------------------- */

struct word {
	struct span charset, text;
	char enc;
	size_t n; /* bytes of the whole word */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static ssize_t
up_to(struct span s, size_t from, size_t max)
{
	size_t i;

	for (i = from; i < s.n && i - from <= max; i++) {
		if (s.p[i] == '?')
			return (ssize_t)i;
		if (is_blank(s.p[i]))
			return -1;
	}
	return -1;
}

/* "=?charset[*lang]?B|Q?text?=" at s.p (RFC 2047 2, RFC 2231 5). */
static bool
parse_word(struct span s, struct word *w)
{
	ssize_t q1, q2, star;

	if (!span_starts(s, SPAN("=?")))
		return false;
	q1 = up_to(s, 2, 2 * CHARSET_MAX);
	if (q1 < 3 || (size_t)q1 + 2 >= s.n || s.p[q1 + 2] != '?')
		return false;
	w->enc = ascii_tolower(s.p[q1 + 1]);
	if (w->enc != 'b' && w->enc != 'q')
		return false;
	q2 = up_to(s, (size_t)q1 + 3, s.n);
	if (q2 < 0 || (size_t)q2 + 1 >= s.n || s.p[q2 + 1] != '=')
		return false;
	w->charset = span_sub(s, 2, (size_t)q1);
	star = span_chr(w->charset, '*');
	if (star > 0)
		w->charset.n = (size_t)star;
	w->text = span_sub(s, (size_t)q1 + 3, (size_t)q2);
	w->n = (size_t)q2 + 2;
	return true;
}

static int
hex_digit(char c)
{
	if (ascii_isdigit(c))
		return c - '0';
	c = ascii_tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
decode_hex(struct buf *b, struct span s, char mark, bool underscore)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		int hi = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
		int lo = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;

		if (s.p[i] == mark && hi >= 0 && lo >= 0) {
			buf_addc(b, (char)(hi << 4 | lo));
			i += 2;
		} else {
			buf_addc(b, underscore && s.p[i] == '_' ? ' ' : s.p[i]);
		}
	}
}

/* Base64 without demanding that the padding is there. */
static bool
decode_b(struct buf *b, struct span s)
{
	struct buf t = BUF_INIT;
	bool ok;

	while (s.n && s.p[s.n - 1] == '=')
		s.n--;
	if (s.n % 4 == 1)
		s.n--;
	buf_addspan(&t, s);
	while (t.n % 4)
		buf_addc(&t, '=');
	ok = base64_decode_lax(b, buf_span(&t));
	buf_free(&t);
	return ok;
}

static void
blank_controls(struct buf *b, size_t from, bool tab_too)
{
	size_t i;

	for (i = from; i < b->n; i++) {
		unsigned char c = (unsigned char)b->p[i];

		if ((c < 32 && (c != '\t' || tab_too)) || c == 127)
			b->p[i] = ' ';
	}
}

/* Text outside of encoded words: folds away, bytes made UTF-8. */
static void
add_plain(struct converter *c, struct buf *b, struct span s)
{
	struct buf flat = BUF_INIT;
	size_t start = b->n, i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] != '\n' &&
		    !(s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n'))
			buf_addc(&flat, s.p[i]);
	if (utf8_valid(buf_span(&flat)) ||
	    !convert(c, b, SPAN("windows-1252"), buf_span(&flat)))
		add_checked(b, buf_span(&flat));
	blank_controls(b, start, false);
	buf_free(&flat);
}

/* RFC 2047 5 forbids to cut a character in two, and many do.  A run of
 * neighbouring words of one charset: their bytes are joined before
 * they are converted (many senders split characters between words). */
struct run {
	struct span charset, whole; /* as written */
	struct buf raw;
	bool any, broken;
};

static void
end_run(struct converter *c, struct buf *b, struct run *r)
{
	size_t start = b->n;

	if (!r->any)
		return;
	if (r->broken || !convert(c, b, r->charset, buf_span(&r->raw)))
		add_plain(c, b, r->whole);
	else
		blank_controls(b, start, true);
	buf_clear(&r->raw);
	r->any = r->broken = false;
}

static void
add_word(struct converter *c, struct buf *b, struct run *r,
	 const struct word *w, const char *at)
{
	if (r->any && !span_ieq(r->charset, w->charset))
		end_run(c, b, r);
	if (!r->any) {
		r->charset = w->charset;
		r->whole.p = at;
	}
	r->any = true;
	r->whole.n = (size_t)(at + w->n - r->whole.p);
	if (w->enc == 'q')
		decode_hex(&r->raw, w->text, '=', true);
	else if (!decode_b(&r->raw, w->text))
		r->broken = true;
}

void
encword_decode(struct buf *b, struct span s)
{
	struct converter c = { NOT_OPEN, "", 0 };
	struct run r = { SPAN(""), SPAN(""), BUF_INIT, false, false };
	struct word w;
	size_t i = 0, plain = 0, gap;

	while (i < s.n) {
		const char *eq = memchr(s.p + i, '=', s.n - i);

		i = eq ? (size_t)(eq - s.p) : s.n;
		if (!eq || !parse_word(span_from(s, i), &w)) {
			i += eq != NULL;
			continue;
		}
		/* Blanks between two words are no text (RFC 2047 6.2). */
		for (gap = plain; gap < i && is_blank(s.p[gap]); gap++)
			;
		if (gap < i || !r.any) {
			end_run(&c, b, &r);
			add_plain(&c, b, span_sub(s, plain, i));
		}
		add_word(&c, b, &r, &w, s.p + i);
		i += w.n;
		plain = i;
	}
	end_run(&c, b, &r);
	add_plain(&c, b, span_from(s, plain));
	buf_free(&r.raw);
	converter_done(&c);
}

void
encword_decode_ext(struct buf *b, struct span s)
{
	struct buf raw = BUF_INIT;
	ssize_t q1 = span_chr(s, '\''), q2;
	size_t start = b->n;
	struct span charset, text = s;

	charset = span_sub(s, 0, q1 < 0 ? 0 : (size_t)q1);
	if (q1 >= 0) {
		text = span_from(s, (size_t)q1 + 1);
		q2 = span_chr(text, '\'');
		text = q2 < 0 ? s : span_from(text, (size_t)q2 + 1);
	}
	decode_hex(&raw, text, '%', false);
	if (!charset.n || !encword_convert(b, charset, buf_span(&raw)))
		encword_utf8(b, buf_span(&raw));
	blank_controls(b, start, true);
	buf_free(&raw);
}

/* --- to the wire --------------------------------------------------------- */

#define WORD_BYTES 45 /* 60 of base64, 72 with "=?UTF-8?B?" and "?=" */

void
encword_encode(struct buf *b, struct span s)
{
	struct buf text = BUF_INIT;
	struct span rest;
	bool first = true;

	encword_utf8(&text, s);
	blank_controls(&text, 0, false);
	rest = buf_span(&text);
	if (span_is_ascii(rest) && span_find(rest, SPAN("=?")) < 0) {
		buf_addspan(b, rest);
		rest.n = 0;
	}
	while (rest.n) {
		size_t n = rest.n < WORD_BYTES ? rest.n : WORD_BYTES;

		while (n < rest.n && n > 1 &&
		       ((unsigned char)rest.p[n] & 0xc0) == 0x80)
			n--;
		buf_adds(b, first ? "=?UTF-8?B?" : " =?UTF-8?B?");
		base64_encode(b, span_sub(rest, 0, n));
		buf_adds(b, "?=");
		rest = span_from(rest, n);
		first = false;
	}
	buf_free(&text);
}

const char *
encword_charsets(void)
{
	static char *dir;
	void *at = dlsym(RTLD_DEFAULT, "iconv_open");
	Dl_info info;
	ssize_t slash;

	if (dir != NULL || at == NULL || dladdr(at, &info) == 0 ||
	    (slash = span_rchr(span_of(info.dli_fname), '/')) < 0)
		return dir;
	dir = mem_printf("%.*s/gconv", (int)slash, info.dli_fname);
	return dir;
}
