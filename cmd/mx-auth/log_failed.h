/*
 * log_failed.h - the one line that tells of a login that failed.
 */
#ifndef MX_AUTH_LOG_FAILED_H
#define MX_AUTH_LOG_FAILED_H

/*
 * "SOURCE(USER,IP): WHY (DETAIL)", Dovecot's form, which fail2ban's dovecot
 * filter reads: why is "unknown user", "Password mismatch" or "invalid
 * credentials"; of source only its letters are written; detail may be "".
 * What a client sent as its name can neither end the line's head nor bring in
 * an address of its own.
 */
void log_failed(const char *source, const char *user, const char *ip,
		const char *why, const char *detail);

#endif
