/*
 * db_pam.c - `pam[:SERVICE]`: asks PAM.  Without SERVICE the first of mx,
 * dovecot, other that /etc/pam.d has.  libpam is loaded when first used.
 * The Linux-PAM Application Developers' Guide.
 */
#include "db.h"
#include "mem.h"
#include "status.h"

#include <dlfcn.h>
#include <errno.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	__typeof__(&pam_start) start;
	__typeof__(&pam_end) end;
	__typeof__(&pam_set_item) set_item;
	__typeof__(&pam_authenticate) authenticate;
	__typeof__(&pam_acct_mgmt) acct_mgmt;
	__typeof__(&pam_strerror) strerror;
	bool loaded;
} pam;

static bool
load_one(void *lib, const char *name, void *slot)
{
	void *f = dlsym(lib, name);

	memcpy(slot, &f, sizeof(f)); /* POSIX dlsym: object to function */
	return f != NULL;
}

static int
load(struct err *e)
{
	void *lib;

	if (pam.loaded)
		return 0;
	lib = dlopen("libpam.so.0", RTLD_NOW);
	pam.loaded = lib && load_one(lib, "pam_start", &pam.start) &&
		     load_one(lib, "pam_end", &pam.end) &&
		     load_one(lib, "pam_set_item", &pam.set_item) &&
		     load_one(lib, "pam_authenticate", &pam.authenticate) &&
		     load_one(lib, "pam_acct_mgmt", &pam.acct_mgmt) &&
		     load_one(lib, "pam_strerror", &pam.strerror);
	if (pam.loaded)
		return 0;
	return err_set(e, ST_CONFIG,
		       "libpam.so.0 cannot be loaded; install libpam0g, or "
		       "set passdb to something else");
}

static int
check(const char *arg, struct err *e)
{
	if (strchr(arg, '/'))
		return err_set(e, ST_CONFIG, "a PAM service has no \"/\"");
	return load(e);
}

static const char *
service_name(const char *arg)
{
	if (arg[0])
		return arg;
	if (access("/etc/pam.d/mx", F_OK) == 0)
		return "mx";
	return access("/etc/pam.d/dovecot", F_OK) == 0 ? "dovecot" : "other";
}

static char *
answer(const struct pam_message *m, const struct db_query *q)
{
	if (m->msg_style == PAM_PROMPT_ECHO_OFF)
		return mem_spandup(q->password);
	if (m->msg_style == PAM_PROMPT_ECHO_ON)
		return mem_strdup(q->user);
	return NULL; /* texts and errors want no answer */
}

/* Modules may ask for anything; the password is given to hidden prompts, the
 * name to others. */
static int
converse(int n, const struct pam_message **msg, struct pam_response **resp,
	 void *appdata)
{
	struct pam_response *r;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	r = mem_alloc((size_t)n, sizeof(*r));
	for (int i = 0; i < n; i++)
		r[i].resp = answer(msg[i], appdata);
	*resp = r;
	return PAM_SUCCESS;
}

/* PAM's own delay after a failure: we have ours. */
static void
no_delay(int status MX_UNUSED, unsigned usec MX_UNUSED, void *data MX_UNUSED)
{
}

/* What PAM cannot say is "try again", never "wrong password". */
static enum db_result
result_of(int r)
{
	switch (r) {
	case PAM_SUCCESS:
		return DB_OK;
	case PAM_USER_UNKNOWN:
		return DB_NONE;
	case PAM_AUTH_ERR:
	case PAM_ACCT_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_AUTHTOK_EXPIRED:
	case PAM_CRED_EXPIRED:
	case PAM_MAXTRIES:
	case PAM_PERM_DENIED:
		return DB_MISMATCH;
	default:
		return DB_TEMP;
	}
}

static int
run(pam_handle_t *h, const struct db_query *q, const char **what)
{
	void (*delay)(int, unsigned, void *) = no_delay;
	const void *item;
	int r = PAM_SUCCESS;

	memcpy(&item, &delay, sizeof(item));
	pam.set_item(h, PAM_FAIL_DELAY, item);
	pam.set_item(h, PAM_TTY, "mx");
	if (q->remote_ip[0])
		r = pam.set_item(h, PAM_RHOST, q->remote_ip);
	*what = "pam_authenticate()";
	if (r == PAM_SUCCESS)
		r = pam.authenticate(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (r == PAM_SUCCESS) {
		*what = "pam_acct_mgmt()";
		r = pam.acct_mgmt(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	}
	return r;
}

static enum db_result
verify(const char *arg, const struct db_query *q, struct db_entry *r,
       struct err *e)
{
	struct db_query own = *q;
	struct pam_conv conv = { converse, &own };
	pam_handle_t *h = NULL;
	const char *what = "pam_start()";
	int res;

	if (load(e) < 0)
		return DB_TEMP;
	res = pam.start(service_name(arg), q->user, &conv, &h);
	if (res == PAM_SUCCESS)
		res = run(h, q, &what);
	r->hashed = true; /* the modules see to equal times themselves */
	if (res != PAM_SUCCESS)
		err_set(e, ST_NOPERM, "%s failed: %s", what,
			pam.strerror(h, res));
	if (h)
		pam.end(h, res);
	return result_of(res);
}

/* PAM cannot be asked without a password; its accounts are system users. */
static enum db_result
exists(const char *arg MX_UNUSED, const char *user, struct err *e)
{
	errno = 0;
	if (getpwnam(user))
		return DB_OK;
	if (errno == 0 || errno == ENOENT || errno == ESRCH)
		return DB_NONE;
	err_sys(e, "getpwnam %s", user);
	return DB_TEMP;
}

static const struct db_driver db_pam = {
	.name = "pam",
	.needs = DB_SYSTEM | DB_ROOT,
	.check = check,
	.verify = verify,
	.exists = exists,
};
DB_DRIVER(db_pam);
