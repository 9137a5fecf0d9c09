/*
 * session.c - the loop: reads a line, finds the command's row, checks, calls,
 * writes the one reply.  THREATS 5 to 8, 12, 13, 31, 32.
 */
#include "session.h"

#include "cmd.h"
#include "complete.h"
#include "dns_link.h"
#include "explain.h"
#include "footer.h"
#include "link.h"
#include "local.h"
#include "log.h"
#include "mem.h"
#include "milters.h"
#include "pregreet.h"
#include "rates.h"
#include "restrict.h"
#include "status.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_AUTH 12288 /* RFC 4954 4 */
#define SKIP_MAX 1000000    /* of an endless line, before we close */

/* The text may hold several lines, joined with LF; the loop frees it. */
struct reply
reply_make(int code, const char *esc, const char *fmt, ...)
{
	struct reply r = { .code = code, .esc = esc };
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&r.text, fmt, ap);
	va_end(ap);
	return r;
}

struct reply
reply_syntax(const char *syntax)
{
	return reply_make(501, "5.5.4", "Syntax: %s", syntax);
}

/* Nobody from a network: a pipe, a terminal, a unix socket. It frees from TLS
 * and counters, never from the question who may relay (THREATS 16). */
bool
session_is_local(const struct session *s)
{
	/* XCLIENT ADDR=[UNAVAILABLE] is of the network, too */
	return !s->conn->has_peer && s->peer_addr[0] == '\0';
}

/* Only where an address is known. A table that is away is no network of ours.
 */
bool
session_in_mynetworks(const struct session *s)
{
	struct err e = ERR_INIT;

	return s->conn->has_peer &&
	       match_lookup(s->conf->mynetworks, span_of(s->conn->addr), &e) ==
		   TABLE_FOUND;
}

const char *
session_proto(const struct session *s)
{
	return s->lmtp ? "LMTP" : s->esmtp ? "ESMTP" : "SMTP";
}

bool
session_cert(const struct session *s, struct tls_facts *f)
{
	return !s->tls_of_proxy && tls_facts(&s->s, f) &&
	       f->peer_fingerprint[0] != '\0';
}

bool
session_client_cert(const struct session *s, bool any)
{
	struct tls_facts f;
	struct buf v = BUF_INIT;
	struct err e = ERR_INIT;
	bool yes;

	if (!session_cert(s, &f))
		return false;
	if (any)
		return f.verified;
	/* The certificate's fingerprint, or its key's; a table that is away
	 * permits nobody. */
	yes =
	    tables_lookup(&s->conf->relay_clientcerts,
			  span_of(f.peer_fingerprint), &v, &e) == TABLE_FOUND ||
	    tables_lookup(&s->conf->relay_clientcerts,
			  span_of(f.peer_key_fingerprint), &v,
			  &e) == TABLE_FOUND;
	if (e.status != 0)
		log_warn("relay_clientcerts: %s", e.text);
	buf_free(&v);
	return yes;
}

int64_t
session_unknown_code(struct session *s, struct span domain)
{
	const struct conf *c = s->conf;
	const struct {
		const struct match_list *list;
		int64_t code;
	} rows[] = {
		{ c->virtual_alias_domains, c->p.code_unknown_alias },
		{ c->virtual_mailbox_domains, c->p.code_unknown_mailbox },
		{ c->mydestination, c->p.code_unknown_local },
		{ c->relay_domains, c->p.code_unknown_relay },
	};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (match_lookup(rows[i].list, domain, &e) == TABLE_FOUND)
			return rows[i].code;
	return c->p.code_unknown_local;
}

void
session_end_mail(struct session *s)
{
	/* THREATS 5: whatever ended it (a reply to the dot, RSET, EHLO,
	 * STARTTLS, an error), the milters and the delivery side forget it
	 * too, and nothing of it is there for the next MAIL. */
	milters_abort(s);
	link_abort(s);
	session_actions_clear(&s->actions);
	free(s->told_actions);
	s->told_actions = NULL;
	s->in_mail = false;
	addr_free(&s->sender);
	addr_free(&s->rcpt);
	buf_clear(&s->sender_text);
	buf_clear(&s->sender_parms);
	buf_clear(&s->rcpt_text);
	buf_clear(&s->first_rcpt);
	buf_free(&s->piece);
	s->utf8 = s->body8 = s->bdat = s->requiretls = false;
	buf_free(&s->lmtp_reply.text);
	s->lmtp_reply = (struct reply){ 0 };
	s->lmtp_left = 0;
	complete_free(&s->complete);
	shape_free(&s->shape);
	s->link_lost = s->logged = s->renamed = false;
	s->drop = DROP_NO;
	s->rcpts = 0;
	s->queue_id[0] = s->instance[0] = '\0';
	s->claimed = 0;
	s->data_start = s->data_bytes = 0;
}

void
session_forget(struct session *s)
{
	session_end_mail(s);
	cmd_xforward_reset(s);
	free(s->helo);
	free(s->auth_user);
	free(s->auth_method);
	s->helo = s->auth_user = s->auth_method = NULL;
	s->esmtp = false;
}

/* Codes and text of a reply as lines; a LF in the text begins another. */
static void
write_reply(struct session *s, const struct reply *r)
{
	struct span rest = buf_span(&r->text), line;

	if (r->code == 0)
		return;
	s->s.out_deadline = clock_deadline(s->conf->p.timeout);
	if (rest.n == 0)
		rest = SPAN("");
	while (span_split(&rest, '\n', &line)) {
		stream_printf(&s->s, "%d%c", r->code,
			      rest.p != NULL ? '-' : ' ');
		if (r->esc != NULL && r->esc[0] != '\0')
			stream_printf(&s->s, "%s ", r->esc);
		stream_write(&s->s, line.p, line.n);
		stream_write(&s->s, "\r\n", 2);
	}
	if (log_verbose > 0)
		log_debug("> %s: %d %s", s->who, r->code, buf_str(&r->text));
}

/* Replies are gathered while more commands lie in the buffer (RFC 2920 3.2);
 * here they go. */
static bool
flush(struct session *s)
{
	return stream_flush(&s->s, clock_deadline(s->conf->p.timeout)) == IO_OK;
}

/* Writes a reply, and then those of what it leads to.  False: end. */
static bool
answer(struct session *s, struct reply r, bool *good_r)
{
	for (;;) {
		struct reply (*then)(struct session *) = r.then;
		bool end = r.close;

		/* Counted here and nowhere else: no handler can forget it. */
		if (r.code >= 400) {
			s->errors++;
			/* Slow down who guesses (smtpd_soft_error_limit). */
			if (s->errors > s->conf->p.soft_error_limit && !end)
				usleep((useconds_t)s->conf->p.error_sleep *
				       1000);
			*good_r = false;
			footer_add(s, &r);
		}
		write_reply(s, &r);
		buf_free(&r.text);
		if (end) {
			(void)flush(s);
			return false;
		}
		if (then == NULL)
			return true;
		if (!flush(s))
			return false;
		r = then(s);
	}
}

/* How a session ends that the client or the clock ended. */
static struct reply
lost(struct session *s, enum io_result r)
{
	struct reply none = { .close = true };

	if (r == IO_TIMEOUT && server_stopping(s->server)) {
		return (struct reply){
			.code = 421,
			.esc = "4.3.2",
			.close = true,
			.text = reply_make(0, NULL, "%s Service shutting down",
					   s->conf->site.myhostname)
				    .text
		};
	}
	log_info("%s after %s from %s",
		 r == IO_TIMEOUT ? "timeout" : "lost connection", s->last_cmd,
		 s->who);
	if (r != IO_TIMEOUT)
		return none;
	none = reply_make(421, "4.4.2", "%s Error: timeout exceeded",
			  s->conf->site.myhostname);
	none.close = true;
	return none;
}

bool
session_line(struct session *s, size_t max, struct span *line_r,
	     struct reply *r)
{
	enum io_result io;

	/* The client waits for our replies before it says more. */
	if (span_chr(stream_buffered(&s->s), '\n') < 0 && !flush(s)) {
		*r = lost(s, IO_EOF);
		return false;
	}
	/* THREATS 31: one deadline a line, which no byte renews. */
	s->deadline = clock_deadline(s->conf->p.timeout);
	io = stream_line(&s->s, max, line_r, s->deadline);
	if (io == IO_TOOLONG) {
		/* THREATS 7: the tail is never a command. */
		io = stream_skip_line(&s->s, SKIP_MAX, s->deadline);
		*r = reply_make(500, "5.5.2", "Error: line too long");
		if (io == IO_TOOLONG)
			r->close = true;
		else if (io != IO_OK)
			goto gone;
		return false;
	}
	if (io == IO_OK) {
		if (line_r->n > 0 && line_r->p[line_r->n - 1] == '\r')
			line_r->n--;
		else if (s->conf->p.forbid_bare_lf == FORBID_LF_REJECT) {
			*r = reply_make(521, "5.5.2",
					"%s Error: bare <LF> received",
					s->conf->site.myhostname);
			r->close = true;
			return false;
		}
		return true;
	}
gone:
	buf_free(&r->text);
	*r = lost(s, io);
	return false;
}

bool
session_fill(struct session *s)
{
	deadline_t slow;
	size_t before = stream_buffered(&s->s).n;

	/* THREATS 31: a message may take smtpd_timeout and what its size needs
	 * at smtpd_min_data_rate, however its bytes are spread. */
	slow = s->data_start + s->conf->p.timeout +
	       s->data_bytes * 1000 / s->conf->p.min_data_rate;
	s->deadline = slow;
	enum io_result r = stream_fill(&s->s, s->deadline);

	if (r != IO_OK) {
		log_info("%s after %s (%lld bytes) from %s",
			 r == IO_TIMEOUT ? "timeout" : "lost connection",
			 s->last_cmd, (long long)s->data_bytes, s->who);
		return false;
	}
	s->data_bytes += (int64_t)(stream_buffered(&s->s).n - before);
	return true;
}

/* RFC 5321 2.4: verbs are of any case. */
static const struct command *
find_command(struct span word)
{
	for (size_t i = 0; i < session_ncommands; i++)
		if (span_iis(word, session_commands[i].word))
			return &session_commands[i];
	return NULL;
}

/* THREATS 12: HTTP, a header line: somebody else's protocol. */
static bool
is_foreign(const struct session *s, struct span word)
{
	return strs_ihas(&s->conf->p.forbidden_commands, word) ||
	       (word.n > 0 && word.p[word.n - 1] == ':') ||
	       (word.n > 0 && !ascii_isalpha(word.p[0]));
}

/* May the command run now?  True, or false and the reply. */
static bool
check_state(struct session *s, const struct command *c, struct reply *r)
{
	bool need_tls = s->conf->p.tls_level == TLS_LEVEL_ENCRYPT && !s->tls &&
			!session_is_local(s);

	/* RFC 3207 4: what may come before STARTTLS is in the table. */
	if (need_tls && !(c->states & WHEN_PRE_TLS)) {
		*r = reply_make(530, "5.7.0",
				"Must issue a STARTTLS command first");
		return false;
	}
	if ((c->states & WHEN_HELLO) && s->helo == NULL) {
		*r = reply_make(503, "5.5.1", "Error: send HELO/EHLO first");
		return false;
	}
	if ((c->states & WHEN_NO_MAIL) && s->in_mail) {
		*r = reply_make(503, "5.5.1",
				strcmp(c->word, "MAIL") == 0
				    ? "Error: nested MAIL command"
				    : "Error: MAIL transaction in progress");
		return false;
	}
	if ((c->states & WHEN_MAIL) && !s->in_mail) {
		*r = reply_make(503, "5.5.1", "Error: need MAIL command");
		return false;
	}
	return true;
}

/* Too early: the client speaks without having seen our reply. */
static bool
check_pipelining(struct session *s, const struct command *c, struct reply *r)
{
	if (session_is_local(s) && server_single(s->server))
		return true;
	if ((s->esmtp && !(c->flags & CMD_LAST)) ||
	    stream_buffered(&s->s).n == 0 || s->unauth_pipelining)
		return true;
	if (strcmp(c->word, "STARTTLS") == 0)
		return true; /* it has an answer of its own */
	s->unauth_pipelining = true;
	struct span more = stream_buffered(&s->s);

	log_info("improper command pipelining after %s from %s: %.*s", c->word,
		 s->who, SPAN_ARG(span_sub(more, 0, 100)));
	if (!s->conf->p.forbid_unauth_pipe)
		return true;
	*r = reply_make(554, "5.5.0", "Error: SMTP protocol synchronization");
	r->close = true;
	return false;
}

void
session_count_junk(struct session *s)
{
	if (s->junk++ > s->conf->p.junk_command_limit)
		s->errors++;
}

/* smtpd_command_filter: another command in the place of the client's.  False:
 * nobody can say now, and *r is the reply. */
static bool
filter_command(struct session *s, struct span *line, struct reply *r)
{
	struct err e = ERR_INIT;
	struct span in = span_ltrim(*line);

	if (s->conf->command_filter.n == 0)
		return true;
	buf_clear(&s->filtered);
	switch (tables_lookup(&s->conf->command_filter, in, &s->filtered, &e)) {
	case TABLE_FOUND:
		log_info("%s: smtpd_command_filter: %.*s: %s", s->who,
			 SPAN_ARG(span_sub(in, 0, in.n < 100 ? in.n : 100)),
			 buf_str(&s->filtered));
		*line = buf_span(&s->filtered);
		return true;
	case TABLE_TRY_AGAIN:
		log_warn("smtpd_command_filter: %s", e.text);
		*r = reply_make(451, "4.3.0", "Temporary lookup failure");
		return false;
	default:
		return true;
	}
}

/* One command line to one reply. */
static struct reply
dispatch(struct session *s, struct span line, const struct command **c_r)
{
	struct span rest, word;
	const struct command *c;
	struct reply r;

	*c_r = NULL;
	if (log_verbose > 0)
		log_debug("< %s: %.*s", s->who, SPAN_ARG(line));
	if (!filter_command(s, &line, &r))
		return r;
	rest = line;
	if (!span_word(&rest, " \t", &word))
		return reply_make(500, "5.5.2", "Error: bad syntax");
	if (strs_ihas(&s->conf->p.noop_commands, word)) {
		session_count_junk(s);
		return reply_make(250, "2.0.0", "Ok");
	}
	c = find_command(word);
	if (c == NULL) {
		/* An unknown word is an error as others are: twenty of them
		 * end it. */
		s->unknown_cmds++;
		if (is_foreign(s, word)) {
			log_warn("non-SMTP command from %s: %.*s", s->who,
				 SPAN_ARG(span_sub(line, 0, 100)));
			r = reply_make(221, "2.7.0",
				       "Error: I can break rules, too. "
				       "Goodbye.");
			r.close = true;
			return r;
		}
		if (milters_unknown(s, line, &r))
			return r;
		return reply_make(500, "5.5.2",
				  "Error: command not recognized");
	}
	*c_r = c;
	s->last_cmd = c->word;
	/* THREATS 6: no control byte in any command. */
	if (memchr(line.p, '\0', line.n) != NULL ||
	    memchr(line.p, '\r', line.n) != NULL)
		return reply_make(500, "5.5.2", "Error: bad syntax");
	if (!(c->flags & CMD_LONG) &&
	    line.n + 2 > (size_t)s->conf->p.line_length_limit)
		return reply_make(500, "5.5.2", "Error: line too long");
	if (c->flags & CMD_JUNK)
		session_count_junk(s);
	if (!check_pipelining(s, c, &r) || !check_state(s, c, &r))
		return r;
	return c->fn(s, span_trim(rest));
}

static bool
too_many_errors(struct session *s)
{
	struct reply r;
	bool good;

	if (s->errors < s->conf->p.hard_error_limit)
		return false;
	log_info("too many errors after %s from %s", s->last_cmd, s->who);
	r = reply_make(421, "4.7.0", "%s Error: too many errors",
		       s->conf->site.myhostname);
	r.close = true;
	(void)answer(s, r, &good);
	return true;
}

static void
serve(struct session *s)
{
	struct span line;

	for (;;) {
		const struct command *c = NULL;
		struct reply r = { 0 };
		bool good = true, more;

		/* SIGTERM ends a session between transactions; one under way
		 * is finished first (DESIGN 3.1). */
		io_stoppable = !s->in_mail;
		bool got = session_line(s, LINE_MAX_AUTH, &line, &r);

		io_stoppable = false;
		if (got)
			r = dispatch(s, line, &c);
		more = answer(s, r, &good);
		if (c != NULL) {
			s->tried[c - session_commands]++;
			s->done[c - session_commands] += good;
		}
		if (!more || too_many_errors(s))
			return;
		if (server_stopping(s->server) && !s->in_mail) {
			(void)answer(s, lost(s, IO_TIMEOUT), &good);
			return;
		}
	}
}

/* Postfix's line: what was tried and what succeeded, by command. */
static void
log_disconnect(struct session *s)
{
	struct buf b = BUF_INIT;
	int done = 0, tried = s->unknown_cmds;

	for (size_t i = 0; i < session_ncommands; i++) {
		struct span word = span_of(session_commands[i].word);

		if (s->tried[i] == 0)
			continue;
		buf_addc(&b, ' ');
		for (size_t k = 0; k < word.n; k++)
			buf_addc(&b, ascii_tolower(word.p[k]));
		buf_addf(&b, "=%d", s->done[i]);
		if (s->done[i] != s->tried[i])
			buf_addf(&b, "/%d", s->tried[i]);
		done += s->done[i];
		tried += s->tried[i];
	}
	if (s->unknown_cmds > 0)
		buf_addf(&b, " unknown=0/%d", s->unknown_cmds);
	buf_addf(&b, " commands=%d", done);
	if (done != tried)
		buf_addf(&b, "/%d", tried);
	log_info("disconnect from %s%s", s->who, buf_str(&b));
	buf_free(&b);
}

/* One client too often, and not one that smtpd_client_event_limit_exceptions
 * lets in as often as it likes (by default mynetworks, as in Postfix). */
static bool
too_many(const struct session *s)
{
	struct err e = ERR_INIT;

	return s->conn->too_many &&
	       match_lookup(s->conf->limit_exceptions, span_of(s->conn->addr),
			    &e) != TABLE_FOUND;
}

struct reply
session_greeting(struct session *s)
{
	struct reply r;

	/* A rehearsal says first who the client is. */
	if (explain_on && !s->conn->has_peer)
		return reply_make(220, NULL, "rehearsal");
	if (restrict_connect(s, &r) || milters_connect(s, &r))
		return r;
	return reply_make(220, NULL, "%s", s->conf->p.banner);
}

static void
greet(struct session *s)
{
	struct reply r = { 0 };
	bool good;

	if (s->conf->submit && !local_begin(s, &r)) {
		log_warn("mode submit is for a unix socket: %s sent away",
			 s->who);
	} else if (too_many(s)) {
		log_warn("Connection concurrency limit exceeded: %d from %s "
			 "for service %s",
			 s->conn->count, s->who, s->conf->mode->name);
		r = reply_make(421, "4.7.0",
			       "%s Error: too many connections from %s",
			       s->conf->site.myhostname, s->conn->addr);
		r.close = true;
	} else if (rates_over(s, RATE_CONNECT, &r) || pregreet_check(s, &r))
		;
	else if (s->conf->implicit_tls && !explain_on &&
		 (r = cmd_tls_handshake(s)).close)
		;
	else
		r = session_greeting(s);
	if (answer(s, r, &good))
		serve(s);
}

void
session_run(struct server *server, struct server_conn *conn)
{
	struct session s = { .server = server,
			     .conn = conn,
			     .conf = conf_of(conn->mode),
			     .client_name = "unknown",
			     .last_cmd = "CONNECT" };

	s.done = mem_alloc(session_ncommands, sizeof(int));
	s.tried = mem_alloc(session_ncommands, sizeof(int));
	stream_init(&s.s, conn->fd_in, conn->fd_out);
	s.s.out_deadline = clock_deadline(s.conf->p.timeout);
	s.lmtp = s.conf->lmtp;
	/* PROXY first: only then is it known who connected; peer_addr keeps
	 * who that was, whatever XCLIENT says later. */
	if (cmd_proxy(&s)) {
		if (conn->has_peer)
			snprintf(s.peer_addr, sizeof(s.peer_addr), "%s",
				 conn->addr);
		dns_link_client_name(&s);
		cmd_xclient_who(&s);
		/* Postfix's pickup tells of messages alone */
		log_role(s.conf->submit ? "pickup" : "smtpd");
		if (!s.conf->submit)
			log_info("connect from %s", s.who);
		greet(&s);
	}
	session_forget(&s);
	milters_close(&s);
	session_actions_clear(&s.lasting);
	dns_link_forget();
	if (s.who[0] != '\0' && !s.conf->submit)
		log_disconnect(&s);
	/* The descriptors go with the stream. */
	stream_close(&s.s);
	conn->fd_in = conn->fd_out = -1;
	buf_free(&s.sender_text);
	buf_free(&s.sender_parms);
	buf_free(&s.rcpt_text);
	buf_free(&s.first_rcpt);
	buf_free(&s.filtered);
	free(s.name_mem);
	free(s.reverse_name);
	free(s.pregreet);
	free(s.done);
	free(s.tried);
}
