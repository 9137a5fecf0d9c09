/*
 * cmd.h - the handlers that the table of commands names.
 */
#ifndef IMAPD_CMD_H
#define IMAPD_CMD_H

#include "imap.h"

#define CMD_HANDLER(NAME) struct result NAME(struct session *s)
CMD_HANDLER(cmd_append);
CMD_HANDLER(cmd_cancelupdate);
CMD_HANDLER(cmd_capability);
CMD_HANDLER(cmd_check);
CMD_HANDLER(cmd_close);
CMD_HANDLER(cmd_compress);
CMD_HANDLER(cmd_copy);
CMD_HANDLER(cmd_create);
CMD_HANDLER(cmd_delete);
CMD_HANDLER(cmd_enable);
CMD_HANDLER(cmd_examine);
CMD_HANDLER(cmd_expunge);
CMD_HANDLER(cmd_fetch);
CMD_HANDLER(cmd_getacl);
CMD_HANDLER(cmd_getmetadata);
CMD_HANDLER(cmd_getquota);
CMD_HANDLER(cmd_getquotaroot);
CMD_HANDLER(cmd_id);
CMD_HANDLER(cmd_idle);
CMD_HANDLER(cmd_list);
CMD_HANDLER(cmd_listrights);
CMD_HANDLER(cmd_login_again);
CMD_HANDLER(cmd_logout);
CMD_HANDLER(cmd_lsub);
CMD_HANDLER(cmd_move);
CMD_HANDLER(cmd_myrights);
CMD_HANDLER(cmd_namespace);
CMD_HANDLER(cmd_noop);
CMD_HANDLER(cmd_notify);
CMD_HANDLER(cmd_rename);
CMD_HANDLER(cmd_replace);
CMD_HANDLER(cmd_search);
CMD_HANDLER(cmd_select);
CMD_HANDLER(cmd_setacl);
CMD_HANDLER(cmd_setmetadata);
CMD_HANDLER(cmd_setquota);
CMD_HANDLER(cmd_sort);
CMD_HANDLER(cmd_status);
CMD_HANDLER(cmd_store);
CMD_HANDLER(cmd_subscribe);
CMD_HANDLER(cmd_thread);
CMD_HANDLER(cmd_unauthenticate);
CMD_HANDLER(cmd_unselect);
CMD_HANDLER(cmd_unsubscribe);

bool compress_active(const struct stream *st);
/* imap_message_limit, 0: none.  Cuts a set down to as many messages, the last
 * ones, to be gone through downward; a result then says so. */
size_t limit_messages(void);
void limit_set(struct session *s, struct set *set);
struct result limit_result(struct session *s, struct result r);
/* NO, where half of it would be wrong. */
struct result limit_refusal(struct session *s);

/* Has COMPRESS bytes that were read and not yet inflated? */
bool compress_waiting(const struct stream *st);

/* May so much come in?  False: NO [OVERQUOTA]. */
bool quota_fits(struct session *s, uint64_t bytes, uint64_t count,
		struct result *r);
/* RFC 4314: what the user may do with a mailbox. */
const char *acl_rights(struct session *s, struct span name);
/* RFC 6154: words such as "\Sent \Drafts", each one that LIST can tell? */
bool special_use_known(struct span use);
/* May it be written to, renamed, deleted?  False and *r: an mbox is not. */
bool not_mbox(int fd, struct result *r);

/* "* LIST ..." of a mailbox that is there, with its attributes. */
void list_put_one(struct session *s, const char *name);

/* Moves all of the selected mailbox to another. */
struct result copy_everything_away(struct session *s, const struct buf *name);

/* What STATUS tells of a mailbox, as bits; also for LIST RETURN (STATUS). */
enum {
	STATUS_MESSAGES = 1,
	STATUS_RECENT = 2,
	STATUS_UIDNEXT = 4,
	STATUS_UIDVALIDITY = 8,
	STATUS_UNSEEN = 16,
	STATUS_SIZE = 32,          /* RFC 8438 */
	STATUS_DELETED = 64,       /* RFC 9051 */
	STATUS_APPENDLIMIT = 128,  /* RFC 7889 */
	STATUS_MAILBOXID = 256,    /* RFC 8474 */
	STATUS_MODSEQ = 512,       /* RFC 7162 */
	STATUS_DELETED_SIZE = 1024 /* RFC 9208 4.1.4 */
};
bool status_parse(struct session *s, unsigned *items_r) MX_MUST_CHECK;
/* Writes "* STATUS ..."; -1 and a sentence when it cannot be opened. */
int status_put(struct session *s, const char *name, unsigned bits,
	       struct err *e) MX_MUST_CHECK;

#endif
