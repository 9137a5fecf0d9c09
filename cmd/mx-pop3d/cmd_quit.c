/*
 * cmd_quit.c - what changes: DELE, RSET, and QUIT, the only one that removes.
 * RFC 1939 5, 6.  THREATS 90: a connection that is lost removes nothing.
 */
#include "conf.h"
#include "log.h"
#include "maildirsize.h"
#include "pop3.h"

#include <fcntl.h>
#include <unistd.h>

void
cmd_dele(struct pop3 *s, struct command *c)
{
	struct message *m = pop3_message(s, c);

	if (m == NULL)
		return;
	if (s->mb->is_mbox) {
		pop3_err(s, "[SYS/PERM] The mailbox is an mbox, which can only "
			    "be read");
		return;
	}
	s->marks[pop3_index(s, m)] |= MARK_DELETED;
	s->deleted++;
	pop3_ok(s, "Marked to be deleted");
}

void
cmd_rset(struct pop3 *s, struct command *c)
{
	(void)c;
	for (size_t i = 0; i < s->mb->n; i++)
		s->marks[i] = 0;
	s->deleted = 0;
	s->last = 0;
	pop3_ok(s, NULL);
}

void
pop3_seen(struct pop3 *s)
{
	struct err e = ERR_INIT;

	for (size_t i = 0;
	     !conf.no_flag_updates && !s->mb->is_mbox && i < s->mb->n; i++) {
		struct message *m = &s->mb->v[i];

		if (s->marks[i] != MARK_SEEN || m->gone)
			continue;
		if (mailbox_set_flags(s->mb, m, MAILDIR_SEEN, 0, &e) != 0 &&
		    !m->gone)
			log_warn("%s: %s", s->user, e.text);
	}
}

/* Removed for good before the client is told. */
static bool
remove_marked(struct pop3 *s)
{
	static const char *const subs[] = { "cur", "new" };
	struct err e = ERR_INIT;
	int64_t bytes = 0, count = 0; /* for the quota */
	bool ok = true;

	for (size_t i = 0; i < s->mb->n; i++) {
		struct message *m = &s->mb->v[i];
		uint64_t size = m->vsize != MAILDIR_NO_SIZE ? m->vsize : 0;

		if (!(s->marks[i] & MARK_DELETED))
			continue;
		if (m->size == MAILDIR_NO_SIZE)
			(void)!mailbox_stat_message(s->mb, m, &e);
		if (mailbox_unlink(s->mb, m, 0, &e) != 0) {
			log_error("%s: %s", s->user, e.text);
			ok = false;
			continue;
		}
		s->removed++;
		s->removed_size += size;
		if (m->size != MAILDIR_NO_SIZE) {
			bytes += (int64_t)m->size;
			count++;
		}
	}
	if (count > 0)
		maildirsize_note(s->mb->root, -bytes, -count);
	for (size_t i = 0; s->removed > 0 && i < ARRAY_LEN(subs); i++) {
		int fd = openat(s->mb->fd, subs[i],
				O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || fsync(fd) != 0)
			log_warn("%s: %s/: cannot be synced", s->user, subs[i]);
		io_close(&fd);
	}
	return ok;
}

void
cmd_quit(struct pop3 *s, struct command *c)
{
	(void)c;
	s->over = true;
	if (remove_marked(s))
		pop3_ok(s, s->removed > 0 ? "Logging out, messages deleted"
					  : "Logging out");
	else
		pop3_err(s, "[SYS/TEMP] Some messages were not deleted");
}
