/*
 * policy_list.c - whitelist_clients and whitelist_recipients in postgrey's
 * format: names (with all below them), addresses and networks, /regexps/;
 * domain, user@, user@domain (with any +extension).
 */
#include "policy.h"

#include "io.h"
#include "mem.h"
#include "num.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define FILE_MAX_BYTES (16u << 20)

enum kind { LIST_NAME, LIST_NET, LIST_REGEX, LIST_USER, LIST_ADDR };
struct entry {
	enum kind kind;
	char *text;
	pcre2_code *re;
};
struct list {
	struct entry *v;
	size_t n, cap;
};
static struct list clients, rcpts;

static void
list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].text);
		pcre2_code_free(l->v[i].re);
	}
	free(l->v);
	*l = (struct list){ 0 };
}

static struct entry *
add(struct list *l, enum kind kind, struct span text)
{
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	l->v[l->n] = (struct entry){ kind, mem_spandup(text), NULL };
	return &l->v[l->n++];
}

static int
add_regex(struct list *l, struct span text, struct err *e)
{
	int code;
	PCRE2_SIZE at;
	pcre2_code *re = pcre2_compile((PCRE2_SPTR)text.p, text.n,
				       PCRE2_CASELESS, &code, &at, NULL);
	PCRE2_UCHAR why[120] = "";

	if (re == NULL) {
		(void)pcre2_get_error_message(code, why, sizeof(why));
		return err_set(e, ST_CONFIG, "/%.*s/: %s", SPAN_ARG(text),
			       (const char *)why);
	}
	add(l, LIST_REGEX, text)->re = re;
	return 0;
}

/* How many of a.b.c.d, all numbers; 0: it is something else. */
static int
octets(struct span s)
{
	struct span part;
	uint64_t n;
	int count = 0;

	while (span_split(&s, '.', &part)) {
		if (!num_u64(part, 255, &n))
			return 0;
		count++;
	}
	return count;
}

static int
client_line(struct list *l, struct span w, struct err *e)
{
	ssize_t slash = span_chr(w, '/');
	struct span ip = slash > 0 ? span_sub(w, 0, (size_t)slash) : w;
	struct buf net = BUF_INIT;
	int n;

	if (w.n > 2 && w.p[0] == '/' && w.p[w.n - 1] == '/')
		return add_regex(l, span_sub(w, 1, w.n - 1), e);
	n = octets(ip);
	if (n == 4 || (span_chr(ip, ':') >= 0 &&
		       span_chr(ip, ':') != span_rchr(ip, ':'))) {
		(void)add(l, LIST_NET, w);
	} else if ((n == 3 || n == 2) && slash < 0) {
		/* postgrey takes two numbers for a /24, too. */
		buf_addf(&net, "%.*s.0%s/24", SPAN_ARG(w), n == 2 ? ".0" : "");
		(void)add(l, LIST_NET, buf_span(&net));
		buf_free(&net);
	} else {
		(void)add(l, LIST_NAME, w);
	}
	return 0;
}

static int
rcpt_line(struct list *l, struct span w, struct err *e)
{
	ssize_t at = span_chr(w, '@');

	if (w.n > 2 && w.p[0] == '/' && w.p[w.n - 1] == '/')
		return add_regex(l, span_sub(w, 1, w.n - 1), e);
	if (at < 0)
		(void)add(l, LIST_NAME, w);
	else if ((size_t)at == w.n - 1)
		(void)add(l, LIST_USER, span_sub(w, 0, (size_t)at));
	else
		(void)add(l, LIST_ADDR, w);
	return 0;
}

static int
read_list(struct list *l, const char *path,
	  int (*line_fn)(struct list *, struct span, struct err *),
	  struct err *e)
{
	struct buf b = BUF_INIT;
	struct span rest, line;
	int number = 0, r = 0;

	if (io_read_file(path, &b, FILE_MAX_BYTES, e) != 0) {
		/* As postgrey: the local one need not be there. */
		if (span_ends(span_of(path), SPAN(".local"))) {
			*e = ERR_INIT;
			return 0;
		}
		e->status = ST_CONFIG;
		return -1;
	}
	rest = buf_span(&b);
	while (r == 0 && span_split(&rest, '\n', &line)) {
		ssize_t hash = span_chr(line, '#');

		number++;
		if (hash >= 0)
			line.n = (size_t)hash;
		line = span_trim(line);
		if (line.n == 0)
			continue;
		if (span_chr(line, ' ') >= 0 || span_chr(line, '\t') >= 0)
			r = err_set(e, ST_CONFIG,
				    "\"%.*s\": one word is "
				    "expected",
				    SPAN_ARG(line));
		else
			r = line_fn(l, line, e);
		if (r != 0)
			err_prefix(e, "%s:%d", path, number);
	}
	buf_free(&b);
	return r;
}

int
policy_lists_load(const struct strs *client_files,
		  const struct strs *rcpt_files, struct err *e)
{
	struct list c = { 0 }, r = { 0 };
	int st = 0;

	for (size_t i = 0; i < client_files->n && st == 0; i++)
		st = read_list(&c, client_files->v[i], client_line, e);
	for (size_t i = 0; i < rcpt_files->n && st == 0; i++)
		st = read_list(&r, rcpt_files->v[i], rcpt_line, e);
	if (st != 0) {
		list_free(&c);
		list_free(&r);
		return -1;
	}
	list_free(&clients);
	list_free(&rcpts);
	clients = c;
	rcpts = r;
	return 0;
}

static bool
regex_matches(pcre2_code *re, struct span s)
{
	pcre2_match_data *md = pcre2_match_data_create(1, NULL);
	pcre2_match_context *mc = pcre2_match_context_create(NULL);
	int r = PCRE2_ERROR_NOMATCH;

	if (md != NULL && mc != NULL) {
		/* Time on hostile names is bounded. */
		pcre2_set_match_limit(mc, 100000);
		r = pcre2_match(re, (PCRE2_SPTR)(s.p ? s.p : ""), s.n, 0, 0, md,
				mc);
	}
	pcre2_match_data_free(md);
	pcre2_match_context_free(mc);
	return r >= 0;
}

/* s itself, or something below it: behind a byte of seps. */
static bool
is_below(struct span s, const char *text, const char *seps)
{
	struct span t = span_of(text);

	if (s.n == t.n)
		return span_ieq(s, t);
	return s.n > t.n && span_iends(s, t) &&
	       strchr(seps, s.p[s.n - t.n - 1]) != NULL;
}

bool
policy_client_listed(struct span name, struct span addr)
{
	for (size_t i = 0; i < clients.n; i++) {
		const struct entry *en = &clients.v[i];

		if (en->kind == LIST_NET ? match_cidr(span_of(en->text), addr)
		    : en->kind == LIST_REGEX ? regex_matches(en->re, name)
					     : is_below(name, en->text, "."))
			return true;
	}
	return false;
}

/* user or user+extension, then domain (with its @). */
static bool
user_is(struct span rcpt, struct span user, struct span domain)
{
	ssize_t at = span_rchr(rcpt, '@');
	struct span local;

	if (at < 0 || !span_istarts(rcpt, user))
		return false;
	local = span_sub(rcpt, 0, (size_t)at);
	if (local.n > user.n && local.p[user.n] != '+')
		return false;
	return domain.n == 0 || span_ieq(span_from(rcpt, (size_t)at), domain);
}

bool
policy_rcpt_listed(struct span rcpt)
{
	for (size_t i = 0; i < rcpts.n; i++) {
		const struct entry *en = &rcpts.v[i];
		struct span t = span_of(en->text);
		ssize_t at = span_chr(t, '@');
		bool yes;

		if (en->kind == LIST_REGEX)
			yes = regex_matches(en->re, rcpt);
		else if (en->kind == LIST_USER)
			yes = user_is(rcpt, t, SPAN(""));
		else if (en->kind == LIST_ADDR)
			yes = user_is(rcpt, span_sub(t, 0, (size_t)at),
				      span_from(t, (size_t)at));
		else
			yes = rcpt.n > t.n && is_below(rcpt, en->text, "@.");
		if (yes)
			return true;
	}
	return false;
}
