/* domicile subject erase: a person's right. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

struct wish {
  struct cli_common common;
  const char *tenant;
  bool dry_run, yes, now;
};

static void print_stage(const char *name, uint64_t ms) {
  if (ms)
    printf("  %-13s %s\n", name, cli_show_time(ms).text);
  else
    printf("  %-13s not yet\n", name);
}

static void print_answer(const json_t *s) {
  size_t i;
  json_t *peer;
  printf("token         %s\n", cli_text(s, "token"));
  printf("region        %s\n", cli_text(s, "region"));
  printf("versions      %llu, %s\n", (unsigned long long)cli_number(s, "objects"),
         cli_show_bytes(cli_number(s, "bytes")).text);
  if (strcmp(cli_text(s, "stage"), "not-yet") == 0) {
    printf("nothing stands against erasing it; nothing was changed\n");
    return;
  }
  printf("stages here\n");
  print_stage("ordered", cli_number(s, "ordered_ms"));
  print_stage("KEY_DROPPED", cli_number(s, "key_dropped_ms"));
  print_stage("ERASED", cli_number(s, "erased_ms"));
  print_stage("NAMES_PURGED", cli_number(s, "names_purged_ms"));
  printf("registrar     %s\n", json_is_true(json_object_get(s, "registrar_knows"))
                                   ? "knows"
                                   : "not told yet; this region goes on telling it");
  json_array_foreach(json_object_get(s, "elsewhere"), i, peer)
      printf("at %-10s %s\n", cli_text(peer, "region"), cli_text(peer, "stage"));
  if (json_is_integer(json_object_get(s, "last_receipt")))
    printf("last receipt  entry %llu of this region's ledger\n",
           (unsigned long long)cli_number(s, "last_receipt"));
}

static int ask(struct cli_link *link, const struct wish *w, const char *id, bool dry_run, json_t **out) {
  BUF_AUTO path = BUF_INIT;
  cli_subject_path(&path, id, "/erase", w->tenant);
  if (dry_run) buf_append_str(&path, "&dry_run=1");
  if (w->now && !dry_run) buf_append_str(&path, "&now=1");
  return cli_ask(link, "POST", buf_str(&path), NULL, out);
}

/* There is no way back: whoever sits at a terminal is asked, a script says --yes. */
static int confirm(struct cli_link *link, const struct wish *w, const char *id) {
  CLI_JSON_AUTO *plan = NULL;
  char line[16] = "";
  int status = ask(link, w, id, true, &plan);
  if (status != CLI_CONTINUE) return status;
  if (strcmp(cli_text(plan, "stage"), "not-yet") != 0) return CLI_CONTINUE; /* under way: nothing to ask */
  if (!isatty(STDIN_FILENO)) {
    cli_complain("this erases %llu versions (%s) of a person for ever: say --yes, or --dry-run to look",
                 (unsigned long long)cli_number(plan, "objects"),
                 cli_show_bytes(cli_number(plan, "bytes")).text);
    return CLI_USAGE;
  }
  fprintf(stderr, "This erases %llu versions (%s) of a person for ever, in every bucket. Type yes: ",
          (unsigned long long)cli_number(plan, "objects"), cli_show_bytes(cli_number(plan, "bytes")).text);
  if (fgets(line, sizeof line, stdin) && strcmp(line, "yes\n") == 0) return CLI_CONTINUE;
  cli_complain("nothing was erased");
  return CLI_INTERRUPTED;
}

int cli_subject_erase(int argc, char **argv) {
  struct wish w = {0};
  const char *words[CLI_WORDS_MAX];
  const struct cli_option options[] = {
      {"tenant", CLI_TEXT, &w.tenant, "ACCOUNT", "whose subject (default: main)"},
      {"dry-run", CLI_FLAG, &w.dry_run, NULL, "say whether it may be and how much it is; change nothing"},
      {"now", CLI_FLAG, &w.now, NULL, "rotate the KEK and purge names at once, for this region alone"},
      {"yes", CLI_FLAG, &w.yes, NULL, "do not ask"},
      CLI_COMMON_OPTIONS(w.common)};
  const struct cli_usage usage = {
      .line = "subject erase ID",
      .summary =
          "Erases a person for good, at their home region: all versions, delete markers, uploads and tags\n"
          "in every bucket, and what other regions still have of earlier stays. Refused with the clause\n"
          "under keep_at_least_days, while versions are locked, and during a move. Reads and writes end\n"
          "at once, until `subject register` registers the person anew. The stages come one after the\n"
          "other: KEY_DROPPED at once, ERASED with the next rotation of the KEK, NAMES_PURGED with the\n"
          "next names purge; run it again to see how far it is.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .words_min = 1,
      .words_max = 1};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&w.common, &link);
  if (status == CLI_CONTINUE && !w.dry_run && !w.yes) status = confirm(link, &w, words[0]);
  if (status == CLI_CONTINUE) status = ask(link, &w, words[0], w.dry_run, &answer);
  if (status != CLI_CONTINUE) return status;
  if (w.common.json)
    cli_print_json(answer);
  else
    print_answer(answer);
  return CLI_OK;
}
