/*
 * milter.h - packets of the milter protocol, versions 2 to 6: what both ends
 * share.  The MTA's end is in mx-recv, the filter's in milter_server.h.
 * Layer: mail.  No RFC: sendmail's libmilter, and Postfix's MILTER_README.
 *
 * A packet is a length (4 bytes, of what follows), a code and its data.  All
 * numbers are in network order, all strings end in NUL.
 */
#ifndef MX_MILTER_H
#define MX_MILTER_H

#include "io.h"

#define MILTER_VERSION 6
/* A body piece never exceeds this (libmilter's MILTER_CHUNK_SIZE). */
#define MILTER_CHUNK 65535
/* The longest packet we read: a header field of Postfix's limit, and more. */
#define MILTER_PACKET_MAX (1024 * 1024)
/* Strings of one MAIL or RCPT that are looked at. */
#define MILTER_ARGS 64

/* Codes of both directions; no letter means two things. */
enum milter_code {
	/* MTA to filter */
	MILTER_ABORT = 'A',
	MILTER_BODY = 'B',
	MILTER_CONNECT = 'C',
	MILTER_MACRO = 'D',
	MILTER_EOM = 'E',
	MILTER_HELO = 'H',
	MILTER_QUIT_NC = 'K', /* this client is done, another follows */
	MILTER_HEADER = 'L',
	MILTER_MAIL = 'M',
	MILTER_EOH = 'N',
	MILTER_OPTNEG = 'O', /* both ways */
	MILTER_QUIT = 'Q',
	MILTER_RCPT = 'R',
	MILTER_DATA = 'T',
	MILTER_UNKNOWN = 'U',
	/* filter to MTA: verdicts */
	MILTER_CONTINUE = 'c',
	MILTER_ACCEPT = 'a',
	MILTER_REJECT = 'r',
	MILTER_TEMPFAIL = 't',
	MILTER_DISCARD = 'd',
	MILTER_REPLYCODE = 'y', /* "550 5.7.1 text" */
	MILTER_SKIP = 's',      /* no more of this event, please */
	MILTER_SHUTDOWN = '4',  /* 421 and close */
	MILTER_CONNFAIL = 'f',
	/* filter to MTA: modifications, before the verdict on EOM */
	MILTER_ADDRCPT = '+',
	MILTER_ADDRCPT_PAR = '2',
	MILTER_DELRCPT = '-',
	MILTER_CHGFROM = 'e',
	MILTER_REPLBODY = 'b',
	MILTER_ADDHEADER = 'h',
	MILTER_INSHEADER = 'i',
	MILTER_CHGHEADER = 'm',
	MILTER_QUARANTINE = 'q',
	MILTER_PROGRESS = 'p'
};

/* What a filter may do: first number of the negotiation. */
#define MILTER_ACT_ADDHDRS 0x1u
#define MILTER_ACT_CHGBODY 0x2u
#define MILTER_ACT_ADDRCPT 0x4u
#define MILTER_ACT_DELRCPT 0x8u
#define MILTER_ACT_CHGHDRS 0x10u
#define MILTER_ACT_QUARANTINE 0x20u
#define MILTER_ACT_CHGFROM 0x40u
#define MILTER_ACT_ADDRCPT_PAR 0x80u
#define MILTER_ACT_SETSYMLIST 0x100u /* it names the macros it wants */
#define MILTER_ACT_ALL 0x1ffu

/* How they talk: second number.  NO...: that event is not sent; NR_...: it is
 * sent and not answered. */
#define MILTER_P_NOCONNECT 0x1u
#define MILTER_P_NOHELO 0x2u
#define MILTER_P_NOMAIL 0x4u
#define MILTER_P_NORCPT 0x8u
#define MILTER_P_NOBODY 0x10u
#define MILTER_P_NOHDRS 0x20u
#define MILTER_P_NOEOH 0x40u
#define MILTER_P_NR_HDR 0x80u
#define MILTER_P_NOUNKNOWN 0x100u
#define MILTER_P_NODATA 0x200u
#define MILTER_P_SKIP 0x400u     /* the MTA understands MILTER_SKIP */
#define MILTER_P_RCPT_REJ 0x800u /* send refused recipients too */
#define MILTER_P_NR_CONN 0x1000u
#define MILTER_P_NR_HELO 0x2000u
#define MILTER_P_NR_MAIL 0x4000u
#define MILTER_P_NR_RCPT 0x8000u
#define MILTER_P_NR_DATA 0x10000u
#define MILTER_P_NR_UNKNOWN 0x20000u
#define MILTER_P_NR_EOH 0x40000u
#define MILTER_P_NR_BODY 0x80000u
#define MILTER_P_HDR_LEADSPC 0x100000u /* values keep their first blank */

/* Stages at which macros are sent, as the negotiation numbers them. */
enum milter_stage {
	MILTER_AT_CONNECT,
	MILTER_AT_HELO,
	MILTER_AT_MAIL,
	MILTER_AT_RCPT,
	MILTER_AT_DATA,
	MILTER_AT_EOM,
	MILTER_AT_EOH,
	MILTER_STAGES
};

struct milter_packet {
	enum milter_code code;
	struct span data; /* behind the code; in the reader's buffer */
};
/*
 * The next packet.  Its bytes are put into `mem` as they come, not as they are
 * announced.  IO_TOOLONG: a length of 0 or beyond max; IO_EOF only between
 * packets (inside one: IO_ERROR and EPROTO).
 */
enum io_result milter_read(struct stream *s, size_t max, struct buf *mem,
			   struct milter_packet *p_r,
			   deadline_t d) MX_MUST_CHECK;

/* Making a packet at the end of b: begin, its data, end. */
size_t milter_begin(struct buf *b, enum milter_code code);
void milter_end(struct buf *b, size_t at);
void milter_put_u16(struct buf *b, unsigned v);
void milter_put_u32(struct buf *b, uint32_t v);
/* A string and its NUL; a NUL inside becomes a blank. */
void milter_put_str(struct buf *b, struct span s);
/* A packet without data. */
void milter_put(struct buf *b, enum milter_code code);

/* Taking data apart: false (and *rest as it was) when it is too short. */
bool milter_u16(struct span *rest, unsigned *r) MX_MUST_CHECK;
bool milter_u32(struct span *rest, uint32_t *r) MX_MUST_CHECK;
bool milter_str(struct span *rest, struct span *r) MX_MUST_CHECK;

/* Data of MILTER_OPTNEG. */
struct milter_options {
	uint32_t version, actions, protocol;
	/* Macro names a filter asks for, by stage; p NULL: none named. */
	struct span macros[MILTER_STAGES];
};
bool milter_parse_options(struct milter_options *o,
			  struct span data) MX_MUST_CHECK;
void milter_put_options(struct buf *b, const struct milter_options *o);

/* Data of MILTER_CONNECT. */
struct milter_peer {
	struct span name; /* host name, or [address] */
	char family;      /* '4', '6', 'L' (path in addr), 'U' (no address) */
	unsigned port;
	struct span addr; /* without "IPv6:" */
};
bool milter_parse_peer(struct milter_peer *p, struct span data) MX_MUST_CHECK;
void milter_put_peer(struct buf *b, const struct milter_peer *p);

/* Data of MAIL, RCPT and the like: strings; those beyond max are passed over.
 * Returns their number, or -1 (no string at all, or no NUL at the end). */
int milter_parse_args(struct span data, struct span *v, size_t max);

/* Name and value of HEADER, ADDHEADER. */
bool milter_parse_header(struct span data, struct span *name_r,
			 struct span *value_r) MX_MUST_CHECK;
/* "550 5.7.1 text" or multi-line ("550-5.7.1 a\r\n550 5.7.1 b"): one code, one
 * class.  %% becomes % (sendmail's habit); lines are joined with LF and lose
 * code and enhanced code.  False: not such a reply. */
struct milter_reply {
	int code;
	char esc[12]; /* "" when it has none */
	struct buf text;
};
bool milter_parse_reply(struct milter_reply *r, struct span data) MX_MUST_CHECK;
/* The other way: a packet from code, enhanced code ("" or NULL: none) and
 * text with LF between lines. */
void milter_put_reply(struct buf *b, int code, const char *esc,
		      struct span text);

/* "inet:8891@localhost", "inet6:8891@::1", "local:/run/x", "unix:/x" or "/x" as
 * OpenDKIM and its like write sockets -> our form (endpoint.h).  False: none.
 */
bool milter_socket(struct span text, struct buf *out) MX_MUST_CHECK;

/* The command's word for logs: "CONNECT", "MAIL" ... */
const char *milter_word(enum milter_code code);

#endif
