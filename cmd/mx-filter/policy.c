/*
 * policy.c - mx-filter policy: the server, its options (postgrey's, where it
 * has them), and the protocol's lines.  State that cannot be asked never
 * refuses mail: the answer is DUNNO, and the log says why.
 */
#include "policy.h"

#include "clock.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "policy_request.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_S 3600

struct policy_conf policy_conf;

static const char *const attr_names[ATTRS] = {
	"client_address", "client_name",     "sender",         "recipient",
	"sasl_username",  "instance",        "protocol_state", "queue_id",
	"etrn_domain",    "policy_test_time"
};

static struct {
	char *dir, *path;
	const char *folders[2];
	bool opened, test_clock;
	int64_t swept;
	struct server_spec spec;
} p_state;

static int
usage_number(const char *name, const char *text, int64_t max, int64_t *r)
{
	return text == NULL || num_i64(span_of(text), 0, max, r)
		   ? 0
		   : prog_usage("--%s=%s: expected a number", name, text);
}

/* "2" days or "6h". */
static int
read_window(const char *text, int64_t *r)
{
	struct span s = span_of(text);
	int64_t n;
	bool hours = s.n > 1 && ascii_tolower(s.p[s.n - 1]) == 'h';

	if (text == NULL)
		return 0;
	if (hours)
		s.n--;
	if (!num_i64(s, 0, 100000, &n))
		return prog_usage("--retry-window=%s: expected days, or hours "
				  "as in 6h",
				  text);
	*r = n * (hours ? 3600 : 86400);
	return 0;
}

/* "100/1h" */
static int
read_rate(const char *name, const char *text, struct policy_rate *r)
{
	struct span s = span_of(text);
	ssize_t slash = span_chr(s, '/');
	int64_t ms;

	if (text == NULL)
		return 0;
	if (slash <= 0 ||
	    !num_i64(span_sub(s, 0, (size_t)slash), 1, INT32_MAX, &r->count) ||
	    !num_time(span_from(s, (size_t)slash + 1), 's', &ms) || ms < 1000)
		return prog_usage("--%s=%s: expected COUNT/TIME, as in 100/1h",
				  name, text);
	r->seconds = ms / 1000;
	return 0;
}

static int
read_options(void)
{
	const struct policy_options *o = &opts.policy;
	struct policy_conf *c = &policy_conf;
	int64_t age = 35;
	int r;

	*c = (struct policy_conf){
		.delay = 300,
		.retry_window = 2 * 86400,
		.awl = 5,
		.v4bits = 24,
		.v6bits = 64,
		.by_host = o->by_host,
		.privacy = o->privacy,
		.action = o->action ? o->action : "DEFER_IF_PERMIT",
		.text = o->text ? o->text : "Greylisted for %s seconds",
		.header = o->header ? o->header
				    : "X-Greylist: delayed %t seconds by mx-%v "
				      "at %h; %d",
		.hostname = o->hostname ? o->hostname : site.myhostname,
	};
	if ((r = usage_number("delay", o->delay, INT32_MAX, &c->delay)) ||
	    (r = usage_number("max-age", o->max_age, 36500, &age)) ||
	    (r = usage_number("auto-whitelist-clients", o->awl, INT32_MAX,
			      &c->awl)) ||
	    (r = usage_number("ipv4cidr", o->v4bits, 32, &c->v4bits)) ||
	    (r = usage_number("ipv6cidr", o->v6bits, 128, &c->v6bits)) ||
	    (r = read_window(o->window, &c->retry_window)) ||
	    (r = read_rate("client-rate", o->client_rate, &c->client)) ||
	    (r = read_rate("login-rate", o->login_rate, &c->login)))
		return r;
	c->max_age = age * 86400;
	return 0;
}

/* The folder of the state, the workers' own. */
static int
make_folder(struct err *e)
{
	uid_t uid;
	gid_t gid;

	free(p_state.dir);
	free(p_state.path);
	p_state.dir = opts.policy.dbdir != NULL
			  ? mem_strdup(opts.policy.dbdir)
			  : mem_printf("%s/policy", site.data_directory);
	p_state.path = mem_printf("%s/policy.sqlite", p_state.dir);
	if (mkdir(p_state.dir, 0700) == 0) {
		if (geteuid() == 0 && (sandbox_names(site.filter_user, NULL,
						     &uid, &gid, e) != 0 ||
				       chown(p_state.dir, uid, gid) != 0))
			return err_sys(e, "%s", p_state.dir);
	} else if (errno != EEXIST) {
		return err_sys(e, "%s", p_state.dir);
	}
	p_state.folders[0] = p_state.dir;
	p_state.spec.sandbox_paths = p_state.folders;
	return 0;
}

static int
before_drop(struct server *s, bool reload, struct err *e)
{
	(void)s;
	tzset();
	if (!reload && policy_db_load(e) != 0)
		return -1;
	if (make_folder(e) != 0)
		return -1;
	return policy_lists_load(&opts.policy.clients, &opts.policy.rcpts, e);
}

/* The wanted attributes and where they go. */
static void
fields(struct policy_request *q, struct policy_field f[static ATTRS])
{
	for (int a = 0; a < ATTRS; a++)
		f[a] = (struct policy_field){ attr_names[a], &q->v[a],
					      &q->has[a] };
}

static bool
opened(void)
{
	struct err e = ERR_INIT;

	if (!p_state.opened && policy_db_open(p_state.path, &e) != 0) {
		log_warn("policy state: %s", e.text);
		return false;
	}
	p_state.opened = true;
	return true;
}

static int64_t
now_of(const struct policy_request *q)
{
	int64_t t;

	return p_state.test_clock && q->has[ATTR_TEST_TIME] &&
		       num_i64(buf_span(&q->v[ATTR_TEST_TIME]), 0, INT64_MAX,
			       &t)
		   ? t
		   : clock_now();
}

static void
session(struct server *server, struct server_conn *c)
{
	struct policy_request q = { 0 };
	struct policy_field f[ATTRS];
	struct buf action = BUF_INIT;
	struct stream s;

	fields(&q, f);
	stream_init(&s, c->fd_in, c->fd_out);
	while (!server_stopping(server) && policy_request_read(&s, f, ATTRS)) {
		int64_t now = now_of(&q);

		buf_clear(&action);
		if (!opened() || !policy_decide(&q, now, &action)) {
			buf_clear(&action);
			buf_adds(&action, "DUNNO");
		}
		if (!policy_request_answer(&s, buf_span(&action)))
			break;
		if (p_state.opened && now - p_state.swept >= SWEEP_S) {
			p_state.swept = now;
			policy_db_sweep(now);
		}
	}
	for (int a = 0; a < ATTRS; a++)
		buf_free(&q.v[a]);
	buf_free(&action);
	buf_free(&s.in);
	buf_free(&s.out);
}

/* postgrey's --inet=[HOST:]PORT and --unix=PATH. */
static void
add_listeners(void)
{
	const struct policy_options *o = &opts.policy;

	if (o->inet != NULL && strchr(o->inet, ':') == NULL)
		strs_addf(&opts.policy.server.listen, "inet:localhost:%s",
			  o->inet);
	else if (o->inet != NULL)
		strs_addf(&opts.policy.server.listen, "inet:%s", o->inet);
	if (o->unix_path != NULL)
		strs_addf(&opts.policy.server.listen, "unix:%s", o->unix_path);
}

int
cmd_policy(int argc, char **argv)
{
	static const struct server_mode mode = { .name = "policy",
						 .unix_mode = 0666 };
	int r;

	if (argc > 0)
		return prog_usage("policy: %s: unexpected", argv[0]);
	r = read_options();
	if (r != 0)
		return r;
	site_log_open("policy");
	add_listeners();
	/* Tests walk through days with it. */
	p_state.test_clock = getenv("MX_TEST_TIME") != NULL;
	opts.policy.server.max_workers = filter_params.process_limit;
	opts.policy.server.max_use = 1000;
	p_state.spec =
	    (struct server_spec){ .program = filter_program,
				  .modes = &mode,
				  .nmodes = 1,
				  .user = mem_strdup(site.filter_user),
				  .sandbox = SANDBOX_RPATH | SANDBOX_WPATH,
				  .patient = true,
				  .before_drop = before_drop,
				  .session = session };
	return server_run(&p_state.spec, &opts.policy.server, NULL);
}
