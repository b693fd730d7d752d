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
  /* it found what it looks for: a mismatch, a failure, a hit */
  LOAD_MISMATCH = 1,
  /* bad flags */
  LOAD_USAGE = 2,
  /* it could not run: a file, a connection, memory */
  LOAD_FAILED = 3,
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
/* Makes the population: plan.tsv and subjects.tsv. */
int cmd_people(int argc, char **argv);
/* Puts a plan's objects and journals the answers. */
int cmd_load(int argc, char **argv);
/* Compares what gateways serve with plan and journals. */
int cmd_check(int argc, char **argv);
/* Writes for people who move; any failure counts. */
int cmd_write(int argc, char **argv);
/* Writes while the server is killed, logging intents first. */
int cmd_crash_writer(int argc, char **argv);
/* Compares what survived with a crash-writer's log. */
int cmd_crash_check(int argc, char **argv);
/* Measures one kind of request. */
int cmd_bench(int argc, char **argv);
/* Derives the raw scan's needles from a plan. */
int cmd_needles(int argc, char **argv);
/* Searches folders for needles. */
int cmd_scan(int argc, char **argv);

#endif
