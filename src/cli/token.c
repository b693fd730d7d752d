/* domicile token: a credential for one person's own objects. */
#include <stdio.h>

#include "cli/cli.h"

/* "90s", "15m", "24h", "7d". */
static bool parse_span(const char *text, uint64_t *out_s) {
  struct slice s = slice_str(text);
  uint64_t unit = 0, value = 0;
  if (s.len < 2) return false;
  switch (s.data[s.len - 1]) {
  case 's':
    unit = 1;
    break;
  case 'm':
    unit = 60;
    break;
  case 'h':
    unit = 3600;
    break;
  case 'd':
    unit = UINT64_C(24) * 3600;
    break;
  default:
    return false;
  }
  if (slice_to_u64(slice_cut(s, 0, s.len - 1), &value) || value > 1000000) return false;
  *out_s = value * unit;
  return true;
}

static void print_token(const json_t *t) {
  printf("AWS_ACCESS_KEY_ID=%s\n", cli_text(t, "access_key"));
  printf("AWS_SECRET_ACCESS_KEY=%s\n", cli_text(t, "secret_key"));
  printf("AWS_SESSION_TOKEN=%s\n", cli_text(t, "session_token"));
  fprintf(stderr, "good at %s until %s\n", cli_text(t, "home"),
          cli_show_time(cli_number(t, "expires_ms")).text);
}

int cli_token(int argc, char **argv) {
  struct cli_common common = {0};
  const char *subject = NULL, *tenant = NULL, *ttl = "24h";
  uint64_t ttl_s = 0;
  const struct cli_option options[] = {
      {"subject", CLI_TEXT, &subject, "ID", "whose objects it reaches"},
      {"tenant", CLI_TEXT, &tenant, "ACCOUNT", "whose subject (default: main)"},
      {"ttl", CLI_TEXT, &ttl, "SPAN", "how long it is good: 15m, 24h, 7d (default: 24h)"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "token --subject ID",
      .summary =
          "Makes a credential for a phone: it reaches the objects of this person alone, until its time\n"
          "is over, the person moves, or `domicile subject revoke-tokens` ends it. Ask the person's\n"
          "home region: nobody else can make or check one. Prints variables for S3 clients.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE && !subject) {
    cli_complain("--subject is missing");
    status = CLI_USAGE;
  }
  if (status == CLI_CONTINUE && !parse_span(ttl, &ttl_s)) {
    cli_complain("--ttl must read as 15m, 24h or 7d");
    status = CLI_USAGE;
  }
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  BUF_AUTO path = BUF_INIT;
  cli_subject_path(&path, subject, "/token", tenant);
  CLI_JSON_AUTO *body = json_pack("{s:I}", "ttl_s", (json_int_t)ttl_s);
  CLI_JSON_AUTO *answer = NULL;
  status = cli_ask(link, "POST", buf_str(&path), body, &answer);
  if (status != CLI_CONTINUE) return status;
  common.json ? cli_print_json(answer) : print_token(answer);
  return CLI_OK;
}
