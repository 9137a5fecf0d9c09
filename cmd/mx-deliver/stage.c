/*
 * stage.c - kept stages: one process per command line.
 * DESIGN 3.3: one that dies, hangs or lies is started again for the next
 * message and costs this one a 451.
 */
#include "stage.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>

#define STAGES_KEPT 16
#define IDLE_MS 60000
#define MESSAGES_MAX 1000 /* then a fresh process */

static struct kept {
	struct strs argv; /* n = 0: free */
	struct serve s;
	int64_t used;
	unsigned count;
} kept[STAGES_KEPT];

bool
stage_kept(const struct strs *argv)
{
	static const char *const filters[] = { "mx-filter", "mx-dnscheck",
					       "mx-dkimsign" };
	const char *slash;

	/* what only notes something is no filter */
	if (argv->n == 0 ||
	    (argv->n > 1 && strcmp(argv->v[1], "remember") == 0))
		return false;
	slash = strrchr(argv->v[0], '/');
	for (size_t i = 0; i < ARRAY_LEN(filters); i++)
		if (strcmp(slash != NULL ? slash + 1 : argv->v[0],
			   filters[i]) == 0)
			return true;
	return false;
}

static void
forget(struct kept *k)
{
	/* a place never used holds zeros, and 0 is somebody's descriptor */
	if (k->argv.n > 0)
		serve_stop(&k->s);
	strs_free(&k->argv);
	k->count = 0;
}

/* The one with this command line, or room for it. */
static struct kept *
find(const struct strs *argv)
{
	struct kept *room = &kept[0];

	for (size_t i = 0; i < STAGES_KEPT; i++) {
		if (strs_same(&kept[i].argv, argv))
			return &kept[i];
		if (room->argv.n > 0 &&
		    (kept[i].argv.n == 0 || kept[i].used < room->used))
			room = &kept[i];
	}
	forget(room);
	room->s = (struct serve)SERVE_INIT;
	for (size_t i = 0; i < argv->n; i++)
		strs_add(&room->argv, argv->v[i]);
	return room;
}

int
stage_ask(const struct strs *argv, const struct strs *env, int fd, int fd_out,
	  struct buf *out, size_t out_max, struct serve_answer *a, deadline_t d,
	  struct err *e)
{
	struct kept *k = find(argv);

	*a = (struct serve_answer){ .actions = BUF_INIT, .errs = BUF_INIT };
	/* Nothing was given to one that ended meanwhile: no harm is done. */
	if (k->count >= MESSAGES_MAX || !serve_alive(&k->s))
		k->count = 0;
	if (k->count == 0 && serve_start(&k->s, argv, env, d, e) != 0) {
		forget(k);
		return -1;
	}
	k->count++;
	k->used = clock_mono();
	if (serve_ask(&k->s, env, fd, fd_out, out, out_max, a, d, e) == 0)
		return 0;
	log_warn("%s: %s", argv->v[0], e->text);
	forget(k);
	return -1;
}

void
stage_idle(bool all)
{
	for (size_t i = 0; i < STAGES_KEPT; i++)
		if (kept[i].argv.n > 0 &&
		    (all || clock_mono() - kept[i].used > IDLE_MS))
			forget(&kept[i]);
}
