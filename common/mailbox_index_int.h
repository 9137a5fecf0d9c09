/*
 * mailbox_index_int.h - the form of mx-index, for mailbox_index.c, which reads
 * it, and mailbox_index_write.c.
 * Layer: mail.
 *
 *   head, records, names (each with a NUL), vanished | log entries
 *
 * Numbers are this machine's own: the file is advice, and one of another
 * machine has another checksum.
 */
#ifndef MX_MAILBOX_INDEX_INT_H
#define MX_MAILBOX_INDEX_INT_H

#include "mailbox_index.h"

#define MAILBOX_INDEX_NAME "mx-index"
#define MAILBOX_INDEX_MAGIC "mxindex1"
#define MAILBOX_INDEX_GUID 64

struct index_head {
	char magic[8];
	uint32_t crc; /* of the rest of the head */
	uint32_t uidvalidity, uidnext, guid_n;
	uint64_t n, names_n, vanished_n, total; /* bytes of the snapshot */
	uint64_t modseq, vanished_since;
	uint64_t dirs_known;
	int64_t dir_ns[2];
	struct uidlist_file list;
	char guid[MAILBOX_INDEX_GUID];
};
struct index_record {
	uint32_t uid;
	uint16_t name_n, base_n;
	uint64_t name; /* offset into the names */
	maildir_flags flags;
	uint64_t modseq, size, vsize;
	int64_t mtime;
};
/* In a record's flags: the file lies in new/. */
#define IN_NEW ((maildir_flags)1 << 63)

/* LOG_TOUCH: only the mod-sequence. */
enum { LOG_MESSAGE = 1, LOG_GONE, LOG_STATE, LOG_TOUCH };
struct index_entry {
	uint32_t n;   /* bytes with this head */
	uint32_t crc; /* of what follows */
	uint32_t kind, uid;
	uint64_t modseq;
};

uint32_t mailbox_index_crc(const struct index_head *h);
/* The log from where it was read to its end; what is torn is passed over, and
 * cut off when we hold the lock. */
void mailbox_index_read_log(struct mailbox *mb, bool locked);
/* Closes the file: this session goes on without an index. */
void mailbox_index_drop(struct mailbox *mb);

#endif
