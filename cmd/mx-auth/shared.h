/*
 * shared.h - what all processes of one mx-auth know together: logins that
 * wait for a master's REQUEST, and which client addresses failed lately.
 */
#ifndef MX_AUTH_SHARED_H
#define MX_AUTH_SHARED_H

#include "buf.h"
#include "err.h"

/* The table is $run_directory/auth-state (0600), so that programs started by
 * `exec:` share it too; where that cannot be written, memory that the
 * children of this process share. */
int shared_open(const char *run_directory, struct err *e) MX_MUST_CHECK;

/* 16 bytes that are the same for a name in each process of this mx-auth, and
 * that nobody outside can tell from random ones. */
void shared_salt(struct span name, unsigned char salt_r[16]);

/* A login that a master may ask for once, within 150 seconds. */
void shared_login_add(const char *cookie, uint32_t id, const char *user);
bool shared_login_take(struct span cookie, uint32_t id, struct buf *user_r);

/* Milliseconds that a request from this address has to wait now. */
int64_t shared_penalty(const char *addr);
/* It failed again; the same name with the same password again counts once. */
void shared_penalty_add(const char *addr, const char *user,
			struct span password);

#endif
