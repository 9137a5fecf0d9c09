/*
 * sieve_check.c - are the words known, required, and their arguments right?
 * RFC 5228 2.6, 2.7, 2.10.7, 3.2; all from the rows of the extensions.
 */
#include "escape.h"
#include "mem.h"
#include "num.h"
#include "sieve.h"

#include <stdio.h>
#include <stdlib.h>

/* Tags of every word that matches (RFC 5228 2.7) or looks at addresses (2.7.4).
 */
static const struct sieve_tag match_tags[] = {
	{ ":is", 0, "match type", NULL },
	{ ":contains", 0, "match type", NULL },
	{ ":matches", 0, "match type", NULL },
	{ ":comparator", 's', "comparator", NULL },
};
static const struct sieve_tag part_tags[] = {
	{ ":all", 0, "address part", NULL },
	{ ":localpart", 0, "address part", NULL },
	{ ":domain", 0, "address part", NULL },
};

bool
sieve_each_extension(size_t *i, const struct sieve_extension **x)
{
	if (__start_sieve_ext + *i >= __stop_sieve_ext)
		return false;
	*x = __start_sieve_ext[(*i)++];
	return true;
}

bool
sieve_known(const struct sieve_script *s, const char *ext)
{
	const struct sieve_extension *x;
	size_t i = 0;

	while (sieve_each_extension(&i, &x)) {
		if (x->name != NULL && strcmp(x->name, ext) == 0)
			return (!x->testing || s->testing) &&
			       (x->available == NULL || x->available());
		/* RFC 5228 2.7.3: comparators are required by this name. */
		for (size_t k = 0; k < x->ncomparators; k++) {
			if (strncmp(ext, "comparator-", 11) == 0 &&
			    strcmp(ext + 11, x->comparators[k].name) == 0)
				return true;
		}
	}
	return false;
}

const struct sieve_extension *
sieve_extension(const struct sieve_script *s, const char *name)
{
	const struct sieve_extension *x;
	size_t i = 0;

	while (sieve_each_extension(&i, &x)) {
		if (x->name != NULL && strcmp(x->name, name) == 0 &&
		    (!x->testing || s->testing))
			return x;
	}
	return NULL;
}

bool
sieve_required(const struct sieve_script *s, const char *ext)
{
	return strs_has(&s->required, span_of(ext));
}

void
sieve_require(struct sieve_script *s, const char *ext)
{
	for (int i = 0; ext != NULL && i < 4; i++) {
		const struct sieve_extension *x = sieve_extension(s, ext);

		if (!sieve_required(s, ext))
			strs_add(&s->required, ext);
		ext = x != NULL ? x->implies : NULL;
	}
}

static const struct sieve_word *
find_word(const char *name, bool is_test)
{
	const struct sieve_extension *x;
	size_t i = 0;

	while (sieve_each_extension(&i, &x)) {
		for (size_t k = 0; k < x->nwords; k++) {
			if (x->words[k].is_test == is_test &&
			    strcmp(x->words[k].name, name) == 0)
				return &x->words[k];
		}
	}
	return NULL;
}

static const struct sieve_tag *
find_in(const struct sieve_tag *tags, size_t n, const char *tag)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(tags[i].name, tag) == 0)
			return &tags[i];
	}
	return NULL;
}

static const struct sieve_tag *
find_tag(const struct sieve_word *w, const char *tag)
{
	const struct sieve_tag *t = find_in(w->tags, w->ntags, tag);
	const struct sieve_extension *x;
	size_t i = 0;

	if (t == NULL && w->with_match)
		t = find_in(match_tags, ARRAY_LEN(match_tags), tag);
	if (t == NULL && w->with_part)
		t = find_in(part_tags, ARRAY_LEN(part_tags), tag);
	while (t == NULL && sieve_each_extension(&i, &x)) {
		for (size_t k = 0; k < x->nadded && t == NULL; k++) {
			const char *to = x->added[k].word;
			bool mine =
			    strcmp(to, w->name) == 0 ||
			    (w->with_match && strcmp(to, "*match") == 0) ||
			    (w->with_part && strcmp(to, "*part") == 0);

			if (mine && strcmp(x->added[k].tag.name, tag) == 0)
				t = &x->added[k].tag;
		}
	}
	return t;
}

static bool
fits(const struct sieve_arg *a, char want)
{
	switch (want) {
	case 's':
		return a->kind == SIEVE_STRING;
	case 'S':
		return a->kind == SIEVE_STRING || a->kind == SIEVE_LIST;
	case 'n':
		return a->kind == SIEVE_NUMBER;
	default:
		return false;
	}
}

static const char *
arg_words(char want)
{
	return want == 's' ? "string" : want == 'S' ? "string list" : "number";
}

static const char *
found_words(const struct sieve_arg *a)
{
	static const char *const words[] = { "tag", "number", "string",
					     "string list" };

	return words[a->kind];
}

/* "command" or "test". */
static const char *
kind_of(const struct sieve_node *n)
{
	return n->word->is_test ? "test" : "command";
}

/* Was this unknown tag of this word told already? */
static bool
told_before(struct sieve_script *s, const struct sieve_node *n, const char *tag)
{
	struct buf key = BUF_INIT;
	bool told;

	buf_addf(&key, "%s %s", n->name, tag);
	/* nobody reads more, and each is compared with all */
	told = s->unknown.n >= SIEVE_ERRORS ||
	       strs_has(&s->unknown, buf_span(&key));
	if (!told)
		strs_addspan(&s->unknown, buf_span(&key));
	s->errors += told; /* it does not compile, said or not */
	buf_free(&key);
	return told;
}

/* Tags come first (RFC 5228 2.6.2); returns the index of the first positional
 * one. */
static size_t
check_tags(struct sieve_script *s, struct sieve_node *n)
{
	const char *groups[16];
	size_t i = 0, ngroups = 0;

	for (; i < n->nargs && n->args[i].kind == SIEVE_TAG; i++) {
		struct sieve_arg *a = &n->args[i];
		const struct sieve_tag *t = find_tag(n->word, a->tag);
		const char *dup = NULL;

		if (t == NULL) {
			if (!told_before(s, n, a->tag))
				sieve_error(s, a->line, a->col,
					    "unknown tagged argument '%s' for "
					    "the %s %s (reported only once at "
					    "first occurrence)",
					    a->tag, n->name, kind_of(n));
			/* Its value, if any, cannot be told from others. */
			return SIZE_MAX;
		}
		if (t->ext != NULL && !sieve_required(s, t->ext)) {
			sieve_error(s, a->line, a->col,
				    "unknown tagged argument '%s' for the %s "
				    "%s: it needs require \"%s\"",
				    a->tag, n->name, kind_of(n), t->ext);
			return SIZE_MAX;
		}
		for (size_t k = 0; k < ngroups; k++) {
			if (strcmp(groups[k], t->group ? t->group : t->name) ==
			    0)
				dup = groups[k];
		}
		if (dup != NULL) {
			sieve_error(s, a->line, a->col,
				    "encountered duplicate %s for the %s %s",
				    dup, n->name, kind_of(n));
			return SIZE_MAX;
		}
		if (ngroups < ARRAY_LEN(groups))
			groups[ngroups++] = t->group ? t->group : t->name;
		if (t->value == 0)
			continue;
		if (i + 1 >= n->nargs || !fits(&n->args[i + 1], t->value)) {
			sieve_error(s, a->line, a->col,
				    "the '%s' tag of the %s %s requires a %s "
				    "behind it",
				    a->tag, n->name, kind_of(n),
				    arg_words(t->value));
			return SIZE_MAX;
		}
		i++;
	}
	return i;
}

/* The names of RFC 5228, in parentheses; "" where it has none. */
static const char *
arg_name(const struct sieve_node *n, size_t i)
{
	static const struct {
		const char *word, *names[2];
	} rows[] = {
		{ "address", { " (header list)", " (key list)" } },
		{ "envelope", { " (envelope part)", " (key list)" } },
		{ "header", { " (header names)", " (key list)" } },
		{ "exists", { " (header names)", "" } },
		{ "size", { " (limit)", "" } },
		{ "redirect", { " (address)", "" } },
		{ "fileinto", { " (mailbox)", "" } },
		{ "require", { " (capabilities)", "" } },
	};

	for (size_t k = 0; i < 2 && k < ARRAY_LEN(rows); k++) {
		if (strcmp(rows[k].word, n->name) == 0)
			return rows[k].names[i];
	}
	return "";
}

static bool
check_positional(struct sieve_script *s, struct sieve_node *n)
{
	const char *want = n->word->positional ? n->word->positional : "";
	size_t i = n->first_pos, must = 0, left = n->nargs - i, needed;

	for (const char *p = want; *p != '\0'; p++)
		must += *p == 'o' ? 0 : !(p > want && p[-1] == 'o');
	needed = must;
	for (; *want != '\0'; want++) {
		bool optional = *want == 'o';

		if (optional) {
			want++;
			if (left <= must)
				continue;
		}
		if (i >= n->nargs) {
			sieve_error(s, n->line, n->col,
				    "the %s %s requires %zu positional "
				    "argument(s), but %zu is/are specified",
				    n->name, kind_of(n), needed,
				    n->nargs - n->first_pos);
			return false;
		}
		if (!fits(&n->args[i], *want)) {
			sieve_error(s, n->args[i].line, n->args[i].col,
				    "the %s %s expects a %s as argument %zu%s, "
				    "but a %s was found",
				    n->name, kind_of(n), arg_words(*want),
				    i - n->first_pos + 1,
				    arg_name(n, i - n->first_pos),
				    found_words(&n->args[i]));
			return false;
		}
		must -= !optional;
		left--;
		i++;
	}
	if (i >= n->nargs)
		return true;
	if (n->args[i].kind == SIEVE_TAG)
		sieve_error(s, n->args[i].line, n->args[i].col,
			    "encountered an unexpected tagged argument '%s' "
			    "while validating positional arguments for the %s "
			    "%s",
			    n->args[i].tag, n->name, kind_of(n));
	else
		sieve_error(s, n->args[i].line, n->args[i].col,
			    "the %s %s requires %zu positional argument(s), "
			    "but %zu is/are specified",
			    n->name, kind_of(n), needed,
			    n->nargs - n->first_pos);
	return false;
}

/* Was a tag or command meant where a test stands? */
static bool
misread_test(struct sieve_script *s, const struct sieve_node *n)
{
	const struct sieve_node *t = &n->tests[0];
	struct buf tag = BUF_INIT;
	bool is_tag;

	if (n->test_list)
		return false;
	buf_addf(&tag, ":%s", t->name);
	is_tag = find_tag(n->word, buf_str(&tag)) != NULL;
	buf_free(&tag);
	if (is_tag)
		sieve_error(s, t->line, t->col,
			    "missing colon ':' before ':%s' tag in %s %s",
			    t->name, n->name, kind_of(n));
	else if (!n->word->is_test && find_word(t->name, false) != NULL &&
		 find_word(t->name, true) == NULL)
		sieve_error(s, n->line, n->col,
			    "missing semicolon ';' after %s command", n->name);
	else
		return false;
	return true;
}

static bool
check_tests(struct sieve_script *s, const struct sieve_node *n)
{
	if (n->word->tests == 0 && n->ntests > 0) {
		if (!misread_test(s, n))
			sieve_error(s, n->line, n->col,
				    "the %s %s accepts no sub-tests, but tests "
				    "are specified",
				    n->name, kind_of(n));
		return false;
	}
	if (n->word->tests == 1 && (n->ntests != 1 || n->test_list)) {
		sieve_error(s, n->line, n->col,
			    "the %s %s requires one sub-test, but %s", n->name,
			    kind_of(n),
			    n->ntests ? "a list of tests is specified"
				      : "none is specified");
		return false;
	}
	if (n->word->tests == 2 && !n->test_list) {
		sieve_error(s, n->line, n->col,
			    "the %s %s requires a list of sub-tests (in "
			    "parentheses), but %s",
			    n->name, kind_of(n),
			    n->ntests ? "one test is specified"
				      : "none is specified");
		return false;
	}
	return true;
}

static bool
check_block(struct sieve_script *s, const struct sieve_node *n)
{
	if (n->word->block && !n->has_block)
		sieve_error(s, n->line, n->col,
			    "the %s command requires a command block, but it "
			    "is missing",
			    n->name);
	else if (!n->word->block && n->has_block)
		sieve_error(s, n->line, n->col,
			    "the %s command accepts no command block, but one "
			    "is specified",
			    n->name);
	else
		return true;
	return false;
}

/* "${hex: 24}" and "${unicode: 40}": RFC 5228 2.4.2.4. */
static void
decode_characters(struct sieve_script *s, struct sieve_arg *a, char **text)
{
	struct span rest = span_of(*text);
	struct buf out = BUF_INIT;
	bool changed = false;

	while (rest.n > 0) {
		bool hex = span_istarts(rest, SPAN("${hex:"));
		bool uni = span_istarts(rest, SPAN("${unicode:"));
		ssize_t end = hex || uni ? span_chr(rest, '}') : -1;
		struct span in, w;
		size_t start = out.n;
		uint64_t v;
		bool ok = end > 0, any = false;

		in = ok ? span_sub(rest, hex ? 6 : 10, (size_t)end) : rest;
		while (ok && span_word(&in, " \t\r\n", &w)) {
			any = true;
			ok = num_hex(w, hex ? 0xff : UINT64_MAX, &v) &&
			     (!hex || w.n <= 2);
			if (!ok)
				break;
			if (hex) {
				buf_addc(&out, (char)v);
				continue;
			}
			if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) {
				sieve_error(s, a->line, a->col,
					    "${unicode:} beyond Unicode");
				v = '?';
			}
			utf8_add(&out, (uint32_t)v);
		}
		if (!ok || !any) {
			buf_cut(&out, start);
			buf_addc(&out, rest.p[0]);
			rest = span_from(rest, 1);
			continue;
		}
		changed = true;
		rest = span_from(rest, (size_t)end + 1);
	}
	if (changed) {
		free(*text);
		*text = buf_steal(&out);
	}
	buf_free(&out);
}

static void
check_strings(struct sieve_script *s, struct sieve_node *n)
{
	if (!sieve_required(s, "encoded-character"))
		return;
	for (size_t i = 0; i < n->nargs; i++) {
		for (size_t k = 0; k < n->args[i].strings.n; k++)
			decode_characters(s, &n->args[i],
					  &n->args[i].strings.v[k]);
	}
}

static bool
check_word(struct sieve_script *s, struct sieve_node *n, bool is_test)
{
	n->word = find_word(n->name, is_test);
	if (n->word == NULL && find_word(n->name, !is_test) != NULL)
		sieve_error(s, n->line, n->col,
			    "attempted to use %s '%s' as %s",
			    is_test ? "command" : "test", n->name,
			    is_test ? "test" : "command");
	else if (n->word == NULL)
		sieve_error(s, n->line, n->col, "unknown %s '%s'",
			    is_test ? "test" : "command", n->name);
	else if (n->word->ext != NULL && !sieve_required(s, n->word->ext))
		sieve_error(s, n->line, n->col,
			    "unknown %s '%s': it needs require \"%s\"",
			    kind_of(n), n->name, n->word->ext);
	else
		return true;
	n->word = NULL;
	return false;
}

/* Arguments, sub-tests, block: the first fault of each. */
static void
check_node(struct sieve_script *s, struct sieve_node *n)
{
	check_strings(s, n);
	sieve_check_vars(s, n);
	n->first_pos = check_tags(s, n);
	if (n->first_pos == SIZE_MAX) {
		n->first_pos = n->nargs;
	} else if (check_positional(s, n)) {
		if (n->word->with_match)
			sieve_check_match(s, n);
		if (n->word->check != NULL)
			n->word->check(s, n);
	}
	if (check_tests(s, n) && !n->word->is_test)
		(void)check_block(s, n);
}

/* 3.1: elsif and else only behind if or elsif. */
static bool
check_order(struct sieve_script *s, const struct sieve_node *before,
	    const struct sieve_node *n)
{
	bool chain =
	    strcmp(n->name, "elsif") == 0 || strcmp(n->name, "else") == 0;

	if (!chain || (before != NULL && (strcmp(before->name, "if") == 0 ||
					  strcmp(before->name, "elsif") == 0)))
		return true;
	sieve_error(s, n->line, n->col,
		    "the %s command must follow an if or elsif command",
		    n->name);
	return false;
}

static void check_block_of(struct sieve_script *s, struct sieve_node *n);
static void check_tree(struct sieve_script *s, struct sieve_node *n,
		       bool is_test);

/* ihave (RFC 5463 4): what can only be reached where an extension is there is
 * not looked at where it is not.  1 or 0 when the outcome of a test is known,
 * else -1.  The recursion is bounded by SIEVE_NESTING. */
static int
known(const struct sieve_script *s, const struct sieve_node *n)
{
	bool all, any;
	int out;

	if (n->word == NULL)
		return -1;
	if (n->word->known != NULL && n->first_pos < n->nargs)
		return n->word->known(s, n);
	if (strcmp(n->name, "not") == 0 && n->ntests == 1) {
		out = known(s, &n->tests[0]);
		return out < 0 ? -1 : !out;
	}
	all = strcmp(n->name, "allof") == 0;
	any = strcmp(n->name, "anyof") == 0;
	if (!all && !any)
		return -1;
	out = all;
	for (size_t i = 0; i < n->ntests; i++) {
		int one = known(s, &n->tests[i]);

		if (one == (all ? 0 : 1))
			return one;
		if (one < 0)
			out = -1;
	}
	return out;
}

/* Tests up to the one that decides; the others are never run. */
static void
check_subtests(struct sieve_script *s, struct sieve_node *n)
{
	int decides = strcmp(n->name, "allof") == 0   ? 0
		      : strcmp(n->name, "anyof") == 0 ? 1
						      : 2;

	for (size_t i = 0; i < n->ntests; i++) {
		check_tree(s, &n->tests[i], true);
		if (known(s, &n->tests[i]) == decides)
			return;
	}
}

/* The recursion is bounded by SIEVE_NESTING. */
static void
check_tree(struct sieve_script *s, struct sieve_node *n, bool is_test)
{
	bool loop;

	if (!check_word(s, n, is_test))
		return;
	if (n->word->inside != NULL && s->loops == 0)
		sieve_error(s, n->line, n->col,
			    "the %s command is not placed inside a %s loop",
			    n->name, n->word->inside);
	check_node(s, n);
	if (n->word->tests > 0)
		check_subtests(s, n);
	if (!n->word->block)
		return;
	if (n->ntests == 1 && known(s, &n->tests[0]) == 0) {
		n->unreached = true;
		return;
	}
	loop = strcmp(n->name, "foreverypart") == 0;
	if (loop && ++s->loops > SIEVE_LOOPS)
		sieve_error(s, n->line, n->col,
			    "foreverypart is nested more than %d deep",
			    SIEVE_LOOPS);
	check_block_of(s, n);
	s->loops -= loop;
}

static void
check_block_of(struct sieve_script *s, struct sieve_node *n)
{
	bool bad_chain = false, decided = false;

	for (size_t i = 0; i < n->nblock; i++) {
		struct sieve_node *c = &n->block[i];
		const struct sieve_node *before = i > 0 ? c - 1 : NULL;

		if (strcmp(c->name, "elsif") != 0 &&
		    strcmp(c->name, "else") != 0)
			bad_chain = decided = false;
		if (!bad_chain && !check_order(s, before, c))
			bad_chain = true;
		if (n != &s->root && strcmp(c->name, "require") == 0)
			sieve_error(s, c->line, c->col,
				    "the require command must not stand in a "
				    "block");
		if (decided) { /* an ihave before it is true */
			c->unreached = true;
			(void)check_word(s, c, false);
			continue;
		}
		check_tree(s, c, false);
		decided |= c->ntests == 1 && known(s, &c->tests[0]) == 1;
		/* error (RFC 5463 5) and its like say that nothing follows */
		if (c->word != NULL && c->word->ends)
			break;
	}
}

/* 3.2: require stands at the top, before all else. */
static void
take_requires(struct sieve_script *s)
{
	size_t i = 0;

	for (; i < s->root.nblock; i++) {
		struct sieve_node *n = &s->root.block[i];

		if (strcmp(n->name, "require") != 0)
			break;
		for (size_t a = 0; a < n->nargs; a++) {
			struct sieve_arg *arg = &n->args[a];

			for (size_t k = 0; k < arg->strings.n; k++) {
				const char *x = arg->strings.v[k];

				if (!sieve_known(s, x))
					sieve_error(s, arg->line, arg->col,
						    "unknown Sieve capability "
						    "'%s'",
						    x);
				else
					sieve_require(s, x);
			}
		}
	}
	for (; i < s->root.nblock; i++) {
		struct sieve_node *n = &s->root.block[i];

		if (strcmp(n->name, "require") == 0)
			sieve_error(
			    s, n->line, n->col,
			    "the require command must stand before other "
			    "commands");
	}
}

void
sieve_check(struct sieve_script *s)
{
	take_requires(s);
	check_block_of(s, &s->root);
}

const struct sieve_arg *
sieve_has(const struct sieve_node *n, const char *tag)
{
	for (size_t i = 0; i < n->first_pos && i < n->nargs; i++) {
		if (n->args[i].kind == SIEVE_TAG &&
		    strcmp(n->args[i].tag, tag) == 0)
			return &n->args[i];
	}
	return NULL;
}

const struct sieve_arg *
sieve_value(const struct sieve_node *n, const char *tag)
{
	const struct sieve_arg *a = sieve_has(n, tag);

	return a != NULL ? a + 1 : NULL;
}

const struct sieve_arg *
sieve_pos(const struct sieve_node *n, size_t i)
{
	return n->first_pos + i < n->nargs ? &n->args[n->first_pos + i] : NULL;
}
