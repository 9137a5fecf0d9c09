/*
 * fuzz_smtp_command.c - a whole session of mx-recv on hostile input; the
 * delivery side says yes to everything.
 * uses: cmd/mx-recv/[!m]*.c cmd/mx-recv/mi*.c
 */
#include "log.h"
#include "mem.h"
#include "session.h"
#include "site.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The skeleton, as far as a session asks it. */
int
server_offer(struct server *s, server_offer_fn *fn, void *ctx)
{
	(void)s;
	(void)fn;
	(void)ctx;
	return 0;
}

int
server_ask(struct server *s, int offer, struct span request, struct buf *reply,
	   int *fd_r, struct err *e)
{
	(void)s;
	(void)offer;
	(void)request;
	(void)reply;
	(void)fd_r;
	return err_set(e, 75, "nobody");
}

int
server_endpoint(struct server *s, const struct endpoint *ep)
{
	(void)s;
	return ep->path != NULL && strstr(ep->path, "auth") != NULL;
}

void
server_resolvers(struct server *s, const struct strs *hostports)
{
	(void)s;
	(void)hostports;
}

int
server_dns_socket(void *server, int type, int which)
{
	(void)server;
	(void)type;
	(void)which;
	return -1;
}

bool
server_stopping(const struct server *s)
{
	(void)s;
	return false;
}

bool
server_single(const struct server *s)
{
	(void)s;
	return true;
}

int
server_connect(struct server *s, int endpoint, deadline_t d, struct err *e)
{
	static int peer = -1;
	static const char hello[] = "220 x\r\n250-x\r\n250-PIPELINING\r\n"
				    "250 CHUNKING\r\n";
	int sv[2];

	(void)s;
	(void)d;
	if (endpoint != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0)
		return err_set(e, 75, "nobody");
	close(peer);
	peer = sv[1];
	(void)!write(peer, hello, sizeof(hello) - 1);
	for (int i = 0; i < 200; i++)
		(void)!write(peer, "250 2.0.0 Ok\r\n", 14);
	(void)shutdown(peer, SHUT_WR);
	return sv[0];
}

/* Whatever a session may meet, on. */
static const char *const overrides[] = {
	"smtpd_sasl_auth_enable=yes",
	"smtpd_peername_lookup=no",
	"smtpd_authorized_xclient_hosts=192.0.2.1",
	"smtpd_authorized_xforward_hosts=192.0.2.1",
	"always_add_missing_headers=yes",
	"smtpd_sender_restrictions=check_sender_access inline:{ {h=HOLD} "
	"{p=PREPEND A: b} {d=DISCARD} {r=REDIRECT a@b.c} {i=DEFER_IF_PERMIT} "
	"{l=reject_non_fqdn_recipient} {e=521 5.3.0 x} }",
	"smtpd_helo_restrictions=reject_invalid_helo_hostname, "
	"warn_if_reject reject_non_fqdn_helo_hostname",
	"smtpd_recipient_restrictions=reject_non_fqdn_sender, "
	"reject_non_fqdn_recipient, reject_unauth_pipelining",
	"smtpd_end_of_data_restrictions=reject_multi_recipient_bounce",
	"mynetworks=192.0.2.0/24",
};

static void
start(void)
{
	struct err e = ERR_INIT;

	setenv("MX_CONFIG", "", 1);
	site.myhostname = mem_strdup("mx.test");
	site.mydomain = mem_strdup("test");
	site.run_directory = mem_strdup("/run/mx");
	log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	strs_add(&prog.overrides, "smtpd_error_sleep_time=0");
	strs_add(&prog.overrides, "smtpd_timeout=5");
	for (size_t i = 0; i < ARRAY_LEN(overrides); i++)
		strs_add(&prog.overrides, overrides[i]);
	if (conf_load(NULL, &e) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct server_conn c = { .mode = &conf_modes[0],
				 .port = 1,
				 .has_peer = true,
				 .addr = "192.0.2.1" };
	static bool started;
	int sv[2];

	if (!started)
		start();
	started = true;
	/* The last byte chooses: LMTP, reinjection, or SMTP. */
	if (size > 0 && data[size - 1] == 'L')
		c.mode = &conf_modes[3];
	else if (size > 0 && data[size - 1] == 'R')
		c.mode = &conf_modes[4];
	if (size > 100000 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0)
		return 0;
	memcpy(c.addr, "unknown", 8);
	memcpy(c.local_addr, "unknown", 8);
	(void)!write(sv[1], data, size);
	(void)shutdown(sv[1], SHUT_WR);
	c.fd_in = c.fd_out = sv[0];
	session_run(NULL, &c);
	close(sv[1]);
	return 0;
}
