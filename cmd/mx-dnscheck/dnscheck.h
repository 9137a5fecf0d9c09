/*
 * dnscheck.h - what the files of mx-dnscheck share: options, parameters, and
 * one entry a subcommand.
 */
#ifndef MX_DNSCHECK_H
#define MX_DNSCHECK_H

#include "dmarc.h"
#include "dns.h"
#include "json.h"
#include "opt.h"
#include "spf.h"
#include "verify.h"

struct check_options {
	const char *ip, *sender, *helo; /* spf */
	const char *from, *spf, *dkim;  /* dmarc */
	const char *authserv_id, *time; /* auth, dkim */
	const char *client_addr, *client_name, *auth_user;
};
struct check_params {
	char *authserv_id;
	bool dmarc_reject_failures;
	char *dmarc_history_file;
};
extern struct check_options opts;
extern struct check_params params;

/* The resolver of the options or the system; exits with a sentence. */
struct dns *check_dns(void);
/* What a whole stage (DKIM, DMARC) may wait for DNS. */
#define CHECK_MS 20000
/* --time, or now. */
int64_t check_time(void);
/* Prints and flushes; the status, or 74. */
int check_print(struct buf *b, int status);
/* " KEY=VALUE" of a text line: quoted where needed; a text always is. */
void check_word(struct buf *b, const char *key, struct span v);
void check_text(struct buf *b, const char *key, struct span v);
/* 0 pass, 1 no, 65, 75. */
int check_status(enum verify_code c);

int cmd_spf(int argc, char **argv);
int cmd_dkim(int argc, char **argv);
int cmd_dmarc(int argc, char **argv);
int cmd_auth(int argc, char **argv);
int cmd_mx(int argc, char **argv);
int cmd_ptr(int argc, char **argv);
int cmd_dkimkey(int argc, char **argv);

#endif
