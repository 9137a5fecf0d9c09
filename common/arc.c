/*
 * arc.c - ARC sets of a message; see arc.h.
 * Layer: mail.  RFC 8617 4.2, 5.1, 5.2.
 */
#include "arc.h"
#include "num.h"

const char *
arc_cv_word(enum arc_cv cv)
{
	static const char *const words[] = { "none", "pass", "fail", "" };

	return words[cv];
}

/* The tag's value in the first piece of an AAR, or in a tag list. */
static struct span
arc_tag(const struct msg_field *f, const char *name)
{
	struct dkim_tags tags;
	const char *why;

	if (!dkim_tags_parse(&tags, f->value, &why))
		return span_make(NULL, 0);
	return dkim_tag(&tags, name);
}

int
arc_instance(const struct msg_field *f)
{
	struct span rest = f->value, first, v;
	int i = 0;

	if (span_iis(f->name, "ARC-Authentication-Results")) {
		/* RFC 8617 4.1.1: i= stands first; what follows is no tag
		 * list */
		if (!span_split(&rest, ';', &first) || rest.p == NULL)
			return 0;
		first = span_trim(first);
		if (!span_starts(first, SPAN("i")))
			return 0;
		v = span_ltrim(span_from(first, 1));
		if (!span_starts(v, SPAN("=")))
			return 0;
		v = span_trim(span_from(v, 1));
	} else {
		v = arc_tag(f, "i");
	}
	return v.p != NULL && num_int(v, 1, ARC_MAX, &i) ? i : 0;
}

enum arc_cv
arc_seal_cv(const struct msg_field *as)
{
	struct span v = arc_tag(as, "cv");

	for (int i = 0; i < ARC_CV_BAD; i++)
		if (v.p != NULL && span_iis(v, arc_cv_word((enum arc_cv)i)))
			return (enum arc_cv)i;
	return ARC_CV_BAD;
}

static void
arc_bad(struct arc *a, const char *why)
{
	if (!a->broken)
		a->why = why;
	a->broken = true;
}

static void
arc_put(struct arc *a, const struct msg_field **at, const struct msg_field *f)
{
	if (*at != NULL)
		arc_bad(a, "an instance occurs twice");
	*at = f;
}

/* RFC 8617 5.2, step 3: A, each set is whole (a gap is an empty one, B); C, cv=
 * is none in the first and pass in the others. */
static void
arc_structure(struct arc *a)
{
	for (int i = 0; i < a->n; i++) {
		const struct arc_set *s = &a->v[i];

		if (s->aar == NULL || s->ams == NULL || s->as == NULL)
			arc_bad(a, "a set is not complete");
		else if (arc_seal_cv(s->as) !=
			 (i == 0 ? ARC_CV_NONE : ARC_CV_PASS))
			arc_bad(a, i == 0 ? "cv of the first set is not none"
					  : "cv of a set is not pass");
	}
}

void
arc_find(struct arc *a, const struct msg *m)
{
	*a = (struct arc){ .newest = ARC_CV_NONE };
	for (size_t k = 0; k < m->n; k++) {
		const struct msg_field *f = &m->v[k];
		bool aar = span_iis(f->name, "ARC-Authentication-Results");
		bool ams = span_iis(f->name, "ARC-Message-Signature");
		bool as = span_iis(f->name, "ARC-Seal");
		int i;

		if (!aar && !ams && !as)
			continue;
		i = arc_instance(f);
		/* RFC 8617 4.2.1: 1 to 50 */
		if (i == 0) {
			arc_bad(a, "an instance is not 1 to 50");
			/* there is something: not none */
			a->n = a->n > 0 ? a->n : 1;
			continue;
		}
		a->n = i > a->n ? i : a->n;
		arc_put(a,
			aar   ? &a->v[i - 1].aar
			: ams ? &a->v[i - 1].ams
			      : &a->v[i - 1].as,
			f);
	}
	if (a->n == 0)
		return;
	if (a->v[a->n - 1].as != NULL)
		a->newest = arc_seal_cv(a->v[a->n - 1].as);
	/* RFC 8617 5.2: step 2 comes before the structure */
	if (a->newest == ARC_CV_FAIL)
		arc_bad(a, "the newest seal says cv=fail");
	arc_structure(a);
}

/* RFC 8617 5.1.1: AAR, AMS and seal, by rising instance; a seal that says
 * "fail" covers its own set alone (5.1.2). */
void
arc_seal_data(struct buf *out, const struct arc *a, int i, bool alone)
{
	struct msg none = { 0 };

	for (int k = alone ? i : 1; k <= i; k++) {
		const struct arc_set *s = &a->v[k - 1];

		dkim_header(out, DKIM_RELAXED, s->aar);
		dkim_header(out, DKIM_RELAXED, s->ams);
		if (k < i)
			dkim_header(out, DKIM_RELAXED, s->as);
		else
			/* without its b=, and no line end behind */
			dkim_data(out, &none, SPAN(""), DKIM_RELAXED, s->as);
	}
}
