/*
 * message.c - the message on stdin, or of a job: size, 8-bit bytes, readable
 * again for another host.
 */
#include "send.h"
#include "msg.h"
#include "status.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Copies a pipe into a file that has no name. */
static int
spool(struct message *m, int fd, struct err *e)
{
	char chunk[65536];
	FILE *f = tmpfile();

	if (f == NULL)
		return err_sys(e, "making a temporary file");
	m->fd = dup(fileno(f));
	if (fclose(f) != 0 || m->fd < 0)
		return err_sys(e, "making a temporary file");
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "reading the message");
		if (n == 0)
			return 0;
		if (io_write(m->fd, chunk, (size_t)n, DEADLINE_NEVER) != IO_OK)
			return err_sys(e, "writing a temporary file");
		m->size += n;
	}
}

/* From a file by place, so that each host of a list gets it from its
 * beginning; never beyond its size. */
ssize_t
message_read(const struct message *m, int64_t at, void *p, size_t n)
{
	if ((int64_t)n > m->size - at)
		n = (size_t)(m->size - at);
	if (m->fd >= 0)
		return pread(m->fd, p, n, m->at + at);
	memcpy(p, m->converted.p + at, n);
	return (ssize_t)n;
}

/* RFC 8689 3: one field, of one value; several are none. */
static bool
is_tls_no(const struct msg *h)
{
	const struct msg_field *f = msg_find(h, "TLS-Required", 0);

	return f != NULL && msg_find(h, "TLS-Required", 1) == NULL &&
	       span_iis(span_trim(f->value), "No");
}

/* What the header says of TLS. */
static void
look_tls(struct message *m, struct span begin)
{
	struct msg h;

	msg_index(&h, begin, 0);
	/* RFC 8460 5.3: a field that every TLS report has. */
	m->tls_report = msg_find(&h, "TLS-Report-Domain", 0) != NULL;
	m->tls_no = is_tls_no(&h);
	msg_done(&h);
}

/* One pass: line ends that are a byte longer on the wire, 8-bit bytes. */
int
message_look(struct message *m, struct err *e)
{
	char chunk[65536], last = '\n';
	bool header = true, bol = true;

	for (int64_t at = 0; at < m->size;) {
		ssize_t n = message_read(m, at, chunk, sizeof(chunk));
		if (n <= 0)
			return err_set(e, ST_TEMPFAIL,
				       "the message ended after %lld of %lld "
				       "bytes",
				       (long long)at, (long long)m->size);
		m->wire += (uint64_t)n;
		if (at == 0)
			look_tls(m, span_make(chunk, (size_t)n));
		for (ssize_t i = 0; i < n; i++) {
			char c = chunk[i];
			if (c == '\n') {
				m->wire += last != '\r';
				header = header && !bol;
				bol = true;
			} else if (c != '\r') {
				bol = false;
			}
			if ((unsigned char)c > 0x7f) {
				m->eight_bit = true;
				m->header_eight_bit |= header;
			}
			last = c;
		}
		at += n;
	}
	return 0;
}

int
message_load(struct message *m, int fd, int64_t size, struct err *e)
{
	struct stat st;
	off_t at = lseek(fd, 0, SEEK_CUR);

	*m = (struct message){ .fd = -1 };
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && at >= 0) {
		m->fd = fd;
		m->at = at;
		m->size = st.st_size - at;
	} else if (spool(m, fd, e) != 0) {
		return -1;
	}
	if (size > 0 && m->size < size)
		return err_set(e, ST_TEMPFAIL,
			       "the message ended after %lld of %lld bytes",
			       (long long)m->size, (long long)size);
	if (size > 0)
		m->size = size;
	if (m->size == 0)
		return err_set(e, ST_DATA, "the message is empty");
	if (message_look(m, e) != 0)
		return -1;
	/* Where SMTPUTF8 was asked for it may be for them. */
	return options.utf8 && m->eight_bit && !m->header_eight_bit
		   ? message_look_inside(m, e)
		   : 0;
}
