/*
 * site.c - the parameters that every program shares; see site.h.
 * Layer: sys.
 */
#include "site.h"
#include "log.h"

struct site site;

#define ROW(TYPE, MEMBER, DEF, WORDS, MEANING)                                 \
	PARAM_ROW(struct site, TYPE, MEMBER, #MEMBER, DEF, 0, 0, WORDS, MEANING)

static const struct param rows[] = {
	ROW(STR, myhostname, "", NULL,
	    "this host's full name (default: what the system says)"),
	ROW(STR, mydomain, "", NULL,
	    "its domain (default: $myhostname without the first label)"),
	ROW(STR, myorigin, "$myhostname", "/file",
	    "domain of senders and recipients without one; a file when it "
	    "begins with /"),
	ROW(STR, run_directory, "/run/mx", NULL, "sockets"),
	ROW(STR, queue_directory, "/var/spool/mx", NULL, "the queue"),
	ROW(STR, data_directory, "/var/lib/mx", NULL, "state of programs"),
	ROW(STR, net_user, "mxnet", NULL, "who parses network bytes"),
	ROW(STR, mail_owner, "mx", NULL, "who holds the queue"),
	ROW(STR, filter_user, "mxfilter", NULL, "who filters"),
	ROW(STR, sign_user, "mxsign", NULL, "who reads DKIM keys"),
	ROW(STR, auth_user, "mxauth", NULL, "who checks passwords"),
	ROW(STR, syslog_name, "mx", NULL, "begin of the log tag"),
	ROW(CHOICE, log_format, "text", "text|json", "form of log lines"),
	ROW(CHOICE, sandbox, "try", "try|require|off",
	    "what to do where the kernel lacks Landlock or seccomp"),
	ROW(LIST, mynetworks, "127.0.0.0/8 [::1]/128", NULL,
	    "clients that may relay"),
	ROW(STR, recipient_delimiter, "", NULL,
	    "characters between user and extension, such as +"),
	ROW(STR, resolver, "", NULL,
	    "HOST[:PORT] of the DNS resolver (default: /etc/resolv.conf)"),
};

const struct param_rows site_params = { rows, ARRAY_LEN(rows), &site };

void
site_log_open(const char *role)
{
	log_open(site.syslog_name, role, (enum log_format)site.log_format);
}
