/*
 * queue_id.h - the name of a message from here on, in every log line and at
 * mx-deliver (XFORWARD IDENT).
 */
#ifndef RECV_QUEUE_ID_H
#define RECV_QUEUE_ID_H

#include "base.h"

/* At least 24 bytes of room.  In Postfix's long form: seconds and
 * microseconds in base 52, "z", and what tells processes apart. */
void queue_id_make(char *out, size_t size);

#endif
