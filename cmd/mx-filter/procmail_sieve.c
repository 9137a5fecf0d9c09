/*
 * procmail_sieve.c - an rcfile as a Sieve script: what has the same meaning
 * there is translated, and what has none is marked with a comment.
 */
#include "io.h"
#include "mem.h"
#include "num.h"
#include "procmail.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define RC_MAX ((size_t)4 << 20)

struct tosieve {
	struct span rest; /* of the rcfile */
	struct buf out;
	struct strs need; /* extensions */
	struct strs vars; /* NAME=VALUE of plain assignments */
	size_t depth;
	bool open[100]; /* a block is an "if" (closed by "}") */
	int marked;
};

static void
require(struct tosieve *t, const char *ext)
{
	if (!strs_has(&t->need, span_of(ext)))
		strs_add(&t->need, ext);
}

static void
indent(struct tosieve *t)
{
	for (size_t i = 0; i < t->depth; i++)
		buf_addc(&t->out, '\t');
}

static void
mark(struct tosieve *t, const char *why, struct span what)
{
	struct span line;

	t->marked++;
	indent(t);
	buf_addf(&t->out, "# not translated: %s:\n", why);
	while (span_split(&what, '\n', &line)) {
		indent(t);
		buf_addf(&t->out, "#   %.*s\n", SPAN_ARG(line));
	}
}

static bool
take_line(struct tosieve *t, struct buf *b)
{
	struct span line;

	buf_clear(b);
	while (span_split(&t->rest, '\n', &line)) {
		bool more = line.n > 0 && line.p[line.n - 1] == '\\';

		if (b->n > 0)
			line = span_ltrim(line);
		buf_addspan(b, span_sub(line, 0, line.n - more));
		if (!more)
			return true;
	}
	return b->n > 0;
}

static void
add_string(struct buf *b, struct span s)
{
	buf_addc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, s.p[i]);
	}
	buf_addc(b, '"');
}

/* $NAME of assignments that were plain; false: it is not known. */
static bool
substitute(struct tosieve *t, struct span s, struct buf *b)
{
	for (size_t i = 0; i < s.n; i++) {
		struct span name;
		size_t n = 0, used;
		bool found = false;

		if (s.p[i] == '`')
			return false;
		if (s.p[i] != '$') {
			if (s.p[i] != '"' && s.p[i] != '\'')
				buf_addc(b, s.p[i]);
			continue;
		}
		name = span_from(s, i + 1);
		used = name.n > 0 && name.p[0] == '{';
		name = span_from(name, used);
		while (n < name.n &&
		       (ascii_isalnum(name.p[n]) || name.p[n] == '_'))
			n++;
		name = span_sub(name, 0, n);
		i += n + 2 * used;
		for (size_t k = t->vars.n; k > 0 && !found; k--) {
			struct span v = span_of(t->vars.v[k - 1]), key;

			(void)span_split(&v, '=', &key);
			if (span_eq(key, name)) {
				buf_addspan(b, v);
				found = true;
			}
		}
		if (!found)
			return false;
	}
	return true;
}

/* --- conditions --- */

static bool
plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (strchr("^$.*+?[]()|\\", s.p[i]) != NULL)
			return false;
	}
	return s.n > 0;
}

/* "Subject", "(To|Cc)": names of fields. */
static bool
field_names(struct span s, struct buf *list)
{
	struct span one;
	size_t n = 0;

	if (s.n > 1 && s.p[0] == '(' && s.p[s.n - 1] == ')')
		s = span_sub(s, 1, s.n - 1);
	while (span_split(&s, '|', &one)) {
		for (size_t i = 0; i < one.n; i++) {
			if (!ascii_isalnum(one.p[i]) && one.p[i] != '-')
				return false;
		}
		if (one.n == 0)
			return false;
		buf_addf(list, "%s\"%.*s\"", n++ ? ", " : "", SPAN_ARG(one));
	}
	return n > 0;
}

/* The regex of what is behind the colon; ".*" at its start is dropped. */
static void
header_test(struct tosieve *t, const char *names, struct span re, bool fold,
	    struct buf *b)
{
	bool any = span_starts(re, SPAN(".*")), group;
	const char *cmp = fold ? "" : " :comparator \"i;octet\"";
	struct buf pattern = BUF_INIT;

	re = any ? span_from(re, 2) : span_ltrim(re);
	if (re.n == 0) {
		buf_addf(b, "exists [%s]", names);
		return;
	}
	if (any && plain(re)) {
		buf_addf(b, "header :contains%s [%s] ", cmp, names);
		add_string(b, re);
		return;
	}
	require(t, "regex");
	if (!any)
		buf_addc(&pattern, '^');
	pm_regex(&pattern, re, &group);
	buf_addf(b, "header :regex%s [%s] ", cmp, names);
	add_string(b, buf_span(&pattern));
	buf_free(&pattern);
}

static bool
regex_test(struct tosieve *t, struct span re, bool body, bool fold,
	   struct buf *b)
{
	struct buf names = BUF_INIT, pattern = BUF_INIT;
	ssize_t colon;
	bool ok = true, group;

	if (body) {
		require(t, "body");
		buf_adds(b, "body :raw ");
		if (plain(re)) {
			buf_adds(b, ":contains ");
			add_string(b, re);
		} else {
			require(t, "regex");
			pm_regex(&pattern, re, &group);
			buf_adds(b, ":regex ");
			add_string(b, buf_span(&pattern));
		}
	} else if (span_starts(re, SPAN("^TO_")) ||
		   span_starts(re, SPAN("^TO"))) {
		bool addr = span_starts(re, SPAN("^TO_"));

		header_test(t,
			    "\"To\", \"Cc\", \"Bcc\", \"Resent-To\", "
			    "\"Resent-Cc\", \"X-Envelope-To\", "
			    "\"Apparently-To\"",
			    buf_span(&pattern), fold, &pattern);
		buf_clear(&pattern);
		buf_adds(&pattern, ".*");
		buf_addspan(&pattern, span_from(re, addr ? 4 : 3));
		header_test(t,
			    "\"To\", \"Cc\", \"Bcc\", \"Resent-To\", "
			    "\"Resent-Cc\", \"X-Envelope-To\", "
			    "\"Apparently-To\"",
			    buf_span(&pattern), fold, b);
	} else {
		colon = span_chr(re, ':');
		ok = re.n > 0 && re.p[0] == '^' && colon > 1 &&
		     span_find(re, SPAN("\\/")) < 0 &&
		     field_names(span_sub(re, 1, (size_t)colon), &names);
		if (ok)
			header_test(t, buf_str(&names),
				    span_from(re, (size_t)colon + 1), fold, b);
	}
	buf_free(&names);
	buf_free(&pattern);
	return ok;
}

/* One condition as a test; false: it has no counterpart. */
static bool
condition(struct tosieve *t, const struct pm_recipe *r, struct span s,
	  struct buf *b)
{
	bool not = false, body = r->flag['B'] && !r->flag['H'];
	bool ok;
	uint64_t size;
	struct buf one = BUF_INIT;

	s = span_trim(s);
	while (s.n > 0 && s.p[0] == '!') {
		not = !not ;
		s = span_ltrim(span_from(s, 1));
	}
	if (span_starts(s, SPAN("B ??")) || span_starts(s, SPAN("H ??"))) {
		body = s.p[0] == 'B';
		s = span_ltrim(span_from(s, 4));
	}
	if (s.n == 0 || strchr("$?", s.p[0]) != NULL ||
	    span_find(s, SPAN("??")) >= 0 || (r->flag['B'] && r->flag['H']))
		return false;
	if (s.p[0] == '<' || s.p[0] == '>') {
		ok = num_u64(span_trim(span_from(s, 1)), INT32_MAX, &size);
		buf_addf(&one, "size :%s %llu",
			 s.p[0] == '<' ? "under" : "over",
			 (unsigned long long)size);
	} else {
		size_t w = 0;

		while (w < s.n && (ascii_isdigit(s.p[w]) || s.p[w] == '-' ||
				   s.p[w] == '.'))
			w++;
		ok = !(w > 0 && w < s.n && s.p[w] == '^') &&
		     regex_test(t, s, body, !r->flag['D'], &one);
	}
	if (ok)
		buf_addf(b, "%s%s", not ? "not " : "", buf_str(&one));
	buf_free(&one);
	return ok;
}

/* --- actions --- */

static bool
folder_action(struct tosieve *t, const struct pm_recipe *r, struct span line,
	      struct buf *b)
{
	struct buf name = BUF_INIT, folder = BUF_INIT;
	struct span s;
	bool ok = substitute(t, line, &name);

	s = span_trim(buf_span(&name));
	while (s.n > 0 && (s.p[s.n - 1] == '/' || span_ends(s, SPAN("/."))))
		s.n--;
	if (s.n > 0 && s.p[0] == '.' && s.n > 1 && s.p[1] != '/')
		s = span_from(s, 1); /* .Folder/ of a Maildir */
	if (!ok || s.n == 0 || span_chr(s, ' ') >= 0) {
		ok = false;
	} else if (span_is(s, "/dev/null")) {
		buf_adds(b, "discard;");
	} else {
		for (size_t i = 0; i < s.n; i++)
			buf_addc(&folder, s.p[i] == '/' ? '.' : s.p[i]);
		while (folder.n > 0 && folder.p[0] == '.')
			buf_shift(&folder, 1);
		require(t, "fileinto");
		require(t, "mailbox");
		if (r->flag['c'])
			require(t, "copy");
		buf_addf(b, "fileinto :create %s",
			 r->flag['c'] ? ":copy " : "");
		add_string(b, buf_span(&folder));
		buf_addc(b, ';');
	}
	buf_free(&name);
	buf_free(&folder);
	return ok;
}

static bool
forward_action(struct tosieve *t, const struct pm_recipe *r, struct span line,
	       struct buf *b)
{
	struct buf to = BUF_INIT;
	struct span rest, one;
	bool ok = substitute(t, line, &to), first = true;

	rest = buf_span(&to);
	while (ok && span_word(&rest, " \t,", &one)) {
		ok = one.p[0] != '-' && span_chr(one, '@') > 0;
		if (r->flag['c'] || !first)
			require(t, "copy");
		buf_addf(b, "%sredirect %s", first ? "" : " ",
			 r->flag['c'] || !first ? ":copy " : "");
		add_string(b, one);
		buf_addc(b, ';');
		first = false;
	}
	buf_free(&to);
	return ok && !first;
}

static bool
action(struct tosieve *t, const struct pm_recipe *r, struct span line,
       struct buf *b)
{
	line = span_trim(line);
	if (line.n == 0 || line.p[0] == '|' || r->flag['f'])
		return false;
	if (r->flag['h'] != r->flag['b'])
		return false; /* a part of the mail alone */
	if (line.p[0] == '!')
		return forward_action(t, r, span_from(line, 1), b);
	if (span_find(line, SPAN("=|")) >= 0 ||
	    span_find(line, SPAN("= |")) >= 0)
		return false;
	return folder_action(t, r, line, b);
}

/* --- the file --- */

static void
flags_of(struct pm_recipe *r, struct span s)
{
	*r = (struct pm_recipe){ .old_count = -1 };
	for (; s.n > 0 && s.p[0] != ':' && s.p[0] != '#'; s = span_from(s, 1)) {
		if (s.p[0] > 0 && ascii_isalpha(s.p[0]))
			r->flag[(int)s.p[0]] = true;
	}
}

static void
write_if(struct tosieve *t, const struct pm_recipe *r, const struct strs *tests)
{
	indent(t);
	if (r->flag['E'])
		buf_adds(&t->out, "els");
	if (tests->n == 0)
		buf_adds(&t->out, r->flag['E'] ? "e {\n" : "if true {\n");
	else if (tests->n == 1)
		buf_addf(&t->out, "if %s {\n", tests->v[0]);
	else
		buf_adds(&t->out, "if allof (");
	for (size_t i = 0; tests->n > 1 && i < tests->n; i++)
		buf_addf(&t->out, "%s%s", i ? ", " : "", tests->v[i]);
	if (tests->n > 1)
		buf_adds(&t->out, ") {\n");
}

static void
skip_block(struct tosieve *t, struct buf *text)
{
	struct buf line = BUF_INIT;
	int depth = 1;

	while (depth > 0 && take_line(t, &line)) {
		struct span s = span_trim(buf_span(&line));

		depth += s.n > 0 && s.p[0] == '{';
		depth -= s.n > 0 && s.p[0] == '}';
		buf_addf(text, "%s\n", buf_str(&line));
	}
	buf_free(&line);
}

static void
recipe(struct tosieve *t, const struct buf *head)
{
	struct pm_recipe r;
	struct strs tests = STRS_INIT;
	struct buf line = BUF_INIT, text = BUF_INIT, one = BUF_INIT;
	struct span s = span_trim(buf_span(head));
	const char *why = NULL;

	s = span_from(s, 1);
	while (s.n > 0 && ascii_isdigit(s.p[0]))
		s = span_from(s, 1);
	flags_of(&r, s);
	buf_addf(&text, "%s\n", buf_str(head));
	if (r.flag['A'] || r.flag['a'] || r.flag['e'])
		why = "it depends on what became of the recipe before";
	while (take_line(t, &line)) {
		s = span_trim(buf_span(&line));
		if (s.n == 0 || s.p[0] == '#')
			continue;
		buf_addf(&text, "%s\n", buf_str(&line));
		if (s.p[0] != '*')
			break;
		buf_clear(&one);
		if (condition(t, &r, span_from(s, 1), &one))
			strs_addspan(&tests, buf_span(&one));
		else if (why == NULL)
			why = "a condition has no counterpart";
	}
	s = span_trim(buf_span(&line));
	buf_clear(&one);
	if (s.n > 0 && s.p[0] == '{') {
		if (why == NULL && r.flag['c'])
			why = "a block that clones the run";
		if (why == NULL && t->depth < 90 && span_chr(s, '}') < 0) {
			write_if(t, &r, &tests);
			t->open[t->depth++] = true;
		} else {
			if (span_chr(s, '}') < 0)
				skip_block(t, &text);
			mark(t, why ? why : "a block", buf_span(&text));
		}
	} else {
		if (why == NULL && !action(t, &r, s, &one))
			why = "the action has no counterpart";
		if (why != NULL) {
			mark(t, why, buf_span(&text));
		} else {
			write_if(t, &r, &tests);
			t->depth++;
			indent(t);
			buf_addf(&t->out, "%s%s\n", buf_str(&one),
				 r.flag['c'] ? "" : " stop;");
			t->depth--;
			indent(t);
			buf_adds(&t->out, "}\n");
		}
	}
	strs_free(&tests);
	buf_free(&line);
	buf_free(&text);
	buf_free(&one);
}

static void
assignment(struct tosieve *t, struct span s)
{
	static const char *const harmless[] = {
		"SHELL",       "PATH",     "LOGFILE",   "VERBOSE",
		"LOGABSTRACT", "LOCKFILE", "LOCKEXT",   "LOCKTIMEOUT",
		"LOCKSLEEP",   "UMASK",    "SENDMAIL",  "COMSAT",
		"TIMEOUT",     "LINEBUF",  "DROPPRIVS", "SHELLFLAGS"
	};
	struct span rest = s, name;
	struct buf v = BUF_INIT;

	(void)span_split(&rest, '=', &name);
	name = span_trim(name);
	if (rest.p == NULL || span_is(name, "INCLUDERC") ||
	    span_is(name, "SWITCHRC") || !substitute(t, span_trim(rest), &v)) {
		mark(t, "a statement", s);
	} else {
		strs_addf(&t->vars, "%.*s=%s", SPAN_ARG(name), buf_str(&v));
		/* folders begin below MAILDIR */
		if (span_is(name, "MAILDIR"))
			strs_addf(&t->vars, "HOME=");
		for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
			if (span_is(name, harmless[i]))
				goto out;
		}
		indent(t);
		buf_addf(&t->out, "# %.*s\n", SPAN_ARG(s));
	}
out:
	buf_free(&v);
}

static void
translate(struct tosieve *t)
{
	struct buf line = BUF_INIT;

	while (take_line(t, &line)) {
		struct span s = span_trim(buf_span(&line));

		if (s.n == 0) {
			continue;
		} else if (s.p[0] == '#') {
			indent(t);
			buf_addf(&t->out, "%.*s\n", SPAN_ARG(s));
		} else if (s.p[0] == ':') {
			recipe(t, &line);
		} else if (s.p[0] == '}') {
			if (t->depth > 0)
				t->depth--;
			indent(t);
			buf_adds(&t->out, "}\n");
		} else {
			assignment(t, s);
		}
	}
	buf_free(&line);
}

int
pm_to_sieve(const char *file, struct err *e)
{
	struct tosieve t = { .depth = 0 };
	struct buf text = BUF_INIT;
	int r = 0;

	if (io_read_file(file, &text, RC_MAX, e) != 0)
		return -1;
	t.rest = buf_span(&text);
	strs_add(&t.vars, "HOME=");
	strs_add(&t.vars, "DEFAULT=INBOX");
	strs_add(&t.vars, "ORGMAIL=INBOX");
	translate(&t);
	if (t.need.n > 0) {
		printf("require [");
		for (size_t i = 0; i < t.need.n; i++)
			printf("%s\"%s\"", i ? ", " : "", t.need.v[i]);
		printf("];\n");
	}
	fputs(buf_str(&t.out), stdout);
	if (fflush(stdout) != 0)
		r = err_sys(e, "stdout");
	if (t.marked > 0)
		fprintf(stderr, "mx-filter: %d parts are not translated\n",
			t.marked);
	strs_free(&t.need);
	strs_free(&t.vars);
	buf_free(&t.out);
	buf_free(&text);
	return r;
}
