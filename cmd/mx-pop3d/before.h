/*
 * before.h - POP3's authorization state: what strangers may say.
 */
#ifndef POP3D_BEFORE_H
#define POP3D_BEFORE_H

#include "front.h"

/* The server, and one session on stdin and stdout: a status for main. */
int before_serve(const struct program *program);
int before_preauth(const char *user, const char *maildir);

#endif
