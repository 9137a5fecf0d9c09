/*
 * shared.c - the table that all processes of one mx-auth share, under a
 * record lock that ends with its holder.
 * A client and its master may be served by two processes; a guesser may use
 * a hundred connections: neither may matter.  Dovecot does this with its
 * anvil process; the growth of the delay is the same: 2, 4, 8, 15 seconds.
 */
#include "shared.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "random.h"
#include "status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LOGINS = 1024,
	LOGIN_SECONDS = 150,
	HOSTS = 4096,
	HOST_WAYS = 8,
	LEVEL_MAX = 5,
	RECENT = 8,
	SEED = 16
};

struct login {
	int64_t until; /* clock_mono; 0: free */
	uint32_t id;
	char cookie[36];
	char user[256];
};
struct host {
	unsigned char key[16];
	int64_t last; /* clock_mono of the last failure; 0: free */
	uint32_t level;
	uint32_t at;
	uint32_t recent[RECENT]; /* what was tried, as a keyed checksum */
};
struct table {
	char magic[16];
	unsigned char seed[SEED];
	struct login login[LOGINS];
	struct host host[HOSTS];
};

static const char magic[16] = "mx-auth state 1";
static struct table *table;
static int table_fd = -1;

/* fcntl locks end with their process: a worker that is killed in here blocks
 * nobody. */
static bool
lock(short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	while (fcntl(table_fd, F_SETLKW, &l) < 0) {
		if (errno == EINTR)
			continue;
		log_warn("auth-state: lock: %s", strerror(errno));
		return false;
	}
	return true;
}

/* A regular file that only we can write; else nothing. */
static int
open_file(const char *run_directory)
{
	char *path = mem_printf("%s/auth-state", run_directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	free(path);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
			st.st_uid != geteuid() || st.st_nlink != 1 ||
			(st.st_mode & 077) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Times are of the boot's clock: what lies in the future is of another. */
static void
table_check(void)
{
	int64_t now = clock_mono();
	bool sane = memcmp(table->magic, magic, sizeof(magic)) == 0;

	for (size_t i = 0; sane && i < HOSTS; i++)
		sane = table->host[i].last <= now;
	if (sane)
		return;
	memset(table, 0, sizeof(*table));
	memcpy(table->magic, magic, sizeof(magic));
	random_bytes(table->seed, sizeof(table->seed));
}

int
shared_open(const char *run_directory, struct err *e)
{
	void *p;

	table_fd = open_file(run_directory);
	if (table_fd < 0)
		table_fd = memfd_create("mx-auth", MFD_CLOEXEC);
	if (table_fd < 0 || ftruncate(table_fd, sizeof(*table)) < 0)
		return err_sys(e, "auth-state");
	p = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED,
		 table_fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "auth-state");
	table = p;
	if (lock(F_WRLCK)) {
		table_check();
		lock(F_UNLCK);
	}
	return 0;
}

void
shared_login_add(const char *cookie, uint32_t id, const char *user)
{
	struct login *slot;

	if (strlen(user) >= sizeof(slot->user) ||
	    strlen(cookie) >= sizeof(slot->cookie) || !lock(F_WRLCK))
		return;
	/* A free one, or the one that has waited longest. */
	slot = &table->login[0];
	for (size_t i = 0; i < LOGINS && slot->until != 0; i++)
		if (table->login[i].until < slot->until)
			slot = &table->login[i];
	slot->until = clock_mono() + LOGIN_SECONDS * 1000;
	slot->id = id;
	memcpy(slot->cookie, cookie, strlen(cookie) + 1);
	memcpy(slot->user, user, strlen(user) + 1);
	lock(F_UNLCK);
}

/* Cookies are compared in constant time: they are what a master shows for
 * another's login. */
static bool
login_is(const struct login *l, struct span cookie, uint32_t id)
{
	return l->until > clock_mono() && l->id == id &&
	       strnlen(l->cookie, sizeof(l->cookie)) == cookie.n &&
	       mem_equal_secret(l->cookie, cookie.p, cookie.n);
}

bool
shared_login_take(struct span cookie, uint32_t id, struct buf *user_r)
{
	bool found = false;

	if (cookie.n == 0 || !lock(F_WRLCK))
		return false;
	for (size_t i = 0; i < LOGINS && !found; i++) {
		struct login *l = &table->login[i];

		if (l->until == 0 || !login_is(l, cookie, id))
			continue;
		found = true;
		buf_add(user_r, l->user, strnlen(l->user, sizeof(l->user)));
		memset(l, 0, sizeof(*l));
	}
	lock(F_UNLCK);
	return found;
}

/* The whole IPv4 address, the /64 of an IPv6 one (THREATS 34). */
static bool
host_key(const char *addr, unsigned char key[16])
{
	struct in_addr a4;
	struct in6_addr a6;

	memset(key, 0, 16);
	if (inet_pton(AF_INET, addr, &a4) == 1) {
		key[10] = key[11] = 0xff;
		memcpy(key + 12, &a4, 4);
		return true;
	}
	if (inet_pton(AF_INET6, addr, &a6) != 1)
		return false;
	memcpy(key, &a6, IN6_IS_ADDR_V4MAPPED(&a6) ? 16 : 8);
	return true;
}

/* Keyed, so that nobody can choose colliding addresses or guess passwords
 * from the table. */
static uint32_t
checksum(struct span a, struct span b)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint32_t r = 0;

	if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, table->seed, SEED) == 1 &&
	    EVP_DigestUpdate(ctx, a.p, a.n) == 1 &&
	    EVP_DigestUpdate(ctx, "", 1) == 1 &&
	    EVP_DigestUpdate(ctx, b.p, b.n) == 1 &&
	    EVP_DigestFinal_ex(ctx, md, NULL) == 1)
		memcpy(&r, md, sizeof(r));
	EVP_MD_CTX_free(ctx);
	explicit_bzero(md, sizeof(md));
	return r;
}

void
shared_salt(struct span name, unsigned char salt_r[16])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	random_bytes(salt_r, 16);
	/* the seed changes when the table is made anew */
	if (!lock(F_RDLCK))
		goto out;
	if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, "salt", sizeof("salt")) == 1 &&
	    EVP_DigestUpdate(ctx, table->seed, SEED) == 1 &&
	    EVP_DigestUpdate(ctx, name.p, name.n) == 1 &&
	    EVP_DigestFinal_ex(ctx, md, NULL) == 1)
		memcpy(salt_r, md, 16);
	lock(F_UNLCK);
out:
	EVP_MD_CTX_free(ctx);
	explicit_bzero(md, sizeof(md));
}

/* The address's row, or (add) the oldest of its ways made free for it. */
static struct host *
host_find(const unsigned char key[16], bool add)
{
	size_t at = checksum(span_make((const char *)key, 16), SPAN("")) %
		    (HOSTS / HOST_WAYS) * HOST_WAYS;
	struct host *oldest = &table->host[at];

	for (size_t i = at; i < at + HOST_WAYS; i++) {
		struct host *h = &table->host[i];

		if (h->last != 0 && memcmp(h->key, key, 16) == 0)
			return h;
		if (h->last < oldest->last)
			oldest = h;
	}
	if (!add)
		return NULL;
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->key, key, 16);
	return oldest;
}

static int64_t
level_ms(uint32_t level)
{
	static const int64_t ms[] = { 0, 2000, 4000, 8000, 15000, 15000 };

	return ms[level < LEVEL_MAX ? level : LEVEL_MAX];
}

/* A level goes for each two minutes without a failure. */
static void
host_forget(struct host *h)
{
	int64_t drops = (clock_mono() - h->last) / 120000;

	if (drops <= 0)
		return;
	h->level = drops >= h->level ? 0 : h->level - (uint32_t)drops;
	h->last += drops * 120000;
}

int64_t
shared_penalty(const char *addr)
{
	unsigned char key[16];
	struct host *h;
	int64_t ms = 0;

	if (!host_key(addr, key) || !lock(F_WRLCK))
		return 0;
	h = host_find(key, false);
	if (h) {
		host_forget(h);
		ms = level_ms(h->level);
	}
	lock(F_UNLCK);
	return ms;
}

void
shared_penalty_add(const char *addr, const char *user, struct span password)
{
	unsigned char key[16];
	uint32_t sum;
	struct host *h;
	bool known = false;

	if (!host_key(addr, key) || !lock(F_WRLCK))
		return;
	h = host_find(key, true);
	host_forget(h);
	sum = checksum(span_of(user), password);
	for (size_t i = 0; i < RECENT; i++)
		known = known || (h->last != 0 && h->recent[i] == sum);
	if (!known) {
		h->recent[h->at++ % RECENT] = sum;
		if (h->level < LEVEL_MAX)
			h->level++;
	}
	h->last = clock_mono();
	lock(F_UNLCK);
}
