/*
 * cmd_retr.c - messages: RETR, TOP, and the size of one.  RFC 1939 5, 7.
 * A message is streamed: memory does not grow with it.
 */
#include "conf.h"
#include "escape.h"
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

/* RFC 6856 2.1, 5: what goes before the file's bytes from `at` on, for a client
 * that did not say UTF8. */
struct opening {
	struct buf head;
	size_t at;
	bool refused; /* it is UTF-8, and too much to be made anew */
	bool failed;
};

static void
make_opening(struct opening *o, int fd)
{
	struct buf whole = BUF_INIT;
	ssize_t n = pread(fd, buf_room(&whole, HEADER_MAX), HEADER_MAX, 0);
	size_t end = 0, lines = 0;

	o->failed = n < 0;
	if (n > 0) {
		buf_grew(&whole, (size_t)n);
		end = surrogate_header_end(buf_span(&whole));
		lines = whole.n;
		while (lines > 0 && whole.p[lines - 1] != '\n')
			lines--;
	}
	if (end > 0) {
		if (surrogate_header(&o->head,
				     span_sub(buf_span(&whole), 0, end)))
			o->at = end;
	} else if (n == HEADER_MAX) {
		struct span s = span_sub(buf_span(&whole), 0, lines);

		o->refused = !span_is_ascii(s) && utf8_valid(s);
	}
	buf_free(&whole);
}

/* Bytes on the wire of what is sent in place of the header that is stored. */
static uint64_t
opening_size(const struct opening *o, int fd, uint64_t size)
{
	struct text was, is;
	struct buf head = BUF_INIT;

	if (o->at == 0)
		return size;
	text_init(&was, NULL);
	text_init(&is, NULL);
	if (pread(fd, buf_room(&head, o->at), o->at, 0) == (ssize_t)o->at)
		buf_grew(&head, o->at);
	text_put(&was, buf_span(&head));
	text_put(&is, buf_span(&o->head));
	buf_free(&head);
	return size + is.sent - was.sent;
}

/* The message, or its header and some lines; false: the line goes down. */
static bool
send_text(struct text *t, const struct opening *o, int fd)
{
	text_put(t, buf_span(&o->head));
	if (lseek(fd, (off_t)o->at, SEEK_SET) < 0 || pump(t, fd) != 0)
		return false;
	text_end(t);
	return true;
}

/* Writes the message, or its header and `lines` of the body. */
static bool
send_message(struct pop3 *s, struct message *m, bool limited, uint32_t lines,
	     uint64_t *sent)
{
	struct text t;
	struct opening o = { .head = BUF_INIT };
	uint64_t size;
	bool done = false;
	int fd = mailbox_open_message(s->mb, m);

	if (fd >= 0 && !s->utf8)
		make_opening(&o, fd);
	if (fd < 0 || o.failed || !pop3_size(s, m, &size)) {
		not_there(s, m);
	} else if (o.refused) {
		pop3_err(s, "[UTF8] The message needs the UTF8 command, before "
			    "the login");
	} else {
		if (limited)
			stream_puts(s->st, "+OK\r\n");
		else
			stream_printf(
			    s->st, "+OK %llu octets\r\n",
			    (unsigned long long)opening_size(&o, fd, size));
		text_init(&t, s->st);
		t.limited = limited;
		t.lines = lines;
		done = send_text(&t, &o, fd);
		if (!done) {
			/* what was sent is no message: no end */
			log_error("%s: message %lu: %s", s->user,
				  (unsigned long)m->uid, strerror(errno));
			s->over = true;
		}
		*sent += t.sent;
	}
	buf_free(&o.head);
	if (fd >= 0)
		close(fd);
	return done;
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
