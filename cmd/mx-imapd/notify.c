/*
 * notify.c - NOTIFY, and the news that it chooses.  RFC 5465.
 */
#include "cmd.h"
#include "context.h"
#include "log.h"
#include "mem.h"
#include "notify.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define SETTLE_MS 20
#define LOOK_MS 30000
#define WAIT_MS (29 * 60 * 1000)
#define WRITE_MS 60000

void
notify_free(struct notify *nf)
{
	for (size_t i = 0; i < nf->n; i++)
		strs_free(&nf->v[i].names);
	free(nf->v);
	for (size_t i = 0; i < nf->nboxes; i++) {
		free(nf->boxes[i].name);
		notify_notes_free(&nf->boxes[i].notes);
	}
	notify_notes_free(&nf->notes);
	free(nf->boxes);
	strs_free(&nf->subs);
	fetch_free(&nf->att);
	if (nf->fd >= 0)
		close(nf->fd);
	free(nf);
}

void
notify_done(struct session *s)
{
	if (s->notify != NULL)
		notify_free(s->notify);
	s->notify = NULL;
}

int
notify_fd(const struct session *s)
{
	return s->notify != NULL ? s->notify->fd : -1;
}

/* RFC 5465 5.2: what the client asked to know of new messages. */
static void
put_new(struct session *s, uint32_t after)
{
	struct notify *nf = s->notify;
	bool exact;
	size_t i = mailbox_find(s->mb, after + 1, &exact);

	if (nf->att.n == 0)
		return;
	for (; i < s->mb->told_exists; i++)
		(void)fetch_put(s, &nf->att, i);
	mailbox_cache_flush(s->mb);
}

void
notify_report(struct session *s, bool expunge_too, bool own)
{
	struct notify *nf = s->notify;
	struct mailbox *mb = s->mb;
	bool uid = s->uid;
	uint32_t last;

	if (nf == NULL) {
		report_changes(s, expunge_too);
		return;
	}
	if (mb == NULL || nf->selected == 0)
		return;
	if (!(nf->selected & NOTIFY_FLAG))
		for (size_t i = 0; i < mb->told_exists; i++)
			mb->v[i].told = mb->v[i].flags;
	last = mb->told_exists > 0 ? mb->v[mb->told_exists - 1].uid : 0;
	s->uid = true; /* RFC 5465 5.1: with its UID */
	report_changes(s, expunge_too);
	s->uid = false;
	if (!own)
		put_new(s, last);
	s->uid = uid;
}

/* RFC 5465 5.8 */
static void
overflow(struct session *s)
{
	stream_puts(s->st, "* OK [NOTIFICATIONOVERFLOW] No more is told\r\n");
	notify_done(s);
	s->notify = mem_alloc(1, sizeof(*s->notify));
	s->notify->fd = -1;
}

static void
tell_others(struct session *s)
{
	struct err e = ERR_INIT;

	if (s->notify == NULL || s->notify->fd < 0)
		return;
	if (notify_events(s, s->notify, &e) != 0) {
		log_warn("%s: NOTIFY: %s", s->user, e.text);
		overflow(s);
	}
}

bool
notify_tell(struct session *s, bool expunge_too)
{
	struct err e = ERR_INIT;

	s->st->out_deadline = clock_deadline(WRITE_MS);
	if (s->mb != NULL) {
		if (mailbox_sync(s->mb, &e) != 0)
			log_warn("%s: %s", s->user, e.text);
		if (s->mb->dead)
			return false;
		notify_report(s, expunge_too, false);
		context_update(s);
	}
	tell_others(s);
	return stream_flush(s->st, clock_deadline(WRITE_MS)) == IO_OK;
}

void
notify_wait(struct session *s)
{
	deadline_t end = clock_deadline(WAIT_MS);

	while (s->notify != NULL && stream_buffered(s->st).n == 0 &&
	       !compress_waiting(s->st) && !io_stop && clock_left(end) > 0) {
		bool selected = s->mb != NULL && s->notify->selected != 0;
		struct pollfd p[3] = {
			{ s->st->fd_in, POLLIN, 0 },
			{ selected ? s->mb->watch : -1, POLLIN, 0 },
			{ s->notify->fd, POLLIN, 0 },
		};

		if (!selected && s->notify->fd < 0)
			return;
		(void)poll(p, 3, LOOK_MS);
		if (p[0].revents != 0 || io_stop)
			return;
		if (p[1].revents != 0 || p[2].revents != 0)
			(void)poll(NULL, 0, SETTLE_MS);
		if (!notify_tell(s, !s->notify->delayed)) {
			s->say_bye = true;
			return;
		}
	}
}

void
notify_own_names(struct session *s, bool before)
{
	struct err e = ERR_INIT;

	if (s->notify == NULL || s->notify->fd < 0)
		return;
	if (before)
		tell_others(s);
	else if (notify_look(s, s->notify, false, &e) != 0)
		overflow(s);
}

static bool
about_others(const struct notify *nf)
{
	for (size_t i = 0; i < nf->n; i++)
		if (nf->v[i].which != NOTIFY_SELECTED &&
		    nf->v[i].which != NOTIFY_DELAYED && nf->v[i].events != 0)
			return true;
	return false;
}

static struct result
set(struct session *s, struct notify *nf)
{
	struct err e = ERR_INIT;
	struct notify *before = s->notify;

	if (about_others(nf) && notify_look(s, nf, false, &e) != 0) {
		notify_free(nf);
		return result_no("NOTIFICATIONOVERFLOW",
				 "So much cannot be watched");
	}
	/* RFC 5465 3.1: what has gathered is told, as by NOOP */
	s->notify = NULL;
	if (s->mb != NULL && mailbox_sync(s->mb, &e) == 0)
		report_changes(s, true);
	s->notify = before;
	notify_done(s);
	s->notify = nf;
	if (nf->status)
		notify_status(s, nf);
	return result_ok("Notify completed");
}

struct result
cmd_notify(struct session *s)
{
	struct notify *nf = mem_alloc(1, sizeof(*nf));
	struct result r = { RESULT_OK, NULL, NULL };

	nf->fd = -1;
	if (!parse_sp(&s->p)) {
		r = result_bad(s);
	} else if (parse_word(&s->p, "NONE")) {
		if (parse_end(&s->p)) {
			notify_done(s);
			s->notify = nf;
			return result_ok("Nothing is told");
		}
		r = result_bad(s);
	} else if (!parse_word(&s->p, "SET") || !parse_sp(&s->p) ||
		   !notify_parse(s, nf, &r)) {
		if (r.text == NULL || r.kind == RESULT_OK)
			r = result_bad(s);
	} else if (r.text == NULL) {
		return set(s, nf);
	}
	notify_free(nf);
	return r;
}
