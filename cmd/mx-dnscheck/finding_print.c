/*
 * finding_print.c - findings as a page for people, and as JSON.
 */
#include "escape.h"
#include "finding.h"
#include "json.h"
#include "status.h"

#define WIDTH 78
#define INDENT 8

static const struct {
	const char *word, *colour;
} levels[] = {
	[FIND_OK] = { "ok", "32" },      [FIND_NOTE] = { "note", "36" },
	[FIND_WARN] = { "warn", "33" },  [FIND_FAIL] = { "FAIL", "1;31" },
	[FIND_UNKNOWN] = { "??", "35" },
};

static void
paint(struct buf *out, bool colour, const char *how, const char *text)
{
	if (colour)
		buf_addf(out, "\033[%sm%s\033[0m", how, text);
	else
		buf_adds(out, text);
}

/* Characters, not bytes. */
static size_t
columns(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* Words, broken at WIDTH; the first line begins at column `at`. */
static void
wrap(struct buf *out, size_t at, size_t indent, struct span text)
{
	struct span word;
	bool first = true;

	while (span_word(&text, " ", &word)) {
		size_t n = columns(word);

		if (!first && at + 1 + n > WIDTH) {
			buf_addf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			buf_addc(out, ' ');
			at++;
		}
		buf_addspan(out, word);
		at += n;
		first = false;
	}
	buf_addc(out, '\n');
}

static void
detail(struct buf *out, bool colour, const char *label, const char *text)
{
	if (text == NULL)
		return;
	buf_addf(out, "%*s", INDENT, "");
	paint(out, colour, "2", label);
	buf_addf(out, "%*s", 10 - (int)strlen(label), "");
	wrap(out, INDENT + 10, INDENT + 10, span_of(text));
}

void
find_quote_txt(struct buf *out, struct span value)
{
	do {
		struct span part = span_sub(value, 0, 255);

		buf_addc(out, '"');
		for (size_t i = 0; i < part.n; i++) {
			if (part.p[i] == '"' || part.p[i] == '\\')
				buf_addc(out, '\\');
			buf_addc(out, part.p[i]);
		}
		buf_addc(out, '"');
		value = span_from(value, part.n);
		if (value.n > 0)
			buf_addc(out, ' ');
	} while (value.n > 0);
}

static void
split_record(const char *record, struct span part[3])
{
	struct span rest = span_of(record);

	for (int i = 0; i < 3; i++)
		if (!span_split(&rest, '\t', &part[i]))
			part[i] = SPAN("");
}

/* Zone-file form; the caller frees. */
static void
zone_form(struct buf *out, const struct span part[3])
{
	buf_addf(out, "%.*s. 3600 IN %.*s ", SPAN_ARG(part[0]),
		 SPAN_ARG(part[1]));
	if (span_is(part[1], "TXT"))
		find_quote_txt(out, part[2]);
	else
		buf_addspan(out, part[2]);
}

static void
print_record(struct buf *out, bool colour, const char *record)
{
	struct span part[3];
	struct buf zone = BUF_INIT;

	split_record(record, part);
	zone_form(&zone, part);
	/* never wrapped: it is there to be copied */
	buf_addf(out, "%*s", INDENT, "");
	paint(out, colour, "2", "publish");
	buf_adds(out, "   ");
	paint(out, colour, "1", buf_str(&zone));
	buf_addc(out, '\n');
	if (span_is(part[1], "TXT")) {
		buf_addf(out, "%*s", INDENT, "");
		paint(out, colour, "2", "or value");
		buf_addf(out, "  %.*s\n", SPAN_ARG(part[2]));
	}
	buf_free(&zone);
}

static void
print_one(struct buf *out, bool colour, const struct finding *x)
{
	const char *word = levels[x->level].word;

	buf_adds(out, "  ");
	paint(out, colour, levels[x->level].colour, word);
	buf_addf(out, "%*s", INDENT - 2 - (int)strlen(word), "");
	wrap(out, INDENT, INDENT, span_of(x->text));
	detail(out, colour, "expected", x->expected);
	detail(out, colour, "found", x->found);
	if (x->level != FIND_OK)
		detail(out, colour, "why", x->why);
	for (size_t i = 0; i < x->records.n; i++)
		print_record(out, colour, x->records.v[i]);
}

/* Is this the first of its area? */
static bool
new_area(const struct findings *f, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(f->v[k].area, f->v[i].area) == 0)
			return false;
	return true;
}

static void
print_score(const struct findings *f, struct buf *out, bool colour)
{
	int score = find_score(f), count[FIND_UNKNOWN + 1] = { 0 };
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < f->n; i++)
		count[f->v[i].level]++;
	buf_addf(&text, "%d.%d", score / 10, score % 10);
	buf_adds(out, "\nScore ");
	paint(out, colour,
	      score >= 90   ? "1;32"
	      : score >= 60 ? "1;33"
			    : "1;31",
	      buf_str(&text));
	buf_addf(out, " of 10: %d failed, %d to improve, %d ok",
		 count[FIND_FAIL], count[FIND_WARN], count[FIND_OK]);
	if (count[FIND_UNKNOWN] > 0)
		buf_addf(out, ", %d could not be asked", count[FIND_UNKNOWN]);
	buf_adds(out, ".\n");
	buf_free(&text);
}

void
find_print(const struct findings *f, const char *title, struct buf *out,
	   bool colour)
{
	paint(out, colour, "1", title);
	buf_addc(out, '\n');
	for (size_t i = 0; i < f->n; i++) {
		if (!new_area(f, i))
			continue;
		buf_addc(out, '\n');
		paint(out, colour, "1;4", f->v[i].area);
		buf_addc(out, '\n');
		for (size_t k = i; k < f->n; k++)
			if (strcmp(f->v[k].area, f->v[i].area) == 0)
				print_one(out, colour, &f->v[k]);
	}
	print_score(f, out, colour);
}

static void
json_opt(struct json *j, const char *key, const char *v)
{
	if (v != NULL)
		json_str(j, key, span_of(v));
}

static void
json_records(struct json *j, const struct finding *x)
{
	json_array(j, "records");
	for (size_t i = 0; i < x->records.n; i++) {
		struct span part[3];
		struct buf zone = BUF_INIT;

		split_record(x->records.v[i], part);
		zone_form(&zone, part);
		json_object(j, NULL);
		json_str(j, "name", part[0]);
		json_str(j, "type", part[1]);
		json_str(j, "value", part[2]);
		json_str(j, "zone", buf_span(&zone));
		json_end(j, '}');
		buf_free(&zone);
	}
	json_end(j, ']');
}

void
find_json(const struct findings *f, const char *title, struct buf *out)
{
	static const char *const words[] = { "ok", "note", "warn", "fail",
					     "unknown" };
	struct json j;
	int score = find_score(f), st = find_status(f);
	struct buf text = BUF_INIT;

	json_init(&j, out);
	json_object(&j, NULL);
	json_str(&j, "result",
		 span_of(st == ST_OK   ? "pass"
			 : st == ST_NO ? "fail"
				       : "temperror"));
	json_str(&j, "subject", span_of(title));
	buf_addf(&text, "%d.%d", score / 10, score % 10);
	json_str(&j, "score", buf_span(&text));
	buf_free(&text);
	json_array(&j, "findings");
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *x = &f->v[i];

		json_object(&j, NULL);
		json_str(&j, "level", span_of(words[x->level]));
		json_str(&j, "area", span_of(x->area));
		json_str(&j, "id", span_of(x->id));
		json_int(&j, "cost", x->cost);
		json_str(&j, "text", span_of(x->text));
		json_opt(&j, "expected", x->expected);
		json_opt(&j, "found", x->found);
		json_opt(&j, "why", x->why);
		if (x->records.n > 0)
			json_records(&j, x);
		json_end(&j, '}');
	}
	json_end(&j, ']');
	json_end(&j, '}');
	buf_addc(out, '\n');
}
