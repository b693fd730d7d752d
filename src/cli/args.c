/* Options by table, so that parsing and --help never disagree. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"

void cli_complain(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("domicile: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
}

void cli_help(const struct cli_usage *u, FILE *to) {
  fprintf(to, "usage: domicile %s%s\n\n%s\n", u->line, u->option_count ? " [options]" : "", u->summary);
  for (size_t i = 0; i < u->option_count; i++) {
    const struct cli_option *o = &u->options[i];
    if (!o->help) continue;
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
    fprintf(to, "  %-32s %s\n", left, o->help);
  }
  fprintf(to, "  %-32s %s\n", "--help", "this text");
}

static int wrong(const struct cli_usage *u, const char *what, const char *which) {
  cli_complain("%s: %s", what, which);
  fprintf(stderr, "usage: domicile %s (--help says more)\n", u->line);
  return CLI_USAGE;
}

static const struct cli_option *find(const struct cli_usage *u, const char *name, size_t len) {
  for (size_t i = 0; i < u->option_count; i++)
    if (strlen(u->options[i].name) == len && memcmp(u->options[i].name, name, len) == 0)
      return &u->options[i];
  return NULL;
}

/* Stores one option's value. False: given twice, or too often. */
static bool put(const struct cli_option *o, const char *value) {
  if (o->kind == CLI_FLAG) {
    *(bool *)o->out = true;
    return true;
  }
  if (o->kind == CLI_TEXT) {
    const char **text = o->out;
    if (*text) return false;
    *text = value;
    return true;
  }
  struct cli_many *many = o->out;
  if (many->count == CLI_MANY_MAX) return false;
  many->at[many->count++] = value;
  return true;
}

/* One "--…" argument; *at moves past its value. */
static int take_option(const struct cli_usage *u, int argc, char **argv, int *at) {
  const char *name = argv[*at] + 2, *equals = strchr(name, '=');
  const struct cli_option *o = find(u, name, equals ? (size_t)(equals - name) : strlen(name));
  if (!o) return wrong(u, "unknown option", argv[*at]);
  if (o->kind == CLI_FLAG && equals) return wrong(u, "this option takes no value", argv[*at]);
  const char *value = equals ? equals + 1 : NULL;
  if (o->kind != CLI_FLAG && !value) {
    if (*at + 1 >= argc) return wrong(u, "this option needs a value", argv[*at]);
    value = argv[++*at];
  }
  return put(o, value) ? CLI_CONTINUE : wrong(u, "given too often", o->name);
}

int cli_parse(const struct cli_usage *u, int argc, char **argv, const char *words[CLI_WORDS_MAX],
              size_t *out_count) {
  assert(argc >= 1 && u->option_count <= CLI_OPTIONS_MAX && u->words_max <= CLI_WORDS_MAX);
  size_t count = 0;
  bool options = true;
  for (int i = 1; i < argc; i++) {
    if (options && strcmp(argv[i], "--") == 0) {
      options = false;
    } else if (options && strcmp(argv[i], "--help") == 0) {
      cli_help(u, stdout);
      return CLI_OK;
    } else if (options && strncmp(argv[i], "--", 2) == 0) {
      int status = take_option(u, argc, argv, &i);
      if (status != CLI_CONTINUE) return status;
    } else if (options && argv[i][0] == '-' && argv[i][1]) {
      return wrong(u, "unknown option", argv[i]);
    } else if (count == u->words_max) {
      return wrong(u, "unexpected argument", argv[i]);
    } else {
      words[count++] = argv[i];
    }
  }
  if (count < u->words_min) return wrong(u, "an argument is missing", u->line);
  if (out_count) *out_count = count;
  return CLI_CONTINUE;
}

static void list_commands(const char *group, const struct cli_command *commands, FILE *to) {
  fprintf(to, "usage: %s COMMAND …\n\n", group);
  for (const struct cli_command *c = commands; c->name; c++)
    if (c->help) fprintf(to, "  %-12s %s\n", c->name, c->help);
  fprintf(to, "\n%s COMMAND --help says more of each.\n", group);
}

int cli_dispatch(const char *group, const struct cli_command *commands, int argc, char **argv) {
  if (argc < 2) {
    list_commands(group, commands, stderr);
    return CLI_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
    list_commands(group, commands, stdout);
    return CLI_OK;
  }
  for (const struct cli_command *c = commands; c->name; c++)
    if (strcmp(argv[1], c->name) == 0) return c->run(argc - 1, argv + 1);
  cli_complain("unknown command: %s", argv[1]);
  list_commands(group, commands, stderr);
  return CLI_USAGE;
}
