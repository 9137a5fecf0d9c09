/*
 * fuzz_authproto.c - what a lying auth server, or master socket, says to the
 * asking side; the first byte chooses.
 */
#include "authclient.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
client(int fd)
{
	static const struct auth_facts facts = { .service = "imap" };
	struct authclient a;
	struct buf challenge = BUF_INIT;
	struct err e = ERR_INIT;
	deadline_t d = clock_deadline(1000);

	if (authclient_open(&a, fd, d, &e) < 0)
		return;
	for (int i = 0; i < 3; i++) {
		enum auth_result r = authclient_start(
		    &a, "PLAIN", &facts, SPAN("x"), &challenge, d, &e);

		if (r == AUTH_CONTINUE)
			r = authclient_continue(&a, SPAN("y"), &challenge, d,
						&e);
		if (r == AUTH_OK && authclient_user(&a)[0] == '\0')
			abort();
	}
	authclient_close(&a);
	buf_free(&challenge);
}

static void
master(int fd)
{
	struct authmaster m;
	struct auth_user u = { 0 };
	struct err e = ERR_INIT;
	deadline_t d = clock_deadline(1000);

	if (authmaster_open(&m, fd, d, &e) < 0)
		return;
	if (authmaster_user(&m, "joe", "imap", &u, d, &e) == AUTH_OK &&
	    (!u.user || !u.user[0]))
		abort();
	auth_user_free(&u);
	authmaster_close(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int sv[2];

	if (n < 1 || n > 100000 || socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return 0;
	if (send(sv[1], data + 1, n - 1, MSG_DONTWAIT) < 0 ||
	    shutdown(sv[1], SHUT_WR) < 0)
		close(sv[0]);
	else if (data[0] & 1)
		master(sv[0]);
	else
		client(sv[0]);
	close(sv[1]);
	return 0;
}
