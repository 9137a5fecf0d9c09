/*
 * fuzz_authserver.c - what a hostile client says to mx-auth's client socket.
 * uses: cmd/mx-auth/client.c cmd/mx-auth/mech_password.c
 * uses: cmd/mx-auth/chain.c cmd/mx-auth/scheme.c cmd/mx-auth/expand.c
 * uses: cmd/mx-auth/shared.c cmd/mx-auth/db_static.c cmd/mx-auth/log_failed.c
 * uses: cmd/mx-auth/scram.c cmd/mx-auth/mech_scram.c
 * uses: cmd/mx-auth/mech_oauth.c cmd/mx-auth/oauth_conf.c
 * uses: cmd/mx-auth/oauth_jwt.c cmd/mx-auth/ext_conf.c
 */
#include "auth.h"
#include "chain.h"
#include "log.h"
#include "session.h"
#include "shared.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct auth_params auth_params;

bool
server_stopping(const struct server *s)
{
	return s != NULL;
}

static void
start(void)
{
	static char empty[] = "", chars[] = "abcjoe@.", format[] = "%Lu";
	struct err e = ERR_INIT;

	if (auth_params.mail_location)
		return;
	auth_params.mail_location = auth_params.default_realm = empty;
	auth_params.username_chars = chars;
	auth_params.username_format = format;
	strs_add(&auth_params.passdb, "static:password=pw");
	strs_add(&auth_params.mechanisms, "PLAIN");
	strs_add(&auth_params.mechanisms, "LOGIN");
	strs_add(&auth_params.mechanisms, "SCRAM-SHA-256");
	strs_add(&auth_params.mechanisms, "OAUTHBEARER");
	strs_add(&auth_params.mechanisms, "XOAUTH2");
	log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	if (chain_load(&e) < 0 || shared_open("/nonexistent", &e) < 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char hello[] = "VERSION\t1\t2\nCPID\t1\n";
	struct server_conn c = { .is_unix = true };
	int sv[2];

	start();
	if (n > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return 0;
	/* Most inputs begin behind the handshake. */
	if ((n == 0 || data[0] != 'V') &&
	    send(sv[1], hello, sizeof(hello) - 1, MSG_DONTWAIT) < 0)
		abort();
	if ((n > 0 && send(sv[1], data, n, MSG_DONTWAIT) < 0) ||
	    shutdown(sv[1], SHUT_WR) < 0)
		abort();
	c.fd_in = c.fd_out = sv[0];
	client_session(NULL, &c);
	close(sv[0]);
	close(sv[1]);
	return 0;
}
