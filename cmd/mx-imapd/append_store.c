/*
 * append_store.c - see append.h: the message goes from the wire straight into
 * the folder's tmp/; the one flush of DESIGN law 3 comes before the tagged OK.
 */
#include "append.h"
#include "cmd.h"
#include "maildirsize.h"
#include "mem.h"
#include "status.h"
#include "strs.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void
fail(struct append *a)
{
	a->failed = true;
}

void
append_refuse(struct append *a, struct result r)
{
	if (a->refusal.text == NULL)
		a->refusal = r;
}

struct append_one *
append_next(struct append *a)
{
	struct append_one *x = mem_alloc(1, sizeof(*x));

	x->dep.fd = -1;
	if (a->refusal.text == NULL && !a->failed &&
	    deposit_open(&x->dep, a->to.fd, DEPOSIT_AUTO, &a->e) != 0)
		fail(a);
	a->v = mem_grow(a->v, &a->cap, a->n + 1, sizeof(struct append_one *));
	a->v[a->n++] = x;
	return x;
}

static bool
useless(const struct append *a)
{
	return a->failed || a->refusal.text != NULL;
}

static int
write_lf(struct append_one *x, struct span s, struct err *e)
{
	while (s.n > 0) {
		ssize_t cr;
		size_t upto;

		if (x->cr) {
			x->cr = false;
			if (s.p[0] != '\n' &&
			    deposit_write(&x->dep, "\r", 1, e) != 0)
				return -1;
		}
		cr = span_chr(s, '\r');
		upto = cr >= 0 ? (size_t)cr : s.n;
		if (deposit_write(&x->dep, s.p, upto, e) != 0)
			return -1;
		x->cr = cr >= 0;
		s = span_from(s, upto + (cr >= 0 ? 1 : 0));
	}
	return 0;
}

void
append_take(struct append *a, struct append_one *x, struct span bytes)
{
	x->n += bytes.n;
	if (!useless(a) && write_lf(x, bytes, &a->e) != 0)
		fail(a);
}

void
append_end(struct append *a, struct append_one *x)
{
	if (x->whole.n > 0) {
		append_unbinary(&x->whole);
		x->n = 0;
		append_take(a, x, buf_span(&x->whole));
		buf_free(&x->whole);
	}
	if (x->n == 0)
		append_refuse(a,
			      result_no("CANNOT", "An empty message is none"));
	if (!useless(a) && x->cr && deposit_write(&x->dep, "\r", 1, &a->e) != 0)
		fail(a);
	x->cr = false;
	if (!useless(a) && deposit_flush(&x->dep, &a->e) != 0)
		fail(a);
}

static int
place(struct append *a, struct append_one *x)
{
	struct buf flags = BUF_INIT;
	int r = 0;

	if (x->has_date) {
		struct timespec t[2] = { { .tv_nsec = UTIME_NOW },
					 { .tv_sec = x->date.unix_s } };

		if (futimens(x->dep.fd, t) != 0)
			r = err_sys(&a->e, "setting the message's time");
	}
	maildir_name_make(&flags, span_make("", 0), x->flags);
	if (r == 0)
		r = deposit_commit(
		    &x->dep, x->flags != 0 ? buf_str(&flags) + 3 : NULL, &a->e);
	buf_free(&flags);
	x->placed = r == 0;
	return r;
}

static void
appenduid(struct session *s, uint32_t validity, const uint32_t *uids, size_t n)
{
	struct set set = { NULL, 0, 0 };

	for (size_t i = 0; i < n; i++)
		set_add(&set, uids[i], uids[i]);
	buf_clear(&s->code);
	buf_addf(&s->code, "APPENDUID %lu ", (unsigned long)validity);
	set_print(&s->code, &set);
	set_free(&set);
}

static struct result
number(struct session *s, struct append *a)
{
	uint32_t *uids = mem_alloc(a->n, sizeof(*uids)), validity;
	struct strs bases = STRS_INIT;
	struct result r = result_ok("Append completed");

	for (size_t i = 0; i < a->n; i++) {
		struct maildir_name name;

		/* "new/NAME" or "cur/NAME" */
		maildir_name_parse(&name,
				   span_from(span_of(a->v[i]->dep.place), 4));
		strs_addspan(&bases, name.base);
	}
	/* It lies there safely; where this fails the UIDs come later. */
	if (mailbox_assign(s->root, a->to.fd, &bases, a->since, &validity, uids,
			   &a->e) == 0) {
		appenduid(s, validity, uids, a->n);
		r.code = buf_str(&s->code);
	}
	strs_free(&bases);
	free(uids);
	return r;
}

struct result
append_commit(struct session *s, struct append *a)
{
	struct result r;
	uint64_t bytes = 0;

	if (s->say_bye)
		return RESULT(RESULT_BYE, NULL, "The message was cut off");
	if (a->refusal.text != NULL)
		return a->refusal;
	for (size_t i = 0; i < a->n; i++)
		bytes += a->v[i]->dep.size;
	if (!a->failed && !quota_fits(s, bytes, a->n, &r))
		return r;
	a->since = uidlist_peek(a->to.fd);
	for (size_t i = 0; !a->failed && i < a->n; i++)
		if (place(a, a->v[i]) != 0)
			fail(a);
	if (a->failed) {
		/* RFC 3502 6.3.11: all or none */
		for (size_t i = 0; i < a->n; i++)
			if (a->v[i]->placed)
				deposit_undo(&a->v[i]->dep);
		return result_err(s, &a->e);
	}
	maildirsize_note(s->root, (int64_t)bytes, (int64_t)a->n);
	return number(s, a);
}

void
append_done(struct append *a)
{
	for (size_t i = 0; i < a->n; i++) {
		deposit_abort(&a->v[i]->dep);
		buf_free(&a->v[i]->whole);
		free(a->v[i]);
	}
	free(a->v);
	keywords_free(&a->to.kw);
	if (a->to.fd >= 0)
		close(a->to.fd);
}
