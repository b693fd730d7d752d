/* domicile: one program, one subcommand each. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/verify.h"

static const struct cli_command COMMANDS[] = {
    {"serve", "serve one region", cli_serve},
    {"status", "a region at a glance", cli_status},
    {"bucket", "create and list buckets", cli_bucket},
    {"subject", "people: register, show, list", cli_subject},
    {"token", "a credential for one person's objects", cli_token},
    {"move", "move people to a new home", cli_move},
    {"plan", "what a move would take", cli_plan},
    {"charter", "check, sign and put charters", cli_charter},
    {"key", "make keys, rotate the KEK", cli_key},
    {"names", "purge names of what was erased", cli_names},
    {"ledger", "what is recorded; receipts", cli_ledger},
    {"quarantine", "a region restored from a backup", cli_quarantine},
    {"fsck", "check a region that is not running", cli_fsck},
    {"verify", "check a ledger or a receipt, offline", cli_verify},
    {"version", "version, commit, formats, libraries", cli_version},
    {"--version", NULL, cli_version},
    {0}};

int cli_main(int argc, char **argv) {
  int status = cli_dispatch("domicile", COMMANDS, argc, argv);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    cli_complain("cannot write the answer");
    return status == CLI_OK ? CLI_FAILED : status;
  }
  return status;
}
