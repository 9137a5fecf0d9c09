/*
 * test_authclient.c - the auth protocol's asking side against canned servers:
 * what the peer says stands ready on a socket pair before we ask.
 */
#include "authclient.h"
#include "status.h"
#include "unit.h"

#include <sys/socket.h>
#include <unistd.h>

#define HELLO                                                                  \
	"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n"      \
	"SPID\t77\nCUID\t1\nCOOKIE\t00ff\nDONE\n"
#define MASTER "VERSION\t1\t1\nSPID\t77\n"

/* Our end of a pair whose other end said `bytes` and will read. */
static int
peer_saying(const char *bytes, int *peer_r)
{
	int sv[2];
	size_t n = strlen(bytes);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0 ||
	    write(sv[1], bytes, n) != (ssize_t)n ||
	    shutdown(sv[1], SHUT_WR) < 0)
		exit(99);
	*peer_r = sv[1];
	return sv[0];
}

static void
test_handshake(void)
{
	static const struct {
		const char *said;
		int ret;
		size_t mechs;
	} cases[] = {
		{ HELLO, 0, 2 },
		{ "VERSION\t1\t9\nFUTURE\tx\nDONE\n", 0, 0 },
		{ "VERSION\t2\t0\nDONE\n", -1, 0 },
		{ "VERSION\n", -1, 0 },
		{ "MECH\tPLAIN\nVERSION\t1\t1\nDONE\n", -1, 0 },
		{ "220 mail ESMTP\r\n", -1, 0 },
		{ "VERSION\t1\t1\nSPID\t-4\nDONE\n", -1, 0 },
		{ "VERSION\t1\t1\nSPID\t99999999999\nDONE\n", -1, 0 },
		{ "VERSION\t1\t1\nMECH\tPLAIN\n", -1, 0 },
		{ "", -1, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct authclient a;
		struct err e = ERR_INIT;
		int peer, fd = peer_saying(cases[i].said, &peer);
		int r = authclient_open(&a, fd, clock_deadline(5000), &e);

		CHECK(r == cases[i].ret && (r == 0) == (e.status == 0),
		      "handshake %zu: %d %s", i, r, e.text);
		if (r == 0) {
			CHECK(a.mechs.n == cases[i].mechs, "mechs %zu", i);
			authclient_close(&a);
		}
		close(peer);
	}
}

static void
test_replies(void)
{
	static const struct {
		const char *said;
		enum auth_result ret;
		const char *user;
	} cases[] = {
		{ "OK\t1\tuser=joe\n", AUTH_OK, "joe" },
		{ "OK\t1\tuser=j\001to\tnodelay\n", AUTH_OK, "j\to" },
		{ "OK\t1\n", AUTH_TEMP, "" },
		{ "OK\t1\tuser=\n", AUTH_TEMP, "" },
		{ "OK\t1\tuser=a\0010b\n", AUTH_TEMP, "" },
		{ "OK\t1\tuser=a\001\n", AUTH_TEMP, "" },
		{ "OK\t2\tuser=joe\n", AUTH_TEMP, "" },
		{ "OK\t0\tuser=eve\nFAIL\t1\tuser=joe\n", AUTH_FAIL, "joe" },
		{ "FAIL\t1\n", AUTH_FAIL, "" },
		{ "FAIL\t1\ttemp\n", AUTH_TEMP, "" },
		{ "FAIL\t1\tcode=temp_fail\n", AUTH_TEMP, "" },
		{ "FAIL\t1\treason=temporarily\n", AUTH_FAIL, "" },
		{ "CONT\t1\tVXNlcm5hbWU6\n", AUTH_CONTINUE, "" },
		{ "CONT\t1\t\n", AUTH_CONTINUE, "" },
		{ "CONT\t1\n", AUTH_CONTINUE, "" },
		{ "CONT\t1\t!!\n", AUTH_TEMP, "" },
		{ "OK\t4294967297\tuser=joe\n", AUTH_TEMP, "" },
		{ "ok\t1\tuser=joe\n", AUTH_TEMP, "" },
		{ "OK", AUTH_TEMP, "" },
		{ "", AUTH_TEMP, "" },
	};
	static const struct auth_facts facts = { .service = "imap" };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct authclient a;
		struct err e = ERR_INIT;
		struct buf said = BUF_INIT, challenge = BUF_INIT;
		int peer;
		enum auth_result r;

		buf_adds(&said, HELLO);
		buf_adds(&said, cases[i].said);
		if (authclient_open(&a, peer_saying(said.p, &peer),
				    clock_deadline(5000), &e) < 0)
			exit(98);
		r = authclient_start(&a, "PLAIN", &facts, SPAN("\0j\0p"),
				     &challenge, clock_deadline(5000), &e);
		CHECK(r == cases[i].ret &&
			  strcmp(authclient_user(&a), cases[i].user) == 0,
		      "reply %zu: %d %s", i, r, e.text);
		authclient_close(&a);
		close(peer);
		buf_free(&said);
		buf_free(&challenge);
	}
}

/* What goes out: escaped values, resp= last, an end that cannot be forged. */
static void
test_request(void)
{
	static const char want[] = "\nAUTH\t1\tLOGIN\tservice=im\001tap"
				   "\tlip=::1\trip=192.0.2.1\trport=7"
				   "\tsecured\tresp=AGoAcA==\n";
	static const struct auth_facts facts = { .service = "im\tap",
						 .local_ip = "::1",
						 .remote_ip = "192.0.2.1",
						 .remote_port = 7,
						 .secured = true };
	struct authclient a;
	struct err e = ERR_INIT;
	struct buf challenge = BUF_INIT;
	char got[1000];
	int peer;
	ssize_t n;

	if (authclient_open(&a, peer_saying(HELLO "FAIL\t1\n", &peer),
			    clock_deadline(5000), &e) < 0)
		exit(98);
	CHECK(authclient_start(&a, "login", &facts, SPAN("\0j\0p"), &challenge,
			       clock_deadline(5000), &e) == AUTH_FAIL,
	      "request refused");
	n = read(peer, got, sizeof(got) - 1);
	got[n > 0 ? n : 0] = '\0';
	CHECK(strstr(got, want) != NULL, "the request line has this shape");
	CHECK(authclient_start(&a, "PLAIN\tx", &facts, SPAN(""), &challenge,
			       clock_deadline(5000), &e) == AUTH_FAIL,
	      "a mechanism with a TAB is refused here");
	CHECK(recv(peer, got, sizeof(got), MSG_DONTWAIT) < 0, "nothing sent");
	authclient_close(&a);
	close(peer);
	buf_free(&challenge);
}

static void
test_master(void)
{
	static const struct {
		const char *said;
		enum auth_result ret;
		const char *home;
		bool ids;
	} cases[] = {
		{ MASTER "USER\t1\tjoe\tuid=5\tgid=6\thome=/h/joe\n", AUTH_OK,
		  "/h/joe", true },
		{ MASTER "USER\t1\tjoe\tuid=5\n", AUTH_OK, "", false },
		{ MASTER "USER\t1\tjoe\tuid=4294967295\tgid=1\n", AUTH_TEMP, "",
		  false },
		{ MASTER "USER\t1\tjoe\tuid=-1\tgid=1\n", AUTH_TEMP, "",
		  false },
		{ MASTER "USER\t1\tjoe\tuid=root\n", AUTH_TEMP, "", false },
		{ MASTER "USER\t1\t\tuid=5\n", AUTH_TEMP, "", false },
		{ MASTER "USER\t1\n", AUTH_TEMP, "", false },
		{ MASTER "USER\t2\teve\tuid=0\nNOTFOUND\t1\n", AUTH_FAIL, "",
		  false },
		{ MASTER "FAIL\t1\treason=database is away\n", AUTH_TEMP, "",
		  false },
		{ MASTER, AUTH_TEMP, "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct authmaster m;
		struct auth_user u = { 0 };
		struct err e = ERR_INIT;
		int peer;
		enum auth_result r;

		if (authmaster_open(&m, peer_saying(cases[i].said, &peer),
				    clock_deadline(5000), &e) < 0)
			exit(98);
		r = authmaster_user(&m, "joe", "imap", &u, clock_deadline(5000),
				    &e);
		CHECK(r == cases[i].ret && u.has_ids == cases[i].ids &&
			  strcmp(u.home ? u.home : "", cases[i].home) == 0,
		      "master %zu: %d %s", i, r, e.text);
		auth_user_free(&u);
		authmaster_close(&m);
		close(peer);
	}
}

static void
test_escape(void)
{
	static const char raw[] = "a\tb\r\n\001c";
	struct buf b = BUF_INIT, back = BUF_INIT;

	authclient_escape(&b, SPAN("a\tb\r\n\001c"));
	CHECK(strcmp(buf_str(&b), "a\001tb\001r\001n\0011c") == 0, "escaped");
	CHECK(authclient_unescape(&back, buf_span(&b)) &&
		  strcmp(buf_str(&back), raw) == 0,
	      "and back");
	buf_free(&b);
	buf_free(&back);
}

int
main(void)
{
	test_handshake();
	test_replies();
	test_request();
	test_master();
	test_escape();
	return unit_done();
}
