/*
 * bare.h - a bare, safe deposit of stdin: no configuration is read.
 */
#ifndef MX_DELIVER_BARE_H
#define MX_DELIVER_BARE_H

/* mx-deliver --maildir DIR[/.Folder] < msg; returns ST_*. */
int bare_maildir(const char *dir);
/* mx-deliver --mbox FILE < msg */
int bare_mbox(const char *path, const char *sender);

#endif
