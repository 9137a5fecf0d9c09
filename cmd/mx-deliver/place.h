/*
 * place.h - the folders of a mailbox that get a message, with flags and
 * keywords: Maildir++, Dovecot's dovecot-keywords and subscriptions.
 */
#ifndef MX_DELIVER_PLACE_H
#define MX_DELIVER_PLACE_H

#include "err.h"
#include "strs.h"

/* A folder of the mailbox that gets the message. */
struct place {
	char *folder; /* "" is the INBOX; else UTF-8, "." between levels */
	char *flags;  /* letters of Maildir, or NULL: into new/ */
	char *use;    /* special use of a folder that is made, or NULL */
	struct strs keywords;
	bool create, subscribe;
};
struct places {
	struct place *v;
	size_t n, cap;
};
void places_add(struct places *p, struct span folder, const char *flags,
		bool create, bool subscribe);
void places_free(struct places *p);

/* The folder's descriptor, below the Maildir `dirfd`; made when asked for. */
int place_open(const struct place *p, int dirfd, const char *maildir,
	       struct err *e);
/* One line more in Dovecot's file; a subscription that cannot be written is
 * no reason to hold mail back. */
void place_subscribe(int dirfd, const char *folder);
/*
 * Flags and keywords as the letters of a file name; NULL: none.  A keyword
 * that dovecot-keywords knows gives its letter without a lock; a new one is
 * added under Dovecot's lock.  One that cannot be stored is left out and
 * logged: mail goes before keywords.
 */
char *place_letters(const struct place *p, int dirfd);

#endif
