/*
 * before.h - ManageSieve before the login: what strangers may say.
 */
#ifndef SIEVED_BEFORE_H
#define SIEVED_BEFORE_H

#include "front.h"

/* The server, and one session on stdin and stdout: a status for main. */
int before_serve(const struct program *program);
int before_preauth(const char *user);

#endif
