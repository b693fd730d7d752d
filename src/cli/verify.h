/* `domicile verify` and the small program `domicile-verify` share one command body. */
#ifndef DOMICILE_CLI_VERIFY_H
#define DOMICILE_CLI_VERIFY_H

#include <stdbool.h>

#include "domicile/verify.h"

/* Opens the ledger below `url` as a source; `close` releases what it holds. Returns: false,
 * with the reason on stderr. */
struct verify_remote {
  bool (*open)(const char *url, struct domicile_source *out_source);
  void (*close)(struct domicile_source *source);
};

/* The command: argv[0] is its name, then PATH|URL… [--vkey KEY|FILE]… [--since FILE] [--json]
 * [--help]. Prints to stdout, complaints to stderr. @remote  NULL where URLs are not served.
 * Returns the exit code: 0 everything verified; 1 something does not hold, or no key was
 * given; 2 usage; 3 could not run. */
int verify_run(int argc, char **argv, const struct verify_remote *remote);

/* The body of `domicile verify`: verify_run with URLs fetched by libcurl. */
int cli_verify(int argc, char **argv);

#endif
