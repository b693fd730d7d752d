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

static void print_lost(const json_t *one) {
  const char *from = json_string_value(json_object_get(one, "from")), *copy = cli_text(one, "copy");
  printf("  %s epoch %llu, ", cli_text(one, "token"), (unsigned long long)cli_number(one, "epoch"));
  if (strcmp(copy, "prepared") == 0)
    printf("was about to leave for %s, which has all of it: goes on there\n", from);
  else if (strcmp(copy, "kept") == 0)
    printf("came from %s, which kept its copy: it is sent again\n", from);
  else
    printf("%s%s, no copy: goes on empty\n", from ? "came from " : "on record here", from ? from : "");
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
  json_array_foreach(subjects, i, one) print_lost(one);
}

/* Asks the daemon and prints its answer, as JSON or by `print`. Returns CLI_CONTINUE when it has; an exit
 * code. */
static int ask(const struct cli_common *common, const char *method, const char *path, const json_t *body,
               void (*print)(const json_t *answer), json_t **out) {
  CLI_LINK_AUTO *link = NULL;
  int status = cli_link_open(common, &link);
  if (status == CLI_CONTINUE) status = cli_ask(link, method, path, body, out);
  if (status != CLI_CONTINUE) return status;
  if (common->json)
    cli_print_json(*out);
  else
    print(*out);
  return CLI_CONTINUE;
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
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = ask(&common, "GET", "quarantine", NULL, print_shown, &answer);
  if (status != CLI_CONTINUE) return status;
  return strcmp(cli_text(answer, "state"), "open") == 0 ? CLI_OK : CLI_FOUND;
}

static int leave(int argc, char **argv) {
  struct cli_common common = {0};
  bool accept = false, unheard = false;
  const struct cli_option options[] = {
      {"accept-loss", CLI_FLAG, &accept, NULL, "go on as quarantine show lists it; the rest stays lost"},
      {"without-unheard", CLI_FLAG, &unheard, NULL, "go on without the regions that do not answer"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "quarantine leave --accept-loss",
      .summary =
          "Lets a restored region serve although subjects are lost, as quarantine show lists them: each\n"
          "goes on with the last copy that another region has, or here, empty, under an epoch that nobody\n"
          "has used; with an entry in the ledger. With --without-unheard a subject that left for a region\n"
          "that is gone may be served from the backup, and one whose copy is there goes on empty: only\n"
          "when it is gone for good.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE && !accept) {
    cli_complain("quarantine leave needs --accept-loss; see quarantine show");
    status = CLI_USAGE;
  }
  CLI_JSON_AUTO *body = json_pack("{s:b,s:b}", "accept_loss", 1, "unheard", unheard);
  if (status == CLI_CONTINUE) status = ask(&common, "POST", "quarantine/leave", body, print_shown, &answer);
  return status == CLI_CONTINUE ? CLI_OK : status;
}

static int enter(int argc, char **argv) {
  struct cli_common common = {0};
  bool yes = false;
  const struct cli_option options[] = {{"yes", CLI_FLAG, &yes, NULL, "nobody is served until it is over"},
                                       CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "quarantine enter --yes",
      .summary = "For a region that came back from a backup and was not noticed, or that claims who is\n"
                 "not on record with it (quarantine claims): it serves nobody until it has learned from\n"
                 "all other regions who left, then goes on by itself.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE && !yes) {
    cli_complain("quarantine enter needs --yes: the region serves nobody until it is over");
    status = CLI_USAGE;
  }
  if (status == CLI_CONTINUE) status = ask(&common, "POST", "quarantine/enter", NULL, print_shown, &answer);
  return status == CLI_CONTINUE ? CLI_OK : status;
}

static void print_claims(const json_t *answer) {
  const json_t *claims = json_object_get(answer, "claims"), *missing = json_object_get(answer, "missing");
  size_t i;
  json_t *one;
  json_array_foreach(claims, i, one) {
    const char *home = json_string_value(json_object_get(one, "record_home"));
    unsigned long long epoch = cli_number(one, "epoch"), record = cli_number(one, "record_epoch");
    printf("%s claimed by %s, epoch %llu; on record: %s, epoch %llu%s\n", cli_text(one, "token"),
           cli_text(one, "region"), epoch, home ? home : "nobody", record,
           epoch > record ? " (not told yet)" : "");
  }
  json_array_foreach(missing, i, one) printf("region %s did not answer\n", json_string_value(one));
  if (json_array_size(claims) == 0 && json_array_size(missing) == 0)
    printf("every subject lives where it is on record\n");
}

static int claims(int argc, char **argv) {
  struct cli_common common = {0};
  const struct cli_option options[] = {CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "quarantine claims",
      .summary =
          "Asks all regions who is at home there and lists, by token, who is elsewhere on record. At the\n"
          "registrar. A move that ends just now may be listed: ask again. A claim that stays, and whose\n"
          "epoch is not above the record's: quarantine enter, in the region that claims. Exit code 1:\n"
          "there are claims, or a region did not answer.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = ask(&common, "GET", "claims", NULL, print_claims, &answer);
  if (status != CLI_CONTINUE) return status;
  bool good = json_array_size(json_object_get(answer, "claims")) == 0 &&
              json_array_size(json_object_get(answer, "missing")) == 0;
  return good ? CLI_OK : CLI_FOUND;
}

int cli_quarantine(int argc, char **argv) {
  static const struct cli_command COMMANDS[] = {
      {"show", "what the region waits for", show},
      {"enter", "have a region learn what it may have missed", enter},
      {"leave", "accept what is lost", leave},
      {"claims", "who is claimed by a region without being on record there", claims},
      {0}};
  assert(argc >= 0);
  return cli_dispatch("domicile quarantine", COMMANDS, argc, argv);
}
