/*
 * front.c - connections before the login: TLS, limits, the log's lines.
 * Layer: mail.  RFC 3501 3.1, RFC 8314.
 */
#include "front.h"
#include "log.h"
#include "mem.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define TLS_MS 30000

static const struct front_protocol *protocol;
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
	return !front_conf.disable_plaintext_auth &&
	       front_conf.ssl != FRONT_SSL_REQUIRED;
}

bool
front_can_starttls(const struct front *f)
{
	return tls != NULL && !f->tls && front_conf.ssl != FRONT_SSL_NO;
}

/* TLS on the stream; false: the connection is over. */
static bool
start_tls(struct front *f)
{
	struct err e = ERR_INIT;

	if (tls_accept(tls, f->st, clock_deadline(TLS_MS), &e) != 0) {
		log_info("TLS handshake failed: %s: rip=%s", e.text,
			 f->conn->addr);
		return false;
	}
	f->tls = true;
	return true;
}

bool
front_starttls(struct front *f)
{
	return stream_flush(f->st, clock_deadline(FRONT_WRITE_MS)) == IO_OK &&
	       start_tls(f);
}

enum io_result
front_next_line(struct stream *st, size_t max, struct span *line_r,
		deadline_t d)
{
	enum io_result r;

	/* commands that came together are answered together */
	if (span_chr(stream_buffered(st), '\n') < 0) {
		r = stream_flush(st, clock_deadline(FRONT_WRITE_MS));
		if (r != IO_OK)
			return r;
	}
	io_stoppable = true;
	r = stream_line(st, max, line_r, d);
	io_stoppable = false;
	if (r == IO_OK && line_r->n > 0 && line_r->p[line_r->n - 1] == '\r')
		line_r->n--;
	st->out_deadline = clock_deadline(FRONT_WRITE_MS);
	return r;
}

enum io_result
front_line(struct front *f, size_t max, struct span *line_r)
{
	return front_next_line(f->st, max, line_r, f->until);
}

static void
log_end(const struct front *f)
{
	if (f->user != NULL)
		return;
	if (f->attempts > 0)
		/* Dovecot's words: fail2ban reads them */
		log_info("Aborted login (auth failed, %d attempts): "
			 "user=<>, method=%s, rip=%s, lip=%s%s",
			 f->attempts, f->mech, f->conn->addr,
			 f->conn->local_addr, f->tls ? ", TLS" : "");
	else
		log_info("Aborted login (no auth attempts): user=<>, rip=%s, "
			 "lip=%s%s",
			 f->conn->addr, f->conn->local_addr,
			 f->tls ? ", TLS" : "");
}

static void
serve(struct front *f)
{
	if (f->conn->mode->tls && tls == NULL) {
		log_error("%s: no certificate: set ssl_cert and ssl_key",
			  f->conn->mode->name);
		return;
	}
	if (f->conn->mode->tls && !start_tls(f))
		return;
	if (f->conn->too_many) {
		log_warn("too many connections: rip=%s", f->conn->addr);
		stream_puts(f->st, protocol->too_many);
		(void)!stream_flush(f->st, clock_deadline(FRONT_WRITE_MS));
		return;
	}
	do {
		io_close(&f->fd);
		free(f->user);
		f->user = NULL;
		f->option[0] = '\0';
		f->until = clock_deadline(front_conf.login_timeout);
		protocol->before_login(f);
		f->again = f->fd >= 0 && front_relay(f, protocol->stopping);
		log_end(f);
	} while (f->again);
	(void)!stream_flush(f->st, clock_deadline(FRONT_WRITE_MS));
}

static void
session(struct server *server, struct server_conn *c)
{
	struct stream st;
	struct front f = { .server = server, .conn = c, .st = &st, .fd = -1 };

	stream_init(&st, c->fd_in, c->fd_out);
	st.out_deadline = clock_deadline(FRONT_WRITE_MS);
	serve(&f);
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
	struct tls_server_conf t = { .cert_file = file_of(front_conf.ssl_cert),
				     .key_file = file_of(front_conf.ssl_key),
				     .ciphers = front_conf.ssl_cipher_list,
				     .session_context = protocol->program->name,
				     .ca_file = "",
				     .alpn = protocol->alpn };
	char *protocols = mem_printf(">=%s", front_conf.ssl_min_protocol);
	struct tls_server *fresh;

	if (front_conf.ssl_cert[0] == '\0') {
		free(protocols);
		if (front_conf.ssl == FRONT_SSL_REQUIRED)
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
	if (protocol->reload != NULL)
		protocol->reload();
	if (endpoint_parse(&ep, span_of(front_conf.auth_socket),
			   site.run_directory, e) != 0)
		return err_prefix(e, "auth_socket");
	auth = server_endpoint(s, &ep);
	endpoint_free(&ep);
	front_login_use(protocol, auth);
	return front_hand_offer(protocol, s, e) != 0 ? -1 : load_tls(s, e);
}

static int
after_drop(struct server *s, struct err *e)
{
	(void)e;
	sandbox_no_dump();
	front_hand_worker();
	if (tls != NULL)
		tls_server_worker(tls, s);
	return 0;
}

int
front_run(const struct front_protocol *p, struct server_options *o)
{
	protocol = p;
	spec = (struct server_spec){
		.program = p->program,
		.modes = p->modes,
		.nmodes = p->nmodes,
		.sandbox = SANDBOX_STDIO,
		.busy_text = p->busy,
		.before_drop = before_drop,
		.after_drop = after_drop,
		.session = session,
	};
	o->max_workers = *p->process_limit;
	o->max_use = front_conf.max_use;
	o->max_idle = front_conf.max_idle;
	o->client_limit = *p->client_limit;
	o->unix_mode = 0666;
	return server_run(&spec, o, NULL);
}
