/* domicile fsck: reads and verifies everything of a region that is not running. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/offline.h"

struct flags {
  struct cli_offline region;
  const char *traces, *needles;
  bool rebuild, json;
};
struct findings {
  bool json, terminal;
  uint64_t count;
};

static void print_finding(void *arg, const char *finding) {
  struct findings *f = arg;
  f->count++;
  if (f->json) {
    CLI_JSON_AUTO *line = json_pack("{s:s}", "finding", finding);
    cli_print_json(line);
  } else {
    printf("%sfound: %s\n", f->terminal ? "\r\033[K" : "", finding);
  }
}

static void print_progress(void *arg, const char *stage, uint64_t done, uint64_t total) {
  const struct findings *f = arg;
  if (!f->terminal || f->json) return;
  fprintf(stderr, "\r\033[K%s: %llu of %llu", stage, (unsigned long long)done, (unsigned long long)total);
}

static uint64_t bad_things(const struct store_fsck_report *r) {
  return r->bad_records + r->bad_bodies + r->missing_bodies + r->dangling_rows + !r->superblock_ok +
         !r->vault_ok + !r->index_ok;
}

static void print_report(const struct store_fsck_report *r, bool json) {
  CLI_JSON_AUTO *all = json_object();
  const struct {
    const char *name;
    uint64_t value;
  } numbers[] = {{"segments", r->segments},
                 {"records", r->records},
                 {"dead_records", r->dead_records},
                 {"objects", r->objects},
                 {"uploads", r->uploads},
                 {"parts", r->parts},
                 {"bodies", r->bodies},
                 {"rows", r->rows},
                 {"entries", r->entries},
                 {"bad_records", r->bad_records},
                 {"bad_bodies", r->bad_bodies},
                 {"missing_bodies", r->missing_bodies},
                 {"orphan_bodies", r->orphan_bodies},
                 {"dangling_rows", r->dangling_rows}};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (!json) printf("%-16s %llu\n", numbers[i].name, (unsigned long long)numbers[i].value);
    json_object_set_new(all, numbers[i].name, json_integer((json_int_t)numbers[i].value));
  }
  json_object_set_new(all, "superblock_ok", json_boolean(r->superblock_ok));
  json_object_set_new(all, "vault_ok", json_boolean(r->vault_ok));
  json_object_set_new(all, "index_ok", json_boolean(r->index_ok));
  if (json)
    cli_print_json(all);
  else
    printf("superblock %s, vault %s, index %s\n", r->superblock_ok ? "good" : "BAD",
           r->vault_ok ? "good" : "BAD", r->index_ok ? "good" : "BAD");
}

static int run(const struct flags *f, struct serve_config *c) {
  struct dom_err err = {0};
  struct findings findings = {.json = f->json, .terminal = isatty(STDERR_FILENO)};
  struct serve_fsck_watch watch = {print_finding, print_progress, &findings};
  struct store_fsck_report report = {0};
  enum dom_code code = serve_fsck(c, f->rebuild, &watch, &report, &err);
  if (findings.terminal && !f->json) fputs("\r\033[K", stderr);
  if (code) {
    cli_complain("%s", err.text[0] ? err.text : dom_code_name(code));
    return code == DOM_CORRUPT ? CLI_FOUND : CLI_FAILED;
  }
  print_report(&report, f->json);
  return findings.count || bad_things(&report) ? CLI_FOUND : CLI_OK;
}

int cli_fsck(int argc, char **argv) {
  struct flags f = {0};
  const struct cli_option options[] = {
      CLI_OFFLINE_OPTIONS(f.region),
      {"rebuild-index", CLI_FLAG, &f.rebuild, NULL, "delete the index and make it again from the log"},
      {"traces", CLI_TEXT, &f.traces, "TOKEN",
       "what is left of a subject, and in which bytes its token stands"},
      {"needles", CLI_TEXT, &f.needles, "FILE", "byte strings to look for in all files, one a line"},
      {"json", CLI_FLAG, &f.json, NULL, "answer as JSON, one finding a line"}};
  const struct cli_usage usage = {
      .line = "fsck (--config FILE | --dev --data DIR --region NAME)",
      .summary =
          "Reads and verifies everything of a region that is not running; changes nothing unless told.\n"
          "Findings name places, never people. Exit code 1: something is wrong.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status != CLI_CONTINUE) return status;
  struct serve_config c = {0};
  status = cli_offline_settle(&f.region, "fsck", &c);
  if (status == CLI_CONTINUE && (f.traces || f.needles))
    status = cli_traces(&c, f.traces, f.needles, f.json);
  else if (status == CLI_CONTINUE)
    status = run(&f, &c);
  serve_config_done(&c);
  return status;
}
