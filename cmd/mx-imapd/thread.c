/*
 * thread.c - see thread.h.  The steps are those of RFC 5256 3, REFERENCES.
 */
#include "thread.h"
#include "mem.h"
#include "sort.h"
#include "strs.h"

#include <stdlib.h>

#define NONE THREAD_NONE

static const struct thread_node empty_node = { .parent = NONE,
					       .child = NONE,
					       .last = NONE,
					       .next = NONE,
					       .message = NONE,
					       .latest = INT64_MIN };

void
thread_init(struct thread *t)
{
	*t = (struct thread){ .v = NULL };
	t->v = mem_grow(NULL, &t->cap, 1, sizeof(*t->v));
	t->v[0] = empty_node;
	t->n = 1;
	t->ids = map_new();
}

void
thread_done(struct thread *t)
{
	free(t->v);
	map_free(t->ids, NULL);
	buf_free(&t->texts);
}

struct span
thread_subject(const struct thread *t, uint32_t node)
{
	return span_make(t->texts.p + t->v[node].subject, t->v[node].subject_n);
}

static uint32_t
new_node(struct thread *t)
{
	t->v = mem_grow(t->v, &t->cap, t->n + 1, sizeof(*t->v));
	t->v[t->n] = empty_node;
	return (uint32_t)t->n++;
}

static void
set_facts(struct thread *t, uint32_t at, const struct thread_node *facts)
{
	struct thread_node *x = &t->v[at];

	x->message = facts->message;
	x->date = facts->date;
	x->subject = facts->subject;
	x->subject_n = facts->subject_n;
	x->reply = facts->reply;
}

static uint32_t
node_of(struct thread *t, struct span id)
{
	void *p = map_get(t->ids, id);
	uint32_t at;

	if (p != NULL)
		return (uint32_t)(uintptr_t)p;
	at = new_node(t);
	(void)map_put(t->ids, id, (void *)(uintptr_t)at);
	return at;
}

/* Would a link from child to parent close a ring?  The way up is walked at
 * most `limit` steps: an honest thread is not deeper, a hostile one is cut. */
static bool
is_above(const struct thread *t, uint32_t node, uint32_t below)
{
	for (int limit = 2000; below != NONE; below = t->v[below].parent)
		if (below == node || limit-- == 0)
			return true;
	return false;
}

static void
link_to(struct thread *t, uint32_t child, uint32_t parent)
{
	if (!is_above(t, child, parent))
		t->v[child].parent = parent;
}

/* Step 1. */
void
thread_add(struct thread *t, const struct thread_node *facts, struct span id,
	   struct span references)
{
	struct span ref;
	uint32_t me, last = NONE;
	int refs = 0;

	if (id.n > 0 && (me = node_of(t, id)) != 0 && t->v[me].message == NONE)
		;
	else /* none, or one that is taken: a message alone */
		me = new_node(t);
	set_facts(t, me, facts);
	while (refs++ < 1000 && next_msgid(&references, &ref)) {
		uint32_t at = node_of(t, ref);

		if (last != NONE && t->v[at].parent == NONE && at != last)
			link_to(t, at, last);
		last = at;
	}
	/* 1B: what the message itself says replaces a guess */
	t->v[me].parent = NONE;
	if (last != NONE && last != me)
		link_to(t, me, last);
}

void
thread_add_plain(struct thread *t, const struct thread_node *facts)
{
	set_facts(t, new_node(t), facts);
}

static void
push(struct thread *t, uint32_t parent, uint32_t child)
{
	struct thread_node *up = &t->v[parent];

	t->v[child].parent = parent;
	t->v[child].next = NONE;
	if (up->child == NONE)
		up->child = child;
	else
		t->v[up->last].next = child;
	up->last = child;
}

/* Children before parents; *n_r of them, the root last. */
static uint32_t *
post_order(const struct thread *t, size_t *n_r)
{
	uint32_t *v = mem_alloc(t->n, sizeof(*v)), at = 0;
	size_t n = 0;

	for (;;) {
		while (t->v[at].child != NONE)
			at = t->v[at].child;
		for (;;) {
			v[n++] = at;
			if (at == 0) {
				*n_r = n;
				return v;
			}
			if (t->v[at].next != NONE) {
				at = t->v[at].next;
				break;
			}
			at = t->v[at].parent;
		}
	}
}

/* Step 2: lists of children from the links, in the order of arrival. */
static void
gather(struct thread *t)
{
	for (uint32_t i = 1; i < t->n; i++)
		push(t, t->v[i].parent == NONE ? 0 : t->v[i].parent, i);
}

/* Step 3 at one level. */
static void
prune_children(struct thread *t, uint32_t up)
{
	uint32_t at = t->v[up].child, next;

	t->v[up].child = t->v[up].last = NONE;
	for (; at != NONE; at = next) {
		struct thread_node *x = &t->v[at];

		next = x->next;
		if (x->message != NONE ||
		    (up == 0 && x->child != NONE && x->child != x->last)) {
			push(t, up, at);
		} else if (x->child != NONE) {
			uint32_t kid = x->child, after;

			for (; kid != NONE; kid = after) {
				after = t->v[kid].next;
				push(t, up, kid);
			}
		}
	}
}

static void
prune(struct thread *t)
{
	size_t n;
	uint32_t *order = post_order(t, &n);

	for (size_t i = 0; i < n; i++)
		prune_children(t, order[i]);
	free(order);
}

struct place {
	uint32_t node, message;
	int64_t date;
};

static int
by_date(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->date != y->date)
		return x->date < y->date ? -1 : 1;
	return x->message < y->message ? -1 : x->message > y->message;
}

/* The message that stands for a dummy: its first. */
static uint32_t
shown(const struct thread *t, uint32_t at)
{
	while (t->v[at].message == NONE && t->v[at].child != NONE)
		at = t->v[at].child;
	return at;
}

static void
sort_children(struct thread *t, uint32_t up, struct place *v,
	      int64_t (*date)(const struct thread *t, uint32_t at))
{
	size_t n = 0;

	for (uint32_t c = t->v[up].child; c != NONE; c = t->v[c].next)
		v[n++] =
		    (struct place){ c, t->v[shown(t, c)].message, date(t, c) };
	if (n < 2)
		return;
	qsort(v, n, sizeof(*v), by_date);
	t->v[up].child = t->v[up].last = NONE;
	for (size_t i = 0; i < n; i++)
		push(t, up, v[i].node);
}

static int64_t
sent(const struct thread *t, uint32_t at)
{
	return t->v[shown(t, at)].date;
}

/* Steps 4 and 6. */
static void
sort_all(struct thread *t)
{
	size_t n;
	uint32_t *order = post_order(t, &n);
	struct place *v = mem_alloc(n, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		sort_children(t, order[i], v, sent);
	free(v);
	free(order);
}

static bool
is_dummy(const struct thread *t, uint32_t at)
{
	return t->v[at].message == NONE;
}

static bool
is_reply(const struct thread *t, uint32_t at)
{
	return t->v[shown(t, at)].reply;
}

/* 5B: which place at the root owns each subject, plus one. */
static struct map *
subject_owners(const struct thread *t, const uint32_t *roots, size_t n)
{
	struct map *m = map_new();

	for (size_t i = 0; i < n; i++) {
		struct span s = thread_subject(t, shown(t, roots[i]));
		uintptr_t old = s.n > 0 ? (uintptr_t)map_get(m, s) : 0;
		uint32_t was = old > 0 ? roots[old - 1] : NONE;

		if (s.n == 0)
			continue;
		/* a dummy stays, whatever its first child is */
		if (old == 0 ||
		    (!is_dummy(t, was) &&
		     (is_dummy(t, roots[i]) ||
		      (is_reply(t, was) && !is_reply(t, roots[i])))))
			(void)map_put(m, s, (void *)(uintptr_t)(i + 1));
	}
	return m;
}

/* 5C: one at the root goes to the owner of its subject; what stands in the
 * owner's place then. */
static uint32_t
merge(struct thread *t, uint32_t owner, uint32_t c)
{
	uint32_t both, next;

	if (is_dummy(t, owner) && is_dummy(t, c)) {
		for (uint32_t kid = t->v[c].child; kid != NONE; kid = next) {
			next = t->v[kid].next;
			push(t, owner, kid);
		}
		return owner;
	}
	if (is_dummy(t, owner) || (is_reply(t, c) && !is_reply(t, owner))) {
		push(t, owner, c);
		return owner;
	}
	both = new_node(t);
	push(t, both, owner);
	push(t, both, c);
	return both;
}

static void
merge_subjects(struct thread *t)
{
	uint32_t *roots = mem_alloc(t->n, sizeof(*roots));
	struct map *owners;
	size_t n = 0;

	for (uint32_t c = t->v[0].child; c != NONE; c = t->v[c].next)
		roots[n++] = c;
	owners = subject_owners(t, roots, n);
	for (size_t i = 0; i < n; i++) {
		struct span s = thread_subject(t, shown(t, roots[i]));
		uintptr_t at = s.n > 0 ? (uintptr_t)map_get(owners, s) : 0;

		if (at == 0 || at - 1 == i)
			continue;
		roots[at - 1] = merge(t, roots[at - 1], roots[i]);
		roots[i] = NONE;
	}
	t->v[0].child = t->v[0].last = NONE;
	for (size_t i = 0; i < n; i++)
		if (roots[i] != NONE)
			push(t, 0, roots[i]);
	map_free(owners, NULL);
	free(roots);
}

void
thread_references(struct thread *t)
{
	gather(t);
	prune(t);
	sort_all(t);
	merge_subjects(t);
	sort_all(t);
}

/* The date of the last message at or below the node. */
static int64_t
latest(const struct thread *t, uint32_t at)
{
	return t->v[at].latest;
}

/* draft-ietf-morg-inthread 3: no merging by subject; threads in the order of
 * their last message. */
void
thread_refs(struct thread *t)
{
	size_t n;
	uint32_t *order;
	struct place *v;

	gather(t);
	prune(t);
	sort_all(t);
	order = post_order(t, &n);
	for (size_t i = 0; i + 1 < n; i++) {
		struct thread_node *x = &t->v[order[i]];
		struct thread_node *up = &t->v[x->parent];

		if (x->message != NONE && x->date > x->latest)
			x->latest = x->date;
		if (x->latest > up->latest)
			up->latest = x->latest;
	}
	v = mem_alloc(n, sizeof(*v));
	sort_children(t, 0, v, latest);
	free(v);
	free(order);
}

static int
subject_order(const void *a, const void *b, void *ctx)
{
	const uint32_t *x = a, *y = b;
	const struct thread *t = ctx;
	int r = span_cmp(thread_subject(t, *x), thread_subject(t, *y));

	if (r != 0)
		return r;
	if (t->v[*x].date != t->v[*y].date)
		return t->v[*x].date < t->v[*y].date ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

void
thread_ordered_subject(struct thread *t)
{
	size_t n = t->n - 1;
	uint32_t *v = mem_alloc(n + 1, sizeof(*v)), first = 0;
	struct place *places = mem_alloc(n + 1, sizeof(*places));

	for (size_t i = 0; i < n; i++)
		v[i] = (uint32_t)i + 1;
	qsort_r(v, n, sizeof(*v), subject_order, t);
	for (size_t i = 0; i < n; i++) {
		bool more = i > 0 && span_eq(thread_subject(t, v[i]),
					     thread_subject(t, v[i - 1]));

		if (!more)
			first = v[i];
		push(t, more ? first : 0, v[i]);
	}
	sort_children(t, 0, places, sent);
	free(places);
	free(v);
}
