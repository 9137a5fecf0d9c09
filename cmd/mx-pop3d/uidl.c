/*
 * uidl.c - unique ids as Dovecot gives them: the one that it keeps in
 * dovecot-uidlist where there is one (mail that came from another POP3
 * server), else by pop3_uidl_format.
 * RFC 1939 7: 1 to 70 printable characters.
 */
#include "conf.h"
#include "log.h"
#include "num.h"
#include "pop3.h"

#define UIDL_MAX 70

/* The word "Pxxx" of dovecot-uidlist. */
static bool
kept(const struct pop3 *s, const struct message *m, struct buf *b)
{
	struct span ext, word;
	struct err e = ERR_INIT;

	/* a mailbox that its index opened has not read them */
	if (s->mb->ul.lazy && uidlist_read_all(&s->mb->ul, s->mb->fd, &e) != 0)
		log_warn("%s", e.text);
	ext = uidlist_ext(&s->mb->ul, span_make(m->file, m->base_n));
	while (span_word(&ext, " ", &word)) {
		if (word.n > 1 && word.n <= UIDL_MAX && word.p[0] == 'P') {
			buf_addspan(b, span_from(word, 1));
			return true;
		}
	}
	return false;
}

static void
add_number(struct buf *b, uint32_t n, bool hex, unsigned width)
{
	char digits[16];
	size_t len = 0;
	unsigned base = hex ? 16 : 10;

	do {
		digits[len++] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n > 0);
	for (size_t i = len; i < width; i++)
		buf_addc(b, '0');
	while (len > 0)
		buf_addc(b, digits[--len]);
}

/* One "%08Xu" at the front of f, behind the "%"; how many bytes it took. */
static size_t
variable(const struct pop3 *s, const struct message *m, struct span f,
	 struct buf *b)
{
	unsigned width = 0;
	size_t at = 0;
	bool hex = false;

	while (at < f.n && ascii_isdigit(f.p[at]) && width < 100)
		width = width * 10 + (unsigned)(f.p[at++] - '0');
	if (at < f.n && f.p[at] == 'X') {
		hex = true; /* in small letters, as Dovecot's */
		at++;
	}
	if (at == f.n)
		return at;
	if (f.p[at] == 'u')
		add_number(b, m->uid, hex, width > 10 ? 10 : width);
	else if (f.p[at] == 'v')
		add_number(b, s->mb->ul.uidvalidity, hex,
			   width > 10 ? 10 : width);
	else if (f.p[at] == 'f')
		buf_add(b, m->file, m->base_n);
	else
		buf_addc(b, f.p[at]);
	return at + 1;
}

void
pop3_uidl(struct pop3 *s, const struct message *m, struct buf *b)
{
	struct span f = span_of(conf.uidl_format);
	size_t from = b->n;

	if (kept(s, m, b))
		return;
	while (f.n > 0) {
		size_t n = 1;

		if (f.p[0] == '%')
			n += variable(s, m, span_from(f, 1), b);
		else
			buf_addc(b, f.p[0]);
		f = span_from(f, n);
	}
	/* a file may have any name */
	for (size_t i = from; i < b->n; i++)
		if (b->p[i] < 0x21 || b->p[i] > 0x7e)
			b->p[i] = '_';
	if (b->n == from)
		add_number(b, m->uid, true, 8);
	buf_cut(b, from + UIDL_MAX);
}
