/*
 * commands.c - the commands of a session, one row each.
 */
#include "cmd.h"
#include "capability.h"

/* Each word stands for what commands.c's rows and this program do. */
static const char capability_session[] =
    "IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE "
    "UNSELECT CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE STATUS=SIZE "
    "ESEARCH SEARCHRES PARTIAL WITHIN I18NLEVEL=1 SORT SORT=DISPLAY ESORT "
    "MULTIAPPEND CATENATE URL-PARTIAL REPLACE BINARY PREVIEW SAVEDATE "
    "OBJECTID "
    "THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT UTF8=ACCEPT "
    "QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE ACL RIGHTS=texk "
    "LIST-MYRIGHTS METADATA METADATA-SERVER CREATE-SPECIAL-USE "
    "CONDSTORE QRESYNC UIDONLY NOTIFY CONTEXT=SEARCH "
    "CONTEXT=SORT INPROGRESS COMPRESS=DEFLATE "
    "APPENDLIMIT=67108864";

#define ANY (STATE_AUTH | STATE_SELECTED)
#define IN_SET (CMD_UID | CMD_NUMBERS)
const struct command session_commands[] = {
	{ "CAPABILITY", ANY, 0, cmd_capability },
	{ "NOOP", ANY, 0, cmd_noop },
	{ "LOGOUT", ANY, CMD_NO_SYNC, cmd_logout },
	{ "LOGIN", ANY, CMD_NO_SYNC, cmd_login_again },
	{ "AUTHENTICATE", ANY, CMD_NO_SYNC, cmd_login_again },
	{ "STARTTLS", ANY, CMD_NO_SYNC, cmd_login_again },
	{ "UNAUTHENTICATE", ANY, CMD_NO_SYNC, cmd_unauthenticate },
	{ "ENABLE", ANY, 0, cmd_enable },
	{ "ID", ANY, 0, cmd_id },
	{ "NAMESPACE", ANY, 0, cmd_namespace },
	{ "SELECT", ANY, CMD_NO_SYNC, cmd_select },
	{ "EXAMINE", ANY, CMD_NO_SYNC, cmd_examine },
	{ "CREATE", ANY, CMD_NAMES, cmd_create },
	{ "DELETE", ANY, CMD_NAMES, cmd_delete },
	{ "RENAME", ANY, CMD_NAMES, cmd_rename },
	{ "SUBSCRIBE", ANY, CMD_NAMES, cmd_subscribe },
	{ "UNSUBSCRIBE", ANY, CMD_NAMES, cmd_unsubscribe },
	{ "LIST", ANY, 0, cmd_list },
	{ "LSUB", ANY, 0, cmd_lsub },
	{ "STATUS", ANY, 0, cmd_status },
	{ "APPEND", ANY, CMD_STREAMS | CMD_OWN, cmd_append },
	{ "REPLACE", STATE_SELECTED,
	  IN_SET | CMD_STREAMS | CMD_OWN | CMD_SET_FIRST, cmd_replace },
	{ "COMPRESS", ANY, CMD_NO_SYNC, cmd_compress },
	{ "GETQUOTA", ANY, 0, cmd_getquota },
	{ "GETQUOTAROOT", ANY, 0, cmd_getquotaroot },
	{ "SETQUOTA", ANY, 0, cmd_setquota },
	{ "GETACL", ANY, 0, cmd_getacl },
	{ "MYRIGHTS", ANY, 0, cmd_myrights },
	{ "LISTRIGHTS", ANY, 0, cmd_listrights },
	{ "SETACL", ANY, 0, cmd_setacl },
	{ "DELETEACL", ANY, 0, cmd_setacl },
	{ "GETMETADATA", ANY, 0, cmd_getmetadata },
	{ "SETMETADATA", ANY, CMD_NAMES, cmd_setmetadata },
	{ "CANCELUPDATE", STATE_SELECTED, 0, cmd_cancelupdate },
	{ "IDLE", ANY, 0, cmd_idle },
	{ "NOTIFY", ANY, CMD_NO_SYNC, cmd_notify },
	{ "CHECK", STATE_SELECTED, 0, cmd_check },
	{ "CLOSE", STATE_SELECTED, CMD_NO_SYNC, cmd_close },
	{ "UNSELECT", STATE_SELECTED, CMD_NO_SYNC, cmd_unselect },
	{ "EXPUNGE", STATE_SELECTED, CMD_UID, cmd_expunge },
	{ "FETCH", STATE_SELECTED, IN_SET | CMD_NO_EXPUNGE, cmd_fetch },
	{ "STORE", STATE_SELECTED, IN_SET | CMD_NO_EXPUNGE | CMD_FLAGS,
	  cmd_store },
	{ "SEARCH", STATE_SELECTED, IN_SET | CMD_NO_EXPUNGE, cmd_search },
	{ "SORT", STATE_SELECTED, IN_SET | CMD_NO_EXPUNGE, cmd_sort },
	{ "THREAD", STATE_SELECTED, IN_SET | CMD_NO_EXPUNGE, cmd_thread },
	{ "COPY", STATE_SELECTED, IN_SET | CMD_OWN, cmd_copy },
	{ "MOVE", STATE_SELECTED, IN_SET | CMD_OWN, cmd_move },
	{ NULL, 0, 0, NULL },
};

const char *
capability_words(struct buf *b, bool front)
{
	buf_clear(b);
	buf_adds(b, capability_session);
	if (front)
		buf_adds(b, " UNAUTHENTICATE");
	if (limit_messages() > 0)
		buf_addf(b, " MESSAGELIMIT=%zu", limit_messages());
	return buf_str(b);
}
