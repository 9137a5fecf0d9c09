/*
 * milter_process.h - what opendkim.conf and opendmarc.conf say of the process:
 * where it listens and as whom it runs.
 * Layer: mail.  opendkim.conf(5), opendmarc.conf(5).
 */
#ifndef MX_MILTER_PROCESS_H
#define MX_MILTER_PROCESS_H

#include "err.h"
#include "server.h"

/* All owned; NULL: the file does not say. */
struct milter_process {
	char *socket, *user, *group;
	bool has_umask;
	unsigned umask;
};

/* Takes Socket, UserID, UMask and BaseDirectory (the process goes there); 1:
 * the word is another one.  -1: a sentence. */
int milter_process_word(struct milter_process *p, struct span name,
			struct span value, struct err *e) MX_MUST_CHECK;

/*
 * The socket into o, where neither --listen nor LISTEN_FDS names one; the
 * user into *user (allocated) and the socket's owner, group and rights into
 * mode.  path: the file, for sentences.  p has to live as long as mode.
 */
int milter_process_apply(const struct milter_process *p, const char *path,
			 struct server_options *o, struct server_mode *mode,
			 char **user, struct err *e) MX_MUST_CHECK;

#endif
