/* Watch: follows a move until it ends. Only cli's move.c includes this. */
#ifndef DOMICILE_CLI_WATCH_H
#define DOMICILE_CLI_WATCH_H

#include "cli/cli.h"

/* One line about a move: state, subjects, bytes, rate, time left against the deadline. `now_ms`: wall time.
 */
void watch_line(const json_t *move, uint64_t now_ms, struct buf *out);
/* Shows progress on stdout (a bar on a terminal, plain lines otherwise) until the move ends.
 * Returns: CLI_OK; CLI_FOUND when subjects failed or it was cancelled; CLI_INTERRUPTED on Ctrl-C, after
 * saying how to come back; or what cli_ask said. */
int watch_move(struct cli_link *link, const struct cli_common *common, uint64_t id);

#endif
