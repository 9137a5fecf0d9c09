/*
 * cmd_test.c - `mx-auth test USER` and `mx-auth user USER`: what the
 * databases say, or (--socket) what a running auth server says.
 */
#include "options.h"
#include "authclient.h"
#include "chain.h"
#include "escape.h"
#include "json.h"
#include "mem.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

enum { ASK_MS = 30000 };

static const char *
or_default(const char *s, const char *other)
{
	return s ? s : other;
}

/* One line of text or one JSON object; the exit status (DESIGN 3.5). */
static int
print_verdict(const char *user, enum db_result res, const struct strs *trail)
{
	static const char *const words[] = { "yes", "no", "no", "try again" };
	static const int status[] = { ST_OK, ST_NO, ST_NO, ST_TEMPFAIL };
	struct buf out = BUF_INIT;

	if (prog.json) {
		struct json j;

		json_init(&j, &out);
		json_object(&j, NULL);
		json_str(&j, "result", span_of(words[res]));
		json_str(&j, "user", span_of(user));
		json_array(&j, "why");
		for (size_t i = 0; i < trail->n; i++)
			json_str(&j, NULL, span_of(trail->v[i]));
		json_end(&j, ']');
		json_end(&j, '}');
		buf_addc(&out, '\n');
	} else {
		buf_addf(&out, "%s: ", words[res]);
		escape_line(&out, span_of(user), 0);
		for (size_t i = 0; i < trail->n; i++) {
			buf_adds(&out, "\n  ");
			escape_line(&out, span_of(trail->v[i]), 0);
		}
		buf_addc(&out, '\n');
	}
	fputs(buf_str(&out), stdout);
	buf_free(&out);
	return status[res];
}

static enum db_result
result_of(enum auth_result r)
{
	if (r == AUTH_OK)
		return DB_OK;
	return r == AUTH_FAIL ? DB_MISMATCH : DB_TEMP;
}

static int
connect_socket(struct err *e)
{
	struct endpoint ep;
	int fd;

	if (endpoint_parse(&ep, span_of(options.socket), site.run_directory,
			   e) < 0)
		return -1;
	fd = endpoint_connect(&ep, clock_deadline(ASK_MS), e);
	endpoint_free(&ep);
	return fd;
}

/* PLAIN at a running server. */
static enum db_result
test_socket(const char *user, struct span password, struct strs *trail)
{
	struct auth_facts facts = { .service =
					or_default(options.service, "smtp"),
				    .remote_ip = options.remote,
				    .secured = true };
	struct buf resp = BUF_INIT, challenge = BUF_INIT;
	struct authclient a;
	struct err e = ERR_INIT;
	enum auth_result r = AUTH_TEMP;
	int fd = connect_socket(&e);

	buf_addc(&resp, '\0');
	buf_adds(&resp, user);
	buf_addc(&resp, '\0');
	buf_addspan(&resp, password);
	if (fd >= 0 &&
	    authclient_open(&a, fd, clock_deadline(ASK_MS), &e) == 0) {
		r = authclient_start(&a, "PLAIN", &facts, buf_span(&resp),
				     &challenge, clock_deadline(ASK_MS), &e);
		if (r == AUTH_OK)
			strs_addf(trail, "%s: yes, as %s", options.socket,
				  authclient_user(&a));
		authclient_close(&a);
	}
	if (r != AUTH_OK)
		strs_addf(trail, "%s: %s", options.socket, e.text);
	buf_wipe(&resp);
	buf_free(&challenge);
	return result_of(r);
}

static enum db_result
test_here(const char *given, struct span password, struct strs *trail)
{
	struct buf user = BUF_INIT;
	struct db_query q = { NULL, password,
			      or_default(options.service, "smtp"),
			      or_default(options.remote, ""), false };
	struct db_entry entry;
	struct err e = ERR_INIT;
	enum db_result r = DB_MISMATCH;

	db_entry_init(&entry);
	if (username_normalize(&user, span_of(given), &e) < 0) {
		strs_add(trail, e.text);
	} else {
		q.user = buf_str(&user);
		r = chain_verify(&q, &entry, trail, &e);
	}
	db_entry_free(&entry);
	buf_free(&user);
	return r;
}

int
cmd_test(int argc, char **argv)
{
	struct buf password = BUF_INIT;
	struct strs trail = STRS_INIT;
	struct err e = ERR_INIT;
	enum db_result r;
	int status;

	if (argc != 1)
		return prog_usage("test takes one USER");
	if ((!options.socket && chain_load(&e) < 0) ||
	    ask_password(&password, false, &e) < 0) {
		buf_wipe(&password);
		return prog_fail(&e);
	}
	r = options.socket ? test_socket(argv[0], buf_span(&password), &trail)
			   : test_here(argv[0], buf_span(&password), &trail);
	buf_wipe(&password);
	status = print_verdict(argv[0], r, &trail);
	strs_free(&trail);
	return status;
}

static void
print_fields(const char *user, const struct strs *fields)
{
	struct buf out = BUF_INIT;

	if (prog.json) {
		struct json j;

		json_init(&j, &out);
		json_object(&j, NULL);
		json_str(&j, "user", span_of(user));
		for (size_t i = 0; i < fields->n; i++) {
			struct span v = span_of(fields->v[i]), name;

			if (!span_split(&v, '=', &name))
				continue;
			char *key = mem_spandup(name);

			json_str(&j, key, v.p ? v : SPAN("yes"));
			free(key);
		}
		json_end(&j, '}');
		buf_addc(&out, '\n');
	} else {
		buf_adds(&out, "user=");
		escape_line(&out, span_of(user), 0);
		for (size_t i = 0; i < fields->n; i++) {
			buf_addc(&out, '\n');
			escape_line(&out, span_of(fields->v[i]), 0);
		}
		buf_addc(&out, '\n');
	}
	fputs(buf_str(&out), stdout);
	buf_free(&out);
}

static enum db_result
user_socket(const char *user, struct strs *fields, struct err *e)
{
	struct authmaster m;
	struct auth_user u = { 0 };
	enum auth_result r = AUTH_TEMP;
	int fd = connect_socket(e);

	if (fd < 0 || authmaster_open(&m, fd, clock_deadline(ASK_MS), e) < 0)
		return DB_TEMP;
	r = authmaster_user(&m, user, or_default(options.service, "mail"), &u,
			    clock_deadline(ASK_MS), e);
	for (size_t i = 0; r == AUTH_OK && i < u.fields.n; i++)
		strs_add(fields, u.fields.v[i]);
	auth_user_free(&u);
	authmaster_close(&m);
	return r == AUTH_FAIL ? DB_NONE : result_of(r);
}

static enum db_result
user_here(const char *given, struct strs *fields, struct err *e)
{
	struct buf user = BUF_INIT;
	struct db_entry entry;
	enum db_result r;

	if (chain_load(e) < 0)
		return DB_TEMP;
	db_entry_init(&entry);
	if (username_normalize(&user, span_of(given), e) < 0)
		r = DB_NONE;
	else
		r = chain_user(buf_str(&user), or_default(options.service, ""),
			       &entry, e);
	if (r == DB_OK)
		chain_fields(&entry, fields);
	db_entry_free(&entry);
	buf_free(&user);
	return r;
}

static void
list_one(void *ctx, const char *user)
{
	struct buf b = BUF_INIT;

	(void)ctx;
	escape_line(&b, span_of(user), 0);
	printf("%s\n", buf_str(&b));
	buf_free(&b);
}

/* user '*': all there are, as doveadm user lists them. */
static int
list_users(void)
{
	struct err e = ERR_INIT;

	if (options.socket)
		return prog_usage("user '*' asks the databases itself: "
				  "without --socket");
	if (chain_load(&e) < 0 || chain_each(list_one, NULL, &e) < 0)
		return prog_fail(&e);
	return ST_OK;
}

int
cmd_user(int argc, char **argv)
{
	struct strs fields = STRS_INIT;
	struct err e = ERR_INIT;
	enum db_result r;

	if (argc != 1)
		return prog_usage("user takes one USER");
	if (strcmp(argv[0], "*") == 0)
		return list_users();
	r = options.socket ? user_socket(argv[0], &fields, &e)
			   : user_here(argv[0], &fields, &e);
	if (r == DB_OK)
		print_fields(argv[0], &fields);
	else if (r != DB_TEMP)
		err_set(&e, ST_NOUSER, "no such user: %s", argv[0]);
	strs_free(&fields);
	return r == DB_OK ? ST_OK : prog_fail(&e);
}
