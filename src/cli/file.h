/* File: small files that subcommands write. Only cli includes this. */
#ifndef DOMICILE_CLI_FILE_H
#define DOMICILE_CLI_FILE_H

#include "base/bytes.h"

/* Writes `bytes` to `path`, or to stdout for "-". `fresh`: complains where something is there already.
 * Durable: a file at return. Returns: false after a complaint. */
bool cli_file_write(const char *path, struct slice bytes, bool fresh);
/* Appends the content of a small file. Returns: false after a complaint. */
bool cli_file_read(const char *path, size_t max, struct buf *out);

#endif
