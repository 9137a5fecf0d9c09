/*
 * verify.h - is an address deliverable?  For reject_unverified_sender and
 * reject_unverified_recipient of mx-recv.  Postfix verify(8),
 * ADDRESS_VERIFICATION_README.
 */
#ifndef MX_DELIVER_VERIFY_H
#define MX_DELIVER_VERIFY_H

#include "deliver.h"
#include "param.h"

/* As the cache has them; Postfix's numbers. */
enum verify_state {
	VERIFY_OK,
	VERIFY_DEFER,  /* nobody could say */
	VERIFY_BOUNCE, /* it is not */
	VERIFY_ASKING  /* a probe is under way */
};
struct verify_answer {
	enum verify_state state;
	int64_t probed, updated; /* seconds since 1970; 0: never */
	char dsn[16];
	struct buf text;
};
extern const struct param_rows verify_params;

/* Asks routes, the cache, and then the next host; waits so long for that.
 * Frees nothing that is in *a. */
void verify_address(const char *addr, int64_t wait_ms, struct verify_answer *a);

/* verify_sender.c: the sender of probes, allocated; "" is the null sender.
 * Mail to it (it is real only as far as others probe it in turn) is accepted
 * and forgotten. */
char *verify_sender(void);
bool verify_is_sender(const char *addr);

/* verify_cache.c: one file an address, below address_verify_map.  load: false
 * when nothing of use is there. */
bool verify_load(const char *addr, struct verify_answer *a);
void verify_store(const char *addr, const struct verify_answer *a);
/* For whoever probes: an open lock, -1 when somebody else does, -2: no cache */
int verify_lock(const char *addr);
void verify_unlock(const char *addr, int fd);
/* Removes what is older than any answer counts, now and then. */
void verify_sweep(void);

/* verify_probe.c: asks the next host; blocks until it knows. */
void verify_probe(const char *addr, const struct route *r, const char *sender,
		  struct verify_answer *a);

struct verify_conf {
	char *map, *sender;
	int64_t positive_expire, positive_refresh;
	int64_t negative_expire, negative_refresh;
	bool negative_cache;
	int64_t sender_ttl;
	struct strs transport_maps, sender_relayhost_maps,
	    sender_transport_maps;
	char *relayhost, *local_transport, *virtual_transport, *relay_transport,
	    *default_transport;
};
extern struct verify_conf verify_conf;

#endif
