/*
 * mx_hosts.c - where mail for a destination goes.
 * Layer: mail.  RFC 5321 5.1, RFC 7505.  Trouble with DNS is never "no such
 * domain".
 */
#include "mx_hosts.h"
#include "mem.h"
#include "num.h"
#include "random.h"
#include "status.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

/* MX records beyond this are not looked at: nobody means them. */
#define MX_RECORDS_MAX 50

static void
drop_last(struct mx_hosts *h)
{
	h->n--;
	free(h->v[h->n].host);
	free(h->v[h->n].owner);
}

void
mx_hosts_free(struct mx_hosts *h)
{
	while (h->n > 0)
		drop_last(h);
	free(h->v);
	free(h->domain);
	*h = (struct mx_hosts){ .v = NULL };
}

static struct mx_target *
add_target(struct mx_hosts *h, const char *host, int preference)
{
	h->v = mem_grow(h->v, &h->cap, h->n + 1, sizeof(h->v[0]));
	struct mx_target *t = &h->v[h->n++];
	*t = (struct mx_target){ .host = mem_strdup(host),
				 .preference = preference };
	return t;
}

/* An address in text.  False when it is none, or of a family not wanted. */
static bool
add_address(struct mx_hosts *h, const struct mx_conf *c, const char *host,
	    const char *addr, int port, int preference)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons((uint16_t)port) };
	const void *from = &in4;
	socklen_t len = sizeof(in4);

	if (inet_pton(AF_INET, addr, &in4.sin_addr) == 1) {
		if (c->family == MX_IPV6)
			return false;
	} else if (inet_pton(AF_INET6, addr, &in6.sin6_addr) == 1) {
		if (c->family == MX_IPV4)
			return false;
		from = &in6;
		len = sizeof(in6);
	} else {
		return false;
	}
	struct mx_target *t = add_target(h, host, preference);
	memcpy(&t->ss, from, len);
	t->len = len;
	t->port = port;
	snprintf(t->addr, sizeof(t->addr), "%s", addr);
	return true;
}

/* How a look-up ended, over several questions: the worst doubt wins. */
enum answer { ANSWER_SOME, ANSWER_NONE, ANSWER_TEMP };

int
mx_hosts_system(void *ctx, const char *name, struct strs *addrs)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	char text[64];
	int r = getaddrinfo(name, NULL, &hints, &list);

	(void)ctx;
	if (r != 0)
		return r;
	for (a = list; a != NULL; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text),
				NULL, 0, NI_NUMERICHOST) == 0)
			strs_add(addrs, text);
	freeaddrinfo(list);
	return 0;
}

static enum answer
native_addresses(struct mx_hosts *h, const struct mx_conf *c, const char *name,
		 int port, int preference)
{
	struct strs addrs = STRS_INIT;
	size_t before = h->n;
	int r = c->system != NULL ? c->system(c->system_ctx, name, &addrs)
				  : mx_hosts_system(NULL, name, &addrs);

	for (size_t i = 0; r == 0 && i < addrs.n; i++)
		(void)add_address(h, c, name, addrs.v[i], port, preference);
	strs_free(&addrs);
	if (r == EAI_NONAME || r == EAI_NODATA || r == EAI_ADDRFAMILY)
		return ANSWER_NONE;
	if (r != 0)
		return ANSWER_TEMP;
	return h->n > before ? ANSWER_SOME : ANSWER_NONE;
}

static enum answer
dns_addresses(struct mx_hosts *h, const struct mx_conf *c, const char *name,
	      int port, int preference, deadline_t d)
{
	enum answer verdict = ANSWER_NONE;
	/* Neither family always first: an outage of one must not put its
	 * timeout before every message. */
	int first = random_below(2) ? DNS_A : DNS_AAAA;

	if (c->prefer != MX_ALL)
		first = c->prefer == MX_IPV4 ? DNS_A : DNS_AAAA;

	for (int i = 0; i < 2; i++) {
		int type = i == 0 ? first : (first == DNS_A ? DNS_AAAA : DNS_A);
		struct dns_answer ans = { .n = 0 };
		if ((type == DNS_A && c->family == MX_IPV6) ||
		    (type == DNS_AAAA && c->family == MX_IPV4))
			continue;
		enum dns_status st =
		    dns_query(c->dns, name, type, &ans, d, NULL);
		if (st == DNS_TEMP && verdict == ANSWER_NONE)
			verdict = ANSWER_TEMP;
		if (st != DNS_OK)
			continue;
		for (size_t k = 0; k < ans.n; k++) {
			if (!add_address(h, c, name, ans.v[k].text, port,
					 preference))
				continue;
			h->v[h->n - 1].owner = mem_strdup(ans.name);
			h->v[h->n - 1].secure = ans.ad;
			verdict = ANSWER_SOME;
		}
		dns_answer_free(&ans);
	}
	return verdict;
}

static bool
is_address(const char *name)
{
	struct in6_addr a;

	return inet_pton(AF_INET, name, &a) == 1 ||
	       inet_pton(AF_INET6, name, &a) == 1;
}

/* The addresses of one host. */
static enum answer
host_addresses(struct mx_hosts *h, const struct mx_conf *c, const char *name,
	       int port, int preference, deadline_t d)
{
	enum answer verdict = ANSWER_NONE;
	/* A name without a dot is the hosts file's, not the DNS's. */
	bool bare = strchr(name, '.') == NULL;

	if (is_address(name))
		return add_address(h, c, name, name, port, preference)
			   ? ANSWER_SOME
			   : ANSWER_NONE;
	if (bare && (c->native || strcmp(name, "localhost") == 0))
		verdict = native_addresses(h, c, name, port, preference);
	if (verdict != ANSWER_SOME && c->dns != NULL)
		verdict = dns_addresses(h, c, name, port, preference, d);
	if (verdict != ANSWER_SOME && c->native && !bare) {
		enum answer n = native_addresses(h, c, name, port, preference);
		/* "No" of one source does not undo the doubt of another. */
		if (n != ANSWER_NONE)
			verdict = n;
	}
	return verdict;
}

static int
no_host(struct err *e, enum answer why, const char *name, const char *type)
{
	if (why == ANSWER_TEMP)
		return err_esc(e, ST_TEMPFAIL, "4.4.3",
			       "Host or domain name not found. Name service "
			       "error for name=%s type=%s: Host not found, "
			       "try again",
			       name, type);
	return err_esc(e, ST_NOHOST, "5.4.4",
		       "Host or domain name not found. Name service error for "
		       "name=%s type=%s: Host not found",
		       name, type);
}

/* Among hosts of one MX preference the wanted family comes first; else the
 * order stays (postconf(5), smtp_address_preference).  Some tens of rows. */
static void
put_family_first(struct mx_hosts *h, enum mx_family want, size_t from)
{
	sa_family_t family = want == MX_IPV4 ? AF_INET : AF_INET6;

	if (want == MX_ALL)
		return;
	for (size_t i = from + 1; i < h->n; i++)
		for (size_t k = i; k > from && h->v[k].ss.ss_family == family &&
				   h->v[k - 1].ss.ss_family != family &&
				   h->v[k - 1].preference == h->v[k].preference;
		     k--) {
			struct mx_target t = h->v[k];

			h->v[k] = h->v[k - 1];
			h->v[k - 1] = t;
		}
}

/* We are among the targets: only those that are nearer to the destination
 * than we are may be tried (RFC 5321 5.1). */
static int
cut_at_self(struct mx_hosts *h, const struct mx_conf *c, const char *domain,
	    int port, size_t from, struct err *e)
{
	int limit = -1;

	if (c->own == NULL || port != c->own_port)
		return 0;
	for (size_t i = from; limit < 0 && i < h->n; i++)
		if (strs_has(c->own, span_of(h->v[i].addr)))
			limit = h->v[i].preference;
	if (limit < 0)
		return 0;
	size_t keep = from;
	while (keep < h->n && h->v[keep].preference < limit)
		keep++;
	while (h->n > keep)
		drop_last(h);
	if (keep > from)
		return 0;
	return err_esc(e, ST_NOHOST, "5.4.6",
		       "mail for %s loops back to myself", domain);
}

static enum answer
mx_addresses(struct mx_hosts *h, const struct mx_conf *c,
	     const struct dns_answer *ans, int port, deadline_t d)
{
	enum answer verdict = ANSWER_NONE;

	for (size_t i = 0; i < ans->n && i < MX_RECORDS_MAX; i++) {
		const char *name = ans->v[i].text;
		/* "." beside others is a mistake, not a null MX.  An address
		 * where a name belongs (RFC 5321 5.1) is taken for what was
		 * meant, as Postfix does. */
		if (strcmp(name, ".") == 0)
			continue;
		enum answer a =
		    host_addresses(h, c, name, port, ans->v[i].preference, d);
		if (a == ANSWER_SOME || verdict == ANSWER_NONE)
			verdict = a;
	}
	return verdict;
}

/* MX, then A/AAAA. */
static int
find_domain(struct mx_hosts *h, const struct mx_conf *c, const char *domain,
	    int port, deadline_t d, struct err *e)
{
	struct dns_answer ans = { .n = 0 };
	size_t from = h->n;
	enum answer verdict;
	const char *type = "MX";

	if (c->dns == NULL || strchr(domain, '.') == NULL) {
		verdict = c->native ? native_addresses(h, c, domain, port, 0)
				    : ANSWER_NONE;
		if (verdict == ANSWER_SOME || c->dns == NULL)
			goto out;
	}
	switch (dns_query(c->dns, domain, DNS_MX, &ans, d, NULL)) {
	case DNS_OK:
		h->by_mx = true;
		h->secure = h->secure && ans.ad;
		if (ans.n == 1 && strcmp(ans.v[0].text, ".") == 0) {
			dns_answer_free(&ans);
			return err_esc(e, ST_NOHOST, "5.1.10",
				       "Domain %s does not accept mail "
				       "(nullMX)",
				       domain);
		}
		verdict = mx_addresses(h, c, &ans, port, d);
		type = "A";
		dns_answer_free(&ans);
		break;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		h->secure = h->secure && ans.ad;
		dns_answer_free(&ans);
		verdict = host_addresses(h, c, domain, port, 0, d);
		type = "A";
		break;
	case DNS_BADNAME:
		verdict = ANSWER_NONE;
		break;
	default:
		verdict = ANSWER_TEMP;
	}
out:
	if (verdict != ANSWER_SOME)
		return no_host(e, verdict, domain, type);
	return cut_at_self(h, c, domain, port, from, e);
}

bool
mx_hosts_parse(struct span s, struct span *host_r, int *port_r, bool *literal_r)
{
	struct span rest;
	ssize_t at;

	*literal_r = s.n > 0 && s.p[0] == '[';
	if (*literal_r) {
		at = span_chr(s, ']');
		if (at < 0)
			return false;
		*host_r = span_sub(s, 1, (size_t)at);
		rest = span_from(s, (size_t)at + 1);
		if (span_istarts(*host_r, SPAN("IPv6:")))
			*host_r = span_from(*host_r, 5);
	} else {
		at = span_chr(s, ':');
		/* More than one colon: a bare IPv6 address. */
		if (at >= 0 && span_rchr(s, ':') != at)
			at = -1;
		*host_r = at < 0 ? s : span_sub(s, 0, (size_t)at);
		rest = at < 0 ? SPAN("") : span_from(s, (size_t)at);
	}
	if (host_r->n == 0 || span_has_ctl(*host_r))
		return false;
	if (rest.n == 0)
		return true;
	if (rest.p[0] != ':')
		return false;
	rest = span_from(rest, 1);
	if (num_int(rest, 1, 65535, port_r))
		return true;
	char *name = mem_spandup(rest);
	struct servent *sv = getservbyname(name, "tcp");
	free(name);
	if (sv != NULL)
		*port_r = ntohs((uint16_t)sv->s_port);
	return sv != NULL;
}

static int
find_unix(struct mx_hosts *h, struct span path, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (path.n == 0 || path.n >= sizeof(un.sun_path))
		return err_esc(e, ST_CONFIG, "4.3.5",
			       "unix:%.*s: not a path of a socket",
			       SPAN_ARG(path));
	memcpy(un.sun_path, path.p, path.n);
	char *host = mem_spandup(path);
	struct mx_target *t = add_target(h, host, 0);
	free(host);
	memcpy(&t->ss, &un, sizeof(un));
	t->len = sizeof(un);
	snprintf(t->addr, sizeof(t->addr), "%.*s", 60, un.sun_path);
	return 0;
}

static int
find_one(struct mx_hosts *h, const struct mx_conf *c, struct span dest,
	 deadline_t d, struct err *e)
{
	struct span host;
	bool literal, is_host = c->no_mx;
	int port = c->port, r;

	if (span_starts(dest, SPAN("unix:")))
		return find_unix(h, span_from(dest, 5), e);
	if (span_starts(dest, SPAN("inet:"))) {
		dest = span_from(dest, 5);
		is_host = true;
	}
	if (!mx_hosts_parse(dest, &host, &port, &literal))
		return err_esc(e, ST_NOHOST, "5.1.2",
			       "%.*s: bad destination (expected DOMAIN, "
			       "[HOST], with :PORT)",
			       SPAN_ARG(dest));
	char *name = mem_spandup(host);
	size_t from = h->n;
	if (h->domain == NULL)
		h->domain = mem_strdup(name);
	if (literal || is_host || is_address(name)) {
		enum answer a = host_addresses(h, c, name, port, 0, d);
		r = a == ANSWER_SOME ? 0 : no_host(e, a, name, "A");
	} else {
		r = find_domain(h, c, name, port, d, e);
	}
	put_family_first(h, c->prefer, from);
	free(name);
	return r;
}

int
mx_hosts_find(struct mx_hosts *h, const struct mx_conf *c,
	      struct span destination, deadline_t d, struct err *e)
{
	struct err worst = ERR_INIT, one;
	struct span dest;

	*h = (struct mx_hosts){ .secure = true };
	while (span_word(&destination, ", \t", &dest)) {
		one = ERR_INIT;
		/* One destination in doubt keeps the mail. */
		if (find_one(h, c, dest, d, &one) != 0 &&
		    (worst.status == 0 || status_is_temp(one.status)))
			worst = one;
	}
	if (h->n == 0) {
		mx_hosts_free(h);
		if (worst.status == 0)
			return err_esc(e, ST_NOHOST, "5.1.2",
				       "empty destination");
		if (e != NULL)
			*e = worst;
		return -1;
	}
	while (c->limit > 0 && h->n > (size_t)c->limit)
		drop_last(h);
	return 0;
}

static void
add_interfaces(struct strs *own, bool loopback_only)
{
	struct ifaddrs *list, *i;
	char text[64];

	if (getifaddrs(&list) != 0)
		return;
	for (i = list; i != NULL; i = i->ifa_next) {
		sa_family_t f =
		    i->ifa_addr == NULL ? AF_UNSPEC : i->ifa_addr->sa_family;
		socklen_t len = f == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
		if ((f == AF_INET || f == AF_INET6) &&
		    getnameinfo(i->ifa_addr, len, text, sizeof(text), NULL, 0,
				NI_NUMERICHOST) == 0 &&
		    (!loopback_only || strcmp(text, "::1") == 0 ||
		     strncmp(text, "127.", 4) == 0))
			strs_add(own, text);
	}
	freeifaddrs(list);
}

void
mx_hosts_own(struct strs *own, const struct strs *interfaces,
	     const struct strs *proxy)
{
	struct mx_hosts h = { .n = 0 };
	struct mx_conf c = { .native = true, .port = 25 };

	for (size_t i = 0; i < interfaces->n + proxy->n; i++) {
		const char *word = i < interfaces->n
				       ? interfaces->v[i]
				       : proxy->v[i - interfaces->n];
		struct span host;
		bool literal;
		int port;
		if (strcmp(word, "all") == 0 ||
		    strcmp(word, "loopback-only") == 0) {
			add_interfaces(own, word[0] == 'l');
			continue;
		}
		if (!mx_hosts_parse(span_of(word), &host, &port, &literal))
			continue;
		char *name = mem_spandup(host);
		(void)host_addresses(&h, &c, name, 25, 0, DEADLINE_NEVER);
		free(name);
	}
	for (size_t i = 0; i < h.n; i++)
		strs_add(own, h.v[i].addr);
	mx_hosts_free(&h);
}
