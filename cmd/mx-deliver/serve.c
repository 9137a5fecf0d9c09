/*
 * serve.c - mx-deliver --lmtp: the server, its two profiles and what monitor
 * and workers do before the first session.
 * DESIGN 3.1; the monitor is the root parent of become.h.
 */
#include "become.h"
#include "conf.h"
#include "hand.h"
#include "log.h"
#include "main.h"
#include "route.h"
#include "sandbox.h"
#include "session.h"
#include "site.h"
#include "status.h"
#include "users.h"

#include <unistd.h>

static const struct server_mode modes[] = {
	{ .name = "deliver",
	  .unix_mode = 0660,
	  .owner = &site.mail_owner,
	  .group = &site.net_user },
	{ .name = "submit", .unix_mode = 0666 },
};

static int
before_drop(struct server *s, bool reload, struct err *e)
{
	(void)reload;
	(void)e;
	become_offer(s);
	route_open();
	return 0;
}

static int
after_drop(struct server *s, struct err *e)
{
	(void)e;
	become_in_worker(s);
	users_forget();
	return 0;
}

static void
idle(struct server *s)
{
	(void)s;
	hand_idle();
}

int
serve_run(const struct program *p)
{
	struct server_options *o = &options.server;
	struct server_spec spec = {
		.program = p,
		.modes = modes,
		.nmodes = ARRAY_LEN(modes),
		.user = geteuid() == 0 ? site.mail_owner : NULL,
		.busy_text = "421 4.3.2 all workers are busy\r\n",
		.before_drop = before_drop,
		.after_drop = after_drop,
		.session = session_run,
		.idle = idle,
	};

	/* It runs commands of the administrator's and of users' choice, which
	 * would inherit the sandbox: uids separate here. */
	site.sandbox = SANDBOX_OFF;
	o->max_workers = conf.process_limit;
	o->max_use = conf.max_use;
	o->max_idle = conf.max_idle;
	return server_run(&spec, o, NULL);
}
