/*
 * rates.c - see rates.h.  A table of fixed size in shared memory: a client
 * that is not there takes the place of the one in its bucket that was seen
 * longest ago, so a flood of addresses costs no memory (THREATS 30, 46).
 */
#include "rates.h"

#include "clock.h"
#include "explain.h"
#include "log.h"
#include "random.h"
#include "table.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define BUCKETS 4096
#define WAYS 8

struct row {
	uint64_t key;                /* 0: free */
	int64_t since, seen, passed; /* passed: good until then */
	uint32_t count[RATES];
};
struct bucket {
	atomic_flag lock;
	struct row row[WAYS];
};
static struct shared {
	uint64_t seed;
	struct bucket bucket[BUCKETS];
} * shared;

int
rates_start(struct err *e)
{
	void *p;

	if (shared != NULL)
		return 0;
	p = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "shared memory");
	shared = p;
	random_bytes(&shared->seed, sizeof(shared->seed));
	return 0;
}

/* IPv4 whole, IPv6 its /64, mixed with a seed that nobody outside knows. */
static uint64_t
client_key(const struct session *s)
{
	struct in6_addr six;
	struct in_addr four;
	uint64_t k = 0;

	if (inet_pton(AF_INET, s->conn->addr, &four) == 1)
		k = (uint64_t)4 << 60 | four.s_addr;
	else if (inet_pton(AF_INET6, s->conn->addr, &six) == 1)
		memcpy(&k, &six, sizeof(k));
	else
		return 0;
	k ^= shared->seed;
	/* splitmix64 */
	k = (k ^ (k >> 30)) * 0xbf58476d1ce4e5b9u;
	k = (k ^ (k >> 27)) * 0x94d049bb133111ebu;
	k ^= k >> 31;
	return k != 0 ? k : 1;
}

/* In its bucket only: eight comparisons, whoever floods us (THREATS 46). */
static struct row *
find_row(struct bucket *b, uint64_t key, int64_t now)
{
	struct row *old = &b->row[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (b->row[i].key == key)
			return &b->row[i];
		if (b->row[i].seen < old->seen)
			old = &b->row[i];
	}
	*old = (struct row){ .key = key, .since = now };
	return old;
}

static void
lock(struct bucket *b)
{
	/* A few memory accesses long; a worker that was killed in there is
	 * not waited for. */
	for (int i = 0; i < 100000 && atomic_flag_test_and_set(&b->lock); i++)
		;
}

bool
rates_passed(const struct session *s)
{
	uint64_t key = shared != NULL ? client_key(s) : 0;
	struct bucket *b = key != 0 ? &shared->bucket[key % BUCKETS] : NULL;
	bool yes = false;

	if (b == NULL)
		return false;
	lock(b);
	for (size_t i = 0; i < WAYS; i++)
		yes |= b->row[i].key == key && b->row[i].passed > clock_mono();
	atomic_flag_clear(&b->lock);
	return yes;
}

void
rates_pass(const struct session *s, int64_t ttl)
{
	uint64_t key = shared != NULL ? client_key(s) : 0;
	struct bucket *b = key != 0 ? &shared->bucket[key % BUCKETS] : NULL;
	int64_t now = clock_mono();
	struct row *r;

	if (b == NULL)
		return;
	lock(b);
	r = find_row(b, key, now);
	r->seen = now;
	r->passed = now + ttl;
	atomic_flag_clear(&b->lock);
}

/* Counts, and tells how many there were in this unit of time. */
static uint32_t
count_one(uint64_t key, enum rate what, int64_t unit)
{
	struct bucket *b = &shared->bucket[key % BUCKETS];
	int64_t now = clock_mono();
	struct row *r;
	uint32_t n;

	lock(b);
	r = find_row(b, key, now);
	if (now - r->since >= unit) {
		r->since = now;
		memset(r->count, 0, sizeof(r->count));
	}
	r->seen = now;
	n = r->count[what] < UINT32_MAX ? ++r->count[what] : UINT32_MAX;
	atomic_flag_clear(&b->lock);
	return n;
}

bool
rates_over(struct session *s, enum rate what, struct reply *r)
{
	const struct conf_params *p = &s->conf->p;
	const struct {
		int64_t limit;
		const char *what;   /* Postfix's words in the log */
		const char *answer; /* and to the client */
	} rows[RATES] = {
		{ p->rate_connect, "Connection rate", "too many connections" },
		{ p->rate_message, "Message delivery request rate",
		  "too much mail" },
		{ p->rate_rcpt, "Recipient address rate",
		  "too many recipients" },
		{ p->rate_auth, "AUTH command rate", "too many AUTH commands" },
		{ p->rate_tls, "New TLS session rate",
		  "too many new TLS sessions" },
	};
	struct err e = ERR_INIT;
	uint64_t key;
	uint32_t n;

	if (explain_on || rows[what].limit == 0 || !s->conn->has_peer ||
	    shared == NULL ||
	    match_lookup(s->conf->limit_exceptions, span_of(s->conn->addr),
			 &e) == TABLE_FOUND)
		return false;
	key = client_key(s);
	if (key == 0)
		return false;
	n = count_one(key, what, p->rate_unit);
	if (n <= rows[what].limit)
		return false;
	log_warn("%s limit exceeded: %u from %s for service %s",
		 rows[what].what, n, s->who, s->conf->mode->name);
	*r = reply_make(what == RATE_CONNECT || what == RATE_TLS ? 421 : 450,
			"4.7.1", "Error: %s from %s", rows[what].answer,
			s->conn->addr);
	if (r->code == 421) {
		r->esc = "4.7.0";
		r->close = true;
	}
	return true;
}
