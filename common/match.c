/*
 * match.c - Postfix match lists: domains (mydestination, relay_domains) and
 * networks (mynetworks); see table.h.
 * Layer: sys.  Words in order, the first that matches decides; !word excludes;
 * /file holds more words; TYPE:TABLE is looked up.
 */
#include "buf.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "status.h"
#include "table.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define MATCH_WORDS 100000

enum match_kind { MATCH_WORD, MATCH_TABLE, MATCH_CIDR };

struct match_word {
	enum match_kind kind;
	bool not ;
	char *text; /* lower case; a network without brackets */
	struct table *table;
};

struct match_list {
	struct match_word *v;
	size_t n, cap;
	bool networks, parents;
};

/* Prefix length from "ADDR/N" or "ADDR"; -1 when it is no network. */
static int
cidr_parse(struct span s, unsigned char net[16], int *family_r)
{
	struct span addr = s, bits = SPAN("");
	ssize_t slash = span_chr(s, '/');
	char text[INET6_ADDRSTRLEN];
	int n, max;

	if (slash >= 0) {
		addr = span_sub(s, 0, (size_t)slash);
		bits = span_from(s, (size_t)slash + 1);
	}
	/* [::1]/128 and [::1/128] are both Postfix's. */
	if (addr.n > 0 && addr.p[0] == '[')
		addr = span_from(addr, 1);
	if (addr.n > 0 && addr.p[addr.n - 1] == ']')
		addr.n--;
	if (bits.n > 0 && bits.p[bits.n - 1] == ']')
		bits.n--;
	if (addr.n == 0 || addr.n >= sizeof(text))
		return -1;
	memcpy(text, addr.p, addr.n);
	text[addr.n] = '\0';
	if (inet_pton(AF_INET, text, net) == 1)
		*family_r = AF_INET;
	else if (inet_pton(AF_INET6, text, net) == 1)
		*family_r = AF_INET6;
	else
		return -1;
	max = *family_r == AF_INET ? 32 : 128;
	if (slash < 0)
		return max;
	return num_int(bits, 0, max, &n) ? n : -1;
}

/* ::ffff:a.b.c.d/96+n is a.b.c.d/n. */
static void
cidr_unmap(unsigned char net[16], int *family, int *bits)
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0,    0,
						  0, 0, 0, 0, 0xff, 0xff };

	if (*family != AF_INET6 || *bits < 96 ||
	    memcmp(net, mapped, sizeof(mapped)) != 0)
		return;
	memmove(net, net + 12, 4);
	*family = AF_INET;
	*bits -= 96;
}

bool
match_cidr(struct span cidr, struct span ip)
{
	unsigned char net[16], host[16];
	int nf, hf, nb = cidr_parse(cidr, net, &nf);
	int hb = span_chr(ip, '/') >= 0 ? -1 : cidr_parse(ip, host, &hf);

	if (nb < 0 || hb < 0)
		return false;
	cidr_unmap(net, &nf, &nb);
	cidr_unmap(host, &hf, &hb);
	if (nf != hf)
		return false;
	for (int i = 0; i < nb; i++) {
		unsigned char bit = (unsigned char)(0x80 >> (i % 8));

		if ((net[i / 8] ^ host[i / 8]) & bit)
			return false;
	}
	return true;
}

static int match_add_words(struct match_list *m, const struct strs *words,
			   int depth, struct err *e);

static int
match_add_file(struct match_list *m, const char *path, int depth, struct err *e)
{
	struct buf b = BUF_INIT;
	struct strs words = STRS_INIT;
	struct span rest, line;
	int r = io_read_file(path, &b, 16 << 20, e);

	rest = buf_span(&b);
	while (r == 0 && span_split(&rest, '\n', &line)) {
		ssize_t hash = span_chr(line, '#');

		if (hash == 0)
			continue;
		strs_split(&words, line, ", \t\r");
	}
	if (r == 0)
		r = match_add_words(m, &words, depth + 1, e);
	strs_free(&words);
	buf_free(&b);
	return r;
}

static int
match_add_word(struct match_list *m, struct span s, int depth, struct err *e)
{
	struct match_word w = { MATCH_WORD, false, NULL, NULL };
	unsigned char net[16];
	char *text;
	int family;

	while (s.n > 0 && s.p[0] == '!') {
		w.not = !w.not ;
		s = span_from(s, 1);
	}
	if (s.n == 0)
		return 0;
	text = mem_spandup(s);
	if (text[0] == '/') {
		int r = depth > 10
			    ? err_set(e, ST_CONFIG,
				      "%s: files nested over 10 deep", text)
			    : match_add_file(m, text, depth, e);

		free(text);
		return r;
	}
	for (char *p = text; *p != '\0'; p++)
		*p = ascii_tolower(*p);
	w.text = text;
	if (m->networks && cidr_parse(s, net, &family) >= 0) {
		w.kind = MATCH_CIDR;
	} else if (span_chr(s, ':') > 0 && s.p[0] != '[') {
		char *spec = mem_spandup(s); /* the case of its name counts */

		w.kind = MATCH_TABLE;
		w.table = table_open(spec, NULL);
		free(spec);
	} else if (m->networks) {
		err_set(e, ST_CONFIG,
			"\"%s\": expected ADDRESS or NETWORK/BITS", text);
		free(text);
		return -1;
	}
	if (m->n >= MATCH_WORDS) {
		free(text);
		return err_set(e, ST_CONFIG, "a list of over %d words",
			       MATCH_WORDS);
	}
	m->v = mem_grow(m->v, &m->cap, m->n + 1, sizeof(*m->v));
	m->v[m->n++] = w;
	return 0;
}

/* The recursion over /file words is bounded by `depth`. */
static int
match_add_words(struct match_list *m, const struct strs *words, int depth,
		struct err *e)
{
	for (size_t i = 0; i < words->n; i++) {
		if (match_add_word(m, span_of(words->v[i]), depth, e) != 0)
			return -1;
	}
	return 0;
}

static struct match_list *
match_new(const struct strs *words, bool networks, bool parents, struct err *e)
{
	struct match_list *m = mem_alloc(1, sizeof(*m));

	m->networks = networks;
	m->parents = parents;
	if (match_add_words(m, words, 0, e) == 0)
		return m;
	match_free(m);
	return NULL;
}

struct match_list *
match_domains(const struct strs *words, bool parents, struct err *e)
{
	return match_new(words, false, parents, e);
}

struct match_list *
match_networks(const struct strs *words, struct err *e)
{
	return match_new(words, true, false, e);
}

void
match_free(struct match_list *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].text);
		table_close(m->v[i].table);
	}
	free(m->v);
	free(m);
}

/* domain, and its parents where the list has them (".example.org" in the list
 * matches subdomains always). */
static enum table_result
match_word(const struct match_list *m, const struct match_word *w,
	   struct span key, struct err *e)
{
	struct span text = span_of(w->text);
	struct buf value = BUF_INIT;
	enum table_result r = TABLE_NONE;

	switch (w->kind) {
	case MATCH_CIDR:
		return match_cidr(text, key) ? TABLE_FOUND : TABLE_NONE;
	case MATCH_TABLE:
		for (;;) {
			ssize_t dot;

			r = table_lookup(w->table, key, &value, e);
			if (r != TABLE_NONE || !m->parents ||
			    (dot = span_chr(key, '.')) < 0)
				break;
			key = span_from(key, (size_t)dot + 1);
		}
		buf_free(&value);
		return r;
	case MATCH_WORD:
		break;
	}
	if (span_ieq(text, key))
		return TABLE_FOUND;
	if (text.n > 0 && text.p[0] == '.' && span_iends(key, text))
		return TABLE_FOUND;
	if (m->parents && key.n > text.n && span_iends(key, text) &&
	    key.p[key.n - text.n - 1] == '.')
		return TABLE_FOUND;
	return TABLE_NONE;
}

enum table_result
match_lookup(const struct match_list *m, struct span key, struct err *e)
{
	for (size_t i = 0; i < m->n; i++) {
		enum table_result r = match_word(m, &m->v[i], key, e);

		if (r == TABLE_TRY_AGAIN)
			return r;
		if (r == TABLE_FOUND)
			return m->v[i].not ? TABLE_NONE : TABLE_FOUND;
	}
	return TABLE_NONE;
}
