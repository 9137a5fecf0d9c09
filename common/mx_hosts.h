/*
 * mx_hosts.h - where mail for a destination goes: MX with preference, A/AAAA,
 * null MX, the hosts file, literals, [host]:port.
 * Layer: mail.  RFC 5321 5.1, 7505; Postfix smtp_host_lookup, smtp_mx_*.
 */
#ifndef MX_MX_HOSTS_H
#define MX_MX_HOSTS_H

#include "dns.h"

#include <sys/socket.h>

struct mx_target {
	char *host;    /* name, or the literal: for TLS, logs, EHLO checks */
	char addr[64]; /* "192.0.2.1", "2001:db8::1"; unix: the path's end */
	int port;      /* 0: unix */
	int preference;
	struct sockaddr_storage ss;
	socklen_t len;
	char *owner; /* of the address record, behind CNAMEs; NULL: no DNS */
	bool secure; /* the address was authenticated (DANE) */
};

struct mx_hosts {
	struct mx_target *v; /* in the order in which to try */
	size_t n, cap;
	bool by_mx;   /* MX records named them */
	bool secure;  /* the MX records were authenticated, or that there are
			 none; true where a host was named (DANE) */
	char *domain; /* of the destination, without port and brackets */
};

enum mx_family { MX_ALL, MX_IPV4, MX_IPV6 };

struct mx_conf {
	struct dns *dns;        /* NULL: native only */
	bool native;            /* smtp_host_lookup has "native" */
	bool no_mx;             /* LMTP, --host: the name is a host */
	enum mx_family family;  /* inet_protocols */
	enum mx_family prefer;  /* smtp_address_preference; MX_ALL: "any" */
	int port;               /* where the destination names none */
	int limit;              /* smtp_mx_address_limit; 0: none */
	const struct strs *own; /* our addresses: a loop ends here; only for
				   destinations on `own_port`; may be NULL */
	int own_port;
	/* Who asks the system (mx_hosts_system, when NULL): its library may
	 * read what the network says. */
	int (*system)(void *ctx, const char *name, struct strs *addrs);
	void *system_ctx;
};

/* The addresses of a host by getaddrinfo: the hosts file and whatever else
 * nsswitch.conf names.  Its result: 0 or EAI_*. */
int mx_hosts_system(void *ctx, const char *name, struct strs *addrs);

/*
 * Destination: "domain", "domain:port", "[host]", "[host]:port",
 * "[192.0.2.1]", "[IPv6:2001:db8::1]", "unix:/path", "inet:host:port"; blanks
 * and commas separate several, tried in turn.
 * Returns 0, or -1 with a verdict in e: ST_NOHOST (5.4.4 no such domain,
 * 5.1.10 null MX, 5.4.6 we are its best MX) or ST_TEMPFAIL (4.4.3).
 */
int mx_hosts_find(struct mx_hosts *h, const struct mx_conf *c,
		  struct span destination, deadline_t d,
		  struct err *e) MX_MUST_CHECK;
void mx_hosts_free(struct mx_hosts *h);
/* The addresses of this host: of `interfaces` ("all": of every interface,
 * "loopback-only", addresses, names), and those of `proxy`. */
void mx_hosts_own(struct strs *own, const struct strs *interfaces,
		  const struct strs *proxy);
/* Takes "[host]:port" apart; *literal_r: it stood in brackets.  False when
 * malformed. */
bool mx_hosts_parse(struct span s, struct span *host_r, int *port_r,
		    bool *literal_r) MX_MUST_CHECK;

#endif
