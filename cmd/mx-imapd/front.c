/*
 * front.c - connections before the login: greeting, TLS, the few commands
 * that strangers may give.  RFC 3501 3.1, 6.1, 6.2; RFC 8314.
 */
#include "front.h"
#include "conf.h"
#include "log.h"
#include "maildir_root.h"
#include "mem.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define TLS_MS 30000
#define WRITE_MS 60000

static const struct server_mode modes[] = {
	{ .name = "imap", .port = 143 },
	{ .name = "imaps", .tls = true, .port = 993 },
};

static struct tls_server *tls;
static struct server_spec spec;

bool
front_secured(const struct front *f)
{
	return f->tls || f->conn->is_unix;
}

bool
front_login_ok(const struct front *f)
{
	if (front_secured(f))
		return true;
	return !conf.disable_plaintext_auth && conf.ssl != SSL_REQUIRED;
}

bool
front_can_starttls(const struct front *f)
{
	return tls != NULL && !f->tls && conf.ssl != SSL_NO;
}

void
front_capability(struct front *f, struct buf *b)
{
	buf_adds(b, "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE");
	if (front_can_starttls(f))
		buf_adds(b, " STARTTLS");
	if (front_login_ok(f))
		login_mechs(f, b);
	else
		buf_adds(b, " LOGINDISABLED");
}

/* TLS on the stream; false: the connection is over. */
static bool
start_tls(struct front *f, struct stream *st)
{
	struct err e = ERR_INIT;

	if (tls_accept(tls, st, clock_deadline(TLS_MS), &e) != 0) {
		log_info("TLS handshake failed: %s: rip=%s", e.text,
			 f->conn->addr);
		return false;
	}
	f->tls = true;
	return true;
}

void
front_starttls(struct session *s)
{
	if (stream_flush(s->st, clock_deadline(WRITE_MS)) != IO_OK ||
	    !start_tls(s->front, s->st))
		s->state = STATE_LOGOUT;
}

static void
greet(struct front *f, struct stream *st)
{
	struct buf b = BUF_INIT;

	front_capability(f, &b);
	stream_printf(st, "* OK [CAPABILITY %s] %s\r\n", buf_str(&b),
		      conf.login_greeting);
	buf_free(&b);
}

static void
log_end(const struct front *f)
{
	if (f->user != NULL)
		return;
	if (f->attempts > 0)
		log_info("Aborted login (auth failed, %d attempts): "
			 "user=<>, rip=%s, lip=%s%s",
			 f->attempts, f->conn->addr, f->conn->local_addr,
			 f->tls ? ", TLS" : "");
	else
		log_info("Aborted login (no auth attempts): user=<>, rip=%s, "
			 "lip=%s%s",
			 f->conn->addr, f->conn->local_addr,
			 f->tls ? ", TLS" : "");
}

static void
before_login(struct front *f, struct stream *st)
{
	struct session s = { .st = st,
			     .state = STATE_FIRST,
			     .user = "",
			     .root = -1,
			     .rows = front_commands,
			     .max = FRONT_COMMAND_MAX,
			     .bad_limit = FRONT_BAD_COMMANDS,
			     .until = clock_deadline(conf.login_timeout),
			     .front = f };

	greet(f, st);
	while (session_one(&s) && f->fd < 0)
		;
	if (f->fd < 0)
		(void)!stream_flush(st, clock_deadline(WRITE_MS));
	session_done(&s);
}

static void
session(struct server *server, struct server_conn *c)
{
	struct front f = { .server = server, .conn = c, .fd = -1 };
	struct stream st;

	stream_init(&st, c->fd_in, c->fd_out);
	st.out_deadline = clock_deadline(WRITE_MS);
	if (c->mode->tls && (tls == NULL || !start_tls(&f, &st))) {
		if (tls == NULL)
			log_error("%s: no certificate: set ssl_cert and "
				  "ssl_key",
				  c->mode->name);
	} else if (c->too_many) {
		log_warn("too many connections: rip=%s", c->addr);
		stream_puts(&st, "* BYE [LIMIT] Too many connections from your "
				 "address\r\n");
		(void)!stream_flush(&st, clock_deadline(WRITE_MS));
	} else {
		before_login(&f, &st);
		if (f.fd >= 0)
			relay(&f, &st, f.fd);
		log_end(&f);
	}
	io_close(&f.fd);
	free(f.user);
	c->fd_in = c->fd_out = -1; /* closed with the stream */
	stream_close(&st);
}

/* Dovecot's "</etc/cert.pem" is the file of that name. */
static const char *
file_of(const char *value)
{
	return value[0] == '<' ? value + 1 : value;
}

static int
load_tls(struct server *s, struct err *e)
{
	struct tls_server_conf t = { .cert_file = file_of(conf.ssl_cert),
				     .key_file = file_of(conf.ssl_key),
				     .ciphers = conf.ssl_cipher_list,
				     .session_context = "mx-imapd",
				     .ca_file = "",
				     .alpn = "imap" };
	char *protocols = mem_printf(">=%s", conf.ssl_min_protocol);
	struct tls_server *fresh;

	if (conf.ssl_cert[0] == '\0') {
		free(protocols);
		if (conf.ssl == SSL_REQUIRED)
			return err_set(e, ST_CONFIG,
				       "ssl = required needs ssl_cert");
		return 0;
	}
	t.protocols = protocols;
	fresh = tls_server_new(&t, s, e);
	free(protocols);
	if (fresh == NULL)
		return err_prefix(e, "ssl_cert");
	/* the former one stays: workers that still run ask for its key */
	tls = fresh;
	return 0;
}

static int
before_drop(struct server *s, bool reload, struct err *e)
{
	struct endpoint ep;
	int auth;

	(void)reload;
	/* texts of the configuration, which is read anew at SIGHUP */
	spec.user = site.net_user;
	maildir_root_boxes = conf.mailbox_auto;
	if (endpoint_parse(&ep, span_of(conf.auth_socket), site.run_directory,
			   e) != 0)
		return err_prefix(e, "auth_socket");
	auth = server_endpoint(s, &ep);
	endpoint_free(&ep);
	login_use(auth);
	return hand_offer(s, e) != 0 ? -1 : load_tls(s, e);
}

static int
after_drop(struct server *s, struct err *e)
{
	(void)e;
	sandbox_no_dump();
	if (tls != NULL)
		tls_server_worker(tls, s);
	return 0;
}

int
front_run(const struct program *program)
{
	struct server_options *o = &options.server;

	spec = (struct server_spec){
		.program = program,
		.modes = modes,
		.nmodes = ARRAY_LEN(modes),
		.sandbox = SANDBOX_STDIO,
		.busy_text = "* BYE [UNAVAILABLE] All servers are busy\r\n",
		.before_drop = before_drop,
		.after_drop = after_drop,
		.session = session,
	};
	o->max_workers = conf.process_limit;
	o->max_use = conf.max_use;
	o->max_idle = conf.max_idle;
	o->client_limit = conf.client_limit;
	o->unix_mode = 0666;
	return server_run(&spec, o, NULL);
}
