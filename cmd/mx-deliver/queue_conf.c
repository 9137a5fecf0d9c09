/*
 * queue_conf.c - parameters of the queue; Postfix's names and senses.
 */
#include "queue.h"

struct queue_conf queue_conf;

#define ROW(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                 \
	PARAM_ROW(struct queue_conf, TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, \
		  MEANING)

static const struct param rows[] = {
	ROW(TIME, minimal_backoff, "minimal_backoff_time", "300s", 1, INT64_MAX,
	    "s", "least time between two attempts"),
	ROW(TIME, maximal_backoff, "maximal_backoff_time", "4000s", 1,
	    INT64_MAX, "s", "most time between two attempts"),
	ROW(TIME, maximal_lifetime, "maximal_queue_lifetime", "5d", 0,
	    INT64_MAX, "d", "older mail is returned to its sender"),
	ROW(TIME, bounce_lifetime, "bounce_queue_lifetime", "5d", 0, INT64_MAX,
	    "d", "older reports are given up"),
	ROW(TIME, delay_warning, "delay_warning_time", "0h", 0, INT64_MAX, "h",
	    "the sender is told of a delay after so long; 0: never"),
	ROW(TIME, run_delay, "queue_run_delay", "300s", 1, INT64_MAX, "s",
	    "the whole queue is looked through so often"),
	ROW(INT, process_limit, "queue_process_limit", "50", 1, 1000, NULL,
	    "entries worked on at a time"),
	ROW(INT, concurrency_limit, "default_destination_concurrency_limit",
	    "20", 0, 100000, NULL,
	    "entries on their way to one destination at a time; 0: no limit"),
	ROW(INT, initial_concurrency, "initial_destination_concurrency", "5", 1,
	    1000, NULL, "the same as long as nothing is known of it"),
	ROW(STR, positive_feedback,
	    "default_destination_concurrency_positive_feedback", "1", 0, 0,
	    NULL, "places more after a delivery: N, or N/concurrency"),
	ROW(STR, negative_feedback,
	    "default_destination_concurrency_negative_feedback", "1", 0, 0,
	    NULL, "places less when the host cannot be reached"),
	ROW(INT, cohort_limit,
	    "default_destination_concurrency_failed_cohort_limit", "1", 0, 1000,
	    NULL, "so many rounds of failures suspend a destination; 0: none"),
	ROW(TIME, rate_delay, "default_destination_rate_delay", "0s", 0,
	    86400000, "s", "time between deliveries to one destination"),
	ROW(INT, recipient_limit, "default_destination_recipient_limit", "50",
	    1, 1000, NULL, "recipients in one session"),
	ROW(SIZE, bounce_size_limit, "bounce_size_limit", "50000", 1, INT64_MAX,
	    NULL, "larger messages are returned as headers only"),
	ROW(SIZE, minfree, "queue_minfree", "0", 0, INT64_MAX, NULL,
	    "no mail is taken with less room in the queue's file system"),
	ROW(BOOL, soft_bounce, "soft_bounce", "no", 0, 0, NULL,
	    "failures for good are tried again instead"),
	ROW(STR, double_bounce_sender, "double_bounce_sender", "double-bounce",
	    0, 0, NULL, "sender of reports that postmaster gets"),
	ROW(STR, bounce_notice_recipient, "2bounce_notice_recipient",
	    "postmaster", 0, 0, NULL,
	    "who gets reports that cannot be delivered"),
	ROW(INT, report_limit, "report_sender_limit", "100", 0, 1000000, NULL,
	    "reports to one address in an hour, more wait; 0: no limit"),
	ROW(STR, authserv_id, "authserv_id", "$myhostname", 0, 0, NULL,
	    "our name in Authentication-Results"),
	ROW(STR, copy_recipient, "bounce_notice_recipient", "postmaster", 0, 0,
	    NULL, "who gets copies of reports of failure"),
	ROW(STR, delay_copy_recipient, "delay_notice_recipient", "postmaster",
	    0, 0, NULL, "who gets copies of reports of delay"),
	ROW(LIST, notify_classes, "notify_classes", "resource, software", 0, 0,
	    NULL, "postmaster hears of: bounce, 2bounce, delay"),
};

const struct param_rows queue_params = { rows, ARRAY_LEN(rows), &queue_conf };
