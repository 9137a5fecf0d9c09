/*
 * db_passwd.c - `passwd`: the system's users by the name service; as a passdb
 * only for hashes that stand in passwd(5) itself.
 * Also `shadow`: the hashes of shadow(5), which takes root to read.
 */
#include "db.h"
#include "clock.h"
#include "mem.h"
#include "scheme.h"
#include "status.h"

#include <errno.h>
#include <pwd.h>
#include <shadow.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1 << 16 };

/* getpwnam_r into memory that the caller frees. */
static enum db_result
get_passwd(const char *user, struct passwd *pw, char **mem, struct err *e)
{
	struct passwd *found = NULL;
	int r;

	*mem = mem_alloc(LINE_MAX_BYTES, 1);
	r = getpwnam_r(user, pw, *mem, LINE_MAX_BYTES, &found);
	if (found)
		return DB_OK;
	free(*mem);
	*mem = NULL;
	/* Some systems tell "no such user" by these (getpwnam_r(3)). */
	if (r == 0 || r == ENOENT || r == ESRCH)
		return DB_NONE;
	errno = r;
	err_sys(e, "getpwnam %s", user);
	return DB_TEMP;
}

static enum db_result
lookup(const char *arg MX_UNUSED, const char *user, struct db_entry *r,
       struct err *e)
{
	struct passwd pw;
	char *mem;
	enum db_result res = get_passwd(user, &pw, &mem, e);

	if (res != DB_OK)
		return res;
	r->uid = pw.pw_uid;
	r->gid = pw.pw_gid;
	r->has_uid = r->has_gid = true;
	r->home = mem_strdup(pw.pw_dir);
	strs_addf(&r->fields, "system_groups_user=%s", pw.pw_name);
	free(mem);
	return DB_OK;
}

static enum db_result
exists(const char *arg MX_UNUSED, const char *user, struct err *e)
{
	struct passwd pw;
	char *mem;
	enum db_result res = get_passwd(user, &pw, &mem, e);

	free(mem);
	return res;
}

static enum db_result
verify_hash(const char *hash, const struct db_query *q, struct db_entry *r,
	    struct err *e)
{
	if (hash[0] == '\0' || hash[0] == '!' || hash[0] == '*' ||
	    strcmp(hash, "x") == 0) {
		err_set(e, ST_NOPERM, "the account has no usable password");
		return DB_MISMATCH;
	}
	r->hashed = true;
	switch (scheme_verify(span_of(hash), "CRYPT", q->password, e)) {
	case SCHEME_MATCH:
		return DB_OK;
	case SCHEME_MISMATCH:
		return DB_MISMATCH;
	case SCHEME_BROKEN:
		break;
	}
	return DB_TEMP;
}

static enum db_result
verify_passwd(const char *arg MX_UNUSED, const struct db_query *q,
	      struct db_entry *r, struct err *e)
{
	struct passwd pw;
	char *mem;
	enum db_result res = get_passwd(q->user, &pw, &mem, e);

	if (res != DB_OK)
		return res;
	res = verify_hash(pw.pw_passwd, q, r, e);
	explicit_bzero(mem, LINE_MAX_BYTES);
	free(mem);
	return res;
}

/* shadow(5): the account's last day, and an aged password's grace. */
static bool
expired(const struct spwd *sp)
{
	long today = (long)(clock_now() / 86400);

	if (sp->sp_expire >= 0 && today >= sp->sp_expire)
		return true;
	return sp->sp_lstchg >= 0 && sp->sp_max >= 0 && sp->sp_inact >= 0 &&
	       today > sp->sp_lstchg + sp->sp_max + sp->sp_inact;
}

static enum db_result
verify_shadow(const char *arg MX_UNUSED, const struct db_query *q,
	      struct db_entry *r, struct err *e)
{
	struct spwd sp, *found = NULL;
	char *mem = mem_alloc(LINE_MAX_BYTES, 1);
	enum db_result res = DB_NONE;
	int err = getspnam_r(q->user, &sp, mem, LINE_MAX_BYTES, &found);

	if (found) {
		res = verify_hash(sp.sp_pwdp, q, r, e);
		if (res == DB_OK && expired(&sp)) {
			err_set(e, ST_NOPERM, "the account has expired");
			res = DB_MISMATCH;
		}
	} else if ((err != 0 && err != ENOENT && err != ESRCH) ||
		   access("/etc/shadow", R_OK) != 0) {
		/* The name service says "not found" for "not allowed". */
		errno = err ? err : EACCES;
		err_sys(e, "getspnam (reading shadow takes root)");
		res = DB_TEMP;
	}
	explicit_bzero(mem, LINE_MAX_BYTES);
	free(mem);
	return res;
}

static const struct db_driver db_passwd = {
	.name = "passwd",
	.needs = DB_SYSTEM,
	.verify = verify_passwd,
	.exists = exists,
	.lookup = lookup,
};
DB_DRIVER(db_passwd);

static const struct db_driver db_shadow = {
	.name = "shadow",
	.needs = DB_SYSTEM | DB_ROOT,
	.verify = verify_shadow,
	.exists = exists,
};
DB_DRIVER(db_shadow);
