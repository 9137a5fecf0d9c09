/*
 * cmd_idle.c - IDLE: waits for the events of the mailbox (mailbox_watch.c),
 * and looks now and then where there are none.  RFC 2177.
 */
#include "cmd.h"
#include "notify.h"

#include <errno.h>
#include <poll.h>

#define IDLE_MS (30 * 60 * 1000)
#define LOOK_MS 30000   /* without inotify, and in any case */
#define SETTLE_MS 20    /* several files often come together */
#define ALIVE_MS 120000 /* a word now and then keeps NATs open */
#define WRITE_MS 60000

/* Waits for the client (true) or for news. */
static bool
wait_for(struct session *s, int ms)
{
	int fd = s->mb != NULL ? s->mb->watch : -1;
	struct pollfd p[3] = { { s->st->fd_in, POLLIN, 0 },
			       { fd, POLLIN, 0 },
			       { notify_fd(s), POLLIN, 0 } };

	if (stream_buffered(s->st).n > 0 || compress_waiting(s->st))
		return true;
	if (poll(p, 3, ms) <= 0)
		return false;
	if (p[1].revents != 0 || p[2].revents != 0)
		(void)poll(NULL, 0, SETTLE_MS);
	return p[0].revents != 0;
}

static struct result
until_done(struct session *s)
{
	deadline_t end = clock_deadline(IDLE_MS);
	int64_t spoke = clock_mono();
	struct span line;
	enum io_result io;

	while (!wait_for(s, LOOK_MS)) {
		if (io_stop || clock_left(end) == 0) {
			s->say_bye = true;
			return RESULT(RESULT_BYE, NULL,
				      io_stop ? "Shutting down"
					      : "Idle for too long");
		}
		if (!notify_tell(s, true)) {
			s->say_bye = true;
			return RESULT(RESULT_BYE, NULL,
				      "The mailbox was replaced");
		}
		if (clock_mono() - spoke > ALIVE_MS) {
			spoke = clock_mono();
			stream_puts(s->st, "* OK Still here\r\n");
			if (stream_flush(s->st, clock_deadline(WRITE_MS)) !=
			    IO_OK)
				break;
		}
	}
	io = stream_line(s->st, 1000, &line, clock_deadline(60000));
	if (io == IO_OK && span_iis(span_rtrim(line), "DONE"))
		return result_ok("Idle completed");
	if (io == IO_OK)
		return RESULT(RESULT_BAD, NULL, "Expected DONE");
	s->say_bye = true;
	return RESULT(RESULT_BYE, NULL, NULL);
}

struct result
cmd_idle(struct session *s)
{
	struct result r;

	if (!parse_end(&s->p))
		return result_bad(s);
	stream_puts(s->st, "+ idling\r\n");
	if (stream_flush(s->st, clock_deadline(WRITE_MS)) != IO_OK ||
	    !notify_tell(s, true)) {
		s->say_bye = true;
		r = RESULT(RESULT_BYE, NULL, "Gone");
	} else {
		r = until_done(s);
	}
	return r;
}
