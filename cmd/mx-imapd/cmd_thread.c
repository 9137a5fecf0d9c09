/*
 * cmd_thread.c - THREAD and UID THREAD.  RFC 5256 3.
 */
#include "cmd.h"
#include "keys.h"
#include "mailbox_cache.h"
#include "mem.h"
#include "search.h"
#include "thread.h"

#include <stdlib.h>

#define ANSWER_MS 60000

static const struct algorithm {
	const char *word;
	bool ids; /* message ids are looked at */
	void (*run)(struct thread *t);
} algorithms[] = {
	{ "ORDEREDSUBJECT", false, thread_ordered_subject },
	{ "REFERENCES", true, thread_references },
	{ "REFS", true, thread_refs },
};

static void
add(struct thread *t, const struct algorithm *a, const struct keys *k,
    uint32_t index, int64_t internal)
{
	struct thread_node x = { .message = index,
				 .date =
				     k->date != INT64_MIN ? k->date : internal,
				 .reply = k->reply,
				 .subject = t->texts.n,
				 .subject_n =
				     (uint32_t)k->text[KEY_SUBJECT].n };

	buf_addspan(&t->texts, k->text[KEY_SUBJECT]);
	if (a->ids)
		thread_add(t, &x, k->text[KEY_ID], k->text[KEY_PARENTS]);
	else
		thread_add_plain(t, &x);
}

static int
fill(struct session *s, struct thread *t, const struct algorithm *a,
     const struct found *f, struct err *e)
{
	struct keys k = { .made = BUF_INIT };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < f->n; i++) {
		struct message *m = &s->mb->v[f->v[i]];

		r = keys_get(&k, s->mb, m, e);
		/* RFC 5256 2.2: the file's time where there is no other */
		if (r == 0 && k.date == INT64_MIN &&
		    mailbox_stat_message(s->mb, m, e) != 0)
			r = m->gone ? 1 : -1;
		if (r == 0)
			add(t, a, &k, f->v[i], m->mtime);
		put_progress(s, i, f->n);
	}
	buf_free(&k.made);
	mailbox_cache_flush(s->mb);
	if (t->texts.p == NULL)
		buf_addc(&t->texts, '\0');
	return r < 0 ? -1 : 0;
}

static void
put_number(struct session *s, uint32_t index)
{
	stream_num(s->st, s->uid ? s->mb->v[index].uid : index + 1);
}

/* A chain stands in one pair of parentheses, brothers in one each. */
static void
put_threads(struct session *s, const struct thread *t)
{
	uint32_t at = t->v[0].child;
	const struct thread_node *x;

	while (at != THREAD_NONE && at != 0) {
		uint32_t up = t->v[at].parent;
		bool alone = up != 0 && t->v[up].child == t->v[up].last;

		x = &t->v[at];
		if (!alone)
			stream_puts(s->st, "(");
		if (x->message != THREAD_NONE) {
			put_number(s, x->message);
			if (x->child != THREAD_NONE)
				stream_puts(s->st, " ");
		}
		if (x->child != THREAD_NONE) {
			at = x->child;
			continue;
		}
		for (;;) {
			up = t->v[at].parent;
			alone = up != 0 && t->v[up].child == t->v[up].last;
			if (!alone)
				stream_puts(s->st, ")");
			if (t->v[at].next != THREAD_NONE) {
				at = t->v[at].next;
				break;
			}
			at = up;
			if (at == 0)
				break;
		}
	}
}

static struct result
run(struct session *s, const struct algorithm *a, struct search *se)
{
	struct found found = { .v = NULL };
	struct thread t;
	struct err e = ERR_INIT;
	struct result r = result_ok("Thread completed");

	thread_init(&t);
	if (search_run(se, s, &found, &e) != 0 ||
	    (s->lowest == 0 && fill(s, &t, a, &found, &e) != 0)) {
		r = result_err(s, &e);
	} else if (s->lowest != 0) { /* RFC 9738 3.3 */
		r = limit_refusal(s);
	} else {
		a->run(&t);
		s->st->out_deadline = clock_deadline(ANSWER_MS);
		stream_puts(s->st, "* THREAD");
		if (found.n > 0)
			stream_puts(s->st, " ");
		put_threads(s, &t);
		stream_puts(s->st, "\r\n");
	}
	thread_done(&t);
	found_free(&found);
	return r;
}

struct result
cmd_thread(struct session *s)
{
	struct search se = { .v = NULL };
	struct result r = { RESULT_OK, NULL, NULL };
	size_t i = ARRAY_LEN(algorithms);
	bool known = true, ok = parse_sp(&s->p);

	if (ok) {
		for (i = 0; i < ARRAY_LEN(algorithms); i++)
			if (parse_word(&s->p, algorithms[i].word))
				break;
		ok = i < ARRAY_LEN(algorithms) &&
		     search_charset(&se, s, &known) && parse_sp(&s->p);
	}
	if (!ok)
		r = result_bad(s);
	else if (!known)
		r = result_no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset");
	else
		r = search_parse(&se, s) ? run(s, &algorithms[i], &se)
					 : result_bad(s);
	search_free(&se);
	return r;
}
