/* domicile status: a region at a glance. */
#include <stdio.h>

#include "cli/cli.h"

static void print_status(const json_t *s) {
  printf("region   %s (number %llu), %s\n", cli_text(s, "region"),
         (unsigned long long)cli_number(s, "number"), cli_text(s, "state"));
  printf("charter  %llu\n", (unsigned long long)cli_number(s, "charter"));
  printf("ledger   %s, %llu entries", cli_text(s, "origin"),
         (unsigned long long)cli_number(s, "ledger_size"));
  uint64_t behind = cli_number(s, "log_lsn") - cli_number(s, "ledger_lsn");
  printf(behind ? ", %llu changes of the log later\n" : "\n", (unsigned long long)behind);
  printf("log      change %llu, %s in %llu segments", (unsigned long long)cli_number(s, "log_lsn"),
         cli_show_bytes(cli_number(s, "log_bytes")).text, (unsigned long long)cli_number(s, "segments"));
  printf(" (%s live)\n", cli_show_bytes(cli_number(s, "log_live_bytes")).text);
  if (cli_number(s, "erasures_waiting"))
    printf("erasures %llu wait for the KEK's rotation",
           (unsigned long long)cli_number(s, "erasures_waiting"));
  if (cli_number(s, "erasures_waiting") && cli_number(s, "erasures_deadline_ms"))
    printf(", the first within %s", cli_show_time(cli_number(s, "erasures_deadline_ms")).text);
  if (cli_number(s, "erasures_overdue"))
    printf("; %llu OVERDUE by the charter", (unsigned long long)cli_number(s, "erasures_overdue"));
  if (cli_number(s, "erasures_waiting")) printf("\n");
  printf("disk     %s free\n", cli_show_bytes(cli_number(s, "disk_free_bytes")).text);
  printf("keys     %llu under KEK %s", (unsigned long long)cli_number(s, "keys"), cli_text(s, "kek"));
  if (cli_number(s, "keys_under_old_kek"))
    printf(", %llu under an older one: run key rotate",
           (unsigned long long)cli_number(s, "keys_under_old_kek"));
  if (cli_number(s, "keys_damaged"))
    printf(", %llu DAMAGED: run fsck", (unsigned long long)cli_number(s, "keys_damaged"));
  printf("\nserved   %llu requests, %llu forwarded, %llu refused by the charter\n",
         (unsigned long long)cli_number(s, "requests"), (unsigned long long)cli_number(s, "forwarded"),
         (unsigned long long)cli_number(s, "refused"));
}

int cli_status(int argc, char **argv) {
  struct cli_common common = {0};
  const struct cli_option options[] = {CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = "status",
                                  .summary =
                                      "Shows a region at a glance. Exit code 1: it does not take writes.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status == CLI_CONTINUE) status = cli_ask(link, "GET", "status", NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    print_status(answer);
  return strcmp(cli_text(answer, "state"), "writable") == 0 ? CLI_OK : CLI_FOUND;
}
