/*
 * dns_wire.c - one question and its answer as packets: UDP, then TCP when cut;
 * ldns builds and parses, the sockets and deadlines are ours.
 * Layer: mail.  RFC 1035, 6891 (EDNS), 7766 (TCP).
 */
#include "dns_int.h"
#include "io.h"
#include "random.h"
#include "status.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* No fragments on any path (DNS flag day 2020). */
#define DNS_UDP_SIZE 1232
/* Each server's time for one question, resolv.conf(5)'s default. */
#define DNS_TRY_MS 5000

/* The question as wire bytes; false when the name does not fit. */
static bool
wire_question(const char *name, int type, uint16_t id, struct buf *out)
{
	ldns_rdf *rdf = ldns_dname_new_frm_str(name);
	ldns_pkt *pkt;
	uint8_t *wire = NULL;
	size_t n = 0;

	if (rdf == NULL)
		return false;
	pkt = ldns_pkt_query_new(rdf, (ldns_rr_type)type, LDNS_RR_CLASS_IN,
				 LDNS_RD);
	if (pkt == NULL) {
		ldns_rdf_deep_free(rdf);
		return false;
	}
	ldns_pkt_set_id(pkt, id);
	ldns_pkt_set_edns_udp_size(pkt, DNS_UDP_SIZE);
	/* AD in a question asks for AD in the answer (RFC 6840 5.7). */
	ldns_pkt_set_ad(pkt, true);
	if (ldns_pkt2wire(&wire, pkt, &n) == LDNS_STATUS_OK) {
		buf_clear(out);
		buf_add(out, wire, n);
		free(wire);
	}
	ldns_pkt_free(pkt);
	return n > 0;
}

/* Does this packet answer our question? */
static bool
wire_matches(const ldns_pkt *pkt, const char *name, int type, uint16_t id)
{
	ldns_rr_list *q = ldns_pkt_question(pkt);
	ldns_rr *rr;
	ldns_rdf *want;
	bool same;

	if (ldns_pkt_id(pkt) != id || !ldns_pkt_qr(pkt))
		return false;
	if (ldns_rr_list_rr_count(q) != 1)
		return false;
	rr = ldns_rr_list_rr(q, 0);
	if ((int)ldns_rr_get_type(rr) != type)
		return false;
	want = ldns_dname_new_frm_str(name);
	same = want != NULL && ldns_dname_compare(want, ldns_rr_owner(rr)) == 0;
	ldns_rdf_deep_free(want);
	return same;
}

/* A fresh socket a question: a source port that nobody can guess (RFC 5452). */
static int
wire_socket(struct dns *d, int type, int which)
{
	struct sockaddr_storage *ss;
	int fd;

	if (d->opener != NULL)
		return d->opener(d->opener_ctx, type, which);
	ss = &d->server[which % (int)d->nservers];
	fd = socket(ss->ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)ss,
		    d->server_len[which % (int)d->nservers]) != 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Is it the head of an answer to this question that says "cut" (RFC 1035
 * 4.1.1)?  Some servers cut in the middle of a record: what is left cannot be
 * parsed, and TCP has the whole. */
static bool
wire_cut(const uint8_t *in, size_t n, uint16_t id)
{
	return n >= LDNS_HEADER_SIZE && LDNS_ID_WIRE(in) == id &&
	       LDNS_QR_WIRE(in) && LDNS_TC_WIRE(in);
}

/* The answer, or NULL: no server, or none that matched until dl. */
static ldns_pkt *
wire_udp(struct dns *d, struct span q, const char *name, int type, uint16_t id,
	 int which, deadline_t dl, bool *cut_r)
{
	uint8_t in[65536];
	ldns_pkt *pkt = NULL;
	int fd = wire_socket(d, SOCK_DGRAM, which);

	*cut_r = false;

	if (fd < 0)
		return NULL;
	if (send(fd, q.p, q.n, MSG_NOSIGNAL) != (ssize_t)q.n) {
		close(fd);
		return NULL;
	}
	/* What does not match (late or forged) is not an answer: wait on. */
	while (pkt == NULL && io_wait(fd, false, dl) == IO_OK) {
		ssize_t got = recv(fd, in, sizeof(in), MSG_DONTWAIT);

		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			break;
		if (ldns_wire2pkt(&pkt, in, (size_t)got) != LDNS_STATUS_OK) {
			pkt = NULL;
			*cut_r = wire_cut(in, (size_t)got, id);
			if (*cut_r)
				break;
			continue;
		}
		if (!wire_matches(pkt, name, type, id)) {
			ldns_pkt_free(pkt);
			pkt = NULL;
		}
	}
	close(fd);
	return pkt;
}

/* The same over TCP (RFC 7766), whose answer must be the first one. */
static ldns_pkt *
wire_tcp(struct dns *d, struct span q, const char *name, int type, uint16_t id,
	 int which, deadline_t dl)
{
	uint8_t size[2] = { (uint8_t)(q.n >> 8), (uint8_t)q.n };
	struct buf b = BUF_INIT;
	ldns_pkt *pkt = NULL;
	int fd = wire_socket(d, SOCK_STREAM, which);
	size_t n;

	if (fd < 0)
		return NULL;
	buf_add(&b, size, 2);
	buf_addspan(&b, q);
	if (io_write(fd, b.p, b.n, dl) == IO_OK &&
	    io_read(fd, size, 2, dl) == IO_OK) {
		n = (size_t)size[0] << 8 | size[1];
		buf_clear(&b);
		if (io_read(fd, buf_room(&b, n), n, dl) == IO_OK) {
			buf_grew(&b, n);
			if (ldns_wire2pkt(&pkt, (uint8_t *)b.p, b.n) !=
			    LDNS_STATUS_OK)
				pkt = NULL;
		}
	}
	close(fd);
	buf_free(&b);
	if (pkt != NULL && !wire_matches(pkt, name, type, id)) {
		ldns_pkt_free(pkt);
		pkt = NULL;
	}
	return pkt;
}

/* A server that says SERVFAIL or REFUSED may have a better neighbour. */
static bool
wire_useful(const ldns_pkt *pkt)
{
	ldns_pkt_rcode rc = ldns_pkt_get_rcode(pkt);

	return rc == LDNS_RCODE_NOERROR || rc == LDNS_RCODE_NXDOMAIN;
}

ldns_pkt *
dns_wire_ask(struct dns *d, const char *name, int type, deadline_t dl,
	     struct err *e)
{
	struct buf q = BUF_INIT;
	ldns_pkt *pkt = NULL;
	int tries = d->nservers > 2 ? (int)d->nservers : 2;

	for (int i = 0; i < tries && clock_left(dl) != 0; i++) {
		uint16_t id = (uint16_t)random_u64();
		bool cut;
		deadline_t one = clock_deadline(DNS_TRY_MS);

		if (one > dl)
			one = dl;
		if (!wire_question(name, type, id, &q))
			break;
		if (pkt != NULL)
			ldns_pkt_free(pkt);
		pkt = wire_udp(d, buf_span(&q), name, type, id, i, one, &cut);
		if (cut || (pkt != NULL && ldns_pkt_tc(pkt))) {
			ldns_pkt_free(pkt);
			pkt = wire_tcp(d, buf_span(&q), name, type, id, i, one);
		}
		if (pkt != NULL && wire_useful(pkt))
			break;
	}
	buf_free(&q);
	if (pkt != NULL && !wire_useful(pkt)) {
		err_set(e, ST_TEMPFAIL, "DNS: %s: the server says %s", name,
			ldns_pkt_get_rcode(pkt) == LDNS_RCODE_SERVFAIL
			    ? "SERVFAIL"
			    : "that it will not answer");
		ldns_pkt_free(pkt);
		return NULL;
	}
	if (pkt == NULL)
		err_set(e, ST_TEMPFAIL, "DNS: %s: no answer", name);
	return pkt;
}
