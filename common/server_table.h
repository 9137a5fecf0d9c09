/*
 * server_table.h - tables that ask somebody else (tcp:, socketmap:, pgsql:),
 * for workers in a sandbox: "look K up in table N" (DESIGN 3.1).
 * Layer: sys.
 *
 * The monitor hands each worker that wants it a link to a process of the
 * worker's own, which holds the tables, runs as the workers' user, and may
 * connect; so a data base that hangs delays one session and not the monitor.
 */
#ifndef MX_SERVER_TABLE_H
#define MX_SERVER_TABLE_H

#include "server.h"

/* In before_drop, after the tables were opened. */
void server_tables(struct server *s);
/* In after_drop: from now on such tables are asked through the link. */
void server_tables_worker(struct server *s);
/* For server_spec.tick: reads files again that changed; true when workers
 * should see new tables. */
bool server_tables_changed(struct server *s);

#endif
