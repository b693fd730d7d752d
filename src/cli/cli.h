/* Cli: the command line. One file per subcommand; this header is what they share.
 *
 * Every subcommand takes --help and --json, prints results on stdout and complaints on stderr, and ends with
 * one of the exit codes below. Nothing here knows more of the daemon than its admin interface
 * (docs/formats/admin-api.md), except `serve` and `fsck`, which are the daemon's own code. */
#ifndef DOMICILE_CLI_CLI_H
#define DOMICILE_CLI_CLI_H

#include <jansson.h>

#include "base/bytes.h"

/* Exit codes of every subcommand. */
enum cli_exit {
  CLI_OK = 0,
  CLI_FOUND = 1,        /* it found what it looks for: a violation, a mismatch, a refusal; or nothing there */
  CLI_USAGE = 2,        /* bad flags, bad settings */
  CLI_FAILED = 3,       /* could not run */
  CLI_INTERRUPTED = 130 /* Ctrl-C */
};
enum { CLI_CONTINUE = -1 }; /* of cli_parse: go on */

/* ---- args.c: options by table ------------------------------------------------------------ */

enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_MANY };
enum { CLI_MANY_MAX = 64, CLI_WORDS_MAX = 64, CLI_OPTIONS_MAX = 32 };
struct cli_many {
  const char *at[CLI_MANY_MAX];
  size_t count;
};
/* One option. `out`: bool * (FLAG), const char ** (TEXT), struct cli_many * (MANY). */
struct cli_option {
  const char *name; /* without "--" */
  enum cli_kind kind;
  void *out;
  const char *argument; /* "DIR"; NULL for a flag */
  const char *help;     /* NULL: not shown, for tests */
};
struct cli_usage {
  const char *line;    /* "subject show ID" */
  const char *summary; /* what it does, ended by a newline; may have several lines */
  const struct cli_option *options;
  size_t option_count;
  size_t words_min, words_max; /* arguments that are no options */
};
/* Parses argv[1…]. "--name value" and "--name=value"; "--" ends options; a TEXT twice is an error.
 * Returns: CLI_CONTINUE; CLI_OK after --help was printed; CLI_USAGE after a complaint was. */
int cli_parse(const struct cli_usage *u, int argc, char **argv, const char *words[CLI_WORDS_MAX],
              size_t *out_count);
void cli_help(const struct cli_usage *u, FILE *to);
/* "domicile: …" on stderr. */
void cli_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A subcommand: argv[0] is its name. Returns an exit code. */
typedef int (*cli_run)(int argc, char **argv);
struct cli_command {
  const char *name;
  const char *help; /* one line */
  cli_run run;
};
/* Runs the command that argv[1] names, of a list ended by a NULL name; `group`: "domicile subject". */
int cli_dispatch(const char *group, const struct cli_command *commands, int argc, char **argv);

/* ---- link.c: the way to the daemon -------------------------------------------------------------- */

/* How the daemon is found: --data, --config or DOMICILE_CONFIG name its folder and so its socket;
 * --endpoint with an operator key goes over HTTP, or over TLS to one whose authority the system or --ca-file
 * (or DOMICILE_CA_FILE) believes. */
struct cli_common {
  const char *data, *config, *endpoint, *key, *ca_file;
  bool json;
};
#define CLI_COMMON_OPTIONS(C)                                                                                \
  {"data", CLI_TEXT, &(C).data, "DIR", "the region's data folder; its DIR/admin.sock is used"},              \
      {"config", CLI_TEXT, &(C).config, "FILE", "the daemon's config, which names the folder"},              \
      {"endpoint", CLI_TEXT, &(C).endpoint, "URL", "a daemon elsewhere, with --key"},                        \
      {"key", CLI_TEXT, &(C).key, "ACCESS:SECRET", "operator key (or DOMICILE_OPERATOR_KEY)"},               \
      {"ca-file", CLI_TEXT, &(C).ca_file, "FILE", "authorities (PEM) of an https:// endpoint"}, {            \
    "json", CLI_FLAG, &(C).json, NULL, "answer as JSON"                                                      \
  }
struct cli_link;
/* Returns: CLI_CONTINUE and *out; or an exit code after a complaint. */
int cli_link_open(const struct cli_common *c, struct cli_link **out);
void cli_link_close(struct cli_link *l); /* NULL is allowed */
#define CLI_LINK_AUTO __attribute__((cleanup(cli_link_cleanup))) struct cli_link
static inline void cli_link_cleanup(struct cli_link **l) {
  cli_link_close(*l);
}
/* Asks the daemon: `path` behind "/-/admin/", already percent-encoded; `body` NULL or borrowed. `quiet`:
 * no complaint. *out is the caller's to json_decref.
 * Returns: CLI_CONTINUE; or an exit code after a complaint (CLI_FOUND for what is not there, exists already
 * or is refused). */
int cli_ask(struct cli_link *l, const char *method, const char *path, const json_t *body, json_t **out);
/* POSTs and hands the bytes of the answer out as they come; a code of `take` ends it, with err's words as the
 * complaint. Returns: as cli_ask. */
typedef enum dom_code (*cli_take_fn)(void *arg, struct slice bytes, struct dom_err *err);
int cli_ask_bytes(struct cli_link *l, const char *path, const json_t *body, cli_take_fn take, void *arg);
/* True after Ctrl-C, once cli_catch_interrupt was called: a request under way is then given up. */
void cli_catch_interrupt(void);
bool cli_interrupted(void);
#define CLI_JSON_AUTO __attribute__((cleanup(cli_json_cleanup))) json_t
static inline void cli_json_cleanup(json_t **j) {
  json_decref(*j);
}

/* ---- text.c: values as people write and read them ---------------------------------------------------- */

/* Members of a JSON object; "" and 0 when absent. The text lives as long as the object. */
const char *cli_text(const json_t *object, const char *name);
uint64_t cli_number(const json_t *object, const char *name);
/* Prints JSON on one line. */
void cli_print_json(const json_t *value);
/* "50MB/s", "64MiB", "1000": bytes (a second). */
bool cli_parse_bytes(const char *text, uint64_t *out);
/* "1.5 GiB". */
struct cli_shown {
  char text[40];
};
struct cli_shown cli_show_bytes(uint64_t bytes);
struct cli_shown cli_show_time(uint64_t wall_ms); /* RFC 3339; "-" for 0 */
struct cli_shown cli_show_span(uint64_t ms);      /* "3 h 20 min" */
/* "sg=60%,us=40%" or "in". True and {"sg":60,"us":40}; false with a complaint. */
bool cli_parse_shares(const char *text, json_t **out);

/* ---- one file each --------------------------------------------------------------------------------------
 */

int cli_main(int argc, char **argv);
int cli_serve(int argc, char **argv);
int cli_bucket(int argc, char **argv);
int cli_subject(int argc, char **argv);
int cli_subject_erase(int argc, char **argv);
int cli_subject_export(int argc, char **argv);
/* Appends "subjects/ID[TAIL]?tenant=T", a path for cli_ask; tenant NULL: main. */
void cli_subject_path(struct buf *out, const char *id, const char *tail, const char *tenant);
int cli_token(int argc, char **argv);
int cli_move(int argc, char **argv);
int cli_plan(int argc, char **argv); /* move.c */
int cli_charter(int argc, char **argv);
int cli_key(int argc, char **argv);
int cli_names(int argc, char **argv);
int cli_quarantine(int argc, char **argv);
int cli_ledger(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_fsck(int argc, char **argv);
int cli_version(int argc, char **argv);

#endif
