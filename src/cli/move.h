/* What the files of `domicile move` share. */
#ifndef DOMICILE_CLI_MOVE_H
#define DOMICILE_CLI_MOVE_H

#include "cli/cli.h"

/* Complains; returns CLI_USAGE. */
int move_wrong(const char *what);
/* YYYY-MM-DD: the end of that day, UTC, in ms since 1970. */
bool move_parse_deadline(const char *text, uint64_t *out);
/* "sg 60 %, us 40 %" on stdout. */
void move_print_targets(const json_t *m);
/* "IN", or "a list". The text lives as long as m. */
const char *move_whom(const json_t *m);

/* move_list.c: sends a file of ids and tokens, one a line, and names it in `body` ("list"). Empty lines are
 * skipped. Complains of each line that is wrong or names nobody, by its number and never by what it says.
 *   path   "-" is stdin        tenant   NULL: main
 * Returns: CLI_CONTINUE; or an exit code after complaints. */
int move_send_list(struct cli_link *link, const char *path, const char *tenant, bool skip_unknown,
                   json_t *body);

/* move_job.c: commands about moves that were started. */
int move_job_list(int argc, char **argv);
int move_job_status(int argc, char **argv);
int move_job_failures(int argc, char **argv);
int move_job_pause(int argc, char **argv);
int move_job_resume(int argc, char **argv);
int move_job_set(int argc, char **argv);
int move_job_cancel(int argc, char **argv);

#endif
