/*
 * session.c - the transaction state: the loop, the table of commands.
 * RFC 1939 5; RFC 2449.
 */
#include "conf.h"
#include "lang.h"
#include "log.h"
#include "maildir_root.h"
#include "mem.h"
#include "pop3.h"
#include "status.h"

#include <stdlib.h>
#include <unistd.h>

#define BAD_COMMANDS 20

void
pop3_ok(struct pop3 *s, const char *text)
{
	if (text != NULL)
		stream_printf(s->st, "+OK %s\r\n", text);
	else
		stream_puts(s->st, "+OK\r\n");
}

void
pop3_err(struct pop3 *s, const char *text)
{
	stream_printf(s->st, "-ERR %s\r\n", text);
}

size_t
pop3_index(const struct pop3 *s, const struct message *m)
{
	return (size_t)(m - s->mb->v);
}

struct message *
pop3_message(struct pop3 *s, struct command *c)
{
	struct span arg;
	uint32_t n;

	if (!command_arg(c, &arg) || !command_number(arg, &n)) {
		pop3_err(s, "The number of a message is expected");
	} else if (n == 0 || n > s->mb->n) {
		stream_printf(s->st,
			      "-ERR There's no message %lu, the last one is "
			      "%zu\r\n",
			      (unsigned long)n, s->mb->n);
	} else if (s->marks[n - 1] & MARK_DELETED) {
		pop3_err(s, "The message is marked to be deleted");
	} else {
		return &s->mb->v[n - 1];
	}
	return NULL;
}

void
pop3_capabilities(struct buf *b)
{
	buf_adds(b, "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
		    "PIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\n"
		    "LANG\r\nIMPLEMENTATION mx\r\n");
}

static void
cmd_capa(struct pop3 *s, struct command *c)
{
	struct buf b = BUF_INIT;

	(void)c;
	pop3_capabilities(&b);
	stream_printf(s->st, "+OK\r\n%s.\r\n", buf_str(&b));
	buf_free(&b);
}

static void
cmd_noop(struct pop3 *s, struct command *c)
{
	(void)c;
	pop3_ok(s, NULL);
}

static void
cmd_lang(struct pop3 *s, struct command *c)
{
	lang_answer(s->st, c);
}

static void
cmd_earlier(struct pop3 *s, struct command *c)
{
	(void)c;
	pop3_err(s, "You are logged in");
}

static const struct {
	const char *word;
	void (*run)(struct pop3 *s, struct command *c);
} commands[] = {
	{ "CAPA", cmd_capa },    { "STAT", cmd_stat },
	{ "LIST", cmd_list },    { "UIDL", cmd_uidl },
	{ "RETR", cmd_retr },    { "TOP", cmd_top },
	{ "DELE", cmd_dele },    { "RSET", cmd_rset },
	{ "NOOP", cmd_noop },    { "QUIT", cmd_quit },
	{ "USER", cmd_earlier }, { "PASS", cmd_earlier },
	{ "AUTH", cmd_earlier }, { "STLS", cmd_earlier },
	{ "UTF8", cmd_earlier }, { "LAST", cmd_last },
	{ "LANG", cmd_lang },
};

static void
run(struct pop3 *s, struct span line)
{
	struct command c;

	if (command_parse(&c, line)) {
		for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
			if (span_iis(c.word, commands[i].word)) {
				commands[i].run(s, &c);
				return;
			}
		}
	}
	s->over = ++s->bad_commands >= BAD_COMMANDS;
	pop3_err(s, s->over ? "Too many bad commands" : "Unknown command");
}

/* True: QUIT. */
static bool
talk(struct pop3 *s)
{
	struct span line;

	while (!s->over) {
		enum io_result r = front_next_line(
		    s->st, POP3_LINE_MAX, &line, clock_deadline(POP3_IDLE_MS));

		if (r == IO_TOOLONG)
			pop3_err(s, "Line too long");
		else if (r == IO_TIMEOUT)
			pop3_err(s, io_stop ? "[SYS/TEMP] Shutting down"
					    : "Idle for too long");
		if (r != IO_OK)
			return false;
		run(s, line);
	}
	return s->bad_commands < BAD_COMMANDS;
}

static void
log_end(const struct pop3 *s, bool quit)
{
	log_info(
	    "%s: Disconnected%s: top=%llu/%llu, retr=%llu/%llu, "
	    "del=%llu/%zu, size=%llu",
	    s->user, quit ? ": Logged out" : "",
	    (unsigned long long)s->top_count, (unsigned long long)s->top_bytes,
	    (unsigned long long)s->retr_count,
	    (unsigned long long)s->retr_bytes, (unsigned long long)s->removed,
	    s->mb->n, (unsigned long long)s->removed_size);
}

void
pop3_run(struct stream *st, const char *user, const char *root_path, bool utf8,
	 bool greet)
{
	struct pop3 s = { .st = st, .user = user, .utf8 = utf8 };
	struct err e = ERR_INIT;
	int root = maildir_root_open(root_path, &e);
	bool quit;

	if (root >= 0)
		s.mb = mailbox_select(root, "INBOX", conf.no_flag_updates, NULL,
				      &e);
	/* RFC 1939 7: a unique id stays; these would not */
	if (s.mb != NULL && s.mb->unsticky) {
		mailbox_close(s.mb);
		s.mb = NULL;
		err_set(&e, ST_TEMPFAIL,
			"INBOX: no message has a UID, and none can be written");
	}
	if (s.mb == NULL) {
		log_error("%s: %s", user, e.text);
		pop3_err(&s, "[SYS/TEMP] The mailbox cannot be opened; see "
			     "the server's log");
	} else {
		s.marks = mem_alloc(s.mb->n + 1, 1);
		pop3_ok(&s,
			greet ? "mx ready, you are logged in" : "Logged in");
		quit = talk(&s);
		pop3_seen(&s);
		log_end(&s, quit);
	}
	(void)!stream_flush(st, clock_deadline(FRONT_WRITE_MS));
	mailbox_close(s.mb);
	free(s.marks);
	io_close(&root);
}
