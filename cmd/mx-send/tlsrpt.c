/*
 * tlsrpt.c - what the receiving domain wants to hear of TLS sessions: a line a
 * session in tlsrpt_history_file, of which mx-report makes the reports.
 * RFC 8460 4.2 to 4.4.
 *
 * "mx-tlsrpt-1 time=EPOCH domain=D type=tlsa|sts|no-policy-found
 * [policy=LINE]... result=success|TYPE mx=HOST ip=ADDR local=ADDR helo=NAME
 * reason=TEXT".  A process in the sandbox has the file open already, or tells
 * its line to who keeps it (jobs.c).
 */
#include "send.h"
#include "dns.h"
#include "escape.h"
#include "history.h"
#include "log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define POLICY_LINES 40
#define POLICY_LINE 600
#define TOLD_MAX 16000 /* what a socket's packet takes */

static struct {
	int file, channel;
} to = { -1, -1 };

static void
away(const struct err *e)
{
	static bool said;

	if (!said)
		log_warn("tlsrpt_history_file: %s", e->text);
	said = true;
}

void
tlsrpt_open(void)
{
	struct err e = ERR_INIT;

	if (params.tlsrpt_history_file[0] == '\0')
		return;
	to.file = history_open(params.tlsrpt_history_file, &e);
	if (to.file < 0)
		away(&e);
}

void
tlsrpt_tell(int channel)
{
	to.channel = channel;
}

/* The policy domain of a destination, as A-labels (4.4). */
static bool
domain_of(const char *destination, struct buf *out)
{
	struct span host;
	int port = 0;
	bool literal;

	return mx_hosts_parse(span_of(destination), &host, &port, &literal) &&
	       !literal && dns_to_ascii(host, out) &&
	       dns_valid_hostname(buf_span(out));
}

static void
write_line(int fd, const char *destination, struct span rest)
{
	struct buf b = BUF_INIT, domain = BUF_INIT;

	if (domain_of(destination, &domain)) {
		buf_addf(&b, "mx-tlsrpt-1 time=%lld domain=%s ",
			 (long long)clock_now(), buf_str(&domain));
		buf_addspan(&b, rest);
		buf_addc(&b, '\n');
		if (write(fd, b.p, b.n) != (ssize_t)b.n)
			log_warn("%s: cannot append",
				 params.tlsrpt_history_file);
	}
	buf_free(&b);
	buf_free(&domain);
}

void
tlsrpt_take(const char *destination, struct span rest)
{
	struct err e = ERR_INIT;
	int fd;

	/* what a process in the sandbox says is a stranger's word */
	if (params.tlsrpt_history_file[0] == '\0' || span_has_ctl(rest) ||
	    !span_starts(rest, SPAN("type=")))
		return;
	fd = history_open(params.tlsrpt_history_file, &e);
	if (fd < 0) {
		away(&e);
		return;
	}
	write_line(fd, destination, rest);
	close(fd);
}

static void
add(struct buf *b, const char *name, struct span value)
{
	buf_addf(b, "%s%s=", b->n > 0 ? " " : "", name);
	if (value.n == 0)
		buf_adds(b, "\"\"");
	else
		escape_word(b, value);
}

/* 4.5: each record as TLSA's four fields. */
static void
add_tlsa(struct buf *b, const struct dane *a)
{
	struct buf one = BUF_INIT;

	for (size_t i = 0; i < a->n && i < POLICY_LINES; i++) {
		buf_clear(&one);
		buf_addf(&one, "%d %d %d ", a->rows[i].usage,
			 a->rows[i].selector, a->rows[i].matching);
		hex_encode(&one, span_sub(a->rows[i].data, 0, POLICY_LINE / 2));
		add(b, "policy", buf_span(&one));
	}
	buf_free(&one);
}

static void
add_sts(struct buf *b, const struct mtasts *p)
{
	struct span rest = buf_span(&p->text), line;

	for (int i = 0; i < POLICY_LINES && span_split(&rest, '\n', &line);) {
		line = span_trim(line);
		if (line.n == 0)
			continue;
		add(b, "policy", span_sub(line, 0, POLICY_LINE));
		i++;
	}
}

/* The address of one end, without port; "" for what is none. */
static void
add_addr(struct buf *b, const char *name, int fd,
	 int (*get)(int, struct sockaddr *, socklen_t *))
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} u;
	socklen_t len = sizeof(u);
	char text[INET6_ADDRSTRLEN] = "";

	if (fd >= 0 && get(fd, &u.sa, &len) == 0) {
		if (u.sa.sa_family == AF_INET)
			inet_ntop(AF_INET, &u.in4.sin_addr, text, sizeof(text));
		else if (u.sa.sa_family == AF_INET6)
			inet_ntop(AF_INET6, &u.in6.sin6_addr, text,
				  sizeof(text));
	}
	add(b, name, span_of(text));
}

static void
tell(const struct session *s, const struct buf *line)
{
	struct buf b = BUF_INIT;

	if (to.file >= 0)
		write_line(to.file, s->group->destination, buf_span(line));
	if (to.channel >= 0 && line->n < TOLD_MAX) {
		buf_addc(&b, 't');
		buf_addspan(&b, buf_span(line));
		(void)send(to.channel, b.p, b.n, MSG_NOSIGNAL);
	}
	buf_free(&b);
}

static void
add_session(struct buf *b, const struct session *s, const char *result,
	    const char *why)
{
	struct buf safe = BUF_INIT;

	add(b, "result", span_of(result));
	add(b, "mx", span_of(s->target->host));
	add(b, "ip", span_of(s->target->addr));
	add_addr(b, "local", s->c.s.fd_in, getsockname);
	escape_line(&safe, buf_span(&s->c.banner_host), 200);
	add(b, "helo", buf_span(&safe));
	buf_clear(&safe);
	escape_line(&safe, span_of(why), 300);
	add(b, "reason", buf_span(&safe));
	buf_free(&safe);
}

static bool
has_tlsa(const struct session *s)
{
	/* dnssec-invalid and dane-required have no record to show */
	return s->dane != NULL && (s->dane->state != DANE_NONE ||
				   s->group->policy.level == TLS_DANE_ONLY);
}

/* Is this one of those that are told?  Levels that check certificates by our
 * own rules look for no policy of the domain's. */
static bool
wanted(const struct session *s)
{
	int level = s->group->policy.level;

	return (to.file >= 0 || to.channel >= 0) && !send_tls_optional &&
	       !s->no_tls && s->group->hosts.by_mx && !options.lmtp &&
	       (level == TLS_MAY || level == TLS_ENCRYPT || level == TLS_DANE ||
		level == TLS_DANE_ONLY);
}

void
tlsrpt_session(struct session *s)
{
	const struct group *g = s->group;
	const char *result = s->tls_failure != NULL ? s->tls_failure
			     : s->tls               ? "success"
						    : NULL;
	struct buf b = BUF_INIT;

	if (!wanted(s))
		return;
	if (result != NULL && has_tlsa(s)) {
		add(&b, "type", SPAN("tlsa"));
		add_tlsa(&b, s->dane);
	} else if (result != NULL && g->has_sts) {
		add(&b, "type", SPAN("sts"));
		add_sts(&b, &g->sts);
	} else if (result != NULL) {
		add(&b, "type", SPAN("no-policy-found"));
	}
	if (result != NULL) {
		add_session(&b, s, result, s->tls_why);
		tell(s, &b);
	}
	/* RFC 8460 4.3.2.2: the policy that could not be had. */
	if (g->sts_failure[0] != '\0' && !has_tlsa(s)) {
		buf_clear(&b);
		add(&b, "type", SPAN("sts"));
		add_session(&b, s, g->sts_failure, "");
		tell(s, &b);
	}
	buf_free(&b);
}

void
tlsrpt_failed(struct session *s, const char *result, const char *why)
{
	s->tls_failure = result;
	snprintf(s->tls_why, sizeof(s->tls_why), "%s", why);
}

void
tlsrpt_certificate(struct session *s, long bad, const char *words)
{
	bool dane = s->level == TLS_DANE || s->level == TLS_DANE_ONLY;

	tlsrpt_failed(s,
		      bad == X509_V_ERR_CERT_HAS_EXPIRED ? "certificate-expired"
		      : bad == X509_V_ERR_HOSTNAME_MISMATCH ||
			      bad == X509_V_ERR_IP_ADDRESS_MISMATCH
			  ? "certificate-host-mismatch"
		      : bad == X509_V_OK ? "validation-failure"
		      : dane             ? "tlsa-invalid"
					 : "certificate-not-trusted",
		      words);
}
