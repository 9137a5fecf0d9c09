/*
 * main.h - the options of mx-deliver's command line.
 */
#ifndef MX_DELIVER_MAIN_H
#define MX_DELIVER_MAIN_H

#include "server.h"

struct options {
	struct server_options server;
	bool lmtp;
	const char *maildir, *mbox;
	const char *sender, *user, *original;
	bool queue_run, watch, list, flush;
	bool srs_serve;
	const char *srs, *srs_reverse;
	const char *show, *why, *hold, *release, *requeue, *remove;
};
extern struct options options;

/* mx-deliver --lmtp */
int serve_run(const struct program *p);
/* mx-deliver RECIPIENT... < msg */
int submit_run(int argc, char **argv);
/* mx-deliver -d USER < msg */
int lda_run(void);

#endif
