/*
 * sieve_conf.c - the rows of sieve_conf.h, and changes by test scripts.
 */
#include "sieve_conf.h"
#include "buf.h"
#include "mem.h"
#include "num.h"

#include <stdlib.h>

struct sieve_conf sieve_conf;

#define ROW(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                 \
	PARAM_ROW(struct sieve_conf, TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, \
		  MEANING)
static const struct param rows[] = {
	ROW(INT, max_actions, "sieve_max_actions", "32", 0, 10000, NULL,
	    "actions that a script may take; 0: no limit"),
	ROW(INT, max_redirects, "sieve_max_redirects", "4", 0, 10000, NULL,
	    "redirects that a script may take; 0: none is allowed"),
	ROW(SIZE, max_script_size, "sieve_max_script_size", "1M", 0, 67108864,
	    NULL, "bytes of a script; 0: no limit but 64 MB"),
	ROW(TIME, max_cpu_time, "sieve_max_cpu_time", "30s", 0, 0, "s",
	    "processor time of one run; 0: no limit"),
	ROW(SIZE, max_value_size, "sieve_variables_max_value_size", "4k", 0, 0,
	    NULL, "a variable's longer value is cut"),
	ROW(INT, max_scope_size, "sieve_variables_max_scope_size", "255", 1,
	    100000, NULL, "variables of a script"),
	ROW(INT, max_nesting_depth, "sieve_include_max_nesting_depth", "10", 0,
	    100, NULL, "includes inside of includes"),
	ROW(INT, max_includes, "sieve_include_max_includes", "255", 0, 10000,
	    NULL, "scripts that one script includes"),
	ROW(STR, sieve_dir, "sieve_dir", "~/sieve", 0, 0, NULL,
	    "where include :personal looks"),
	ROW(STR, sieve_global, "sieve_global", "", 0, 0, NULL,
	    "where include :global looks"),
	ROW(SIZE, editheader_max_header_size,
	    "sieve_editheader_max_header_size", "2k", 0, 0, NULL,
	    "longest field that addheader takes"),
	ROW(LIST, editheader_protected, "sieve_editheader_protected", "", 0, 0,
	    NULL, "fields that are neither added nor deleted"),
	ROW(LIST, editheader_forbid_add, "sieve_editheader_forbid_add", "", 0,
	    0, NULL, "fields that are not added"),
	ROW(LIST, editheader_forbid_delete, "sieve_editheader_forbid_delete",
	    "", 0, 0, NULL, "fields that are not deleted"),
	ROW(INT, max_notifications, "sieve_notify_max_notifications", "10", 0,
	    10000, NULL, "notifications of one run; 0: none is allowed"),
	ROW(STR, notify_from, "sieve_notify_mailto_envelope_from", "", 0, 0,
	    NULL, "sender of notifications by mail"),
	ROW(TIME, vacation_min, "sieve_vacation_min_period", "1d", 0, 0, "s",
	    "shortest time between two replies to one sender"),
	ROW(TIME, vacation_max, "sieve_vacation_max_period", "0", 0, 0, "s",
	    "longest time between two replies; 0: no bound"),
	ROW(TIME, vacation_default, "sieve_vacation_default_period", "7d", 0, 0,
	    "s", "time between two replies where the script says none"),
	ROW(RAWSTR, vacation_subject, "sieve_vacation_default_subject",
	    "Automated reply", 0, 0, NULL,
	    "subject of a reply to a message that has none"),
	ROW(RAWSTR, vacation_template,
	    "sieve_vacation_default_subject_template", "Auto: %{subject}", 0, 0,
	    NULL, "subject of other replies"),
	ROW(BOOL, vacation_check_recipient, "sieve_vacation_check_recipient",
	    "yes", 0, 0, NULL,
	    "reply only where the message names the user's address"),
	ROW(BOOL, vacation_orig_recipient,
	    "sieve_vacation_use_original_recipient", "no", 0, 0, NULL,
	    "the original recipient is an address of the user"),
	ROW(BOOL, vacation_from_recipient, "sieve_vacation_send_from_recipient",
	    "no", 0, 0, NULL,
	    "replies are sent by the recipient, not by the null sender"),
	ROW(BOOL, vacation_ignore_envelope,
	    "sieve_vacation_to_header_ignore_envelope", "no", 0, 0, NULL,
	    "To: of a reply comes from the message's header alone"),
	ROW(STR, spam.status_header, "sieve_spamtest_status_header", "", 0, 0,
	    NULL, "field with the spam verdict, FIELD[:REGEX]"),
	ROW(STR, spam.status_type, "sieve_spamtest_status_type", "", 0, 0, NULL,
	    "score, strlen or text"),
	ROW(STR, spam.max_value, "sieve_spamtest_score_max_value", "", 0, 0,
	    NULL, "the score of certain spam"),
	ROW(STR, spam.max_header, "sieve_spamtest_score_max_header", "", 0, 0,
	    NULL, "field with that score, FIELD[:REGEX]"),
	ROW(LIST, spam.texts, "sieve_spamtest_text_values", "", 0, 0, NULL,
	    "NUMBER=TEXT: the texts that mean 0 to 10"),
	ROW(STR, virus.status_header, "sieve_virustest_status_header", "", 0, 0,
	    NULL, "field with the virus verdict, FIELD[:REGEX]"),
	ROW(STR, virus.status_type, "sieve_virustest_status_type", "", 0, 0,
	    NULL, "score, strlen or text"),
	ROW(STR, virus.max_value, "sieve_virustest_score_max_value", "", 0, 0,
	    NULL, "the score of a certain virus"),
	ROW(STR, virus.max_header, "sieve_virustest_score_max_header", "", 0, 0,
	    NULL, "field with that score, FIELD[:REGEX]"),
	ROW(LIST, virus.texts, "sieve_virustest_text_values", "", 0, 0, NULL,
	    "NUMBER=TEXT: the texts that mean 0 to 5"),
	ROW(STR, user_email, "sieve_user_email", "", 0, 0, NULL,
	    "the user's own address"),
	ROW(STR, redirect_from, "sieve_redirect_envelope_from", "sender", 0, 0,
	    NULL,
	    "sender of redirects: sender, recipient, orig_recipient, "
	    "user_email, postmaster or <ADDRESS>"),
	ROW(STR, postmaster_address, "postmaster_address",
	    "postmaster@$mydomain", 0, 0, NULL, "who answers for this host"),
	ROW(TIME, duplicate_default, "sieve_duplicate_default_period", "12h", 0,
	    0, "s", "how long duplicate remembers where the script says none"),
	ROW(TIME, duplicate_max, "sieve_duplicate_max_period", "7d", 0, 0, "s",
	    "how long it remembers at most"),
	ROW(INT, regex_match_limit, "sieve_regex_match_limit", "100000", 1000,
	    100000000, NULL, "steps of one regular expression"),
	ROW(LIST, pipe_dirs, "sieve_pipe_bin_dir", "", 0, 0, NULL,
	    "directories of the programs that pipe may run"),
	ROW(LIST, filter_dirs, "sieve_filter_bin_dir", "", 0, 0, NULL,
	    "directories of the programs that filter may run"),
	ROW(LIST, execute_dirs, "sieve_execute_bin_dir", "", 0, 0, NULL,
	    "directories of the programs that execute may run"),
	ROW(TIME, exec_timeout, "sieve_execute_exec_timeout", "10s", 0, 0, "s",
	    "how long such a program may run"),
	ROW(LIST, extlists, "sieve_extlists", "", 0, 0, NULL,
	    "NAME=TYPE:TABLE: external lists"),
	ROW(STR, memory, "sieve_memory", "~/.sieve-memory", 0, 0, NULL,
	    "file in which vacation and duplicate remember"),
	ROW(LIST, environment, "sieve_environment", "", 0, 0, NULL,
	    "NAME=VALUE: items of the test environment"),
};
const struct param_rows sieve_rows = { rows, ARRAY_LEN(rows), &sieve_conf };

/* --- changes --- */

static const struct param *
find_row(struct span name)
{
	if (span_is(name, "sieve_variables_max_variable_size"))
		name = SPAN("sieve_variables_max_value_size");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (span_is(name, rows[i].name))
			return &rows[i];
	}
	return NULL;
}

static void
set_list(struct strs *l, struct span value)
{
	strs_free(l);
	strs_split_braced(l, value);
}

static void
drop_item(struct strs *l, struct span item)
{
	struct strs left = STRS_INIT;

	for (size_t i = 0; i < l->n; i++) {
		if (!span_iis(item, l->v[i]))
			strs_add(&left, l->v[i]);
	}
	strs_free(l);
	*l = left;
}

/* sieve_editheader_header/NAME/forbid_add: the names are those of fields. */
static bool
set_editheader(struct span path, struct span value)
{
	struct span name, what;
	struct strs *l;
	bool yes = true;

	(void)span_split(&path, '/', &name);
	if (!span_split(&path, '/', &what))
		return false;
	if (span_is(what, "name"))
		return true;
	l = span_is(what, "forbid_add") ? &sieve_conf.editheader_forbid_add
					: &sieve_conf.editheader_forbid_delete;
	drop_item(l, name);
	if (value.p != NULL && num_bool(value, &yes) && yes)
		strs_addspan(l, name);
	return true;
}

/* sieve_spamtest_text_value/N */
static bool
set_text(struct strs *l, struct span number, struct span value)
{
	struct strs left = STRS_INIT;
	struct buf item = BUF_INIT;

	buf_addf(&item, "%.*s=", SPAN_ARG(number));
	for (size_t i = 0; i < l->n; i++) {
		if (!span_starts(span_of(l->v[i]), buf_span(&item)))
			strs_add(&left, l->v[i]);
	}
	buf_addspan(&item, value);
	if (value.p != NULL)
		strs_addspan(&left, buf_span(&item));
	buf_free(&item);
	strs_free(l);
	*l = left;
	return true;
}

static bool
set_number(const struct param *row, struct span value)
{
	int64_t *at = (int64_t *)(void *)((char *)&sieve_conf + row->offset);
	int64_t v;

	if (row->type == PARAM_SIZE   ? !num_bytes(value, &v)
	    : row->type == PARAM_TIME ? !num_time(value, 's', &v)
				      : !num_i64(value, 0, INT64_MAX, &v))
		return false;
	*at = v;
	return true;
}

static bool
set_row(const struct param *row, struct span value)
{
	void *at = (char *)&sieve_conf + row->offset;
	char **text = at;
	bool *yes = at;

	switch (row->type) {
	case PARAM_BOOL:
		return num_bool(value, yes);
	case PARAM_LIST:
		set_list(at, value);
		return true;
	case PARAM_STR:
	case PARAM_RAWSTR:
		free(*text);
		*text = mem_spandup(value);
		return true;
	default:
		return set_number(row, value);
	}
}

bool
sieve_conf_set(struct span name, struct span value)
{
	static const char *const paths[] = { "sieve_editheader_header/",
					     "sieve_spamtest_text_value/",
					     "sieve_virustest_text_value/" };
	const struct param *row = find_row(name);
	struct span rest;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (!span_starts(name, span_of(paths[i])))
			continue;
		rest = span_from(name, strlen(paths[i]));
		if (i == 0)
			return set_editheader(rest, value);
		return set_text(i == 1 ? &sieve_conf.spam.texts
				       : &sieve_conf.virus.texts,
				rest, value);
	}
	if (row == NULL)
		return false;
	return set_row(row,
		       value.p != NULL ? span_trim(value) : span_of(row->def));
}
