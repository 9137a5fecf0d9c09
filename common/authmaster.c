/*
 * authmaster.c - the master side of the Dovecot authentication protocol:
 * who is this user, who logged in by that request.  Declared in authclient.h.
 * Layer: mail.  Dovecot "Authentication Protocol" v1.2, Server <-> Master.
 */
#include "authclient.h"
#include "mem.h"
#include "num.h"
#include "status.h"

#include <stdlib.h>

enum { LINE_OUT_MAX = 8192, LINE_IN_MAX = 65536, FIELDS_MAX = 200 };

void
auth_user_free(struct auth_user *u)
{
	free(u->user);
	free(u->home);
	free(u->mail);
	strs_free(&u->fields);
	memset(u, 0, sizeof(*u));
}

static int
read_line(struct authmaster *m, struct span *line_r, deadline_t d,
	  struct err *e)
{
	enum io_result r = stream_line(&m->s, LINE_IN_MAX, line_r, d);

	if (r == IO_OK)
		return 0;
	return err_set(e, ST_TEMPFAIL, "auth master socket: %s", io_words(r));
}

static int
send_line(struct authmaster *m, struct buf *line, deadline_t d, struct err *e)
{
	enum io_result r = IO_TOOLONG;

	if (line->n <= LINE_OUT_MAX) {
		stream_write(&m->s, line->p, line->n);
		r = stream_flush(&m->s, d);
	}
	buf_wipe(line);
	if (r == IO_OK)
		return 0;
	return err_set(e, ST_TEMPFAIL, "auth master socket: %s", io_words(r));
}

/* The server says VERSION and SPID. */
static int
handshake(struct authmaster *m, deadline_t d, struct err *e)
{
	struct buf hello = BUF_INIT;
	struct span line;

	buf_adds(&hello, "VERSION\t1\t1\n");
	if (send_line(m, &hello, d, e) < 0 || read_line(m, &line, d, e) < 0)
		return -1;
	if (!span_starts(line, SPAN("VERSION\t1\t")))
		return err_set(e, ST_PROTOCOL,
			       "auth master socket: it does not begin with "
			       "VERSION 1; is this the socket of an auth "
			       "server?");
	if (read_line(m, &line, d, e) < 0)
		return -1;
	if (!span_starts(line, SPAN("SPID\t")))
		return err_set(e, ST_PROTOCOL,
			       "auth master socket: no SPID; this is a client "
			       "socket, the master socket is needed");
	return 0;
}

int
authmaster_open(struct authmaster *m, int fd, deadline_t d, struct err *e)
{
	memset(m, 0, sizeof(*m));
	stream_init(&m->s, fd, fd);
	m->next_id = 1;
	if (handshake(m, d, e) == 0)
		return 0;
	authmaster_close(m);
	return -1;
}

void
authmaster_close(struct authmaster *m)
{
	stream_close(&m->s);
}

static bool
take_id(struct span value, uint32_t *id_r)
{
	uint64_t n;

	/* (uid_t)-1 means "no change" to the kernel: never an identity. */
	if (!num_u64(value, UINT32_MAX - 1, &n))
		return false;
	*id_r = (uint32_t)n;
	return true;
}

struct ids {
	bool uid, gid;
};

/* "name=value", unescaped; false when it makes no sense. */
static bool
take_field(struct auth_user *u, struct span field, struct ids *have)
{
	bool ok = true;

	strs_addspan(&u->fields, field);
	if (span_starts(field, SPAN("uid=")))
		ok = have->uid = take_id(span_from(field, 4), &u->uid);
	else if (span_starts(field, SPAN("gid=")))
		ok = have->gid = take_id(span_from(field, 4), &u->gid);
	else if (span_starts(field, SPAN("home="))) {
		free(u->home);
		u->home = mem_spandup(span_from(field, 5));
	} else if (span_starts(field, SPAN("mail="))) {
		free(u->mail);
		u->mail = mem_spandup(span_from(field, 5));
	}
	return ok;
}

/* What stands behind "USER id": the name, then its fields. */
static bool
read_user(struct span rest, struct auth_user *u)
{
	struct buf value = BUF_INIT;
	struct ids have = { false, false };
	struct span piece;
	bool ok = true, first = true;

	while (ok && span_split(&rest, '\t', &piece)) {
		buf_clear(&value);
		ok = u->fields.n < FIELDS_MAX &&
		     authclient_unescape(&value, piece);
		if (ok && first)
			u->user = mem_spandup(buf_span(&value));
		else if (ok)
			ok = take_field(u, buf_span(&value), &have);
		first = false;
	}
	buf_free(&value);
	u->has_ids = have.uid && have.gid;
	return ok && u->user && u->user[0];
}

static enum auth_result
failed(struct span rest, struct err *e)
{
	struct buf value = BUF_INIT;
	struct span field;

	err_set(e, ST_TEMPFAIL, "auth master socket: internal failure");
	while (span_split(&rest, '\t', &field)) {
		buf_clear(&value);
		if (span_starts(field, SPAN("reason=")) &&
		    authclient_unescape(&value, span_from(field, 7)))
			err_set(e, ST_TEMPFAIL, "auth master socket: %s",
				buf_str(&value));
	}
	buf_free(&value);
	return AUTH_TEMP;
}

/* AUTH_CONTINUE: not the reply to this request. */
static enum auth_result
reply_line(struct span line, uint32_t id, struct auth_user *u, struct err *e)
{
	struct span word, number;
	uint64_t n;

	if (!span_split(&line, '\t', &word) ||
	    !span_split(&line, '\t', &number) ||
	    !num_u64(number, UINT32_MAX, &n) || n != id)
		return AUTH_CONTINUE;
	if (span_is(word, "NOTFOUND")) {
		err_set(e, ST_NOUSER, "no such user");
		return AUTH_FAIL;
	}
	if (span_is(word, "FAIL"))
		return failed(line, e);
	if (!span_is(word, "USER"))
		return AUTH_CONTINUE;
	memset(u, 0, sizeof(*u));
	if (read_user(line, u))
		return AUTH_OK;
	auth_user_free(u);
	err_set(e, ST_PROTOCOL, "auth master socket: malformed reply");
	return AUTH_TEMP;
}

static enum auth_result
ask(struct authmaster *m, uint32_t id, struct buf *line, struct auth_user *u,
    deadline_t d, struct err *e)
{
	if (send_line(m, line, d, e) < 0)
		return AUTH_TEMP;
	for (;;) {
		struct span reply;
		enum auth_result r;

		if (read_line(m, &reply, d, e) < 0)
			return AUTH_TEMP;
		r = reply_line(reply, id, u, e);
		if (r != AUTH_CONTINUE)
			return r;
	}
}

static uint32_t
new_id(struct authmaster *m)
{
	if (m->next_id == 0)
		m->next_id = 1;
	return m->next_id++;
}

enum auth_result
authmaster_user(struct authmaster *m, const char *user, const char *service,
		struct auth_user *u, deadline_t d, struct err *e)
{
	struct buf line = BUF_INIT;
	uint32_t id = new_id(m);

	buf_addf(&line, "USER\t%lu\t", (unsigned long)id);
	authclient_escape(&line, span_of(user));
	buf_adds(&line, "\tservice=");
	authclient_escape(&line, span_of(service ? service : "mail"));
	buf_addc(&line, '\n');
	return ask(m, id, &line, u, d, e);
}

enum auth_result
authmaster_request(struct authmaster *m, uint32_t cpid, uint32_t id,
		   struct span cookie, struct auth_user *u, deadline_t d,
		   struct err *e)
{
	struct buf line = BUF_INIT;
	uint32_t own = new_id(m);

	buf_addf(&line, "REQUEST\t%lu\t%lu\t%lu\t", (unsigned long)own,
		 (unsigned long)cpid, (unsigned long)id);
	authclient_escape(&line, cookie);
	buf_addc(&line, '\n');
	return ask(m, own, &line, u, d, e);
}
