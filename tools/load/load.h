/* domicile-load: the project's small S3 load client and test oracle.
 *
 * It is an independent check of the server: it signs, speaks HTTP and judges by its own code
 * and shares none with the server's auth, wire or s3. Of the server it uses base only (bytes,
 * codec, clock, alloc).
 *
 * Words: a *plan* lists the objects to put; a *journal* records operations and their answers;
 * the *oracle* derives from them what each key must hold; a *needle* is a byte string that a
 * raw scan must not find. */
#ifndef DOMICILE_LOAD_H
#define DOMICILE_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of every subcommand, the same as domicile's own (see --help). */
enum load_exit {
  LOAD_OK = 0,
  LOAD_MISMATCH = 1,     /* it found what it looks for: a mismatch, a failure, a hit */
  LOAD_USAGE = 2,        /* bad flags */
  LOAD_FAILED = 3,       /* it could not run: a file, a connection, memory */
  LOAD_INTERRUPTED = 130 /* Ctrl-C */
};

/* Set by SIGINT and SIGTERM; loops look at it between operations. Threads: any. */
extern atomic_bool load_stop;
/* Installs the handlers and ignores SIGPIPE. Call once, before threads. */
void load_signals_install(void);

/* Prints "domicile-load: TEXT" to stderr. Returns LOAD_FAILED, so that a caller may
 * `return load_complain(...)`. Never give it a secret. Threads: any. */
int load_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Subcommands. `argv[0]` is the subcommand's name. Each prints its own errors.
 * Returns: enum load_exit. */
int cmd_people(int argc, char **argv);
int cmd_load(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_write(int argc, char **argv);
int cmd_crash_writer(int argc, char **argv);
int cmd_crash_check(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_needles(int argc, char **argv);
int cmd_scan(int argc, char **argv);

#endif
