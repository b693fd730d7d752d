/* domicile fsck: reads and verifies everything of a region that is not running. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/offline.h"

struct flags {
  struct cli_offline region;
  const char *traces, *needles;
  bool rebuild, repair, yes, json;
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

/* ---- repair ---------------------------------------------------------------------------------- */

/* Who loses something, in order of the rows: those of one subject are told as one where they stand together.
 */
struct losses {
  bool json;
  struct store_repair_lost now;
  bool any;
};

static void print_loss(struct losses *l) {
  BUF_AUTO token = BUF_INIT;
  if (!l->any) return;
  hex_encode(&token, slice_of(l->now.token, TOKEN_SIZE));
  if (l->json) {
    CLI_JSON_AUTO *line =
        json_pack("{s:s,s:I,s:I,s:I}", "loses", buf_str(&token), "objects", (json_int_t)l->now.objects,
                  "uploads", (json_int_t)l->now.uploads, "entries", (json_int_t)l->now.entries);
    cli_print_json(line);
  } else {
    printf("  %s loses %llu object versions, %llu uploads in progress, %llu texts of ledger entries\n",
           buf_str(&token), (unsigned long long)l->now.objects, (unsigned long long)l->now.uploads,
           (unsigned long long)l->now.entries);
  }
  l->any = false;
}

static void take_loss(void *arg, const struct store_repair_lost *one) {
  struct losses *l = arg;
  if (l->any && memcmp(l->now.token, one->token, TOKEN_SIZE) != 0) print_loss(l);
  if (!l->any) {
    l->now = (struct store_repair_lost){0};
    memcpy(l->now.token, one->token, TOKEN_SIZE);
  }
  l->any = true;
  l->now.objects += one->objects;
  l->now.uploads += one->uploads;
  l->now.entries += one->entries;
}

static void print_step(void *arg, const char *step) {
  const struct losses *l = arg;
  if (l->json) {
    CLI_JSON_AUTO *line = json_pack("{s:s}", "step", step);
    cli_print_json(line);
  } else {
    printf("plan: %s\n", step);
  }
}

static int repair(const struct flags *f, const struct serve_config *c) {
  struct dom_err err = {0};
  struct losses losses = {.json = f->json};
  struct store_repair r = {.step = print_step, .lost = take_loss, .arg = &losses};
  struct store_repair_report report = {0};
  r.apply = f->yes;
  enum dom_code code = serve_repair(c, &r, &report, &err);
  if (code) {
    cli_complain("%s", err.text[0] ? err.text : dom_code_name(code));
    return code == DOM_CORRUPT ? CLI_FOUND : CLI_FAILED;
  }
  print_loss(&losses);
  bool nothing = report.holes == 0 && !report.index_lost;
  if (f->json) return nothing || f->yes ? CLI_OK : CLI_FOUND;
  if (nothing)
    printf("nothing to repair in log and index\n");
  else if (f->yes)
    printf("repaired: the region can be started; what the disk had damaged is kept in damaged/\n");
  else
    printf("nothing was changed: --yes does it\n");
  return nothing || f->yes ? CLI_OK : CLI_FOUND;
}

int cli_fsck(int argc, char **argv) {
  struct flags f = {0};
  const struct cli_option options[] = {
      CLI_OFFLINE_OPTIONS(f.region),
      {"rebuild-index", CLI_FLAG, &f.rebuild, NULL, "delete the index and make it again from the log"},
      {"repair", CLI_FLAG, &f.repair, NULL, "show what would be done about a damaged log or a lost index"},
      {"yes", CLI_FLAG, &f.yes, NULL, "with --repair: do it"},
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
  else if (status == CLI_CONTINUE && f.repair)
    status = repair(&f, &c);
  else if (status == CLI_CONTINUE)
    status = run(&f, &c);
  serve_config_done(&c);
  return status;
}
