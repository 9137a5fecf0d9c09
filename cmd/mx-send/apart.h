/*
 * apart.h - processes without rights that read what the network says of names
 * and policies; see apart.c.
 */
#ifndef MX_SEND_APART_H
#define MX_SEND_APART_H

#include "mtasts.h"
#include "mx_hosts.h"

/* More than an answer of dns.h or a policy of mtasts.h can be. */
#define APART_FRAME_MAX (1u << 20)

/* Numbers and byte strings of a frame; get: false where too few are left. */
void apart_put(struct buf *b, uint32_t n);
void apart_put_span(struct buf *b, struct span s);
bool apart_get(struct span *in, uint32_t *n) MX_MUST_CHECK;
bool apart_get_span(struct span *in, struct span *out) MX_MUST_CHECK;
/* One frame; false: the other side is gone, too slow or mad. */
bool apart_read(int fd, struct buf *b, deadline_t dl) MX_MUST_CHECK;
bool apart_write(int fd, struct span s, deadline_t dl) MX_MUST_CHECK;

/* A process that forks the others later, from the memory and with the root
 * rights of now (it becomes net_user): the socket to ask it; -1 and errno. */
int apart_keeper(void);
/* Becomes one: 'n' for names, 'f' for mx-fetch. */
MX_NORETURN void apart_become(char what, int fd);

/* Whom to ask for new ones; without it they are forked from here. */
void apart_set_keeper(int sock);
/* The one for names is started now, while memory holds no secrets; else the
 * first question starts it. */
void apart_warm(void);
/* From now on names are asked for there. */
void apart_names(struct mx_conf *c);
/* In the sense of mtasts_run. */
int apart_fetch(void *ctx, const struct strs *argv, struct buf *out,
		struct buf *errs, deadline_t dl);
/* Nobody asks any more. */
void apart_end(void);

#endif
