/* Dispatch of the subcommands. */
#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

struct command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *what;
};

static const struct command commands[] = {
    {"people", cmd_people, "make a population and its objects out of this machine's files: a plan"},
    {"load", cmd_load, "put a plan's objects, each to its person's region"},
    {"check", cmd_check, "compare what is stored with plan and journals, through every gateway"},
    {"write", cmd_write, "write without retries while people move; any failure counts"},
    {"crash-writer", cmd_crash_writer, "write and log intents while the server is killed"},
    {"crash-check", cmd_crash_check, "compare what survived with a crash-writer's log"},
    {"bench", cmd_bench, "measure requests per second and latencies"},
    {"needles", cmd_needles, "derive the raw scan's needles from a plan"},
    {"scan", cmd_scan, "search all files below folders for needles"},
};

static void usage(FILE *out) {
  assert(out != NULL);
  fputs("usage: domicile-load SUBCOMMAND [flags]\n\n", out);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].what);
  }
  fputs("\nEach has --help. Keys: --key ACCESS:SECRET, or DOMICILE_LOAD_KEY in the environment.\n"
        "Exit codes: 0 ok, 1 mismatch found, 2 usage, 3 could not run, 130 Ctrl-C.\n",
        out);
}

int main(int argc, char **argv) {
  assert(argc >= 0);
  if (argc < 2) {
    usage(stderr);
    return LOAD_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    usage(stdout);
    return LOAD_OK;
  }
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(argv[1], commands[i].name) != 0) continue;
    load_signals_install();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) return load_complain("libcurl cannot start");
    int code = commands[i].run(argc - 1, argv + 1);
    curl_global_cleanup();
    return code;
  }
  fprintf(stderr, "domicile-load: no subcommand '%s'; see domicile-load --help\n", argv[1]);
  return LOAD_USAGE;
}
