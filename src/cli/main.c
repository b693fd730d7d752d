/* domicile: one program, one subcommand each. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/verify.h"

static const struct cli_command COMMANDS[] = {{"serve", "serve one region", cli_serve},
                                              {"verify", "check a ledger or a receipt, offline", cli_verify},
                                              {NULL, NULL, NULL}};

int cli_main(int argc, char **argv) {
  int status = cli_dispatch("domicile", COMMANDS, argc, argv);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    cli_complain("cannot write the answer");
    return status == CLI_OK ? CLI_FAILED : status;
  }
  return status;
}
