/*
 * cmd_retr.c - messages: RETR, TOP, and the size of one.  RFC 1939 5, 7.
 * A message is streamed: memory does not grow with it.
 */
#include "conf.h"
#include "log.h"
#include "pop3.h"
#include "surrogate.h"
#include "text.h"

#include <errno.h>
#include <unistd.h>

#define CHUNK 65536
#define HEADER_MAX 262144 /* a longer one goes out as it is */

/* The open file's bytes into t; -1 and errno. */
static int
pump(struct text *t, int fd)
{
	static char chunk[CHUNK];
	ssize_t n = 0;

	while (!t->done && (n = read(fd, chunk, sizeof(chunk))) > 0) {
		text_put(t, span_make(chunk, (size_t)n));
		if (t->st != NULL) {
			t->st->out_deadline = clock_deadline(FRONT_WRITE_MS);
			if (t->st->out_failed != IO_OK)
				return 0; /* told by the next flush */
		}
	}
	return n < 0 ? -1 : 0;
}

bool
pop3_size(struct pop3 *s, struct message *m, uint64_t *size_r)
{
	struct text t;
	struct err e = ERR_INIT;
	int fd;

	if (m->vsize == MAILDIR_NO_SIZE && conf.fast_size &&
	    (m->size != MAILDIR_NO_SIZE ||
	     mailbox_stat_message(s->mb, m, &e) == 0)) {
		*size_r = m->size;
		return true;
	}
	if (m->vsize == MAILDIR_NO_SIZE) {
		fd = mailbox_open_message(s->mb, m);
		if (fd < 0)
			return false;
		text_init(&t, NULL);
		if (pump(&t, fd) == 0)
			m->vsize = t.sent;
		close(fd);
	}
	*size_r = m->vsize;
	return m->vsize != MAILDIR_NO_SIZE;
}

static void
not_there(struct pop3 *s, const struct message *m)
{
	if (m->gone) {
		pop3_err(s, "The message is gone: another client removed it");
		return;
	}
	log_error("%s: message %lu: %s", s->user, (unsigned long)m->uid,
		  strerror(errno));
	pop3_err(s, "[SYS/TEMP] The message cannot be read");
}

/* A header in UTF-8 for a client that does not know it; what follows is left
 * in the file. */
static int
put_surrogate(struct text *t, int fd)
{
	struct buf whole = BUF_INIT, out = BUF_INIT;
	ssize_t n = pread(fd, buf_room(&whole, HEADER_MAX), HEADER_MAX, 0);
	size_t end = 0;
	int r = n < 0 ? -1 : 0;

	if (n > 0) {
		buf_grew(&whole, (size_t)n);
		end = surrogate_header_end(buf_span(&whole));
	}
	if (end > 0 &&
	    surrogate_header(&out, span_sub(buf_span(&whole), 0, end))) {
		text_put(t, buf_span(&out));
		if (lseek(fd, (off_t)end, SEEK_SET) < 0)
			r = -1;
	}
	buf_free(&whole);
	buf_free(&out);
	return r;
}

/* Writes the message, or its header and `lines` of the body. */
static bool
send_message(struct pop3 *s, struct message *m, bool limited, uint32_t lines,
	     uint64_t *sent)
{
	struct text t;
	uint64_t size;
	int fd = mailbox_open_message(s->mb, m);

	if (fd < 0 || !pop3_size(s, m, &size)) {
		if (fd >= 0)
			close(fd);
		not_there(s, m);
		return false;
	}
	if (limited)
		stream_puts(s->st, "+OK\r\n");
	else
		stream_printf(s->st, "+OK %llu octets\r\n",
			      (unsigned long long)size);
	text_init(&t, s->st);
	t.limited = limited;
	t.lines = lines;
	if ((!s->utf8 && put_surrogate(&t, fd) != 0) || pump(&t, fd) != 0) {
		/* what was sent is no message: no end, the line goes down */
		log_error("%s: message %lu: %s", s->user, (unsigned long)m->uid,
			  strerror(errno));
		s->over = true;
	} else {
		text_end(&t);
	}
	close(fd);
	*sent += t.sent;
	return !s->over;
}

void
cmd_retr(struct pop3 *s, struct command *c)
{
	struct message *m = pop3_message(s, c);

	if (m == NULL)
		return;
	if (send_message(s, m, false, 0, &s->retr_bytes)) {
		s->retr_count++;
		s->marks[pop3_index(s, m)] |= MARK_SEEN;
		if (s->last < pop3_index(s, m) + 1)
			s->last = pop3_index(s, m) + 1;
	}
}

void
cmd_top(struct pop3 *s, struct command *c)
{
	struct message *m = pop3_message(s, c);
	struct span arg;
	uint32_t lines;

	if (m == NULL)
		return;
	if (!command_arg(c, &arg) || !command_number(arg, &lines))
		pop3_err(s, "A number of lines is expected");
	else if (send_message(s, m, true, lines, &s->top_bytes))
		s->top_count++;
}
