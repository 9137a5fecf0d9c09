/*
 * probe.c - one connection to a mail server, up to its certificate.
 */
#include "probe.h"
#include "endpoint.h"
#include "io.h"
#include "mem.h"
#include "smtp_client.h"
#include "tls.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_BYTES 4096

enum probe_kind
probe_kind_of_port(int port)
{
	switch (port) {
	case 25:
	case 587:
		return PROBE_SMTP;
	case 143:
		return PROBE_IMAP;
	case 110:
		return PROBE_POP3;
	default:
		return PROBE_TLS;
	}
}

static void
probe_fail(struct probe *p, enum probe_step step, const char *text)
{
	p->reached = step;
	snprintf(p->error, sizeof(p->error), "%.*s", (int)sizeof(p->error) - 1,
		 text);
}

static void
take_chain(struct probe *p, const struct stream *s)
{
	struct buf pem = BUF_INIT;
	struct tls_facts f;
	BIO *bio;
	X509 *x;

	p->chain = sk_X509_new_null();
	if (tls_facts(s, &f)) {
		snprintf(p->protocol, sizeof(p->protocol), "%s", f.protocol);
		snprintf(p->cipher, sizeof(p->cipher), "%s", f.cipher);
	}
	if (!tls_peer_chain(s, &pem))
		return;
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	while (bio != NULL &&
	       (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_push(p->chain, x) <= 0)
			X509_free(x);
	}
	BIO_free(bio);
	buf_free(&pem);
}

static void
handshake(struct probe *p, struct stream *s, const char *host, deadline_t d)
{
	struct err e = ERR_INIT;
	struct tls_client_conf conf = { .ca_file = "",
					.protocols = "",
					.ciphers = "" };
	struct tls_client *t = tls_client_new(&conf, &e);

	if (t == NULL ||
	    tls_connect(t, s, host, TLS_VERIFY_NONE, NULL, 0, d, &e) != 0) {
		probe_fail(p, PROBE_HANDSHAKE, e.text);
	} else {
		take_chain(p, s);
		p->reached = PROBE_DONE;
	}
	tls_client_free(t);
}

static void
reply_words(struct buf *b, const char *what, const struct smtp_reply *r)
{
	buf_clear(b);
	buf_addf(b, "%s: %d %s", what, r->code, buf_str(&r->text));
}

static void
probe_smtp(struct probe *p, int fd, const char *host, const char *helo,
	   deadline_t d)
{
	struct smtp_client c = { 0 };
	struct smtp_reply r = { 0 };
	struct err e = ERR_INIT;
	struct buf why = BUF_INIT;
	bool opened = smtp_client_open(&c, fd, d, &r, &e) == 0;

	if (!opened || r.code != 220) {
		reply_words(&why, "the greeting is", &r);
		probe_fail(p, PROBE_GREETING, opened ? buf_str(&why) : e.text);
		goto out;
	}
	buf_addspan(&p->banner_host, buf_span(&c.banner_host));
	if (smtp_client_hello(&c, helo, false, d, &r, &e) != 0 ||
	    r.code != 250) {
		reply_words(&why, "EHLO is answered", &r);
		probe_fail(p, PROBE_HELLO, e.status ? e.text : buf_str(&why));
		goto out;
	}
	if (!(c.caps & SMTP_STARTTLS)) {
		probe_fail(p, PROBE_STARTTLS, "STARTTLS is not offered");
		goto out;
	}
	if (smtp_client_cmd(&c, d, &r, &e, "STARTTLS") != 0 || r.code != 220) {
		reply_words(&why, "STARTTLS is answered", &r);
		probe_fail(p, PROBE_STARTTLS,
			   e.status ? e.text : buf_str(&why));
		goto out;
	}
	handshake(p, &c.s, host, d);
	if (p->reached == PROBE_DONE) {
		/* RFC 3207 4.2: the client begins anew; then it takes leave */
		e = ERR_INIT;
		(void)!smtp_client_hello(&c, helo, false, d, &r, &e);
	}
out:
	smtp_reply_free(&r);
	buf_free(&why);
	smtp_client_close(&c, p->reached != PROBE_HANDSHAKE);
}

/* Greeting, one command, and a line that begins with `yes`. */
static void
probe_lines(struct probe *p, struct stream *s, const char *greeting,
	    const char *command, const char *yes, deadline_t d)
{
	struct span line;

	if (stream_line(s, LINE_MAX_BYTES, &line, d) != IO_OK ||
	    !span_istarts(line, span_of(greeting))) {
		probe_fail(p, PROBE_GREETING, "no greeting");
		return;
	}
	stream_puts(s, command);
	if (stream_flush(s, d) != IO_OK ||
	    stream_line(s, LINE_MAX_BYTES, &line, d) != IO_OK ||
	    !span_istarts(line, span_of(yes)))
		probe_fail(p, PROBE_STARTTLS, "STARTTLS is refused");
	else
		p->reached = PROBE_HANDSHAKE;
}

static void
probe_other(struct probe *p, enum probe_kind kind, int fd, const char *host,
	    deadline_t d)
{
	struct stream s;

	stream_init(&s, fd, fd);
	p->reached = PROBE_HANDSHAKE;
	if (kind == PROBE_IMAP)
		probe_lines(p, &s, "* OK", "a STARTTLS\r\n", "a OK", d);
	else if (kind == PROBE_POP3)
		probe_lines(p, &s, "+OK", "STLS\r\n", "+OK", d);
	if (p->reached == PROBE_HANDSHAKE)
		handshake(p, &s, host, d);
	stream_close(&s);
}

void
probe_run(struct probe *p, enum probe_kind kind, const char *host,
	  const char *addr, int port, const char *helo, deadline_t d)
{
	struct endpoint ep = { .kind = ENDPOINT_INET };
	struct err e = ERR_INIT;
	int fd;

	*p = (struct probe){ .reached = PROBE_CONNECT };
	ep.text = mem_printf("%s port %d", addr, port);
	ep.host = mem_strdup(addr);
	ep.port = mem_printf("%d", port);
	fd = endpoint_connect(&ep, d, &e);
	endpoint_free(&ep);
	if (fd < 0)
		probe_fail(p, PROBE_CONNECT, e.text);
	else if (kind == PROBE_SMTP)
		probe_smtp(p, fd, host, helo, d);
	else
		probe_other(p, kind, fd, host, d);
}

void
probe_done(struct probe *p)
{
	buf_free(&p->banner_host);
	sk_X509_pop_free(p->chain, X509_free);
	p->chain = NULL;
}
