/*
 * log.h - the log: syslog facility mail, or stderr when it is a terminal or
 * a journal stream.
 * Layer: base.  DESIGN 3.10: the tag is "$syslog_name/ROLE[pid]"; a log that
 * fails never stops mail: lines are sent without blocking, what was dropped
 * is counted and said once.  Every byte from outside is escaped here.
 * Five severities as in Postfix's msg.h; panic means a bug of ours.
 */
#ifndef MX_LOG_H
#define MX_LOG_H

#include "buf.h"

enum log_format { LOG_TEXT, LOG_JSON };

/* Where lines go; the default before log_open is stderr with `program: `. */
void log_open(const char *syslog_name, const char *role, enum log_format f);
/* In a child that has closed every descriptor: opens the log again, as
 * log_open chose. */
void log_reopen(void);
/* The program's name, for messages on a terminal; set by prog_start. */
void log_program(const char *name);
/* Another role for the lines that follow (Postfix's word: smtpd, qmgr ...). */
void log_role(const char *role);
/* This program stands where Dovecot stands: beside `syslog_name = postfix` its
 * tag is Dovecot's, "dovecot[pid]: imap-login: ", so that what reads Dovecot's
 * log (fail2ban's filter) reads ours; "sieve" is "managesieve" there. */
void log_dovecot(void);
/* Lines that follow each other at once go to a file in one write, at
 * log_release (or when they are many).  No fork between the two; syslog gets a
 * datagram a line in any case. */
void log_hold(void);
void log_release(void);
/* Send lines to fd instead (tests, --log-file); -1: as log_open chose. */
void log_to_fd(int fd);
/* Verbosity: log_debug lines appear from level 1 on (-v, -v -v). */
extern int log_verbose;

void log_debug(const char *fmt, ...) MX_PRINTF(1, 2);
void log_info(const char *fmt, ...) MX_PRINTF(1, 2);
void log_warn(const char *fmt, ...) MX_PRINTF(1, 2);
void log_error(const char *fmt, ...) MX_PRINTF(1, 2);
/* Logs and exits with status (ST_*). */
void log_fatal(int status, const char *fmt, ...) MX_PRINTF(2, 3) MX_NORETURN;
/* A bug: logs and aborts, status 70. */
void log_panic(const char *fmt, ...) MX_PRINTF(1, 2) MX_NORETURN;

/*
 * A line of fields in Postfix's shape: "ID: key=value, key=value (words)".
 *   log_event_begin(&ev, "4F2A");            id may be NULL
 *   log_event_add(&ev, "to", "<%s>", addr);  text form; JSON drops < >
 *   log_event_words(&ev, "delivered to maildir");
 *   log_event_end(&ev);
 */
struct log_event {
	struct buf text, json;
	int fields;
};
void log_event_begin(struct log_event *ev, const char *id);
void log_event_add(struct log_event *ev, const char *key, const char *fmt, ...)
    MX_PRINTF(3, 4);
/* Words without a key: " (words)" in text, "words" in JSON. */
void log_event_words(struct log_event *ev, const char *fmt, ...)
    MX_PRINTF(2, 3);
void log_event_end(struct log_event *ev);

#endif
