/*
 * authclient.c - the Dovecot authentication protocol from the asking side.
 * Layer: mail.  It never decides anything: what it cannot read is AUTH_TEMP.
 * Dovecot "Authentication Protocol" v1.2; one request at a time.
 */
#include "authclient.h"
#include "escape.h"
#include "num.h"
#include "random.h"
#include "status.h"

#include <stdlib.h>
#include <unistd.h>

enum {
	LINE_OUT_MAX = 16384, /* what Dovecot takes in one line */
	LINE_IN_MAX = 65536,
	FIELDS_MAX = 200,
	MECHS_MAX = 40
};

void
authclient_escape(struct buf *b, struct span s)
{
	static const char from[] = { '\0', '\1', '\t', '\r', '\n' };
	static const char to[] = { '0', '1', 't', 'r', 'n' };

	for (size_t i = 0; i < s.n; i++) {
		const char *hit = memchr(from, s.p[i], sizeof(from));

		if (!hit) {
			buf_addc(b, s.p[i]);
			continue;
		}
		buf_addc(b, '\1');
		buf_addc(b, to[hit - from]);
	}
}

bool
authclient_unescape(struct buf *b, struct span s)
{
	size_t start = b->n;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\1') {
			if (++i == s.n)
				goto out;
			c = s.p[i];
			if (c == 't')
				c = '\t';
			else if (c == 'r')
				c = '\r';
			else if (c == 'n' || c == 'l')
				c = '\n';
			else if (c == '1')
				c = '\1';
			else if (c == '0')
				goto out;
		}
		if (c == '\0')
			goto out;
		buf_addc(b, c);
	}
	return true;
out:
	buf_cut(b, start);
	return false;
}

static void
add_value(struct buf *b, const char *name, struct span v)
{
	buf_addc(b, '\t');
	buf_adds(b, name);
	authclient_escape(b, v);
}

static void
add_number(struct buf *b, const char *name, int n)
{
	if (n > 0)
		buf_addf(b, "\t%s%d", name, n);
}

/* One line of the peer; the words are told to e when it does not come. */
static int
read_line(struct stream *s, struct span *line_r, deadline_t d, struct err *e)
{
	enum io_result r = stream_line(s, LINE_IN_MAX, line_r, d);

	if (r == IO_OK)
		return 0;
	return err_set(e, ST_TEMPFAIL, "auth server: %s", io_words(r));
}

static int
send_line(struct stream *s, struct buf *line, deadline_t d, struct err *e)
{
	enum io_result r;

	if (line->n > LINE_OUT_MAX) {
		buf_wipe(line);
		return err_set(e, ST_DATA,
			       "authentication data is longer than "
			       "the auth protocol allows");
	}
	stream_write(s, line->p, line->n);
	buf_wipe(line);
	r = stream_flush(s, d);
	if (r == IO_OK)
		return 0;
	return err_set(e, ST_TEMPFAIL, "auth server: %s", io_words(r));
}

/* VERSION <major> <minor>: another major number is another protocol. */
static int
check_version(struct span rest, struct err *e)
{
	struct span major = SPAN("");
	uint64_t n;

	if (span_split(&rest, '\t', &major) && num_u64(major, 1000, &n) &&
	    n == 1)
		return 0;
	return err_set(e, ST_PROTOCOL,
		       "auth server: protocol version \"%.*s\" "
		       "instead of 1",
		       (int)(major.n > 20 ? 20 : major.n), major.p);
}

static bool
take_u32(struct span *rest, uint32_t *r)
{
	struct span word;
	uint64_t n;

	if (!span_split(rest, '\t', &word) || !num_u64(word, UINT32_MAX, &n))
		return false;
	*r = (uint32_t)n;
	return true;
}

/* One line of the server's handshake; 1 when it was DONE. */
static int
handshake_line(struct authclient *a, struct span line, bool *version,
	       struct err *e)
{
	struct span word, name;

	if (!span_split(&line, '\t', &word))
		return 0;
	if (span_is(word, "VERSION")) {
		*version = true;
		return check_version(line, e);
	}
	if (!*version)
		return err_set(e, ST_PROTOCOL,
			       "auth server: it does not begin with VERSION; "
			       "is this the socket of an auth server?");
	if (span_is(word, "DONE"))
		return 1;
	if (span_is(word, "SPID")) {
		if (!take_u32(&line, &a->spid))
			return err_set(e, ST_PROTOCOL, "auth server: bad SPID");
	} else if (span_is(word, "COOKIE")) {
		buf_clear(&a->cookie);
		buf_addspan(&a->cookie, line);
	} else if (span_is(word, "MECH") && a->mechs.n < MECHS_MAX &&
		   span_split(&line, '\t', &name)) {
		strs_addspan(&a->mechs, name);
		strs_addspan(&a->mech_flags, line.p ? line : SPAN(""));
	}
	return 0;
}

/*
 * The number that names us to the server: unique among its connections, so
 * the process number serves for the first connection of a process only.
 */
static uint32_t
client_number(void)
{
	static pid_t used_by;

	if (used_by != getpid()) {
		used_by = getpid();
		return (uint32_t)used_by;
	}
	return 0x40000000u | random_below(0x3fffffff);
}

static int
handshake(struct authclient *a, deadline_t d, struct err *e)
{
	struct buf hello = BUF_INIT;
	bool version = false;
	int r;

	buf_addf(&hello, "VERSION\t1\t2\nCPID\t%lu\n", (unsigned long)a->cpid);
	if (send_line(&a->s, &hello, d, e) < 0)
		return -1;
	for (;;) {
		struct span line;

		if (read_line(&a->s, &line, d, e) < 0)
			return -1;
		r = handshake_line(a, line, &version, e);
		if (r != 0)
			break;
	}
	return r < 0 ? -1 : 0;
}

int
authclient_open(struct authclient *a, int fd, deadline_t d, struct err *e)
{
	memset(a, 0, sizeof(*a));
	stream_init(&a->s, fd, fd);
	a->next_id = 1;
	a->cpid = client_number();
	if (handshake(a, d, e) == 0)
		return 0;
	authclient_close(a);
	return -1;
}

void
authclient_close(struct authclient *a)
{
	stream_close(&a->s);
	strs_free(&a->mechs);
	strs_free(&a->mech_flags);
	strs_free(&a->fields);
	buf_free(&a->cookie);
	buf_free(&a->user);
	a->active = false;
}

/* The parameters behind the id of OK and FAIL. */
static int
read_fields(struct authclient *a, struct span rest, struct err *e)
{
	struct buf value = BUF_INIT;
	struct span field;
	int r = 0;

	strs_clear(&a->fields);
	buf_clear(&a->user);
	while (span_split(&rest, '\t', &field)) {
		buf_clear(&value);
		if (a->fields.n >= FIELDS_MAX ||
		    !authclient_unescape(&value, field)) {
			r = err_set(e, ST_PROTOCOL,
				    "auth server: malformed fields");
			break;
		}
		if (span_starts(buf_span(&value), SPAN("user=")))
			buf_addspan(&a->user, span_from(buf_span(&value), 5));
		else
			strs_addspan(&a->fields, buf_span(&value));
	}
	buf_free(&value);
	return r;
}

static const char *
field(const struct strs *l, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < l->n; i++)
		if (strncmp(l->v[i], name, n) == 0 &&
		    (l->v[i][n] == '=' || l->v[i][n] == '\0'))
			return l->v[i] + n + (l->v[i][n] == '=');
	return NULL;
}

static enum auth_result
failed(const struct authclient *a, struct err *e)
{
	const char *reason = field(&a->fields, "reason");
	const char *code = field(&a->fields, "code");
	bool temp = field(&a->fields, "temp") != NULL ||
		    (code && strcmp(code, "temp_fail") == 0);

	if (temp) {
		err_esc(e, ST_TEMPFAIL, "4.7.0", "%s",
			reason ? reason : "temporary authentication failure");
		return AUTH_TEMP;
	}
	err_esc(e, ST_NOPERM, "5.7.8", "%s",
		reason ? reason : "authentication failed");
	return AUTH_FAIL;
}

/* Is this the reply to our request?  AUTH_TEMP with *ours unset: go on. */
static enum auth_result
reply_line(struct authclient *a, struct span line, bool *ours,
	   struct buf *challenge, struct err *e)
{
	struct span word;
	uint32_t id;

	*ours = false;
	if (!span_split(&line, '\t', &word) ||
	    !(span_is(word, "OK") || span_is(word, "FAIL") ||
	      span_is(word, "CONT")) ||
	    !take_u32(&line, &id) || id != a->id)
		return AUTH_TEMP;
	*ours = true;
	a->active = span_is(word, "CONT");
	if (a->active) {
		buf_clear(challenge);
		if (base64_decode(challenge, line.p ? line : SPAN("")))
			return AUTH_CONTINUE;
		authclient_cancel(a);
		err_set(e, ST_PROTOCOL, "auth server: malformed challenge");
		return AUTH_TEMP;
	}
	if (read_fields(a, line, e) < 0)
		return AUTH_TEMP;
	if (span_is(word, "FAIL"))
		return failed(a, e);
	if (a->user.n > 0)
		return AUTH_OK;
	err_set(e, ST_PROTOCOL, "auth server: OK without a user");
	return AUTH_TEMP;
}

static enum auth_result
wait_reply(struct authclient *a, struct buf *challenge, deadline_t d,
	   struct err *e)
{
	for (;;) {
		struct span line;
		enum auth_result r;
		bool ours;

		if (read_line(&a->s, &line, d, e) < 0)
			break;
		r = reply_line(a, line, &ours, challenge, e);
		if (ours)
			return r;
	}
	a->active = false;
	return AUTH_TEMP;
}

static bool
mech_name_ok(const char *mech)
{
	size_t n = strlen(mech);

	if (n == 0 || n > 20) /* RFC 4422 3.1 */
		return false;
	for (size_t i = 0; i < n; i++)
		if (!ascii_isalnum(mech[i]) && mech[i] != '-' && mech[i] != '_')
			return false;
	return true;
}

/* resp= stands last: nothing behind it is read, so nothing can follow it. */
static void
request_line(struct buf *b, const struct authclient *a, const char *mech,
	     const struct auth_facts *f, struct span resp)
{
	const char *service = f->service ? f->service : "smtp";

	buf_addf(b, "AUTH\t%lu\t", (unsigned long)a->id);
	for (const char *p = mech; *p; p++)
		buf_addc(b, ascii_toupper(*p));
	add_value(b, "service=", span_of(service));
	/* An SMTP login is never asked for at the master socket. */
	if (strcmp(service, "smtp") == 0)
		buf_adds(b, "\tnologin");
	if (f->local_ip && f->local_ip[0])
		add_value(b, "lip=", span_of(f->local_ip));
	if (f->remote_ip && f->remote_ip[0])
		add_value(b, "rip=", span_of(f->remote_ip));
	add_number(b, "lport=", f->local_port);
	add_number(b, "rport=", f->remote_port);
	if (f->secured)
		buf_adds(b, "\tsecured");
	if (f->cert_username != NULL) {
		buf_adds(b, "\tvalid-client-cert");
		add_value(b, "cert_username=", span_of(f->cert_username));
	}
	for (size_t i = 0; f->bindings != NULL && i < f->bindings->n; i++)
		add_value(b, "cbind-", span_of(f->bindings->v[i]));
	if (resp.p) {
		buf_adds(b, "\tresp=");
		base64_encode(b, resp);
	}
	buf_addc(b, '\n');
}

bool
authclient_plus(const struct authclient *a, size_t i)
{
	struct span rest, w;

	if (i >= a->mech_flags.n)
		return false;
	rest = span_of(a->mech_flags.v[i]);
	while (span_word(&rest, "\t ", &w))
		if (span_is(w, "channel-binding"))
			return true;
	return false;
}

enum auth_result
authclient_start(struct authclient *a, const char *mech,
		 const struct auth_facts *f, struct span resp,
		 struct buf *challenge_r, deadline_t d, struct err *e)
{
	struct buf line = BUF_INIT;

	if (a->active)
		authclient_cancel(a);
	strs_clear(&a->fields);
	buf_clear(&a->user);
	if (!mech_name_ok(mech)) {
		err_esc(e, ST_DATA, "5.5.4", "malformed mechanism name");
		return AUTH_FAIL;
	}
	a->id = a->next_id++;
	if (a->next_id == 0)
		a->next_id = 1;
	request_line(&line, a, mech, f, resp);
	if (line.n > LINE_OUT_MAX) {
		buf_wipe(&line);
		err_esc(e, ST_DATA, "5.5.6", "authentication data is too long");
		return AUTH_FAIL;
	}
	if (send_line(&a->s, &line, d, e) < 0)
		return AUTH_TEMP;
	return wait_reply(a, challenge_r, d, e);
}

enum auth_result
authclient_continue(struct authclient *a, struct span resp,
		    struct buf *challenge_r, deadline_t d, struct err *e)
{
	struct buf line = BUF_INIT;

	if (!a->active) {
		err_set(e, ST_SOFTWARE, "no authentication is going on");
		return AUTH_TEMP;
	}
	buf_addf(&line, "CONT\t%lu\t", (unsigned long)a->id);
	base64_encode(&line, resp);
	buf_addc(&line, '\n');
	if (line.n > LINE_OUT_MAX) {
		buf_wipe(&line);
		authclient_cancel(a);
		err_esc(e, ST_DATA, "5.5.6", "authentication data is too long");
		return AUTH_FAIL;
	}
	if (send_line(&a->s, &line, d, e) < 0) {
		a->active = false;
		return AUTH_TEMP;
	}
	return wait_reply(a, challenge_r, d, e);
}

const char *
authclient_user(const struct authclient *a)
{
	return buf_str(&a->user);
}

uint32_t
authclient_id(const struct authclient *a)
{
	return a->id;
}

void
authclient_cancel(struct authclient *a)
{
	/* Sent with the next flush; a reply that crosses it has an old id. */
	if (a->active)
		stream_printf(&a->s, "CANCEL\t%lu\n", (unsigned long)a->id);
	a->active = false;
}
