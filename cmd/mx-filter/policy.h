/*
 * policy.h - mx-filter policy: greylisting as postgrey does it, and rates, for
 * Postfix's policy protocol (SMTPD_POLICY_README).
 */
#ifndef FILTER_POLICY_H
#define FILTER_POLICY_H

#include "filter.h"
#include "server.h"

/* A request's attributes that count. */
enum policy_attr {
	ATTR_ADDRESS,
	ATTR_NAME,
	ATTR_SENDER,
	ATTR_RECIPIENT,
	ATTR_LOGIN,
	ATTR_INSTANCE,
	ATTR_STATE,
	ATTR_QUEUE_ID,
	ATTR_ETRN,
	ATTR_TEST_TIME, /* of tests alone */
	ATTRS
};
struct policy_request {
	struct buf v[ATTRS];
	bool has[ATTRS];
};

/* So many in so long; count 0: no limit. */
struct policy_rate {
	int64_t count, seconds;
};
struct policy_conf {
	int64_t delay, max_age, retry_window; /* seconds */
	int64_t awl;                          /* clients; 0: none */
	int64_t v4bits, v6bits;
	bool by_host, privacy;
	const char *action, *text, *header, *hostname;
	struct policy_rate client, login;
};
extern struct policy_conf policy_conf;

/* policy_list.c: postgrey's files; -1: one cannot be read or understood. */
int policy_lists_load(const struct strs *client_files,
		      const struct strs *rcpt_files, struct err *e);
bool policy_client_listed(struct span name, struct span addr);
bool policy_rcpt_listed(struct span rcpt);

/* policy_grey.c: what to answer, without "action=".  False: the state could
 * not be asked (logged). */
bool policy_decide(struct policy_request *q, int64_t now, struct buf *action);
/* The client's address cut to bits: "192.0.2.0"; itself when it is none. */
void policy_network(struct span addr, int64_t v4bits, int64_t v6bits,
		    struct buf *out);
/* The sender as it counts: no extension, numbers as #. */
void policy_sender(struct span sender, struct buf *out);

/* policy_db.c: the state, three tables of key, two numbers each, in SQLite
 * (loaded when this is called: no other part of mx-filter needs it). */
enum policy_table { TABLE_GREY, TABLE_AWL, TABLE_RATE, POLICY_TABLES };
int policy_db_load(struct err *e);
/* In a worker, once. */
int policy_db_open(const char *path, struct err *e);
bool policy_db_begin(void);
bool policy_db_end(bool good);
/* 1: found, 0: not there, -1: trouble (logged). */
int policy_db_get(enum policy_table t, const char *key, int64_t *a, int64_t *b);
bool policy_db_put(enum policy_table t, const char *key, int64_t a, int64_t b);
/* Forgets what is too old. */
void policy_db_sweep(int64_t now);

#endif
