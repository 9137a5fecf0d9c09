/*
 * table_pcre.c - pcre: and regexp: tables, both on PCRE2, whose matches can be
 * bounded; POSIX's own forms are translated first.
 * Layer: sys.  pcre_table(5): /pattern/flags; default flags: i (toggled off by
 * "i"), s; m, x, A, E, U, X.  Limits are set on every match.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "mem.h"
#include "status.h"
#include "table_pattern.h"

#include <pcre2.h>
#include <stdlib.h>

#define MATCH_LIMIT 1000000
#define DEPTH_LIMIT 10000
#define HEAP_LIMIT 20000 /* KiB */

struct regex {
	pcre2_code *code;
	pcre2_match_data *data;
};

static pcre2_match_context *regex_limits;

/* Splits /pattern/flags off the front; the delimiter may be any punctuation. */
static bool
regex_cut(struct span *text, struct buf *pattern, struct span *flags)
{
	char delim;
	size_t i = 1, end;

	if (text->n < 2 || ascii_isalnum(text->p[0]))
		return false;
	delim = text->p[0];
	while (i < text->n && text->p[i] != delim) {
		if (text->p[i] == '\\' && i + 1 < text->n) {
			/* "\/" is the delimiter itself. */
			if (text->p[i + 1] != delim)
				buf_addc(pattern, '\\');
			i++;
		}
		buf_addc(pattern, text->p[i++]);
	}
	if (i >= text->n)
		return false;
	end = ++i;
	while (end < text->n && ascii_isalpha(text->p[end]))
		end++;
	*flags = span_sub(*text, i, end);
	*text = span_from(*text, end);
	return true;
}

/* The bracket expression at the front of s: POSIX 9.3.5 has no escapes in it.
 * Returns its length. */
static size_t
regex_bracket(struct buf *out, struct span s)
{
	size_t i = 1;

	buf_addc(out, '[');
	if (i < s.n && s.p[i] == '^')
		buf_addc(out, s.p[i++]);
	if (i < s.n && s.p[i] == ']') {
		buf_adds(out, "\\]");
		i++;
	}
	while (i < s.n && s.p[i] != ']') {
		if (s.p[i] == '[' && i + 1 < s.n && s.p[i + 1] == ':') {
			ssize_t end = span_find(span_from(s, i), SPAN(":]"));
			size_t n = end < 0 ? 1 : (size_t)end + 2;

			buf_addspan(out, span_sub(s, i, i + n));
			i += n;
			continue;
		}
		if (s.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, s.p[i++]);
	}
	return i;
}

/* One character of a basic expression (POSIX 9.3): there (){}+?| are letters,
 * and, for the C library, what they are elsewhere behind a backslash; * is one
 * where nothing stands before it, ^ and $ where they are not at an end.
 * Returns its length. */
static size_t
regex_basic(struct buf *out, struct span s, size_t i)
{
	char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : '\0';
	struct span before = span_sub(s, 0, i), after = span_from(s, i + 1);
	bool first = i == 0 || span_ends(before, SPAN("\\(")) ||
		     span_ends(before, SPAN("\\|"));
	bool last = after.n == 0 || span_starts(after, SPAN("\\)")) ||
		    span_starts(after, SPAN("\\|"));

	if (c == '\\' && next != '\0' && strchr("(){}+?|", next) != NULL) {
		buf_addc(out, next);
		return 2;
	}
	if (strchr("(){}+?|", c) != NULL || (c == '^' && !first) ||
	    (c == '$' && !last) ||
	    (c == '*' && (first || (i == 1 && s.p[0] == '^')))) {
		buf_addc(out, '\\');
		buf_addc(out, c);
		return 1;
	}
	return 0;
}

/* regexp_table(5) as PCRE has it: brackets, and the C library's \< \>. */
static void
regex_translate(struct buf *pattern, bool basic)
{
	struct buf out = BUF_INIT;
	struct span s = buf_span(pattern);
	size_t i = 0;

	while (i < s.n) {
		char next = i + 1 < s.n ? s.p[i + 1] : '\0';
		size_t n = basic ? regex_basic(&out, s, i) : 0;

		if (n > 0) {
			i += n;
		} else if (s.p[i] == '[') {
			i += regex_bracket(&out, span_from(s, i));
		} else if (s.p[i] == '\\' && (next == '<' || next == '>')) {
			buf_adds(&out,
				 next == '<' ? "\\b(?=\\w)" : "\\b(?<=\\w)");
			i += 2;
		} else if (s.p[i] == '\\' && next != '\0') {
			buf_addspan(&out, span_sub(s, i, i + 2));
			i += 2;
		} else {
			buf_addc(&out, s.p[i++]);
		}
	}
	buf_free(pattern);
	*pattern = out;
}

/* regexp_table(5): i, m (lines, which a dot does not leave), x (basic). */
static bool
regex_posix_options(struct span flags, uint32_t *o, bool *basic)
{
	*o = PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY;
	*basic = false;
	for (size_t i = 0; i < flags.n; i++) {
		if (flags.p[i] == 'i')
			*o ^= PCRE2_CASELESS;
		else if (flags.p[i] == 'm')
			*o ^= PCRE2_MULTILINE | PCRE2_DOTALL;
		else if (flags.p[i] == 'x')
			*basic = !*basic;
		else
			return false;
	}
	return true;
}

static bool
regex_options(struct span flags, uint32_t *o)
{
	*o = PCRE2_CASELESS | PCRE2_DOTALL;
	for (size_t i = 0; i < flags.n; i++) {
		switch (flags.p[i]) {
		case 'i':
			*o ^= PCRE2_CASELESS;
			break;
		case 'm':
			*o ^= PCRE2_MULTILINE;
			break;
		case 's':
			*o ^= PCRE2_DOTALL;
			break;
		case 'x':
			*o ^= PCRE2_EXTENDED;
			break;
		case 'A':
			*o ^= PCRE2_ANCHORED;
			break;
		case 'E':
			*o ^= PCRE2_DOLLAR_ENDONLY;
			break;
		case 'U':
			*o ^= PCRE2_UNGREEDY;
			break;
		case 'X':
			break;
		default:
			return false;
		}
	}
	return true;
}

static void *
regex_compile(struct span *text, bool posix, struct err *e)
{
	struct buf pattern = BUF_INIT;
	struct regex *r = NULL;
	struct span flags;
	uint32_t options;
	PCRE2_SIZE at;
	PCRE2_UCHAR words[200];
	pcre2_code *code;
	bool basic = false;
	int error;

	if (!regex_cut(text, &pattern, &flags)) {
		err_set(e, ST_CONFIG, "expected /PATTERN/FLAGS RESULT");
	} else if (posix ? !regex_posix_options(flags, &options, &basic)
			 : !regex_options(flags, &options)) {
		err_set(e, ST_CONFIG, "\"%.*s\": unknown flag",
			SPAN_ARG(flags));
	} else {
		if (posix)
			regex_translate(&pattern, basic);
		code = pcre2_compile((PCRE2_SPTR)buf_str(&pattern), pattern.n,
				     options, &error, &at, NULL);
		if (code == NULL) {
			pcre2_get_error_message(error, words, sizeof(words));
			err_set(e, ST_CONFIG, "/%s/: %s at column %zu",
				buf_str(&pattern), (char *)words, at + 1);
		} else {
			(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
			r = mem_alloc(1, sizeof(*r));
			r->code = code;
			r->data =
			    pcre2_match_data_create_from_pattern(code, NULL);
		}
	}
	buf_free(&pattern);
	return r;
}

static void *
pcre_compile(struct span *text, struct err *e)
{
	return regex_compile(text, false, e);
}

static void *
regexp_compile(struct span *text, struct err *e)
{
	return regex_compile(text, true, e);
}

static void
regex_release(void *compiled)
{
	struct regex *r = compiled;

	pcre2_match_data_free(r->data);
	pcre2_code_free(r->code);
	free(r);
}

struct regex_groups {
	struct span subject;
	PCRE2_SIZE *ovector;
	uint32_t n;
};

static struct span
regex_group(void *ctx, unsigned n)
{
	struct regex_groups *g = ctx;

	if (n >= g->n || g->ovector[2 * n] == PCRE2_UNSET)
		return span_make(NULL, 0);
	return span_sub(g->subject, g->ovector[2 * n], g->ovector[2 * n + 1]);
}

static enum table_result
regex_match(void *compiled, struct span key, const char *result,
	    struct buf *value, struct err *e)
{
	struct regex *r = compiled;
	struct regex_groups g = { key, NULL, 0 };
	int n;

	if (regex_limits == NULL) {
		regex_limits = pcre2_match_context_create(NULL);
		pcre2_set_match_limit(regex_limits, MATCH_LIMIT);
		pcre2_set_depth_limit(regex_limits, DEPTH_LIMIT);
		pcre2_set_heap_limit(regex_limits, HEAP_LIMIT);
	}
	n = pcre2_match(r->code, (PCRE2_SPTR)(key.p ? key.p : ""), key.n, 0, 0,
			r->data, regex_limits);
	if (n == PCRE2_ERROR_NOMATCH)
		return TABLE_NONE;
	if (n < 0) {
		err_set(e, ST_TEMPFAIL,
			"a pattern takes too long on this text (limit %d)",
			MATCH_LIMIT);
		return TABLE_TRY_AGAIN;
	}
	if (result != NULL) {
		g.ovector = pcre2_get_ovector_pointer(r->data);
		g.n = (uint32_t)n;
		buf_clear(value);
		pattern_expand(value, result, regex_group, &g);
	}
	return TABLE_FOUND;
}

static const struct pattern_driver pcre_driver = { pcre_compile, regex_release,
						   regex_match, NULL };
static const struct pattern_driver regexp_driver = { regexp_compile,
						     regex_release, regex_match,
						     NULL };

static void *
pcre_open(const char *type, const char *name, struct err *e)
{
	return pattern_open(strcmp(type, "regexp") == 0 ? &regexp_driver
							: &pcre_driver,
			    name, e);
}

static enum table_result
pcre_lookup(void *state, struct span key, struct buf *value, struct err *e)
{
	return pattern_lookup(state, key, value, e);
}

static void
pcre_close(void *state)
{
	pattern_close(state);
}

static bool
pcre_changed(void *state)
{
	return pattern_changed(state);
}

static const char *const pcre_names[] = { "pcre", "regexp", NULL };
extern const struct table_driver table_pcre;
const struct table_driver table_pcre = {
	.names = pcre_names,
	.flags = TABLE_PATTERN,
	.open = pcre_open,
	.lookup = pcre_lookup,
	.close = pcre_close,
	.values = pattern_values,
	.changed = pcre_changed,
};
