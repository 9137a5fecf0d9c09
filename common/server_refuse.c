/*
 * server_refuse.c - no room: the waiting client is told so instead of being
 * left to hang; see server_int.h.
 * Layer: sys.
 */
#include "server_int.h"
#include "io.h"
#include "log.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define NOTE_MS 60000

void
server_spare_take(struct server *s)
{
	/* Not a copy of another descriptor: that would help against the
	 * process's limit (EMFILE), and not the system's (ENFILE).  No file:
	 * a worker's sandbox has none. */
	if (s->spare < 0)
		s->spare = epoll_create1(EPOLL_CLOEXEC);
}

static int
refuse_accept(const struct listener *l)
{
	return accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

bool
server_refuse(struct server *s, const struct listener *l)
{
	const char *text = s->spec->busy_text;
	int fd = refuse_accept(l);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && s->spare >= 0) {
		io_close(&s->spare);
		fd = refuse_accept(l);
	}
	if (fd >= 0) {
		/* Whole bytes and no wait; in TLS there is no word yet. */
		if (text != NULL && !l->mode->tls)
			(void)send(fd, text, strlen(text),
				   MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
	}
	server_spare_take(s);
	return fd >= 0;
}

void
server_note_lack(struct server *s, const char *call, int error)
{
	int64_t now = clock_mono(), last = atomic_load(&s->shared->noted);

	if ((last != 0 && now - last < NOTE_MS) ||
	    !atomic_compare_exchange_strong(&s->shared->noted, &last, now))
		return;
	log_warn("%s: %s: clients %s until there is room (said once a minute)",
		 call, strerror(error),
		 s->spec->patient ? "wait" : "are sent away or wait");
}
