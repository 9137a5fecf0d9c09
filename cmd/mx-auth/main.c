/*
 * main.c - mx-auth: who may log in, and where their mail lies.
 * Options, parameters, and the server with its two sockets.  DESIGN 4.
 */
#include "auth.h"
#include "chain.h"
#include "log.h"
#include "mem.h"
#include "oauth.h"
#include "options.h"
#include "sandbox.h"
#include "scheme.h"
#include "session.h"
#include "shared.h"
#include "status.h"

struct options options;
struct auth_params auth_params;

#define ROW(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                 \
	PARAM_ROW(struct auth_params, TYPE, MEMBER, NAME, DEF, MIN, MAX,       \
		  WORDS, MEANING)
static const struct param rows[] = {
	ROW(LIST, passdb, "passdb", "pam", 0, 0, NULL,
	    "password databases, in order: passwd-file:PATH, sql:PATH, "
	    "pam, shadow, passwd, static:password=TEXT, checkpassword:PROGRAM, "
	    "oauth2:PATH"),
	ROW(LIST, userdb, "userdb", "", 0, 0, NULL,
	    "user databases, in order; empty: each passdb's own users"),
	ROW(RAWSTR, mail_location, "mail_location", "maildir:~/Maildir", 0, 0,
	    NULL, "where mail lies; %u %n %d %h and ~ stand for the user's"),
	ROW(LIST, mechanisms, "auth_mechanisms", "plain login", 0, 0, NULL,
	    "SASL mechanisms that are offered"),
	ROW(RAWSTR, username_chars, "auth_username_chars",
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "01234567890.-_@",
	    0, 0, NULL, "bytes a user name may have; empty: all but controls"),
	ROW(RAWSTR, username_format, "auth_username_format", "%Lu", 0, 0, NULL,
	    "the form in which databases see user names"),
	ROW(RAWSTR, default_realm, "auth_default_realm", "", 0, 0, NULL,
	    "domain added to user names that have none"),
	ROW(TIME, failure_delay, "auth_failure_delay", "2s", 0, 60000, "s",
	    "how long the reply to a failed login waits"),
	ROW(LIST, trusted_networks, "login_trusted_networks", "", 0, 0, NULL,
	    "client networks without growing delay"),
	ROW(LIST, master_users, "auth_master_users", "root, $mail_owner", 0, 0,
	    NULL, "users whose programs may ask at the master socket"),
	ROW(BOOL, username_from_cert, "auth_ssl_username_from_cert", "no", 0, 0,
	    NULL, "who logs in is whom the client's certificate names"),
	ROW(BOOL, require_client_cert, "auth_ssl_require_client_cert", "no", 0,
	    0, NULL, "without a verified client certificate nobody logs in"),
	ROW(INT, process_limit, "auth_process_limit", "1000", 1, 5000, NULL,
	    "connections served at once"),
};
const struct param_rows auth_param_rows = { rows, ARRAY_LEN(rows),
					    &auth_params };

#define OFF(MEMBER) offsetof(struct options, MEMBER)
static const struct opt main_opts[] = {
	SERVER_OPT_ROWS(struct options, server),
};
#define OPT_ASK                                                                \
	{ 0,       "socket",    "ENDPOINT",                                    \
	  OPT_STR, OFF(socket), "ask a running auth server there" },           \
	{                                                                      \
		0, "service", "NAME", OPT_STR, OFF(service),                   \
		    "as this service: smtp, imap ..."                          \
	}
static const struct opt test_opts[] = {
	OPT_ASK,
	{ 0, "remote", "ADDR", OPT_STR, OFF(remote),
	  "as a client of this address" },
};
static const struct opt user_opts[] = { OPT_ASK };
#define OPT_HASH                                                               \
	{ 's',     "scheme",    "SCHEME",                                      \
	  OPT_STR, OFF(scheme), "hash by this scheme (SHA512-CRYPT)" },        \
	{                                                                      \
		'r', "rounds", "N", OPT_INT, OFF(rounds),                      \
		    "cost of the hash, in the scheme's own unit"               \
	}
static const struct opt hash_opts[] = { OPT_HASH };
#define OPT_FILE                                                               \
	{                                                                      \
		0, "file", "PATH", OPT_STR, OFF(file),                         \
		    "edit this file, not the first passwd-file of passdb"      \
	}
#define OPT_READY                                                              \
	{                                                                      \
		0, "hash", "HASH", OPT_STR, OFF(hash),                         \
		    "take this {SCHEME}hash, ask for no password"              \
	}
static const struct opt add_opts[] = {
	OPT_FILE,
	OPT_HASH,
	OPT_READY,
	{ 0, "uid", "UID", OPT_STR, OFF(uid), "numeric user id" },
	{ 0, "gid", "GID", OPT_STR, OFF(gid), "numeric group id" },
	{ 0, "home", "DIR", OPT_STR, OFF(home), "home directory" },
	{ 0, "mail", "LOCATION", OPT_STR, OFF(mail),
	  "mail location, e.g. maildir:~/Maildir" },
};
static const struct opt del_opts[] = { OPT_FILE };
static const struct opt passwd_opts[] = { OPT_FILE, OPT_HASH, OPT_READY };

#define SUB(NAME, SYNOPSIS, MEANING, OPTS, RUN)                                \
	{                                                                      \
		NAME, SYNOPSIS, MEANING, OPTS, ARRAY_LEN(OPTS), RUN            \
	}
static const struct subcommand subs[] = {
	SUB("test", "test [--socket ENDPOINT] USER",
	    "is this the user's password? says yes or no and why", test_opts,
	    cmd_test),
	SUB("user", "user [--socket ENDPOINT] USER",
	    "uid, gid, home and mail of a user", user_opts, cmd_user),
	SUB("hash", "hash [-s SCHEME] [-r ROUNDS]",
	    "hash a password for a passwd-file", hash_opts, cmd_hash),
	SUB("add", "add [--file PATH] USER", "add a user to a passwd-file",
	    add_opts, cmd_add),
	SUB("del", "del [--file PATH] USER", "delete a user from a passwd-file",
	    del_opts, cmd_del),
	SUB("passwd", "passwd [--file PATH] USER",
	    "set the password of a user in a passwd-file", passwd_opts,
	    cmd_passwd),
};

static struct param_rows param_sets[2];

static const struct program program = {
	.name = "mx-auth",
	.synopsis =
	    "mx-auth [--listen ENDPOINT ...] [--mode auth|auth-master]\n"
	    "mx-auth test|user|hash|add|del|passwd [OPTIONS] [USER]",
	.meaning = "who may log in, and where their mail lies",
	.opts = main_opts,
	.nopts = ARRAY_LEN(main_opts),
	.options = &options,
	.subs = subs,
	.nsubs = ARRAY_LEN(subs),
	.params = param_sets,
	.nparams = ARRAY_LEN(param_sets),
};

/* The client socket is everybody's, as Dovecot's login socket is: guessing is
 * slow on it.  The master socket is for those who hold rights anyway. */
static const struct server_mode modes[] = {
	{ .name = "auth", .unix_mode = 0666 },
	{ .name = "auth-master", .unix_mode = 0660, .group = &site.mail_owner },
};

static struct server_spec spec;

static int
before_drop(struct server *s MX_UNUSED, bool reload, struct err *e)
{
	unsigned needs;

	if (chain_load(e) < 0 || master_load(e) < 0)
		return -1;
	needs = chain_needs();
	/* Modules of PAM and the name service may need anything at all: no
	 * file sandbox for them, but where nothing needs root none is left. */
	spec.user = needs & DB_ROOT ? NULL : site.auth_user;
	if (needs & DB_SYSTEM)
		site.sandbox = SANDBOX_OFF;
	spec.sandbox = SANDBOX_RPATH;
	/* A resolver's threads, and the files of names and authorities. */
	if (needs & DB_NET) {
		spec.sandbox |= SANDBOX_CONNECT | SANDBOX_FORK;
		oauth_http_start();
	}
	spec.sandbox_paths = chain_folders();
	/* What libcrypto loads when first used is loaded before the sandbox. */
	scheme_dummy(SPAN("{SSHA256}AAAA"), SPAN("x"));
	return reload ? 0 : shared_open(site.run_directory, e);
}

static void
session(struct server *s, struct server_conn *c)
{
	if (c->mode == &modes[1])
		master_session(s, c);
	else
		client_session(s, c);
}

int
main(int argc, char **argv)
{
	const struct subcommand *sub = NULL;
	int at;

	/* Runs as whoever the program of `checkpassword` became: before the
	 * configuration, which that user need not be able to read. */
	if (argc == 2 && strcmp(argv[1], "checkpassword-reply") == 0)
		return checkpassword_reply();
	param_sets[0] = site_params;
	param_sets[1] = auth_param_rows;
	at = prog_start(&program, argc, argv, &sub);
	sandbox_no_dump();
	if (sub)
		return sub->run(argc - at, argv + at);
	if (at < argc)
		return prog_usage("\"%s\" is no subcommand", argv[at]);
	site_log_open("auth");
	log_dovecot();
	options.server.max_workers = auth_params.process_limit;
	spec = (struct server_spec){ .program = &program,
				     .modes = modes,
				     .nmodes = ARRAY_LEN(modes),
				     .before_drop = before_drop,
				     .session = session };
	return server_run(&spec, &options.server, NULL);
}
