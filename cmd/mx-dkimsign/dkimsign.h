/*
 * dkimsign.h - what the files of mx-dkimsign share.
 */
#ifndef MX_DKIMSIGN_H
#define MX_DKIMSIGN_H

#include "dkim.h"
#include "envelope.h"
#include "milter_process.h"
#include "opt.h"
#include "server.h"

struct sign_options {
	const char *domain, *canon, *headers, *auid;
	struct strs selectors, keys;
	const char *time, *expire; /* numbers: checked in sign_prepare */
	bool header_only;
	const char *opendkim_conf;
	const char *key_table, *signing_table, *trusted_hosts;
	bool genkey, testkey, arc, rotate, force, milter;
	struct server_options server;
	const char *dns_port;
	const char *authserv_id;
	const char *bits, *algorithm, *directory;
};
extern struct sign_options opts;

/* mx.conf, and over it an opendkim.conf. */
struct sign_conf {
	struct strs dkim_domain;
	char *dkim_selector, *dkim_key_file, *dkim_key_table,
	    *dkim_signing_table, *dkim_trusted_hosts, *dkim_canonicalization;
	char *arc_domain, *arc_selector, *arc_key_file, *authserv_id;
	char *opendkim_conf;
	int64_t dkim_rotate_after, dkim_retire_after, process_limit;
	/* opendkim.conf alone */
	bool verify_only;  /* Mode without s */
	bool exact_domain; /* SubDomains no */
	int64_t expire;    /* SignatureTTL */
	struct strs sign_headers, oversign_headers, omit_headers;
	struct milter_process process;
	bool all_signers; /* MultipleSignatures */
	bool safe_keys;   /* an opendkim.conf is there: its RequireSafeKeys */
	bool unsafe_keys; /* RequireSafeKeys no */
	bool remove_old;  /* RemoveOldSignatures */
	bool software_header, log_why;
	struct strs sender_headers, macros, mtas;
	char *peers, *unsigned_to, *exempt; /* datasets, or NULL */
};
extern struct sign_conf conf;
/* opendkim_conf.c: what the file says replaces what c has. */
/* say: called with a sentence for each word that does not count, or NULL. */
int opendkim_read(struct sign_conf *c, const char *path,
		  void (*say)(const char *sentence), struct err *e);

/* One signature to make. */
struct signer {
	char *domain, *selector;
	char *auid; /* i=, or NULL */
	EVP_PKEY *key;
	const struct held_key *held; /* a key of the monitor, in key's place */
	enum dkim_alg alg;
};
struct sign_plan {
	struct signer *v;
	size_t n, cap;
	enum dkim_canon head, body;
	const char *headers;          /* -H, or NULL: the default list */
	const struct sign_conf *conf; /* its lists of fields, or NULL */
	int64_t time, expire;         /* expire 0: none */
	bool header_only;
};

/* sign.c: the whole message with its new fields on stdout. */
int sign_message(struct sign_plan *plan, const struct msg *m, struct err *e);
/* The new fields alone, each with its line ends; hash: of the body, as
 * plan->body says. */
int sign_fields(const struct sign_plan *plan, const struct msg *m,
		const unsigned char hash[32], struct buf *fields,
		struct err *e);
/* From's addr-spec (or SenderHeaders'); ST_DATA without one. */
int sign_from(const struct msg *m, struct buf *local, struct buf *domain,
	      struct err *e);
int plan_add(struct sign_plan *plan, const char *domain, const char *selector,
	     const char *keyfile, const char *auid, struct err *e);
/* May it stand behind s= (d=)? */
bool sign_selector_ok(const char *s);
bool sign_domain_ok(const char *s);
/* i= must be of d= or below it (RFC 6376 3.5). */
bool sign_auid_inside(const char *auid, const char *domain);
void plan_free(struct sign_plan *plan);

/* keys.c: keys that stay in the monitor.  In before_drop: a new set, the keys
 * in it; keys_abandon: the one before it stands again.  In the worker:
 * keys_forget first, then a key by its file, and signatures by that. */
struct held_key;
/* dkim_load_key, unless RequireSafeKeys forbids it. */
EVP_PKEY *keys_load(const char *path, enum dkim_alg *alg_r, struct err *e);
void keys_begin(struct server *s);
void keys_abandon(void);
int keys_keep(const char *keyfile, struct err *e);
void keys_forget(void);
bool keys_held(void);
const struct held_key *keys_find(const char *keyfile, enum dkim_alg *alg_r,
				 struct err *e);
int keys_sign(const struct held_key *k, struct span data, struct buf *sig,
	      struct err *e) MX_MUST_CHECK;
/* milter.c: do options, configuration or tables, as they are now, name it? */
bool keys_named(const char *keyfile);

/* plan.c: the signatures of this message; none: it is not ours to sign. */
int plan_message(struct sign_plan *plan, const struct msg *m, struct err *e);
int plan_arc(struct sign_plan *plan, struct err *e);
/* main.c: what the options say of every plan; ST_*. */
int sign_check_options(struct sign_plan *plan);

/* milter.c: the server; ST_*. */
int sign_milter(const struct program *p);

/* The fields that are signed without -H, each once more than it occurs; or
 * what opendkim.conf's lists say (c may be NULL). */
void sign_default_list(struct buf *out, const struct msg *m,
		       const struct sign_conf *c);

/* field.c: a field's text, LF folds; *line is where its last line begins. */
void field_tag(struct buf *b, size_t *line, const char *fmt, ...)
    MX_PRINTF(3, 4);
void field_base64(struct buf *b, size_t *line, struct span s);
void field_names(struct buf *b, size_t *line, struct span names);
/* With the message's line ends. */
void field_lines(struct buf *out, struct span field, bool crlf);
int field_write(struct span s, struct err *e);

/* seal.c: an ARC set for the message on top of it; id: whose results go in. */
int seal_message(struct sign_plan *plan, const struct msg *m, const char *id,
		 struct err *e);

/* keytable.c: OpenDKIM's files.  Adds what the tables say for this sender;
 * nothing when no line matches. */
int keytable_plan(struct sign_plan *plan, const char *signing_table,
		  const char *key_table, struct span local, struct span domain,
		  struct err *e);
/* Each key file that the table names (those with % left out). */
int keytable_each(const char *key_table,
		  int (*fn)(const char *keyfile, struct err *e), struct err *e);
/* Is the file one that the table names, a domain in the place of each %? */
bool keytable_names(const char *key_table, const char *keyfile);
/* Is the text an entry of the file, "*" being any bytes? */
int keytable_has(const char *file, struct span text, bool *yes, struct err *e);
/* Is the client (address, name) in the file? */
int keytable_trusted(const char *file, const char *addr, const char *name,
		     bool *yes, struct err *e);

/* genkey.c, rotate.c: status of the program. */
int genkey(void);
int testkey(void);
int rotate(void);
/* SELECTOR.private and SELECTOR.txt in dir, and the record on stdout. */
int genkey_make(const char *dir, const char *selector, const char *domain,
		struct err *e);

#endif
