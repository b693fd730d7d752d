/* domicile quarantine: a region that came back from a backup and may not serve yet. */
#include <assert.h>
#include <stdio.h>

#include "cli/cli.h"

static const char *explain(const char *state) {
  if (strcmp(state, "open") == 0) return "the region serves: nobody has seen more of it than it knows";
  if (strcmp(state, "unconfirmed") == 0)
    return "no region has answered yet (start: confirmed); nobody is served";
  if (strcmp(state, "loss") == 0)
    return "caught up, but subjects are lost: bring back a newer backup, or leave with --accept-loss";
  return "the region learns what it missed; nobody is served";
}

static void print_shown(const json_t *answer) {
  const json_t *missing = json_object_get(answer, "missing"), *subjects = json_object_get(answer, "subjects");
  const char *state = cli_text(answer, "state");
  size_t i;
  json_t *one;
  printf("state    %s: %s\n", state, explain(state));
  printf("log      change %llu", (unsigned long long)cli_number(answer, "lsn"));
  if (cli_number(answer, "seen_lsn"))
    printf(", where others have seen %llu", (unsigned long long)cli_number(answer, "seen_lsn"));
  printf("\nledger   %llu entries", (unsigned long long)cli_number(answer, "ledger_size"));
  if (cli_number(answer, "seen_ledger_size"))
    printf(", where others have seen %llu", (unsigned long long)cli_number(answer, "seen_ledger_size"));
  printf("\n");
  json_array_foreach(missing, i, one) printf("waits for region %s\n", json_string_value(one));
  if (cli_number(answer, "lost"))
    printf("lost     %llu subjects\n", (unsigned long long)cli_number(answer, "lost"));
  json_array_foreach(subjects, i, one) {
    const char *from = json_string_value(json_object_get(one, "from"));
    printf("  %s epoch %llu, %s%s\n", cli_text(one, "token"), (unsigned long long)cli_number(one, "epoch"),
           from ? "came from " : "registered here", from ? from : "");
    if (json_is_true(json_object_get(one, "kept_there"))) printf("    its copy is still there\n");
  }
}

static int show(int argc, char **argv) {
  struct cli_common common = {0};
  const struct cli_option options[] = {CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "quarantine show",
      .summary = "Whether the region serves, and if not: what it waits for, and who is lost (by token).\n"
                 "Exit code 1: it does not serve.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status == CLI_CONTINUE) status = cli_ask(link, "GET", "quarantine", NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    print_shown(answer);
  return strcmp(cli_text(answer, "state"), "open") == 0 ? CLI_OK : CLI_FOUND;
}

static int leave(int argc, char **argv) {
  struct cli_common common = {0};
  bool accept = false, unheard = false;
  const struct cli_option options[] = {
      {"accept-loss", CLI_FLAG, &accept, NULL, "what quarantine show lists is lost, and stays so"},
      {"without-unheard", CLI_FLAG, &unheard, NULL, "go on without the regions that do not answer"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "quarantine leave --accept-loss",
      .summary =
          "Lets a restored region serve although subjects are lost: each goes on here, empty, under an\n"
          "epoch that nobody has used, with an entry in the ledger. With --without-unheard a subject that\n"
          "left for a region that is gone may be served from the backup: only when it is gone for good.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE && !accept) {
    cli_complain("quarantine leave needs --accept-loss; see quarantine show");
    status = CLI_USAGE;
  }
  CLI_JSON_AUTO *body = json_pack("{s:b,s:b}", "accept_loss", 1, "unheard", unheard);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status == CLI_CONTINUE) status = cli_ask(link, "POST", "quarantine/leave", body, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    print_shown(answer);
  return CLI_OK;
}

int cli_quarantine(int argc, char **argv) {
  static const struct cli_command COMMANDS[] = {
      {"show", "what the region waits for", show}, {"leave", "accept what is lost", leave}, {0}};
  assert(argc >= 0);
  return cli_dispatch("domicile quarantine", COMMANDS, argc, argv);
}
