/*
 * session.c - commands behind the login.  RFC 5804 2.4 to 2.14.
 */
#include "conf.h"
#include "log.h"
#include "sieved.h"
#include "status.h"

#include <stdio.h>

#define LINE_BYTES 8192
#define IDLE_MS (30 * 60 * 1000) /* RFC 5804 1.2: at least 30 minutes */
#define BAD_COMMANDS 20
#define SCRIPT_MAX (64u << 20)

struct session {
	struct stream *st;
	const char *user;
	struct store *store;
	struct command c;
	int bad_commands;
	bool over, again;
	bool front; /* one stands before us, to go back to */
};

static void
ok(struct session *s, const char *text)
{
	sieved_reply(s->st, "OK", NULL, span_of(text));
}

static void
no(struct session *s, const char *code, const char *text)
{
	sieved_reply(s->st, "NO", code, span_of(text));
}

/* What the store says, in the protocol's words. */
static void
answer(struct session *s, enum store_result k, const struct err *e,
       const char *done)
{
	static const struct {
		const char *code, *text;
	} rows[] = {
		[STORE_NONEXISTENT] = { "NONEXISTENT", "There is no script by "
						       "that name" },
		[STORE_EXISTS] = { "ALREADYEXISTS",
				   "There is a script by that name" },
		[STORE_ACTIVE] = { "ACTIVE", "The active script cannot be "
					     "deleted: deactivate it first" },
		[STORE_BAD_NAME] = { NULL, "A script cannot have that name" },
		[STORE_TOO_BIG] = { "QUOTA/MAXSIZE",
				    "The script is larger than the server "
				    "takes" },
		[STORE_TOO_MANY] = { "QUOTA/MAXSCRIPTS", "You have too many "
							 "scripts" },
		[STORE_FULL] = { "QUOTA", "There is no room for the script" },
		[STORE_TEMP] = { "TRYLATER", "The server cannot do it now; see "
					     "its log" },
	};

	if (k == STORE_OK) {
		ok(s, done);
		return;
	}
	if (k == STORE_TEMP)
		log_error("%s: %s", s->user, e->text);
	no(s, rows[k].code, rows[k].text);
}

/* RFC 5804 1.7: OWNER only behind the login; SASL and STARTTLS only before
 * it. */
static void
cmd_capability(struct session *s)
{
	sieved_capabilities(s->st);
	stream_puts(s->st, "\"OWNER\" ");
	sieved_string(s->st, span_of(s->user));
	stream_puts(s->st, "\r\n");
	if (s->front)
		stream_puts(s->st, "\"UNAUTHENTICATE\"\r\n");
	ok(s, "Capability completed");
}

/* RFC 5804 2.5: a word about now, and no promise. */
static void
cmd_havespace(struct session *s)
{
	struct err e = ERR_INIT;

	answer(s,
	       store_space(s->store, command_span(&s->c, 1),
			   s->c.args[2].number, &e),
	       &e, "There is room for it");
}

/* Compiles what was written; false: the client was told why not. */
static bool
compiles(struct session *s, const char *path, struct span name,
	 struct buf *warnings)
{
	int status = sieved_check(path, name, warnings);

	if (status == ST_OK)
		return true;
	if (status == ST_DATA)
		sieved_reply(s->st, "NO", NULL,
			     warnings->n > 0 ? buf_span(warnings)
					     : SPAN("The script is wrong"));
	else
		no(s, "TRYLATER", "The script cannot be checked now");
	return false;
}

/* RFC 5804 1.3, WARNINGS: the script is taken all the same. */
static void
done(struct session *s, const struct buf *warnings, const char *text)
{
	if (warnings->n > 0)
		sieved_reply(s->st, "OK", "WARNINGS", buf_span(warnings));
	else
		ok(s, text);
}

/* RFC 5804 2.6: a script that is wrong leaves the one before it as it was.  So
 * it is written, compiled where it lies, and only then renamed. */
static void
put(struct session *s, struct span name, struct span text, bool keep)
{
	struct err e = ERR_INIT;
	struct deposit d;
	struct buf path = BUF_INIT, warnings = BUF_INIT;
	enum store_result k;

	k = store_write(s->store, &d, text, &path, &e);
	if (k != STORE_OK) {
		answer(s, k, &e, NULL);
	} else if (!compiles(s, buf_str(&path), name, &warnings)) {
		deposit_abort(&d);
	} else if (!keep) {
		deposit_abort(&d);
		done(s, &warnings, "The script is right");
	} else {
		k = store_commit(s->store, &d, name, &e);
		if (k == STORE_OK) {
			log_info("%s: script \"%.*s\" stored", s->user,
				 SPAN_ARG(name));
			done(s, &warnings, "Stored");
		} else {
			answer(s, k, &e, NULL);
		}
	}
	buf_free(&path);
	buf_free(&warnings);
}

static void
cmd_putscript(struct session *s)
{
	struct span name = command_span(&s->c, 1);
	struct span text = command_span(&s->c, 2);
	struct err e = ERR_INIT;
	enum store_result k = store_space(s->store, name, text.n, &e);

	if (k != STORE_OK)
		answer(s, k, &e, NULL);
	else
		put(s, name, text, true);
}

/* RFC 5804 2.12: as PUTSCRIPT, and nothing is kept; the quota of scripts is not
 * asked. */
static void
cmd_checkscript(struct session *s)
{
	struct span text = command_span(&s->c, 1);

	if (s->store->max_size > 0 && text.n > (uint64_t)s->store->max_size)
		answer(s, STORE_TOO_BIG, NULL, NULL);
	else
		put(s, SPAN("script"), text, false);
}

/* RFC 5804 1.4: one script at most is active. */
static void
list_one(void *ctx, struct span name, bool active)
{
	struct session *s = ctx;

	sieved_string(s->st, name);
	stream_puts(s->st, active ? " ACTIVE\r\n" : "\r\n");
}

static void
cmd_listscripts(struct session *s)
{
	struct err e = ERR_INIT;
	int r = store_each(s->store, list_one, s, &e);

	answer(s, r == 0 ? STORE_OK : STORE_TEMP, &e, "Listscripts completed");
}

static void
cmd_setactive(struct session *s)
{
	struct err e = ERR_INIT;
	struct span name = command_span(&s->c, 1);
	struct buf text = BUF_INIT, said = BUF_INIT;
	enum store_result k = STORE_OK;
	struct buf path = BUF_INIT;

	/* RFC 5804 2.8: "" is none.  What is active compiles: a file may have
	 * come by other ways. */
	if (name.n > 0)
		k = store_get(s->store, name, &text, &e);
	store_path(s->store, name, &path);
	if (k == STORE_OK && name.n > 0 &&
	    !compiles(s, buf_str(&path), name, &said))
		goto out;
	if (k == STORE_OK)
		k = store_activate(s->store, name, &e);
	if (k == STORE_OK)
		log_info("%s: script \"%.*s\" is active", s->user,
			 SPAN_ARG(name));
	answer(s, k, &e, name.n > 0 ? "Active" : "No script is active");
out:
	buf_free(&path);
	buf_free(&text);
	buf_free(&said);
}

static void
cmd_getscript(struct session *s)
{
	struct err e = ERR_INIT;
	struct buf text = BUF_INIT;
	enum store_result k =
	    store_get(s->store, command_span(&s->c, 1), &text, &e);

	if (k == STORE_OK) {
		stream_printf(s->st, "{%zu}\r\n", text.n);
		stream_write(s->st, text.p, text.n);
		stream_puts(s->st, "\r\n");
	}
	answer(s, k, &e, "Getscript completed");
	buf_free(&text);
}

/* RFC 5804 2.10: never the active one. */
static void
cmd_deletescript(struct session *s)
{
	struct err e = ERR_INIT;

	answer(s, store_delete(s->store, command_span(&s->c, 1), &e), &e,
	       "Deleted");
}

/* RFC 5804 2.11: an active script stays active under its new name. */
static void
cmd_renamescript(struct session *s)
{
	struct err e = ERR_INIT;

	answer(s,
	       store_rename(s->store, command_span(&s->c, 1),
			    command_span(&s->c, 2), &e),
	       &e, "Renamed");
}

/* RFC 5804 2.13: the string comes back, so that a client knows where it is. */
static void
cmd_noop(struct session *s)
{
	if (s->c.n == 1) {
		ok(s, "Done");
		return;
	}
	stream_puts(s->st, "OK (TAG ");
	sieved_string(s->st, command_span(&s->c, 1));
	stream_puts(s->st, ") \"Done\"\r\n");
}

static void
cmd_logout(struct session *s)
{
	s->over = true;
	ok(s, "Logging out");
}

static void
cmd_unauthenticate(struct session *s)
{
	/* it never fails (RFC 5804 2.14.1); what came with it goes back to the
	 * front, for nobody's ears */
	s->over = s->again = true;
	ok(s, "You are nobody now");
}

static void
cmd_earlier(struct session *s)
{
	no(s, NULL, "You are logged in");
}

static const struct {
	const char *word, *shape;
	void (*run)(struct session *s);
} commands[] = {
	{ "CAPABILITY", "", cmd_capability },
	{ "HAVESPACE", "sn", cmd_havespace },
	{ "PUTSCRIPT", "ss", cmd_putscript },
	{ "CHECKSCRIPT", "s", cmd_checkscript },
	{ "LISTSCRIPTS", "", cmd_listscripts },
	{ "SETACTIVE", "s", cmd_setactive },
	{ "GETSCRIPT", "s", cmd_getscript },
	{ "DELETESCRIPT", "s", cmd_deletescript },
	{ "RENAMESCRIPT", "ss", cmd_renamescript },
	{ "NOOP", "s?", cmd_noop },
	{ "LOGOUT", "", cmd_logout },
	{ "UNAUTHENTICATE", "", cmd_unauthenticate },
	{ "AUTHENTICATE", "ss?", cmd_earlier },
	{ "STARTTLS", "", cmd_earlier },
};

static void
bad(struct session *s, const char *text)
{
	if (++s->bad_commands < BAD_COMMANDS) {
		no(s, NULL, text);
		return;
	}
	s->over = true;
	sieved_reply(s->st, "BYE", NULL, SPAN("Too many bad commands"));
}

static void
run(struct session *s)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!command_is(&s->c, commands[i].word))
			continue;
		if (command_shape(&s->c, commands[i].shape))
			commands[i].run(s);
		else
			bad(s, "Wrong arguments");
		return;
	}
	bad(s, "Unknown command");
}

static void
step(struct session *s)
{
	struct limits l = { .line = LINE_BYTES,
			    .script = s->store->max_size > 0
					  ? (uint64_t)s->store->max_size
					  : SCRIPT_MAX,
			    .until = clock_deadline(IDLE_MS) };

	switch (sieved_read(s->st, &s->c, &l)) {
	case READ_OK:
		run(s);
		return;
	case READ_BAD:
		bad(s, "No command of ManageSieve");
		return;
	case READ_TOO_BIG:
		answer(s, STORE_TOO_BIG, NULL, NULL);
		return;
	case READ_TOO_LONG:
		sieved_reply(s->st, "BYE", NULL, SPAN("Command too long"));
		break;
	case READ_TIMEOUT:
		sieved_reply(s->st, "BYE", io_stop ? "TRYLATER" : NULL,
			     io_stop ? SPAN("Shutting down")
				     : SPAN("Idle for too long"));
		break;
	case READ_GONE:
		break;
	}
	s->over = true;
}

void
sieved_run(struct stream *st, const char *user, struct store *store, bool greet)
{
	struct session s = {
		.st = st, .user = user, .store = store, .front = !greet
	};

	if (greet)
		cmd_capability(&s);
	else
		ok(&s, "Logged in");
	while (!s.over)
		step(&s);
	if (s.again && !greet)
		front_again(st);
	(void)!stream_flush(st, clock_deadline(FRONT_WRITE_MS));
	command_clear(&s.c);
}
