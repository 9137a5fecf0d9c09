/*
 * envelope.c - the MX_* environment: what a filter stage cannot read in the
 * message.
 * Layer: mail.  DESIGN 3.4.
 */
#include "envelope.h"
#include "buf.h"
#include "mem.h"

#include <stdlib.h>

extern char **environ;

/* Name and place of the plain fields; recipients are a list of their own. */
static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	{ "MX_SENDER", offsetof(struct envelope, sender) },
	{ "MX_CLIENT_ADDR", offsetof(struct envelope, client_addr) },
	{ "MX_CLIENT_NAME", offsetof(struct envelope, client_name) },
	{ "MX_HELO", offsetof(struct envelope, helo) },
	{ "MX_AUTH_USER", offsetof(struct envelope, auth_user) },
	{ "MX_TLS", offsetof(struct envelope, tls) },
	{ "MX_QUEUE_ID", offsetof(struct envelope, queue_id) },
};

static char **
slot(struct envelope *env, size_t i)
{
	return (char **)(void *)((char *)env + fields[i].offset);
}

void
envelope_from_env(struct envelope *env)
{
	const char *rcpts = getenv("MX_RECIPIENTS");

	*env = (struct envelope){ .sender = NULL };
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *v = getenv(fields[i].name);
		if (v != NULL)
			*slot(env, i) = mem_strdup(v);
	}
	if (rcpts != NULL)
		strs_split(&env->recipients, span_of(rcpts), "\n");
}

void
envelope_to_env(const struct envelope *env, struct strs *envp)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *const *v =
		    (const char *const *)(const void *)((const char *)env +
							fields[i].offset);
		if (*v != NULL)
			strs_addf(envp, "%s=%s", fields[i].name, *v);
	}
	if (env->recipients.n == 0)
		return;
	struct buf b = BUF_INIT;
	buf_adds(&b, "MX_RECIPIENTS=");
	for (size_t i = 0; i < env->recipients.n; i++) {
		if (i > 0)
			buf_addc(&b, '\n');
		buf_adds(&b, env->recipients.v[i]);
	}
	strs_take(envp, buf_steal(&b));
}

void
envelope_clear_env(void)
{
	for (size_t i = 0; environ != NULL && environ[i] != NULL;) {
		const char *eq = strchr(environ[i], '=');
		if (eq == NULL || strncmp(environ[i], "MX_", 3) != 0 ||
		    strncmp(environ[i], "MX_CONFIG=", 10) == 0 ||
		    strncmp(environ[i], "MX_LOG=", 7) == 0 ||
		    strncmp(environ[i], "MX_TEST_", 8) == 0) {
			i++;
			continue;
		}
		char *name = mem_spandup(
		    span_make(environ[i], (size_t)(eq - environ[i])));
		if (unsetenv(name) != 0)
			i++;
		free(name);
	}
}

void
envelope_free(struct envelope *env)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		free(*slot(env, i));
	strs_free(&env->recipients);
	*env = (struct envelope){ .sender = NULL };
}
