/*
 * before.h - IMAP before the login: what strangers may say.
 */
#ifndef IMAPD_BEFORE_H
#define IMAPD_BEFORE_H

#include "front.h"

/* The server: returns a status for main. */
int before_serve(const struct program *program);
/* --preauth. */
int before_preauth(const char *user, const char *maildir);

#endif
