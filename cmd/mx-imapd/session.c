/*
 * session.c - the loop of a session: reads a command, finds its row, runs it,
 * says what changed, writes the one tagged line.
 */
#include "imap.h"
#include "capability.h"
#include "conf.h"
#include "context.h"
#include "front.h"
#include "log.h"
#include "maildir_root.h"
#include "mem.h"
#include "notify.h"
#include "status.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WRITE_MS (5 * 60 * 1000)
#define BAD_COMMANDS 20
#define FIRST_PROGRESS_MS 5000

struct result
result_ok(const char *text)
{
	return RESULT(RESULT_OK, NULL, text);
}

struct result
result_no(const char *code, const char *text)
{
	return RESULT(RESULT_NO, code, text);
}

struct result
result_bad(struct session *s)
{
	return RESULT(RESULT_BAD, s->p.code,
		      s->p.bad != NULL ? s->p.bad : "Invalid arguments");
}

/* RFC 5530: what the client may make of it.  A full disk is OVERQUOTA, as
 * Dovecot says it: what helps is to remove something. */
static const char *
code_of(const struct err *e)
{
	if (e->full)
		return "OVERQUOTA";
	switch (e->status) {
	case ST_DATA:
		return "CANNOT";
	case ST_NOINPUT:
		return "NONEXISTENT";
	case ST_NOPERM:
		return "NOPERM";
	case ST_TEMPFAIL:
	case ST_OSERR:
	case ST_IOERR:
		return "UNAVAILABLE";
	default:
		return NULL;
	}
}

struct result
result_err(struct session *s, const struct err *e)
{
	buf_clear(&s->words);
	buf_adds(&s->words, e->text);
	/* A line of ours is ASCII whatever a name held. */
	for (size_t i = 0; i < s->words.n; i++)
		if ((unsigned char)s->words.p[i] < 0x20 ||
		    (unsigned char)s->words.p[i] >= 0x7f)
			s->words.p[i] = '?';
	if (e->status != ST_DATA && e->status != ST_NOINPUT)
		log_error("%s: %s", s->user, e->text);
	return RESULT(RESULT_NO, code_of(e), buf_str(&s->words));
}

const struct command *
command_find(const struct command *rows, struct span word)
{
	for (const struct command *c = rows; c->word != NULL; c++)
		if (span_iis(word, c->word))
			return c;
	return NULL;
}

static struct result
unknown(struct session *s, const char *text)
{
	if (++s->bad_commands >= s->bad_limit) {
		s->say_bye = true;
		return RESULT(RESULT_BYE, NULL, "Too many bad commands");
	}
	return RESULT(RESULT_BAD, NULL, text);
}

/* The row and the tag of what was read; NULL with a result. */
static const struct command *
which(struct session *s, struct span *tag_r, struct result *r)
{
	struct span word;
	const struct command *c;

	parse_init(&s->p, buf_span(&s->text));
	*tag_r = SPAN("*");
	s->uid = false;
	if (!parse_tag(&s->p, tag_r) || !parse_sp(&s->p)) {
		*tag_r = SPAN("*");
		*r = unknown(s, "Invalid tag");
		return NULL;
	}
	if (!parse_atom(&s->p, &word)) {
		*r = unknown(s, "Missing command");
		return NULL;
	}
	if (span_iis(word, "UID")) {
		s->uid = true;
		if (!parse_sp(&s->p) || !parse_atom(&s->p, &word)) {
			*r = unknown(s, "Missing command");
			return NULL;
		}
	}
	c = command_find(s->rows, word);
	if (c == NULL || (s->uid && !(c->flags & (CMD_UID | CMD_ONLY_UID))) ||
	    (!s->uid && (c->flags & CMD_ONLY_UID))) {
		*r = unknown(s, "Unknown command");
		return NULL;
	}
	if (!(c->states & (unsigned)s->state)) {
		*r = RESULT(RESULT_BAD, NULL,
			    c->states == STATE_SELECTED ? "No mailbox selected"
							: "Not now");
		return NULL;
	}
	/* RFC 9586 3.1 */
	if ((c->flags & CMD_NUMBERS) && !s->uid &&
	    (s->enabled & ENABLED_UIDONLY)) {
		*r = RESULT(RESULT_BAD, "UIDREQUIRED",
			    "Message numbers are not used any more");
		return NULL;
	}
	return c;
}

static void
write_tagged(struct session *s, struct span tag, const struct result *r)
{
	static const char *const words[] = { "OK", "NO", "BAD", "BAD" };

	stream_printf(s->st, "%.*s %s ", SPAN_ARG(tag), words[r->kind]);
	if (r->code != NULL)
		stream_printf(s->st, "[%s] ", r->code);
	stream_printf(s->st, "%s\r\n", r->text);
}

/* Looks for news where the command leaves room for them. */
static void
news(struct session *s)
{
	struct err e = ERR_INIT;
	/* RFC 7162 3.2.10.2, RFC 9051 7.5.1: what is searched by number is
	 * answered before numbers move */
	bool expunge =
	    !(s->cmd->flags & CMD_NO_EXPUNGE) || (s->uid && !s->numbers);

	if (s->mb == NULL || (s->cmd->flags & CMD_NO_SYNC))
		return;
	if (mailbox_sync(s->mb, &e) != 0)
		log_error("%s: %s: %s", s->user, s->mb->name, e.text);
	if (s->mb->dead) {
		s->say_bye = true;
		stream_puts(s->st, "* BYE The mailbox was replaced\r\n");
		return;
	}
	notify_report(s, expunge, (s->cmd->flags & CMD_OWN) != 0);
	context_update(s);
}

/* DESIGN law 1: what is acknowledged is on the disk; see mail_fsync. */
static struct result
durable(struct session *s, struct result r)
{
	struct err e = ERR_INIT;
	bool due =
	    conf.fsync == FSYNC_ALWAYS ||
	    (conf.fsync == FSYNC_OPTIMIZED && (s->cmd->flags & CMD_FLAGS) != 0);

	if (s->mb == NULL || !due || mailbox_sync_names(s->mb, &e) == 0)
		return r;
	return r.kind == RESULT_OK ? result_err(s, &e) : r;
}

bool
session_one(struct session *s)
{
	struct result r = { RESULT_OK, NULL, NULL };
	struct span tag;
	enum io_result io;

	/* Commands that came together are answered together. */
	if (span_chr(stream_buffered(s->st), '\n') < 0 &&
	    stream_flush(s->st, clock_deadline(WRITE_MS)) != IO_OK)
		return false;
	notify_wait(s);
	if (s->say_bye) {
		stream_puts(s->st, "* BYE The mailbox was replaced\r\n");
		return false;
	}
	io = input_command(s, s->max, &r);

	if (io == IO_TIMEOUT)
		stream_puts(s->st, io_stop ? "* BYE Shutting down\r\n"
					   : "* BYE Idle for too long\r\n");
	if (io != IO_OK)
		return false;
	s->st->out_deadline = clock_deadline(WRITE_MS);
	if (r.text != NULL) {
		/* refused while it was read: the tag is all that counts */
		parse_init(&s->p, buf_span(&s->text));
		if (!parse_tag(&s->p, &tag))
			tag = SPAN("*");
		if (r.kind != RESULT_BYE)
			write_tagged(s, tag, &r);
	} else if ((s->cmd = which(s, &tag, &r)) == NULL) {
		if (r.kind != RESULT_BYE)
			write_tagged(s, tag, &r);
	} else {
		buf_clear(&s->tag);
		buf_addspan(&s->tag, tag);
		s->progress_at = clock_deadline(FIRST_PROGRESS_MS);
		s->downward = false;
		s->numbers = false;
		s->lowest = 0;
		if (s->cmd->flags & CMD_NAMES)
			notify_own_names(s, true);
		r = durable(s, s->cmd->run(s));
		if (s->cmd->flags & CMD_NAMES)
			notify_own_names(s, false);
		if (s->has_literal && !s->say_bye)
			r = cmd_literal_left(s, r);
		news(s);
		if (r.text != NULL)
			write_tagged(s, buf_span(&s->tag), &r);
	}
	if (r.kind == RESULT_BYE && r.text != NULL)
		stream_printf(s->st, "* BYE %s\r\n", r.text);
	if (s->then != NULL) {
		then_fn *then = s->then;

		s->then = NULL;
		then(s);
	}
	return !s->say_bye && s->state != STATE_LOGOUT;
}

void
session_done(struct session *s)
{
	context_drop_all(s);
	notify_done(s);
	mailbox_close(s->mb);
	buf_free(&s->text);
	buf_free(&s->code);
	buf_free(&s->words);
	buf_free(&s->tag);
	set_free(&s->saved);
	if (s->root >= 0)
		close(s->root);
	free(s->root_path);
}

int
session_run(struct stream *st, const char *user, const char *path, bool greet)
{
	struct session s = { .st = st,
			     .state = STATE_AUTH,
			     .user = user,
			     .rows = session_commands,
			     .max = IMAP_COMMAND_MAX,
			     .alone = greet,
			     .bad_limit = BAD_COMMANDS,
			     .until = DEADLINE_NEVER };
	struct err e = ERR_INIT;
	int status = ST_OK;

	st->out_deadline = clock_deadline(WRITE_MS);
	(void)malloc_trim(0); /* the sandbox's rules */
	s.root_path = mem_strdup(path);
	s.root = maildir_root_open(path, &e);
	if (s.root < 0) {
		log_error("%s: %s", user, e.text);
		stream_puts(st, "* BYE [UNAVAILABLE] The mailbox cannot be "
				"opened; see the server's log\r\n");
		status = ST_TEMPFAIL;
	} else {
		if (greet)
			stream_printf(st,
				      "* PREAUTH [CAPABILITY %s] Logged in\r\n",
				      capability_words(&s.words, false));
		while (session_one(&s))
			;
	}
	(void)!stream_flush(st, clock_deadline(WRITE_MS));
	session_done(&s);
	if (s.again)
		front_again(st);
	return status;
}
