/*
 * secrets.c - passwords that only root can read.  As Postfix's smtp(8) does,
 * mx-send --jobs reads smtp_sasl_password_maps before it gives up root; its
 * children, who speak to other hosts, have what was read.  When such a file
 * changes, --jobs ends at its next safe point, and the runner starts it anew.
 */
#include "send.h"
#include "log.h"
#include "mem.h"
#include "site.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 100

static struct kept_table {
	struct table *table;
	char *path;
	struct stat st;
} kept[FILES_MAX]; /* in the order of the list */

/* "hash:/etc/mx/sasl_passwd" of a type that reads text: the file; else NULL.
 * A database's connection is nothing to be shared by children. */
static const char *
text_file(const char *spec)
{
	static const char *const types[] = { "texthash:", "hash:", "btree:",
					     "cdb:",      "dbm:",  "lmdb:" };
	struct span s = span_of(spec);

	if (span_starts(s, SPAN("proxy:")))
		s = span_from(s, 6);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (span_starts(s, span_of(types[i])))
			return s.p + strlen(types[i]);
	return NULL;
}

void
secrets_preload(void)
{
	if (geteuid() != 0 || !params.sasl_enable)
		return;
	for (size_t i = 0; i < params.sasl_maps.n && i < FILES_MAX; i++) {
		struct kept_table *k = &kept[i];
		const char *path = text_file(params.sasl_maps.v[i]);
		struct err e = ERR_INIT;

		if (path == NULL || stat(path, &k->st) != 0)
			continue;
		k->table = table_open(params.sasl_maps.v[i], &e);
		if (e.status != 0)
			log_warn("%s: lookups will be tried again", e.text);
		k->path = mem_strdup(path);
	}
}

bool
secrets_changed(void)
{
	for (size_t i = 0; i < FILES_MAX && i < params.sasl_maps.n; i++) {
		const struct kept_table *k = &kept[i];
		struct stat st;

		if (k->path != NULL && stat(k->path, &st) == 0 &&
		    (st.st_mtim.tv_sec != k->st.st_mtim.tv_sec ||
		     st.st_mtim.tv_nsec != k->st.st_mtim.tv_nsec ||
		     st.st_ino != k->st.st_ino || st.st_size != k->st.st_size))
			return true;
	}
	return false;
}

void
secrets_open(struct tables *out)
{
	struct err e = ERR_INIT;

	*out = (struct tables){ .n = 0 };
	if (!params.sasl_enable)
		return;
	out->v = mem_alloc(params.sasl_maps.n, sizeof(*out->v));
	for (size_t i = 0; i < params.sasl_maps.n; i++) {
		bool have = i < FILES_MAX && kept[i].table != NULL;

		e = ERR_INIT;
		out->v[out->n++] = have ? kept[i].table
					: table_open(params.sasl_maps.v[i], &e);
		if (e.status != 0)
			log_warn("%s: lookups will be tried again", e.text);
	}
}

void
secrets_close(struct tables *ts)
{
	for (size_t i = 0; i < ts->n; i++)
		if (i >= FILES_MAX || ts->v[i] != kept[i].table)
			table_close(ts->v[i]);
	free(ts->v);
	*ts = (struct tables){ .n = 0 };
}

void
secrets_forget(void)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (kept[i].table != NULL)
			table_close(kept[i].table);
		kept[i].table = NULL;
	}
}
