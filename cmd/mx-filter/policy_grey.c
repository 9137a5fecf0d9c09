/*
 * policy_grey.c - the decision: rates, whitelists, then greylisting with
 * postgrey's rules (postgrey 1.37): a triplet of client network, sender and
 * recipient is deferred until `delay` has passed; a client whose triplets came
 * through `awl` times is not asked again.
 */
#include "policy.h"

#include "log.h"
#include "num.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

#define HOUR 3600
#define INSTANCES 20

static struct span
attr(const struct policy_request *q, enum policy_attr a)
{
	return buf_span(&q->v[a]);
}

static void
log_action(const struct policy_request *q, const char *action,
	   const char *reason, const char *more)
{
	static const struct {
		const char *name;
		enum policy_attr a;
	} facts[] = { { "client_name", ATTR_NAME },
		      { "client_address", ATTR_ADDRESS },
		      { "sender", ATTR_SENDER },
		      { "recipient", ATTR_RECIPIENT } };
	struct buf b = BUF_INIT;

	if (attr(q, ATTR_QUEUE_ID).n > 0)
		buf_addf(&b, "%s: ", buf_str(&q->v[ATTR_QUEUE_ID]));
	buf_addf(&b, "action=%s, reason=%s%s", action, reason, more);
	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		if (q->v[facts[i].a].n > 0)
			buf_addf(&b, ", %s=%s", facts[i].name,
				 buf_str(&q->v[facts[i].a]));
	log_info("%s", buf_str(&b));
	buf_free(&b);
}

void
policy_network(struct span addr, int64_t v4bits, int64_t v6bits,
	       struct buf *out)
{
	unsigned char a[16];
	char text[INET6_ADDRSTRLEN] = "";
	struct buf s = BUF_INIT;
	int family = span_chr(addr, ':') >= 0 ? AF_INET6 : AF_INET;
	size_t bytes = family == AF_INET6 ? 16 : 4;
	int64_t bits = family == AF_INET6 ? v6bits : v4bits;

	buf_addspan(&s, addr);
	if (inet_pton(family, buf_str(&s), a) != 1) {
		buf_addspan(out, addr);
		buf_free(&s);
		return;
	}
	for (size_t i = 0; i < bytes; i++) {
		int64_t keep = bits - (int64_t)i * 8;

		if (keep <= 0)
			a[i] = 0;
		else if (keep < 8)
			a[i] &= (unsigned char)(0xff00 >> keep);
	}
	if (inet_ntop(family, a, text, sizeof(text)) != NULL)
		buf_adds(out, text);
	buf_free(&s);
}

/* Ten of [0-9a-z] at the front: the tag of BATV. */
static bool
is_tag(struct span s)
{
	for (size_t i = 0; i < 10; i++)
		if (i >= s.n ||
		    (!ascii_isdigit(s.p[i]) && (s.p[i] < 'a' || s.p[i] > 'z')))
			return false;
	return true;
}

/* prvs=TAG=USER, or as some have it prvs=USER=TAG. */
static struct span
without_batv(struct span user)
{
	struct span rest = span_from(user, 5), a, b;

	if (!span_starts(user, SPAN("prvs=")) || !span_split(&rest, '=', &a) ||
	    !span_split(&rest, '=', &b) || rest.p != NULL)
		return user;
	return is_tag(b) && !is_tag(a) ? a : b;
}

static bool
is_word(char c)
{
	return ascii_isalnum(c) || c == '_';
}

void
policy_sender(struct span sender, struct buf *out)
{
	ssize_t at = span_chr(sender, '@'), plus;
	struct span user;

	if (at < 0) {
		buf_addspan(out, sender);
		return;
	}
	user = without_batv(span_sub(sender, 0, (size_t)at));
	plus = span_chr(user, '+');
	if (plus >= 0)
		user.n = (size_t)plus;
	/* Numbers that stand alone become #: VERP has new ones each time. */
	for (size_t i = 0; i < user.n;) {
		size_t end = i;

		while (end < user.n && ascii_isdigit(user.p[end]))
			end++;
		if (end > i && (i == 0 || !is_word(user.p[i - 1])) &&
		    (end == user.n || !is_word(user.p[end]))) {
			buf_addc(out, '#');
			i = end;
		} else {
			buf_addc(out, user.p[i++]);
		}
	}
	buf_addspan(out, span_from(sender, (size_t)at));
}

/* A hash instead of who writes to whom (--privacy): FNV-1a twice over, seeded
 * differently; nobody is kept out by it, only curious eyes. */
static void
make_private(struct buf *key)
{
	uint64_t h[2] = { 14695981039346656037u, 1099511628211u * 31 };

	for (size_t i = 0; i < key->n; i++)
		for (size_t k = 0; k < 2; k++)
			h[k] = (h[k] ^ ((unsigned char)key->p[i] + k)) *
			       1099511628211u;
	buf_clear(key);
	buf_addf(key, "%016llx%016llx", (unsigned long long)h[0],
		 (unsigned long long)h[1]);
}

static void
make_key(const struct policy_request *q, struct buf *key)
{
	const struct policy_conf *c = &policy_conf;
	struct span addr = attr(q, ATTR_ADDRESS);

	if (c->by_host)
		buf_addspan(key, addr);
	else
		policy_network(addr, c->v4bits, c->v6bits, key);
	buf_addc(key, '/');
	policy_sender(attr(q, ATTR_SENDER), key);
	buf_addc(key, '/');
	buf_addspan(key, attr(q, ATTR_RECIPIENT));
	for (size_t i = 0; i < key->n; i++)
		key->p[i] = ascii_tolower(key->p[i]);
	if (c->privacy)
		make_private(key);
}

/* The first "%x" of text as value. */
static void
replace(struct buf *text, const char *what, struct span value)
{
	ssize_t at = span_find(buf_span(text), span_of(what));
	struct buf tail = BUF_INIT;

	if (at < 0)
		return;
	buf_addspan(&tail, span_from(buf_span(text), (size_t)at + 2));
	buf_cut(text, (size_t)at);
	buf_addspan(text, value);
	buf_addspan(text, buf_span(&tail));
	buf_free(&tail);
}

static void
say_later(const struct policy_request *q, int64_t wait, bool first,
	  struct buf *action)
{
	struct span rcpt = attr(q, ATTR_RECIPIENT);
	ssize_t at = span_rchr(rcpt, '@');
	struct buf n = BUF_INIT;
	char reason[60] = "new";

	if (!first)
		snprintf(reason, sizeof(reason), "early-retry (%llds missing)",
			 (long long)wait);
	log_action(q, "greylist", reason, "");
	/* The enhanced code: Postfix says by etrn_domain that it takes one. */
	if (q->has[ATTR_ETRN] && !ascii_isdigit(policy_conf.text[0]))
		buf_adds(action, "4.2.0 ");
	buf_adds(action, policy_conf.text);
	buf_addf(&n, "%lld", (long long)wait);
	replace(action, "%s", buf_span(&n));
	replace(action, "%r", span_from(rcpt, at < 0 ? 0 : (size_t)at + 1));
	buf_insert(action, 0, SPAN(" "));
	buf_insert(action, 0, span_of(policy_conf.action));
	buf_free(&n);
}

/* One field a message, however many recipients it has. */
static bool
new_instance(struct span instance)
{
	static struct buf seen[INSTANCES];
	static size_t next;

	if (instance.n == 0)
		return true;
	for (size_t i = 0; i < INSTANCES; i++)
		if (span_eq(buf_span(&seen[i]), instance))
			return false;
	buf_clear(&seen[next]);
	buf_addspan(&seen[next], instance);
	next = (next + 1) % INSTANCES;
	return true;
}

static void
say_passed(const struct policy_request *q, int64_t waited, bool before,
	   int64_t now, struct buf *action)
{
	time_t t = (time_t)now;
	char date[64] = "", delay[40], more[60];
	struct tm tm;

	if (before || !new_instance(attr(q, ATTR_INSTANCE))) {
		log_action(q, "pass", "triplet found", "");
		buf_adds(action, "DUNNO");
		return;
	}
	snprintf(more, sizeof(more), ", delay=%lld", (long long)waited);
	log_action(q, "pass", "triplet found", more);
	if (localtime_r(&t, &tm) == NULL ||
	    strftime(date, sizeof(date), "%a, %d %b %Y %T %Z", &tm) == 0)
		date[0] = '\0';
	snprintf(delay, sizeof(delay), "%lld", (long long)waited);
	buf_addf(action, "PREPEND %s", policy_conf.header);
	replace(action, "%t", span_of(delay));
	replace(action, "%v", SPAN(MX_VERSION));
	replace(action, "%d", span_of(date));
	replace(action, "%h", span_of(policy_conf.hostname));
}

/* The client's own record.  1: it is known well enough. */
static int
awl_knows(const char *key, int64_t now, int64_t *count, int64_t *last)
{
	int r = policy_db_get(TABLE_AWL, key, count, last);

	if (r == 0)
		*count = *last = 0;
	if (r <= 0)
		return r;
	if (now - *last > policy_conf.max_age)
		*count = *last = 0;
	if (*count < policy_conf.awl)
		return 0;
	if ((now >= *last + HOUR || *last > now) &&
	    !policy_db_put(TABLE_AWL, key, *count + 1, now))
		return -1;
	return 1;
}

static bool
awl_count(const struct policy_request *q, const char *key, int64_t now,
	  int64_t count, int64_t last)
{
	if (last != 0 && now < last + HOUR)
		return true;
	if (count + 1 == policy_conf.awl)
		log_info("whitelisted: %s[%s]", buf_str(&q->v[ATTR_NAME]),
			 buf_str(&q->v[ATTR_ADDRESS]));
	return policy_db_put(TABLE_AWL, key, count + 1, now);
}

static bool
greylist(const struct policy_request *q, int64_t now, struct buf *action)
{
	const struct policy_conf *c = &policy_conf;
	struct buf key = BUF_INIT, client = BUF_INIT;
	int64_t first = now, last = 0, count = 0, seen = 0;
	bool before = false, ok;
	int r = 0;

	make_key(q, &key);
	buf_addspan(&client, attr(q, ATTR_ADDRESS));
	if (c->privacy)
		make_private(&client);
	if (c->awl > 0)
		r = awl_knows(buf_str(&client), now, &count, &seen);
	if (r == 1) {
		log_action(q, "pass", "client AWL", "");
		buf_adds(action, "DUNNO");
		buf_free(&key);
		buf_free(&client);
		return true;
	}
	ok = r == 0;
	r = ok ? policy_db_get(TABLE_GREY, buf_str(&key), &first, &last) : 0;
	ok = ok && r >= 0;
	if (r == 1 && now - last > c->max_age)
		first = now;
	else if (r == 1) {
		before = last - first >= c->delay;
		if ((!before && now - first > c->retry_window) || first > now)
			first = now;
	}
	ok = ok && policy_db_put(TABLE_GREY, buf_str(&key), first, now);
	if (ok && c->awl > 0 && now - first >= c->delay && !before)
		ok = awl_count(q, buf_str(&client), now, count, seen);
	if (ok && now - first < c->delay)
		say_later(q, c->delay - (now - first), now == first, action);
	else if (ok)
		say_passed(q, now - first, before, now, action);
	buf_free(&key);
	buf_free(&client);
	return ok;
}

/* Counts one; over_r: it is too many.  False: trouble. */
static bool
rate_over(const struct policy_rate *r, char kind, struct span who, int64_t now,
	  bool *over_r)
{
	struct buf key = BUF_INIT;
	int64_t start = now, count = 0;
	bool ok;
	int got;

	*over_r = false;
	if (r->count == 0 || who.n == 0)
		return true;
	buf_addf(&key, "%c%.*s", kind, SPAN_ARG(who));
	got = policy_db_get(TABLE_RATE, buf_str(&key), &start, &count);
	if (got == 1 && (now - start >= r->seconds || start > now)) {
		start = now;
		count = 0;
	}
	*over_r = count >= r->count;
	ok = got >= 0 && (*over_r || policy_db_put(TABLE_RATE, buf_str(&key),
						   start, count + 1));
	buf_free(&key);
	return ok;
}

static bool
decide(struct policy_request *q, int64_t now, struct buf *action)
{
	const struct policy_conf *c = &policy_conf;
	struct buf net = BUF_INIT;
	bool over = false, ok;
	bool login = attr(q, ATTR_LOGIN).n > 0;

	policy_network(attr(q, ATTR_ADDRESS), 32, 64, &net);
	ok = login ? rate_over(&c->login, 'l', attr(q, ATTR_LOGIN), now, &over)
		   : rate_over(&c->client, 'c', buf_span(&net), now, &over);
	buf_free(&net);
	if (!ok)
		return false;
	if (over) {
		log_action(q, "defer", login ? "login rate" : "client rate",
			   "");
		buf_adds(action, "DEFER 4.7.1 Too many recipients: try again "
				 "later");
	} else if (login) {
		/* Who has logged in will not come back as another. */
		buf_adds(action, "DUNNO");
	} else if (policy_client_listed(attr(q, ATTR_NAME),
					attr(q, ATTR_ADDRESS))) {
		log_action(q, "pass", "client whitelist", "");
		buf_adds(action, "DUNNO");
	} else if (policy_rcpt_listed(attr(q, ATTR_RECIPIENT))) {
		log_action(q, "pass", "recipient whitelist", "");
		buf_adds(action, "DUNNO");
	} else if (c->delay == 0) {
		buf_adds(action, "DUNNO");
	} else {
		return greylist(q, now, action);
	}
	return true;
}

bool
policy_decide(struct policy_request *q, int64_t now, struct buf *action)
{
	bool ok;

	for (int a = ATTR_ADDRESS; a <= ATTR_RECIPIENT; a++) {
		if (q->has[a])
			continue;
		log_warn("policy request without client_address, client_name, "
			 "sender and recipient");
		buf_adds(action, "DUNNO");
		return true;
	}
	/* Each recipient is asked about once, at RCPT. */
	if (q->has[ATTR_STATE] && !span_iis(attr(q, ATTR_STATE), "RCPT")) {
		buf_adds(action, "DUNNO");
		return true;
	}
	if (!policy_db_begin())
		return false;
	ok = decide(q, now, action);
	return policy_db_end(ok) && ok;
}
