/*
 * probe.h - a look at a live server: greeting, EHLO, STARTTLS, certificate;
 * and what a certificate says.  RFC 3207, 6125, 6698, 7672.
 */
#ifndef MX_PROBE_H
#define MX_PROBE_H

#include "buf.h"
#include "clock.h"
#include "dns.h"

#include <openssl/x509.h>

enum probe_kind { PROBE_SMTP, PROBE_IMAP, PROBE_POP3, PROBE_TLS };
/* How a port of this number begins. */
enum probe_kind probe_kind_of_port(int port);

enum probe_step {
	PROBE_CONNECT, /* nothing answered */
	PROBE_GREETING,
	PROBE_HELLO,
	PROBE_STARTTLS,  /* not offered, or refused */
	PROBE_HANDSHAKE, /* offered, and the handshake failed */
	PROBE_DONE
};
struct probe {
	enum probe_step reached; /* the step that failed, or PROBE_DONE */
	char error[300];
	struct buf banner_host; /* SMTP: the first word of the greeting */
	char protocol[32], cipher[64];
	STACK_OF(X509) * chain; /* its own certificate first */
};
/* host: for SNI.  Sends no mail: ends before MAIL. */
void probe_run(struct probe *p, enum probe_kind kind, const char *host,
	       const char *addr, int port, const char *helo, deadline_t d);
void probe_done(struct probe *p);

/* The names of a certificate, blank-separated. */
void cert_names(X509 *x, struct buf *out);
/* Days until it ends; negative: it has ended. */
int cert_days(X509 *x);
bool cert_has_name(X509 *x, const char *host);
/* Does the chain lead to an authority of ca_file ("": the system's)?  Else
 * *why_r says why not. */
bool cert_trusted(STACK_OF(X509) * chain, const char *ca_file,
		  const char **why_r);
/* What a TLSA record of this selector and matching holds for x (RFC 6698
 * 2.1); false for unknown numbers. */
bool cert_tlsa(X509 *x, int selector, int matching, struct buf *out);
/* Does the record match the chain?  Usages 2 and 3 alone are for mail (RFC
 * 7672 3.1); 2 wants the name too. */
bool cert_tlsa_match(STACK_OF(X509) * chain, const struct dns_rr *rr,
		     const char *host);

#endif
