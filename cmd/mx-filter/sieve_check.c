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

/* Tags of every word that matches (2.7) or looks at addresses (2.7.4). */
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
			return !x->testing || s->testing;
		/* 2.7.3: comparators are required by this name. */
		for (size_t k = 0; k < x->ncomparators; k++) {
			if (strncmp(ext, "comparator-", 11) == 0 &&
			    strcmp(ext + 11, x->comparators[k].name) == 0)
				return true;
		}
	}
	return false;
}

bool
sieve_required(const struct sieve_script *s, const char *ext)
{
	return strs_has(&s->required, span_of(ext));
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

/* Tags come first (2.6.2); returns the index of the first positional one. */
static size_t
check_tags(struct sieve_script *s, struct sieve_node *n)
{
	const char *groups[16];
	size_t i = 0, ngroups = 0;

	for (; i < n->nargs && n->args[i].kind == SIEVE_TAG; i++) {
		struct sieve_arg *a = &n->args[i];
		const struct sieve_tag *t = find_tag(n->word, a->tag);

		if (t == NULL) {
			sieve_error(s, a->line, a->col,
				    "unknown tagged argument '%s' for the %s "
				    "%s",
				    a->tag, n->name, kind_of(n));
			/* Its value, if any, cannot be told from others. */
			return SIZE_MAX;
		}
		if (t->ext != NULL && !sieve_required(s, t->ext))
			sieve_error(s, a->line, a->col,
				    "%s needs require \"%s\"", a->tag, t->ext);
		for (size_t k = 0; k < ngroups; k++) {
			if (strcmp(groups[k], t->group ? t->group : t->name) ==
			    0)
				sieve_error(s, a->line, a->col,
					    "encountered duplicate %s for the "
					    "%s %s: '%s'",
					    groups[k], n->name, kind_of(n),
					    a->tag);
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

static void
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
			return;
		}
		if (!fits(&n->args[i], *want)) {
			sieve_error(s, n->args[i].line, n->args[i].col,
				    "the %s %s expects a %s as argument %zu, "
				    "but a %s was found",
				    n->name, kind_of(n), arg_words(*want),
				    i - n->first_pos + 1,
				    found_words(&n->args[i]));
			return;
		}
		must -= !optional;
		left--;
		i++;
	}
	if (i >= n->nargs)
		return;
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
}

static void
check_tests(struct sieve_script *s, const struct sieve_node *n)
{
	if (n->word->tests == 0 && n->ntests > 0)
		sieve_error(s, n->line, n->col,
			    "the %s %s accepts no sub-tests, but tests are "
			    "specified",
			    n->name, kind_of(n));
	else if (n->word->tests == 1 && (n->ntests != 1 || n->test_list))
		sieve_error(s, n->line, n->col,
			    "the %s %s requires one sub-test, but %s", n->name,
			    kind_of(n),
			    n->ntests ? "a list of tests is specified"
				      : "none is specified");
	else if (n->word->tests == 2 && !n->test_list)
		sieve_error(s, n->line, n->col,
			    "the %s %s requires a list of sub-tests in "
			    "parentheses",
			    n->name, kind_of(n));
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
			ok = num_hex(w, hex ? 0xff : 0xffffff, &v) &&
			     (!hex || w.n <= 2);
			if (!ok)
				break;
			if (hex) {
				buf_addc(&out, (char)v);
				continue;
			}
			if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
				sieve_error(s, a->line, a->col,
					    "${unicode:} beyond Unicode");
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

static void
check_node(struct sieve_script *s, struct sieve_node *n, bool is_test)
{
	n->word = find_word(n->name, is_test);
	if (n->word == NULL) {
		if (find_word(n->name, !is_test) != NULL)
			sieve_error(s, n->line, n->col,
				    "attempted to use %s '%s' as %s",
				    is_test ? "command" : "test", n->name,
				    is_test ? "test" : "command");
		else
			sieve_error(s, n->line, n->col, "unknown %s '%s'",
				    is_test ? "test" : "command", n->name);
		return;
	}
	if (n->word->ext != NULL && !sieve_required(s, n->word->ext))
		sieve_error(s, n->line, n->col,
			    "the %s %s needs require \"%s\"", n->name,
			    kind_of(n), n->word->ext);
	check_strings(s, n);
	sieve_check_vars(s, n);
	n->first_pos = check_tags(s, n);
	if (n->first_pos == SIZE_MAX) {
		n->first_pos = n->nargs;
		return;
	}
	check_positional(s, n);
	check_tests(s, n);
	if (n->word->with_match)
		sieve_check_match(s, n);
	if (!is_test && n->word->block && !n->has_block)
		sieve_error(s, n->line, n->col,
			    "the %s command requires a command block, but it "
			    "is missing",
			    n->name);
	if (!is_test && !n->word->block && n->has_block)
		sieve_error(s, n->line, n->col,
			    "the %s command accepts no command block, but one "
			    "is specified",
			    n->name);
	if (n->word->check != NULL)
		n->word->check(s, n);
}

/* 3.1: elsif and else only behind if or elsif. */
static void
check_order(struct sieve_script *s, const struct sieve_node *before,
	    const struct sieve_node *n)
{
	bool open = before != NULL && (strcmp(before->name, "if") == 0 ||
				       strcmp(before->name, "elsif") == 0);

	if (!open &&
	    (strcmp(n->name, "elsif") == 0 || strcmp(n->name, "else") == 0))
		sieve_error(s, n->line, n->col, "%s without if", n->name);
}

/* The recursion is bounded by SIEVE_NESTING. */
static void
check_tree(struct sieve_script *s, struct sieve_node *n)
{
	for (size_t i = 0; i < n->ntests; i++) {
		check_node(s, &n->tests[i], true);
		check_tree(s, &n->tests[i]);
	}
	for (size_t i = 0; i < n->nblock; i++) {
		check_order(s, i > 0 ? &n->block[i - 1] : NULL, &n->block[i]);
		if (n != &s->root && strcmp(n->block[i].name, "require") == 0)
			sieve_error(s, n->block[i].line, n->block[i].col,
				    "require must not stand in a block");
		check_node(s, &n->block[i], false);
		check_tree(s, &n->block[i]);
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
						    "require: unknown "
						    "extension \"%s\"",
						    x);
				strs_add(&s->required, x);
			}
		}
	}
	for (; i < s->root.nblock; i++) {
		struct sieve_node *n = &s->root.block[i];

		if (strcmp(n->name, "require") == 0)
			sieve_error(s, n->line, n->col,
				    "require must stand before other commands");
	}
}

void
sieve_check(struct sieve_script *s)
{
	take_requires(s);
	check_tree(s, &s->root);
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
