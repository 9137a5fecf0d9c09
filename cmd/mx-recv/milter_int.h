/*
 * milter_int.h - what the milter_*.c files share.
 */
#ifndef RECV_MILTER_INT_H
#define RECV_MILTER_INT_H

#include "hold.h"
#include "milter.h"
#include "milters.h"

/* Words of milter_default_action. */
enum { DEF_ACCEPT, DEF_REJECT, DEF_TEMPFAIL, DEF_QUARANTINE, DEF_SHUTDOWN };

/* One filter, as configured. */
struct milter_conf {
	char *text;       /* as configured, whole */
	const char *name; /* its endpoint, for logs */
	int endpoint;     /* for server_connect */
	int64_t connect_timeout, command_timeout, content_timeout;
	int action;
	uint32_t version, events; /* what we offer */
};
struct milter_set {
	struct milter_conf *v;
	size_t n;
};

enum link_state {
	LINK_READY,   /* between messages */
	LINK_MESSAGE, /* it was told of MAIL */
	LINK_PASS,    /* it wants no more of this message */
	LINK_GONE     /* it wants no more of this session, or is away */
};

/* One filter, in a session. */
struct mlink {
	const struct milter_conf *conf;
	enum link_state state;
	struct stream s;
	bool open;
	uint32_t actions, events;    /* agreed: MILTER_ACT_*, MILTER_P_* */
	char *macros[MILTER_STAGES]; /* that it asked for, or NULL */
	/* Said once and for all: by CONNECT, HELO, or its being away. */
	struct milter_reply lasting;
	bool quarantine; /* lasting, too: hold every message */
	bool skip_body;  /* it has seen enough of this one */
	struct buf out;
};

/* A field of the held message's header, with its line ends. */
struct mfield {
	struct buf text;
	bool ours; /* not shown to filters */
};

struct milters {
	struct session *s;
	struct mlink *v;
	size_t n;
	/* The transaction: what the delivery side was told of. */
	struct strs rcpts, rcpt_parms;
	const struct reply *refused; /* of the recipient in question */
	bool changed;                /* and it must be told again */
	bool holding;
	struct buf ours;
	struct hold hold;
	/* The message while the filters look at it. */
	struct mfield *fields;
	size_t nfields, cap;
	bool blank;                  /* an empty line follows the header */
	bool header_cut;             /* it is longer than we read */
	uint64_t body;               /* its place in hold */
	struct milter_reply checked; /* milter_header_checks: code 0: fine */
	struct hold new_body;        /* while a filter says it */
	struct wire_in new_wire;
	bool new_begun;
	uint64_t said; /* bytes of all its changes, see CHANGES_MAX */
};

/* An event: its flags, its macros, how long to wait for the answer. */
struct milter_event {
	enum milter_code code;
	uint32_t no, no_reply;
	int stage; /* of macros, or -1 */
	bool content;
};

/* milter_link.c: one filter's connection. */
void mlink_open(struct mlink *l, struct session *s);
void mlink_close(struct mlink *l);
/* Instead of mlink_open: it answers as one that is away. */
void mlink_refuse(struct mlink *l);
/* Tells it; true when it is against it: *r.  data: what milter_put_* made
 * behind the code. */
bool mlink_event(struct milters *m, struct mlink *l,
		 const struct milter_event *ev, struct span data,
		 struct reply *r);
/* What it said for good, if it did. */
bool mlink_lasting(struct mlink *l, struct session *s, struct reply *r);
/* ABORT, when it is in a message. */
void mlink_abort(struct mlink *l);

/* milter_macro.c: the macros' packet of a stage, if there are any. */
void milter_macros(struct milters *m, struct mlink *l, struct buf *out,
		   enum milter_code code, int stage);

/* milter_change.c: carries out one modification; false: it is malformed. */
bool milter_change(struct milters *m, struct mlink *l,
		   const struct milter_packet *p);
/* The end of a new body, if one was said.  False: it could not be kept. */
bool milter_change_done(struct milters *m);
/* Forgets what was said of a new body: whoever said it broke off. */
void milter_change_forget(struct milters *m);
/* Takes the held bytes apart; false: they could not be read.  With header_cut
 * no filter may judge the message: it would not see every field. */
bool milter_index(struct milters *m);
void milter_fields_free(struct milters *m);
/* Drops the i-th field. */
void milter_field_remove(struct milters *m, size_t i);

/* milter_checks.c: milter_header_checks about the i-th field, which a filter
 * added or changed; it may be gone or another one then. */
void milter_check_field(struct milters *m, size_t i);

/* milter_conf.c: the filters of a client's session, in order.  Several
 * sessions use them.  False: it cannot be known which. */
bool milter_choose(struct session *s, const struct milter_conf ***v_r,
		   size_t *n_r);

#endif
