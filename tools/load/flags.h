/* Flags: one table a subcommand describes both parsing and --help. */
#ifndef DOMICILE_LOAD_FLAGS_H
#define DOMICILE_LOAD_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most values of one repeatable flag, and of positional arguments: a command line written by
 * hand or by a test never has more. */
#define FLAGS_LIST_MAX 64

struct flag_list {
  const char *values[FLAGS_LIST_MAX];
  size_t count;
};

enum flag_kind {
  /* bool: present or not */
  FLAG_SWITCH,
  /* const char * */
  FLAG_STRING,
  /* uint64_t, decimal */
  FLAG_NUMBER,
  /* uint64_t, decimal with optional KiB, MiB, GiB or K, M, G (powers of 1024) */
  FLAG_SIZE,
  /* struct flag_list: may be repeated */
  FLAG_LIST
};

struct flag {
  /* with its dashes; NULL ends the table */
  const char *name;
  /* its value's name in --help, or NULL for a switch */
  const char *argument;
  const char *help;
  enum flag_kind kind;
  bool required;
  /* the variable of the kind's type; holds the default before */
  void *into;
};

struct flag_set {
  const char *command;
  /* one sentence */
  const char *summary;
  /* e.g. "DIR…", or NULL when none are taken */
  const char *positionals;
  const struct flag *flags;
};

/* Parses argv[1..]; `--name value` and `--name=value`. Values are borrowed from argv.
 * `out_rest` (may be NULL when the set takes no positionals) takes the positional arguments.
 * Returns: -1 go on; else the exit code to end with: LOAD_OK after --help, LOAD_USAGE after a
 * complaint. */
int flags_parse(const struct flag_set *set, int argc, char **argv, struct flag_list *out_rest);

/* Complains about usage of `set`, pointing to --help. Returns: LOAD_USAGE. */
int flags_complain(const struct flag_set *set, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "4096", "4KiB", "64M" to bytes. Returns: false when malformed or past 2^63. */
bool flags_parse_size(const char *text, uint64_t *out_bytes);

#endif
