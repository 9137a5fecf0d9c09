/*
 * test_tls.c - both ends of TLS over a socket pair; keys that are asked for;
 * broken pairs, protocol and cipher lists.
 */
#include "unit.h"
#include "mem.h"
#include "server.h"
#include "tls.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/mx-tls.XXXXXX";
static int asked;

/* The monitor, here in the same process. */
static struct {
	server_offer_fn *fn;
	void *ctx;
} offers[64];
static int noffers;

int
server_offer(struct server *s, server_offer_fn *fn, void *ctx)
{
	(void)s;
	offers[noffers].fn = fn;
	offers[noffers].ctx = ctx;
	return noffers++;
}

int
server_ask(struct server *s, int offer, struct span request, struct buf *reply,
	   int *fd_r, struct err *e)
{
	asked++;
	return offers[offer].fn(offers[offer].ctx, s, request, reply, fd_r, e);
}

static const char *
path(const char *name)
{
	static char b[4][100];
	static int i;

	i = (i + 1) % 4;
	snprintf(b[i], sizeof(b[i]), "%s/%s", dir, name);
	return b[i];
}

/* Runs a command line in the folder of the test. */
static void
shell(const char *cmd)
{
	char line[900];

	snprintf(line, sizeof(line), "cd %s && { %s; }", dir, cmd);
	if (system(line) != 0)
		exit(1);
}

static void
make_files(void)
{
	shell("mk() { n=$1; shift; openssl req -x509 -newkey \"$@\" -nodes "
	      "-keyout $n.key -out $n.crt -days 30 -subj /CN=mail.test "
	      "-addext subjectAltName=DNS:mail.test 2>/dev/null; }; "
	      "mk rsa rsa:2048; mk ec ec -pkeyopt ec_paramgen_curve:P-256; "
	      "mk ec384 ec -pkeyopt ec_paramgen_curve:P-384; mk ed ed25519; "
	      "cat ec.key ec.crt >ec.both");
}

static struct tls_server *
server_of(const char *cert, const char *key, struct server *s, struct err *e)
{
	struct tls_server_conf c = { .cert_file = cert,
				     .key_file = key,
				     .protocols = ">=TLSv1.2",
				     .ciphers = "",
				     .session_context = "test",
				     .alpn = "smtp" };

	return tls_server_new(&c, s, e);
}

/* A server process that echoes one line; returns the client's descriptor. */
static int
serve(struct tls_server *t, pid_t *pid)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0)
		exit(1);
	*pid = fork();
	if (*pid != 0) {
		close(sv[1]);
		return sv[0];
	}
	struct stream s;
	struct span line;
	struct buf copy = BUF_INIT, cb = BUF_INIT;
	struct err e = ERR_INIT;
	deadline_t d = clock_deadline(20000);

	close(sv[0]);
	stream_init(&s, sv[1], sv[1]);
	asked = 0;
	if (tls_accept(t, &s, d, &e) != 0)
		_exit(9);
	if (stream_line(&s, 1000, &line, d) != IO_OK)
		_exit(8);
	buf_addspan(&copy, line);
	tls_channel_binding(&s, &cb);
	stream_write(&s, copy.p, copy.n);
	stream_write(&s, cb.p, cb.n);
	if (stream_flush(&s, d) != IO_OK)
		_exit(7);
	stream_close(&s);
	_exit(asked);
}

/* Connects and compares; returns the exit status of the server. */
static int
talk(struct tls_server *t, const struct tls_client_conf *cc, const char *host,
     enum tls_verify verify, const char *want_proto, bool want_ok)
{
	struct err e = ERR_INIT;
	struct tls_client *c = tls_client_new(cc, &e);
	deadline_t d = clock_deadline(20000);
	struct buf got = BUF_INIT, cb = BUF_INIT;
	struct tls_facts f;
	struct stream s;
	bool ok;
	pid_t pid;
	int st, fd = serve(t, &pid);

	stream_init(&s, fd, fd);
	ok = tls_connect(c, &s, host, verify, NULL, 0, d, &e) == 0;
	CHECK(ok == want_ok, "connect as %s: %s", host, e.text);
	if (ok) {
		stream_puts(&s, "hello\n");
		if (stream_flush(&s, d) != IO_OK ||
		    stream_read(&s, &got, 5 + 32, d) != IO_OK)
			CHECK(false, "echo");
		tls_channel_binding(&s, &cb);
		CHECK(span_eq(span_from(buf_span(&got), 5), buf_span(&cb)) &&
			  cb.n == 32,
		      "channel binding is the same at both ends");
		CHECK(tls_facts(&s, &f) &&
			  span_is(span_of(f.protocol), want_proto) &&
			  strcmp(f.peer_cn, "mail.test") == 0 &&
			  f.verified == (verify != TLS_VERIFY_NONE),
		      "facts %s", want_proto);
		CHECK(stream_fill(&s, d) == IO_EOF, "end is IO_EOF");
	}
	stream_close(&s);
	tls_client_free(c);
	buf_free(&got);
	buf_free(&cb);
	waitpid(pid, &st, 0);
	return WEXITSTATUS(st);
}

static void
test_kinds(void)
{
	static const struct {
		const char *name, *proto, *says;
		bool remote;
		int asks;
	} k[] = {
		{ "rsa", ">=TLSv1.2", "TLSv1.3", false, 0 },
		{ "rsa", ">=TLSv1.2", "TLSv1.3", true, 1 },
		{ "rsa", "!TLSv1.3", "TLSv1.2", true, 1 },
		{ "ec", ">=TLSv1.2", "TLSv1.3", true, 1 },
		{ "ec", "!TLSv1.3", "TLSv1.2", true, 1 },
		{ "ec", "TLSv1.2", "TLSv1.2", false, 0 },
		{ "ec384", "", "TLSv1.3", true, 1 },
		{ "ed", "", "TLSv1.3", false, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		char cert[100], key[100];
		struct err e = ERR_INIT;
		struct tls_client_conf cc = { .ca_file = cert,
					      .protocols = k[i].proto,
					      .ciphers = "" };
		struct server *fake = k[i].remote ? (struct server *)dir : NULL;

		snprintf(cert, 100, "%s/%s.crt", dir, k[i].name);
		snprintf(key, 100, "%s/%s.key", dir, k[i].name);
		struct tls_server *t = server_of(cert, key, fake, &e);

		CHECK(t != NULL, "%s: %s", k[i].name, e.text);
		if (t == NULL)
			continue;
		CHECK(talk(t, &cc, "mail.test", TLS_VERIFY_NAME, k[i].says,
			   true) == k[i].asks,
		      "%s %s: asked the monitor %d times", k[i].name,
		      k[i].proto, k[i].asks);
		tls_server_free(t);
	}
}

static void
test_verify(void)
{
	struct err e = ERR_INIT;
	struct tls_server *t =
	    server_of(path("ec.crt"), path("ec.key"), NULL, &e);
	struct tls_client_conf none = { "", "", "", "", "" };
	struct tls_client_conf right = { path("ec.crt"), "", "", "", "" };

	talk(t, &none, "mail.test", TLS_VERIFY_NONE, "TLSv1.3", true);
	talk(t, &none, "mail.test", TLS_VERIFY_CA, "", false);
	talk(t, &right, "other.test", TLS_VERIFY_CA, "TLSv1.3", true);
	talk(t, &right, "other.test", TLS_VERIFY_NAME, "", false);
	tls_server_free(t);
}

/* Configurations that are refused, with a word of the sentence. */
static void
test_refused(void)
{
	const struct {
		const char *cert, *key, *protocols, *ciphers, *word;
		bool remote;
	} bad[] = {
		{ "ec.crt", "rsa.key", "", "", "does not belong", false },
		{ "ec.crt", "ec384.key", "", "", "does not belong", true },
		{ "none.crt", "ec.key", "", "", "none.crt", false },
		{ "ec.crt", "none.key", "", "", "none.key", false },
		{ "ec.crt", "", "", "", "no private key", false },
		{ "ec.key", "ec.key", "", "", "no certificate", false },
		{ "ed.crt", "ed.key", "", "", "must be RSA or EC", true },
		{ "ec.crt", "ec.key", "TLS9", "", "\"TLS9\"", false },
		{ "ec.crt", "ec.key", "SSLv3", "", "no protocol", false },
		{ "ec.crt", "ec.key", "<=TLSv1.1", "", "no protocol", false },
		{ "ec.crt", "ec.key", "", "NOSUCH", "NOSUCH", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char cert[100], key[100];
		struct err e = ERR_INIT;
		struct tls_server_conf c = { .cert_file = cert,
					     .key_file = key,
					     .protocols = bad[i].protocols,
					     .ciphers = bad[i].ciphers };

		snprintf(cert, 100, "%s/%s", dir, bad[i].cert);
		snprintf(key, 100, "%s/%s", dir, bad[i].key);
		if (*bad[i].key == '\0')
			key[0] = '\0';
		struct tls_server *t = tls_server_new(
		    &c, bad[i].remote ? (struct server *)dir : NULL, &e);

		CHECK(t == NULL && strstr(e.text, bad[i].word) != NULL,
		      "refused: %s", e.text);
	}
}

static void
test_chains(void)
{
	struct err e = ERR_INIT;
	struct tls_server_conf c = { .protocols = "", .ciphers = "high" };
	struct tls_server *t;

	strs_add(&c.chain_files, path("rsa.key"));
	strs_add(&c.chain_files, path("rsa.crt"));
	strs_add(&c.chain_files, path("ec.both"));
	t = tls_server_new(&c, NULL, &e);
	CHECK(t != NULL, "chain files: %s", e.text);
	tls_server_free(t);
	strs_clear(&c.chain_files);
	strs_add(&c.chain_files, path("rsa.crt"));
	CHECK(tls_server_new(&c, NULL, &e) == NULL &&
		  strstr(e.text, "before its") != NULL,
	      "%s", e.text);
	strs_free(&c.chain_files);
}

/* What a hostile worker may send to the key. */
static void
test_requests(void)
{
	struct err e = ERR_INIT;
	char big[70000] = { 0 };
	struct buf reply = BUF_INIT;
	int rsa = noffers, ec;
	struct tls_server *t1 =
	    server_of(path("rsa.crt"), path("rsa.key"), (void *)dir, &e);

	ec = noffers;
	struct tls_server *t2 =
	    server_of(path("ec.crt"), path("ec.key"), (void *)dir, &e);
	static const struct {
		char pad;
		size_t n;
		bool rsa, ec;
	} k[] = {
		{ 'e', 0, false, false },     { 'e', 19, false, false },
		{ 'e', 32, false, true },     { 'e', 64, false, true },
		{ 'e', 65, false, false },    { '1', 83, true, false },
		{ '1', 84, false, false },    { '0', 255, false, false },
		{ '0', 256, true, false },    { '0', 257, false, false },
		{ '0', 65000, false, false }, { 'x', 32, false, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		big[0] = k[i].pad;
		struct span q = span_make(big, k[i].n + 1);
		bool a, b;

		a = server_ask((void *)dir, rsa, q, &reply, NULL, &e) == 0;
		b = server_ask((void *)dir, ec, q, &reply, NULL, &e) == 0;
		CHECK(a == k[i].rsa && b == k[i].ec, "request %c %zu", k[i].pad,
		      k[i].n);
	}
	tls_server_worker(t1, (void *)dir);
	big[0] = 'e';
	CHECK(server_ask((void *)dir, ec, span_make(big, 33), &reply, NULL,
			 &e) != 0,
	      "a worker has forgotten the key");
	tls_server_free(t1);
	tls_server_free(t2);
	buf_free(&reply);
}

/* Garbage instead of a ClientHello, and plain bytes before it. */
static void
test_garbage(void)
{
	struct err e = ERR_INIT;
	struct tls_server *t =
	    server_of(path("ec.crt"), path("ec.key"), NULL, &e);
	struct stream s;
	pid_t pid;
	int st, fd = serve(t, &pid);

	if (write(fd, "EHLO me\r\n", 9) != 9)
		exit(1);
	waitpid(pid, &st, 0);
	CHECK(WEXITSTATUS(st) == 9, "garbage fails the handshake");
	close(fd);
	stream_init(&s, -1, -1);
	stream_puts(&s, "220 go\r\n");
	CHECK(tls_accept(t, &s, clock_deadline(1000), &e) != 0,
	      "plain bytes: %s", e.text);
	stream_close(&s);
	tls_server_free(t);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	make_files();
	test_kinds();
	test_verify();
	test_refused();
	test_chains();
	test_requests();
	test_garbage();
	shell("rm -r $PWD");
	return unit_done();
}
