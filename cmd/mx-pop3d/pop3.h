/*
 * pop3.h - a POP3 session after the login, and what its commands share.
 * RFC 1939: the numbers of messages stand for the whole session; nothing is
 * removed before QUIT.
 */
#ifndef POP3D_POP3_H
#define POP3D_POP3_H

#include "command.h"
#include "io.h"
#include "mailbox.h"

#define POP3_LINE_MAX 512 /* RFC 2449 4 says 255 */
#define POP3_IDLE_MS (10 * 60 * 1000)

enum { MARK_DELETED = 1, MARK_SEEN = 2 };

struct pop3 {
	struct stream *st;
	const char *user;
	struct mailbox *mb;
	uint8_t *marks; /* of each message */
	size_t deleted; /* messages marked */
	size_t last;    /* the highest number that RETR gave out */
	bool utf8;      /* the client gave UTF8 before its login */
	bool over;      /* the session ends behind this command */
	int bad_commands;
	/* for the log's last line */
	uint64_t top_count, top_bytes, retr_count, retr_bytes;
	uint64_t removed, removed_size;
};

/* A session on this stream; returns when it is over. */
void pop3_run(struct stream *st, const char *user, const char *root, bool utf8,
	      bool greet);

/* One reply a command: "+OK text", or "-ERR text" and true. */
void pop3_ok(struct pop3 *s, const char *text);
void pop3_err(struct pop3 *s, const char *text);
/* The capabilities of both states; `login`: with those of logins. */
void pop3_capabilities(struct buf *b);

/* The message of an argument, or an error was said and NULL. */
struct message *pop3_message(struct pop3 *s, struct command *c);
size_t pop3_index(const struct pop3 *s, const struct message *m);
/* Octets with CRLF; false when the message cannot be read. */
bool pop3_size(struct pop3 *s, struct message *m, uint64_t *size_r);
/* The unique id. */
void pop3_uidl(struct pop3 *s, const struct message *m, struct buf *b);

/* Commands of the transaction state. */
void cmd_stat(struct pop3 *s, struct command *c);
void cmd_list(struct pop3 *s, struct command *c);
void cmd_uidl(struct pop3 *s, struct command *c);
void cmd_retr(struct pop3 *s, struct command *c);
void cmd_top(struct pop3 *s, struct command *c);
void cmd_dele(struct pop3 *s, struct command *c);
void cmd_rset(struct pop3 *s, struct command *c);
void cmd_quit(struct pop3 *s, struct command *c);
void cmd_last(struct pop3 *s, struct command *c);
/* \Seen of what was read: at QUIT, and when the client goes without. */
void pop3_seen(struct pop3 *s);

#endif
