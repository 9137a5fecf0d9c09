/*
 * keytable.c - OpenDKIM's KeyTable, SigningTable and TrustedHosts as they are
 * (opendkim.conf(5)): "[file:|refile:]FILE"; without a prefix a "*" makes a
 * pattern.
 */
#include "dkimsign.h"
#include "io.h"
#include "num.h"
#include "status.h"
#include "table.h"

#define TABLE_MAX (16u << 20)

/* Linear two-pointer match; '*' any run, case-insensitive. */
static bool
glob(struct span pat, struct span s)
{
	size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;

	while (i < s.n) {
		if (p < pat.n && pat.p[p] == '*') {
			star = p++;
			mark = i;
		} else if (p < pat.n &&
			   ascii_tolower(pat.p[p]) == ascii_tolower(s.p[i])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (p < pat.n && pat.p[p] == '*')
		p++;
	return p == pat.n;
}

/* How the lines of a table are asked. */
enum kind {
	TABLE_ANY,   /* no prefix: in order, "*" makes a pattern */
	TABLE_FILE,  /* file: by key, the most precise one first */
	TABLE_REFILE /* refile: in order, every key is a pattern */
};

static int
read_table(const char *spec, struct buf *b, enum kind *kind, struct err *e)
{
	const char *path = spec;

	*kind = TABLE_ANY;
	if (strncmp(spec, "refile:", 7) == 0) {
		path = spec + 7;
		*kind = TABLE_REFILE;
	} else if (strncmp(spec, "file:", 5) == 0) {
		path = spec + 5;
		*kind = TABLE_FILE;
	}
	if (strncmp(spec, "csl:", 4) == 0) {
		/* a list in the place of a file: an entry a line */
		buf_adds(b, spec + 4);
		for (size_t i = 0; i < b->n; i++)
			if (b->p[i] == ',')
				b->p[i] = '\n';
		return 0;
	}
	if (io_read_file(path, b, TABLE_MAX, e) == 0)
		return 0;
	if (e != NULL)
		e->status = ST_CONFIG;
	return -1;
}

/* The next "KEY VALUE" line. */
static bool
next_line(struct span *rest, struct span *key, struct span *value)
{
	struct span line;

	while (span_split(rest, '\n', &line)) {
		ssize_t hash = span_chr(line, '#');

		if (hash >= 0)
			line.n = (size_t)hash;
		line = span_trim(line);
		if (!span_word(&line, " \t", key))
			continue;
		*value = span_trim(line);
		return true;
	}
	return false;
}

/*
 * In which question of opendkim.conf(5) the key is found: user@host, host,
 * user@.domain and .domain (longer ones first), user@*, *.  0: in none; the
 * smallest number is the most precise one.
 */
static size_t
file_rank(struct span key, struct span local, struct span domain)
{
	ssize_t at = span_rchr(key, '@');
	struct span host = at < 0 ? key : span_from(key, (size_t)at + 1);
	bool user = at >= 0;

	if (user && !span_ieq(span_sub(key, 0, (size_t)at), local))
		return 0;
	if (span_ieq(host, domain))
		return user ? 1 : 2;
	if (host.n > 1 && host.p[0] == '.' && span_iends(domain, host))
		return (user ? 1000 : 2000) + domain.n - host.n;
	if (span_is(host, "*"))
		return user ? 3000 : 4000;
	return 0;
}

static size_t
signing_rank(enum kind kind, struct span key, struct span addr,
	     struct span local, struct span domain)
{
	bool pattern = kind == TABLE_REFILE ||
		       (kind == TABLE_ANY && span_chr(key, '*') >= 0);

	if (pattern)
		return glob(key, addr) ? 1 : 0;
	return file_rank(key, local, domain);
}

/* Text with "%" replaced by the From domain, which must be a plain name: it
 * becomes part of a path. */
static int
percent(struct span text, struct span domain, struct buf *out, struct err *e)
{
	struct buf name = BUF_INIT;
	bool ok;

	buf_addspan(&name, domain);
	ok = span_chr(text, '%') < 0 || sign_domain_ok(buf_str(&name));
	buf_free(&name);
	if (!ok)
		return err_set(e, ST_DATA,
			       "the domain of From is not a plain name");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '%')
			buf_addspan(out, domain);
		else
			buf_addc(out, text.p[i]);
	}
	return 0;
}

/* i= is left out when it is not inside d= (opendkim.conf(5)). */
static const char *
signer_inside(const char *signer, const char *domain)
{
	return signer[0] != '\0' && sign_auid_inside(signer, domain) ? signer
								     : NULL;
}

/* NAME DOMAIN:SELECTOR:KEYFILE */
static int
add_key(struct sign_plan *plan, struct span value, struct span from_domain,
	const char *signer, struct err *e)
{
	struct span domain, selector;
	struct buf d = BUF_INIT, s = BUF_INIT, k = BUF_INIT;
	int r = -1;

	if (!span_split(&value, ':', &domain) ||
	    !span_split(&value, ':', &selector) || value.p == NULL) {
		return err_set(e, ST_CONFIG,
			       "\"%.*s\": expected DOMAIN:SELECTOR:KEYFILE",
			       SPAN_ARG(domain));
	}
	buf_addspan(&s, span_trim(selector));
	if (span_is(span_trim(domain), "%"))
		buf_addspan(&d, from_domain);
	else
		buf_addspan(&d, span_trim(domain));
	/* An odd From is nobody's, not an error of the table. */
	if (span_is(span_trim(domain), "%") && !sign_domain_ok(buf_str(&d)))
		err_set(e, ST_DATA, "the domain of From is not a plain name");
	else if (percent(span_trim(value), from_domain, &k, e) == 0)
		r = plan_add(plan, buf_str(&d), buf_str(&s), buf_str(&k),
			     signer_inside(signer, buf_str(&d)), e);
	buf_free(&d);
	buf_free(&s);
	buf_free(&k);
	return r;
}

/* The line of that name. */
static int
find_key(struct sign_plan *plan, struct span table, const char *file,
	 struct span name, struct span from_domain, const char *signer,
	 struct err *e)
{
	struct span key, value;

	while (next_line(&table, &key, &value)) {
		if (span_ieq(key, name)) {
			if (add_key(plan, value, from_domain, signer, e) == 0)
				return 0;
			err_prefix(e, "%s", file);
			return -1;
		}
	}
	return err_set(e, ST_CONFIG,
		       "%s: no line \"%.*s DOMAIN:SELECTOR:KEYFILE\"", file,
		       SPAN_ARG(name));
}

/* "KEYNAME [SIGNER]" of the signing table. */
static int
sign_as(struct sign_plan *plan, struct span keys, const char *key_table,
	struct span value, struct span domain, struct err *e)
{
	struct buf signer = BUF_INIT;
	struct span name;
	int r;

	(void)span_word(&value, " \t", &name);
	if (span_is(name, "%"))
		name = domain;
	r = percent(span_trim(value), domain, &signer, e);
	if (r == 0)
		r = find_key(plan, keys, key_table, name, domain,
			     buf_str(&signer), e);
	buf_free(&signer);
	return r;
}

int
keytable_plan(struct sign_plan *plan, const char *signing_table,
	      const char *key_table, struct span local, struct span domain,
	      struct err *e)
{
	struct buf signing = BUF_INIT, keys = BUF_INIT, addr = BUF_INIT;
	struct span rest, key, value, best = { NULL, 0 };
	enum kind kind, unused;
	size_t rank, best_rank = 0;
	int r = read_table(signing_table, &signing, &kind, e);

	if (r == 0)
		r = read_table(key_table, &keys, &unused, e);
	buf_addf(&addr, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain));
	rest = buf_span(&signing);
	while (r == 0 && next_line(&rest, &key, &value)) {
		rank = signing_rank(kind, key, buf_span(&addr), local, domain);
		if (rank == 0)
			continue;
		if (conf.all_signers) {
			r = sign_as(plan, buf_span(&keys), key_table, value,
				    domain, e);
			continue;
		}
		if (best_rank > 0 && rank >= best_rank)
			continue;
		best_rank = rank;
		best = value;
		if (kind != TABLE_FILE)
			break;
	}
	if (r == 0 && best_rank > 0)
		r = sign_as(plan, buf_span(&keys), key_table, best, domain, e);
	buf_free(&signing);
	buf_free(&keys);
	buf_free(&addr);
	return r;
}

int
keytable_has(const char *file, struct span text, bool *yes, struct err *e)
{
	struct buf b = BUF_INIT;
	struct span rest, word, value;
	enum kind unused;

	*yes = false;
	if (read_table(file, &b, &unused, e) != 0)
		return -1;
	rest = buf_span(&b);
	while (!*yes && next_line(&rest, &word, &value))
		*yes = glob(word, text);
	buf_free(&b);
	return 0;
}

/* The file of "DOMAIN:SELECTOR:KEYFILE"; p NULL: malformed. */
static struct span
file_of(struct span value)
{
	struct span part;

	for (int k = 0; k < 2; k++)
		(void)span_split(&value, ':', &part);
	return value.p == NULL ? value : span_trim(value);
}

int
keytable_each(const char *key_table,
	      int (*fn)(const char *keyfile, struct err *e), struct err *e)
{
	struct buf b = BUF_INIT;
	struct span rest, name, value;
	enum kind unused;
	int r = read_table(key_table, &b, &unused, e);

	rest = buf_span(&b);
	while (r == 0 && next_line(&rest, &name, &value)) {
		struct buf path = BUF_INIT;

		value = file_of(value);
		if (value.p == NULL || span_chr(value, '%') >= 0)
			continue;
		buf_addspan(&path, value);
		r = fn(buf_str(&path), e);
		buf_free(&path);
	}
	buf_free(&b);
	return r;
}

/* Is path the pattern with a domain, always the same one, for each "%"? */
static bool
is_pattern_of(struct span pattern, struct span path)
{
	ssize_t at = span_chr(pattern, '%'), n;
	struct buf want = BUF_INIT, domain = BUF_INIT;
	size_t marks = 0;
	bool yes = false;

	if (at < 0)
		return span_eq(pattern, path);
	for (size_t i = 0; i < pattern.n; i++)
		marks += pattern.p[i] == '%';
	n = (ssize_t)path.n - (ssize_t)(pattern.n - marks);
	if (marks == 0 || n <= 0 || n % (ssize_t)marks != 0)
		return false;
	n /= (ssize_t)marks;
	buf_addspan(&domain, span_sub(path, (size_t)at, (size_t)(at + n)));
	if (domain.n == (size_t)n && sign_domain_ok(buf_str(&domain)) &&
	    percent(pattern, buf_span(&domain), &want, NULL) == 0)
		yes = span_eq(buf_span(&want), path);
	buf_free(&want);
	buf_free(&domain);
	return yes;
}

bool
keytable_names(const char *key_table, const char *keyfile)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct span rest, name, value;
	enum kind unused;
	bool yes = false;

	if (read_table(key_table, &b, &unused, &e) == 0) {
		rest = buf_span(&b);
		while (!yes && next_line(&rest, &name, &value)) {
			value = file_of(value);
			yes = value.p != NULL &&
			      is_pattern_of(value, span_of(keyfile));
		}
	}
	buf_free(&b);
	return yes;
}

/* How precisely the word names the address: 0 not at all, else 1 + bits. */
static int
addr_rank(struct span word, const char *addr)
{
	ssize_t slash = span_chr(word, '/');
	int bits;

	if (addr == NULL)
		return 0;
	if (span_is(word, "localhost"))
		return match_cidr(SPAN("127.0.0.0/8"), span_of(addr)) ||
			       match_cidr(SPAN("::1"), span_of(addr))
			   ? 9
			   : 0;
	if (!match_cidr(word, span_of(addr)))
		return 0;
	if (slash < 0 ||
	    !num_int(span_from(word, (size_t)slash + 1), 0, 128, &bits))
		return 130;
	return 1 + bits;
}

/* The same for its name: a whole name, .domain, or a pattern. */
static int
name_rank(struct span word, const char *name)
{
	struct span n = span_of(name);

	if (n.n == 0 || span_is(n, "unknown"))
		return 0;
	if (span_ieq(word, n))
		return 1000;
	if (word.n > 1 && word.p[0] == '.')
		return span_iends(n, word) ? (int)word.n : 0;
	return span_chr(word, '*') >= 0 && glob(word, n) ? (int)word.n : 0;
}

/* opendkim.conf(5) PeerList: more precise entries are preferred, "!" is not;
 * the name or the address may say yes. */
int
keytable_trusted(const char *file, const char *addr, const char *name,
		 bool *yes, struct err *e)
{
	struct buf b = BUF_INIT;
	struct span rest, word, value;
	enum kind unused;
	int addr_best = 0, name_best = 0, a, n;
	bool by_addr = false, by_name = false;

	if (read_table(file, &b, &unused, e) != 0)
		return -1;
	rest = buf_span(&b);
	while (next_line(&rest, &word, &value)) {
		bool no = word.p[0] == '!';

		if (no)
			word = span_from(word, 1);
		if (word.n > 1 && word.p[0] == '[' && word.p[word.n - 1] == ']')
			word = span_sub(word, 1, word.n - 1);
		a = addr_rank(word, addr);
		n = name_rank(word, name);
		if (a > addr_best || (a > 0 && a == addr_best && no)) {
			addr_best = a;
			by_addr = !no;
		}
		if (n > name_best || (n > 0 && n == name_best && no)) {
			name_best = n;
			by_name = !no;
		}
	}
	*yes = by_addr || by_name;
	buf_free(&b);
	return 0;
}
